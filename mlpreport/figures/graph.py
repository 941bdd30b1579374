"""A program drawn as a graph: every node with its shape, its value and its cotangent."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from matplotlib.path import Path

from mlpreport.figures.style import BLUE, GREY, INK, VERMILION, make_panels
from mlpreport.results import GraphNode, GraphRecord

INPUT_COLUMN, EQUATION_COLUMN = 0.0, 3.1
"""Where boxes begin, in units of the horizontal axis, which are inches if no edge skips an equation."""
INPUT_WIDTH, EQUATION_WIDTH, HEIGHT = 2.45, 3.6, 0.74
RIGHT = EQUATION_COLUMN + EQUATION_WIDTH
LANE, WIDEST_LANE = 0.3, 1.5
"""How far an edge that skips equations swings out, for each row that it spans and at most."""
FONT, CHARACTER, BOLD = 8, 0.062, 0.072
"""Size of the text in points, and the width of a character of numbers and of bold text in inches."""
OUTLINE: dict[str, Any] = {
    "boxstyle": "round,pad=0.02,rounding_size=0.06",
    "fc": "none",
    "ec": GREY,
    "lw": 1.0,
}
ARROW: dict[str, Any] = {"arrowstyle": "->", "color": GREY, "lw": 1.1, "shrinkA": 0, "shrinkB": 0}


def computation_graph(record: GraphRecord) -> Figure:
    """Draw inputs on the left and equations from top to bottom on the right.

    In every box: the equation or the name with its shape, then the value (blue) and the cotangent (orange), of large
    ones the first entries. An edge that skips equations runs on the right of them.
    """
    rows = _rows(record)
    figure, (axes,) = make_panels(1, 1, height=0.92 * (max(rows.values()) + 1))
    swings = [_swing(rows, *skip) for skip in _skips(record)]
    right = RIGHT + 0.35 + 0.75 * max(swings, default=0.0)  # a Bézier curve goes three quarters of the way
    axes.set_axis_off()
    axes.set_xlim(-0.05, right)
    axes.set_ylim(max(rows.values()) + 0.6, -0.6)
    for node in record.nodes:
        _box(axes, node, rows[node.name], inch=7 / (right + 0.05))
        for operand in node.operands:
            if (operand, node.name) not in _skips(record):
                _arrow(axes, rows[operand], rows[node.name], is_input=not record.node(operand).operands)
    for (operand, name), swing in zip(_skips(record), swings, strict=True):
        axes.add_patch(_skip_arrow(rows[operand], rows[name], swing))
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
    unused = [node.name for node in record.nodes if node.name not in rows]
    return rows | {name: row + place for place, name in enumerate(unused)}


def _skips(record: GraphRecord) -> list[tuple[str, str]]:
    """Edges between equations that are not neighbours."""
    equations = [node.name for node in record.nodes if node.operands]
    following = set(pairwise(equations))
    return [
        (operand, node.name)
        for node in record.nodes
        for operand in node.operands
        if operand in equations and (operand, node.name) not in following
    ]


def _swing(rows: Mapping[str, float], operand: str, name: str) -> float:
    return min(WIDEST_LANE, LANE * (rows[name] - rows[operand]))


def _box(axes: Axes, node: GraphNode, row: float, *, inch: float) -> None:
    left, width = (EQUATION_COLUMN, EQUATION_WIDTH) if node.operands else (INPUT_COLUMN, INPUT_WIDTH)
    axes.add_patch(FancyBboxPatch((left, row - HEIGHT / 2), width, HEIGHT, **OUTLINE))
    room = (width - 0.16) * inch
    small = min(FONT, FONT * room / (BOLD * len(node.label)))
    most = int(room / CHARACTER)
    styled: list[tuple[str, dict[str, Any]]] = [
        (node.label, {"color": INK, "weight": "bold", "fontsize": small}),
        (_numbers("value", node.value, most), {"color": BLUE, "fontsize": FONT}),
        (_numbers("cotangent", node.cotangent, most), {"color": VERMILION, "fontsize": FONT}),
    ]
    for place, (text, style) in enumerate(styled):
        axes.text(left + 0.08, row + 0.235 * (place - 1), text, va="center", **style)


def _arrow(axes: Axes, start: float, end: float, *, is_input: bool) -> None:
    if is_input:
        tail, tip = (INPUT_COLUMN + INPUT_WIDTH + 0.03, start), (EQUATION_COLUMN - 0.03, end)
    else:
        middle = EQUATION_COLUMN + EQUATION_WIDTH / 2
        tail, tip = (middle, start + HEIGHT / 2 + 0.03), (middle, end - HEIGHT / 2 - 0.03)
    axes.annotate("", tip, tail, arrowprops=ARROW)


def _skip_arrow(start: float, end: float, swing: float) -> FancyArrowPatch:
    edge, start, end = RIGHT + 0.03, start + 0.15, end - 0.15  # leaves below the middle, arrives above it
    points = [(edge, start), (edge + swing, start), (edge + swing, end), (edge, end)]
    path = Path(points, [Path.MOVETO, Path.CURVE4, Path.CURVE4, Path.CURVE4])
    return FancyArrowPatch(path=path, mutation_scale=10, **ARROW)


def _numbers(what: str, array: np.ndarray, most: int) -> str:
    """Write an array in at most `most` characters: with three digits, or two, or its first entries only."""
    for digits in (3, 2):
        rows = ["  ".join(f"{value:.{digits}g}".replace("-", "−") for value in row) for row in array]
        text = f"{what} [" + " ; ".join(rows) + "]"
        if len(text) <= most:
            return text
    return text[: most - 2].rpartition(" ")[0].rstrip(" ;") + " …]"
