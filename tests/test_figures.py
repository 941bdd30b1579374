import numpy as np
import pytest
from examples import optimum, record, result, trained

from mlpreport import figures
from mlpreport.experiments import function_curve
from mlpreport.results import Result


def drawn(axes):
    """Arrays of y values of every line in the panel."""
    return [np.asarray(line.get_ydata(), dtype=float) for line in axes.get_lines()]


def shows(axes, values):
    return any(len(line) == len(values) and np.array_equal(line, values) for line in drawn(axes))


def test_widths_has_a_panel_for_each_baseline_and_architecture():
    figure = figures.widths(trained())
    panels = [axes for axes in figure.axes if axes.axison]
    parts = [trained()["constant"], trained()["line"], *trained().records]
    assert len(panels) == len(parts)
    for axes, part in zip(panels, parts, strict=True):
        assert shows(axes, part.curve)
        assert f"{part.loss:.4f}" in axes.get_title()


def test_optima_are_drawn_lowest_first_with_their_share():
    found = [optimum(0.3, range(50), 60), optimum(0.1, range(8), 60), optimum(0.2, range(2), 60)]
    figure = figures.optima(result("two", record("1-2-1 sigmoid", [0.1], optima=found)), most=2)
    titles = [axes.get_title() for axes in figure.axes]
    assert "0.1000" in titles[0]
    assert "13.3 % of restarts" in titles[0]
    assert "83.3 % of restarts" in titles[1]


def test_hidden_units_are_drawn_raw_and_scaled_and_their_sum_lies_on_the_fit():
    figure = figures.hidden_units(trained(), "1-2-1 sigmoid")
    part = trained().record("1-2-1 sigmoid")
    fit, raw, weighted = figure.axes
    for unit in range(2):
        assert shows(raw, part.hidden[:, unit])
        assert shows(weighted, part.hidden[:, unit] * part.output_weights[unit])
    rings = next(line for line in fit.get_lines() if "scaled units" in line.get_label())
    expected = np.interp(rings.get_xdata(), trained().grid, part.curve)
    np.testing.assert_allclose(rings.get_ydata(), expected, rtol=1e-8)


def test_errors_by_width_shows_every_restart():
    axes = figures.errors_by_width(trained()).axes[0]
    for part in trained().records:
        assert shows(axes, part.losses)
        assert shows(axes, part.test_losses)
    assert axes.get_yscale() == "log"


def test_activation_fits_shows_the_distribution_of_all_restarts():
    figure = figures.activation_fits(trained())
    assert len(figure.axes) == 2 * len(trained().records)
    assert shows(figure.axes[len(trained().records)], (np.arange(5) + 1) / 5)


def test_activations_are_drawn_with_their_derivatives():
    curves = [function_curve("relu"), function_curve("sigmoid")]
    for axes, curve in zip(figures.activations(curves).axes, curves, strict=True):
        assert shows(axes, curve.value)
        assert shows(axes, curve.slope)


@pytest.mark.parametrize("draw", [figures.widths, figures.errors_by_width, figures.activation_fits])
def test_a_figure_needs_nothing_but_the_saved_result(draw):
    again = Result.from_json(trained().to_json())
    pairs = zip(draw(trained()).axes, draw(again).axes, strict=True)
    for one, two in pairs:
        assert one.get_title() == two.get_title()
        for a, b in zip(drawn(one), drawn(two), strict=True):
            np.testing.assert_array_equal(a, b)


def test_lines_differ_in_dash_as_well_as_in_colour():
    many = record("1-10-1 sigmoid", [0.1], hidden=np.random.default_rng(0).random((521, 10)))
    axes = figures.hidden_units(result("ten", many), "1-10-1 sigmoid").axes[1]
    styles = {
        (line.get_color(), line.get_linestyle(), line._dash_pattern[1] and tuple(line._dash_pattern[1]))
        for line in axes.get_lines()
    }
    assert len(styles) == 10


def test_every_panel_of_data_names_its_axis():
    for figure in (figures.widths(trained()), figures.hidden_units(trained(), "1-2-1 sigmoid")):
        assert any(axes.get_xlabel() == "x" for axes in figure.axes)
