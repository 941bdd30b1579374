"""Programs may use any name: those that generated code uses for its own things are not taken from them."""

import math

import numpy as np
import pytest
import sympy as sp
import torch
from derivation.oracle import autograd, draw, error, interpreted

from mlpreport.derivation import explain, prove, read_program, register_elementwise, trace, value_and_grad
from mlpreport.errors import InvalidInputError

SIZES = {"N": 4, "D": 3}
OWN = (
    "math",
    "np",
    "torch",
    "erf",
    "float",
    "value_and_grad",
    "i",
    "j",
    "k",
    "n",
    "k1",
    "total",
    "total1",
    "part1",
    "z",
    "u",
)


def program_of(names):
    """The source of a program whose nodes have the given names, with functions and sums of all kinds."""
    forms = (
        "gelu({0} @ W)",
        "exp(-{0}**2) + {1} / 2",
        "softmax({0}) * log(N)",
        "{0} / (1 + sum({1} * {1}, axis=1))",
        "{0} + sum({1}, axis=0) / N / 9",
    )
    lines, before = [], ("x", "x")
    for name, form in zip(names, 4 * forms, strict=False):
        lines.append(f"{name} = {form.format(*before)}")
        before = name, before[0]
    return "\n".join([*lines, "l = sum({0} * {0}) + mean(exp({1})) + sum({1})".format(*before)])


@pytest.mark.parametrize("backend", ["numpy", "torch", "numba"])
def test_an_input_may_be_called_like_what_makes_numbers(backend):
    derivation = trace("l = sum(float*3)/N**5", float=("N", 1)).vjp()
    value, gradients = value_and_grad(derivation, backend)(float=[[1.0], [2.0]])
    assert value == pytest.approx(9 / 32)
    assert np.asarray(gradients["float"]) == pytest.approx(np.full((2, 1), 3 / 32))


@pytest.mark.thorough
def test_variables_may_be_called_like_parts_of_the_code():
    program = trace(program_of(OWN), x=("N", "D"), W=("D", "D"))
    plain = program_of([f"v{n}" for n, _ in enumerate(OWN)]).replace("log(N)", repr(math.log(4)))
    inputs, derivation = draw(program, **SIZES), program.vjp()
    value, expected = autograd(plain, SIZES, **inputs)
    printed = [value_and_grad(derivation, backend)(**inputs) for backend in ("numpy", "torch")]
    for found in *printed, interpreted(derivation, inputs):
        assert float(found[0]) == pytest.approx(value, rel=1e-12)
        assert max(error(found[1][key], expected[key]) for key in inputs) <= 1e-11


@pytest.mark.thorough
def test_inputs_may_be_called_like_parts_of_the_code():
    names = ("np", "math", "value_and_grad", "total", "i", "softmax", "tanh_slope", "part1")
    parts = " + ".join(f"sum(softmax({name}) * tanh({name}))" for name in names)
    program = trace(f"l = {parts} + log(N)*sum(np)", **dict.fromkeys(names, ("N", "D")))
    inputs, derivation = draw(program, **SIZES), program.vjp()
    for _, grads in (value_and_grad(derivation)(**inputs), interpreted(derivation, inputs)):
        for name, z in inputs.items():
            p, t = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True), np.tanh(z)
            expected = p * (t - (p * t).sum(axis=1, keepdims=True)) + p * (1 - t**2)
            assert error(grads[name], expected + np.log(4) * (name == "np")) < 1e-14


def test_a_name_that_is_taken_gets_an_underscore():
    program = trace("dz = z * 2\nl = sum(dz) + sum(dz_ * z)", z=("N", "D"), dz_=("N", "D"))
    derivation = program.vjp()
    assert "    dz__ = " in value_and_grad(derivation).source
    assert explain(derivation, "z", "2*ddz + dz_").agrees
    assert explain(derivation, "dz_", "dz / 2").agrees


def test_directions_and_shared_parts_have_names_of_their_own():
    program = trace("vx = x * 2\nl = sum(exp(vx) * w) + sum(exp(vx))", x=("N", "D"), w=("N", "D"))
    f = value_and_grad(program.jvp())
    assert f.inputs.keys() == {"x", "w", "vx_", "vw"}
    arrays = {name: np.full((1, 1), 0.5) for name in f.inputs}
    value, tangents = f(**arrays)
    assert value == pytest.approx(1.5 * np.e, rel=1e-15)
    assert tangents["l"].item() == pytest.approx(np.e * (1.5 + 0.5), rel=1e-15)


@pytest.mark.parametrize("name", ["erf", "u", "abs", "total"])
def test_functions_may_be_called_like_parts_of_the_code(name):
    register_elementwise(name, lambda u: u / (1 + sp.Abs(u)) + sp.erf(u))
    derivation = trace(f"m = {name}(x)\nl = sum(gelu(m) * m)", x=("N", "D")).vjp()
    x = torch.tensor([[0.3, -1.2]], dtype=torch.float64, requires_grad=True)
    m = x / (1 + x.abs()) + torch.erf(x)
    (torch.nn.functional.gelu(m) * m).sum().backward()
    backends = ("numpy", "torch", "numba") if name == "erf" else ("numpy", "torch")
    for backend in backends:
        gradient = value_and_grad(derivation, backend)(
            x=x.detach() if backend == "torch" else x.detach().numpy()
        )[1]
        np.testing.assert_allclose(gradient["x"], x.grad, rtol=1e-13)


@pytest.mark.parametrize("name", ["total", "abs"])
def test_a_function_called_like_a_part_of_compiled_loops_is_refused_there(name):
    register_elementwise(name, lambda u: u**3)
    derivation = trace(f"l = sum({name}(x))", x=("N", "D")).vjp()
    with pytest.raises(InvalidInputError, match=f"function '{name}' is a name in compiled loops"):
        value_and_grad(derivation, "numba")


def test_inputs_and_sizes_may_be_called_like_parameters_of_the_interface():
    program = read_program(
        "# shapes: self = (N, derivation), assume = (derivation, 1)\nl = sum(self @ assume)"
    )
    value, grads = value_and_grad(program.vjp())(self=[[1.0, 2.0]], assume=[[3.0], [4.0]])
    assert (value, grads["assume"].tolist()) == (11, [[1], [2]])
    assert prove(program.vjp(), derivation=3)


def test_names_are_asked_for_as_python_reads_them():
    program = trace("loss = sum(ℓ**2)", assume="rows_sum_to_one:ℓ", ℓ=("N", "D"))
    derivation = program.vjp()
    assert derivation["ℓ"] is derivation["l"]
    assert explain(derivation, "ℓ", "2 * l").agrees
    assert str(program.jacobian("ℓ", "ℓ").rhs) == str(program.jacobian("l", "l").rhs) != "0"
    assert [*program.hvp("ℓ").results] == ["l"]
    assert program.assumptions == ("rows_sum_to_one:l",)
