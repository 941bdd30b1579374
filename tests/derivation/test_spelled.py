"""Functions that a program spells out are as stable as those that come built in."""

import numpy as np
import pytest

from mlpreport.derivation import trace, value_and_grad
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
    "log-sum-exp": ("l = log(sum(exp(x)))", 1000, [1, 0]),
    "softmax": ("l = sum((exp(x) / sum(exp(x), axis=1))**2)", 1, [0, 0]),
}


def run_loops(derivation):
    scope = {}
    exec(loops_of(derivation), scope)
    value, (gradient,) = scope["value_and_grad"](AT)
    return value, {"x": gradient}


@pytest.mark.parametrize("name", SPELLED)
def test_a_spelled_function_is_exact_at_a_thousand(name):
    source, value, gradient = SPELLED[name]
    derivation = trace(source, x=("N", "D")).vjp()
    found = [value_and_grad(derivation, backend)(x=AT) for backend in ("numpy", "torch")]
    for loss, grads in [*found, run_loops(derivation)]:
        assert float(loss) == value
        assert np.asarray(grads["x"])[0] == pytest.approx(gradient, abs=1e-300)
