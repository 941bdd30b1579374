"""Compiled BFGS: inverse-Hessian update in O(P²) and a strong-Wolfe line search, for any compiled objective.

Nocedal and Wright, Numerical Optimization (2006), algorithms 3.5, 3.6 and 6.1, with SciPy's constants, first
steps and stopping rule, so that it follows the report's optimiser.
"""

import math
from typing import Any

import numpy as np

from mlpreport.training.kernels_lanes import load, multiply_add, spread, store, sums_of
from mlpreport.training.kernels_linear import (
    Kernel,
    Matrix,
    Vector,
    add_multiple,
    aligned,
    copy,
    dot,
    inner,
    largest,
)
from mlpreport.training.kernels_memory import LANES
from mlpreport.training.stopping import (
    CONVERGED,
    DECREMENT_TOLERANCE,
    GRADIENT_TOLERANCE,
    ITERATION_LIMIT,
    MAX_ITERATIONS,
    NOT_FINITE,
    STALLED,
)

SUFFICIENT_DECREASE = 1e-4
CURVATURE = 0.9
EVALUATIONS = 40


@inner
def cubic_minimiser(
    a: float, value_a: float, slope_a: float, b: float, value_b: float, slope_b: float
) -> float:
    """Return the minimiser of the cubic through two points with slopes; NaN if there is none."""
    d1 = slope_a + slope_b - 3.0 * (value_a - value_b) / (a - b)
    d2 = math.copysign(math.sqrt(d1 * d1 - slope_a * slope_b), b - a)
    return b - (b - a) * (slope_b + d2 - d1) / (slope_b - slope_a + 2.0 * d2)


@inner
def next_trial(
    low: float, low_value: float, low_slope: float, high: float, high_value: float, high_slope: float
) -> float:
    """Return a step between two ends of a bracket: the cubic's minimiser, kept off the ends, or the middle."""
    trial = cubic_minimiser(low, low_value, low_slope, high, high_value, high_slope)
    left, right = min(low, high), max(low, high)
    margin = 0.1 * (right - left)
    if left + margin <= trial <= right - margin:
        return trial
    return 0.5 * (left + right)


@inner
def line_search(
    objective: Kernel,
    problem: tuple[Any, ...],
    start: Vector,
    direction: Vector,
    value: float,
    slope: float,
    step: float,
    point: Vector,
    gradient: Vector,
) -> tuple[float, float]:
    """Find a step with the strong Wolfe conditions; return it, or 0, with the value; fills point and gradient."""
    low, low_value, low_slope = 0.0, value, slope
    if not slope < 0.0:
        return 0.0, value
    high, high_value, high_slope = math.inf, value, slope
    for _ in range(EVALUATIONS):
        add_multiple(start, step, direction, point)
        trial_value = objective(point, problem, gradient)
        trial_slope = dot(gradient, direction)
        # Written so that NaN counts as too high.
        sufficient = trial_value <= value + SUFFICIENT_DECREASE * step * slope
        if not sufficient or not trial_value < low_value:
            high, high_value, high_slope = step, trial_value, trial_slope
        elif abs(trial_slope) <= -CURVATURE * slope:
            return step, trial_value
        else:
            if trial_slope * (high - low) >= 0.0:
                high, high_value, high_slope = low, low_value, low_slope
            low, low_value, low_slope = step, trial_value, trial_slope
        if high == math.inf:
            step *= 2.0
        else:
            step = next_trial(low, low_value, low_slope, high, high_value, high_slope)
            if abs(high - low) * largest(direction) <= 1e-16 * largest(start):
                break
    return 0.0, value


@inner
def identity(size: int) -> Matrix:
    """Return the identity matrix, with an even number of rows."""
    result = aligned(size + size % 2, size)
    for i in range(size):
        result[i, i] = 1.0
    return result


