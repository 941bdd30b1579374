"""Every refusal, word for word: the value, the rule and the remedy, and the source line with its mark."""

import numpy as np
import pytest
import sympy as sp
from derivation.programs import NETWORK, NETWORK_SHAPES

from mlpreport.derivation import (
    elementwise,
    explain,
    prove,
    read_program,
    register_elementwise,
    trace,
    value_and_grad,
)
from mlpreport.derivation.writing import written
from mlpreport.errors import InvalidInputError, ProgramError, ShapeError

FUNCTIONS = "exp, gelu, identity, log, mean, ones, relu, sigmoid, softmax, softplus, sum, tanh"
VARIABLES = "x, W1, b1, W2, b2, y, z1, z2, z3, z4, yhat, l"
STEPS = "l, y, yhat, b2, z4, W2, z3, z2, b1, z1, W1, x"
RESERVED = "exp, len, log, logsumexp, math, max, mean, min, np, ones, range, scipy, softmax, sum, torch, value_and_grad"
PRODUCT = "@ needs as many columns on the left as rows on the right"
NAME = "input 'lambda': a variable has the name of a Python variable, such as x or W1"
DECLARATION = "line 2: write '# shapes: x = (N, D), W1 = (D, H)'"
NO_W1 = f"the program has no variable 'w1' (it has {VARIABLES}); did you mean 'W1'?"
SUMS = "sum, mean and softmax take axis=None, 0 or 1; sum and mean keep the axis"
MAXIMA = "maxima and minima are elementwise only, such as relu; or use register_elementwise"
OPERATIONS = "@ + - * / ** .T, numbers, function calls"
SHAPE = 'write (rows, cols) of names or positive whole numbers, such as ("N", 1)'
DEFINITION = (
    "the definition of 'f' must return a SymPy expression in u alone, with known real functions, "
    "such as 1 / (1 + sympy.exp(-u))"
)
INPUTS = "the Hessian is taken for inputs (x, W1, b1, W2, b2, y)"


@pytest.fixture(scope="module")
def network():
    return trace(NETWORK, **NETWORK_SHAPES).vjp()


