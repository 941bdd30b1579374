"""A program drawn as a graph: every node with its shape, its value and its cotangent."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from mlpreport.figures.style import BLUE, GREY, INK, VERMILION, make_panels
from mlpreport.results import GraphNode, GraphRecord

INPUT_COLUMN, EQUATION_COLUMN = 0.0, 3.1
"""Where boxes begin, in units of the horizontal axis, which is 7 wide."""
INPUT_WIDTH, EQUATION_WIDTH, HEIGHT = 2.45, 3.6, 0.74
OUTLINE: dict[str, Any] = {
    "boxstyle": "round,pad=0.02,rounding_size=0.06",
    "fc": "none",
    "ec": GREY,
    "lw": 1.0,
}
NEAR = 2
"""Rows between two equations up to which an arrow runs straight down."""
ARROW: dict[str, Any] = {"arrowstyle": "->", "color": GREY, "lw": 1.1, "shrinkA": 0, "shrinkB": 0}


def computation_graph(record: GraphRecord) -> Figure:
    """Draw inputs on the left and equations from top to bottom on the right.

    In every box: the equation or the name with its shape, then the value (blue) and the cotangent (red).
    """
    rows = _rows(record)
    figure, (axes,) = make_panels(1, 1, height=0.92 * (max(rows.values()) + 1))
    axes.set_axis_off()
    axes.set_xlim(-0.05, 7.05)
    axes.set_ylim(max(rows.values()) + 0.6, -0.6)
    for node in record.nodes:
        _box(axes, node, rows[node.name])
        for operand in node.operands:
            _arrow(axes, rows[operand], rows[node.name], is_input=not record.node(operand).operands)
    return figure


def _rows(record: GraphRecord) -> dict[str, float]:
    """Give every equation a row, and every input a free row near the equation that uses it first."""
    rows: dict[str, float] = {}
    row = 0
    for node in (node for node in record.nodes if node.operands):
        inputs = [name for name in node.operands if name not in rows]
        rows |= {name: row + place for place, name in enumerate(inputs)}
        rows[node.name] = row + max(0, len(inputs) - 1) / 2
        row += max(1, len(inputs))
    return rows


def _box(axes: Axes, node: GraphNode, row: float) -> None:
    left, width = (EQUATION_COLUMN, EQUATION_WIDTH) if node.operands else (INPUT_COLUMN, INPUT_WIDTH)
    axes.add_patch(FancyBboxPatch((left, row - HEIGHT / 2), width, HEIGHT, **OUTLINE))
    styled: list[tuple[str, dict[str, Any]]] = [
        (node.label, {"color": INK, "weight": "bold"}),
        ("value" + _numbers(node.value), {"color": BLUE}),
        ("cotangent" + _numbers(node.cotangent), {"color": VERMILION}),
    ]
    for place, (text, style) in enumerate(styled):
        axes.text(left + 0.08, row + 0.235 * (place - 1), text, fontsize=8, va="center", **style)


def _arrow(axes: Axes, start: float, end: float, *, is_input: bool) -> None:
    if is_input:
        axes.annotate(
            "", (EQUATION_COLUMN - 0.03, end), (INPUT_COLUMN + INPUT_WIDTH + 0.03, start), arrowprops=ARROW
        )
    elif end - start <= NEAR:
        middle = EQUATION_COLUMN + EQUATION_WIDTH / 2
        axes.annotate(
            "", (middle, end - HEIGHT / 2 - 0.03), (middle, start + HEIGHT / 2 + 0.03), arrowprops=ARROW
        )
    else:
        edge = EQUATION_COLUMN + EQUATION_WIDTH + 0.03
        style = ARROW | {"connectionstyle": "arc3,rad=-0.35"}
        axes.annotate("", (edge, end), (edge, start), arrowprops=style)


def _numbers(array: np.ndarray) -> str:
    rows = ["  ".join(f"{value:.3g}" for value in row) for row in array]
    return " [" + " ; ".join(rows) + "]"
