"""Equations split until every part stands where it may stand: those that may not become equations of their own."""

import re
from collections.abc import Callable, Container, Iterator, Mapping
from itertools import count

from mlpreport.derivation.program import ELEMENTWISE, ONE, Program, Term, build, variables

ROOT, LINEAR, PLAIN, ATOM = "root", "linear", "plain", "atom"
"""Places: a whole right-hand side, a term of a sum, part of an elementwise expression, a variable only."""

_FUNCTIONS = frozenset({"softmax", "logsumexp", "map", "max"})
_CONTRACTIONS = frozenset({"@", "sum", "mean"})


def unused(form: str, taken: Container[str]) -> Iterator[str]:
    """Yield names of a form with numbers from 1, but none that is taken."""
    return (name for n in count(1) if (name := form.format(n)) not in taken)


def unnamed(program: Program) -> dict[str, Term]:
    """Parts t1, t2, … of equations, which the program's source does not name."""
    written = re.findall(r"\w+", re.sub("#.*", "", program.source))
    return {
        name: term
        for name, term in program.definitions.items()
        if name.isidentifier() and name not in written
    }


def needed(definitions: Mapping[str, Term], outputs: list[str]) -> dict[str, Term]:
    """Keep the definitions that the outputs depend on, in order."""
    wanted = set(outputs)
    for name in reversed(list(definitions)):
        if name in wanted:
            wanted.update(variables(definitions[name]))
    return {name: term for name, term in definitions.items() if name in wanted}


def _split(
    definitions: Mapping[str, Term],
    names: Iterator[str],
    alone: frozenset[str],
    atomic: Container[str],
    fits: Callable[[Term, Term], bool],
) -> dict[str, Term]:
    """Name parts that may not stand where they do; a part that has a name already keeps that.

    Operations that are `alone` are whole right-hand sides; operands of `atomic` ones are variables. A part is a term of
    a sum if it `fits` that.
    """
    apart = {
        ROOT: frozenset[str](),
        LINEAR: alone,
        PLAIN: alone | _CONTRACTIONS,
        ATOM: alone | _CONTRACTIONS | ELEMENTWISE,
    }
    result: dict[str, Term] = {}
    named: dict[Term, Term] = {}

    def inside(term: Term, place: str, part: Term) -> str:
        if place == ATOM or term.op in atomic:
            return ATOM
        linear = place in {ROOT, LINEAR} and _linear(term)
        return LINEAR if linear and fits(part, term) else PLAIN

    def placed(term: Term, place: str) -> Term:
        if term.op not in apart[place]:
            return term.rewritten(lambda part: placed(part, inside(term, place, part)))
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
    alone = _FUNCTIONS | {"call"}
    return _split(definitions, unused("t{}", taken), alone, alone | {"@", "T"}, lambda *_: True)


def contracted(definitions: Mapping[str, Term]) -> dict[str, Term]:
    """Name parts until every equation is a sum of contractions, which one nest of loops computes."""

    def fits(part: Term, whole: Term) -> bool:
        return part.shape in {whole.shape, (ONE, ONE)}

    return _split(definitions, unused("shared({})", definitions), _FUNCTIONS, {"@"}, fits)
