"""Lines as they are read: aligned LaTeX with reasons in brackets, or Markdown."""

import re
from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import count
from keyword import iskeyword

import sympy as sp
from sympy.printing.latex import LatexPrinter

from mlpreport.derivation.edges import Line
from mlpreport.derivation.printing import Dialect, Row, formula_text
from mlpreport.derivation.program import Term, variables
from mlpreport.derivation.stable import is_decimal

_ROWS: dict[str, Row] = {
    "+": (0, (0, 0), "{} + {}"),
    "-": (0, (0, 2), "{} - {}"),
    "neg": (1, (2,), "-{}"),
    "*": (2, (1, 3), r"{} \circ {}"),
    "product": (2, (1, 3), "{} {}"),
    "scale": (2, (1, 3), r"{} \, {}"),
    "@": (2, (1, 3), r"{} \, {}"),
    "/": (4, (0, 0), r"\frac{{{}}}{{{}}}"),
    "**": (4, (5, 0), "{}^{{{}}}"),
    "sqrt": (5, (0, 0), r"\sqrt{{{}}}"),
    "T": (4, (5,), r"{}^{{\mathsf{{T}}}}"),
    "sum": (0, (2,), "{op} {}"),
    "sum along": (0, (2,), r"{op}_{{\text{{{along}}}}} {}"),
    "softmax": (6, (7,), "{op}{}"),
    "softmax along": (6, (7,), r"{op}_{{\text{{{along}}}}}{}"),
    "logsumexp": (6, (7,), "{op}{}"),
    "logsumexp along": (6, (7,), r"{op}_{{\text{{{along}}}}}{}"),
    "ones": (6, (0, 0), r"\mathbf{{1}}_{{{} \times {}}}"),
    "Σ": (3, (2, 0, 0), r"\sum_{{{1}=1}}^{{{2}}} {0}"),
    "δ": (6, (0, 0), r"\delta_{{{} {}}}"),
    "∂": (4, (0, 0), r"\frac{{\partial {}}}{{\partial {}}}"),
    "∂()": (4, (7, 0), r"\frac{{\partial}}{{\partial {1}}} {0}"),
    "∂ direct": (6, (0, 0), r"\left(\frac{{\partial {}}}{{\partial {}}}\right)_{{\text{{direct}}}}"),
}
_GREEK = (
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi pi rho sigma tau upsilon phi chi psi "
    "omega Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi Omega"
)
_SPELLED = dict(zip("αβγδεζηθικλμνξπρστυφχψωΓΔΘΛΞΠΣΥΦΨΩ", _GREEK.split(), strict=True))
_ACCENTS = ("hat", "bar", "tilde", "dot")
_FUNCTIONS = {"sigmoid": r"\sigma", "tanh": r"\tanh", "exp": r"\exp", "log": r"\log", "sum": r"\sum"}
_LETTERS = "mnrstuvwabcdefghijkpq"
"""What an index is called whose own letter is a variable's name."""
_LONG = 2
"""Lines from which on a fold is worth it."""


def latex_name(name: str, at: Sequence[str] = (), alike: Container[str] = ()) -> str:
    """Typeset a variable: W1 and W_new with their indices, y_hat with a hat, ∂l/∂W1 as a fraction; `at` are places.

    A variable that is `alike` another is written as in the program.
    """
    if name.startswith("∂"):
        top, _, bottom = name[1:].partition("/∂")
        below = latex_name(bottom, at, alike)
        below = rf"\left({below}\right)" if bottom.startswith("∂") else below
        return rf"\frac{{\partial {latex_name(top, alike=alike)}}}{{\partial {below}}}"
    if at:
        whole, places = latex_name(name, alike=alike), "".join(at)
        return rf"({whole})_{{{places}}}" if "_" in whole else rf"{whole}_{{{places}}}"
    if name.startswith("dot("):
        inner = latex_name(name[4:-1], alike=alike)
        head, mark, tail = inner.partition("_{") if not inner.startswith("\\frac") else (inner, "", "")
        return rf"\dot{{{head}}}{mark}{tail}"
    if name in alike:
        return rf"\mathrm{{{_escaped(name)}}}"
    # No variable can be called lambda, so lambda_ means that.
    return _plain(name.removesuffix("_") if iskeyword(name[:-1]) else name)


def _plain(name: str) -> str:
    """Typeset a letter or a word, perhaps with digits; words behind underscores are accents or further indices."""
    parts = re.fullmatch(r"([^\W\d_]+)(\d*)((?:_[^\W_]+)*)", name)
    if not parts:
        return rf"\mathrm{{{_escaped(name)}}}"
    stem, digits, rest = parts.groups()
    words = rest.split("_")[1:]
    accents = [word for word in words if word in _ACCENTS]
    head = "".join(rf"\{accent}{{" for accent in accents) + _stem(stem) + "}" * len(accents)
    places = [digits] * bool(digits)
    places += [_letter(word) or rf"\text{{{word}}}" for word in words if word not in _ACCENTS]
    return head + (f"_{{{','.join(places)}}}" if places else "")


def _stem(stem: str) -> str:
    for accent in _ACCENTS:
        letter = stem.removesuffix(accent)
        if letter != stem and (len(letter) == 1 or letter in _GREEK.split()):
            return rf"\{accent}{{{_letter(letter)}}}"
    return _letter(stem) or rf"\mathrm{{{stem}}}"


def _letter(word: str) -> str:
    """Typeset a letter, which may be Greek and spelled out, or a number; empty for other words."""
    word = _SPELLED.get(word, word)
    return rf"\{word}" if word in _GREEK.split() else word if len(word) == 1 or word.isdigit() else ""


