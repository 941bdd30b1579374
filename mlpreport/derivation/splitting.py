"""Equations split until every part stands where it may stand: those that may not become equations of their own."""

from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from itertools import count

from mlpreport.derivation.program import ELEMENTWISE, ONE, Term, build

ROOT, LINEAR, PLAIN, ATOM = "root", "linear", "plain", "atom"
"""Places: a whole right-hand side, a term of a sum, part of an elementwise expression, a variable only."""

_FUNCTIONS = {"softmax", "logsumexp", "map", "max"}
_CONTRACTIONS = {"@", "sum", "mean"}
_LOOPED: dict[str, set[str]] = {
    ROOT: set(),
    LINEAR: _FUNCTIONS,
    PLAIN: _FUNCTIONS | _CONTRACTIONS,
    ATOM: _FUNCTIONS | _CONTRACTIONS | ELEMENTWISE,
}
"""Operations for which loops need an array, by place."""


def unused(form: str, taken: Container[str]) -> Iterator[str]:
    """Yield names of a form with numbers from 1, but none that is taken."""
    return (name for n in count(1) if (name := form.format(n)) not in taken)


def _split(
    definitions: Mapping[str, Term],
    rule: Callable[[Term, str], Sequence[str] | None],
    names: Iterator[str],
) -> dict[str, Term]:
    """Name parts by a rule: it gives the places of a term's operands, or None where the term may not stand.

    A part that has a name already keeps that.
    """
    result: dict[str, Term] = {}
    named: dict[Term, Term] = {}

    def placed(term: Term, place: str) -> Term:
        if term.op == "var":
            return term
        if (places := rule(term, place)) is not None:
            left = iter(places)
            return term.rewritten(lambda part: placed(part, next(left)))
        root = placed(term, ROOT)
        return named[root] if root in named else define(next(names), root)

    def define(name: str, root: Term) -> Term:
        result[name] = root
        return named.setdefault(root, build("var", name, *root.shape))

    for name, term in definitions.items():
        define(name, placed(term, ROOT))
    return result


def _linear(term: Term) -> bool:
    """Whether a term is a sum, a difference, or a product with a number."""
    numbers = "num" in {operand.op for operand in term.operands}
    return term.op in {"+", "-", "neg"} or (term.op in {"*", "/"} and numbers)


def simple(definitions: Mapping[str, Term], taken: Container[str]) -> dict[str, Term]:
    """Name parts of right-hand sides t1, t2, … (but none that is taken) until every equation is simple.

    Simple is: a function of a variable, or a sum with constant factors of products `a @ b` of variables, of sums and
    means of elementwise expressions, and of elementwise expressions.
    """
    return _split(definitions, _simple, unused("t{}", taken))


def _simple(term: Term, place: str) -> Sequence[str] | None:
    op, whole = term.op, place in {ROOT, LINEAR}
    if op in {"num", "ones"}:
        return None if place == ATOM else ()
    if op == "T" or (op == "@" and whole):
        inner = ATOM
    elif op in _FUNCTIONS or op == "call":
        inner = ATOM if place == ROOT else ""
    elif whole:
        inner = LINEAR if _linear(term) else PLAIN
    else:
        inner = PLAIN if place == PLAIN and op in ELEMENTWISE else ""
    return [inner] * len(term.operands) if inner else None


def contracted(definitions: Mapping[str, Term]) -> dict[str, Term]:
    """Name parts until every equation is a sum of contractions, which one nest of loops computes."""
    return _split(definitions, _loops, unused("shared({})", definitions))


def _loops(term: Term, place: str) -> Sequence[str] | None:
    if term.op in _LOOPED[place]:
        return None
    if term.op == "@" or place == ATOM:
        return [ATOM] * len(term.operands)
    linear = place in {ROOT, LINEAR} and _linear(term)
    fit = [linear and part.shape in {term.shape, (ONE, ONE)} for part in term.operands]
    return [LINEAR if fits else PLAIN for fits in fit]
