"""From a network of one hidden layer to the function it approaches: which units merge, are steps, or are constant."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from flint import arb

from mlpreport.derivation.symmetries import symmetries
from mlpreport.training.intervals import box_around, exact, gradient_on, on_balls, precise
from mlpreport.training.limit_functions import (
    Form,
    limit_objective,
    limit_values,
    separation_slope,
    value_slopes,
)
from mlpreport.training.limits import Limit, Named, Step, form_of, network_near, step_columns
from mlpreport.training.objective import Objective, network_objective
from mlpreport.training.problem import Problem
from mlpreport.training.stationary import Measured, Proof, descend, measure, newton, prove

SATURATED = 1e-6
"""A unit whose values stay this near to a limit of the activation, or to each other, counts as constant."""

STEEP = 0.05
"""A unit counts as a step when at most one point has a value farther than this from both limits."""

NEAR = 0.2
"""Two units may be merging when their values differ by no more than this, relative to their range."""

CANDIDATES = 3
"""Most pairs of units that are tried."""

SEPARATIONS = np.geomspace(0.3, 0.003, 9)


@dataclass(frozen=True, eq=False)
class Parts:
    """Which units of a network are ordinary, merge, are constant, or double another; `steps` belong to steep units."""

    ordinary: tuple[int, ...]
    pair: tuple[int, int] | None
    steps: tuple[Step, ...]
    constant: tuple[int, ...]
    doubles: tuple[int, ...] = ()

    def form(self, activation: str) -> Form:
        """Return the form of the limit function."""
        return Form(activation, bool(self.ordinary), self.pair is not None, bool(self.steps))


@dataclass(frozen=True, eq=False)
class Found:
    """A proved minimum of a limit function: its parameters by name, and lower bounds of the slopes off it."""

    parts: Parts
    parameters: Named
    measured: Measured
    proof: Proof
    slopes: tuple[float, ...]
    values: np.ndarray

    @property
    def at_infinity(self) -> bool:
        """Whether networks only approach the function."""
        return self.parts.pair is not None or bool(self.parts.steps)

    @property
    def kind(self) -> str:
        """What happens to the units on the way."""
        kinds = ["merging units"] * (self.parts.pair is not None) + ["step"] * bool(self.parts.steps)
        return " and ".join(kinds)


def limit_of(found: Found, train: Problem, test: Problem) -> Limit:
    """Complete a limit with its test loss and the losses of networks on the way to it."""
    architecture, parameters, steps = train.architecture, found.parameters, found.parts.steps
    form = form_of(architecture, parameters)
    curve = limit_values(form, {"x": test.x, **parameters, **step_columns(steps, test.x)})
    objective = network_objective(architecture, train.x, train.y)
    losses = []
    with precise():
        for separation in SEPARATIONS:
            near = network_near(architecture, parameters, steps, float(separation), train.x)
            losses.append(float(gradient_on(objective, exact(objective.flat(near)))[0].mid()))
    return Limit(
        architecture,
        found.kind,
        loss=found.measured.loss,
        test_loss=float(np.mean((curve - test.y[:, 0]) ** 2)),
        parameters=parameters,
        steps=steps,
        slope=min(found.slopes),
        radius=found.proof.radius,
        separations=SEPARATIONS,
        losses=np.array(losses),
    )


def decompositions(hidden: np.ndarray, parameters: Named, activation: str, x: np.ndarray) -> Iterator[Parts]:
    """Propose what each unit of a canonical network is; those with merging units first, the closest pair first."""
    limits = symmetries(activation).limits
    constant, steep, rest, steps = [], [], [], []
    for unit, values in enumerate(hidden.T):
        found = _steps_of(values, limits, x) if x.shape[1] == 1 else None
        if _is_constant(values, limits):
            constant.append(unit)
        elif found is not None:
            steep.append(unit)
            steps += found
        else:
            rest.append(unit)
    for i, j in _close_pairs(hidden, rest, parameters["W2"][:, 0])[:CANDIDATES]:
        others = tuple(unit for unit in rest if unit not in {i, j})
        yield Parts(others, (i, j), tuple(steps), tuple(constant))
    if steps or constant:
        yield Parts(tuple(rest), None, tuple(steps), tuple(constant))
    doubles = [j for n, j in enumerate(rest) if any(_gap(hidden, i, j) < SATURATED for i in rest[:n])]
    if doubles:
        single = tuple(unit for unit in rest if unit not in doubles)
        yield Parts(single, None, tuple(steps), tuple(constant), tuple(doubles))


def _is_constant(values: np.ndarray, limits: tuple[float | None, float | None]) -> bool:
    if np.ptp(values) <= SATURATED * max(1.0, np.abs(values).max()):
        return True
    return any(limit is not None and np.abs(values - limit).max() <= SATURATED for limit in limits)


def _steps_of(
    values: np.ndarray, limits: tuple[float | None, float | None], x: np.ndarray
) -> list[Step] | None:
    """Return the columns of a unit that is nearly a step, else None."""
    low, high = limits
    if low is None or high is None:
        return None
    between = np.minimum(np.abs(values - low), np.abs(values - high)) > STEEP * abs(high - low)
    if between.sum() > 1:
        return None
    order = np.argsort(x[:, 0])
    above = (np.abs(values - high) < np.abs(values - low))[order]
    points, middle = x[order, 0], between[order]
    if middle.any():
        k = int(np.argmax(middle))
        if not 0 < k < len(points) - 1:
            return None
        return [Step((points[k] + points[k + 1]) / 2, at=False), Step(points[k], at=True)]
    if above.all() or not above.any():
        return None
    k = int(np.flatnonzero(np.diff(above.astype(int)))[0])
    return [Step((points[k] + points[k + 1]) / 2, at=False)]


def _close_pairs(hidden: np.ndarray, units: list[int], out: np.ndarray) -> list[tuple[int, int]]:
    """Pairs of units with opposite weights and similar values, the most similar first."""
    gaps = {
        (i, j): _gap(hidden, i, j)
        for position, i in enumerate(units)
        for j in units[position + 1 :]
        if out[i] * out[j] < 0
    }
    return sorted((pair for pair, gap in gaps.items() if gap < NEAR), key=lambda pair: gaps[pair])


def _gap(hidden: np.ndarray, i: int, j: int) -> float:
    """Root mean square difference of the values of two units, relative to the range of the first."""
    return float(np.sqrt(np.mean((hidden[:, i] - hidden[:, j]) ** 2)) / max(np.ptp(hidden[:, i]), 1e-12))


def minimise_limit(train: Problem, network: Named, parts: Parts) -> Found | None:
    """Minimise the function that a network approaches, from the network's own parameters, and prove its minimum."""
    activation = train.architecture.activation
    form = parts.form(activation)
    arrays = {"x": train.x, "y": train.y, **step_columns(parts.steps, train.x)}
    start = _start(form, network, parts, arrays)
    sizes = {name: values.shape for name, values in start.items()}
    objective = limit_objective(form, sizes, arrays)
    point = newton(objective, descend(objective, objective.flat(start), iterations=300))
    if point is None:
        return None
    measured = measure(objective, point)
    proof = prove(objective, measured)
    if proof is None or not proof.minimum:
        return None
    named = objective.named(point)
    values = limit_values(form, {**{k: v for k, v in arrays.items() if k != "y"}, **named})
    slopes = _slopes(form, objective, box_around(point, proof.radius), parts.steps)
    return Found(parts, named, measured, proof, slopes, values)


