import math

import numpy as np
import pytest
import torch

from mlpreport.errors import InvalidInputError, MlpReportError, ShapeError
from mlpreport.models import MLP, LogisticRegression


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_parameters_have_the_reports_names_and_shapes():
    shapes = {name: tuple(value.shape) for name, value in MLP((1, 3, 5, 4, 1), torch.relu).named_parameters()}
    assert shapes == {
        "0_weight": (1, 3),
        "0_bias": (3,),
        "1_weight": (3, 5),
        "1_bias": (5,),
        "2_weight": (5, 4),
        "2_bias": (4,),
        "3_weight": (4, 1),
        "3_bias": (1,),
    }
    assert [name for name, _ in LogisticRegression(4, 3).named_parameters()] == ["0_weight", "0_bias"]


def test_weights_start_with_variance_one_over_fan_in_and_biases_one_over_width():
    model = MLP((400, 100, 1), dtype=torch.float64, generator=generator())
    weight, bias = getattr(model, "0_weight"), getattr(model, "0_bias")
    # The relative standard error of a variance from n normal values is sqrt(2/n); four of them.
    assert weight.var().item() * 400 == pytest.approx(1, abs=4 * math.sqrt(2 / weight.numel()))
    assert bias.var().item() * 100 == pytest.approx(1, abs=4 * math.sqrt(2 / bias.numel()))


def test_forward_is_the_matrix_formula():
    model = MLP((2, 3, 2), torch.tanh, dtype=torch.float64, generator=generator(1))
    W1, b1, W2, b2 = (value.detach().numpy() for value in model.parameters())
    x = np.random.default_rng(0).normal(size=(5, 2))
    expected = np.tanh(x @ W1 + b1) @ W2 + b2
    np.testing.assert_allclose(model(torch.as_tensor(x)).detach().numpy(), expected, rtol=1e-13)


def test_one_vector_gives_the_row_of_its_batch():
    for model in (LogisticRegression(3, 4, generator=generator()), MLP((3, 5, 4), generator=generator())):
        batch = torch.randn(6, 3, generator=generator(2))
        torch.testing.assert_close(model(batch[2]), model(batch)[2])
        assert model(batch[2]).shape == (4,)


def test_probabilities_sum_to_one_and_their_logarithms_stay_finite():
    model = LogisticRegression(3, 4, dtype=torch.float64, generator=generator())
    x = 1e4 * torch.randn(6, 3, dtype=torch.float64, generator=generator(2))
    torch.testing.assert_close(model.probabilities(x).sum(-1), torch.ones(6, dtype=torch.float64))
    assert torch.isfinite(model.log_probabilities(x)).all()
    torch.testing.assert_close(model.log_probabilities(x).exp(), model.probabilities(x))


def test_models_work_under_vmap_and_functional_call():
    model = MLP((1, 2, 1), torch.sigmoid, dtype=torch.float64)
    x = torch.linspace(0, 1, 7, dtype=torch.float64)[:, None]
    stacked = {name: torch.stack([value, 2 * value]) for name, value in model.named_parameters()}
    both = torch.func.vmap(lambda parameters: torch.func.functional_call(model, parameters, (x,)))(stacked)
    torch.testing.assert_close(both[0], model(x))
    per_sample = torch.func.vmap(model)(x)
    torch.testing.assert_close(per_sample, model(x))


def test_gradients_reach_every_parameter():
    model = MLP((2, 3, 1), torch.relu, generator=generator())
    model(torch.ones(4, 2)).sum().backward()
    assert all(value.grad is not None for value in model.parameters())


def test_same_generator_gives_the_same_model():
    one, two = (MLP((1, 4, 1), generator=generator(7)) for _ in range(2))
    for a, b in zip(one.parameters(), two.parameters(), strict=True):
        assert torch.equal(a, b)


def test_printing_shows_the_sizes():
    assert "sizes=(1, 2, 1)" in repr(MLP([1, 2, 1]))


@pytest.mark.parametrize(
    "sizes", [(), (3,), (1, 0, 1), (1, -2, 1), (1, 2.0, 1), (1, True, 1), 3, "121", np.array(3)]
)
def test_impossible_sizes_are_named(sizes):
    with pytest.raises(InvalidInputError, match="sizes = "):
        MLP(sizes, torch.sigmoid)


@pytest.mark.parametrize(("D", "C"), [(0, 2), (2, 0), (2.5, 2), (True, 2)])
def test_impossible_logistic_regressions_are_refused(D, C):
    with pytest.raises(InvalidInputError, match="must be a whole number of at least 1"):
        LogisticRegression(D, C)


@pytest.mark.parametrize("dtype", [torch.int64, torch.complex64, torch.bool, "float64", float, np.float64])
def test_types_that_hold_no_real_numbers_are_refused(dtype):
    with pytest.raises(InvalidInputError, match=r"dtype = .*give torch.float64"):
        MLP((1, 2, 1), dtype=dtype)


def test_an_activation_that_cannot_be_called_is_refused():
    with pytest.raises(InvalidInputError, match="phi = 'sigmoid'"):
        MLP((1, 2, 1), "sigmoid")


@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        (torch.ones(4, 2), ShapeError, r"shape \(4, 2\): expected one vector \(3,\) or a batch \(N, 3\)"),
        (torch.ones(()), ShapeError, r"shape \(\)"),
        (torch.ones(2, 2, 3), ShapeError, r"shape \(2, 2, 3\)"),
        (torch.ones(4, 3, dtype=torch.float64), InvalidInputError, "dtype torch.float64"),
        (torch.ones(4, 3, dtype=torch.int64), InvalidInputError, "dtype torch.int64"),
    ],
)
def test_wrong_inputs_get_an_error_that_names_shape_or_type(x, error, message):
    for model in (LogisticRegression(3, 2), MLP((3, 4, 2))):
        with pytest.raises(error, match=message) as caught:
            model(x)
        assert isinstance(caught.value, MlpReportError)


def test_an_array_instead_of_a_tensor_gets_the_remedy():
    with pytest.raises(InvalidInputError, match="as_tensor"):
        MLP((3, 4, 2))(np.ones((4, 3)))
