"""Proofs of a derivation in four layers, because one layer misses what another sees.

Symbolic sizes: every matrix form against the raw chain rule, exactly. Entrywise: every matrix form against SymPy's
derivative of the fully expanded loss. Numeric: the compiled code against torch.autograd and the complex step. Lines:
every line of every step at every index.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from importlib import import_module
from itertools import chain

import numpy as np
import sympy as sp

from mlpreport.checks import POSITIVE, checked_whole
from mlpreport.derivation.backward import Derivation, cotangent
from mlpreport.derivation.codegen import ValueAndGrad, check_current, run, value_and_grad
from mlpreport.derivation.edges import Line
from mlpreport.derivation.elementwise import U
from mlpreport.derivation.evaluation import FLOATS, Array, Arrays, Frame, drawn, forward, plain
from mlpreport.derivation.exact import entrywise, symbolic_sizes
from mlpreport.derivation.forward import direction
from mlpreport.derivation.indices import Phi, entry, phi_formula
from mlpreport.derivation.program import Program, Term, looked_up
from mlpreport.derivation.sizes import Sizes, check_few, fitting, numbers
from mlpreport.errors import InvalidInputError

TOLERANCE = 1e-11
"""Relative error allowed where both sides are computed in double precision."""

STEP = 1e-30
"""Length of a complex step; its error is its square."""

SIGNS = 8
"""How often inputs of either sign are drawn, where functions are in pieces."""


def close(found: Array, expected: Array) -> bool:
    """Compare arrays within the tolerance."""
    return bool(np.all(np.abs(found - expected) <= TOLERANCE * np.abs(expected).max(initial=1.0)))


def autograd(program: Program, inputs: Arrays, along: Arrays) -> tuple[Arrays, Arrays]:
    """Value and cotangent of every variable by torch, the program's own formulas run on tensors.

    With directions `along`, second derivatives: those of the loss's slope along the directions.
    """
    torch = import_module("torch")
    tensors, sizes = Arrays(), dict[sp.Expr, int]()
    for name, shape in program.inputs.items():
        tensors[name] = torch.tensor(inputs[name], dtype=torch.float64, requires_grad=True)
        sizes |= dict(zip(shape, inputs[name].shape, strict=True))
    for name, term in program.definitions.items():
        # The sum makes tensors of numbers, and two tensors where an equation a = b would make one.
        lengths = [int(size.subs(sizes)) for size in term.shape]
        value = torch.zeros(lengths, dtype=torch.float64) + run(term, tensors, sizes, "torch")
        tensors[name] = value if value.requires_grad else value.requires_grad_()
    scalar = tensors[program.loss].sum()
    if along:
        moving = [tensors[name] for name in along]
        first = torch.autograd.grad(scalar, moving, create_graph=True, materialize_grads=True)
        slopes = zip(first, along.values(), moving, strict=True)
        scalar = sum((g * torch.tensor(v) + 0 * leaf).sum() for g, v, leaf in slopes)
    found = torch.autograd.grad(scalar, list(tensors.values()), materialize_grads=True)
    values = {name: tensor.detach().numpy() for name, tensor in tensors.items()}
    return values, {name: g.numpy() for name, g in zip(tensors, found, strict=True)}


def _slopes(array: Array, compute: Callable[[Array], Array]) -> Iterator[tuple[tuple[int, ...], Array]]:
    """Derivatives of what is computed from an array by each of its entries in turn, by the complex step."""
    for at in np.ndindex(array.shape):
        moved = array.astype(complex)
        moved[at] += STEP * 1j
        yield at, np.imag(compute(moved)) / STEP


def _example(program: Program, sizes: Sizes) -> tuple[Arrays, Frame]:
    """Draw inputs and compute the program at them."""
    frame = plain(program, FLOATS, sizes)
    for unit in (1.0, 2.0**-9):  # not even steep exponentials overflow there
        inputs = _inputs(program, frame, np.random.default_rng(1), 0.2 * unit, 0.9 * unit)
        with np.errstate(all="ignore"):
            computed = forward(program, frame, inputs)
        if np.isfinite(computed.arrays[program.loss]).all():
            break
    return inputs, computed


def _inputs(program: Program, frame: Frame, stream: np.random.Generator, low: float, high: float) -> Arrays:
    return drawn(program, frame, lambda _, shape: stream.uniform(low, high, size=shape))


def _numeric(derivation: Derivation, sizes: Sizes) -> tuple[int, tuple[str, ...]]:
    """Compare the compiled code with torch.autograd and with the complex step."""
    program, compiled = derivation.program, value_and_grad(derivation)
    inputs, frame = _example(program, sizes)
    value, found, truth = _both(derivation, compiled, inputs)
    failures = [] if close(np.array(value), frame.arrays[derivation.value]) else [derivation.value]

    def loss(name: str, moved: Array) -> Array:
        return forward(program, frame, {**inputs, name: moved}).arrays[program.loss].item()

    for name, gradient in found.items():
        stepped = [slope for _, slope in _slopes(inputs[name], partial(loss, name))]
        if not close(gradient.ravel(), np.array(stepped)) or not close(gradient, truth[name]):
            failures.append(name)
    count, stream = sum(gradient.size for gradient in found.values()), np.random.default_rng(2)
    for _ in range(SIGNS * derivation.pieces):
        _, found, truth = _both(derivation, compiled, _inputs(program, frame, stream, -1.0, 1.0))
        if all(np.isfinite(array).all() for array in chain(found.values(), truth.values())):
            failures += [name for name, gradient in found.items() if not close(gradient, truth[name])]
    return 1 + 2 * count, tuple(dict.fromkeys(failures))


def _both(derivation: Derivation, code: ValueAndGrad, inputs: Arrays) -> tuple[float, Arrays, Arrays]:
    """Value and derivatives by the compiled code, and derivatives by torch.autograd."""
    with np.errstate(all="ignore"):  # a logarithm may have no value there
        value, found = code(**dict(zip(code.inputs, inputs.values(), strict=True)))
    along = {name: inputs[direction(name)] for name in found if derivation.of}
    return value, found, autograd(derivation.of or derivation.program, inputs, along)[1]


def _lines(derivation: Derivation, sizes: Sizes) -> tuple[int, tuple[str, ...]]:
    """Evaluate both sides of every line at every index, derivatives by the complex step."""
    program, failures, count = derivation.program, [], 0
    inputs, frame = _example(program, sizes)
    known = {cotangent(program.loss, name): array for name, array in autograd(program, inputs, {})[1].items()}
    frame = replace(frame, arrays={**frame.arrays, **known}, partial=partial(_stepped, program))
    for name, step in derivation.steps.items():
        for line in step.lines:
            left, right = _sides(line, frame)
            count += max(np.size(left), np.size(right))
            if not close(left, right):
                failures.append(f"{name} ({line.rule})")
    return count, tuple(failures)


def _sides(line: Line, frame: Frame) -> tuple[Array, Array]:
    if isinstance(line.lhs, Phi):
        return _slope_sides(line, frame)
    if isinstance(line.lhs, Term):
        return frame.entries(line.lhs), frame.entries(line.rhs)
    for e in sorted(line.lhs.atoms(sp.Indexed) | line.rhs.atoms(sp.Indexed), key=sp.default_sort_key):
        for k, size in zip(e.indices, e.base.shape, strict=True):
            if k in line.lhs.free_symbols | line.rhs.free_symbols and k not in frame.grids:
                frame = frame.with_index(k, size)
    return frame.value(line.lhs), frame.value(line.rhs)


def _slope_sides(line: Line, frame: Frame) -> tuple[Array, Array]:
    """Differentiate a function, or a derivative of it, by the complex step, where it has a slope in real numbers."""
    name, order, _ = line.lhs.args
    formula, points = phi_formula(name, order - 1), np.linspace(-2.0, 2.0, 9)

    def at(u: Array, formula: sp.Expr) -> Array:
        return replace(frame, symbols={U: u}).value(formula) + 0 * u

    with np.errstate(all="ignore"):  # where the function ends
        slopes, expected = np.imag(at(points + STEP * 1j, formula)) / STEP, at(points, line.rhs)
        known = np.isfinite(at(points, formula)) & np.isfinite(expected)
    return slopes[known], expected[known]


def _stepped(program: Program, frame: Frame, derivative: sp.Expr) -> Array:
    """Differentiate a formula, or one equation, by every entry of a variable in turn."""
    formula, target = derivative.args
    name, places = str(target.base), [frame.place(k) for k in target.indices]
    if isinstance(formula, sp.Indexed) and formula.base != target.base:
        formula = entry(program.definitions[str(formula.base)], *formula.indices)
    slopes = _slopes(frame.arrays[name], lambda moved: frame.with_array(name, moved).value(formula))
    return sum(slope * ((places[0] == at[0]) & (places[1] == at[1])) for at, slope in slopes)


_FORMS = "matrix forms against the {}, exact in a finite field"
_LAYERS: dict[str, tuple[str, Callable[[Derivation, Sizes], tuple[int, tuple[str, ...]]]]] = {
    "symbolic sizes": (_FORMS.format("raw chain rule, sizes symbolic"), symbolic_sizes),
    "entrywise": (_FORMS.format("derivative of the fully expanded loss"), entrywise),
    "numeric": ("compiled code against torch.autograd and the complex step", _numeric),
    "lines": ("both sides of every line at every index", _lines),
}


@dataclass(frozen=True)
class Check:
    """One layer of a proof: what was compared, how often, and what failed."""

    layer: str
    what: str
    comparisons: int
    failures: tuple[str, ...]


@dataclass(frozen=True)
class Proof:
    """True if every comparison of every layer holds; prints what was checked."""

    checks: tuple[Check, ...]

    def __bool__(self) -> bool:
        """Whether everything holds."""
        return all(not check.failures for check in self.checks)

    def __str__(self) -> str:
        """Write a line for every layer."""
        rows = []
        for check in self.checks:
            verdict = "holds" if not check.failures else f"FAILS for {', '.join(check.failures)}"
            rows.append(f"{check.layer}: {check.what}: {check.comparisons} comparisons: {verdict}")
        return "\n".join(["proved" if self else "not proved", *rows])


def prove(derivation: Derivation, /, **sizes: int) -> Proof:
    """Check a derivation from `vjp` or `hvp` in four independent layers.

    Parameters
    ----------
    derivation
        What to prove; its steps' cotangents, lines and compiled code are all checked. An `hvp` is checked against
        second derivatives of the loss itself.
    **sizes
        Small values of the symbolic sizes for the layers that need numbers, such as N=2. Those not given are 2, or what
        numbers made of sizes, such as 1/(N - D), need to have a value.

    Returns
    -------
    Proof
        True or false, with what was checked in `.checks`; `str()` reads well.

    Raises
    ------
    InvalidInputError
        If a size is unknown, not positive or too large, numbers made of sizes have no value, or the steps are tangents.
    """
    check_current(derivation)
    program = derivation.program
    if derivation.tangents:
        message = "prove takes the derivation of a vjp or hvp; these steps are tangents"
        raise InvalidInputError(message)
    given = {
        looked_up("the program has no size", name, program.sizes): checked_whole(name, value, POSITIVE)
        for name, value in sizes.items()
    }
    made = numbers(derivation.backward.definitions.values())
    values = fitting(made, dict.fromkeys(program.sizes.values(), 2), given)
    check_few(program.shapes.values(), values)
    checks = (Check(layer, what, *check(derivation, values)) for layer, (what, check) in _LAYERS.items())
    return Proof(tuple(checks))
