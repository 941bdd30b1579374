"""A reader's gradient is judged."""

import math
from dataclasses import replace

import numpy as np
import pytest
import sympy as sp
from cases import few_of, one_in

from mlpreport.derivation import explain, register_elementwise, trace
from mlpreport.errors import ProgramError


@pytest.fixture(scope="module")
def network():
    program = trace(
        "z1 = x @ W1\nz2 = z1 + b1\nz3 = sigmoid(z2)\nz4 = z3 @ W2\nyhat = z4 + b2\nl = mean((y - yhat)**2)",
        x=("N", "D"), W1=("D", "H"), b1=(1, "H"), W2=("H", 1), b2=(1, 1), y=("N", 1),
    )  # fmt: skip
    return program.vjp()


@pytest.mark.parametrize(
    ("wrt", "claim"),
    [
        ("l", "1"),
        ("yhat", "-2*(y - yhat)/N"),
        ("b2", "sum(dyhat)"),
        ("W2", "z3.T @ dz4"),
        ("z2", "dz3 * sigmoid(z2) * (1 - sigmoid(z2))"),
        ("b1", "dz2.sum(axis=0)"),
        ("W1", "(dz1.T @ x).T"),
        ("W1", "  x.T @ (((2*(yhat - y)/N) @ W2.T) * z3 * (1 - z3))"),
        ("x", "dz1 @ W1.T"),
    ],
)
def test_a_right_claim_agrees(network, wrt, claim):
    explanation = explain(network, wrt, claim)
    assert explanation
    assert explanation.agrees
    assert explanation.counterexample is None
    assert str(explanation).startswith("Right")


@pytest.mark.parametrize(
    ("wrt", "claim", "diagnosis"),
    [
        ("yhat", "2*(y - yhat)/N", "the sign is wrong"),
        ("x", "-(dz1 @ W1.T)", "the sign is wrong: dz1 @ W1.T"),
        ("yhat", "-(y - yhat)/N", "a factor 2 is missing"),
        ("yhat", "-4*(y - yhat)/N", "a factor 2 too many"),
        ("yhat", "-2*(y - yhat)", "a division by N is missing"),
        ("yhat", "-2*(y - yhat)/N/N", "a division by N too many"),
        ("yhat", "-6*(y - yhat)/N", "wrong factor, divide by 3: -2 * (y - yhat) / N"),
        ("W1", "dz1.T @ x", "the result must be transposed"),
        ("W1", "x @ dz1", "the transpose x.T must stand on the left"),
        ("W1", "dz1 @ x", "the transpose x.T must stand on the left of a matrix product: x.T @ dz1"),
        ("W2", "dz4 * z3", "z3.T @ dz4"),
        ("z3", "dz4 @ W2", "a matrix product: dz4 @ W2.T"),
        ("x", "W1.T @ dz1", "the factors stand in the wrong order"),
        ("x", "dz1 @ W1", "W1.T"),
        ("b1", "dz2", "a sum over the batch (axis 0) is missing"),
        ("b1", "sum(dz2)", "the sum must run over the batch (axis 0) only"),
        ("z2", "dz3 @ z3.T", "wrong shape"),
        ("z2", "dz3 * z3", "the derivative of sigmoid beside dz3 is wrong: dz3 * sigmoid'(z2)"),
        ("z2", "z2 * z3", "the values are not"),
        ("z1", "dz2 @ dz2", "wrong shape: @ needs"),
        ("z2", "dz3 @ (z3 * (1 - z3))", "taken entry by entry"),
        ("W1", "x @ dz1.T", "and "),
    ],
)
def test_a_wrong_claim_is_diagnosed(network, wrt, claim, diagnosis):
    explanation = explain(network, wrt, claim)
    assert not explanation
    assert explanation.agrees is False
    assert diagnosis in explanation.diagnosis
    assert str(explanation).startswith(f"Wrong: {claim} is not the gradient with respect to {wrt}.")
    assert explanation.correct in str(explanation)


