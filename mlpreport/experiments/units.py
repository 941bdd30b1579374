"""How alike the hidden units of trained networks are."""

import numpy as np
from jaxtyping import Float64

from mlpreport.experiments.description import Experiment
from mlpreport.experiments.running import GRID, fit_ensemble
from mlpreport.training import Restart

ROUNDING = 1e-14
"""A unit whose standard deviation is not above this is constant."""


def similarities(experiment: Experiment) -> dict[str, Float64[np.ndarray, " restart"]]:
    """Train an Experiment; for every restart, return the largest correlation between two units of its last layer.

    Correlations are absolute and over the grid. Units that do not change there correlate with nothing.
    """
    data, column = experiment.data.draw(), np.linspace(*GRID)[:, None]
    found = {}
    for architecture in experiment.architectures:
        ensemble = fit_ensemble(experiment, architecture, data)
        restarts = (ensemble.restart(index) for index in range(len(ensemble)))
        found[architecture.label] = np.array([_similarity(restart, column) for restart in restarts])
    return found


def _similarity(restart: Restart, column: Float64[np.ndarray, "grid 1"]) -> float:
    return largest_correlation(restart.hidden(column)[-1])


def largest_correlation(hidden: Float64[np.ndarray, "grid units"]) -> float:
    """Return the largest absolute correlation between two columns that are not constant; 0 if there are none."""
    moving = hidden[:, np.std(hidden, axis=0) > ROUNDING]
    if moving.shape[1] < 2:  # noqa: PLR2004 - a pair
        return 0.0
    correlation = np.abs(np.corrcoef(moving, rowvar=False))
    return float(np.max(correlation - np.eye(len(correlation))))