def _start(form: Form, network: Named, parts: Parts, arrays: Named) -> Named:
    """Estimate the limit's parameters; those that enter linearly by least squares."""
    units, x = list(parts.ordinary), arrays["x"]
    start: Named = {}
    if form.units:
        start |= {"W1": network["W1"][:, units], "b1": network["b1"][None, units]}
    if parts.pair is not None:
        pair = list(parts.pair)
        start |= {
            "w": network["W1"][:, pair].mean(axis=1, keepdims=True),
            "b": network["b1"][pair].mean().reshape(1, 1),
        }
    linear = {name: (1, 1) for name in form.parameters if name not in start}
    linear |= {"W2": (len(units), 1)} if form.units else {}
    linear |= {"beta": (x.shape[1], 1)} if form.pair else {}
    linear |= {"s": (len(parts.steps), 1)} if form.steps else {}
    given = {name: values for name, values in arrays.items() if name != "y"} | start
    columns = []
    for name, shape in linear.items():
        for unit in np.eye(int(np.prod(shape))):
            zeros = {other: np.zeros(size) for other, size in linear.items()}
            columns.append(limit_values(form, {**given, **zeros, name: unit.reshape(shape)}))
    best = np.linalg.lstsq(np.column_stack(columns), arrays["y"][:, 0], rcond=None)[0]
    ends = np.cumsum([int(np.prod(shape)) for shape in linear.values()])
    start |= {
        name: part.reshape(linear[name]) for name, part in zip(linear, np.split(best, ends[:-1]), strict=True)
    }
    return {name: start[name] for name in form.parameters}


def _slopes(form: Form, objective: Objective, box: np.ndarray, steps: tuple[Step, ...]) -> tuple[float, ...]:
    """Bound the slopes of the loss off the limit function from below; if all are positive, it is lowest there."""
    with precise():
        given = {name: exact(values) for name, values in objective.arrays.items()} | objective.named(box)
        slopes: list[Any] = []
        if form.pair:
            run, names = separation_slope(form)
            slopes.append(on_balls(run)(*(given[name] for name in names))[0])
        if steps:
            slopes += _step_slopes(form, given, steps, objective.arrays["x"][:, 0])
        return tuple(float(slope.lower()) for slope in slopes)


def _step_slopes(form: Form, given: Named, steps: tuple[Step, ...], x: np.ndarray) -> list[Any]:
    """Slopes of the loss as the values beside each step leave those of the step; −1 where no unit has them."""
    run, names = value_slopes(form)
    pull = -on_balls(run)(*(given[name] for name in names))[1]["y"][:, 0]
    slopes = []
    for k, step in enumerate(steps):
        if step.at:
            share = given["s"][k, 0] / given["s"][k - 1, 0]
            slopes.append(arb(1) if 0 < share < 1 else arb(-1))
            continue
        through = k + 1 < len(steps) and steps[k + 1].at
        below, above = x < (steps[k + 1].place if through else step.place), x > step.place
        left, right = np.flatnonzero(below)[np.argmax(x[below])], np.flatnonzero(above)[np.argmin(x[above])]
        slopes += [pull[left] * given["s"][k, 0], -pull[right] * given["s"][k, 0]]
    return slopes
