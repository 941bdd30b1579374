"""A limit at infinity: a function that networks approach without end, and the losses on the way to it."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64

from mlpreport.derivation.symmetries import symmetries
from mlpreport.training.architecture import Architecture
from mlpreport.training.limit_functions import Form, limit_values

Named = dict[str, np.ndarray]
"""Arrays by name."""


@dataclass(frozen=True)
class Step:
    """What a unit of ever steeper slope becomes: 1 beyond a place between two points; or, at a point, of its own."""

    place: float
    at: bool

    def column(self, x: Float64[np.ndarray, "n inputs"]) -> Float64[np.ndarray, " n"]:
        """Tell for each point whether the step has its value 1 there."""
        return np.asarray(x[:, 0] == self.place if self.at else x[:, 0] > self.place, dtype=np.float64)


@dataclass(frozen=True, eq=False)
class Limit:
    """A limit function: the best one of its kind, and how the loss of networks approaches its loss.

    Parameters
    ----------
    kind
        "merging units", "step", or both joined by " and ".
    loss, test_loss
        Training loss by direct minimisation over the parameters of the limit function, and its test loss.
    parameters
        c; for merging units w (in, 1), b, a, alpha, beta (in, 1) of a σ(z) + (α + βx) σ′(z), z = xw + b; for ordinary
        units W1 (in, units), b1, W2; for steps their heights s (steps, 1). Each has two axes.
    steps
        Places of the steps.
    slope
        ∂loss/∂ε² at merging units, or the smallest ∂loss/∂e at a step, at the limit: positive, so it is approached from
        above.
    separations, losses
        Largest difference of the merging units' arguments on the training points, or the reciprocal of the slope of
        steps, falling; and the losses of networks with it.
    """

    architecture: Architecture
    kind: str
    loss: float
    test_loss: float
    parameters: Named
    steps: tuple[Step, ...]
    slope: float
    radius: float
    separations: Float64[np.ndarray, " separations"]
    losses: Float64[np.ndarray, " separations"]

    @property
    def form(self) -> Form:
        """What the limit function is made of."""
        return form_of(self.architecture, self.parameters)

    @property
    def exponent(self) -> float:
        """Power of the separation with which the loss approaches that of the limit, fitted to the smaller half.

        It is infinite where the losses of networks nearby are the limit's to the last digit, as beside steps.
        """
        half = len(self.losses) // 2
        excess = self.losses[half:] - self.loss
        if not (excess > 0).all():
            return float("inf")
        return float(np.polyfit(np.log(self.separations[half:]), np.log(excess), 1)[0])

    def curve(self, x: Float64[np.ndarray, "n inputs"]) -> Float64[np.ndarray, " n"]:
        """Compute the limit function at points x."""
        return limit_values(self.form, {"x": x, **self.parameters, **step_columns(self.steps, x)})

    def network(self, separation: float, x: Float64[np.ndarray, "n inputs"]) -> dict[str, np.ndarray]:
        """Return parameters of a network this near to the limit, separations being measured on points x."""
        return network_near(self.architecture, self.parameters, self.steps, separation, x)


def form_of(architecture: Architecture, parameters: Named) -> Form:
    """Tell from the names of its parameters what a limit function is made of."""
    return Form(architecture.activation, "W1" in parameters, "w" in parameters, "s" in parameters)


def step_columns(steps: tuple[Step, ...], x: Float64[np.ndarray, "n inputs"]) -> dict[str, np.ndarray]:
    """Make the input S (n, steps) of a limit function with steps; nothing if there are none."""
    return {"S": np.column_stack([step.column(x) for step in steps])} if steps else {}


def network_near(
    architecture: Architecture, limit: Named, steps: tuple[Step, ...], separation: float, x: np.ndarray
) -> dict[str, np.ndarray]:
    """Return the network whose merging units, or steps, are this far from merged, or from vertical."""
    inputs = architecture.sizes[0]
    weights: list[np.ndarray] = [np.zeros((inputs, 0))]
    biases, out = [np.zeros(0)], [np.zeros(0)]
    if "W1" in limit:
        weights, biases, out = [limit["W1"]], [limit["b1"][0]], [limit["W2"][:, 0]]
    if "w" in limit:
        weight, bias, height = _pair_near(limit, separation, x)
        weights, biases, out = [*weights, weight], [*biases, bias], [*out, height]
    low, high = symmetries(architecture.activation).limits
    rise, constant = (high or 0.0) - (low or 0.0), limit["c"][0]
    for weight, bias, height in _steep_units(limit, steps, separation):
        weights, biases, out = [*weights, weight], [*biases, bias], [*out, height / rise]
        constant = constant - (low or 0.0) * height / rise
    missing = architecture.hidden[0] - sum(len(part) for part in biases)
    return {
        "W1": np.hstack([*weights, np.zeros((inputs, missing))]),
        "b1": np.concatenate([*biases, np.zeros(missing)]),
        "W2": np.concatenate([*out, np.zeros(missing)])[:, None],
        "b2": constant,
    }


def _pair_near(limit: Named, separation: float, x: np.ndarray) -> tuple[Any, Any, Any]:
    alpha, beta = limit["alpha"][0, 0], limit["beta"]
    epsilon = separation / (2 * np.abs(alpha + x @ beta).max())
    signs = np.array([1.0, -1.0])
    weights = limit["w"] + epsilon * beta * signs
    biases = limit["b"][0, 0] + epsilon * alpha * signs
    return weights, biases, limit["a"][0, 0] / 2 + signs / (2 * epsilon)


def _steep_units(limit: Named, steps: tuple[Step, ...], separation: float) -> list[tuple[Any, Any, Any]]:
    units = []
    for k, step in enumerate(steps):
        if step.at:
            continue
        place, height, argument = step.place, limit["s"][k, 0], 0.0
        if (
            k + 1 < len(steps) and steps[k + 1].at
        ):  # the step goes through a point, where the unit has a value between
            fraction = limit["s"][k + 1, 0] / height
            place, argument = steps[k + 1].place, np.log(fraction / (1 - fraction))
        units.append(
            (np.array([[1 / separation]]), np.array([argument - place / separation]), np.array([height]))
        )
    return units
