"""What an Experiment gave: frozen numbers and arrays that go to JSON or npz and come back the same, never pickle."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64, Int64

from mlpreport.checks import checked_sizes, checked_whole
from mlpreport.data import Dataset, Sample
from mlpreport.derivation.elementwise import elementwise
from mlpreport.errors import InvalidInputError, ShapeError
from mlpreport.stored import json_text, read_file, read_json, write_file


@dataclass(frozen=True, eq=False)
class Baseline:
    """A model with a closed form: its errors (MSE) and its curve on the grid."""

    name: str
    loss: float
    test_loss: float
    curve: Float64[np.ndarray, " grid"]


@dataclass(frozen=True, eq=False)
class FunctionCurve:
    """An activation and its derivative on an even grid of arguments."""

    name: str
    argument: Float64[np.ndarray, " points"]
    value: Float64[np.ndarray, " points"]
    slope: Float64[np.ndarray, " points"]

    def __post_init__(self) -> None:
        """Refuse numbers that do not belong to the same points."""
        _check_lengths(self, ("argument", "value", "slope"), len(self.argument))


@dataclass(frozen=True, eq=False)
class OptimumRecord:
    """One class of restarts that ended in the same function: how many, their share with interval, a member's curve."""

    loss: float
    test_loss: float
    members: tuple[int, ...]
    share: float
    share_interval: tuple[float, float]
    parameter_norm: float
    curve: Float64[np.ndarray, " grid"]

    @property
    def count(self) -> int:
        """Number of restarts that ended here."""
        return len(self.members)


@dataclass(frozen=True, eq=False)
class EnsembleRecord:
    """One architecture's part of a Result: the numbers of every restart, and the curves of the best one.

    `hidden` holds the last hidden layer's units on the grid; hidden @ output_weights + output_bias is `curve`.
    """

    label: str
    sizes: tuple[int, ...]
    activation: str
    losses: Float64[np.ndarray, " restart"]
    test_losses: Float64[np.ndarray, " restart"]
    gradient_norms: Float64[np.ndarray, " restart"]
    iterations: Int64[np.ndarray, " restart"]
    stop_reasons: tuple[str, ...]
    parameters: dict[str, np.ndarray]
    best: int
    curve: Float64[np.ndarray, " grid"]
    hidden: Float64[np.ndarray, "grid units"]
    output_weights: Float64[np.ndarray, " units"]
    output_bias: float
    optima: tuple[OptimumRecord, ...]

    def __post_init__(self) -> None:
        """Refuse what is not of one architecture, or not of the same restarts."""
        restarts = len(self.losses)
        _check_lengths(self, ("test_losses", "gradient_norms", "iterations", "stop_reasons"), restarts)
        checked_whole("best", self.best, range(restarts))
        elementwise(self.activation)
        _check_parameters(checked_sizes(self.sizes), restarts, self.parameters)
        if self.hidden.shape != (shape := (len(self.curve), len(self.output_weights))):
            message = (
                f"hidden has the shape {self.hidden.shape}, not {shape}, as curve and output_weights have it"
            )
            raise ShapeError(message)
        for optimum in self.optima:
            _check_lengths(optimum, ("curve",), len(self.curve))
            _check_members(optimum.members, restarts)

    @property
    def loss(self) -> float:
        """Training MSE of the best restart."""
        return float(self.losses[self.best])

    @property
    def test_loss(self) -> float:
        """Test MSE of the restart that is best on the training points."""
        return float(self.test_losses[self.best])


