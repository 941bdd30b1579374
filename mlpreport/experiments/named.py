"""The named Experiments: figures 1 to 7 of the report and our own questions are answered from these."""

from typing import Any

from mlpreport.checks import checked_name
from mlpreport.experiments.description import Experiment
from mlpreport.training import Architecture


def _sigmoid(*widths: int) -> Architecture:
    return Architecture((1, *widths, 1), "sigmoid")


EXPERIMENTS: dict[str, Experiment] = {
    experiment.name: experiment
    for experiment in (
        Experiment("first-units", tuple(_sigmoid(n) for n in (1, 2, 3)), "bfgs", restarts=100, seed=20),
        Experiment("two-units", (_sigmoid(2),), "bfgs", restarts=1000, seed=22, same_function=1e-3),
        Experiment(
            "two-units-many",
            (_sigmoid(2),),
            "levenberg-marquardt",
            restarts=10_000,
            seed=22,
            same_function=1e-2,
        ),
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


def _arm(name: str, width: int, method: str = "bfgs", *, restarts: int, **options: Any) -> Experiment:
    return Experiment(name, (_sigmoid(width),), method, restarts, seed=23, **options)


WIDTH_STUDY: tuple[Experiment, ...] = (
    _arm("3", 3, restarts=1000),
    _arm("10", 10, restarts=1000),
    _arm("50", 50, restarts=1000),
    _arm("100", 100, restarts=1000),
    _arm("50 stopped at 300", 50, restarts=500, max_iterations=300),
    _arm("50 stopped at 1000", 50, restarts=500, max_iterations=1000),
    _arm("50 decayed", 50, restarts=500, weight_decay=1e-6),
    _arm("50 Levenberg-Marquardt", 50, "levenberg-marquardt", restarts=500),
    _arm("50 long Levenberg-Marquardt", 50, "levenberg-marquardt", restarts=200, max_iterations=10_000),
    _arm("50 L-BFGS", 50, "l-bfgs", restarts=200),
    _arm("50 Adam", 50, "adam", restarts=500),
    _arm("100 stopped at 300", 100, restarts=200, max_iterations=300),
    _arm("100 stopped at 1000", 100, restarts=500, max_iterations=1000),
    _arm("100 decayed", 100, restarts=500, weight_decay=1e-6),
)
"""The arms of the study of width. The first ten restarts of a width are those of the Experiment "widths"."""


def experiment_named(name: str) -> Experiment:
    """Look up a named Experiment; an unknown name is an error that suggests the nearest."""
    return EXPERIMENTS[checked_name("experiment", name, EXPERIMENTS)]
