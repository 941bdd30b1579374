"""Derivations against torch.autograd, and what their lines say."""

import cProfile
import pstats

import numpy as np
import pytest
import sympy as sp
from cases import few_of, one_in
from derivation.oracle import autograd, draw, error, interpreted
from derivation.programs import NETWORK, NETWORK_SHAPES, PROGRAMS, SIZES, derived
from hypothesis import given, settings
from strategies import programs

from mlpreport.derivation import elementwise, register_elementwise, trace, value_and_grad
from mlpreport.derivation.indices import Phi, fresh
from mlpreport.derivation.printing import code_names, show
from mlpreport.errors import ProgramError

LOSSES = {
    "ridge": "mean((y - h)**2) + 0.01*sum(W1**2)",
    "pseudo-Huber": "mean((1 + (y - h)**2)**0.5 - 1)",
    "cross-entropy": "-mean(sum(y*log(softmax(h)), axis=1))",
    "log-cosh": "sum(log(exp(y - h) + exp(h - y)))/N",
}
ACTIVATIONS = ("sigmoid", "tanh", "relu", "softplus", "gelu", "swish", "cube", "leaky")


@pytest.fixture(autouse=True)
def _activations():
    register_elementwise("swish", lambda u: u / (1 + sp.exp(-u)))
    register_elementwise("gauss", lambda u: sp.exp(-(u**2)))
    register_elementwise("cube", lambda u: u**3 / 20)
    register_elementwise("leaky", lambda u: sp.Piecewise((0.01 * u, u <= 0), (u, True)))


def worst_error(source, shapes, backends=("numpy",)):
    return worst_error_of(trace(source, **shapes).vjp(), backends)


def worst_error_of(derivation, backends):
    inputs, source = draw(derivation.program, **SIZES), derivation.program.source
    expected_value, expected = autograd(source, SIZES, **inputs)
    worst = 0.0
    for backend in backends:
        value, found = value_and_grad(derivation, backend=backend)(**inputs)
        assert value == pytest.approx(expected_value, rel=1e-12)
        assert {name: array.shape for name, array in inputs.items()} == {
            n: tuple(g.shape) for n, g in found.items()
        }
        worst = max(worst, *(error(found[name], expected[name]) for name in inputs))
    return worst


def test_a_nodes_own_value_is_used_where_that_is_no_longer():
    derivation = trace("l = a * b**2 + exp(a) / b", a=(1, 1), b=(1, 1)).vjp()
    assert show(derivation["a"].cotangent, {}) == "b**2 + exp(a) / b"
    derivation = trace("l = sum(exp(-x) / (1 + exp(-x)))", x=(1, 1)).vjp()
    assert show(derivation["x"].cotangent, {}) == "l * (l - 1)"


@pytest.mark.parametrize("name", one_in(2, PROGRAMS))
def test_gradients_agree_with_autograd(name):
    assert worst_error_of(derived(name), ("numpy",)) <= 1e-13


@pytest.mark.parametrize("activation", few_of(ACTIVATIONS, "sigmoid"))
def test_every_activation_agrees_with_autograd_for_every_loss_at_several_depths(activation):
    for n, loss in enumerate(LOSSES.values()):
        depth = (1, 2, 1, 3)[(n + ACTIVATIONS.index(activation)) % 4]
        lines, shapes = [], {"x": ("N", "D"), "y": ("N", "C"), "V": ("H", "C")}
        for k in range(1, depth + 1):
            inner = "x" if k == 1 else f"h{k - 1}"
            lines.append(f"h{k} = {activation}({inner} @ W{k} + b{k})")
            shapes |= {f"W{k}": ("D" if k == 1 else "H", "H"), f"b{k}": (1, "H")}
        source = "\n".join([*lines, f"h = h{depth} @ V", f"l = {loss}"])
        assert worst_error(source, shapes, ("numpy", "torch")) <= 1e-13


@settings(max_examples=15, deadline=None, derandomize=True)
@given(programs())
def test_drawn_programs_agree_with_autograd_as_arrays_and_as_loops(drawn):
    source, shapes = drawn
    derivation = trace(source, **shapes).vjp()
    assert worst_error_of(derivation, ("numpy",)) <= 1e-13
    inputs = draw(derivation.program, **SIZES)
    expected_value, expected = autograd(source, SIZES, **inputs)
    value, found = interpreted(derivation, inputs)
    assert value == pytest.approx(expected_value, rel=1e-11)
    assert max(error(found[name], expected[name]) for name in inputs) <= 1e-11


def test_steps_come_in_the_order_of_the_report():
    names = [name for name, _ in derived("network").items()]
    assert names == ["l", "y", "yhat", "b2", "z4", "W2", "z3", "z2", "b1", "z1", "W1", "x"]


