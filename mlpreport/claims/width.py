"""Claims of the report's section 2.3."""

from itertools import pairwise

import numpy as np

from mlpreport.claims.ledger import NOISELESS, Outcome, Verdict, claim, network
from mlpreport.experiments import largest_correlation, restart_of
from mlpreport.numerals import number, percent
from mlpreport.results import Result
from mlpreport.studies import Share, Study, wilson


@claim("training-error-falls", "2.3", "More hidden units fit the training points more precisely.", "widths")
def _training_error_falls(result: Result) -> Verdict:
    ratios = [later.loss / earlier.loss for earlier, later in pairwise(result.records)]
    if not ratios:
        return Verdict("not testable", "One width is no comparison; give a Result of several.")
    falls = sum(ratio < 1 for ratio in ratios)
    because = f"From one width to the next, the best training error falls {falls} times out of {len(ratios)}."
    outcome: Outcome = "reproduced" if falls == len(ratios) else "partly" if falls else "refuted"
    return Verdict(outcome, because, (("largest ratio to the width before", max(ratios), "below 1"),))


BADLY = 10
"""A network overfits if it tests worse than three units, and badly if it tests more than so many times worse."""


@claim(
    "ten-overfits",
    "2.3",
    "Ten units train slightly better than three and test worse.",
    "widths",
    "width-study",
)
def _ten_overfits(result: Result, study: Study) -> Verdict:
    three, ten = network(result, 3), network(result, 10)
    worse = study.worse("10", "3", factor=1)
    because = (
        f"Here the training errors are {ten.loss:.4f} and {three.loss:.4f}, the test errors {ten.test_loss:.4g} and "
        f"{three.test_loss:.4g}. Of disjoint sets of ten restarts, {worse} have a best network that tests worse."
    )
    numbers = (
        ("training ratio here", ten.loss / three.loss, "below 1"),
        ("lower end of the probability", worse.low, "above 0.5"),
    )
    return Verdict(_usual(worse) if ten.loss < three.loss else "refuted", because, numbers)


def _usual(*shares: Share) -> Outcome:
    """Judge that each probability is above one half; an interval that holds one half leaves it open."""
    if any(share.high < 0.5 for share in shares):
        return "refuted"
    return "reproduced" if all(share.low > 0.5 for share in shares) else "not testable"


@claim("wide-overfits", "2.3", "Fifty and a hundred units overfit badly.", "widths", "width-study")
def _wide_overfits(result: Result, study: Study) -> Verdict:
    three, *wide = (network(result, n) for n in (3, 50, 100))
    ratios = [record.test_loss / three.test_loss for record in wide]
    shares = [study.worse(name, "3", factor=BADLY) for name in ("50", "100")]
    because = (
        f"The best networks here test {number(ratios[0], digits=2)} and {number(ratios[1], digits=2)} times worse "
        "than three units. "
        f"Of sets of ten restarts, {shares[0]} at fifty units and {shares[1]} at a hundred have a best network that "
        "tests more than ten times worse."
    )
    low = min(share.low for share in shares)
    trained = max(record.loss for record in wide) < three.loss
    numbers = (("lower end of the smaller probability", low, "above 0.5"),)
    return Verdict(_usual(*shares) if trained else "refuted", because, numbers)


@claim(
    "wide-fit-perfectly",
    "2.3",
    "Fifty and a hundred units match the training points perfectly.",
    "widths",
)
def _wide_fit_perfectly(result: Result) -> Verdict:
    distances = [float(np.sqrt(network(result, n).loss)) for n in (50, 100)]
    floor = float(np.sqrt(result["true sine"].loss))
    if not floor:
        return NOISELESS
    shown, noise = (number(distance, digits=2) for distance in distances), number(floor, digits=2)
    because = (
        f"The best networks miss the training points by {' (fifty units) and '.join(shown)} (a hundred), as a root "
        f"mean square; the true sine misses them by {noise}. A match that an eye takes for perfect would be within a "
        "tenth of that."
    )
    perfect = [distance < floor / 10 for distance in distances]
    outcome: Outcome = "reproduced" if all(perfect) else "partly" if any(perfect) else "refuted"
    numbers = tuple(
        (f"{n} units: distance / that of the sine", distance / floor, "below 0.1")
        for n, distance in zip((50, 100), distances, strict=True)
    )
    return Verdict(outcome, because, numbers)


@claim("ten-overfits-at-eight", "2.3", "Ten units show their overfitting in [8, 9].", "width-study")
def _ten_overfits_at_eight(study: Study) -> Verdict:
    places = study["10"].places[study["10"].best_of(10)]
    inside, left = (
        wilson(int(np.sum((low <= places) & (places <= high))), len(places)) for low, high in ((8, 9), (0, 1))
    )
    chance = 1 / (4 * np.pi)  # an interval of length 1 in [0, 4π]
    because = (
        f"The best of ten is furthest from the sine in [8, 9] in {inside} sets, where chance would give "
        f"{percent(chance)}; in {left} it is furthest in [0, 1], as wider networks are."
    )
    outcome = "partly" if inside.low > chance and inside.low <= 0.5 else _usual(inside)
    numbers = (("lower end of the probability of [8, 9]", inside.low, "above 0.5; partly above 0.08"),)
    return Verdict(outcome, because, numbers)


