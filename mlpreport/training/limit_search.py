"""From what the units of a network are to the function that it approaches, and the proof that this is a minimum."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from flint import arb

from mlpreport.training.decompositions import Parts
from mlpreport.training.intervals import box_around, enclosed, exact, gradient_on, precise
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
from mlpreport.training.proofs import Proof, prove
from mlpreport.training.stationary import Measured, descend, measure, newton

SEPARATIONS = np.geomspace(0.3, 0.003, 9)
"""Where on the way to a limit the losses are told."""


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
    slopes = _slopes(form, objective, box_around(point, proof.reach), parts.steps)
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
            slopes.append(enclosed(separation_slope(form), given)[0])
        if steps:
            slopes += _step_slopes(form, given, steps, objective.arrays["x"][:, 0])
        return tuple(float(slope.lower()) for slope in slopes)


def _step_slopes(form: Form, given: Named, steps: tuple[Step, ...], x: np.ndarray) -> list[Any]:
    """Slopes of the loss as the values beside each step leave those of the step; −1 where no unit has them."""
    pull = -enclosed(value_slopes(form), given)[1]["y"][:, 0]
    slopes = []
    for k, step in enumerate(steps):
        if step.at:
            share = given["s"][k, 0] / given["s"][k - 1, 0]
            slopes.append(arb(1) if 0 < share < 1 else arb(-1))
            continue
        through = k + 1 < len(steps) and steps[k + 1].at
        below, above = x < (steps[k + 1].place if through else step.place), x > step.place
        # The values of all points that share the nearest x move together.
        left, right = pull[x == x[below].max()].sum(), pull[x == x[above].min()].sum()
        slopes += [left * given["s"][k, 0], -right * given["s"][k, 0]]
    return slopes
