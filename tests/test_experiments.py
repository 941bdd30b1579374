from dataclasses import replace

import numpy as np
import pytest
import sympy as sp
import torch
from examples import TINY, trained

from mlpreport import figures
from mlpreport.derivation import register_elementwise
from mlpreport.errors import InvalidInputError, MlpReportError
from mlpreport.experiments import EXPERIMENTS, DataSource, experiment_named, function_curve, run
from mlpreport.models import MLP

DEEP = "1-2-2-2-1 sigmoid"


def test_every_experiment_is_found_by_its_own_name():
    assert all(experiment_named(name).name == name for name in EXPERIMENTS)


def test_an_unknown_experiment_suggests_the_nearest():
    with pytest.raises(InvalidInputError, match="experiment 'width' is unknown; did you mean 'widths'"):
        run("width")
    with pytest.raises(InvalidInputError, match="did you mean 'two-units'"):
        run("TWO-UNITS")
    with pytest.raises(InvalidInputError, match="known experiments: first-units"):
        run("xyzzy")
    with pytest.raises(InvalidInputError, match="known experiments: first-units"):
        run([3])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("architectures", ()),
        ("architectures", TINY.architectures[0]),
        ("architectures", ("1-2-1 sigmoid",)),
        ("architectures", TINY.architectures * 2),
        ("data", None),
        ("name", 5),
        ("same_function", 0),
        ("same_function", "a"),
    ],
)
def test_an_experiment_of_which_no_result_can_be_made_is_refused(name, value):
    with pytest.raises(InvalidInputError, match=f"{name} = "):
        replace(TINY, **{name: value})


def test_running_again_gives_the_same_numbers():
    again = run(TINY)
    for one, two in zip(trained().records, again.records, strict=True):
        assert np.array_equal(one.losses, two.losses)
        assert np.array_equal(one.curve, two.curve)


def test_more_restarts_begin_with_the_same_restarts():
    shorter = run(replace(TINY, restarts=2))
    for one, two in zip(trained().records, shorter.records, strict=True):
        assert np.array_equal(one.losses[:2], two.losses)


def test_the_best_restart_is_best_on_the_training_points():
    for record in trained().records:
        assert record.loss == record.losses.min()
        assert record.test_loss == record.test_losses[np.argmin(record.losses)]


def test_the_torch_model_with_the_same_parameters_draws_the_same_curve():
    result = trained()
    record = result.record(DEEP)
    model = MLP(record.sizes, torch.sigmoid, dtype=torch.float64)
    for layer in range(4):
        for kind, letter in (("weight", "W"), ("bias", "b")):
            value = torch.as_tensor(record.parameters[f"{letter}{layer + 1}"][record.best])
            getattr(model, f"{layer}_{kind}").data = value
    expected = model(torch.as_tensor(result.grid[:, None]))[:, 0].detach().numpy()
    np.testing.assert_allclose(record.curve, expected, rtol=1e-9, atol=1e-9)
    fitted = model(torch.as_tensor(result.data.train.x.copy())).detach().numpy()
    assert record.loss == pytest.approx(np.mean((fitted - result.data.train.y) ** 2), rel=1e-12)


@pytest.mark.parametrize("label", ["1-1 linear", "1-2-1 sigmoid", DEEP])
def test_scaled_hidden_units_and_the_bias_add_up_to_the_fit(label):
    record = trained().record(label)
    total = record.hidden @ record.output_weights + record.output_bias
    np.testing.assert_allclose(total, record.curve, rtol=1e-9, atol=1e-9)


def test_a_network_without_hidden_units_is_the_best_line():
    result = trained()
    assert result.record("1-1 linear").loss == pytest.approx(result["line"].loss, rel=1e-10)


def test_optima_share_out_all_restarts():
    optima = trained().record("1-2-1 sigmoid").optima
    members = sorted(member for optimum in optima for member in optimum.members)
    assert members == list(range(TINY.restarts))
    assert [optimum.loss for optimum in optima] == sorted(optimum.loss for optimum in optima)
    for optimum in optima:
        low, high = optimum.share_interval
        assert low < optimum.share == optimum.count / TINY.restarts < high or optimum.share == 1


def test_the_smallest_data_have_a_result_and_no_warning():
    one = DataSource(train_size=1, test_size=1)
    found = run(replace(EXPERIMENTS["first-units"], restarts=1, data=one))
    assert found["line"].loss == pytest.approx(0.0, abs=1e-30)
    assert found.record("1-1-1 sigmoid").loss < 1e-6


def test_targets_that_overflow_end_in_an_error_and_no_warning():
    with pytest.raises(MlpReportError, match="none of 1 restarts"):
        run(replace(EXPERIMENTS["first-units"], restarts=1, data=DataSource(noise=1e200)))


def test_other_data_change_the_result():
    noisier = run(replace(TINY, data=DataSource(train_size=50, noise=0.3), same_function=None))
    assert len(noisier.data.train.x) == 50
    assert noisier["true sine"].loss > 4 * trained()["true sine"].loss
    assert noisier.records[1].optima == ()


@pytest.mark.parametrize("name", ["relu", "sigmoid", "tanh", "gelu"])
def test_drawn_activations_agree_with_torch_and_autograd(name):
    curve = function_curve(name)
    u = torch.tensor(curve.argument, requires_grad=True)
    value = {"relu": torch.relu, "gelu": torch.nn.functional.gelu}.get(name, getattr(torch, name, None))(u)
    (slope,) = torch.autograd.grad(value.sum(), u)
    np.testing.assert_allclose(curve.value, value.detach().numpy(), atol=1e-14)
    np.testing.assert_allclose(curve.slope, slope.numpy(), atol=1e-14)


def test_an_activation_is_not_drawn_where_it_has_no_value():
    register_elementwise("logarithm", sp.log)
    curve = function_curve("logarithm")
    defined = curve.argument > 0
    assert np.isnan([curve.value[~defined], curve.slope[~defined]]).all()
    np.testing.assert_allclose(curve.value[defined], np.log(curve.argument[defined]), rtol=1e-15)
    np.testing.assert_allclose(curve.slope[defined], 1 / curve.argument[defined], rtol=1e-15)
    function, slope = figures.activations([curve]).axes[0].get_lines()[2:4]
    assert np.isfinite(function.get_ydata()).sum() == np.isfinite(slope.get_ydata()).sum() == defined.sum()
