"""Fits to the noisy sine: figures 1 to 7 of the report, as functions of Results; nothing is computed here."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mlpreport.checks import POSITIVE, checked_some, checked_whole
from mlpreport.errors import InvalidInputError
from mlpreport.figures.style import (
    APART,
    BLUE,
    GREY,
    STYLE,
    VERMILION,
    legend,
    line_style,
    make_panels,
    shares_below,
)
from mlpreport.numerals import number
from mlpreport.results import Baseline, EnsembleRecord, FunctionCurve, OptimumRecord, Result
from mlpreport.training.certificates import Certificate

SINE_RANGE = (-1.75, 1.75)
ERROR_RANGE = (2e-3, 20)


def _data(axes: Axes, result: Result, *, test: bool) -> None:
    train = result.data.train
    axes.plot(train.x[:, 0], train.y[:, 0], "o", ms=2.6, color=GREY, alpha=0.75, label="training points")
    if test:
        points = result.data.test
        axes.plot(
            points.x[:, 0], points.y[:, 0], "x", ms=3.2, mew=0.8, color=GREY, alpha=0.75, label="test points"
        )
    axes.plot(result.grid, result.truth, color=GREY, lw=1, ls=(0, (4, 2)), label="true sine")
    axes.set_ylim(*SINE_RANGE)
    axes.set_xticks(np.pi * np.arange(5), ["0", "π", "2π", "3π", "4π"])


def _errors(part: Baseline | EnsembleRecord | OptimumRecord) -> str:
    return f"train {part.loss:.4f}   test {_short(part.test_loss)}"


def _short(value: float) -> str:
    return f"{value:.4f}" if value < 1 else number(value, digits=4)


def optima(
    result: Result,
    label: str = "1-2-1 sigmoid",
    *,
    most: int = 6,
    certificates: Sequence[Certificate] = (),
) -> Figure:
    """Figure 1: the `most` frequent optima of one architecture, lowest first, with errors and share of restarts.

    With their certificates, in the same order, each has its verdict, and where there is a limit function, it too.
    """
    checked_whole("most", most, POSITIVE)
    frequent = sorted(result.record(label).optima, key=lambda optimum: -optimum.count)[:most]
    if not frequent:
        message = (
            f"{label!r} of result {result.experiment!r} has no optima; run its Experiment with same_function"
        )
        raise InvalidInputError(message)
    figure, panels = make_panels(-(-len(frequent) // 2), 2, height=2.15)
    for axes, optimum in zip(panels, sorted(frequent, key=lambda optimum: optimum.loss), strict=False):
        _data(axes, result, test=False)
        axes.plot(result.grid, optimum.curve, color=BLUE, label="network")
        low, high = optimum.share_interval
        share = f"{100 * optimum.share:.1f} % of restarts ({100 * low:.1f} to {100 * high:.1f})"
        axes.set_title(f"{_errors(optimum)}\n{share}", fontsize=9)
    for axes, certificate in zip(panels, certificates, strict=False):
        _certified(axes, result, certificate)
    return _finish(figure, panels, len(frequent))


def _certified(axes: Axes, result: Result, certificate: Certificate) -> None:
    axes.set_title(f"{axes.get_title()}\n{certificate.verdict}", fontsize=9)
    if certificate.limit is not None:
        limit = certificate.limit.curve(result.grid[:, None])
        axes.get_lines()[-1].set(linewidth=4, alpha=0.6)
        axes.plot(result.grid, limit, color=VERMILION, lw=1.2, ls=APART, label="its limit")


def best_seen(result: Result, certificates: Sequence[Certificate]) -> Figure:
    """The networks of certificates on the data of a Result, narrowest first; what leaves the frame is cut off."""
    checked_some("certificates", certificates)
    figure, panels = make_panels(len(certificates), 1, height=1.9)
    for axes, certificate in zip(panels, certificates, strict=True):
        _data(axes, result, test=False)
        curve = certificate.predict(result.grid[:, None])[:, 0]
        axes.plot(result.grid, curve, color=BLUE, lw=1.2, label="network")
        errors = f"train {number(certificate.loss, digits=2)}   test {_short(certificate.test_loss)}"
        axes.set_title(f"{certificate.architecture.hidden[0]} hidden units\n{errors}", fontsize=9)
        axes.set_ylabel("y")
    panels[-1].set_xlabel("x")
    legend(figure, panels[0], columns=3)
    return figure


def _finish(figure: Figure, panels: Sequence[Axes], used: int) -> Figure:
    for axes in panels[used:]:
        axes.set_axis_off()
    for axes in panels[:used:2]:
        axes.set_ylabel("y")
    for axes in panels[max(0, used - 2) : used]:
        axes.set_xlabel("x")
        axes.tick_params(labelbottom=True)
    legend(figure, panels[0], columns=4)
    return figure


def widths(result: Result) -> Figure:
    """Figure 2: the constant, the line and the best restart of every width, with training and test errors."""
    parts: list[tuple[str, Baseline | EnsembleRecord]] = [
        (f"best {baseline.name}", baseline) for baseline in result.baselines if baseline.name != "true sine"
    ]
    parts += [(_units(record), record) for record in result.records]
    figure, panels = make_panels(-(-len(parts) // 2), 2, height=2.0)
    for axes, (name, part) in zip(panels, parts, strict=False):
        _data(axes, result, test=True)
        axes.plot(result.grid, part.curve, color=BLUE, label="fit")
        axes.set_title(f"{name}\n{_errors(part)}", fontsize=9)
    return _finish(figure, panels, len(parts))


def _units(record: EnsembleRecord) -> str:
    count = "-".join(map(str, record.sizes[1:-1])) or "no"
    return f"{count} hidden unit{'' if count == '1' else 's'}"


def errors_by_width(result: Result) -> Figure:
    """Every restart's training and test error at every width, the best-on-training restart ringed."""
    figure, (axes,) = make_panels(1, 1, height=3.6)
    series = (
        ("training error", "losses", BLUE, "o", -0.12),
        ("test error", "test_losses", VERMILION, "^", 0.12),
    )
    for name, field, colour, marker, shift in series:
        for place, record in enumerate(result.records):
            values = getattr(record, field)
            spread = place + shift + np.linspace(-0.07, 0.07, len(values))
            style: dict[str, Any] = {"color": colour, "marker": marker, "linestyle": "none"}
            axes.plot(spread, values, ms=3.5, alpha=0.7, label=name if place == 0 else None, **style)
            axes.plot(spread[record.best], values[record.best], ms=8, mew=1.4, mfc="none", **style)
    floor = result["true sine"]
    axes.axhline(floor.test_loss, color=GREY, lw=1, ls=(0, (4, 2)), label="true sine, test error")
    axes.set_yscale("log")
    axes.set_xticks(range(len(result.records)), [_units(record).split(" ")[0] for record in result.records])
    axes.set_xlabel("hidden units")
    axes.set_ylabel("mean squared error")
    legend(figure, axes, columns=3)
    return figure