@dataclass(frozen=True, eq=False)
class Result:
    """Outcome of an Experiment: its description, the data, closed-form baselines, and a record per architecture."""

    experiment: str
    description: dict[str, Any]
    provenance: dict[str, str]
    data: Dataset
    grid: Float64[np.ndarray, " grid"]
    truth: Float64[np.ndarray, " grid"]
    baselines: tuple[Baseline, ...]
    functions: tuple[FunctionCurve, ...]
    records: tuple[EnsembleRecord, ...]

    def __post_init__(self) -> None:
        """Refuse a Result of nothing, and curves that are not on its grid."""
        if not self.records:
            message = "records = (): a Result has one for each architecture; give at least one"
            raise InvalidInputError(message)
        _check_lengths(self, ("truth",), len(self.grid))
        for part in (*self.baselines, *self.records):
            _check_lengths(part, ("curve",), len(self.grid))
        for sample in (self.data.train, self.data.test):
            _check_lengths(sample, ("y",), len(sample.x))

    def __getitem__(self, key: str) -> EnsembleRecord | Baseline:
        """Return the record of an architecture ("1-2-1 sigmoid") or the baseline of that name ("line")."""
        parts: dict[str, EnsembleRecord | Baseline] = {record.label: record for record in self.records}
        parts |= {baseline.name: baseline for baseline in self.baselines}
        if key not in parts:
            message = f"result {self.experiment!r} has no part {key!r}; it has {', '.join(map(repr, parts))}"
            raise InvalidInputError(message)
        return parts[key]

    def record(self, label: str) -> EnsembleRecord:
        """Return the record of the architecture with that label, such as "1-2-1 sigmoid"."""
        found = self[label]
        if not isinstance(found, EnsembleRecord):
            message = f"{label!r} is a baseline of result {self.experiment!r}, not an architecture"
            raise InvalidInputError(message)
        return found

    def to_json(self) -> str:
        """Write the whole result as JSON text; numbers keep every bit."""
        return json_text(self)

    @classmethod
    def from_json(cls, text: str) -> "Result":
        """Read what `to_json` wrote."""
        return read_json("the text", text, cls, KINDS)

    def save(self, path: str | Path) -> Path:
        """Write to `path`: JSON, or a compressed archive of arrays when its name ends in `.npz`; return the path."""
        return write_file(Path(path), self)

    @classmethod
    def load(cls, path: str | Path) -> "Result":
        """Read a file that `save` wrote."""
        return read_file(Path(path), cls, KINDS)


def _check_lengths(part: object, names: Iterable[str], length: int) -> None:
    for name in names:
        found = len(getattr(part, name))
        if found != length:
            message = f"{type(part).__name__}.{name} has {found} entries; {length} belong to the others"
            raise ShapeError(message)


def _check_members(members: tuple[int, ...], restarts: int) -> None:
    if not members:
        message = "members = (): restarts ended in every optimum; give at least one"
        raise InvalidInputError(message)
    for member in members:
        checked_whole("members", member, range(restarts))


def _check_parameters(sizes: tuple[int, ...], restarts: int, parameters: dict[str, np.ndarray]) -> None:
    expected: dict[str, tuple[int, ...]] = {}
    for layer, (fan_in, fan_out) in enumerate(pairwise(sizes), start=1):
        expected |= {f"W{layer}": (restarts, fan_in, fan_out), f"b{layer}": (restarts, fan_out)}
    found = {name: values.shape for name, values in parameters.items()}
    if list(found.items()) != list(expected.items()):  # networks are computed from them in this order
        message = (
            f"parameters have the shapes {found}; those of {restarts} restarts of {sizes} are {expected}"
        )
        raise ShapeError(message)


@dataclass(frozen=True, eq=False)
class GraphNode:
    """A variable of a program with its operands (none for an input), its value and its cotangent, both as matrices."""

    name: str
    label: str
    operands: tuple[str, ...]
    value: Float64[np.ndarray, "rows columns"]
    cotangent: Float64[np.ndarray, "rows columns"]


@dataclass(frozen=True, eq=False)
class GraphRecord:
    """A program evaluated at one example: its variables in order of computation."""

    nodes: tuple[GraphNode, ...]

    def node(self, name: str) -> GraphNode:
        """Return the variable of that name."""
        return next(node for node in self.nodes if node.name == name)


KINDS = (Baseline, Dataset, EnsembleRecord, FunctionCurve, OptimumRecord, Result, Sample)
