"""Exact checks: matrix forms against raw derivatives, at random elements of a finite field.

A sum of symbolic size is a weighted sum over a few points, with random weights that add up to the size: what holds for
random entries and weights holds for all sizes. By Schwartz and Zippel an accident has a probability below 1e-14. Which
piece of a function in pieces is met is left to random signs, so that these are tried several times.
"""

import random
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any

import numpy as np
import sympy as sp
from flint import nmod

from mlpreport.derivation.backward import Derivation, cotangent
from mlpreport.derivation.evaluation import SYMBOLS, Domain, Frame, drawn, each, forward, frame_of, plain
from mlpreport.derivation.forward import direction
from mlpreport.derivation.indices import entry, fresh, over
from mlpreport.derivation.program import Program

PRIME = 2305843009213699919
"""A safe prime ≡ 7 (mod 8): every odd root exists, and 2 and half of all other elements have a square root."""

GRAIN = 27720
"""Field elements stand for e^(x/GRAIN): powers with small denominators need no roots."""

SMALL = 4096
"""Numerators and denominators up to this are recognised; by accident in one pair of 10^11."""

PIECES = 12
"""How often signs are drawn, where functions are in pieces."""

POINTS = 3
"""Points over which a sum of symbolic size runs."""

Draw = Callable[..., Any]
"""Gives the random element that belongs to a key."""


class NoRootError(ArithmeticError):
    """A random field element has no square root; draw again."""


def element(value: int) -> Any:
    """Make the field element of a whole number."""
    return nmod(value, PRIME)


def field(seed: int) -> tuple[Domain, Draw]:
    """Integers modulo `PRIME`; transcendental functions are random values that respect the laws SymPy simplifies by.

    These are exp(a + b) = exp(a) exp(b), exp(log(a)) = a, |a| = sign(a) a, sign(a²) = 1; callers split exponents.
    """
    stream = random.Random(seed)  # noqa: S311 (test points, not secrets)
    met: dict[tuple[Any, ...], Any] = {}

    def draw(*key: Any) -> Any:
        return met.setdefault(key, element(stream.randrange(2, PRIME)))

    one = element(1)
    roots = {one: (draw("exp", one), GRAIN)}

    def number(value: sp.Expr) -> Any:
        if value is sp.E:
            return exp(one, sp.S.One)
        return element(int(value.p)) / int(value.q) if value.is_Rational else draw(str(value))

    def exp(a: Any, factor: sp.Rational) -> Any:
        for known, (value, grain) in roots.items():
            if (multiple := _ratio(a, known)) is not None:
                return _power(value, factor * multiple * grain)
        roots[a] = draw("exp", a), GRAIN
        return exp(a, factor)

    def call(name: str, a: Any) -> Any:
        value = draw(name, a)
        if name == "log":
            roots[value] = a, 1
        return value

    domain = Domain(
        number=number,
        power=lambda base, exponent: each(lambda b: _power(b, exponent), base),
        exp=lambda argument, factor: each(lambda a: exp(a, factor), argument),
        call=lambda name, argument: each(partial(call, name), argument),
        sign=partial(each, _sign),
    )
    return domain, draw