@pytest.mark.parametrize("factor", [3, 5, 7, 11, 13])
def test_a_wrong_factor_is_not_taken_for_a_size(network, factor):
    diagnosis = explain(network, "W2", f"{factor} * (z3.T @ dz4)").diagnosis
    assert diagnosis.startswith(f"wrong factor, divide by {factor}: ")


def test_judgements_are_shown_in_notebooks(network):
    assert ">right</span>" in explain(network, "W1", "x.T @ dz1")._repr_markdown_()
    assert (
        ">wrong</span> `dz2` is not the gradient with respect to `b1`"
        in explain(network, "b1", "dz2")._repr_markdown_()
    )


def test_the_counterexample_is_as_small_as_it_can_be(network):
    assert explain(network, "yhat", "2*(y - yhat)/N").counterexample.sizes == {"D": 1, "H": 1, "N": 1}
    lost_sum = explain(network, "b1", "dz2").counterexample
    assert lost_sum.sizes == {"D": 1, "H": 1, "N": 2}
    assert lost_sum.claimed is None
    assert lost_sum.problem == "wrong shape: (2, 1) instead of (1, 1)"
    misfit = explain(network, "x", "dz1 @ W1").counterexample
    assert misfit.problem.startswith("wrong shape: @ needs as many columns")
    wrong = explain(network, "b1", "2*sum(dz2, axis=0)").counterexample
    assert (2 * wrong.correct == wrong.claimed).all()
    assert "the claim gives" in str(wrong)


def test_a_claim_that_holds_for_one_data_point_only_is_wrong():
    program = trace("l = mean(x * x)", x=("N", 1))
    assert explain(program, "x", "2 * x").counterexample.sizes == {"N": 2}


def test_a_program_of_whole_sizes_is_explained():
    program = trace("l = (y - x @ w)**2", x=(1, 2), w=(2, 1), y=(1, 1))
    assert "the declared sizes" in str(explain(program, "w", "x.T"))


def test_an_assumption_makes_a_claim_right():
    source = "p = softmax(z)\nl = -sum(y*log(p))/N"
    shapes = {"z": ("N", "C"), "y": ("N", "C")}
    assert not explain(trace(source, **shapes), "z", "(p - y)/N").agrees
    assert explain(trace(source, assume="rows_sum_to_one:y", **shapes), "z", "(p - y)/N").agrees


@pytest.mark.parametrize(
    ("wrt", "claim", "message"),
    [
        ("w1", "x", "did you mean 'W1'"),
        ("W1", "foo(x)", "unknown function"),
        ("W1", "dw", "unknown name"),
        ("W1", "x +", "not Python syntax"),
        ("W1", "a = x", "write the expression alone"),
        ("W1", "a x", "not Python syntax"),
        ("W1", "2 * dW1", "dW1 is the gradient that the claim is to give"),
    ],
)
def test_a_claim_outside_the_language_is_refused(network, wrt, claim, message):
    with pytest.raises(ProgramError, match=message):
        explain(network, wrt, claim)


def test_a_right_claim_about_probabilities_near_one_agrees():
    program = trace(
        "p = sigmoid(x @ w + b)\nl = -mean(y*log(p) + (1 - y)*log(1 - p))",
        x=("N", "D"), w=("D", 1), b=(1, 1), y=("N", 1),
    )  # fmt: skip
    for wrt, claim in (("w", "x.T @ (p - y)/N"), ("b", "sum(p - y)/N"), ("x", "(p - y) @ w.T / N")):
        assert explain(program, wrt, claim).agrees


