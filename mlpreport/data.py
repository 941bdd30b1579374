"""The report's data: a noisy sine, made again from its seed.

NumPy's legacy generator is used because the report used it: only `numpy.random.RandomState` gives its numbers.
"""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64
from numpy.random import RandomState

from mlpreport.checks import POSITIVE, checked_number, checked_whole
from mlpreport.errors import InvalidInputError

DOMAIN = (0.0, 4 * math.pi)
"""The interval on which x is evenly spaced."""


@dataclass(frozen=True, eq=False)
class Sample:
    """Points x with their targets y, float64 and read-only."""

    x: Float64[np.ndarray, "n inputs"]
    y: Float64[np.ndarray, "n outputs"]


@dataclass(frozen=True, eq=False)
class Dataset:
    """A training sample and a test sample drawn from the same source."""

    train: Sample
    test: Sample


def noisy_sine(*, train_size: int = 100, test_size: int = 123, noise: float = 0.1, seed: int = 1) -> Dataset:
    """Draw y = sin x + N(0, noise²) at evenly spaced x in [0, 4π]; the defaults are the report's data.

    Parameters
    ----------
    train_size
        Number of training points, at least 1.
    test_size
        Number of test points, at least 1; they continue the training sample's random stream.
    noise
        Standard deviation of the noise, at least 0.
    seed
        Seed of NumPy's legacy generator, 0 to 2**32 - 1.

    Returns
    -------
    Dataset
        `.train.x`, `.train.y`, `.test.x`, `.test.y`, each of shape (n, 1).

    Raises
    ------
    InvalidInputError
        If a size, the noise or the seed is out of range, or the noise so large that a target is not finite.
    """
    checked_whole("train_size", train_size, POSITIVE)
    checked_whole("test_size", test_size, POSITIVE)
    checked_whole("seed", seed, range(2**32))
    deviation = checked_number("noise", noise, example=0.1)
    stream = RandomState(seed)
    return Dataset(_draw(stream, train_size, deviation), _draw(stream, test_size, deviation))


def _draw(stream: RandomState, size: int, noise: float) -> Sample:
    x = np.linspace(*DOMAIN, size).reshape(size, 1)
    y = np.sin(x) + stream.normal(0.0, noise, size).reshape(size, 1)
    if not np.isfinite(y).all():
        message = f"noise = {noise!r}: targets would not be finite; give a smaller one, such as 0.1"
        raise InvalidInputError(message)
    x.setflags(write=False)
    y.setflags(write=False)
    return Sample(x, y)
