"""The elementwise functions: definition, computed slope, stable code."""

import math
from functools import cache

import numpy as np
import pytest
import sympy as sp
import torch
from cases import few_of, one_in

from mlpreport.derivation import (
    elementwise,
    elementwise_names,
    explain,
    prove,
    register_elementwise,
    scalar_functions,
    trace,
    value_and_grad,
)
from mlpreport.derivation.elementwise import _REGISTERED, H, U
from mlpreport.derivation.stable import Sigmoid, stable
from mlpreport.errors import InvalidInputError

BUILT_IN = ("identity", "sigmoid", "tanh", "relu", "softplus", "gelu")
MORE = {
    "swish": lambda u: u / (1 + sp.exp(-u)),
    "gauss": lambda u: sp.exp(-(u**2)),
    "cube": lambda u: u**3,
    "leaky": lambda u: sp.Piecewise((0.01 * u, u <= 0), (u, True)),
    "leaky_max": lambda u: sp.Max(u / 100, u),
    "mish": lambda u: u * sp.tanh(sp.log(1 + sp.exp(u))),
    "logsigmoid": lambda u: sp.log(1 / (1 + sp.exp(-u))),
    "log_one_minus": lambda u: sp.log(1 - 1 / (1 + sp.exp(-u))),
    "hyperbolic": lambda u: sp.sinh(u) / sp.cosh(u),
    "shifted": lambda u: 1 / (1 + sp.exp(-(u - 1) / 0.3)),
    "softsign": lambda u: u / (1 + sp.Abs(u)),
    "hard": lambda u: sp.Piecewise((0, u < -3), (1, u > 3), (u / 6 + sp.S.Half, True)),
    "incommensurable": lambda u: 1 / (1 + sp.exp(-u) + sp.exp(-sp.sqrt(2) * u)),
    "constant": lambda u: 2,  # noqa: ARG005 (a definition takes u)
    "log_square": lambda u: sp.log(3 + u**2),
    "mixed": lambda u: 1 / (2 + u**2 + sp.exp(-u)),
    "pole": lambda u: 1 / (2 - sp.exp(u)),
}


@pytest.fixture(scope="module")
def registered():
    before = dict(_REGISTERED)
    for name, definition in MORE.items():
        register_elementwise(name, definition)
    yield dict(_REGISTERED)
    _REGISTERED.clear()
    _REGISTERED.update(before)


@pytest.fixture(autouse=True)
def _restore(registered):
    yield
    _REGISTERED.clear()
    _REGISTERED.update(registered)


@cache
def compiled(function):
    return scalar_functions(function.name)


def functions(name):
    return compiled(elementwise(name))


@pytest.mark.parametrize("name", [*BUILT_IN, *MORE])
def test_scalar_code_agrees_with_sympy_in_forty_digits(name):
    value, slope = functions(name)
    function = elementwise(name)
    for u in (-30.0, -2.0, -1e-3, 0.0, 0.3, 0.75, 30.0):
        exact = {U: sp.Rational(u)}
        assert value(u) == pytest.approx(
            float(function.expression.subs(exact).evalf(40)), rel=4e-15, abs=1e-15
        )
        expected = float(function.derivative.subs(exact).evalf(40))
        assert slope(u, value(u)) == pytest.approx(expected, rel=4e-15, abs=1e-14)


@pytest.mark.parametrize("name", sorted({*BUILT_IN, *MORE} - {"pole", "incommensurable"}))
def test_scalar_code_is_finite_for_large_arguments(name):
    value, slope = functions(name)
    for u in (-1e4, -1e3, -720.0, 720.0, 1e3, 1e4):
        assert math.isfinite(value(u))
        assert math.isfinite(slope(u, value(u)))


def test_numba_compiles_the_scalar_code():
    numba = pytest.importorskip("numba")
    value, slope = (numba.njit(error_model="numpy")(f) for f in functions("swish"))
    s = 1 / (1 + math.exp(-0.4))
    assert value(0.4) == pytest.approx(0.4 * s, rel=1e-15)
    assert slope(0.4, value(0.4)) == pytest.approx(s + 0.4 * s * (1 - s), rel=1e-15)


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("sigmoid", H * (1 - H)),
        ("tanh", 1 - H**2),
        ("gauss", -2 * U * H),
        ("shifted", sp.Rational(10, 3) * H * (1 - H)),
        ("cube", None),
        ("relu", None),
        ("gelu", None),
        ("softplus", None),
        ("swish", None),
    ],
)
def test_slope_is_written_with_the_value_only_where_that_is_polynomial(name, form):
    found = elementwise(name).derivative_by_value
    assert (found is None) if form is None else sp.expand(found - form) == 0


