"""Compiled loops over restarts: no Python between one restart and the next."""

from typing import Any

from mlpreport.training.kernels_linear import Counts, Flags, Kernel, Matrix, Vector, largest


def each_restart(
    method: Kernel,
    oracle: Kernel,
    problem: tuple[Any, ...],
    options: Vector,
    rows: Matrix,
    iterations: Counts,
    codes: Counts,
    cancelled: Flags,
) -> None:
    """Minimise from each row of parameters in place, unless cancelled; note its iterations and stop code."""
    for index in range(rows.shape[0]):
        if cancelled[0]:
            return
        iterations[index], codes[index] = method(oracle, problem, options, rows[index])


def evaluate(
    objective: Kernel,
    problem: tuple[Any, ...],
    rows: Matrix,
    gradient: Vector,
    values: Vector,
    gradient_norms: Vector,
) -> None:
    """Note the objective and the largest entry of its gradient, in an aligned vector, at each row of parameters."""
    for index in range(rows.shape[0]):
        values[index] = objective(rows[index], problem, gradient)
        gradient_norms[index] = largest(gradient)
