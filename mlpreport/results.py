"""What an Experiment gave: frozen numbers and arrays that go to JSON or npz and come back the same, never pickle."""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from jaxtyping import Float64, Int64

from mlpreport.data import Dataset, Sample
from mlpreport.errors import InvalidInputError


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
        return json.dumps(_encode(self, _array_to_json), indent=1, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> "Result":
        """Read what `to_json` wrote."""
        return _read(text, _array_from_json)

    def save(self, path: str | Path) -> Path:
        """Write to `path`: JSON, or a compressed archive of arrays when its name ends in `.npz`; return the path."""
        path = Path(path)
        if path.suffix == ".npz":
            arrays: dict[str, np.ndarray] = {}
            header = json.dumps(_encode(self, lambda array: _store(array, arrays)), allow_nan=False)
            np.savez_compressed(path, allow_pickle=False, header=np.array(header), **arrays)
        else:
            path.write_text(self.to_json(), encoding="utf-8")
        return path

    @classmethod
    def load(cls, path: str | Path) -> "Result":
        """Read a file that `save` wrote."""
        path = Path(path)
        if not path.is_file():
            message = f"{path} is not there; save() a Result under that name, or run the experiment again"
            raise InvalidInputError(message)
        if path.suffix != ".npz":
            return cls.from_json(path.read_text(encoding="utf-8"))
        try:
            with np.load(path, allow_pickle=False) as archive:
                return _read(str(archive["header"]), lambda stored: archive[stored["array"]])
        except (BadZipFile, ValueError, KeyError) as error:
            message = f"{path} is not a result saved by mlpreport ({error}); run the experiment again"
            raise InvalidInputError(message) from error


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


def _encode(value: object, array: Callable[[np.ndarray], object]) -> object:
    if is_dataclass(value):
        named = {field.name: _encode(getattr(value, field.name), array) for field in fields(value)}
        return {"kind": type(value).__name__, **named}
    if isinstance(value, np.ndarray):
        return array(value)
    if isinstance(value, Mapping):
        return {key: _encode(item, array) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [_encode(item, array) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return {"kind": "float", "text": repr(value)}
    return value


def _decode(value: object, array: Callable[[dict[str, Any]], np.ndarray]) -> Any:
    if isinstance(value, list):
        return tuple(_decode(item, array) for item in value)
    if not isinstance(value, dict):
        return value
    if "array" in value:
        return array(value)
    if value.get("kind") == "float":
        return float(value["text"])
    items = {key: _decode(item, array) for key, item in value.items() if key != "kind"}
    kinds = {kind.__name__: kind for kind in KINDS}
    return kinds[value["kind"]](**items) if "kind" in value else items


def _read(text: str, array: Callable[[dict[str, Any]], np.ndarray]) -> Result:
    try:
        result = _decode(json.loads(text), array)
    except (ValueError, TypeError, KeyError) as error:
        message = f"not a result saved by mlpreport ({error}); run the experiment again"
        raise InvalidInputError(message) from error
    if not isinstance(result, Result):
        message = f"this file holds {type(result).__name__}, not a Result; run the experiment again"
        raise InvalidInputError(message)
    return result


def _array_to_json(array: np.ndarray) -> dict[str, object]:
    numbers = [item if math.isfinite(item) else repr(item) for item in array.ravel().tolist()]
    return {"array": numbers, "dtype": array.dtype.name, "shape": list(array.shape)}


def _array_from_json(stored: dict[str, Any]) -> np.ndarray:
    numbers = [float(item) if isinstance(item, str) else item for item in stored["array"]]
    return np.array(numbers, dtype=stored["dtype"]).reshape(stored["shape"])


def _store(array: np.ndarray, arrays: dict[str, np.ndarray]) -> dict[str, str]:
    name = f"array_{len(arrays)}"
    arrays[name] = array
    return {"array": name}
