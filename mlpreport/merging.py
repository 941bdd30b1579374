"""Two units that merge: the function they approach, and coordinates in which that limit is an ordinary point.

Write z = w x + b, d for the difference of the two output weights and a for their sum, both slopes being positive.
With u(x) = α + β x every two-unit network is

    c + (a + d)/2 σ(z + u/d) + (a - d)/2 σ(z - u/d),

and for d → ∞ it becomes c + a σ(z) + u σ′(z). Its separation is 1/d. Fukumizu and Amari (2000) study such points.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from jaxtyping import Float64

from mlpreport.checks import checked_number
from mlpreport.data import Dataset
from mlpreport.derivation import ValueAndGrad, trace, value_and_grad
from mlpreport.errors import InvalidInputError
from mlpreport.experiments import GRID, Experiment, fit_ensemble
from mlpreport.results import Result

PLACES = (-1.0, 14.0, 121)
"""Where a unit of the map has its step."""
STEEPNESSES = (0.1, 10.0, 61)
"""Slopes w of the map, evenly spaced in their logarithm."""

FINE = 2e-3
"""Separation at which the error's derivative is taken: small for the theory, large for rounding."""

Points = Float64[np.ndarray, "*place n"]
Stacked = Mapping[str, Float64[np.ndarray, "restart ..."]]


@cache
def _derived() -> ValueAndGrad:
    return value_and_grad(trace("l = sum(v * sigmoid(z))", z=("N", 1), v=("N", 1)).vjp())


def step_and_bump(z: Points) -> tuple[Points, Points]:
    """Compute σ(z) and σ′(z), which are two derivatives of one derived program: by v and, for v = 1, by z."""
    _, slopes = _derived()(z=z.reshape(-1, 1), v=np.ones((z.size, 1)))
    return slopes["v"].reshape(z.shape), slopes["z"].reshape(z.shape)


@dataclass(frozen=True)
class PairLimit:
    """The function c + a σ(z) + (α + β x) σ′(z), z = w x + b, with its training and test error.

    `slope` is the derivative of the training error by the squared separation, at separation 0: where it is positive,
    networks near the limit are worse than the limit.
    """

    w: float
    b: float
    c: float
    a: float
    alpha: float
    beta: float
    loss: float
    test_loss: float
    slope: float

    def curve(self, x: Points) -> Points:
        """Values at points x."""
        weights = np.array([self.c, self.a, self.alpha, self.beta])
        values: Points = _basis(x, self.w * x + self.b) @ weights
        return values

    def network(self, separation: float) -> dict[str, Float64[np.ndarray, "..."]]:
        """Parameters of the two-unit network with these coefficients and that separation, which is not 0."""
        signs, d = np.array([1.0, -1.0]), 1 / separation
        return {
            "W1": (self.w + signs * self.beta / d)[None, :],
            "b1": self.b + signs * self.alpha / d,
            "W2": ((self.a + signs * d) / 2)[:, None],
            "b2": np.array([self.c]),
        }


def _basis(x: Float64[np.ndarray, " n"], z: Points) -> Float64[np.ndarray, "*place n 4"]:
    step, bump = step_and_bump(z)
    return np.stack([np.ones_like(z), step, bump, x * bump], axis=-1)


def _projected(data: Dataset, w: float, b: float) -> tuple[float, Float64[np.ndarray, " 4"]]:
    """Return the lowest training error with that unit, and c, a, α, β, in which the function is linear."""
    x, y = data.train.x[:, 0], data.train.y[:, 0]
    basis = _basis(x, w * x + b)
    weights = np.linalg.lstsq(basis, y, rcond=None)[0]
    return float(np.mean((basis @ weights - y) ** 2)), weights


def _lowest_errors(data: Dataset, w: float, b: Float64[np.ndarray, " place"]) -> list[float]:
    """Return the lowest training error with each of the units w x + b: what of y is outside their basis."""
    x, y = data.train.x[:, 0], data.train.y[:, 0]
    directions, sizes, _ = np.linalg.svd(_basis(x, w * x + b[:, None]), full_matrices=False)
    # Bumps that miss all points span nothing.
    weights = np.where(sizes > np.finfo(float).eps * len(y) * sizes[:, :1], y @ directions, 0.0)
    return [float(np.mean((part - y) ** 2)) for part in (directions @ weights[:, :, None])[:, :, 0]]


@dataclass(frozen=True, eq=False)
class LimitMap:
    """The lowest training error of a limit function for each place -b/w of its step and each slope w."""

    places: Float64[np.ndarray, " place"]
    slopes: Float64[np.ndarray, " slope"]
    losses: Float64[np.ndarray, "slope place"]


def limit_map(data: Dataset) -> LimitMap:
    """Minimise the limit function's error over its four linear coefficients, for every w and b on a grid."""
    places, slopes = np.linspace(*PLACES), np.geomspace(*STEEPNESSES)
    losses = np.array([_lowest_errors(data, w, -w * places) for w in slopes])
    return LimitMap(places, slopes, losses)


def lowest_limit(data: Dataset, start: LimitMap) -> PairLimit:
    """Minimise over w and b as well, from the lowest point of the map."""
    from scipy.optimize import minimize  # noqa: PLC0415 - takes half a second to import

    row, column = np.unravel_index(np.argmin(start.losses), start.losses.shape)
    unit = start.slopes[row] * np.array([1.0, -start.places[column]])
    options = {"xatol": 1e-10, "fatol": 1e-17, "maxiter": 2000}
    w, b = minimize(lambda p: _projected(data, *p)[0], unit, method="Nelder-Mead", options=options).x
    loss, (c, a, alpha, beta) = _projected(data, w, b)
    limit = PairLimit(float(w), float(b), float(c), float(a), float(alpha), float(beta), loss, 0.0, 0.0)
    x, y = data.test.x[:, 0], data.test.y[:, 0]
    test_loss = float(np.mean((limit.curve(x) - y) ** 2))
    return replace(limit, test_loss=test_loss, slope=_slope(limit, data))


