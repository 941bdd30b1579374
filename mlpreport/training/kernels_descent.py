"""Compiled first-order methods on the full gradient: gradient descent and Adam, for any compiled objective."""

import math
from typing import Any

import numpy as np

from mlpreport.training.kernels_linear import Kernel, Vector, aligned, largest
from mlpreport.training.stopping import (
    CONVERGED,
    GRADIENT_TOLERANCE,
    ITERATION_LIMIT,
    LEARNING_RATE,
    MAX_ITERATIONS,
    NOT_FINITE,
)

DECAY_MEAN, DECAY_SQUARE, EPSILON = 0.9, 0.999, 1e-8
"""Kingma and Ba's constants (Adam, 2015)."""


def gradient_descent(
    objective: Kernel, problem: tuple[Any, ...], options: Vector, parameters: Vector
) -> tuple[int, int]:
    """Follow the negative gradient from parameters, in place; return iterations and stop code."""
    iterations, gradient_tolerance, learning_rate = (
        int(options[MAX_ITERATIONS]),
        options[GRADIENT_TOLERANCE],
        options[LEARNING_RATE],
    )
    gradient = aligned(1, parameters.size)[0]
    for iteration in range(iterations):
        value = objective(parameters, problem, gradient)
        norm = largest(gradient)
        if not abs(value) < math.inf or not norm < math.inf:
            return iteration, NOT_FINITE
        if norm <= gradient_tolerance:
            return iteration, CONVERGED
        for i in range(parameters.size):
            parameters[i] -= learning_rate * gradient[i]
    return iterations, ITERATION_LIMIT


def adam(objective: Kernel, problem: tuple[Any, ...], options: Vector, parameters: Vector) -> tuple[int, int]:
    """Follow Adam's direction from parameters, in place; return iterations and stop code."""
    iterations, gradient_tolerance, learning_rate = (
        int(options[MAX_ITERATIONS]),
        options[GRADIENT_TOLERANCE],
        options[LEARNING_RATE],
    )
    gradient = aligned(1, parameters.size)[0]
    mean, square = np.zeros(parameters.size), np.zeros(parameters.size)
    for iteration in range(iterations):
        value = objective(parameters, problem, gradient)
        norm = largest(gradient)
        if not abs(value) < math.inf or not norm < math.inf:
            return iteration, NOT_FINITE
        if norm <= gradient_tolerance:
            return iteration, CONVERGED
        rate = learning_rate / (1.0 - DECAY_MEAN ** (iteration + 1))
        correction = 1.0 / (1.0 - DECAY_SQUARE ** (iteration + 1))
        for i in range(parameters.size):
            mean[i] += (1.0 - DECAY_MEAN) * (gradient[i] - mean[i])
            square[i] += (1.0 - DECAY_SQUARE) * (gradient[i] * gradient[i] - square[i])
            parameters[i] -= rate * mean[i] / (math.sqrt(correction * square[i]) + EPSILON)
    return iterations, ITERATION_LIMIT
