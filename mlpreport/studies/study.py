"""A Study: errors of many restarts of several Experiments, with where and how far their fits are off the sine."""

import hashlib
import json
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import numpy as np
from jaxtyping import Float64, Int64

from mlpreport.checks import checked_name, checked_number, checked_whole
from mlpreport.errors import InvalidInputError
from mlpreport.training.optima import wilson as wilson_interval

REMEDY = "make the study again with `python -m mlpreport.studies`"
FIELDS = ("losses", "test_losses", "places", "deviations")


@dataclass(frozen=True)
class Share:
    """So many of so many, with the Wilson interval of the probability behind it."""

    count: int
    of: int
    low: float
    high: float

    def __str__(self) -> str:
        """Write it as '99 of 100 (92 to 100 %)', with a decimal if so many were counted that it means something."""
        low, high = (f"{100 * bound:.{int(self.of >= 1000)}f}" for bound in (self.low, self.high))  # noqa: PLR2004
        words = f"{self.count} of {self.of}", f"({low} to {high} %)"
        return " ".join(part.replace(" ", "\N{NO-BREAK SPACE}") for part in words)


def wilson(count: int, of: int) -> Share:
    """Return a share with its 99 % Wilson interval."""
    return Share(count, of, *wilson_interval(count, of))


@dataclass(frozen=True, eq=False)
class Arm:
    """All restarts of one Experiment with one architecture.

    Parameters
    ----------
    name
        The Experiment's name.
    description
        The Experiment as plain numbers and text.
    losses, test_losses
        Mean squared errors on the training and the test points.
    places, deviations
        Where on the grid in [0, 4π] a fit is furthest from the true sine, and by how much.
    """

    name: str
    description: dict[str, Any]
    losses: Float64[np.ndarray, " restart"]
    test_losses: Float64[np.ndarray, " restart"]
    places: Float64[np.ndarray, " restart"]
    deviations: Float64[np.ndarray, " restart"]

    def best_of(self, size: int) -> Int64[np.ndarray, " set"]:
        """Return, for each disjoint set of `size` restarts in order, the index of its lowest training error.

        NaN, where training broke off, is no error, and the lowest only of a set that has no other.
        """
        checked_whole("size", size, range(1, len(self.losses) + 1))
        count = len(self.losses) // size
        sets = _or_infinite(self.losses[: count * size]).reshape(count, size)
        best: Int64[np.ndarray, " set"] = np.arange(count) * size + np.argmin(sets, axis=1)
        return best


@dataclass(frozen=True, eq=False)
class Study:
    """Arms with the data they were trained on and how they came about."""

    experiment: str
    data: str
    provenance: dict[str, str]
    arms: tuple[Arm, ...]

    def __getitem__(self, name: str) -> Arm:
        """Return the arm of that name."""
        arms = {arm.name: arm for arm in self.arms}
        return arms[checked_name("arm", name, arms)]

    def worse(self, name: str, than: str, *, factor: float, size: int = 10) -> Share:
        """Count the sets of restarts whose best network in training tests more than `factor` times worse.

        Set by set: the best of the n-th set of one arm against the best of the n-th set of the other. A test error of
        NaN is worse than every number.
        """
        factor = checked_number("factor", factor, example=10, positive=True)
        one, other = self._best_tests(name, than, size)
        return wilson(int(np.sum(one > factor * other)), len(one))

    def times(self, name: str, than: str, *, size: int = 10) -> float:
        """Return how many times worse the best network of a set tests than that of the other arm: the median.

        Sets are compared as by `worse`. Two test errors of NaN are equal.
        """
        one, other = self._best_tests(name, than, size)
        with np.errstate(invalid="ignore"):
            ratios = np.where(one == other, 1.0, one / other)
        return float(np.median(ratios))

    def _best_tests(self, name: str, than: str, size: int) -> tuple[np.ndarray, np.ndarray]:
        """Test errors of the best of each set of two arms, of as many sets as both have."""
        one, other = (_or_infinite(arm.test_losses[arm.best_of(size)]) for arm in (self[name], self[than]))
        count = min(len(one), len(other))
        return one[:count], other[:count]

    def digest(self) -> str:
        """Return the fingerprint of all numbers and descriptions."""
        text = json.dumps([_arm_to_json(arm) for arm in self.arms], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def to_json(self) -> str:
        """Write the study, with its fingerprint, as JSON text."""
        head = {"study": self.experiment, "data": self.data, "provenance": self.provenance}
        lines = [json.dumps(_arm_to_json(arm)) for arm in self.arms]
        text = json.dumps({**head, "digest": self.digest()}, indent=1)
        return text[:-2] + ',\n "arms": [\n' + ",\n".join(lines) + "\n]}\n"


def _or_infinite(values: Float64[np.ndarray, " restart"]) -> Float64[np.ndarray, " restart"]:
    return np.where(np.isnan(values), np.inf, values)


def _arm_to_json(arm: Arm) -> dict[str, Any]:
    numbers = {field: [float(f"{value:.5g}") for value in getattr(arm, field)] for field in FIELDS}
    return {"name": arm.name, "description": arm.description, **numbers}


def read_study(text: str) -> Study:
    """Read what `to_json` wrote.

    Raises
    ------
    InvalidInputError
        If the text is not a study, or a number in it was altered.
    """
    try:
        stored = json.loads(text)
        arms = tuple(
            Arm(arm["name"], arm["description"], *(np.array(arm[field], float) for field in FIELDS))
            for arm in stored["arms"]
        )
        study = Study(stored["study"], stored["data"], stored["provenance"], arms)
        kept = str(stored["digest"])
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        message = f"not a study ({error!r}); {REMEDY}"
        raise InvalidInputError(message) from error
    if study.digest() != kept:
        message = (
            f"the study has the fingerprint {study.digest()[:12]}, not {kept[:12]}: it was altered; {REMEDY}"
        )
        raise InvalidInputError(message)
    return study


def load_study() -> Study:
    """Load the study of width that comes with the package."""
    return read_study(files("mlpreport.studies").joinpath("width.json").read_text("utf-8"))
