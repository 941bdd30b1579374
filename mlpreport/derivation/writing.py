"""What a terminal or a file shows of a program, its derivation and single lines."""

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import starmap

from mlpreport.derivation.backward import Derivation, cotangent
from mlpreport.derivation.edges import Line
from mlpreport.derivation.forward import direction
from mlpreport.derivation.latex import aligned, block, latex_dialect, markdown, names_in, printed
from mlpreport.derivation.printing import code_dialect, code_names, identifiers, show
from mlpreport.derivation.program import Program, show_shape
from mlpreport.errors import InvalidInputError

_WIDTH = 100
"""Columns up to which a reason stands on the line that it is for."""


def program_text(program: Program) -> str:
    """Write a program as `read_program` reads it, parts of nested equations by their own names."""
    names = code_names(program)
    shapes = ", ".join(f"{names[name]} = {show_shape(shape)}" for name, shape in program.inputs.items())
    equations = (f"{names[name]} = {show(term, names)}" for name, term in program.definitions.items())
    return "\n".join([f"# shapes: {shapes}", *(f"# assume: {a}" for a in program.assumptions), *equations])


def lines_text(lines: Sequence[Line]) -> str:
    """Write lines in the forward language, reasons in brackets; entries are z[i,j], cotangents d…."""
    return _lines(lines, identifiers(sorted(names_in([side for e in lines for side in (e.lhs, e.rhs)]))))


def _lines(lines: Sequence[Line], names: Mapping[str, str]) -> str:
    return "\n".join(starmap(_line, printed(lines, code_dialect(names, ""), set(names.values()))))


def _line(left: str, right: str, reason: str) -> str:
    equality, remark = f"  {left} = {right}", f"[{reason}]"
    return equality + ("  " if len(equality) + len(remark) + 2 <= _WIDTH else "\n      ") + remark


def steps_written(derivation: Derivation, names: Iterable[str], form: str) -> str:
    """Write several steps, in one of the forms of `written`."""
    return "\n\n".join(written(derivation, name, form) for name in names)


def written(derivation: Derivation, name: str, form: str) -> str:
    """Write one step as "text" for a terminal, as "markdown" or as "latex".

    In text, entries are z[i,j], cotangents d… and matrix forms in the forward language, as `explain` reads them.

    Raises
    ------
    ProgramError, InvalidInputError
        If the variable or the form is unknown.
    """
    step, names, shapes = derivation[name], code_names(derivation.backward), derivation.backward.shapes
    key = direction(name) if derivation.tangents else cotangent(derivation.program.loss, name)
    head = re.sub(r"dot\([^()]*\)", lambda found: names[found[0]], key)
    taken, shape = set(names.values()), show_shape(step.shape)
    if form == "text":
        code = "" if names[key] == head else f" = {names[key]}"
        return f"{head}{code}, shape {shape}\n{_lines(step.lines, names)}"
    if form == "markdown":
        lines = markdown(step.lines, shapes).rstrip()
        return f"## ${latex_dialect(shapes).cell(key, ())}$, shape {shape}\n\n{lines}"
    if form == "latex":
        return f"% {head}, shape {shape}\n\\[\n{block(aligned(step.lines, taken, shapes))}\n\\]"
    message = f"form {form!r} is unknown; use 'text', 'markdown' or 'latex'"
    raise InvalidInputError(message)
