"""Typesetting: every formula converts to MathML, lines carry their reasons, long steps fold."""

import re

import math_core
import pytest
import sympy as sp
from cases import one_in
from derivation.programs import PROGRAMS, derived, derived_forward, derived_twice, traced
from hypothesis import given, settings
from strategies import programs

from mlpreport.derivation import prove, register_elementwise, trace
from mlpreport.derivation.latex import latex, latex_name, markdown
from mlpreport.derivation.program import build, num
from mlpreport.derivation.writing import written
from mlpreport.errors import InvalidInputError


def mathml(formula):
    return math_core.LatexToMathML().convert_with_local_state(formula, displaystyle=True)


def unconverted(derivation):
    """Formulas of all steps that do not become MathML, and the names of steps that show no formula."""
    found = []
    for name, step in derivation.steps.items():
        formulas = re.findall(r"\$\$(.*?)\$\$", step._repr_markdown_(), re.DOTALL)
        found += [formula for formula in formulas if "<math" not in mathml(formula)] if formulas else [name]
    return found


@pytest.mark.parametrize("name", one_in(3, PROGRAMS))
def test_every_formula_converts_to_mathml(name):
    assert unconverted(derived(name)) == []


@pytest.mark.thorough
@settings(max_examples=6, deadline=None, derandomize=True)
@given(programs())
def test_formulas_of_drawn_programs_convert_to_mathml(drawn):
    source, shapes = drawn
    assert unconverted(trace(source, **shapes).vjp()) == []


def test_forward_and_second_derivatives_convert_to_mathml():
    assert unconverted(derived_forward("network")) == unconverted(derived_twice("network")) == []
    jacobian = traced("network").jacobian("l", "W1")
    assert "<math" in mathml(jacobian._repr_markdown_().strip().strip("$"))


def test_a_long_step_folds_its_index_lines():
    text = derived("network")["W1"]._repr_markdown_()
    visible, folded = text.split('<details markdown="1">')
    assert (
        r"\frac{\partial l}{\partial W_{1}} &= x^{\mathsf{T}} \, \frac{\partial l}{\partial z_{1}}" in visible
    )
    assert r"\text{[matrix form: for all entries at once]}" in visible
    assert r"\delta_" in folded
    assert "<details" not in trace("l = sum(x)", x=("N", 1)).vjp()["l"]._repr_markdown_()


def test_the_chain_and_the_power_rule_are_open_to_view():
    opened = {name: visible_rules(step) for name, step in derived("network").items()}
    assert opened["yhat"] == ["definition", "power rule", "inner derivative", "matrix form"]
    assert opened["z2"] == ["chain rule", "outer function", "matrix form"]
    assert opened["W2"] == ["chain rule", "matrix form"]
    softmax = derived("entropy")["z"]
    assert "inner derivative" in [line.rule for line in softmax.lines]
    assert visible_rules(softmax) == ["chain rule", "matrix form"]  # a product rule is for the fold


def visible_rules(step):
    visible = step._repr_markdown_().partition("<details")[0]
    return re.findall(r"\\text\{\[([\w ]+):", visible)


def test_indices_avoid_names_of_variables():
    text = trace("p = tanh(i)\nl = sum(p)", i=("N", "D")).vjp()["i"]._repr_markdown_()
    assert "_{pq}" not in text
    assert "_{ij}" not in text


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("W1", "W_{1}"),
        ("W_12", "W_{12}"),
        ("yhat", r"\hat{y}"),
        ("xbar2", r"\bar{x}_{2}"),
        ("beta", r"\beta"),
        ("hat", r"\mathrm{hat}"),
        ("loss_value", r"\mathrm{loss}_{\text{value}}"),
        ("x_tilde", r"\tilde{x}"),
        ("x_hat", r"\hat{x}"),
        ("x_hat_2", r"\hat{x}_{2}"),
        ("thetabar", r"\bar{\theta}"),
        ("crossbar", r"\mathrm{crossbar}"),
        ("alpha", r"\alpha"),
        ("Sigma", r"\Sigma"),
        ("lambda_", r"\lambda"),
        ("x_", r"\mathrm{x\_}"),
        ("W1_new", r"W_{1,\text{new}}"),
        ("y_true", r"y_{\text{true}}"),
        ("log_sigma_2", r"\mathrm{log}_{\sigma,2}"),
        ("loss_0", r"\mathrm{loss}_{0}"),
        ("dot(y_true)", r"\dot{y}_{\text{true}}"),
        ("é", "é"),
        ("größe2", r"\mathrm{größe}_{2}"),
        ("_", r"\mathrm{\_}"),
        ("_1", r"\mathrm{\_1}"),
        ("∂l/∂W1", r"\frac{\partial l}{\partial W_{1}}"),
        ("dot(W1)", r"\dot{W}_{1}"),
        ("∂dot(l)/∂∂l/∂z", r"\frac{\partial \dot{l}}{\partial \left(\frac{\partial l}{\partial z}\right)}"),
    ],
)
def test_names_are_typeset(name, expected):
    assert latex_name(name) == expected
    assert "<math" in mathml(latex_name(name))


