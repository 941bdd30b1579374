"""Index formulas: entries of terms as SymPy expressions, and how an entry depends on another, rule by rule.

Indices are dummies, so no sum can capture another's index; they run from 1. Entries are `Indexed` symbols.
"""

from dataclasses import dataclass
from itertools import product

import sympy as sp

from mlpreport.derivation.elementwise import H, U, by_value, derivative, elementwise
from mlpreport.derivation.program import ONE, OPERATIONS, Program, Shape, Term
from mlpreport.derivation.symmetries import corners

_OUTERMOST = "differentiate the outer operation, then what is inside"
REASONS = {
    "seed": "the derivative of a variable with respect to itself is 1",
    "no path": "{} does not enter {}, so its gradient is 0",
    **dict.fromkeys(("power rule", "product rule", "outer function"), _OUTERMOST),
    "collapse": "a sum over a Kronecker delta keeps one term",
    "derivative of a function": "differentiating the definition of {}{}",
    "own value": "written with {}, which is known already",
    "chain rule": "{} {}",
    "fusion": "insert the cotangent of {}, which is known, and simplify",
    "assumption": "assumed: the rows of {} sum to 1",
    "matrix form": "for all entries at once",
}
"""Why a line may use a rule; rules that are not here are given their reason where they are used."""


@dataclass(frozen=True)
class Line:
    """One equality `lhs = rhs`, the rule that gives it, and why it applies."""

    lhs: sp.Basic
    rhs: sp.Basic
    rule: str
    because: str

    def _repr_markdown_(self) -> str:
        from mlpreport.derivation.latex import markdown  # noqa: PLC0415 (latex knows Line)

        return markdown((self,))


def line(lhs: sp.Basic, rhs: sp.Basic, rule: str, *about: str) -> Line:
    """Write a line; its reason is that of the rule, about what is named."""
    return Line(lhs, rhs, rule, REASONS.get(rule, "{}").format(*about))


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
    return Variable(name, shape)[ONE if shape[0] == 1 else i, ONE if shape[1] == 1 else j]


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
    values = [entry(operand, i, j) for operand in term.operands]
    return Phi(sp.Symbol(term.name), parts[1], *values) if op == "call" else OPERATIONS[op](*values)


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


def edge(program: Program, value: sp.Indexed, target: sp.Indexed) -> tuple[list[Line], sp.Expr]:
    """Differentiate the entry `value` of a node by the entry `target` of one of its operands, rule by rule."""
    user, name = str(value.base), str(target.base)
    formula, lhs = entry(program.definitions[user], *value.indices), Partial(value, target)
    what = f"the loss {user}" if user == program.loss else f"this is how {user} is computed"
    lines = [line(value, formula, "definition", what), *_outer(formula, lhs, target)]
    local = sp.diff(formula, target)
    if local != lines[-1].rhs:
        one = f"{name} is one number"
        what = f"two entries of {name} depend on each other only if they are the same"
        lines.append(line(lhs, local, "coordinate rule", one if target.base.shape == (ONE, ONE) else what))
    if (collapsed := collapse(local)) != local:
        lines.append(line(lhs, collapsed, "collapse"))
    lines += map(_slope, sorted(collapsed.atoms(Phi) - formula.atoms(Phi), key=sp.default_sort_key))
    if (own := _own_value(collapsed, formula, value, target)) != collapsed:
        lines.append(line(lhs, own, "own value", user))
    return lines, own


def _outer(formula: sp.Expr, lhs: Partial, target: sp.Indexed) -> list[Line]:
    """Lines for the outermost operation and for what is inside it; a sum of entries needs none."""
    core = _core(formula, target)
    depends = sorted((inner for inner in core.args if inner.has(target.base)), key=sp.default_sort_key)
    if isinstance(core, sp.Indexed) or core.is_Add or not depends:
        return []
    back = {sp.Dummy(): inner for inner in depends}
    outer = core.xreplace({inner: mark for mark, inner in back.items()})
    slopes = (sp.diff(outer, mark).xreplace(back) * Partial(inner, target) for mark, inner in back.items())
    rule = {sp.Pow: "power rule", sp.Mul: "product rule"}.get(core.func, "outer function")
    lines = [line(lhs, formula.xreplace({core: sp.Add(*slopes)}), rule)]
    for inner in depends:
        if not isinstance(inner, sp.Indexed):
            local = sp.diff(inner, target)
            sign = sp.Mul(*(f for f in sp.Mul.make_args(local) if not f.has(sp.KroneckerDelta)))
            what = f"its factor is {sign}" if sign.is_number else "of what is inside"
            lines.append(line(Partial(inner, target), local, "inner derivative", what))
    return lines


def _core(formula: sp.Expr, target: sp.Indexed) -> sp.Expr:
    """What is left of a formula when sums and factors without the target are taken away."""
    if isinstance(formula, sp.Sum):
        return _core(formula.function, target)
    depends = [argument for argument in formula.args if argument.has(target.base)]
    return _core(depends[0], target) if formula.is_Mul and len(depends) == 1 else formula


def _own_value(local: sp.Expr, formula: sp.Expr, value: sp.Indexed, target: sp.Indexed) -> sp.Expr:
    """Rewrite the derivative of a node's entry with the node's own value where that is no longer."""
    if isinstance(formula, Phi):
        name, order, argument = formula.args
        slope = elementwise(str(name)).derivative_by_value if order == 0 else None
        known = {} if slope is None else {Phi(name, 1, argument): slope.subs({U: argument, H: value})}
        return local.subs(known)
    sums = {part: sp.Dummy(positive=True) for part in formula.atoms(sp.Sum)}
    small, kept = formula.xreplace(sums), local.xreplace(sums)
    if isinstance(small, sp.log) and small.args[0] in sums.values():
        return sp.powsimp(kept.subs(small.args[0], sp.exp(value)), combine="exp")
    places = product(*zip(value.indices, target.indices, strict=True))
    moves = [{k: new for k, new in zip(value.indices, at, strict=True) if k != 1} for at in places]
    own = by_value(kept, small, {value.xreplace(moved): moved for moved in moves})
    longer = own is None or own.has(*sums.values()) or sp.count_ops(own) > sp.count_ops(kept)
    return local if longer else own


def _slope(phi: Phi) -> Line:
    """State the derivative of a registered function, computed from its definition."""
    name, order, _ = phi.args
    formula = phi_formula(name, order)
    chosen = " and ".join(f"at u = {u} it is {formula.subs(U, u)}" for u in corners(formula))
    told = f"; {chosen}, by definition" if chosen else ""
    return line(Phi(name, order, U), formula, "derivative of a function", name, told)
