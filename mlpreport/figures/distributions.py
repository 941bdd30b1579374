"""Distributions over restarts, and shares with their intervals."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float64
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from mlpreport.checks import checked_some
from mlpreport.experiments import Slice
from mlpreport.figures.style import (
    BLUE,
    GREY,
    STYLE,
    VERMILION,
    legend,
    line_style,
    make_panels,
    point_style,
    shares_below,
)
from mlpreport.results import Result
from mlpreport.studies import Arm, Share, Study

ERRORS = (4e-3, 1.5)
"""Errors between which distributions are drawn: from below the noise to above the constant."""


def error_distributions(result: Result) -> Figure:
    """Share of restarts whose training and test error is below a value, one panel for each architecture."""
    figure, panels = make_panels(1, len(result.records), height=2.6)
    for axes, record in zip(panels, result.records, strict=True):
        shares_below(axes, record.losses, color=BLUE, label="training")
        shares_below(axes, record.test_losses, color=VERMILION, ls="--", label="test")
        axes.axvline(result["constant"].loss, color=GREY, lw=1, ls=":", label="best constant")
        axes.set_xscale("log")
        axes.set_title(record.label)
        axes.set_xlabel("mean squared error")
        axes.set_xlim(*ERRORS)
    panels[0].set_ylabel("share of restarts below")
    legend(figure, panels[0], columns=3)
    return figure


def similarities(found: Mapping[str, Float64[np.ndarray, " restart"]]) -> Figure:
    """Share of restarts whose two most alike units correlate at least so much, one line for each architecture."""
    checked_some("found", found)
    figure, (axes,) = make_panels(1, 1, height=3.0)
    for place, (name, values) in enumerate(found.items()):
        checked_some(f"found[{name!r}]", values)
        apart = np.maximum(1 - values, 1e-10)
        shares_below(axes, apart, label=name, **line_style(place))
    axes.set_xscale("log")
    axes.set_xlabel("1 − correlation of the two most alike units")
    axes.set_ylabel("share of restarts below")
    legend(figure, axes, columns=3)
    return figure


def chances(found: Mapping[str, Mapping[str, Share]]) -> Figure:
    """Shares with their intervals: a group of rows for each name, one row for each question."""
    checked_some("found", found)
    figure, (axes,) = make_panels(1, 1, height=0.55 + 0.5 * len(found))
    for row, shares in enumerate(found.values()):
        for place, (question, share) in enumerate(shares.items()):
            height, middle = row + 0.2 * (place - (len(shares) - 1) / 2), share.count / share.of
            axes.plot([share.low, share.high], [height, height], color=point_style(place)["color"], lw=1.4)
            axes.plot(middle, height, label=question if row == 0 else None, ms=5, **point_style(place))
    axes.set_yticks(range(len(found)), list(found))
    axes.set_ylim(len(found) - 0.5, -0.5)
    axes.set_xlim(-0.02, 1.02)
    axes.set_xlabel("probability, with 99 % interval")
    legend(figure, axes, columns=3)
    return figure


def spikes(study: Study, names: Sequence[str]) -> Figure:
    """Where the best of ten is furthest from the sine, and by how much, one panel for each arm."""
    checked_some("names", names)
    figure, panels = make_panels(1, len(names), height=2.9, sharey=True)
    for axes, name in zip(panels, names, strict=True):
        arm = study[name]
        best = arm.best_of(10)
        axes.plot(arm.places, arm.deviations, ".", ms=3, color=GREY, alpha=0.5, label="all restarts")
        style: dict[str, Any] = {"ls": "none", "marker": "o", "ms": 4, "color": VERMILION, "mfc": "none"}
        axes.plot(arm.places[best], arm.deviations[best], label="best of ten", **style)
        axes.set_yscale("log")
        axes.set_title(f"{name} hidden units")
        axes.set_xlabel("x")
        axes.set_xticks(np.pi * np.arange(5), ["0", "π", "2π", "3π", "4π"])
    panels[0].set_ylabel("largest distance from the sine")
    legend(figure, panels[0], columns=2)
    return figure


def arms(study: Study, names: Mapping[str, str], *, floor: float) -> Figure:
    """Test error of every restart of some arms, one row for each, with the best of every ten in training."""
    figure, (axes,) = make_panels(1, 1, height=0.9 + 0.42 * len(names))
    for row, name in enumerate(names):
        _strip(axes, row, study[name])
    axes.axvline(floor, color=GREY, lw=1, ls=(0, (4, 2)), label="true sine")
    axes.set_yticks(range(len(names)), list(names.values()))
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_xscale("log")
    axes.set_xlim(0.008, 3000)
    axes.set_xlabel("test error")
    legend(figure, axes, columns=3)
    return figure


def _strip(axes: Axes, row: int, arm: Arm) -> None:
    best = arm.best_of(10)
    spread = np.linspace(-0.3, 0.3, len(arm.test_losses))
    style: dict[str, Any] = {"ls": "none", "marker": "o", "ms": 4, "color": VERMILION, "mfc": "none"}
    labels = ("all restarts", "best of ten in training") if row == 0 else (None, None)
    axes.plot(arm.test_losses, row + spread, ".", ms=2.5, color=BLUE, alpha=0.5, label=labels[0])
    axes.plot(arm.test_losses[best], row + spread[best], label=labels[1], **style)


def errors_by_iterations(results: Mapping[int, Result], label: str) -> Figure:
    """Training and test error of every restart of one architecture, stopped after so many iterations."""
    checked_some("results", results)
    figure, panels = make_panels(1, 2, height=2.8)
    for axes, field, name in zip(panels, ("losses", "test_losses"), ("training", "test"), strict=True):
        values = np.array([getattr(result.record(label), field) for result in results.values()])
        # Before anything is drawn: a logarithmic scale finds no limits in lines that are all NaN.
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.plot(list(results), values, color=BLUE, lw=1, alpha=0.6, marker=".", ms=4)
        first = next(iter(results.values()))["true sine"]
        axes.axhline(first.loss if field == "losses" else first.test_loss, color=GREY, lw=1, ls=(0, (4, 2)))
        axes.set_xlabel("iterations")
        axes.set_title(f"{name} error")
    panels[0].set_ylabel("mean squared error")
    return figure


def descent(losses: Mapping[str, Float64[np.ndarray, " iteration"]], dampings: Sequence[float]) -> Figure:
    """The loss of one restart against iterations for each method, and below it the damping of the first."""
    checked_some("losses", losses)
    checked_some("dampings", dampings)
    figure, (top, bottom) = make_panels(2, 1, height=2.3)
    for place, (name, values) in enumerate(losses.items()):
        top.plot(values, label=name, **line_style(place))
    bottom.plot(dampings, color=BLUE, marker=".")
    top.set_ylabel("mean squared error")
    bottom.set_ylabel("damping λ")
    bottom.set_xlabel("iterations")
    for axes in (top, bottom):
        axes.set_yscale("log")
    with rc_context(STYLE):
        top.legend()
    return figure


def slices(found: Sequence[Slice]) -> Figure:
    """Training error on straight lines between networks, one panel for each slice; the lowest pass is bold."""
    checked_some("found", found)
    figure, panels = make_panels(1, len(found), height=2.8)
    for axes, part in zip(panels, found, strict=True):
        easiest = int(np.argmin(part.losses.max(axis=1)))
        axes.plot(part.along, np.delete(part.losses, easiest, axis=0).T, color=GREY, lw=0.7, alpha=0.6)
        axes.plot(part.along, part.losses[easiest], color=BLUE, lw=2.2)
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 3, 5)))
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_formatter(NullFormatter())
        axes.set_title(part.title, fontsize=9)
        axes.set_xlabel("from one to the other")
    panels[0].set_ylabel("training error")
    return figure
