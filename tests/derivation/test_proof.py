"""Proofs hold for what the engine derives and fail for mutated derivations."""

from dataclasses import replace

import numpy as np
import pytest
import sympy as sp
from cases import few_of, one_in
from derivation.programs import NETWORK, NETWORK_SHAPES, derived

from mlpreport.derivation import elementwise, prove, register_elementwise, trace
from mlpreport.derivation.backward import cotangent
from mlpreport.derivation.elementwise import _REGISTERED
from mlpreport.derivation.exact import NoRootError, in_field
from mlpreport.derivation.program import build, num
from mlpreport.derivation.sizes import fitting
from mlpreport.errors import InvalidInputError

PROVED = {
    "network": {"N": 2, "D": 2, "H": 3, "C": 2},
    "tied weights": {"N": 2, "D": 2, "H": 1},
    "attention": {"N": 2, "D": 1, "K": 1},
    "layer norm": {"N": 2, "D": 2},
    "cross-entropy": {"N": 2, "D": 1, "C": 2},
    "log-sum-exp": {"N": 2, "D": 1, "C": 3},
    "log-sum-exp along other axes": {},
    "softmax as quotient": {"N": 2, "D": 1, "C": 2},
    "logistic": {"N": 2, "D": 1},
    "names that collide": {"N": 2, "D": 1, "H": 2},
    "whole sizes": {},
    "dead ends": {"N": 2, "D": 1},
    "another name": {"N": 2, "D": 1},
    "square": {"N": 2},
    "broadcasting": {"N": 2, "M": 2},
    "quotients": {"N": 2, "D": 1},
    "constant": {"N": 2, "D": 2},
    "masked product": {"N": 2, "D": 2, "H": 2},
    "outer sums": {"N": 2, "D": 3},
    "entropy": {"N": 1, "C": 3},
}


@pytest.mark.parametrize("name", few_of(PROVED, "cross-entropy"))
def test_derivations_are_proved(name):
    proof = prove(derived(name), **PROVED[name])
    assert proof, str(proof)
    assert [check.layer for check in proof.checks] == ["symbolic sizes", "entrywise", "numeric", "lines"]
    assert all(check.comparisons > 0 for check in proof.checks)


@pytest.fixture(scope="module")
def network():
    source = "z = x @ W1 + b1\nh = tanh(z)\nl = mean((y - h @ W2)**2)"
    return trace(source, x=("N", "D"), W1=("D", "H"), b1=(1, "H"), W2=("H", 1), y=("N", 1)).vjp()


def with_cotangent(derivation, name, term):
    """The derivation an engine with this fault would give."""
    key = cotangent(derivation.program.loss, name)
    definitions = {**derivation.backward.definitions, key: term}
    steps = dict(derivation.steps) | {name: replace(derivation.steps[name], cotangent=term)}
    return replace(derivation, steps=steps, backward=replace(derivation.backward, definitions=definitions))


FAULTS = {
    "a doubled cotangent": ("W1", lambda step: 2 * step.cotangent),
    "a flipped sign": ("b1", lambda step: -step.cotangent),
    "a factor lost": ("z", lambda step: step.cotangent.operands[0]),
    "a wrong constant": ("y", lambda step: step.cotangent + num(sp.Rational(1, 10**9))),
}


@pytest.mark.parametrize("fault", few_of(FAULTS, "a flipped sign", "a wrong constant"))
def test_prove_rejects(network, fault):
    name, mutate = FAULTS[fault]
    proof = prove(with_cotangent(network, name, mutate(network[name])), N=2, D=2, H=3)
    assert not proof
    assert str(proof).startswith("not proved")
    assert all(any(name in failure for failure in check.failures) for check in proof.checks[:2])


def test_prove_rejects_a_dropped_batch_sum():
    derivation = trace("l = sum(tanh(x + b))", x=("N", "D"), b=(1, "D")).vjp()
    name = next(iter(derivation.program.users["b"]))
    first_row = build("mean", build("var", cotangent("l", name), *derivation.program.shapes[name]), 0)
    assert not prove(with_cotangent(derivation, "b", first_row), N=2, D=3)


def test_prove_rejects_a_transposed_weight():
    derivation = trace("h = x @ W\nl = sum(h**3)", x=("N", "D"), W=("D", "D")).vjp()
    wrong = build("@", derivation["x"].cotangent.operands[0], derivation.program.variable("W"))
    assert not prove(with_cotangent(derivation, "x", wrong), N=2, D=2)


def test_each_layer_sees_what_the_others_miss(network):
    wrong = replace(network, backward=with_cotangent(network, "W1", 2 * network["W1"].cotangent).backward)
    assert [bool(c.failures) for c in prove(wrong, N=2).checks] == [False, False, True, False]
    lines = network["W1"].lines
    lied = replace(network["W1"], lines=(*lines[:-1], replace(lines[-1], rhs=-lines[-1].rhs)))
    wrong = replace(network, steps=dict(network.steps) | {"W1": lied})
    proof = prove(wrong, N=2)
    assert [bool(c.failures) for c in proof.checks] == [False, False, False, True]
    assert proof.checks[3].failures == ("W1 (matrix form)",)


