"""Rules that callers must keep, checked once and said the same way everywhere."""

import reprlib
import sys
from collections.abc import Collection, Iterable, Sequence
from difflib import get_close_matches
from typing import Any

import numpy as np

from mlpreport.errors import InvalidInputError

POSITIVE = range(1, sys.maxsize)
NOT_NEGATIVE = range(sys.maxsize)


def checked_whole(name: str, value: object, allowed: range) -> int:
    """Return `value` as an int if it is a whole number (no bool, no float) in `allowed`, else raise."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or int(value) not in allowed:
        unbounded = allowed.stop == sys.maxsize and not (isinstance(value, int) and value >= allowed.stop)
        upper = "" if unbounded else f" and at most {allowed.stop - 1}"
        message = f"{name} = {value!r}: must be a whole number of at least {allowed.start}{upper}"
        raise InvalidInputError(message)
    return int(value)


def checked_number(name: str, value: object, *, example: float, positive: bool = False) -> float:
    """Return `value` as a float if it is a finite number (no bool) of at least 0, or above 0, else raise."""
    number: Any = value.item() if isinstance(value, np.generic) else value
    is_real = isinstance(number, int | float) and not isinstance(number, bool)
    if is_real and 0 <= number <= sys.float_info.max and (number or not positive):
        return float(number) + 0.0  # no -0.0
    bound = "more than 0" if positive else "at least 0"
    message = f"{name} = {value!r}: must be a finite number of {bound}, such as {example:g}"
    raise InvalidInputError(message)


def checked_sizes(sizes: object) -> tuple[int, ...]:
    """Return layer sizes (inputs, units of each hidden layer, outputs) as a tuple of int, else raise."""
    listed = sizes.tolist() if isinstance(sizes, np.ndarray) else sizes
    values = tuple(listed) if isinstance(listed, Sequence) and not isinstance(listed, str | bytes) else ()
    if len(values) < len(("inputs", "outputs")):
        message = (
            f"sizes = {sizes!r}: give the number of inputs, of units per hidden layer, of "
            "outputs, as in (1, 2, 1)"
        )
        raise InvalidInputError(message)
    return tuple(
        checked_whole(f"sizes = {sizes!r}: size {layer}", size, POSITIVE) for layer, size in enumerate(values)
    )


def checked_name(kind: str, name: object, known: Collection[str]) -> str:
    """Return `name` if it is among the `known` names of its kind, else raise and suggest the nearest."""
    if isinstance(name, str) and name in known:
        return name
    hint = " ".join(filter(None, (nearest(name, known), f"known {kind}s: {', '.join(known)}")))
    message = f"{kind} {name!r} is unknown; {hint}"
    raise InvalidInputError(message)


def checked_text(name: str, value: object, *, example: str) -> str:
    """Return `value` if it is text, else raise."""
    if isinstance(value, str):
        return value
    message = f'{name} = {value!r}: must be text, such as "{example}"'
    raise InvalidInputError(message)


def checked_kind(name: str, value: object, kind: type, *, remedy: str) -> None:
    """Raise unless the value is of that class."""
    if not isinstance(value, kind):
        article = "an" if kind.__name__[0] in "AEIOU" else "a"
        message = f"{name} = {reprlib.repr(value)}: give {article} {kind.__name__}, {remedy}"
        raise InvalidInputError(message)


def checked_some(name: str, values: Collection[Any]) -> None:
    """Raise unless there is at least one value."""
    if not len(values):
        message = f"{name} = {values!r}: nothing is in it; give at least one"
        raise InvalidInputError(message)


def listed(names: Any) -> tuple[Any, ...]:
    """List one name or several; those of a set in order."""
    if isinstance(names, str) or not isinstance(names, Iterable):
        return (names,)
    return tuple(sorted(names, key=str) if isinstance(names, set | frozenset) else names)


def nearest(name: object, known: Iterable[str]) -> str:
    """Suggest the known name nearest to a name, whatever its case; empty if none is near."""
    lowered = {other.lower(): other for other in known}
    near = get_close_matches(str(name).lower(), lowered, n=1)
    return f"did you mean {lowered[near[0]]!r}?" if near else ""
