"""Functions that a program spells out are as stable as those that come built in."""

import mpmath
import numpy as np
import pytest
import sympy as sp
import torch
from cases import one_in

from mlpreport.derivation import register_elementwise, trace, value_and_grad
from mlpreport.derivation.pointwise import loops_of

AT = np.array([[1000.0, -1000.0]])
SPELLED = {
    "softplus": ("l = sum(log(1 + exp(x)))", 1000, [1, 0]),
    "softplus of a multiple": ("l = sum(log(1 + exp(-x/2)))", 500, [0, -0.5]),
    "sigmoid": ("l = sum(1 / (1 + exp(-x)))", 1, [0, 0]),
    "sigmoid by its other quotient": ("l = sum(exp(x) / (1 + exp(x)))", 1, [0, 0]),
    "logarithm of a sigmoid": ("p = 1 / (1 + exp(-x))\nl = -sum(log(p))", 1000, [0, -1]),
    "logarithm of the rest": ("p = sigmoid(x)\nl = -sum(log(1 - p))", 1000, [1, 0]),
    "swish": ("l = sum(x / (1 + exp(-x)))", 1000, [1, 0]),
    "tanh": ("l = sum((exp(x) - exp(-x)) / (exp(x) + exp(-x)))", 0, [0, 0]),
    "softplus of mean": ("l = mean(log(1 + exp(x)))", 500, [0.5, 0]),
    "softplus of a product": ("y = 0*x + 1\nl = mean(log(1 + exp(-y*x)))", 500, [0, -0.5]),
    "sigmoid of a node": ("z = 2*x\nl = mean(1 / (1 + exp(z)))", 0.5, [0, 0]),
    "two exponentials": ("l = sum(log(2*exp(x) + exp(-x)/2)) - log(2) + log(2)", 2000, [1, -1]),
    "moved": ("l = sum(log(1 + exp(1 - x))) + sum(log(1 + exp(x - 1)))", 2000, [1, -1]),
    "logarithm of an exponential": ("l = 1000 + sum(log(exp(2*x)**0.5))", 1000, [1, 1]),
    "log-sum-exp": ("l = log(sum(exp(x)))", 1000, [1, 0]),
    "softmax": ("l = sum((exp(x) / sum(exp(x), axis=1))**2)", 1, [0, 0]),
}


def run_loops(derivation):
    scope = {}
    exec(loops_of(derivation), scope)
    value, (gradient,) = scope["value_and_grad"](AT)
    return value, {"x": gradient}


@pytest.mark.parametrize("name", one_in(3, SPELLED))
def test_a_spelled_function_is_exact_at_a_thousand(name):
    source, value, gradient = SPELLED[name]
    derivation = trace(source, x=("N", "D")).vjp()
    found = [value_and_grad(derivation, backend)(x=AT) for backend in ("numpy", "torch")]
    for loss, grads in [*found, run_loops(derivation)]:
        assert float(loss) == value
        assert np.asarray(grads["x"])[0] == pytest.approx(gradient, abs=1e-300)


@pytest.mark.parametrize("z", one_in(3, [-650.0, -695.0, -702.0, -710.0, -800.0]))
def test_exponentials_and_sigmoids_saturate_together(z):
    derivation = trace("p = sigmoid(z)\nl = -mean((1 - p)**2 * log(p))", z=("N", "D")).vjp()
    found = value_and_grad(derivation)(z=[[z]])
    assert found[0] == pytest.approx(-z, rel=1e-14)
    assert found[1]["z"].item() == pytest.approx(-1, rel=1e-14)


def test_a_margin_loss_is_exact_by_every_input():
    arrays = {"x": [[-1000.0], [2.0]], "w": [[1.0]], "b": [[0.0]], "y": [[1.0], [1.0]]}
    shapes = {"x": ("N", "D"), "w": ("D", 1), "b": (1, 1), "y": ("N", 1)}
    derivation = trace("l = mean(log(1 + exp(-y*(x @ w + b))))", **shapes).vjp()
    s = 1 / (1 + np.exp(2.0))
    expected = {"x": [-0.5, -s / 2], "w": [500 - s], "b": [-0.5 - s / 2], "y": [500, -s]}
    for name, gradient in value_and_grad(derivation)(**arrays)[1].items():
        np.testing.assert_allclose(gradient.ravel(), expected[name], rtol=1e-14)


def test_the_logarithm_of_a_hyperbolic_cosine_is_right_everywhere():
    register_elementwise("log_cosh", lambda u: sp.log(sp.cosh(u)))
    derivation = trace("l = sum(log_cosh(x))", x=("N", "D")).vjp()
    for at in (-1000.0, -30.0, 0.5, 30.0, 1000.0):
        with mpmath.workdps(500):
            expected = float(mpmath.log(mpmath.cosh(mpmath.mpf(at))))
        assert value_and_grad(derivation)(x=[[at]])[0] == pytest.approx(expected, rel=1e-14)


PRODUCTS = {
    "sigmoid": ("l = sum(exp(-y*z) / (1 + exp(-y*z)))", lambda u: torch.sigmoid(-u)),
    "tanh": ("l = sum((exp(2*y*z) - 1) / (exp(2*y*z) + 1))", torch.tanh),
    "moved softplus": ("l = mean(log(1 + exp(1 - y*z)))", lambda u: torch.nn.functional.softplus(1 - u)),
    "swish": ("l = sum(z*y / (1 + exp(-y*z/2)))", lambda u: u * torch.sigmoid(u / 2)),
    "sums": ("l = sum((z*y + exp(z*y)) / (1 + exp(y*z)))", lambda u: (u - 1) * torch.sigmoid(-u) + 1),
    "log cosh": (
        "l = sum(log(exp(y*z) + exp(-z*y)))",
        lambda u: torch.logaddexp(u, -u),
    ),
}


@pytest.mark.parametrize("at", [-800.0, 800.0])
@pytest.mark.parametrize("name", one_in(3, PRODUCTS))
def test_a_spelled_function_of_a_product_is_exact(name, at):
    source, function = PRODUCTS[name]
    y, z = (torch.tensor([[v]], dtype=torch.float64, requires_grad=True) for v in (2.0, at / 2))
    expected = function(y * z).sum()
    expected.backward()
    derivation = trace(source, y=("N", 1), z=("N", 1)).vjp()
    for backend in ("numpy", "torch"):
        value, gradients = value_and_grad(derivation, backend)(y=y.detach().numpy(), z=z.detach().numpy())
        assert value == pytest.approx(expected.item(), rel=1e-13, abs=1e-300)
        for key, leaf in (("y", y), ("z", z)):
            assert gradients[key].item() == pytest.approx(leaf.grad.item(), rel=1e-13, abs=1e-300)


def test_an_input_may_be_called_core():
    core, y = np.array([[2.0]]), np.array([[3.0]])
    value = value_and_grad(trace("l = sum(core / (1 + exp(-core*y)))", core=("N", 1), y=("N", 1)).vjp())(
        core=core, y=y
    )[0]
    assert value == pytest.approx(2 / (1 + np.exp(-6.0)), rel=1e-15)