def cotangents(source, shapes, assume=()):
    derivation = trace(source, assume=assume, **shapes).vjp()
    names = code_names(derivation.backward)
    return {name: show(step.cotangent, names) for name, step in derivation.items()}


def test_the_report_is_derived_in_matrix_form():
    assert cotangents(NETWORK, NETWORK_SHAPES) == {
        "l": "1",
        "y": "2 * (y - yhat) / (C*N)",
        "yhat": "2 * (yhat - y) / (C*N)",
        "b2": "sum(dyhat, axis=0)",
        "z4": "dyhat",
        "W2": "z3.T @ dz4",
        "z3": "dz4 @ W2.T",
        "z2": "dz3 * z3 * (1 - z3)",
        "b1": "sum(dz2, axis=0)",
        "z1": "dz2",
        "W1": "x.T @ dz1",
        "x": "dz1 @ W1.T",
    }


def test_every_rule_of_the_report_has_a_line():
    derivation = derived("network")
    rules = {line.rule for _, step in derivation.items() for line in step.lines}
    assert rules >= {
        "seed", "definition", "chain rule", "power rule", "inner derivative", "coordinate rule", "collapse",
        "own value", "derivative of a function", "substitution", "matrix form",
    }  # fmt: skip
    signs = [line.because for line in derivation["yhat"].lines if line.rule == "inner derivative"]
    assert signs == ["its factor is -1"]


@pytest.mark.parametrize("name", one_in(3, PROGRAMS))
def test_no_step_says_the_same_twice(name):
    for step in derived(name).steps.values():
        said = [(line.lhs, line.rhs) for line in step.lines]
        assert len(set(said)) == len(said)


def test_a_derivative_of_the_loss_itself_ends_in_the_cotangent():
    *_, collapsed, matrix_form = derived("network")["yhat"].lines
    assert (collapsed.rule, matrix_form.rule) == ("collapse", "matrix form")
    assert str(collapsed.lhs.base) == "∂l/∂yhat"


def test_an_entry_of_its_own_depends_on_no_other():
    reasons = [line.because for line in derived("network")["b1"].lines if line.rule == "coordinate rule"]
    assert reasons == ["two entries of b1 depend on each other only if they are the same"]
    single = trace("h = x + b\nl = sum(h ** 2)", x=("N", 1), b=(1, 1)).vjp()["b"]
    assert [line.because for line in single.lines if line.rule == "coordinate rule"] == ["b is one number"]


def test_softmax_with_cross_entropy_fuses_to_the_general_result():
    source, shapes = "p = softmax(z)\nl = -sum(y*log(p))/N", {"z": ("N", "C"), "y": ("N", "C")}
    assert cotangents(source, shapes)["z"] == "(p * sum(y, axis=1) - y) / N"
    step = trace(source, **shapes).vjp()["z"]
    assert "fusion" in [line.rule for line in step.lines]
    assert step.assumptions == ()


def test_an_assumption_is_a_visible_step():
    program = trace(
        "p = softmax(z)\nl = -sum(y*log(p))/N", assume=("rows_sum_to_one:y",), z=("N", "C"), y=("N", "C")
    )
    step = program.vjp()["z"]
    assert show(step.cotangent, {}) == "(p - y) / N"
    assert step.assumptions == ("rows_sum_to_one:y",)
    assert [line.rule for line in step.lines][-2:] == ["assumption", "matrix form"]


def test_logistic_loss_fuses_to_a_difference():
    source = "p = sigmoid(z)\nl = -mean(y*log(p) + (1-y)*log(1-p))"
    assert cotangents(source, {"z": ("N", 1), "y": ("N", 1)})["z"] == "(p - y) / N"


def test_redefining_sigmoid_changes_the_printed_line():
    register_elementwise("sigmoid", lambda u: 1 / (1 + sp.exp(-2 * u)))
    step = trace("s = sigmoid(u)\nl = sum(s)", u=("N", "D")).vjp()["u"]
    assert show(step.cotangent, {}) == "2 * s * (1 - s)"
    _, grads = value_and_grad(trace("l = sum(sigmoid(u))", u=(1, 1)).vjp())(u=[[0.3]])
    s = 1 / (1 + np.exp(-0.6))
    assert grads["u"] == pytest.approx(2 * s * (1 - s), rel=1e-15)


def test_relu_has_slope_zero_at_zero_and_says_so():
    derivation = trace("l = sum(relu(x))", x=("N", "D")).vjp()
    (line,) = [line for line in derivation["x"].lines if line.rule == "derivative of a function"]
    assert "at u = 0 it is 0" in line.because
    _, grads = value_and_grad(derivation)(x=np.array([[-1.0, 0.0, 2.0]]))
    assert grads["x"].tolist() == [[0, 0, 1]]


