"""`fit` finds known optima, depends on seed and index only, and says why every restart ended."""

import time
import tracemalloc
from types import SimpleNamespace

import numpy as np
import pytest
import sympy as sp
import torch
from scipy.optimize import minimize
from scipy.special import ndtr

from mlpreport.data import Dataset, Sample, noisy_sine
from mlpreport.derivation import register_elementwise
from mlpreport.errors import InvalidInputError, MlpReportError, ShapeError
from mlpreport.training import METHODS, Architecture, fit
from mlpreport.training.baseline import torch_objective
from mlpreport.training.initialisation import initial_parameters
from mlpreport.training.methods import _share
from mlpreport.training.problem import Problem

DATA = noisy_sine()
LINE = Architecture((1, 1), "sigmoid")
REASONS = {"converged", "stalled", "iteration limit", "not finite"}
COMPILED = ["bfgs", "levenberg-marquardt", "adam", "gradient-descent"]


def units(*widths, activation="sigmoid"):
    return Architecture((1, *widths, 1), activation)


def data_of(x, y):
    sample = Sample(np.array(x, dtype=float).reshape(-1, 1), np.array(y, dtype=float).reshape(-1, 1))
    return Dataset(sample, sample)


@pytest.mark.parametrize("method", ["scipy-bfgs", "bfgs", "levenberg-marquardt", "l-bfgs"])
def test_the_linear_model_finds_the_line_of_least_squares(method):
    ensemble = fit(LINE, DATA, restarts=2, seed=0, method=method)
    slope, intercept = np.polyfit(DATA.train.x[:, 0], DATA.train.y[:, 0], 1)
    np.testing.assert_allclose(ensemble.losses, 0.438543, atol=1e-6)
    np.testing.assert_allclose(ensemble.test_losses, 0.440709, atol=1e-5)
    np.testing.assert_allclose(ensemble.parameters["W1"][:, 0, 0], slope, rtol=1e-4)
    np.testing.assert_allclose(ensemble.parameters["b1"][:, 0], intercept, rtol=1e-4)


def test_without_inputs_the_constant_is_found():
    data = data_of(np.zeros(100), DATA.train.y)
    loss = fit(LINE, data, restarts=1, seed=0, method="bfgs").best().loss
    assert loss == pytest.approx(0.506238, abs=1e-6)


def test_compiled_methods_find_the_optima_scipy_finds():
    options = {"restarts": 8, "seed": 4, "gradient_tolerance": 1e-8}
    baseline = fit(units(1), DATA, method="scipy-bfgs", **options)
    converged = np.array(baseline.stop_reasons) == "converged"
    assert converged.sum() >= 4
    for method in ("bfgs", "levenberg-marquardt"):
        found = fit(units(1), DATA, **options | {"restarts": 60}, method=method)
        for loss in baseline.losses[converged]:
            assert np.abs(found.losses / loss - 1).min() < 1e-9


def test_three_units_reach_one_minimum_below_the_noise_floor_from_a_third_of_the_starts():
    losses = fit(units(3), DATA, restarts=150, seed=1, method="bfgs").losses
    assert losses.min() < 0.007872
    assert 0.2 < np.mean(losses < losses.min() * (1 + 1e-6)) < 0.45


def limit_of_two_merging_units():
    """Lowest loss of c + a s + (d + e x) s (1 - s) with s = sigmoid(w x + b), which two units only approach."""
    x, y = DATA.train.x[:, 0], DATA.train.y[:, 0]

    def loss(wb):
        s = 1 / (1 + np.exp(-wb[0] * (x - wb[1])))
        columns = np.stack([np.ones_like(x), s, s * (1 - s), x * s * (1 - s)], axis=1)
        return np.mean((y - columns @ np.linalg.lstsq(columns, y, rcond=None)[0]) ** 2)

    options = {"xatol": 1e-12, "fatol": 1e-16}
    return min(
        minimize(loss, (w, b), method="Nelder-Mead", options=options).fun
        for w in (0.5, 1.5)
        for b in (3, 6, 9)
    )


def test_the_lowest_two_unit_losses_approach_a_limit_from_above():
    limit = limit_of_two_merging_units()
    losses = fit(units(2), DATA, restarts=60, seed=2, method="bfgs").losses
    assert limit == pytest.approx(0.07957, abs=1e-5)
    assert limit < losses.min() < limit * (1 + 1e-5)


