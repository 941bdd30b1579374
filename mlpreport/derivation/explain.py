"""A reader's own gradient, judged: right or wrong, what is wrong with it, and the smallest numbers that show it."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain, product

import numpy as np
import sympy as sp

from mlpreport.derivation.backward import Derivation, cotangent
from mlpreport.derivation.evaluation import FLOATS, Array, Frame, drawn, plain
from mlpreport.derivation.printing import code_names, show
from mlpreport.derivation.program import ALL, ONE, Program, Term, build, num, show_shape, variables
from mlpreport.derivation.proof import autograd, close
from mlpreport.derivation.reading import Reader
from mlpreport.errors import ProgramError, ShapeError

NEARLY = 1e-8
"""Relative error allowed a claim: less than that of any formula that is wrong, more than rounding in most programs."""

FAINT = 1e-3
"""Gradients below this count as so large: they may be what is left when large numbers cancel."""

_LARGEST = 3

Change = tuple[str, Term]
"""What was changed about a claim, and the changed claim."""


@dataclass(frozen=True)
class Counterexample:
    """Sizes and inputs at which a claim fails: its value (or why it has none) and the gradient."""

    sizes: Mapping[str, int]
    inputs: Mapping[str, Array]
    correct: Array
    claimed: Array | None
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
    """Values of everything at some sizes and drawn inputs, and the true gradient."""

    sizes: Mapping[sp.Expr, int]
    inputs: Mapping[str, Array]
    truth: Array
    frame: Frame

    def value(self, claim: Term) -> tuple[Array | None, str]:
        """Value of a claim, or why it has none of the gradient's shape."""
        at = claim.xreplace({size: sp.Integer(n) for size, n in self.sizes.items()})
        try:
            shape = at.shape
        except ShapeError as error:
            return None, f"wrong shape: {error}"
        if shape != self.truth.shape:
            return None, f"wrong shape: {show_shape(shape)} instead of {self.truth.shape}"
        with np.errstate(all="ignore"):
            return self.frame.entries(at), ""

    def accepts(self, claim: Term) -> bool:
        """Whether a claim has the gradient's shape and value."""
        value, _ = self.value(claim)
        return value is not None and bool(
            np.all(np.abs(value - self.truth) <= NEARLY * max(np.abs(self.truth).max(), FAINT))
        )


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
    names, key = code_names(derivation.backward), cotangent(program.loss, wrt)
    term = _read(claim, derivation.backward, names, key)
    sizes = sorted({s for shape in program.inputs.values() for s in shape if s.is_Symbol}, key=str)
    # 5, 7, 11, … and 7, 11, 13, …: no size looks like a factor 2, nor twice like another number
    exposing = ({size: int(sp.prime(n)) for n, size in enumerate(sizes, least)} for least in (3, 4))
    # In the longer sums of larger sizes, small inputs keep functions from saturating.
    found = [_judge(derivation, wrt, at, seed=n, unit=0.125) for n, at in enumerate(exposing, 1)]
    judges = [judge for judge in found if judge]
    if len(judges) < len(found):
        message = f"{program.loss} or a gradient of it is not finite at any of the inputs tried; no claim can be judged"
        raise ProgramError(message)
    correct = f"{names[key]} = {show(derivation[wrt].cotangent, names)}"
    if all(judge.accepts(term) for judge in judges):
        return Explanation(wrt, claim, True, correct, "", None)
    diagnosis = _diagnosis(term, judges, partial(show, names=names))
    return Explanation(wrt, claim, False, correct, diagnosis, _smallest(derivation, wrt, term, judges))


def _read(claim: str, backward: Program, names: Mapping[str, str], key: str) -> Term:
    """Read a claim, which may not use the cotangent that it is to give."""
    sizes = {f"size {size}": num(size) for shape in backward.inputs.values() for size in shape}
    meaning = sizes | {name: backward.variable(name) for name in backward.shapes}
    scope = {code: meaning[name] for name, code in names.items()}
    term = Reader(claim, scope, fitting=False).read_expression()
    if key in variables(term):
        remedy = "write it with other cotangents"
        message = f"line 1: {names[key]} is the gradient that the claim is to give; {remedy}\n    {claim}"
        raise ProgramError(message)
    return term


