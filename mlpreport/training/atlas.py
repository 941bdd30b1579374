"""The atlas of optima: every class of restarts of an architecture with its share and its certificate, kept as data."""

import hashlib
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from typing import Any

import numpy as np
from jaxtyping import Float64

from mlpreport.checks import NOT_NEGATIVE, checked_whole
from mlpreport.data import Dataset, noisy_sine
from mlpreport.errors import CertificateError, InvalidInputError
from mlpreport.training.architecture import Architecture
from mlpreport.training.atlas_file import FOLDER, WIDTHS, Atlas, Entry, load_atlas, save_atlas
from mlpreport.training.certificates import Certificate, certify, verify
from mlpreport.training.comparison import REMEDY, Compared, check_numbers
from mlpreport.training.ensemble import Ensemble
from mlpreport.training.fitting import fit
from mlpreport.training.initialisation import initial_parameters
from mlpreport.training.methods import find_method
from mlpreport.training.optima import group_optima, wilson
from mlpreport.training.problem import checked_problem, outputs
from mlpreport.training.settings import Options, with_options

__all__ = [
    "FOLDER",
    "WIDTHS",
    "Atlas",
    "Entry",
    "data_hash",
    "load_atlas",
    "make_atlas",
    "retrained",
    "save_atlas",
    "verify_atlas",
]

METHOD = "levenberg-marquardt"

CLASSES: Options = {"max_iterations": 1000, "decrement_tolerance": 1e-13, "gradient_tolerance": 1e-10}
"""On narrow networks training ends late, so that the restarts of a class agree in many digits."""

LOWEST: Options = {
    "max_iterations": 20_000,
    "decrement_tolerance": 1e-12,
    "gradient_tolerance": 1e-10,
    "first_damping": 1e-3,
}
"""On wide networks it ends later still, since most restarts are still on their way down."""

NARROW = 3
"""On wider networks each restart is a class of its own, and the atlas has the best seen only."""

SAME = 1e-3
"""Restarts are in one class when their functions differ by at most this (root mean square on the training points)."""

LEAST_SHARE = 1e-3
"""A class with a smaller share has no entry."""

SAMPLE = 50
"""How many restarts the command line and the site train again."""

LANDING = 0.02
"""A restart that is trained again lands in a class when its function is this near: a few do not quite arrive."""


def make_atlas(width: int, *, restarts: int, seed: int, data: Dataset | None = None) -> Atlas:
    """Train restarts of a width, group them, and certify the lowest of each class that is not rare."""
    data = noisy_sine() if data is None else data
    architecture = Architecture((1, checked_whole("width", width, range(1, 10_000)), 1), "sigmoid")
    best_seen = width > NARROW
    options = LOWEST if best_seen else CLASSES
    ensemble = fit(architecture, data, restarts=restarts, seed=seed, method=METHOD, **options)
    groups = group_optima(ensemble, data.train.x, tolerance=SAME)
    frequent = [group for group in groups if group.share >= LEAST_SHARE and group.count > 1]
    chosen = groups[:1] if best_seen else frequent
    labels = np.full(len(ensemble), -1)
    for place, group in enumerate(chosen):
        labels[list(group.members)] = place
    entries = [
        Entry(_certified(ensemble, group.members, data), group.count, group.share, group.interval)
        for group in chosen
    ]
    told = (best_seen, METHOD, seed, _provenance(width, options, data))
    return Atlas(architecture, tuple(entries), tuple(labels.tolist()), *told)


def _certified(ensemble: Ensemble, members: Sequence[int], data: Dataset) -> Certificate:
    return certify(ensemble.architecture, data, ensemble.restart(members[0]).parameters)


def _provenance(width: int, options: Options, data: Dataset) -> dict[str, Any]:
    names = ("numpy", "scipy", "numba", "python-flint")
    return {
        "data": data_hash(data),
        "options": options,
        "versions": {name: version(name) for name in names},
        "command": f"mlpreport atlas --width {width}",
    }


def data_hash(data: Dataset) -> str:
    """Hash the points and targets, training before test, as float64."""
    arrays = (data.train.x, data.train.y, data.test.x, data.test.y)
    return hashlib.sha256(b"".join(np.ascontiguousarray(values).tobytes() for values in arrays)).hexdigest()


