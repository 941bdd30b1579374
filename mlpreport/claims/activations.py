"""Claims of the report's section 2.5."""

import numpy as np

from mlpreport.claims.ledger import Outcome, Verdict, claim
from mlpreport.numerals import number, percent
from mlpreport.results import EnsembleRecord, Result
from mlpreport.training.optima import wilson

RELU, SIGMOID = "1-3-5-4-1 relu", "1-3-5-4-1 sigmoid"


FEW = 0.05
"""A share that is certainly smaller is as good as none."""
SURE = 0.01
"""A difference counts if chance would make one as large with a probability below this."""


def _halved(record: EnsembleRecord, result: Result) -> np.ndarray:
    """Mark the restarts with less than half the training error of the best constant."""
    return record.losses < result["constant"].loss / 2


def _counted(*values: np.ndarray) -> str:
    """Say which restarts these are, of ReLU and of sigmoid."""
    relu, sigmoid = map(len, values)
    return f"the restarts with less than half the constant's training error ({relu} ReLU, {sigmoid} sigmoid)"


def _doubts(smaller: np.ndarray, larger: np.ndarray) -> tuple[float, float]:
    """Return Mann and Whitney's p-values that the first values are the smaller ones, and that they are the larger."""
    from scipy.stats import mannwhitneyu  # noqa: PLC0415 - takes half a second to import

    less, greater = (
        float(mannwhitneyu(smaller, larger, alternative=side).pvalue) for side in ("less", "greater")
    )
    return less, greater


def _straight_share(record: EnsembleRecord) -> float:
    """Return the share of grid points at which the best fit does not bend."""
    bend = np.abs(np.diff(record.curve, 2))
    return float(np.mean(bend <= 1e-9 * np.ptp(record.curve)))


@claim("relu-is-more-linear", "2.5", "The fit of the ReLU network is far more linear.", "activations")
def _relu_is_more_linear(result: Result) -> Verdict:
    relu, sigmoid = _straight_share(result.record(RELU)), _straight_share(result.record(SIGMOID))
    because = f"The ReLU fit is straight at {percent(relu)} of the grid points, the sigmoid fit at {percent(sigmoid)}."
    numbers = (("ReLU, straight share", relu, "above 0.9"), ("sigmoid, straight share", sigmoid, "below 0.1"))
    return Verdict("reproduced" if relu > 0.9 and sigmoid < 0.1 else "refuted", because, numbers)


@claim(
    "similar-test-errors", "2.5", "The test errors of the two activations are fairly similar.", "activations"
)
def _similar_test_errors(result: Result) -> Verdict:
    relu, sigmoid = map(result.record, (RELU, SIGMOID))
    tests = [record.test_losses[_halved(record, result)] for record in (relu, sigmoid)]
    if not all(map(len, tests)):
        return Verdict("not testable", f"Of {_counted(*tests)} there are too few; it takes more.")
    medians = [float(np.median(part)) for part in tests]
    best, typical = relu.test_loss / sigmoid.test_loss, medians[0] / medians[1]
    because = (
        f"The best networks test at {relu.test_loss:.4f} (ReLU) and {sigmoid.test_loss:.4f} (sigmoid). "
        f"Of {_counted(*tests)}, the median ReLU network tests at {medians[0]:.4f}, the median sigmoid network at "
        f"{medians[1]:.4f}."
    )
    similar = [2 / 3 < ratio < 3 / 2 for ratio in (best, typical)]
    outcome: Outcome = "reproduced" if all(similar) else "partly" if any(similar) else "refuted"
    numbers = (
        ("ReLU / sigmoid, best", best, "between 2/3 and 3/2"),
        ("ReLU / sigmoid, median", typical, "between 2/3 and 3/2"),
    )
    return Verdict(outcome, because, numbers)


