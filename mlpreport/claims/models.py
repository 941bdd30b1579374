"""Claims of the report's section 1.1."""

import math

from mlpreport.claims.ledger import Verdict, claim

FAN_IN, FAN_OUT = 400, 100
"""A layer on which the two rules differ, with weights enough to measure a deviation to a hundredth."""
CLOSE, APART = (0.2, 0.1, 0.1), (4.0, 2.0, 1.0)
"""Positive scores, so that their plain shares are defined."""


@claim("starts-like-xavier", "1.1", "The initial values resemble Xavier initialisation.")
def _starts_like_xavier() -> Verdict:
    import torch  # noqa: PLC0415 - takes a second to import

    from mlpreport.models import MLP  # noqa: PLC0415 - imports torch

    network = MLP((FAN_IN, FAN_OUT), torch.sigmoid, generator=torch.Generator().manual_seed(1))
    deviation = network.get_parameter("0_weight").std().item()
    fan_in, glorot = deviation * math.sqrt(FAN_IN), deviation / math.sqrt(2 / (FAN_IN + FAN_OUT))
    because = (
        f"Drawn for a layer of {FAN_IN} inputs and {FAN_OUT} outputs, weights have {fan_in:.2f} times the standard "
        f"deviation of the fan-in rule and {glorot:.2f} times that of Glorot and Bengio's. Both scale by the size of "
        "the layer; only theirs counts its outputs."
    )
    numbers = (
        ("deviation / fan-in rule", fan_in, "between 0.98 and 1.02"),
        ("deviation / Glorot's rule", glorot, "between 0.98 and 1.02 would reproduce"),
    )
    is_fan_in, is_glorot = (abs(ratio - 1) < 0.02 for ratio in (fan_in, glorot))
    return Verdict("reproduced" if is_glorot else "partly" if is_fan_in else "refuted", because, numbers)


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
