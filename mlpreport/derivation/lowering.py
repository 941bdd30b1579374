"""Equations for machines, in which nothing overflows or is computed twice, and what printed code needs before them."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from functools import cache

import sympy as sp

from mlpreport.derivation.backward import Derivation
from mlpreport.derivation.cancelling import cancelled
from mlpreport.derivation.elementwise import U
from mlpreport.derivation.indices import phi_formula
from mlpreport.derivation.printing import helper_name
from mlpreport.derivation.program import ALL, ELEMENTWISE, Program, Term, build, cost, nodes, num
from mlpreport.derivation.splitting import contracted, needed, unused
from mlpreport.derivation.stabilising import affine, stabilised
from mlpreport.derivation.stable import python_code, stable


def lowered(derivation: Derivation, library: str) -> dict[str, Term]:
    """Equations that compute a derivation's value and results, for `np`, `torch` or loops (`math`)."""
    program, named = derivation.backward, dict[sp.Expr, str]()
    outputs = [derivation.value, *derivation.results.values()]
    terms = {}
    given = (derivation.of or derivation.program).definitions
    renamed = affine({name: program.definitions[name] for name in given})
    definitions = {
        name: _transposed_last(term if name in given else term.xreplace(renamed))
        for name, term in program.definitions.items()
    }
    for name, term in definitions.items():
        safe = term if name in given else cancelled(term, definitions)
        written_out = exponentials(stabilised(safe, definitions, named), library)
        terms[name] = _faster(written_out) if library == "np" else written_out
    terms = _shared(needed(terms, outputs))
    if library == "math":
        return needed(contracted(_unaliased(terms)), outputs)
    return {name: _stored(term, result=name in outputs) for name, term in terms.items()}


def _transposed_last(term: Term) -> Term:
    """Transpose after elementwise operations, not before."""
    term = term.rewritten(_transposed_last)
    if term.op in ELEMENTWISE and {part.op for part in term.operands} in ({"T"}, {"T", "num"}):
        return term.rewritten(lambda part: part.operands[0] if part.op == "T" else part).T
    return term


def _faster(term: Term) -> Term:
    """Write products and sums as NumPy computes them fastest.

    Sums of products are `vdot`, sums over rows are products with a row of ones.
    """
    new = term.rewritten(_faster)
    if new.op not in {"sum", "mean"} or new.operands[0].shape == (1, 1):
        return new
    rows, cols = new.operands[0].shape
    a, b = _factors(new.operands[0])
    if new.parts[1] == ALL and a.shape == b.shape:
        summed, count = build("vdot", a, b), rows * cols
    elif new.parts[1] == 0 or (new.parts[1] == ALL and cols == 1):
        summed, count = build("@", build("ones", 1, rows), new.operands[0]), rows
    else:
        return new
    return summed if new.op == "sum" else build("/", summed, num(count))


def _factors(term: Term) -> tuple[Term, Term]:
    if term.op == "**" and term.operands[1] == num(2):
        return term.operands[0], term.operands[0]
    return (term.operands[0], term.operands[1]) if term.op == "*" else (num(1), term)


def _shared(definitions: Mapping[str, Term]) -> dict[str, Term]:
    """Give every part that occurs more than once a definition of its own."""
    definitions = _alike(definitions)
    every = {node for term in definitions.values() for node in nodes(term)}
    seen = Counter([*definitions.values(), *(part for term in every for part in term.operands)])
    done: dict[Term, Term] = {}
    result: dict[str, Term] = {}
    names = unused("shared({})", definitions)

    def rebuild(term: Term, name: str = "") -> Term:
        if term in done:
            return done[term]
        new = _signed(term.rewritten(rebuild))
        if name or (seen[term] > 1 and (cost(term) or term.op == "ones")):
            key = name or next(names)
            result[key] = new
            done[term] = build("var", key, *term.shape)
            return done[term]
        return new

    for name, term in definitions.items():
        result.setdefault(name, rebuild(term, name))
    return result


def _alike(definitions: Mapping[str, Term]) -> dict[str, Term]:
    """Write b + a as a + b, b * a as a * b, and b - a as minus a - b, where that came first."""
    met = set[Term]()

    def alike(term: Term) -> Term:
        term = term.rewritten(alike)
        flipped = Term(term.args[0], *term.args[:0:-1])
        if term.op in {"+", "*", "-"} and term not in met and flipped in met:
            return -flipped if term.op == "-" else flipped
        met.add(term)
        return term

    return {name: alike(term) for name, term in definitions.items()}


def _signed(term: Term) -> Term:
    """Move a sign into the number in front."""
    if term.op == "*" and term.operands[0].op == "num" and term.operands[1].op == "neg":
        return build("*", num(-term.operands[0].parts[0]), term.operands[1].operands[0])
    return term


def is_number(term: Term) -> bool:
    """Whether a term is computed from numbers and sums over all entries alone."""
    if term.op in {"num", "vdot"} or (term.op in {"sum", "mean"} and term.parts[1] == ALL):
        return True
    return term.op in ELEMENTWISE and all(map(is_number, term.operands))


def _stored(term: Term, *, result: bool) -> Term:
    """Make an array of a number; a result is never another variable's array."""
    if term.op == "num":
        return build("full", *term.parts)
    return build("copy", term) if term.op == "var" and result else term


def exponentials(term: Term, library: str) -> Term:
    """Write softmaxes and logarithms of sums of exponentials out, with exponents of at most 0."""
    new = term.rewritten(lambda part: exponentials(part, library))
    if new.op not in {"softmax", "log_softmax", "logsumexp"}:
        return new
    inner, axis = new.parts
    peak = build("amax" if library == "torch" else "max", inner, axis)
    shifted = inner - peak
    total = build("sum", build("exp", shifted), axis)
    if new.op == "softmax":
        return build("exp", shifted) / total
    return shifted - build("log", total) if new.op == "log_softmax" else peak + build("log", total)


def _unaliased(definitions: Mapping[str, Term]) -> dict[str, Term]:
    """Read variables that only rename others from those."""
    same: dict[Term, Term] = {}
    result = {}
    for name, term in definitions.items():
        result[name] = term.xreplace(same)
        if term.op == "var":
            same[build("var", name, *term.shape)] = result[name]
    return result


def helpers(terms: Iterable[Term], library: str, rewrite: Callable[..., sp.Expr] = stable) -> dict[str, str]:
    """Definitions of the functions that terms call, for `np`, `torch` or `math`, their formulas rewritten."""
    found: dict[str, str] = {}
    for term in (node for root in terms for node in nodes(root) if node.op in {"map", "call"}):
        name, formula = term.name, term.parts[1]
        if term.op == "call":
            name, formula = helper_name(name, int(formula)), phi_formula(name, formula)
        found[name] = f"def {name}(u):\n{_body(formula, library, rewrite)}"
    return found


@cache
def _body(formula: sp.Expr, library: str, rewrite: Callable[..., sp.Expr]) -> str:
    return python_code(rewrite(formula, U), library)


def function_text(
    program: Program, names: Mapping[str, str], sizes: set[sp.Basic], lines: Iterable[str]
) -> str:
    """Print the function of a program's inputs that reads sizes off their shapes, each once, and runs lines."""
    places = dict[sp.Expr, str]()
    for name, shape in program.inputs.items():
        for axis, size in enumerate(shape):
            places.setdefault(size, f"{names[name]}.shape[{axis}]")
    reads = [f"{names[f'size {size}']} = {place}" for size, place in places.items() if size in sizes]
    head = f"def value_and_grad({', '.join(names[name] for name in program.inputs)}):"
    return "\n    ".join([head, *reads, *lines])
