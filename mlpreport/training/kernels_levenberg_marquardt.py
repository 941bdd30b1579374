"""Compiled Levenberg-Marquardt: damping by the gain ratio, for any compiled residuals with their Jacobian.

Madsen, Nielsen and Tingleff, Methods for Non-Linear Least Squares Problems (2004), algorithm 3.16. Levenberg's
identity is the damping matrix: scaling by the diagonal, as Marquardt and MINPACK do, lets units saturate in the
first steps, and most restarts then end in poor optima.
"""

import math
from typing import Any

import numpy as np

from mlpreport.training.kernels_lanes import load, spread, store
from mlpreport.training.kernels_linear import (
    Kernel,
    Matrix,
    Vector,
    add_gram,
    aligned,
    dot,
    inner,
)
from mlpreport.training.kernels_memory import LANES
from mlpreport.training.kernels_systems import eliminate, substitute
from mlpreport.training.stopping import (
    CONVERGED,
    DECREMENT_TOLERANCE,
    FIRST_DAMPING,
    GRADIENT_TOLERANCE,
    ITERATION_LIMIT,
    MAX_ITERATIONS,
    NOT_FINITE,
    STALLED,
)

DECAY = 1.0 / 3.0
LARGEST_DAMPING = 1e20
TRUSTED_GAIN = 0.25
PRECISION = 2.0**-52


@inner
def linearise(parameters: Vector, penalty: float, systems: Any, normal: Matrix) -> None:
    """Form the normal matrix, and half the gradient in the column behind it, the penalty's part included."""
    size = parameters.size
    for i in range(size + 1):
        for k in range(i // LANES * LANES, normal.shape[1], LANES):
            store(normal[i], k, spread(0.0))
    for i in range(size):
        normal[i, i] = penalty
        normal[i, size] = penalty * parameters[i]
    for output in range(systems.shape[0]):
        add_gram(systems[output], size + 1, normal)


@inner
def objective(parameters: Vector, penalty: float, systems: Any) -> float:
    """Return the sum of the squared residuals and the penalty."""
    value = 0.0
    if penalty > 0.0:
        for i in range(parameters.size):
            value += penalty * parameters[i] ** 2
    for output in range(systems.shape[0]):
        residuals = systems[output, parameters.size]
        value += dot(residuals, residuals)
    return value


@inner
def damp(normal: Matrix, size: int, damping: float, matrix: Matrix) -> None:
    """Set the upper triangle, and the column and row behind it, of matrix = normal + damping · I."""
    for i in range(size + 1):
        for k in range(i // LANES * LANES, normal.shape[1], LANES):
            store(matrix[i], k, load(normal[i], k))
        matrix[i, i] += damping


@inner
def take_step(
    normal: Matrix,
    damping: float,
    parameters: Vector,
    matrix: Matrix,
    inverses: Vector,
    descent: Vector,
    point: Vector,
) -> tuple[float, float]:
    """Solve (normal + damping · I) descent = half the gradient, and set point = parameters - descent.

    Return the decreases that the linearised residuals predict for this step, and for the best one in its direction,
    which does not become small by damping; NaN if the system is singular, and then the step is the last one.
    """
    size, predicted, damped = parameters.size, math.nan, math.nan
    damp(normal, size, damping, matrix)
    if eliminate(matrix, size, inverses):
        substitute(matrix, size, inverses, descent)
        predicted, damped = 0.0, 0.0
        for i in range(size):
            predicted += descent[i] * (damping * descent[i] + normal[i, size])
            damped += damping * descent[i] ** 2
    for i in range(size):
        point[i] = parameters[i] - descent[i]
    return predicted, (predicted - damped) ** 2 / (predicted - 2.0 * damped)


@inner
def largest_slope(normal: Matrix, size: int) -> float:
    """Return the largest absolute entry of the gradient; NaN if one is NaN."""
    result = 0.0
    for i in range(size):
        slope = 2.0 * abs(normal[i, size])
        if slope > result or math.isnan(slope):
            result = slope
    return result


@inner
def largest_diagonal(a: Matrix, size: int) -> float:
    """Return the largest diagonal entry."""
    result = 0.0
    for i in range(size):
        result = max(result, float(a[i, i]))
    return result


def levenberg_marquardt(
    residual_function: Kernel, problem: tuple[Any, ...], options: Vector, parameters: Vector
) -> tuple[int, int]:
    """Minimise the sum of squared residuals from parameters, in place; return iterations and stop code."""
    _, _, _, targets, penalty, _, _ = problem
    size, outputs = parameters.size, targets.shape[0]
    normal, matrix = aligned(size + 4, size + 1), aligned(size + 4, size + 1)
    systems = aligned(outputs * (size + 4), targets.shape[1]).reshape((outputs, size + 4, targets.shape[1]))
    inverses, descent, point = np.empty(size), np.zeros(size), np.empty(size)
    residual_function(parameters, problem, systems)
    value = objective(parameters, penalty, systems)
    linearise(parameters, penalty, systems, normal)
    damping, growth = options[FIRST_DAMPING] * largest_diagonal(normal, size), 2.0
    for iteration in range(int(options[MAX_ITERATIONS])):
        norm = largest_slope(normal, size)
        if not value < math.inf or not norm < math.inf:
            return iteration, NOT_FINITE
        if norm <= options[GRADIENT_TOLERANCE]:
            return iteration, CONVERGED
        predicted, possible = take_step(normal, damping, parameters, matrix, inverses, descent, point)
        residual_function(point, problem, systems)
        new_value = objective(point, penalty, systems)
        gain = (value - new_value) / predicted
        if gain > 0.0:
            converged = gain > TRUSTED_GAIN and possible <= options[DECREMENT_TOLERANCE] * value
            for i in range(size):
                parameters[i] = point[i]
            value = new_value
            linearise(parameters, penalty, systems, normal)
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
