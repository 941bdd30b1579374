"""Claims of the report's section 2.5."""

import numpy as np

from mlpreport.claims.ledger import Outcome, Verdict, claim
from mlpreport.numerals import percent
from mlpreport.results import EnsembleRecord, Result
from mlpreport.training.optima import wilson

RELU, SIGMOID = "1-3-5-4-1 relu", "1-3-5-4-1 sigmoid"


def _learnt(record: EnsembleRecord, result: Result) -> np.ndarray:
    """Mark the restarts that did better than half the error of the best constant."""
    return record.losses < result["constant"].loss / 2


def _straight_share(record: EnsembleRecord) -> float:
    """Return the share of grid points at which the best fit does not bend."""
    bend = np.abs(np.diff(record.curve, 2))
    return float(np.mean(bend < 1e-9 * np.ptp(record.curve)))


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
    medians = [float(np.median(record.test_losses[_learnt(record, result)])) for record in (relu, sigmoid)]
    best, typical = relu.test_loss / sigmoid.test_loss, medians[0] / medians[1]
    because = (
        f"The best networks test at {relu.test_loss:.4f} (ReLU) and {sigmoid.test_loss:.4f} (sigmoid). "
        f"Of the restarts that learnt anything, the median ReLU network tests at {medians[0]:.4f}, the median "
        f"sigmoid network at {medians[1]:.4f}."
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
    from scipy.stats import mannwhitneyu  # noqa: PLC0415 - takes half a second to import

    records = [result.record(label) for label in (RELU, SIGMOID)]
    relu, sigmoid = ((record.test_losses - record.losses)[_learnt(record, result)] for record in records)
    wins = float(np.mean(sigmoid[:, None] < relu))
    doubt = float(mannwhitneyu(sigmoid, relu, alternative="less").pvalue)
    best = [record.test_loss - record.loss for record in records]
    because = (
        f"Over all restarts that learnt, sigmoid has the smaller gap with probability {wins:.2f}; one half would be "
        f"chance. The best pair has {best[1]:.4f} (sigmoid) and {best[0]:.4f} (ReLU)."
    )
    numbers = (("p-value of a smaller gap (Mann-Whitney)", doubt, "below 0.01 reproduces"),)
    return Verdict("reproduced" if doubt < 0.01 else "refuted", because, numbers)


@claim(
    "relu-dies",
    "",
    "A share of the ReLU networks never learns anything; no sigmoid network fails that way.",
    "activations",
)
def _relu_dies(result: Result) -> Verdict:
    constant = result["constant"].loss
    dead = [
        int(np.sum(np.abs(result.record(label).losses / constant - 1) < 1e-6)) for label in (RELU, SIGMOID)
    ]
    restarts = len(result.record(RELU).losses)
    low, high = wilson(dead[0], restarts)
    because = (
        f"{dead[0]} of {restarts} ReLU restarts end at the constant ({percent(low)} to {percent(high)} "
        "with 99\N{NO-BREAK SPACE}% confidence), "
        f"{dead[1]} of the sigmoid restarts do."
    )
    numbers = (
        ("share of dead ReLU restarts, lower end", low, "above 0"),
        ("dead sigmoid restarts", dead[1], "0"),
    )
    return Verdict("reproduced" if dead[0] and not dead[1] else "refuted", because, numbers)