def _escaped(text: str) -> str:
    return re.sub(r"([_&%#${}])", r"\\\1", text)


def _function(name: str, order: int) -> str:
    return _FUNCTIONS.get(name, rf"\operatorname{{{_escaped(name)}}}") + "'" * order


class _Numbers(LatexPrinter):  # type: ignore[misc]
    """Typesets numbers and expressions in sizes as SymPy does, but 1/100000 as a power of ten."""

    def _print_Rational(self, expr: sp.Rational) -> str:  # noqa: N802 (SymPy's name)
        if expr.p == 1 and is_decimal(expr):
            return f"10^{{-{len(str(expr.q)) - 1}}}"
        return str(super()._print_Rational(expr))


def _number(value: sp.Expr) -> str:
    printer = _Numbers({"symbol_names": {s: latex_name(s.name) for s in value.free_symbols}})
    return str(printer.doprint(value))


def latex_dialect(names: Iterable[str]) -> Dialect:
    """Make the dialect in which those of the names that would look alike are written out."""
    words = {word for name in names for form in (r"\w+", r"dot\(\w+\)") for word in re.findall(form, name)}
    looks = Counter(map(latex_name, words))
    looks[r"\delta"] += 1  # Kronecker's
    alike = {word for word in words if looks[latex_name(word)] > 1}
    return Dialect(partial(latex_name, alike=alike), _number, _function, r"\left({}\right)", _ROWS)


def names_in(sides: Sequence[sp.Basic]) -> set[str]:
    """Names of the variables in matrix expressions and index formulas."""
    entries = {str(e.base) for side in sides for e in side.atoms(sp.Indexed)}
    return entries.union(*(variables(side) for side in sides if isinstance(side, Term)))


def latex(*sides: sp.Basic) -> str:
    """Typeset a matrix expression or an index formula, or two joined by an aligned equals sign."""
    letters, d = _assigned(_indices(sides), set(), {}), latex_dialect(names_in(sides))
    return " &= ".join(formula_text(side, d, letters).text for side in sides)


def _indices(sides: Iterable[sp.Basic]) -> set[sp.Dummy]:
    return set().union(*(side.atoms(sp.Dummy) for side in sides))


def printed(lines: Sequence[Line], d: Dialect, taken: set[str]) -> Iterator[tuple[str, str, str]]:
    """Print both sides of every line and its reason; an index has the same letter in all lines."""
    met = Counter(dummy for line in lines for dummy in _indices((line.lhs, line.rhs)))
    common = _assigned((dummy for dummy in met if met[dummy] > 1), taken, {})
    for line in lines:
        letters = _assigned(_indices((line.lhs, line.rhs)), taken, common)
        left, right = (formula_text(side, d, letters).text for side in (line.lhs, line.rhs))
        yield left, right, f"{line.rule}: {line.because}"


def _assigned(
    indices: Iterable[sp.Dummy], taken: set[str], known: Mapping[sp.Dummy, str]
) -> dict[sp.Dummy, str]:
    """Give every index its own letter if that is free, and then the others what is left."""
    letters, spare = dict(known), (n * letter for n in count(1) for letter in _LETTERS)
    missing = sorted(set(indices) - known.keys(), key=lambda d: d.dummy_index)
    for dummy in missing:
        if dummy.name not in taken | set(letters.values()):
            letters[dummy] = dummy.name
    for dummy in missing:
        if dummy not in letters:
            letters[dummy] = next(c for c in spare if c not in taken | set(letters.values()))
    return letters


def aligned(lines: Sequence[Line], taken: set[str], names: Iterable[str]) -> list[str]:
    """Typeset lines as rows, aligned at their equals signs and reasons; no index has a name that is taken."""
    own = names_in([side for line in lines for side in (line.lhs, line.rhs)])
    rows = printed(lines, latex_dialect({*own, *names}), taken)
    return [rf"{left} &= {right} && \text{{[{_escaped(reason)}]}}" for left, right, reason in rows]


def block(rows: Sequence[str]) -> str:
    """Put aligned rows below each other."""
    return "\\begin{aligned}\n" + " \\\\\n".join(rows) + "\n\\end{aligned}"


def markdown(lines: Sequence[Line], names: Iterable[str] = ()) -> str:
    """Typeset lines as Markdown, all but the first, the last and those of the chain or power rule in a fold.

    `names` are those of further variables, from which the ones in the lines must look different.
    """
    symbols = set().union(*(side.free_symbols for line in lines for side in (line.lhs, line.rhs)))
    rows = aligned(lines, {str(s) for s in symbols if not isinstance(s, sp.Dummy | sp.Indexed)}, names)
    opened = {n for n in range(len(lines)) if n in {0, len(lines) - 1} or _telling(lines, n)}
    shown, hidden = ([row for n, row in enumerate(rows) if (n in opened) is part] for part in (True, False))
    if len(hidden) < _LONG:
        return f"$$\n{block(rows)}\n$$\n"
    summary = f"<summary>The other {len(hidden)} lines, index by index</summary>"
    folded = f'<details markdown="1">\n{summary}\n\n$$\n{block(hidden)}\n$$\n\n</details>\n'
    return f"$$\n{block(shown)}\n$$\n\n{folded}"


def _telling(lines: Sequence[Line], n: int) -> bool:
    """Whether a line differentiates an outer function, or at once what is inside it."""
    outer = {"power rule", "outer function"}
    return lines[n].rule in outer or (lines[n].rule == "inner derivative" and lines[n - 1].rule in outer)
