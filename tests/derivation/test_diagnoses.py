"""Every way to be wrong that `explain` knows is told apart, and its counterexample is small and honest."""

import numpy as np
import pytest
from cases import one_in

from mlpreport.derivation import explain, trace, value_and_grad

NETWORK = "z1 = x @ W1\nz2 = z1 + b1\nz3 = sigmoid(z2)\nz4 = z3 @ W2\nyhat = z4 + b2\nl = mean((y - yhat)**2)"
TRANSPOSE = "the transpose"
PRODUCT = "@ needs as many columns on the left as rows on the right"
GRADIENT = "the gradient is "
PROGRAMS = {
    "classes": (
        "z = x @ W\np = sigmoid(z)\nl = -sum(y*log(p) + (1 - y)*log(1 - p))/N",
        {"x": ("N", "D"), "W": ("D", 1), "y": ("N", 1)},
    ),
    "network": (
        NETWORK,
        {"x": ("N", "D"), "W1": ("D", "H"), "b1": (1, "H"), "W2": ("H", 1), "b2": (1, 1), "y": ("N", 1)},
    ),
    "row means": ("c = x - m\nl = sum(c**2)/N/D", {"x": ("N", "D"), "m": ("N", 1)}),
    "scalar": ("l = sum((x - s)**2)", {"x": ("N", "D"), "s": (1, 1)}),
    "linear": ("h = x @ W\nl = sum(h * y)/D", {"x": ("N", "D"), "W": ("D", "H"), "y": ("N", "H")}),
    "scores": (
        "s = q @ k.T / D**0.5\na = softmax(s)\nl = sum(a * g)",
        {"q": ("N", "D"), "k": ("M", "D"), "g": ("N", "M")},
    ),
    "tied": ("h = tanh(x @ W)\nr = h @ W.T\nl = sum((r - x)**2)/N", {"x": ("N", "D"), "W": ("D", "H")}),
    "three ways": (
        "l = sum(x**2) - sum(x * c) - sum(y * x)",
        {"x": ("N", "D"), "c": (1, "D"), "y": ("N", 1)},
    ),
    "cross-entropy": ("p = softmax(z)\nl = -sum(y*log(p))/N", {"z": ("N", "C"), "y": ("N", "C")}),
    "centred": ("m = mean(x, axis=0)\nc = x - m\nl = sum(c**3)", {"x": ("N", "D")}),
    "logsumexp": ("l = sum(log(sum(exp(x), axis=1)))", {"x": ("N", "D")}),
    "scaled": ("l = sum(s * log(sum(exp(x), axis=1)))", {"s": ("N", 1), "x": ("N", "D")}),
    "ridge": ("l = sum((x @ w - y)**2) + sum(w**2)", {"x": ("N", "D"), "w": ("D", 1), "y": ("N", 1)}),
    "gram": ("G = W.T @ W\nl = sum((G - A)**2)", {"W": ("D", "K"), "A": ("K", "K")}),
    "recurrent": (
        "u = g @ U\nh = tanh(u)\nv = h @ U\nr = tanh(v)\nl = sum((r - y)**2)",
        {"g": ("N", "D"), "U": ("D", "D"), "y": ("N", "D")},
    ),
    "quadratic": ("l = sum(x @ A * x)", {"x": ("N", "D"), "A": ("D", "D")}),
    "total": ("l = sum(x) + 2*mean(y)", {"x": ("N", "D"), "y": ("N", 1)}),
    "square": ("h = a @ b\nl = sum(h**3)", {"a": ("N", "N"), "b": ("N", "N")}),
}
DIAGNOSES = [
    ("network", "yhat", "2*(y - yhat)/N", "the sign is wrong: -2 * (y - yhat) / N"),
    ("network", "yhat", "(yhat - y)/N", "a factor 2 is missing: 2 * ((yhat - y) / N)"),
    ("network", "yhat", "4*(yhat - y)/N", "there is a factor 2 too many: 2 * (yhat - y) / N"),
    ("network", "yhat", "-4*(y - yhat)/N", "there is a factor 2 too many: -2 * (y - yhat) / N"),
    ("network", "yhat", "(yhat - y)*4/N", "there is a factor 2 too many: (yhat - y) * 2 / N"),
    ("network", "yhat", "2*(yhat - y)/N/2", "a factor 2 is missing: 2 * (yhat - y) / N"),
    ("network", "yhat", "4*(yhat - y)/(4*N)", "a factor 2 is missing: 4 * (yhat - y) / (2*N)"),
    ("network", "W1", "2*(x.T @ dz1)", "there is a factor 2 too many: x.T @ dz1"),
    ("network", "W1", "(x.T @ dz1)*N", "a division by N is missing: x.T @ dz1"),
    ("network", "yhat", "2*(yhat - y)", "a division by N is missing: 2 * (yhat - y) / N"),
    ("network", "yhat", "2*(yhat - y)/N*H", "a division by H is missing: 2 * (yhat - y) / N"),
    ("network", "yhat", "2*(yhat - y)/N/D", "there is a division by D too many: 2 * (yhat - y) / N"),
    ("network", "W1", "dz1.T @ x", "the result must be transposed: (dz1.T @ x).T"),
    ("network", "b1", "dz2", "a sum over the batch (axis 0) is missing: sum(dz2, axis=0)"),
    ("network", "b1", "sum(dz2)", "the sum must run over the batch (axis 0) only: sum(dz2, axis=0)"),
    ("network", "b1", "-sum(dz2, axis=0)", "the sign is wrong: sum(dz2, axis=0)"),
    (
        "network",
        "W1",
        "x @ dz1",
        f"{TRANSPOSE} x.T must stand on the left of a matrix product: x.T @ dz1",
    ),
    (
        "network",
        "W1",
        "dz1 @ x",
        f"{TRANSPOSE} x.T must stand on the left of a matrix product: x.T @ dz1",
    ),
    (
        "network",
        "z3",
        "W2 * dz4",
        f"{TRANSPOSE} W2.T must stand on the right of a matrix product: dz4 @ W2.T",
    ),
    ("network", "W1", "x.T * dz1", "this must be a matrix product: x.T @ dz1"),
    ("network", "x", "W1.T @ dz1", "the factors stand in the wrong order: dz1 @ W1.T"),
    (
        "network",
        "z2",
        "dz3 @ (z3 * (1 - z3))",
        "the product must be taken entry by entry: dz3 * (z3 * (1 - z3))",
    ),
    (
        "network",
        "W1",
        "x @ dz1.T",
        f"{TRANSPOSE} x.T must stand on the left of a matrix product, and dz1 must not be transposed: x.T @ dz1",
    ),
    ("network", "z2", "z2 * z3", "the shape is right, the values are not"),
    ("network", "W1", "x.T @ dz3", "the derivative of sigmoid is missing beside dz3: x.T @ dz2"),
    ("network", "W1", "x.T @ (dz4 @ W2.T)", "the derivative of sigmoid is missing beside dz4 @ W2.T: x.T @ dz2"),
    ("network", "W1", "x.T @ (z3 * dz3)", "the derivative of sigmoid beside dz3 is wrong: x.T @ dz2"),
    ("network", "z2", "dz3 * (1 - z3**2)", "the derivative of sigmoid beside dz3 is wrong: dz3 * sigmoid'(z2)"),
    (
        "network",
        "W1",
        "-x.T @ dz3",
        "the sign is wrong, and the derivative of sigmoid is missing beside dz3: x.T @ dz2",
    ),
    (
        "scores",
        "k",
        "(da * a * (1 - a)).T @ q / D**0.5",
        "the derivative of softmax beside da is wrong: ds.T @ q / D**(1/2)",
    ),
    (
        "recurrent",
        "U",
        "h.T @ dr + g.T @ dh",
        ("the derivative of tanh is missing beside dr, and the derivative of tanh is missing beside dh: "
        "h.T @ dv + g.T @ du"),
    ),
    (
        "ridge",
        "w",
        "2 * x.T @ (y - x @ w) + 2 * w",
        "the sign of 2 * x.T @ (y - x @ w) is wrong: -2 * x.T @ (y - x @ w) + 2 * w",
    ),
    ("gram", "W", "2 * W @ (G + A) + 2 * W @ (G + A).T", "the sign of A is wrong: 2 * W @ (G - A) + 2 * W @ (G - A).T"),
    ("network", "yhat", "3*(yhat - y)/N", "wrong factor, multiply by 2/3: 2 * (yhat - y) / N"),
    (
        "network",
        "z1",
        "dz2 @ dz2",
        f"wrong shape: {PRODUCT}: (N, H) @ (N, H); transpose one of them with .T",
    ),
    ("row means", "m", "-dc", "a sum over columns (axis 1) is missing: sum(-dc, axis=1)"),
    ("row means", "m", "dc", "the sign is wrong, and a sum over columns (axis 1) is missing: sum(-dc, axis=1)"),
    ("row means", "m", "-sum(dc)", "the sum must run over columns (axis 1) only: -sum(dc, axis=1)"),
    ("row means", "m", "1", "wrong shape: (1, 1) instead of (N, 1)"),
    ("row means", "m", "0", "wrong shape: (1, 1) instead of (N, 1)"),
    ("row means", "x", "c", "wrong factor, multiply by 2/(D*N): 2/(D*N) * c"),
    ("scores", "q", "ds @ k", "wrong factor, divide by D**(1/2): ds @ k / D**(1/2)"),
    (
        "scores",
        "s",
        "a * (da - sum(da*a))",
        "the sum must run over columns (axis 1) only: a * (da - sum(da * a, axis=1))",
    ),
    (
        "scores",
        "s",
        "a * (da + sum(da*a, axis=1))",
        "the sign of sum(da * a, axis=1) is wrong: a * (da - sum(da * a, axis=1))",
    ),
    ("scores", "s", "a * (da - sum(da*a, axis=1)) + s", "the term s is too much: a * (da - sum(da * a, axis=1))"),
    ("tied", "W", "x.T @ dt1", "the term dr.T @ h is missing: x.T @ dt1 + dr.T @ h"),
    ("tied", "W", "dr.T @ h", "the term x.T @ dt1 is missing: dr.T @ h + x.T @ dt1"),
    ("three ways", "x", "2 * x", "the term -c is missing, and the term -y is missing: 2 * x - c - y"),
    ("cross-entropy", "z", "(p - y)/N", 'this is right only if the rows of y sum to 1: assume="rows_sum_to_one:y"'),
    (
        "cross-entropy",
        "z",
        "p - y",
        'if the rows of y sum to 1 (assume="rows_sum_to_one:y"), a division by N is missing: (p - y) / N',
    ),
    ("scalar", "s", "-2*(x - s)", "a sum over all entries is missing: sum(-2 * (x - s))"),
    ("linear", "W", "x.T @ y.T / D", "y must not be transposed: x.T @ y / D"),
    ("linear", "h", "(-y)/D", "the sign is wrong: y / D"),
    (
        "centred",
        "x",
        "dc - mean(dc, axis=1)",
        "the mean must run over the batch (axis 0) only: dc - mean(dc, axis=0)",
    ),
    ("centred", "x", "dc - mean(dc)", "the mean must run over the batch (axis 0) only: dc - mean(dc, axis=0)"),
    ("logsumexp", "x", "softmax(x, axis=0)", "the softmax must run over columns (axis 1) only: softmax(x)"),
    ("logsumexp", "x", "exp(x)/sum(exp(x))", "the softmax must run over columns (axis 1) only: softmax(x)"),
    (
        "scaled",
        "s",
        "log(sum(exp(x)))",
        "the sum must run over columns (axis 1) only: log(sum(exp(x), axis=1))",
    ),
    (
        "quadratic",
        "x",
        "2 * x @ A",
        "there is a factor 2 too many, and the term dt1 @ A.T is missing: x @ A + dt1 @ A.T",
    ),
    (
        "network",
        "W2",
        "2 * dz4.T @ z3",
        "there is a factor 2 too many, and the result must be transposed: (dz4.T @ z3).T",
    ),
    ("network", "b1", "sum(2 * dz2, axis=0)", "there is a factor 2 too many: sum(dz2, axis=0)"),
    ("classes", "W", "2 * x.T @ (p - y) / N", "there is a factor 2 too many: x.T @ (p - y) / N"),
    ("total", "x", "1", "a number is no array: ones((N, D))"),
    ("total", "y", "2/N", "a number is no array: 2/N * ones((N, 1))"),
    ("total", "y", "1/N", "a number is no array, and a factor 2 is missing: 2/N * ones((N, 1))"),
    ("square", "h", "3*h*h.T", "h must not be transposed: 3 * h * h"),
    ("square", "a", "dh @ b", f"{TRANSPOSE} b.T must stand on the right of a matrix product: dh @ b.T"),
    ("scores", "q", "ds @ q / D**0.5", "q must be k: ds @ k / D**(1/2)"),
    ("recurrent", "v", "dr * (1 - h**2)", "the derivative of tanh beside dr is wrong: dr * tanh'(v)"),
    ("recurrent", "r", "2*(h - y)", "h must be r: 2 * (r - y)"),
    ("square", "h", "3*h @ h", "the product must be taken entry by entry: 3 * h * h"),
]  # fmt: skip