@pytest.mark.thorough
def test_a_claim_is_judged_where_the_loss_is_finite():
    program = trace("l = sum(y * log(y/p))", y=("N", "C"), p=("N", "C"))
    assert explain(program, "p", "-y/p").agrees
    wrong = explain(program, "p", "y/p")
    assert wrong.diagnosis == "the sign is wrong: -y / p."
    assert np.isfinite(wrong.counterexample.correct).all()
    variance = trace("c = x - mean(x, axis=0)\nl = sum(c**2)/(N - 1)", x=("N", 1))
    assert explain(variance, "c", "2*c").counterexample.sizes == {"N": 3}
    weighted = trace("l = sum(x**2) * exp(1/(N - 1))", x=("N", 1))
    assert explain(weighted, "x", "x * exp(1/(N - 1))").counterexample.sizes == {"N": 2}
    entropy = trace("l = -sum(p*log(p)) - sum((1 - p)*log(1 - p))", p=("N", "D"))
    assert explain(entropy, "p", "log((1 - p)/p)").agrees
    mass = trace("l = -sum(y*log(y))", assume="rows_sum_to_one:y", y=("N", "C"))
    assert explain(mass, "y", "-log(y) - 1").agrees
    assert not explain(mass, "y", "log(y) - 1").agrees


@pytest.mark.parametrize("loss", ["log(-sum(x**2))", "sum(x**2)*log(-N)", "sum(x**2)*N**500"])
def test_a_loss_that_is_finite_nowhere_cannot_be_judged(loss):
    with pytest.raises(ProgramError, match="is not finite at any of the sizes and inputs tried"):
        explain(trace(f"l = {loss}", x=("N", 1)), "x", "x")


@pytest.mark.parametrize(
    ("number", "least"),
    [
        ("log(N - 1)", 3),
        ("log(N - 5)", 7),
        ("(N - 5)**0.5", 6),
        ("(N - 5)**0.5*(N - 3)**0.5", 6),
        ("(D - N)**0.5", 1),
        ("1/(N - D)", 2),
    ],
)
def test_sizes_at_which_a_number_has_no_value_are_skipped(number, least):
    derivation = trace(f"l = sum(x**2)*{number}", x=("N", "D")).vjp()
    assert explain(derivation, "x", f"2*x*{number}").agrees
    wrong = explain(derivation, "x", f"x*{number}")
    assert wrong.diagnosis.startswith("a factor 2 is missing")
    example = wrong.counterexample
    assert example.sizes["N"] == least
    assert set(np.abs(example.inputs["x"]).ravel()) <= {0.5, 1.0, 1.5, 2.0, 2.5}
    scope = {"log": math.log, **example.sizes}
    by_hand = 2 * example.inputs["x"] * eval(number, {"__builtins__": {}}, scope)  # noqa: S307 - a number of ours
    np.testing.assert_allclose(example.correct, by_hand, rtol=1e-13)


def test_a_claim_may_be_undefined_where_the_gradient_is_not():
    assert not explain(trace("l = sum(x**2)", x=("N", 1)), "x", "log(x)").agrees


def test_a_claim_may_use_ones_sizes_of_any_name_and_slopes():
    program = trace("l = sum(N * relu(x))/K", N=("K", 1), x=("K", "N"))
    assert explain(program, "N", "relu(x) @ ones((N_, 1)) / K").agrees
    assert explain(program, "x", "N * relu'(x) / K").agrees


PIECES = {
    "hub": lambda u: sp.Piecewise((u**2 / 2, sp.Abs(u) <= 1), (sp.Abs(u) - sp.Rational(1, 2), True)),
    "hard_tanh": lambda u: sp.Piecewise((-1, u < -1), (1, u > 1), (u, True)),
    "relu6": lambda u: sp.Min(sp.Max(u, 0), 6),
}


