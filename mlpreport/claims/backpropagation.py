"""The report's section 3, formula by formula, in the forward language, and what `explain` says to each."""

from dataclasses import dataclass

from mlpreport.derivation import Explanation, Program, explain


@dataclass(frozen=True)
class Formula:
    """One formula of the report: its number, the variable, and the right-hand side with cotangents named d…."""

    number: str
    target: str
    claim: str
    note: str = ""


@dataclass(frozen=True)
class Audited:
    """A formula with what `explain` found."""

    formula: Formula
    explanation: Explanation


FORMULAS = (
    Formula("i", "l", "1"),
    Formula("ii", "y", "2 * (y - yhat)", "Its second line lacks an inner derivative too; here that is 1."),
    Formula(
        "iii, line 2",
        "yhat",
        "2 * (y - yhat)",
        "The power rule alone; the inner derivative, −1, is missing.",
    ),
    Formula("iii", "yhat", "-2 * (y - yhat)"),
    Formula("iv", "b2", "dyhat", "Right for one example only."),
    Formula("v", "z4", "dyhat"),
    Formula("vi", "W2", "dz4 * z3", "Whatever the star means, z3 must be transposed and stand on the left."),
    Formula("vii", "z3", "dz4 * W2.T", "Its reason has z4 = W2ᵀ·z3, which is the other convention."),
    Formula("viii", "z2", "dz3 * z3 * (1 - z3)", "The report leaves σ′(z2) open; this is what it must be."),
    Formula("ix", "b1", "dz2", "Right for one example only: “∂z2/∂b1 = 1” loses the sum over the batch."),
    Formula("x", "z1", "dz2"),
    Formula("xi", "W1", "dz1 * x", "As in vi: x must be transposed and stand on the left."),
    Formula(
        "xii",
        "x",
        "dz1 * W1.T",
        "The star read entry by entry. Its reason has z1 = W1ᵀ·x, the other convention.",
    ),
    Formula("xii", "x", "dz1 @ W1.T", "The star read as a matrix product."),
)
"""All twelve, in order; where the report's star can be read in two ways that differ, both are here."""


def audit(program: Program) -> tuple[Audited, ...]:
    """Judge every formula of the report against the derivation of `program`, the report's network."""
    derivation = program.vjp()
    return tuple(Audited(formula, explain(derivation, formula.target, formula.claim)) for formula in FORMULAS)