def test_terms_are_typeset_with_the_brackets_they_need():
    x, y = (trace("l = sum(x)", x=("N", "D"), y=("N", "D")).variable(n) for n in "xy")
    assert latex((x + y).T @ x) == r"\left(x + y\right)^{\mathsf{T}} \, x"
    assert latex(x * (x - y)) == r"x \circ \left(x - y\right)"
    assert latex(-(x + y)) == r"-\left(x + y\right)"
    assert latex(x - (x - y)) == r"x - \left(x - y\right)"
    assert latex(num(-2) * x) == r"-2 \, x"
    assert latex(x * num(-2)) == r"x \, \left(-2\right)"
    assert latex(build("mean", x, 1)) == r"\operatorname{mean}_{\text{columns}} x"
    assert latex(build("**", x + y, num(2))) == r"\left(x + y\right)^{2}"
    assert latex(build("ones", 2, 3)) == r"\mathbf{1}_{2 \times 3}"
    assert latex(build("logsumexp", x, 1)) == r"\operatorname{logsumexp}\left(x\right)"


def test_a_small_number_is_printed_as_it_was_written():
    derivation = trace("l = sum(0.002 * x / (x**2 + 1e-5)**0.5)", x=("N", "D")).vjp()
    assert "10^{-5} + x^{2}" in derivation["x"]._repr_markdown_()
    assert "100000" not in derivation["x"]._repr_markdown_()
    assert written(derivation, "x", "text").count("1e-05 + x**2") == 2


def test_slopes_are_primed():
    register_elementwise("my_gelu", lambda u: u * sp.erf(u))
    text = trace("l = sum(my_gelu(x))", x=("N", 1)).vjp()["x"]._repr_markdown_()
    assert r"\operatorname{my\_gelu}'" in text


def test_a_step_is_written_for_terminals_pages_and_papers():
    derivation = trace("p = tanh(x @ W)\nl = sum(p)", x=("N", "D"), W=("D", 1)).vjp()
    text = written(derivation, "W", "text")
    assert text.startswith("∂l/∂W = dW, shape (D, 1)\n  ")
    assert "dW = x.T @ dt1" in text
    assert "[matrix form: " in text
    assert written(derivation, "W", "markdown").startswith(
        r"## $\frac{\partial l}{\partial W}$, shape (D, 1)"
    )
    assert written(derivation, "W", "latex").startswith("% ∂l/∂W, shape (D, 1)\n\\[\n\\begin{aligned}")
    with pytest.raises(InvalidInputError, match="'html' is unknown; use 'text'"):
        written(derivation, "W", "html")


@pytest.mark.thorough
def test_indices_never_run_out():
    lines = "\n".join(f"h{n + 1} = h{n} @ W" for n in range(30))
    step = trace(f"h0 = x @ W\n{lines}\nl = sum(h30)", x=("N", "D"), W=("D", "D")).vjp()["W"]
    assert "<math" in mathml(latex(step.lines[0].lhs, step.lines[0].rhs).replace("&=", "="))
    letters = re.findall(r"\\sum_\{(\w+)=1\}", step._repr_markdown_().split("chain rule")[0])
    assert len(letters) == len(set(letters)) == 62


def test_the_direct_part_of_a_cotangent_is_told_from_all_of_it():
    derivation = trace("z = x @ W\nl = sum(z**2) + sum(W**2)", x=("N", "D"), W=("D", "H")).vjp()
    shown = markdown(derivation["W"].lines)
    direct = r"\left(\frac{\partial l}{\partial W_{pq}}\right)_{\text{direct}}"
    assert rf"\frac{{\partial l}}{{\partial W_{{pq}}}} &= {direct} + \sum" in shown
    assert rf"{direct} &= 2 W_{{pq}} &&" in shown
    assert "W enters l directly and through z" in shown
    text = written(derivation, "W", "text")
    assert "  dW[p,q] = (∂l/∂W[p,q] directly) + Σ" in text
    assert "  (∂l/∂W[p,q] directly) = 2*W[p,q]" in text.replace(" * ", "*")
    assert prove(derivation)


def test_names_that_would_look_alike_are_written_out():
    step = trace("W_1 = W1*2\nl = sum(W_1*W1)", W1=("N", "D")).vjp()["W1"]
    last = markdown(step.lines[-1:])
    assert (
        r"\frac{\partial l}{\partial \mathrm{W1}} &= 2 \, \frac{\partial l}{\partial \mathrm{W\_1}} + \mathrm{W\_1}"
        in last
    )
    assert r"\mathrm{α}" in written(trace("l = sum(α*alpha)", α=("N", 1), alpha=("N", 1)).vjp(), "α", "latex")
    assert r"\alpha" in written(trace("l = sum(α*b)", α=("N", 1), b=("N", 1)).vjp(), "b", "latex")
    tangents = trace("x_dot = x*2\nl = sum(x_dot)", x=("N", "D")).jvp()
    assert r"\dot{\mathrm{x\_dot}} &= 2 \, \dot{x} &&" in written(tangents, "x_dot", "latex")


def test_a_tangent_is_written_under_its_own_name():
    tangents = trace("z = x@w\nl = sum(z**2)", x=("N", "D"), w=("D", 1)).jvp()
    assert written(tangents, "z", "text").startswith("vz, shape (N, 1)\n  vz[i] = ")
    assert written(tangents, "z", "markdown").startswith(r"## $\dot{z}$, shape (N, 1)")
    assert written(tangents, "z", "latex").startswith("% vz, shape (N, 1)")
