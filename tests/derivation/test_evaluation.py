"""Formulas are evaluated as their mathematics says, in floating point, in symbols and in the finite field."""

from dataclasses import replace

import numpy as np
import pytest
import sympy as sp

from mlpreport.derivation import prove, register_elementwise, trace, value_and_grad
from mlpreport.derivation.elementwise import U
from mlpreport.derivation.evaluation import FLOATS, SYMBOLS, drawn, forward, plain
from mlpreport.derivation.exact import PRIME, element, field

N = sp.Symbol("N", integer=True, positive=True)
PROGRAM = trace("h = exp(x) @ W\nl = mean(h**2)", x=("N", 2), W=(2, 1))


def test_sizes_with_values_give_weights_of_one():
    for domain in (FLOATS, SYMBOLS, field(0)[0]):
        frame = plain(PROGRAM, domain, {N: 4})
        assert frame.weights[N].tolist() == [1, 1, 1, 1]
        assert frame.symbols == {N: 4}
        assert frame.shape((N, sp.Integer(2))) == (4, 2)


def test_a_program_is_computed_in_floats_and_in_symbols():
    x, W = np.array([[0.1, 0.2], [0.3, -0.4]]), np.array([[2.0], [-1.0]])
    frame = forward(PROGRAM, plain(PROGRAM, FLOATS, {N: 2}), {"x": x, "W": W})
    h = np.exp(x) @ W
    np.testing.assert_allclose(frame.arrays["h"], h, rtol=1e-15)
    np.testing.assert_allclose(frame.arrays["l"], [[(h**2).mean()]], rtol=1e-15)
    symbols = np.array([[sp.Symbol("a"), 0], [0, sp.log(3)]], dtype=object)
    start = {"x": symbols, "W": np.array([[1], [2]], object)}
    frame = forward(PROGRAM, plain(PROGRAM, SYMBOLS, {N: 2}), start)
    a = sp.exp(sp.Symbol("a"))
    assert frame.arrays["h"].tolist() == [[a + 2], [7]]
    assert sp.expand(frame.arrays["l"][0, 0] - ((a + 2) ** 2 + 49) / 2) == 0


def test_a_node_that_is_given_is_not_computed():
    given = {"x": np.zeros((2, 2)), "W": np.ones((2, 1)), "h": np.full((2, 1), 3.0)}
    assert forward(PROGRAM, plain(PROGRAM, FLOATS, {N: 2}), given).arrays["l"] == 9


def test_drawn_rows_that_are_assumed_to_sum_to_one_do():
    program = trace("l = sum(y)", assume="rows_sum_to_one:y", y=("N", 3))
    y = drawn(program, plain(program, FLOATS, {N: 2}), lambda _, shape: np.full(shape, 0.5))["y"]
    assert y.tolist() == [[0.5, 0.5, 0.0]] * 2


@pytest.mark.parametrize("domain", [FLOATS, field(1)[0]])
@pytest.mark.parametrize(
    ("condition", "chosen"),
    [
        (U < 0, [1, 0, 0]),
        (U <= 0, [1, 1, 0]),
        (U > 0, [0, 0, 1]),
        (U >= 0, [0, 1, 1]),
        ((U > -1) & (U < 1), [0, 1, 0]),
        ((U < 0) | (U > 0), [1, 0, 1]),
    ],
)
def test_cases_are_chosen_by_their_conditions(domain, condition, chosen):
    program = trace("l = sum(x)", x=(1, 3))
    # In the field, squares are positive and -1 is none: 4, 0 and -4 have the signs of these numbers.
    values = np.array([-4.0, 0, 4] if domain is FLOATS else [element(n) for n in (-4, 0, 4)])
    frame = replace(plain(program, domain, {}), symbols={U: values})
    found = frame.value(sp.Piecewise((1, condition), (0, True)))
    assert [int(value) for value in found] == chosen


def test_absolute_value_and_sign_have_complex_steps():
    register_elementwise("size", sp.Abs)
    register_elementwise("way", sp.sign)
    program = trace("a = size(x)\ns = way(x)\nl = sum(a) + sum(s)", x=(1, 2))
    frame = forward(program, plain(program, FLOATS, {}), {"x": np.array([[-2 + 1e-30j, 3 + 1e-30j]])})
    assert frame.arrays["a"].tolist() == [[2 - 1e-30j, 3 + 1e-30j]]
    assert frame.arrays["s"].tolist() == [[-1, 1]]


def test_an_absolute_value_has_slope_zero_at_zero_as_in_torch():
    register_elementwise("size", lambda u: 3 * sp.Abs(u))
    derivation = trace("l = sum(size(x))", x=(1, 3)).vjp()
    for backend in ("numpy", "torch"):
        _, grads = value_and_grad(derivation, backend)(x=[[-2.0, 0.0, 5.0]])
        assert grads["x"].tolist() == [[-3, 0, 3]]
    assert prove(derivation)


def test_the_field_keeps_the_laws_of_the_exponential():
    domain, draw = field(5)
    a, b, one = draw("a"), draw("b"), sp.S.One
    assert domain.exp(a, one) == domain.exp(a, one) != domain.exp(b, one)
    assert domain.exp(a, one) * domain.exp(a, one) == domain.exp(a, sp.Integer(2)) == domain.exp(2 * a, one)
    assert domain.exp(a, sp.Rational(1, 3)) ** 3 == domain.exp(a, one)
    assert (
        domain.exp(a / 3, one) ** 3
        == domain.exp(a * 2 / 3, one) ** 3 / domain.exp(a, one)
        == domain.exp(a, one)
    )
    assert domain.exp(a, one) * domain.exp(a, -one) == domain.exp(a, one) * domain.exp(-a, one) == element(1)
    assert domain.exp(element(0), one) == element(1)
    assert domain.exp(domain.call("log", a), one) == a
    assert domain.exp(element(1), one) == domain.number(sp.E)


def test_the_field_has_numbers_roots_and_signs():
    domain, _ = field(5)
    assert domain.number(sp.Rational(2, 3)) * 3 == element(2)
    assert domain.number(sp.pi) == domain.number(sp.pi) != domain.number(sp.EulerGamma)
    root = domain.power(np.array([element(4), element(9)]), sp.S.Half)
    assert [value * value for value in root] == [element(4), element(9)]
    assert domain.power(np.array([element(7)]), sp.Integer(-2))[0] * 49 == element(1)
    assert [domain.sign(element(n)) for n in (4, -4, 0)] == [1, -1, 0]
    assert domain.call("erf", element(4)) == domain.call("erf", element(4)) != domain.call("atan", element(4))


def test_another_seed_is_another_point():
    (_, one), (_, again), (_, other) = field(3), field(3), field(4)
    assert one("x") == again("x") != other("x")
    assert one("x") == one("x") != one("y")
    assert int(one("z")) < PRIME


def test_entries_are_those_of_the_matrix():
    program = trace("h = x.T * 2\nl = sum(h)", x=("N", "D"))
    x = np.arange(6.0).reshape(2, 3)
    sizes = dict(zip(program.inputs["x"], (2, 3), strict=True))
    frame = forward(program, plain(program, FLOATS, sizes), {"x": x})
    assert np.array_equal(frame.entries(program.definitions["h"]), 2 * x.T)
