"""Derivatives that go forward or twice: tangents, Hessian-vector products, Jacobians between any two variables."""

from itertools import count

import sympy as sp

from mlpreport.derivation.backward import Derivation, Step, functions_of, vjp
from mlpreport.derivation.edges import Line, edge, indices, over
from mlpreport.derivation.indices import Partial, cell, collapse
from mlpreport.derivation.matrices import recognise, tidy
from mlpreport.derivation.program import Equation, Program, needed, simple_root
from mlpreport.derivation.terms import Term, build, num, variables
from mlpreport.errors import ProgramError


def direction(name: str) -> str:
    """Name of the direction of an input, or of the tangent of a node."""
    return f"dot({name})"


def jvp(program: Program) -> Derivation:
    """Derive the tangent of every equation; the directions of the inputs are further inputs `v…`."""
    steps: dict[str, Step] = {}
    shapes = program.shapes | {direction(name): shape for name, shape in program.shapes.items()}
    for equation in program.equations:
        steps[equation.name] = _tangent(program, equation, shapes)
    inputs = dict(program.inputs) | {direction(name): shape for name, shape in program.inputs.items()}
    tangents = tuple(Equation(direction(name), step.cotangent) for name, step in steps.items())
    extended = Program(inputs, program.equations + tangents, program.assumptions, program.source)
    results = {program.loss: direction(program.loss)}
    return Derivation(program, steps, extended, results, program.loss, functions_of(program))


def _tangent(program: Program, equation: Equation, shapes: dict[str, tuple[sp.Expr, sp.Expr]]) -> Step:
    name, shape = equation.name, program.shapes[equation.name]
    at = indices(shape, "ij")
    lhs = cell(direction(name), shape, *at)
    lines, partials, parts = [], [], []
    for operand in variables(equation.term):
        to = indices(program.shapes[operand], "pq")
        edge_lines, local = edge(program, name, operand, at, to)
        lines += edge_lines
        weight = cell(direction(operand), program.shapes[operand], *to)
        target = cell(operand, program.shapes[operand], *to)
        partials.append(over(Partial(cell(name, shape, *at), target) * weight, to, program.shapes[operand]))
        parts.append(over(local * weight, to, program.shapes[operand]))
    chain = Line(
        lhs, sp.Add(*partials), "chain rule", f"{name} is computed from {', '.join(variables(equation.term))}"
    )
    formula = tidy(sp.Add(*map(collapse, parts)))
    term = recognise(formula, *at, shapes, shape)
    substituted = Line(lhs, formula, "substitution", "insert and carry out the sums over deltas")
    matrix = Line(build("var", direction(name), *shape), term, "matrix form", "for all entries at once")
    return Step(name, shape, (chain, *lines, substituted, matrix), term)


def hvp(program: Program, wrt: str | tuple[str, ...]) -> Derivation:
    """Derive the Hessian-vector product by deriving the backward program once more.

    The scalar that is differentiated the second time is the sum of all gradients times their directions.
    """
    names = (wrt,) if isinstance(wrt, str) else tuple(wrt)
    for name in names:
        if program.variable(name).name not in program.inputs:
            known = ", ".join(program.inputs)
            message = f"{name!r} is computed, not an input; the Hessian is taken for inputs ({known})"
            raise ProgramError(message)
    first = vjp(program)
    paired = _paired(first, names)
    second = vjp(paired)
    results = {name: second.results[name] for name in names}
    return Derivation(paired, second.steps, second.backward, results, program.loss, second.functions, program)


def _paired(first: Derivation, names: tuple[str, ...]) -> Program:
    """Make the program that computes ⟨gradient, direction⟩."""
    program, equations = first.program, {}
    fresh = (name for n in count(1) if (name := f"t{n}") not in program.shapes)

    def define(term: Term, name: str = "") -> Term:
        key = name or next(fresh)
        equations[key] = simple_root(term, define)
        return build("var", key, *term.shape)

    for equation in first.backward.equations:
        define(equation.term, equation.name)
    inputs = dict(program.inputs) | {direction(name): program.shapes[name] for name in names}
    total = num(0)
    for name in names:
        product = build(
            "*",
            build("var", first.results[name], *program.shapes[name]),
            build("var", direction(name), *program.shapes[name]),
        )
        summed = build("sum", product, -1)
        total = summed if total == num(0) else build("+", total, summed)
    define(total, direction(program.loss))
    pairs = tuple(
        Equation(name, term)
        for name, term in needed(equations, [program.loss, direction(program.loss)]).items()
    )
    return Program(inputs, pairs, program.assumptions, program.source)


def jacobian(program: Program, u: str, v: str) -> Line:
    """Derive ∂u/∂v as an index formula, summed over every path from v to u."""
    shapes = program.shapes
    program.variable(u), program.variable(v)
    to = indices(shapes[v], "pq")
    target = cell(v, shapes[v], *to)
    known: dict[str, tuple[tuple[sp.Expr, sp.Expr], sp.Expr]] = {}
    order = [*program.inputs, *program.definitions]
    for name in order[: order.index(u) + 1]:
        at = indices(shapes[name], "ij")
        own = sp.diff(cell(name, shapes[name], *at), target)
        term = program.definitions.get(name)
        parts = [own] if name == v else []
        for operand in variables(term) if term is not None and name != v else ():
            inner, formula = known[operand]
            parts.append(over(edge(program, name, operand, at, inner)[1] * formula, inner, shapes[operand]))
        known[name] = at, tidy(sp.Add(*map(collapse, parts)))
    at, formula = known[u]
    because = "the chain rule, summed over every path" if formula != 0 else f"no path leads from {v} to {u}"
    return Line(Partial(cell(u, shapes[u], *at), target), formula, "Jacobian", because)
