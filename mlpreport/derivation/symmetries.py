"""What leaves a unit's output unchanged, read off the definition of its activation."""

from dataclasses import dataclass
from functools import cache

import sympy as sp

from mlpreport.derivation.elementwise import Elementwise, U, elementwise

_POINTS = tuple(sp.Rational(n, 7) for n in (-31, -17, -5, -1, 2, 3, 12, 29))
_FACTORS = (sp.Rational(1, 3), sp.Rational(5, 2))
_DEGREES = (1, 2, 3, 4)

_NEAR, _JUMP = sp.Rational(1, 10**9), 1e-6
"""How far beside a point one looks for a jump, and a smaller difference than that of any jump."""

ANYWHERE = (-float("inf"), float("inf"))
"""Stands for kinks that cannot be listed."""


@dataclass(frozen=True)
class Symmetries:
    """Symmetries of an activation f.

    Parameters
    ----------
    reflection
        (s, c) with f(−u) = c + s f(u), s = ±1: (−1, 1) for the sigmoid, (−1, 0) for odd, (1, 0) for even functions;
        None if there is none.
    degree
        p with f(k u) = kᵖ f(u) for all k > 0: 1 for ReLU; None if there is none.
    kinks
        Points at which the definition changes from one formula to another; `ANYWHERE` if SymPy cannot list them.
    limits
        Values that f approaches at −∞ and at +∞; None where SymPy finds no finite limit.
    """

    reflection: tuple[int, float] | None
    degree: int | None
    kinks: tuple[float, ...]
    limits: tuple[float | None, float | None]

    @property
    def smooth(self) -> bool:
        """Whether one formula holds everywhere."""
        return not self.kinks


def symmetries(name: str) -> Symmetries:
    """Find the symmetries of a registered function; an unknown name is an error that suggests the nearest."""
    return _symmetries(elementwise(name))


@cache
def _symmetries(function: Elementwise) -> Symmetries:
    f = function.expression
    return Symmetries(_reflection(f), _degree(f), _kinks(f), (_limit(f, -sp.oo), _limit(f, sp.oo)))


def _reflection(f: sp.Expr) -> tuple[int, float] | None:
    for s in (-1, 1):
        gap = f.subs(U, -U) - s * f
        constant = gap.subs(U, _POINTS[0]).evalf(30)
        if _zero(gap - constant) and sp.simplify(gap).is_number:
            return s, float(constant)
    return None


def _degree(f: sp.Expr) -> int | None:
    for degree in _DEGREES:
        if all(_zero(f.subs(U, k * U) - k**degree * f) for k in _FACTORS):
            return degree
    return None


def _zero(gap: sp.Expr) -> bool:
    return all(abs(gap.subs(U, point).evalf(30)) < sp.Float("1e-25") for point in _POINTS)


@cache
def corners(slope: sp.Expr) -> tuple[sp.Expr, ...]:
    """Points at which a slope jumps, so that its value there is a choice; none if SymPy cannot list them."""
    points = _edges(slope) if slope.has(sp.Piecewise, sp.sign) else None
    # Limits of pieces are beyond SymPy.
    gaps = {u: slope.subs(U, u + _NEAR) - slope.subs(U, u - _NEAR) for u in points or ()}
    return tuple(u for u, gap in gaps.items() if abs(gap).evalf() > _JUMP)


def _kinks(f: sp.Expr) -> tuple[float, ...]:
    points = _edges(f)
    return ANYWHERE if points is None else tuple(map(float, points))


def _edges(f: sp.Expr) -> list[sp.Expr] | None:
    """Points at which pieces may meet, in order; None if they are infinitely many, or SymPy does not find them."""
    edges = {relation.lhs - relation.rhs for relation in f.atoms(sp.core.relational.Relational)}
    edges |= {part.args[0] for part in f.atoms(sp.Abs, sp.sign, sp.Heaviside)}
    try:
        found = sp.Union(*(sp.solveset(edge, U, sp.S.Reals) for edge in edges))
        listed = isinstance(found, sp.FiniteSet) or found is sp.S.EmptySet
        return sorted(found, key=float) if listed else None
    except (NotImplementedError, TypeError, ValueError):  # what it calls a solution may be no real number
        return None


def _limit(f: sp.Expr, end: sp.Expr) -> float | None:
    try:
        value = sp.limit(_outermost(f, end), U, end)
        return float(value) if value.is_finite else None
    # SymPy cannot tell, or gives an interval.
    except (NotImplementedError, TypeError, ValueError):
        return None


def _outermost(f: sp.Expr, end: sp.Expr) -> sp.Expr:
    """Put in place of pieces, over which limits stumble, the one that holds from the last kink to that end."""
    far = sp.sign(end) * (1 + max(map(abs, _kinks(f)), default=0))
    pieces = {p: next(part for part, holds in p.args if holds.subs(U, far)) for p in f.atoms(sp.Piecewise)}
    return f.xreplace(pieces)
