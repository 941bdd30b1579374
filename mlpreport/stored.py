"""Frozen data as JSON, or as an archive of arrays (npz), and back: every bit comes back the same, and nothing is run.

A value of one of the `kinds`, which are dataclasses, is an object with its kind's name; other kinds are refused.
"""

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar, cast, get_origin

import numpy as np

from mlpreport.errors import EnvironmentProblemError, InvalidInputError

Kind = TypeVar("Kind")
Kinds = Sequence[type]


def json_text(value: object) -> str:
    """Write a value as strict JSON."""
    return json.dumps(_encode(value, _array_to_json), indent=1, allow_nan=False)


def read_json(name: str, text: str, kind: type[Kind], kinds: Kinds) -> Kind:
    """Read a value of that kind from the text called `name`.

    Raises
    ------
    InvalidInputError
        If the text is anything else.
    """
    with _telling(name):
        return _decoded(json.loads(text), _array_from_json, kind, kinds)


def write_file(path: Path, value: object) -> Path:
    """Write an archive if the path ends in `.npz`, else JSON; return the path.

    Raises
    ------
    EnvironmentProblemError
        If the file cannot be written.
    """
    try:
        if path.suffix == ".npz":
            arrays: dict[str, np.ndarray] = {}
            header = json.dumps(_encode(value, lambda array: _store(array, arrays)), allow_nan=False)
            np.savez_compressed(path, allow_pickle=False, header=np.array(header), **arrays)
        else:
            path.write_text(json_text(value), encoding="utf-8")
    except OSError as error:
        message = f"cannot write {path} ({error.strerror}); choose a file in a folder that can be written"
        raise EnvironmentProblemError(message) from error
    return path


def read_file(path: Path, kind: type[Kind], kinds: Kinds) -> Kind:
    """Read what `write_file` wrote.

    Raises
    ------
    InvalidInputError
        If the file is not there, or holds anything else.
    """
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "is not there"
        message = f"{path} {what}; save() a {kind.__name__} under that name, or run the experiment again"
        raise InvalidInputError(message)
    with _telling(str(path)), path.open("rb") as file:
        if path.suffix != ".npz":
            return _decoded(json.load(file), _array_from_json, kind, kinds)
        with np.load(file, allow_pickle=False) as archive:
            header = json.loads(str(archive["header"]))
            return _decoded(header, lambda stored: _numbers(archive[stored["array"]]), kind, kinds)


@contextmanager
def _telling(name: str) -> Iterator[None]:
    """Say of what cannot be read what it is called, why, and what to do."""
    try:
        yield
    # Damaged archives raise errors of a dozen kinds, of zlib, zipfile, tokenize and more.
    except Exception as error:
        message = f"{name} is not a result saved by mlpreport ({error}); run the experiment again"
        raise InvalidInputError(message) from error


def _encode(value: object, array: Callable[[np.ndarray], object]) -> object:
    if isinstance(value, np.generic):
        value = value.item()
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


def _decoded(value: object, array: Callable[[Any], np.ndarray], kind: type[Kind], kinds: Kinds) -> Kind:
    found = _decode(value, array, {known.__name__: known for known in kinds})
    if not isinstance(found, kind):
        message = f"it holds {type(found).__name__}, not a {kind.__name__}"
        raise TypeError(message)
    return found


def _decode(value: object, array: Callable[[Any], np.ndarray], kinds: Mapping[str, type]) -> Any:
    if isinstance(value, list):
        return tuple(_decode(item, array, kinds) for item in value)
    if not isinstance(value, dict):
        return value
    if "array" in value:
        return array(value)
    if value.get("kind") == "float":
        return float(value["text"])
    items = {key: _decode(item, array, kinds) for key, item in value.items() if key != "kind"}
    return made(kinds[value["kind"]], items) if "kind" in value else items


def made(kind: type[Kind], items: Mapping[str, Any]) -> Kind:
    """Make a value of that kind, whose fields must have the types, and arrays the numbers of axes, that it declares.

    Raises
    ------
    TypeError
        If a field is missing, or not of its type.
    """
    for field in fields(cast("Any", kind)):
        origin = get_origin(field.type)
        expected: Any = field.type if origin in {None, UnionType} else origin
        if not isinstance(items.get(field.name), (int, float) if expected is float else expected):
            message = (
                f"{kind.__name__}.{field.name} is missing or no {getattr(expected, '__name__', expected)}"
            )
            raise TypeError(message)
    return kind(**items)


def _array_to_json(array: np.ndarray) -> dict[str, object]:
    numbers = [item if math.isfinite(item) else repr(item) for item in array.ravel().tolist()]
    return {"array": numbers, "dtype": array.dtype.name, "shape": list(array.shape)}


def _array_from_json(stored: dict[str, Any]) -> np.ndarray:
    numbers = [float(item) if isinstance(item, str) else item for item in stored["array"]]
    return _numbers(np.array(numbers, dtype=stored["dtype"]).reshape(stored["shape"]))


def _numbers(array: np.ndarray) -> np.ndarray:
    if array.dtype.kind not in "iuf":
        message = f"an array of {array.dtype} holds no numbers"
        raise TypeError(message)
    return array


def _store(array: np.ndarray, arrays: dict[str, np.ndarray]) -> dict[str, str]:
    name = f"array_{len(arrays)}"
    arrays[name] = array
    return {"array": name}
