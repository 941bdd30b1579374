"""Numbers by which claims are judged: inputs drawn at some sizes, everything computed from them, and the gradient."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from itertools import chain, islice, permutations

import numpy as np
import sympy as sp

from mlpreport.derivation.backward import Derivation, cotangent
from mlpreport.derivation.evaluation import FLOATS, Array, Frame, drawn, forward, plain
from mlpreport.derivation.program import Program, Shape, Term, build, num, show_shape
from mlpreport.derivation.proof import autograd
from mlpreport.derivation.splitting import needed
from mlpreport.errors import ProgramError, ShapeError

NEARLY = 1e-10
"""Relative error allowed a claim: less than that of any formula that is wrong, more than rounding in most programs."""

FAINT = 1e-4
"""Gradients below this share of the largest cotangent, or of the loss, and below it, count as so large.

They may be what is left when large numbers cancel.
"""

ROUGHLY = 1e-6
"""The same far from 0, where functions saturate, and rounding is larger."""

UNITS = (2.0**-9,)
"""At steps of this size no function is saturated."""

UNITS_OF_PIECES = (0.5, 2.0, 8.0)
"""At steps of these sizes functions are met in every piece."""

TIMES = 3
"""How often inputs are drawn at each of them."""

LEAST = range(3, 9)
"""Places among the primes 2, 3, 5, 7, … from which sizes are taken."""


@dataclass(frozen=True)
class Judge:
    """Values of everything at some sizes and drawn inputs, and the true gradient.

    One that is `lenient` allows larger errors, and has nothing against a claim that overflows.
    """

    sizes: Mapping[sp.Expr, int]
    inputs: Mapping[str, Array]
    truth: Array
    frame: Frame
    faint: float = FAINT
    lenient: bool = False
    memo: dict[Term, Array] = field(default_factory=dict, init=False, repr=False)
    numeric: dict[Term, Term] = field(default_factory=dict, init=False, repr=False)

    def value(self, claim: Term) -> tuple[Array | None, str]:
        """Value of a claim, or why it has none of the gradient's shape."""
        at = self._at_sizes(claim)
        if problem := misfit(at, self.truth.shape):
            return None, problem
        with np.errstate(all="ignore"):
            return self._entries(at), ""

    @cached_property
    def _integers(self) -> dict[sp.Expr, sp.Integer]:
        return {size: sp.Integer(n) for size, n in self.sizes.items()}

    def _at_sizes(self, term: Term) -> Term:
        """Write numbers for the sizes in a term, in its operands once for all claims that they are in."""
        if term not in self.numeric:
            parts = (
                self._at_sizes(e) if isinstance(e, Term) else e.xreplace(self._integers) for e in term.args
            )
            self.numeric[term] = Term(*parts)
        return self.numeric[term]

    def _entries(self, term: Term) -> Array:
        """All entries of a term, those of its operands computed once for all claims that they are in."""
        if term not in self.memo:
            # Names that no variable has, for all operands but numbers: those may be exponents.
            operands = term.operands[: 1 if term.op == "**" else None]
            names = {part: f"{n}" for n, part in enumerate(operands) if part.op != "num"}
            arrays = {name: self._entries(part) for part, name in names.items()}
            shallow = term.rewritten(lambda p: build("var", names[p], *p.shape) if p in names else p)
            self.memo[term] = replace(self.frame, arrays={**self.frame.arrays, **arrays}).entries(shallow)
        return self.memo[term]

    def accepts(self, claim: Term) -> bool:
        """Whether a claim has the gradient's shape and value; for a gradient of zeros one writes 0."""
        value = self.truth * 0 if claim == num(0) else self.value(claim)[0]
        if value is None:
            return False
        error = ROUGHLY if self.lenient else NEARLY
        near = np.abs(value - self.truth) <= error * max(np.abs(self.truth).max(), self.faint)
        return bool(np.all(near | self.lenient & ~np.isfinite(value)))


def misfit(claim: Term, shape: Shape) -> str:
    """Say why a claim does not have a shape; empty if it has."""
    try:
        found = claim.shape
    except ShapeError as error:
        return f"wrong shape: {error}"
    return "" if found == shape else f"wrong shape: {show_shape(found)} instead of {show_shape(shape)}"


