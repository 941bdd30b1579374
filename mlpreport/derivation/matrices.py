"""Recognition: an index formula with two free indices becomes a matrix expression."""

from functools import reduce

import sympy as sp

from mlpreport.derivation.indices import Phi, collapse, outer_sum
from mlpreport.derivation.terms import ALL, ONE, Shape, Term, build, num, transpose
from mlpreport.errors import ProgramError

COTANGENT = "∂"
"""First character of the names of cotangents."""


def recognise(formula: sp.Expr, r: sp.Expr, c: sp.Expr, shapes: dict[str, Shape], shape: Shape) -> Term:
    """Find the matrix expression of the given shape whose entry [r, c] is the (tidy) formula.

    Raises
    ------
    ProgramError
        If there is none in the language.
    """
    r, c = ONE if shape[0] == 1 else r, ONE if shape[1] == 1 else c
    term = _matrix(formula, r, c, shapes)
    if term.shape == shape:
        return term
    ones = build("ones", *shape)
    return ones if term == num(1) else build("*", term, ones)


def tidy(formula: sp.Expr) -> sp.Expr:
    """Write a formula with fewest operations: as it is, with common factors outside, or as one fraction."""
    if isinstance(formula, sp.Indexed) or not formula.args:
        return formula
    sums = {s: collapse(sp.Sum(tidy(s.function), *s.limits)) for s in _outer_sums(formula)}
    formula = formula.xreplace(sums)
    if not formula.has(sp.Add):
        return formula
    atoms = _outer_sums(formula) | formula.atoms(sp.Indexed, sp.Function)
    names = {atom: sp.Dummy() for atom in sorted(atoms, key=sp.default_sort_key)}
    plain = formula.xreplace(names)
    candidates = [sp.factor_terms(plain), plain]
    if plain.is_rational_function(*names.values()):
        candidates.append(sp.factor_terms(sp.cancel(plain)))
    return min(candidates, key=sp.count_ops).xreplace({mark: atom for atom, mark in names.items()})


def _outer_sums(formula: sp.Expr) -> set[sp.Sum]:
    if isinstance(formula, sp.Sum):
        return {formula}
    return set().union(*map(_outer_sums, formula.args)) if formula.has(sp.Sum) else set()


def _matrix(e: sp.Expr, r: sp.Expr, c: sp.Expr, shapes: dict[str, Shape]) -> Term:
    if not e.has(sp.Indexed, sp.Sum):
        return num(e)
    if isinstance(e, sp.Indexed):
        return _entry(e, r, c, shapes)
    if isinstance(e, sp.Sum):
        return _contraction(e, r, c, shapes)
    if e.is_Add:
        common, rest = e.primitive()  # SymPy writes 2*(a - b) as 2*a - 2*b
        if common != 1:
            return build("*", num(common), _matrix(rest, r, c, shapes))
        return _addition([_matrix(part, r, c, shapes) for part in e.args])
    if e.is_Mul or (e.is_Pow and e.exp.could_extract_minus_sign()):
        return _fraction(e, r, c, shapes)
    if e.is_Pow:
        return build("**", _matrix(e.base, r, c, shapes), num(e.exp))
    if isinstance(e, Phi):
        return build("call", str(e.args[0]), e.args[1], _matrix(e.args[2], r, c, shapes))
    return build("call", type(e).__name__, 0, _matrix(e.args[0], r, c, shapes))


def _entry(e: sp.Indexed, r: sp.Expr, c: sp.Expr, shapes: dict[str, Shape]) -> Term:
    name = str(e.base.label)
    variable = build("var", name, *shapes[name])
    allowed = {r, c, ONE}
    if not set(e.indices) <= allowed:
        message = f"{e} has no place in a matrix with rows {r} and columns {c}"
        raise ProgramError(message)
    upright = e.indices[0] in (r, ONE) and e.indices[1] in (c, ONE)
    return variable if upright else transpose(variable)