@pytest.mark.parametrize("method", list(METHODS))
def test_a_restart_depends_on_seed_and_index_only(method):
    options = {"seed": 7, "method": method, "max_iterations": 20}
    few, many = (fit(units(3), DATA, restarts=count, **options) for count in (2, 5))
    for name, values in few.parameters.items():
        np.testing.assert_array_equal(values, many.parameters[name][:2])
    np.testing.assert_array_equal(few.losses, many.losses[:2])
    assert few.stop_reasons == many.stop_reasons[:2]


@pytest.mark.parametrize("method", COMPILED)
def test_the_number_of_threads_changes_no_bit(method):
    options = {"restarts": 9, "seed": 3, "method": method, "max_iterations": 150}
    one, two, five = (fit(units(10), DATA, threads=threads, **options) for threads in (1, 2, 5))
    for other in (two, five):
        np.testing.assert_array_equal(one.losses, other.losses)
        np.testing.assert_array_equal(one.parameters["W1"], other.parameters["W1"])
        np.testing.assert_array_equal(one.iterations, other.iterations)


def test_threads_beyond_the_restarts_take_no_memory():
    def peak(threads):
        tracemalloc.start()
        fit(units(3), DATA, restarts=2, seed=0, method="bfgs", max_iterations=1, threads=threads)
        used = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return used

    peak(2)  # compiles
    assert peak(1000) < 1.5 * peak(2)


def test_seeds_differ():
    first, second = (fit(LINE, DATA, restarts=1, seed=s, method="bfgs", max_iterations=0) for s in (0, 1))
    assert first.parameters["W1"] != second.parameters["W1"]


def test_starts_have_the_reports_spread():
    start = fit(
        Architecture((4, 300, 2), "gelu"),
        wide_data(4, 2),
        restarts=8,
        seed=0,
        method="bfgs",
        max_iterations=0,
    )
    assert start.stop_reasons == ("iteration limit",) * 8
    assert start.parameters["W1"].std() == pytest.approx(1 / 2, rel=0.05)
    assert start.parameters["b1"].std() == pytest.approx(1 / np.sqrt(300), rel=0.05)
    assert start.parameters["W2"].std() == pytest.approx(1 / np.sqrt(300), rel=0.05)


def wide_data(inputs, outputs):
    stream = np.random.default_rng(0)
    sample = SimpleNamespace(x=stream.normal(size=(6, inputs)), y=stream.normal(size=(6, outputs)))
    return SimpleNamespace(train=sample, test=sample)


def test_several_inputs_and_outputs_are_fitted_by_any_dataset_of_that_shape():
    ensemble = fit(
        Architecture((3, 8, 2), "gelu"), wide_data(3, 2), restarts=3, seed=0, method="levenberg-marquardt"
    )
    assert ensemble.best().loss < 1e-6
    assert ensemble.parameters["W1"].shape == (3, 3, 8)
    assert ensemble.parameters["b2"].shape == (3, 2)


@pytest.mark.parametrize("method", ["scipy-bfgs", "bfgs", "levenberg-marquardt"])
def test_weight_decay_shrinks_the_parameters_and_is_no_part_of_the_loss(method):
    options = {"restarts": 1, "seed": 0, "method": method}
    plain = fit(LINE, DATA, **options).best()
    decayed = fit(LINE, DATA, weight_decay=1.0, **options).best()
    x = np.hstack([DATA.train.x, np.ones_like(DATA.train.x)])
    expected = np.linalg.solve(x.T @ x / 100 + np.eye(2), x.T @ DATA.train.y / 100)[:, 0]
    found = [decayed.parameters["W1"][0, 0], decayed.parameters["b1"][0]]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)
    assert decayed.loss == pytest.approx(np.mean((x @ expected - DATA.train.y[:, 0]) ** 2), rel=1e-6)
    assert decayed.loss > plain.loss


@pytest.mark.parametrize("method", list(METHODS))
@pytest.mark.parametrize(
    ("architecture", "data"),
    [
        (units(2), data_of([1.0], [2.0])),
        (units(2, activation="relu"), data_of([0.0, 0.0, 0.0], [1.0, 2.0, 3.0])),
        (units(2, activation="relu"), data_of([-1e8, 1e8], [1e8, -1e8])),
        (units(2), data_of([1.0, 2.0], [3.0, 3.0])),
        (units(2), data_of([1e160, -1e160], [1e160, 3.0])),
    ],
    ids=["one point", "dead units", "large", "constant", "overflowing"],
)
def test_degenerate_data_end_with_a_reason(method, architecture, data):
    ensemble = fit(architecture, data, restarts=6, seed=0, method=method, max_iterations=60)
    assert set(ensemble.stop_reasons) <= REASONS
    finite = np.isfinite(ensemble.losses)
    assert np.array_equal(~finite, np.array(ensemble.stop_reasons) == "not finite")


