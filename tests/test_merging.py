from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from examples import merged, record, result
from matplotlib.figure import Figure

from mlpreport import figures, tables
from mlpreport.data import noisy_sine
from mlpreport.errors import InvalidInputError
from mlpreport.experiments import EXPERIMENTS, run
from mlpreport.merging import (
    approach,
    growth,
    network_loss,
    parameter_norms,
    separations,
    step_and_bump,
)
from mlpreport.training import Architecture

DATA = noisy_sine()
X, Y = DATA.train.x[:, 0], DATA.train.y[:, 0]
FEW = replace(EXPERIMENTS["two-units"], restarts=40)


@cache
def trained():
    return run(FEW)


def test_the_bump_is_the_slope_of_the_step():
    z = torch.linspace(-800, 800, 4001, dtype=torch.float64, requires_grad=True)
    value = torch.sigmoid(z)
    (slope,) = torch.autograd.grad(value.sum(), z)
    step, bump = step_and_bump(z.detach().numpy())
    np.testing.assert_allclose(step, value.detach().numpy(), atol=1e-15)
    np.testing.assert_allclose(bump, slope.numpy(), atol=1e-15)


def test_no_neighbour_of_the_lowest_limit_is_lower():
    _, limit = merged()
    assert np.mean((limit.curve(X) - Y) ** 2) == pytest.approx(limit.loss, rel=1e-13)
    stream = np.random.default_rng(0)
    for _ in range(200):
        names = ("w", "b", "c", "a", "alpha", "beta")
        moved = replace(limit, **{n: getattr(limit, n) * (1 + 1e-3 * stream.normal()) for n in names})
        assert np.mean((moved.curve(X) - Y) ** 2) > limit.loss


def test_the_map_never_lies_below_the_lowest_limit():
    start, limit = merged()
    assert start.losses.min() >= limit.loss
    assert start.losses.min() == pytest.approx(limit.loss, rel=0.01)


def test_the_map_shows_least_squares_fits_with_each_unit():
    start, _ = merged()
    for row, column in [(0, 0), (30, 57), (37, 64), (60, 3), (60, 60), (60, 120)]:
        z = start.slopes[row] * (X - start.places[column])
        step = 1 / (1 + np.exp(-z))
        basis = np.stack([np.ones_like(X), step, step * (1 - step), X * step * (1 - step)], axis=1)
        fit = basis @ np.linalg.lstsq(basis, Y, rcond=1e-12)[0]
        assert start.losses[row, column] == pytest.approx(np.mean((fit - Y) ** 2), rel=1e-6)


def test_networks_tend_to_the_limit_as_the_square_of_their_separation():
    _, limit = merged()
    far, near = (
        np.max(np.abs(predicted(limit.network(separation), X) - limit.curve(X)))
        for separation in (2e-3, 1e-3)
    )
    assert far / near == pytest.approx(4, rel=1e-2)


def predicted(parameters, x):
    units = 1 / (1 + np.exp(-(x[:, None] @ parameters["W1"] + parameters["b1"])))
    return units @ parameters["W2"][:, 0] + parameters["b2"][0]


def test_the_slope_at_the_limit_agrees_with_taylors_theorem():
    _, limit = merged()
    s = 1 / (1 + np.exp(-(limit.w * X + limit.b)))
    second, third = s * (1 - s) * (1 - 2 * s), s * (1 - s) * (1 - 6 * s * (1 - s))
    u = limit.alpha + limit.beta * X
    change = limit.a * u**2 * second / 2 + u**3 * third / 6
    assert limit.slope == pytest.approx(2 * np.mean((limit.curve(X) - Y) * change), rel=1e-4)
    assert limit.slope > 0


def test_the_network_of_a_limit_has_its_separation_however_its_units_are_signed():
    _, limit = merged()
    parameters = {name: value[None] for name, value in limit.network(0.01).items()}
    assert separations(parameters) == pytest.approx([0.01], rel=1e-12)
    flip = np.array([1.0, -1.0])
    flipped = {
        "W1": parameters["W1"] * flip,
        "b1": parameters["b1"] * flip,
        "W2": parameters["W2"] * flip[:, None],
        "b2": parameters["b2"] + parameters["W2"][:, 1],
    }
    one, other = ({name: value[0] for name, value in part.items()} for part in (parameters, flipped))
    np.testing.assert_allclose(predicted(one, X), predicted(other, X), atol=1e-10)
    assert separations(flipped) == pytest.approx([0.01], rel=1e-12)
    assert network_loss(other, DATA) == pytest.approx(np.mean((predicted(one, X) - Y) ** 2), rel=1e-9)


