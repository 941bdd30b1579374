"""`fit`: from an Architecture, data and a seed to an Ensemble."""

from typing import Any

import numpy as np

from mlpreport.checks import NOT_NEGATIVE, POSITIVE, checked_whole
from mlpreport.errors import InvalidInputError
from mlpreport.training.architecture import Architecture
from mlpreport.training.ensemble import Ensemble
from mlpreport.training.initialisation import initial_parameters, split_parameters
from mlpreport.training.methods import available_threads, find_method
from mlpreport.training.problem import checked_problem, losses_and_gradient_norms
from mlpreport.training.progress import progress
from mlpreport.training.settings import Settings
from mlpreport.training.stopping import NOT_FINITE, STOP_REASONS

SEEDS = range(2**128)


def fit(  # noqa: PLR0913 - every option is a keyword with a documented default
    architecture: Architecture,
    data: Any,
    *,
    restarts: int,
    seed: int,
    method: str,
    max_iterations: int | None = None,
    gradient_tolerance: float = 1e-6,
    decrement_tolerance: float | None = None,
    learning_rate: float | None = None,
    weight_decay: float = 0.0,
    threads: int | None = None,
) -> Ensemble:
    """Train an architecture from several initialisations; restart i depends on (seed, i) only.

    Parameters
    ----------
    architecture
        What to train.
    data
        A Dataset: `.train.x`, `.train.y`, `.test.x`, `.test.y`, each (n, size).
    restarts
        How many initialisations, at least 1.
    seed
        A whole number of at least 0.
    method
        'scipy-bfgs' (the report's way), 'bfgs', 'levenberg-marquardt', 'l-bfgs', 'adam' or 'gradient-descent'.
    max_iterations
        At most so many iterations of a restart; None: 10 000 as in the report, 1000 for Levenberg-Marquardt.
    gradient_tolerance
        A restart has converged when no entry of the gradient is larger; the report's is 1e-6.
    decrement_tolerance
        A restart has converged, too, when the method's model predicts a relative decrease of the objective of at
        most this; None: 1e-9 for Levenberg-Marquardt, else 0, that is, never. Not used by 'scipy-bfgs', 'adam'
        and 'gradient-descent'; 'l-bfgs' passes it to SciPy as `ftol`.
    learning_rate
        Step of 'adam' (None: 0.01) and 'gradient-descent' (None: 0.1); the others find their own.
    weight_decay
        Factor of the squared norm of all parameters that is added to the mean squared error.
    threads
        How many threads share the restarts; None: one for each core. The result does not depend on it.

    Returns
    -------
    Ensemble
        All restarts, also those that did not converge: see its `stop_reasons`.

    Raises
    ------
    InvalidInputError
        If a value breaks its rule, or the data are not finite or do not fit the architecture.
    """
    count = checked_whole("restarts", restarts, POSITIVE)
    seed = checked_whole("seed", seed, SEEDS)
    chosen = find_method(method)
    settings = Settings(
        max_iterations=_whole("max_iterations", max_iterations, chosen.max_iterations, NOT_NEGATIVE),
        gradient_tolerance=_number("gradient_tolerance", gradient_tolerance, 0.0),
        decrement_tolerance=_number("decrement_tolerance", decrement_tolerance, chosen.decrement_tolerance),
        learning_rate=_number("learning_rate", learning_rate, chosen.learning_rate),
        threads=_whole("threads", threads, available_threads(), POSITIVE),
    )
    decay = _number("weight_decay", weight_decay, 0.0)
    train = checked_problem(architecture, "data.train", data.train, decay)
    test = checked_problem(architecture, "data.test", data.test, 0.0)
    rows = initial_parameters(architecture, seed=seed, restarts=range(count))
    minimise = chosen.prepare(train, settings)
    with progress(f"{architecture.label}, {method}", count) as advance:
        iterations, codes = minimise(rows, advance)
    losses, gradient_norms = losses_and_gradient_norms(train, rows)
    codes[~np.isfinite(losses)] = NOT_FINITE
    return Ensemble(
        architecture=architecture,
        method=method,
        seed=seed,
        parameters=split_parameters(architecture, rows),
        losses=losses,
        test_losses=losses_and_gradient_norms(test, rows)[0],
        gradient_norms=gradient_norms,
        iterations=iterations,
        stop_reasons=tuple(STOP_REASONS[code] for code in codes),
    )


def _whole(name: str, value: int | None, default: int, allowed: range) -> int:
    return checked_whole(name, default if value is None else value, allowed)


def _number(name: str, value: object, default: float) -> float:
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < np.inf:
        message = f"{name} = {value!r}: must be a finite number of at least 0, such as 1e-6"
        raise InvalidInputError(message)
    return float(value)
