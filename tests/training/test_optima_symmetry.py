"""Canonical parameters are the same for all forms of a network, and have its function."""

import numpy as np
import pytest
import sympy as sp

from mlpreport.derivation import register_elementwise
from mlpreport.derivation.symmetries import symmetries
from mlpreport.errors import InvalidInputError, ShapeError
from mlpreport.training import Architecture
from mlpreport.training.optima import canonical


def forward(f, parameters, x):
    layers = len(parameters) // 2
    for layer in range(1, layers + 1):
        x = x @ parameters[f"W{layer}"] + parameters[f"b{layer}"]
        x = f(x) if layer < layers else x
    return x


FUNCTIONS = {
    "sigmoid": lambda z: 1 / (1 + np.exp(-z)),
    "tanh": np.tanh,
    "relu": lambda z: np.maximum(z, 0),
    "softplus": lambda z: np.log1p(np.exp(z)),
    "bump": lambda z: np.exp(-(z**2)),
}


def random_parameters(architecture, seed):
    random = np.random.default_rng(seed)
    return {name: random.normal(size=shape) for name, shape in architecture.parameter_shapes.items()}


@pytest.mark.parametrize("sizes", [(1, 3, 1), (2, 4, 3, 2)])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_canonical_parameters_have_the_same_function_and_stay_as_they_are(name, sizes):
    register_elementwise("bump", lambda u: sp.exp(-(u**2)))
    architecture = Architecture(sizes, name)
    parameters = random_parameters(architecture, 3)
    x = np.random.default_rng(0).normal(size=(7, sizes[0]))
    found = canonical(architecture, parameters)
    np.testing.assert_allclose(
        forward(FUNCTIONS[name], found, x), forward(FUNCTIONS[name], parameters, x), rtol=1e-12, atol=1e-13
    )
    again = canonical(architecture, found)
    for key, values in found.items():
        np.testing.assert_allclose(again[key], values, rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize(("name", "turn"), [("sigmoid", (-1, 1)), ("tanh", (-1, 0)), ("bump", (1, 0))])
def test_all_permuted_and_reflected_forms_have_one_representative(name, turn):
    register_elementwise("bump", lambda u: sp.exp(-(u**2)))
    architecture = Architecture((1, 3, 1), name)
    base = random_parameters(architecture, 5)
    first = canonical(architecture, base)
    s, c = turn
    for order in ([2, 0, 1], [1, 2, 0], [0, 2, 1]):
        form = {
            "W1": base["W1"][:, order],
            "b1": base["b1"][order],
            "W2": base["W2"][order],
            "b2": base["b2"].copy(),
        }
        form["W1"][:, 1], form["b1"][1] = -form["W1"][:, 1], -form["b1"][1]
        form["b2"] = form["b2"] - s * c * form["W2"][1]
        form["W2"] = form["W2"] * np.array([[1], [s], [1]])
        for key, values in canonical(architecture, form).items():
            np.testing.assert_allclose(values, first[key], rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("scale", [[0.2, 3.0, 50.0], [1e-200, 1.0, 1e160]])
def test_positive_scaling_of_relu_units_has_one_representative(scale):
    architecture = Architecture((2, 3, 1), "relu")
    base, scale = random_parameters(architecture, 1), np.array(scale)
    form = base | {"W1": base["W1"] * scale, "b1": base["b1"] * scale, "W2": base["W2"] / scale[:, None]}
    for key, values in canonical(architecture, form).items():
        np.testing.assert_allclose(values, canonical(architecture, base)[key], rtol=1e-13)


def test_symmetries_are_found_from_the_definition_and_not_from_the_name():
    register_elementwise("sigmoid", lambda u: sp.exp(-(u**2)))
    assert symmetries("sigmoid").reflection == (1, 0)
    register_elementwise("mine", lambda u: 1 / (1 + sp.exp(-2 * u)))
    assert symmetries("mine").reflection == (-1, 1)
    assert symmetries("mine").limits == (0, 1)
    register_elementwise("cube", lambda u: u**3)
    assert (symmetries("cube").reflection, symmetries("cube").degree) == ((-1, 0), 3)
    assert symmetries("relu").kinks == (0,)
    assert symmetries("softplus").reflection is None
    with pytest.raises(InvalidInputError, match="tanh"):
        symmetries("tahn")


def test_parameters_that_do_not_fit_are_refused():
    architecture = Architecture((1, 2, 1), "tanh")
    good = random_parameters(architecture, 0)
    with pytest.raises(ShapeError, match="b2"):
        canonical(architecture, {name: good[name] for name in ("W1", "b1", "W2")})
    with pytest.raises(ShapeError, match=r"W1 has \(2, 1\)"):
        canonical(architecture, good | {"W1": good["W1"].T})
    with pytest.raises(InvalidInputError, match=r"b1 = \[nan, 0.0\]: parameters must be finite"):
        canonical(architecture, good | {"b1": np.array([np.nan, 0])})
    with pytest.raises(InvalidInputError, match="architecture = '1-2-1': give an Architecture, such as"):
        canonical("1-2-1", good)
    with pytest.raises(InvalidInputError, match="W2 is not an array of real numbers"):
        canonical(architecture, good | {"W2": [["a"], ["b"]]})
