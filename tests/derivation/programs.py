"""Programs that the tests differentiate: source text, shapes of the inputs, and sizes for the symbols."""

from functools import cache

from mlpreport.derivation import trace

SIZES = {"N": 4, "D": 3, "H": 5, "C": 2, "K": 6, "E": 7, "M": 2}

NETWORK = """z1 = x @ W1
z2 = z1 + b1
z3 = sigmoid(z2)
z4 = z3 @ W2
yhat = z4 + b2
l = mean((y - yhat)**2)
"""
NETWORK_SHAPES = {
    "x": ("N", "D"),
    "W1": ("D", "H"),
    "b1": (1, "H"),
    "W2": ("H", "C"),
    "b2": (1, "C"),
    "y": ("N", "C"),
}
_XW = {"x": ("N", "D"), "W": ("D", "C"), "b": (1, "C"), "y": ("N", "C")}
_SQUARE = {"x": ("N", "D"), "g": (1, "D"), "b": (1, "D"), "y": ("N", "D")}

PROGRAMS = {
    "network": (NETWORK, NETWORK_SHAPES),
    "one expression": ("l = mean((y - (sigmoid(x @ W1 + b1) @ W2 + b2))**2)", NETWORK_SHAPES),
    "tied weights": (
        "h = tanh(x @ W)\nr = h @ W.T\nl = sum((r - x)**2)/N",
        {"x": ("N", "D"), "W": ("D", "H")},
    ),
    "residual": (
        "h = x + relu(x @ W + b)\ng = h + relu(h @ W + b)\nl = mean(g**2) + 0.1*sum(W**2)",
        {"x": ("N", "D"), "W": ("D", "D"), "b": (1, "D")},
    ),
    "attention": (
        "q = x @ Wq\nk = x @ Wk\no = softmax(q @ k.T / D**0.5) @ (x @ Wv)\nl = mean((o - y)**2)",
        {"x": ("N", "D"), "Wq": ("D", "K"), "Wk": ("D", "K"), "Wv": ("D", "D"), "y": ("N", "D")},
    ),
    "layer norm": (
        "m = mean(x, axis=1)\nc = x - m\nv = mean(c**2, axis=1)\no = c / (v + 1e-5)**0.5 * g + b\nl = mean((o - y)**2)",
        _SQUARE,
    ),
    "layer norm in one line": (
        "l = mean(((x - mean(x, axis=1)) / (mean((x - mean(x, axis=1))**2, axis=1) + 1e-5)**0.5 * g + b - y)**2)",
        _SQUARE,
    ),
    "cross-entropy": ("p = softmax(x @ W + b)\nl = -mean(sum(y*log(p), axis=1))", _XW),
    "log-sum-exp": ("z = x @ W + b\nl = mean(log(sum(exp(z), axis=1)) - sum(y*z, axis=1))", _XW),
    "spelled softmax": ("e = exp(x @ W + b)\np = e / sum(e, axis=1)\nl = -sum(y*log(p))", _XW),
    "softmax as quotient": ("z = x @ W + b\np = exp(z) / sum(exp(z), axis=1)\nl = sum((p - y)**2)", _XW),
    "log-sum-exp along other axes": (
        "l = sum(log(sum(exp(x), axis=0))) + log(sum(exp(x)))",
        {"x": ("N", "D")},
    ),
    "softmax along other axes": (
        "p = softmax(x, axis=0)\nl = sum(x * softmax(x, axis=None)) - sum(y * log(p) @ ones((D, 1)))",
        {"x": ("N", "D"), "y": ("N", "D")},
    ),
    "logistic": (
        "p = sigmoid(x @ w + b)\nl = -mean(y**2*log(p) + (1-y**2)*log(1-p))",
        {"x": ("N", "D"), "w": ("D", 1), "b": (1, 1), "y": ("N", 1)},
    ),
    "spelled sigmoid": (
        "p = 1/(1+exp(-(x@w)))\nl = sum((p-y)**2)",
        {"x": ("N", "D"), "w": ("D", 1), "y": ("N", 1)},
    ),
    "names that collide": (
        "z = x @ W\ndz = tanh(z)\ndW = dz * z\nnp = softmax(dW)\nsigmoid = np * dz\nl = sum(sigmoid**2) + N",
        {"x": ("N", "D"), "W": ("D", "H")},
    ),
    "a size and a variable of one name": ("l = sum(N * x)/K", {"N": ("K", 1), "x": ("K", "N")}),
    "whole sizes": (
        "h = tanh(x @ W1 + b1)\nl = (y - h @ W2)**2",
        {"x": (1, 3), "W1": (3, 2), "b1": (1, 2), "W2": (2, 1), "y": (1, 1)},
    ),
    "another name": ("a = x\nl = sum(a**2) + sum(x * a)", {"x": ("N", "D")}),
    "dead ends": ("a = x * 2\nu = exp(w)\nt = u + 1\nl = sum(a)", {"x": ("N", "D"), "w": ("D", 1)}),
    "products with itself": ("l = sum(x @ x.T) + sum(x*x) + sum(x.T @ x @ x.T)", {"x": ("N", "D")}),
    "square": ("l = sum(v @ v) + sum(v.T * v) + sum(v + v.T) + mean(v @ v.T * v)", {"v": ("N", "N")}),
    "broadcasting": (
        "l = sum(a * b * c / (2 + d**2)) + sum(tanh(a + b))",
        {"a": ("N", 1), "b": (1, "M"), "c": (1, 1), "d": ("N", "M")},
    ),
    "batch norm": (
        "m = mean(x, axis=0)\nl = sum(((x-m)/(mean((x-m)**2, axis=0)+1e-3)**0.5)**3)",
        {"x": ("N", "D")},
    ),
    "quotients": (
        "l = sum(a/(1+b**2)) - sum(a)/sum(b**2) + 2**0.5*mean(a)",
        {"a": ("N", "D"), "b": ("N", "D")},
    ),
    "pseudo-Huber": (
        "r = y - x @ w\nl = mean((1 + r**2)**0.5 - 1)",
        {"x": ("N", "D"), "w": ("D", 1), "y": ("N", 1)},
    ),
    "log-cosh": ("l = mean(log(exp(r) + exp(-r)))", {"r": ("N", 1)}),
    "logarithm of a square": ("q = x**2 + 1\nl = sum(log(q))", {"x": ("N", "D")}),
    "spelled swish": ("s = z / (1 + exp(-z))\nl = sum(s**2)", {"z": ("N", "D")}),
    "quadratic in exp": ("p = (exp(z) + 1)**2\nl = sum(p)", {"z": ("N", "D")}),
    "constant": ("l = sum(a)*0 + 2*-1 - 3/2**2", {"a": ("N", "D")}),
    "masked product": ("l = sum((x @ W) * m + x @ W)", {"x": ("N", "D"), "W": ("D", "H"), "m": ("N", "H")}),
    "signs": ("l = -(-sum(-x)) - sum(+x) - -sum(x**3)", {"x": ("N", "D")}),
    "outer sums": ("l = sum(sum(x,axis=1)*sum(x,axis=0)) + sum(sum(x, axis=0))", {"x": ("N", "D")}),
    "entropy": ("p = softmax(z)\nl = sum(p**2) - sum(p*log(p))", {"z": ("N", "C")}),
    "rows and columns": (
        "l = sum((a.T @ W) * b) + sum(W @ b.T) + sum(2*(a @ b) + ones_)",
        {"a": ("N", 1), "W": ("N", "D"), "b": (1, "D"), "ones_": ("N", "D")},
    ),
}


@cache
def traced(name):
    """A program, traced once for all tests, as are its derivations below."""
    source, shapes = PROGRAMS[name]
    return trace(source, **shapes)


@cache
def derived(name):
    return traced(name).vjp()


@cache
def derived_forward(name):
    return traced(name).jvp()


@cache
def derived_twice(name):
    """The Hessian-vector product by the first two inputs."""
    return traced(name).hvp(tuple(traced(name).inputs)[:2])