def test_a_form_that_holds_on_one_side_only_is_refused():
    register_elementwise("one_sided", lambda u: sp.Piecewise((sp.exp(u), u < 0), (1 + u, True)))
    assert elementwise("one_sided").derivative_by_value is None


def test_relu_has_slope_zero_at_zero():
    value, slope = functions("relu")
    assert slope(0.0, value(0.0)) == 0


def test_redefining_sigmoid_changes_its_slope():
    register_elementwise("sigmoid", lambda u: 1 / (1 + sp.exp(-2 * u)))
    assert sp.expand(elementwise("sigmoid").derivative_by_value - 2 * H * (1 - H)) == 0
    value, slope = functions("sigmoid")
    assert slope(0.2, value(0.2)) == pytest.approx(2 * value(0.2) * (1 - value(0.2)), rel=1e-15)


def test_a_redefined_function_is_derived_anew():
    for factor in (3, 2):
        register_elementwise("steep", lambda u, factor=factor: factor * u)
        _, grads = value_and_grad(trace("l = sum(steep(x))", x=(1, 1)).vjp())(x=[[1.0]])
        assert grads["x"].tolist() == [[factor]]


def test_floats_in_a_definition_become_exact():
    assert elementwise("leaky").expression.subs(U, -1) == sp.Rational(-1, 100)


@pytest.mark.parametrize(
    ("number", "exact"),
    [
        (0.1, "1/10"),
        (1 / 0.3, "10/3"),
        (1.0507009873554805, "1.0507009873554805"),
        (math.pi, "3.141592653589793"),
        (1e-30, "1e-30"),
    ],
)
def test_a_float_in_a_definition_keeps_its_last_bit(number, exact):
    slope = register_elementwise("scaled", lambda u: number * u).derivative
    assert slope == sp.Rational(exact)
    assert float(slope) == number


@pytest.mark.parametrize("name", ["", "1st", "a b", "lambda", "exp", "softmax", None])
def test_a_bad_name_is_refused(name):
    with pytest.raises(InvalidInputError, match="elementwise name"):
        register_elementwise(name, lambda u: u)


@pytest.mark.parametrize(
    "definition",
    [
        np.exp,
        lambda u: u + sp.Symbol("w"),
        lambda u: "text" if u else u,
        lambda u: u > 0,
        sp.Function("f"),
        lambda u: sp.I * u,
        lambda u: [u],
    ],
)
def test_a_definition_that_is_no_expression_in_u_is_refused(definition):
    with pytest.raises(InvalidInputError, match="SymPy expression in u alone"):
        register_elementwise("wrong", definition)
    assert "wrong" not in elementwise_names()


def test_an_unknown_name_suggests_the_nearest():
    with pytest.raises(InvalidInputError, match="did you mean 'sigmoid'"):
        elementwise("sigmoyd")
    with pytest.raises(InvalidInputError, match="register_elementwise"):
        elementwise("qqq")


def test_a_definition_of_many_functions_is_not_written_with_its_value():
    few = register_elementwise("two_exponentials", lambda u: sp.exp(u) / (1 + sp.exp(u)))
    many = register_elementwise("four_exponentials", lambda u: sum(sp.exp(n * u**2) for n in range(1, 5)))
    assert few.derivative_by_value is not None
    assert many.derivative_by_value is None


@pytest.mark.thorough
def test_a_maximum_of_a_minimum_is_compiled_for_every_library():
    before = dict(_REGISTERED)
    register_elementwise("between", lambda u: sp.Max(-1, sp.Min(1, u)))
    try:
        derivation = trace("l = sum(c*between(x))", x=(1, 5), c=(1, 5)).vjp()
        x, c = np.array([[-3, -1, 0.5, 1, 3]]), np.arange(1.0, 6)[None]
        for backend in ("numpy", "torch", "numba"):
            value, grads = value_and_grad(derivation, backend)(x=x, c=c)
            assert value == (c * np.clip(x, -1, 1)).sum()
            assert np.array_equal(np.asarray(grads["x"]), [[0, 0, 3, 0, 0]])
    finally:
        _REGISTERED.clear()
        _REGISTERED.update(before)


