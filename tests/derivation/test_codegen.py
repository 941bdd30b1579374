"""Compiled gradients: stable, readable, checked."""

import math
import warnings
from fractions import Fraction

import numpy as np
import pytest
import torch
from cases import few_of
from derivation.programs import NETWORK, NETWORK_SHAPES, derived

from mlpreport.derivation import elementwise, prove, register_elementwise, trace, value_and_grad
from mlpreport.errors import InvalidInputError, ShapeError

BACKENDS = ["numpy", "torch"]


def compiled(source, backend="numpy", **shapes):
    return value_and_grad(trace(source, **shapes).vjp(), backend=backend)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    "source",
    [
        "l = -sum(y*log(softmax(z)))",
        "p = softmax(z)\nl = -sum(y*log(p))",
        "l = -sum(y*(z - log(sum(exp(z), axis=1))))",
        "l = -sum(y*log(exp(z)/sum(exp(z), axis=1)))",
    ],
)
def test_cross_entropy_is_exact_at_extreme_logits(source, backend):
    f = compiled(source, backend, z=("N", "C"), y=("N", "C"))
    value, grads = f(z=[[1000.0, 0.0]], y=[[0.0, 1.0]])
    assert value == 1000
    assert grads["z"].tolist() == [[1, -1]]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("function", ["sigmoid", "tanh", "relu", "softplus", "gelu", "identity"])
def test_elementwise_functions_are_finite_for_large_arguments(function, backend):
    _, grads = compiled(f"l = sum({function}(z))", backend, z=("N", 1))(
        z=[[-1e4], [-1e3], [0.0], [1e3], [1e4]]
    )
    assert bool(np.isfinite(np.asarray(grads["z"])).all())


@pytest.mark.parametrize("backend", BACKENDS)
def test_logistic_loss_is_exact_at_extreme_logits(backend):
    source = "p = {}\nl = -sum(y*log(p) + (1-y)*log(1-p))"
    for sigmoid in ("sigmoid(z)", "1 / (1 + exp(-z))"):
        value, grads = compiled(source.format(sigmoid), backend, z=("N", 1), y=("N", 1))(
            z=[[1000.0], [-1000.0], [1000.0]], y=[[1.0], [1.0], [0.0]]
        )
        assert value == 2000
        assert grads["z"].tolist() == [[0], [-1], [1]]


def test_generated_code_raises_no_warning_at_a_thousand():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        value, _ = compiled("l = sum(sigmoid(z))", z=("N", 1))(z=[[-1000.0], [1000.0]])
    assert value == 1


def test_source_is_readable_and_computes_each_part_once():
    source = value_and_grad(trace(NETWORK, **NETWORK_SHAPES).vjp()).source
    assert "    dW1 = np.dot(x.T, dz1)\n" in source
    assert source.count("W2)") == source.count("W2.T)") == 1  # forwards, and backwards with the transpose
    repeated = compiled("l = sum(exp(x)*y) + sum(exp(x))", x=("N", "D"), y=("N", "D")).source
    assert repeated.count("np.exp") == 1
    turned = "l = sum(exp(a + b) * (b * a) + exp(b + a) / (a * b) + (a - b) / (b - a)**3)"
    source = compiled(turned, a=("N", "D"), b=("N", "D")).source
    assert [source.count(part) for part in ("a + b", "b + a", "= b * a\n", "a - b", "b - a")] == [
        1,
        0,
        1,
        1,
        0,
    ]
    assert value_and_grad(derived("layer norm")).source.count("**(1/2)") == 1


@pytest.mark.parametrize("backend", [*BACKENDS, "numba"])
@pytest.mark.parametrize("source", ["l = -2 * a", "l = -a", "t = -a\nl = t - 3", "l = -a/4 - a"])
def test_a_constant_gradient_is_an_array(source, backend):
    _, grads = compiled(source, backend, a=(1, 1))(a=[[2.0]])
    assert grads["a"].shape == (1, 1)
    assert grads["a"].item() == {"l = -2 * a": -2, "l = -a/4 - a": -1.25}.get(source, -1)