@pytest.mark.parametrize(
    ("source", "problem", "place"),
    [
        ("l = sum(x @ W", "not Python syntax ('(' was never closed)", "("),
        ("l = foo(x)", f"unknown function 'foo'; known: {FUNCTIONS}; or use register_elementwise", "foo"),
        ("l = sgmoid(x)", "unknown function 'sgmoid'; did you mean 'sigmoid'?", "sgmoid"),
        ("l = sum(x @ v)", "unknown name 'v'; declare its shape", "v"),
        ("l = sum(w)", "unknown name 'w'; did you mean 'W'?", "w"),
        ("l = q\nq = sum(x)", "unknown name 'q'; is it assigned further down? (no cycles)", "q"),
        ("l = x @ W", "the loss l has shape (N, H); wrap it in mean(…) or sum(…)", "l = x @ W"),
        (
            "l = sum(x @ x)",
            f"{PRODUCT}: (N, D) @ (N, D); transpose one of them with .T",
            "x @ x",
        ),
        ("l = sum(x + W)", "+ needs equal sizes or 1: (N, D) + (D, H); N is not D", "x + W"),
        ("l = sum(x * x.T)", "* needs equal sizes or 1: (N, D) * (D, N); N is not D", "x * x.T"),
        ("x = sum(W)", "'x' has a value already; give the new value a new name", "x"),
        ("l += sum(x)", "only assignments 'name = expression' are in the language", "l += sum(x)"),
        ("l = k = x", "only assignments 'name = expression' are in the language", "l = k = x"),
        (
            "l = sum(x[0])",
            f"Subscript is outside the language ({OPERATIONS})",
            "x[0]",
        ),
        ("l = 1 / 0", "1 / 0 is no finite number; numbers are real and below 1.8e308", "1 / 0"),
        ("l = 2 @ 3", "@ needs arrays; use * with numbers", "2 @ 3"),
        ("l = sum(x @ 2)", "@ needs arrays; use * with numbers", "x @ 2"),
        ("l = 1e400 * sum(x)", "1e400 is no finite number; numbers are real and below 1.8e308", "1e400"),
        ("l = sum(v * v)", "unknown name 'v'; declare its shape", "v"),
        ("l = sum(xx)\nv = xx", "unknown name 'xx'; did you mean 'x'?", "xx"),
        ("l = sum(q); q = x", "unknown name 'q'; is it assigned further down? (no cycles)", "q"),
        ("l = sum(x)/M", "unknown name 'M'; declare its shape (no declared shape has a size M)", "M"),
        ("l = sum(x * ones)", "unknown name 'ones'; write ones(…), as it is a function", "ones"),
        ("l = sum(x + zeros((N, D)))", "unknown function 'zeros'; write 0 * ones((N, 1))", "zeros"),
        ("l = sum(max(x))", f"unknown function 'max'; {MAXIMA}", "max"),
        ("l = sum(np.minimum(x, 0))", f"unknown function 'minimum'; {MAXIMA}", "np.minimum"),
        ("l = sum(np.dot(x, W))", "unknown function 'dot'; write a @ b", "np.dot"),
        ("l = sum(x.matmul(W))", "unknown function 'matmul'; write a @ b", "x.matmul"),
        *(
            (f"l = {text}", f"{text} is outside the language ({OPERATIONS})", text)
            for text in ("x // 2", "tanh'(x) % 2", "True", "2j")
        ),
        (
            "l = sum(x, axis=2)",
            f"sum with these arguments is outside the language: {SUMS}",
            "sum(x, axis=2)",
        ),
        ("l = exp(x, x)", "exp takes one array", "exp(x, x)"),
        ("l = exp()", "exp takes one array", "exp()"),
        ("l = os.exp(sum(x))", "unknown name 'os'; declare its shape", "os"),
        (
            "l = (lambda: 1)()",
            f"unknown function 'lambda: 1'; known: {FUNCTIONS}; or use register_elementwise",
            "lambda: 1",
        ),
        ("l = np.sqrt(x)", "unknown function 'sqrt'; write a**0.5", "np.sqrt"),
        ("l = x.transpose()", "unknown function 'transpose'; write a.T", "x.transpose"),
        ("l = len(x)", "unknown function 'len'; write the size itself, such as N", "len"),
        ("l = x.size", "x.size is outside the language (write the size itself, such as N)", "x.size"),
        (
            "l = sum(x ** W)",
            "an exponent is a number, whole or a fraction; write exp(b * log(a)) for other powers",
            "W",
        ),
        (
            "l = ones((N, 2))",
            "ones takes two sizes that variables have, such as ones((N, 1))",
            "ones((N, 2))",
        ),
        ("l = ones(N)", "ones takes two sizes that variables have, such as ones((N, 1))", "ones(N)"),
        (
            "l = ones((x, D))",
            "ones takes two sizes that variables have, such as ones((N, 1))",
            "ones((x, D))",
        ),
        ("l = sum(log'(x))", 'unknown function "log\'"; write 1/a', "log'"),
        ("l = sum(x.t() @ x)", "unknown function 't'; write a.T", "x.t"),
        (
            "l = sum(x)/x.shape[0]",
            "Subscript is outside the language (write the size itself, such as N)",
            "x.shape[0]",
        ),
        ("l = sum(exp'(x))", 'unknown function "exp\'"; exp is its own derivative, write exp(a)', "exp'"),
        ("größe = ü + sum(x)", "unknown name 'ü'; declare its shape", "ü"),
        ("l = sum(tanh'(x) + tanh''(ü))", "unknown name 'ü'; declare its shape", "ü"),
        ("ä = 1 1", "not Python syntax (invalid syntax)", "1"),
        (f"l = sum({'-' * 400}x)", "this is nested too deeply; give parts of it a name", None),
    ],
)
def test_what_is_outside_the_language_is_said_and_marked(source, problem, place):
    with pytest.raises(InvalidInputError) as caught:
        trace(source, x=("N", "D"), W=("D", "H"))
    first, line, marks = str(caught.value).split("\n")
    assert first == f"line 1: {problem}"
    assert line == "    " + source.split("\n")[0]
    assert marks.strip("^").strip(" ") == ""
    if place is not None:
        assert line[marks.index("^") : len(marks)] == place


