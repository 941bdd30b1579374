"""Basins: in which class of functions restarts end, for several methods side by side."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float64

from mlpreport.checks import POSITIVE, checked_whole
from mlpreport.errors import InvalidInputError
from mlpreport.experiments import restart_of
from mlpreport.results import EnsembleRecord, OptimumRecord, Result
from mlpreport.studies.study import Share, wilson
from mlpreport.training import Architecture
from mlpreport.training.certificates import Certificate, certify


def basin_shares(
    results: Mapping[str, Result], *, least: float, tolerance: float
) -> dict[str, dict[str, Share]]:
    """Return, for every class that one of the results reaches often, the share of restarts of each result.

    Parameters
    ----------
    results
        Results of one architecture, by the name of the method.
    least
        Classes are kept that hold at least this share of the restarts of some result.
    tolerance
        Functions are one class if their root mean square distance on the training points is at most this.

    Returns
    -------
    dict
        Lowest class first; its training error as text, then the method -> Share.
    """
    fits = {name: _fits(result, _only_record(result)) for name, result in results.items()}
    found: dict[str, dict[str, Share]] = {}
    kept: list[Float64[np.ndarray, " point"]] = []
    for optimum, fit in sorted(_frequent(results, fits, least), key=lambda pair: pair[0].loss):
        if all(_distance(other[None], fit)[0] > tolerance for other in kept):
            kept.append(fit)
            counts = {name: int(np.sum(_distance(values, fit) <= tolerance)) for name, values in fits.items()}
            found[f"{optimum.loss:.4f}"] = {
                name: wilson(count, len(fits[name])) for name, count in counts.items()
            }
    return found


def certificates(result: Result, *, most: int) -> tuple[Certificate, ...]:
    """Certify the `most` frequent classes of a Result of one architecture, lowest first, each by its first member."""
    record = _only_record(result)
    checked_whole("most", most, POSITIVE)
    architecture = Architecture(record.sizes, record.activation)
    frequent = sorted(record.optima, key=lambda optimum: -optimum.count)[:most]
    return tuple(
        certify(architecture, result.data, restart_of(record, optimum.members[0]).parameters)
        for optimum in sorted(frequent, key=lambda optimum: optimum.loss)
    )


def _only_record(result: Result) -> EnsembleRecord:
    if len(result.records) != 1:
        labels = ", ".join(record.label for record in result.records)
        message = f"result {result.experiment!r} is of {labels}; give one of one architecture"
        raise InvalidInputError(message)
    return result.records[0]


def _fits(result: Result, record: EnsembleRecord) -> Float64[np.ndarray, "restart point"]:
    x = result.data.train.x
    return np.array([restart_of(record, index).predict(x)[:, 0] for index in range(len(record.losses))])


def _distance(
    fits: Float64[np.ndarray, "restart point"], fit: Float64[np.ndarray, " point"]
) -> Float64[np.ndarray, " restart"]:
    distance: Float64[np.ndarray, " restart"] = np.sqrt(np.mean((fits - fit) ** 2, axis=1))
    return distance


def _frequent(
    results: Mapping[str, Result], fits: Mapping[str, Float64[np.ndarray, "restart point"]], least: float
) -> list[tuple[OptimumRecord, Float64[np.ndarray, " point"]]]:
    return [
        (optimum, fits[name][optimum.members[0]])
        for name, result in results.items()
        for optimum in result.records[0].optima
        if optimum.share >= least
    ]
