"""Compiled Levenberg-Marquardt: damping by the gain ratio, for any compiled residuals with their Jacobian.

Madsen, Nielsen and Tingleff, Methods for Non-Linear Least Squares Problems (2004), algorithm 3.16. Levenberg's
identity is the damping matrix: scaling by the diagonal, as Marquardt and MINPACK do, lets units saturate in the
first steps, and most restarts then end in poor optima.
"""

import math
from typing import Any

import numpy as np

from mlpreport.training.kernels_linear import (
    Kernel,
    Matrix,
    Vector,
    cholesky,
    copy,
    dot,
    dot_2_by_2,
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
"""The first damping, as a factor of the largest diagonal entry of the normal matrix."""
LARGEST_DAMPING = 1e20
TRUSTED_GAIN = 0.25
PRECISION = 2.0**-52


@inner
def gram(jacobian: Matrix, result: Matrix) -> None:
    """Write the lower triangle of jacobian jacobianᵀ."""
    size = jacobian.shape[0]
    for i in range(0, size - 1, 2):
        a, b = jacobian[i], jacobian[i + 1]
        for j in range(0, i + 1, 2):
            entries = dot_2_by_2(a, b, jacobian[j], jacobian[j + 1])
            result[i, j], result[i, j + 1], result[i + 1, j], result[i + 1, j + 1] = entries
    if size % 2:
        for j in range(size):
            result[size - 1, j] = dot(jacobian[size - 1], jacobian[j])


@inner
def damped_step(
    normal: Matrix, slope: Vector, damping: float, matrix: Matrix, factor: Matrix, step: Vector
) -> float:
    """Solve (normal + damping · I) step = -slope; return the predicted decrease, or NaN if singular."""
    size = slope.size
    for i in range(size):
        for j in range(i):
            matrix[i, j] = normal[i, j]
        matrix[i, i] = normal[i, i] + damping
    if not cholesky(matrix, factor):
        return math.nan
    solve_cholesky(factor, slope, step)
    predicted = 0.0
    for i in range(size):
        step[i] = -step[i]
        predicted += step[i] * (damping * step[i] - slope[i])
    return predicted


@inner
def linearise(jacobian: Matrix, residuals: Vector, normal: Matrix, slope: Vector) -> None:
    """Form the normal matrix and half the gradient."""
    gram(jacobian, normal)
    for i in range(slope.size):
        slope[i] = dot(jacobian[i], residuals)


@inner
def largest_diagonal(a: Matrix) -> float:
    """Return the largest diagonal entry."""
    result = 0.0
    for i in range(a.shape[0]):
        result = max(result, float(a[i, i]))
    return result


def levenberg_marquardt(
    residual_function: Kernel, problem: tuple[Any, ...], options: Vector, parameters: Vector
) -> tuple[int, int]:
    """Minimise the sum of squared residuals from parameters, in place; return iterations and stop code."""
    size, count = parameters.size, int(options[RESIDUAL_COUNT])
    residuals, new_residuals = np.empty(count), np.empty(count)
    jacobian = np.empty((size, count))
    normal, matrix, factor = np.empty((size, size)), np.empty((size, size)), np.empty((size, size))
    slope, step, point = np.empty(size), np.empty(size), np.empty(size)
    residual_function(parameters, problem, residuals, jacobian)
    value = dot(residuals, residuals)
    linearise(jacobian, residuals, normal, slope)
    damping, growth = FIRST_DAMPING * largest_diagonal(normal), 2.0
    for iteration in range(int(options[MAX_ITERATIONS])):
        norm = 2.0 * largest(slope)
        if not value < math.inf or not norm < math.inf:
            return iteration, NOT_FINITE
        if norm <= options[GRADIENT_TOLERANCE]:
            return iteration, CONVERGED
        predicted = damped_step(normal, slope, damping, matrix, factor, step)
        for i in range(size):
            point[i] = parameters[i] + step[i]
        residual_function(point, problem, new_residuals, jacobian)
        new_value = dot(new_residuals, new_residuals)
        gain = (value - new_value) / predicted
        if gain > 0.0:
            converged = gain > TRUSTED_GAIN and predicted <= options[DECREMENT_TOLERANCE] * value
            copy(point, parameters)
            residuals, new_residuals, value = new_residuals, residuals, new_value
            linearise(jacobian, residuals, normal, slope)
            damping *= max(1.0 / 3.0, 1.0 - (2.0 * gain - 1.0) ** 3)
            growth = 2.0
            if converged:
                return iteration + 1, CONVERGED
        else:
            damping *= growth
            growth *= 2.0
            if predicted <= PRECISION * value or not damping < LARGEST_DAMPING:
                return iteration + 1, STALLED
    return int(options[MAX_ITERATIONS]), ITERATION_LIMIT
