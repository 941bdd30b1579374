"""How the vectors of kernels lie in memory; without numba, so that callers make them before they compile."""

import numpy as np
from numpy.typing import NDArray

LANES = 8
"""Numbers in a vector, and in a cache line."""


def aligned_zeros(rows: int, size: int) -> NDArray[np.float64]:
    """Return a matrix of zeros whose rows hold `size` entries, are whole lanes, and start where a cache line does."""
    width = (size + LANES - 1) // LANES * LANES
    memory = np.zeros(rows * width + LANES)
    skipped = -(memory.ctypes.data // 8) % LANES
    return memory[skipped : skipped + rows * width].reshape((rows, width))
