"""Compiled Levenberg-Marquardt: damping by the gain ratio, for any compiled residuals with their Jacobian.

Madsen, Nielsen and Tingleff, Methods for Non-Linear Least Squares Problems (2004), algorithm 3.16, with
Marquardt's scaling by the diagonal.
"""

from typing import Any

import numpy as np

from mlpreport.training.kernels_linear import (
    Kernel,
    Matrix,
    Vector,
    cholesky,
    dot,
    inner,
    largest,
    solve_cholesky,
)
from mlpreport.training.stopping import (
    CONVERGED,
    DECREMENT_TOLERANCE,
    GRADIENT_TOLERANCE,
    ITERATION_LIMIT,
    MAX_ITERATIONS,
    NOT_FINITE,
    RESIDUAL_COUNT,
    STALLED,
)

FIRST_DAMPING = 1e-2
LARGEST_DAMPING = 1e20
TRUSTED_GAIN = 0.25


@inner
def gram(jacobian: Matrix, result: Matrix) -> None:
    """Write the lower triangle of jacobian jacobianᵀ."""
    for i in range(jacobian.shape[0]):
        for j in range(i + 1):
            result[i, j] = dot(jacobian[i], jacobian[j])


@inner
def damped_step(
    normal: Matrix, scale: Vector, slope: Vector, damping: float, matrix: Matrix, factor: Matrix, step: Vector
) -> float:
    """Solve (normal + damping · scale) step = -slope; return the predicted decrease, or NaN if singular."""
    size = slope.size
    for i in range(size):
        for j in range(i):
            matrix[i, j] = normal[i, j]
        matrix[i, i] = normal[i, i] + damping * scale[i]
    if not cholesky(matrix, factor):
        return np.nan
    solve_cholesky(factor, slope, step)
    predicted = 0.0
    for i in range(size):
        step[i] = -step[i]
        predicted += step[i] * (damping * scale[i] * step[i] - slope[i])
    return predicted


@inner
def linearise(jacobian: Matrix, residuals: Vector, normal: Matrix, slope: Vector, scale: Vector) -> None:
    """Form the normal matrix and half the gradient, and raise the scale to the largest diagonal seen."""
    gram(jacobian, normal)
    for i in range(slope.size):
        slope[i] = dot(jacobian[i], residuals)
        scale[i] = max(scale[i], normal[i, i])


def levenberg_marquardt(
    residual_function: Kernel, problem: tuple[Any, ...], options: Vector, parameters: Vector
) -> tuple[int, int]:
    """Minimise the sum of squared residuals from parameters, in place; return iterations and stop code."""
    iterations, gradient_tolerance, decrement_tolerance = (
        int(options[MAX_ITERATIONS]),
        options[GRADIENT_TOLERANCE],
        options[DECREMENT_TOLERANCE],
    )
    size, count = parameters.size, int(options[RESIDUAL_COUNT])
    residuals, new_residuals = np.empty(count), np.empty(count)
    jacobian = np.empty((size, count))
    normal, matrix, factor = np.empty((size, size)), np.empty((size, size)), np.empty((size, size))
    slope, step, point, scale = np.empty(size), np.empty(size), np.empty(size), np.full(size, 1e-12)
    residual_function(parameters, problem, residuals, jacobian)
    value = dot(residuals, residuals)
    linearise(jacobian, residuals, normal, slope, scale)
    damping, growth = FIRST_DAMPING, 2.0
    for iteration in range(iterations):
        norm = 2.0 * largest(slope)
        if not value < np.inf or not norm < np.inf:
            return iteration, NOT_FINITE
        if norm <= gradient_tolerance:
            return iteration, CONVERGED
        predicted = damped_step(normal, scale, slope, damping, matrix, factor, step)
        for i in range(size):
            point[i] = parameters[i] + step[i]
        residual_function(point, problem, new_residuals, jacobian)
        new_value = dot(new_residuals, new_residuals)
        gain = (value - new_value) / predicted
        if gain > 0.0:
            converged = gain > TRUSTED_GAIN and predicted <= decrement_tolerance * value
            parameters[:] = point
            residuals, new_residuals, value = new_residuals, residuals, new_value
            linearise(jacobian, residuals, normal, slope, scale)
            damping *= max(1.0 / 3.0, 1.0 - (2.0 * gain - 1.0) ** 3)
            growth = 2.0
            if converged:
                return iteration + 1, CONVERGED
        else:
            damping *= growth
            growth *= 2.0
            if damping > LARGEST_DAMPING:
                return iteration + 1, STALLED
    return iterations, ITERATION_LIMIT