@pytest.mark.parametrize("method", list(METHODS))
@pytest.mark.parametrize(("definition", "size"), [(lambda u: u**2, 1e200), (sp.sin, 1e307)])
def test_a_registered_activation_that_overflows_ends_with_a_reason(method, definition, size):
    register_elementwise("overflowing", definition)
    data = data_of(size * DATA.train.x, size * DATA.train.y)
    options = {"restarts": 2, "seed": 0, "method": method, "max_iterations": 5}
    ensemble = fit(units(2, activation="overflowing"), data, **options)
    assert ensemble.stop_reasons == ("not finite",) * 2


def test_a_best_of_nothing_is_an_error():
    ensemble = fit(units(2), data_of([1.0, 2.0], [1e200, -1e200]), restarts=3, seed=0, method="bfgs")
    assert ensemble.stop_reasons == ("not finite",) * 3
    with pytest.raises(MlpReportError, match="none of 3 restarts"):
        ensemble.best()


def test_the_best_restart_is_chosen_by_training_loss():
    ensemble = fit(units(2), DATA, restarts=12, seed=0, method="levenberg-marquardt")
    best = ensemble.best()
    assert best.loss == ensemble.losses.min()
    assert ensemble.test_losses.argmin() != best.index or best.test_loss == ensemble.test_losses.min()
    assert best.stop_reason == ensemble.stop_reasons[best.index]


def test_a_restart_predicts_what_its_errors_say():
    ensemble = fit(units(3, 2, 2), DATA, restarts=2, seed=0, method="bfgs", max_iterations=30)
    for sample, errors in ((DATA.train, ensemble.losses), (DATA.test, ensemble.test_losses)):
        fits = ensemble.predict(sample.x)
        assert fits.shape == (2, len(sample.x), 1)
        np.testing.assert_allclose(np.mean((fits - sample.y) ** 2, axis=(1, 2)), errors, rtol=1e-12)
        np.testing.assert_array_equal(ensemble.restart(1).predict(sample.x), fits[1])


def test_hidden_units_and_output_weights_make_the_fit():
    restart = fit(units(3, 4, 2), DATA, restarts=1, seed=0, method="bfgs", max_iterations=30).restart(0)
    *below, last = restart.hidden(DATA.test.x)
    assert [layer.shape for layer in (*below, last)] == [(123, 3), (123, 4), (123, 2)]
    expected = last @ restart.parameters["W4"] + restart.parameters["b4"]
    np.testing.assert_allclose(restart.predict(DATA.test.x), expected, rtol=1e-12)
    assert fit(LINE, DATA, restarts=1, seed=0, method="bfgs").best().hidden(DATA.test.x) == ()


def test_an_activation_registered_by_the_reader_trains_by_every_way():
    register_elementwise("cubic_test_activation", lambda u: u**3 / (1 + u**2))
    architecture = units(2, activation="cubic_test_activation")
    options = {"restarts": 1, "seed": 1, "max_iterations": 8}
    ours, torchs = (
        fit(architecture, DATA, method=method, **options).losses for method in ("bfgs", "scipy-bfgs")
    )
    assert np.isfinite(ours).all()
    np.testing.assert_allclose(ours, torchs, rtol=0.5)


