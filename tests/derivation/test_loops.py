"""Loops printed from index formulas compute what NumPy's code and torch's autograd compute, compiled or not."""

import warnings

import numpy as np
import pytest
from cases import few_of, one_in
from derivation.oracle import autograd, draw, error, interpreted
from derivation.programs import (
    PROGRAMS,
    SIZES,
    derived,
    derived_forward,
    derived_twice,
)
from numba.core.event import install_recorder

from mlpreport.derivation import register_elementwise, trace, value_and_grad
from mlpreport.derivation.pointwise import loops_of
from mlpreport.errors import InvalidInputError, ShapeError


def compiled(source, **shapes):
    return value_and_grad(trace(source, **shapes).vjp(), backend="numba")


def assert_agree(found, expected, tolerance=1e-12):
    assert found[0] == pytest.approx(expected[0], rel=tolerance, abs=1e-300)
    assert found[1].keys() == expected[1].keys()
    assert max(error(found[1][name], values) for name, values in expected[1].items()) < tolerance


@pytest.mark.parametrize("name", one_in(3, PROGRAMS))
def test_loops_agree_with_the_code_for_numpy(name):
    derivation = derived(name)
    inputs = draw(derivation.program, **SIZES)
    assert_agree(interpreted(derivation, inputs), value_and_grad(derivation)(**inputs))


@pytest.mark.parametrize(
    "name", few_of(("network", "entropy", "log-sum-exp along other axes", "log-cosh"), "log-cosh")
)
def test_compiled_loops_agree_with_autograd(name):
    source, _ = PROGRAMS[name]
    derivation = derived(name)
    inputs = draw(derivation.program, **SIZES)
    f = value_and_grad(derivation, backend="numba")
    assert_agree(f(**inputs), autograd(source, SIZES, **inputs))
    again = draw(derivation.program, seed=1, **SIZES | {"N": 7})
    assert_agree(f(**again), autograd(source, SIZES | {"N": 7}, **again))


@pytest.mark.parametrize("kind", ["jvp", "hvp"])
def test_loops_serve_forward_and_second_derivatives(kind):
    derivation = derived_forward("network") if kind == "jvp" else derived_twice("network")
    stream = np.random.default_rng(3)
    inputs = {
        name: stream.normal(size=[SIZES.get(str(s), s) for s in shape])
        for name, shape in derivation.backward.inputs.items()
    }
    f = value_and_grad(derivation)
    arrays = dict(zip(f.inputs, inputs.values(), strict=True))
    assert_agree(interpreted(derivation, inputs), f(**arrays))


@pytest.mark.thorough
def test_only_wanted_derivatives_are_computed():
    derivation = trace("l = sum((x @ W)**2)", x=("N", "D"), W=("D", "H")).vjp()
    f = value_and_grad(derivation, backend="numba", wrt=["W"])
    value, grads = f(x=[[1.0]], W=[[2.0]])
    assert (value, grads.keys(), grads["W"].tolist()) == (4.0, {"W"}, [[4.0]])
    assert "dx" not in f.source


def test_cross_entropy_is_exact_at_extreme_logits_and_silent():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        f = compiled("p = softmax(z)\nl = -sum(y*log(p))", z=("N", "C"), y=("N", "C"))
        value, grads = f(z=[[1000.0, 0.0]], y=[[0.0, 1.0]])
    assert value == 1000
    assert grads["z"].tolist() == [[1, -1]]


@pytest.mark.thorough
def test_functions_of_a_reader_are_compiled_and_stay_finite():
    register_elementwise("bump", lambda u: 1 / (1 + u**2))
    f = compiled("l = sum(bump(z) + sigmoid(z) + relu(z) + gelu(z))", z=("N", 1))
    _, grads = f(z=[[-1e4], [0.0], [1e4]])
    np.testing.assert_allclose(grads["z"][:, 0], [2e-12, 0.75, 2.0], rtol=1e-3)


def test_variables_may_be_called_like_functions_of_python():
    source = "max = x @ W\nmin = sigmoid(max)\nrange = softmax(min)\nl = sum(range**2)"
    derivation = trace(source, x=("N", "D"), W=("D", "H")).vjp()
    inputs = draw(derivation.program, **SIZES)
    assert_agree(interpreted(derivation, inputs), value_and_grad(derivation)(**inputs))


def test_a_network_is_computed_in_one_pass_over_each_intermediate():
    source = loops_of(derived("network"))
    assert source.count(" z3 = np.empty") == 1
    assert source.count("sigmoid(") == 2  # its definition and its only use
    assert "dW1[i, j] += dz2[k, j]*x[k, i]" in source


@pytest.fixture(scope="module")
def added():
    return compiled("l = sum(x + b)", x=("N", "D"), b=(1, "D"))


@pytest.mark.parametrize(
    ("arrays", "kind", "message"),
    [
        ({"x": np.ones((2, 3))}, InvalidInputError, r"missing: \['b'\]"),
        ({"x": np.ones((2, 3)), "b": np.ones(3)}, ShapeError, r"reshape\(1, -1\)"),
        ({"x": np.ones((2, 3)), "b": np.ones((1, 4))}, ShapeError, "D is 3, not 4"),
        ({"x": "text", "b": np.ones((1, 3))}, InvalidInputError, "no array of real numbers"),
    ],
)
def test_wrong_inputs_get_the_errors_of_the_other_backends(added, arrays, kind, message):
    with pytest.raises(kind, match=message):
        added(**arrays)


def test_arrays_of_any_order_and_protection_are_taken():
    f = compiled("l = sum(x * x)", x=("N", "D"))
    x = np.asfortranarray(np.arange(6.0).reshape(2, 3))
    x.flags.writeable = False
    assert f(x=x)[0] == 55
    assert f(x=[[1, 2]])[1]["x"].tolist() == [[2, 4]]


@pytest.mark.thorough
def test_compiled_functions_divide_by_zero_as_numpy_does():
    register_elementwise("inverse", lambda u: 1 / u)
    value, grads = compiled("l = sum(inverse(x))", x=("N", 1))(x=[[0.0], [2.0]])
    assert value == np.inf
    assert grads["x"].tolist() == [[-np.inf], [-0.25]]


def test_compiled_functions_are_compiled_before_their_first_call():
    f = compiled("l = sum(sigmoid(x))", x=("N", "D"))
    with install_recorder("numba:compile") as recorder:
        assert f(x=[[0.0, 0.0]])[0] == 1
    assert not recorder.buffer
