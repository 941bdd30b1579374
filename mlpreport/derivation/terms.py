"""Matrix expressions of the forward language: immutable SymPy trees that know their shape.

SymPy's own matrix expressions broadcast nothing and turn `g*g` into a matrix power; these only record what was written.
"""

import operator
from collections.abc import Callable
from functools import cache
from typing import Any

import sympy as sp
from sympy.core.symbol import Str

from mlpreport.errors import ShapeError

Shape = tuple[sp.Expr, sp.Expr]

Operand = Any
"""A term, or a number that becomes one."""

ONE = sp.Integer(1)
ALL = sp.Integer(-1)
"""The axis of a sum over rows and columns."""

ARITHMETIC: dict[str, Callable[..., Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "**": operator.pow,
    "neg": operator.neg,
    "@": operator.matmul,
}
"""Operations that Python has."""

ELEMENTWISE = frozenset(ARITHMETIC) - {"@"}
"""Operations that act entry by entry, broadcasting sizes of 1."""


class Term(sp.Basic):  # type: ignore[misc]
    """An operation with its operands: `var` (name, rows, cols), `num`, `ones` (rows, cols), `@`, `sum`, …, `call`."""

    @property
    def op(self) -> str:
        """Name of the operation."""
        return str(self.args[0].name)

    @property
    def parts(self) -> tuple[sp.Basic, ...]:
        """Operands: terms, then names, orders, axes or sizes."""
        return tuple(self.args[1:])

    @property
    def operands(self) -> tuple["Term", ...]:
        """The operands that are terms."""
        return tuple(part for part in self.args[1:] if isinstance(part, Term))

    def __neg__(self) -> "Term":
        """Negate; like all operators, this only builds a term."""
        return build("neg", self)

    def __add__(self, other: Operand) -> "Term":
        """Add."""
        return build("+", self, _as_term(other))

    def __sub__(self, other: Operand) -> "Term":
        """Subtract."""
        return build("-", self, _as_term(other))

    def __mul__(self, other: Operand) -> "Term":
        """Multiply entry by entry."""
        return build("*", self, _as_term(other))

    def __rmul__(self, other: Operand) -> "Term":
        """Multiply a number from the left."""
        return build("*", _as_term(other), self)

    def __truediv__(self, other: Operand) -> "Term":
        """Divide entry by entry."""
        return build("/", self, _as_term(other))

    def __matmul__(self, other: "Term") -> "Term":
        """Multiply as matrices."""
        return build("@", self, other)

    @property
    def T(self) -> "Term":  # noqa: N802 (NumPy's name)
        """Transpose."""
        return transpose(self)

    @property
    def shape(self) -> Shape:
        """Rows and columns."""
        shape: Shape = _shape(self)
        return shape

    @property
    def name(self) -> str:
        """Name of a variable or of a called function."""
        return str(self.args[1].name)


def build(op: str, *parts: sp.Basic | str | int) -> Term:
    """Make a term; operands whose shapes do not fit are a ShapeError."""
    term = Term(Str(op), *(Str(part) if isinstance(part, str) else sp.sympify(part) for part in parts))
    _shape(term)
    return term


def num(value: sp.Expr | int) -> Term:
    """Make a number (or an expression in sizes), of shape (1, 1)."""
    return build("num", value)


def _as_term(value: Operand) -> Term:
    return value if isinstance(value, Term) else num(value)


def transpose(term: Term) -> Term:
    """Transpose, undoing a transpose."""
    return term.operands[0] if term.op == "T" else term if term.shape == (1, 1) else build("T", term)


def variables(term: Term) -> tuple[str, ...]:
    """Names of the variables in a term, in order of appearance."""
    names = [t.name for t in sp.preorder_traversal(term) if isinstance(t, Term) and t.op == "var"]
    return tuple(dict.fromkeys(names))


def cost(term: Term) -> int:
    """Count the operations that a reader or a machine carries out; reading a variable or its transpose is free."""
    own = 0 if term.op in {"var", "num", "ones", "T"} else 1
    return own + sum(cost(part) for part in term.operands)


def show_shape(shape: Shape) -> str:
    """Write a shape as (N, D)."""
    return f"({shape[0]}, {shape[1]})"


@cache
def _shape(term: Term) -> Shape:
    op, parts = term.op, term.parts
    if op in {"var", "ones"}:
        return parts[-2], parts[-1]
    if op in {"num", "vdot"}:
        return ONE, ONE
    if op == "T":
        rows, cols = parts[0].shape
        return cols, rows
    if op == "@":
        return _matmul(parts[0].shape, parts[1].shape)
    if op in {"sum", "mean", "logsumexp"}:
        rows, cols = parts[0].shape
        return {ALL: (ONE, ONE), sp.S.Zero: (ONE, cols), ONE: (rows, ONE)}[parts[1]]
    if op in ELEMENTWISE and len(parts) > 1:
        return _broadcast(op, parts[0].shape, parts[1].shape)
    same: Shape = term.operands[0].shape
    return same


def _matmul(left: Shape, right: Shape) -> Shape:
    if left[1] == right[0]:
        return left[0], right[1]
    shapes = f"{show_shape(left)} @ {show_shape(right)}"
    message = (
        f"@ needs as many columns on the left as rows on the right: {shapes}; transpose one of them with .T"
    )
    raise ShapeError(message)


def _broadcast(op: str, left: Shape, right: Shape) -> Shape:
    for a, b in zip(left, right, strict=True):
        if ONE not in (a, b) and a != b:
            message = (
                f"{op} needs equal sizes or 1: {show_shape(left)} {op} {show_shape(right)}; {a} is not {b}"
            )
            raise ShapeError(message)
    rows, cols = (b if a == ONE else a for a, b in zip(left, right, strict=True))
    return rows, cols
