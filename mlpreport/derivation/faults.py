"""What may be wrong with one part of a claim: each kind of fault with the part that should stand there."""

from collections.abc import Callable, Iterator, Mapping

import sympy as sp

from mlpreport.derivation.backward import Derivation, cotangent
from mlpreport.derivation.cancelling import factored
from mlpreport.derivation.program import ALL, ONE, Term, build, num

Change = tuple[str, Term]
"""What was changed about a claim or a part of it, and what comes of it."""

Show = Callable[[Term], str]
"""What prints a term."""

Derivatives = Mapping[Term, tuple[str, list[Term]]]
"""For cotangents of a function's values: its name, and forms of the cotangent of its operand."""

Kind = Callable[[Term, Show, Derivatives], Iterator[Change]]
"""What changes a part in one way."""

AXES = {sp.S.Zero: "the batch (axis 0)", ONE: "columns (axis 1)", ALL: "all entries"}


def derivatives(derivation: Derivation, wrt: str) -> Derivatives:
    """Find what the cotangent of each function's values becomes, under its name and as it is defined.

    The cotangent that is asked for is no answer.
    """
    program, steps, found = derivation.program, derivation.backward, dict[Term, tuple[str, list[Term]]]()
    for name, term in program.definitions.items():
        key = cotangent(program.loss, name)
        if term.op in {"call", "softmax"} and key in steps.definitions:
            dv, operand = steps.variable(key), term.operands[0]
            forms = [dv * build("call", term.name, term.parts[1] + 1, operand)] if term.op == "call" else []
            if operand.op == "var" and operand.name != wrt and program.users[operand.name] == (name,):
                forms.append(steps.variable(cotangent(program.loss, operand.name)))
            function = term.name if term.op == "call" else term.op
            found |= dict.fromkeys((dv, steps.definitions[key]), (function, forms))
    return found


def _sign_or_transpose(term: Term, show: Show, _known: Derivatives) -> Iterator[Change]:
    match term:
        case Term("var" | "sum" | "mean"):
            yield f"a transpose of {show(term)} is missing", term.T
        case Term("T", (inner,)):
            yield f"{show(inner)} must not be transposed", inner
        case Term("neg", (inner,)):
            yield "the sign is wrong", inner
        case Term("num", (value,)) if value.could_extract_minus_sign():
            yield "the sign is wrong", num(-value)


def _sum(term: Term, show: Show, _known: Derivatives) -> Iterator[Change]:
    match term:
        case Term("+" | "-", (a, b)):
            yield f"the sign of {show(b)} is wrong", a - b if term.op == "+" else a + b
            first, turned = (a.operands[0], a.operands[0]) if a.op == "neg" else (a, -a)
            yield f"the sign of {show(first)} is wrong", build(term.op, turned, b)
            yield f"the term {show(b)} is too much", a
            yield f"the term {show(a)} is too much", b if term.op == "+" else -b
        case Term("sum" | "mean" | "softmax" | "logsumexp" as op, (inner, _)):
            word = "sum" if op == "logsumexp" else op
            for axis, where in AXES.items():
                yield f"the {word} must run over {where} only", build(op, inner, axis)


def _product(term: Term, show: Show, _known: Derivatives) -> Iterator[Change]:
    match term:
        case Term("@" | "*", (a, b)):
            if term.op == "@":
                yield "the factors stand in the wrong order", b @ a
                yield "the product must be taken entry by entry", a * b
            else:
                yield "this must be a matrix product", a @ b
            for one, other in ((a, b), (b, a)):
                if one.op != "T":
                    moved = f"the transpose {show(one.T)} must stand on the {{}} of a matrix product"
                    yield moved.format("left"), one.T @ other
                    yield moved.format("right"), other @ one.T
                if one.op == "num" and one.free_symbols:
                    yield f"{show(one)} must divide, not multiply", other / one
        case Term("/", (a, Term("num") as b)) if b.free_symbols:
            yield f"{show(b)} must multiply, not divide", a * b


def _missing_derivative(term: Term, show: Show, known: Derivatives) -> Iterator[Change]:
    if term in known:
        function, forms = known[term]
        yield from ((f"the derivative of {function} is missing beside {show(term)}", new) for new in forms)


def wrong_derivative(term: Term, show: Show, known: Derivatives) -> Iterator[Change]:
    """Replace a cotangent times something else by its product with the derivative."""
    for part, power in factored(term) if term.op == "*" else ():
        if power == 1 and part in known:
            function, forms = known[part]
            yield from ((f"the derivative of {function} beside {show(part)} is wrong", new) for new in forms)


def another_variable(derivation: Derivation, wrt: str) -> Kind:
    """Make the kind of fault that is another variable; what is asked for is no answer."""
    backward, asked = derivation.backward, cotangent(derivation.program.loss, wrt)
    others = [backward.variable(name) for name in backward.shapes if name != asked]

    def swapped(term: Term, show: Show, _known: Derivatives) -> Iterator[Change]:
        if term.op == "var":
            yield from ((f"{show(term)} must be {show(other)}", other) for other in others if other != term)

    return swapped


KINDS = (_sign_or_transpose, _sum, _product, _missing_derivative)
"""Functions that change a part; two such changes may come together."""
