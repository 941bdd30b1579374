"""Compiled solution of symmetric systems: Cholesky's square-root-free factors, four rows and four unknowns at a time.

Small systems are short chains, in which every pivot waits for the one before. So the pivots of four rows are found in
numbers first, and each vector loaded is then used several times.
"""

import math
from typing import Any

from mlpreport.training.kernels_lanes import load, multiply_add, spread, store
from mlpreport.training.kernels_linear import Matrix, Vector, inner
from mlpreport.training.kernels_memory import LANES

Four = tuple[Any, Any, Any, Any]


@inner
def eliminate(matrix: Matrix, size: int, inverses: Vector) -> bool:
    """Eliminate below the diagonal of a symmetric matrix, given by its upper triangle and further columns.

    The rows become those of D Lᵀ in the factors L D Lᵀ, and `inverses` the reciprocals of D; further columns, such as
    the right-hand side of a system, are eliminated with the others. The matrix needs three rows more, which are
    overwritten. Return whether it is numerically positive definite.
    """
    whole = size // 4 * 4
    for start in range(0, whole, 4):
        if not eliminate_among_four(matrix, start, inverses):
            return False
        for row in range(start + 4, size, 4):
            eliminate_below_four(matrix, start, inverses, row)
    for row in range(whole, size):
        for above in range(whole, row):
            subtract_multiple(matrix[row], matrix[above, row] * inverses[above], matrix[above], row)
        if not is_pivot(matrix[row, row]):
            return False
        inverses[row] = 1.0 / matrix[row, row]
    return True


@inner
def is_pivot(value: float) -> bool:
    """Return whether a number is positive and finite."""
    return 0.0 < value < math.inf


@inner
def subtract_multiple(row: Vector, multiple: float, other: Vector, start: int) -> None:
    """Subtract a multiple of another row from a row, from the vector on that holds entry `start`."""
    factor = spread(-multiple)
    for k in range(start // LANES * LANES, row.size, LANES):
        store(row, k, multiply_add(factor, load(other, k), load(row, k)))


@inner
def eliminate_among_four(matrix: Matrix, start: int, inverses: Vector) -> bool:
    """Eliminate below the diagonal among four rows; return whether their pivots are positive and finite."""
    second, third, fourth = start + 1, start + 2, start + 3
    a, b, c, d = matrix[start], matrix[second], matrix[third], matrix[fourth]
    by_a = 1.0 / a[start]
    ab, ac, ad = a[second] * by_a, a[third] * by_a, a[fourth] * by_a
    bb, bc, bd = b[second] - ab * a[second], b[third] - ab * a[third], b[fourth] - ab * a[fourth]
    by_b = 1.0 / bb
    cb, db = bc * by_b, bd * by_b
    cc, cd = c[third] - ac * a[third] - cb * bc, c[fourth] - ac * a[fourth] - cb * bd
    by_c = 1.0 / cc
    dc = cd * by_c
    dd = d[fourth] - ad * a[fourth] - db * bd - dc * cd
    inverses[start], inverses[second], inverses[third], inverses[fourth] = by_a, by_b, by_c, 1.0 / dd
    for k in range(start // LANES * LANES, a.size, LANES):
        w = load(a, k)
        x = multiply_add(spread(-ab), w, load(b, k))
        y = multiply_add(spread(-cb), x, multiply_add(spread(-ac), w, load(c, k)))
        z = multiply_add(spread(-db), x, multiply_add(spread(-ad), w, load(d, k)))
        store(b, k, x)
        store(c, k, y)
        store(d, k, multiply_add(spread(-dc), y, z))
    return is_pivot(a[start]) and is_pivot(bb) and is_pivot(cc) and is_pivot(dd)


@inner
def eliminate_below_four(matrix: Matrix, start: int, inverses: Vector, row: int) -> None:
    """Eliminate with four rows in four rows below them."""
    a, b, c, d = matrix[start], matrix[start + 1], matrix[start + 2], matrix[start + 3]
    e, f, g, h = matrix[row], matrix[row + 1], matrix[row + 2], matrix[row + 3]
    by = -inverses[start], -inverses[start + 1], -inverses[start + 2], -inverses[start + 3]
    to_e, to_f = multiples(matrix, start, by, row), multiples(matrix, start, by, row + 1)
    to_g, to_h = multiples(matrix, start, by, row + 2), multiples(matrix, start, by, row + 3)
    for k in range(row // LANES * LANES, a.size, LANES):
        vectors = load(a, k), load(b, k), load(c, k), load(d, k)
        add_multiples(e, k, to_e, vectors)
        add_multiples(f, k, to_f, vectors)
        add_multiples(g, k, to_g, vectors)
        add_multiples(h, k, to_h, vectors)


@inner
def multiples(matrix: Matrix, start: int, by: Four, row: int) -> Four:
    """Return how often each of four rows is to be added to a row below, in all lanes."""
    return (
        spread(matrix[start, row] * by[0]),
        spread(matrix[start + 1, row] * by[1]),
        spread(matrix[start + 2, row] * by[2]),
        spread(matrix[start + 3, row] * by[3]),
    )


@inner
def add_multiples(row: Vector, k: int, by: Four, vectors: Four) -> None:
    """Add multiples of four vectors to the vector of a row at k."""
    (a, b, c, d), (w, x, y, z) = by, vectors
    store(
        row, k, multiply_add(d, z, multiply_add(c, y, multiply_add(b, x, multiply_add(a, w, load(row, k)))))
    )


@inner
def substitute(matrix: Matrix, size: int, inverses: Vector, solution: Vector) -> None:
    """Solve the eliminated system whose right-hand side is column `size`."""
    for i in range(size):
        solution[i] = matrix[i, size]
    whole = size // 4 * 4
    for j in range(size - 1, whole - 1, -1):
        solution[j] *= inverses[j]
        for i in range(j):
            solution[i] -= matrix[i, j] * solution[j]
    for start in range(whole - 4, -1, -4):
        second, third, fourth = start + 1, start + 2, start + 3
        a, b, c = matrix[start], matrix[second], matrix[third]
        z = solution[fourth] * inverses[fourth]
        y = (solution[third] - c[fourth] * z) * inverses[third]
        x = (solution[second] - b[fourth] * z - b[third] * y) * inverses[second]
        w = (solution[start] - a[fourth] * z - a[third] * y - a[second] * x) * inverses[start]
        solution[start], solution[second], solution[third], solution[fourth] = w, x, y, z
        for i in range(start):
            row = matrix[i]
            solution[i] -= row[start] * w + row[second] * x + (row[third] * y + row[fourth] * z)
