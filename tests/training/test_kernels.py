"""Compiled objectives, gradients and Jacobians agree with torch's autograd; linear algebra agrees with NumPy's."""

import math
from itertools import pairwise

import numpy as np
import pytest
import sympy as sp
import torch
from cases import one_in
from hypothesis import given, settings
from hypothesis import strategies as st

from mlpreport.derivation import register_elementwise
from mlpreport.errors import InvalidInputError
from mlpreport.training import Architecture
from mlpreport.training.compilation import compiled_network
from mlpreport.training.initialisation import initial_parameters
from mlpreport.training.kernels_functions import WORDS, exponential
from mlpreport.training.kernels_lanes import first, larger, load, multiply_add, spread, store, sums_of
from mlpreport.training.kernels_linear import (
    add_gram,
    inner,
    largest,
    row_product,
    row_total,
)
from mlpreport.training.kernels_memory import aligned_zeros
from mlpreport.training.kernels_systems import eliminate, substitute
from mlpreport.training.network import kernels_source
from mlpreport.training.problem import Problem, outputs, unit_values

# Each depth, activation and kind of ends is kernels to compile; these are the kinds that are trained elsewhere.
CASES = [
    ((1, 50, 1), "sigmoid", 0.0),
    ((1, 3, 5, 4, 1), "sigmoid", 0.3),
    ((1, 4, 1), "relu", 0.0),
    ((3, 5, 2), "gelu", 0.3),
]


def problem_of(sizes, activation, weight_decay=0.0, points=13):
    stream = np.random.default_rng(0)
    x, y = stream.normal(size=(points, sizes[0])), stream.normal(size=(points, sizes[-1]))
    return Problem(Architecture(sizes, activation), x, y, weight_decay)


def start_of(problem, seed=5):
    return initial_parameters(problem.architecture, seed=seed, restarts=range(1))[0]


def torch_units(problem, flat):
    """Values of all layers, by torch, from flat parameters."""
    sizes, layers, start = problem.architecture.sizes, [torch.from_numpy(problem.x)], 0
    name = problem.architecture.activation
    phi = (lambda u: u) if name == "identity" else getattr(torch.nn.functional, name)
    for layer, (fan_in, fan_out) in enumerate(pairwise(sizes), start=1):
        weights = flat[start : start + fan_in * fan_out].reshape(fan_in, fan_out)
        start += (fan_in + 1) * fan_out
        z = layers[-1] @ weights + flat[start - fan_out : start]
        layers.append(phi(z) if layer < len(sizes) - 1 else z)
    return layers[1:]


def torch_objective(problem, flat):
    errors = torch_units(problem, flat)[-1] - torch.from_numpy(problem.y)
    return errors.square().mean() + problem.weight_decay * flat.square().sum()


def torch_value_and_gradient(problem, flat):
    parameters = torch.tensor(flat, requires_grad=True)
    value = torch_objective(problem, parameters)
    return value.item(), torch.autograd.grad(value, parameters)[0].numpy()


def compiled_value_and_gradient(problem, flat):
    gradient = np.full_like(flat, np.nan)
    kernel = compiled_network("objective", problem.architecture)
    return kernel(flat, problem.for_kernels(), gradient), gradient


def compiled_residuals_and_jacobian(problem, flat):
    """Residuals (output, point) and their Jacobian (output, parameter, point)."""
    points, outputs = problem.y.shape
    system = np.full((outputs, flat.size + 1, aligned_zeros(1, points).shape[1]), np.nan)
    compiled_network("residuals", problem.architecture)(flat, problem.for_kernels(), system)
    assert not system[:, :, points:].any()
    return system[:, -1, :points], system[:, :-1, :points]


@pytest.mark.parametrize(("sizes", "activation", "weight_decay"), CASES)
def test_the_gradient_is_the_one_of_autograd(sizes, activation, weight_decay):
    problem = problem_of(sizes, activation, weight_decay)
    value, gradient = compiled_value_and_gradient(problem, start_of(problem))
    expected_value, expected = torch_value_and_gradient(problem, start_of(problem))
    np.testing.assert_allclose(value, expected_value, rtol=1e-13)
    np.testing.assert_allclose(gradient, expected, rtol=1e-10, atol=1e-14)


