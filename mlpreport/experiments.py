"""The named Experiments of the report, and `run`, which turns one into a Result."""

import platform
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np
import scipy
from jaxtyping import Float64

from mlpreport.checks import checked_name
from mlpreport.data import Dataset, noisy_sine
from mlpreport.derivation import scalar_functions
from mlpreport.errors import InvalidInputError
from mlpreport.results import Baseline, EnsembleRecord, FunctionCurve, OptimumRecord, Result
from mlpreport.training import Architecture, Ensemble, fit
from mlpreport.training.optima import Optimum, group_optima

if TYPE_CHECKING:
    from collections.abc import Callable

GRID = (0.0, 13.0, 521)
"""Where fits are drawn: the report's interval [0, 13], in steps of 1/40."""

FUNCTION_GRID = (-6.0, 6.0, 481)
"""Where activations and their derivatives are drawn."""


@dataclass(frozen=True)
class DataSource:
    """Arguments of `noisy_sine`; the defaults are the report's data."""

    train_size: int = 100
    test_size: int = 123
    noise: float = 0.1
    seed: int = 1

    def draw(self) -> Dataset:
        """Draw the data."""
        return noisy_sine(**asdict(self))


@dataclass(frozen=True)
class Experiment:
    """Frozen description of what is trained: data, architectures, method, restarts, seed.

    `same_function` is the root mean square distance on the training points below which two fits count as one
    optimum; None when optima are not grouped. `restarts` is per architecture; `max_iterations` None is the method's own
    (10 000 for BFGS, as in the report).
    """

    name: str
    architectures: tuple[Architecture, ...]
    method: str
    restarts: int
    seed: int
    data: DataSource = DataSource()
    max_iterations: int | None = None
    weight_decay: float = 0.0
    same_function: float | None = None

    def __post_init__(self) -> None:
        """Refuse parts that cannot be trained."""
        _check_parts(self.architectures, self.data)


def _check_parts(parts: object, data: object) -> None:
    if not isinstance(data, DataSource):
        message = f"data = {data!r}: give a DataSource, such as DataSource(seed=2)"
        raise InvalidInputError(message)
    if not isinstance(parts, tuple) or not parts or not all(isinstance(part, Architecture) for part in parts):
        message = f"architectures = {parts!r}: give a tuple of at least one Architecture"
        raise InvalidInputError(message)
    labels = [part.label for part in parts]
    if len(set(labels)) < len(labels):
        message = f"architectures = {', '.join(labels)}: each may be given once; raise restarts to train more of one"
        raise InvalidInputError(message)


def _sigmoid(*widths: int) -> Architecture:
    return Architecture((1, *widths, 1), "sigmoid")


EXPERIMENTS: dict[str, Experiment] = {
    experiment.name: experiment
    for experiment in (
        Experiment("first-units", tuple(_sigmoid(n) for n in (1, 2, 3)), "bfgs", restarts=100, seed=20),
        Experiment("two-units", (_sigmoid(2),), "bfgs", restarts=1000, seed=22, same_function=1e-3),
        Experiment(
            "widths", tuple(_sigmoid(n) for n in (1, 2, 3, 10, 50, 100)), "bfgs", restarts=10, seed=23
        ),
        Experiment("fifty-stopped", (_sigmoid(50),), "bfgs", restarts=10, seed=23, max_iterations=300),
        Experiment("fifty-decayed", (_sigmoid(50),), "bfgs", restarts=10, seed=23, weight_decay=1e-6),
        Experiment("hidden-units", tuple(_sigmoid(n) for n in (2, 3, 10)), "bfgs", restarts=10, seed=23),
        Experiment(
            "activations",
            (Architecture((1, 3, 5, 4, 1), "relu"), _sigmoid(3, 5, 4)),
            "bfgs",
            restarts=100,
            seed=25,
        ),
    )
}
"""Every named Experiment; figures 1 to 7 of the report are drawn from these."""


def experiment_named(name: str) -> Experiment:
    """Look up a named Experiment; an unknown name is an error that suggests the nearest."""
    return EXPERIMENTS[checked_name("experiment", name, EXPERIMENTS)]


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
        description=_description(experiment),
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


def _description(experiment: Experiment) -> dict[str, object]:
    architectures = tuple(
        {"sizes": list(architecture.sizes), "activation": architecture.activation}
        for architecture in experiment.architectures
    )
    return {**asdict(experiment), "architectures": architectures}


def baselines(data: Dataset, grid: Float64[np.ndarray, " grid"]) -> tuple[Baseline, ...]:
    """Return the best constant, the best straight line and the true sine, with errors and curves on `grid`."""
    x, y = data.train.x[:, 0], data.train.y[:, 0]
    models: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "constant": lambda points: np.full(len(points), y.mean()),
        "line": lambda points: np.polyval(np.polyfit(x, y, 1), points),
        "true sine": np.sin,
    }
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
    """Return the registered elementwise function `name` and its derivative on an even grid of [-6, 6]."""
    value, slope = scalar_functions(name)
    argument = np.linspace(*FUNCTION_GRID)
    values = np.array([value(u) for u in argument])
    slopes = np.array([slope(u, h) for u, h in zip(argument, values, strict=True)])
    return FunctionCurve(name, argument, values, slopes)


def _record(
    experiment: Experiment, architecture: Architecture, data: Dataset, grid: Float64[np.ndarray, " grid"]
) -> EnsembleRecord:
    ensemble = fit(
        architecture,
        data,
        restarts=experiment.restarts,
        seed=experiment.seed,
        method=experiment.method,
        max_iterations=experiment.max_iterations,
        weight_decay=experiment.weight_decay,
    )
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
