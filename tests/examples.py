"""Small Results for tests: one that was really trained, and made-up ones with chosen numbers."""

from functools import cache

import numpy as np
import torch

from mlpreport.data import noisy_sine
from mlpreport.experiments import Experiment, baselines, run
from mlpreport.merging import limit_map, lowest_limit
from mlpreport.results import EnsembleRecord, OptimumRecord, Result
from mlpreport.training import Architecture

DATA = noisy_sine()
TINY = Experiment(
    "tiny",
    (
        Architecture((1, 1), "identity"),
        Architecture((1, 2, 1), "sigmoid"),
        Architecture((1, 2, 2, 2, 1), "sigmoid"),
    ),
    "levenberg-marquardt",
    restarts=5,
    seed=3,
    same_function=1e-3,
)


@cache
def trained():
    return run(TINY)


@cache
def merged():
    """The map of limits of two merging units, and the lowest one, for the report's data."""
    start = limit_map(DATA)
    return start, lowest_limit(DATA, start)


def record(label, losses, test_losses=None, *, curve=None, hidden=None, optima=()):  # noqa: PLR0913 - one a field
    """One architecture with the given losses; everything else is plausible and unimportant."""
    *sizes, activation = label.replace(" ", "-").split("-")
    losses = np.array(losses, dtype=float)
    grid = np.linspace(0, 13, 521)
    network = Architecture(tuple(map(int, sizes)), activation)
    return EnsembleRecord(
        label=label,
        sizes=network.sizes,
        activation=activation,
        losses=losses,
        test_losses=losses + 0.01 if test_losses is None else np.array(test_losses, dtype=float),
        gradient_norms=np.zeros(len(losses)),
        iterations=np.ones(len(losses), dtype=np.int64),
        stop_reasons=("converged",) * len(losses),
        parameters={name: np.ones((len(losses), *shape)) for name, shape in network.parameter_shapes.items()},
        best=int(np.argmin(losses)),
        curve=np.sin(grid) if curve is None else curve,
        hidden=np.ones((521, 1)) if hidden is None else hidden,
        output_weights=np.ones(1 if hidden is None else hidden.shape[1]),
        output_bias=0.0,
        optima=tuple(optima),
    )


def optimum(loss, members, of):
    share = len(members) / of
    return OptimumRecord(loss, loss, tuple(members), share, (share / 2, share), 1.0, np.zeros(521))


def result(experiment, *records):
    grid = np.linspace(0, 13, 521)
    return Result(experiment, {}, {}, DATA, grid, np.sin(grid), baselines(DATA, grid), (), records)


def report_gradients(t):
    """Add the values of the report's network to the leaves `t`; return autograd's gradients by all of them."""
    t["z1"] = t["x"] @ t["W1"]
    t["z2"] = t["z1"] + t["b1"]
    t["z3"] = torch.sigmoid(t["z2"])
    t["z4"] = t["z3"] @ t["W2"]
    t["yhat"] = t["z4"] + t["b2"]
    t["l"] = ((t["y"] - t["yhat"]) ** 2).sum().reshape(1, 1)
    return torch.autograd.grad(t["l"], list(t.values()))