@pytest.fixture(scope="module")
def derivations():
    return {name: trace(source, **shapes).vjp() for name, (source, shapes) in PROGRAMS.items()}


@pytest.mark.parametrize(("name", "wrt", "claim", "diagnosis"), one_in(3, DIAGNOSES))
def test_a_diagnosis_names_the_fault_and_mends_it(derivations, name, wrt, claim, diagnosis):
    assert explain(derivations[name], wrt, claim).diagnosis == diagnosis + "."


def test_a_missing_transpose_of_a_name_is_found():
    program = trace("l = sum(v * u.T)", v=(1, "N"), u=("N", 1))
    assert explain(program, "v", "u + u - u").diagnosis == "the result must be transposed: (u + u - u).T."
    program = trace("l = sum(a * b.T * a)", a=("N", "N"), b=("N", "N"))
    assert explain(program, "a", "2 * a * b").diagnosis == "a transpose of b is missing: 2 * a * b.T."


def test_a_claim_is_answered_in_full():
    explanation = explain(trace("l = sum(x**2)", x=(1, 1)), "x", "x")
    example = explanation.counterexample
    (((x,),),) = (array.tolist() for array in example.inputs.values())
    numbers = f"at the declared sizes with x = [[{x}]]: the claim gives [[{x}]], the gradient is [[{2 * x}]]"
    assert str(example) == numbers
    assert str(explanation) == (
        "Wrong: x is not the gradient with respect to x. A factor 2 is missing: 2 * x.\n"
        f"Derived: dx = 2 * x\nFor example {numbers}."
    )
    assert explanation._repr_markdown_() == (
        '<span class="verdict refuted">wrong</span> `x` is not the gradient with respect to `x`: a factor 2 is '
        f"missing: `2 * x`. Derived: `dx = 2 * x`. For example {numbers}."
    )
    right = explain(trace("l = sum(x**2)", x=(1, 1)), "x", "x + x")
    assert str(right) == "Right: the gradient with respect to x is x + x."
    assert right._repr_markdown_() == (
        '<span class="verdict reproduced">right</span> The gradient with respect to `x` is `x + x`.'
    )
    assert (right.diagnosis, right.correct) == ("", "dx = 2 * x")


