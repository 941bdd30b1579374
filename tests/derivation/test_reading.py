"""Reading programs: the language, and what lies outside it."""

import numpy as np
import pytest
import sympy as sp

from mlpreport.derivation import explain, read_program, trace, value_and_grad
from mlpreport.derivation.printing import show
from mlpreport.errors import ProgramError, ShapeError

SHAPES = {"x": ("N", "D"), "W": ("D", "H")}

WRONG = [
    ("l = sum(x @ W", ProgramError, "never closed"),
    ("l = foo(x)", ProgramError, "unknown function 'foo'; known: exp"),
    ("l = sgmoid(x)", ProgramError, "did you mean 'sigmoid'"),
    ("l = sum(x @ v)", ProgramError, "unknown name 'v'; declare its shape"),
    ("l = sum(w)", ProgramError, "did you mean 'W'"),
    ("a = b\nb = sum(x)\nl = a", ProgramError, "no cycles"),
    ("l = x @ W", ShapeError, r"shape \(N, H\); wrap it in mean"),
    ("l = sum(x @ x)", ShapeError, r"\(N, D\) @ \(N, D\); transpose"),
    ("l = sum(x + W)", ShapeError, r"\(N, D\) \+ \(D, H\); N is not D"),
    ("x = sum(W)", ProgramError, "'x' has a value already"),
    ("l = sum(x)\nl = sum(W)", ProgramError, "line 2"),
    ("", ProgramError, "empty"),
    ("import os", ProgramError, "only assignments"),
    ("l, m = x, W", ProgramError, "only assignments"),
    ("l += 1", ProgramError, "only assignments"),
    ("l = __import__('os')", ProgramError, "unknown function '__import__'"),
    ("l = x.__class__", ProgramError, "x.__class__ is outside the language"),
    ("l = (x.f)(x)(W)", ProgramError, r"unknown function '\(x.f\)\(x\)'"),
    ("l = sum(x[0])", ProgramError, "Subscript is outside"),
    ("l = sum(x) if 1 else 2", ProgramError, "IfExp is outside"),
    ("l = 1 // 2", ProgramError, "1 // 2 is outside"),
    ("l = ~sum(x)", ProgramError, "UnaryOp is outside"),
    ("l = True", ProgramError, "True is outside"),
    ("l = 1e999", ProgramError, "no finite number"),
    ("l = 1 / 0", ProgramError, "no finite number"),
    ("l = sum(x) / 0", ProgramError, r"sum\(x\) / 0 is no finite number"),
    ("l = exp(800) * sum(x)", ProgramError, r"exp\(800\) is no finite number"),
    ("l = 10**10**10 * sum(x)", ProgramError, r"10\*\*10\*\*10 is no finite number"),
    ("l = sum(x ** N)", ProgramError, "an exponent is a number"),
    ("l = sum(x ** 2**0.5)", ProgramError, "an exponent is a number"),
    ("l = sum(x) * log(0)", ProgramError, r"log\(0\) is no finite number"),
    ("l = sum(x) * (-1)**0.5", ProgramError, "no finite number"),
    ("l = sum(x, 0, axis=1)", ProgramError, "sum takes one array"),
    ("l = 2 @ 3", ShapeError, "@ needs arrays"),
    ("l = sum(x, axis=2)", ProgramError, "axis=None, 0 or 1"),
    ("l = sum(x, axis=[0])", ProgramError, "axis=None, 0 or 1"),
    ("l = sum(x, W)", ProgramError, "sum with these arguments"),
    ("l = sum(x, keepdims=False)", ProgramError, "keep the axis"),
    ("l = softmax(x, axis=2)", ProgramError, "axis=None, 0 or 1"),
    ("l = exp(x, x)", ProgramError, "exp takes one array"),
    ("l = sum(x ** W)", ProgramError, "an exponent is a number"),
    ("l = sum(" + "-" * 400 + "x)", ProgramError, "nested too deeply"),
]


@pytest.mark.parametrize(("source", "kind", "message"), WRONG)
def test_an_error_marks_its_source_line(source, kind, message):
    with pytest.raises(kind, match=message) as caught:
        trace(source, **SHAPES)
    first, line, marker = str(caught.value).split("\n")[:3]
    assert first.startswith("line ")
    assert line.strip() in source
    assert set(marker.strip()) == {"^"}


@pytest.mark.parametrize("shape", [("N",), "XD", (0, 2), ("N", 2.5), ("N D", 1), (True, 1), None])
def test_a_bad_shape_is_refused(shape):
    with pytest.raises(ShapeError, match="shape of x"):
        trace("l = sum(x)", x=shape)


