"""The chain rule: how an entry of a variable depends on one of an operand, rule by rule, and sums over such edges."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product

import sympy as sp

from mlpreport.derivation.elementwise import H, U, by_value, elementwise
from mlpreport.derivation.indices import Partial, Phi, collapse, entry, over, phi_formula
from mlpreport.derivation.matrices import tidy
from mlpreport.derivation.program import ONE, Program
from mlpreport.derivation.symmetries import corners

INSERT = "insert and carry out the sums over deltas"


Edge = tuple[sp.Indexed, sp.Indexed, sp.Expr, sp.Expr]
"""An entry of a node, an entry of its operand, the weight of that edge, and what is known of the weight."""

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
    "assumption": "the rows of {} sum to 1",
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

    def __str__(self) -> str:
        """Write both sides in the forward language, and the reason."""
        from mlpreport.derivation.writing import lines_text  # noqa: PLC0415 (writing knows Line)

        return lines_text((self,)).strip()

    def _repr_markdown_(self) -> str:
        from mlpreport.derivation.latex import markdown  # noqa: PLC0415 (latex knows Line)

        return markdown((self,))


def line(lhs: sp.Basic, rhs: sp.Basic, rule: str, *about: str) -> Line:
    """Write a line; its reason is that of the rule, about what is named."""
    return Line(lhs, rhs, rule, REASONS.get(rule, "{}").format(*about))


def chain_rule(
    program: Program, edges: Iterable[Edge], *, backwards: bool
) -> tuple[list[Line], sp.Expr, sp.Expr]:
    """Sum edges times weights over the entries of nodes (or of operands): the lines, the rule, its value."""
    lines, partials, products = [], [], []
    for value, target, weight, known in edges:
        edge_lines, local = edge(program, value, target)
        along = value if backwards else target
        lines += edge_lines
        partials.append(over(weight * Partial(value, target), along.indices, along.base.shape))
        products.append(collapse(over(known * local, along.indices, along.base.shape)))
    return lines, sp.Add(*partials), tidy(sp.Add(*products))


def edge(program: Program, value: sp.Indexed, target: sp.Indexed) -> tuple[list[Line], sp.Expr]:
    """Differentiate the entry `value` of a node by the entry `target` of one of its operands, rule by rule."""
    user, name = str(value.base), str(target.base)
    formula, lhs = entry(program.definitions[user], *value.indices), Partial(value, target)
    what = f"the loss {user}" if user == program.loss else f"this is how {user} is computed"
    lines = [line(value, formula, "definition", what), *_outer(formula, lhs, target)]
    local = _slope(formula, target)
    if local != lines[-1].rhs:
        one = f"{name} is one number"
        what = f"two entries of {name} depend on each other only if they are the same"
        lines.append(line(lhs, local, "coordinate rule", one if target.base.shape == (ONE, ONE) else what))
    if (collapsed := collapse(local)) != local:
        lines.append(line(lhs, collapsed, "collapse"))
    lines += map(_stated, sorted(collapsed.atoms(Phi) - formula.atoms(Phi), key=sp.default_sort_key))
    if (own := _own_value(collapsed, formula, value, target)) != collapsed:
        lines.append(line(lhs, own, "own value", user))
    return lines, own


def _slope(formula: sp.Expr, target: sp.Indexed) -> sp.Expr:
    """Differentiate by an entry; the terms of a sum without its variable, of which there may be many, are left out."""
    depends = (part for part in sp.Add.make_args(formula) if part.has(target.base))
    return sp.Add(*(sp.diff(part, target) for part in depends))


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
            local = _slope(inner, target)
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
    straight, crossed = (zip(value.indices, to, strict=True) for to in (target.indices, target.indices[::-1]))
    places = dict.fromkeys([*product(*straight), *product(*crossed)])
    moves = [{k: new for k, new in zip(value.indices, at, strict=True) if k != 1} for at in places]
    own = by_value(kept, small, {value.xreplace(moved): moved for moved in moves})
    longer = own is None or own.has(*sums.values()) or sp.count_ops(own) > sp.count_ops(kept)
    return local if longer else own


def _stated(phi: Phi) -> Line:
    """State the derivative of a registered function, computed from its definition."""
    name, order, _ = phi.args
    formula = phi_formula(name, order)
    chosen = " and ".join(f"at u = {u} it is {formula.subs(U, u)}" for u in corners(formula))
    told = f"; {chosen}, by definition" if chosen else ""
    return line(Phi(name, order, U), formula, "derivative of a function", name, told)