def hidden_units(result: Result, label: str) -> Figure:
    """Figures 3 to 5: a fit, its hidden units raw, and the same units scaled by their output weights.

    In the top panel rings show the sum of the scaled units plus the bias: it is the fit.
    """
    record = result.record(label)
    scaled = record.hidden * record.output_weights
    figure, (fit, raw, weighted) = make_panels(3, 1, height=2.0)
    _data(fit, result, test=False)
    fit.plot(result.grid, record.curve, color=BLUE, label="network")
    total = scaled.sum(axis=1) + record.output_bias
    style: dict[str, Any] = {"ls": "none", "marker": "o", "ms": 6, "mfc": "none", "color": VERMILION}
    fit.plot(result.grid[::26], total[::26], label="scaled units + bias", **style)
    fit.set_title(f"{_units(record)}\n{_errors(record)}", fontsize=9)
    fit.set_ylabel("y")
    for axes, curves, name in ((raw, record.hidden, "unit value"), (weighted, scaled, "weight × unit")):
        _unit_curves(axes, result.grid, curves)
        axes.set_ylabel(name)
    weighted.axhline(record.output_bias, color=GREY, lw=1.2, ls=(0, (1, 2)))
    weighted.annotate(
        "bias", (1.01, record.output_bias), xycoords=("axes fraction", "data"), va="center", ha="left"
    )
    weighted.set_xlabel("x")
    legend(figure, fit, columns=4)
    return figure


def _unit_curves(axes: Axes, grid: np.ndarray, curves: np.ndarray) -> None:
    for unit in range(curves.shape[1]):
        axes.plot(grid, curves[:, unit], lw=1.5, **line_style(unit))


def activation_fits(result: Result) -> Figure:
    """Figure 6: the best network of each activation, and below it every restart's training and test error."""
    figure, panels = make_panels(2, len(result.records), height=2.6, sharex=False)
    top, bottom = panels[: len(result.records)], panels[len(result.records) :]
    for axes, record in zip(top, result.records, strict=True):
        _data(axes, result, test=True)
        axes.plot(result.grid, record.curve, color=BLUE, label="network")
        axes.set_title(f"{record.activation}, {_units(record)}\n{_errors(record)}", fontsize=9)
        axes.set_xlabel("x")
    top[0].set_ylabel("y")
    for axes, record in zip(bottom, result.records, strict=True):
        _error_distribution(axes, record, result["constant"].loss)
    legend(figure, top[0], columns=4)
    return figure


def _error_distribution(axes: Axes, record: EnsembleRecord, constant: float) -> None:
    shares_below(axes, record.losses, color=BLUE, label="training")
    shares_below(axes, record.test_losses, color=VERMILION, ls="--", label="test")
    axes.axvline(constant, color=GREY, lw=1, ls=":", label="best constant")
    axes.set_xscale("log")
    axes.set_xlim(*ERROR_RANGE)
    axes.set_xlabel("mean squared error of a restart")
    axes.set_ylabel("share of restarts below")
    with rc_context(STYLE):
        axes.legend(fontsize=8, loc="upper left")


def activations(curves: Iterable[FunctionCurve]) -> Figure:
    """Figure 7: activations (solid) with their derivatives (dashed; a dot is the value where one jumps)."""
    drawn = tuple(curves)
    checked_some("curves", drawn)
    figure, panels = make_panels(1, len(drawn), height=2.8)
    for axes, curve in zip(panels, drawn, strict=True):
        axes.axhline(0, color=GREY, lw=0.6)
        axes.axvline(0, color=GREY, lw=0.6)
        axes.plot(curve.argument, curve.value, color=BLUE, label="function")
        _slope(axes, curve)
        axes.set_title(curve.name)
        axes.set_xlabel("u")
    legend(figure, panels[0], columns=2)
    return figure


def _slope(axes: Axes, curve: FunctionCurve) -> None:
    """Draw the derivative; where it jumps, with a gap, and a dot at its value there."""
    jumps = np.flatnonzero(np.abs(np.diff(curve.slope)) > np.ptp(curve.slope[np.isfinite(curve.slope)]) / 4)
    argument, slope = (np.insert(values, jumps + 1, np.nan) for values in (curve.argument, curve.slope))
    axes.plot(argument, slope, color=VERMILION, ls="--", label="derivative")
    axes.plot(curve.argument[jumps], curve.slope[jumps], "o", ms=4, color=VERMILION)
