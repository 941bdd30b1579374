"""Certificates: the numbers that prove what a point of the loss is, and their verification without training.

A minimum is proved with interval arithmetic: the gradient has exactly one zero in a box around the parameters, and the
Hessian is positive definite on all of it. Where no network is a minimum, the function that networks approach is
minimised and proved instead.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from jaxtyping import Float64

from mlpreport.checks import checked_kind
from mlpreport.errors import CertificateError, InvalidInputError
from mlpreport.training.architecture import Architecture
from mlpreport.training.comparison import (
    REMEDY,
    Compared,
    check_numbers,
    compared_limits,
    compared_parameters,
    compared_radii,
    compared_reasons,
    compared_spectra,
)
from mlpreport.training.freedom import as_network, free_coordinates
from mlpreport.training.initialisation import flat_parameters
from mlpreport.training.judging import SAME_FUNCTION, judge
from mlpreport.training.limits import Limit
from mlpreport.training.objective import Objective, Vector, network_objective
from mlpreport.training.problem import Problem, checked_points, checked_problem, unit_values
from mlpreport.training.stationary import PROVABLE, descend, is_stationary, measure, newton
from mlpreport.training.symmetry import canonical, checked_parameters

DESCENT = 50
"""Most iterations towards a zero of the gradient."""

LEAST_MOVE = 1e-10
"""Moves of a stationary point, relative to the parameters, that are more than rounding."""

NEARLY_ZERO = 1e-12
"""Loss, in units of the mean square of y, from which one goes on to 0 where that is possible."""

TOLERANCES = {
    "loss": 1e-11,
    "test_loss": 1e-9,
    "gradient_norm": 1e-6,
    "decrement": 1e-3,
}
"""Relative differences between two machines that are no difference."""

SETTLED = 1e-6
"""Differences, absolute and relative, between parameters at a minimum and those that are polished again."""

ROUNDING = 1e-12
"""Absolute differences, in units of the mean square of y, that are none: of a gradient, or of a loss that is 0."""


@dataclass(frozen=True, eq=False)
class Certificate:
    """Parameters with the numbers that prove what they are.

    Parameters
    ----------
    parameters
        W1 (in, out), b1 (out,), …, canonical and, where that leads to a nearby zero of the gradient, polished.
    loss, test_loss
        Mean squared errors.
    gradient_norm, decrement, parameter_norm
        Largest absolute entry of the gradient; the decrease that a quadratic model predicts; 2-norm of the parameters.
    spectrum
        Eigenvalues of the Hessian, in ascending order.
    verdict
        "minimum" or "saddle" (both proved), "flat manifold", "limit at infinity" or "unproved".
    dimension
        Dimension of the flat manifold, else 0.
    radius
        Half the side of the box of the proof, else NaN; the box is around the parameters, or as `because` says.
    limit
        The limit at infinity, else None.
    because
        One sentence with the numbers that decide.
    """

    architecture: Architecture
    parameters: dict[str, Float64[np.ndarray, "..."]]
    loss: float
    test_loss: float
    gradient_norm: float
    decrement: float
    parameter_norm: float
    spectrum: Float64[np.ndarray, " parameter"]
    verdict: str
    dimension: int
    radius: float
    limit: Limit | None
    because: str

    def predict(self, x: Float64[np.ndarray, "n inputs"]) -> Float64[np.ndarray, "n outputs"]:
        """Compute the outputs of the network at points x."""
        flat = flat_parameters(self.architecture, self.parameters)
        return unit_values(self.architecture, flat, checked_points("x", x, self.architecture.sizes[0]))[-1]


def certify(
    architecture: Architecture, data: Any, parameters: Mapping[str, Float64[np.ndarray, "..."]]
) -> Certificate:
    """Judge parameters without training: polish them if a zero of the gradient is near, and prove what they are.

    Parameters
    ----------
    architecture
        As for `fit`.
    data
        As for `fit`; the loss is the mean squared error on the training points.
    parameters
        W1 (in, out), b1 (out,), …, as in a Restart.

    Raises
    ------
    InvalidInputError
        If the data do not fit the architecture, or the parameters are missing, not finite or of the wrong shape.
    """
    train = checked_problem(architecture, data, "train", 0.0)
    test = checked_problem(architecture, data, "test", 0.0)
    objective = network_objective(architecture, train.x, train.y)
    start = objective.flat(canonical(architecture, parameters))
    # What overflows on the way is no proof, and says so.
    with np.errstate(all="ignore"):
        _check_finite(objective, start)
        return _certificate(objective, polished(objective, start, train), train, test)


def _check_finite(objective: Objective, point: Vector) -> None:
    loss, gradient = objective.value_and_gradient(point)
    if not np.isfinite([loss, *gradient, *objective.hessian(point).ravel()]).all():
        message = f"loss = {loss}: it, or a derivative, overflows at these parameters; scale the data or train again"
        raise InvalidInputError(message)


def polished(objective: Objective, start: Vector, train: Problem) -> Vector:
    """Move to the zero of the gradient that is near, or else stay; near is where the function is nearly the same."""
    if objective.size > PROVABLE:
        return start
    free = free_coordinates(objective, start, train, zero=NEARLY_ZERO).moving
    point = newton(objective, start, free)
    if point is None or not _near(objective, start, point, train):
        lower = descend(objective, start, iterations=DESCENT)
        point = newton(objective, lower, free)
    if point is None or not _near(objective, start, point, train):
        return start
    # Newton's steps run along a flat manifold, on which one point may be a saddle and another not.
    moved = free is None and np.any(np.abs(point - start) > LEAST_MOVE * (1 + np.abs(start)))
    return start if moved and is_stationary(measure(objective, start)) else point


def _near(objective: Objective, start: Vector, point: Vector, train: Problem) -> bool:
    before, after = (as_network(objective, flat, train).predict(train.x) for flat in (start, point))
    return bool(np.sqrt(np.mean((after - before) ** 2)) <= SAME_FUNCTION * np.sqrt(np.mean(train.y**2)))


def _certificate(objective: Objective, point: Vector, train: Problem, test: Problem) -> Certificate:
    measured = measure(objective, point)
    finding = judge(objective, measured, train, test)
    network = as_network(objective, point, train)
    return Certificate(
        train.architecture,
        network.parameters,
        loss=measured.loss,
        test_loss=float(np.mean((network.predict(test.x) - test.y) ** 2)),
        gradient_norm=float(np.abs(measured.gradient).max()),
        decrement=measured.decrement,
        parameter_norm=math.hypot(*point),  # the same on all machines
        spectrum=measured.spectrum,
        **{field.name: getattr(finding, field.name) for field in fields(finding)},
    )


def verify(certificate: Certificate, data: Any) -> None:
    """Compute every number of a certificate again from its parameters and the data, without training.

    Raises
    ------
    CertificateError
        If a number is not what it should be; the message names it, with the stored and the recomputed value.
    """
    checked_kind("certificate", certificate, Certificate, remedy="such as certify() returns")
    architecture = certificate.architecture
    train = checked_problem(architecture, data, "train", 0.0)
    test = checked_problem(architecture, data, "test", 0.0)
    objective = network_objective(architecture, train.x, train.y)
    try:
        point = objective.flat(checked_parameters(architecture, certificate.parameters))
        with np.errstate(all="ignore"):
            _check_finite(objective, point)
    except InvalidInputError as error:
        message = f"the certificate of {architecture.label}: {error}; {REMEDY}"
        raise CertificateError(message) from error
    with np.errstate(all="ignore"):
        rounding = ROUNDING * (float(np.mean(train.y**2)) or 1.0)
        where = f"the certificate of {architecture.label}"
        if certificate.verdict == "minimum":  # polished again, only an altered parameter moves
            settled = as_network(objective, polished(objective, point, train), train).parameters
            numbers = compared_parameters("parameters", certificate.parameters, settled, SETTLED)
            check_numbers(where, numbers, rounding=SETTLED)
        again = _certificate(objective, point, train, test)
        check_numbers(where, _compared(certificate, again), rounding=rounding)


def _compared(stored: Certificate, again: Certificate) -> Iterator[Compared]:
    """Pair every stored number with the one computed again, and the tolerance for it."""
    # First, as an altered parameter changes all numbers, and this one does not depend on the machine.
    yield "parameters or parameter_norm", stored.parameter_norm, again.parameter_norm, 1e-14
    for name in ("verdict", "dimension"):
        yield name, getattr(stored, name), getattr(again, name), 0.0
    yield "parameters", list(stored.parameters), list(again.parameters), 0.0
    for name, tolerance in TOLERANCES.items():
        yield name, getattr(stored, name), getattr(again, name), tolerance
    yield compared_spectra(stored.spectrum, again.spectrum)
    yield from compared_radii("radius", stored.radius, again.radius)
    yield from compared_reasons(stored.because, again.because)
    yield "limit", stored.limit and stored.limit.kind, again.limit and again.limit.kind, 0.0
    if stored.limit is not None and again.limit is not None:
        yield from compared_limits(stored.limit, again.limit)
