"""A program: ordered named equations that compute a scalar loss, each simple enough for one index formula."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from mlpreport.derivation.elementwise import nearest
from mlpreport.derivation.terms import ELEMENTWISE, Shape, Term, build, variables
from mlpreport.errors import ProgramError

if TYPE_CHECKING:
    from mlpreport.derivation.backward import Derivation
    from mlpreport.derivation.edges import Line

Namer = Callable[[Term], Term]
"""Gives a term a name of its own and returns the variable."""


@dataclass(frozen=True)
class Equation:
    """One assignment `name = term`."""

    name: str
    term: Term


@dataclass(frozen=True)
class Program:
    """Inputs with their shapes, and equations in order of computation; the last one is the loss."""

    inputs: Mapping[str, Shape]
    equations: tuple[Equation, ...]
    assumptions: tuple[str, ...] = ()
    source: str = ""

    @cached_property
    def shapes(self) -> dict[str, Shape]:
        """Shape of every input and of every equation's value."""
        return {**self.inputs, **{equation.name: equation.term.shape for equation in self.equations}}

    @cached_property
    def definitions(self) -> dict[str, Term]:
        """Right-hand side of every equation, by name."""
        return {equation.name: equation.term for equation in self.equations}

    @cached_property
    def users(self) -> dict[str, tuple[str, ...]]:
        """For every variable the equations that use it, in order."""
        found: dict[str, list[str]] = {name: [] for name in self.shapes}
        for equation in self.equations:
            for name in variables(equation.term):
                found[name].append(equation.name)
        return {name: tuple(users) for name, users in found.items()}

    @property
    def loss(self) -> str:
        """Name of the last equation."""
        return self.equations[-1].name

    def variable(self, name: str) -> Term:
        """Return the variable `name` as a term; an unknown name is an error that suggests the nearest."""
        if name not in self.shapes:
            hint = nearest(name, self.shapes)
            message = f"the program has no variable {name!r} (it has {', '.join(self.shapes)}); {hint}"
            raise ProgramError(message)
        return build("var", name, *self.shapes[name])

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


def simple_root(term: Term, name: Namer) -> Term:
    """Name the inner parts of an equation's right-hand side until it is simple.

    Simple is: a function of a variable, or a sum with constant factors of products `a @ b` of variables, of sums and
    means of elementwise expressions, and of elementwise expressions.
    """
    if term.op in {"softmax", "logsumexp"} or _is_named_call(term):
        return Term(*(_atom(part, name) if isinstance(part, Term) else part for part in term.args))
    return _linear(term, name)


def _is_named_call(term: Term) -> bool:
    return term.op == "call" and term.name not in {"exp", "log"}


def _linear(term: Term, name: Namer) -> Term:
    op, parts = term.op, term.operands
    if op in {"+", "-", "neg"} or (op in {"*", "/"} and "num" in {part.op for part in parts}):
        return build(op, *(_linear(part, name) for part in parts))
    if op == "@":
        return build(op, *(_atom(part, name) for part in parts))
    if op in {"sum", "mean"}:
        return build(op, _plain(parts[0], name), term.parts[1])
    return _plain(term, name)


def _plain(term: Term, name: Namer) -> Term:
    """Make a term elementwise in variables and transposed variables."""
    if term.op in {"var", "num", "ones"}:
        return term
    if term.op == "T":
        return _atom(term, name)
    if term.op in ELEMENTWISE or (term.op == "call" and not _is_named_call(term)):
        return Term(*(_plain(part, name) if isinstance(part, Term) else part for part in term.args))
    return name(simple_root(term, name))


def _atom(term: Term, name: Namer) -> Term:
    if term.op == "var":
        return term
    if term.op == "T":
        return build("T", _atom(term.operands[0], name))
    return name(simple_root(term, name))


def needed(definitions: Mapping[str, Term], outputs: list[str]) -> dict[str, Term]:
    """Keep the definitions that the outputs depend on, in order."""
    wanted = set(outputs)
    for name in reversed(list(definitions)):
        if name in wanted:
            wanted.update(variables(definitions[name]))
    return {name: term for name, term in definitions.items() if name in wanted}
