"""Derivatives that go forward or twice: tangents, Hessian-vector products, Jacobians between any two variables."""

from collections.abc import Mapping
from dataclasses import replace
from functools import reduce
from operator import add

import sympy as sp

from mlpreport.checks import listed
from mlpreport.derivation.backward import Derivation, Step, derivation_of, in_words, vjp
from mlpreport.derivation.edges import INSERT, Line, chain_rule, line
from mlpreport.derivation.indices import Partial, beside, fresh
from mlpreport.derivation.matrices import recognise, whole
from mlpreport.derivation.printing import show
from mlpreport.derivation.program import ALL, Program, build, variables
from mlpreport.derivation.splitting import needed, simple, unnamed
from mlpreport.errors import ProgramError


def direction(name: str) -> str:
    """Name of the direction of an input, or of the tangent of a node."""
    return f"dot({name})"


def jvp(program: Program) -> Derivation:
    """Derive the tangent of every equation; the directions of the inputs are further inputs `v…`."""
    steps = {name: _tangent(program, name) for name in program.definitions}
    names = {name: direction(name) for name in program.shapes}
    found = derivation_of(program, steps, names, {program.loss: names[program.loss]})
    inputs = {**program.inputs, **{names[name]: shape for name, shape in program.inputs.items()}}
    return replace(found, backward=replace(found.backward, inputs=inputs))


def _tangent(program: Program, name: str) -> Step:
    operands, shape = variables(program.definitions[name]), program.shapes[name]
    value = fresh(name, shape, "ij")
    lhs = beside(value, direction(name))
    targets = [fresh(operand, program.shapes[operand], "pq") for operand in operands]
    weights = [beside(target, direction(str(target.base))) for target in targets]
    edges = [(value, target, weight, weight) for target, weight in zip(targets, weights, strict=True)]
    lines, partials, formula = chain_rule(program, edges, backwards=False)
    chain = line(lhs, partials, "chain rule", name, f"is computed from {in_words(operands) or 'numbers'}")
    term = recognise(formula, lhs)
    lines = [chain, *lines, line(lhs, formula, "substitution", INSERT), line(whole(lhs), term, "matrix form")]
    return Step(name, shape, tuple(lines), term)


def hvp(program: Program, wrt: str | tuple[str, ...]) -> Derivation:
    """Derive the Hessian-vector product by deriving the backward program once more.

    The scalar that is differentiated the second time is the sum of all gradients times their directions. The program's
    assumptions are not used: they hold at a point, but not along the directions, and so cannot be differentiated.
    """
    rule = "the Hessian is taken for inputs"
    names = list(dict.fromkeys(program.input(name, rule).name for name in listed(wrt)))
    if not names:
        message = f"no variable is named; {rule} ({', '.join(program.inputs)})"
        raise ProgramError(message)
    free = replace(program, assumptions=())
    first, shapes = vjp(free), {direction(name): program.shapes[name] for name in names}
    directions = [build("var", name, *shape) for name, shape in shapes.items()]
    gradients = [first.backward.variable(first.results[name]) for name in names]
    slopes = [build("sum", g * v, ALL) for g, v in zip(gradients, directions, strict=True)]
    slope = direction(program.loss)
    definitions = simple({**first.backward.definitions, slope: reduce(add, slopes)}, program.shapes)
    wanted = needed(definitions, [program.loss, slope])
    second = vjp(replace(free, inputs={**program.inputs, **shapes}, definitions=wanted))
    words = {f"the loss {slope}": f"the directional derivative of the loss {program.loss}"}
    words |= {slope: f"the directional derivative of {program.loss}"}
    words |= {direction(name): f"the direction of {name}" for name in names}
    steps = {name: _said(step, words) for name, step in second.steps.items()}
    results = {name: second.results[name] for name in names}
    return replace(second, steps=steps, results=results, value=program.loss, of=program)


def _said(step: Step, words: Mapping[str, str]) -> Step:
    """Put words for names of derivatives into the reasons of a step."""
    lines = []
    for each in step.lines:
        because = reduce(lambda text, name: text.replace(name, words[name]), words, each.because)
        lines.append(replace(each, because=because))
    return replace(step, lines=tuple(lines))


def jacobian(program: Program, u: str, v: str) -> Line:
    """Derive ∂u/∂v as an index formula, summed over every path from v to u."""
    u, v = program.variable(u).name, program.variable(v).name
    names = list(program.shapes)
    target = fresh(v, program.shapes[v], "pq")
    known: dict[str, tuple[sp.Indexed, sp.Expr]] = {}
    for name in names[: names.index(u) + 1]:
        value = fresh(name, program.shapes[name], "ij")
        known[name] = value, sp.diff(value, target)
        if name in program.definitions and name != v:
            edges = [(value, *known[operand]) for operand in variables(program.definitions[name])]
            *_, formula = chain_rule(program, [(*e, e[-1]) for e in edges], backwards=False)
            known[name] = value, formula
    value, formula = known[u]
    because = "the chain rule, summed over every path" if formula != 0 else f"no path leads from {v} to {u}"
    mentioned = needed(unnamed(program), [str(entry.base) for entry in formula.atoms(sp.Indexed)])
    because += ", where " * bool(mentioned) + "; ".join(f"{n} = {show(t, {})}" for n, t in mentioned.items())
    return line(Partial(value, target), formula, "Jacobian", because)
