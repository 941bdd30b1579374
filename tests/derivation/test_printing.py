"""What is printed means what it was printed from: brackets, signs, powers, and the forward language itself."""

from types import SimpleNamespace

import pytest
import sympy as sp
from cases import few_of
from derivation.oracle import draw
from derivation.programs import PROGRAMS, SIZES, derived

from mlpreport.derivation import explain, register_elementwise, trace, value_and_grad
from mlpreport.derivation.indices import Partial, Phi, cell, indices
from mlpreport.derivation.latex import latex, latex_name
from mlpreport.derivation.printing import code_names, helper_name, show
from mlpreport.derivation.program import ALL, build, num

READ_AGAIN = [
    "network",
    "tied weights",
    "attention",
    "layer norm",
    "cross-entropy",
    "log-sum-exp along other axes",
    "softmax as quotient",
    "entropy",
    "products with itself",
]


@pytest.mark.parametrize("name", few_of(PROGRAMS, "network", "layer norm", "quotients", "batch norm"))
def test_every_printed_cotangent_is_a_claim_that_is_right(name):
    derivation = derived(name)
    names = code_names(derivation.backward)
    for variable, step in derivation.items():
        assert explain(derivation, variable, show(step.cotangent, names)).agrees


@pytest.mark.parametrize("name", few_of(READ_AGAIN, "entropy"))
def test_a_printed_derivation_is_a_program_that_computes_the_gradients(name):
    derivation = derived(name)
    names = code_names(derivation.backward)
    lines = [f"{names[key]} = {show(term, names)}" for key, term in derivation.backward.definitions.items()]
    gradients = {f"k{n}": names[key] for n, key in enumerate(derivation.results.values())}
    lines.append("out = " + " + ".join(f"sum({k} * {gradient})" for k, gradient in gradients.items()))
    inputs = derivation.program.inputs
    shapes = {key: tuple(map(str, shape)) for key, shape in inputs.items()}
    shapes |= dict(zip(gradients, shapes.values(), strict=True))
    sizes = {key: tuple(int(s) if s.isdigit() else s for s in shape) for key, shape in shapes.items()}
    again = trace("\n".join(lines), **sizes)
    arrays = draw(again, **SIZES)
    value, _ = value_and_grad(again.vjp(), wrt=[])(**arrays)
    _, expected = value_and_grad(derivation)(**{key: arrays[key] for key in inputs})
    total = sum((arrays[k] * expected[key]).sum() for k, key in zip(gradients, inputs, strict=True))
    assert value == pytest.approx(total, rel=1e-12, abs=1e-14)


N, M = sp.symbols("N M", integer=True, positive=True)
(P, Q), (k, _) = indices((N, M), "ij"), indices((N, M), "kk")
A, B, V = cell("a", (N, M), P, Q), cell("b", (N, M), P, Q), cell("v", (N, 1), P, Q)
ROW = cell("r", (1, M), P, Q)


def total(formula, size=N):
    return sp.Sum(formula, (k, 1, size))


