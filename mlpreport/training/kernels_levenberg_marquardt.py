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
    STALLED,
)

FIRST_DAMPING = 1e-2
"""The first damping, as a factor of the largest diagonal entry of the normal matrix."""
DECAY = 1.0 / 3.0
LARGEST_DAMPING = 1e20
TRUSTED_GAIN = 0.25
PRECISION = 2.0**-52


@inner
def add_gram(jacobian: Matrix, result: Matrix) -> None:
    """Add jacobian jacobianᵀ to the lower triangle of the result."""
    size = jacobian.shape[0]
    for i in range(0, size - 1, 2):
        a, b = jacobian[i], jacobian[i + 1]
        for j in range(0, i + 1, 2):
            ac, ad, bc, bd = dot_2_by_2(a, b, jacobian[j], jacobian[j + 1])
            result[i, j] += ac
            result[i, j + 1] += ad
            result[i + 1, j] += bc
            result[i + 1, j + 1] += bd
    if size % 2:
        for j in range(size):
            result[size - 1, j] += dot(jacobian[size - 1], jacobian[j])


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
def linearise(
    parameters: Vector, penalty: float, residuals: Matrix, jacobians: Any, normal: Matrix, slope: Vector
) -> None:
    """Form the normal matrix and half the gradient, the penalty's part included."""
    for i in range(slope.size):
        for j in range(slope.size):
            normal[i, j] = 0.0
        normal[i, i] = penalty
        slope[i] = penalty * parameters[i]
    for output in range(residuals.shape[0]):
        add_gram(jacobians[output], normal)
        for i in range(slope.size):
            slope[i] += dot(jacobians[output, i], residuals[output])


@inner
def objective(parameters: Vector, penalty: float, residuals: Matrix) -> float:
    """Return the sum of the squared residuals and the penalty."""
    value = penalty * dot(parameters, parameters)
    for output in range(residuals.shape[0]):
        value += dot(residuals[output], residuals[output])
    return value


@inner
def largest_diagonal(a: Matrix) -> float:
    """Return the largest diagonal entry."""
    result = 0.0
    for i in range(a.shape[0]):
        result = max(result, float(a[i, i]))
    return result


@inner
def add(a: Vector, b: Vector, result: Vector) -> None:
    """Set result = a + b."""
    for i in range(result.size):
        result[i] = a[i] + b[i]


def levenberg_marquardt(
    residual_function: Kernel, problem: tuple[Any, ...], options: Vector, parameters: Vector
) -> tuple[int, int]:
    """Minimise the sum of squared residuals from parameters, in place; return iterations and stop code."""
    _, _, targets, penalty, _ = problem
    size = parameters.size
    residuals, new_residuals = np.empty(targets.shape), np.empty(targets.shape)
    jacobians = np.empty((targets.shape[0], size, targets.shape[1]))
    normal, matrix, factor = np.zeros((size, size)), np.empty((size, size)), np.empty((size, size))
    slope, step, point = np.empty(size), np.empty(size), np.empty(size)
    residual_function(parameters, problem, residuals, jacobians)
    value = objective(parameters, penalty, residuals)
    linearise(parameters, penalty, residuals, jacobians, normal, slope)
    damping, growth = FIRST_DAMPING * largest_diagonal(normal), 2.0
    for iteration in range(int(options[MAX_ITERATIONS])):
        norm = 2.0 * largest(slope)
        if not value < math.inf or not norm < math.inf:
            return iteration, NOT_FINITE
        if norm <= options[GRADIENT_TOLERANCE]:
            return iteration, CONVERGED
        predicted = damped_step(normal, slope, damping, matrix, factor, step)
        add(parameters, step, point)
        residual_function(point, problem, new_residuals, jacobians)
        new_value = objective(point, penalty, new_residuals)
        gain = (value - new_value) / predicted
        if gain > 0.0:
            converged = gain > TRUSTED_GAIN and predicted <= options[DECREMENT_TOLERANCE] * value
            copy(point, parameters)
            residuals, new_residuals, value = new_residuals, residuals, new_value
            linearise(parameters, penalty, residuals, jacobians, normal, slope)
            damping *= max(DECAY, 1.0 - (2.0 * gain - 1.0) ** 3)
            growth = 2.0
            if converged:
                return iteration + 1, CONVERGED
        else:
            damping *= growth
            growth *= 2.0
            if predicted <= PRECISION * value or not damping < LARGEST_DAMPING:
                return iteration + 1, STALLED
    return int(options[MAX_ITERATIONS]), ITERATION_LIMIT