@pytest.mark.parametrize(
    ("name", "definition", "f"),
    [
        ("leaky_relu", lambda u: sp.Piecewise((u / 5, u <= 0), (u, True)), lambda z: np.maximum(z / 5, z)),
        ("pad", lambda u: u * sp.sin(u), lambda z: z * np.sin(z)),
        ("tanh", lambda u: sp.exp(-(u**2)), lambda z: np.exp(-(z**2))),
        ("identity", lambda u: u**2, np.square),
        ("softplus", None, lambda z: np.logaddexp(z, 0)),
        ("identity", None, lambda z: z),
        ("gelu", None, lambda z: z * ndtr(z)),
    ],
)
def test_torch_computes_the_registered_activation_whatever_it_has_under_that_name(name, definition, f):
    if definition:
        register_elementwise(name, definition)
    x = np.linspace(-25, 25, 8).reshape(-1, 1)
    flat = np.array([0.7, -0.9, 0.1, 0.2, 1.1, 0.6, -0.3])

    def loss(flat):
        w1, b1, w2, b2 = flat[:2], flat[2:4], flat[4:6], flat[6]
        return np.mean((f(x * w1 + b1) @ w2 + b2) ** 2)

    objective = torch_objective(Problem(units(2, activation=name), x, np.zeros((8, 1))))
    value, gradient = objective(flat)
    assert value == pytest.approx(loss(flat), rel=1e-14)
    steps = 1e-6 * np.eye(7)
    slopes = [(loss(flat + step) - loss(flat - step)) / 2e-6 for step in steps]
    np.testing.assert_allclose(gradient, slopes, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("sizes", [(1, 2, 1), (2, 3, 2), (1, 3, 3, 1)])
def test_units_of_slope_0_are_fitted_by_the_weights_behind_them(sizes):
    register_elementwise("one", lambda u: u**0)
    data = wide_data(sizes[0], sizes[-1])
    ensemble = fit(Architecture(sizes, "one"), data, restarts=2, seed=0, method="levenberg-marquardt")
    assert ensemble.stop_reasons == ("converged",) * 2
    np.testing.assert_allclose(ensemble.losses, np.var(data.train.y, axis=0).mean(), rtol=1e-9)


def test_iterations_are_limited_and_counted():
    ensemble = fit(units(10), DATA, restarts=2, seed=0, method="bfgs", max_iterations=7)
    assert ensemble.stop_reasons == ("iteration limit",) * 2
    assert ensemble.iterations.tolist() == [7, 7]
    assert len(ensemble) == 2


@pytest.mark.parametrize("method", list(METHODS))
def test_no_iterations_leave_the_start_as_it_is(method):
    ensemble = fit(units(2), DATA, restarts=3, seed=0, method=method, max_iterations=0)
    start = initial_parameters(units(2), seed=0, restarts=range(3))
    np.testing.assert_array_equal(np.hstack([v.reshape(3, -1) for v in ensemble.parameters.values()]), start)
    assert ensemble.iterations.tolist() == [0, 0, 0]
    assert set(ensemble.stop_reasons) == {"iteration limit"}


@pytest.mark.parametrize("method", ["scipy-bfgs", "l-bfgs", "bfgs", "levenberg-marquardt"])
def test_converged_restarts_have_a_small_gradient_where_that_is_the_only_rule(method):
    options = {"decrement_tolerance": 0.0, "gradient_tolerance": 1e-12, "max_iterations": 300}
    ensemble = fit(units(1), DATA, restarts=4, seed=0, method=method, **options)
    converged = np.array(ensemble.stop_reasons) == "converged"
    assert not converged.all()
    assert np.all(ensemble.gradient_norms[converged] <= 1e-11)


@pytest.mark.parametrize("method", list(METHODS))
def test_iterations_are_counted_under_the_largest_limit(method):
    options = {"gradient_tolerance": 0.1, "max_iterations": 2**53}
    ensemble = fit(units(1), DATA, restarts=1, seed=0, method=method, **options)
    assert ensemble.stop_reasons == ("converged",)
    assert 0 < ensemble.iterations[0] < 1000


def test_a_large_decrement_tolerance_ends_early():
    options = {"restarts": 3, "seed": 0, "method": "levenberg-marquardt"}
    early, late = (fit(units(3), DATA, decrement_tolerance=t, **options) for t in (1e-2, 1e-10))
    assert (early.iterations < late.iterations).all()
    assert early.stop_reasons == ("converged",) * 3


def test_a_large_first_damping_makes_a_small_first_step():
    options = {"restarts": 1, "seed": 0, "method": "levenberg-marquardt"}
    start, cautious, bold = (
        fit(units(3), DATA, max_iterations=steps, first_damping=damping, **options).parameters["W1"]
        for steps, damping in ((0, 1.0), (1, 1e6), (1, 1e-2))
    )
    assert 0 < np.abs(cautious - start).max() < 1e-5 < np.abs(bold - start).max()


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("restarts", 0),
        ("restarts", True),
        ("restarts", 2.0),
        ("seed", -1),
        ("seed", 0.5),
        ("method", "bgfs"),
        ("method", None),
        ("max_iterations", -1),
        ("max_iterations", 1.5),
        ("max_iterations", 2**53 + 1),
        ("gradient_tolerance", -1e-6),
        ("gradient_tolerance", np.nan),
        ("decrement_tolerance", "small"),
        ("learning_rate", np.inf),
        ("first_damping", 0.0),
        ("weight_decay", -1.0),
        ("threads", 0),
        ("iterations", 5),
    ],
)
def test_a_bad_option_is_refused_by_name(option, value):
    with pytest.raises(InvalidInputError, match=option):
        fit(LINE, DATA, **{"restarts": 1, "seed": 0, "method": "bfgs"} | {option: value})


