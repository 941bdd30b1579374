"""The last layer of a proof: both sides of every line are evaluated at every index."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial

import numpy as np
import sympy as sp

from mlpreport.derivation.backward import Derivation, cotangent
from mlpreport.derivation.domains import Array
from mlpreport.derivation.elementwise import U
from mlpreport.derivation.evaluation import Frame, entries, evaluate
from mlpreport.derivation.indices import Line, entry
from mlpreport.derivation.oracles import STEP, nudged, torch_cotangents
from mlpreport.derivation.program import Program, Term

TOLERANCE = 1e-11
"""Relative error allowed where both sides are computed in double precision."""


def check_lines(derivation: Derivation, arrays: Mapping[str, Array], frame: Frame) -> tuple[int, list[str]]:
    """Evaluate both sides of every line at every index, derivatives by the complex step."""
    program, loss = derivation.program, derivation.program.loss
    cotangents = {cotangent(loss, name): array for name, array in torch_cotangents(program, arrays).items()}
    frame = replace(frame, arrays={**frame.arrays, **cotangents}, partial=partial(_stepped, program))
    failures, count = [], 0
    for name, step in derivation.steps.items():
        for line in step.lines:
            left, right = _sides(line, program, frame)
            count += max(left.size, right.size)
            if not close(left, right):
                failures.append(f"{name} ({line.rule})")
    return count, failures


def _sides(line: Line, program: Program, frame: Frame) -> tuple[Array, Array]:
    if isinstance(line.lhs, Term):
        return entries(line.lhs, frame), entries(line.rhs, frame)
    shapes = program.shapes | {cotangent(program.loss, name): shape for name, shape in program.shapes.items()}
    free = {
        k: size
        for e in sp.Tuple(line.lhs, line.rhs).atoms(sp.Indexed)
        for k, size in zip(e.indices, shapes[str(e.base.label)], strict=True)
        if k in line.lhs.free_symbols | line.rhs.free_symbols
    }
    for k, size in free.items():
        frame = frame.with_index(k, size)
    frame = replace(frame, symbols={**frame.symbols, U: np.linspace(-2.0, 2.0, 9)})
    return np.asarray(evaluate(line.lhs, frame)), np.asarray(evaluate(line.rhs, frame))


def _stepped(program: Program, frame: Frame, derivative: sp.Expr) -> Array:
    """Differentiate a formula, or one equation, by every entry of a variable in turn."""
    formula, target = derivative.args
    name = str(target.base.label)
    if isinstance(formula, sp.Indexed) and formula.base != target.base:
        formula = entry(program.definitions[str(formula.base.label)], *formula.indices)
    total = np.float64(0)
    for at in np.ndindex(frame.arrays[name].shape):
        moved = replace(frame, arrays={**frame.arrays, name: nudged(frame.arrays[name], at)})
        here = (frame.place(target.indices[0]) == at[0]) & (frame.place(target.indices[1]) == at[1])
        total = total + np.imag(evaluate(formula, moved)) / STEP * here
    return total


def close(found: Array, expected: Array) -> bool:
    """Compare arrays within the tolerance."""
    return bool(np.all(np.abs(found - expected) <= TOLERANCE * max(1.0, np.abs(expected).max())))
