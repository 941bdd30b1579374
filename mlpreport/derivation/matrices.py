"""Recognition: an index formula with two free indices becomes a matrix expression."""

from functools import reduce
from operator import add, mul, sub

import sympy as sp

from mlpreport.derivation.indices import Phi, collapse, outer_sum, outermost
from mlpreport.derivation.program import ALL, ONE, Term, build, num
from mlpreport.errors import ProgramError

COTANGENT = "∂"
"""First character of the names of cotangents."""


def recognise(formula: sp.Expr, lhs: sp.Indexed) -> Term:
    """Find the matrix expression, shaped like the variable of `lhs`, whose entry `lhs` is the (tidy) formula.

    Raises
    ------
    ProgramError
        If there is none in the language.
    """
    term, shape = _matrix(formula, *lhs.indices), tuple(lhs.base.shape)
    if term.shape == shape:
        return term
    ones = build("ones", *shape)
    return ones if term == num(1) else term * ones


def whole(e: sp.Indexed) -> Term:
    """Give the variable that an entry belongs to."""
    return build("var", str(e.base), *e.base.shape)


def tidy(formula: sp.Expr) -> sp.Expr:
    """Write a formula with fewest operations: as it is, with common factors outside, or as one fraction."""
    if isinstance(formula, sp.Indexed) or not formula.args:
        return formula
    formula = formula.xreplace({s: collapse(sp.Sum(tidy(s.function), *s.limits)) for s in outermost(formula)})
    if not formula.has(sp.Add):
        return formula
    atoms = sorted(outermost(formula) | formula.atoms(sp.Indexed, sp.Function), key=sp.default_sort_key)
    names = {atom: sp.Dummy() for atom in atoms}
    plain = formula.xreplace(names)
    candidates = [sp.factor_terms(plain), plain]
    if plain.is_rational_function(*names.values()):
        candidates.append(sp.factor_terms(sp.cancel(plain)))
    return min(candidates, key=sp.count_ops).xreplace({mark: atom for atom, mark in names.items()})


def _matrix(e: sp.Expr, r: sp.Expr, c: sp.Expr) -> Term:
    if not e.has(sp.Indexed, sp.Sum):
        return num(e)
    if isinstance(e, sp.Indexed):
        return _variable(e, r, c)
    if isinstance(e, sp.Sum):
        return _contraction(e, r, c)
    if e.is_Add:
        common, rest = e.primitive()  # SymPy writes 2*(a - b) as 2*a - 2*b
        if _numbers(rest) < _numbers(e):
            return num(common) * _matrix(rest, r, c)
        return _addition([_matrix(part, r, c) for part in e.args])
    if e.is_Mul or (e.is_Pow and e.exp.could_extract_minus_sign()):
        return _fraction(e, r, c)
    if e.is_Pow:
        return build("**", _matrix(e.base, r, c), num(e.exp))
    operation = ("call", str(e.args[0]), e.args[1]) if isinstance(e, Phi) else (e.func.__name__,)
    return build(*operation, _matrix(e.args[-1], r, c))


def _numbers(total: sp.Expr) -> int:
    """Count the terms of a sum that have a number in front, or are one."""
    return sum(abs(part.as_coeff_Mul()[0]) != 1 for part in total.args)


def _variable(e: sp.Indexed, r: sp.Expr, c: sp.Expr) -> Term:
    if not set(e.indices) <= {r, c, ONE}:
        message = f"{e} has no place in a matrix with rows {r} and columns {c}"
        raise ProgramError(message)
    return whole(e) if e.indices[0] in (r, ONE) and e.indices[1] in (c, ONE) else whole(e).T


def _addition(terms: list[Term]) -> Term:
    """Add, positive terms first; a term with a minus sign is subtracted."""
    terms = sorted(map(_subtracted, terms), key=_reading_order)
    positive = [term for term in terms if term.op != "neg"]
    negative = [term.operands[0] for term in terms if term.op == "neg"]
    return reduce(sub, negative, reduce(add, positive)) if positive else -reduce(add, negative)


def _subtracted(term: Term) -> Term:
    """Write a negative number as minus a number."""
    negative = term.op == "num" and term.parts[0].could_extract_minus_sign()
    return -num(-term.parts[0]) if negative else term


def _reading_order(term: Term) -> tuple[bool, bool, bool, int, str]:
    """Numbers come first, then cotangents, then variables, then longer parts."""
    text = str(term)
    return term.op == "neg", term.op != "num", COTANGENT not in text, len(text), text


def _fraction(e: sp.Expr, r: sp.Expr, c: sp.Expr) -> Term:
    """Multiply: sign, number, factors, over what stands below the line."""
    numerator, denominator = sp.fraction(e, exact=True)
    coefficient, rest = numerator.as_coeff_Mul()
    quotient = _product(abs(coefficient), rest, r, c)
    if denominator != 1:
        number, below = denominator.as_coeff_Mul()
        quotient /= _product(number, below, r, c)
    return -quotient if coefficient < 0 else quotient


def _product(number: sp.Expr, rest: sp.Expr, r: sp.Expr, c: sp.Expr) -> Term:
    """Multiply a number and factors; a column times a row, which broadcast, is the matrix product that it is."""
    sizes, rest = rest.as_independent(sp.Indexed, sp.Sum, as_Add=False)
    scale = number * sizes
    factors = [_matrix(f, r, c) for f in sp.Mul.make_args(rest) if f != 1]
    terms = sorted(factors if scale == 1 and factors else [num(scale), *factors], key=_reading_order)
    columns = [term for term in terms if term.shape[0] != 1 == term.shape[1]]
    rows = [term for term in terms if term.shape[0] == 1 != term.shape[1]]
    if columns and rows:
        outer = reduce(mul, columns) @ reduce(mul, rows)
        terms = [*(term for term in terms if term not in columns + rows), outer]
    return reduce(mul, terms)


def _contraction(e: sp.Sum, r: sp.Expr, c: sp.Expr) -> Term:
    """Turn a sum over k into a product of what holds (r, k) and (k, c), or into a sum along an axis."""
    body, k, size = outer_sum(e)
    groups = dict.fromkeys([(True, False), (False, True), (False, False), (True, True)], sp.S.One)
    for factor in sp.Mul.make_args(body):
        if factor.is_Add and r != c and factor.free_symbols >= {r, k, c}:
            return _matrix(collapse(sp.Sum(sp.expand_mul(body), (k, 1, size))), r, c)
        groups[r in factor.free_symbols, c in factor.free_symbols] *= factor
    left, right, shared, linked = groups.values()
    if linked != 1:
        message = f"a sum over three linked indices has no matrix form: {e}"
        raise ProgramError(message)
    if left == right == 1:
        inner = _matrix(shared, k, ONE)
        return build("sum", inner.operands[0] if inner.op == "sum" else inner, ALL)
    if shared == right == 1:
        return build("sum", _matrix(left, r, k), ONE)
    if shared == left == 1:
        return build("sum", _matrix(right, k, c), 0)
    first, second = (left, shared) if right == 1 else (left * shared, right)
    return _matrix(first, r, k) @ _matrix(second, k, c)