@pytest.mark.thorough
def test_exponentials_of_several_rates_do_not_overflow():
    register_elementwise("rates", lambda u: 1 / (1 + sp.exp(-u) + sp.exp(-2 * u)))
    register_elementwise("thirds", lambda u: (sp.exp(u / 2) - sp.exp(-u)) / (sp.exp(u / 2) + sp.exp(-u)))
    for name, ends in (("rates", (0, 1)), ("thirds", (-1, 1))):
        _, grads = value_and_grad(trace(f"l = sum({name}(x))", x=(1, 2)).vjp())(x=[[-1000.0, 1000.0]])
        assert grads["x"].tolist() == [[0, 0]]
        value, slope = functions(name)
        assert [value(u) for u in (-1000.0, 1000.0)] == pytest.approx(ends, abs=1e-300)
        assert slope(1000.0, value(1000.0)) == 0


def test_exponentials_of_rates_with_a_large_ratio_stay_as_they_are():
    register_elementwise("rates", lambda u: 1 / (1 + sp.exp(-u) + sp.exp(-u * 0.123)))
    value, slope = functions("rates")
    e, d = math.exp(-0.5), math.exp(-0.0615)
    assert value(0.5) == pytest.approx(1 / (1 + e + d), rel=1e-15)
    assert slope(0.5, value(0.5)) == pytest.approx((e + 0.123 * d) / (1 + e + d) ** 2, rel=1e-14)


JUMPS = {
    "jump_sign": (sp.sign, torch.sign),
    "jump_step": (sp.Heaviside, lambda x: torch.where(x > 0, 1, torch.where(x == 0, 0.5, 0)).double()),
    "jump_size": (sp.Abs, torch.abs),
    "jump_ramp": (
        lambda u: u * sp.Heaviside(u - 1),
        lambda x: torch.where(x > 1, x, torch.where(x == 1, x / 2, 0)),
    ),
    "jump_zero": (
        lambda u: sp.Piecewise((3, sp.Eq(u, 0)), (u**2, True)),
        lambda x: torch.where(x == 0, 3, x**2),
    ),
}
"""Functions with a jump or a kink, and what torch calls them."""


@pytest.mark.parametrize(
    ("name", "backend"),
    [*((name, backend) for name in JUMPS for backend in ("numpy", "torch")), ("jump_zero", "numba")],
)
def test_a_slope_at_a_jump_is_zero_in_every_backend(name, backend):
    definition, reference = JUMPS[name]
    register_elementwise(name, definition)
    x = torch.tensor([[-2.0, 0.0, 0.5], [1.0, 3.0, -1.0]], dtype=torch.float64, requires_grad=True)
    array = x.detach() if backend == "torch" else x.detach().numpy()
    value, grads = value_and_grad(trace(f"l = sum({name}(x)**2)", x=("N", "D")).vjp(), backend=backend)(
        x=array
    )
    expected = reference(x).square().sum()
    assert float(value) == expected.item()
    slopes = torch.autograd.grad(expected, x)[0] if expected.requires_grad else torch.zeros_like(x)
    np.testing.assert_allclose(np.asarray(grads["x"]), slopes.numpy(), atol=1e-15)


def test_the_second_slope_of_a_size_is_zero():
    register_elementwise("jump_size", sp.Abs)
    derivation = trace("l = sum(jump_size(x))", x=(1, 3)).hvp("x")
    x = np.array([[-1.0, 0.0, 2.0]])
    _, products = value_and_grad(derivation)(x=x, vx=np.ones_like(x))
    assert not any(array.any() for array in products.values())


@pytest.mark.parametrize("function", [sp.floor, sp.gamma, sp.zeta, lambda u: u + sp.besselj(0, u)])
def test_a_function_that_no_backend_has_is_refused(function):
    with pytest.raises(
        InvalidInputError, match=r"known real functions.*(floor|gamma|zeta|besselj) is not known$"
    ):
        register_elementwise("own_function", function)


@pytest.mark.parametrize("backend", ["numpy", "torch"])
def test_a_function_may_be_a_constant(backend):
    register_elementwise("three", lambda _: 3)
    f = value_and_grad(trace("l = sum(three(x)) + sum(x)", x=("N", "D")).vjp(), backend)
    value, grads = f(x=np.ones((2, 4)))
    assert float(value) == 32
    assert np.asarray(grads["x"]).tolist() == [[1.0] * 4] * 2


