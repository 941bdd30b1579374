"""Claims of the report's section 1.1."""

import math

from mlpreport.claims.ledger import Verdict, claim

LAYERS = ((400, 100), (1, 100))
"""A hidden layer that narrows, and the report's widest first layer: inputs and outputs."""
CLOSE, APART = (0.2, 0.1, 0.1), (4.0, 2.0, 1.0)
"""Positive scores, so that their plain shares are defined."""
HOT, COLD = 10.0, 0.5
"""Temperatures: logits divided by a smaller one make a more confident model."""


@claim("starts-like-xavier", "1.1", "The initial values resemble Xavier initialisation.")
def _starts_like_xavier() -> Verdict:
    ratios = [_deviation(*layer) / math.sqrt(2 / sum(layer)) for layer in LAYERS]
    hidden, first = (f"from {inputs} to {outputs} units" for inputs, outputs in LAYERS)
    because = (
        f"Drawn weights deviate {ratios[0]:.2f} times as far as Glorot and Bengio's rule says in a layer {hidden}, and "
        f"{ratios[1]:.1f} times as far in one {first}, the report's widest first layer. Both rules scale by the size "
        "of the layer; only theirs counts its outputs."
    )
    bound = "between 0.5 and 2 resembles"
    numbers = (
        (f"deviation / Glorot's rule, {hidden}", ratios[0], bound),
        (f"deviation / Glorot's rule, {first}", ratios[1], bound),
    )
    alike = [0.5 < ratio < 2 for ratio in ratios]
    return Verdict("reproduced" if all(alike) else "partly" if any(alike) else "refuted", because, numbers)


def _deviation(inputs: int, outputs: int) -> float:
    """Measure the standard deviation of the weights of a layer before training."""
    import torch  # noqa: PLC0415 - takes a second to import

    from mlpreport.models import MLP  # noqa: PLC0415 - imports torch

    network = MLP((inputs, outputs), torch.sigmoid, generator=torch.Generator().manual_seed(1))
    return float(network.get_parameter("0_weight").std().item())


@claim("softmax-amplifies", "1.1", "Softmax raises the largest logit's share at the expense of the rest.")
def _softmax_amplifies() -> Verdict:
    close, apart = (_softmax_of_largest(scores) - max(scores) / sum(scores) for scores in (CLOSE, APART))
    because = (
        f"Compared with its plain share, the largest of the scores {APART} gains {apart:.2f}, but the largest of "
        f"{CLOSE} loses {-close:.2f}: softmax sharpens only where logits differ by enough."
    )
    numbers = (
        ("far apart: softmax less plain share", apart, "above 0 amplifies"),
        ("close together: softmax less plain share", close, "above 0 amplifies"),
    )
    amplified = [gain > 0 for gain in (close, apart)]
    return Verdict(
        "reproduced" if all(amplified) else "partly" if any(amplified) else "refuted", because, numbers
    )


@claim("confidence-speeds-learning", "1.1", "A more confident model learns faster.")
def _confidence_speeds_learning() -> Verdict:
    right, wrong = (
        [_gradient_length(T, largest_is_right=sure) for T in (HOT, COLD)] for sure in (True, False)
    )
    because = (
        "With cross-entropy the gradient with respect to the logits is p − y. As the temperature of the logits "
        f"{APART} falls from {HOT:g} to {COLD:g}, the length of p − y falls from {right[0]:.2f} to {right[1]:.3f} "
        f"where the largest is right, and rises from {wrong[0]:.2f} to {wrong[1]:.2f} where the smallest is: what is "
        "corrected faster is mistakes."
    )
    numbers = (
        ("largest right: length when confident / when not", right[1] / right[0], "above 1 learns faster"),
        ("largest wrong: length when confident / when not", wrong[1] / wrong[0], "above 1 learns faster"),
    )
    faster = [cold > hot for hot, cold in (right, wrong)]
    return Verdict("reproduced" if all(faster) else "partly" if any(faster) else "refuted", because, numbers)


def _gradient_length(temperature: float, *, largest_is_right: bool) -> float:
    """Length of p − y for the scores `APART`, of which the largest or the smallest is right."""
    powers = [math.exp((score - max(APART)) / temperature) for score in APART]
    shares = [power / sum(powers) for power in powers]
    shares[APART.index((max if largest_is_right else min)(APART))] -= 1
    return math.hypot(*shares)


def _softmax_of_largest(scores: tuple[float, ...]) -> float:
    return 1 / sum(math.exp(score - max(scores)) for score in scores)