@pytest.mark.parametrize(
    ("wrt", "claim", "text"),
    [
        ("b1", "dz2", f"wrong shape: (2, 1) instead of (1, 1); {GRADIENT}"),
        (
            "W1",
            "x @ dz1",
            f"wrong shape: {PRODUCT}: (2, 1) @ (2, 1); transpose one of them with .T; {GRADIENT}",
        ),
    ],
)  # fmt: skip
def test_a_claim_without_a_value_says_why(derivations, wrt, claim, text):
    example = explain(derivations["network"], wrt, claim).counterexample
    assert example.claimed is None
    sizes = "at D = 1, H = 1, N = 2 with x = "
    assert str(example).startswith(sizes)
    assert f"; W1 = [[{example.inputs['W1'][0, 0]}]]; b1 = " in str(example)
    assert str(example).endswith(f": {text}{np.round(example.correct, 6).tolist()}")


def test_the_sizes_of_a_counterexample_have_the_smallest_product():
    program = trace("l = sum(x**2)", x=("N", "D"))
    claim = "2*x + (D-1)*x + (N-1)*(N-2)*x"  # right for D = 1 with N = 1 or 2
    assert explain(program, "x", claim).counterexample.sizes == {"D": 2, "N": 1}


def test_a_claim_that_fails_at_larger_sizes_only_gets_a_counterexample():
    program = trace("l = sum(x**2)", x=("N", 1))
    assert explain(program, "x", "2*x + (N-1)*(N-2)*(N-3)*x").counterexample.sizes == {"N": 4}
    program = trace("l = sum(x**2)*log(N - 9)", x=("N", 1))
    example = explain(program, "x", "x*log(N - 9)").counterexample
    assert example.sizes == {"N": 11}
    assert not np.allclose(example.claimed, example.correct)


