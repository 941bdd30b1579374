"""Compiled vector and matrix arithmetic without threads, so that results do not depend on their number.

BLAS may share one product between threads and then rounds differently; these loops never do.
"""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np
from numba import njit
from numpy.typing import NDArray

Kernel = Callable[..., Any]
F = TypeVar("F", bound=Kernel)
Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]
Counts = NDArray[np.int64]
Flags = NDArray[np.uint8]


def inner(function: F) -> F:
    """Mark a function that compiled code calls; it is compiled with its caller."""
    return cast("F", njit(nogil=True, error_model="numpy")(function))


def reduction(function: F) -> F:
    """Mark a sum without stores: only there may additions be reordered and still never depend on memory layout."""
    return cast("F", njit(nogil=True, error_model="numpy", fastmath={"reassoc", "contract"})(function))


@reduction
def dot(a: Vector, b: Vector) -> float:
    """Return the inner product of two vectors."""
    total = 0.0
    for i in range(a.size):
        total += a[i] * b[i]
    return total


@reduction
def total(a: Vector) -> float:
    """Return the sum of a vector."""
    result = 0.0
    for i in range(a.size):
        result += a[i]
    return result


@inner
def largest(a: Vector) -> float:
    """Return the largest absolute entry, NaN if any entry is NaN."""
    result = 0.0
    for i in range(a.size):
        size = abs(a[i])
        if not size <= result:
            result = size
    return result


@inner
def cholesky(a: Matrix, factor: Matrix) -> bool:
    """Write the lower Cholesky factor of a into factor; return whether a is numerically positive definite."""
    for i in range(a.shape[0]):
        for j in range(i):
            factor[i, j] = (a[i, j] - dot(factor[i, :j], factor[j, :j])) / factor[j, j]
        pivot = a[i, i] - dot(factor[i, :i], factor[i, :i])
        if not 0.0 < pivot < np.inf:
            return False
        factor[i, i] = np.sqrt(pivot)
    return True


@inner
def solve_cholesky(factor: Matrix, right: Vector, solution: Vector) -> None:
    """Solve (factor factorᵀ) solution = right."""
    size = right.size
    for i in range(size):
        solution[i] = (right[i] - dot(factor[i, :i], solution[:i])) / factor[i, i]
    for i in range(size - 1, -1, -1):
        value = solution[i] / factor[i, i]
        solution[i] = value
        for j in range(i):
            solution[j] -= factor[i, j] * value