@pytest.mark.parametrize(
    ("loss", "wrong", "right"),
    one_in(
        2,
        [
            ("mean(relu(1 - y*x))", "-y/N", "-y*relu'(1 - y*x)/N"),
            ("sum(relu(x - 1))", "0*x", "relu'(x - 1)"),
            ("mean(hub(x))", "x/N", "hub'(x)/N"),
            ("mean(hard_tanh(x))", "ones(N, 1)/N", "hard_tanh'(x)/N"),
            ("mean(relu6(x))", "relu'(x)/N", "(relu'(x) - relu'(x - 6))/N"),
        ],
    ),
)
def test_a_claim_that_holds_in_one_piece_of_a_function_only_is_wrong(loss, wrong, right):
    for name, definition in PIECES.items():
        register_elementwise(name, definition)
    derivation = trace(f"l = {loss} + sum(y)", x=("N", 1), y=("N", 1)).vjp()
    found = explain(derivation, "x", wrong)
    assert not found.agrees
    assert found.diagnosis == "the shape is right, the values are not."
    assert not np.allclose(found.counterexample.claimed, found.counterexample.correct)
    assert explain(derivation, "x", right).agrees


def test_a_change_that_mends_a_claim_in_one_piece_only_is_not_proposed():
    register_elementwise("hub", PIECES["hub"])
    program = trace("a = hub(r)\nl = mean(a)", r=("N", 1))
    assert (
        explain(program, "r", "2*da*r").diagnosis == "the derivative of hub beside da is wrong: da * hub'(r)."
    )


@pytest.mark.parametrize(
    ("loss", "claim"),
    [
        ("sum(x**2)/10**12", "0*x"),
        ("sum(x**2)/10**12", "-2*x/10**12"),
        ("sum(sigmoid(1000*x))", "0*x"),
        ("mean(x**2*1e-5)**2", "1e-10*x/N/D"),
        ("sum(x**2) + 1e-9*sum(x**3)", "2*x"),
    ],
)
def test_a_small_fault_is_a_fault(loss, claim):
    found = explain(trace(f"l = {loss}", x=("N", "D")), "x", claim)
    assert not found.agrees
    claimed, correct = str(found.counterexample).split("the claim gives ")[1].split(", the gradient is ")
    assert claimed != correct


@pytest.mark.parametrize("loss", ["sum(softmax(x @ W))", "sum(x @ W - mean(x @ W, axis=0))"])
def test_a_gradient_that_cancels_is_zero(loss):
    assert explain(trace(f"l = {loss}", x=("N", "D"), W=("D", "C")), "x", "0*x").agrees


@pytest.mark.parametrize(
    ("loss", "claim"),
    [
        ("sum(x**2)/N", "2*x/(N - 1)"),
        ("sum(log(1 + x**2))", "x/log(1 + x**2)"),
        ("sum(tanh(x))", "1/(exp(x) + exp(-x))**2"),
        ("sum(x**2)", "2*x*N**500"),
        ("sum(x**2)", "2*x*(N - 9)**0.5"),
        ("sum(x**2)", "exp(1000*x*N)"),
    ],
)
def test_a_claim_that_has_no_number_at_some_sizes_is_diagnosed(loss, claim):
    assert not explain(trace(f"l = {loss}", x=("N", "D")), "x", claim).agrees


def test_a_change_may_have_no_real_value():
    program = trace("v = mean(x**2)\nl = (v + 0.01)**0.5", x=("N", "D"))
    assert not explain(program, "v", "dl/2*(v + 0.01)**0.5").agrees


@pytest.mark.parametrize(
    ("loss", "claim"),
    [
        ("mean(size(y - z))", "(z - y)/size(z - y)/N"),
        ("sum(leaky(z))", "0.01 + 0.99*relu'(z)"),
        ("sum(hard_tanh(z))", "relu'(z + 1) - relu'(z - 1)"),
    ],
)
def test_a_claim_may_differ_at_a_kink(loss, claim):
    register_elementwise("size", sp.Abs)
    register_elementwise("leaky", lambda u: sp.Max(u, u / 100))
    register_elementwise("hard_tanh", PIECES["hard_tanh"])
    assert explain(trace(f"l = {loss} + 0*sum(y)", y=("N", 1), z=("N", 1)), "z", claim).agrees


