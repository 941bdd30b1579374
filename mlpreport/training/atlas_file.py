"""Certificates and atlases as JSON and back: every float64 comes back the same."""

from typing import Any

import numpy as np

from mlpreport.training.architecture import Architecture
from mlpreport.training.certificates import Certificate
from mlpreport.training.limits import Limit, Step


def certificate_as_json(certificate: Certificate) -> dict[str, Any]:
    """Return what JSON can hold."""
    return {name: _plain(value) for name, value in vars(certificate).items()}


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items()}
    if isinstance(value, tuple):
        return [_plain(part) for part in value]
    if isinstance(value, Limit | Step | Architecture):
        return {name: _plain(part) for name, part in vars(value).items()}
    if isinstance(value, np.generic):
        return value.item()
    return None if isinstance(value, float) and np.isnan(value) else value


def architecture_from_json(stored: dict[str, Any]) -> Architecture:
    """Make an Architecture of what `certificate_as_json` wrote of it."""
    return Architecture(tuple(stored["sizes"]), stored["activation"])


def certificate_from_json(stored: dict[str, Any]) -> Certificate:
    """Make the Certificate of which `certificate_as_json` wrote this."""
    limit = stored["limit"]
    return Certificate(
        **stored
        | {
            "architecture": architecture_from_json(stored["architecture"]),
            "parameters": _arrays(stored["parameters"]),
            "spectrum": np.array(stored["spectrum"], dtype=np.float64),
            "radius": np.nan if stored["radius"] is None else stored["radius"],
            "limit": limit and _limit_from_json(limit),
        }
    )


def _limit_from_json(stored: dict[str, Any]) -> Limit:
    return Limit(
        **stored
        | {
            "architecture": architecture_from_json(stored["architecture"]),
            "parameters": _arrays(stored["parameters"]),
            "steps": tuple(Step(**step) for step in stored["steps"]),
            "separations": np.array(stored["separations"]),
            "losses": np.array(stored["losses"]),
        }
    )


def _arrays(stored: dict[str, Any]) -> dict[str, np.ndarray]:
    return {name: np.array(values, dtype=np.float64) for name, values in stored.items()}
