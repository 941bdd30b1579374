"""Compiled vector and matrix arithmetic without threads, so that results do not depend on their number.

BLAS may share one product between threads and then rounds differently; these loops never do. Vectors and rows are
`aligned`: whole lanes, with zeros behind their own entries. Loops also stand in for NumPy's array expressions and
slice assignments, which take numba seconds to compile.
"""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np
from numba import njit
from numpy.typing import NDArray

from mlpreport.training.kernels_lanes import (
    add_sums_of,
    first,
    larger,
    largest_of,
    load,
    multiply_add,
    spread,
    store,
    sum_of,
)
from mlpreport.training.kernels_memory import LANES, aligned_zeros

Kernel = Callable[..., Any]
F = TypeVar("F", bound=Kernel)
Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]
Counts = NDArray[np.int64]
Flags = NDArray[np.uint8]


def inner(function: F) -> F:
    """Mark a function that compiled code calls; it is compiled with its caller."""
    return cast("F", njit(nogil=True, error_model="numpy", forceinline=True)(function))


aligned = inner(aligned_zeros)


@inner
def dot(a: Vector, b: Vector) -> float:
    """Return the inner product of two aligned vectors."""
    total = spread(0.0)
    for k in range(0, a.size, LANES):
        total = multiply_add(load(a, k), load(b, k), total)
    result: float = sum_of(total)
    return result


@inner
def row_product(a: Vector, b: Vector, count: int) -> float:
    """Return the inner product of the first entries of two aligned rows, whatever is behind them."""
    total, whole = spread(0.0), count // LANES * LANES
    for k in range(0, whole, LANES):
        total = multiply_add(load(a, k), load(b, k), total)
    for k in range(whole, count, LANES):
        total = multiply_add(first(count - k, load(a, k)), first(count - k, load(b, k)), total)
    result: float = sum_of(total)
    return result


@inner
def row_total(a: Vector, count: int) -> float:
    """Return the sum of the first entries of an aligned row, whatever is behind them."""
    total, one, whole = spread(0.0), spread(1.0), count // LANES * LANES
    for k in range(0, whole, LANES):
        total = multiply_add(load(a, k), one, total)
    for k in range(whole, count, LANES):
        total = multiply_add(first(count - k, load(a, k)), one, total)
    result: float = sum_of(total)
    return result


@inner
def copy(source: Vector, target: Vector) -> None:
    """Set target = source, both aligned."""
    for k in range(0, target.size, LANES):
        store(target, k, load(source, k))


@inner
def add_multiple(a: Vector, factor: float, b: Vector, result: Vector) -> None:
    """Set result = a + factor · b, all aligned."""
    multiple = spread(factor)
    for k in range(0, result.size, LANES):
        store(result, k, multiply_add(multiple, load(b, k), load(a, k)))


@inner
def largest(a: Vector) -> float:
    """Return the largest absolute entry of an aligned vector, NaN if any entry is NaN."""
    sizes = spread(0.0)
    for k in range(0, a.size, LANES):
        sizes = larger(sizes, load(a, k))
    result: float = largest_of(sizes)
    return result


@inner
def add_gram(rows: Matrix, count: int, result: Matrix) -> None:
    """Add the inner products of the first `count` rows to the upper triangle of the result.

    Four rows and two columns at a time, which uses every entry loaded several times; the last block may reach into
    rows behind, which are zeros, and below the diagonal.
    """
    for i in range(0, count, 4):
        a, b, c, d = rows[i], rows[i + 1], rows[i + 2], rows[i + 3]
        for j in range(0, i + 4, 2):
            e, f = rows[j], rows[j + 1]
            ae = be = ce = de = af = bf = cf = df = spread(0.0)
            for k in range(0, a.size, LANES):
                x, y, left, right = load(a, k), load(b, k), load(e, k), load(f, k)
                ae, af = multiply_add(x, left, ae), multiply_add(x, right, af)
                be, bf = multiply_add(y, left, be), multiply_add(y, right, bf)
                x, y = load(c, k), load(d, k)
                ce, cf = multiply_add(x, left, ce), multiply_add(x, right, cf)
                de, df = multiply_add(y, left, de), multiply_add(y, right, df)
            add_sums_of(result[j], i, ae, be, ce, de)
            add_sums_of(result[j + 1], i, af, bf, cf, df)
