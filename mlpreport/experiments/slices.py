"""Forms of one network under the symmetries of its hidden layer, and the loss on straight lines between networks."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import permutations, product

import numpy as np
from jaxtyping import Float64

from mlpreport.data import Dataset
from mlpreport.derivation.symmetries import symmetries
from mlpreport.errors import InvalidInputError
from mlpreport.results import EnsembleRecord
from mlpreport.training import Architecture, Restart
from mlpreport.training.symmetry import turned

Parameters = Mapping[str, Float64[np.ndarray, "..."]]


def restart_of(record: EnsembleRecord, index: int) -> Restart:
    """Take one restart of a network out of a Result."""
    return Restart(
        Architecture(record.sizes, record.activation),
        index,
        {name: values[index] for name, values in record.parameters.items()},
        float(record.losses[index]),
        float(record.test_losses[index]),
        float(record.gradient_norms[index]),
        int(record.iterations[index]),
        record.stop_reasons[index],
    )


def forms(restart: Restart) -> tuple[Restart, ...]:
    """Return every network that permuting the units of one hidden layer, and turning their signs, makes of this one.

    Signs are turned where the activation has f(-u) = c + s f(u), which its definition tells.

    Raises
    ------
    InvalidInputError
        If the network has no hidden layer, or more than one.
    """
    hidden = restart.architecture.hidden
    if len(hidden) != 1:
        message = (
            f"{restart.architecture.label} has {len(hidden)} hidden layers; give a network with one, as 1-2-1"
        )
        raise InvalidInputError(message)
    reflection = symmetries(restart.architecture.activation).reflection
    orders = permutations(range(hidden[0]))
    turns = product((False, True) if reflection else (False,), repeat=hidden[0])
    return tuple(
        replace(restart, parameters=_form(restart.parameters, list(order), np.array(units), reflection))
        for order, units in product(orders, turns)
    )


def _form(
    p: Parameters, order: list[int], units: np.ndarray, reflection: tuple[float, float] | None
) -> dict[str, np.ndarray]:
    layer = p["W1"][:, order], p["b1"][order], p["W2"][order], p["b2"]
    return dict(
        zip(("W1", "b1", "W2", "b2"), turned(reflection, units, layer) if reflection else layer, strict=True)
    )


@dataclass(frozen=True, eq=False)
class Slice:
    """The training error on straight lines in the space of parameters: one row for each line, from 0 to 1."""

    title: str
    along: Float64[np.ndarray, " point"]
    losses: Float64[np.ndarray, "line point"]

    @property
    def lowest_pass(self) -> float:
        """The lowest of the highest errors: what one has to climb at least on one of the lines."""
        return float(self.losses.max(axis=1).min())


def loss_slice(title: str, data: Dataset, start: Restart, ends: Sequence[Restart], *, points: int) -> Slice:
    """Walk straight from the parameters of one network to those of each of the others."""
    along = np.linspace(0.0, 1.0, points)
    return Slice(title, along, np.array([list(_losses(data, start, end, along)) for end in ends]))


def _losses(
    data: Dataset, start: Restart, end: Restart, along: Float64[np.ndarray, " point"]
) -> Iterator[float]:
    x, y = data.train.x, data.train.y
    for t in along:
        pairs = ((name, start.parameters[name], end.parameters[name]) for name in start.parameters)
        between = {name: (1 - t) * one + t * other for name, one, other in pairs}
        yield float(np.mean((replace(start, parameters=between).predict(x) - y) ** 2))
