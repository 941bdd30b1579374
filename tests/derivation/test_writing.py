"""What `print` shows of programs, derivations, steps and lines can be read, and read again."""

import numpy as np
import pytest
from derivation.programs import derived, derived_forward, derived_twice, traced

from mlpreport.derivation import read_program, trace, value_and_grad
from mlpreport.derivation.writing import written


@pytest.mark.parametrize("name", ["network", "layer norm", "another name", "whole sizes"])
def test_a_printed_program_is_read_as_the_same(name):
    program = traced(name)
    again = read_program(str(program))
    assert (again.inputs, again.definitions, again.assumptions) == (
        program.inputs,
        program.definitions,
        program.assumptions,
    )


def test_axes_are_printed_where_they_are_not_the_usual_ones():
    for line in ("l = sum(softmax(z, axis=0)**2)", "l = sum(softmax(z)**2) + sum(sum(z, axis=0)**3)"):
        program = trace(line, z=("N", "C"))
        assert read_program(str(program)).definitions == program.definitions


def test_a_printed_backward_program_computes_the_gradients():
    derivation = trace("z = x @ W\nl = sum(tanh(z)**2)/N", x=("N", "D"), W=("D", 1)).vjp()
    arrays = {"x": np.array([[1.0, 2.0], [0.5, -1.0]]), "W": np.array([[0.3], [-0.2]])}
    _, expected = value_and_grad(derivation)(**arrays)
    for name, gradient in expected.items():
        again = read_program(f"{derivation.backward}\nout = sum(d{name}**2)")
        value, _ = value_and_grad(again.vjp(), wrt=[])(**arrays)
        assert value == pytest.approx((gradient**2).sum(), rel=1e-13)


def test_an_assumption_is_printed():
    program = trace("p = softmax(z)\nl = -sum(y*log(p))", assume="rows_sum_to_one:y", z=("N", 3), y=("N", 3))
    assert str(program).splitlines()[1] == "# assume: rows_sum_to_one:y"
    assert read_program(str(program)).assumptions == program.assumptions


def test_a_printed_derivation_has_all_steps_and_a_printed_step_its_lines():
    for derivation in (derived("network"), derived_forward("network"), derived_twice("network")):
        assert str(derivation) == "\n\n".join(written(derivation, name, "text") for name in derivation.steps)
    step = derived("network")["W1"]
    assert str(step) == written(derived("network"), "W1", "text").partition("\n")[2]
    assert str(step).splitlines()[-1] == "  dW1 = x.T @ dz1  [matrix form: for all entries at once]"
    assert str(step.lines[-1]) == "dW1 = x.T @ dz1  [matrix form: for all entries at once]"
    assert str(traced("network").jacobian("z2", "b1")).startswith("∂z2[i,j]/∂b1[q] = δ[j,q]  [Jacobian")


def test_a_derivation_shows_itself_shortly_in_code_and_wholly_in_a_notebook():
    derivation = trace("l = sum(x**2)", x=("N", 1)).vjp()
    assert repr(derivation) == "<derivation of l: steps for l, x>"
    assert derivation._repr_markdown_().count("\n## ") == 1
    assert derivation._repr_markdown_().startswith("## $")
    assert r"\frac{\partial l}{\partial x}" in derivation._repr_markdown_()
