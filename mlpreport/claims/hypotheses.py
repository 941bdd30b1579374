"""Claims of the report's section 2.1."""

from itertools import pairwise

import numpy as np

from mlpreport.claims.ledger import NOISELESS, Verdict, claim, network
from mlpreport.numerals import percent
from mlpreport.results import Result


@claim("no-hidden-units", "2.2", "Without hidden units the error is 0.50623.", "first-units")
def _no_hidden_units(result: Result) -> Verdict:
    constant, line = result["constant"].loss, result["line"].loss
    is_constant = abs(constant - 0.50623) < 1e-5
    because = (
        "That error belongs to the best constant. A network without hidden units is a straight "
        "line, and fits better."
    )
    numbers = (
        ("constant", constant, "the report's 0.50623 within 1e-5"),
        ("line", line, "below the constant"),
    )
    return Verdict("partly" if is_constant and line < constant else "refuted", because, numbers)


@claim("one-unit", "2.1", "One hidden unit follows the data over a short interval only.", "first-units")
def _one_unit(result: Result) -> Verdict:
    inside = result.grid <= 4 * np.pi
    close = [
        float(np.mean(np.abs(network(result, n).curve - result.truth)[inside] < 0.2)) for n in (1, 2, 3)
    ]  # two noise deviations
    because = (
        f"Its best fit stays within 0.2 of the sine on {percent(close[0])} of the interval; "
        f"the best fits of two and three units on {percent(close[1])} and {percent(close[2])}."
    )
    reproduced = 0 < close[0] < 0.5 and close[0] < close[1] < close[2]  # "short": under half
    return Verdict(
        "reproduced" if reproduced else "refuted",
        because,
        (("share followed", close[0], "between 0 and 0.5"),),
    )


@claim(
    "two-units-improve", "2.1", "A second unit improves the fit greatly but misses details.", "first-units"
)
def _two_units_improve(result: Result) -> Verdict:
    one, two, floor = network(result, 1).loss, network(result, 2).loss, result["true sine"].loss
    if not floor:
        return NOISELESS
    because = (
        f"The training error falls by a factor of {one / two:.1f} and is still {two / floor:.0f} "
        "times the noise floor."
    )
    numbers = (
        ("two units / one unit", two / one, "below 0.5"),
        ("two units / noise floor", two / floor, "above 2"),
    )
    return Verdict("reproduced" if two < one / 2 and two > 2 * floor else "refuted", because, numbers)


@claim("three-units-details", "2.1", "Three units may capture the details.", "first-units")
def _three_units_details(result: Result) -> Verdict:
    three, floor = network(result, 3), result["true sine"].loss
    if not floor:
        return NOISELESS
    because = (
        f"The best network is {'at' if three.loss <= floor else 'above'} the noise floor ({three.loss:.6f} against "
        f"{floor:.6f}); {percent(np.mean(three.losses < 2 * floor))} of the restarts come within twice the floor."
    )
    return Verdict(
        "reproduced" if three.loss <= floor else "refuted",
        because,
        (("three units / noise floor", three.loss / floor, "at most 1"),),
    )


@claim("no-overfitting-below-four", "2.1", "Nothing overfits with up to three hidden units.", "first-units")
def _no_overfitting(result: Result) -> Verdict:
    tests = [result["line"].test_loss, *(network(result, n).test_loss for n in (1, 2, 3))]
    falling = all(later < earlier for earlier, later in pairwise(tests))
    because = (
        "The test error of the best network falls with every unit added."
        if falling
        else "A network with more units tests worse than one with fewer."
    )
    numbers = (("largest ratio to the width before", max(b / a for a, b in pairwise(tests)), "below 1"),)
    return Verdict("reproduced" if falling else "refuted", because, numbers)


@claim("hanin-sellke", "2.1", "Three hidden units meet the condition of Hanin and Sellke's theorem.")
def _hanin_sellke() -> Verdict:
    return Verdict(
        "not testable",
        "The theorem bounds the width of ReLU networks of arbitrary depth. It says nothing "
        "about one hidden sigmoid layer, and no experiment of the report could contradict it.",
    )