def test_an_unused_variable_has_gradient_zero_and_the_step_says_so():
    derivation = trace("a = x * w\nl = sum(x)", x=("N", "D"), w=("N", 1)).vjp()
    assert [line.rule for line in derivation["w"].lines] == ["no path"]
    assert "its gradient is 0" in derivation["w"].lines[0].because


def test_a_step_knows_its_target_and_shape():
    step = derived("network")["W1"]
    assert (step.target, tuple(map(str, step.shape))) == ("W1", ("D", "H"))
    assert isinstance(step.cotangent, sp.Basic)
    assert all(isinstance(side, sp.Basic) for line in step.lines for side in (line.lhs, line.rhs))


def test_an_unknown_step_suggests_the_nearest():
    with pytest.raises(ProgramError, match="did you mean 'W1'"):
        derived("network")["w1"]


def test_a_deep_network_has_a_number_of_lines_linear_in_its_depth():
    def lines(depth):
        text = "\n".join(f"h{n} = tanh({'x' if n == 1 else f'h{n - 1}'} @ W{n})" for n in range(1, depth + 1))
        shapes = {"x": ("N", "D")} | {f"W{n}": ("D", "D") for n in range(1, depth + 1)}
        return len(
            value_and_grad(trace(f"{text}\nl = mean(h{depth}**2)", **shapes).vjp()).source.splitlines()
        )

    assert lines(6) - lines(4) == lines(4) - lines(2)


def test_terms_are_built_with_operators():
    x = trace("l = sum(x)", x=("N", "D")).variable("x")
    combined = -(2 * x + x - x * 3) / 4
    assert show(combined, {}) == "-(2 * x + x - x * 3) / 4"
    assert show((x @ x.T).T, {}) == "(x @ x.T).T"


def test_derivatives_of_registered_functions_are_looked_up():
    phi = Phi(sp.Symbol("tanh"), 0, sp.Symbol("w"))
    assert sp.diff(phi, sp.Symbol("w")).formula() == elementwise("tanh").derivative.subs(
        sp.Symbol("u", real=True), sp.Symbol("w")
    )


@pytest.mark.parametrize(
    ("source", "name", "fused"),
    [
        ("p = softmax(z)\nl = -sum(y * log(p))", "z", True),
        ("m = sum(z * z, axis=1)\nl = mean(m**3)", "z", False),
        ("l = sum(s * z + s**2) / s", "s", False),  # two ways
        ("h = (z + b) * y\nt = h @ w\nl = sum(t**2)", "b", False),  # the known cotangent is a product
        ("h = z @ w\nl = mean(h / 3)", "w", False),  # so is its user
        ("h = z * y\nr = h * y\nl = sum(r)", "h", False),  # the known cotangent is only a variable
    ],
)
def test_a_cotangent_is_fused_with_the_known_one_where_that_is_shorter(source, name, fused):
    step = trace(source, z=("N", "C"), y=("N", "C"), w=("C", 1), b=(1, "C"), s=(1, 1)).vjp()[name]
    assert ("fusion" in [line.rule for line in step.lines]) is fused


def test_users_are_listed_as_in_a_sentence():
    program = trace("a = x*2\nb = x**2\nc = exp(x)\nl = sum(x + a*b*c)", x=("N", "D"))
    reasons = [line.because for line in program.vjp()["x"].lines]
    assert "x enters l directly and through a, b and c" in reasons
    tangents = {name: step.lines[0].because for name, step in program.jvp().items()}
    assert tangents["l"] == "l is computed from x, a, b and c"
    assert trace("l = 3", x=("N", "D")).jvp()["l"].lines[0].because == "l is computed from numbers"


def test_entries_at_different_indices_have_an_order():
    """SymPy orders entries by what it prints, v[_k, _k] for all of these."""
    for _ in range(40):
        v = fresh("v", (sp.Symbol("N"), sp.Symbol("N")), "kk")
        turned = v.func(v.base, *v.indices[::-1])
        assert sp.Add(turned, v).as_ordered_terms() == [v, turned]


def _calls(inputs):
    """Count Python's calls while a sum over so many inputs is derived."""
    names = [f"x{n}" for n in range(inputs)]
    source = "l = " + " + ".join(f"sum({name})" for name in names)
    program, profile = trace(source, **dict.fromkeys(names, ("N", "D"))), cProfile.Profile()
    profile.runcall(program.vjp)
    return pstats.Stats(profile).total_calls


@pytest.mark.thorough
def test_many_inputs_of_one_equation_take_no_cubic_time():
    _calls(3)
    assert _calls(30) < 8.5 * _calls(10)
