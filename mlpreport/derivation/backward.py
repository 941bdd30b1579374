"""From the loss back to the inputs: every cotangent, derived line by line.

For each edge u ← v: the entry formula of u, its derivative by an entry of v, the collapse of deltas, u's own value;
then the chain rule's sum over all users of v, fusion with a known cotangent, and recognition as a matrix expression.
"""

from collections.abc import ItemsView, Mapping
from dataclasses import dataclass

import sympy as sp

from mlpreport.derivation.edges import Line, edge, indices, over
from mlpreport.derivation.elementwise import Elementwise, elementwise, nearest
from mlpreport.derivation.indices import Partial, cell, collapse, entry
from mlpreport.derivation.matrices import COTANGENT, recognise, tidy
from mlpreport.derivation.program import Equation, Program
from mlpreport.derivation.terms import ONE, Shape, Term, build, cost, num, variables
from mlpreport.errors import ProgramError


@dataclass(frozen=True)
class Step:
    """The derivation of one variable's cotangent: its lines, and the cotangent as a matrix expression."""

    target: str
    shape: Shape
    lines: tuple[Line, ...]
    cotangent: Term
    assumptions: tuple[str, ...] = ()

    def _repr_markdown_(self) -> str:
        from mlpreport.derivation.latex import markdown  # noqa: PLC0415 (latex knows Step)

        return markdown(self.lines)


@dataclass(frozen=True)
class Derivation:
    """All steps; `backward` is the program that computes them, `results` the inputs' derivatives in it."""

    program: Program
    steps: Mapping[str, Step]
    backward: Program
    results: Mapping[str, str]
    value: str
    functions: tuple[Elementwise, ...]
    of: Program | None = None

    def __getitem__(self, name: str) -> Step:
        """Return the step of a variable; an unknown name is an error that suggests the nearest."""
        if name not in self.steps:
            hint = nearest(name, self.steps)
            message = f"the derivation has no step for {name!r} (it has {', '.join(self.steps)}); {hint}"
            raise ProgramError(message)
        return self.steps[name]

    def items(self) -> ItemsView[str, Step]:
        """Pairs of variable and step, from the loss back to the inputs."""
        return self.steps.items()


def cotangent(loss: str, name: str) -> str:
    """Name of the cotangent ∂loss/∂name."""
    return f"{COTANGENT}{loss}/{COTANGENT}{name}"


def vjp(program: Program) -> Derivation:
    """Derive every cotangent of a program, from the loss back to the inputs."""
    steps: dict[str, Step] = {}
    for name in backward_order(program):
        steps[name] = _step(program, name, steps)
    names = {name: cotangent(program.loss, name) for name in steps}
    equations = tuple(Equation(names[name], step.cotangent) for name, step in steps.items())
    extended = Program(program.inputs, program.equations + equations, program.assumptions, program.source)
    results = {name: names[name] for name in program.inputs}
    return Derivation(program, steps, extended, results, program.loss, functions_of(program))


def functions_of(program: Program) -> tuple[Elementwise, ...]:
    """Registered functions that a program calls, as they are defined now."""
    calls = {
        t.name
        for e in program.equations
        for t in sp.preorder_traversal(e.term)
        if getattr(t, "op", "") == "call"
    }
    return tuple(elementwise(name) for name in sorted(calls - {"exp", "log"}))


def backward_order(program: Program) -> list[str]:
    """Loss first; then, equation by equation backwards, its inputs (last first) and its other operands."""
    order = dict.fromkeys([program.loss])
    for equation in reversed(program.equations):
        operands = [name for name, users in program.users.items() if equation.name in users]
        leaves = [name for name in reversed(operands) if name in program.inputs]
        nodes = [name for name in operands if name not in program.inputs]
        order |= dict.fromkeys(name for name in leaves + nodes if program.users[name][0] == equation.name)
    return list(order | dict.fromkeys(reversed(program.shapes)))


