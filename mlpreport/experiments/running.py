"""`run`, which turns an Experiment into a Result."""

import math
import platform
from dataclasses import asdict
from typing import TYPE_CHECKING

import numpy as np
import scipy
from jaxtyping import Float64

from mlpreport.data import Dataset
from mlpreport.derivation import scalar_functions
from mlpreport.experiments.description import Experiment
from mlpreport.experiments.named import experiment_named
from mlpreport.results import Baseline, EnsembleRecord, FunctionCurve, OptimumRecord, Result
from mlpreport.training import Architecture, Ensemble, fit
from mlpreport.training.optima import Optimum, group_optima

if TYPE_CHECKING:
    from collections.abc import Callable

GRID = (0.0, 13.0, 521)
"""Where fits are drawn: the report's interval [0, 13], in steps of 1/40."""

FUNCTION_GRID = (-6.0, 6.0, 481)
"""Where activations and their derivatives are drawn."""


def run(experiment: str | Experiment) -> Result:
    """Train what the Experiment describes and return its Result.

    Parameters
    ----------
    experiment
        A name from `EXPERIMENTS`, or an Experiment, for example a named one with `dataclasses.replace`.

    Returns
    -------
    Result
        Errors are mean squared errors; curves are on 521 even points of [0, 13].

    Raises
    ------
    InvalidInputError
        If the name is unknown or a part of the description is impossible.
    """
    experiment = experiment if isinstance(experiment, Experiment) else experiment_named(experiment)
    data = experiment.data.draw()
    grid = np.linspace(*GRID)
    activations = dict.fromkeys(architecture.activation for architecture in experiment.architectures)
    return Result(
        experiment=experiment.name,
        description=description(experiment),
        provenance={"python": platform.python_version(), "numpy": np.__version__, "scipy": scipy.__version__},
        data=data,
        grid=grid,
        truth=np.sin(grid),
        baselines=baselines(data, grid),
        functions=tuple(function_curve(name) for name in activations),
        records=tuple(
            _record(experiment, architecture, data, grid) for architecture in experiment.architectures
        ),
    )


def description(experiment: Experiment) -> dict[str, object]:
    """Write an Experiment as plain numbers and text."""
    architectures = tuple(
        {"sizes": architecture.sizes, "activation": architecture.activation}
        for architecture in experiment.architectures
    )
    return {**asdict(experiment), "architectures": architectures}


def baselines(data: Dataset, grid: Float64[np.ndarray, " grid"]) -> tuple[Baseline, ...]:
    """Return the best constant, the best straight line and the true sine, with errors and curves on `grid`."""
    x, y = data.train.x[:, 0], data.train.y[:, 0]
    slope, height = np.linalg.lstsq(np.vander(x, 2), y, rcond=None)[0]
    models: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "constant": lambda points: np.full(len(points), y.mean()),
        "line": lambda points: slope * points + height,
        "true sine": np.sin,
    }
    # An error that overflows is infinite, which a Result can hold.
    with np.errstate(over="ignore"):
        return tuple(
            Baseline(
                name,
                loss=float(np.mean((model(x) - y) ** 2)),
                test_loss=float(np.mean((model(data.test.x[:, 0]) - data.test.y[:, 0]) ** 2)),
                curve=model(grid),
            )
            for name, model in models.items()
        )


def function_curve(name: str) -> FunctionCurve:
    """Return the registered elementwise function `name` and its derivative on an even grid of [-6, 6].

    Both are NaN where the function has no real value.
    """
    value, slope = scalar_functions(name)
    argument = np.linspace(*FUNCTION_GRID)
    with np.errstate(all="ignore"):
        values = np.array([_or_nan(value, u) for u in argument])
        slopes = np.array([_or_nan(slope, u, h) for u, h in zip(argument, values, strict=True)])
    return FunctionCurve(name, argument, values, np.where(np.isnan(values), np.nan, slopes))


def _or_nan(function: "Callable[..., float]", *arguments: float) -> float:
    try:
        return function(*arguments)
    except (ValueError, OverflowError):  # such as math.log(-1)
        return math.nan


def fit_ensemble(experiment: Experiment, architecture: Architecture, data: Dataset) -> Ensemble:
    """Train one architecture of the Experiment on data drawn before."""
    return fit(
        architecture,
        data,
        restarts=experiment.restarts,
        seed=experiment.seed,
        method=experiment.method,
        max_iterations=experiment.max_iterations,
        weight_decay=experiment.weight_decay,
    )


def _record(
    experiment: Experiment, architecture: Architecture, data: Dataset, grid: Float64[np.ndarray, " grid"]
) -> EnsembleRecord:
    ensemble = fit_ensemble(experiment, architecture, data)
    best = ensemble.best()
    column = grid[:, None]
    depth = len(architecture.sizes) - 1
    hidden = best.hidden(column)[-1] if depth > 1 else column
    return EnsembleRecord(
        label=architecture.label,
        sizes=architecture.sizes,
        activation=architecture.activation,
        losses=ensemble.losses,
        test_losses=ensemble.test_losses,
        gradient_norms=ensemble.gradient_norms,
        iterations=ensemble.iterations,
        stop_reasons=ensemble.stop_reasons,
        parameters=dict(ensemble.parameters),
        best=best.index,
        curve=best.predict(column)[:, 0],
        hidden=hidden,
        output_weights=best.parameters[f"W{depth}"][:, 0],
        output_bias=float(best.parameters[f"b{depth}"][0]),
        optima=_optima(ensemble, data.train.x, column, experiment.same_function),
    )


def _optima(
    ensemble: Ensemble,
    x: Float64[np.ndarray, "n 1"],
    column: Float64[np.ndarray, "grid 1"],
    tolerance: float | None,
) -> tuple[OptimumRecord, ...]:
    if tolerance is None:
        return ()
    groups = group_optima(ensemble, x, tolerance=tolerance)
    return tuple(_optimum_record(optimum, ensemble, column) for optimum in groups)


def _optimum_record(
    optimum: Optimum, ensemble: Ensemble, column: Float64[np.ndarray, "grid 1"]
) -> OptimumRecord:
    restart = ensemble.restart(optimum.members[0])
    norm = np.sqrt(sum(float(np.sum(value**2)) for value in restart.parameters.values()))
    return OptimumRecord(
        loss=restart.loss,
        test_loss=restart.test_loss,
        members=tuple(optimum.members),
        share=optimum.share,
        share_interval=optimum.interval,
        parameter_norm=float(norm),
        curve=restart.predict(column)[:, 0],
    )
