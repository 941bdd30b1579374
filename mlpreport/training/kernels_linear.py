"""Compiled vector and matrix arithmetic without threads, so that results do not depend on their number.

BLAS may share one product between threads and then rounds differently; these loops never do. Loops also stand in
for NumPy's array expressions and slice assignments, which take numba seconds to compile.
"""

import math
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
def copy(source: Vector, target: Vector) -> None:
    """Set target = source."""
    for i in range(target.size):
        target[i] = source[i]


@inner
def fill(target: Vector, value: float) -> None:
    """Set every entry of target to value."""
    for i in range(target.size):
        target[i] = value


@inner
def largest(a: Vector) -> float:
    """Return the largest absolute entry, NaN if any entry is NaN."""
    result = 0.0
    for i in range(a.size):
        size = abs(a[i])
        if size > result or math.isnan(size):
            result = size
    return result


@reduction
def two_dots(row: Vector, a: Vector, b: Vector) -> tuple[float, float]:
    """Return the inner products of a row with two vectors."""
    first = second = 0.0
    for i in range(row.size):
        first += row[i] * a[i]
        second += row[i] * b[i]
    return first, second


@reduction
def dot_2_by_2(a: Vector, b: Vector, c: Vector, d: Vector) -> tuple[float, float, float, float]:
    """Return the inner products ac, ad, bc, bd of four vectors, each loaded once."""
    ac = ad = bc = bd = 0.0
    for i in range(a.size):
        ac += a[i] * c[i]
        ad += a[i] * d[i]
        bc += b[i] * c[i]
        bd += b[i] * d[i]
    return ac, ad, bc, bd


@inner
def finish_row(a: Matrix, factor: Matrix, row: int, start: int) -> bool:
    """Compute the entries of one row of a Cholesky factor from column start; return whether the pivot is positive."""
    for j in range(start, row):
        factor[row, j] = (a[row, j] - dot(factor[row, :j], factor[j, :j])) / factor[j, j]
    pivot = a[row, row] - dot(factor[row, :row], factor[row, :row])
    if not 0.0 < pivot < math.inf:
        return False
    factor[row, row] = math.sqrt(pivot)
    return True


@inner
def cholesky(a: Matrix, factor: Matrix) -> bool:
    """Write the lower Cholesky factor of a into factor; return whether a is numerically positive definite.

    Two rows and two columns at a time.
    """
    size = a.shape[0]
    for i in range(0, size - 1, 2):
        for j in range(0, i, 2):
            ac, ad, bc, bd = dot_2_by_2(factor[i, :j], factor[i + 1, :j], factor[j, :j], factor[j + 1, :j])
            left, corner, right = factor[j, j], factor[j + 1, j], factor[j + 1, j + 1]
            factor[i, j] = (a[i, j] - ac) / left
            factor[i, j + 1] = (a[i, j + 1] - ad - factor[i, j] * corner) / right
            factor[i + 1, j] = (a[i + 1, j] - bc) / left
            factor[i + 1, j + 1] = (a[i + 1, j + 1] - bd - factor[i + 1, j] * corner) / right
        for k in range(i, i + 2):
            if not finish_row(a, factor, k, i):
                return False
    return size % 2 == 0 or finish_row(a, factor, size - 1, 0)


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
