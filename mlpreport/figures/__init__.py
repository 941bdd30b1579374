"""Results drawn as matplotlib Figures; nothing is computed here that a Result does not hold."""

from mlpreport.figures.fits import (
    activation_fits,
    activations,
    errors_by_width,
    hidden_units,
    optima,
    widths,
)
from mlpreport.figures.graph import computation_graph
from mlpreport.figures.notebooks import show_in_notebooks

__all__ = [
    "activation_fits",
    "activations",
    "computation_graph",
    "errors_by_width",
    "hidden_units",
    "optima",
    "widths",
]

show_in_notebooks()
