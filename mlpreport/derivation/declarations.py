"""Programs from their source text and what is declared about it: shapes of the inputs, and assumptions."""

import re
from keyword import iskeyword
from textwrap import dedent
from typing import Any, NoReturn
from unicodedata import normalize

import sympy as sp

from mlpreport.checks import checked_text
from mlpreport.derivation.program import Program, Shape, build
from mlpreport.derivation.reading import Reader
from mlpreport.errors import ProgramError, ShapeError

_DECLARED = re.compile(r"\s*(\w+)\s*=\s*\(\s*(\w+)\s*,\s*(\w+)\s*,?\s*\)\s*(?:,|$)")


def trace(
    source: str, /, *, assume: tuple[str, ...] | str = (), **shapes: tuple[str | int, str | int]
) -> Program:
    """Read a forward program written in the NumPy subset, given the shapes of its inputs.

    Parameters
    ----------
    source
        Assignments, one a line; the last one is the loss, of shape (1, 1).
    assume
        Assumptions such as "rows_sum_to_one:y", used as visible steps.
    **shapes
        For each input (rows, cols); a size is a name such as "N" or a whole number.

    Raises
    ------
    ProgramError, ShapeError
        If the source leaves the language or shapes do not fit; the message marks the source line.
    """
    source = checked_text("source", source, example="l = sum(x**2)")
    inputs = {_name(name): _shape(name, shape) for name, shape in shapes.items()}
    scope = {name: build("var", name, *shape) for name, shape in inputs.items()}
    definitions = Reader(dedent(source), scope).read_assignments()
    given = assume if isinstance(assume, tuple | list) else (assume,)
    program = Program(inputs, definitions, tuple(given), source)
    for assumption in program.assumptions:
        kind, _, name = str(assumption).partition(":")
        if kind != "rows_sum_to_one" or not name:
            remedy = f"write 'rows_sum_to_one:{name or next(iter(program.shapes))}'"
            message = f"assumption {assumption!r} is unknown; {remedy}"
            raise ProgramError(message)
        program.variable(name)
    return program


def _name(name: str) -> str:
    """Write a declared name as Python reads it in the source."""
    if not _named(name):
        message = f"input {name!r}: a variable has the name of a Python variable, such as x or W1"
        raise ProgramError(message)
    return normalize("NFKC", name)


def _named(name: str) -> bool:
    return name.isidentifier() and not iskeyword(name)


def _shape(name: str, shape: Any) -> Shape:
    """Turn a declared shape into sizes: positive whole numbers or symbols."""
    given = shape if isinstance(shape, tuple | list) else ()
    sizes = [
        sp.Symbol(normalize("NFKC", size), integer=True, positive=True)
        if isinstance(size, str)
        else sp.Integer(size)
        for size in given
        if (_named(size) if isinstance(size, str) else type(size) is int and size > 0)
    ]
    if not len(given) == len(sizes) == 2:  # noqa: PLR2004
        remedy = 'write (rows, cols) of names or positive whole numbers, such as ("N", 1)'
        message = f"shape of {name} is {shape!r}: {remedy}"
        raise ShapeError(message)
    return sizes[0], sizes[1]


def read_program(text: str) -> Program:
    """Read a program file: forward code whose comment lines declare shapes and assumptions.

    `# shapes: x = (N, D), W1 = (D, H)` declares inputs, `# assume: rows_sum_to_one:y` an assumption; both may be
    repeated. Everything else is as in `trace`.

    Raises
    ------
    ProgramError, ShapeError
        As for `trace`, and for a declaration that cannot be read.
    """
    shapes, assume = dict[str, Any](), list[str]()
    for row, line in enumerate(checked_text("text", text, example="l = sum(x**2)").splitlines(), 1):
        found = re.fullmatch(r"\s*#\s*(shapes|assume)\s*:\s*(.*?)\s*", line)
        kind, rest = found.groups() if found else ("", "")
        if kind == "assume":
            assume += re.split(r"[,\s]+", rest)
        elif kind and (not rest or _DECLARED.sub("", rest)):
            _refuse(row, line, "write '# shapes: x = (N, D), W1 = (D, H)'")
        for name, *sizes in _DECLARED.findall(rest) if kind == "shapes" else ():
            if name in shapes:
                _refuse(row, line, f"the shape of {name} was declared before; leave one of the two")
            shapes[name] = tuple(int(size) if size.isdecimal() else size for size in sizes)
    return trace(text, assume=tuple(assume), **shapes)


def _refuse(row: int, line: str, rule: str) -> NoReturn:
    message = f"line {row}: {rule}\n    {line}\n    {'^' * len(line)}"
    raise ProgramError(message)
