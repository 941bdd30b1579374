"""A training problem as the kernels see it, and the two things they tell about a network: its values and its loss."""

import reprlib
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float64

from mlpreport.errors import InvalidInputError, ShapeError
from mlpreport.training.architecture import Architecture, checked_architecture
from mlpreport.training.kernels_memory import aligned_zeros


@dataclass(frozen=True, eq=False)
class Problem:
    """Least squares of a network on points: x (n, in), y (n, out), and the factor of the squared parameter norm."""

    architecture: Architecture
    x: Float64[np.ndarray, "n inputs"]
    y: Float64[np.ndarray, "n outputs"]
    weight_decay: float = 0.0

    def for_kernels(self) -> tuple[Any, ...]:
        """Return what kernels know of the problem, with a workspace of its own: one for each thread."""
        from mlpreport.training.compilation import workspace  # noqa: PLC0415 - numba takes 0.3 s to import

        points = len(self.x)
        x, y = (aligned_zeros(array.shape[1], points) for array in (self.x, self.y))
        x[:, :points], y[:, :points] = self.x.T, self.y.T
        rows, entries = workspace(self.architecture)
        work, space = aligned_zeros(rows, points), np.empty(entries)
        return np.array(self.architecture.sizes), points, x, y, float(self.weight_decay), work, space


def checked_problem(architecture: Any, data: Any, part: str, weight_decay: float) -> Problem:
    """Return the problem of fitting a part of the data, whose arrays are checked against the architecture."""
    checked_architecture(architecture)
    try:
        sample = getattr(data, part)
        x = checked_points(f"data.{part}.x", sample.x, architecture.sizes[0])
        y = checked_points(f"data.{part}.y", sample.y, architecture.sizes[-1])
    except AttributeError as error:
        shown = reprlib.repr(data)
        message = f"data = {shown} is no Dataset ({error}); make one with mlpreport.data.noisy_sine() or Dataset(...)"
        raise InvalidInputError(message) from None
    if len(x) != len(y):
        message = f"data.{part}.x has {len(x)} points and .y {len(y)}: give one row of targets for each row of inputs"
        raise ShapeError(message)
    return Problem(architecture, x, y, weight_decay)


def checked_points(name: str, values: object, width: int) -> Float64[np.ndarray, "n width"]:
    """Return finite points (n, width) as float64, n at least 1, else raise naming the array."""
    try:
        points = np.asarray(values).astype(np.float64, order="C", casting="same_kind")
    # A tensor of torch that requires its gradient raises RuntimeError.
    except (TypeError, ValueError, RuntimeError) as error:
        message = f"{name} is not an array of real numbers ({error}); give float64 of shape (n, {width})"
        raise InvalidInputError(message) from None
    if np.ma.is_masked(values):
        message = (
            f"{name} has masked entries, which cannot be left out of a sum of squares; drop these points"
        )
        raise InvalidInputError(message)
    if points.ndim != 2 or points.shape[1] != width or not len(points):  # noqa: PLR2004 - points and their entries
        message = (
            f"{name} has shape {points.shape}: expected (n, {width}), n at least 1; try reshape(-1, {width})"
        )
        raise ShapeError(message)
    if not np.isfinite(points).all():
        row = int(np.argwhere(~np.isfinite(points))[0, 0])
        message = f"{name} has {points[row].tolist()} at point {row}: values must be finite; drop or repair such points"
        raise InvalidInputError(message)
    return points


def unit_values(
    architecture: Architecture,
    parameters: Float64[np.ndarray, " parameter"],
    x: Float64[np.ndarray, "n inputs"],
) -> tuple[Float64[np.ndarray, "n units"], ...]:
    """Values of every layer behind the input, the output last; each (n, units)."""
    from mlpreport.training.compilation import compiled_network  # noqa: PLC0415 - numba takes 0.3 s to import

    widths = architecture.sizes[1:]
    values = aligned_zeros(sum(widths), len(x))
    problem = Problem(architecture, x, np.empty((len(x), widths[-1]))).for_kernels()
    compiled_network("forward", architecture)(np.array(parameters), problem, values)
    layers = np.split(values[:, : len(x)], np.cumsum(widths)[:-1])
    return tuple(np.ascontiguousarray(layer.T) for layer in layers)


def outputs(
    architecture: Architecture,
    rows: Float64[np.ndarray, "restart parameter"],
    x: Float64[np.ndarray, "n inputs"],
) -> Float64[np.ndarray, "restart n outputs"]:
    """Compute the outputs of the networks with these rows of parameters."""
    from mlpreport.training.compilation import compiled_network  # noqa: PLC0415 - numba takes 0.3 s to import

    width, kernel = architecture.sizes[-1], compiled_network("forward", architecture)
    result = np.empty((len(rows), len(x), width))
    values = aligned_zeros(sum(architecture.sizes[1:]), len(x))
    problem = Problem(architecture, x, np.empty((len(x), width))).for_kernels()
    for row, output in zip(np.array(rows, order="C"), result, strict=True):
        kernel(row, problem, values)
        output[:] = values[-width:, : len(x)].T
    return result


def losses_and_gradient_norms(
    problem: Problem, rows: Float64[np.ndarray, "restart parameter"]
) -> tuple[Float64[np.ndarray, " restart"], Float64[np.ndarray, " restart"]]:
    """Mean squared errors without the penalty, and the largest gradient entries with it, at rows of parameters."""
    from mlpreport.training.compilation import compiled, compiled_network  # noqa: PLC0415 - as above

    objective = compiled_network("objective", problem.architecture)
    values, norms, gradient = np.empty(len(rows)), np.empty(len(rows)), aligned_zeros(1, rows.shape[1])[0]
    compiled("evaluate")(objective, problem.for_kernels(), rows, gradient, values, norms)
    if problem.weight_decay:
        values, _ = losses_and_gradient_norms(replace(problem, weight_decay=0.0), rows)
    return values, norms
