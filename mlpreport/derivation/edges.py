"""One edge of a program: how an entry of a node depends on an entry of one operand, rule by rule."""

from dataclasses import dataclass

import sympy as sp

from mlpreport.derivation.elementwise import U
from mlpreport.derivation.indices import (
    Partial,
    Phi,
    cell,
    collapse,
    entry,
    index,
    inner_partials,
    outermost,
    peel,
    phi_formula,
    with_own_value,
)
from mlpreport.derivation.program import Program
from mlpreport.derivation.terms import ONE, Shape

RULES = {sp.Pow: "power rule", sp.Mul: "product rule", sp.Add: "sum rule"}


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


def indices(shape: Shape, letters: str) -> tuple[sp.Expr, sp.Expr]:
    """Fresh indices for the entries of a shape; 1 along an axis of size 1."""
    i, j = (ONE if size == 1 else index(letter) for size, letter in zip(shape, letters, strict=True))
    return i, j


def over(formula: sp.Expr, at: Shape, shape: Shape) -> sp.Expr:
    """Sum a formula over all entries of a shape."""
    for k, size in reversed(list(zip(at, shape, strict=True))):
        formula = formula if size == 1 else sp.Sum(formula, (k, 1, size))
    return formula


def edge(program: Program, user: str, name: str, at: Shape, to: Shape) -> tuple[list[Line], sp.Expr]:
    """Differentiate the entry `at` of a node by the entry `to` of one of its operands, rule by rule."""
    term, shape = program.definitions[user], program.shapes[user]
    left, target = cell(user, shape, *at), cell(name, program.shapes[name], *to)
    formula = entry(term, *at)
    lhs = Partial(left, target)
    lines = [
        Line(
            left,
            formula,
            "definition",
            f"the loss {user}" if user == program.loss else f"this is how {user} is computed",
        )
    ]
    lines += _rules(formula, lhs, target)
    local = sp.diff(formula, target)
    if lines[-1].rhs != local:
        lines.append(
            Line(
                lhs,
                local,
                "coordinate rule",
                f"two entries of {name} depend on each other only if they are the same",
            )
        )
    collapsed = collapse(local)
    if collapsed != local:
        lines.append(Line(lhs, collapsed, "collapse", "a sum over a Kronecker delta keeps one term"))
    lines += [
        _slope(phi) for phi in sorted(collapsed.atoms(Phi) - formula.atoms(Phi), key=sp.default_sort_key)
    ]
    own = with_own_value(collapsed, formula, lambda a, b: cell(user, shape, a, b), at, to)
    if own is not None and own != collapsed:
        lines.append(Line(lhs, own, "own value", f"written with {user}, which is known already"))
    return lines, collapsed if own is None else own


def _rules(formula: sp.Expr, lhs: Partial, target: sp.Indexed) -> list[Line]:
    """Lines for the outermost operation and for what is inside it."""
    peeled = peel(formula, target)
    core = outermost(formula, target)
    if isinstance(core, sp.Indexed) or core.is_Add:
        return []
    rule = RULES.get(core.func, "outer function")
    lines = [Line(lhs, peeled, rule, "differentiate the outer operation, then what is inside")]
    for partial in inner_partials(peeled):
        slope = sp.diff(*partial.args)
        sign = sp.Mul(*(f for f in sp.Mul.make_args(slope) if not f.has(sp.KroneckerDelta)))
        because = f"its factor is {sign}" if sign.is_number else "of what is inside"
        lines.append(Line(partial, slope, "inner derivative", because))
    return lines


def _slope(phi: Phi) -> Line:
    """State the derivative of a registered function, computed from its definition."""
    name, order, _ = phi.args
    formula = phi_formula(name, order)
    pieces = formula.atoms(sp.Piecewise)
    because = f"differentiating the definition of {name}"
    if pieces:
        because += f"; at u = 0 it is {formula.subs(U, 0)}, by definition"
    return Line(Phi(name, order, U), formula, "derivative of a function", because)
