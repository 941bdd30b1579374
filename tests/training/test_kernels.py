"""Compiled gradients and Jacobians agree with torch's autograd and with finite differences."""

from itertools import pairwise

import numpy as np
import pytest
import torch

from mlpreport.training import Architecture
from mlpreport.training.baseline import torch_objective
from mlpreport.training.compilation import compiled
from mlpreport.training.initialisation import initial_parameters
from mlpreport.training.problem import Problem

ARCHITECTURES = [
    ((1, 1), "sigmoid"),
    ((1, 2, 1), "sigmoid"),
    ((1, 50, 1), "sigmoid"),
    ((1, 3, 5, 4, 1), "sigmoid"),
    ((1, 3, 5, 4, 1), "relu"),
    ((2, 3, 2, 4, 3), "tanh"),
    ((7, 4, 6), "softplus"),
    ((3, 5, 2), "gelu"),
    ((2, 3, 2), "identity"),
]


def _problem(sizes, activation, weight_decay=0.0, points=13):
    stream = np.random.default_rng(0)
    x, y = stream.normal(size=(points, sizes[0])), stream.normal(size=(points, sizes[-1]))
    return Problem(Architecture(sizes, activation), x, y, weight_decay)


def _start(problem):
    return initial_parameters(problem.architecture, seed=5, restarts=range(1))[0]


@pytest.mark.parametrize("weight_decay", [0.0, 0.3])
@pytest.mark.parametrize(("sizes", "activation"), ARCHITECTURES)
def test_objective_and_gradient_agree_with_autograd(sizes, activation, weight_decay):
    problem = _problem(sizes, activation, weight_decay)
    flat = _start(problem)
    gradient = np.empty_like(flat)
    value = compiled("objective")(flat, problem.for_kernels(), gradient)
    expected_value, expected = torch_objective(problem)(flat)
    np.testing.assert_allclose(value, expected_value, rtol=1e-13)
    np.testing.assert_allclose(gradient, expected, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("weight_decay", [0.0, 0.3])
@pytest.mark.parametrize(("sizes", "activation"), ARCHITECTURES)
def test_squared_residuals_sum_to_the_objective_and_the_jacobian_gives_its_gradient(
    sizes, activation, weight_decay
):
    problem = _problem(sizes, activation, weight_decay)
    flat = _start(problem)
    residuals, jacobian = _residuals_and_jacobian(problem, flat)
    expected_value, expected = torch_objective(problem)(flat)
    np.testing.assert_allclose(residuals @ residuals, expected_value, rtol=1e-13)
    np.testing.assert_allclose(2 * jacobian @ residuals, expected, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize(("sizes", "activation"), ARCHITECTURES)
def test_the_jacobian_agrees_with_torch(sizes, activation):
    problem = _problem(sizes, activation)
    flat = _start(problem)
    _, jacobian = _residuals_and_jacobian(problem, flat)
    expected = torch.func.jacrev(lambda parameters: _torch_outputs(problem, parameters))(
        torch.from_numpy(flat)
    )
    # Rows of the compiled Jacobian are parameters; its columns are outputs, then points.
    scaled = expected.numpy().transpose(2, 1, 0).reshape(flat.size, -1) / np.sqrt(problem.y.size)
    np.testing.assert_allclose(jacobian, scaled, rtol=1e-10, atol=1e-14)


def _residuals_and_jacobian(problem, flat):
    residuals = np.empty(problem.residual_count)
    jacobian = np.empty((flat.size, problem.residual_count))
    compiled("residuals")(flat, problem.for_kernels(), residuals, jacobian)
    return residuals, jacobian


def _torch_outputs(problem, flat):
    sizes, values, start = problem.architecture.sizes, torch.from_numpy(problem.x), 0
    name = problem.architecture.activation
    phi = (lambda u: u) if name == "identity" else getattr(torch.nn.functional, name)
    for layer, (fan_in, fan_out) in enumerate(pairwise(sizes), start=1):
        weights = flat[start : start + fan_in * fan_out].reshape(fan_in, fan_out)
        start += fan_in * fan_out
        values = values @ weights + flat[start : start + fan_out]
        start += fan_out
        values = phi(values) if layer < len(sizes) - 1 else values
    return values