def test_the_value_is_a_python_float_and_gradients_are_separate_arrays():
    value, grads = compiled("t = a + b\nl = sum(t**2)", a=("N", "D"), b=("N", "D"))(a=[[1, 2]], b=[[3, 4]])
    assert type(value) is float
    grads["a"][0, 0] = 0
    assert grads["b"][0, 0] == 8


def test_one_function_serves_all_sizes():
    f = compiled("l = sum(a)", a=("N", "D"))
    assert [f(a=np.ones(shape))[0] for shape in ((1, 1), (2, 3), (2, 3))] == [1, 6, 6]


def test_torch_tensors_go_in_and_come_out():
    _, grads = compiled("l = sum(a**2)", "torch", a=("N", "D"))(a=torch.ones(2, 2, requires_grad=True))
    assert grads["a"].dtype == torch.float64
    assert not grads["a"].requires_grad


@pytest.mark.parametrize("backend", [*BACKENDS, "numba"])
def test_an_array_may_run_backwards(backend):
    x = np.arange(6.0).reshape(3, 2)[::-1, ::-1]
    value, grads = compiled("l = sum(x * x * c)", backend, x=("N", "D"), c=(1, "D"))(x=x, c=x[:1])
    assert value == (x * x * x[0]).sum()
    np.testing.assert_array_equal(grads["x"], 2 * x * x[0])


@pytest.mark.parametrize(
    ("arrays", "kind", "message"),
    [
        ({"x": np.ones((2, 3))}, InvalidInputError, r"missing: \['b'\]"),
        ({"x": np.ones((2, 3)), "b": np.ones((1, 3)), "c": 1}, InvalidInputError, r"unknown: \['c'\]"),
        ({"x": np.ones((2, 3)), "b": np.ones(3)}, ShapeError, r"reshape\(1, -1\)"),
        ({"x": np.ones(3), "b": np.ones((1, 3))}, ShapeError, r"reshape\(-1, 1\)"),
        ({"x": np.ones((2, 3)), "b": np.ones((1, 4))}, ShapeError, "D is 3, not 4"),
        ({"x": np.ones((2, 3)), "b": np.ones((2, 3))}, ShapeError, "1 is 1, not 2"),
        ({"x": None, "b": np.ones((1, 3))}, InvalidInputError, "NoneType is not real"),
        ({"x": 1j * np.ones((2, 3)), "b": np.ones((1, 3))}, InvalidInputError, "complex128 is not real"),
        ({"x": "text", "b": np.ones((1, 3))}, InvalidInputError, "no array of real numbers"),
        ({"x": [[10**400, 1, 1]], "b": np.ones((1, 3))}, InvalidInputError, "no array of real numbers"),
    ],
)
@pytest.mark.parametrize("backend", BACKENDS)
def test_wrong_inputs_get_a_clear_error(arrays, kind, message, backend):
    f = compiled("l = sum(x + b)", backend, x=("N", "D"), b=(1, "D"))
    with pytest.raises(kind, match=message):
        f(**arrays)


@pytest.mark.parametrize("backend", few_of([*BACKENDS, "numba"], *BACKENDS))
@pytest.mark.parametrize(
    ("loss", "rows", "problem"),
    [
        ("sum((x - mean(x, axis=0))**2)/(N - 1)", 1, "1/(N - 1) is no finite number at N = 1"),
        (
            "(sum(x**2)/(N - D))**0.5 + 1/(N - D)**0.5",
            2,
            "1/sqrt(-D + N) is no finite number at D = 3, N = 2",
        ),
        ("sum(x**2)*log(N - 5)", 5, "2*log(N - 5) is no finite number at N = 5"),
        ("sum(x)*N**500", 5, "N**500 is no finite number at N = 5"),
        ("sum(x)/relu(N - 3)", 3, "Piecewise((zoo, N <= 3), (1/(N - 3), True)) is no finite number at N = 3"),
    ],
)
def test_sizes_at_which_a_number_has_no_value_are_refused(backend, loss, rows, problem):
    f = compiled(f"l = {loss}", backend, x=("N", "D"))
    with pytest.raises(InvalidInputError) as caught:
        f(x=np.ones((rows, 3)))
    assert str(caught.value) == f"{problem}; give other sizes"
    assert math.isfinite(f(x=np.ones((4 if "500" in loss else 7, 3)))[0])


