"""Parameters that are free without changing the function: found from the activation and the data, then kept fixed.

What is left can be isolated, so that a proof is one for all points of a flat manifold.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int64
from scipy.linalg import qr
from scipy.linalg.lapack import dpstrf

from mlpreport.derivation.symmetries import Symmetries, symmetries
from mlpreport.training.ensemble import Restart
from mlpreport.training.objective import Objective, Vector
from mlpreport.training.problem import Problem
from mlpreport.training.stationary import Free

Places = Int64[np.ndarray, "..."]


@dataclass(frozen=True, eq=False)
class Freedom:
    """Which parameters are left to move (None: all), how many are free, and why."""

    moving: Free
    dimension: int
    why: str


def as_network(objective: Objective, point: Vector, train: Problem) -> Restart:
    """Return the network with these parameters."""
    shapes = train.architecture.parameter_shapes
    named = {name: values.reshape(shapes[name]) for name, values in objective.named(point).items()}
    return Restart(train.architecture, 0, named, np.nan, np.nan, np.nan, 0, "")


def free_coordinates(objective: Objective, point: Vector, train: Problem, *, zero: float) -> Freedom:
    """Find what is free at a point; a loss of at most `zero`, relative to that of the function 0, counts as 0."""
    loss, scale = objective.value_and_gradient(point)[0], float(np.mean(train.y**2)) or 1.0
    if train.y.size < objective.size and loss <= zero * scale:
        moving = _decisive(objective.hessian(point), train.y.size)
        return Freedom(moving, objective.size - len(moving), "the network goes through all points")
    places = {
        name: part.astype(np.int64) for name, part in objective.named(np.arange(objective.size)).items()
    }
    if train.architecture.hidden:
        fixed, why = (
            _idle(objective, point, train, places),
            "units may be scaled, are dead, or are linear at all points",
        )
    else:
        fixed, why = _dependent(places, train.x), "inputs are sums of others at all points"
    unique = np.unique(np.fromiter(fixed, np.int64))
    left = np.setdiff1d(np.arange(objective.size), unique) if len(unique) else None
    return Freedom(left, len(unique), why)


def _decisive(hessian: Float64[np.ndarray, "parameter parameter"], count: int) -> Places:
    """Pick so many parameters, those whose part of a positive semi-definite matrix is furthest from singular."""
    _, order, _, _ = dpstrf(hessian, lower=1, tol=0.0)
    return np.sort(order[:count].astype(np.int64) - 1)


def _dependent(places: dict[str, Places], x: Float64[np.ndarray, "n inputs"]) -> Iterator[int]:
    """Without hidden layers: weights of inputs that are sums of others on all points."""
    design = np.column_stack([x, np.ones(len(x))])
    lengths = np.sqrt((design**2).sum(axis=0))
    _, triangle, order = qr(design / np.where(lengths > 0, lengths, 1.0), mode="economic", pivoting=True)
    sizes = np.abs(np.diag(triangle))
    rank = int((sizes > max(design.shape) * np.finfo(float).eps * sizes[0]).sum())
    into = np.vstack([places["W1"], places["b1"]])
    return iter(into[order[rank:]].ravel().tolist())


def _idle(objective: Objective, point: Vector, train: Problem, places: dict[str, Places]) -> Iterator[int]:
    """With an activation f(ku) = kᵖ f(u): the scale of each unit, and all of it where it is 0, or doubles another."""
    known = symmetries(train.architecture.activation)
    if known.degree is None:
        return
    network, before = as_network(objective, point, train), train.x
    for layer, values in enumerate(network.hidden(train.x), start=1):
        arguments = before @ network.parameters[f"W{layer}"] + network.parameters[f"b{layer}"]
        out = network.parameters[f"W{layer + 1}"]
        into = np.vstack([places[f"W{layer}"], places[f"b{layer}"]])
        linear = _linear(known, arguments) & values.any(axis=0)
        last = layer == len(train.architecture.hidden) and out.shape[1] == 1
        kept = int(np.argmax(np.abs(out[:, 0]) * linear)) if last else -1
        for unit in range(len(linear)):
            whole = [*into[:, unit].tolist(), *places[f"W{layer + 1}"][unit].tolist()]
            double = last and linear[unit] and unit != kept and out[kept, 0] != 0
            if double or (np.all(arguments[:, unit]) and not np.any(values[:, unit])):
                yield from whole
            else:
                yield from _scale(into[:, unit], point, linear=bool(linear[unit]))
        before = values


def _linear(known: Symmetries, arguments: Float64[np.ndarray, "n unit"]) -> Bool[np.ndarray, " unit"]:
    """Tell which units are proportional to their arguments at all points; such a function is so on each side of 0."""
    one_side = np.all(arguments > 0, axis=0) | np.all(arguments < 0, axis=0)
    return np.asarray((one_side | known.smooth) & (known.degree == 1))


def _scale(into: Places, point: Vector, *, linear: bool) -> Iterator[int]:
    """Yield the largest weight or bias; of a linear unit the largest weight, and the bias, which the next replaces."""
    weights = into[:-1] if linear else into
    if np.any(point[weights]):
        yield int(weights[np.argmax(np.abs(point[weights]))])
        if linear:
            yield int(into[-1])
