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


def _float_where(relation: str, gap: Array, yes: Array, no: Array) -> Array:
    compare = {"<=": np.less_equal, "<": np.less, ">=": np.greater_equal, ">": np.greater}[relation]
    return np.where(compare(np.real(gap), 0), yes, no)


def _none(*_: Any) -> Any:
    raise NotImplementedError


FLOATS = Domain(
    number=float,
    reduced=lambda value: value,
    power=lambda base, exponent: base ** (int(exponent) if exponent.is_Integer else float(exponent)),
    exp=lambda argument, factor: np.exp(float(factor) * argument),
    call=_float_call,
    where=_float_where,
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
    """Integers modulo `PRIME`; transcendental functions are random values that respect exp(a + b) = exp(a) exp(b)."""
    stream = random.Random(seed)  # noqa: S311 (test points, not secrets)
    drawn: dict[tuple[Any, ...], int] = {}
    logs: dict[int, int] = {}

    def draw(*key: Any) -> int:
        return drawn.setdefault(key, stream.randrange(2, PRIME))

    def number(value: sp.Expr) -> Array:
        return value.p * pow(value.q, -1, PRIME) % PRIME if value.is_Rational else draw(str(value))

    def exp(a: int, factor: sp.Rational) -> int:
        if a > PRIME // 2:
            return exp(PRIME - a, -factor)
        if a in logs:
            return _power(logs[a], factor)
        return _power(draw("exp", a), factor * GRAIN) if a else 1

    def call(name: str, a: int) -> int:
        value = draw(name, a)
        if name == "log":
            logs[min(value, PRIME - value)] = a if value <= PRIME // 2 else pow(a, -1, PRIME)
        return value

    def where(relation: str, gap: Array, yes: Array, no: Array) -> Array:
        choice = each(lambda g: draw(relation, g) % 2 == 0, gap)
        chosen: Array = np.where(np.asarray(choice, dtype=bool), yes, no)
        return chosen.astype(object)

    return Domain(
        number=number,
        reduced=lambda value: value % PRIME,
        power=lambda base, exponent: each(lambda b: _power(b, exponent), base),
        exp=lambda argument, factor: each(lambda a: exp(a, factor), argument),
        call=lambda name, argument: each(lambda a: call(name, a), argument),
        where=where,
        draw=draw,
    )


def _power(base: int, exponent: sp.Rational) -> int:
    root = int(exponent.q)
    while root % 2 == 0:
        half = pow(base, (PRIME + 1) // 4, PRIME)
        if half * half % PRIME != base:
            raise NoRootError
        base, root = half, root // 2
    return pow(base, int(exponent.p) * pow(root, -1, PRIME - 1), PRIME)
