"""The named Experiments of the report, and `run`, which turns one into a Result."""

from mlpreport.experiments.description import DataSource, Experiment
from mlpreport.experiments.named import EXPERIMENTS, WIDTH_STUDY, experiment_named
from mlpreport.experiments.running import GRID, baselines, fit_ensemble, function_curve, run
from mlpreport.experiments.slices import Slice, forms, loss_slice, restart_of
from mlpreport.experiments.units import largest_correlation, similarities

__all__ = [
    "EXPERIMENTS",
    "GRID",
    "WIDTH_STUDY",
    "DataSource",
    "Experiment",
    "Slice",
    "baselines",
    "experiment_named",
    "fit_ensemble",
    "forms",
    "function_curve",
    "largest_correlation",
    "loss_slice",
    "restart_of",
    "run",
    "similarities",
]
