"""The report's networks in NumPy, for the peers that want plain functions; and the loss of what any method returns.

Parameters are one flat row, W1, b1, W2, b2, …, as in `mlpreport.training.initialisation`; there is one output.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from mlpreport.data import noisy_sine
from mlpreport.training import Architecture
from mlpreport.training.initialisation import initial_parameters


@dataclass(frozen=True)
class Task:
    """Train this architecture on the report's data."""

    hidden: tuple[int, ...]

    @property
    def architecture(self) -> Architecture:
        return Architecture((1, *self.hidden, 1), "sigmoid")

    @property
    def sizes(self) -> tuple[int, ...]:
        return self.architecture.sizes

    @property
    def label(self) -> str:
        return f"[{','.join(map(str, self.hidden))}]"

    def starts(self, seed: int, restarts: int) -> np.ndarray:
        """The starts that `fit` draws for this seed."""
        return initial_parameters(self.architecture, seed=seed, restarts=range(restarts))


DATA = noisy_sine()
X, Y = DATA.train.x, DATA.train.y[:, 0]


def sigmoid(z: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-np.clip(z, -700, 700)))


def layers(flat: np.ndarray, sizes: tuple[int, ...]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Split a flat row into the weights (in, out) and biases (out,) of each layer."""
    parts, start = [], 0
    for fan_in, fan_out in pairwise(sizes):
        middle, end = start + fan_in * fan_out, start + (fan_in + 1) * fan_out
        parts.append((flat[start:middle].reshape(fan_in, fan_out), flat[middle:end]))
        start = end
    return parts


def forward(flat: np.ndarray, sizes: tuple[int, ...]) -> list[np.ndarray]:
    """Values of every layer, the input first and the output last; each (point, unit)."""
    values = [X]
    parts = layers(flat, sizes)
    for layer, (weights, biases) in enumerate(parts, start=1):
        z = values[-1] @ weights + biases
        values.append(sigmoid(z) if layer < len(parts) else z)
    return values


def value_and_gradient(sizes: tuple[int, ...]) -> Callable[[np.ndarray], tuple[float, np.ndarray]]:
    """The mean squared error with its gradient, by back-propagation."""

    def function(flat: np.ndarray) -> tuple[float, np.ndarray]:
        values, parts, pieces = forward(flat, sizes), layers(flat, sizes), []
        residual = values[-1][:, 0] - Y
        cotangent = (2 / len(Y)) * residual[:, None]
        for layer in range(len(parts), 0, -1):
            pieces += [cotangent.sum(0), (values[layer - 1].T @ cotangent).ravel()]
            if layer > 1:
                h = values[layer - 1]
                cotangent = (cotangent @ parts[layer - 1][0].T) * h * (1 - h)
        return float(residual @ residual) / len(Y), np.concatenate(pieces[::-1])

    return function


def residuals(sizes: tuple[int, ...]) -> Callable[[np.ndarray], np.ndarray]:
    """Residuals over √n: their squares sum to the mean squared error."""
    return lambda flat: (forward(flat, sizes)[-1][:, 0] - Y) / np.sqrt(len(Y))


def jacobian(sizes: tuple[int, ...]) -> Callable[[np.ndarray], np.ndarray]:
    """Jacobian of the residuals, transposed: (parameter, point)."""

    def function(flat: np.ndarray) -> np.ndarray:
        values, parts, pieces = forward(flat, sizes), layers(flat, sizes), []
        cotangent = np.full((len(Y), 1), 1 / np.sqrt(len(Y)))
        for layer in range(len(parts), 0, -1):
            before = values[layer - 1]
            pieces += [cotangent.T, (before.T[:, None] * cotangent.T[None]).reshape(-1, len(Y))]
            if layer > 1:
                cotangent = (cotangent @ parts[layer - 1][0].T) * before * (1 - before)
        return np.concatenate(pieces[::-1])

    return function


def losses(rows: np.ndarray, sizes: tuple[int, ...]) -> np.ndarray:
    """Mean squared errors of rows of parameters, infinite where a row is not finite."""
    with np.errstate(all="ignore"):
        values = [np.mean((forward(row, sizes)[-1][:, 0] - Y) ** 2) for row in rows]
    return np.nan_to_num(np.array(values), nan=np.inf)
