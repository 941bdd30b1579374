"""Arithmetic in which index formulas are evaluated: floating point, SymPy expressions, a finite field."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np
import sympy as sp

Array = Any
"""A NumPy array of floats, complex numbers, expressions or field elements, or a scalar of one of these."""

PRIME = 2305843009213699919
"""A safe prime ≡ 7 (mod 8): every odd root exists, and 2 and half of all other elements have a square root."""

GRAIN = 27720
"""Field elements stand for e^(x/GRAIN): powers with small denominators need no roots."""

SMALL = 4096
"""Numerators and denominators up to this are recognised; by accident in one pair of 10^11."""


class NoRootError(ArithmeticError):
    """A random field element has no square root; draw again."""


@dataclass(frozen=True)
class Domain:
    """Arithmetic: how to represent a number, reduce a sum or product, raise to a power, apply functions, choose."""

    number: Callable[[sp.Expr], Array]
    reduced: Callable[[Array], Array]
    power: Callable[[Array, sp.Rational], Array]
    exp: Callable[[Array, sp.Rational], Array]
    call: Callable[[str, Array], Array]
    where: Callable[[str, Array, Array, Array], Array]
    draw: Callable[..., int]


def each(function: Callable[[Any], Any], values: Array) -> Array:
    """Apply a function to every element."""
    return np.frompyfunc(function, 1, 1)(values)


def _float_call(name: str, argument: Array) -> Array:
    if name in {"Abs", "sign"}:  # np.abs of a complex number has no complex step
        return np.sign(np.real(argument)) * (argument if name == "Abs" else 1)
    # Imported late: only erf needs SciPy, which takes longer to load than a derivation takes.
    return getattr(np if hasattr(np, name) else import_module("scipy.special"), name)(argument)


def _chosen(relation: str, sign: Array, yes: Array, no: Array) -> Array:
    compare = {"<=": np.less_equal, "<": np.less, ">=": np.greater_equal, ">": np.greater}[relation]
    return np.where(compare(sign, 0), yes, no)


def _none(*_: Any) -> Any:
    raise NotImplementedError


FLOATS = Domain(
    number=float,
    reduced=lambda value: value,
    power=lambda base, exponent: base ** (int(exponent) if exponent.is_Integer else float(exponent)),
    exp=lambda argument, factor: np.exp(float(factor) * argument),
    call=_float_call,
    where=lambda relation, gap, yes, no: _chosen(relation, np.real(gap), yes, no),
    draw=_none,
)
"""Double precision, complex where a complex step needs it."""

SYMBOLS = Domain(
    number=lambda value: value,
    reduced=lambda value: value,
    power=lambda base, exponent: base**exponent,
    exp=lambda argument, factor: each(sp.exp, factor * argument),
    call=lambda name, argument: each(getattr(sp, name), argument),
    where=_none,
    draw=_none,
)
"""SymPy expressions; registered functions stay as they are."""


def field(seed: int) -> Domain:
    """Integers modulo `PRIME`; transcendental functions are random values that respect the laws SymPy simplifies by.

    These are exp(a + b) = exp(a) exp(b), exp(log(a)) = a, and |a| = sign(a) a, the sign of a square being 1. Sums in
    an exponent are split by the caller; here an exponent that is a multiple of an earlier one gives a power.
    """
    stream = random.Random(seed)  # noqa: S311 (test points, not secrets)
    drawn: dict[tuple[Any, ...], int] = {}

    def draw(*key: Any) -> int:
        return drawn.setdefault(key, stream.randrange(2, PRIME))

    roots = {1: (draw("exp", 1), GRAIN)}

    def number(value: sp.Expr) -> Array:
        if value is sp.E:
            return exp(1, sp.S.One)
        return value.p * pow(value.q, -1, PRIME) % PRIME if value.is_Rational else draw(str(value))

    def exp(a: int, factor: sp.Rational) -> int:
        for known, (value, grain) in roots.items():
            multiple = _ratio(a, known)
            if multiple is not None:
                return _power(value, factor * multiple * grain)
        roots[a] = draw("exp", a), GRAIN
        return exp(a, factor)

    def call(name: str, a: int) -> int:
        if name in {"Abs", "sign"}:
            return _sign(a) * (a if name == "Abs" else 1) % PRIME
        value = draw(name, a)
        if name == "log":
            roots[value] = a, 1
        return value

    return Domain(
        number=number,
        reduced=lambda value: value % PRIME,
        power=lambda base, exponent: each(lambda b: _power(b, exponent), base),
        exp=lambda argument, factor: each(lambda a: exp(a, factor), argument),
        call=lambda name, argument: each(lambda a: call(name, a), argument),
        where=lambda relation, gap, yes, no: _chosen(relation, each(_sign, gap), yes, no).astype(object),
        draw=draw,
    )


def _sign(a: int) -> int:
    """1 for squares, -1 for others, as -1 is none; 0 for 0."""
    residue = pow(a, (PRIME - 1) // 2, PRIME)
    return residue if residue <= 1 else -1


def _ratio(a: int, b: int) -> sp.Rational | None:
    """Find a / b as a fraction of small numbers, by Euclid's algorithm (Wang 1981, rational reconstruction)."""
    (rest, top), (below, bottom) = (PRIME, a * pow(b, -1, PRIME) % PRIME), (0, 1)
    while top > SMALL:
        quotient = rest // top
        (rest, top), (below, bottom) = (top, rest - quotient * top), (bottom, below - quotient * bottom)
    return sp.Rational(top, bottom) if abs(bottom) <= SMALL else None


def _power(base: int, exponent: sp.Rational) -> int:
    root = int(exponent.q)
    while root % 2 == 0:
        half = pow(base, (PRIME + 1) // 4, PRIME)
        if half * half % PRIME != base:
            raise NoRootError
        base, root = half, root // 2
    return pow(base, int(exponent.p) * pow(root, -1, PRIME - 1), PRIME)