def _judge(
    derivation: Derivation, wrt: str, sizes: Mapping[sp.Expr, int], *, seed: int, unit: float
) -> _Judge | None:
    """Draw inputs at which the loss and its gradients are finite; None if that does not succeed."""
    program, frame = derivation.program, plain(derivation.program, FLOATS, sizes)
    # Some functions are defined for positive entries only, or for entries below 1.
    for signs in ((-unit, unit), (unit,), (unit / 64,)):
        inputs = drawn(program, frame, partial(_multiples, np.random.default_rng(seed), signs))
        try:
            arrays, gradients = autograd(program, inputs, {})
        except ZeroDivisionError:  # by N - 1, where N is 1
            return None
        if all(np.isfinite(array).all() for array in chain(arrays.values(), gradients.values())):
            arrays |= {cotangent(program.loss, name): array for name, array in gradients.items()}
            weights = {sp.Integer(len(each)): each for each in frame.weights.values()}
            return _Judge(sizes, inputs, gradients[wrt], replace(frame, arrays=arrays, weights=weights))
    return None


def _multiples(stream: np.random.Generator, signs: Sequence[float], _: str, shape: tuple[int, ...]) -> Array:
    return stream.integers(1, 6, size=shape) * stream.choice(signs, size=shape)


def _smallest(derivation: Derivation, wrt: str, claim: Term, judges: list[_Judge]) -> Counterexample:
    """Find the smallest sizes at which the claim fails."""
    sizes = list(judges[0].sizes)
    choices = sorted(product(range(1, _LARGEST + 1), repeat=len(sizes)), key=lambda c: (np.prod(c), c))
    small = (
        _judge(derivation, wrt, dict(zip(sizes, chosen, strict=True)), seed=1, unit=0.5) for chosen in choices
    )
    judge = next(judge for judge in chain(small, judges) if judge and not judge.accepts(claim))
    named = {str(size): n for size, n in judge.sizes.items()}
    return Counterexample(named, judge.inputs, judge.truth, *judge.value(claim))


def _diagnosis(claim: Term, judges: list[_Judge], text: Callable[[Term], str]) -> str:
    """Find the smallest change that makes the claim right."""
    sizes = list(map(num, judges[0].sizes))
    once = list(_changes(claim, sizes, text))
    twice = ((f"{what}, and {more}", new) for what, old in once for more, new in _changes(old, sizes, text))
    for found in (once, twice):
        right = [(what, text(new)) for what, new in found if all(judge.accepts(new) for judge in judges)]
        if right:
            return "{}: {}.".format(*min(right, key=lambda change: len(change[1])))
    return _other(claim, judges)


def _other(claim: Term, judges: list[_Judge]) -> str:
    ratios = []
    for judge in judges:
        value, problem = judge.value(claim)
        if value is None:
            return f"{problem}."
        ratios.append(judge.truth[value != 0] / value[value != 0])
    every = np.concatenate(ratios)
    if every.size and close(every, every[0]):
        return f"wrong factor: multiply by {every[0]:.6g}."
    return "the shape is right, the values are not."


def _changes(claim: Term, sizes: Iterable[Term], show: Callable[[Term], str]) -> Iterator[Change]:
    """Yield changes of a whole claim and of its parts, likeliest first; `show` prints a part."""
    yield "the sign is wrong", -claim
    yield "a factor 2 is missing", num(2) * claim
    yield "there is a factor 2 too many", claim / num(2)
    for size in sizes:
        yield f"a division by {show(size)} is missing", claim / size
        yield f"there is a division by {show(size)} too many", claim * size
    yield "the result must be transposed", claim.T
    yield "the sum over the batch (axis 0) is missing", build("sum", claim, 0)
    yield "a sum over columns (axis 1) is missing", build("sum", claim, ONE)
    yield "a sum over all entries is missing", build("sum", claim, ALL)
    yield from _inside(claim, show)


def _inside(term: Term, show: Callable[[Term], str]) -> Iterator[Change]:
    yield from _here(term, show)
    for n, part in enumerate(term.args):
        if isinstance(part, Term):
            for what, new in _inside(part, show):
                yield what, Term(*term.args[:n], new, *term.args[n + 1 :])


def _here(term: Term, show: Callable[[Term], str]) -> Iterator[Change]:
    match term:
        case Term("var"):
            yield f"a transpose of {show(term)} is missing", term.T
        case Term("T", (inner,)):
            yield f"{show(inner)} must not be transposed", inner
        case Term("neg", (inner,)):
            yield "the sign is wrong", inner
        case Term("num", (value,)) if value.could_extract_minus_sign():
            yield "the sign is wrong", num(-value)
        case Term("sum", (inner, _)):
            yield "the sum must run over the batch (axis 0) only", build("sum", inner, 0)
        case Term("@" | "*", (a, b)):
            if term.op == "@":
                yield "the factors stand in the wrong order", b @ a
                yield "the product must be taken entry by entry", a * b
            else:
                yield "this must be a matrix product", a @ b
            for one, other in ((a, b), (b, a)):
                if one.op != "T":
                    moved = f"the transpose {show(one.T)} must stand on the {{}} of a matrix product"
                    yield moved.format("left"), one.T @ other
                    yield moved.format("right"), other @ one.T
