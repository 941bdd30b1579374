"""Proofs of a derivation in four layers, because one layer misses what another sees.

Symbolic sizes: every matrix form against the raw chain rule, exactly. Entrywise: every matrix form against SymPy's
derivative of the fully expanded loss. Numeric: the compiled code against torch.autograd and the complex step. Lines:
every line of every step at every index.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import sympy as sp

from mlpreport.derivation.backward import Derivation, cotangent, name_of
from mlpreport.derivation.codegen import check_current, value_and_grad
from mlpreport.derivation.domains import Array, Field, Floats, NoRootError, Symbols
from mlpreport.derivation.evaluation import (
    Frame,
    entries,
    entries_at,
    evaluate,
    forward,
    with_sizes,
    with_symbolic_sizes,
)
from mlpreport.derivation.indices import cell, entry, indices, over
from mlpreport.derivation.linewise import check_lines, close
from mlpreport.derivation.oracles import complex_step, torch_cotangents
from mlpreport.derivation.printing import code_names
from mlpreport.derivation.program import Program
from mlpreport.errors import InvalidInputError


@dataclass(frozen=True)
class Check:
    """One layer of a proof: what was compared, how often, and what failed."""

    layer: str
    what: str
    comparisons: int
    failures: tuple[str, ...]


@dataclass(frozen=True)
class Proof:
    """True if every comparison of every layer holds; prints what was checked."""

    checks: tuple[Check, ...]

    def __bool__(self) -> bool:
        """Whether everything holds."""
        return all(not check.failures for check in self.checks)

    def __str__(self) -> str:
        """Write a line for every layer."""
        rows = []
        for check in self.checks:
            verdict = "holds" if not check.failures else f"FAILS for {', '.join(check.failures)}"
            rows.append(f"{check.layer}: {check.what}: {check.comparisons} comparisons: {verdict}")
        return "\n".join(["proved" if self else "not proved", *rows])


def prove(derivation: Derivation, **sizes: int) -> Proof:
    """Check a derivation from `vjp` or `hvp` in four independent layers.

    Parameters
    ----------
    derivation
        What to prove; its steps' cotangents, lines and compiled code are all checked.
    **sizes
        Small values of the symbolic sizes for the layers that need numbers, such as N=2; 2 if not given.

    Returns
    -------
    Proof
        True or false, with what was checked in `.checks`; `str()` reads well.

    Raises
    ------
    InvalidInputError
        If a size is unknown or not positive, or the derivation is one of tangents.
    """
    check_current(derivation)
    program = derivation.program
    if cotangent(program.loss, program.loss) not in derivation.backward.definitions:
        message = "prove takes the derivation of a vjp or hvp; these steps are tangents"
        raise InvalidInputError(message)
    symbols = {s for shape in program.inputs.values() for s in shape if s.is_Symbol}
    for name, value in sizes.items():
        if name not in map(str, symbols) or not isinstance(value, int) or value < 1:
            known = ", ".join(sorted(map(str, symbols)))
            message = f"{name}={value!r}: give positive whole numbers for sizes of the program ({known})"
            raise InvalidInputError(message)
    values = {s: sizes.get(str(s), 2) for s in symbols}
    frame = with_sizes(program, Floats(), values)
    arrays = _draw(program, frame)
    frame = forward(program, frame, arrays)
    count, failures = check_lines(derivation, arrays, frame)
    lines = Check("lines", "both sides of every line at every index", count, tuple(failures))
    layers = _symbolic(derivation), _entrywise(derivation, values), _numeric(derivation, arrays, frame)
    return Proof((*layers, lines))


def _in_field(attempt: Callable[[Field], list[str]]) -> list[str]:
    """Try at random elements until every square root exists."""
    for seed in range(10_000):
        try:
            return attempt(Field(seed))
        except NoRootError:
            continue
    return ["no point with all square roots"]


def assume(program: Program, arrays: dict[str, Array], frame: Frame) -> dict[str, Array]:
    """Make the inputs keep the program's assumptions."""
    for assumption in program.assumptions:
        name = name_of(assumption)
        array, weights = arrays[name], frame.weights[program.shapes[name][1]]
        domain = frame.domain
        rest = 1 - (array[:, :-1] * weights[:-1]).sum(axis=1)
        array[:, -1] = domain.reduced(rest * domain.power(weights[-1:], sp.S.NegativeOne))
    return arrays


def _field_inputs(program: Program, frame: Frame, field: Field) -> dict[str, Array]:
    arrays = {}
    for name, shape in program.inputs.items():
        rows, cols = (len(frame.weights[size]) for size in shape)
        drawn = [[field.draw(name, i, j) for j in range(cols)] for i in range(rows)]
        arrays[name] = np.array(drawn, dtype=object)
    return assume(program, arrays, frame)


