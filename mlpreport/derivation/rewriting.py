"""Terms rewritten for machines: nothing overflows, nothing is computed twice."""

from collections import Counter
from collections.abc import Mapping

import sympy as sp

from mlpreport.derivation.elementwise import U
from mlpreport.derivation.indices import Phi, entry
from mlpreport.derivation.stable import Sigmoid, Softplus, stable
from mlpreport.derivation.terms import ELEMENTWISE, Term, build, cost


def stabilised(term: Term, definitions: Mapping[str, Term], named: dict[sp.Expr, str]) -> Term:
    """Replace what would overflow: the logarithm of a softmax, and functions of one variable rational in exp."""
    if term.op == "call" and term.name == "log" and term.operands[0].op == "var":
        inner = definitions.get(term.operands[0].name)
        if inner is not None and inner.op == "softmax":
            return build("log_softmax", inner.operands[0])
    mapped = _one_variable(term, definitions, named)
    if mapped is not None:
        return mapped
    return Term(
        *(stabilised(part, definitions, named) if isinstance(part, Term) else part for part in term.args)
    )


def _one_variable(term: Term, definitions: Mapping[str, Term], named: dict[sp.Expr, str]) -> Term | None:
    """Write an elementwise term in one variable as one stable function, looking through the variable's definition."""
    found = _function(term)
    if found is None or not found[0].has(sp.exp, sp.log):
        return None
    formula, leaf = found
    inner = _function(definitions[leaf.name]) if leaf.name in definitions and formula.has(sp.log) else None
    if inner is not None:
        composed = stable(formula.subs(U, inner[0]), U)
        if composed.has(Softplus):
            return _mapped(composed, inner[1], named)
    improved = stable(formula, U)
    return _mapped(improved, leaf, named) if improved.has(Sigmoid, Softplus) else None


def _function(term: Term) -> tuple[sp.Expr, Term] | None:
    """Read an elementwise term in one variable as an expression in U; None for any other term."""
    nodes = {t for t in sp.preorder_traversal(term) if isinstance(t, Term)}
    leaves = [t for t in nodes if t.op == "var"]
    if len(leaves) != 1 or any(t.op not in ELEMENTWISE | {"var", "num", "call"} for t in nodes):
        return None
    i, j = sp.symbols("i j")
    formula = entry(term, i, j).xreplace({entry(leaves[0], i, j): U})
    formula = formula.replace(lambda e: isinstance(e, Phi), lambda e: e.formula())
    return (formula, leaves[0]) if formula.free_symbols == {U} else None


def _mapped(formula: sp.Expr, operand: Term, named: dict[sp.Expr, str]) -> Term:
    return build("map", named.setdefault(formula, f"stable{len(named) + 1}"), formula, operand)


def shared(definitions: Mapping[str, Term]) -> dict[str, Term]:
    """Give every part that occurs more than once a definition of its own."""
    seen: Counter[Term] = Counter()

    def visit(term: Term) -> None:
        seen[term] += 1
        if seen[term] == 1:
            for part in term.operands:
                visit(part)

    done: dict[Term, Term] = {}
    result: dict[str, Term] = {}

    def rebuild(term: Term, name: str) -> Term:
        if term in done:
            return done[term]
        new = Term(*(rebuild(part, "") if isinstance(part, Term) else part for part in term.args))
        if cost(term) and (name or seen[term] > 1):
            key = name or f"shared({sum(map(_is_shared, result)) + 1})"
            result[key] = new
            done[term] = build("var", key, *term.shape)
            return done[term]
        return new

    for term in definitions.values():
        visit(term)
    for name, term in definitions.items():
        new = rebuild(term, name)
        result.setdefault(name, new)
    return result


def _is_shared(name: str) -> bool:
    return name.startswith("shared(")
