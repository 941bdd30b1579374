"""A reader's own gradient, judged: right or wrong, what is wrong with it, and the smallest numbers that show it."""

import ast
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain, product

import numpy as np
from sympy import prime

from mlpreport.derivation.backward import Derivation, cotangent
from mlpreport.derivation.changes import variants
from mlpreport.derivation.evaluation import FLOATS, Array, Frame, assume, entries, plain
from mlpreport.derivation.printing import code_names, show
from mlpreport.derivation.program import Program, build, num, show_shape
from mlpreport.derivation.proof import autograd
from mlpreport.derivation.reading import Reader
from mlpreport.errors import ProgramError, ShapeError

_TOLERANCE = 1e-9
_LARGEST = 3


@dataclass(frozen=True)
class Counterexample:
    """Sizes and inputs at which a claim fails: its value (or why it has none) and the gradient."""

    sizes: Mapping[str, int]
    inputs: Mapping[str, Array]
    claimed: Array | None
    correct: Array
    problem: str

    def __str__(self) -> str:
        """Write sizes, inputs and both values in one line."""
        sizes = ", ".join(f"{name} = {value}" for name, value in self.sizes.items()) or "the declared sizes"
        inputs = "; ".join(f"{name} = {array.tolist()}" for name, array in self.inputs.items())
        claimed = (
            self.problem if self.claimed is None else f"the claim gives {np.round(self.claimed, 6).tolist()}"
        )
        return f"at {sizes} with {inputs}: {claimed}, the gradient is {np.round(self.correct, 6).tolist()}"


@dataclass(frozen=True)
class Explanation:
    """A claim with its verdict; `diagnosis` and `counterexample` are empty if it agrees."""

    wrt: str
    claim: str
    agrees: bool
    correct: str
    diagnosis: str
    counterexample: Counterexample | None

    def __str__(self) -> str:
        """Write verdict, diagnosis, derived gradient and counterexample."""
        if self.agrees:
            return f"Right: the gradient by {self.wrt} is {self.claim}."
        verdict = f"Wrong: {self.claim} is not the gradient by {self.wrt}. {self.diagnosis}"
        return f"{verdict}\nDerived: {self.correct}\nFor example {self.counterexample}."

    def _repr_markdown_(self) -> str:
        mark = f'<span class="verdict {"reproduced" if self.agrees else "refuted"}">'
        if self.agrees:
            return f"{mark}right</span> The gradient by `{self.wrt}` is `{self.claim}`."
        verdict = f"{mark}wrong</span> `{self.claim}` is not the gradient by `{self.wrt}`: {self.diagnosis}"
        return f"{verdict} Derived: `{self.correct}`. For example {self.counterexample}."


@dataclass(frozen=True)
class _Judge:
    """A program at fixed sizes with drawn inputs: what names mean in a claim, and the true gradient."""

    sizes: Mapping[str, int]
    frame: Frame
    scope: Mapping[str, object]
    inputs: Mapping[str, Array]
    truth: Array

    def value(self, claim: str) -> Array:
        """Value of a claim; one whose shapes do not fit is a ShapeError."""
        return entries(Reader(claim, dict(self.scope)).read_expression(), self.frame)  # type: ignore[arg-type]

    def accepts(self, claim: str) -> bool:
        """Whether a claim has the gradient's shape and value."""
        try:
            value = self.value(claim)
        except (ShapeError, ProgramError):  # a change may leave the language
            return False
        return value.shape == self.truth.shape and _close(value, self.truth)


def _close(found: Array, expected: Array) -> bool:
    return bool(np.all(np.abs(found - expected) <= _TOLERANCE * max(1.0, np.abs(expected).max())))


def explain(program: Program | Derivation, wrt: str, claim: str) -> Explanation:
    """Judge a claimed gradient, written in the forward language with cotangents named d….

    Parameters
    ----------
    program
        The forward program, or its derivation from `vjp` (to judge many claims without deriving again).
    wrt
        The variable by which the loss is differentiated.
    claim
        Such as "x.T @ dz1"; sizes may be used as numbers.

    Returns
    -------
    Explanation
        `.agrees`, `.diagnosis`, `.counterexample`, `.correct`; `str()` reads well.

    Raises
    ------
    ProgramError
        If `wrt` is unknown, or the claim is outside the language or uses the cotangent that it is to give.
    """
    derivation = program if isinstance(program, Derivation) else program.vjp()
    program = derivation.program
    program.variable(wrt)
    names = code_names(derivation.backward)
    own = names[cotangent(program.loss, wrt)]
    sizes = sorted({str(s) for shape in program.inputs.values() for s in shape if s.is_Symbol})
    # 5, 7, 11, …: no size looks like a factor
    exposing = {name: int(prime(n)) for n, name in enumerate(sizes, 3)}
    # odd, so that no size looks like a factor 2
    judges = [_judge(derivation, wrt, exposing, seed, names) for seed in (1, 2)]
    text = _parsed(claim, judges[0], own)
    correct = f"{own} = {show(derivation[wrt].cotangent, names)}"
    if all(judge.accepts(text) for judge in judges):
        return Explanation(wrt, claim, True, correct, "", None)
    smallest = _smallest(derivation, wrt, text, judges, names)
    return Explanation(wrt, claim, False, correct, _diagnosis(text, judges, sizes), smallest)


