"""What every training method is given and gives back."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64

Rows = Float64[np.ndarray, "restart parameter"]
"""Parameters of each restart, flattened in the order W1, b1, W2, …"""

Counts = Int64[np.ndarray, " restart"]
"""Iterations or stop codes of each restart."""

Advance = Callable[[int], None]
"""Is told the number of restarts just finished."""

Minimiser = Callable[[Rows, Advance], tuple[Counts, Counts]]
"""Trains each row in place; returns iterations and stop codes."""


@dataclass(frozen=True)
class Settings:
    """When a method stops, how far it steps, and how many threads share the restarts."""

    max_iterations: int
    gradient_tolerance: float
    decrement_tolerance: float
    learning_rate: float
    threads: int