def test_pieces_that_leave_no_number_out_need_no_otherwise():
    register_elementwise("halves", lambda u: sp.Piecewise((u, u > 0), (-2 * u, u <= 0)))
    value, grads = value_and_grad(trace("l = sum(halves(x))", x=(1, 2)).vjp())(x=[[3.0, -1.0]])
    assert value == 5
    assert grads["x"].tolist() == [[1, -2]]


@pytest.mark.parametrize("backend", few_of(["numpy", "torch", "numba"], "numpy", "torch"))
@pytest.mark.parametrize(
    ("constant", "number"),
    [
        (sp.pi, 3.141592653589793),
        (sp.E, 2.718281828459045),
        (sp.GoldenRatio, 1.618033988749895),
        (sp.EulerGamma, 0.5772156649015329),
        (sp.Catalan, 0.915965594177219),
        (sp.TribonacciConstant, 1.839286755214161),
    ],
)
def test_a_constant_of_mathematics_is_printed_as_its_number(constant, number, backend):
    register_elementwise(f"by_{constant}", lambda u: constant * u)
    value, grads = value_and_grad(trace(f"l = sum(by_{constant}(x))", x=(1, 1)).vjp(), backend)(
        x=np.ones((1, 1))
    )
    assert value == pytest.approx(number, rel=1e-15)
    assert np.asarray(grads["x"]).item() == pytest.approx(number, rel=1e-15)


POWERS = {
    "two": (lambda u: 2**u, lambda x: 2**x),
    "own_power": (lambda u: (1 + u**2) ** u, lambda x: (1 + x**2) ** x),
    "base_two": (lambda u: 1 / (1 + 2**-u), lambda x: 1 / (1 + 2**-x)),
}


@pytest.mark.parametrize("name", one_in(3, POWERS))
def test_a_power_with_a_variable_exponent_is_derived_and_proved(name):
    definition, reference = POWERS[name]
    register_elementwise(name, definition)
    derivation = trace(f"l = sum(c * {name}(x))", x=(1, 3), c=(1, 3)).vjp()
    x = torch.tensor([[-1.5, 0.0, 2.5]], dtype=torch.float64, requires_grad=True)
    expected = reference(x)
    (slope,) = torch.autograd.grad(expected.sum(), x)
    for backend in ("numpy", "torch", "numba"):
        value, grads = value_and_grad(derivation, backend)(x=x.detach().numpy(), c=np.ones((1, 3)))
        assert value == pytest.approx(expected.sum().item())
        np.testing.assert_allclose(np.asarray(grads["x"]), slope.numpy(), rtol=1e-14)
    assert prove(derivation)
    assert explain(derivation, "x", f"c * {name}'(x)").agrees


def test_a_power_that_is_complex_is_refused():
    with pytest.raises(InvalidInputError, match="known real functions"):
        register_elementwise("own_function", lambda u: (-2) ** u)


TIES = {
    "celu": (
        lambda u: sp.Max(0, u) + sp.Min(0, 2 * (sp.exp(u / 2) - 1)),
        lambda x: torch.celu(x, 2.0),
    ),
    "selu": (
        lambda u: 1.0507009873554805 * (sp.Max(0, u) + sp.Min(0, 1.6732632423543772 * (sp.exp(u) - 1))),
        torch.selu,
    ),
    "leaky": (
        lambda u: sp.Max(0, u) + sp.Min(0, u) / 100,
        lambda x: torch.nn.functional.leaky_relu(x, 0.01),
    ),
    "same": (lambda u: sp.Max(0, u) - sp.Max(0, -u), lambda x: x * 1),
    "clipped": (lambda u: sp.Max(-2, u) - sp.Max(1, u), lambda x: x.clamp(-2, 1) - 1),
    "jumping": (lambda u: sp.sign(u) + sp.Max(0, u), lambda x: torch.sign(x) + torch.relu(x)),
    "unsolved": (lambda u: sp.Max(1, u) + sp.Min(2, sp.erf(u)), lambda x: x.clamp(min=1) + torch.erf(x)),
}
"""Sums of maxima and minima, and what torch calls them."""


