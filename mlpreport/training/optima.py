"""Optima: classes of restarts that ended with the same loss and the same fitted function.

Units may be permuted and their signs flipped without changing the function, so the function, not the parameters,
tells whether two restarts found the same optimum.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int64

from mlpreport.checks import POSITIVE, checked_kind, checked_number, checked_whole
from mlpreport.training.ensemble import Ensemble
from mlpreport.training.initialisation import flat_parameters
from mlpreport.training.symmetry import canonical

__all__ = ["CONFIDENCE", "Optimum", "canonical", "group_optima", "wilson"]

MOST_FORMS = 10
"""Different canonical parameters are counted up to here."""

TOGETHER = 4096
"""Restarts whose fits are in memory at the same time."""

CONFIDENCE = 0.99
"""Level of the intervals of shares."""


@dataclass(frozen=True)
class Optimum:
    """One class of restarts that found the same optimum.

    Parameters
    ----------
    loss
        The lowest training loss among the members.
    members
        Indices of the restarts, by increasing loss: the first represents the class.
    share
        Share of all restarts of the Ensemble.
    interval
        Wilson interval of the share at the level `CONFIDENCE`.
    forms
        How many different canonical parameters the members have, entries being equal when they agree to `tolerance`
        relative to the largest: 1 for one point up to symmetry, more where the function is approached or has many.
        No more than `MOST_FORMS` are counted.
    """

    loss: float
    members: tuple[int, ...]
    share: float
    interval: tuple[float, float]
    forms: int

    @property
    def count(self) -> int:
        """Number of members."""
        return len(self.members)


def group_optima(
    ensemble: Ensemble, x: Float64[np.ndarray, "n inputs"], *, tolerance: float
) -> tuple[Optimum, ...]:
    """Group the restarts of finite loss by training loss and fitted function, lowest loss first.

    Parameters
    ----------
    ensemble
        The restarts to group; those without a finite loss are in no group but count in every share.
    x
        Points (n, in) on which functions are compared, usually the training points.
    tolerance
        Two restarts belong together when their functions' root mean square distance on x, and the difference of
        the roots of their losses, are at most this, in units of y.

    Returns
    -------
    tuple of Optimum
        In order of loss; together their members are all restarts of finite loss, each once.

    Raises
    ------
    InvalidInputError
        If the tolerance is not a positive number, or x does not fit the architecture.
    """
    checked_kind("ensemble", ensemble, Ensemble, remedy="such as fit() returns")
    tolerance = checked_number("tolerance", tolerance, example=1e-3, positive=True)
    order = np.argsort(ensemble.losses, kind="stable")
    order = order[np.isfinite(ensemble.losses[order])]
    classes: list[_Class] = []
    for start in range(0, len(order), TOGETHER):
        part = order[start : start + TOGETHER]
        _sort_in(classes, part, ensemble.losses[part], ensemble.predict(x, restarts=part), tolerance)
    return tuple(_optimum(ensemble, np.concatenate(found.members), tolerance) for found in classes)


@dataclass(frozen=True, eq=False)
class _Class:
    """The root of the lowest loss of a class, the fit that has it, and the members found so far."""

    root: float
    fit: Float64[np.ndarray, "n outputs"]
    members: list[Int64[np.ndarray, " member"]]


def _sort_in(
    classes: list[_Class],
    part: Int64[np.ndarray, " part"],
    losses: Float64[np.ndarray, " part"],
    fits: Float64[np.ndarray, "part n outputs"],
    tolerance: float,
) -> None:
    """Put restarts, by rising loss, into the first class that is near enough, and make new classes of the others."""
    roots, free = np.sqrt(losses), np.ones(len(part), dtype=bool)
    for found in classes:
        same = free & _same(found, roots, fits, tolerance)
        found.members.append(part[same])
        free &= ~same
    while free.any():
        first = int(np.argmax(free))
        found = _Class(float(roots[first]), fits[first].copy(), [])
        same = free & _same(found, roots, fits, tolerance)
        same[first] = True
        found.members.append(part[same])
        classes.append(found)
        free &= ~same


def _same(
    found: _Class,
    roots: Float64[np.ndarray, " part"],
    fits: Float64[np.ndarray, "part n outputs"],
    tolerance: float,
) -> Bool[np.ndarray, " part"]:
    """Tell which restarts, by rising loss, are near enough to a class."""
    same = np.zeros(len(roots), dtype=bool)
    near = int(np.searchsorted(roots, found.root + tolerance, side="right"))
    with np.errstate(over="ignore", invalid="ignore"):
        same[:near] = np.sqrt(np.mean((fits[:near] - found.fit) ** 2, axis=(1, 2))) <= tolerance
    return same


def _optimum(ensemble: Ensemble, members: np.ndarray, tolerance: float) -> Optimum:
    return Optimum(
        loss=float(ensemble.losses[members[0]]),
        members=tuple(members.tolist()),
        share=len(members) / len(ensemble),
        interval=wilson(len(members), len(ensemble)),
        forms=_forms(ensemble, members, tolerance),
    )


def wilson(count: int, total: int) -> tuple[float, float]:
    """Return Wilson's interval of a share, `count` of `total`, at the level `CONFIDENCE`."""
    checked_whole("count", count, range(checked_whole("total", total, POSITIVE) + 1))
    from scipy.stats import binomtest  # noqa: PLC0415 - takes half a second to import

    interval = binomtest(count, total).proportion_ci(CONFIDENCE, method="wilson")
    return float(interval.low), float(interval.high)


def _forms(ensemble: Ensemble, members: np.ndarray, tolerance: float) -> int:
    """Count the canonical parameters that differ."""
    forms: list[Float64[np.ndarray, " parameter"]] = []
    for index in members.tolist():
        parameters = canonical(ensemble.architecture, ensemble.restart(index).parameters)
        flat = flat_parameters(ensemble.architecture, parameters)
        if all(np.abs(flat - form).max() > tolerance * max(1.0, np.abs(form).max()) for form in forms):
            forms.append(flat)
        if len(forms) == MOST_FORMS:
            break
    return len(forms)