@settings(max_examples=40, deadline=None)
@given(
    kind=st.sampled_from([("sigmoid", 3), ("relu", 1), ("gelu", 1)]),
    widths=st.tuples(st.integers(1, 6), st.integers(1, 6), st.integers(1, 6)),
    ends=st.tuples(st.integers(2, 4), st.integers(2, 4)),
    points=st.integers(1, 40),
    seed=st.integers(0, 2**32),
)
def test_the_gradient_is_the_one_of_autograd_for_any_sizes(kind, widths, ends, points, seed):
    activation, depth = kind
    first, last = ends if activation == "gelu" else (1, 1)
    sizes = (first, *widths[:depth], last)
    problem = problem_of(sizes, activation, points=points)
    flat = start_of(problem, seed)
    np.testing.assert_allclose(
        compiled_value_and_gradient(problem, flat)[1],
        torch_value_and_gradient(problem, flat)[1],
        rtol=1e-9,
        atol=1e-12,
    )


@pytest.mark.parametrize(("sizes", "activation", "_weight_decay"), CASES)
def test_the_squares_of_the_residuals_sum_to_the_mean_squared_error(sizes, activation, _weight_decay):
    problem = problem_of(sizes, activation)
    residuals, jacobian = compiled_residuals_and_jacobian(problem, start_of(problem))
    value, gradient = torch_value_and_gradient(problem, start_of(problem))
    np.testing.assert_allclose(np.sum(residuals**2), value, rtol=1e-13)
    found = 2 * np.einsum("kpn,kn->p", jacobian, residuals)
    np.testing.assert_allclose(found, gradient, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize(("sizes", "activation", "_weight_decay"), CASES)
def test_the_jacobian_is_the_one_of_torch(sizes, activation, _weight_decay):
    problem = problem_of(sizes, activation)
    flat = start_of(problem)
    _, jacobian = compiled_residuals_and_jacobian(problem, flat)
    network = torch.func.jacrev(lambda parameters: torch_units(problem, parameters)[-1])
    expected = network(torch.from_numpy(flat)).numpy().transpose(1, 2, 0)
    np.testing.assert_allclose(jacobian, expected / np.sqrt(problem.y.size), rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize(("sizes", "activation", "weight_decay"), CASES)
def test_units_have_the_values_torch_computes(sizes, activation, weight_decay):
    problem = problem_of(sizes, activation, weight_decay)
    flat = start_of(problem)
    expected = torch_units(problem, torch.from_numpy(flat))
    for layer, units in zip(unit_values(problem.architecture, flat, problem.x), expected, strict=True):
        np.testing.assert_allclose(layer, units, rtol=1e-12, atol=1e-15)
    (output,) = outputs(problem.architecture, flat[None], problem.x)
    np.testing.assert_allclose(output, expected[-1], rtol=1e-12, atol=1e-15)


def test_the_gradient_agrees_with_differences_of_the_objective():
    problem = problem_of((2, 3, 2), "gelu", 0.1)
    flat = start_of(problem)
    _, gradient = compiled_value_and_gradient(problem, flat)
    steps = 1e-5 * np.eye(flat.size)
    rise = [compiled_value_and_gradient(problem, flat + step)[0] for step in steps]
    fall = [compiled_value_and_gradient(problem, flat - step)[0] for step in steps]
    np.testing.assert_allclose(gradient, (np.array(rise) - np.array(fall)) / 2e-5, rtol=1e-6, atol=1e-9)


def on_lanes(function):
    """A compiled function of arrays of multiples of eight numbers, computed eight at a time."""

    @inner
    def run(values, results):
        for k in range(0, values.size, 8):
            store(results, k, function(load(values, k)))

    def call(values):
        padded = np.pad(np.asarray(values, float), (0, -len(values) % 8))
        results = np.full_like(padded, np.nan)
        run(padded, results)
        return results[: len(values)]

    return call


def test_the_exponential_agrees_with_the_c_library():
    x = np.concatenate([np.linspace(-708, 709, 5001), np.linspace(-1, 1, 1001), [0.0, 1e-300]])
    np.testing.assert_allclose(on_lanes(exponential)(x), np.exp(x), rtol=3e-16)


def test_the_exponential_stays_finite_and_keeps_nan():
    low, high, nan, zero = on_lanes(exponential)([-np.inf, np.inf, np.nan, 0.0])
    assert 0 < low < 1e-300
    assert 1e300 < high < np.inf
    assert np.isnan(nan)
    assert zero == 1.0


WORDS_OF_MATH = ("exp", "log1p", "erf", "tanh", "sqrt", "atan", "floor")
"""Some of the functions that are called number by number."""


@pytest.mark.parametrize("name", one_in(3, WORDS_OF_MATH))
def test_a_function_of_lanes_is_the_one_of_numbers(name):
    word, values = getattr(WORDS, name), np.linspace(0.1, 5, 19)
    function = inner(lambda u: word(u))  # noqa: PLW0108 - numba knows the word, not its body
    expected = [getattr(math, name)(value) for value in values]
    np.testing.assert_allclose(on_lanes(function)(values), expected, rtol=1e-15)
    np.testing.assert_allclose([function(value) for value in values], expected, rtol=1e-15)


EXPRESSIONS = {
    "cases": lambda u: WORDS.where((u > -1) & (u <= 1), u, WORDS.sign(u)),
    "ends": lambda u: WORDS.where((u < -1) | (u >= 2), 0.0, WORDS.absolute(u)),
    "bounds": lambda u: WORDS.minimum(WORDS.maximum(u, -1.5), 2),
    "equal": lambda u: WORDS.where(u == 1.0, 3.0, WORDS.where(u != 2.0, u, 4.0)),
    "powers": lambda u: u**2 - 3 * u**-1 + 2 / u**3 + (u * u) ** 0.3,
    "exponents": lambda u: 2**u + 0.5 ** (u * u) - (1 + u * u) ** u,
}
EXPECTED = {
    "cases": lambda u: np.clip(u, -1, 1),
    "ends": lambda u: np.where((u < -1) | (u >= 2), 0, np.abs(u)),
    "bounds": lambda u: np.clip(u, -1.5, 2),
    "equal": lambda u: np.where(u == 1, 3, np.where(u == 2, 4, u)),
    "powers": lambda u: u**2 - 3 / u + 2 / u**3 + (u * u) ** 0.3,
    "exponents": lambda u: 2**u + 0.5 ** (u * u) - (1 + u * u) ** u,
}


@pytest.mark.parametrize("name", one_in(3, EXPRESSIONS))
def test_cases_comparisons_and_powers_of_lanes_agree_with_numpy(name):
    function, values = inner(EXPRESSIONS[name]), np.concatenate([np.linspace(-3, 3, 20), [1.0, 2.0, -1.0]])
    np.testing.assert_allclose(on_lanes(function)(values), EXPECTED[name](values), rtol=1e-13)
    np.testing.assert_allclose([function(v) for v in values], EXPECTED[name](values), rtol=1e-13)


def aligned(values):
    """The values in rows of whole lanes, with zeros behind them."""
    values = np.atleast_2d(values)
    result = aligned_zeros(*values.shape)
    result[:, : values.shape[1]] = values
    return result


@pytest.mark.thorough
@pytest.mark.parametrize("size", one_in(3, [1, 2, 3, 4, 7, 8, 9, 13, 22]))
def test_elimination_solves_positive_definite_systems(size):
    stream = np.random.default_rng(size)
    root, right = stream.normal(size=(size, size + 2)), stream.normal(size=size)
    matrix, inverses, solution = root @ root.T, np.full(size, np.nan), np.empty(size)
    system = aligned(np.vstack([np.column_stack([np.triu(matrix), right]), np.zeros((3, size + 1))]))
    assert eliminate(system, size, inverses)
    substitute(system, size, inverses, solution)
    pivots = np.diag(np.linalg.cholesky(matrix)) ** 2
    np.testing.assert_allclose(1 / inverses, pivots, rtol=1e-9)
    np.testing.assert_allclose(matrix @ solution, right, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("bad", [0.0, -1.0, np.nan, np.inf])
@pytest.mark.parametrize("place", range(6))
def test_elimination_tells_when_a_matrix_is_not_positive_definite(bad, place):
    diagonal = np.ones(6)
    diagonal[place] = bad
    system = aligned(np.pad(np.diag(diagonal), ((0, 3), (0, 1))))
    assert not eliminate(system, 6, np.empty(6))


@pytest.mark.parametrize("count", [1, 4, 5, 11])
def test_the_gram_matrix_is_the_product_of_the_rows_with_each_other(count):
    rows = np.random.default_rng(count).normal(size=(count, 13))
    room, before = count + 4, np.random.default_rng(0).normal(size=(count, count))
    padded, result = aligned_zeros(room, 13), aligned_zeros(room, room)
    padded[:count, :13], result[:count, :count] = rows, before
    add_gram(padded, count, result)
    np.testing.assert_allclose(np.triu(result[:count, :count]), np.triu(before + rows @ rows.T), rtol=1e-13)


@pytest.mark.parametrize("count", [1, 7, 8, 9, 16, 20])
def test_sums_over_points_ignore_what_is_behind_them(count):
    a, b = np.random.default_rng(count).normal(size=(2, 24))
    a[count:], b[count:] = np.nan, np.inf
    a, b = aligned(a)[0], aligned(b)[0]
    assert row_product(a, b, count) == pytest.approx(a[:count] @ b[:count], rel=1e-13)
    assert row_total(a, count) == pytest.approx(a[:count].sum(), rel=1e-13)


@inner
def combined_lanes(vectors, result):
    a, b, c, d = load(vectors[0], 0), load(vectors[1], 0), load(vectors[2], 0), load(vectors[3], 0)
    store(result, 0, multiply_add(a, b, spread(0.5)))
    store(result, 8, first(3, larger(c, d)))
    return sums_of(a, b, c, d)


def test_lanes_compute_entry_by_entry():
    vectors, result = np.random.default_rng(1).normal(size=(4, 8)), np.full(16, np.nan)
    sums = combined_lanes(vectors, result)
    a, b, c, d = vectors
    np.testing.assert_allclose(result[:8], a * b + 0.5, rtol=1e-15)
    np.testing.assert_array_equal(result[8:11], np.maximum(c, np.abs(d))[:3])
    assert not result[11:].any()
    np.testing.assert_allclose(sums, vectors.sum(1), rtol=1e-13)


@pytest.mark.parametrize("place", [0, 5, 11])
def test_the_largest_entry_of_a_vector_with_nan_is_nan(place):
    vector = np.random.default_rng(2).normal(size=12)
    assert largest(aligned(vector)[0]) == np.abs(vector).max()
    vector[place] = np.nan
    assert np.isnan(largest(aligned(vector)[0]))


@pytest.mark.parametrize("name", ["scale", "output", "i", "t3", "N", "sum_of", "total1"])
def test_an_activation_called_like_something_in_kernels_is_refused_by_name(name):
    register_elementwise(name, lambda u: u / (1 + sp.exp(-u)))
    with pytest.raises(InvalidInputError, match=f"activation '{name}' .*; register it under another"):
        kernels_source(Architecture((1, 2, 1), name))


def test_an_activation_may_be_called_like_a_variable_of_the_network():
    register_elementwise("h1", lambda u: u / (1 + sp.exp(-u)))
    problem = problem_of((1, 2, 1), "h1")
    (row,) = initial_parameters(problem.architecture, seed=0, restarts=range(1))
    (values,) = outputs(problem.architecture, row[None], problem.x)
    x, weights = torch.tensor(problem.x), [torch.tensor(part) for part in np.split(row, [2, 4, 6])]
    hidden = torch.nn.functional.silu(x * weights[0] + weights[1])
    np.testing.assert_allclose(values[:, 0], hidden @ weights[2] + weights[3], rtol=1e-13)
