"""Terms in which nothing overflows: functions of exponentials, found as parts of terms, become stable functions."""

from collections.abc import Mapping
from functools import reduce
from operator import add

import sympy as sp

from mlpreport.derivation.cancelling import factored, product
from mlpreport.derivation.elementwise import U
from mlpreport.derivation.indices import phi_formula
from mlpreport.derivation.program import ELEMENTWISE, OPERATIONS, Term, build, nodes, num
from mlpreport.derivation.stable import Sigmoid, Softplus, stable


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
    term = _split_logarithm(term, definitions) or term
    return term.rewritten(lambda part: stabilised(part, definitions, named))


def affine(definitions: Mapping[str, Term]) -> dict[Term, Term]:
    """Find variables that are another one times a number plus a number, with their definitions."""
    found: dict[Term, Term] = {}
    for name, term in definitions.items():
        if _affine(term)[2].op == "var":
            found[build("var", name, *term.shape)] = term.xreplace(found)
    return found


def _scaled(term: Term, divisor: sp.Expr) -> Term | None:
    """Divide the number that a product begins with; None if it begins with none."""
    if term.op == "num":
        return build("num", term.parts[0] / divisor)
    first = _scaled(term.operands[0], divisor) if term.op == "*" else None
    return None if first is None else build("*", first, term.operands[1])


def _one_variable(term: Term, definitions: Mapping[str, Term], named: dict[sp.Expr, str]) -> Term | None:
    """Write an elementwise term in one variable as one stable function, looking through definitions for logarithms."""
    found, operations = _function(term), {t.op for t in nodes(term)}
    if found is None or not {"exp", "log"} & operations:
        return None
    formula, leaf = found
    composed, at = formula, leaf
    while formula.has(sp.log) and at.op == "var" and at.name in definitions:
        inner = _function(definitions[at.name])
        if inner is None:
            break
        composed, at = stable(composed.subs(U, inner[0]), U), inner[1]
        if composed.has(Softplus) or not composed.has(sp.log):
            return _mapped(composed, at, named)
    improved = stable(formula, U)
    gone = "log" in operations and not improved.has(sp.log)
    return _mapped(improved, leaf, named) if gone or improved.has(Sigmoid, Softplus) else None


def _one_factor(term: Term, definitions: Mapping[str, Term], named: dict[sp.Expr, str]) -> Term | None:
    """Write the factors of a product that have exponentials, if they have one variable, as one stable function."""
    factors = factored(term)
    growing = [(part, power) for part, power in factors if "exp" in {t.op for t in nodes(part)}]
    if not 0 < len(growing) < len(factors):
        return None
    mapped = _one_variable(product(growing), definitions, named)
    rest = [pair for pair in factors if pair not in growing]
    return None if mapped is None else product([*rest, (mapped, 1)])


def _split_logarithm(term: Term, definitions: Mapping[str, Term]) -> Term | None:
    """Write the logarithm of a product as a sum, with an addend for each factor that may underflow."""
    factors = factored(term.operands[0]) if term.op == "log" else []
    tiny = [pair for pair in factors if _probability(pair[0], definitions)]
    if not tiny or factors == [(term.operands[0], 1)]:
        return None
    numbers = [pair for pair in factors if pair[0].op == "num" and pair[0].parts[0].is_positive]
    rest = [pair for pair in factors if pair not in tiny + numbers]
    addends = [num(power) * build("log", part) for part, power in tiny]
    addends += [num(power * sp.log(part.parts[0])) for part, power in numbers]
    return reduce(add, [*addends, build("log", product(rest))] if rest else addends)


def _probability(term: Term, definitions: Mapping[str, Term]) -> bool:
    """Whether a variable is defined as a softmax, or as a positive function with an exponential."""
    inner = definitions.get(term.name, term) if term.op == "var" else term
    if inner.op == "softmax":
        return True
    found = _function(inner)
    return found is not None and found[0].has(sp.exp) and bool(found[0].is_positive)


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
    factors = factored(term)
    number = sp.Mul(*(part.parts[0] ** power for part, power in factors if part.op == "num"))
    rest = sorted(((part, power) for part, power in factors if part.op != "num"), key=str)
    if len(rest) == 1 and rest[0][1] == 1:
        scale, shift, core = _affine(rest[0][0])
        return number * scale, number * shift, core
    return number, sp.S.Zero, product(rest)


def _mapped(formula: sp.Expr, operand: Term, named: dict[sp.Expr, str]) -> Term:
    if formula == U:
        return operand
    return build("map", named.setdefault(formula, f"stable{len(named) + 1}"), formula, operand)