@pytest.mark.parametrize("backend", [*BACKENDS, "numba"])
@pytest.mark.parametrize("power", few_of((3, -2, 4, -4, 40, -40, 500), 40))
def test_high_powers_of_sizes_are_not_those_of_whole_numbers_of_64_bits(power, backend):
    value, grads = compiled(f"l = sum(x)*(N + D)**{power}", backend, x=("N", "D"))(x=[[1.0, 2.0]])
    expected = float(Fraction(3) ** power)
    assert value == pytest.approx(3 * expected, rel=1e-13)
    assert np.asarray(grads["x"]) == pytest.approx(np.full((1, 2), expected), rel=1e-13)


@pytest.mark.parametrize("backend", [*BACKENDS, "numba"])
def test_an_empty_batch_is_refused(backend):
    f = compiled("l = sum(tanh(x @ w)**2)/N", backend, x=("N", "D"), w=("D", 1))
    with pytest.raises(ShapeError) as caught:
        f(x=np.ones((0, 3)), w=np.ones((3, 1)))
    assert str(caught.value) == "x has shape (0, 3), declared (N, D): N is 0; give at least 1"


def test_an_unknown_backend_is_refused():
    with pytest.raises(InvalidInputError, match="'numpy' or 'torch'"):
        compiled("l = sum(x)", "fortran", x=("N", "D"))


def test_only_wanted_derivatives_are_computed():
    derivation = trace("l = sum((x @ W)**2)", x=("N", "D"), W=("D", "H")).vjp()
    f = value_and_grad(derivation, wrt=["W"])
    _, grads = f(x=[[1.0]], W=[[2.0]])
    assert grads.keys() == {"W"}
    assert "dx" not in f.source
    with pytest.raises(InvalidInputError, match="'V' has no derivative here"):
        value_and_grad(derivation, wrt=["V"])


def test_one_name_is_wanted_as_it_is_spelled():
    f = value_and_grad(trace(NETWORK, **NETWORK_SHAPES).vjp(), wrt="W1")
    assert "return l, {'W1': dW1}" in f.source


def test_a_derivation_with_a_function_redefined_since_is_refused():
    derivation = trace("l = sum(gelu(x))", x=("N", "D")).vjp()
    before = elementwise("gelu").expression
    try:
        register_elementwise("gelu", lambda u: u**2)
        with pytest.raises(InvalidInputError, match="gelu was redefined"):
            value_and_grad(derivation)
    finally:
        register_elementwise("gelu", lambda u: before.subs("u", u))
    assert value_and_grad(derivation)


def test_the_gradient_of_a_constant_loss_is_zero():
    value, grads = compiled("l = 3", x=("N", "D"))(x=[[1.0, 2.0]])
    assert value == 3
    assert grads["x"].tolist() == [[0, 0]]


@pytest.mark.parametrize("backend", ["numpy", "torch", "numba"])
def test_functions_of_numbers_and_sizes_are_computed(backend):
    derivation = trace("l = sum(y)*exp(D)*exp(1) + log(D) + tanh(N)", y=("N", "D")).vjp()
    value, grads = value_and_grad(derivation, backend)(y=np.array([[0.5, 0.25]]))
    assert value == pytest.approx(0.75 * math.exp(3) + math.log(2) + math.tanh(1), rel=1e-14)
    assert np.asarray(grads["y"]) == pytest.approx(np.full((1, 2), math.exp(3)), rel=1e-14)
    assert prove(derivation)


def test_functions_of_sizes_may_stand_beside_and_before_functions_of_arrays():
    source = "l = sum(x) * tanh(N / D) + sigmoid(D) + relu(N - 10) + gelu(D / N)"
    _, grads = value_and_grad(trace(source, x=("N", "D")).vjp())(x=np.ones((3, 4)))
    np.testing.assert_allclose(grads["x"], np.tanh(3 / 4), rtol=1e-15)
