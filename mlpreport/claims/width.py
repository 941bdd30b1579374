"""Claims of the report's section 2.3."""

from itertools import pairwise

import numpy as np

from mlpreport.claims.ledger import Outcome, Verdict, claim, network
from mlpreport.experiments import largest_correlation
from mlpreport.numerals import number, percent
from mlpreport.results import Result
from mlpreport.studies import Study, wilson


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
    return Verdict("reproduced" if ten.loss < three.loss and worse.low > 0.5 else "refuted", because, numbers)


@claim("wide-overfits", "2.3", "Fifty and a hundred units overfit strongly.", "widths", "width-study")
def _wide_overfits(result: Result, study: Study) -> Verdict:
    three, *wide = (network(result, n) for n in (3, 50, 100))
    ratios = [record.test_loss / three.test_loss for record in wide]
    shares = [study.worse(name, "3", factor=10) for name in ("50", "100")]
    because = (
        f"The best networks here test {number(ratios[0], digits=2)} and {number(ratios[1], digits=2)} times worse "
        "than three units. "
        f"Of sets of ten restarts, {shares[0]} at fifty units and {shares[1]} at a hundred have a best network that "
        "tests more than ten times worse."
    )
    low = min(share.low for share in shares)
    holds = low > 0.5 and max(record.loss for record in wide) < three.loss
    return Verdict(
        "reproduced" if holds else "refuted",
        because,
        (("lower end of the smaller probability", low, "above 0.5"),),
    )


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
    outcome: Outcome = "reproduced" if inside.low > 0.5 else "partly" if inside.low > chance else "refuted"
    numbers = (("lower end of the probability of [8, 9]", inside.low, "above 0.5; partly above 0.08"),)
    return Verdict(outcome, because, numbers)


@claim(
    "spikes-on-the-left",
    "2.3",
    "The error comes from [0, 1] at fifty units and [0, 2] at a hundred.",
    "width-study",
)
def _spikes_on_the_left(study: Study) -> Verdict:
    shares = []
    for name, bound in (("50", 1), ("100", 2)):
        places = study[name].places[study[name].best_of(10)]
        shares.append(wilson(int(np.sum(places <= bound)), len(places)))
    because = (
        f"The best of ten is furthest from the sine inside that interval in {shares[0]} cases at fifty units and "
        f"in {shares[1]} at a hundred."
    )
    hits = sum(share.low > 0.5 for share in shares)
    outcomes: tuple[Outcome, ...] = ("refuted", "partly", "reproduced")
    numbers = tuple(
        (f"lower end of the probability at {name}", share.low, "above 0.5")
        for name, share in zip((50, 100), shares, strict=True)
    )
    return Verdict(outcomes[hits], because, numbers)


@claim(
    "inevitable-overfitting",
    "2.4",
    "An extremely large number of hidden units inevitably overfits.",
    "width-study",
)
def _inevitable_overfitting(study: Study) -> Verdict:
    long, decayed = (study.worse(name, "3", factor=10) for name in ("50", "50 decayed"))
    because = (
        "The same fifty units with the same optimiser test ten times worse than three units in "
        f"{long} sets of ten after ten thousand iterations, and in {decayed} with a little weight decay."
    )
    numbers = (
        ("probability after ten thousand iterations, lower end", long.low, "above 0.5"),
        ("probability with weight decay, upper end", decayed.high, "below 0.5 refutes"),
    )
    return Verdict("refuted" if decayed.high < 0.5 < long.low else "reproduced", because, numbers)


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
