import numpy as np
import pytest
from examples import record, result
from matplotlib.backends.backend_agg import FigureCanvasAgg

from mlpreport import figures, tables
from mlpreport.data import noisy_sine
from mlpreport.errors import InvalidInputError
from mlpreport.experiments import Experiment, largest_correlation, similarities
from mlpreport.studies import Arm, Share, Study, wilson
from mlpreport.training import Architecture, fit

STREAM = np.random.default_rng(0)


def arm(name, factor):
    values = [factor * np.exp(STREAM.normal(size=30)) for _ in range(4)]
    return Arm(name, {}, *values)


STUDY = Study("width-study", "", {}, (arm("3", 1.0), arm("50", 20.0)))


def values(axes, label):
    return next(np.asarray(line.get_ydata()) for line in axes.get_lines() if line.get_label() == label)


def test_an_error_distribution_rises_from_zero_at_the_smallest_error_to_one_at_the_largest():
    axes, other = figures.error_distributions(
        result("x", record("1-1-1 sigmoid", [3, 1, 2]), record("1-2-1 sigmoid", [1]))
    ).axes
    training = next(line for line in axes.get_lines() if line.get_label() == "training")
    np.testing.assert_array_equal(training.get_xdata(), [1, 1, 2, 3])
    np.testing.assert_allclose(training.get_ydata(), [0, 1 / 3, 2 / 3, 1])
    assert other.get_title() == "1-2-1 sigmoid"
    np.testing.assert_array_equal(values(other, "training"), [0, 1])


def test_shares_are_drawn_between_their_bounds():
    share = wilson(7, 10)
    (axes,) = figures.chances({"10 units": {"worse": share}}).axes
    bounds, middle = axes.get_lines()
    assert list(bounds.get_xdata()) == [share.low, share.high]
    assert list(middle.get_xdata()) == [0.7]
    assert share.low < 0.7 < share.high


def test_spikes_show_every_restart_and_ring_the_best_of_ten():
    for axes, part in zip(figures.spikes(STUDY, ("3", "50")).axes, STUDY.arms, strict=True):
        np.testing.assert_array_equal(values(axes, "all restarts"), part.deviations)
        np.testing.assert_array_equal(values(axes, "best of ten"), part.deviations[part.best_of(10)])
        assert axes.get_ylim()[1] > max(part.deviations.max() for part in STUDY.arms)


def test_arms_have_one_row_each_under_their_titles():
    (axes,) = figures.arms(STUDY, {"50": "fifty", "3": "three"}, floor=0.5).axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["fifty", "three"]
    points = next(line for line in axes.get_lines() if line.get_label() == "all restarts")
    np.testing.assert_array_equal(points.get_xdata(), STUDY["50"].test_losses)


def test_a_table_of_arms_compares_the_best_of_ten():
    found = tables.arms(STUDY, {"50": "fifty"}, than="3")
    assert found.header[1:3] == ("best of ten: median training MSE", "best of ten: median test MSE")
    shown = found.rows[0]
    best = STUDY["50"].best_of(10)
    assert shown[0] == "fifty"
    assert float(shown[1]) == pytest.approx(np.median(STUDY["50"].losses[best]), rel=1e-3)
    assert shown[3] == str(STUDY.worse("50", "3", factor=1))


def test_errors_by_iterations_draws_a_line_for_each_restart():
    results = {n: result("x", record("1-2-1 sigmoid", [1 / n, 2 / n], [3, 4])) for n in (1, 10)}
    training, test = figures.errors_by_iterations(results, "1-2-1 sigmoid").axes
    np.testing.assert_allclose(training.get_lines()[1].get_ydata(), [2, 0.2])
    np.testing.assert_allclose(test.get_lines()[0].get_ydata(), [3, 3])


