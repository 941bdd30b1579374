"""Claims of the report's section 2.3."""

from itertools import pairwise

import numpy as np

from mlpreport.claims.ledger import Outcome, Verdict, claim, network
from mlpreport.results import Result


@claim("training-error-falls", "2.3", "More hidden units fit the training points more precisely.", "widths")
def _training_error_falls(result: Result) -> Verdict:
    losses = [record.loss for record in result.records]
    ratio = max(later / earlier for earlier, later in pairwise(losses))
    because = (
        "The best training error falls at every step."
        if ratio < 1
        else "At one step the best training error rises."
    )
    return Verdict(
        "reproduced" if ratio < 1 else "partly",
        because,
        (("largest ratio to the width before", ratio, "below 1"),),
    )


@claim("ten-overfits", "2.3", "Ten units train slightly better than three and test worse.", "widths")
def _ten_overfits(result: Result) -> Verdict:
    three, ten = network(result, 3), network(result, 10)
    holds = ten.loss < three.loss and ten.test_loss > three.test_loss
    because = (
        f"Training error {ten.loss:.4f} against {three.loss:.4f}, test error {ten.test_loss:.4g} "
        f"against {three.test_loss:.4g}."
    )
    numbers = (
        ("training ratio", ten.loss / three.loss, "below 1"),
        ("test ratio", ten.test_loss / three.test_loss, "above 1"),
    )
    return Verdict("reproduced" if holds else "refuted", because, numbers)


@claim("wide-overfits", "2.3", "Fifty and a hundred units overfit strongly.", "widths")
def _wide_overfits(result: Result) -> Verdict:
    three, *wide = (network(result, n) for n in (3, 50, 100))
    ratios = [record.test_loss / three.test_loss for record in wide]
    holds = min(ratios) > 2 and max(record.loss for record in wide) < three.loss  # "strongly"
    because = (
        f"Their best networks train lower than three units and test {ratios[0]:.3g} and "
        f"{ratios[1]:.3g} times worse."
    )
    return Verdict(
        "reproduced" if holds else "refuted", because, (("smaller test ratio", min(ratios), "above 2"),)
    )


@claim(
    "spikes-on-the-left",
    "2.3",
    "The error comes from [0, 1] at fifty units and [0, 2] at a hundred.",
    "widths",
)
def _spikes_on_the_left(result: Result) -> Verdict:
    inside = result.grid <= 4 * np.pi
    places = [
        float(result.grid[inside][np.argmax(np.abs(network(result, n).curve - result.truth)[inside])])
        for n in (50, 100)
    ]
    hits = sum(place <= bound for place, bound in zip(places, (1, 2), strict=True))
    outcomes: tuple[Outcome, ...] = ("refuted", "partly", "reproduced")
    because = f"The largest deviations from the sine are at x = {places[0]:.2f} and x = {places[1]:.2f}."
    return Verdict(
        outcomes[hits],
        because,
        (("place at 50", places[0], "at most 1"), ("place at 100", places[1], "at most 2")),
    )


@claim(
    "inevitable-overfitting",
    "2.4",
    "An extremely large number of hidden units inevitably overfits.",
    "widths",
    "fifty-stopped",
    "fifty-decayed",
)
def _inevitable_overfitting(result: Result, stopped: Result, decayed: Result) -> Verdict:
    long, *gentle = (network(part, 50).test_loss for part in (result, stopped, decayed))
    floor = result["true sine"].test_loss
    because = (
        f"From the same starting values, with the same optimiser, fifty units test at {long:.3g} after ten thousand "
        f"iterations, at {gentle[0]:.4f} after three hundred, and at {gentle[1]:.4f} with a little weight decay. "
        f"The true sine has {floor:.4f}."
    )
    ratio = min(gentle) / floor
    numbers = (("best test error / noise floor", ratio, "below 2 refutes"),)
    return Verdict("refuted" if ratio < 2 else "reproduced", because, numbers)


@claim("units-are-features", "2.4", "Every hidden unit learns a feature of the data.", "hidden-units")
def _units_are_features(result: Result) -> Verdict:
    alike = [_largest_correlation(network(result, count).hidden) for count in (2, 3, 10)]
    because = (
        "In the three-unit network the units differ (the most alike pair correlates at "
        f"{alike[1]:.3f}). The two units of the "
        f"two-unit network are one step drawn twice ({alike[0]:.6f}), and the ten contain "
        f"copies as well ({alike[2]:.4f})."
    )
    distinct = [value < 0.99 for value in alike]  # a copy, as the eye sees it
    outcome: Outcome = "reproduced" if all(distinct) else "partly" if any(distinct) else "refuted"
    numbers = tuple(
        (f"{n} units: largest correlation", value, "below 0.99 is distinct")
        for n, value in zip((2, 3, 10), alike, strict=True)
    )
    return Verdict(outcome, because, numbers)


def _largest_correlation(hidden: np.ndarray) -> float:
    moving = hidden[:, np.ptp(hidden, axis=0) > 0]
    correlation = np.abs(np.corrcoef(moving, rowvar=False))
    return float(np.max(correlation - np.eye(len(correlation))))