def _parsed(claim: str, judge: _Judge, own: str) -> str:
    with suppress(ShapeError):
        judge.value(claim)
    tree = ast.parse(claim.strip(), mode="eval").body
    if own in {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}:
        remedy = "write it with other cotangents"
        message = f"line 1: {own} is the gradient that the claim is to give; {remedy}\n    {claim}"
        raise ProgramError(message)
    return ast.unparse(tree)


def _judge(
    derivation: Derivation, wrt: str, sizes: Mapping[str, int], seed: int, names: Mapping[str, str]
) -> _Judge:
    program = derivation.program
    values = {s: sizes[str(s)] for shape in program.inputs.values() for s in shape if s.is_Symbol}
    frame = plain(program, FLOATS, values)
    stream = np.random.default_rng(seed)
    shapes = {name: tuple(len(frame.weights[s]) for s in shape) for name, shape in program.shapes.items()}
    drawn = {
        name: stream.integers(1, 6, size=shapes[name]) * stream.choice([-0.5, 0.5], size=shapes[name])
        for name in program.inputs
    }
    inputs = assume(program, drawn, frame)
    arrays, found = autograd(program, inputs)
    arrays |= {cotangent(program.loss, n): array for n, array in found.items()}
    named = {
        identifier: build("var", key, *array.shape)
        for key, array in arrays.items()
        if (identifier := names.get(key))
    }
    numbers = {name: num(value) for name, value in sizes.items() if name not in named}
    frame = Frame(
        FLOATS, {}, {n: np.ones(int(n)) for n in {1, *(k for s in shapes.values() for k in s)}}, arrays, {}
    )
    return _Judge(sizes, frame, {**numbers, **named}, inputs, found[wrt])


def _smallest(
    derivation: Derivation, wrt: str, claim: str, judges: list[_Judge], names: Mapping[str, str]
) -> Counterexample:
    """Find the smallest sizes at which the claim fails."""
    sizes = list(judges[0].sizes)
    choices = sorted(product(range(1, _LARGEST + 1), repeat=len(sizes)), key=lambda c: (np.prod(c), c))
    small = (_judge(derivation, wrt, dict(zip(sizes, chosen, strict=True)), 1, names) for chosen in choices)
    judge = next(judge for judge in chain(small, judges) if not judge.accepts(claim))
    try:
        value = judge.value(claim)
    except ShapeError as error:
        return Counterexample(
            judge.sizes, judge.inputs, None, judge.truth, f"the claim cannot be computed ({_first(error)})"
        )
    if value.shape == judge.truth.shape:
        return Counterexample(judge.sizes, judge.inputs, value, judge.truth, "")
    problem = f"the claim has shape {show_shape(value.shape)} instead of {show_shape(judge.truth.shape)}"
    return Counterexample(judge.sizes, judge.inputs, None, judge.truth, problem)


def _first(error: ShapeError) -> str:
    return str(error).splitlines()[0].removeprefix("line 1: ")


def _diagnosis(claim: str, judges: list[_Judge], sizes: list[str]) -> str:
    """Find the smallest change that makes the claim right."""
    once = list(variants(claim, sizes))
    twice = ((f"{what}, and {more}", new) for what, changed in once for more, new in variants(changed, sizes))
    for changes in (once, twice):
        right = [(what, new) for what, new in changes if all(judge.accepts(new) for judge in judges)]
        if right:
            return "{}: {}.".format(*min(right, key=lambda found: len(found[1])))
    return _other(claim, judges)


def _other(claim: str, judges: list[_Judge]) -> str:
    try:
        values = [judge.value(claim) for judge in judges]
    except ShapeError as error:
        return f"wrong shape: {_first(error)}."
    if values[0].shape != judges[0].truth.shape:
        return f"wrong shape: {show_shape(values[0].shape)} instead of {show_shape(judges[0].truth.shape)}."
    ratios = [
        judge.truth[value != 0] / value[value != 0] for value, judge in zip(values, judges, strict=True)
    ]
    every = np.concatenate(ratios)
    if every.size and _close(every, np.full(every.shape, every[0])):
        return f"wrong factor: multiply by {every[0]:.6g}."
    return "the shape is right, the values are not."
