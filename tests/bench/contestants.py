"""Who takes part in the contest, with the settings that were best for each: `python tune.py NAME` repeats the search.

A contestant is prepared for a task (compiled, warmed up: not timed) and is then a function of a seed and a number of
restarts that draws the starts, trains them all and returns the rows of parameters: that is what is timed.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import peers_jax
import peers_scipy
import peers_torch
from networks import DATA, Task

from mlpreport.training import fit

Train = Callable[[int, int], np.ndarray]


@dataclass(frozen=True)
class Contestant:
    """A method, whose it is, when it stops, and its settings: one for all architectures, or by label."""

    name: str
    family: str
    stops: str
    prepare: Callable[..., Train]
    settings: dict[str, dict[str, Any]]
    grid: dict[str, list[Any]] = field(default_factory=dict)

    def prepared(self, task: Task, **changes: Any) -> Train:
        return self.prepare(task, **self.settings.get(task.label, self.settings["all"]) | changes)


def ours(task: Task, *, method: str, **options: Any) -> Train:
    """Make `fit` ready; one thread, as everybody has."""

    def train(seed: int, restarts: int) -> np.ndarray:
        ensemble = fit(
            task.architecture, DATA, restarts=restarts, seed=seed, method=method, **{"threads": 1} | options
        )
        train.iterations = float(ensemble.iterations.mean())
        return np.hstack([values.reshape(restarts, -1) for values in ensemble.parameters.values()])

    fit(task.architecture, DATA, restarts=1, seed=0, method=method, max_iterations=1)  # compiles
    return train


def peer(make: Callable[..., Callable[[np.ndarray], np.ndarray]], task: Task, **settings: Any) -> Train:
    """Give a peer the same starts, drawn in its time as they are in ours."""
    function = make(task, **settings)
    return lambda seed, restarts: function(task.starts(seed, restarts))


GRADIENT = "largest gradient entry ≤ 1e-6"
DECREASE = f"{GRADIENT}, or predicted relative decrease"

CONTESTANTS = (
    Contestant("the report's way", "report", GRADIENT, ours, {"all": {"method": "scipy-bfgs"}}),
    Contestant(
        "ours: BFGS",
        "ours",
        DECREASE,
        partial(ours, method="bfgs"),
        {
            "all": {"decrement_tolerance": 1e-7},
            "[2]": {"decrement_tolerance": 1e-5, "max_iterations": 200},
            "[50]": {"decrement_tolerance": 1e-8},
        },
        {
            "decrement_tolerance": [1e-5, 1e-6, 1e-7, 1e-8, 1e-9],
            "max_iterations": [50, 70, 100, 140, 200, 400, 10_000],
        },
    ),
    Contestant(
        "ours: Levenberg–Marquardt",
        "ours",
        DECREASE,
        partial(ours, method="levenberg-marquardt"),
        {
            "all": {"decrement_tolerance": 1e-6},
            "[3]": {"decrement_tolerance": 3e-4},
            "[10]": {"decrement_tolerance": 1e-5, "max_iterations": 700, "first_damping": 3e-4},
            "[3,5,4]": {"decrement_tolerance": 1e-3, "max_iterations": 150, "first_damping": 3e-3},
        },
        {
            "first_damping": [1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 1e-1],
            "decrement_tolerance": [1e-3, 3e-4, 1e-4, 1e-5, 1e-6, 1e-7],
            "max_iterations": [90, 120, 180, 250, 350, 500, 700, 1000],
        },
    ),
    Contestant(
        "ours: L-BFGS",
        "ours",
        f"{GRADIENT}, or relative decrease",
        partial(ours, method="l-bfgs"),
        {"all": {"decrement_tolerance": 1e-9}},
        {"decrement_tolerance": [1e-6, 1e-7, 1e-8, 1e-9], "max_iterations": [1000, 10_000]},
    ),
    Contestant(
        "SciPy L-BFGS-B",
        "peer",
        f"{GRADIENT}, or relative decrease",
        partial(peer, peers_scipy.l_bfgs_b),
        {
            "all": {"memory": 10, "ftol": 1e-9, "maxiter": 10_000},
            "[2]": {"memory": 10, "ftol": 1e-8, "maxiter": 1000},
        },
        {"memory": [10, 30], "ftol": [1e-7, 1e-8, 1e-9, 1e-11], "maxiter": [1000, 10_000]},
    ),
    Contestant(
        "MINPACK Levenberg–Marquardt",
        "peer",
        "relative decrease or step: its gradient rule is an angle",
        partial(peer, peers_scipy.minpack),
        {
            "all": {"ftol": 1e-6, "factor": 100, "scaled": True, "evaluations": 1000},
            "[2]": {"ftol": 1e-6, "factor": 0.1, "scaled": True, "evaluations": 100},
        },
        {
            "ftol": [1e-4, 1e-6, 1e-8],
            "factor": [0.1, 1, 100],
            "scaled": [True, False],
            "evaluations": [100, 1000],
        },
    ),
    Contestant(
        "torch LBFGS",
        "peer",
        f"{GRADIENT}, or absolute change",
        partial(peer, peers_torch.lbfgs),
        {
            "all": {"history": 10, "change": 1e-9, "maxiter": 2000},
            "[2]": {"history": 50, "change": 1e-6, "maxiter": 2000},
        },
        {"history": [10, 50], "change": [1e-6, 1e-7, 1e-9], "maxiter": [500, 2000]},
    ),
    Contestant(
        "torch batched Levenberg–Marquardt",
        "peer",
        DECREASE,
        partial(peer, peers_torch.levenberg_marquardt),
        {
            "all": {"damping": 1e-2, "decrement": 1e-5, "maxiter": 500, "batch": 100},
            "[2]": {"damping": 1e-2, "decrement": 1e-5, "maxiter": 250, "batch": 500},
            "[3]": {"damping": 1e-2, "decrement": 1e-4, "maxiter": 250, "batch": 500},
        },
        {
            "damping": [1e-3, 1e-2, 1e-1, 1.0],
            "decrement": [1e-3, 3e-4, 1e-4, 1e-5, 1e-6],
            "maxiter": [60, 120, 250, 1000],
            "batch": [30, 100, 500],
        },
    ),
    Contestant(
        "scikit-learn MLPRegressor",
        "peer",
        f"{GRADIENT}; its relative decrease is SciPy's default",
        partial(peer, peers_scipy.scikit_learn),
        {"all": {"maxiter": 10_000}},
        {"maxiter": [300, 1000, 3000, 10_000]},
    ),
    Contestant(
        "optimistix BFGS, vmap",
        "peer",
        "relative change of loss and parameters; it has no gradient rule",
        partial(peer, peers_jax.optimistix_bfgs),
        {
            "all": {"batch": 50, "steps": 1000, "rtol": 1e-6},
            "[2]": {"batch": 100, "steps": 250, "rtol": 1e-8},
            "[50]": {"batch": 6, "steps": 2000, "rtol": 1e-8},
        },
        {"batch": [1, 10, 100], "steps": [250, 500, 1000, 3000], "rtol": [1e-4, 1e-5, 1e-6, 1e-8]},
    ),
    Contestant(
        "optimistix Levenberg–Marquardt, vmap",
        "peer",
        "relative change of loss and parameters; it has no gradient rule",
        partial(peer, peers_jax.optimistix_lm),
        {
            "all": {"batch": 50, "steps": 250, "rtol": 1e-5, "solver": "normal"},
            "[2]": {"batch": 100, "steps": 500, "rtol": 1e-3, "solver": "normal"},
            "[3]": {"batch": 100, "steps": 250, "rtol": 1e-3, "solver": "normal"},
        },
        {
            "batch": [1, 10, 100],
            "steps": [30, 60, 120, 250, 500],
            "rtol": [1e-3, 1e-4, 1e-5, 1e-6],
            "solver": ["qr", "normal"],
        },
    ),
    Contestant(
        "jaxopt BFGS, vmap",
        "peer",
        "gradient norm ≤ 1e-6",
        partial(peer, peers_jax.jaxopt_bfgs),
        {
            "all": {"batch": 10, "steps": 500, "linesearch": "backtracking"},
            "[2]": {"batch": 100, "steps": 250, "linesearch": "backtracking"},
            "[3]": {"batch": 1, "steps": 1000, "linesearch": "hager-zhang"},
        },
        {"batch": [1, 10, 100], "steps": [250, 1000], "linesearch": ["backtracking", "zoom", "hager-zhang"]},
    ),
    Contestant(
        "jaxopt Levenberg–Marquardt, vmap",
        "peer",
        f"{GRADIENT}, or relative step",
        partial(peer, peers_jax.jaxopt_lm),
        {
            "all": {"batch": 50, "steps": 250, "damping": 1e-2, "xtol": 1e-4},
            "[2]": {"batch": 100, "steps": 250, "damping": 1e-2, "xtol": 1e-3},
            "[3]": {"batch": 100, "steps": 120, "damping": 1e-2, "xtol": 1e-3},
            "[10]": {"batch": 1, "steps": 500, "damping": 1e-3, "xtol": 1e-3},
        },
        {
            "batch": [1, 10, 100],
            "steps": [30, 60, 120, 250, 500],
            "damping": [1e-3, 1e-2, 1e-1, 1.0],
            "xtol": [1e-3, 1e-4, 1e-6],
        },
    ),
    Contestant(
        "jax.scipy BFGS, vmap",
        "peer",
        GRADIENT,
        partial(peer, peers_jax.jax_bfgs),
        {"all": {"batch": 10, "steps": 1000}},
        {"batch": [1, 10, 100], "steps": [250, 1000, 4000]},
    ),
    Contestant(
        "JAX Levenberg–Marquardt, vmap",
        "peer",
        DECREASE,
        partial(peer, peers_jax.jax_lm),
        {
            "all": {"batch": 50, "steps": 250, "damping": 1e-2, "decrement": 1e-5},
            "[3]": {"batch": 100, "steps": 120, "damping": 1e-2, "decrement": 1e-4},
            "[10]": {"batch": 1, "steps": 500, "damping": 1e-3, "decrement": 1e-5},
            "[3,5,4]": {"batch": 50, "steps": 120, "damping": 1e-3, "decrement": 1e-6},
        },
        {
            "batch": [1, 10, 100],
            "steps": [30, 60, 120, 250, 500],
            "damping": [1e-3, 1e-2, 1e-1, 1.0],
            "decrement": [1e-3, 3e-4, 1e-4, 1e-5, 1e-6],
        },
    ),
)
