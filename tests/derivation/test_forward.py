"""Tangents, Hessian-vector products and Jacobians against torch."""

import numpy as np
import pytest
import sympy as sp
import torch
from cases import few_of, one_in
from derivation.oracle import FUNCTIONS, draw, error
from derivation.programs import (
    NETWORK,
    NETWORK_SHAPES,
    PROGRAMS,
    SIZES,
    derived,
    derived_forward,
    derived_twice,
    traced,
)

from mlpreport.derivation import prove, trace, value_and_grad
from mlpreport.derivation.edges import Line
from mlpreport.derivation.writing import written
from mlpreport.errors import ProgramError


def loss_function(source):
    def loss(arrays):
        scope = dict(arrays)
        exec(source, dict(FUNCTIONS) | SIZES, scope)
        return list(scope.values())[-1].sum()

    return loss


def tensors(arrays):
    return {name: torch.tensor(array, requires_grad=True) for name, array in arrays.items()}


def directions(arrays, names):
    return {name: np.random.default_rng(7).normal(size=arrays[name].shape) for name in names}


SMOOTH = [
    "network",
    "tied weights",
    "residual",
    "attention",
    "layer norm",
    "cross-entropy",
    "log-sum-exp",
    "square",
]


@pytest.mark.parametrize("name", one_in(3, [*SMOOTH, "constant", "dead ends"]))
def test_jvp_agrees_with_torch(name):
    source, _ = PROGRAMS[name]
    program = traced(name)
    inputs = draw(program, **SIZES)
    along = directions(inputs, inputs)
    f = value_and_grad(derived_forward(name))
    _, tangents = f(**inputs, **{f"v{n}": v for n, v in along.items()})
    leaves = tensors(inputs)
    grads = torch.autograd.grad(
        loss_function(source)(leaves) + sum(0 * a.sum() for a in leaves.values()), leaves.values()
    )
    expected = sum(float((g.numpy() * along[n]).sum()) for n, g in zip(leaves, grads, strict=True))
    assert error(tangents[program.loss], np.array([[expected]])) <= 1e-12


def test_a_variable_named_twice_counts_once():
    program = trace("l = sum(x**2)", x=("N", "D"))
    twice, once = program.hvp(("x", "x")), program.hvp("x")
    assert value_and_grad(twice).source == value_and_grad(once).source


@pytest.mark.parametrize("name", few_of(SMOOTH, "network"))
def test_hvp_agrees_with_torch(name):
    source, _ = PROGRAMS[name]
    inputs = draw(traced(name), **SIZES)
    wrt = tuple(inputs)[:2]
    along = directions(inputs, wrt)
    value, found = value_and_grad(derived_twice(name))(**inputs, **{f"v{n}": v for n, v in along.items()})
    leaves = tensors(inputs)
    loss = loss_function(source)(leaves)
    moving = [leaves[n] for n in wrt]
    first = torch.autograd.grad(loss, moving, create_graph=True)
    slope = sum((g * torch.tensor(along[n])).sum() for n, g in zip(wrt, first, strict=True))
    expected = torch.autograd.grad(slope, moving)
    assert value == pytest.approx(loss.item(), rel=1e-13)
    assert max(error(found[n], e.numpy()) for n, e in zip(wrt, expected, strict=True)) <= 1e-11


def test_reverse_and_forward_mode_are_adjoint():
    inputs = draw(traced("network"), **SIZES)
    along = directions(inputs, inputs)
    _, grads = value_and_grad(derived("network"))(**inputs)
    _, tangents = value_and_grad(derived_forward("network"))(
        **inputs, **{f"v{n}": v for n, v in along.items()}
    )
    assert tangents["l"].item() == pytest.approx(
        sum(float((grads[n] * along[n]).sum()) for n in inputs), rel=1e-13
    )


def test_a_second_derivation_keeps_the_program_that_it_is_of():
    assert derived_twice("network").of is traced("network")
    assert (derived("network").of, derived_forward("network").of) == (None, None)


