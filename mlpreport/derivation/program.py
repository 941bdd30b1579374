"""A program: ordered, named equations between terms, which are immutable trees that know their shape.

SymPy's own matrix expressions broadcast nothing and turn `g*g` into a matrix power; terms only record what was written.
"""

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar
from unicodedata import normalize

import sympy as sp
from sympy.core.symbol import Str

from mlpreport.checks import nearest
from mlpreport.errors import ProgramError, ShapeError

if TYPE_CHECKING:
    from mlpreport.derivation.backward import Derivation
    from mlpreport.derivation.edges import Line

Shape = tuple[sp.Expr, sp.Expr]
Value = TypeVar("Value")

ONE = sp.Integer(1)
ALL = sp.Integer(-1)
"""The axis of a sum over rows and columns."""

OPERATIONS: dict[str, Callable[..., Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "**": operator.pow,
    "neg": operator.neg,
    "@": operator.matmul,
    "exp": sp.exp,
    "log": sp.log,
}
"""Operations that numbers have."""

ELEMENTWISE = frozenset(OPERATIONS) - {"@"} | {"call"}
"""Operations that act entry by entry, broadcasting sizes of 1; `call` is that of a registered function."""


def _operator(op: str) -> Callable[..., "Term"]:
    return lambda *operands: build(op, *(o if isinstance(o, Term) else num(o) for o in operands))


class Term(sp.Basic):  # type: ignore[misc]
    """An operation with its operands: `var` (name, rows, cols), `num`, `ones` (rows, cols), `@`, `sum`, …, `call`."""

    __match_args__ = ("op", "parts")

    @cached_property
    def shape(self) -> Shape:
        """Rows and columns; operands that do not fit together are a ShapeError."""
        return _shape(self)

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

    @property
    def name(self) -> str:
        """Name of a variable or of a called function."""
        return str(self.args[1].name)

    @property
    def T(self) -> "Term":  # noqa: N802 (NumPy's name)
        """Transpose, undoing a transpose."""
        return self.operands[0] if self.op == "T" else build("T", self)

    def rewritten(self, rewrite: Callable[["Term"], "Term"]) -> "Term":
        """Rewrite every operand."""
        return Term(*(rewrite(part) if isinstance(part, Term) else part for part in self.args))

    __neg__, __add__, __sub__, __mul__ = map(_operator, ("neg", "+", "-", "*"))
    __truediv__, __matmul__ = map(_operator, "/@")

    def __rmul__(self, number: sp.Expr | float) -> "Term":
        """Multiply a number from the left."""
        return num(number) * self


def build(op: str, *parts: sp.Basic | str | int) -> Term:
    """Make a term; whether shapes fit is seen when its own is asked for."""
    return Term(Str(op), *(Str(part) if isinstance(part, str) else sp.sympify(part) for part in parts))


def num(value: sp.Expr | float) -> Term:
    """Make a number (or an expression in sizes), of shape (1, 1)."""
    return build("num", value)


def nodes(term: Term) -> list[Term]:
    """List a term and all terms in it, in reading order."""
    return [term, *(node for operand in term.operands for node in nodes(operand))]


def variables(term: Term) -> tuple[str, ...]:
    """Names of the variables in a term, in order of appearance."""
    return tuple(dict.fromkeys(node.name for node in nodes(term) if node.op == "var"))


def cost(term: Term) -> int:
    """Count the operations that a reader or a machine carries out; reading a variable or its transpose is free."""
    return sum(node.op not in {"var", "num", "ones", "T"} for node in nodes(term))


def show_shape(shape: Shape) -> str:
    """Write a shape as (N, D)."""
    return f"({shape[0]}, {shape[1]})"


def _shape(term: Term) -> Shape:
    op, parts = term.op, term.parts
    if op in {"var", "ones"}:
        return parts[-2], parts[-1]
    if op in {"num", "vdot", "full"}:
        return ONE, ONE
    if op in OPERATIONS and len(parts) > 1:
        return _joined(op, parts[0].shape, parts[1].shape)
    rows, cols = term.operands[0].shape
    if op in {"sum", "mean", "max", "amax", "logsumexp"}:
        return rows if parts[1] == 1 else ONE, cols if parts[1] == 0 else ONE
    return (cols, rows) if op == "T" else (rows, cols)


def _joined(op: str, left: Shape, right: Shape) -> Shape:
    """Shape of a matrix product, or of an operation that broadcasts sizes of 1."""
    pairs = [(left[1], right[0])] if op == "@" else list(zip(left, right, strict=True))
    clashes = [(a, b) for a, b in pairs if a != b and (op == "@" or ONE not in (a, b))]
    if not clashes:
        rows, cols = (left[0], right[1]) if op == "@" else (b if a == ONE else a for a, b in pairs)
        return rows, cols
    rule = "as many columns on the left as rows on the right" if op == "@" else "equal sizes or 1"
    remedy = "transpose one of them with .T" if op == "@" else "{} is not {}".format(*clashes[0])
    message = f"{op} needs {rule}: {show_shape(left)} {op} {show_shape(right)}; {remedy}"
    raise ShapeError(message)


@dataclass(frozen=True)
class Program:
    """Inputs with their shapes, and what defines the others, in order of computation; the last one is the loss."""

    inputs: Mapping[str, Shape]
    definitions: dict[str, Term]
    assumptions: tuple[str, ...] = ()
    source: str = ""

    def __str__(self) -> str:
        """Write it as `read_program` reads it."""
        from mlpreport.derivation.writing import program_text  # noqa: PLC0415 (writing knows Program)

        return program_text(self)

    @cached_property
    def shapes(self) -> dict[str, Shape]:
        """Shape of every input and of every equation's value."""
        return {**self.inputs, **{name: term.shape for name, term in self.definitions.items()}}

    @cached_property
    def sizes(self) -> dict[str, sp.Symbol]:
        """Sizes that are symbols, by name, sorted."""
        symbols = {size for shape in self.inputs.values() for size in shape if size.is_Symbol}
        return {str(size): size for size in sorted(symbols, key=str)}

    @cached_property
    def users(self) -> dict[str, tuple[str, ...]]:
        """For every variable the equations that use it, in order."""
        found: dict[str, tuple[str, ...]] = dict.fromkeys(self.shapes, ())
        for user, term in self.definitions.items():
            found |= {name: (*found[name], user) for name in variables(term)}
        return found

    @property
    def loss(self) -> str:
        """Name of the last equation."""
        return list(self.definitions)[-1]

    def variable(self, name: str) -> Term:
        """Return the variable `name` as a term; an unknown name is an error that suggests the nearest."""
        return build("var", spelled(name), *looked_up("the program has no variable", name, self.shapes))

    def input(self, name: str, rule: str) -> Term:
        """Return an input as a term; a computed variable is an error by the rule, which is about inputs."""
        found = self.variable(name)
        if found.name not in self.inputs:
            message = f"{name!r} is computed, not an input; {rule} ({', '.join(self.inputs)})"
            raise ProgramError(message)
        return found

    def vjp(self) -> "Derivation":
        """Derive the cotangent of every variable, from the loss back to the inputs."""
        from mlpreport.derivation.backward import vjp  # noqa: PLC0415 (backward knows Program)

        return vjp(self)

    def jvp(self) -> "Derivation":
        """Derive the tangent of every equation for directions `v…` of the inputs."""
        from mlpreport.derivation.forward import jvp  # noqa: PLC0415

        return jvp(self)

    def hvp(self, wrt: str | tuple[str, ...]) -> "Derivation":
        """Derive the Hessian of the loss times directions `v…` of the inputs in `wrt`."""
        from mlpreport.derivation.forward import hvp  # noqa: PLC0415

        return hvp(self, wrt)

    def jacobian(self, u: str, v: str) -> "Line":
        """Derive the index formula of ∂u/∂v through every path from v to u."""
        from mlpreport.derivation.forward import jacobian  # noqa: PLC0415

        return jacobian(self, u, v)


def looked_up(problem: str, name: str, known: Mapping[str, Value]) -> Value:
    """Look up a name; an unknown one is an error that suggests the nearest."""
    if spelled(name) not in known:
        hint = nearest(name, known) or "use one of these"
        message = f"{problem} {name!r} (it has {', '.join(known)}); {hint}"
        raise ProgramError(message)
    return known[spelled(name)]


def spelled(name: object) -> str:
    """Write a name as Python reads it in a source."""
    return normalize("NFKC", str(name))


def name_of(assumption: str) -> str:
    """Variable that an assumption is about."""
    return assumption.partition(":")[2]
