"""Points where the gradient vanishes: polished by Newton's method, measured with balls, told from others."""

from dataclasses import dataclass

import numpy as np
from flint import arb_mat
from jaxtyping import Float64, Int64
from scipy.linalg import LinAlgError
from scipy.optimize import minimize

from mlpreport.training.intervals import (
    UndecidedError,
    exact,
    gradient_on,
    hessian_on,
    precise,
)
from mlpreport.training.objective import Objective, Vector

PROVABLE = 60
"""Most parameters for which balls are tried."""

Free = Int64[np.ndarray, " free"] | None
"""Places of the parameters that may move; None for all."""

_STEPS = 30
_NEGLIGIBLE = 1e-14

_STATIONARY = 1e-8
"""Largest gradient, relative to the curvature, of a saddle or a flat place: on a tail that falls, the two are alike."""

_STRAIGHT = 1e-12
"""Largest negative curvature of a flat place, relative to the largest curvature: that of rounded parameters."""

_LOOKS = np.array([1e-2, 1e-3, 1e-4])
"""How far one looks for a lower loss, relative to the parameters."""


@dataclass(frozen=True, eq=False)
class Measured:
    """What is known at one point: loss, gradient, and Hessian with its eigenvalues in ascending order."""

    point: Vector
    loss: float
    gradient: Vector
    hessian: Float64[np.ndarray, "parameter parameter"]
    spectrum: Vector

    @property
    def decrement(self) -> float:
        """Decrease of the loss that a quadratic model with the absolute values of the curvatures predicts."""
        values, vectors = np.linalg.eigh(self.hessian)
        along = (vectors.T @ self.gradient) ** 2
        flat = np.abs(values) <= np.finfo(float).eps * np.abs(values).max(initial=0.0)
        return float(np.sum(along[~flat] / np.abs(values[~flat])) / 2)


def measure(objective: Objective, point: Vector) -> Measured:
    """Compute loss, gradient and Hessian at a point: with balls and rounded once, or in float64 if that takes long."""
    try:
        return (
            _measured_with_balls(objective, point)
            if objective.size <= PROVABLE
            else _measured(objective, point)
        )
    except UndecidedError:
        return _measured(objective, point)


def _measured(objective: Objective, point: Vector) -> Measured:
    loss, gradient = objective.value_and_gradient(point)
    hessian = objective.hessian(point)
    return Measured(point, loss, gradient, hessian, np.linalg.eigvalsh(hessian))


def _measured_with_balls(objective: Objective, point: Vector) -> Measured:
    with precise():
        loss, gradient = gradient_on(objective, exact(point))
        hessian = hessian_on(objective, exact(point))
        eigenvalues = arb_mat(hessian.tolist()).mid().eig(algorithm="approx")
        spectrum = np.sort([float(value.real.mid()) for value in eigenvalues])
        return Measured(point, float(loss.mid()), _rounded(gradient), _rounded(hessian), spectrum)


def _rounded(balls: np.ndarray) -> np.ndarray:
    return np.array([float(value.mid()) for value in balls.ravel()]).reshape(balls.shape)


def newton(objective: Objective, start: Vector, free: Free = None) -> Vector | None:
    """Follow Newton's steps in the free coordinates to a zero of the gradient; None if they do not settle.

    The gradient is computed with balls, so that the point is right to its last place whatever the condition.
    """
    point, moving = start.copy(), np.arange(len(start)) if free is None else free
    for _ in range(_STEPS):
        step = _newton_step(objective, point, moving)
        if step is None:
            return None
        point[moving] -= step
        if np.all(np.abs(step) <= _NEGLIGIBLE * (1 + np.abs(point[moving]))):
            return point
    return None


def _newton_step(
    objective: Objective, point: Vector, moving: np.ndarray
) -> Float64[np.ndarray, " moving"] | None:
    try:
        with precise(), np.errstate(all="ignore"):
            gradient = _rounded(gradient_on(objective, exact(point))[1])[moving]
            step = np.linalg.solve(objective.hessian(point)[np.ix_(moving, moving)], gradient)
    except (LinAlgError, UndecidedError):
        return None
    return step if np.isfinite(step).all() else None


def descend(objective: Objective, start: Vector, *, iterations: int) -> Vector:
    """Minimise from a point with exact Hessians in a trust region."""
    try:
        result = minimize(
            objective.value_and_gradient,
            start,
            jac=True,
            hess=objective.hessian,
            method="trust-exact",
            options={"maxiter": iterations, "gtol": 1e-9, "initial_trust_radius": 0.1},
        )
    except ValueError:  # a step overflowed
        return start
    return np.asarray(result.x)


def is_stationary(measured: Measured) -> bool:
    """Tell whether changes of the parameters in their last places change the gradient by as much as it is."""
    change = _NEGLIGIBLE * (np.abs(measured.hessian) @ (1 + np.abs(measured.point)))
    return bool(np.all(np.abs(measured.gradient) <= change))


def rests(measured: Measured) -> bool:
    """Tell whether a point has neither a gradient nor a negative curvature, beside its largest curvature."""
    lowest, largest = measured.spectrum[[0, -1]]
    return bool(np.abs(measured.gradient).max() <= _STATIONARY * largest and lowest >= -_STRAIGHT * largest)


def descends(objective: Objective, measured: Measured) -> bool:
    """Tell whether a stationary point comes with a direction on both sides of which a lower loss is proved."""
    lowest = np.linalg.eigh(measured.hessian)[1][:, 0]
    steep = np.abs(measured.gradient).max() > _STATIONARY * -measured.spectrum[0]
    if steep or measured.spectrum[0] >= 0:
        return False
    with precise():
        here = gradient_on(objective, exact(measured.point))[0]
        for step in _LOOKS * (1 + np.abs(measured.point).max()):
            sides = (measured.point + step * lowest, measured.point - step * lowest)
            if all(bool(gradient_on(objective, exact(side))[0] < here) for side in sides):
                return True
    return False
