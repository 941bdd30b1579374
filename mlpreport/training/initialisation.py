"""Starting parameters in the report's way: weights randn(in, out)/sqrt(in), biases randn(out)/sqrt(out)."""

import numpy as np
from jaxtyping import Float64

from mlpreport.training.architecture import Architecture


def initial_parameters(
    architecture: Architecture, *, seed: int, restarts: range
) -> Float64[np.ndarray, "restart parameter"]:
    """Draw one row of parameters (W1, b1, W2, … flattened) for each restart; a row depends on (seed, index) only."""
    scales = _scales(architecture)
    rows = np.empty((len(restarts), len(scales)))
    for row, index in zip(rows, restarts, strict=True):
        stream = np.random.Generator(np.random.Philox(np.random.SeedSequence(seed, spawn_key=(index,))))
        stream.standard_normal(out=row)
    rows *= scales
    return rows


def _scales(architecture: Architecture) -> Float64[np.ndarray, " parameter"]:
    # The first axis is in for a weight and out for a bias: the fan the report divides by, in both cases.
    shapes = architecture.parameter_shapes.values()
    return np.concatenate([np.full(np.prod(shape), 1 / np.sqrt(shape[0])) for shape in shapes])


def split_parameters(
    architecture: Architecture, flat: Float64[np.ndarray, "restart parameter"]
) -> dict[str, Float64[np.ndarray, "restart ..."]]:
    """Name the columns of flat parameters: W1 (restart, in, out), b1 (restart, out), …; each a view."""
    named, start = {}, 0
    for name, shape in architecture.parameter_shapes.items():
        stop = start + int(np.prod(shape))
        named[name] = flat[:, start:stop].reshape(len(flat), *shape)
        start = stop
    return named
