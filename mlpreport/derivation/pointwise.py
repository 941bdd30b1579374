"""A derivation as the body of a kernel: loops over contiguous points, in arrays of a given workspace."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import sympy as sp

from mlpreport.derivation.backward import Derivation
from mlpreport.derivation.contractions import loop_terms
from mlpreport.derivation.loops import RESERVED, Layout, Loops, helpers
from mlpreport.derivation.printing import code_names
from mlpreport.derivation.program import Term, variables

POINTS = sp.Symbol("N", integer=True, positive=True)
"""The number of points; in a program for one point, the points are an axis behind its variables' own."""

KERNEL_NAMES = (
    *("problem", "parameters", "sizes", "work", "rows", "gradient", "residuals", "jacobian", "values"),
    *("forward", "objective", "output", "scale"),
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
    rows
        How many rows of the matrix `work` the lines use, as code in the sizes.
    """

    once: tuple[str, ...]
    again: tuple[str, ...]
    names: Mapping[str, str]
    helpers: Mapping[str, str]
    rows: str


def pointwise(
    derivation: Derivation,
    *,
    differing: Iterable[str],
    scalars: Iterable[str] = (),
    parts: Mapping[str, str],
    chosen: str = "",
) -> Body:
    """Print the body of a kernel.

    Parameters
    ----------
    derivation
        Of a program whose inputs `differing` have N rows, or one row for one point; in the latter case value and
        results are wanted for each point.
    differing, scalars
        Inputs that differ from point to point, and inputs that are numbers and no arrays.
    parts
        Variables, the value and the results among them, that are parts of flat arrays, as in `Layout`.
    chosen
        Input of several values, one after the other.
    """
    terms, inputs = loop_terms(derivation), derivation.program.inputs
    shapes = {**inputs, **{name: term.shape for name, term in terms.items()}}
    wanted = [derivation.value, *derivation.results.values()]
    varying = _dependent(terms, differing)
    batched = any(shapes[name][0] == POINTS for name in differing)
    if batched:
        varying = {name for name in varying if shapes[name][0] == POINTS}
    else:
        varying |= set(wanted)
    single = {name for name in terms.keys() - varying if shapes[name] == (1, 1)} - set(
        derivation.results.values()
    )
    held = {name: "work[" for name, term in terms.items() if name in varying and term.op != "var"} | dict(
        parts
    )
    layout = Layout((sp.Symbol("n"), POINTS), frozenset(varying), frozenset(single | set(scalars)), held)
    called = helpers(terms.values())
    reserved = [*RESERVED, "math", "np", "exponential", "row_product", "row_total", *KERNEL_NAMES, *called]
    names = {"size N": "N"} | code_names(derivation.backward, [*reserved, *["N"] * (not batched)], [*terms])
    loops, again, rows = Loops(shapes, names, layout), _dependent(terms, [chosen]), sp.S.Zero
    lines: dict[bool, list[str]] = {False: [], True: []}
    for name, term in terms.items():
        target = lines[name in again]
        if name in wanted or name in single:
            target += loops.lines(name, term)
        elif name in varying and term.op != "var":
            target += [f"{names[name]} = {loops.code(rows)}", *loops.lines(name, term)]
            rows += term.shape[1]
        elif term.op != "var":
            shape = ", ".join(map(loops.code, term.shape))
            target += [f"{names[name]} = np.empty(({shape}))", *loops.lines(name, term)]
    return Body(tuple(lines[False]), tuple(lines[True]), names, called, loops.code(rows))


def _dependent(terms: Mapping[str, Term], names: Iterable[str]) -> set[str]:
    """Names of variables computed from the given ones, and the given ones."""
    found = set(names)
    for name, term in terms.items():
        if not found.isdisjoint(variables(term)):
            found.add(name)
    return found
