"""What is wrong with a claim: the smallest change that makes it right, a factor, an assumption, or its shape."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import product

import numpy as np
import sympy as sp

from mlpreport.derivation.backward import Derivation
from mlpreport.derivation.judging import NEARLY, Judge, judges, misfit
from mlpreport.derivation.program import ALL, ONE, Term, build, num

Change = tuple[str, Term]
"""What was changed about a claim, and the changed claim."""

_AXES = {sp.S.Zero: "the batch (axis 0)", ONE: "columns (axis 1)", ALL: "all entries"}
_HALF = sp.S.Half
_POWERS = (sp.S.Zero, -ONE, ONE, -_HALF, _HALF)
_ODD = 1000
"""Denominators up to which a factor is written as a fraction."""


def diagnosis(
    derivation: Derivation, wrt: str, claim: Term, *, found: list[Judge], text: Callable[[Term], str]
) -> str:
    """Say what is wrong with a claim that judges found wrong; `text` prints a term."""
    missing, shape = _addends(derivation[wrt].cotangent), derivation[wrt].shape
    sizes = [*map(num, found[0].sizes)]

    def changes(term: Term) -> Iterator[Change]:
        if term.op == "num":
            yield (
                "a number is no array",
                build("ones", *shape) if term == num(1) else term * build("ones", *shape),
            )
        yield from _changes(term, sizes, text)
        for part in missing if len(missing) > 1 else ():
            added = term - part.operands[0] if part.op == "neg" else term + part
            yield f"the term {text(part)} is missing", added

    once = list(changes(claim))
    pairs = ((what, more, new) for what, old in once for more, new in changes(old))
    twice = ((f"{what}, and {more}", new) for what, more, new in pairs if what != more)
    for tried in (once, twice):
        right = [(what, text(new)) for what, new in tried if all(each.accepts(new) for each in found)]
        if right:
            return "{}: {}.".format(*min(right, key=lambda change: len(change[1])))
    return _other(derivation, wrt, claim, found, text)


def _other(
    derivation: Derivation, wrt: str, claim: Term, found: list[Judge], text: Callable[[Term], str]
) -> str:
    """Say what no small change of the claim mends."""
    for each in found:
        _, problem = each.value(claim)
        if problem:
            return f"{misfit(claim, derivation[wrt].shape) or problem}."
    if factor := _factor(claim, found):
        mended = _times(claim, factor) or num(factor) * claim
        return f"wrong factor, multiply by {text(num(factor))}: {text(mended)}."
    for name, shape in derivation.program.inputs.items():
        if shape[1] != ONE and _right_if_rows_sum_to_one(derivation, wrt, claim, name):
            return f'this is right only if the rows of {name} sum to 1: assume="rows_sum_to_one:{name}".'
    return "the shape is right, the values are not."


def _factor(claim: Term, found: list[Judge]) -> sp.Expr | None:
    """Find a number times powers of sizes that makes a claim right."""
    ratios = []
    for each in found:
        value = np.asarray(each.value(claim)[0])
        at = np.unravel_index(np.abs(each.truth).argmax(), each.truth.shape)
        ratio = each.truth[at] / (value[at] or np.nan)
        if not np.all(np.abs(ratio * value - each.truth) <= NEARLY * np.abs(each.truth).max()):
            return None
        ratios.append(ratio)
    for powers in sorted(product(_POWERS, repeat=len(found[0].sizes)), key=lambda p: sum(map(abs, p))):
        factor = sp.Mul(*(size**power for size, power in zip(found[0].sizes, powers, strict=True)))
        numbers = [r / float(factor.subs(each.sizes)) for r, each in zip(ratios, found, strict=True)]
        if np.ptp(numbers) < NEARLY * abs(numbers[0]):
            exact = sp.Rational(numbers[0]).limit_denominator(_ODD)
            near = abs(exact - numbers[0]) <= NEARLY * abs(numbers[0])
            return factor * (exact if near else sp.Float(numbers[0], 6))
    return None


def _right_if_rows_sum_to_one(derivation: Derivation, wrt: str, claim: Term, name: str) -> bool:
    program = derivation.program
    assumed = replace(program, assumptions=(*program.assumptions, f"rows_sum_to_one:{name}"))
    return all(each.accepts(claim) for each in judges(replace(derivation, program=assumed), wrt))


def _addends(term: Term) -> list[Term]:
    """The terms of a sum, each with its sign."""
    match term:
        case Term("+", (a, b)):
            return [*_addends(a), *_addends(b)]
        case Term("-", (a, b)):
            return [*_addends(a), *map(Term.__neg__, _addends(b))]
    return [term]


def _changes(claim: Term, sizes: list[Term], show: Callable[[Term], str]) -> Iterator[Change]:
    """Yield changes of a whole claim and of its parts, likeliest first; `show` prints a part."""
    yield "the sign is wrong", -claim
    yield "a factor 2 is missing", _times(claim, 1 / _HALF) or num(2) * claim
    yield "there is a factor 2 too many", _times(claim, _HALF) or claim / num(2)
    for size in sizes:
        (n,) = size.parts
        yield f"a division by {show(size)} is missing", _times(claim, 1 / n) or claim / size
        yield f"there is a division by {show(size)} too many", _times(claim, n) or claim * size
    yield "the result must be transposed", claim.T
    for axis, where in _AXES.items():
        yield f"a sum over {where} is missing", build("sum", claim, axis)
    yield from _inside(claim, show)


def _times(term: Term, factor: sp.Expr) -> Term | None:
    """Multiply a number that is there already, if that makes it no longer; None if there is no such number."""
    match term.op, term.operands:
        case "num", _:
            (value,) = term.parts
            return num(value * factor) if sp.count_ops(value * factor) <= sp.count_ops(value) else None
        case "neg" | "T" | "sum" | "mean", (inner,) if new := _times(inner, factor):
            return build(term.op, new, *term.parts[1:])
        case "*" | "@", (a, b):
            if new := _times(a, factor):
                return b if new == num(1) else build(term.op, new, b)
            if new := _times(b, factor):
                return a if new == num(1) else build(term.op, a, new)
        case "/", (a, b):
            if new := _times(b, 1 / factor):
                return a if new == num(1) else a / new
            if new := _times(a, factor):
                return new / b
    return None


def _inside(term: Term, show: Callable[[Term], str]) -> Iterator[Change]:
    for kind in (_sign_or_transpose, _sum, _product):
        yield from kind(term, show)
    for n, part in enumerate(term.args):
        if isinstance(part, Term):
            for what, new in _inside(part, show):
                yield what, Term(*term.args[:n], new, *term.args[n + 1 :])


def _sign_or_transpose(term: Term, show: Callable[[Term], str]) -> Iterator[Change]:
    match term:
        case Term("var"):
            yield f"a transpose of {show(term)} is missing", term.T
        case Term("T", (inner,)):
            yield f"{show(inner)} must not be transposed", inner
        case Term("neg", (inner,)):
            yield "the sign is wrong", inner
        case Term("num", (value,)) if value.could_extract_minus_sign():
            yield "the sign is wrong", num(-value)


def _sum(term: Term, show: Callable[[Term], str]) -> Iterator[Change]:
    match term:
        case Term("+" | "-", (a, b)):
            yield f"the sign of {show(b)} is wrong", a - b if term.op == "+" else a + b
            yield f"the term {show(b)} is too much", a
            yield f"the term {show(a)} is too much", b if term.op == "+" else -b
        case Term("sum" | "mean" | "softmax" | "logsumexp" as op, (inner, _)):
            word = "sum" if op == "logsumexp" else op
            for axis, where in _AXES.items():
                yield f"the {word} must run over {where} only", build(op, inner, axis)


def _product(term: Term, show: Callable[[Term], str]) -> Iterator[Change]:
    match term:
        case Term("@" | "*", (a, b)):
            if term.op == "@":
                yield "the factors stand in the wrong order", b @ a
                yield "the product must be taken entry by entry", a * b
            else:
                yield "this must be a matrix product", a @ b
            for one, other in ((a, b), (b, a)):
                if one.op != "T":
                    moved = f"the transpose {show(one.T)} must stand on the {{}} of a matrix product"
                    yield moved.format("left"), one.T @ other
                    yield moved.format("right"), other @ one.T
