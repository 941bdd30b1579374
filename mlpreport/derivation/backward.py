"""From the loss back to the inputs: every cotangent, derived line by line.

For each edge u ← v: the entry formula of u, its derivative by an entry of v, the collapse of deltas, u's own value;
then the chain rule's sum over all users of v, fusion with a known cotangent, and recognition as a matrix expression.
"""

from collections.abc import ItemsView, Mapping, Sequence
from dataclasses import dataclass, replace

import sympy as sp

from mlpreport.derivation.edges import INSERT, Edge, Line, chain_rule, line
from mlpreport.derivation.elementwise import Elementwise, elementwise
from mlpreport.derivation.indices import (
    Direct,
    Partial,
    beside,
    entry,
    fresh,
)
from mlpreport.derivation.matrices import COTANGENT, recognise, tidy, whole
from mlpreport.derivation.program import (
    Program,
    Shape,
    Term,
    build,
    cost,
    looked_up,
    name_of,
    nodes,
    num,
    variables,
)


@dataclass(frozen=True)
class Step:
    """The derivation of one variable's cotangent: its lines, and the cotangent as a matrix expression."""

    target: str
    shape: Shape
    lines: tuple[Line, ...]
    cotangent: Term
    assumptions: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Write all lines in the forward language, with reasons."""
        from mlpreport.derivation.writing import lines_text  # noqa: PLC0415 (writing knows Step)

        return lines_text(self.lines)

    def _repr_markdown_(self) -> str:
        from mlpreport.derivation.latex import markdown  # noqa: PLC0415 (latex knows Step)

        return markdown(self.lines)


@dataclass(frozen=True, repr=False)
class Derivation:
    """All steps; `backward` is the program that computes them, `results` the inputs' derivatives in it.

    `of` is the program whose loss was differentiated twice, for a derivation from `hvp`; None for others.
    """

    program: Program
    steps: Mapping[str, Step]
    backward: Program
    results: Mapping[str, str]
    value: str
    functions: tuple[Elementwise, ...]
    of: Program | None = None

    def __repr__(self) -> str:
        """Name the loss and the steps."""
        return f"<derivation of {self.program.loss}: steps for {', '.join(self.steps)}>"

    def __str__(self) -> str:
        """Write all steps for a terminal."""
        from mlpreport.derivation.writing import steps_written  # noqa: PLC0415 (writing knows Derivation)

        return steps_written(self, self.steps, "text")

    def _repr_markdown_(self) -> str:
        from mlpreport.derivation.writing import steps_written  # noqa: PLC0415

        return steps_written(self, self.steps, "markdown")

    @property
    def tangents(self) -> bool:
        """Whether its steps are tangents, from `jvp`, and no cotangents."""
        return cotangent(self.program.loss, self.program.loss) not in self.backward.definitions

    @property
    def pieces(self) -> bool:
        """Whether a function in it is made of pieces, so that what holds at some points need not at others."""
        return any(f.expression.has(sp.Piecewise, sp.Abs, sp.sign) for f in self.functions)

    def __getitem__(self, name: str) -> Step:
        """Return the step of a variable; an unknown name is an error that suggests the nearest."""
        return looked_up("the derivation has no step for", name, self.steps)

    def items(self) -> ItemsView[str, Step]:
        """Pairs of variable and step, from the loss back to the inputs."""
        return self.steps.items()


def cotangent(loss: str, name: str) -> str:
    """Name of the cotangent ∂loss/∂name."""
    return f"{COTANGENT}{loss}/{COTANGENT}{name}"


def vjp(program: Program) -> Derivation:
    """Derive every cotangent of a program, from the loss back to the inputs."""
    steps: dict[str, Step] = {}
    for name in _backward_order(program):
        steps[name] = _step(program, name, steps)
    names = {name: cotangent(program.loss, name) for name in steps}
    return derivation_of(program, steps, names, {name: names[name] for name in program.inputs})


def derivation_of(
    program: Program, steps: Mapping[str, Step], names: Mapping[str, str], results: Mapping[str, str]
) -> Derivation:
    """Put steps together: `names` says what each computes in the extended program."""
    added = {names[name]: step.cotangent for name, step in steps.items()}
    extended = replace(program, definitions={**program.definitions, **added})
    called = {t.name for term in program.definitions.values() for t in nodes(term) if t.op == "call"}
    functions = tuple(map(elementwise, sorted(called)))
    return Derivation(program, steps, extended, results, program.loss, functions)


def _backward_order(program: Program) -> list[str]:
    """Loss first; then, equation by equation backwards, its inputs (last first) and its other operands."""
    place = {name: n for n, name in enumerate(program.shapes)}

    def key(name: str) -> tuple[int, bool, int]:
        users = program.users[name]
        first = place[users[0]] if users else len(place) if name == program.loss else -1
        inner = bool(users) and name not in program.inputs
        return -first, inner, place[name] if inner else -place[name]

    return sorted(place, key=key)


def _step(program: Program, name: str, steps: Mapping[str, Step]) -> Step:
    """Derive one cotangent, given those of all users."""
    loss, shape = program.loss, program.shapes[name]
    target = fresh(name, shape, "pq")
    lhs = beside(target, cotangent(loss, name))
    if name == loss:
        return Step(name, shape, (line(lhs, sp.S.One, "seed"),), num(1))
    users = [u for u in program.users[name] if u in steps and not _is_zero(steps[u].cotangent)]
    if not users:
        zero = num(0) * build("ones", *shape)
        return Step(name, shape, (line(lhs, sp.S.Zero, "no path", name, loss),), zero)
    edges = [_weighted(program, user, target, steps[user].cotangent) for user in users]
    lines, partials, formula = chain_rule(program, edges, backwards=True)
    if users == [loss] and isinstance(lines[-1].lhs, Partial):
        lines[-1] = replace(lines[-1], lhs=lhs, rhs=formula)
    elif users == [loss]:
        lines.append(line(lhs, formula, "substitution", f"{loss} depends on {name} directly"))
    else:
        others = in_words([user for user in users if user != loss])
        how = f"{'directly and ' * (loss in users)}through {others}"
        lines.insert(0, line(lhs, partials, "chain rule", name, f"enters {loss} {how}"))
        # The derivative of the loss's own formula is one part of the cotangent, and looks like the whole.
        own = {Partial(u, v): Direct(u, v) for u, v, *_ in edges if str(u.base) == loss}
        lines = [replace(each, lhs=each.lhs.xreplace(own), rhs=each.rhs.xreplace(own)) for each in lines]
        lines.append(line(lhs, formula, "substitution", INSERT))
    fused = _fused(program, formula, users, steps)
    if fused not in {None, formula} and cost(recognise(fused, lhs)) <= cost(recognise(formula, lhs)):
        formula = fused
        lines.append(line(lhs, formula, "fusion", users[0]))
    formula, assumed = _assumed(program, formula)
    lines += [line(lhs, formula, "assumption", name_of(assumption)) for assumption in assumed]
    term = recognise(formula, lhs)
    lines.append(line(whole(lhs), term, "matrix form"))
    return Step(name, shape, tuple(lines), term, assumed)


def in_words(names: Sequence[str]) -> str:
    """Write a list as a, b and c."""
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def _is_zero(term: Term) -> bool:
    """Whether a cotangent was found to be 0 because no path leads to the loss."""
    return term.op == "*" and term.operands[0] == num(0)


def _weighted(program: Program, user: str, target: sp.Indexed, known: Term) -> Edge:
    """Make the edge from a variable to one of its users, with the user's cotangent; a constant one is inserted."""
    value = fresh(user, program.shapes[user], "ij")
    weight = sp.S.One if user == program.loss else beside(value, cotangent(program.loss, user))
    return value, target, weight, weight if variables(known) else entry(known, *value.indices)


def _fused(program: Program, formula: sp.Expr, users: list[str], steps: Mapping[str, Step]) -> sp.Expr | None:
    """Insert the only user's own cotangent into a formula; None if there is none, or products of matrices are in it."""
    term = steps[users[0]].cotangent
    operations = {node.op for root in (term, program.definitions[users[0]]) for node in nodes(root)}
    if len(users) > 1 or cost(term) == 0 or "@" in operations:
        return None
    name = cotangent(program.loss, users[0])
    known = {e: entry(term, *e.indices) for e in formula.atoms(sp.Indexed) if str(e.base) == name}
    return tidy(formula.xreplace(known))


def _assumed(program: Program, formula: sp.Expr) -> tuple[sp.Expr, tuple[str, ...]]:
    """Use the program's assumptions where they apply."""
    used = []
    for assumption in program.assumptions:
        name = name_of(assumption)
        sums = {s for s in formula.atoms(sp.Sum) if s.function.args[-1] == s.limits[0][0]}
        rows = [s for s in sums if isinstance(s.function, sp.Indexed) and str(s.function.base) == name]
        if rows:
            formula = tidy(formula.xreplace(dict.fromkeys(rows, sp.S.One)))
            used.append(assumption)
    return formula, tuple(used)