def test_a_later_line_that_is_not_python_is_counted_and_marked():
    with pytest.raises(ProgramError) as caught:
        trace("a = x @ W\n\nl = sum(a b)", x=("N", "D"), W=("D", "H"))
    first, line, marks = str(caught.value).split("\n")
    assert first.startswith("line 3: not Python syntax")
    assert line == "    l = sum(a b)"
    assert marks.index("^") == line.index("a b")


def test_the_line_is_counted_and_marked_where_the_problem_is():
    source = "\na = x @ W\n\nl = sum(a) + sum(x @ x)  # the second sum"
    with pytest.raises(ShapeError) as caught:
        trace(source, x=("N", "D"), W=("D", "H"))
    first, line, marks = str(caught.value).split("\n")
    assert first.startswith("line 4: @ needs")
    assert line == "    l = sum(a) + sum(x @ x)  # the second sum"
    assert marks == "    " + " " * 17 + "^^^^^"


def test_a_mark_ends_where_its_line_ends_and_stands_behind_tabs():
    with pytest.raises(ShapeError) as caught:
        trace("l = (\tx @ (x +\n  x))", x=("N", "D"))
    assert str(caught.value).split("\n")[1:] == ["    l = (\tx @ (x +", "         \t^^^^^^^^"]


def test_an_empty_program_is_refused():
    with pytest.raises(ProgramError) as caught:
        trace("", x=("N", "D"))
    assert str(caught.value) == "line 1: the program is empty; its last line assigns the loss\n    \n    ^"