def _symbolic(derivation: Derivation) -> Check:
    """Compare matrix forms with the chain rule's raw sums for sizes that stay symbols."""
    program = derivation.program

    def attempt(field: Field) -> list[str]:
        frame = with_symbolic_sizes(program, field)
        frame = forward(program, frame, _field_inputs(program, frame, field))
        failures = []
        for name in derivation.steps:
            expected = _chained(program, name, frame)
            if np.any(entries(derivation.steps[name].cotangent, frame) != expected):
                failures.append(name)
            frame = replace(frame, arrays={**frame.arrays, cotangent(program.loss, name): expected})
        return failures

    what = "matrix forms against the raw chain rule, sizes symbolic, exact in a finite field"
    return Check("symbolic sizes", what, len(derivation.steps), tuple(_in_field(attempt)))


def _chained(program: Program, name: str, frame: Frame) -> Array:
    """Cotangent of a variable by the chain rule, with nothing collapsed, rewritten or recognised."""
    shape, loss = program.shapes[name], program.loss
    p, q = indices(shape, "pq")
    formula = sp.Integer(name == loss)
    for user in program.users[name]:
        if cotangent(loss, user) in frame.arrays:
            at = indices(program.shapes[user], "ij")
            local = sp.diff(entry(program.definitions[user], *at), cell(name, shape, p, q))
            formula += over(
                cell(cotangent(loss, user), program.shapes[user], *at) * local, at, program.shapes[user]
            )
    return entries_at(formula, (p, q), shape, frame)


def _entrywise(derivation: Derivation, sizes: Mapping[sp.Expr, int]) -> Check:
    """Compare matrix forms with SymPy's derivative of the loss, written out in the symbols of all entries."""
    program = derivation.program
    frame = with_sizes(program, Symbols(), sizes)
    leaves = {
        n: _symbol_array(n, [len(frame.weights[s]) for s in shape]) for n, shape in program.shapes.items()
    }
    inputs = {name: leaves[name] for name in program.inputs}
    frame = forward(program, frame, inputs)
    pairs = []
    for name, step in derivation.steps.items():
        loss = forward(program, frame, inputs | {name: leaves[name]}).arrays[program.loss][0, 0]
        written = dict(zip(leaves[name].flat, frame.arrays[name].flat, strict=True))
        expected = [sp.diff(loss, leaf).xreplace(written) for leaf in leaves[name].flat]
        found = entries(step.cotangent, frame)
        frame = replace(frame, arrays={**frame.arrays, cotangent(program.loss, name): found})
        pairs += [(name, *pair) for pair in zip(found.flat, expected, strict=True)]

    def attempt(field: Field) -> list[str]:
        drawn = _field_inputs(program, with_sizes(program, field, sizes), field)
        point = {s: v for name in inputs for s, v in zip(leaves[name].flat, drawn[name].flat, strict=True)}
        scalar = Frame(field, point, {}, {}, {}, memo={})
        return [
            name for name, found, expected in pairs if evaluate(found, scalar) != evaluate(expected, scalar)
        ]

    failures = tuple(dict.fromkeys(_in_field(attempt)))
    what = "matrix forms against the derivative of the fully expanded loss, exact in a finite field"
    return Check("entrywise", what, len(pairs), failures)


def _symbol_array(name: str, shape: list[int]) -> Array:
    rows, cols = shape
    return np.array(
        [[sp.Symbol(f"{name}[{i},{j}]", real=True) for j in range(cols)] for i in range(rows)], dtype=object
    )


def _draw(program: Program, frame: Frame) -> dict[str, Array]:
    stream = np.random.default_rng(1)
    shapes = {name: tuple(len(frame.weights[s]) for s in shape) for name, shape in program.inputs.items()}
    return assume(
        program, {name: stream.uniform(0.2, 0.9, size=shape) for name, shape in shapes.items()}, frame
    )


def _numeric(derivation: Derivation, arrays: Mapping[str, Array], frame: Frame) -> Check:
    """Compare the compiled code with torch.autograd and with the complex step."""
    program = derivation.program
    names = code_names(derivation.backward)
    value, found = value_and_grad(derivation)(
        **{n if n.isidentifier() else names[n]: a for n, a in arrays.items()}
    )
    autograd = torch_cotangents(program, arrays)
    failures = [] if close(np.array(value), frame.arrays[derivation.value]) else [derivation.value]
    for name, gradient in found.items():
        stepped = complex_step(program, frame, arrays, name)
        if not close(gradient, stepped) or not close(gradient, autograd[name]):
            failures.append(name)
    count = 1 + 2 * sum(gradient.size for gradient in found.values())
    return Check(
        "numeric", "compiled code against torch.autograd and the complex step", count, tuple(failures)
    )
