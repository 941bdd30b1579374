"""Proofs of a derivation in four layers, because one layer misses what another sees.

Symbolic sizes: every matrix form against the raw chain rule, exactly. Entrywise: every matrix form against SymPy's
derivative of the fully expanded loss. Numeric: the compiled code against torch.autograd and the complex step. Lines:
every line of every step at every index.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import sympy as sp

from mlpreport.derivation.backward import Derivation, cotangent, name_of
from mlpreport.derivation.codegen import check_current
from mlpreport.derivation.domains import FLOATS, SYMBOLS, Array, Domain, NoRootError, field
from mlpreport.derivation.evaluation import (
    Frame,
    entries,
    entries_at,
    evaluate,
    forward,
    frame_of,
)
from mlpreport.derivation.forward import direction
from mlpreport.derivation.indices import cell, entry, indices, over
from mlpreport.derivation.oracles import compiled_code, every_line
from mlpreport.derivation.program import Program
from mlpreport.errors import InvalidInputError

Sizes = Mapping[sp.Expr, int]

_NUMERIC = {
    "numeric": (compiled_code, "compiled code against torch.autograd and the complex step"),
    "lines": (every_line, "both sides of every line at every index"),
}


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
        What to prove; its steps' cotangents, lines and compiled code are all checked. An `hvp` is checked against
        second derivatives of the loss itself.
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
    values = _values(program, sizes)
    frame = frame_of(program, FLOATS, values)
    stream = np.random.default_rng(1)
    drawn = {name: stream.uniform(0.2, 0.9, size=frame.shape(s)) for name, s in program.inputs.items()}
    inputs = assume(program, drawn, frame)
    frame = forward(program, frame, inputs)
    checks = [_symbolic(derivation), _entrywise(derivation, values)]
    for layer, (check, what) in _NUMERIC.items():
        count, failures = check(derivation, inputs, frame)
        checks.append(Check(layer, what, count, tuple(failures)))
    return Proof(tuple(checks))


def _values(program: Program, sizes: Mapping[str, int]) -> Sizes:
    symbols = {str(s): s for shape in program.inputs.values() for s in shape if s.is_Symbol}
    for name, value in sizes.items():
        if name not in symbols or not isinstance(value, int) or value < 1:
            known = ", ".join(sorted(symbols))
            message = f"{name}={value!r}: give positive whole numbers for sizes of the program ({known})"
            raise InvalidInputError(message)
    return {symbol: sizes.get(name, 2) for name, symbol in symbols.items()}


def assume(program: Program, arrays: dict[str, Array], frame: Frame) -> dict[str, Array]:
    """Make the inputs keep the program's assumptions."""
    for name in map(name_of, program.assumptions):
        array, weights, domain = arrays[name], frame.weights[program.shapes[name][1]], frame.domain
        rest = 1 - (array[:, :-1] * weights[:-1]).sum(axis=1)
        array[:, -1] = domain.reduced(rest * domain.power(weights[-1:], sp.S.NegativeOne))
    return arrays


def _in_field(attempt: Callable[[Domain], list[str]]) -> tuple[str, ...]:
    """Try at random elements until every square root exists."""
    for seed in range(10_000):
        try:
            return tuple(dict.fromkeys(attempt(field(seed))))
        except NoRootError:
            continue
    return ("no point with all square roots",)


def _field_inputs(program: Program, frame: Frame) -> dict[str, Array]:
    arrays = {}
    for name, shape in program.inputs.items():
        rows, cols = map(range, frame.shape(shape))
        drawn = [[frame.domain.draw(name, i, j) for j in cols] for i in rows]
        arrays[name] = np.array(drawn, dtype=object)
    return assume(program, arrays, frame)


def _symbolic(derivation: Derivation) -> Check:
    """Compare matrix forms with the chain rule's raw sums for sizes that stay symbols."""
    program = derivation.program

    def attempt(domain: Domain) -> list[str]:
        frame, failures = frame_of(program, domain, None), []
        frame = forward(program, frame, _field_inputs(program, frame))
        for name, step in derivation.steps.items():
            expected = _chained(program, name, frame)
            if np.any(entries(step.cotangent, frame) != expected):
                failures.append(name)
            frame = frame.with_array(cotangent(program.loss, name), expected)
        return failures

    what = "matrix forms against the raw chain rule, sizes symbolic, exact in a finite field"
    return Check("symbolic sizes", what, len(derivation.steps), _in_field(attempt))


def _chained(program: Program, name: str, frame: Frame) -> Array:
    """Cotangent of a variable by the chain rule, with nothing collapsed, rewritten or recognised."""
    shape, loss = program.shapes[name], program.loss
    to = indices(shape, "pq")
    formula = sp.Integer(name == loss)
    for user in program.users[name]:
        key, outer = cotangent(loss, user), program.shapes[user]
        if key in frame.arrays:
            at = indices(outer, "ij")
            local = sp.diff(entry(program.definitions[user], *at), cell(name, shape, *to))
            formula += over(cell(key, outer, *at) * local, at, outer)
    return entries_at(formula, to, shape, frame)


def _entrywise(derivation: Derivation, sizes: Sizes) -> Check:
    """Compare matrix forms with SymPy's derivative of the loss, written out in the symbols of all entries."""
    program = derivation.program
    frame = frame_of(program, SYMBOLS, sizes)
    leaves = {name: _symbol_array(name, frame.shape(shape)) for name, shape in program.shapes.items()}
    inputs = {name: leaves[name] for name in program.inputs}
    frame, pairs = forward(program, frame, inputs), []
    for name, step in derivation.steps.items():
        written = dict(zip(leaves[name].flat, frame.arrays[name].flat, strict=True))
        scalar = _scalar(derivation, name, frame, leaves)
        expected = [sp.diff(scalar, leaf).xreplace(written) for leaf in leaves[name].flat]
        found = entries(step.cotangent, frame)
        frame = frame.with_array(cotangent(program.loss, name), found)
        pairs += [(name, *pair) for pair in zip(found.flat, expected, strict=True)]

    def attempt(domain: Domain) -> list[str]:
        drawn = _field_inputs(program, frame_of(program, domain, sizes))
        point = {s: v for name in inputs for s, v in zip(leaves[name].flat, drawn[name].flat, strict=True)}
        at = Frame(domain, point, {}, {}, {}, memo={})
        return [name for name, found, expected in pairs if evaluate(found, at) != evaluate(expected, at)]

    what = "matrix forms against the derivative of the fully expanded loss, exact in a finite field"
    return Check("entrywise", what, len(pairs), _in_field(attempt))


def _scalar(derivation: Derivation, name: str, frame: Frame, leaves: Mapping[str, Array]) -> sp.Expr:
    """Write out what a step differentiates: the loss, or for an `hvp` the loss's slope along the directions."""
    program, of = derivation.program, derivation.of
    start = {key: leaves[key] for key in (*program.inputs, name)}
    if of is None or name not in program.inputs:
        return forward(program, frame, start).arrays[program.loss][0, 0]
    loss = forward(of, frame, start).arrays[of.loss][0, 0]
    moving = ((leaves[key].flat, leaves[direction(key)].flat) for key in derivation.results)
    return sp.Add(*(sp.diff(loss, leaf) * v for pair in moving for leaf, v in zip(*pair, strict=True)))


def _symbol_array(name: str, shape: tuple[int, ...]) -> Array:
    symbols = [sp.Symbol(f"{name}[{i},{j}]", real=True) for i, j in np.ndindex(shape)]
    return np.array(symbols, dtype=object).reshape(shape)
