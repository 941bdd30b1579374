"""Derivatives by torch.autograd and the complex step, and what they say of a derivation."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from importlib import import_module

import numpy as np
import sympy as sp

from mlpreport.derivation.backward import Derivation, cotangent
from mlpreport.derivation.codegen import run, value_and_grad
from mlpreport.derivation.domains import Array
from mlpreport.derivation.elementwise import U
from mlpreport.derivation.evaluation import Frame, entries, evaluate, forward
from mlpreport.derivation.forward import direction
from mlpreport.derivation.indices import Line, entry
from mlpreport.derivation.printing import code_names
from mlpreport.derivation.program import Program, Term

TOLERANCE = 1e-11
"""Relative error allowed where both sides are computed in double precision."""

STEP = 1e-30
"""Length of a complex step; its error is its square."""


def close(found: Array, expected: Array, tolerance: float = TOLERANCE) -> bool:
    """Compare arrays within the tolerance."""
    return bool(np.all(np.abs(found - expected) <= tolerance * max(1.0, np.abs(expected).max())))


def autograd(
    program: Program, inputs: Mapping[str, Array], along: Mapping[str, Array] | None = None
) -> tuple[dict[str, Array], dict[str, Array]]:
    """Value and cotangent of every variable by torch, the program's own formulas run on tensors.

    With directions `along`, second derivatives: those of the loss's slope along the directions.
    """
    torch = import_module("torch")
    tensors: dict[str, Array] = {}
    sizes: dict[sp.Expr, int] = {}
    for name, shape in program.inputs.items():
        tensors[name] = torch.tensor(inputs[name], dtype=torch.float64, requires_grad=True)
        sizes |= dict(zip(shape, inputs[name].shape, strict=True))
    for name, term in program.definitions.items():
        # The sum makes tensors of numbers, and two tensors where an equation a = b would make one.
        lengths = [int(size.subs(sizes)) for size in term.shape]
        value = torch.zeros(lengths, dtype=torch.float64) + run(term, tensors, sizes, "torch")
        tensors[name] = value if value.requires_grad else value.requires_grad_()
    scalar = tensors[program.loss].sum()
    if along:
        moving = [tensors[name] for name in along]
        first = torch.autograd.grad(scalar, moving, create_graph=True, materialize_grads=True)
        slopes = zip(first, along.values(), moving, strict=True)
        scalar = sum((g * torch.tensor(v) + 0 * leaf).sum() for g, v, leaf in slopes)
    found = torch.autograd.grad(scalar, list(tensors.values()), materialize_grads=True)
    values = {name: tensor.detach().numpy() for name, tensor in tensors.items()}
    return values, {name: g.numpy() for name, g in zip(tensors, found, strict=True)}


def complex_step(program: Program, frame: Frame, inputs: Mapping[str, Array], name: str) -> Array:
    """Gradient of the loss by one input, an entry at a time."""
    gradient = np.zeros(inputs[name].shape)
    for at in np.ndindex(gradient.shape):
        moved = forward(program, frame, {**inputs, name: nudged(inputs[name], at)})
        gradient[at] = moved.arrays[program.loss][0, 0].imag / STEP
    return gradient


def nudged(array: Array, at: tuple[int, ...]) -> Array:
    """Move one entry by a complex step."""
    moved = array.astype(complex)
    moved[at] += STEP * 1j
    return moved


def compiled_code(derivation: Derivation, inputs: Mapping[str, Array], frame: Frame) -> tuple[int, list[str]]:
    """Compare the compiled code with torch.autograd and with the complex step."""
    program, names = derivation.program, code_names(derivation.backward)
    value, found = value_and_grad(derivation)(
        **{name if name.isidentifier() else names[name]: array for name, array in inputs.items()}
    )
    if derivation.of is None:
        _, truth = autograd(program, inputs)
    else:
        _, truth = autograd(derivation.of, inputs, {name: inputs[direction(name)] for name in found})
    failures = [] if close(np.array(value), frame.arrays[derivation.value]) else [derivation.value]
    for name, gradient in found.items():
        stepped = complex_step(program, frame, inputs, name)
        if not close(gradient, stepped) or not close(gradient, truth[name]):
            failures.append(name)
    count = 1 + 2 * sum(gradient.size for gradient in found.values())
    return count, failures


def every_line(derivation: Derivation, inputs: Mapping[str, Array], frame: Frame) -> tuple[int, list[str]]:
    """Evaluate both sides of every line at every index, derivatives by the complex step."""
    program, failures, count = derivation.program, [], 0
    _, truth = autograd(program, inputs)
    for name, array in truth.items():
        frame = frame.with_array(cotangent(program.loss, name), array)
    frame = replace(frame, partial=partial(_stepped, program))
    for name, step in derivation.steps.items():
        for line in step.lines:
            left, right = _sides(line, derivation, frame)
            count += max(left.size, right.size)
            if not close(left, right):
                failures.append(f"{name} ({line.rule})")
    return count, failures


def _sides(line: Line, derivation: Derivation, frame: Frame) -> tuple[Array, Array]:
    if isinstance(line.lhs, Term):
        return entries(line.lhs, frame), entries(line.rhs, frame)
    both = sp.Tuple(line.lhs, line.rhs)
    free = line.lhs.free_symbols | line.rhs.free_symbols
    for e in sorted(both.atoms(sp.Indexed), key=sp.default_sort_key):
        for k, size in zip(e.indices, derivation.backward.shapes[str(e.base.label)], strict=True):
            if k in free and k not in frame.grids:
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
        moved = frame.with_array(name, nudged(frame.arrays[name], at))
        here = (frame.place(target.indices[0]) == at[0]) & (frame.place(target.indices[1]) == at[1])
        total = total + np.imag(evaluate(formula, moved)) / STEP * here
    return total
