"""What all figures share: colours, dashes, panels and legends.

Colours are Okabe and Ito's, which stay apart for colour-blind readers; dash and marker vary with them.
"""

from typing import Any, Literal

import numpy as np
from jaxtyping import Float64
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"
INK, GREY = "#1a1a1a", "#767676"
COLOURS = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY)
DASHES: tuple[Any, ...] = (
    "-",
    "--",
    "-.",
    ":",
    (0, (6, 1, 1, 1, 1, 1)),
    (0, (1, 1)),
)
MARKERS = "o^sDvP"
APART: Any = (0, (5, 5))
"""Dashes with gaps wide enough to show what lies under the line."""

STYLE: Any = {
    "font.size": 10,
    "axes.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "lines.linewidth": 1.8,
    "legend.frameon": False,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
}


def make_panels(
    rows: int, columns: int, *, height: float, sharex: bool = True, sharey: bool | Literal["row"] = False
) -> tuple[Figure, list[Axes]]:
    """Make a figure 7 inches wide with panels `height` inches high; return it and its panels, row by row."""
    with rc_context(STYLE):
        figure = Figure(figsize=(7, height * rows), layout="constrained")
        grid = figure.subplots(rows, columns, sharex=sharex, sharey=sharey, squeeze=False)
    return figure, list(grid.flat)


def line_style(place: int) -> dict[str, Any]:
    """Return colour and dash of the line at that place; the first 36 differ."""
    round_ = place // len(COLOURS)
    return {"color": COLOURS[place % len(COLOURS)], "ls": DASHES[(place + round_) % len(DASHES)]}


def point_style(place: int) -> dict[str, Any]:
    """Return colour and marker of the points at that place, which no line joins; the first 30 differ."""
    round_ = place // len(COLOURS)
    return {
        "color": COLOURS[place % len(COLOURS)],
        "marker": MARKERS[(place + round_) % len(MARKERS)],
        "ls": "none",
    }


def shares_below(axes: Axes, values: Float64[np.ndarray, " restart"], **style: Any) -> None:
    """Draw the share of values below a place, from 0 at the lowest to 1."""
    ordered = np.sort(values)
    axes.step([*ordered[:1], *ordered], np.arange(len(ordered) + 1) / len(ordered), where="post", **style)
    axes.set_ylim(0, 1.04)


def legend(figure: Figure, axes: Axes, columns: int) -> None:
    """Put one legend, made of the lines of `axes`, above all panels."""
    with rc_context(STYLE):
        figure.legend(*axes.get_legend_handles_labels(), loc="outside upper center", ncols=columns)