@inner
def update_and_apply(
    inverse: Matrix,
    step: Vector,
    image: Vector,
    factors: Vector,
    change: Vector,
    gradient: Vector,
    applied: Matrix,
) -> None:
    """Carry out the last update, and apply the inverse Hessian to two vectors, in one pass over pairs of its rows.

    The update adds factors[0] · step stepᵀ - factors[1] · (step imageᵀ + image stepᵀ).
    """
    for i in range(0, inverse.shape[0], 2):
        a, b = inverse[i], inverse[i + 1]
        a_step = spread(factors[0] * step[i] - factors[1] * image[i])
        b_step = spread(factors[0] * step[i + 1] - factors[1] * image[i + 1])
        a_image, b_image = spread(-factors[1] * step[i]), spread(-factors[1] * step[i + 1])
        ac = ag = bc = bg = spread(0.0)
        for k in range(0, a.size, LANES):
            s, m, c, g = load(step, k), load(image, k), load(change, k), load(gradient, k)
            x = multiply_add(a_step, s, multiply_add(a_image, m, load(a, k)))
            y = multiply_add(b_step, s, multiply_add(b_image, m, load(b, k)))
            store(a, k, x)
            store(b, k, y)
            ac, ag = multiply_add(x, c, ac), multiply_add(x, g, ag)
            bc, bg = multiply_add(y, c, bc), multiply_add(y, g, bg)
        applied[0, i], applied[0, i + 1], applied[1, i], applied[1, i + 1] = sums_of(ac, bc, ag, bg)


@inner
def next_direction(
    step: Vector, gradient: Vector, change: Vector, applied: Matrix, factors: Vector, direction: Vector
) -> None:
    """Note the BFGS update of the inverse Hessian, and set direction = -(updated inverse Hessian) gradient."""
    image = applied[0]
    curvature = dot(step, change)
    factors[0] = (1.0 + dot(change, image) / curvature) / curvature
    factors[1] = 1.0 / curvature
    along, across = dot(step, gradient), dot(image, gradient)
    add_multiple(applied[1], factors[0] * along - factors[1] * across, step, direction)
    add_multiple(direction, -factors[1] * along, image, direction)
    negate(direction, direction)


@inner
def first_trial(change: float, slope: float) -> float:
    """Return the step that would repeat the last change of the objective, at most 1, as SciPy does."""
    trial = 2.02 * change / slope
    return trial if 0.0 < trial < 1.0 else 1.0


@inner
def negate(source: Vector, target: Vector) -> None:
    """Set target = -source, both aligned."""
    for k in range(0, target.size, LANES):
        store(target, k, multiply_add(spread(-1.0), load(source, k), spread(0.0)))


@inner
def descend(
    objective: Kernel, problem: tuple[Any, ...], options: Vector, size: int, current: Vector
) -> tuple[int, int]:
    """Minimise from an aligned vector, in place; return the number of iterations and the stop code."""
    inverse, vectors, applied = identity(size), aligned(7, size), aligned(2, size)
    direction, point, gradient, new_gradient = vectors[0], vectors[1], vectors[2], vectors[3]
    step, image, change = vectors[4], vectors[5], vectors[6]
    factors = np.zeros(2)
    value = objective(current, problem, gradient)
    negate(gradient, direction)
    rise = -0.5 * math.sqrt(dot(gradient, gradient))
    for iteration in range(int(options[MAX_ITERATIONS])):
        norm = largest(gradient)
        if not norm < math.inf or not abs(value) < math.inf:
            return iteration, NOT_FINITE
        if norm <= options[GRADIENT_TOLERANCE]:
            return iteration, CONVERGED
        slope = dot(gradient, direction)
        if 0.0 < -0.5 * slope <= options[DECREMENT_TOLERANCE] * value:
            return iteration, CONVERGED
        trial = first_trial(rise, slope)
        length, new_value = line_search(
            objective, problem, current, direction, value, slope, trial, point, new_gradient
        )
        if length == 0.0:
            return iteration, STALLED
        # The pass over the matrix still carries out the update before this one.
        add_multiple(new_gradient, -1.0, gradient, change)
        copy(applied[0], image)
        update_and_apply(inverse, step, image, factors, change, new_gradient, applied)
        add_multiple(point, -1.0, current, step)
        next_direction(step, new_gradient, change, applied, factors, direction)
        copy(point, current)
        gradient, new_gradient = new_gradient, gradient
        rise, value = new_value - value, new_value
    return int(options[MAX_ITERATIONS]), ITERATION_LIMIT


def bfgs(objective: Kernel, problem: tuple[Any, ...], options: Vector, parameters: Vector) -> tuple[int, int]:
    """Minimise from parameters, in place; return the number of iterations and the stop code."""
    current = aligned(1, parameters.size)[0]
    for i in range(parameters.size):
        current[i] = parameters[i]
    result = descend(objective, problem, options, parameters.size, current)
    for i in range(parameters.size):
        parameters[i] = current[i]
    return result