def test_a_counterexample_has_handy_numbers_of_both_signs_and_the_true_gradient():
    program = trace("h = tanh(x)\nl = sum(h * h) + sum(w * x.T)", x=(4, 5), w=(5, 4))
    example = explain(program, "x", "2*h").counterexample
    for array in example.inputs.values():
        assert array.min() < 0 < array.max()
        assert set(np.abs(array).ravel()) <= {0.5, 1.0, 1.5, 2.0, 2.5}
    _, grads = value_and_grad(program.vjp())(**example.inputs)
    np.testing.assert_allclose(example.correct, grads["x"], rtol=1e-13)
    np.testing.assert_allclose(example.claimed, 2 * np.tanh(example.inputs["x"]), rtol=1e-13)


def test_the_numbers_of_a_counterexample_differ():
    program = trace("l = sum(x**2 * y) / N", x=("N", 3), y=("N", 1))
    example = explain(program, "x", "2 * x * y")
    assert example.counterexample.sizes == {"N": 2}
    numbers = np.concatenate([*example.counterexample.inputs.values()], axis=None)
    assert len(np.unique(numbers)) == numbers.size
    many = trace("l = sum(x**2 * y)", x=(3, 3), y=(3, 3))
    for array in explain(many, "x", "x").counterexample.inputs.values():
        assert len(np.unique(array)) == array.size


def test_a_claim_may_use_inputs_nodes_cotangents_and_sizes():
    program = trace("h = x @ W\nl = sum(h**2)/D", x=("N", "D"), W=("D", "H"))
    for claim in ("x.T @ dh", "2/D * x.T @ h", "x.T @ (2*x@W/D)", "x.T @ dh * dl"):
        assert explain(program, "W", claim).agrees


def test_spaces_lines_and_comments_in_a_claim_do_not_count():
    program = trace("l = sum(x**2)", x=(1, 1))
    for claim in (" 2 * x\n", "2 *\n    x", "2 * # a factor\n\tx  # as it is"):
        assert str(explain(program, "x", claim)) == "Right: the gradient with respect to x is 2 * x."


def test_a_claim_that_is_nearly_right_is_wrong():
    program = trace("l = 2 * x", x=(1, 1))
    assert not explain(program, "x", "2.000001").agrees
    assert explain(program, "x", "2.000000000001").agrees
