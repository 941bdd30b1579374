from dataclasses import replace
from math import factorial

import numpy as np
import pytest
from examples import merged, trained

from mlpreport import figures, tables
from mlpreport.data import noisy_sine
from mlpreport.errors import InvalidInputError
from mlpreport.experiments import EXPERIMENTS, Slice, forms, loss_slice, restart_of, run
from mlpreport.numerals import in_print
from mlpreport.studies import basin_shares, certificates
from mlpreport.training import Architecture, Restart, fit
from mlpreport.training.atlas import load_atlas

DATA = noisy_sine()
X, Y = DATA.train.x, DATA.train.y


def drawn(units, activation):
    """A network that was not trained, which takes seconds less to compile."""
    network, stream = Architecture((1, units, 1), activation), np.random.default_rng(units)
    parameters = {name: stream.normal(size=shape) for name, shape in network.parameter_shapes.items()}
    return Restart(network, 0, parameters, 0.0, 0.0, 0.0, 0, "iteration limit")


@pytest.mark.parametrize("units", [1, 2, 3])
@pytest.mark.parametrize(("activation", "signs"), [("sigmoid", 2), ("tanh", 2), ("relu", 1)])
def test_all_forms_are_different_parameters_of_one_function(units, activation, signs):
    restart = drawn(units, activation)
    found = forms(restart)
    flat = {tuple(np.concatenate([v.ravel() for v in form.parameters.values()]).round(9)) for form in found}
    assert len(found) == len(flat) == factorial(units) * signs**units
    for form in found:
        np.testing.assert_allclose(form.predict(X), restart.predict(X), atol=1e-9)


@pytest.mark.parametrize(("label", "layers"), [("1-1 linear", 0), ("1-2-2-2-1 sigmoid", 3)])
def test_forms_are_those_of_one_hidden_layer(label, layers):
    with pytest.raises(
        InvalidInputError, match=f"{label} has {layers} hidden layers; give a network with one"
    ):
        forms(restart_of(trained().record(label), 0))


def test_a_restart_is_taken_out_of_a_result_whole():
    record = run(replace(EXPERIMENTS["two-units"], restarts=3)).records[0]
    restart = restart_of(record, 2)
    assert np.mean((restart.predict(X) - Y) ** 2) == pytest.approx(record.losses[2], rel=1e-9)
    assert restart.stop_reason == record.stop_reasons[2]


def test_a_slice_begins_and_ends_at_the_errors_of_its_networks():
    network = Architecture((1, 2, 1), "sigmoid")
    trained = fit(network, DATA, restarts=2, seed=5, method="levenberg-marquardt", max_iterations=30)
    one, other = trained.restart(0), trained.restart(1)
    part = loss_slice("x", DATA, one, forms(other), points=5)
    assert part.losses.shape == (8, 5)
    np.testing.assert_allclose(part.losses[:, 0], one.loss, rtol=1e-9)
    np.testing.assert_allclose(part.losses[:, -1], other.loss, rtol=1e-9)
    middle = {name: (one.parameters[name] + forms(other)[3].parameters[name]) / 2 for name in one.parameters}
    expected = np.mean((replace(one, parameters=middle).predict(X) - Y) ** 2)
    assert part.losses[3, 2] == pytest.approx(expected, rel=1e-12)


def test_the_lowest_pass_is_the_lowest_of_the_highest_points():
    part = Slice("x", np.array([0, 0.5, 1]), np.array([[1.0, 9, 2], [1, 5, 2], [1, 7, 2]]))
    assert part.lowest_pass == 5
    (axes,) = figures.slices([part]).axes
    assert [line.get_linewidth() > 2 for line in axes.get_lines()] == [False, False, True]
    np.testing.assert_array_equal(axes.get_lines()[-1].get_ydata(), [1, 5, 2])


def test_basins_share_out_the_restarts_of_each_method():
    experiment = replace(EXPERIMENTS["two-units"], restarts=40)
    results = {
        name: run(replace(experiment, method=name, same_function=1e-2))
        for name in ("bfgs", "levenberg-marquardt")
    }
    found = basin_shares(results, least=0.01, tolerance=0.03)
    assert list(found) == sorted(found, key=float)
    for name, result in results.items():
        assert 30 < sum(shares[name].count for shares in found.values()) <= 40
        lowest = np.sum(result.records[0].losses < 0.081)
        assert found["0.0796"][name].count == lowest
    rows = tables.basins(found).rows
    assert rows[0][0] == "0.0796"
    assert rows[0][1] == str(found["0.0796"]["bfgs"])


def test_basins_of_several_architectures_are_refused():
    with pytest.raises(InvalidInputError, match=r"'tiny' is of 1-1 linear, 1-2-1 .*; give one"):
        basin_shares({"bfgs": trained()}, least=0.01, tolerance=0.03)


@pytest.mark.thorough
def test_frequent_classes_are_certified_drawn_and_tabulated_lowest_first():
    many = run(replace(EXPERIMENTS["two-units-many"], restarts=200))
    found = certificates(many, most=3)
    assert [part.loss for part in found] == sorted(part.loss for part in found)
    lowest = found[0]
    assert lowest.verdict == "limit at infinity"
    assert lowest.limit.loss == pytest.approx(merged()[1].loss, rel=1e-12)
    panels = figures.optima(many, most=3, certificates=found).axes
    assert [axes.get_title().splitlines()[-1] for axes in panels[:3]] == [part.verdict for part in found]
    drawn = [line for line in panels[0].get_lines() if line.get_label() == "its limit"]
    np.testing.assert_array_equal(drawn[0].get_ydata(), lowest.limit.curve(many.grid[:, None]))
    rows = tables.certificates(found).rows
    assert rows[0][:2] == (f"{lowest.limit.loss:.12f}", lowest.verdict)
    assert [row[2] for row in rows] == [in_print(part.because) for part in found]
    assert "e-" not in rows[0][2].replace("one-", "")


def test_only_classes_of_one_architecture_are_certified():
    with pytest.raises(
        InvalidInputError, match="'tiny' is of 1-1 linear, 1-2-1 sigmoid, 1-2-2-2-1 sigmoid; give one"
    ):
        certificates(trained(), most=1)


def test_a_table_of_atlases_has_a_row_for_each_entry():
    kept = [load_atlas(1), load_atlas(2)]
    rows = tables.atlas(kept).rows
    assert [row[0] for row in rows] == [part.architecture.label for part in kept for _ in part.entries]
    first = kept[0].entries[0]
    assert rows[0][1:3] == (f"{first.certificate.loss:.12f}", f"{100 * first.share:.1f}\N{NO-BREAK SPACE}%")
    assert rows[len(kept[0].entries)][4] == "limit at infinity"
