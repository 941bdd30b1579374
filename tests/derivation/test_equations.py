"""A program is read into simple equations, which derivations name, and written as few fast lines of code."""

import pytest

from mlpreport.derivation import trace, value_and_grad
from mlpreport.derivation.printing import show

SHAPES = {"x": ("N", "D"), "W": ("D", "H"), "b": (1, "H"), "y": ("N", "H"), "v": ("D", 1), "s": (1, 1)}


@pytest.mark.parametrize(
    ("source", "equations"),
    [
        ("l = mean((y - sigmoid(x @ W + b))**2)", "t1 = x @ W + b; t2 = sigmoid(t1); l = mean((y - t2)**2)"),
        ("l = sum(x @ W @ W.T)", "t1 = x @ W; t2 = t1 @ W.T; l = sum(t2)"),
        ("l = sum((x @ W).T @ y)", "t1 = x @ W; t2 = t1.T @ y; l = sum(t2)"),
        ("h = 2*(x @ W)/3 - y\nl = sum(h)", "h = 2 * (x @ W) / 3 - y; l = sum(h)"),
        ("l = sum(2*(x @ W)/3 - y)", "t1 = x @ W; l = sum(2 * t1 / 3 - y)"),
        ("h = -(x @ W) + b\nl = sum(h)", "h = -x @ W + b; l = sum(h)"),
        ("h = (x @ W)*y\nl = sum(h)", "t1 = x @ W; h = t1 * y; l = sum(h)"),
        ("h = (x @ W)**2\nl = sum(h)", "t1 = x @ W; h = t1**2; l = sum(h)"),
        ("l = sum(sum(x*x, axis=1)**2)", "t1 = sum(x * x, axis=1); l = sum(t1**2)"),
        ("l = sum(exp(x @ v))", "t1 = x @ v; l = sum(exp(t1))"),
        ("l = log(sum(exp(x @ v)))", "t1 = x @ v; l = log(sum(exp(t1), axis=None))"),
        ("l = sum(log(sum(exp(x), axis=0)))", "t1 = log(sum(exp(x), axis=0)); l = sum(t1)"),
        (
            "l = -mean(sum(y*log(softmax(x@W)), axis=1))",
            "t1 = x @ W; t2 = softmax(t1); t3 = sum(y * log(t2), axis=1); l = -mean(t3)",
        ),
        ("l = tanh(sum(x))", "t1 = sum(x); l = tanh(t1)"),
        ("h = tanh(x)\nl = sum(h)", "h = tanh(x); l = sum(h)"),
        ("l = sum(tanh(x) + relu(x))", "t1 = tanh(x); t2 = relu(x); l = sum(t1 + t2)"),
        ("h = (x + 1).T\nl = sum(h)", "t1 = x + 1; h = t1.T; l = sum(h)"),
        ("l = sum(exp(-x)) + log(N) - 3", "l = sum(exp(-x)) + log(N) - 3"),
        ("l = 2", "l = 2"),
        ("l = (sum(x) + 1)**2", "t1 = sum(x); l = (t1 + 1)**2"),
        ("l = 3 * sum(x) - sum(y)/2", "l = 3 * sum(x) - sum(y) / 2"),
        ("l = sum(x)/N**2 * D**0.5 / (N*D)", "l = sum(x) / N**2 * D**(1/2) / (D*N)"),
        ("l = sum(x)/2**-1", "l = sum(x) / (1/2)"),
        ("l = s * sum(x)", "t1 = sum(x); l = s * t1"),
        ("l = sum(x/(1+exp(-x)))", "l = sum(x / (1 + exp(-x)))"),
        ("t1 = sum(x)\nl = t1*sum(tanh(x))", "t1 = sum(x); t2 = tanh(x); t3 = sum(t2); l = t1 * t3"),
        ("t2 = x @ W\nl = sum(t2 @ W.T)", "t2 = x @ W; t1 = t2 @ W.T; l = sum(t1)"),
    ],
)
def test_a_program_is_read_into_simple_equations(source, equations):
    program = trace(source, **SHAPES)
    assert "; ".join(f"{name} = {show(term, {})}" for name, term in program.definitions.items()) == equations


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        ("l = 2*sum(x*x) + 1", ["l = 2 * np.vdot(x, x) + 1", "return l, {}"]),
        (
            "l = mean(x*x)",
            ["N = x.shape[0]", "D = x.shape[1]", "l = np.vdot(x, x) / (D*N)", "return l, {}"],
        ),
        ("l = sum(x**2)", ["l = np.vdot(x, x)", "return l, {}"]),
        ("l = sum(x*x*x)", ["l = np.vdot(x * x, x)", "return l, {}"]),
        ("l = sum(3*x)", ["l = (3 * x).sum()", "return l, {}"]),
        ("l = sum(x + x*x)", ["l = (x + x * x).sum()", "return l, {}"]),
        ("l = sum(x*v.T)", ["l = (x * v.T).sum()", "return l, {}"]),
        (
            "l = sum(mean(x, axis=0)**2)",
            ["N = x.shape[0]", "t1 = np.dot(np.ones((1, N)), x) / N", "l = np.vdot(t1, t1)", "return l, {}"],
        ),
        ("l = sum(v)", ["D = x.shape[1]", "l = np.dot(np.ones((1, D)), v)", "return l[0, 0], {}"]),
        (
            "l = mean(v)",
            ["D = x.shape[1]", "l = np.dot(np.ones((1, D)), v) / D", "return l[0, 0], {}"],
        ),
        ("l = sum(s) + mean(s*s)", ["l = s.sum() + (s * s).mean()", "return l, {}"]),
        ("l = s*s", ["l = s * s", "return l[0, 0], {}"]),
        ("l = sum(x)*0 + 2", ["l = x.sum() * 0 + 2", "return l, {}"]),
        ("l = sum(x)**2", ["t1 = x.sum().reshape(1, 1)", "l = t1**2", "return l[0, 0], {}"]),
        ("l = 3", ["l = np.full((1, 1), float(3))", "return l[0, 0], {}"]),
        (
            "l = sum((x - 1)*(x-1))",
            ["part1 = x - 1", "l = np.vdot(part1, part1)", "return l, {}"],
        ),
        (
            "unused = exp(x)\nl = sum(mean(x, axis=1)**3)",
            [
                "N = x.shape[0]",
                "t1 = x.mean(axis=1, keepdims=True)",
                "l = np.dot(np.ones((1, N)), t1**3)",
                "return l[0, 0], {}",
            ],
        ),
    ],
)
def test_a_loss_alone_takes_few_lines(source, lines):
    written = value_and_grad(trace(source, **SHAPES).vjp(), wrt=[]).source
    head, body = written.split("def value_and_grad(x, W, b, y, v, s):\n")
    assert head == "import numpy as np\n\n\n"
    assert [line.removeprefix("    ") for line in body.splitlines()] == lines
