"""Index formulas: entries of terms as SymPy expressions.

Indices are dummies, so no sum can capture another's index; they run from 1. Entries are `Indexed` symbols.
"""

from typing import Any

import sympy as sp

from mlpreport.derivation.elementwise import U, derivative, elementwise
from mlpreport.derivation.program import ONE, OPERATIONS, Shape, Term


class Phi(sp.Function):  # type: ignore[misc]
    """A registered function, by name, differentiated `order` times, at an entry; its definition is looked up."""

    nargs = 3

    @classmethod
    def eval(cls, name: sp.Symbol, order: sp.Integer, _argument: sp.Expr) -> sp.Expr | None:
        """Replace constant derivatives by their number."""
        return slope if order > 0 and (slope := phi_formula(name, order)).is_number else None

    def fdiff(self, argindex: int = 3) -> sp.Expr:
        """Differentiate once more with respect to the entry."""
        name, order, argument = self.args
        return Phi(name, order + argindex - 2, argument)

    def formula(self) -> sp.Expr:
        """Write out the definition, or its derivative, at the argument."""
        return phi_formula(*self.args[:2]).subs(U, self.args[2])


class Variable(sp.IndexedBase):  # type: ignore[misc]
    """A variable whose entries formulas are about; the sizes in its shape do not count as symbols of its entries."""

    free_symbols = property(lambda self: self.label.free_symbols)


class Entry(sp.Indexed):  # type: ignore[misc]
    """An entry of a variable; those at different indices of one letter, which SymPy leaves to chance, have an order."""

    def sort_key(self, order: str | None = None) -> tuple[Any, ...]:
        """Order by what is printed, then by the indices."""
        kind, (count, printed), *rest = super().sort_key(order)
        return kind, (count, (*printed, *(k.sort_key() for k in self.indices))), *rest


class Partial(sp.Expr):  # type: ignore[misc]
    """The derivative of an index formula with respect to an entry, written down but not carried out."""


class Direct(Partial):
    """The part of a cotangent that does not go through other variables."""


def phi_formula(name: sp.Symbol, order: int) -> sp.Expr:
    """Definition of a registered function, differentiated `order` times, in `U`."""
    return derivative(elementwise(str(name)).expression, int(order))


def indices(shape: Shape, letters: str) -> Shape:
    """Fresh indices for the entries of a shape; 1 along an axis of size 1."""
    i, j = (sp.Dummy(letter, integer=True, positive=True) for letter in letters)
    return ONE if shape[0] == 1 else i, ONE if shape[1] == 1 else j


def cell(name: str, shape: Shape, i: sp.Expr, j: sp.Expr) -> sp.Indexed:
    """Make the entry [i, j] of a variable; along an axis of size 1 the index is 1."""
    return Entry(Variable(name, shape), ONE if shape[0] == 1 else i, ONE if shape[1] == 1 else j)


def fresh(name: str, shape: Shape, letters: str) -> sp.Indexed:
    """Make an entry of a variable at fresh indices."""
    return cell(name, shape, *indices(shape, letters))


def beside(place: sp.Indexed, name: str) -> sp.Indexed:
    """Make the entry of another variable, of the same shape, at the same place."""
    return cell(name, place.base.shape, *place.indices)


def over(formula: sp.Expr, at: Shape, shape: Shape) -> sp.Expr:
    """Sum a formula over all entries of a shape."""
    for k, size in reversed(list(zip(at, shape, strict=True))):
        formula = formula if size == 1 else sp.Sum(formula, (k, 1, size))
    return formula


def entry(term: Term, i: sp.Expr, j: sp.Expr) -> sp.Expr:
    """Index formula of the entry [i, j] of a term."""
    op, parts = term.op, term.parts
    if op == "var":
        return cell(term.name, term.shape, i, j)
    if op in {"num", "ones"}:
        return parts[0] if op == "num" else sp.S.One
    if op == "T":
        return entry(parts[0], j, i)
    if op == "@":
        size = parts[0].shape[1], ONE
        k, _ = indices(size, "kk")
        return over(entry(parts[0], i, k) * entry(parts[1], k, j), (k, ONE), size)
    if op in {"sum", "mean", "softmax", "logsumexp"}:
        return _reduction(op, parts[0], parts[1], i, j)
    if op == "+":
        return sp.Add(*(entry(part, i, j) for part in _addends(term)))
    values = [entry(operand, i, j) for operand in term.operands]
    return Phi(sp.Symbol(term.name), parts[1], *values) if op == "call" else OPERATIONS[op](*values)


def _addends(term: Term) -> list[Term]:
    """Terms whose sum a term is: added at once they are sorted once."""
    return [part for operand in term.operands for part in _addends(operand)] if term.op == "+" else [term]


def _reduction(op: str, inner: Term, axis: sp.Integer, i: sp.Expr, j: sp.Expr) -> sp.Expr:
    span = ONE if axis == 1 else inner.shape[0], ONE if axis == 0 else inner.shape[1]
    k = indices(span, "kk")
    value = entry(inner, i if axis == 1 else k[0], j if axis == 0 else k[1])
    if op in {"sum", "mean"}:
        return over(value, k, span) / (1 if op == "sum" else span[0] * span[1])
    summed = over(sp.exp(value), k, span)
    return sp.log(summed) if op == "logsumexp" else sp.exp(entry(inner, i, j)) / summed


def collapse(formula: sp.Expr) -> sp.Expr:
    """Carry out every sum over a Kronecker delta and move what does not depend on a sum's index out of the sum."""
    if not isinstance(formula, sp.Sum):
        return formula.func(*map(collapse, formula.args)) if formula.has(sp.Sum) else formula
    body, k, size = outer_sum(formula)
    return sp.Add(*(_collapsed(term, k, size) for term in sp.Add.make_args(collapse(body))))


def outermost(formula: sp.Expr) -> set[sp.Sum]:
    """Sums that are in no other sum."""
    return {formula} if isinstance(formula, sp.Sum) else set().union(*map(outermost, formula.args))


def outer_sum(formula: sp.Sum) -> tuple[sp.Expr, sp.Symbol, sp.Expr]:
    """Split off the outermost sum: what is summed, its index, its size (SymPy merges nested sums)."""
    *limits, (k, _, size) = formula.limits
    return sp.Sum(formula.function, *limits) if limits else formula.function, k, size


def _collapsed(term: sp.Expr, k: sp.Symbol, size: sp.Expr) -> sp.Expr:
    outside, inside = term.as_independent(k, as_Add=False)
    for factor in sp.Mul.make_args(inside):
        if isinstance(factor, sp.KroneckerDelta):
            other = next(argument for argument in factor.args if argument != k)
            return (term / factor).xreplace({k: other})
        if factor.is_Add and factor.has(sp.KroneckerDelta):
            return collapse(sp.Sum(sp.expand_mul(term), (k, 1, size)))
    return outside * (size if inside == 1 else sp.Sum(inside, (k, 1, size)))
