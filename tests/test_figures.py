import re
from itertools import combinations

import numpy as np
import pytest
from cases import one_in
from examples import optimum, record, result, trained
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from mlpreport import figures
from mlpreport.derivation import trace
from mlpreport.errors import InvalidInputError
from mlpreport.experiments import function_curve
from mlpreport.numerals import number
from mlpreport.programs import worked_example
from mlpreport.results import Result
from mlpreport.training.atlas import load_atlas


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
    figure = figures.optima(result("two", record("1-2-1 sigmoid", [0.1] * 60, optima=found)), most=2)
    titles = [axes.get_title() for axes in figure.axes]
    assert "0.1000" in titles[0]
    assert "13.3 % of restarts" in titles[0]
    assert "83.3 % of restarts" in titles[1]


def test_optima_of_which_there_are_none_are_refused():
    none = result("two", record("1-2-1 sigmoid", [0.1]))
    with pytest.raises(InvalidInputError, match="'1-2-1 sigmoid' of result 'two' has no optima"):
        figures.optima(none)
    with pytest.raises(InvalidInputError, match="most = 0: must be a whole number of at least 1"):
        figures.optima(trained(), most=0)


def test_the_best_seen_are_drawn_with_both_errors():
    found = [load_atlas(units).entries[0].certificate for units in (10, 100)]
    figure = figures.best_seen(trained(), found)
    for axes, certificate in zip(figure.axes, found, strict=True):
        assert shows(axes, certificate.predict(trained().grid[:, None])[:, 0])
        assert f"train {number(certificate.loss, digits=2)} " in axes.get_title()


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
    assert shows(figure.axes[len(trained().records)], np.arange(6) / 5)


def test_activations_are_drawn_with_their_derivatives():
    curves = [function_curve("relu"), function_curve("sigmoid")]
    for axes, curve in zip(figures.activations(curves).axes, curves, strict=True):
        assert shows(axes, curve.value)
        slope = next(line for line in axes.get_lines() if line.get_label() == "derivative").get_ydata()
        np.testing.assert_array_equal(slope[np.isfinite(slope)], curve.slope)


def test_a_derivative_that_jumps_has_a_gap_and_a_dot_at_its_value():
    jumping, smooth = figures.activations([function_curve("relu"), function_curve("sigmoid")]).axes
    gaps, dots = jumping.get_lines()[-2:]
    assert np.isnan(gaps.get_ydata()).sum() == 1
    assert (list(dots.get_xdata()), list(dots.get_ydata())) == ([0], [0])
    gaps, dots = smooth.get_lines()[-2:]
    assert not np.isnan(gaps.get_ydata()).any()
    assert not len(dots.get_xdata())


def test_every_row_of_panels_names_its_vertical_axis():
    panels = [figures.widths(trained()).axes[::2], figures.hidden_units(trained(), "1-2-1 sigmoid").axes]
    panels += [figures.activation_fits(trained()).axes[:1]]
    assert all(axes.get_ylabel() for axes in np.concatenate(panels) if axes.axison)


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


RESIDUAL = """
a = x @ W
t = tanh(a)
h = x + t
k = h @ V
g = sigmoid(k)
m = g * x
q = m + h
l = mean((q - t - y) ** 2)
"""


def graph(source, rows=1, **shapes):
    """A program evaluated at random inputs, and its drawing; N is `rows`."""
    derivation = trace(source, **shapes).vjp()
    stream = np.random.default_rng(0)
    arrays = {
        name: stream.normal(size=[rows if size == "N" else size for size in shape])
        for name, shape in shapes.items()
    }
    record = worked_example(derivation, **arrays)
    return record, figures.computation_graph(record)


def residual(rows=1):
    return graph(RESIDUAL, rows, x=("N", 2), W=(2, 2), V=(2, 2), y=("N", 2))


def boxes(figure):
    """Boxes of a drawn graph in pixels."""
    FigureCanvasAgg(figure).draw()
    axes = figure.axes[0]
    return [patch.get_window_extent() for patch in axes.patches if isinstance(patch, FancyBboxPatch)]


def test_every_variable_of_a_graph_has_its_label_value_and_cotangent_in_one_box():
    record, figure = residual()
    found = boxes(figure)
    texts = figure.axes[0].texts
    assert len(found) == len(record.nodes)
    for node in record.nodes:
        (label,) = (text for text in texts if text.get_text() == node.label)
        (box,) = (box for box in found if box.contains(*label.get_window_extent().min))
        inside = [text for text in texts if text.get_text() and box.contains(*text.get_window_extent().min)]
        assert len(inside) == 3
        value, cotangent = (re.findall(r"−?\d[\d.e−]*", text.get_text()) for text in inside[1:])
        for shown, array in ((value, node.value), (cotangent, node.cotangent)):
            first = array.ravel()[: len(shown)]
            assert shown
            numbers = [float(number.replace("−", "-")) for number in shown]
            np.testing.assert_allclose(numbers, first, rtol=0.06)


@pytest.mark.parametrize("rows", one_in(2, [7, 1]))
def test_boxes_of_a_graph_do_not_overlap_and_hold_their_text(rows):
    _, figure = residual(rows)
    found = boxes(figure)
    assert not any(one.overlaps(two) for one, two in combinations(found, 2))
    for text in figure.axes[0].texts:
        if text.get_text():
            extent = text.get_window_extent()
            assert any(box.contains(*extent.min) and box.contains(*extent.max) for box in found)


@pytest.mark.thorough
def test_an_edge_that_skips_equations_runs_beside_the_boxes_and_inside_the_figure():
    record, figure = residual()
    found, right = boxes(figure), figure.axes[0].get_window_extent().x1
    curves = [patch for patch in figure.axes[0].patches if isinstance(patch, FancyArrowPatch)]
    names = [node.name for node in record.nodes if node.operands]
    skipping = [
        (operand, node.name)
        for node in record.nodes
        for operand in node.operands
        if operand in names and names.index(node.name) > names.index(operand) + 1
    ]
    assert sorted(skipping) == [("h", "q"), ("t", "l")]
    assert len(curves) == len(skipping)
    for curve in curves:
        path = curve.get_path().transformed(curve.get_transform())
        points = np.concatenate(path.to_polygons(closed_only=False))  # curves as many short lines
        assert len(points) > 10
        assert points[:, 0].max() < right
        assert not any(box.contains(*point) for box in found for point in points)


def test_a_graph_shows_inputs_that_nothing_uses_with_gradient_zero():
    record, figure = graph("l = sum(x)", x=(1, 2), spare=(1, 1))
    assert record.node("spare").cotangent == 0
    assert any(text.get_text().startswith("spare") for text in figure.axes[0].texts)


def test_a_long_equation_is_written_smaller_rather_than_cut():
    source = "l = sum(first_quantity * first_quantity + second_quantity * second_quantity)"
    record, figure = graph(source, first_quantity=(1, 1), second_quantity=(1, 1))
    (box,) = (box for box in boxes(figure) if box.x0 > figure.bbox.width / 3)
    (label,) = (text for text in figure.axes[0].texts if text.get_text() == record.node("l").label)
    assert label.get_window_extent().x1 < box.x1
