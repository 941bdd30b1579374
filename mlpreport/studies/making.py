"""Making a Study, and checking a kept one against what the code does now."""

import hashlib
import json
import platform
from collections.abc import Iterable
from dataclasses import replace
from importlib.metadata import version

import numpy as np

from mlpreport.checks import POSITIVE, checked_whole
from mlpreport.data import DOMAIN, Dataset
from mlpreport.errors import MlpReportError
from mlpreport.experiments import GRID, WIDTH_STUDY, Experiment, fit_ensemble
from mlpreport.experiments.running import description
from mlpreport.studies.study import REMEDY, Arm, Study

ALARM = 1e-4
"""A retrained sample must not differ from the kept restarts with a p-value below this."""


class StaleStudyError(MlpReportError):
    """A kept study is no longer what the code would make."""


def make_study(experiments: Iterable[Experiment] = WIDTH_STUDY) -> Study:
    """Train every arm and return the study; the whole one takes some twenty minutes on one core."""
    arms = tuple(_arm(experiment) for experiment in experiments)
    versions = {name: version(name) for name in ("numpy", "scipy", "numba")}
    provenance = {"python": platform.python_version(), **versions, "command": "python -m mlpreport.studies"}
    return Study("width-study", fingerprint(WIDTH_STUDY[0].data.draw()), provenance, arms)


def _arm(experiment: Experiment) -> Arm:
    (architecture,) = experiment.architectures
    ensemble = fit_ensemble(experiment, architecture, experiment.data.draw())
    grid = np.linspace(*GRID)
    inside = grid[grid <= DOMAIN[1]]
    off = np.abs(ensemble.predict(inside[:, None])[:, :, 0] - np.sin(inside))
    furthest = np.argmax(off, axis=1)
    return Arm(
        experiment.name,
        _plain(experiment),
        ensemble.losses,
        ensemble.test_losses,
        places=inside[furthest],
        deviations=off[np.arange(len(off)), furthest],
    )


def _plain(experiment: Experiment) -> dict[str, object]:
    plain: dict[str, object] = json.loads(json.dumps(description(experiment)))
    return plain


def fingerprint(data: Dataset) -> str:
    """Hash the points and targets to ten digits, as a Study keeps it to tell its data."""
    # Ten digits: the last bits of a sine depend on the machine.
    values = np.concatenate([part.ravel() for half in (data.train, data.test) for part in (half.x, half.y)])
    return hashlib.sha256(" ".join(f"{value:.10f}" for value in values).encode()).hexdigest()


def check_study(study: Study, *, sample: int, seed: int) -> None:
    """Retrain `sample` restarts of every arm with another seed, and compare their errors with the kept ones.

    Single restarts of thousands of iterations drift between machines; their distribution does not. Compared are,
    by Kolmogorov and Smirnov's test, training and test errors.

    Raises
    ------
    StaleStudyError
        If the data or the description of an arm is another now, or its errors are.
    """
    checked_whole("sample", sample, POSITIVE)
    now = {experiment.name: experiment for experiment in WIDTH_STUDY}
    if study.data != fingerprint(WIDTH_STUDY[0].data.draw()):
        message = f"the study was made with other data (fingerprint {study.data[:12]}); {REMEDY}"
        raise StaleStudyError(message)
    for arm in study.arms:
        restarts = len(arm.losses)  # how many were kept is no reason to make them again
        if arm.name not in now or arm.description != _plain(replace(now[arm.name], restarts=restarts)):
            message = (
                f"arm {arm.name!r} of the study is described otherwise in mlpreport.experiments; {REMEDY}"
            )
            raise StaleStudyError(message)
        _check_arm(arm, _arm(replace(now[arm.name], restarts=sample, seed=seed)))


def _check_arm(kept: Arm, fresh: Arm) -> None:
    from scipy.stats import ks_2samp  # noqa: PLC0415 - takes half a second to import

    for name in ("losses", "test_losses"):
        p = float(ks_2samp(getattr(kept, name), getattr(fresh, name)).pvalue)
        if p < ALARM:
            message = (
                f"arm {kept.name!r}: {name} of {len(fresh.losses)} retrained restarts (median "
                f"{np.median(getattr(fresh, name)):.4g}) do not look like the kept ones (median "
                f"{np.median(getattr(kept, name)):.4g}), p = {p:.1g}; {REMEDY}"
            )
            raise StaleStudyError(message)