@pytest.mark.parametrize("backend", ["numpy", "torch"])
@pytest.mark.parametrize("name", one_in(3, TIES))
def test_where_several_pieces_tie_the_slope_is_that_of_torch(name, backend):
    definition, reference = TIES[name]
    register_elementwise(name, definition)
    x = torch.tensor([[-3.0, -1e-20, 0.0, 1e-20, 0.5, 3.0]], dtype=torch.float64, requires_grad=True)
    expected = reference(x)
    (slope,) = torch.autograd.grad(expected.sum(), x)
    derivation = trace(f"l = sum({name}(x))", x=("N", "D")).vjp()
    value, grads = value_and_grad(derivation, backend)(x=x.detach().numpy())
    assert value == pytest.approx(expected.sum().item(), rel=1e-14)
    np.testing.assert_allclose(np.asarray(grads["x"]), slope.numpy(), rtol=1e-14)


def test_what_is_not_carried_out_in_a_definition_is_carried_out():
    assert register_elementwise("own_slope", lambda u: sp.Derivative(sp.sin(u), u)).expression == sp.cos(U)


PIECES = {
    "selu": (
        lambda u: sp.Piecewise((u, u > 0), (1.67 * (sp.exp(u) - 1), True)),
        [1000, -1.67, 0],
        [1, 0, 1.67],
    ),
    "sinc": (lambda u: sp.Piecewise((1, sp.Eq(u, 0)), (sp.sin(u) / u, True)), None, None),
    "roots": (lambda u: sp.Piecewise((sp.sqrt(u), sp.Ne(u, 0) & (u > 0)), (0, True)), None, None),
    "logarithm": (lambda u: sp.Piecewise((sp.log(u), u > 1), (0, True)), None, None),
}


@pytest.mark.parametrize("name", one_in(2, PIECES))
def test_pieces_that_are_not_taken_raise_no_warnings(name):
    definition, values, slopes = PIECES[name]
    register_elementwise(name, definition)
    derivation, x = trace(f"l = sum({name}(x))", x=(1, 3)).vjp(), np.array([[1000.0, -1000.0, 0.0]])
    value, grads = value_and_grad(derivation)(x=x)
    assert prove(derivation)
    if values:
        assert value == pytest.approx(sum(values))
        np.testing.assert_allclose(grads["x"], [slopes])


def test_an_exponential_whose_exponents_have_no_common_unit_is_left_as_it_is():
    clip = register_elementwise(
        "soft_clip", lambda u: sp.log((1 + sp.exp(5 * u)) / (1 + sp.exp(5 * u - 5))) / 5
    )
    assert stable(clip.expression, U) == clip.expression
    value, slope = scalar_functions("soft_clip")
    assert value(0.5) == pytest.approx(0.5)
    assert slope(0.5, 0.5) == pytest.approx(np.tanh(1.25))


def test_what_has_a_pole_is_left_as_it_is_written_and_what_has_none_is_written_in_the_sigmoid():
    pole, none = (1 / (sp.Rational(n, 2) - 1 / (1 + sp.exp(-U))) for n in (1, 3))
    assert stable(pole, U) == pole
    assert sp.simplify(stable(none, U) - 2 / (3 - 2 * Sigmoid(U))) == 0


@pytest.mark.parametrize(
    ("definition", "told"),
    [
        (lambda u: sp.Max(u, 0), "; at u = 0 it is 0, by definition"),
        (sp.Abs, "; at u = 0 it is 0, by definition"),
        (lambda u: sp.Min(sp.Max(u, 0), 6), "; at u = 0 it is 0 and at u = 6 it is 0, by definition"),
        (lambda u: sp.Piecewise((u**2 / 2, sp.Abs(u) <= 1), (sp.Abs(u) - sp.S.Half, True)), ""),
        (lambda u: sp.Piecewise((u, u > 0), (sp.exp(u) - 1, True)), ""),
        (lambda u: sp.Abs(sp.sin(u)), ""),
    ],
)
def test_a_slope_that_is_chosen_at_a_corner_is_told(definition, told):
    register_elementwise("cornered", definition)
    derivation = trace("h = cornered(x)\nl = sum(h)", x=("N", "D")).vjp()
    reasons = [line.because for line in derivation["x"].lines if line.rule == "derivative of a function"]
    assert reasons == [f"differentiating the definition of cornered{told}"]