def test_the_value_is_checked_too(network):
    doubled = {**network.backward.definitions, "l": 2 * network.backward.definitions["l"]}
    proof = prove(replace(network, backward=replace(network.backward, definitions=doubled)), N=2)
    assert proof.checks[2].failures == ("l",)


@pytest.mark.thorough
def test_an_assumption_is_kept_by_the_proof():
    program = trace(
        "l = -mean(sum(y*log(softmax(z)), axis=1))", assume="rows_sum_to_one:y", z=("N", "C"), y=("N", "C")
    )
    assert prove(program.vjp(), N=2, C=3)
    wrong = trace("l = -mean(sum(y*log(softmax(z)), axis=1))", z=("N", "C"), y=("N", "C")).vjp()
    assert not prove(
        with_cotangent(wrong, "z", program.vjp()["z"].cotangent) if "z" in wrong.steps else wrong, N=2, C=3
    )


@pytest.mark.parametrize(
    "function",
    few_of(
        ("relu", "softplus", "gelu", "leaky", "hard", "window", "angle", "between"),
        "window",
    ),
)
def test_functions_of_every_kind_are_proved(function):
    before = dict(_REGISTERED)
    register_elementwise("leaky", lambda u: sp.Piecewise((u / 100, u < 0), (u, True)))
    register_elementwise("hard", lambda u: sp.Piecewise((0, u < -3), (1, u > 3), (u / 6 + sp.S.Half, True)))
    register_elementwise("window", lambda u: sp.Piecewise((u**2, (u > -1) & (u < 1)), (sp.Abs(u), True)))
    register_elementwise("angle", lambda u: sp.atan(u) + sp.Abs(u) + sp.cbrt(1 + u**2))
    register_elementwise("between", lambda u: sp.Max(-1, sp.Min(1, u)))
    try:
        assert elementwise(function)
        proof = prove(trace(f"l = sum({function}(x @ W)**2)", x=("N", "D"), W=("D", "H")).vjp(), N=2)
        assert proof, str(proof)
    finally:
        _REGISTERED.clear()
        _REGISTERED.update(before)


LAWS = {
    "multiples hidden in a denominator": "l = sum(softmax(x/(1+x)/2) * y)",
    "the root of a square": "q = x**2\nr = q**0.5\nl = sum(r*x + r**3)",
    "the number e": "l = sum(exp(1)*y)*exp(1) + sum(x)*exp(1)",
    "an exponent 0": "l = sum(exp(0*x)*y)",
    "logarithms in exponents": "p = log(x)\nl = sum(exp(p/2)*x**0.5*exp(-p)*y)",
}


@pytest.mark.parametrize("law", LAWS)
def test_the_field_keeps_the_laws_by_which_sympy_simplifies(law):
    proof = prove(trace(LAWS[law], x=(1, 2), y=(1, 2)).vjp())
    assert proof, str(proof)


@pytest.mark.thorough
def test_attention_on_attention_is_proved():
    layer = "{0} = softmax({1} @ {1}.T / D**0.5) @ {1}"
    source = "\n".join((layer.format("v0", "y"), layer.format("v1", "v0"), "l = sum(v1**2)/N"))
    derivation = trace(source, y=("N", "D")).vjp()
    assert prove(derivation, N=2, D=1)
    assert not prove(with_cotangent(derivation, "v0", 2 * derivation["v0"].cotangent), N=2, D=1)


def test_the_search_for_field_elements_ends():
    def attempt(*_):
        raise NoRootError

    assert in_field(attempt, times=1) == ("no point with all square roots",)


def test_a_hessian_vector_product_is_proved():
    assert prove(trace("h = tanh(x @ W)\nl = sum(h**2)", x=("N", "D"), W=("D", 1)).hvp("W"), N=2, D=2)


@pytest.mark.thorough
def test_a_wrong_gradient_under_a_hessian_vector_product_is_seen():
    program = trace("h = tanh(x @ W)\nl = sum(h**2)", x=("N", "D"), W=("D", 1))
    other = trace("h = tanh(x @ W)\nl = sum(h**2) * 2", x=("N", "D"), W=("D", 1))
    proof = prove(replace(other.hvp("W"), of=program), N=2, D=2)
    assert [bool(check.failures) for check in proof.checks] == [False, True, True, False]
    assert prove(trace("l = sum(W)", W=("D", 1)).hvp("W"))