@pytest.mark.parametrize(
    ("shape", "text"),
    [(("N",), "('N',)"), ("XD", "'XD'"), ((0, 2), "(0, 2)"), (("N", "a b"), "('N', 'a b')")],
)
def test_a_bad_shape_names_its_variable(shape, text):
    with pytest.raises(ShapeError) as caught:
        trace("l = sum(x)", x=shape)
    assert str(caught.value) == f"shape of x is {text}: {SHAPE}"


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (
            lambda: trace("l = sum(x)", assume="rows:x", x=("N", "D")),
            "assumption 'rows:x' is unknown; write 'rows_sum_to_one:x'",
        ),
        (
            lambda: trace("l = sum(assume**2)", assume=("N", 1)),
            "assumption 'N' is unknown; write 'rows_sum_to_one:y'",
        ),
        (
            lambda: trace("p = softmax(z)\nl = sum(p)", assume="rows_sum_to_one:p", z=("N", "C")),
            "'p' is computed, not an input; assumptions are about inputs (z)",
        ),
        (
            lambda: read_program("# shapes: x = (N, 1)\n# assume:\nl = sum(x)"),
            "line 2: assumption '' is unknown; write 'rows_sum_to_one:x'\n    # assume:\n    ^^^^^^^^^",
        ),
        (
            lambda: read_program("# shapes: lambda = (N, 1)\nl = sum(x)"),
            f"line 1: {NAME}\n    # shapes: lambda = (N, 1)\n    {'^' * 25}",
        ),
        *(
            (
                lambda assume=assume: trace("l = sum(x)", assume=assume, x=("N", "D")),
                f"assumption {assume!r} is unknown; write 'rows_sum_to_one:x'",
            )
            for assume in (None, 3, "N", "rows_sum_to_one")
        ),
        (
            lambda: trace("l = sum(x)", assume="rows_sum_to_one:X", x=("N", "D")),
            "the program has no variable 'X' (it has x, l); did you mean 'x'?",
        ),
        (
            lambda: read_program("\n  # shapes: x = (N, D\nl = sum(x)"),
            DECLARATION + "\n      # shapes: x = (N, D\n    ^^^^^^^^^^^^^^^^^^^^^",
        ),
    ],
)
def test_a_bad_declaration_is_said(request_, message):
    with pytest.raises(ProgramError) as caught:
        request_()
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (lambda d: d.program.variable("w1"), NO_W1),
        (
            lambda d: d[["W1"]],
            f"the derivation has no step for ['W1'] (it has {STEPS}); use one of these",
        ),
        (lambda d: d["w1"], f"the derivation has no step for 'w1' (it has {STEPS}); did you mean 'W1'?"),
        (lambda d: d.program.hvp(("W1", "z1")), f"'z1' is computed, not an input; {INPUTS}"),
        (lambda d: d.program.hvp(()), f"no variable is named; {INPUTS}"),
        (lambda d: d.program.hvp(3), f"the program has no variable 3 (it has {VARIABLES}); did you mean 'z3'?"),
        (
            lambda d: explain(d.program.jvp(), "W1", "x"),
            "explain takes a program or its vjp; these steps are tangents",
        ),
        (
            lambda d: d.program.jacobian("Z1", "x"),
            f"the program has no variable 'Z1' (it has {VARIABLES}); did you mean 'z1'?",
        ),
        (
            lambda d: d.program.jacobian("z1", "X"),
            f"the program has no variable 'X' (it has {VARIABLES}); did you mean 'x'?",
        ),
        (lambda d: explain(d, "w1", "x"), NO_W1),
        (lambda d: explain(d, ["y"], "x"), f"the program has no variable ['y'] (it has {VARIABLES}); use one of these"),
        (
            lambda d: explain(d, "W1", "2 * dW1"),
            "line 1: dW1 is the gradient that the claim is to give; write it with other cotangents\n    2 * dW1",
        ),
        (
            lambda d: explain(d, "W1", "a = x"),
            "line 1: write the expression alone, without a name and =\n    a = x\n    ^^^",
        ),
        (lambda d: explain(d, "W1", " "), "line 1: there is no expression\n    \n    ^"),
        (lambda d: explain(d, "W1", "x.T @"), "line 1: not Python syntax (invalid syntax)\n    x.T @\n         ^"),
        (
            lambda d: explain(d, "W1", "x.T @ dq"),
            ("line 1: unknown name 'dq'; with this first letter: "
            "dl, dy, dyhat, db2, dz4, dW2, dz3, dz2, db1, dz1, dW1, dx\n    x.T @ dq\n          ^^"),
        ),
        (lambda d: explain(d, "W1", " dw "), "line 1: unknown name 'dw'; did you mean 'dW2'?\n    dw\n    ^^"),
    ],
)  # fmt: skip
def test_what_a_derivation_has_not_is_said(network, request_, message):
    with pytest.raises(ProgramError) as caught:
        request_(network)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (lambda d: value_and_grad(d, "fortran"), "backend 'fortran' is unknown; use 'numpy' or 'torch' or 'numba'"),
        (lambda d: value_and_grad(d, wrt=["W1", "V"]), "'V' has no derivative here (there are x, W1, b1, W2, b2, y)"),
        (lambda d: written(d, "W1", "html"), "form 'html' is unknown; use 'text', 'markdown' or 'latex'"),
        (lambda _: trace(b"l = 1"), "source = b'l = 1': must be text, such as \"l = sum(x**2)\""),
        (lambda _: read_program(None), 'text = None: must be text, such as "l = sum(x**2)"'),
        (lambda d: explain(d, "W1", None), 'claim = None: must be text, such as "x.T @ dz1"'),
        (
            lambda _: explain("l = sum(x)", "x", "1"),
            "program = 'l = sum(x)': give a Program, from trace(source, x=(rows, columns))",
        ),
        (
            lambda d: prove(d.program.jvp()),
            "prove takes the derivation of a vjp or hvp; these steps are tangents",
        ),
        *(
            (
                lambda d, compute=compute: compute(d.program),
                "this takes a derivation, not a Program: write program.vjp()",
            )
            for compute in (value_and_grad, prove)
        ),
        (lambda d: prove(d, Q=2), "the program has no size 'Q' (it has C, D, H, N); use one of these"),
        *(
            (lambda d, n=n: prove(d, N=n), f"N = {n}: must be a whole number of at least 1")
            for n in (0, 1.5, True)
        ),
        (lambda d: value_and_grad(d, ["numpy"]), "backend ['numpy'] is unknown; use 'numpy' or 'torch' or 'numba'"),
        *(
            (lambda d, n=n: value_and_grad(d, wrt=n), f"{m} has no derivative here (there are x, W1, b1, W2, b2, y)")
            for n, m in ((3, 3), ([["W1"]], ["W1"]))
        ),
    ],
)  # fmt: skip
def test_a_request_that_cannot_be_met_is_said(network, request_, message):
    with pytest.raises(InvalidInputError) as caught:
        request_(network)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("name", "definition", "message"),
    [
        (
            "a b",
            lambda u: u,
            f"elementwise name 'a b': use a Python identifier other than {RESERVED}",
        ),
        ("f", lambda u: u["x"], f"{DEFINITION}; it raised TypeError: 'Symbol' object is not subscriptable"),
        ("f", lambda u: u + sp.Symbol("w"), f"{DEFINITION}; it returned u + w"),
        ("f", lambda u: sp.I * u, f"{DEFINITION}; it returned I*u"),
        ("f", lambda u: u / 0, f"{DEFINITION}; it returned zoo*u"),
        ("f", lambda u: u * sp.oo, f"{DEFINITION}; it returned oo*u"),
        ("f", lambda u: u * 0 / sp.S(0), f"{DEFINITION}; it returned nan"),
        (
            "f",
            lambda u: 1 + sp.Piecewise((u, u > 0)),
            "'f': Piecewise((u, u > 0)) has no value elsewhere; end it with a pair (…, True)",
        ),
    ],
)
def test_a_definition_that_cannot_be_used_is_said(name, definition, message):
    with pytest.raises(InvalidInputError) as caught:
        register_elementwise(name, definition)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("name", "hint"),
    [("Sigmoyd", "did you mean 'sigmoid'?"), ("qqq", "define it with register_elementwise")],
)
def test_an_unknown_function_is_told_from_those_known(name, hint):
    with pytest.raises(InvalidInputError) as caught:
        elementwise(name)
    known = "gelu, identity, relu, sigmoid, softplus, tanh"
    assert str(caught.value) == f"activation {name!r} is not registered (known: {known}); {hint}"


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": np.ones((2, 3))}, "inputs are x, b; missing: ['b'], unknown: []"),
        (
            {"x": np.ones((2, 3)), "b": np.ones((1, 3)), "d": 1, "c": 1},
            "inputs are x, b; missing: [], unknown: ['c', 'd']",
        ),
        (
            {"x": np.ones((2, 3)), "B": 1},
            "inputs are x, b; missing: ['b'], unknown: ['B']; did you mean 'b'?",
        ),
        (
            {"x": np.ones((2, 3)), "b": np.ones(3)},
            "b has shape (3,), but arrays have two axes: (1, D); use b.reshape(1, -1)",
        ),
        (
            {"x": np.ones(3), "b": np.ones((1, 3))},
            "x has shape (3,), but arrays have two axes: (N, D); use x.reshape(-1, 1)",
        ),
        (
            {"x": np.ones((1, 2, 3)), "b": np.ones((1, 3))},
            "x has shape (1, 2, 3), but arrays have two axes: (N, D); reshape x to two",
        ),
        ({"x": 1.0, "b": [[1.0]]}, "x has shape (), but arrays have two axes: (N, D); write [[x]]"),
        ({"x": None, "b": [[1.0]]}, "x is no array of real numbers (NoneType is not real)"),
        (
            {"x": np.array([[1j]]), "b": [[1.0]]},
            "x is no array of real numbers (complex128 is not real)",
        ),
        (
            {"x": np.ones((2, 3)), "b": np.ones((1, 4))},
            "b has shape (1, 4), declared (1, D): D is 3, not 4",
        ),
        (
            {"x": np.ones((2, 3)), "b": np.ones((2, 3))},
            "b has shape (2, 3), declared (1, D): 1 is 1, not 2",
        ),
        (
            {"x": "text", "b": np.ones((1, 3))},
            "x is no array of real numbers (could not convert string to float: 'text')",
        ),
    ],
)
def test_arrays_that_do_not_fit_are_said(arrays, message):
    f = value_and_grad(trace("l = sum(x + b)", x=("N", "D"), b=(1, "D")).vjp())
    with pytest.raises(InvalidInputError) as caught:
        f(**arrays)
    assert str(caught.value) == message


