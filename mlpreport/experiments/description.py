"""What an Experiment is: a frozen description that computes nothing."""

from dataclasses import asdict, dataclass

from mlpreport.checks import checked_number, checked_text
from mlpreport.data import Dataset, noisy_sine
from mlpreport.errors import InvalidInputError
from mlpreport.training import Architecture


@dataclass(frozen=True)
class DataSource:
    """Arguments of `noisy_sine`; the defaults are the report's data."""

    train_size: int = 100
    test_size: int = 123
    noise: float = 0.1
    seed: int = 1

    def draw(self) -> Dataset:
        """Draw the data."""
        return noisy_sine(**asdict(self))


@dataclass(frozen=True)
class Experiment:
    """Frozen description of what is trained: data, architectures, method, restarts, seed.

    `same_function` is the root mean square distance on the training points below which two fits count as one
    optimum; None when optima are not grouped. `restarts` is per architecture; `max_iterations` None is the method's own
    (10 000 for BFGS, as in the report).
    """

    name: str
    architectures: tuple[Architecture, ...]
    method: str
    restarts: int
    seed: int
    data: DataSource = DataSource()
    max_iterations: int | None = None
    weight_decay: float = 0.0
    same_function: float | None = None

    def __post_init__(self) -> None:
        """Refuse parts that cannot be trained."""
        checked_text("name", self.name, example="two-units")
        _check_parts(self.architectures, self.data)
        if self.same_function is not None:
            checked_number("same_function", self.same_function, example=1e-3, positive=True)


def _check_parts(parts: object, data: object) -> None:
    if not isinstance(data, DataSource):
        message = f"data = {data!r}: give a DataSource, such as DataSource(seed=2)"
        raise InvalidInputError(message)
    if not isinstance(parts, tuple) or not parts or not all(isinstance(part, Architecture) for part in parts):
        message = f"architectures = {parts!r}: give a tuple of at least one Architecture"
        raise InvalidInputError(message)
    labels = [part.label for part in parts]
    if len(set(labels)) < len(labels):
        message = f"architectures = {', '.join(labels)}: each may be given once; raise restarts to train more of one"
        raise InvalidInputError(message)