@pytest.mark.parametrize(
    ("formula", "text"),
    [
        (A + B, "a_{ij} + b_{ij}"),
        (A - B, "a_{ij} - b_{ij}"),
        (-A, "-a_{ij}"),
        (-A - B, r"-a_{ij} - b_{ij}"),
        (B - 2 * A, r"b_{ij} - 2 a_{ij}"),
        (A * (B + 1), r"\left(b_{ij} + 1\right) a_{ij}"),
        (3 * A * B, r"3 a_{ij} b_{ij}"),
        (A / B, r"\frac{a_{ij}}{b_{ij}}"),
        (-A / (2 * B), r"-\frac{a_{ij}}{2 b_{ij}}"),
        (A**2, "a_{ij}^{2}"),
        ((A + B) ** 3, r"\left(a_{ij} + b_{ij}\right)^{3}"),
        (sp.sqrt(A), r"\sqrt{a_{ij}}"),
        (1 / sp.sqrt(A + B), r"\frac{1}{\sqrt{a_{ij} + b_{ij}}}"),
        (sp.exp(-A), r"\exp\left(-a_{ij}\right)"),
        (sp.log(A) * ROW, r"\log\left(a_{ij}\right) r_{j}"),
        (Phi(sp.Symbol("sigmoid"), 0, A), r"\sigma\left(a_{ij}\right)"),
        (Phi(sp.Symbol("gelu"), 2, A), r"\operatorname{gelu}''\left(a_{ij}\right)"),
        (A / N, r"\frac{a_{ij}}{N}"),
        (V * ROW, "r_{j} v_{i}"),
        (total(cell("a", (N, M), P, k) * cell("b", (M, N), k, Q), M), r"\sum_{k=1}^{M} a_{ik} b_{kj}"),
        (2 * total(cell("v", (N, 1), k, k)), r"2 \sum_{k=1}^{N} v_{k}"),
        (total(cell("v", (N, 1), k, k) + 1), r"\sum_{k=1}^{N} \left(v_{k} + 1\right)"),
        (total(cell("v", (N, 1), k, k)) ** 2, r"\left(\sum_{k=1}^{N} v_{k}\right)^{2}"),
        (sp.KroneckerDelta(P, Q) * A, r"\delta_{i j} a_{ij}"),
        (Partial(A, B), r"\frac{\partial a_{ij}}{\partial b_{ij}}"),
        (Partial(A + B, V) * A, r"a_{ij} \frac{\partial}{\partial v_{i}} \left(a_{ij} + b_{ij}\right)"),
        (sp.Rational(1, 2), r"\frac{1}{2}"),
        (cell("s", (1, 1), P, Q), "s"),
    ],
)
def test_index_formulas_are_typeset_as_on_paper(formula, text):
    assert latex(formula) == text


@pytest.fixture(scope="module")
def arrays():
    program = trace("l = sum(x) + sum(y) + s", x=("N", "D"), y=("N", "D"), s=(1, 1), W=("D", "N"))
    return SimpleNamespace(**{name: program.variable(name) for name in ("x", "y", "s", "W")})


@pytest.mark.parametrize(
    ("make", "forward", "numpy", "typeset"),
    [
        (lambda v: v.x - (v.y - v.x), "x - (y - x)", "x - (y - x)", r"x - \left(y - x\right)"),
        (lambda v: (v.x - v.y) - v.x, "x - y - x", "x - y - x", "x - y - x"),
        (lambda v: v.x / (v.y / v.x), "x / (y / x)", "x / (y / x)", r"\frac{x}{\frac{y}{x}}"),
        (lambda v: (v.x / v.y) * v.x, "x / y * x", "x / y * x", r"\frac{x}{y} \circ x"),
        (lambda v: v.x * (v.y * v.x), "x * (y * x)", "x * (y * x)", r"x \circ \left(y \circ x\right)"),
        (lambda v: (-v.x) * v.y, "-x * y", "-x * y", r"-x \circ y"),
        (lambda v: -(v.x * v.y), "-x * y", "-x * y", r"-x \circ y"),
        (lambda v: -(v.x + v.y), "-(x + y)", "-(x + y)", r"-\left(x + y\right)"),
        (lambda v: -build("neg", v.x), "-(-x)", "-(-x)", r"-\left(-x\right)"),
        (lambda v: (v.x @ v.W) @ v.x, "x @ W @ x", "np.dot(np.dot(x, W), x)", r"x \, W \, x"),
        (lambda v: v.x @ (v.W @ v.x), "x @ (W @ x)", "np.dot(x, np.dot(W, x))", r"x \, \left(W \, x\right)"),
        (lambda v: (v.x + v.y).T, "(x + y).T", "(x + y).T", r"\left(x + y\right)^{\mathsf{T}}"),
        (lambda v: build("**", v.x, num(2)) * v.y, "x**2 * y", "x**2 * y", r"x^{2} \circ y"),
        (
            lambda v: build("**", v.x.T, num(sp.S.Half)),
            "x.T**(1/2)",
            "x.T**(1/2)",
            r"\sqrt{x^{\mathsf{T}}}",
        ),
        (
            lambda v: build("**", -v.x, num(-2)),
            "(-x)**(-2)",
            "(-x)**(-2)",
            r"\left(-x\right)^{-2}",
        ),
        (
            lambda v: build("sum", v.x + v.y, 0),
            "sum(x + y, axis=0)",
            "(x + y).sum(axis=0, keepdims=True)",
            r"\sum_{\text{rows}} \left(x + y\right)",
        ),
        (
            lambda v: build("mean", v.x, ALL) * v.s,
            "mean(x) * s",
            "x.mean().reshape(1, 1) * s",
            r"\left(\operatorname{mean} x\right) \circ s",
        ),
        (
            lambda v: build("call", "tanh", 1, v.x - v.y),
            "tanh'(x - y)",
            "tanh_slope(x - y)",
            r"\tanh'\left(x - y\right)",
        ),
        (
            lambda v: build("exp", v.x) * num(sp.Rational(-2, 3)),
            "exp(x) * (-2/3)",
            "np.exp(x) * (-2/3)",
            r"\exp\left(x\right) \, \left(- \frac{2}{3}\right)",
        ),
        (lambda v: 2 * v.x, "2 * x", "2 * x", r"2 \, x"),
        (
            lambda v: num(N + 1) * build("ones", N, 2) * v.s,
            "(N + 1) * ones((N, 2)) * s",
            "(N + 1) * np.ones((N, 2)) * s",
            r"\left(N + 1\right) \, \mathbf{1}_{N \times 2} \circ s",
        ),
    ],
)
def test_terms_have_the_brackets_they_need_and_no_others(arrays, make, forward, numpy, typeset):
    term = make(arrays)
    assert (show(term, {}), show(term, {}, "np"), latex(term)) == (forward, numpy, typeset)


