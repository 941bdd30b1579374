"""Independent oracles: torch.autograd on the same source text, and random inputs for a program; loops as Python."""

import math

import numpy as np
import torch

from mlpreport.derivation.pointwise import loops_of


def _sum(a, axis=None):
    return a.sum().reshape(1, 1) if axis is None else a.sum(dim=axis, keepdim=True)


def _mean(a, axis=None):
    return a.mean().reshape(1, 1) if axis is None else a.mean(dim=axis, keepdim=True)


FUNCTIONS = {
    "sum": _sum,
    "mean": _mean,
    "exp": torch.exp,
    "log": torch.log,
    "softmax": lambda z, axis=1: torch.softmax(z.reshape(-1) if axis is None else z, axis or 0).reshape(
        z.shape
    ),
    "ones": lambda shape: torch.ones(shape, dtype=torch.float64),
    "identity": lambda u: u,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "relu": torch.relu,
    "softplus": lambda u: torch.logaddexp(torch.zeros_like(u), u),
    "gelu": torch.nn.functional.gelu,
    "swish": torch.nn.functional.silu,
    "gauss": lambda u: torch.exp(-(u**2)),
    "cube": lambda u: u**3 / 20,
    "leaky": lambda u: torch.nn.functional.leaky_relu(u, 0.01),
}


def autograd(source, sizes, **arrays):
    """Value and gradients of a program's source by torch.autograd; the source is run as Python on tensors."""
    leaves = {
        name: torch.tensor(np.asarray(a, dtype=float), requires_grad=True) for name, a in arrays.items()
    }
    scope = dict(leaves)
    exec(source, dict(FUNCTIONS) | sizes, scope)
    loss = list(scope.values())[-1]
    grads = torch.autograd.grad(loss.sum(), list(leaves.values()), allow_unused=True)
    zero = {name: np.zeros(leaf.shape) for name, leaf in leaves.items()}
    return loss.item(), {
        name: zero[name] if g is None else g.numpy() for name, g in zip(leaves, grads, strict=True)
    }


def draw(program, seed=0, **sizes):
    """Random inputs of a program for sizes such as N=3."""
    rng = np.random.default_rng(seed)
    shapes = {name: [int(sizes.get(str(s), s)) for s in shape] for name, shape in program.inputs.items()}
    return {name: 0.7 * rng.normal(size=shape) / math.sqrt(shape[0]) for name, shape in shapes.items()}


def error(found, expected):
    """Largest difference relative to the largest entry expected, or to 1e-3 where all cancel but for rounding."""
    scale = max(np.abs(expected).max(), 1e-3)
    return float(np.abs(np.asarray(found) - expected).max() / scale)


def interpreted(derivation, inputs):
    """Run the loops printed for numba as Python, which takes no time to compile."""
    scope = {}
    exec(loops_of(derivation), scope)
    value, results = scope["value_and_grad"](
        *(np.array(inputs[n], float) for n in derivation.backward.inputs)
    )
    return value, dict(zip(derivation.results, results, strict=True))
