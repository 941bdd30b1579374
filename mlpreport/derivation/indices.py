"""Index formulas: the entry of a term as a SymPy expression, its derivative, and the collapse of Kronecker deltas.

Indices are dummies, so no sum can capture another's index; they run from 1. Entries are `Indexed` symbols.
"""

from collections.abc import Callable, Iterator

import sympy as sp

from mlpreport.derivation.elementwise import H, U, elementwise
from mlpreport.derivation.terms import ALL, ARITHMETIC, ONE, Shape, Term

Own = Callable[[sp.Expr, sp.Expr], sp.Expr]
"""Gives the entry of a node's value at two indices."""


class Phi(sp.Function):  # type: ignore[misc]
    """A registered function, by name, differentiated `order` times, at an entry; its definition is looked up."""

    nargs = 3

    @classmethod
    def eval(cls, name: sp.Symbol, order: sp.Integer, _argument: sp.Expr) -> sp.Expr | None:
        """Replace constant derivatives by their number."""
        formula = phi_formula(name, order)
        return formula if order > 0 and formula.is_number else None

    def fdiff(self, argindex: int = 3) -> sp.Expr:
        """Differentiate once more with respect to the entry."""
        name, order, argument = self.args
        return Phi(name, order + argindex - 2, argument)

    def formula(self) -> sp.Expr:
        """Write out the definition, or its derivative, at the argument."""
        return phi_formula(*self.args[:2]).subs(U, self.args[2])


class Partial(sp.Expr):  # type: ignore[misc]
    """The derivative of an index formula with respect to an entry, written down but not carried out."""


def phi_formula(name: sp.Symbol, order: int) -> sp.Expr:
    """Definition of a registered function, differentiated `order` times, in `U`."""
    return (
        sp.diff(elementwise(str(name)).expression, U, int(order))
        if order
        else elementwise(str(name)).expression
    )


def index(letter: str) -> sp.Dummy:
    """Make a fresh index."""
    return sp.Dummy(letter, integer=True, positive=True)


def cell(name: str, shape: Shape, i: sp.Expr, j: sp.Expr) -> sp.Indexed:
    """Make the entry [i, j] of a variable; along an axis of size 1 the index is 1."""
    return sp.IndexedBase(name)[ONE if shape[0] == 1 else i, ONE if shape[1] == 1 else j]


def total(function: Callable[[sp.Expr], sp.Expr], size: sp.Expr) -> sp.Expr:
    """Sum a function of a fresh index from 1 to size."""
    k = index("k")
    return function(ONE) if size == 1 else sp.Sum(function(k), (k, 1, size))


def entry(term: Term, i: sp.Expr, j: sp.Expr) -> sp.Expr:
    """Index formula of the entry [i, j] of a term."""
    op, parts, shape = term.op, term.parts, term.shape
    i, j = ONE if shape[0] == 1 else i, ONE if shape[1] == 1 else j
    if op == "var":
        return cell(term.name, shape, i, j)
    if op in {"num", "ones"}:
        return parts[0] if op == "num" else sp.S.One
    if op == "T":
        return entry(parts[0], j, i)
    if op == "@":
        return total(lambda k: entry(parts[0], i, k) * entry(parts[1], k, j), parts[0].shape[1])
    if op in {"sum", "mean", "softmax", "logsumexp"}:
        return _reduction(op, parts[0], parts[-1], i, j)
    values = [entry(operand, i, j) for operand in term.operands]
    if op == "call":
        return (
            _CALLS[term.name](*values)
            if term.name in _CALLS
            else Phi(sp.Symbol(term.name), parts[1], *values)
        )
    return ARITHMETIC[op](*values)


_CALLS = {"exp": sp.exp, "log": sp.log}


def _reduction(op: str, inner: Term, axis: sp.Basic, i: sp.Expr, j: sp.Expr) -> sp.Expr:
    rows, cols = inner.shape
    if op == "softmax":
        return sp.exp(entry(inner, i, j)) / total(lambda k: sp.exp(entry(inner, i, k)), cols)

    def value(a: sp.Expr, b: sp.Expr) -> sp.Expr:
        return sp.exp(entry(inner, a, b)) if op == "logsumexp" else entry(inner, a, b)

    if axis == ALL:
        summed = total(lambda a: total(lambda b: value(a, b), cols), rows)
    elif axis == 0:
        summed = total(lambda a: value(a, j), rows)
    else:
        summed = total(lambda b: value(i, b), cols)
    count = {ALL: rows * cols, sp.S.Zero: rows, ONE: cols}[axis]
    return {"sum": summed, "mean": summed / count, "logsumexp": sp.log(summed)}[op]


def collapse(formula: sp.Expr) -> sp.Expr:
    """Carry out every sum over a Kronecker delta and move what does not depend on a sum's index out of the sum."""
    if not formula.has(sp.Sum):
        return formula
    if not isinstance(formula, sp.Sum):
        return formula.func(*map(collapse, formula.args))
    body, k, size = outer_sum(formula)
    return sp.Add(*(_collapse_term(term, k, size) for term in sp.Add.make_args(collapse(body))))


def outer_sum(formula: sp.Sum) -> tuple[sp.Expr, sp.Symbol, sp.Expr]:
    """Split off the outermost sum: what is summed, its index, its size (SymPy merges nested sums)."""
    *limits, (k, _, size) = formula.limits
    return sp.Sum(formula.function, *limits) if limits else formula.function, k, size


