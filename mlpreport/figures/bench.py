"""The last measurement of speed as a figure."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mlpreport.benchmark import Benchmark, Contest, Entry
from mlpreport.figures.style import BLUE, GREY, VERMILION, legend, make_panels

KINDS = {
    "ours": ("this site", BLUE, "o"),
    "peer": ("others", VERMILION, "^"),
    "report": ("the report's way", GREY, "s"),
}
"""Name, colour and marker of each family."""


def bench(benchmark: Benchmark) -> Figure:
    """Expected running time of every method that reached the target, one panel per architecture, shortest on top."""
    parts = [[entry for entry in contest.entries if entry.expected] for contest in benchmark.contests]
    figure, panels = make_panels(len(parts), 1, height=2.1)
    heights = [0.5 + 0.17 * len(part) for part in parts]
    if grid := panels[0].get_gridspec():
        grid.set_height_ratios(heights)
    figure.set_figheight(sum(heights) + 0.4 * len(parts))
    for axes, contest, part in zip(panels, benchmark.contests, parts, strict=True):
        _contest(axes, contest, sorted(part, key=lambda entry: -(entry.expected or 0)))
    panels[-1].set_xlabel("expected CPU time until the target is reached, ms")
    legend(figure, panels[0], columns=3)
    return figure


def _contest(axes: Axes, contest: Contest, entries: list[Entry]) -> None:
    for family, (name, colour, marker) in KINDS.items():
        places = [place for place, entry in enumerate(entries) if entry.family == family]
        times = [entries[place].expected or np.nan for place in places]
        axes.plot(times, places, color=colour, marker=marker, ls="none", ms=5, label=name)
    axes.set_xscale("log")
    axes.set_ylim(-0.6, len(entries) - 0.4)
    axes.set_yticks(range(len(entries)), [entry.method for entry in entries], fontsize=7.5)
    axes.grid(axis="x", color=GREY, alpha=0.25, lw=0.6)
    axes.set_title(
        f"{contest.architecture} hidden units: training MSE at most {contest.target:.5f}", fontsize=9
    )
