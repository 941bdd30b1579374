"""Claims of the report's section 2.2."""

from functools import lru_cache

import numpy as np

from mlpreport.claims.ledger import Outcome, Verdict, claim, network
from mlpreport.data import Dataset
from mlpreport.merging import PairLimit, approach, limit_map, lowest_limit
from mlpreport.numerals import number, percent
from mlpreport.results import Result


@claim("several-optima", "2.2", "Repeated training gives several different functions.", "two-units")
def _several_optima(result: Result) -> Verdict:
    optima = network(result, 2).optima
    if not optima:
        return Verdict("not testable", "The restarts are not grouped; give the Experiment a same_function.")
    restarts = len(network(result, 2).losses)
    if len(optima) == 1 and restarts < 100:
        return Verdict(
            "not testable", "All restarts reached one function, but there are fewer than a hundred."
        )
    frequent = sum(optimum.share >= 0.01 for optimum in optima)  # one in a hundred
    what = {0: "no function", 1: "one function"}.get(frequent, f"each of {frequent} different functions")
    because = f"At least one restart in a hundred reaches {what}."
    outcome: Outcome = "reproduced" if frequent >= 6 else "partly" if len(optima) > 1 else "refuted"
    return Verdict(outcome, because, (("functions", frequent, "at least the report's 6"),))


@claim("worst-optimum", "2.2", "The worst optimum is only slightly better than no hidden units.", "two-units")
def _worst_optimum(result: Result) -> Verdict:
    repeated = [optimum for optimum in network(result, 2).optima if optimum.count > 1]
    if not repeated:
        return Verdict("not testable", "No two restarts ended in the same function; it takes more restarts.")
    worst, constant = max(repeated, key=lambda optimum: optimum.loss), result["constant"].loss
    if not constant:
        return Verdict("not testable", "The best constant fits all points exactly; it takes more of them.")
    because = (
        f"The worst class that more than one restart reached has an error of {worst.loss:.4f}; "
        f"the constant has {constant:.4f}."
    )
    near = 0.8 < worst.loss / constant < 1  # "slightly": within a fifth
    return Verdict(
        "reproduced" if near else "refuted",
        because,
        (("worst / constant", worst.loss / constant, "between 0.8 and 1"),),
    )


@claim("global-optimum", "2.2", "The best two-unit network found is the global optimum.", "two-units")
def _global_optimum(result: Result) -> Verdict:
    record = network(result, 2)
    limit = _limit(result.data)
    margin = record.loss - limit.loss
    if not np.isfinite(margin):
        return Verdict("not testable", "No restart ended with a finite error.")
    because = (
        f"Two-unit networks come arbitrarily close to a function with the error {limit.loss:.9f}, which none of them "
        f"computes. The lowest of {len(record.losses):,} restarts {_side(margin, limit.slope)}."
    )
    numbers = (
        ("lowest error less that of the limit", margin, "above 0"),
        ("slope of the error at the limit", limit.slope, "above 0"),
    )
    return Verdict("refuted" if margin > 0 and limit.slope > 0 else "partly", because, numbers)


@lru_cache(maxsize=4)
def _limit(data: Dataset) -> PairLimit:
    """Find the lowest limit of two units, once for all claims about the same data."""
    return lowest_limit(data, limit_map(data))


def _side(margin: float, slope: float) -> str:
    if margin <= 0:
        return "does not lie above it"
    return f"lies above it, {'as all' if slope > 0 else 'but not all'} networks near it do"


@claim(
    "start-decides",
    "2.2",
    "The starting values alone decide which optimum is reached.",
    "two-units",
    "two-units",
)
def _start_decides(result: Result, other: Result) -> Verdict:
    if _start(result) != _start(other):
        return Verdict("not testable", "The two Results differ in seed or number of restarts.")
    if result.description.get("method") == other.description.get("method"):
        return Verdict("not testable", "The two Results are of one method; give those of two.")
    losses = np.array([network(part, 2).losses for part in (result, other)])
    one, two = losses[:, np.isfinite(losses).any(axis=0)]
    if not one.size:
        return Verdict("not testable", "No restart ended with a finite error.")
    # A restart that broke off with one optimiser only (NaN) moved.
    moved = float(np.mean(~(np.abs(one - two) <= 0.01 * np.minimum(one, two))))
    because = (
        f"From the same starting values a second optimiser ends at another error in {percent(moved)} "
        f"of the restarts: {'start and optimiser decide together' if moved > 0.05 else 'the start decides'}."
    )
    return Verdict(
        "partly" if moved > 0.05 else "reproduced",
        because,
        (("share that moved by more than 1 %", moved, "above 0.05"),),
    )


def _start(result: Result) -> tuple[object, ...]:
    return result.description.get("seed"), len(network(result, 2).losses)


@claim(
    "approach-as-square",
    "",
    "The lowest two-unit networks lie above the limit by its slope times the square of their separation.",
    "two-units",
)
def _approach_as_square(result: Result) -> Verdict:
    limit = _limit(result.data)
    near = approach("", result, limit, within=1.5)
    if not near.separations.size:
        return Verdict("not testable", f"None of {near.restarts:,} restarts ends near the limit.")
    ratios = near.excesses / (limit.slope * near.separations**2)
    furthest = float(np.max(np.abs(ratios - 1)))
    above = int(np.sum(near.excesses > 0))
    because = (
        f"Of {near.restarts:,} restart{'s' * (near.restarts != 1)} {len(ratios)} "
        f"end{'s' * (len(ratios) == 1)} near the limit. "
        f"{'All' if above == len(ratios) else f'Only {above}'} lie above it, by what theory predicts to "
        f"within {number(100 * furthest, digits=2)}\N{NO-BREAK SPACE}%."
    )
    holds = above == len(ratios) and furthest < 0.05
    return Verdict(
        "reproduced" if holds else "refuted",
        because,
        (("largest relative deviation from the prediction", furthest, "below 0.05"),),
    )
