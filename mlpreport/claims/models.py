"""Claims of the report's section 1.1."""

import math

from mlpreport.claims.ledger import Verdict, claim

LAYERS = ((400, 100), (1, 100))
"""A layer of usual shape, with weights enough to measure a deviation to a hundredth, and the report's first layer."""
ALIKE = 2.0
"""Deviations resemble each other if neither is more than so many times the other."""
CLOSE, APART = (0.2, 0.1, 0.1), (4.0, 2.0, 1.0)
"""Positive scores, so that their plain shares are defined."""


@claim("starts-like-xavier", "1.1", "The initial values resemble Xavier initialisation.")
def _starts_like_xavier() -> Verdict:
    usual, first = map(_deviation, LAYERS)
    ratios = [
        deviation / math.sqrt(2 / sum(layer)) for deviation, layer in zip((usual, first), LAYERS, strict=True)
    ]
    because = (
        f"Drawn for a layer of {LAYERS[0][0]} inputs and {LAYERS[0][1]} outputs, weights have "
        f"{usual * math.sqrt(LAYERS[0][0]):.2f} times the standard deviation of the fan-in rule and {ratios[0]:.2f} "
        f"times that of Glorot and Bengio's. For the report's first layer, {LAYERS[1][0]} input and {LAYERS[1][1]} "
        f"units, they have {ratios[1]:.1f} times theirs. Both scale by the size of the layer; only theirs counts its "
        "outputs."
    )
    numbers = tuple(
        (f"deviation / Glorot's rule, {layer[0]} to {layer[1]}", ratio, "between 1/2 and 2")
        for layer, ratio in zip(LAYERS, ratios, strict=True)
    )
    alike = [1 / ALIKE < ratio < ALIKE for ratio in ratios]
    return Verdict("reproduced" if all(alike) else "partly" if any(alike) else "refuted", because, numbers)


def _deviation(layer: tuple[int, int]) -> float:
    """Draw the weights of a layer as the report does, and return their standard deviation."""
    import torch  # noqa: PLC0415 - takes a second to import

    from mlpreport.models import MLP  # noqa: PLC0415 - imports torch

    network = MLP(layer, torch.sigmoid, generator=torch.Generator().manual_seed(1))
    return float(network.get_parameter("0_weight").std().item())


@claim("softmax-amplifies", "1.1", "Softmax raises the largest logit's share at the expense of the rest.")
def _softmax_amplifies() -> Verdict:
    close, apart = (_softmax_of_largest(scores) - max(scores) / sum(scores) for scores in (CLOSE, APART))
    because = (
        f"Compared with its plain share the largest of the scores {APART} gains {apart:.2f}, but the largest of "
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


def _softmax_of_largest(scores: tuple[float, ...]) -> float:
    return 1 / sum(math.exp(score - max(scores)) for score in scores)
