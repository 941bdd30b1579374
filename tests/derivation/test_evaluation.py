"""Formulas are evaluated as their mathematics says, in floating point, in symbols and in the finite field."""

from dataclasses import replace

import numpy as np
import pytest
import sympy as sp

from mlpreport.derivation import prove, register_elementwise, trace, value_and_grad
from mlpreport.derivation.domains import FLOATS, GRAIN, PRIME, SYMBOLS, field
from mlpreport.derivation.elementwise import U
from mlpreport.derivation.evaluation import POINTS, entries, evaluate, forward, frame_of

N = sp.Symbol("N", integer=True, positive=True)


@pytest.fixture(scope="module")
def program():
    return trace("h = exp(x) @ W\nl = mean(h**2)", x=("N", 2), W=(2, 1))


def test_in_the_field_a_symbolic_size_is_the_sum_of_random_weights(program):
    frame = frame_of(program, field(3), None)
    weights = frame.weights[N]
    assert len(set(weights)) == len(weights) == POINTS
    assert frame.symbols[N] == weights.sum() % PRIME
    assert frame.symbols[N] not in range(100)
    assert frame.weights[sp.Integer(1)].tolist() == [1]
    assert sum(frame.weights[sp.Integer(2)]) % PRIME == 2
    assert frame.shape((N, sp.Integer(1))) == (POINTS, 1)


def test_another_seed_is_another_point(program):
    one, again, other = (frame_of(program, field(seed), None).symbols[N] for seed in (3, 3, 4))
    assert one == again != other


def test_sizes_with_values_give_weights_of_one(program):
    for domain in (FLOATS, SYMBOLS, field(0)):
        frame = frame_of(program, domain, {N: 4})
        assert frame.weights[N].tolist() == [1, 1, 1, 1]
        assert frame.symbols == {N: 4}
        assert frame.shape((N, sp.Integer(2))) == (4, 2)


def test_a_program_is_computed_in_floats_and_in_symbols(program):
    x, W = np.array([[0.1, 0.2], [0.3, -0.4]]), np.array([[2.0], [-1.0]])
    frame = forward(program, frame_of(program, FLOATS, {N: 2}), {"x": x, "W": W})
    h = np.exp(x) @ W
    np.testing.assert_allclose(frame.arrays["h"], h, rtol=1e-15)
    np.testing.assert_allclose(frame.arrays["l"], [[(h**2).mean()]], rtol=1e-15)
    symbols = np.array([[sp.Symbol("a"), 0], [0, sp.log(3)]], dtype=object)
    frame = forward(
        program, frame_of(program, SYMBOLS, {N: 2}), {"x": symbols, "W": np.array([[1], [2]], object)}
    )
    a = sp.exp(sp.Symbol("a"))
    assert frame.arrays["h"].tolist() == [[a + 2], [7]]
    assert sp.expand(frame.arrays["l"][0, 0] - ((a + 2) ** 2 + 49) / 2) == 0


def test_a_node_that_is_given_is_not_computed(program):
    given = {"x": np.zeros((2, 2)), "W": np.ones((2, 1)), "h": np.full((2, 1), 3.0)}
    assert forward(program, frame_of(program, FLOATS, {N: 2}), given).arrays["l"] == 9


@pytest.mark.parametrize("domain", [FLOATS, field(1)])
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
    frame = frame_of(program, domain, None if domain is not FLOATS else {})
    # In the field, squares are positive and -1 is none: 4, 0 and -4 have the signs of these numbers.
    values = np.array([-4, 0, 4], dtype=object if domain is not FLOATS else float)
    found = evaluate(
        sp.Piecewise((1, condition), (0, True)), replace(frame, symbols={U: domain.reduced(values)})
    )
    assert np.asarray(found).tolist() == chosen


def test_absolute_value_and_sign_have_complex_steps():
    register_elementwise("size", sp.Abs)
    register_elementwise("way", sp.sign)
    program = trace("a = size(x)\ns = way(x)\nl = sum(a) + sum(s)", x=(1, 2))
    frame = forward(program, frame_of(program, FLOATS, {}), {"x": np.array([[-2 + 1e-30j, 3 + 1e-30j]])})
    assert frame.arrays["a"].tolist() == [[2 - 1e-30j, 3 + 1e-30j]]
    assert frame.arrays["s"].tolist() == [[-1, 1]]


def test_the_field_keeps_the_laws_of_the_exponential():
    domain = field(5)
    exp = lambda a, factor=1: domain.exp(a, sp.Rational(factor))  # noqa: E731
    a, b = domain.draw("a"), domain.draw("b")
    assert exp(a) == exp(a)
    assert exp(a) * exp(a) % PRIME == exp(a, 2) == exp(2 * a % PRIME)
    assert pow(exp(a, sp.Rational(1, 3)), 3, PRIME) == exp(a)
    assert exp(a) * exp(a, -1) % PRIME == 1
    assert exp(a) != exp(b)
    assert domain.exp(0, sp.S.One) == 1
    assert domain.exp(domain.call("log", a), sp.S.One) == a
    assert domain.exp(1, sp.S.One) == domain.number(sp.E)
    assert GRAIN % 12 == 0


def test_the_field_has_numbers_roots_and_signs():
    domain = field(5)
    assert domain.number(sp.Rational(2, 3)) * 3 % PRIME == 2
    assert domain.number(sp.pi) == domain.number(sp.pi) != domain.number(sp.EulerGamma)
    root = domain.power(np.array([4, 9], dtype=object), sp.S.Half)
    assert [value * value % PRIME for value in root] == [4, 9]
    assert domain.power(np.array([7], dtype=object), sp.Integer(-2))[0] * 49 % PRIME == 1
    assert domain.call("sign", 4) == 1
    assert domain.call("sign", PRIME - 4) == PRIME - 1
    assert domain.call("Abs", PRIME - 4) == domain.call("Abs", 4) == 4
    assert domain.call("sign", 0) == domain.call("Abs", 0) == 0
    assert domain.call("erf", 4) == domain.call("erf", 4) != domain.call("atan", 4)


def test_a_delta_undoes_the_weight_of_its_index():
    program = trace("l = sum(x @ W)", x=("N", "D"), W=("D", "D"))
    frame = frame_of(program, field(2), None)
    D = next(size for size in frame.weights if str(size) == "D")
    k, m = sp.Dummy(integer=True), sp.Dummy(integer=True)
    delta = sp.Sum(sp.KroneckerDelta(k, m), (k, 1, D))
    assert set(np.ravel(evaluate(delta, frame.with_index(m, D)))) == {1}


def test_entries_are_those_of_the_matrix():
    program = trace("h = x.T * 2\nl = sum(h)", x=("N", "D"))
    x = np.arange(6.0).reshape(2, 3)
    sizes = dict(zip(program.inputs["x"], (2, 3), strict=True))
    frame = forward(program, frame_of(program, FLOATS, sizes), {"x": x})
    assert np.array_equal(entries(program.definitions["h"], frame), 2 * x.T)


def test_an_absolute_value_has_slope_zero_at_zero_as_in_torch():
    register_elementwise("size", lambda u: 3 * sp.Abs(u))
    derivation = trace("l = sum(size(x))", x=(1, 3)).vjp()
    for backend in ("numpy", "torch"):
        _, grads = value_and_grad(derivation, backend)(x=[[-2.0, 0.0, 5.0]])
        assert grads["x"].tolist() == [[-3, 0, 3]]
    assert prove(derivation)