@claim(
    "spikes-on-the-left",
    "2.3",
    "The error comes from [0, 1] at fifty units and [0, 2] at a hundred.",
    "widths",
    "width-study",
)
def _spikes_on_the_left(result: Result, study: Study) -> Verdict:
    parts, shares = [], []
    for width, bound in ((50, 1), (100, 2)):
        parts.append(_error_until(result, width, bound))
        places = study[f"{width}"].places[study[f"{width}"].best_of(10)]
        shares.append(wilson(int(np.sum(places <= bound)), len(places)))
    shown = [f"{number(100 * part, digits=3)}\N{NO-BREAK SPACE}%" for part in parts]
    because = (
        f"Of the test error of the best networks here, {shown[0]} at fifty units and {shown[1]} at a hundred comes "
        "from the test points in that interval. Of the sets of ten, the best is furthest from the sine inside that "
        f"interval in {shares[0]} at fifty units and in {shares[1]} at a hundred."
    )
    each = [_usual(share) if part > 0.5 else "refuted" for part, share in zip(parts, shares, strict=True)]
    outcomes: tuple[Outcome, ...] = ("refuted", "partly", "reproduced")
    outcome = "not testable" if "not testable" in each else outcomes[each.count("reproduced")]
    numbers: list[tuple[str, float, str]] = []
    for width, part, share in zip((50, 100), parts, shares, strict=True):
        numbers.append((f"share of the test error at {width}", part, "above 0.5"))
        numbers.append((f"lower end of the probability at {width}", share.low, "above 0.5"))
    return Verdict(outcome, because, tuple(numbers))


def _error_until(result: Result, width: int, bound: float) -> float:
    """Return the share of the best network's test error that comes from test points with x of at most `bound`."""
    record, test = network(result, width), result.data.test
    squares = (restart_of(record, record.best).predict(test.x) - test.y) ** 2
    return float(np.sum(squares[test.x <= bound]) / np.sum(squares))


@claim(
    "inevitable-overfitting",
    "2.4",
    "A very large number of hidden units inevitably overfits, as badly as fifty and a hundred do.",
    "width-study",
)
def _inevitable_overfitting(study: Study) -> Verdict:
    long, stopped, decayed = (
        [study.worse(f"{width}{way}", "3", factor=BADLY) for width in (50, 100)]
        for way in ("", " stopped at 300", " decayed")
    )
    because = (
        f"Trained for ten thousand iterations, fifty units overfit badly in {long[0]} sets of ten, a hundred in "
        f"{long[1]}. Stopped after three hundred, they do in {stopped[0]} and {stopped[1]}; with a little weight decay "
        f"and all ten thousand, in {decayed[0]} and {decayed[1]}. {_still_worse(study)}"
    )
    numbers = (
        ("probability after ten thousand iterations, lower end", min(s.low for s in long), "above 0.5"),
        ("stopped, upper end", max(s.high for s in stopped), "below 0.5 refutes"),
        ("with weight decay, upper end", max(s.high for s in decayed), "below 0.5 refutes"),
    )
    avoided = [max(part.high for part in way) < 0.5 for way in (stopped, decayed)]
    bound = [min(part.low for part in way) > 0.5 for way in (long, stopped, decayed)]
    outcome: Outcome = "refuted" if any(avoided) else "reproduced" if all(bound) else "not testable"
    return Verdict(outcome, because, numbers)


def _still_worse(study: Study) -> str:
    """Say how often networks with weight decay are worse than three units at all, and how many times worse."""
    names = ("50 decayed", "100 decayed")
    counts = [study.worse(name, "3", factor=1) for name in names]
    times = [f"{study.times(name, '3'):.2f}" for name in names]
    return (
        f"With weight decay they test worse than three units at all in {counts[0]} and {counts[1]}; the median factors "
        f"are {times[0]} and {times[1]}."
    )


@claim("units-are-features", "2.4", "Every hidden unit learns a feature of the data.", "hidden-units")
def _units_are_features(result: Result) -> Verdict:
    alike = [largest_correlation(network(result, count).hidden) for count in (2, 3, 10)]
    distinct = [value < 0.99 for value in alike]  # a copy, as the eye sees it
    because = (
        f"In the three-unit network {'the units differ' if distinct[1] else 'two units are copies'} "
        f"(the most alike pair correlates at {alike[1]:.3f}). The two units of the "
        f"two-unit network {'differ' if distinct[0] else 'are one step drawn twice'} ({alike[0]:.6f}), and the ten "
        f"{'differ' if distinct[2] else 'contain copies'}{' as well' * (distinct[0] == distinct[2])} ({alike[2]:.4f})."
    )
    outcome: Outcome = "reproduced" if all(distinct) else "partly" if any(distinct) else "refuted"
    numbers = tuple(
        (f"{n} units: largest correlation", value, "below 0.99 is distinct")
        for n, value in zip((2, 3, 10), alike, strict=True)
    )
    return Verdict(outcome, because, numbers)
