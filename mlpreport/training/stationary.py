"""Points where the gradient vanishes: polished by Newton's method, measured with balls, and proved."""

from dataclasses import dataclass

import numpy as np
from flint import arb_mat
from jaxtyping import Float64
from scipy.linalg import LinAlgError, cholesky, solve_triangular
from scipy.optimize import minimize

from mlpreport.training.intervals import (
    box_around,
    curvature_along,
    exact,
    gradient_on,
    has_one_zero,
    hessian_on,
    is_positive_definite,
    precise,
)
from mlpreport.training.objective import Objective, Vector

RADII = tuple(10.0**-n for n in range(3, 15))
"""Radii of the boxes that are tried, the largest first."""

_STEPS = 30
_NEGLIGIBLE = 1e-14


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


@dataclass(frozen=True)
class Proof:
    """What was proved in the box of this radius: one zero of the gradient, and whether it is a minimum or a saddle."""

    radius: float
    minimum: bool
    curvature: float


def measure(objective: Objective, point: Vector) -> Measured:
    """Compute loss, gradient and Hessian at a point with many digits, and round them once."""
    with precise():
        loss, gradient = gradient_on(objective, exact(point))
        hessian = hessian_on(objective, exact(point))
        eigenvalues = arb_mat(hessian.tolist()).mid().eig(algorithm="approx")
        spectrum = np.sort([float(value.real.mid()) for value in eigenvalues])
        return Measured(point, float(loss.mid()), _rounded(gradient), _rounded(hessian), spectrum)


def _rounded(balls: np.ndarray) -> np.ndarray:
    return np.frompyfunc(lambda value: float(value.mid()), 1, 1)(balls).astype(np.float64)


def newton(objective: Objective, start: Vector) -> Vector | None:
    """Follow Newton's steps to a zero of the gradient; None if they do not settle.

    The gradient is computed with balls, so that the point is right to its last place whatever the condition.
    """
    point = start
    for _ in range(_STEPS):
        with precise(), np.errstate(all="ignore"):
            gradient = _rounded(gradient_on(objective, exact(point))[1])
            try:
                step = np.linalg.solve(objective.hessian(point), gradient)
            except LinAlgError:
                return None
        if not np.isfinite(step).all():
            return None
        point = point - step
        if np.all(np.abs(step) <= _NEGLIGIBLE * (1 + np.abs(point))):
            return point
    return None


def descend(objective: Objective, start: Vector, *, iterations: int) -> Vector:
    """Minimise from a point with exact Hessians in a trust region."""
    result = minimize(
        lambda flat: objective.value_and_gradient(flat),
        start,
        jac=True,
        hess=objective.hessian,
        method="trust-exact",
        options={"maxiter": iterations, "gtol": 1e-9, "initial_trust_radius": 0.1},
    )
    return np.asarray(result.x)


def prove(objective: Objective, measured: Measured) -> Proof | None:
    """Prove that the gradient has one zero near a point, in the largest box that allows it, and what it is."""
    point = measured.point
    try:
        inverse = np.linalg.inv(measured.hessian)
    except LinAlgError:
        return None
    with precise():
        gradient = gradient_on(objective, exact(point))[1]
        for radius in RADII:
            proof = prove_in(objective, measured, radius, gradient, inverse)
            if proof is not None:
                return proof
    return None


def prove_in(
    objective: Objective, measured: Measured, radius: float, gradient: np.ndarray, inverse: np.ndarray
) -> Proof | None:
    """Prove one zero of the gradient in the box of this radius, and a minimum or a direction of descent there."""
    hessian = hessian_on(objective, box_around(measured.point, radius))
    if not has_one_zero(measured.point, radius, gradient, hessian, inverse):
        return None
    values, vectors = np.linalg.eigh(measured.hessian)
    try:
        factor = cholesky(measured.hessian, lower=True)
    except LinAlgError:
        along = curvature_along(hessian, vectors[:, 0])
        return Proof(radius, minimum=False, curvature=float(values[0])) if along < 0 else None
    root = solve_triangular(factor, np.eye(len(factor)), lower=True)
    if not is_positive_definite(hessian, root):
        return None
    return Proof(radius, minimum=True, curvature=float(values[0]))
