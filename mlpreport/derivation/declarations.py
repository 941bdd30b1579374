"""Programs from their source text and what is declared about it: shapes of the inputs, and assumptions."""

import re
from collections.abc import Iterable, Mapping
from keyword import iskeyword
from textwrap import dedent
from typing import Any

import numpy as np
import sympy as sp

from mlpreport.checks import checked_text, listed
from mlpreport.derivation.program import Program, Shape, build, name_of, spelled
from mlpreport.derivation.reading import Reader
from mlpreport.errors import InvalidInputError, ProgramError, ShapeError

_COMMENT = re.compile(r"(?i)\s*#\s*(?:(shapes|assume)\s*:)?\s*([^#]*?)\s*(?:#.*)?")
_DECLARED = re.compile(r"\s*(\w+)\s*=\s*[(\[]\s*(\w+)\s*,\s*(\w+)\s*,?\s*[)\]]\s*(?:,|$)")
_ASSUMED = re.compile(r"[^,\s:]+(?:\s*:\s*[^,\s:]+)?")


def trace(
    source: str, /, *, assume: Iterable[str] | str = (), **shapes: tuple[str | int, str | int]
) -> Program:
    """Read a forward program written in the NumPy subset, given the shapes of its inputs.

    Parameters
    ----------
    source
        Assignments, one a line; the last one is the loss, of shape (1, 1).
    assume
        Assumptions about inputs, such as "rows_sum_to_one:y", used as visible steps.
    **shapes
        For each input (rows, cols); a size is a name such as "N" or a whole number.

    Raises
    ------
    ProgramError, ShapeError
        If the source leaves the language or shapes do not fit; the message marks the source line.
    """
    source = checked_text("source", source, example="l = sum(x**2)")
    inputs = dict(_input(name, shape) for name, shape in shapes.items())
    return _read(source, [_assumption(given, inputs) for given in listed(assume)], inputs)


def _read(source: str, assumptions: Iterable[str], inputs: Mapping[str, Shape]) -> Program:
    scope = {name: build("var", name, *shape) for name, shape in inputs.items()}
    definitions = Reader(dedent(source), scope).read_assignments()
    program = Program(inputs, definitions, tuple(assumptions), source)
    for name in map(name_of, program.assumptions):
        program.input(name, "assumptions are about inputs")
    return program


def _assumption(given: object, inputs: Mapping[str, Shape]) -> str:
    """Write an assumption without spaces, its variable as Python reads it."""
    kind, _, name = (part.strip() for part in str(given).partition(":"))
    if kind != "rows_sum_to_one" or not name:
        message = (
            f"assumption {given!r} is unknown; write 'rows_sum_to_one:{name or next(iter(inputs), 'y')}'"
        )
        raise ProgramError(message)
    return f"{kind}:{spelled(name)}"


def _input(name: str, shape: Any) -> tuple[str, Shape]:
    return _name(name), _shape(name, shape)


def _name(name: str) -> str:
    """Write a declared name as Python reads it in the source."""
    if not _named(name):
        message = f"input {name!r}: a variable has the name of a Python variable, such as x or W1"
        raise ProgramError(message)
    return spelled(name)


def _named(name: str) -> bool:
    return name.isidentifier() and not iskeyword(name)


def _shape(name: str, shape: Any) -> Shape:
    """Turn a declared shape into sizes: positive whole numbers or symbols."""
    given = shape if isinstance(shape, tuple | list) else ()
    sizes = [
        sp.Symbol(spelled(size), integer=True, positive=True)
        if isinstance(size, str)
        else sp.Integer(int(size))
        for size in given
        if (_named(size) if isinstance(size, str) else _counts(size))
    ]
    if not len(given) == len(sizes) == 2:  # noqa: PLR2004
        remedy = 'write (rows, cols) of names or positive whole numbers, such as ("N", 1)'
        message = f"shape of {name} is {shape!r}: {remedy}"
        raise ShapeError(message)
    return sizes[0], sizes[1]


def _counts(size: object) -> bool:
    return isinstance(size, int | np.integer) and not isinstance(size, bool) and int(size) > 0


def read_program(text: str) -> Program:
    """Read a program file: forward code whose comment lines declare shapes and assumptions.

    `# shapes: x = (N, D), W1 = (D, H)` declares inputs, `# assume: rows_sum_to_one:y` an assumption; both may be
    repeated, and go on in the next comment line behind a comma. Everything else is as in `trace`.

    Raises
    ------
    ProgramError, ShapeError
        As for `trace`, and for a declaration that cannot be read.
    """
    inputs, assume, kind, rest = dict[str, Shape](), list[str](), "", ""
    for row, line in enumerate(checked_text("text", text, example="l = sum(x**2)").splitlines(), 1):
        goes_on, found = kind and rest.endswith(","), _COMMENT.fullmatch(line)
        word, rest = found.groups() if found else ("", "")
        kind = word.lower() if word else kind if found and goes_on else ""
        try:
            if kind == "assume":
                assume += [_assumption(given, inputs) for given in _ASSUMED.findall(rest) or [rest]]
            elif kind:
                _declare(rest, inputs)
        except InvalidInputError as error:
            message = f"line {row}: {error}\n    {line}\n    {'^' * len(line)}"
            raise type(error)(message) from error
    return _read(text, assume, inputs)


def _declare(text: str, inputs: dict[str, Shape]) -> None:
    """Add the inputs of a declaration."""
    if not text or _DECLARED.sub("", text):
        message = "write '# shapes: x = (N, D), W1 = (D, H)'"
        raise ProgramError(message)
    for written, *sizes in _DECLARED.findall(text):
        name, shape = _input(written, tuple(int(size) if size.isdecimal() else size for size in sizes))
        if name in inputs:
            message = f"the shape of {name} was declared before; leave one of the two"
            raise ProgramError(message)
        inputs[name] = shape
