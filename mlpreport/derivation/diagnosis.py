"""What is wrong with a claim: the smallest change that makes it right, a factor, an assumption, or its shape."""

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial
from itertools import chain, product

import numpy as np
import sympy as sp

from mlpreport.derivation.backward import Derivation
from mlpreport.derivation.faults import (
    AXES,
    KINDS,
    Change,
    Derivatives,
    Kind,
    Show,
    another_variable,
    derivatives,
    wrong_derivative,
)
from mlpreport.derivation.judging import NEARLY, Judge, judges, misfit
from mlpreport.derivation.program import ONE, Shape, Term, build, num
from mlpreport.errors import ProgramError

_HALF = sp.S.Half
_POWERS = (0.0, -1.0, 1.0, -0.5, 0.5, -2.0, 2.0)
"""Powers of sizes that wrong factors have."""
_ODD = 1000
"""Denominators up to which a factor is written as a fraction."""


def diagnosis(derivation: Derivation, wrt: str, claim: Term, *, found: list[Judge], text: Show) -> str:
    """Say what is wrong with a claim that judges found wrong; `text` prints a term.

    What the claim has in it comes first, then what it presupposes; terms of the derived gradient mend any claim.
    """
    step = derivation[wrt]
    sizes, known = [*map(num, found[0].sizes)], derivatives(derivation, wrt)
    changes = partial(_changes, shape=step.shape, sizes=sizes, known=known, show=text)
    added = partial(_added, addends=_addends(step.cotangent), show=text)
    own = [*changes(claim), *_changed(claim, [wrong_derivative], known, text)]
    once = [*own, *added(claim)]
    kinds = [another_variable(derivation, wrt)] * (claim.op != "var")
    swapped = _changed(claim, kinds, known, text)

    def mend(*tiers: Iterable[Change], by: list[Judge] = found) -> str:
        for tried in tiers:
            right = [(what, text(new)) for what, new in tried if all(each.accepts(new) for each in by)]
            if right:
                return "{}: {}".format(*min(right, key=lambda change: len(change[1])))
        return ""

    def assumed() -> str:
        for name, judging in _if_rows_sum_to_one(derivation, wrt):
            if all(each.accepts(claim) for each in judging):
                return f'this is right only if the rows of {name} sum to 1: assume="rows_sum_to_one:{name}"'
            if change := mend(own, _factors(claim, judging, text), by=judging):
                return f'if the rows of {name} sum to 1 (assume="rows_sum_to_one:{name}"), {change}'
        return ""

    what = mend(once, swapped, _pairs(own, changes), _factors(claim, found, text))
    what = what or assumed() or mend(_pairs(once, added))
    problems = (misfit(claim, step.shape) or each.value(claim)[1] for each in found)
    return f"{what or next(filter(None, problems), 'the shape is right, the values are not')}."


def _pairs(once: list[Change], changes: Callable[[Term], Iterator[Change]]) -> Iterator[Change]:
    """Change claims a second time, and otherwise; most pairs give the same in either order, which is tried once."""
    met = {old for _, old in once}
    for what, old in once:
        for more, new in changes(old):
            if what != more and new not in met:
                met.add(new)
                yield f"{what}, and {more}", new


def _factors(claim: Term, found: list[Judge], show: Show) -> Iterator[Change]:
    """Multiply a claim, or a term of a sum in it, by what may make it right."""
    for above, part, put in _places(claim):
        if above in {"", "+", "-"} and (factor := _factor(claim, put(num(2) * part), found)):
            divisor = num(1 / factor) if sp.count_ops(1 / factor) < sp.count_ops(factor) else None
            how = f"divide {{}}by {show(divisor)}" if divisor else f"multiply {{}}by {show(num(factor))}"
            whole = f"the factor of {show(part)} is wrong, {how.format('it ')}"
            what = whole if above else f"wrong factor, {how.format('')}"
            mended = _times(part, factor) or (part / divisor if divisor else num(factor) * part)
            yield what, put(mended)