def test_the_norm_counts_every_parameter():
    parameters = {"W1": np.full((2, 1, 2), 3.0), "b2": np.full((2, 1), 4.0)}
    np.testing.assert_allclose(parameter_norms(parameters), np.sqrt(2 * 9 + 16))


def test_all_restarts_of_the_lowest_class_lie_on_the_predicted_parabola_above_the_limit():
    _, limit = merged()
    near = approach("BFGS", trained(), limit, within=1.5)
    assert len(near.norms) > 10
    np.testing.assert_allclose(near.excesses, limit.slope * near.separations**2, rtol=0.02)
    assert near.excesses.min() > 0


def test_parameters_grow_and_units_merge_with_more_iterations():
    _, limit = merged()
    grown = growth(replace(FEW, restarts=10), limit, iterations=(100, 1000, 5000), within=1.5)
    for values, sign in ((grown.norms, 1), (grown.separations, -1), (grown.excesses, -1)):
        assert (sign * np.diff(values, axis=0) > 0).all()
    assert np.ptp(grown.units[-1], axis=1).max() < 1e-3


OTHERS = (Architecture((1, 3, 1), "sigmoid"), Architecture((1, 2, 1), "tanh"))
SEVERAL = (Architecture((1, 2, 1), "sigmoid"), Architecture((1, 1, 1), "sigmoid"))


@pytest.mark.parametrize("networks", [OTHERS[:1], OTHERS[1:], SEVERAL])
def test_only_one_network_of_two_sigmoid_units_approaches_a_limit(networks):
    _, limit = merged()
    labels = [network.label for network in networks]
    with pytest.raises(InvalidInputError, match=f"architectures = {', '.join(labels)}: only two sigmoid"):
        approach("x", result("x", *(record(label, [0.08]) for label in labels)), limit, within=1.5)
    with pytest.raises(InvalidInputError, match=f"architectures = {', '.join(labels)}: only two sigmoid"):
        growth(replace(FEW, architectures=networks), limit, iterations=(1,), within=1.5)


def test_growth_of_nothing_is_refused():
    _, limit = merged()
    with pytest.raises(InvalidInputError, match=r"iterations = \(\)"):
        growth(FEW, limit, iterations=(), within=1.5)
    with pytest.raises(InvalidInputError, match=r"no restart ends within 1\.5 times the limit's error"):
        growth(replace(FEW, restarts=2), limit, iterations=(0, 1), within=1.5)


def test_figures_of_merging_draw_what_the_records_hold():
    start, limit = merged()
    near = approach("BFGS", trained(), limit, within=1.5)
    nothing = approach("none", trained(), limit, within=0.5)
    (axes,) = figures.approaches({"BFGS": near, "none": nothing}, limit).axes
    points, line = axes.get_lines()
    np.testing.assert_array_equal(points.get_ydata(), near.excesses)
    np.testing.assert_allclose(line.get_ydata(), limit.slope * line.get_xdata() ** 2)
    grown = growth(replace(FEW, restarts=5), limit, iterations=(10, 300), within=1.5)
    top, bottom = figures.growth(grown).axes
    assert len(top.get_lines()) == len(bottom.get_lines()) == grown.norms.shape[1]
    panels = figures.merging_units(grown, (10, 300)).axes
    np.testing.assert_array_equal(panels[1].get_lines()[0].get_ydata(), grown.units[1, :, 0])
    assert isinstance(figures.limit_map(start, limit), Figure)
    fit, drawn = figures.limit_curve(trained(), limit).axes[0].get_lines()[1:]
    np.testing.assert_allclose(fit.get_ydata(), drawn.get_ydata(), atol=1e-3)


def test_approaches_of_nothing_are_refused():
    _, limit = merged()
    nothing = approach("none", trained(), limit, within=0.5)
    with pytest.raises(InvalidInputError, match="no restart of BFGS, Adam is near the limit"):
        figures.approaches({"BFGS": nothing, "Adam": nothing}, limit)


def test_nearness_is_a_number():
    _, limit = merged()
    with pytest.raises(InvalidInputError, match="within = nan: must be a finite number of more than 0"):
        approach("BFGS", trained(), limit, within=float("nan"))


def test_a_table_of_approaches_counts_restarts_and_reasons():
    _, limit = merged()
    near = approach("BFGS", trained(), limit, within=1.5)
    nothing = approach("none", trained(), limit, within=0.5)
    row, empty = tables.approaches({"BFGS": near, "none": nothing}).rows
    assert row[1] == f"{len(near.norms)}\N{NO-BREAK SPACE}of\N{NO-BREAK SPACE}40"
    assert sum(int(part.split()[0]) for part in row[-1].split(", ")) == len(near.norms)
    assert empty == ("none", "0\N{NO-BREAK SPACE}of\N{NO-BREAK SPACE}40", "", "", "", "")
