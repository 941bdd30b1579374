"""Typesetting: lines as aligned LaTeX with their reasons in brackets, names as on paper."""

import re
from collections.abc import Sequence
from itertools import chain

import sympy as sp
from sympy.printing.latex import LatexPrinter

from mlpreport.derivation.indices import Line, outer_sum
from mlpreport.derivation.program import ALL, Term

_GREEK = frozenset(
    [
        "alpha",
        "beta",
        "gamma",
        "delta",
        "epsilon",
        "zeta",
        "eta",
        "theta",
        "iota",
        "kappa",
        "lambda",
        "mu",
        "nu",
        "xi",
        "pi",
        "rho",
        "sigma",
        "tau",
        "phi",
        "chi",
        "psi",
        "omega",
    ]
)
_ACCENTS = ("hat", "bar", "tilde", "dot")
_FUNCTIONS = {"sigmoid": r"\sigma", "tanh": r"\tanh", "exp": r"\exp", "log": r"\log"}
_LEVEL = {"+": 1, "-": 1, "neg": 1, "sum": 1, "mean": 1, "*": 2, "@": 2, "/": 4, "**": 4, "T": 4}
_LETTERS = "ijkpqmnrstuvwabcdefgh"
_SHORT = 3


def latex_name(name: str) -> str:
    """Typeset a variable's name: W1 as W with index 1, yhat with a hat, ∂l/∂W1 as a fraction."""
    if name.startswith("∂"):
        top, _, bottom = name[1:].partition("/∂")
        below = latex_name(bottom)
        return rf"\frac{{\partial {latex_name(top)}}}{{\partial {_bracketed(below) if '∂' in bottom else below}}}"
    if name.startswith("dot("):
        inner = latex_name(name[4:-1])
        head, mark, tail = inner.partition("_{") if not inner.startswith("\\frac") else (inner, "", "")
        return rf"\dot{{{head}}}{mark}{tail}"
    stem, digits = re.fullmatch(r"(.*?)_?(\d*)", name, re.DOTALL).groups()  # type: ignore[union-attr]
    return _stem(stem or name) + (f"_{{{digits}}}" if digits and stem else "")


def _stem(stem: str) -> str:
    for accent in _ACCENTS:
        if stem.endswith(accent) and len(stem) > len(accent):
            return rf"\{accent}{{{_stem(stem[: -len(accent)])}}}"
    if stem in _GREEK:
        return rf"\{stem}"
    return stem if len(stem) == 1 and stem != "_" else rf"\mathrm{{{_escaped(stem)}}}"


def _bracketed(text: str) -> str:
    return rf"\left({text}\right)"


def _escaped(text: str) -> str:
    return re.sub(r"([_&%#${}])", r"\\\1", text)


def function_name(name: str, order: int) -> str:
    """Typeset a function with as many primes as its order."""
    symbol = _FUNCTIONS.get(name, rf"\operatorname{{{_escaped(name)}}}")
    return symbol + "'" * order


class _IndexLatex(LatexPrinter):  # type: ignore[misc]
    """Prints index formulas; indices get letters that no variable has."""

    def __init__(self, sides: Sequence[sp.Basic], names: frozenset[str]) -> None:
        super().__init__()
        dummies = [sorted(side.atoms(sp.Dummy), key=lambda d: d.dummy_index) for side in sides]
        pool = [letter for letter in _LETTERS if letter not in names]
        first = {letter: letter if letter in pool else pool[-1 - n] for n, letter in enumerate(_LETTERS[:5])}
        self.letters: dict[sp.Dummy, str] = {}
        for dummy in dict.fromkeys(chain(*dummies)):
            used = self.letters.values()
            letters = (letter for letter in [first[dummy.name], *pool[5:]] if letter not in used)
            self.letters[dummy] = next(letters)

    def _print_Dummy(self, expr: sp.Dummy) -> str:  # noqa: N802
        return self.letters[expr]

    def _print_Symbol(self, expr: sp.Symbol, style: str = "") -> str:  # noqa: ARG002, N802
        return latex_name(expr.name)

    def _print_Indexed(self, expr: sp.Indexed, exp: str | None = None) -> str:  # noqa: N802
        text = self._cell(
            str(expr.base.label), "".join(self._print(k) for k in expr.indices if isinstance(k, sp.Dummy))
        )
        return text if exp is None else f"{_bracketed(text)}^{{{exp}}}"

    def _cell(self, name: str, at: str) -> str:
        if name.startswith("∂"):
            top, _, bottom = name[1:].partition("/∂")
            return rf"\frac{{\partial {latex_name(top)}}}{{\partial {self._cell(bottom, at)}}}"
        plain = latex_name(name)
        return plain if not at else rf"({plain})_{{{at}}}" if "_" in plain else rf"{plain}_{{{at}}}"

    def _print_Sum(self, expr: sp.Sum) -> str:  # noqa: N802
        body, k, size = outer_sum(expr)
        factors = sp.Mul.make_args(body)
        if body.is_Mul and all(
            isinstance(f, sp.Indexed | sp.KroneckerDelta) for f in factors
        ):  # as in a matrix product
            ordered = sorted(factors, key=lambda f: (isinstance(f, sp.Indexed), f.args[-1] != k))
            inner = " ".join(map(self._print, ordered))
        else:
            inner = _bracketed(self._print(body)) if body.is_Add else self._print(body)
        return rf"\sum_{{{self._print(k)}=1}}^{{{self._print(size)}}} {inner}"

    def _print_Partial(self, expr: sp.Expr) -> str:  # noqa: N802
        top, bottom = expr.args
        below = rf"\partial {self._print(bottom)}"
        if isinstance(top, sp.Indexed):
            return rf"\frac{{\partial {self._print(top)}}}{{{below}}}"
        return rf"\frac{{\partial}}{{{below}}} \left({self._print(top)}\right)"

    def _print_Phi(self, expr: sp.Expr, exp: str | None = None) -> str:  # noqa: N802
        name, order, argument = expr.args
        power = "" if exp is None else f"^{{{exp}}}"
        return rf"{function_name(str(name), int(order))}{power}\left({self._print(argument)}\right)"

    def _print_Add(self, expr: sp.Add, order: str | None = None) -> str:  # noqa: N802
        terms = sorted(
            self._as_ordered_terms(expr, order=order), key=lambda term: term.could_extract_minus_sign()
        )
        text = str(self._print(terms[0]))
        for term in terms[1:]:
            minus = term.could_extract_minus_sign()
            part = self._print(-term if minus else term)
            text += f" - {part}" if minus else f" + {part}"
        return text