@pytest.mark.thorough
@pytest.mark.parametrize(
    "source",
    one_in(2, ["p = softmax(z)\nl = -sum(y*log(p))/N", "l = sum(y*log(sum(exp(z), axis=1))) - sum(y*z)"]),
)
def test_an_assumption_is_not_differentiated(source):
    shapes = {"z": ("N", "C"), "y": ("N", "C")}
    derivation = trace(source, assume="rows_sum_to_one:y", **shapes).hvp(("z", "y"))
    rng = np.random.default_rng(0)
    z, vz, vy = rng.normal(size=(3, 3, 4))
    arrays = {"z": z, "y": rng.dirichlet(np.ones(4), size=3)}
    _, found = value_and_grad(derivation)(**arrays, vz=vz, vy=vy)
    scope = dict(FUNCTIONS) | {"N": 3}

    def loss(z, y):
        variables = {"z": z, "y": y}
        exec(source, scope, variables)
        return variables["l"].sum()

    given = tuple(map(torch.tensor, arrays.values()))
    _, expected = torch.autograd.functional.hvp(loss, given, (torch.tensor(vz), torch.tensor(vy)))
    for name, right in zip("zy", expected, strict=True):
        np.testing.assert_allclose(found[name], right.numpy(), rtol=1e-12, atol=1e-13)
    assert prove(derivation, N=2, C=2)


def test_the_hessian_of_a_linear_loss_is_zero():
    _, found = value_and_grad(trace("l = sum(x)", x=("N", "D")).hvp("x"))(
        x=np.ones((2, 2)), vx=np.ones((2, 2))
    )
    assert not found["x"].any()


@pytest.mark.parametrize(
    ("u", "v", "formula"),
    [
        ("z3", "z2", "(1 - z3[i, j])*KroneckerDelta(i, p)*KroneckerDelta(j, q)*z3[i, j]"),
        ("z1", "W1", "KroneckerDelta(j, q)*x[i, p]"),
        ("z2", "b1", "KroneckerDelta(j, q)"),
        ("x", "x", "KroneckerDelta(i, p)*KroneckerDelta(j, q)"),
        ("W1", "l", "0"),
    ],
)
def test_jacobians_are_index_formulas(u, v, formula):
    line = trace(NETWORK, **NETWORK_SHAPES).jacobian(u, v)
    assert isinstance(line, Line)
    assert str(line.rhs).replace("_", "") == formula


def test_a_jacobian_defines_the_parts_that_the_source_does_not_name():
    program = trace("a = x * tanh(x @ W) + sum(x)\nl = sum(a)", x=("N", "D"), W=("D", "D"))
    reason = program.jacobian("a", "x").because
    assert reason == "the chain rule, summed over every path, where t1 = x @ W; t2 = tanh(t1)"


def test_a_jacobian_goes_through_every_path():
    line = trace("a = tanh(x)\nb = a * x + a\nl = sum(b)", x=("N", 1)).jacobian("b", "x")
    a, x = (next(e for e in line.rhs.atoms(sp.Indexed) if str(e.base) == name) for name in "ax")
    delta = next(iter(line.rhs.atoms(sp.KroneckerDelta)))
    assert sp.expand(line.rhs - ((1 - a**2) * (x + 1) + a) * delta) == 0


def test_unknown_variables_are_refused():
    program = trace(NETWORK, **NETWORK_SHAPES)
    with pytest.raises(ProgramError, match="computed, not an input"):
        program.hvp("z1")
    with pytest.raises(ProgramError, match="did you mean 'W1'"):
        program.hvp(("w1",))
    with pytest.raises(ProgramError, match="no variable is named; the Hessian is taken for inputs"):
        program.hvp(())
    with pytest.raises(ProgramError, match="no variable 'Q'"):
        program.jacobian("z1", "Q")


def test_a_second_derivation_speaks_of_directions_and_of_the_directional_derivative():
    derivation = trace("h = tanh(x @ w)\nl = sum(h)", x=("N", "D"), w=("D", 1)).hvp("w")
    text = "\n".join(written(derivation, name, "text") for name in derivation.steps)
    assert "dot(" not in text
    assert "[definition: the directional derivative of the loss l]" in text
    assert "[no path: l does not enter the directional derivative of l, so its gradient is 0]" in text
    assert "[coordinate rule: two entries of the direction of w depend on each other only if" in text
    assert text.startswith("∂vl/∂vl = dvl, shape (1, 1)")
