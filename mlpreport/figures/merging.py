"""Two units that merge: how they grow, what they approach, and how fast."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mlpreport.errors import InvalidInputError
from mlpreport.figures.style import (
    APART,
    BLUE,
    GREY,
    INK,
    STYLE,
    VERMILION,
    legend,
    make_panels,
    point_style,
)
from mlpreport.merging import Approach, Growth, LimitMap, PairLimit
from mlpreport.results import Result

LEVELS = (0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5)


def growth(record: Growth) -> Figure:
    """Parameter norm and error above the limit against iterations, one line for each restart."""
    figure, (top, bottom) = make_panels(1, 2, height=2.9)
    for axes, values, name in (
        (top, record.norms, "norm of the parameters"),
        (bottom, record.excesses, "error above the limit"),
    ):
        axes.plot(record.iterations, values, color=BLUE, lw=1, alpha=0.6)
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xlabel("iterations")
        axes.set_ylabel(name)
    return figure


def merging_units(record: Growth, stops: Sequence[int]) -> Figure:
    """The two units of one restart after some numbers of iterations, and below what both add to the output."""
    places = [record.iterations.index(stop) for stop in stops]
    figure, panels = make_panels(2, len(places), height=1.9, sharey="row")
    for column, place in enumerate(places):
        top, bottom = panels[column], panels[len(places) + column]
        for unit, (colour, dash) in enumerate(((BLUE, "-"), (VERMILION, "--"))):
            top.plot(record.grid, record.units[place, :, unit], color=colour, ls=dash)
        top.set_title(
            f"{record.iterations[place]} iterations\nseparation {record.separations[place, 0]:.1g}",
            fontsize=9,
        )
        bottom.plot(record.grid, record.pairs[place] - record.pairs[place].mean(), color=INK)
        bottom.set_xlabel("x")
    panels[0].set_ylabel("unit value")
    panels[len(places)].set_ylabel("both, weighted,\nless their mean")
    return figure


def limit_curve(result: Result, limit: PairLimit) -> Figure:
    """The best two-unit network among the restarts, and the limit function on top of it."""
    (record,) = result.records
    figure, (axes,) = make_panels(1, 1, height=3.0)
    train = result.data.train
    axes.plot(train.x[:, 0], train.y[:, 0], "o", ms=2.6, color=GREY, alpha=0.75, label="training points")
    axes.plot(result.grid, record.curve, color=BLUE, lw=4, alpha=0.6, label="best network")
    axes.plot(
        result.grid, limit.curve(result.grid), color=VERMILION, lw=1.2, ls=APART, label="limit function"
    )
    axes.set_xlabel("x")
    axes.set_ylabel("y")
    legend(figure, axes, columns=3)
    return figure


def limit_map(record: LimitMap, limit: PairLimit) -> Figure:
    """The limit function's lowest error for every place and steepness of its step, as contour lines."""
    figure, (axes,) = make_panels(1, 1, height=3.4)
    with rc_context(STYLE):
        areas = axes.contourf(
            record.places, record.slopes, record.losses, levels=[0.05, *LEVELS, 0.55], cmap="viridis"
        )
        axes.contour(
            record.places, record.slopes, record.losses, levels=LEVELS, colors="white", linewidths=0.4
        )
        bar = figure.colorbar(areas, ax=axes, ticks=LEVELS, format="%.2f", spacing="proportional")
        bar.set_label("lowest training error")
    axes.plot(-limit.b / limit.w, limit.w, "x", ms=9, mew=2.2, color=VERMILION)
    axes.set_yscale("log")
    axes.set_xlabel("place of the step, −b/w")
    axes.set_ylabel("steepness w")
    return figure


def approaches(found: Mapping[str, Approach], limit: PairLimit) -> Figure:
    """Error above the limit against separation for all restarts near it, and the line that theory predicts."""
    near = {name: part for name, part in found.items() if len(part.norms)}
    if not near:
        message = (
            f"no restart of {', '.join(found)} is near the limit; train more restarts, or pick within more"
        )
        raise InvalidInputError(message)
    figure, (axes,) = make_panels(1, 1, height=3.6)
    for place, (name, part) in enumerate(near.items()):
        axes.plot(part.separations, part.excesses, label=name, ms=4, alpha=0.6, **point_style(place))
    ends = _ends(axes)
    axes.plot(ends, limit.slope * ends**2, color=INK, lw=1, ls=(0, (4, 2)), label="slope × separation²")
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("separation of the two units, 1/|d|")
    axes.set_ylabel("training error above the limit")
    legend(figure, axes, columns=3)
    return figure


def _ends(axes: Axes) -> np.ndarray:
    drawn = np.concatenate([np.asarray(line.get_xdata()) for line in axes.get_lines()])
    return np.array([drawn.min(), drawn.max()])