def _step(program: Program, name: str, steps: Mapping[str, Step]) -> Step:
    """Derive one cotangent, given those of all users."""
    loss, shape = program.loss, program.shapes[name]
    to = indices(shape, "pq")
    lhs = cell(cotangent(loss, name), shape, *to)
    if name == loss:
        line = Line(lhs, sp.S.One, "seed", "the derivative of a variable with respect to itself is 1")
        return Step(name, shape, (line,), num(1))
    users = [u for u in program.users[name] if u == loss or (u in steps and not is_zero(steps[u].cotangent))]
    if not users:
        line = Line(lhs, sp.S.Zero, "no path", f"{name} does not enter {loss}, so its gradient is 0")
        return Step(name, shape, (line,), build("*", num(0), build("ones", *shape)))
    lines, formula = _chain(program, name, users, steps, to)
    shapes = program.shapes | {cotangent(loss, other): program.shapes[other] for other in steps}
    term = recognise(formula, *to, shapes, shape)
    if len(users) == 1 and users != [loss]:
        fused = _fused(program, formula, users[0], steps)
        candidate = term if fused is None else recognise(fused, *to, shapes, shape)
        if fused is not None and cost(candidate) <= cost(term):
            lines.append(
                Line(
                    lhs, fused, "fusion", f"insert the cotangent of {users[0]}, which is known, and simplify"
                )
            )
            formula, term = fused, candidate
    formula, assumed = _assumed(program, formula)
    term = recognise(formula, *to, shapes, shape) if assumed else term
    lines += [
        Line(lhs, formula, "assumption", f"assumed: the rows of {name_of(a)} sum to 1") for a in assumed
    ]
    lines.append(
        Line(build("var", cotangent(loss, name), *shape), term, "matrix form", "for all entries at once")
    )
    return Step(name, shape, tuple(lines), term, assumed)


def is_zero(term: Term) -> bool:
    """Whether a cotangent was found to be 0 because no path leads to the loss."""
    return term.op == "*" and term.operands[0] == num(0)


def name_of(assumption: str) -> str:
    """Variable that an assumption is about."""
    return assumption.partition(":")[2]


def _chain(
    program: Program, name: str, users: list[str], steps: Mapping[str, Step], to: Shape
) -> tuple[list[Line], sp.Expr]:
    """Sum over all users of a variable: its cotangent as an index formula, and the lines that lead there."""
    loss, lines, partials, locals_ = program.loss, [], [], []
    target = cell(name, program.shapes[name], *to)
    lhs = cell(cotangent(program.loss, name), program.shapes[name], *to)
    for user in users:
        shape = program.shapes[user]
        at = indices(shape, "ij")
        edge_lines, local = edge(program, user, name, at, to)
        lines += edge_lines
        weight = ONE if user == loss else cell(cotangent(loss, user), shape, *at)
        partials.append(over(weight * Partial(cell(user, shape, *at), target), at, shape))
        known = steps[user].cotangent
        locals_.append(over((weight if variables(known) else entry(known, *at)) * local, at, shape))
    formula = tidy(sp.Add(*map(collapse, locals_)))
    if users == [loss]:
        return [*lines, Line(lhs, formula, "substitution", f"{loss} depends on {name} directly")], formula
    chain = Line(
        lhs,
        sp.Add(*partials),
        "chain rule",
        f"{name} enters {loss} through {' and '.join(users)}",
    )
    return [
        chain,
        *lines,
        Line(lhs, formula, "substitution", "insert and carry out the sums over deltas"),
    ], formula


def _fused(program: Program, formula: sp.Expr, user: str, steps: Mapping[str, Step]) -> sp.Expr | None:
    """Insert the user's own cotangent into a formula; None if that is no elementwise expression."""
    term = steps[user].cotangent
    operations = {
        t.op
        for root in (term, program.definitions[user])
        for t in sp.preorder_traversal(root)
        if isinstance(t, Term)
    }
    if (
        cost(term) == 0
        or "@" in operations
        or not operations & {"call", "softmax", "logsumexp", "**", "/", "*"}
    ):
        return None
    base = sp.IndexedBase(cotangent(program.loss, user))
    known = {e: entry(term, *e.indices) for e in formula.atoms(sp.Indexed) if e.base == base}
    return tidy(collapse(formula.xreplace(known)))


def _assumed(program: Program, formula: sp.Expr) -> tuple[sp.Expr, tuple[str, ...]]:
    """Use the program's assumptions where they apply."""
    used = []
    for assumption in program.assumptions:
        base = sp.IndexedBase(name_of(assumption))
        sums = {
            s
            for s in formula.atoms(sp.Sum)
            if s.function.args[0] == base and s.function.args[-1] == s.limits[0][0]
        }
        if sums:
            formula = tidy(collapse(formula.xreplace(dict.fromkeys(sums, sp.S.One))))
            used.append(assumption)
    return formula, tuple(used)
