"""Rules that callers must keep, checked once and said the same way everywhere."""

import sys
from collections.abc import Sequence

import numpy as np

from mlpreport.errors import InvalidInputError

POSITIVE = range(1, sys.maxsize)
NOT_NEGATIVE = range(sys.maxsize)


def checked_whole(name: str, value: object, allowed: range) -> int:
    """Return `value` as an int if it is a whole number (no bool, no float) in `allowed`, else raise."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or int(value) not in allowed:
        upper = "" if allowed.stop == sys.maxsize else f" and at most {allowed.stop - 1}"
        message = f"{name} = {value!r}: must be a whole number of at least {allowed.start}{upper}"
        raise InvalidInputError(message)
    return int(value)


def checked_sizes(sizes: object) -> tuple[int, ...]:
    """Return layer sizes (inputs, units of each hidden layer, outputs) as a tuple of int, else raise."""
    values = tuple(sizes) if isinstance(sizes, Sequence | np.ndarray) and not isinstance(sizes, str) else ()
    if len(values) < len(("inputs", "outputs")):
        message = (
            f"sizes = {sizes!r}: give the number of inputs, of units per hidden layer, of "
            "outputs, as in (1, 2, 1)"
        )
        raise InvalidInputError(message)
    return tuple(
        checked_whole(f"sizes = {sizes!r}: size {layer}", size, POSITIVE) for layer, size in enumerate(values)
    )
