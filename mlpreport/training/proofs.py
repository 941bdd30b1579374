"""Proofs that the gradient has one zero near a point, and of what that is: a minimum or a saddle.

Krawczyk's test is tried on boxes around the point. Where the Hessian is nearly singular it holds only on boxes that are
smaller than the rounding of the parameters: around the zero to which Newton's method leads from there in more digits.
"""

from dataclasses import dataclass

import numpy as np
from flint import arb, arb_mat
from scipy.linalg import LinAlgError, cholesky, solve_triangular

from mlpreport.training.intervals import (
    UndecidedError,
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
from mlpreport.training.stationary import Free, Measured

RADII = tuple(10.0**-n for n in range(3, 15))
"""Radii of the boxes that are tried around a point, the largest first."""

REFINED_RADII = tuple(10.0**-n for n in range(14, 21))
"""Radii of those around a point that Newton's method refined."""

_STEPS = 10
_SETTLED = 1e-22
_NEARBY = 1e-12
"""How far from the parameters, relative to them, a zero may be that is said to be theirs."""


@dataclass(frozen=True)
class Proof:
    """What was proved in the box of this radius: one zero of the gradient, and whether it is a minimum or a saddle.

    The box is around the parameters, or around a point so far `away` from them.
    """

    radius: float
    minimum: bool
    curvature: float
    away: float = 0.0

    @property
    def reach(self) -> float:
        """How far from the parameters the zero may be."""
        return self.away + self.radius


def prove(objective: Objective, measured: Measured, free: Free = None) -> Proof | None:
    """Prove that the gradient has one zero near a point, in the largest box that allows it, and what it is.

    With `free` coordinates the others stay as they are, and the proof is one for the free ones.

    Raises
    ------
    UndecidedError
        If a kink of the activation cannot be kept out of even the smallest box.
    """
    moving = np.arange(objective.size) if free is None else free
    curvatures = measured.hessian[np.ix_(moving, moving)]
    undecided: UndecidedError | None = None
    try:
        reach = np.abs(np.linalg.solve(curvatures, measured.gradient[moving])).max()
    except LinAlgError:
        return None
    with precise():
        for radius in (radius for radius in RADII if radius > reach):
            try:
                proof = _prove_in(objective, measured.point, radius, moving, curvatures)
            except UndecidedError as error:
                undecided = error
                continue
            except LinAlgError:
                return None
            undecided = None
            if proof is not None:
                return proof
        if undecided is not None:
            raise undecided
        try:
            return _prove_refined(objective, measured, moving)
        except (UndecidedError, ZeroDivisionError):
            return None


def _prove_in(
    objective: Objective, point: Vector, radius: float, moving: np.ndarray, curvatures: np.ndarray
) -> Proof | None:
    """Prove one zero of the gradient in the box of this radius, and a minimum or a direction of descent there."""
    box = exact(point)
    box[moving] = box_around(point[moving], radius)
    hessian = hessian_on(objective, box)[np.ix_(moving, moving)]
    gradient = gradient_on(objective, exact(point))[1][moving]
    if not has_one_zero(radius, gradient, hessian, exact(np.linalg.inv(curvatures))):
        return None
    values, vectors = np.linalg.eigh(curvatures)
    if values[0] <= 0:
        along = curvature_along(hessian, vectors[:, 0])
        return Proof(radius, minimum=False, curvature=float(along.upper())) if along < 0 else None
    root = solve_triangular(cholesky(curvatures, lower=True), np.eye(len(moving)), lower=True)
    return (
        Proof(radius, minimum=True, curvature=float(values[0]))
        if is_positive_definite(hessian, root)
        else None
    )


def _prove_refined(objective: Objective, measured: Measured, moving: np.ndarray) -> Proof | None:
    """Prove one zero of the gradient around a refined point, and a minimum or a direction of descent there."""
    square, point = np.ix_(moving, moving), exact(measured.point)
    centre = point.copy()
    for _ in range(_STEPS):
        gradient, hessian = gradient_on(objective, centre)[1][moving], hessian_on(objective, centre)[square]
        rates = _inverse(hessian)
        step = rates @ gradient
        if _small(step, centre[moving], _SETTLED):
            break
        centre[moving] = [value.mid() for value in centre[moving] - step]
        if not _small(centre - point, point, _NEARBY):
            return None
    else:
        return None
    for radius in REFINED_RADII:
        box = centre.copy()
        box[moving] += arb(0, radius)
        on_box = hessian_on(objective, box)[square]
        if has_one_zero(radius, gradient, on_box, rates):
            break
    else:
        return None
    away = float(max(abs(a - b).upper() for a, b in zip(centre, point, strict=True)))
    values, vectors = np.linalg.eigh(measured.hessian[square])
    # No Hessian in the box is singular, so that all are positive definite if the one at its centre is.
    if is_positive_definite(hessian, np.eye(len(hessian))):
        return Proof(radius, minimum=True, curvature=float(values[0]), away=away)
    along = curvature_along(on_box, vectors[:, 0])
    return Proof(radius, minimum=False, curvature=float(along.upper()), away=away) if along < 0 else None


def _inverse(matrix: np.ndarray) -> np.ndarray:
    """Invert a matrix of balls, roughly, with all their digits."""
    inverse = arb_mat(matrix.tolist()).inv().mid()
    return np.array(inverse.entries(), dtype=object).reshape(matrix.shape)


def _small(changes: np.ndarray, values: np.ndarray, tolerance: float) -> bool:
    return all(bool(abs(a) < tolerance * (1 + abs(b))) for a, b in zip(changes, values, strict=True))
