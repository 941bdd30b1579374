"""A derivation as the body of a kernel: loops over contiguous points, in arrays of a given workspace."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import sympy as sp

from mlpreport.derivation.backward import Derivation
from mlpreport.derivation.functions import helpers
from mlpreport.derivation.loops import RESERVED, Layout, Loops
from mlpreport.derivation.lowering import lowered
from mlpreport.derivation.printing import code_names
from mlpreport.derivation.program import Shape, Term, variables

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
    differing, scalars, chosen
        Inputs that differ from point to point, that are numbers and no arrays, and that takes several values.
    parts
        Variables, the value and the results among them, that are parts of flat arrays, as in `Layout`.
    """
    terms, inputs = lowered(derivation, "math"), derivation.program.inputs
    shapes = {**inputs, **{name: term.shape for name, term in terms.items()}}
    wanted = [derivation.value, *derivation.results.values()]
    batched = any(shapes[name][0] == POINTS for name in differing)
    layout = _layout(derivation, terms, shapes, differing, scalars, parts)
    called = helpers(terms.values(), "math")
    names = _identifiers(derivation, terms, called, batched=batched)
    loops, again, rows = Loops(shapes, names, layout), _dependent(terms, [chosen]), sp.S.Zero
    lines: dict[bool, list[str]] = {False: [], True: []}
    for name, term in terms.items():
        target = lines[name in again]
        if name in wanted or name in layout.scalars:
            target += loops.lines(name, term)
        elif name in layout.varying:
            target += [f"{names[name]} = {loops.code(rows)}", *loops.lines(name, term)]
            rows += term.shape[1]
        else:
            shape = ", ".join(map(loops.code, term.shape))
            target += [f"{names[name]} = np.empty(({shape}))", *loops.lines(name, term)]
    return Body(tuple(lines[False]), tuple(lines[True]), names, called, loops.code(rows))


def _identifiers(
    derivation: Derivation, terms: Iterable[str], called: Iterable[str], *, batched: bool
) -> dict[str, str]:
    reserved = [*RESERVED, "math", "np", "exponential", "row_product", "row_total", *KERNEL_NAMES, *called]
    return {"size N": "N"} | code_names(derivation.backward, [*reserved, *["N"] * (not batched)], [*terms])


def _layout(  # noqa: PLR0913, PLR0917 - what `pointwise` knows
    derivation: Derivation,
    terms: Mapping[str, Term],
    shapes: Mapping[str, Shape],
    differing: Iterable[str],
    scalars: Iterable[str],
    parts: Mapping[str, str],
) -> Layout:
    """Find out what varies from point to point, what is a number, and what is held in which flat array."""
    results, varying = derivation.results.values(), _dependent(terms, differing)
    if any(shapes[name][0] == POINTS for name in differing):
        varying = {name for name in varying if shapes[name][0] == POINTS}
    else:
        varying |= {derivation.value, *results}
    single = {name for name in terms.keys() - varying if shapes[name] == (1, 1)} - set(results)
    held = {name: "work[" for name in terms if name in varying}
    points = (sp.Symbol("n"), POINTS)
    return Layout(points, frozenset(varying), frozenset(single | set(scalars)), held | dict(parts))


def _dependent(terms: Mapping[str, Term], names: Iterable[str]) -> set[str]:
    """Names of variables computed from the given ones, and the given ones."""
    found = set(names)
    for name, term in terms.items():
        if not found.isdisjoint(variables(term)):
            found.add(name)
    return found
