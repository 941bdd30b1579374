"""Results drawn as matplotlib Figures; nothing is computed here that a Result does not hold."""

from mlpreport.figures.bench import bench
from mlpreport.figures.distributions import (
    arms,
    chances,
    descent,
    error_distributions,
    errors_by_iterations,
    similarities,
    slices,
    spikes,
)
from mlpreport.figures.fits import (
    activation_fits,
    activations,
    best_seen,
    errors_by_width,
    hidden_units,
    optima,
    widths,
)
from mlpreport.figures.graph import computation_graph
from mlpreport.figures.merging import approaches, growth, limit_curve, limit_map, merging_units
from mlpreport.figures.notebooks import show_in_notebooks

__all__ = [
    "activation_fits",
    "activations",
    "approaches",
    "arms",
    "bench",
    "best_seen",
    "chances",
    "computation_graph",
    "descent",
    "error_distributions",
    "errors_by_iterations",
    "errors_by_width",
    "growth",
    "hidden_units",
    "limit_curve",
    "limit_map",
    "merging_units",
    "optima",
    "similarities",
    "slices",
    "spikes",
    "widths",
]

show_in_notebooks()
