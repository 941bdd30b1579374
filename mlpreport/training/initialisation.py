"""Starting parameters in the report's way: weights randn(in, out)/sqrt(in), biases randn(out)/sqrt(out)."""

from collections.abc import Mapping
from itertools import pairwise

import numpy as np
from jaxtyping import Float64, UInt32, UInt64

from mlpreport.errors import ShapeError
from mlpreport.training.architecture import Architecture

Words = UInt32[np.ndarray, " restart"]


def initial_parameters(
    architecture: Architecture, *, seed: int, restarts: range
) -> Float64[np.ndarray, "restart parameter"]:
    """Draw one row of parameters (W1, b1, W2, … flattened) for each restart; a row depends on (seed, index) only."""
    scales = _scales(architecture)
    rows = np.empty((len(restarts), len(scales)))
    generator = np.random.Philox(0)
    stream, state = np.random.Generator(generator), generator.state
    for row, key in zip(rows, _keys(seed, np.array(restarts, dtype=np.uint32)), strict=True):
        state["state"]["key"] = key
        generator.state = state
        stream.standard_normal(out=row)
    rows *= scales
    return rows


def _keys(seed: int, indices: Words) -> UInt64[np.ndarray, "restart 2"]:
    """Keys that Philox takes from SeedSequence(seed, spawn_key=(index,)), for all indices at once.

    One by one, they would take a tenth of the training time of a small network. The hash is O'Neill's, with the
    constants of NumPy, which does not change it (NEP 19): sixteen words make the seed's pool, then the index is mixed
    into it, and a second pass makes the key.
    """
    pool = np.repeat(np.random.SeedSequence(seed).pool[:, None], len(indices), axis=1)
    for word, constants in zip(pool, _constants(0x43B0D7E5, 0x931E8875, 16), strict=True):
        mixed = np.uint32(0xCA01F9DD) * word - np.uint32(0x4973F715) * _hashed(indices, *constants)
        word[:] = mixed ^ mixed >> 16
    for word, constants in zip(pool, _constants(0x8B51F9DD, 0x58F38DED, 0), strict=True):
        word[:] = _hashed(word, *constants)
    return np.ascontiguousarray(pool.T).view(np.uint64)


def _hashed(words: Words, before: np.uint32, after: np.uint32) -> Words:
    mixed: Words = (words ^ before) * after
    mixed ^= mixed >> 16
    return mixed


def _constants(start: int, factor: int, used: int) -> list[tuple[np.uint32, np.uint32]]:
    """The hash's constants for the four words of a pool, of which so many were used before."""
    values = [np.uint32(start * pow(factor, k, 2**32) % 2**32) for k in range(used, used + 5)]
    return list(pairwise(values))


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


def flat_parameters(
    architecture: Architecture, parameters: Mapping[str, Float64[np.ndarray, "..."]]
) -> Float64[np.ndarray, " parameter"]:
    """Put W1, b1, W2, … of one network behind each other.

    Raises
    ------
    ShapeError
        If one is missing or does not fit the architecture: kernels would read beyond the end.
    """
    shapes = architecture.parameter_shapes
    found = {name: parameters[name].shape for name in shapes if name in parameters}
    if found != shapes:
        message = (
            f"parameters have {found}, but {architecture.label} needs {shapes}; give them as in a Restart"
        )
        raise ShapeError(message)
    return np.concatenate([parameters[name].ravel() for name in shapes])