def test_a_call_that_failed_does_not_spoil_the_next():
    f = value_and_grad(trace("l = sum(x + b)", x=("N", "D"), b=(1, "D")).vjp())
    for _ in range(2):
        with pytest.raises(ShapeError, match="D is 3, not 4"):
            f(x=np.ones((2, 3)), b=np.ones((1, 4)))
    assert f(x=np.ones((2, 3)), b=np.ones((1, 3)))[0] == 12
    with pytest.raises(InvalidInputError, match=r"unknown: \['c'\]"):
        f(x=np.ones((2, 3)), b=np.ones((1, 3)), c=1)


def test_a_function_redefined_since_is_named():
    derivation = trace("l = sum(tanh(x))", x=("N", "D")).vjp()
    register_elementwise("tanh", lambda u: u)
    with pytest.raises(InvalidInputError) as caught:
        prove(derivation)
    assert str(caught.value) == "tanh was redefined after this derivation; derive the program again"


@pytest.mark.parametrize(
    "source", ["l = x\0", f"l = sum({'-' * 50_000}x)", f"l = {'(' * 300}x{')' * 300}", "\ufeffl = sum(x)"]
)
def test_a_text_that_python_cannot_parse_is_refused(source):
    with pytest.raises(ProgramError, match=r"^line 1: not Python syntax"):
        trace(source, x=("N", "D"))