def test_a_logarithm_of_a_sum_of_exponentials_has_a_name_in_print(arrays):
    term = build("logsumexp", arrays.x, 1)
    assert show(term, {}) == "log(sum(exp(x), axis=1))"
    assert latex(term) == r"\operatorname{logsumexp}\left(x\right)"


def test_derivatives_of_functions_have_names_in_code():
    assert [helper_name("tanh", order) for order in range(4)] == [
        "tanh",
        "tanh_slope",
        "tanh_slope2",
        "tanh_slope3",
    ]


@pytest.mark.parametrize(
    ("name", "typeset"),
    [
        ("dot(l)", r"\dot{l}"),
        ("dot(z_12)", r"\dot{z}_{12}"),
        ("dot(∂l/∂W1)", r"\dot{\frac{\partial l}{\partial W_{1}}}"),
        ("∂l/∂∂l/∂W1", r"\frac{\partial l}{\partial \left(\frac{\partial l}{\partial W_{1}}\right)}"),
        ("thetahat3", r"\hat{\theta}_{3}"),
        ("zdot", r"\dot{z}"),
        ("12", r"\mathrm{12}"),
    ],
)
def test_names_of_derivatives_are_typeset(name, typeset):
    assert latex_name(name) == typeset


def test_names_carry_their_indices():
    assert latex_name("x", "ij") == "x_{ij}"
    assert latex_name("W1", "ij") == "(W_{1})_{ij}"
    assert latex_name("∂l/∂W1", "pq") == r"\frac{\partial l}{\partial (W_{1})_{pq}}"
    assert (
        latex_name("∂l/∂∂l/∂z", "p")
        == r"\frac{\partial l}{\partial \left(\frac{\partial l}{\partial z_{p}}\right)}"
    )


def test_sizes_are_typeset_like_variables():
    derivation = trace("l = mean(x) / beta", x=("batch", "beta")).vjp()
    text = derivation["x"]._repr_markdown_()
    assert r"\frac{1}{\mathrm{batch} \beta^{2}}" in text
    assert r"\sum_{m=1}^{\beta}" in text


def test_a_function_of_constant_slope_leaves_its_number():
    register_elementwise("line", lambda u: 3 * u - 1)
    derivation = trace("h = line(x)\nl = sum(h**2)", x=("N", "D")).vjp()
    assert show(derivation["x"].cotangent, code_names(derivation.backward)) == "6 * h"
