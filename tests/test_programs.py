"""The programs of chapter 3, and what is made of them, against torch.autograd."""

from functools import cache

import numpy as np
import pytest
import torch
from cases import one_in
from examples import report_gradients

from mlpreport.derivation import explain, prove, trace
from mlpreport.errors import InvalidInputError, ProgramError, ShapeError
from mlpreport.programs import (
    deep_network,
    logistic_regression,
    report_network,
    tampered,
    worked_example,
)

SIZES = {"N": 3, "D": 2, "H": 4, "C": 5}


@cache
def derived():
    """The derivation of the report's network, made once for all tests."""
    return report_network().vjp()


def drawn(program, seed=0):
    stream = np.random.default_rng(seed)
    shapes = {name: [SIZES.get(str(s)) or int(s) for s in shape] for name, shape in program.inputs.items()}
    return {name: stream.normal(size=shape) for name, shape in shapes.items()}


def leaves(arrays):
    return {name: torch.tensor(array, requires_grad=True) for name, array in arrays.items()}


def test_the_reports_network_has_its_twelve_variables_in_the_order_of_computation():
    program = report_network()
    assert list(program.definitions) == ["z1", "z2", "z3", "z4", "yhat", "l"]
    assert set(program.inputs) == {"x", "W1", "b1", "W2", "b2", "y"}
    assert list(derived().steps) == [
        "l",
        "y",
        "yhat",
        "b2",
        "z4",
        "W2",
        "z3",
        "z2",
        "b1",
        "z1",
        "W1",
        "x",
    ]


@pytest.mark.parametrize(("assume", "right"), [((), False), (("rows_sum_to_one:y",), True)])
def test_the_gradient_of_softmax_with_cross_entropy_is_p_minus_y_only_under_its_assumption(assume, right):
    program = logistic_regression(*assume)
    assert explain(program, "z", "(p - y) / N").agrees is right
    assert explain(program, "z", "(p * sum(y, axis=1) - y) / N").agrees
    assert program.vjp()["z"].assumptions == assume


@pytest.mark.parametrize("activation", ["relu", "tanh", "gelu"])
def test_a_deep_network_has_as_many_layers_as_asked_and_the_gradients_of_autograd(activation):
    program = deep_network(3, activation)
    assert [name for name in program.inputs if name[0] == "W"] == ["W1", "W2", "W3", "W4"]
    arrays = drawn(program)
    tensors = leaves(arrays)
    value, function = tensors["x"], getattr(torch, activation, torch.nn.functional.gelu)
    for k in (1, 2, 3):
        value = function(value @ tensors[f"W{k}"] + tensors[f"b{k}"])
    ((value @ tensors["W4"] + tensors["b4"] - tensors["y"]) ** 2).mean().backward()
    example = worked_example(program.vjp(), **arrays)
    for name, tensor in tensors.items():
        np.testing.assert_allclose(example.node(name).cotangent, tensor.grad, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("depth", [0, -1, True, 2.0])
def test_a_network_without_hidden_layers_is_refused(depth):
    with pytest.raises(InvalidInputError, match="depth"):
        deep_network(depth, "tanh")


def test_an_unknown_activation_is_refused():
    with pytest.raises(ProgramError, match="sigmoid"):
        deep_network(2, "sigmoids")


def test_a_worked_example_has_the_values_and_cotangents_of_autograd():
    program = derived().program
    arrays = drawn(program)
    t = leaves(arrays)
    gradients = report_gradients(t)
    example = worked_example(derived(), **arrays)
    assert [node.name for node in example.nodes] == [*program.inputs, *program.definitions]
    for (name, value), gradient in zip(t.items(), gradients, strict=True):
        np.testing.assert_allclose(example.node(name).value, value.detach(), rtol=1e-12)
        np.testing.assert_allclose(example.node(name).cotangent, gradient, rtol=1e-12)
    assert example.node("z4").operands == ("W2", "z3")
    assert example.node("z2").label == "z2 = z1 + b1   (N, H)"


def test_a_worked_example_names_an_input_that_is_missing_or_does_not_fit():
    derivation = derived()
    arrays = drawn(derivation.program)
    with pytest.raises(ShapeError, match=r"y has shape .4, 1."):
        worked_example(derivation, **arrays | {"y": np.ones((4, 1))})
    del arrays["b2"]
    with pytest.raises(InvalidInputError, match="b2"):
        worked_example(derivation, **arrays)


FAULTS = {
    "doubled": ("z3", "2 * dz4 @ W2.T"),
    "one batch sum too few": ("b1", "mean(dz2, axis=0)"),
    "one factor lost": ("z2", "dz3 * (1 - z3)"),
    "sign flipped": ("yhat", "2 * (y - yhat)"),
    "transposed weight": ("z1", "dz2 @ V"),
}


@pytest.fixture(scope="module", name="square")
def _square():
    """A network whose second weight is square, so that its transpose has the same shape."""
    source = "z1 = x @ W\nz2 = z1 @ V\nz3 = sigmoid(z2)\nl = sum((z3 - y) ** 2)"
    shapes = {"x": ("N", "D"), "W": ("D", "H"), "V": ("H", "H"), "y": ("N", "H")}
    return trace(source, **shapes).vjp()


@pytest.mark.parametrize("fault", one_in(3, FAULTS))
def test_a_tampered_derivation_is_not_proved(fault, square):
    name, wrong = FAULTS[fault]
    original = square if name == "z1" else derived()
    proof = prove(tampered(original, name, wrong), N=2, D=1, H=2)
    assert not proof
    assert any(name in failure for check in proof.checks for failure in check.failures)


@pytest.mark.thorough
def test_what_was_tampered_with_is_proved_without_it(square):
    assert prove(derived(), N=2, D=1, H=2)
    assert prove(square, N=2, D=1, H=2)


@pytest.mark.thorough
def test_tampering_with_the_right_formula_changes_nothing():
    assert prove(tampered(derived(), "W1", "x.T @ dz1"), N=2, D=1, H=2)


def test_tampering_needs_a_known_variable_and_a_formula_of_its_shape():
    derivation = derived()
    with pytest.raises(ShapeError, match=r"\(N, H\).*W1.*\(D, H\)"):
        tampered(derivation, "W1", "dz1")
    with pytest.raises(ProgramError, match="'W1'"):
        tampered(derivation, "W11", "dz1")