def _collapse_term(term: sp.Expr, k: sp.Symbol, size: sp.Expr) -> sp.Expr:
    factors = sp.Mul.make_args(term)
    for factor in factors:
        if isinstance(factor, sp.KroneckerDelta) and factor.has(k):
            other = next(argument for argument in factor.args if argument != k)
            return sp.Mul(*(f for f in factors if f is not factor)).xreplace({k: other})
        if factor.has(k) and factor.is_Add and factor.has(sp.KroneckerDelta):
            return collapse(sp.Sum(sp.expand_mul(term), (k, 1, size)))
    inside = sp.Mul(*(f for f in factors if f.has(k)))
    outside = sp.Mul(*(f for f in factors if not f.has(k)))
    return size * outside if inside == 1 else outside * sp.Sum(inside, (k, 1, size))


def outermost(formula: sp.Expr, target: sp.Indexed) -> sp.Expr:
    """What is left of a formula when sums and factors without the target are taken away."""
    if isinstance(formula, sp.Sum):
        return outermost(formula.function, target)
    depends = [argument for argument in formula.args if argument.has(target.base)]
    return outermost(depends[0], target) if formula.is_Mul and len(depends) == 1 else formula


def peel(formula: sp.Expr, target: sp.Indexed) -> sp.Expr:
    """Differentiate the outermost operation only, leaving `Partial`s of what is inside."""
    if isinstance(formula, sp.Sum):
        return sp.Sum(peel(formula.function, target), *formula.limits)
    depends = [argument for argument in formula.args if argument.has(target.base)]
    if isinstance(formula, sp.Indexed) or not depends:
        return Partial(formula, target)
    if formula.is_Mul and len(depends) == 1:
        return sp.Mul(*(f for f in formula.args if f is not depends[0])) * peel(depends[0], target)
    back = {sp.Dummy(): argument for argument in depends}
    marks = {argument: mark for mark, argument in back.items()}
    outer = formula.func(*(marks.get(argument, argument) for argument in formula.args))
    return sp.Add(
        *(sp.diff(outer, mark).xreplace(back) * Partial(inner, target) for mark, inner in back.items())
    )


def inner_partials(formula: sp.Expr) -> Iterator[Partial]:
    """Yield the derivatives that `peel` left to do, except those of entries themselves."""
    for partial in sorted(formula.atoms(Partial), key=sp.default_sort_key):
        if not isinstance(partial.args[0], sp.Indexed):
            yield partial


def with_own_value(local: sp.Expr, formula: sp.Expr, own: Own, at: Shape, to: Shape) -> sp.Expr | None:
    """Rewrite a local derivative with the node's own value `own(a, b)`, or return None.

    `formula` is the node's entry at the indices `at`, `local` its derivative by the entry at the indices `to`.
    """
    if isinstance(formula, Phi):
        name, order, argument = formula.args
        by_value = elementwise(str(name)).derivative_by_value if order == 0 else None
        slope = Phi(name, order + 1, argument)
        return local.subs(slope, by_value.subs({U: argument, H: own(*at)})) if by_value is not None else None
    sums = {part: sp.Dummy(positive=True) for part in formula.atoms(sp.Sum)}
    small, kept = formula.xreplace(sums), local.xreplace(sums)
    if isinstance(small, sp.log) and small.args[0] in sums.values():
        return sp.powsimp(kept.subs(small.args[0], sp.exp(own(*at))), combine="exp")
    if len(small.atoms(sp.exp)) != 1 or not kept.has(sp.exp):
        return None
    return _eliminated(kept, small, own, at, to)


def _eliminated(kept: sp.Expr, small: sp.Expr, own: Own, at: Shape, to: Shape) -> sp.Expr | None:
    """Eliminate an exponential that the formula contains linearly, at every index at which it occurs.

    The result counts only if it is polynomial in entries; it is checked again at negative and at positive entries.
    """
    (part,) = small.atoms(sp.exp)
    mark, value = sp.Dummy(), sp.Dummy()
    equation = sp.expand(sp.numer(sp.together(small.xreplace({part: mark}) - value)))
    if not equation.is_polynomial(mark) or sp.degree(equation, mark) != 1:
        return None
    solved = -equation.coeff(mark, 0) / equation.coeff(mark, 1)
    new, back = {}, {}
    for moved in ({at[0]: a, at[1]: b} for a in (at[0], to[0]) for b in (at[1], to[1])):
        h = own(*(moved[k] for k in at))
        new[part.xreplace(moved)], back[h] = solved.subs(value, h), small.xreplace(moved)
    rewritten = sp.expand(sp.cancel(kept.xreplace(new)))
    finished = rewritten.is_polynomial(*rewritten.atoms(sp.Indexed)) and not rewritten.has(sp.exp)
    finished = finished and all(dummy.is_integer for dummy in rewritten.atoms(sp.Dummy))
    return rewritten if finished and _vanishes(rewritten.xreplace(back) - kept) else None


def _vanishes(gap: sp.Expr) -> bool:
    """Whether an expression is 0 at negative and at positive entries, whatever the deltas and sums."""
    atoms = sorted(gap.atoms(sp.Indexed, sp.KroneckerDelta), key=sp.default_sort_key)
    for sign in (-1, 1):
        point = {atom: sign * sp.Rational(2 * n + 1, n + 3) for n, atom in enumerate(atoms)}
        if abs(gap.xreplace(point).subs(dict.fromkeys(gap.atoms(sp.Dummy), 3)).evalf(30)) > sp.Float("1e-20"):
            return False
    return True