@pytest.mark.parametrize(
    ("method", "meant"), [("levenberg-marquart", "levenberg-marquardt"), ("BFGS", "bfgs")]
)
def test_an_unknown_method_brings_a_suggestion(method, meant):
    with pytest.raises(InvalidInputError, match=f"method '{method}' is unknown; did you mean '{meant}'"):
        fit(LINE, DATA, restarts=1, seed=0, method=method)


@pytest.mark.parametrize(
    ("x", "y", "problem"),
    [
        (np.ones((5, 2)), np.ones((5, 1)), ShapeError),
        (np.ones((5, 1)), np.ones((5, 2)), ShapeError),
        (np.ones((5, 1)), np.ones((4, 1)), ShapeError),
        (np.ones(5), np.ones(5), ShapeError),
        (np.ones((0, 1)), np.ones((0, 1)), ShapeError),
        (np.array([[1.0], [np.nan]]), np.ones((2, 1)), InvalidInputError),
        (np.ones((2, 1)), np.array([[1.0], [np.inf]]), InvalidInputError),
        ([["a"], ["b"]], np.ones((2, 1)), InvalidInputError),
        (np.ones((2, 1)) + 1j, np.ones((2, 1)), InvalidInputError),
        (torch.ones((2, 1), requires_grad=True), np.ones((2, 1)), InvalidInputError),
        (np.ma.masked_greater(np.arange(3.0).reshape(3, 1), 1), np.ones((3, 1)), InvalidInputError),
    ],
)
def test_bad_data_are_refused_by_name(x, y, problem):
    sample = SimpleNamespace(x=x, y=y)
    with pytest.raises(problem, match=r"data.train.[xy]"):
        fit(LINE, SimpleNamespace(train=sample, test=DATA.test), restarts=1, seed=0, method="bfgs")
    with pytest.raises(problem, match=r"data.test.[xy]"):
        fit(LINE, SimpleNamespace(train=DATA.train, test=sample), restarts=1, seed=0, method="bfgs")


@pytest.mark.parametrize("data", [None, DATA.train, np.ones((3, 1))])
def test_what_is_no_dataset_is_refused(data):
    with pytest.raises(InvalidInputError, match="is no Dataset"):
        fit(LINE, data, restarts=1, seed=0, method="bfgs")


def test_an_architecture_by_its_label_is_refused():
    with pytest.raises(InvalidInputError, match="architecture = '1-2-1 sigmoid': give an Architecture"):
        fit("1-2-1 sigmoid", DATA, restarts=1, seed=0, method="bfgs")


def test_the_parameters_can_be_handed_to_torch():
    ensemble = fit(units(2), DATA, restarts=2, seed=0, method="bfgs", max_iterations=1)
    # torch warns about arrays that are not writable.
    tensor = torch.as_tensor(ensemble.best().parameters["W1"])
    assert (tensor.shape, tensor.dtype) == ((1, 2), torch.float64)


def test_an_interruption_ends_the_rest():
    begun = []

    def work(part, cancelled):
        begun.append(part)
        until = time.monotonic() + 10
        while part.start > 0 and not cancelled[0] and time.monotonic() < until:
            time.sleep(0.001)

    def interrupt(_count):
        raise KeyboardInterrupt

    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        _share(work, 1000, 2, interrupt)
    assert time.monotonic() - began < 5
    assert 0 < len(begun) < 10


def test_short_fits_write_nothing(capsys):
    fit(LINE, DATA, restarts=3, seed=0, method="bfgs")
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "")


@pytest.mark.parametrize("first_damping", [1e-2, 1e12])
def test_a_step_that_damping_makes_short_is_no_convergence(first_damping):
    architecture = Architecture((1, 3, 5, 4, 1), "relu")
    ensemble = fit(
        architecture, DATA, restarts=30, seed=0, method="levenberg-marquardt", first_damping=first_damping
    )
    steep = ensemble.gradient_norms > 1e-2
    assert np.any(steep)
    assert "converged" not in {reason for reason, s in zip(ensemble.stop_reasons, steep, strict=True) if s}
    assert ensemble.losses.min() < 0.1