def latex(*sides: sp.Basic, names: frozenset[str] = frozenset()) -> str:
    """Typeset a matrix expression or an index formula, or two joined by an aligned equals sign."""
    printer = _IndexLatex([side for side in sides if not isinstance(side, Term)], names)
    return " &= ".join(
        _term(side) if isinstance(side, Term) else str(printer.doprint(side)) for side in sides
    )


def _term(term: Term) -> str:
    op = term.op
    if op == "var":
        return latex_name(term.name)
    if op == "num":
        return latex(term.parts[0])
    if op == "ones":
        return rf"\mathbf{{1}}_{{{latex(term.parts[0])} \times {latex(term.parts[1])}}}"
    if op == "/":
        return rf"\frac{{{_term(term.operands[0])}}}{{{_term(term.operands[1])}}}"
    if op in {"softmax", "logsumexp", "call"}:
        head = function_name(term.name, int(term.parts[1])) if op == "call" else rf"\operatorname{{{op}}}"
        return rf"{head}\left({_term(term.operands[-1])}\right)"
    if op in {"sum", "mean"}:
        symbol = r"\sum" if op == "sum" else r"\operatorname{mean}"
        axis = {ALL: "", sp.S.Zero: r"_{\text{rows}}", sp.S.One: r"_{\text{columns}}"}[term.parts[1]]
        return rf"{symbol}{axis} {_inside(term.operands[0], 2)}"
    if op in {"T", "**"}:
        raised = r"\mathsf{T}" if op == "T" else _term(term.operands[1])
        return f"{_inside(term.operands[0], 5)}^{{{raised}}}"
    return _joined(term)


def _joined(term: Term) -> str:
    op, operands = term.op, term.operands
    if op == "neg":
        return f"-{_inside(operands[0], 2)}"
    left, right = _inside(operands[0], _LEVEL[op]), _inside(operands[1], _LEVEL[op] + (op != "+"))
    if op in {"+", "-"}:
        return f"{left} {op} {right}"
    return (
        rf"{left} \circ {right}"
        if op == "*" and "num" not in {part.op for part in operands}
        else rf"{left} \, {right}"
    )


def _inside(term: Term, least: int) -> str:
    level = 4 if term.op == "var" and term.name.startswith("∂") else _LEVEL.get(term.op, 6)
    if term.op == "num" and (term.parts[0].is_Add or term.parts[0].could_extract_minus_sign()):
        level = 1
    return _term(term) if level >= least else _bracketed(_term(term))


def aligned(lines: Sequence[Line], names: frozenset[str]) -> str:
    """Align lines at their equals signs, each with its rule and reason in brackets."""
    rows = []
    for line in lines:
        reason = _escaped(f"{line.rule}: {line.because}")
        rows.append(rf"{latex(line.lhs, line.rhs, names=names)} && \text{{[{reason}]}}")
    return "\\begin{aligned}\n" + " \\\\\n".join(rows) + "\n\\end{aligned}"


def markdown(lines: Sequence[Line]) -> str:
    """Typeset lines as Markdown; of a long derivation the lines between the first and the last are folded."""
    symbols = set().union(*(side.free_symbols for line in lines for side in (line.lhs, line.rhs)))
    names = frozenset(str(s) for s in symbols if not isinstance(s, sp.Dummy | sp.Indexed))
    if len(lines) <= _SHORT:
        return f"$$\n{aligned(lines, names)}\n$$\n"
    folded = f"$$\n{aligned(lines[1:-1], names)}\n$$"
    visible = f"$$\n{aligned((lines[0], lines[-1]), names)}\n$$"
    summary = f"<summary>The {len(lines) - 2} lines between, index by index</summary>"
    return f'{visible}\n\n<details markdown="1">\n{summary}\n\n{folded}\n\n</details>\n'
