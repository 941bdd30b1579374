"""Equations split until each is a sum of contractions: what one nest of loops can compute."""

import sympy as sp

from mlpreport.derivation.backward import Derivation
from mlpreport.derivation.program import ELEMENTWISE, ONE, Term, build, needed
from mlpreport.derivation.rewriting import shared, stabilised

_CALLED = {"logsumexp", "map"}
_SUMS = {"@", "sum", "mean"}
_BANNED = {
    "root": set[str](),
    "sum": _CALLED,
    "entry": _CALLED | _SUMS,
    "name": _CALLED | _SUMS | ELEMENTWISE | {"call"},
}
"""Operations that become a variable of their own, by place."""


def loop_terms(derivation: Derivation) -> dict[str, Term]:
    """Equations that compute a derivation's value and results, each with at most one level of sums."""
    program, named = derivation.backward, dict[sp.Expr, str]()
    definitions = {
        key: _without_softmax(stabilised(term, program.definitions, named))
        for key, term in program.definitions.items()
    }
    terms = shared(needed(definitions, [derivation.value, *derivation.results.values()]))
    result, renamed = dict[str, Term](), dict[Term, Term]()

    def name(term: Term) -> Term:
        rewritten = split(term, "root")
        key = f"shared({1 + sum(n.startswith('shared(') for n in terms.keys() | result.keys())})"
        result[key] = rewritten
        return build("var", key, *term.shape)

    def split(term: Term, place: str) -> Term:
        if term.op in _BANNED[place]:
            return name(term)
        if term in renamed:
            return renamed[term]
        return Term(*(split(p, _place_of(p, term, place)) if isinstance(p, Term) else p for p in term.args))

    for key, term in terms.items():
        rewritten = split(term, "root")
        if rewritten.op == "var":
            renamed[build("var", key, *term.shape)] = rewritten
        result[key] = rewritten
    return needed(result, [derivation.value, *derivation.results.values()])


def _place_of(part: Term, term: Term, place: str) -> str:
    """Tell what an operand may be: a variable's name only, an elementwise expression, or part of a sum."""
    if term.op in {"logsumexp", "@"} or place == "name":
        return "name"
    linear = term.op in {"+", "-", "neg"} or (
        term.op in {"*", "/"} and "num" in {p.op for p in term.operands}
    )
    fits = place in {"root", "sum"} and part.shape in {term.shape, (1, 1)}
    return "sum" if linear and fits else "entry"


def _without_softmax(term: Term) -> Term:
    """Write softmaxes and their logarithms with the logarithm of a sum of exponentials."""
    new = Term(*(_without_softmax(part) if isinstance(part, Term) else part for part in term.args))
    if new.op not in {"softmax", "log_softmax"}:
        return new
    logarithm = new.operands[0] - build("logsumexp", new.operands[0], ONE)
    return logarithm if new.op == "log_softmax" else build("call", "exp", 0, logarithm)
