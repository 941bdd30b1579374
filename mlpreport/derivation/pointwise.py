"""A derivation as the body of a kernel: loops over contiguous points, in arrays of a given workspace."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib import import_module
from types import FunctionType
from typing import Any

import sympy as sp

from mlpreport.derivation.backward import Derivation
from mlpreport.derivation.loops import RESERVED, Layout, Loops
from mlpreport.derivation.lowering import function_text, helpers, lowered
from mlpreport.derivation.printing import code_names
from mlpreport.derivation.program import ONE, Shape, Term, variables
from mlpreport.errors import InvalidInputError

POINTS = sp.Symbol("N", integer=True, positive=True)
"""The number of points; in a program for one point, the points are an axis behind its variables' own."""

KERNEL_NAMES = (
    *("problem", "parameters", "sizes", "work", "space", "room", "gradient", "system", "values"),
    *("forward", "objective", "output", "scale", "math", "np", "lanes", "LANES", "load", "store", "first"),
    *("row_product", "row_total", "sum_of"),
)
"""What the kernel around the lines may call its own things."""


@dataclass(frozen=True)
class Body:
    """Lines that compute a derivation's value and results, and what they need.

    Parameters
    ----------
    once, again
        Lines to run once, and lines to run again for each value of the input that is chosen last.
    names
        What the value, the results and the inputs are called in the lines.
    helpers
        Definitions of the functions that the lines call.
    rows, entries
        How many rows of the matrix `work`, a column for each point and more, and how many entries of the vector
        `space` the lines use, as code in the sizes.
    """

    once: tuple[str, ...]
    again: tuple[str, ...]
    names: Mapping[str, str]
    helpers: Mapping[str, str]
    rows: str
    entries: str


def pointwise(
    derivation: Derivation,
    *,
    differing: tuple[str, ...],
    scalars: tuple[str, ...] = (),
    parts: Mapping[str, str],
    chosen: str = "",
) -> Body:
    """Print the body of a kernel.

    Parameters
    ----------
    derivation
        Of a program whose inputs `differing` have N rows, or one row: then results are wanted for each point.
    differing
        Inputs that differ from point to point.
    scalars
        Inputs that are numbers and no arrays.
    chosen
        The input that takes several values.
    parts
        Variables, the value and the results among them, that are parts of flat arrays, as in `Layout`.
    """
    terms, results = lowered(derivation, "math"), set(derivation.results.values())
    shapes = {**derivation.backward.inputs, **{name: term.shape for name, term in terms.items()}}
    layout = Layout((ONE, ONE), set(), scalars, parts)
    if differing:
        varying = _varying(terms, shapes, differing, {derivation.value, *results})
        single = {name for name in terms.keys() - varying - results if shapes[name] == (ONE, ONE)}
        rooms = {name: "work[" if name in varying else "space[" for name in terms.keys() - single}
        layout = Layout((sp.Symbol("n"), POINTS), varying, {*single, *scalars}, rooms | dict(parts))
    called = helpers(terms.values(), layout.library)
    reserved = [*RESERVED, *KERNEL_NAMES, *called, *["N"] * bool(differing)]
    names = code_names(derivation.backward, reserved, [*terms]) | ({"size N": "N"} if differing else {})
    loops = Loops(shapes, names, layout)
    # A result is stored for each value, even one that is the same for all, such as a slope of 0.
    once, again, room = _printed(loops, terms, _dependent(terms, [chosen, *results] if chosen else []))
    return Body(once, again, names, called, *map(loops.code, room.values()))


def _printed(
    loops: Loops, terms: Mapping[str, Term], again: set[str]
) -> tuple[tuple[str, ...], tuple[str, ...], dict[str, sp.Expr]]:
    """Print the loops of all terms, those to run again apart, and count the room they take in the workspaces."""
    lines: dict[bool, list[str]] = {False: [], True: []}
    room: dict[str, sp.Expr] = {"work[": sp.S.Zero, "space[": sp.S.Zero}
    for name, term in terms.items():
        target, place = lines[name in again], loops.layout.parts.get(name)
        if place in room:
            target.append(f"{loops.names[name]} = {loops.code(room[place])}")
            room[place] += term.shape[1] * (ONE if name in loops.layout.varying else term.shape[0])
        elif place is None and name not in loops.layout.scalars:
            target.append(f"{loops.names[name]} = np.empty(({', '.join(map(loops.code, term.shape))}))")
        target += loops.lines(name, term)
    return tuple(lines[False]), tuple(lines[True]), room


def _varying(
    terms: Mapping[str, Term], shapes: Mapping[str, Shape], differing: tuple[str, ...], outputs: set[str]
) -> set[str]:
    """Names of what differs from point to point; in a program for one point, the outputs do."""
    varying = _dependent(terms, differing)
    if any(shapes[name][0] == POINTS for name in differing):
        return {name for name in varying if shapes[name][0] == POINTS}
    return varying | outputs


def _dependent(terms: Mapping[str, Term], names: Iterable[str]) -> set[str]:
    """Names of variables computed from the given ones, and the given ones."""
    found = set(names)
    for name, term in terms.items():
        if not found.isdisjoint(variables(term)):
            found.add(name)
    return found


def loops_of(derivation: Derivation) -> str:
    """Print a derivation as a Python module of loops: `value_and_grad` returns the value and a tuple of results."""
    program, body = derivation.backward, pointwise(derivation, differing=(), parts={})
    for name in body.helpers.keys() & {*RESERVED}:
        message = f"function {name!r} is a name in compiled loops; register it under another"
        raise InvalidInputError(message)
    names, sizes = body.names, {size for shape in program.inputs.values() for size in shape if size.is_Symbol}
    found = "".join(f"{names[name]}, " for name in derivation.results.values())
    lines = [*body.once, f"return {names[derivation.value]}[0, 0], ({found.strip()})"]
    texts = ["import math\n\nimport numpy as np", *body.helpers.values()]
    return "\n\n\n".join([*texts, function_text(program, names, sizes, lines)]) + "\n"


def compiled_loops(derivation: Derivation) -> tuple[str, Callable[..., tuple[float, dict[str, Any]]]]:
    """Print a derivation as loops and compile them into a function of float64 arrays that names its results."""
    numba: Any = import_module("numba")
    source, scope, names = loops_of(derivation), dict[str, Any](), tuple(derivation.results)
    exec(source, scope)  # noqa: S102 (the text is printed from a checked program, never taken from outside)
    function = scope.pop("value_and_grad")
    for name, value in scope.items():
        if isinstance(value, FunctionType):
            scope[name] = numba.njit(value)  # divides as its caller does
    signature = (numba.types.Array(numba.float64, 2, "C"),) * function.__code__.co_argcount
    compiled = numba.njit(signature, error_model="numpy")(function)

    def value_and_grad(*arrays: Any) -> tuple[float, dict[str, Any]]:
        value, found = compiled(*arrays)
        return value, dict(zip(names, found, strict=True))

    return source, value_and_grad
