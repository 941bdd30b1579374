"""Terms in which nothing overflows: functions of exponentials, found as parts of terms, become stable functions."""

from collections.abc import Iterable, Mapping, Sequence
from functools import reduce
from operator import mul

import sympy as sp

from mlpreport.derivation.elementwise import U
from mlpreport.derivation.indices import phi_formula
from mlpreport.derivation.program import ELEMENTWISE, OPERATIONS, Term, build, nodes, num
from mlpreport.derivation.stable import Sigmoid, Softplus, stable

Factor = tuple[Term, int]
"""A term and its power."""


def stabilised(term: Term, definitions: Mapping[str, Term], named: dict[sp.Expr, str]) -> Term:
    """Replace what would overflow: the logarithm of a softmax, and functions of one variable rational in exp."""
    if term.op == "log" and term.operands[0].op == "var":
        inner = definitions.get(term.operands[0].name)
        if inner is not None and inner.op == "softmax":
            return build("log_softmax", *inner.parts)
    if term.op == "/" and term.operands[1].op == "num":
        term = _scaled(term.operands[0], term.operands[1].parts[0]) or term
    mapped = _one_variable(term, definitions, named) or _one_factor(term, definitions, named)
    if mapped is not None:
        return mapped
    return term.rewritten(lambda part: stabilised(part, definitions, named))


def cancelled(term: Term, definitions: Mapping[str, Term]) -> Term:
    """Carry out products with what an addend of a factor is divided by: p * (a / p + b) becomes a + p * b.

    Variables are factors as they are defined. A probability may underflow to 0: a cotangent that is divided by it is
    infinite then, but their product has a value.
    """
    if term.op in {"*", "/"}:
        factors = _factored(term)
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
    product = cancelled(_product(kept), definitions)
    return product if number == 1 else -product if number == -1 else num(number) * product


def affine(definitions: Mapping[str, Term]) -> dict[Term, Term]:
    """Find variables that are another one times a number plus a number, with their definitions."""
    found: dict[Term, Term] = {}
    for name, term in definitions.items():
        if _affine(term)[2].op == "var":
            found[build("var", name, *term.shape)] = term.xreplace(found)
    return found


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
    return [_factored(term)]


def _inverse(one: Factor, other: Factor) -> bool:
    """Whether a power of one thing, up to its sign, multiplies another's inverse."""
    negated = {build("-", *reversed(one[0].operands))} if one[0].op == "-" else set()
    return one[1] * other[1] < 0 and other[0] in {one[0], *negated}


def _scaled(term: Term, divisor: sp.Expr) -> Term | None:
    """Divide the number that a product begins with; None if it begins with none."""
    if term.op == "num":
        return build("num", term.parts[0] / divisor)
    first = _scaled(term.operands[0], divisor) if term.op == "*" else None
    return None if first is None else build("*", first, term.operands[1])


def _one_variable(term: Term, definitions: Mapping[str, Term], named: dict[sp.Expr, str]) -> Term | None:
    """Write an elementwise term in one variable as one stable function, looking through definitions for logarithms."""
    found = _function(term)
    if found is None or not {"exp", "log"} & {t.op for t in nodes(term)}:
        return None
    formula, leaf = found
    composed, at = formula, leaf
    while formula.has(sp.log) and at.op == "var" and at.name in definitions:
        inner = _function(definitions[at.name])
        if inner is None:
            break
        composed, at = stable(composed.subs(U, inner[0]), U), inner[1]
        if composed.has(Softplus) or not composed.has(sp.log):
            return at if composed == U else _mapped(composed, at, named)
    improved = stable(formula, U)
    return _mapped(improved, leaf, named) if improved.has(Sigmoid, Softplus) else None


def _one_factor(term: Term, definitions: Mapping[str, Term], named: dict[sp.Expr, str]) -> Term | None:
    """Write the factors of a product that have exponentials, if they have one variable, as one stable function."""
    factors = _factored(term)
    growing = [(part, power) for part, power in factors if "exp" in {t.op for t in nodes(part)}]
    if not 0 < len(growing) < len(factors):
        return None
    mapped = _one_variable(_product(growing), definitions, named)
    rest = [pair for pair in factors if pair not in growing]
    return None if mapped is None else _product([*rest, (mapped, 1)])


def _factored(term: Term, power: int = 1) -> list[Factor]:
    """Split products and quotients into factors with powers."""
    match term.op, term.operands:
        case "neg", (inner,):
            return [(num((-1) ** power), 1), *_factored(inner, power)]
        case "*" | "/", (a, b):
            return [*_factored(a, power), *_factored(b, power if term.op == "*" else -power)]
        case "**", (base, exponent) if exponent.op == "num" and exponent.parts[0].is_Integer:
            return _factored(base, power * int(exponent.parts[0]))
    return [(term, power)]


def _product(factors: Iterable[Factor]) -> Term:
    above, below = (
        [
            part if abs(power) == 1 else build("**", part, num(abs(power)))
            for part, power in factors
            if sign * power > 0
        ]
        for sign in (1, -1)
    )
    product = reduce(mul, above) if above else num(1)
    return product / reduce(mul, below) if below else product


def _function(term: Term) -> tuple[sp.Expr, Term] | None:
    """Read an elementwise term in one variable, or in one argument of exponentials, as an expression in U."""
    cores = {_affine(t.operands[0])[2] for t in nodes(term) if t.op == "exp"}
    leaves = cores if len(cores) == 1 else {t for t in nodes(term) if t.op == "var"}
    if len(leaves) != 1:
        return None
    (leaf,) = leaves
    formula = _expression(term, leaf)
    return (formula, leaf) if formula is not None and formula.free_symbols == {U} else None


def _expression(term: Term, leaf: Term) -> sp.Expr | None:
    """Write an elementwise term with U for a leaf, which may stand there in other words; None if more is in it."""
    scale, shift, core = _affine(term)
    if core == leaf:
        return scale * U + shift
    if term.op == "num":
        return term.parts[0]
    values = [_expression(part, leaf) for part in term.operands]
    if term.op not in ELEMENTWISE or None in values:
        return None
    return (
        phi_formula(*term.parts[:2]).subs(U, *values) if term.op == "call" else OPERATIONS[term.op](*values)
    )


def _affine(term: Term) -> tuple[sp.Expr, sp.Expr, Term]:
    """Split an argument into a number times a core plus a number."""
    match term.op, term.operands:
        case "neg", (inner,):
            scale, shift, core = _affine(inner)
            return -scale, -shift, core
        case "+" | "-", (a, b) if "num" in {a.op, b.op}:
            sign = 1 if term.op == "+" else -1
            if b.op == "num":
                scale, shift, core = _affine(a)
                return scale, shift + sign * b.parts[0], core
            scale, shift, core = _affine(b)
            return sign * scale, a.parts[0] + sign * shift, core
        case "*" | "/", _:
            return _affine_product(term)
    return sp.S.One, sp.S.Zero, term


def _affine_product(term: Term) -> tuple[sp.Expr, sp.Expr, Term]:
    factors = _factored(term)
    number = sp.Mul(*(part.parts[0] ** power for part, power in factors if part.op == "num"))
    rest = sorted(((part, power) for part, power in factors if part.op != "num"), key=str)
    if len(rest) == 1 and rest[0][1] == 1:
        scale, shift, core = _affine(rest[0][0])
        return number * scale, number * shift, core
    return number, sp.S.Zero, _product(rest)


def _mapped(formula: sp.Expr, operand: Term, named: dict[sp.Expr, str]) -> Term:
    return build("map", named.setdefault(formula, f"stable{len(named) + 1}"), formula, operand)