BY_HAND = {
    "classifier": (
        "h = relu(x @ w)\np = sigmoid(h)\nl = -mean(y*log(p) + (1 - y)*log(1 - p))",
        {"x": ("N", "D"), "w": ("D", 1), "y": ("N", 1)},
        ("h", "(p - y)/N"),
    ),
    "layer norm": (
        "c = x - mean(x, axis=1)\ns = (mean(c**2, axis=1) + 0.00001)**0.5\nh = c/s\nl = mean((relu(h*g + b) - y)**2)",
        {"x": ("N", "D"), "g": (1, "D"), "b": (1, "D"), "y": ("N", "D")},
        ("x", "(dh - mean(dh, axis=1) - h*mean(dh*h, axis=1))/s"),
    ),
    "saturated": (
        "l = sum(log(1 - sigmoid(relu(x @ W))))",
        {"x": ("N", "D"), "W": ("D", "C")},
        ("x", "-(sigmoid(relu(x @ W))*relu'(x @ W)) @ W.T"),
    ),
}


@pytest.mark.parametrize("scale", ["1e-15", "1e-30"])
def test_a_small_gradient_is_judged_like_a_large_one(scale):
    program = trace(f"l = {scale}*sum(x**2)", x=("N", 1))
    assert explain(program, "x", f"2*{scale}*x").agrees
    assert explain(program, "x", f"-2*{scale}*x").diagnosis.startswith("the sign is wrong")
    assert not explain(program, "x", "0").agrees


@pytest.mark.parametrize("name", few_of(BY_HAND, "classifier"))
def test_rounding_far_from_zero_is_no_fault_of_a_claim(name):
    source, shapes, (wrt, claim) = BY_HAND[name]
    derivation = trace(source, **shapes).vjp()
    assert explain(derivation, wrt, claim).agrees
    assert not explain(derivation, wrt, f"1.001*({claim})").agrees


def test_zero_is_right_where_the_gradient_is_zero_and_nowhere_else():
    program = trace("l = sum(x**2) + sum(softmax(z))", x=("N", 1), y=("K", 3), z=("N", "C"))
    for wrt in ("y", "z"):
        assert explain(program, wrt, "0").agrees
        assert not explain(program, wrt, "1").agrees
    assert not explain(program, "x", "0").agrees
    assert explain(program, "x", "0").counterexample.correct.any()
    assert not explain(trace("l = sum(x)*(N - 1)*(N - 2)", x=("N", 1)), "x", "0").agrees


RADIAL = "k = exp(-(sum(x**2, axis=1) + sum(c**2, axis=1).T - 2*x@c.T))\nl = sum(k @ a)"
ATTENTION = "q = x @ W\nk = x @ W\ns = q @ k.T / K**0.5\na = softmax(s)\nl = sum(a * g)"
REGRESSION = "l = mean((x@w - y)**2)"
ENTROPY = "l = sum(y*log(sum(exp(z), axis=1))) - sum(y*z)"
MENDED = [
    (REGRESSION, "w", "2*x.T@(x@w - y)*N", "N must divide, not multiply"),
    (REGRESSION, "w", "N*x.T@(x@w - y)", "a factor 2 is missing, and N must divide, not multiply"),
    (REGRESSION, "w", "2*N*x.T@(x@w - y)", "wrong factor, divide by N**2"),
    (REGRESSION, "w", "-6*N*x.T@(x@w - y)", "wrong factor, divide by -3*N**2"),
    ("l = sum(x**2)*N", "x", "2*x/N", "N must multiply, not divide"),
    ("l = mean(x**2)", "x", "2*x*N*D", "D must divide, not multiply, and N must divide, not multiply"),
    ("l = sum(x**2)/N**2", "x", "2*x", "wrong factor, divide by N**2"),
    ("l = sum(x**2)*(D - N)**0.5/D", "x", "2*x*(D - N)**0.5", "a division by D is missing"),
    (
        "l = sum(x**2)*(D - N + 11)**0.5/D",
        "x",
        "3*x*(D - N + 11)**0.5/N",
        "wrong factor, multiply by 2*N/(3*D)",
    ),
    ("l = sum(x**2)*N*D**2", "x", "2*x", "wrong factor, multiply by D**2*N"),
    (
        RADIAL,
        "x",
        "-2*x*sum(dk*k, axis=1) + 4*(dk*k)@c",
        "the factor of 4 * (dk * k) @ c is wrong, divide it by 2",
    ),
    (RADIAL, "c", "2*(dk*k).T@x - 2*c*sum(dk*k, axis=0)", "a transpose of sum(dk * k, axis=0) is missing"),
    pytest.param(
        ATTENTION,
        "x",
        "(ds@k/K**0.5)@W.T + (ds.T@q)@W.T",
        "the factor of ds.T @ q @ W.T is wrong, divide it by K**(1/2)",
        marks=pytest.mark.thorough,
    ),
    pytest.param(
        ATTENTION,
        "x",
        "(ds@k/K**0.5 + ds.T@q/K)@W.T",
        "the factor of ds.T @ q / K is wrong, multiply it by K**(1/2)",
        marks=pytest.mark.thorough,
    ),
]
INPUTS = {"x": ("N", "D"), "w": ("D", 1), "y": ("N", 1)}
SHAPES = {
    RADIAL: {"x": ("N", "D"), "c": ("M", "D"), "a": ("M", 1)},
    ATTENTION: {"x": ("N", "D"), "W": ("D", "K"), "g": ("N", "N")},
}