def _factor(claim: Term, doubled: Term, found: list[Judge]) -> sp.Expr | None:
    """Find a number times powers of sizes by which to multiply what was doubled in a claim."""
    strict, ratios = [each for each in found if not each.lenient], []
    for each in strict:
        value, twice = each.value(claim)[0], each.value(doubled)[0]
        if value is None or twice is None:
            return None
        with np.errstate(all="ignore"):  # a claim may overflow
            part = twice - value
            wanted = each.truth - (value - part)
            at = np.unravel_index(np.abs(part).argmax(), part.shape)
            ratios.append(wanted[at] / part[at])
            if not np.all(np.abs(ratios[-1] * part - wanted) <= NEARLY * np.abs(each.truth).max()):
                return None
    for powers in sorted(product(_POWERS, repeat=len(strict[0].sizes)), key=lambda p: sum(map(abs, p))):
        numbers = [
            r / math.prod(map(pow, each.sizes.values(), powers))
            for r, each in zip(ratios, strict, strict=True)
        ]
        if np.ptp(numbers) < NEARLY * abs(numbers[0]):
            exact = sp.Rational(numbers[0]).limit_denominator(_ODD)
            near = abs(exact - numbers[0]) <= NEARLY * abs(numbers[0])
            factor = sp.Mul(*map(pow, strict[0].sizes, map(sp.Rational, powers)))
            return factor * (exact if near else sp.Float(numbers[0], 6))
    return None


def _if_rows_sum_to_one(derivation: Derivation, wrt: str) -> Iterator[tuple[str, list[Judge]]]:
    """Judges for whom the rows of an input sum to 1, for each with more than one column."""
    program = derivation.program
    for name, shape in program.inputs.items():
        assumed = replace(program, assumptions=(*program.assumptions, f"rows_sum_to_one:{name}"))
        if shape[1] != ONE:
            with suppress(ProgramError):  # where the loss is not finite then
                yield name, judges(replace(derivation, program=assumed), wrt)


def _addends(term: Term) -> list[Term]:
    """The terms of a sum, each with its sign."""
    match term:
        case Term("+", (a, b)):
            return [*_addends(a), *_addends(b)]
        case Term("-", (a, b)):
            return [*_addends(a), *map(Term.__neg__, _addends(b))]
    return [term]


def _added(claim: Term, addends: list[Term], show: Show) -> Iterator[Change]:
    """Add a term of the derived gradient, if that has several."""
    for part in addends if len(addends) > 1 else ():
        added = claim - part.operands[0] if part.op == "neg" else claim + part
        yield f"the term {show(part)} is missing", added


def _changes(
    claim: Term, shape: Shape, sizes: list[Term], known: Derivatives, show: Show
) -> Iterator[Change]:
    """Yield changes of a whole claim and of its parts, likeliest first; `show` prints a part."""
    if claim.op == "num":
        ones = build("ones", *shape)
        yield "a number is no array", ones if claim == num(1) else claim * ones
    yield "the sign is wrong", -claim
    yield "a factor 2 is missing", _times(claim, 1 / _HALF) or num(2) * claim
    yield "there is a factor 2 too many", _times(claim, _HALF) or claim / num(2)
    for size in sizes:
        (n,) = size.parts
        yield f"a division by {show(size)} is missing", _times(claim, 1 / n) or claim / size
        yield f"there is a division by {show(size)} too many", _times(claim, n) or claim * size
    yield "the result must be transposed", claim.T
    for axis, where in AXES.items():
        yield f"a sum over {where} is missing", build("sum", claim, axis)
    yield from _changed(claim, KINDS, known, show)


def _changed(claim: Term, kinds: Iterable[Kind], known: Derivatives, show: Show) -> Iterator[Change]:
    """Change each part of a claim in each way."""
    for part, puts in _parts(claim).items():
        for what, new in chain.from_iterable(kind(part, show, known) for kind in kinds):
            yield from ((what, put(new)) for put in puts)


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


def _places(
    term: Term, put: Callable[[Term], Term] = lambda new: new, above: str = ""
) -> Iterator[tuple[str, Term, Callable[[Term], Term]]]:
    """Every part of a term, itself first: the operation in which it stands, and what puts another in its place."""
    yield above, term, put
    for n, part in enumerate(term.args):
        if isinstance(part, Term):
            yield from _places(part, partial(_put, term, n, put), term.op)


def _parts(claim: Term) -> dict[Term, list[Callable[[Term], Term]]]:
    """Every part of a claim once: what puts another in each of its places, and in all of them if there are several."""
    found: dict[Term, list[Callable[[Term], Term]]] = {}
    for _, part, put in _places(claim):
        found.setdefault(part, []).append(put)
    for part, puts in found.items():
        if len(puts) > 1:
            puts.append(partial(_put_everywhere, claim, part))
    return found


def _put_everywhere(claim: Term, part: Term, new: Term) -> Term:
    changed: Term = claim.xreplace({part: new})
    return changed


def _put(term: Term, n: int, put: Callable[[Term], Term], new: Term) -> Term:
    return put(Term(*term.args[:n], new, *term.args[n + 1 :]))