@pytest.mark.parametrize("scale", one_in(2, ["(N - D)", "(N - D)**0.5"]))
def test_sizes_that_are_not_given_are_such_that_numbers_have_values(scale):
    program = trace(f"r = y - x@w\nl = sum(r**2)/{scale}", x=("N", "D"), w=("D", 1), y=("N", 1))
    derivation = program.vjp()
    for given in ({}, {"D": 3}, {"N": np.int64(3)}):
        assert prove(derivation, **given)
    assert not prove(with_cotangent(derivation, "w", 2 * derivation["w"].cotangent))
    with pytest.raises(InvalidInputError, match=r"is no finite number at D = 2, N = 2; give other sizes$"):
        prove(derivation, N=2, D=2)
    far = trace("l = sum(x)/(N - 100)**0.5", x=("N", 1)).vjp()
    with pytest.raises(InvalidInputError, match=r"^1/sqrt\(N - 100\) is no finite number at N = 2"):
        prove(far)
    assert prove(far, N=101)


def test_prove_says_what_it_checked(network):
    text = str(prove(network, N=2, D=2, H=3))
    assert text.startswith("proved\nsymbolic sizes: ")
    assert "complex step" in text


def test_a_logarithm_without_a_value_at_some_inputs_is_no_warning():
    assert prove(trace("l = sum(relu(x)) + sum(log(1 + 3*y))", x=("N", 1), y=("N", 1)).vjp())


def test_bad_requests_are_refused(network):
    with pytest.raises(InvalidInputError, match="no size 'Q'"):
        prove(network, Q=2)
    with pytest.raises(InvalidInputError, match="N = 0"):
        prove(network, N=0)
    with pytest.raises(InvalidInputError, match=r"H = 1000000, N = 2 .* 8,000,009 entries, but only 5,000 "):
        prove(network, H=10**6)
    with pytest.raises(InvalidInputError, match=r"the declared sizes .* letters"):
        prove(trace("l = sum(x**2)", x=(100, 100)).vjp())
    with pytest.raises(InvalidInputError, match="tangents"):
        prove(trace(NETWORK, **NETWORK_SHAPES).jvp())


def test_a_logarithm_of_one_exponential_is_what_it_is_of():
    program = trace("l = sum(1 / (1 + log(sum(exp(tanh(v)), axis=0))**2))", v=(1, "D"))
    assert prove(program.vjp(), D=2)


@pytest.mark.parametrize("loss", ["relu(w*x)", "leaky(w*x)", "hub(w*x)", "relu6(w*x)"])
def test_a_gradient_that_is_right_in_one_piece_only_is_rejected(loss):
    register_elementwise("leaky", lambda u: sp.Piecewise((u / 10, u < 0), (u, True)))
    register_elementwise(
        "hub", lambda u: sp.Piecewise((u**2 / 2, sp.Abs(u) <= 1), (sp.Abs(u) - sp.S.Half, True))
    )
    register_elementwise("relu6", lambda u: sp.Min(sp.Max(u, 0), 6))
    derivation = trace(f"l = {loss}", w=(1, 1), x=(1, 1)).vjp()
    w, x = map(derivation.program.variable, "wx")
    wrong = w * w * x if loss == "hub(w*x)" else w
    assert prove(derivation)
    assert not prove(with_cotangent(derivation, "x", wrong))


PARTIAL = {
    "sqrt": sp.sqrt,
    "entropy": lambda u: -u * sp.log(u) - (1 - u) * sp.log(1 - u),
    "reciprocal": lambda u: 1 / u,
    "root_of_abs": lambda u: sp.sqrt(sp.Abs(u)),
}


@pytest.mark.parametrize("name", one_in(2, PARTIAL))
def test_functions_that_are_not_defined_everywhere_are_proved(name):
    register_elementwise(name, PARTIAL[name])
    assert prove(trace(f"l = sum({name}(x) * x)", x=("N", "D")).vjp())


def test_a_wrong_slope_in_a_line_is_named(network):
    (place, stated), *_ = [
        (n, line) for n, line in enumerate(network["z"].lines) if line.rule == "derivative of a function"
    ]
    lines = list(network["z"].lines)
    lines[place] = replace(stated, rhs=stated.rhs + sp.Symbol("u", real=True) / 7)
    wrong = replace(network, steps={**network.steps, "z": replace(network["z"], lines=tuple(lines))})
    assert prove(wrong).checks[3].failures == ("z (derivative of a function)",)


@pytest.mark.parametrize(
    "source",
    [
        pytest.param(
            "z = relu(x @ W) @ w\np = sigmoid(z)\nl = -mean(y*log(p) + (1 - y)*log(1 - p))",
            marks=pytest.mark.thorough,
        ),
        "l = sum(softplus(1000*x))/1000 + sum(W) + sum(w) + sum(y)",
    ],
)
def test_steep_and_saturated_programs_are_proved(source):
    assert prove(trace(source, x=("N", "D"), W=("D", "H"), w=("H", 1), y=("N", 1)).vjp())


def test_sizes_are_chosen_at_once_however_many_there_are():
    sizes = sp.symbols("D0:20", integer=True, positive=True)
    made = [1 / size for size in sizes] + [1 / (sizes[1] - sizes[2])]
    found = fitting(made, dict.fromkeys(sizes, 2), {sizes[0]: 5})
    assert [found[size] for size in sizes] == [5, 2, 3, *[2] * 17]
