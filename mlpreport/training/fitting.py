"""`fit`: from an Architecture, data and a seed to an Ensemble."""

from typing import Any, Unpack

import numpy as np

from mlpreport.checks import POSITIVE, checked_whole
from mlpreport.training.architecture import Architecture
from mlpreport.training.ensemble import Ensemble
from mlpreport.training.initialisation import initial_parameters, split_parameters
from mlpreport.training.methods import find_method
from mlpreport.training.problem import Problem, checked_problem, losses_and_gradient_norms
from mlpreport.training.progress import progress
from mlpreport.training.settings import Counts, Options, Rows, with_options
from mlpreport.training.stopping import NOT_FINITE, STOP_REASONS

SEEDS = range(2**128)
"""Philox takes 128 bits."""


def fit(
    architecture: Architecture,
    data: Any,
    *,
    restarts: int,
    seed: int,
    method: str,
    **options: Unpack[Options],
) -> Ensemble:
    """Train an architecture from several initialisations; restart i depends on (seed, i) only.

    Parameters
    ----------
    architecture
        What to train.
    data
        A Dataset: `.train.x`, `.train.y`, `.test.x`, `.test.y`, each (n, size).
    restarts, seed
        How many initialisations, at least 1, and a whole number of at least 0.
    method
        A name from `METHODS`.
    **options
        Keywords of `mlpreport.training.settings.Options`.

    Raises
    ------
    InvalidInputError
        If a value breaks its rule, or the data are not finite or do not fit the architecture.
    """
    count, seed = checked_whole("restarts", restarts, POSITIVE), checked_whole("seed", seed, SEEDS)
    chosen = find_method(method)
    settings = with_options(chosen.settings, options)
    train = checked_problem(architecture, data, "train", settings.weight_decay)
    test = checked_problem(architecture, data, "test", 0.0)
    rows = initial_parameters(architecture, seed=seed, restarts=range(count))
    minimise = chosen.prepare(train, settings)
    with progress(f"{architecture.label}, {method}", count) as advance:
        iterations, codes = minimise(rows, advance)
    return _ensemble(method, seed, train, test, rows, iterations, codes)


def _ensemble(  # noqa: PLR0913, PLR0917 - the parts of an Ensemble
    method: str, seed: int, train: Problem, test: Problem, rows: Rows, iterations: Counts, codes: Counts
) -> Ensemble:
    losses, gradient_norms = losses_and_gradient_norms(train, rows)
    codes = np.where(np.isfinite(losses), codes, NOT_FINITE)
    return Ensemble(
        train.architecture,
        method,
        seed,
        parameters=split_parameters(train.architecture, rows),
        losses=losses,
        test_losses=losses_and_gradient_norms(test, rows)[0],
        gradient_norms=gradient_norms,
        iterations=iterations,
        stop_reasons=tuple(STOP_REASONS[code] for code in codes),
    )