def judges(derivation: Derivation, wrt: str) -> list[Judge]:
    """Draw at two sets of sizes and inputs that expose what is wrong with a claim, and at small sizes further inputs.

    Raises
    ------
    ProgramError
        If the loss or its gradients are not finite at the sizes and inputs tried.
    """
    program = derivation.program
    exposing = islice(filter(partial(_has_numbers, program), _exposing(program)), 2)
    # In the longer sums of larger sizes, small inputs keep functions from saturating.
    drawn_at = (judge(derivation, wrt, at, seed=n, unit=0.125) for n, at in enumerate(exposing, 1))
    found = [each for each in drawn_at if each]
    if len(found) < 2:  # noqa: PLR2004
        problem = f"{program.loss} or a gradient of it is not finite at any of the sizes and inputs tried"
        message = f"{problem}; no claim can be judged"
        raise ProgramError(message)
    units = UNITS + UNITS_OF_PIECES * (TIMES * derivation.pieces)
    small = {size: int(sp.prime(n)) for n, size in enumerate(program.sizes.values(), 1)}
    further = (judge(derivation, wrt, small, seed=n, unit=unit) for n, unit in enumerate(units))
    exact = (replace(each, lenient=True) for each in further if each and _is_exact(derivation, wrt, each))
    return [*found, *exact]


def _exposing(program: Program) -> Iterator[dict[sp.Expr, int]]:
    """Sizes 5, 7, 11, … and 7, 11, 13, …: none looks like a factor 2, nor twice like another number; then others."""
    sizes = program.sizes.values()
    for places in permutations(range(len(sizes))):  # no product, which would list them all first
        for least in LEAST:
            yield {size: int(sp.prime(least + place)) for size, place in zip(sizes, places, strict=True)}


def _has_numbers(program: Program, sizes: Mapping[sp.Expr, int]) -> bool:
    """Whether numbers made of sizes, such as log(N - 1), have values: at N = 1 that one has none."""
    at = {size: sp.Integer(n) for size, n in sizes.items()}
    parts = chain.from_iterable(map(sp.preorder_traversal, program.definitions.values()))
    return all(np.isfinite(FLOATS.number(e.xreplace(at))) for e in parts if isinstance(e, sp.Expr))


def _is_exact(derivation: Derivation, wrt: str, found: Judge) -> bool:
    """Tell whether torch agrees with the derived steps, so that its gradient is not mere rounding."""
    program, asked = derivation.backward, cotangent(derivation.program.loss, wrt)
    program = replace(program, definitions=needed(program.definitions, [asked]))
    with np.errstate(all="ignore"):
        derived = forward(program, plain(program, FLOATS, found.sizes), found.inputs).arrays[asked]
    error = np.abs(derived - found.truth)
    return bool(np.all(error <= ROUGHLY / 10 * max(np.abs(found.truth).max(), found.faint)))


def judge(  # noqa: PLR0913 - what is drawn, and how
    derivation: Derivation,
    wrt: str,
    sizes: Mapping[sp.Expr, int],
    *,
    seed: int,
    unit: float,
    short: bool = False,
) -> Judge | None:
    """Draw inputs, with few digits if they are to be short, at which the loss and its gradients are finite.

    None if that does not succeed, or numbers made of the sizes have no value.
    """
    if not _has_numbers(derivation.program, sizes):
        return None
    program, frame = derivation.program, plain(derivation.program, FLOATS, sizes)
    # Some functions are defined for positive entries only, or for entries below 1.
    for signs in ((-unit, unit), (unit,), (unit / 64,)):
        stream = np.random.default_rng(seed)
        inputs = drawn(
            program, frame, _dealing(stream, signs) if short else partial(_multiples, stream, signs)
        )
        arrays, gradients = autograd(program, inputs, {})
        if all(np.isfinite(array).all() for array in chain(arrays.values(), gradients.values())):
            parts = {**gradients, program.loss: arrays[program.loss]}  # the loss's own cotangent is 1
            faint = FAINT * min(1.0, max(float(np.abs(part).max()) for part in parts.values()))
            arrays |= {cotangent(program.loss, name): array for name, array in gradients.items()}
            weights = {sp.Integer(len(each)): each for each in frame.weights.values()}
            frame = replace(frame, arrays=arrays, weights=weights)
            return Judge(sizes, inputs, gradients[wrt], frame, faint or FAINT)
    return None


def _multiples(stream: np.random.Generator, signs: Sequence[float], _: str, shape: tuple[int, ...]) -> Array:
    # Whole multiples may meet at a kink.
    return stream.uniform(1, 5, size=shape) * stream.choice(signs, size=shape)


def _dealing(stream: np.random.Generator, signs: Sequence[float]) -> Callable[[str, tuple[int, ...]], Array]:
    """Deal numbers with few digits, so that those of an array, and if possible of several, differ."""
    handy, deck = np.outer(signs, range(1, 6)).ravel(), np.empty(0)

    def deal(_: str, shape: tuple[int, ...]) -> Array:
        nonlocal deck
        count = math.prod(shape)
        if len(deck) < count:
            deck = np.concatenate([stream.permutation(handy) for _ in range(0, count, len(handy))])
        dealt, deck = np.split(deck, [count])
        return dealt.reshape(shape)

    return deal
