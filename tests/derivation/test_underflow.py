"""Where probabilities underflow, values, gradients, tangents and Hessian-vector products are those of log_softmax."""

import numpy as np
import pytest
import torch
from cases import few_of
from derivation.oracle import interpreted
from torch.nn.functional import log_softmax, logsigmoid

from mlpreport.derivation import trace, value_and_grad


def soft(s):
    return log_softmax(s, 1)


def entropy(logs):
    return (logs.exp() * logs).sum()


def binary(s, y):
    return -(y * logsigmoid(s) + (1 - y) * logsigmoid(-s)).sum()


LOSSES = {
    "penalty on the logits": (
        "p = softmax(s)\nl = -sum(y*log(p)) + sum(s**2)",
        lambda s, y: -(y * soft(s)).sum() + (s**2).sum(),
    ),
    "two temperatures": (
        "p = softmax(s)\nq = softmax(s/2)\nl = -sum(y*log(p)) - sum(y*log(q))",
        lambda s, y: -(y * soft(s)).sum() - (y * soft(s / 2)).sum(),
    ),
    "both axes": (
        "p = softmax(s)\nq = softmax(s.T)\nl = -sum(y*log(p)) - sum(y*log(q.T))",
        lambda s, y: -(y * soft(s)).sum() - (y * soft(s.T).T).sum(),
    ),
    "entropy bonus": (
        "p = softmax(s)\nl = -sum(y*log(p)) + sum(p*log(p))",
        lambda s, y: -(y * soft(s)).sum() + entropy(soft(s)),
    ),
    "named logarithm": (
        "p = softmax(s)\nt = log(p)\nl = -sum(y*t) + sum(p*t)",
        lambda s, y: -(y * soft(s)).sum() + entropy(soft(s)),
    ),
    "distillation": (
        "z = s/2\np = softmax(s)\nq = softmax(z)\nl = sum(p*(log(p) - log(q))) - mean(y*log(p))",
        lambda s, y: (soft(s).exp() * (soft(s) - soft(s / 2))).sum() - (y * soft(s)).mean(),
    ),
    "focal": (
        "p = softmax(s)\nl = -sum(y*(1 - p)**2*log(p))",
        lambda s, y: -(y * (1 - soft(s).exp()) ** 2 * soft(s)).sum(),
    ),
    "smoothed labels": (
        "p = softmax(s)\nl = -sum((0.9*y + 0.05)*log(p))",
        lambda s, y: -((0.9 * y + 0.05) * soft(s)).sum(),
    ),
    "penalty on probabilities": (
        "p = softmax(s)\nl = -sum(y*log(p)) + sum(p**2)",
        lambda s, y: -(y * soft(s)).sum() + (soft(s).exp() ** 2).sum(),
    ),
    "no more than sums": (
        "p = softmax(s)\nl = -sum(log(p)) + sum(p)",
        lambda s, y: -soft(s).sum() + soft(s).exp().sum() + 0 * y.sum(),
    ),
    "binary with an entropy": (
        "p = sigmoid(s)\nl = -sum(y*log(p) + (1 - y)*log(1 - p)) + sum(p*log(p))",
        lambda s, y: binary(s, y) + (s.sigmoid() * logsigmoid(s)).sum(),
    ),
    "binary with a named complement": (
        "p = sigmoid(s)\nq = 1 - p\nl = -sum(y*log(p) + (1 - y)*log(q)) + sum(p**2)",
        lambda s, y: binary(s, y) + (s.sigmoid() ** 2).sum(),
    ),
    "ratio of two probabilities": (
        "p = softmax(s)\nq = softmax(y)\nl = sum(p*log(2*p/q))",
        lambda s, y: (soft(s).exp() * (np.log(2) + soft(s) - soft(y))).sum(),
    ),
    "fractional powers": (
        "p = softmax(s)\nq = p**0.5\nl = sum(y*(1 - p**0.7)) + sum((q - y)**2)",
        lambda s, y: (y * (1 - (0.7 * soft(s)).exp())).sum() + (((soft(s) / 2).exp() - y) ** 2).sum(),
    ),
    "logarithm of a square": (
        "p = softmax(s)\nl = -sum(y*log(p**2)) + sum(p)",
        lambda s, y: -2 * (y * soft(s)).sum() + soft(s).exp().sum(),
    ),
    "logarithm of a product": (
        "p = softmax(s)\nl = -sum(y*log(p*(1 + s**2))) + sum(p)",
        lambda s, y: -(y * (soft(s) + (1 + s**2).log())).sum() + soft(s).exp().sum(),
    ),
    "weights of rows": (
        "p = softmax(s)\nw = sum(y, axis=1)\nl = -sum(w*log(p)) - sum(log(p))",
        lambda s, y: -((1 + y.sum(1, keepdim=True)) * soft(s)).sum(),
    ),
    "Poisson": (
        "r = exp(s/4)\nl = sum(r - y*log(r))",
        lambda s, y: ((s / 4).exp() - y * s / 4).sum(),
    ),
}
POINTS = [
    ([[0.0, 900.0], [3.0, 1.0]], [[0.0, 1.0], [1.0, 0.0]]),
    ([[0.0, 900.0], [3.0, 1.0]], [[1.0, 0.0], [0.0, 1.0]]),
    ([[900.0, 0.0], [-900.0, 800.0]], [[0.3, 0.7], [0.0, 1.0]]),
    ([[1.0, 2.0], [0.5, -0.3]], [[0.3, 0.7], [0.2, 0.8]]),
]
V = np.array([[1.0, 2.0], [-0.5, 0.7]])


def computed(backend, derivation, inputs):
    if backend != "loops":
        return value_and_grad(derivation, backend)(**inputs)
    spelled = {"vs": "dot(s)", "vy": "dot(y)"}
    return interpreted(derivation, {spelled.get(name, name): values for name, values in inputs.items()})


def close(found, expected):
    return np.allclose(found, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(
    "name",
    few_of(LOSSES, "entropy bonus"),
)
def test_derivatives_are_finite_and_right(name):
    source, loss = LOSSES[name]
    program = trace(source, s=("N", "N"), y=("N", "N"))
    gradient, tangent, twice = program.vjp(), program.jvp(), program.hvp("s")
    for s, y in POINTS:
        at, to = (torch.tensor(each, requires_grad=True, dtype=torch.float64) for each in (s, y))
        expected = loss(at, to)
        ds, dy = torch.autograd.grad(expected, (at, to), create_graph=True)
        second = torch.autograd.grad((ds * torch.tensor(V)).sum(), at, materialize_grads=True)[0]
        inputs = {"s": np.array(s), "y": np.array(y)}
        directions = {"vs": V, "vy": np.zeros((2, 2))}
        for backend in ("numpy", "torch", "loops"):
            value, found = computed(backend, gradient, inputs)
            assert close(value, expected.item())
            assert close(found["s"], ds.detach())
            assert close(found["y"], dy.detach())
            _, along = computed(backend, tangent, inputs | directions)
            assert close(along["l"], (ds.detach().numpy() * V).sum())
            _, product = computed(backend, twice, inputs | {"vs": V})
            assert close(product["s"], second)
