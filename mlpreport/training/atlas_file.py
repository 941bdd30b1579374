"""What an atlas of optima is, and its form as JSON, from which every float64 comes back the same."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mlpreport.checks import POSITIVE, checked_number, checked_whole
from mlpreport.errors import CertificateError, InvalidInputError
from mlpreport.stored import made
from mlpreport.training.architecture import Architecture
from mlpreport.training.certificates import Certificate
from mlpreport.training.fitting import SEEDS
from mlpreport.training.limits import Limit, Step

FOLDER = Path(__file__).parent / "optima_data"
WIDTHS = {1: 10_000, 2: 10_000, 3: 4_000, 10: 4_000, 50: 200, 100: 40}
"""Numbers of hidden units that there is an atlas of, and the restarts for each."""


@dataclass(frozen=True, eq=False)
class Entry:
    """One class of restarts: its certificate, how many restarts, their share and its 99 % Wilson interval."""

    certificate: Certificate
    count: int
    share: float
    interval: tuple[float, float]


@dataclass(frozen=True, eq=False)
class Atlas:
    """Classes of restarts, lowest loss first.

    Parameters
    ----------
    labels
        For each restart the place of its entry, or −1 if it is in a class that is too rare for an entry.
    best_seen
        Whether the only entry is the lowest restart, of a width at which no two end in the same place.
    provenance
        Hash of the data, options, versions and the command that makes the atlas again.
    """

    architecture: Architecture
    entries: tuple[Entry, ...]
    labels: tuple[int, ...]
    best_seen: bool
    method: str
    seed: int
    provenance: dict[str, Any]

    @property
    def restarts(self) -> int:
        """Number of restarts."""
        return len(self.labels)

    @property
    def rare(self) -> int:
        """Number of restarts in classes without an entry."""
        return self.restarts - sum(entry.count for entry in self.entries)


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
    changed = {
        "architecture": architecture_from_json(stored["architecture"]),
        "parameters": _arrays(stored["parameters"]),
        "spectrum": np.array(stored["spectrum"], dtype=np.float64),
        "radius": np.nan if stored["radius"] is None else _radius("certificate", stored),
        "limit": None if limit is None else _limit_from_json(limit),
    }
    return made(Certificate, stored | changed)


def _limit_from_json(stored: dict[str, Any]) -> Limit:
    changed = {
        "architecture": architecture_from_json(stored["architecture"]),
        "parameters": _arrays(stored["parameters"]),
        "radius": _radius("limit", stored),
        "steps": tuple(made(Step, step) for step in stored["steps"]),
        "separations": np.array(stored["separations"], dtype=np.float64),
        "losses": np.array(stored["losses"], dtype=np.float64),
    }
    return made(Limit, stored | changed)


def _radius(where: str, stored: dict[str, Any]) -> float:
    return checked_number(f"{where}.radius", stored["radius"], example=1e-3, positive=True)


def _arrays(stored: dict[str, Any]) -> dict[str, np.ndarray]:
    return {name: np.array(values, dtype=np.float64) for name, values in stored.items()}


def save_atlas(atlas: Atlas, folder: Path) -> Path:
    """Write an atlas as JSON, and return where."""
    entries = [
        {**vars(entry), "certificate": certificate_as_json(entry.certificate)} for entry in atlas.entries
    ]
    labels = " ".join(map(str, atlas.labels)).replace("-1", "-")
    text = json.dumps(
        {**vars(atlas), "architecture": vars(atlas.architecture), "entries": entries, "labels": labels}
    )
    path = folder / f"{atlas.architecture.hidden[0]}.json"
    path.write_text(text + "\n", encoding="utf-8")
    return path


def load_atlas(width: int, folder: Path = FOLDER) -> Atlas:
    """Read the atlas of a width; nothing is verified."""
    path = folder / f"{checked_whole('width', width, POSITIVE)}.json"
    if width not in WIDTHS and not path.is_file():
        message = (
            f"width = {width!r}: there are atlases for {', '.join(map(str, WIDTHS))} units; give one of these"
        )
        raise InvalidInputError(message)
    try:
        stored = json.loads(path.read_text("utf-8"))
        changed = {
            "architecture": architecture_from_json(stored["architecture"]),
            "entries": tuple(_entry(entry) for entry in stored["entries"]),
            "labels": tuple(-1 if label == "-" else int(label) for label in stored["labels"].split()),
        }
        return _checked(made(Atlas, stored | changed), width)
    except (
        OSError,
        ValueError,
        LookupError,
        TypeError,
        AttributeError,
        RecursionError,
        OverflowError,
    ) as error:
        remedy = f"make it again with `mlpreport atlas --width {width}`"
        message = f"the atlas {path.name} cannot be read ({error}); {remedy}"
        raise CertificateError(message) from error


def _checked(atlas: Atlas, width: int) -> Atlas:
    """Refuse what cannot be verified."""
    checked_whole("seed", atlas.seed, SEEDS)
    if atlas.architecture.sizes != (1, width, 1):
        message = f"architecture.sizes = {atlas.architecture.sizes}: must be (1, {width}, 1)"
        raise ValueError(message)
    if not atlas.labels or not set(atlas.labels) <= {*range(-1, len(atlas.entries))}:
        message = f"labels name {sorted(set(atlas.labels))}: there must be one or more, - or the place of an entry each"
        raise ValueError(message)
    return atlas


def _entry(stored: dict[str, Any]) -> Entry:
    certificate = certificate_from_json(stored["certificate"])
    interval = tuple(checked_number("interval", bound, example=0.5) for bound in stored["interval"])
    return made(Entry, stored | {"certificate": certificate, "interval": interval})
