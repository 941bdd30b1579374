"""Stored numbers against those computed again: which differences are none, and an error that names the first other."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from mlpreport.errors import CertificateError
from mlpreport.training.limits import Limit
from mlpreport.training.objective import Vector
from mlpreport.training.proofs import RADII, REFINED_RADII

Compared = tuple[str, Any, Any, float]
"""A name, what is stored, what was computed again, and the relative tolerance (0: they must be equal)."""

REMEDY = "it is stale or was altered: make it again with certify, or the atlas with `mlpreport atlas`"


def check_numbers(where: str, numbers: Iterable[Compared], *, rounding: float) -> None:
    """Compare stored values with those computed again, and raise CertificateError for the first that differs.

    Absolute differences of at most `rounding` are none where a tolerance is not 0.
    """
    for name, stored, found, tolerance in numbers:
        if not _agree(stored, found, tolerance, rounding):
            message = f"{where}: {name} is stored as {stored!r}, but computed again it is {found!r}; {REMEDY}"
            raise CertificateError(message)


def _agree(stored: Any, found: Any, tolerance: float, rounding: float) -> bool:
    if not tolerance or found is None:
        return bool(stored == found)
    try:
        a, b = np.asarray(stored, dtype=np.float64), np.asarray(found, dtype=np.float64)
    except OverflowError:  # a whole number that is none of float64
        return False
    if a.shape != b.shape:
        return False
    same = (a == b) | np.isnan(a) & np.isnan(b)
    # Infinity is no number to be near to.
    near = np.isfinite(a) & np.isfinite(b)
    with np.errstate(invalid="ignore"):
        near &= np.abs(a - b) <= rounding + tolerance * np.maximum(np.abs(a), np.abs(b))
    return bool(np.all(same | near))


def compared_spectra(stored: Vector, again: Vector) -> Compared:
    """Pair eigenvalues; one computed again is the stored one if an eigensolver's rounding explains the difference.

    That is about √n·eps of the largest of n eigenvalues, however small the others are.
    """
    noise = np.sqrt(again.size) * np.finfo(float).eps * np.abs(again).max(initial=1.0)
    if stored.shape == again.shape:
        again = np.where(np.abs(stored - again) <= noise, stored, again)
    return "spectrum", stored, again, 1e-6


def compared_radii(name: str, stored: float, again: float) -> Iterator[Compared]:
    """Pair two half sides of a box, the first of which must be one that is tried."""
    yield name, stored, _nearest_radius(stored), 1e-12
    # Radii are powers of ten: on another machine the next one may be the first that works.
    yield name, float(np.log10(stored)), float(np.log10(again)), 0.2


def compared_parameters(
    name: str, stored: Mapping[str, Any], again: Mapping[str, Any], tolerance: float
) -> Iterator[Compared]:
    """Pair the arrays of two sets of parameters."""
    for key, values in again.items():
        yield f"{name}[{key!r}]", stored[key], values, tolerance


def compared_limits(stored: Limit, again: Limit) -> Iterator[Compared]:
    """Pair every part of a limit with the one computed again, and the tolerance for it."""
    tolerances = {"loss": 1e-11, "test_loss": 1e-9, "slope": 1e-2, "separations": 1e-12, "losses": 1e-9}
    yield "limit.architecture", stored.architecture, again.architecture, 0.0
    yield "limit.parameters", sorted(stored.parameters), sorted(again.parameters), 0.0
    yield "limit.steps", [step.at for step in stored.steps], [step.at for step in again.steps], 0.0
    yield "limit.steps", [step.place for step in stored.steps], [step.place for step in again.steps], 1e-12
    yield from compared_radii("limit.radius", stored.radius, again.radius)
    yield from compared_parameters("limit.parameters", stored.parameters, again.parameters, 1e-7)
    for name, tolerance in tolerances.items():
        yield f"limit.{name}", getattr(stored, name), getattr(again, name), tolerance


def compared_reasons(stored: str, again: str) -> Iterator[Compared]:
    """Pair the words of two reasons, counts among them, and their numbers by the digits that are written."""
    words, figures = zip(*map(_figures, (stored, again)), strict=True)
    yield "because", *words, 0.0
    for one, other in zip(*figures, strict=True):
        digits = len(re.sub(r"e.*|\D", "", one).lstrip("0"))
        # One digit is that of a radius, for which see above; the last of several may be another after rounding.
        yield "because", float(one), float(other), max(min(2 * 10.0 ** (1 - digits), 0.95), 1e-9)


def _figures(reason: str) -> tuple[str, list[str]]:
    number = r"(?<![\w.])(?!\d+ (?:of|units?|parameters?|eigenvalues)\b)-?\d+(?:\.\d+)?(?:e[-+]?\d+)?\b"
    return re.sub(number, "#", reason), re.findall(number, reason)


def _nearest_radius(radius: float) -> float:
    if np.isnan(radius):
        return radius
    return min({*RADII, *REFINED_RADII}, key=lambda tried: abs(np.log(tried / radius)))