def test_bad_assumptions_are_refused():
    with pytest.raises(ProgramError, match="'rows:x' is unknown"):
        trace("l = sum(x)", assume="rows:x", x=("N", "D"))
    with pytest.raises(ProgramError, match="no variable 'z'"):
        trace("l = sum(x)", assume=("rows_sum_to_one:z",), x=("N", "D"))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("l = x.sum()", "l = sum(x)"),
        ("\n    l = sum(\n        x)\n", "l = sum(x)"),
        ("l = np.sum(np.mean(x, 1))", "l = sum(mean(x, axis=1))"),
        ("l = x.mean(axis=-1, keepdims=True).sum()", "l = sum(mean(x, axis=1))"),
        ("l = sum(torch.mean(x, dim=1, keepdim=True))", "l = sum(mean(x, axis=1))"),
        ("l = sum(softmax(x, dim=-1))", "l = sum(softmax(x))"),
        ("l = sum(F.relu(x) + torch.nn.functional.relu(x))", "l = sum(relu(x) + relu(x))"),
        ("l = sum(softmax(x, axis=1))", "l = sum(softmax(x))"),
        ("l = sum(x.sigmoid())", "l = sum(sigmoid(x))"),
        ("l = sum(+x)  # a comment", "l = sum(x)"),
        ("l = sum(x.T.T)", "l = sum(x)"),
        ("l = sum(x) * N.T", "l = sum(x) * N"),
        ("l = sum(x) * 2**-1", "l = sum(x) * 0.5"),
        ("l = sum(x) * exp(0)", "l = sum(x) * 1"),
        ("l = sum(x) * sigmoid(0)", "l = sum(x) * 0.5"),
        ("l = sum(x) * softmax(7)", "l = sum(x) * 1"),
        ("l = sum(x) + sum(3)", "l = sum(x) + 3"),
        ("l = sum(exp(x) / sum(exp(x), axis=1))", "l = sum(softmax(x))"),
        ("l = sum(exp(x) / sum(exp(x), axis=0))", "l = sum(softmax(x, axis=-2))"),
        ("l = sum(np.ones((N, D)) * x)", "l = sum(ones(N, D) * x)"),
    ],
)
def test_spellings_mean_the_same(one, other):
    assert trace(one, **SHAPES).definitions == trace(other, **SHAPES).definitions


def test_numbers_are_exact_and_sizes_are_numbers():
    program = trace("l = 0.1 * sum(x) / N", **SHAPES)
    assert show(program.definitions["l"], {}) == "1/10 * sum(x) / N"
    assert sp.Symbol("N", integer=True, positive=True) in program.definitions["l"].free_symbols


@pytest.mark.parametrize("number", [3.141592653589793, 0.30000000000000004, 1e-300, 2**40])
def test_a_number_keeps_its_last_bit(number):
    value, _ = value_and_grad(trace(f"l = sum(x) * {number}", x=(1, 1)).vjp())(x=[[1.0]])
    assert value == number


def test_long_expressions_get_names_that_are_free():
    program = trace("t1 = x @ W\nl = sum(sigmoid(t1 * 2)**2)", **SHAPES)
    assert list(program.definitions) == ["t1", "t2", "t3", "l"]


def test_a_program_file_declares_shapes_and_assumptions():
    program = read_program(
        "# shapes: z = (N, 3), y = (N, 3)\n# assume: rows_sum_to_one:y\nl = -sum(y * log(softmax(z)))\n"
    )
    assert program.assumptions == ("rows_sum_to_one:y",)
    assert {n: tuple(map(str, s)) for n, s in program.inputs.items()} == {"z": ("N", "3"), "y": ("N", "3")}


@pytest.mark.parametrize(
    "line", ["# shapes: x = (N, D", "# shapes: x (N, D)", "# shapes: x = (N, D) and more"]
)
def test_a_bad_declaration_in_a_program_file_is_refused(line):
    with pytest.raises(ProgramError, match="line 2: write '# shapes"):
        read_program(f"\n{line}\nl = sum(x)")


def test_names_are_those_that_python_reads():
    program = trace("l = sum(ϵ**2) / ﬁ", ϵ=("ﬁ", 1))
    assert list(program.inputs) == ["ε"]
    assert explain(program, "ε", "2*ϵ/fi").agrees


@pytest.mark.parametrize("name", ["a b", "for", "∂l", "", "1x"])
def test_an_input_without_a_name_of_python_is_refused(name):
    with pytest.raises(ProgramError, match=r"^input '.*': a variable has the name of a Python variable"):
        trace("l = 1 * 2", **{name: ("N", 1)})
    with pytest.raises(ShapeError, match="shape of x is"):
        trace("l = sum(x)", x=(name, 1))


def test_sizes_may_be_whole_numbers_of_numpy():
    assert trace("l = sum(x)", x=(np.int64(3), 2)).shapes["x"] == (3, 2)
    with pytest.raises(ShapeError, match="shape of x is"):
        trace("l = sum(x)", x=(np.bool(1), True))


def test_ones_stand_where_they_are_written():
    program = trace("l = ones((1, N)) @ (x * ones((N, D)) * 2) @ ones((D, 1))", **SHAPES)
    assert {name: show(term, {}) for name, term in program.definitions.items()} == {
        "t1": "x * ones((N, D)) * 2",
        "t2": "ones((1, N)) @ t1",
        "l": "t2 @ ones((D, 1))",
    }


def test_products_are_of_variables():
    program = trace("l = sum((x * 2) @ (W + 1) / 3)", **SHAPES)
    assert {name: show(term, {}) for name, term in program.definitions.items()} == {
        "t1": "x * 2",
        "t2": "W + 1",
        "t3": "t1 @ t2",
        "l": "sum(t3 / 3)",
    }