@pytest.mark.parametrize(("source", "wrt", "claim", "what"), one_in(3, MENDED))
def test_a_fault_of_one_term_is_told_and_mended_in_its_place(source, wrt, claim, what):
    shapes = SHAPES.get(source, INPUTS if source == REGRESSION else {"x": ("N", "D")})
    derivation = trace(source, **shapes).vjp()
    found = explain(derivation, wrt, claim).diagnosis
    assert found.startswith(f"{what}: ")
    assert explain(derivation, wrt, found.removeprefix(f"{what}: ").removesuffix(".")).agrees


@pytest.mark.thorough
def test_a_counterexample_of_many_sizes_is_found_at_once():
    layers = [f"h{n} = tanh(h{n - 1} @ W{n})" for n in range(1, 12)]
    shapes = {"h0": ("N", "H0"), "V": ("H11", 1)} | {f"W{n}": (f"H{n - 1}", f"H{n}") for n in range(1, 12)}
    derivation = trace("\n".join([*layers, "l = mean((h11 @ V)**2)"]), **shapes).vjp()
    example = explain(derivation, "V", "V").counterexample
    assert len(example.sizes) == 13
    assert max(example.sizes.values()) == 1


def test_formulas_of_a_diagnosis_are_code_in_markdown():
    program = trace("l = sum(x**3)", x=("N", 1))
    assert "a factor 3 is missing" not in explain(program, "x", "x**2").diagnosis
    found = explain(program, "x", "-3*x**2")
    assert found.diagnosis == "the sign is wrong: 3 * x**2."
    assert "the sign is wrong: `3 * x**2`. Derived" in found._repr_markdown_()
    assert explain(program, "x", "log(x)").diagnosis_markdown == "the shape is right, the values are not."
    twice = explain(trace("l = sum(a_b*x.T)", x=(1, "N"), a_b=("N", 1)), "x", "a_b")
    assert "a\\_b" in replace(twice, diagnosis="the factor of a_b is wrong: a_b.").diagnosis_markdown


def test_a_diagnosis_keeps_the_case_of_names():
    program = trace("l = sum(X*x)", x=(3, 1), X=(3, 1))
    assert "X. x must not be transposed" in str(explain(program, "X", "x*x/x.T"))
    assert "X. The sign is wrong" in str(explain(program, "X", "-x"))