def _slope(limit: PairLimit, data: Dataset) -> float:
    """Differentiate the error by the squared separation: two quotients, extrapolated to separation 0.

    The other coordinates are at their minimum, so their change with the separation does not count.
    """
    quotients = []
    for separation in (FINE, FINE / 2):
        excess = network_loss(limit.network(separation), data) - limit.loss
        quotients.append(excess / separation**2)
    return (4 * quotients[1] - quotients[0]) / 3


def network_loss(parameters: Mapping[str, Float64[np.ndarray, "..."]], data: Dataset) -> float:
    """Training error of a network with one input and one hidden layer of sigmoid units."""
    x, y = data.train.x[:, 0], data.train.y[:, 0]
    units = (step_and_bump(x * w + b)[0] for w, b in zip(parameters["W1"][0], parameters["b1"], strict=True))
    fit = np.stack(tuple(units), axis=1) @ parameters["W2"][:, 0] + parameters["b2"][0]
    return float(np.mean((fit - y) ** 2))


@dataclass(frozen=True, eq=False)
class Approach:
    """Restarts that end near a limit: their separations, errors above the limit's, parameter norms, stop reasons."""

    name: str
    restarts: int
    separations: Float64[np.ndarray, " restart"]
    excesses: Float64[np.ndarray, " restart"]
    norms: Float64[np.ndarray, " restart"]
    stop_reasons: tuple[str, ...]


def approach(name: str, result: Result, limit: PairLimit, *, within: float) -> Approach:
    """Pick the restarts of a two-unit result whose error is at most `within` times the limit's."""
    _check_only_pair([record.label for record in result.records])
    within = checked_number("within", within, example=1.5, positive=True)
    (record,) = result.records
    near = np.flatnonzero(record.losses <= within * limit.loss)
    parameters = {key: values[near] for key, values in record.parameters.items()}
    return Approach(
        name,
        len(record.losses),
        separations(parameters),
        record.losses[near] - limit.loss,
        parameter_norms(parameters),
        tuple(record.stop_reasons[index] for index in near),
    )


def _check_only_pair(labels: list[str]) -> None:
    if labels != ["1-2-1 sigmoid"]:
        message = f"architectures = {', '.join(labels)}: only two sigmoid units merge here; give 1-2-1 sigmoid alone"
        raise InvalidInputError(message)


def separations(parameters: Stacked) -> Float64[np.ndarray, " restart"]:
    """Return 1/|d| of every two-unit network; a unit with a negative slope counts with σ(-z) = 1 - σ(z)."""
    upward = np.sign(parameters["W1"][:, 0, :]) * parameters["W2"][:, :, 0]
    apart: Float64[np.ndarray, " restart"] = 1 / np.abs(upward[:, 0] - upward[:, 1])
    return apart


def parameter_norms(parameters: Stacked) -> Float64[np.ndarray, " restart"]:
    """Return the Euclidean norm of all parameters of each network."""
    squares = [np.sum(values**2, axis=tuple(range(1, values.ndim))) for values in parameters.values()]
    norms: Float64[np.ndarray, " restart"] = np.sqrt(np.sum(squares, axis=0))
    return norms


@dataclass(frozen=True, eq=False)
class Growth:
    """Restarts that end near a limit, stopped after each of `iterations`: parameter norms and errors above the limit.

    `units` and `pairs` belong to one of them: its two units on the grid, and what both add to the output.
    """

    iterations: tuple[int, ...]
    norms: Float64[np.ndarray, "stop restart"]
    excesses: Float64[np.ndarray, "stop restart"]
    separations: Float64[np.ndarray, "stop restart"]
    grid: Float64[np.ndarray, " grid"]
    units: Float64[np.ndarray, "stop grid 2"]
    pairs: Float64[np.ndarray, "stop grid"]


def growth(experiment: Experiment, limit: PairLimit, *, iterations: tuple[int, ...], within: float) -> Growth:
    """Train the restarts of a two-unit Experiment again and again, each time for more iterations."""
    _check_only_pair([architecture.label for architecture in experiment.architectures])
    (architecture,), data = experiment.architectures, experiment.data.draw()
    if not iterations:
        message = "iterations = (): say after how many to stop, as in (100, 1000)"
        raise InvalidInputError(message)
    stopped = [
        fit_ensemble(replace(experiment, max_iterations=count), architecture, data) for count in iterations
    ]
    near = np.flatnonzero(stopped[-1].losses <= within * limit.loss)
    if not near.size:
        message = (
            f"no restart ends within {within:g} times the limit's error; train more, longer, or raise within"
        )
        raise InvalidInputError(message)
    kept = [{key: values[near] for key, values in ensemble.parameters.items()} for ensemble in stopped]
    grid = np.linspace(*GRID)
    units = np.array([ensemble.restart(int(near[0])).hidden(grid[:, None])[0] for ensemble in stopped])
    weights = np.array([parameters["W2"][0] for parameters in kept])
    return Growth(
        iterations,
        norms=np.array([parameter_norms(parameters) for parameters in kept]),
        excesses=np.array([ensemble.losses[near] - limit.loss for ensemble in stopped]),
        separations=np.array([separations(parameters) for parameters in kept]),
        grid=grid,
        units=units,
        pairs=(units @ weights)[:, :, 0],
    )
