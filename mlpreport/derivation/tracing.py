"""Where programs come from: source text with declared shapes, or a program file."""

import re

import sympy as sp

from mlpreport.derivation.program import Equation, Program
from mlpreport.derivation.reading import Reader
from mlpreport.derivation.terms import Shape, build, show_shape
from mlpreport.errors import ProgramError, ShapeError


def trace(source: str, /, *, assume: tuple[str, ...] = (), **shapes: tuple[str | int, str | int]) -> Program:
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
    inputs = {name: read_shape(name, shape) for name, shape in shapes.items()}
    reader = Reader(source, {name: build("var", name, *shape) for name, shape in inputs.items()})
    loss = reader.read_assignments()
    if loss.shape != (1, 1):
        reader.fail(
            None,
            f"the loss {loss.name} has shape {show_shape(loss.shape)}; wrap it in mean(…) or sum(…)",
            ShapeError,
        )
    program = Program(
        inputs, tuple(Equation(*item) for item in reader.equations.items()), _texts(assume), source
    )
    for assumption in program.assumptions:
        kind, _, name = assumption.partition(":")
        program.variable(name)
        if kind != "rows_sum_to_one":
            message = f"assumption {assumption!r} is unknown; write 'rows_sum_to_one:{name}'"
            raise ProgramError(message)
    return program


def _texts(assume: tuple[str, ...] | str) -> tuple[str, ...]:
    return (assume,) if isinstance(assume, str) else tuple(assume)


def read_shape(name: str, shape: tuple[str | int, str | int]) -> Shape:
    """Turn a declared shape into sizes: positive whole numbers or symbols."""
    sizes = []
    for size in shape if isinstance(shape, tuple | list) else (None,):
        if isinstance(size, str) and size.isidentifier():
            sizes.append(sp.Symbol(size, integer=True, positive=True))
        elif isinstance(size, int) and not isinstance(size, bool) and size > 0:
            sizes.append(sp.Integer(size))
    if not isinstance(shape, tuple | list) or len(shape) != 2 or len(sizes) != 2:  # noqa: PLR2004
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
    shapes: dict[str, tuple[str | int, str | int]] = {}
    assume: list[str] = []
    for row, line in enumerate(text.splitlines(), 1):
        if match := re.fullmatch(r"\s*#\s*(shapes|assume)\s*:\s*(.*?)\s*", line):
            kind, rest = match.groups()
            declared = re.findall(r"\s*(\w+)\s*=\s*\(\s*(\w+)\s*,\s*(\w+)\s*,?\s*\)\s*(?:,|$)", rest)
            if kind == "assume":
                assume += re.split(r"[,\s]+", rest)
            elif not declared or re.sub(
                r"\s*(\w+)\s*=\s*\(\s*(\w+)\s*,\s*(\w+)\s*,?\s*\)\s*(?:,|$)", "", rest
            ):
                message = f"line {row}: write '# shapes: x = (N, D), W1 = (D, H)'\n    {line}\n    {'^' * len(line)}"
                raise ProgramError(message)
            shapes |= {name: tuple(int(s) if s.isdigit() else s for s in (a, b)) for name, a, b in declared}
    return trace(text, assume=tuple(assume), **shapes)
