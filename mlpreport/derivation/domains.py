"""Arithmetic in which index formulas are evaluated: floating point, SymPy expressions, a finite field."""

import random
from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np
import sympy as sp

PRIME = 2305843009213699919
"""A safe prime ≡ 7 (mod 8): every odd root exists, and 2 and half of all other elements have a square root."""


GRAIN = sp.Integer(27720)
"""Field elements stand for e^(x/GRAIN)."""

Array = Any
"""A NumPy array of floats, complex numbers or field elements, or a scalar of one of these."""


class NoRootError(ArithmeticError):
    """A random field element has no square root; draw again."""


class Floats:
    """Double precision, complex where a complex step needs it."""

    def number(self, value: sp.Expr) -> Array:
        """Represent a number."""
        return float(value)

    def reduced(self, value: Array) -> Array:
        """Bring a sum or product into the domain."""
        return value

    def power(self, base: Array, exponent: sp.Rational) -> Array:
        """Raise to a rational power."""
        return base ** (int(exponent) if exponent.is_Integer else float(exponent))

    def call(self, name: str, argument: Array) -> Array:
        """Apply a function."""
        if name in {"Abs", "sign"}:  # np.abs of a complex number has no complex step
            return np.sign(np.real(argument)) * (argument if name == "Abs" else 1)
        # Imported late: only erf needs SciPy, which takes longer to load than a derivation takes.
        return getattr(np if hasattr(np, name) else import_module("scipy.special"), name)(argument)

    def exp(self, argument: Array, factor: sp.Rational) -> Array:
        """Raise e to a multiple of a power."""
        return np.exp(float(factor) * argument)

    def where(self, relation: str, gap: Array, yes: Array, no: Array) -> Array:
        """Choose by whether gap `relation` 0."""
        compare = {"<=": np.less_equal, "<": np.less, ">=": np.greater_equal, ">": np.greater}[relation]
        return np.where(compare(np.real(gap), 0), yes, no)


class Chosen(sp.Function):  # type: ignore[misc]
    """The third argument if gap `relation` 0, else the fourth (SymPy's Piecewise would merge nested conditions)."""

    nargs = 4

    def fdiff(self, argindex: int = 3) -> sp.Expr:
        """Choose between the derivatives; where the condition changes there is none."""
        relation, gap, _, _ = self.args
        return Chosen(relation, gap, int(argindex == 3), int(argindex == 4)) if argindex > 2 else sp.S.Zero  # noqa: PLR2004


class Symbols:
    """SymPy expressions."""

    def number(self, value: sp.Expr) -> Array:
        """Keep a number."""
        return value

    def reduced(self, value: Array) -> Array:
        """Keep a sum or product."""
        return value

    def power(self, base: Array, exponent: sp.Rational) -> Array:
        """Raise to a rational power."""
        return base**exponent

    def call(self, name: str, argument: Array) -> Array:
        """Apply a function."""
        return _each(getattr(sp, name), argument)

    def exp(self, argument: Array, factor: sp.Rational) -> Array:
        """Raise e to a multiple of a power."""
        return _each(sp.exp, factor * argument)

    def where(self, relation: str, gap: Array, yes: Array, no: Array) -> Array:
        """Write a case distinction."""
        return np.frompyfunc(lambda g, y, n: Chosen(sp.Symbol(relation), g, y, n), 3, 1)(gap, yes, no)


class Field:
    """Integers modulo `PRIME`; transcendental functions are random values that respect exp(a + b) = exp(a) exp(b)."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)  # noqa: S311 (test points, not secrets)
        self.memo: dict[tuple[Any, ...], int] = {}
        self.logs: dict[int, int] = {}

    def draw(self, *key: Any) -> int:
        """Give a key its own random element."""
        return self.memo.setdefault(key, self.random.randrange(2, PRIME))

    def number(self, value: sp.Expr) -> Array:
        """Represent a fraction; any other number is a random element."""
        return value.p * pow(value.q, -1, PRIME) % PRIME if value.is_Rational else self.draw(str(value))

    def reduced(self, value: Array) -> Array:
        """Take the remainder."""
        return _each(lambda v: int(v) % PRIME, value)

    def power(self, base: Array, exponent: sp.Rational) -> Array:
        """Raise to a rational power."""
        return _each(lambda b: _field_power(b, exponent), base)

    def call(self, name: str, argument: Array) -> Array:
        """Apply a function."""
        return _each(lambda a: self._call(name, a), argument)

    def exp(self, argument: Array, factor: sp.Rational) -> Array:
        """Raise e to a power; exp undoes log, and fractions with small denominators need no roots."""
        return _each(lambda a: self._exp(a, factor), argument)

    def _exp(self, a: int, factor: sp.Rational) -> int:
        if a in self.logs or PRIME - a in self.logs:
            sign = 1 if a in self.logs else -1
            return _field_power(self.logs[a if sign == 1 else PRIME - a], sign * factor)
        sign = -1 if a > PRIME // 2 else 1
        return _field_power(self.draw("exp", a * sign % PRIME) if a else 1, sign * factor * GRAIN)

    def _call(self, name: str, a: int) -> int:
        value = self.draw(name, a)
        if name == "log":
            self.logs[value] = a
        return value

    def where(self, relation: str, gap: Array, yes: Array, no: Array) -> Array:
        """Choose at random, for equal gaps alike."""
        choice = _each(lambda g: self.draw(relation, g) % 2 == 0, gap)
        return self.reduced(np.where(np.asarray(choice, dtype=bool), yes, no))


Domain = Floats | Symbols | Field


def _each(function: Callable[[Any], Any], values: Array) -> Array:
    return np.frompyfunc(function, 1, 1)(values)


def _field_power(base: int, exponent: sp.Rational) -> int:
    root, times = int(exponent.q), int(exponent.p)
    while root % 2 == 0:
        half = pow(base, (PRIME + 1) // 4, PRIME)
        if half * half % PRIME != base:
            raise NoRootError
        base, root = half, root // 2
    if root > 1:
        base = pow(base, pow(root, -1, PRIME - 1), PRIME)
    return pow(base, times, PRIME)