def _addition(terms: list[Term]) -> Term:
    """Add, positive terms first; a term with a minus sign is subtracted."""
    terms = sorted(terms, key=_reading_order)
    positive = [term for term in terms if term.op != "neg"]
    negative = [term.operands[0] for term in terms if term.op == "neg"]
    if not positive:
        return build("neg", reduce(lambda a, b: build("+", a, b), negative))
    return reduce(lambda a, b: build("-", a, b), negative, reduce(lambda a, b: build("+", a, b), positive))


def _reading_order(term: Term) -> tuple[bool, bool, bool, str]:
    """Numbers come first, then cotangents, then variables, then longer parts."""
    text = str(term)
    return term.op == "neg", term.op != "num", COTANGENT not in text, f"{len(text):05d}{text}"


def _fraction(e: sp.Expr, r: sp.Expr, c: sp.Expr, shapes: dict[str, Shape]) -> Term:
    """Multiply: sign, number, factors, over what stands below the line."""
    numerator, denominator = sp.fraction(e, exact=True)
    coefficient, rest = numerator.as_coeff_Mul()
    above = _product(abs(coefficient), rest, r, c, shapes)
    below_number, below = denominator.as_coeff_Mul()
    quotient = above if denominator == 1 else build("/", above, _product(below_number, below, r, c, shapes))
    return build("neg", quotient) if coefficient < 0 else quotient


def _product(number: sp.Expr, rest: sp.Expr, r: sp.Expr, c: sp.Expr, shapes: dict[str, Shape]) -> Term:
    sizes = sp.Mul(*(f for f in sp.Mul.make_args(rest) if not f.has(sp.Indexed, sp.Sum)))
    factors = [_matrix(f, r, c, shapes) for f in sp.Mul.make_args(rest) if f.has(sp.Indexed, sp.Sum)]
    terms = _outer(sorted(factors, key=_reading_order))
    scale = number * sizes
    return reduce(lambda a, b: build("*", a, b), terms if scale == 1 and terms else [num(scale), *terms])


def _outer(terms: list[Term]) -> list[Term]:
    """Write a column times a row, which broadcast, as the matrix product that it is."""
    columns = [term for term in terms if term.shape[0] != 1 and term.shape[1] == 1]
    rows = [term for term in terms if term.shape[0] == 1 and term.shape[1] != 1]
    if not columns or not rows:
        return terms
    left, right = (reduce(lambda a, b: build("*", a, b), group) for group in (columns, rows))
    return [term for term in terms if term not in columns + rows] + [build("@", left, right)]


def _contraction(e: sp.Sum, r: sp.Expr, c: sp.Expr, shapes: dict[str, Shape]) -> Term:
    """Turn a sum over k into a product of what holds (r, k) and (k, c), or into a sum along an axis."""
    body, k, size = outer_sum(e)
    groups: dict[tuple[bool, bool], list[sp.Expr]] = {}
    for factor in sp.Mul.make_args(body):
        free = _free(factor)
        if free >= {r, k, c} and r != c and factor.is_Add:
            spread = collapse(sp.Sum(sp.expand_mul(body), (k, 1, size)))
            return _matrix(spread, r, c, shapes)
        groups.setdefault((r in free, c in free), []).append(factor)
    if (True, True) in groups:
        message = f"a sum over three linked indices has no matrix form: {e}"
        raise ProgramError(message)
    left, right, shared = (
        sp.Mul(*groups.get(key, [])) for key in ((True, False), (False, True), (False, False))
    )
    if left != 1 and right != 1:
        return build("@", _matrix(left * shared, r, k, shapes), _matrix(right, k, c, shapes))
    if left != 1:
        if shared != 1:
            return build("@", _matrix(left, r, k, shapes), _matrix(shared, k, ONE, shapes))
        return build("sum", _matrix(left, r, k, shapes), ONE)
    if right != 1:
        if shared != 1:
            return build("@", _matrix(shared, ONE, k, shapes), _matrix(right, k, c, shapes))
        return build("sum", _matrix(right, k, c, shapes), sp.S.Zero)
    inner = _matrix(shared, k, ONE, shapes)
    return build("sum", inner.operands[0] if inner.op == "sum" else inner, ALL)


def _free(e: sp.Expr) -> set[sp.Expr]:
    """Indices that are free in a formula."""
    return {s for s in e.free_symbols if isinstance(s, sp.Dummy)}