def test_a_program_in_two_lines_may_end_with_any_line_break():
    program = trace("h = x * 2\r\nl = sum(h)\r\n", x=("N", "D"))
    assert list(program.definitions) == ["h", "l"]


def test_a_declaration_may_stand_anywhere_and_be_repeated():
    text = "# shapes: x=(N,3,), W = (3 , 2)\n#shapes:y = (N, 2)\n# a remark: shapes are declared\n"
    program = read_program(
        f"{text}h = x @ W\n  # assume: rows_sum_to_one:y, rows_sum_to_one:x  \nl = sum(h * y)"
    )
    assert {name: tuple(map(str, shape)) for name, shape in program.inputs.items()} == {
        "x": ("N", "3"),
        "W": ("3", "2"),
        "y": ("N", "2"),
    }
    assert program.assumptions == ("rows_sum_to_one:y", "rows_sum_to_one:x")
    assert program.source.startswith("# shapes: x=(N,3,)")


@pytest.mark.parametrize("line", ["# shapes:", "# shapes: x = (N)", "# shapes: x = (N, D),, W = (D, 1)"])
def test_a_declaration_is_read_whole_or_refused(line):
    with pytest.raises(ProgramError) as caught:
        read_program(f"{line}\nl = sum(x)")
    assert str(caught.value) == f"{DECLARATION.replace('2', '1', 1)}\n    {line}\n    {'^' * len(line)}"


def test_a_declaration_may_be_written_as_people_write():
    program = read_program(
        "# Shapes: x = (N, D),  # the data\n#   W = [D, H],\n"
        "# assume: rows_sum_to_one: x,\n#  rows_sum_to_one:W  # both\n# W = none\nl = sum(x @ W)"
    )
    assert {name: tuple(map(str, shape)) for name, shape in program.inputs.items()} == {
        "x": ("N", "D"),
        "W": ("D", "H"),
    }
    assert program.assumptions == ("rows_sum_to_one:x", "rows_sum_to_one:W")
    given = {"rows_sum_to_one: W", "rows_sum_to_one:x"}
    assert trace("l = sum(x @ W)", assume=given, x=("N", "D"), W=("D", "H")).assumptions == tuple(
        sorted(program.assumptions)
    )


def test_a_shape_declared_twice_is_refused():
    with pytest.raises(ProgramError) as caught:
        read_program("# shapes: x = (N, D)\n# shapes: y = (N, 1), x = (D, 1)\nl = sum(x)")
    line = "# shapes: y = (N, 1), x = (D, 1)"
    rule = "line 2: the shape of x was declared before; leave one of the two"
    assert str(caught.value) == f"{rule}\n    {line}\n    {'^' * len(line)}"


def test_a_name_like_no_other_is_told_which_there_are():
    derivation = trace("l = sum(x)", x=("N", 1)).vjp()
    with pytest.raises(ProgramError, match=r"no variable 'Q' \(it has x, l\); use one of these$"):
        explain(derivation, "Q", "x")
    with pytest.raises(ProgramError, match=r"no step for 'Q' \(it has l, x\); use one of these$"):
        derivation["Q"]
