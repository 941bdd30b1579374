"""Optima: classes of restarts that ended with the same loss and the same fitted function.

Units may be permuted and their signs flipped without changing the function, so the function, not the parameters,
tells whether two restarts found the same optimum.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64

from mlpreport.checks import checked_number
from mlpreport.training.ensemble import Ensemble
from mlpreport.training.symmetry import Parameters, canonical

__all__ = ["CONFIDENCE", "Optimum", "canonical", "group_optima", "wilson"]

MOST_FORMS = 10
"""Different canonical parameters are counted up to here."""

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
    share, interval
        Share of all restarts of the Ensemble, and its Wilson interval at the level `CONFIDENCE`.
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
    tolerance = checked_number("tolerance", tolerance, example=1e-3, positive=True)
    fits = ensemble.predict(x).reshape(len(ensemble), -1)
    order = np.argsort(ensemble.losses, kind="stable")
    rest = order[np.isfinite(ensemble.losses[order])]
    optima = []
    while rest.size:
        same = _same(ensemble.losses[rest], fits[rest], tolerance)
        optima.append(_optimum(ensemble, rest[same], tolerance))
        rest = rest[~same]
    return tuple(optima)


def _same(
    losses: Float64[np.ndarray, " rest"], fits: Float64[np.ndarray, "rest value"], tolerance: float
) -> Bool[np.ndarray, " rest"]:
    """Tell which restarts, sorted by loss, belong with the first."""
    same = np.zeros(len(losses), dtype=bool)
    near = int(np.searchsorted(np.sqrt(losses), np.sqrt(losses[0]) + tolerance, side="right"))
    distances = np.sqrt(np.mean((fits[:near] - fits[0]) ** 2, axis=1))
    same[:near] = distances <= tolerance
    same[0] = True
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
    """Return Wilson's interval of a share at the level `CONFIDENCE`."""
    from scipy.stats import binomtest  # noqa: PLC0415 - takes half a second to import

    interval = binomtest(count, total).proportion_ci(CONFIDENCE, method="wilson")
    return float(interval.low), float(interval.high)


def _forms(ensemble: Ensemble, members: np.ndarray, tolerance: float) -> int:
    """Count the canonical parameters that differ, one after the other."""
    rest = np.array(
        [_flat(canonical(ensemble.architecture, ensemble.restart(i).parameters)) for i in members.tolist()]
    )
    count = 0
    while len(rest) and count < MOST_FORMS:
        gaps = np.abs(rest - rest[0]).max(axis=1)
        rest = rest[gaps > tolerance * max(1.0, float(np.abs(rest[0]).max()))]
        count += 1
    return count


def _flat(parameters: Parameters) -> Float64[np.ndarray, " parameter"]:
    return np.concatenate([values.ravel() for values in parameters.values()])
