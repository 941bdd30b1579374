"""Derivatives by other means, for proofs: torch.autograd and the complex step."""

from collections.abc import Mapping
from importlib import import_module
from types import ModuleType

import numpy as np
import sympy as sp

from mlpreport.derivation.domains import Array
from mlpreport.derivation.evaluation import Frame, forward
from mlpreport.derivation.indices import phi_formula
from mlpreport.derivation.program import ALL, ARITHMETIC, Program, Term
from mlpreport.derivation.stable import python_code

STEP = 1e-30
"""Length of a complex step; its error is its square."""


def complex_step(program: Program, frame: Frame, arrays: Mapping[str, Array], name: str) -> Array:
    """Gradient of the loss by one input, an entry at a time."""
    gradient = np.zeros(arrays[name].shape)
    for at in np.ndindex(gradient.shape):
        stepped = {**arrays, name: nudged(arrays[name], at)}
        gradient[at] = forward(program, frame, stepped).arrays[program.loss][0, 0].imag / STEP
    return gradient


def nudged(array: Array, at: tuple[int, ...]) -> Array:
    """Move one entry by a complex step."""
    moved = array.astype(complex)
    moved[at] += STEP * 1j
    return moved


def torch_cotangents(program: Program, arrays: Mapping[str, Array]) -> dict[str, Array]:
    """Cotangent of every variable by torch.autograd, zero where no path leads to the loss."""
    torch = import_module("torch")
    tensors = {
        name: torch.tensor(array, dtype=torch.float64, requires_grad=True) for name, array in arrays.items()
    }
    frame_sizes = {
        s: n for name, shape in program.inputs.items() for s, n in zip(shape, arrays[name].shape, strict=True)
    }
    for equation in program.equations:
        value = _on_tensors(equation.term, tensors, frame_sizes, torch)
        value = value.clone()  # an equation a = b must not make one tensor of both
        tensors[equation.name] = value if value.requires_grad else value.requires_grad_()
    found = torch.autograd.grad(tensors[program.loss].sum(), list(tensors.values()), allow_unused=True)
    zeros = {name: np.zeros(tuple(tensor.shape)) for name, tensor in tensors.items()}
    return {name: zeros[name] if g is None else g.numpy() for name, g in zip(tensors, found, strict=True)}


def _on_tensors(
    term: Term, tensors: Mapping[str, Array], sizes: Mapping[sp.Expr, int], torch: ModuleType
) -> Array:
    """Carry a term out on tensors, with torch's own functions where it has them."""
    op, parts = term.op, term.parts
    if op == "var":
        return tensors[term.name]
    if op in {"num", "ones"}:
        shape = (1, 1) if op == "num" else tuple(int(size.subs(sizes)) for size in parts)
        return torch.full(shape, float(parts[0].subs(sizes)) if op == "num" else 1.0, dtype=torch.float64)
    values = [_on_tensors(part, tensors, sizes, torch) for part in term.operands]
    if op in {"sum", "mean", "logsumexp"}:
        axis = (0, 1) if parts[1] == ALL else int(parts[1])
        return getattr(torch, op)(values[0], dim=axis, keepdim=True)
    if op == "call":
        native = getattr(torch, term.name, None) if parts[1] == 0 and term.name in {"exp", "log"} else None
        return native(values[0]) if native else _phi_on_tensor(term, values[0], torch)
    if op == "**":
        return values[0] ** float(parts[1].parts[0].subs(sizes))
    if op in ARITHMETIC:
        return ARITHMETIC[op](*values)
    return values[0].T if op == "T" else values[0].softmax(dim=1)


def _phi_on_tensor(term: Term, value: Array, torch: ModuleType) -> Array:
    scope: dict[str, Array] = {"torch": torch}
    exec(f"def phi(u):\n{python_code(phi_formula(sp.Symbol(term.name), term.parts[1]), 'torch')}", scope)  # noqa: S102
    return scope["phi"](value) + 0 * value
