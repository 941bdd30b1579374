"""A reader's own gradient, judged: right or wrong, what is wrong with it, and the smallest numbers that show it."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice
from typing import Any

import numpy as np

from mlpreport.checks import checked_kind, checked_text
from mlpreport.derivation.backward import Derivation, cotangent
from mlpreport.derivation.diagnosis import diagnosis
from mlpreport.derivation.evaluation import Array
from mlpreport.derivation.judging import Judge, judge, judges
from mlpreport.derivation.printing import code_names, show
from mlpreport.derivation.program import Program, Term, num, variables
from mlpreport.derivation.reading import Reader
from mlpreport.derivation.sizes import ascending, show_sizes
from mlpreport.derivation.splitting import needed, unnamed
from mlpreport.errors import ProgramError

_SMALL, _TRIED = range(1, 9), 3**5
"""Sizes at which a small counterexample is looked for, and at how many of their combinations."""


def _rounded(*arrays: Array) -> list[Any]:
    """Entries with six digits behind the point, or with as many as tell two arrays apart."""
    rounded = [[np.round(array, digits).tolist() for array in arrays] for digits in (6, 9, 12, 15)]
    return next((found for found in rounded if len(arrays) == 1 or found[0] != found[1]), rounded[-1])


@dataclass(frozen=True)
class Counterexample:
    """Sizes and inputs at which a claim fails: its value (or why it has none) and the gradient.

    `quantity` is what was asked for, which is a Hessian-vector product where the loss was differentiated twice.
    """

    sizes: Mapping[str, int]
    inputs: Mapping[str, Array]
    correct: Array
    claimed: Array | None
    problem: str
    quantity: str = "gradient"

    def __str__(self) -> str:
        """Write sizes, inputs and both values in one line."""
        sizes = show_sizes(self.sizes)
        inputs = "; ".join(f"{name} = {array.tolist()}" for name, array in self.inputs.items())
        if self.claimed is None:
            return f"at {sizes} with {inputs}: {self.problem}; the {self.quantity} is {_rounded(self.correct)[0]}"
        claimed, correct = _rounded(self.claimed, self.correct)
        return f"at {sizes} with {inputs}: the claim gives {claimed}, the {self.quantity} is {correct}"


@dataclass(frozen=True)
class Explanation:
    """A claim with its verdict, true if it agrees; `diagnosis` and `counterexample` are empty then.

    `where` defines what `correct` and `diagnosis` use and the program's source does not name.
    """

    wrt: str
    claim: str
    agrees: bool
    correct: str
    diagnosis: str
    counterexample: Counterexample | None
    where: tuple[str, ...] = ()
    quantity: str = "gradient"

    def __bool__(self) -> bool:
        """Whether the claim agrees with the gradient."""
        return self.agrees

    def __str__(self) -> str:
        """Write verdict, diagnosis, derived gradient and counterexample."""
        if self.agrees:
            return f"Right: the {self.quantity} with respect to {self.wrt} is {self.claim}."
        # Names keep their case: x must not become X.
        what = re.sub(
            r"^(an?|if|no|the|there|this|wrong)\b", lambda word: word[0].capitalize(), self.diagnosis
        )
        verdict = f"Wrong: {self.claim} is not the {self.quantity} with respect to {self.wrt}. {what}"
        where = ", where " * bool(self.where) + "; ".join(self.where)
        return f"{verdict}\nDerived: {self.correct}{where}\nFor example {self.counterexample}."

    @property
    def diagnosis_markdown(self) -> str:
        """The diagnosis with the mended formula as code, as its asterisks are no marks."""
        what, colon, mended = self.diagnosis.removesuffix(".").rpartition(": ")
        escaped = re.sub(r"([*_])", r"\\\1", what if colon else mended)
        return f"{escaped}: `{mended}`." if colon else f"{escaped}."

    def _repr_markdown_(self) -> str:
        mark = f'<span class="verdict {"reproduced" if self.agrees else "refuted"}">'
        if self.agrees:
            return f"{mark}right</span> The {self.quantity} with respect to `{self.wrt}` is `{self.claim}`."
        verdict = (
            f"{mark}wrong</span> `{self.claim}` is not the {self.quantity} with respect to `{self.wrt}`:"
        )
        where = ", where " * bool(self.where) + "; ".join(f"`{definition}`" for definition in self.where)
        told = f"{verdict} {self.diagnosis_markdown} Derived: `{self.correct}`{where}."
        return f"{told} For example {self.counterexample}."


def explain(program: Program | Derivation, wrt: str, claim: str) -> Explanation:
    """Judge a claimed gradient, written in the forward language with cotangents named d….

    Parameters
    ----------
    program
        The forward program, or its derivation from `vjp` (to judge many claims without deriving again) or `hvp`.
    wrt
        The variable with respect to which the loss is differentiated.
    claim
        Such as "x.T @ dz1"; sizes may be used as numbers.

    Returns
    -------
    Explanation
        True if values agree to 1e-10 of the largest entry, which rounding may differ by, at several sizes and points;
        with `.diagnosis`, `.counterexample`, `.correct`, `.where`; `str()` reads well.

    Raises
    ------
    InvalidInputError
        If there is no program, or the claim is no text.
    ProgramError
        If `wrt` is unknown, or the claim is outside the language or uses the cotangent that it is to give.
    """
    derivation = _derived(program)
    names = code_names(derivation.backward)
    wrt = _variable(derivation.program, wrt, names)
    # One line, as a reader may break a long one; the language has no text in which # would not begin a comment.
    claim = " ".join(re.sub("#.*", "", checked_text("claim", claim, example="x.T @ dz1")).split())
    key = cotangent(derivation.program.loss, wrt)
    term = _read(claim, derivation.backward, names, key)
    found = judges(derivation, wrt)
    correct = f"{names[key]} = {show(derivation[wrt].cotangent, names)}"
    quantity, what, example = _quantity(derivation, wrt), "", None
    if not all(each.accepts(term) for each in found):
        what = diagnosis(derivation, wrt, term, found=found, text=partial(show, names=names))
        example = _shown(_smallest(derivation, wrt, term, found), term, names, quantity)
    where = _where(derivation, names, key, f"{correct} {what}")
    return Explanation(names[wrt], claim, example is None, correct, what, example, where, quantity)


def _derived(program: Program | Derivation) -> Derivation:
    """Derive a program, unless that was done."""
    if not isinstance(program, Derivation):
        checked_kind("program", program, Program, remedy="from trace(source, x=(rows, columns))")
        return program.vjp()
    if program.tangents:
        message = "explain takes a program or its vjp; these steps are tangents"
        raise ProgramError(message)
    return program


def _variable(program: Program, wrt: str, names: Mapping[str, str]) -> str:
    """Name of a variable, which may be called as in claims: `vW` for the direction of W."""
    called = {names[name]: name for name in program.shapes}
    return program.variable(called.get(str(wrt), wrt)).name


def _quantity(derivation: Derivation, wrt: str) -> str:
    twice = derivation.of is not None and wrt in derivation.results
    return "Hessian-vector product" if twice else "gradient"


def _read(claim: str, backward: Program, names: Mapping[str, str], key: str) -> Term:
    """Read a claim, which may not use the cotangent that it is to give."""
    sizes = {f"size {name}": num(size) for name, size in backward.sizes.items()}
    meaning = sizes | {name: backward.variable(name) for name in backward.shapes}
    scope = {code: meaning[name] for name, code in names.items()}
    term = Reader(claim, scope, fitting=False).read_expression()
    if key in variables(term):
        remedy = "write it with other cotangents"
        message = f"line 1: {names[key]} is the gradient that the claim is to give; {remedy}\n    {claim}"
        raise ProgramError(message)
    return term


def _where(derivation: Derivation, names: Mapping[str, str], known: str, text: str) -> tuple[str, ...]:
    """Define parts t1, t2, … of equations and their cotangents, as far as a text needs them."""
    program, definitions = derivation.program, derivation.backward.definitions
    parts = unnamed(program)
    keys = {*parts, *(cotangent(program.loss, name) for name in parts)} - {known}
    hidden = {key: term for key, term in definitions.items() if key in keys}
    mentioned = [key for key in hidden if re.search(rf"\b{names[key]}\b", text)]
    return tuple(f"{names[key]} = {show(term, names)}" for key, term in needed(hidden, mentioned).items())


def _smallest(derivation: Derivation, wrt: str, claim: Term, large: list[Judge]) -> Judge:
    """Find the smallest sizes at which the claim fails."""
    sizes = list(large[0].sizes)
    small = (
        judge(derivation, wrt, dict(zip(sizes, chosen, strict=True)), seed=1, unit=0.5, short=True)
        for chosen in islice(ascending(len(sizes), _SMALL, math.prod), _TRIED)
    )
    return next(each for each in chain(small, large) if each and not each.accepts(claim))


def _shown(failing: Judge, claim: Term, names: Mapping[str, str], quantity: str) -> Counterexample:
    sizes = {str(size): n for size, n in failing.sizes.items()}
    inputs = {names[name]: array for name, array in failing.inputs.items()}
    return Counterexample(sizes, inputs, failing.truth, *failing.value(claim), quantity)
