"""What each unit of a network of one hidden layer is: ordinary, merging with another, a step, or of no use."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from mlpreport.derivation.symmetries import symmetries
from mlpreport.training.architecture import Architecture
from mlpreport.training.limit_functions import Form
from mlpreport.training.limits import Step

Values = Float64[np.ndarray, " n"]

SATURATED = 1e-15
"""A unit whose values stay this near to a limit of the activation counts as constant: on a tail the loss may fall."""

USELESS = 1e-6
"""A unit counts as constant whose arguments stay this near to 0, and as idle with values so small behind it."""

ALIKE = 1e-2
"""Units whose values differ by less, relative to their range, are tried as doubles."""

STEEP = 0.05
"""A unit counts as a step when at most one point has a value farther than this from both limits."""

NEAR = 0.2
"""Two units may be merging when their values differ by no more than this, relative to their range."""

CANDIDATES = 3
"""Most pairs of units that are tried."""


@dataclass(frozen=True, eq=False)
class Parts:
    """What the units of a network are.

    Parameters
    ----------
    ordinary
        Units that are as they are.
    pair
        Two that merge.
    steps
        What units of steep slope become.
    saturated, still, idle
        Units that are constant because they are at a limit of the activation, or because their weights are 0; and
        units without effect because their output weights are 0.
    doubles
        Units with the same values as another one.
    """

    ordinary: tuple[int, ...]
    pair: tuple[int, int] | None
    steps: tuple[Step, ...]
    saturated: tuple[int, ...] = ()
    still: tuple[int, ...] = ()
    idle: tuple[int, ...] = ()
    doubles: tuple[int, ...] = ()

    def form(self, activation: str) -> Form:
        """Return the form of the limit function."""
        return Form(activation, bool(self.ordinary), self.pair is not None, bool(self.steps))

    def dimension(self, architecture: Architecture) -> int:
        """Count what is free: of the constant, a share; of weights and biases, those without effect."""
        inputs = architecture.sizes[0]
        constant = (inputs + 2) * len(self.saturated) + 2 * len(self.still)
        return constant + (inputs + 1) * len(self.idle) + len(self.doubles)

    @property
    def told(self) -> list[str]:
        """Say how many units are of no use, and why."""
        constant, idle, doubles = len(self.saturated) + len(self.still), len(self.idle), len(self.doubles)
        kinds = [
            (constant, "is constant", "are constant"),
            (idle, "has no output weight", "have no output weights"),
            (doubles, "doubles another", "double others"),
        ]
        return [
            f"{count} unit{'s' * (count > 1)} {many if count > 1 else one}"
            for count, one, many in kinds
            if count
        ]


def decompositions(
    hidden: Float64[np.ndarray, "n units"],
    parameters: Mapping[str, np.ndarray],
    activation: str,
    x: Float64[np.ndarray, "n inputs"],
) -> Iterator[Parts]:
    """Propose what each unit of a canonical network is; those with merging units first, the closest pair first."""
    limits = symmetries(activation).limits
    out, steps = parameters["W2"][:, 0], list[Step]()
    units: dict[str, list[int]] = {"saturated": [], "still": [], "idle": [], "steep": [], "rest": []}
    for unit, values in enumerate(hidden.T):
        found = _steps_of(values, limits, x) if x.shape[1] == 1 else None
        arguments = x @ parameters["W1"][:, unit]
        kind = _useless(values, arguments, float(out[unit]), limits) or ("rest" if found is None else "steep")
        units[kind].append(unit)
        steps += (found or []) if kind == "steep" else []
    rest = units["rest"]
    useless = {kind: tuple(units[kind]) for kind in ("saturated", "still", "idle")}
    for i, j in _close_pairs(hidden, rest, out)[:CANDIDATES]:
        yield Parts(tuple(unit for unit in rest if unit not in {i, j}), (i, j), tuple(steps), **useless)
    if len(rest) < hidden.shape[1]:
        yield Parts(tuple(rest), None, tuple(steps), **useless)
    doubles = tuple(j for n, j in enumerate(rest) if any(_gap(hidden, i, j) < ALIKE for i in rest[:n]))
    if doubles:
        single = tuple(unit for unit in rest if unit not in doubles)
        yield Parts(single, None, tuple(steps), doubles=doubles, **useless)


def _useless(
    values: Values, arguments: Values, out: float, limits: tuple[float | None, float | None]
) -> str | None:
    if any(limit is not None and np.abs(values - limit).max() <= SATURATED for limit in limits):
        return "saturated"
    if abs(out) * np.abs(values).max() <= USELESS:
        return "idle"
    return "still" if np.abs(arguments).max() <= USELESS else None


def _steps_of(values: Values, limits: tuple[float | None, float | None], x: np.ndarray) -> list[Step] | None:
    """Return the columns of a unit that is nearly a step, else None."""
    low, high = limits
    if low is None or high is None:
        return None
    between = np.minimum(np.abs(values - low), np.abs(values - high)) > STEEP * abs(high - low)
    if between.sum() > 1:
        return None
    order = np.argsort(x[:, 0])
    above = (np.abs(values - high) < np.abs(values - low))[order]
    points, middle = x[order, 0], between[order]
    if middle.any():
        k = int(np.argmax(middle))
        if not 0 < k < len(points) - 1:
            return None
        return [Step((points[k] + points[k + 1]) / 2, at=False), Step(points[k], at=True)]
    if above.all() or not above.any():
        return None
    k = int(np.flatnonzero(np.diff(above.astype(int)))[0])
    return [Step((points[k] + points[k + 1]) / 2, at=False)]


def _close_pairs(hidden: np.ndarray, units: list[int], out: np.ndarray) -> list[tuple[int, int]]:
    """Pairs of units with opposite weights and similar values, the most similar first."""
    gaps = {
        (i, j): _gap(hidden, i, j)
        for position, i in enumerate(units)
        for j in units[position + 1 :]
        if out[i] * out[j] < 0
    }
    return sorted((pair for pair, gap in gaps.items() if gap < NEAR), key=lambda pair: gaps[pair])


def _gap(hidden: np.ndarray, i: int, j: int) -> float:
    """Root mean square difference of the values of two units, relative to the range of the first."""
    return float(np.sqrt(np.mean((hidden[:, i] - hidden[:, j]) ** 2)) / max(np.ptp(hidden[:, i]), 1e-12))