def verify_atlas(atlas: Atlas, *, sample: int, seed: int, data: Dataset | None = None) -> None:
    """Verify every certificate, and train a random sample of restarts again to see where they land.

    Raises
    ------
    CertificateError
        If the data, a number, or the class of a restart is not what the atlas says; the message names it.
    InvalidInputError
        If the sample or the seed is not a whole number of at least 0.
    """
    checked_whole("sample", sample, NOT_NEGATIVE), checked_whole("seed", seed, NOT_NEGATIVE)
    data = noisy_sine() if data is None else data
    where = f"the atlas of {atlas.architecture.label}"
    check_numbers(where, _described(atlas, data), rounding=0.0)
    for place, entry in enumerate(atlas.entries):
        count = atlas.labels.count(place)
        numbers: list[Compared] = [
            ("count", entry.count, count, 0.0),
            ("share", entry.share, count / atlas.restarts, 1e-12),
        ]
        numbers += [("interval", entry.interval, wilson(count, atlas.restarts), 1e-9)] if count else []
        numbers += [("architecture", entry.certificate.architecture, atlas.architecture, 0.0)]
        check_numbers(f"entry {place} of {where}", numbers, rounding=0.0)
        try:
            verify(entry.certificate, data)
        except CertificateError as error:
            message = f"entry {place} of {where}: {error}"
            raise CertificateError(message) from None
    if sample and atlas.entries and not atlas.best_seen:
        _check_landing(atlas, data, sample, seed, where)


def _described(atlas: Atlas, data: Dataset) -> Iterator[Compared]:
    """Pair what an atlas says of itself with what it must be."""
    best_seen = atlas.architecture.hidden[0] > NARROW
    labels = set(atlas.labels) - {-1}
    losses = [entry.certificate.loss for entry in atlas.entries]
    yield "the hash of the data", atlas.provenance.get("data"), data_hash(data), 0.0
    yield "the options", atlas.provenance.get("options"), dict(LOWEST if best_seen else CLASSES), 0.0
    yield "best_seen", atlas.best_seen, best_seen, 0.0
    yield "method", atlas.method, METHOD, 0.0
    yield "the set of labels", labels, set(range(len(atlas.entries))), 0.0
    yield "the order of losses", losses, sorted(losses), 0.0


def _check_landing(atlas: Atlas, data: Dataset, sample: int, seed: int, where: str) -> None:
    chosen = np.random.default_rng(seed).choice(atlas.restarts, min(sample, atlas.restarts), replace=False)
    fits = retrained(atlas, data, chosen.tolist())
    classes = np.array([entry.certificate.predict(data.train.x)[:, 0] for entry in atlas.entries])
    for index, curve in zip(chosen.tolist(), fits, strict=True):
        distances = np.sqrt(np.mean((classes - curve) ** 2, axis=1))
        label = atlas.labels[index]
        if label >= 0 and distances[label] > LANDING:
            message = (
                f"{where}: restart {index} is stored in entry {label}, but trained again it ends "
                f"{distances[label]:.2g} away from it, entry {int(distances.argmin())} being the nearest; {REMEDY}"
            )
            raise CertificateError(message)


def retrained(atlas: Atlas, data: Dataset, indices: Sequence[int]) -> Float64[np.ndarray, "restart n"]:
    """Train the restarts with these indices again, and return their values at the training points."""
    if not indices:
        message = "indices = []: name at least one restart"
        raise InvalidInputError(message)
    for index in indices:
        checked_whole("index", index, range(2**32))
    method = find_method(atlas.method)
    settings = with_options(method.settings, atlas.provenance["options"])
    problem = checked_problem(atlas.architecture, data, "train", settings.weight_decay)
    starts = [
        initial_parameters(atlas.architecture, seed=atlas.seed, restarts=range(i, i + 1)) for i in indices
    ]
    rows = np.concatenate(starts)
    method.prepare(problem, settings)(rows, lambda _: None)
    return outputs(atlas.architecture, rows, data.train.x)[:, :, 0]
