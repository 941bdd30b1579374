"""Compiled objectives, gradients and Jacobians agree with torch's autograd; linear algebra agrees with NumPy's."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mlpreport.training import Architecture
from mlpreport.training.compilation import compiled_network
from mlpreport.training.initialisation import initial_parameters
from mlpreport.training.kernels_exponential import exponential
from mlpreport.training.kernels_linear import cholesky, largest, solve_cholesky
from mlpreport.training.problem import Problem, outputs, unit_values

# Each depth, activation and kind of ends is kernels to compile; all but the deepest network are trained elsewhere.
CASES = [
    ((1, 50, 1), "sigmoid", 0.0),
    ((1, 5, 4, 1), "sigmoid", 0.3),
    ((1, 4, 1), "relu", 0.0),
    ((2, 3, 5, 4, 3), "tanh", 0.3),
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
    residuals = np.full(problem.y.T.shape, np.nan)
    jacobian = np.full((problem.y.shape[1], flat.size, problem.y.shape[0]), np.nan)
    kernel = compiled_network("residuals", problem.architecture)
    kernel(flat, problem.for_kernels(), residuals, jacobian)
    return residuals, jacobian


@pytest.mark.parametrize(("sizes", "activation", "weight_decay"), CASES)
def test_the_gradient_is_the_one_of_autograd(sizes, activation, weight_decay):
    problem = problem_of(sizes, activation, weight_decay)
    value, gradient = compiled_value_and_gradient(problem, start_of(problem))
    expected_value, expected = torch_value_and_gradient(problem, start_of(problem))
    np.testing.assert_allclose(value, expected_value, rtol=1e-13)
    np.testing.assert_allclose(gradient, expected, rtol=1e-10, atol=1e-14)


@settings(max_examples=40, deadline=None)
@given(
    kind=st.sampled_from([("sigmoid", 2), ("relu", 1), ("gelu", 1)]),
    widths=st.tuples(st.integers(1, 6), st.integers(1, 6)),
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


def test_the_exponential_agrees_with_the_c_library():
    x = np.concatenate([np.linspace(-708, 709, 5001), np.linspace(-1, 1, 1001), [0.0, 1e-300]])
    np.testing.assert_allclose([exponential(v) for v in x], np.exp(x), rtol=3e-16)


def test_the_exponential_stays_finite_and_keeps_nan():
    assert 0 < exponential(-np.inf) < 1e-300
    assert 1e300 < exponential(np.inf) < np.inf
    assert np.isnan(exponential(np.nan))
    assert exponential(0.0) == 1.0


@pytest.mark.parametrize("size", [1, 2, 3, 6, 7, 20])
def test_cholesky_solves_positive_definite_systems(size):
    stream = np.random.default_rng(size)
    root = stream.normal(size=(size, size + 2))
    matrix, factor, solution = root @ root.T, np.full((size, size), np.nan), np.empty(size)
    right = stream.normal(size=size)
    assert cholesky(matrix, factor)
    solve_cholesky(factor, right, solution)
    np.testing.assert_allclose(np.tril(factor), np.linalg.cholesky(matrix), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(matrix @ solution, right, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("matrix", [np.zeros((3, 3)), np.diag([1.0, -1.0, 1.0]), np.full((2, 2), np.nan)])
def test_cholesky_tells_when_a_matrix_is_not_positive_definite(matrix):
    assert not cholesky(matrix, np.empty_like(matrix))


def test_the_largest_entry_of_a_vector_with_nan_is_nan():
    assert largest(np.array([1.0, -3.0, 2.0])) == 3.0
    assert np.isnan(largest(np.array([1.0, np.nan, 2.0])))
