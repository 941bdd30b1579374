"""Each layer of a proof counts what it compares, and sees a fault that is hidden where numbers agree by accident."""

from dataclasses import replace

import pytest
import sympy as sp
from cases import one_in

from mlpreport.derivation import prove, trace
from mlpreport.derivation.backward import cotangent
from mlpreport.derivation.program import build, num


def with_cotangent(derivation, name, term):
    """Replace one cotangent, in its step and in the backward program."""
    key = cotangent(derivation.program.loss, name)
    definitions = {**derivation.backward.definitions, key: term}
    steps = dict(derivation.steps) | {name: replace(derivation[name], cotangent=term)}
    return replace(derivation, steps=steps, backward=replace(derivation.backward, definitions=definitions))


def with_line(derivation, name, rule, **changed):
    """Replace a part of the first line by a rule."""
    lines = list(derivation[name].lines)
    at = next(n for n, line in enumerate(lines) if line.rule == rule)
    lines[at] = replace(lines[at], **changed)
    steps = dict(derivation.steps) | {name: replace(derivation[name], lines=tuple(lines))}
    return replace(derivation, steps=steps)


def failures(proof):
    return [check.failures for check in proof.checks]


def test_a_proof_says_what_it_compared():
    derivation = trace("h = tanh(x @ W)\nl = sum(h**2)/N", x=("N", "D"), W=("D", 1)).vjp()
    entries = "matrix forms against the derivative of the fully expanded loss, exact in a finite field"
    raw = "matrix forms against the raw chain rule, sizes symbolic, exact in a finite field"
    assert str(prove(derivation, N=3, D=2)) == "\n".join(
        (
            "proved",
            f"symbolic sizes: {raw}: 5 comparisons: holds",
            f"entrywise: {entries}: 15 comparisons: holds",  # x 6, W 2, t1 3, h 3, l 1
            "numeric: compiled code against torch.autograd and the complex step: 17 comparisons: holds",
            f"lines: both sides of every line at every index: {count_of_lines(derivation)} comparisons: holds",
        )
    )
    twice = with_cotangent(derivation, "W", 2 * derivation["W"].cotangent)
    assert str(prove(twice, N=3, D=2)).splitlines()[:4] == [
        "not proved",
        f"symbolic sizes: {raw}: 5 comparisons: FAILS for W",
        f"entrywise: {entries}: 15 comparisons: FAILS for W",
        "numeric: compiled code against torch.autograd and the complex step: 17 comparisons: FAILS for W",
    ]


def count_of_lines(derivation):
    """Entries of every line for N = 3, D = 2: of both indices, or of the argument of a function's own line."""
    sizes = {"N": 3, "D": 2, "1": 1}
    total = 0
    for step in derivation.steps.values():
        for line in step.lines:
            if line.rule == "derivative of a function":
                total += 9
                continue
            if line.rule == "matrix form":
                total += sizes[str(step.shape[0])] * sizes[str(step.shape[1])]
                continue
            entries = line.lhs.atoms(sp.Indexed) | line.rhs.atoms(sp.Indexed)
            free = line.lhs.free_symbols | line.rhs.free_symbols
            axes = {
                k: size for e in entries for k, size in zip(e.indices, e.base.shape, strict=True) if k in free
            }
            product = 1
            for size in axes.values():
                product *= sizes[str(size)]
            total += product
    return total


def test_two_inputs_of_one_shape_are_told_apart():
    derivation = trace("l = sum(x * y)", x=("N", "D"), y=("N", "D")).vjp()
    x = derivation.program.variable("x")
    wrong = with_cotangent(derivation, "x", x)
    assert failures(prove(wrong))[:3] == [("x",), ("x",), ("x",)]


@pytest.mark.parametrize("other", ["a.T", "sum of rows", "sum of columns", "one row", "one size"])
def test_entries_of_one_input_and_sizes_are_told_apart(other):
    derivation = trace("l = sum(a * a)/N + sum(a)/D", a=("N", "D")).vjp()
    square = trace("l = sum(a * a)", a=("N", "N")).vjp()
    a, right = derivation.program.variable("a"), derivation["a"].cotangent
    N, D = derivation.program.shapes["a"]
    wrong = {
        "a.T": lambda: with_cotangent(square, "a", 2 * square.program.variable("a").T),
        "sum of rows": lambda: with_cotangent(
            derivation, "a", right + build("sum", a, 0) - build("sum", a, 1)
        ),
        "sum of columns": lambda: with_cotangent(
            derivation, "a", build("mean", right, 1) * build("ones", N, D)
        ),
        "one row": lambda: with_cotangent(derivation, "a", build("mean", right, 0) * build("ones", N, D)),
        "one size": lambda: with_cotangent(derivation, "a", right * num(N / D)),
    }[other]()
    assert all(failures(prove(wrong, N=3) if other == "a.T" else prove(wrong, N=2, D=3))[:3])


def test_a_size_in_place_of_another_is_seen_even_where_they_are_equal():
    derivation = trace("l = sum(a)/N + sum(a)/D", a=("N", "D")).vjp()
    N, D = derivation.program.shapes["a"]
    wrong = with_cotangent(derivation, "a", num(2 / N) * build("ones", N, D))
    assert failures(prove(wrong, N=2, D=2)) == [("a",), (), (), ()]
    assert failures(prove(wrong, N=2, D=3))[:3] == [("a",), ("a",), ("a",)]


@pytest.mark.parametrize(
    ("name", "rule"),
    one_in(
        2,
        [
            ("W", "definition"),
            ("W", "chain rule"),
            ("W", "coordinate rule"),
            ("W", "collapse"),
            ("W", "substitution"),
            ("W", "matrix form"),
            ("t1", "outer function"),
            ("t1", "derivative of a function"),
            ("t1", "own value"),
            ("h", "power rule"),
            ("l", "seed"),
        ],
    ),
)
def test_a_line_that_is_wrong_is_named(name, rule):
    derivation = trace("h = tanh(x @ W)\nl = sum(h**2)/N", x=("N", "D"), W=("D", 1)).vjp()
    line = next(line for line in derivation[name].lines if line.rule == rule)
    lied = with_line(derivation, name, rule, rhs=2 * line.rhs)
    assert failures(prove(lied)) == [(), (), (), (f"{name} ({rule})",)]


def test_an_index_in_the_wrong_place_makes_a_line_wrong():
    derivation = trace("l = sum(x @ W)", x=("N", "N"), W=("N", "N")).vjp()
    line = next(line for line in derivation["W"].lines if line.rule == "substitution")
    p, q = line.lhs.indices
    moved = {p: q, q: p}
    swapped = with_line(derivation, "W", "substitution", rhs=line.rhs.xreplace(moved))
    assert failures(prove(swapped, N=3))[3] == ("W (substitution)",)


def test_a_proof_of_a_program_with_numbers_for_sizes_uses_them():
    derivation = trace("l = sum(tanh(x))", x=(2, 3)).vjp()
    assert [check.comparisons for check in prove(derivation).checks[:3]] == [3, 13, 13]


def test_odd_roots_are_those_whose_powers_give_back_the_number():
    derivation = trace("r = (x**2 + 1)**(1/3)\nl = sum(r**4)", x=("N", 1)).vjp()
    assert prove(derivation, N=1)


@pytest.mark.thorough
def test_functions_with_a_kink_and_roots_are_proved_exactly():
    for source in (
        "l = sum(relu(x)**2)",
        "l = sum((x*x)**0.5)",
        "l = sum((1 + x**2)**-1.5)",
        "l = sum(x**0.25)",
    ):
        assert prove(trace(source, x=("N", "D")).vjp(), N=2, D=1)