@claim(
    "sigmoid-smaller-gap",
    "2.5",
    "Sigmoid's training and test errors lie closer together than ReLU's.",
    "activations",
)
def _sigmoid_smaller_gap(result: Result) -> Verdict:
    records = [result.record(label) for label in (RELU, SIGMOID)]
    relu, sigmoid = (
        np.abs(record.test_losses - record.losses)[_halved(record, result)] for record in records
    )
    if not (len(relu) and len(sigmoid)):
        return Verdict("not testable", f"Of {_counted(relu, sigmoid)} there are too few; it takes more.")
    wins = float(np.mean(sigmoid[:, None] < relu))
    smaller, larger = _doubts(sigmoid, relu)
    best = [abs(record.test_loss - record.loss) for record in records]
    decided = min(smaller, larger) < SURE
    undecided = f"So {len(relu)} and {len(sigmoid)} restarts do not decide it"
    because = (
        f"Of {_counted(relu, sigmoid)}, a sigmoid network has the smaller gap than a ReLU network with probability "
        f"{wins:.2f}; one half would be chance. "
        f"{'That is more than chance' if decided else undecided} (p = {min(smaller, larger):.2g}). "
        f"The two best networks have {best[1]:.4f} (sigmoid) and {best[0]:.4f} (ReLU)."
    )
    numbers = (
        ("p-value of a smaller gap (Mann-Whitney)", smaller, "below 0.01 reproduces"),
        ("p-value of a larger gap", larger, "below 0.01 refutes"),
    )
    outcome: Outcome = "reproduced" if smaller < SURE else "refuted" if larger < SURE else "not testable"
    return Verdict(outcome, because, numbers)


@claim("sigmoid-generalises-better", "2.5", "Sigmoid networks generalise better here.", "activations")
def _sigmoid_generalises_better(result: Result) -> Verdict:
    relu, sigmoid = (np.nan_to_num(result.record(label).test_losses, nan=np.inf) for label in (RELU, SIGMOID))
    wins = float(np.mean(sigmoid[:, None] < relu))
    lower, higher = _doubts(sigmoid, relu)
    far = [int(np.sum(tests > 10 * result["constant"].test_loss)) for tests in (relu, sigmoid)]
    because = (
        f"Over all restarts a sigmoid network tests lower than a ReLU network with probability {wins:.2f}; the typical "
        f"ones test at {number(np.median(sigmoid), digits=2)} and {number(np.median(relu), digits=2)}. Of "
        f"{len(sigmoid)} sigmoid restarts {far[1]} test more than ten times worse than the best constant, of "
        f"{len(relu)} ReLU restarts {far[0]}."
    )
    numbers = (
        ("p-value of lower test errors (Mann-Whitney)", lower, "below 0.01"),
        ("restarts far off, sigmoid less ReLU", far[1] - far[0], "at most 0; above, partly"),
    )
    outcome: Outcome = "refuted" if higher < SURE else "not testable"
    if lower < SURE:
        outcome = "reproduced" if far[1] <= far[0] else "partly"
    return Verdict(outcome, because, numbers)


@claim(
    "relu-dies",
    "",
    "A share of the ReLU networks never learns anything; no sigmoid network fails that way.",
    "activations",
)
def _relu_dies(result: Result) -> Verdict:
    constant = result["constant"].loss
    dead = [
        int(np.sum(np.abs(result.record(label).losses - constant) <= 1e-6 * constant))
        for label in (RELU, SIGMOID)
    ]
    restarts = len(result.record(RELU).losses)
    low, high = wilson(dead[0], restarts)
    because = (
        f"Of {restarts} ReLU restarts {dead[0]} end at the constant ({percent(low)} to {percent(high)} "
        f"with 99\N{NO-BREAK SPACE}% confidence), of the sigmoid restarts {dead[1]}."
    )
    numbers = (
        ("share of dead ReLU restarts, lower end", low, "above 0"),
        ("dead sigmoid restarts", dead[1], "0"),
    )
    if not (dead[0] or dead[1]) and high > FEW:
        return Verdict("not testable", f"{because} It takes more restarts.", numbers)
    return Verdict("reproduced" if dead[0] and not dead[1] else "refuted", because, numbers)
