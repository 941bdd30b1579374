"""Products carried out: what an addend of one factor is divided by cancels against another factor."""

from collections.abc import Iterable, Mapping, Sequence
from functools import reduce
from operator import mul

import sympy as sp

from mlpreport.derivation.program import Term, build, num

Factor = tuple[Term, sp.Expr | int]
"""A term and its power, a number."""


def cancelled(term: Term, definitions: Mapping[str, Term]) -> Term:
    """Carry out products with what an addend of a factor is divided by: p * (a / p + b) becomes a + p * b.

    Variables are factors as they are defined. A probability may underflow to 0: a cotangent that is divided by it is
    infinite then, but their product has a value.
    """
    if term.op in {"*", "/"}:
        factors = factored(term)
        for n, (part, power) in enumerate(factors):
            rest = [*factors[:n], *factors[n + 1 :]]
            others = _powers(rest, definitions)
            if power == 1 and any(_inverse(a, b) for a in _within(part, definitions) for b in others):
                inner = definitions[part.name] if part.op == "var" else part
                whole = reduce(_plus, (_carried_out([*rest, *more], definitions) for more in _addends(inner)))
                return whole if whole.shape == term.shape else whole * build("ones", *term.shape)
    return term.rewritten(lambda part: cancelled(part, definitions))


def _plus(one: Term, other: Term) -> Term:
    return one - other.operands[0] if other.op == "neg" else one + other


def _carried_out(factors: Iterable[Factor], definitions: Mapping[str, Term]) -> Term:
    """Multiply factors, without those that cancel; numbers come first, as one."""
    kept: list[Factor] = []
    number = sp.S.One
    for part, power in factors:
        other = next((other for other in kept if _inverse((part, power), other)), None)
        if part.op == "num":
            number *= part.parts[0] ** power
        elif other is None:
            kept.append((part, power))
        else:
            kept.remove(other)
            kept += [(other[0], power + other[1])] if power + other[1] else []
            number *= 1 if other[0] == part else (-1) ** power  # of a - b and b - a the sign is left
    rest = cancelled(product(kept), definitions)
    return rest if number == 1 else -rest if number == -1 else num(number) * rest


def _powers(factors: Sequence[Factor], definitions: Mapping[str, Term], depth: int = 2) -> set[Factor]:
    """Collect factors with their powers, and what is within them."""
    found = {pair for pair in factors if pair[0].op not in {"num", "ones"}}
    return found.union(*(_within(part, definitions, depth) for part, power in factors if power == 1))


def _within(term: Term, definitions: Mapping[str, Term], depth: int = 2) -> set[Factor]:
    """Collect what a sum, or a variable's definition, has in all addends, and what some of them are divided by."""
    if term.op == "var" and term.name in definitions and depth:
        term, depth = definitions[term.name], depth - 1
    elif term.op not in {"+", "-"}:
        return set()
    addends = [_powers(factors, definitions, depth) for factors in _addends(term)]
    return set.intersection(*addends) | {pair for pairs in addends for pair in pairs if pair[1] < 0}


def _addends(term: Term) -> list[list[Factor]]:
    """Split a sum into products, each a list of factors with powers."""
    match term.op, term.operands:
        case "+", (a, b):
            return [*_addends(a), *_addends(b)]
        case "-", (a, b):
            return [*_addends(a), *([(num(-1), 1), *factors] for factors in _addends(b))]
    return [factored(term)]


def _inverse(one: Factor, other: Factor) -> bool:
    """Whether a power of one thing, up to its sign, multiplies another's inverse."""
    whole = one[0].op == "-" and all(power == int(power) for power in (one[1], other[1]))
    negated = {build("-", *reversed(one[0].operands))} if whole else set()
    return one[1] * other[1] < 0 and other[0] in {one[0], *negated}


def factored(term: Term, power: int = 1) -> list[Factor]:
    """Split products and quotients into factors with powers."""
    match term.op, term.operands:
        case "neg", (inner,):
            return [(num((-1) ** power), 1), *factored(inner, power)]
        case "*" | "/", (a, b):
            return [*factored(a, power), *factored(b, power if term.op == "*" else -power)]
        case "**", (base, exponent) if exponent.op == "num" and exponent.parts[0].is_Integer:
            return factored(base, power * int(exponent.parts[0]))
        case "**", (base, exponent) if exponent.op == "num" and abs(power) == 1:
            return [(base, power * exponent.parts[0])]
    return [(term, power)]


def product(factors: Iterable[Factor]) -> Term:
    """Multiply factors with positive powers and divide by the others."""
    above, below = (
        [
            part if abs(power) == 1 else build("**", part, num(abs(power)))
            for part, power in factors
            if sign * power > 0
        ]
        for sign in (1, -1)
    )
    numerator = reduce(mul, above) if above else num(1)
    return numerator / reduce(mul, below) if below else numerator
