"""Steps as text: for a terminal (entries as z[i,j], cotangents as d…, matrix forms as code), Markdown or LaTeX."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping

import sympy as sp
from sympy.printing.str import StrPrinter

from mlpreport.derivation.backward import Derivation, cotangent
from mlpreport.derivation.indices import Line
from mlpreport.derivation.latex import aligned, latex_name, markdown
from mlpreport.derivation.printing import code_names, show
from mlpreport.derivation.program import Term, show_shape
from mlpreport.errors import InvalidInputError

_WIDTH = 100
"""Columns up to which a reason stands on the line that it is for."""
_LETTERS = "mnrstuvwabcdefghijkpq"
"""What an index is called whose own letter is a variable's name."""


def written(derivation: Derivation, name: str, form: str) -> str:
    """Write one step as "text" for a terminal, as "markdown" or as "latex".

    In text, cotangents are named d… and matrix forms are in the forward language, as `explain` reads them.

    Raises
    ------
    ProgramError, InvalidInputError
        If the variable or the form is unknown.
    """
    step = derivation[name]
    key, shape = cotangent(derivation.program.loss, name), show_shape(step.shape)
    names = code_names(derivation.backward)
    if form == "text":
        met = Counter(dummy for line in step.lines for dummy in _indices(line))
        shared = _letters((d for d in met if met[d] > 1), set(names.values()), {})
        lines = "\n".join(_line(line, names, shared) for line in step.lines)
        return f"{key} = {names[key]}, shape {shape}\n{lines}"
    if form not in {"markdown", "latex"}:
        message = f"form {form!r} is unknown; use 'text', 'markdown' or 'latex'"
        raise InvalidInputError(message)
    if form == "markdown":
        return f"## ${latex_name(key)}$, shape {shape}\n\n{markdown(step.lines).rstrip()}"
    return f"% {key}, shape {shape}\n\\[\n{aligned(step.lines, frozenset(names.values()))}\n\\]"


def _line(line: Line, names: Mapping[str, str], shared: Mapping[sp.Dummy, str]) -> str:
    letters = _letters(_indices(line), set(names.values()), shared)
    printer = _IndexText(letters, names)
    left, right = (
        show(side, names) if isinstance(side, Term) else printer.spaced(side) for side in (line.lhs, line.rhs)
    )
    equality, reason = f"  {left} = {right}", f"[{line.rule}: {line.because}]"
    gap = "  " if len(equality) + len(reason) + 2 <= _WIDTH else "\n      "
    return equality + gap + reason


def _indices(line: Line) -> set[sp.Dummy]:
    return {dummy for side in (line.lhs, line.rhs) for dummy in side.atoms(sp.Dummy)}


def _letters(
    indices: Iterable[sp.Dummy], taken: set[str], known: Mapping[sp.Dummy, str]
) -> dict[sp.Dummy, str]:
    """Give every index its own letter if that is free, and then the others what is left."""
    letters = dict(known)
    for more in ("", [*_LETTERS, *(2 * letter for letter in _LETTERS)]):
        for dummy in sorted(set(indices) - letters.keys(), key=lambda d: d.dummy_index):
            free = [c for c in (dummy.name, *more) if c not in taken | set(letters.values())]
            if free:
                letters[dummy] = free[0]
    return letters


class _IndexText(StrPrinter):  # type: ignore[misc]
    """Prints index formulas; indices get letters that no variable has, and along an axis of size 1 there is none."""

    printmethod = "_text"  # not SymPy's own _sympystr, which would print Indexed before the method below

    def __init__(self, letters: Mapping[sp.Dummy, str], names: Mapping[str, str]) -> None:
        super().__init__()
        self.letters, self.names = letters, names

    def spaced(self, formula: sp.Basic) -> str:
        """Print a formula with spaces around its products."""
        return re.sub(r"(?<!\*)\*(?!\*)", " * ", self.doprint(formula))

    def _print_Dummy(self, expr: sp.Dummy) -> str:  # noqa: N802 - SymPy's name
        return self.letters[expr]

    def _print_Indexed(self, expr: sp.Indexed) -> str:  # noqa: N802 - SymPy's name
        label = str(expr.base.label)
        at = ",".join(self._print(k) for k in expr.indices if isinstance(k, sp.Dummy))
        return self.names.get(label, label) + (f"[{at}]" if at else "")

    def _print_Sum(self, expr: sp.Sum) -> str:  # noqa: N802 - SymPy's name
        indices = "".join(f"Σ_{self._print(limit[0])} " for limit in reversed(expr.limits))
        return f"{indices[:-1]}({self._print(expr.function)})"

    def _print_KroneckerDelta(self, expr: sp.KroneckerDelta) -> str:  # noqa: N802 - SymPy's name
        return f"δ[{','.join(map(self._print, expr.args))}]"

    def _print_Partial(self, expr: sp.Expr) -> str:  # noqa: N802 - SymPy's name
        top, bottom = expr.args
        above = self._print(top)
        return f"∂{above if isinstance(top, sp.Indexed) else f'({above})'}/∂{self._print(bottom)}"

    def _print_Phi(self, expr: sp.Expr) -> str:  # noqa: N802 - SymPy's name
        name, order, argument = expr.args
        return f"{name}{chr(39) * int(order)}({self._print(argument)})"

    def _print_Piecewise(self, expr: sp.Piecewise) -> str:  # noqa: N802 - SymPy's name
        *cases, (last, _) = expr.args
        return (
            f"({''.join(f'{self._print(v)} if {self._print(c)} else ' for v, c in cases)}{self._print(last)})"
        )