def _sign(a: Any) -> int:
    """1 for squares, -1 for others, as -1 is none; 0 for 0."""
    residue = int(a ** ((PRIME - 1) // 2))
    return residue if residue <= 1 else -1


def _ratio(a: Any, b: Any) -> sp.Rational | None:
    """Find a / b as a fraction of small numbers, by Euclid's algorithm (Wang 1981, rational reconstruction)."""
    (rest, top), (below, bottom) = (PRIME, int(a / b)), (0, 1)
    while top > SMALL:
        quotient = rest // top
        (rest, top), (below, bottom) = (top, rest - quotient * top), (bottom, below - quotient * bottom)
    return sp.Rational(top, bottom) if abs(bottom) <= SMALL else None


def _power(base: Any, exponent: sp.Rational) -> Any:
    root = int(exponent.q)
    while root % 2 == 0:
        half = base ** ((PRIME + 1) // 4)
        if half * half != base:
            raise NoRootError
        base, root = half, root // 2
    return base ** (int(exponent.p) * pow(root, -1, PRIME - 1) % (PRIME - 1))


def in_field(attempt: Callable[[Domain, Draw], Iterable[str]], *, times: int) -> tuple[str, ...]:
    """Try at random elements, several times, until every square root exists."""
    failures, left = dict[str, None](), times
    for seed in range(10_000):
        with suppress(NoRootError):
            failures |= dict.fromkeys(attempt(*field(seed)))
            left -= 1
            if not left:
                return tuple(failures)
    return ("no point with all square roots",)


def _filled(make: Draw, name: str, shape: tuple[int, ...]) -> Any:
    """Make an array of what belongs to its name and to row and column."""
    return np.frompyfunc(make, 3, 1)(name, *np.indices(shape))


def _weights(size: sp.Expr, draw: Draw) -> Any:
    if size == 1:
        return np.array([element(1)])
    total = element(int(size)) if size.is_Integer else draw("size", str(size))
    first = [draw("weight", str(size), n) for n in range(POINTS - 1)]
    return np.array([*first, total - sum(first)])


def symbolic_sizes(derivation: Derivation, _: Mapping[sp.Expr, int]) -> tuple[int, tuple[str, ...]]:
    """Compare matrix forms with the chain rule's raw sums for sizes that stay symbols, whatever values are given."""
    program = derivation.program

    def attempt(domain: Domain, draw: Draw) -> list[str]:
        frame, failures = frame_of(program, domain, lambda size: _weights(size, draw)), []
        frame = forward(program, frame, drawn(program, frame, partial(_filled, draw)))
        for name, step in derivation.steps.items():
            expected = _chained(program, name, frame)
            if np.any(frame.entries(step.cotangent) != expected):
                failures.append(name)
            frame = frame.with_array(cotangent(program.loss, name), expected)
        return failures

    return len(derivation.steps), in_field(attempt, times=_times(derivation))


def _chained(program: Program, name: str, frame: Frame) -> Any:
    """Cotangent of a variable by the chain rule, with nothing collapsed, rewritten or recognised."""
    shape, loss = program.shapes[name], program.loss
    target, formula = fresh(name, shape, "pq"), sp.Integer(name == loss)
    for user in program.users[name]:
        if (key := cotangent(loss, user)) in frame.arrays:
            outer = fresh(key, program.shapes[user], "ij")
            local = sp.diff(entry(program.definitions[user], *outer.indices), target)
            formula += over(outer * local, outer.indices, outer.base.shape)
    return frame.values(formula, target.indices, shape)


def entrywise(derivation: Derivation, sizes: Mapping[sp.Expr, int]) -> tuple[int, tuple[str, ...]]:
    """Compare matrix forms with SymPy's derivative of the loss, written out in the symbols of all entries.

    SymPy differentiates once for each variable, along a direction of symbols; where one of these is 1 and the others
    are 0, that is the derivative by one entry.
    """
    program = derivation.program
    frame, pairs, step = plain(program, SYMBOLS, sizes), [], sp.Dummy(real=True)
    leaves, directions = (_symbols(program, frame, prefix) for prefix in ("", "along "))
    inputs = {name: leaves[name] for name in program.inputs}
    frame = forward(program, frame, inputs)
    for name, derived in derivation.steps.items():
        written = dict(zip(leaves[name].flat, frame.arrays[name].flat, strict=True))
        moved = inputs | {name: leaves[name] + step * directions[name]}
        expected = _slope(_scalar(derivation, name, frame, moved), step).xreplace(written)
        found = frame.entries(derived.cotangent)
        frame = frame.with_array(cotangent(program.loss, name), found)
        pairs.append((name, found.ravel(), expected))
    units = {
        s: v for array in directions.values() for s, v in zip(array.flat, _units(array.size), strict=True)
    }

    def attempt(domain: Domain, draw: Draw) -> list[str]:
        values = drawn(program, plain(program, domain, sizes), partial(_filled, draw))
        point = {s: v for name in inputs for s, v in zip(leaves[name].flat, values[name].flat, strict=True)}
        at = Frame(domain, point | units, {}, {}, {})
        return [
            name for name, found, expected in pairs if np.any(each(at.value, found) != at.value(expected))
        ]

    return sum(len(found) for _, found, _ in pairs), in_field(attempt, times=_times(derivation))


def _symbols(program: Program, frame: Frame, prefix: str) -> dict[str, Any]:
    """Make arrays of symbols for all variables."""
    leaf = partial(_filled, lambda *at: sp.Symbol("{}{}[{},{}]".format(prefix, *at), real=True))
    return {name: leaf(name, frame.shape(shape)) for name, shape in program.shapes.items()}


def _units(count: int) -> Any:
    """Unit vectors of field elements."""
    return each(element, np.eye(count, dtype=int))


def _times(derivation: Derivation) -> int:
    return PIECES if derivation.pieces else 1


def _scalar(derivation: Derivation, name: str, frame: Frame, start: Mapping[str, Any]) -> sp.Expr:
    """Write out what a step differentiates: the loss, or for an `hvp` the loss's slope along the directions."""
    program, of = derivation.program, derivation.of
    if of is None or name not in program.inputs:
        return forward(program, frame, start).arrays[program.loss][0, 0]
    step = sp.Dummy(real=True)
    moved = {key: start[key] + step * start[direction(key)] for key in derivation.results}
    return _slope(forward(of, frame, {**start, **moved}).arrays[of.loss][0, 0], step)


def _slope(e: sp.Expr, step: sp.Dummy) -> sp.Expr:
    return sp.diff(e, step).xreplace({step: sp.S.Zero})