def test_a_claim_that_presupposes_rows_that_sum_to_one_is_told_so():
    program = trace(ENTROPY, z=("N", "C"), y=("N", "C"))
    for claim in (
        "softmax(z) - y",
        "exp(z)/sum(exp(z), axis=1) - y",
        "exp(z - log(sum(exp(z), axis=1))) - y",
    ):
        found = explain(program, "z", claim).diagnosis
        assert found == 'this is right only if the rows of y sum to 1: assume="rows_sum_to_one:y".'
    found = explain(program, "z", "y - softmax(z)").diagnosis
    assert (
        found
        == 'if the rows of y sum to 1 (assume="rows_sum_to_one:y"), the sign is wrong: -(y - softmax(z)).'
    )
    found = explain(program, "z", "3*(softmax(z) - y)").diagnosis
    assert found.endswith('(assume="rows_sum_to_one:y"), wrong factor, divide by 3: softmax(z) - y.')


def test_an_assumption_under_which_the_loss_is_not_finite_is_not_proposed():
    program = trace("l = sum(1/(sum(x, axis=1) - 1))", x=("N", "D"))
    assert explain(program, "x", "x").diagnosis == "the shape is right, the values are not."


def _total(array, axis=None):
    return np.sum(array, axis=axis, keepdims=True)


@pytest.mark.parametrize(
    ("source", "wrt", "where"),
    one_in(
        2,
        [
            (f"# t1, dt1: not in it\n{REGRESSION}", "w", ("t1 = x @ w", "dt1 = 2 * (t1 - y) / N")),
            (ENTROPY, "z", ("t1 = log(sum(exp(z), axis=1))", "dt1 = sum(y, axis=1)")),
            (
                "l = sum(exp(x @ w) @ w.T * x)",
                "w",
                ("t1 = x @ w", "t2 = exp(t1)", "dt3 = x", "dt2 = dt3 @ w", "dt1 = dt2 * t2"),
            ),
            (REGRESSION, "t1", ("t1 = x @ w",)),
            (REGRESSION, "y", ("t1 = x @ w",)),
            ("t1 = x @ w\nl = mean((t1 - y)**2)", "w", ()),
            ("l = sum(x * y)", "x", ()),
        ],
    ),
)
def test_what_the_source_does_not_name_is_defined(source, wrt, where):
    shapes = {"z": ("N", "C"), "y": ("N", "C")} if source == ENTROPY else INPUTS
    wrong = explain(trace(source, **shapes), wrt, f"3*{wrt}")
    assert wrong.where == where
    example = wrong.counterexample
    scope = {"sum": _total, "exp": np.exp, "log": np.log, "ones": np.ones, **example.sizes, **example.inputs}
    if "t1 =" in source:
        scope |= {"dt1": 2 * (scope["x"] @ scope["w"] - scope["y"]) / scope["N"]}
    exec("\n".join((*wrong.where, wrong.correct)), scope)
    np.testing.assert_allclose(scope[f"d{wrt}"], example.correct, rtol=1e-12)
    text = f"Derived: {wrong.correct}" + ", where " * bool(where) + "; ".join(wrong.where)
    assert f"\n{text}\nFor" in str(wrong)
    assert all(f"`{each}`" in wrong._repr_markdown_() for each in (wrong.correct, *wrong.where))


def test_a_hessian_vector_product_is_judged_as_one():
    program = trace("z = x @ W\nl = sum(z**2)/2", x=("N", "D"), W=("D", 1))
    twice = program.hvp("W")
    right, wrong = explain(twice, "W", "x.T @ x @ vW"), explain(twice, "W", "x.T @ z")
    assert str(right) == "Right: the Hessian-vector product with respect to W is x.T @ x @ vW."
    assert str(wrong).startswith("Wrong: x.T @ z is not the Hessian-vector product with respect to W.")
    assert list(wrong.counterexample.inputs) == ["x", "W", "vW"]
    assert ", the Hessian-vector product is [[" in str(wrong.counterexample)
    assert str(explain(twice, "vW", "x.T @ z")) == "Right: the gradient with respect to vW is x.T @ z."