def test_errors_by_iterations_that_are_all_nan_leave_their_panels_empty():
    nan = float("nan")
    results = {n: result("x", record("1-2-1 sigmoid", [nan], [nan])) for n in (1, 10)}
    figure = figures.errors_by_iterations(results, "1-2-1 sigmoid")
    FigureCanvasAgg(figure).draw()
    assert [axes.get_yscale() for axes in figure.axes] == ["log", "log"]


@pytest.mark.parametrize(
    ("draw", "name"),
    [
        (lambda: figures.errors_by_iterations({}, "1-2-1 sigmoid"), "results"),
        (lambda: figures.similarities({}), "found"),
        (lambda: figures.similarities({"a": np.array([])}), r"found\['a'\]"),
        (lambda: figures.chances({}), "found"),
        (lambda: figures.spikes(STUDY, []), "names"),
        (lambda: figures.descent({}, [1.0]), "losses"),
        (lambda: figures.descent({"a": np.ones(2)}, []), "dampings"),
        (lambda: figures.slices([]), "found"),
        (lambda: figures.best_seen(result("x", record("1-1-1 sigmoid", [1])), []), "certificates"),
        (lambda: figures.activations([]), "curves"),
    ],
)
def test_a_figure_of_nothing_is_refused(draw, name):
    with pytest.raises(InvalidInputError, match=rf"{name} = .*: nothing is in it; give at least one"):
        draw()


def test_points_of_many_names_differ():
    found = {"width": {str(n): Share(1, 2, 0.1, 0.9) for n in range(9)}}
    points = figures.chances(found).axes[0].get_lines()[1::2]
    assert len({(line.get_color(), line.get_marker()) for line in points}) == 9


def test_lines_of_many_names_differ():
    (axes,) = figures.similarities({str(n): np.array([0.5]) for n in range(9)}).axes
    assert len({(line.get_color(), str(line.get_linestyle())) for line in axes.get_lines()}) == 9


def test_a_descent_shows_losses_and_dampings():
    top, bottom = figures.descent({"a": np.array([3.0, 1.0]), "b": np.array([2.0])}, [1.0, 10.0]).axes
    np.testing.assert_array_equal(values(top, "a"), [3, 1])
    np.testing.assert_array_equal(bottom.get_lines()[0].get_ydata(), [1, 10])


def test_expected_iterations_are_the_mean_over_the_probability_of_success():
    ensemble = fit(Architecture((1, 2, 1), "sigmoid"), noisy_sine(), restarts=8, seed=3, method="bfgs")
    target = float(np.sort(ensemble.losses)[3])
    (row,) = tables.expected_iterations({"bfgs": ensemble}, target=target).rows
    assert float(row[3]) == pytest.approx(ensemble.iterations.sum() / 4, abs=1)
    (never,) = tables.expected_iterations({"bfgs": ensemble}, target=0.0).rows
    assert never[3] == "never"


@pytest.mark.parametrize(
    ("hidden", "expected"),
    [
        (
            [[0, 1, 5], [1, 0, 5], [2, -1, 5]],
            1.0,
        ),  # the second falls as the first rises; the third is constant
        ([[0, 1], [1, 0], [0, -1], [-1, 0]], 0.0),
        ([[3, 1], [3, 2]], 0.0),
    ],
)
def test_the_largest_correlation_is_that_of_the_most_alike_moving_units(hidden, expected):
    assert largest_correlation(np.array(hidden, float)) == pytest.approx(expected, abs=1e-12)


def test_similarities_are_found_for_every_restart_of_every_architecture():
    networks = (Architecture((1, 1, 1), "sigmoid"), Architecture((1, 2, 1), "sigmoid"))
    found = similarities(Experiment("x", networks, "levenberg-marquardt", restarts=20, seed=1))
    assert list(found["1-1-1 sigmoid"]) == [0.0] * 20
    assert found["1-2-1 sigmoid"].max() > 0.9999  # two units often merge
    assert found["1-2-1 sigmoid"].shape == (20,)
    (axes,) = figures.similarities(found).axes
    assert len(axes.get_lines()) == 2
