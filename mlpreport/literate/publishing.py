"""A site is built beside the one it replaces and takes its place only when it is complete."""

import os
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

from mlpreport import __version__
from mlpreport.errors import EnvironmentProblemError


def prepare(site: Path) -> Path:
    """Make the empty folder in which the next `site` is built, on the same disk so that it can be renamed.

    A `site` that is a link stands, here and in `publish`, for the folder that it leads to.

    Raises
    ------
    EnvironmentProblemError
        When `site` is not a folder or cannot be written; the message names it and the reason.
    """
    site = site.resolve()
    if site.exists() and not site.is_dir():
        message = (
            f"the site cannot be written to {site}: it is not a folder; remove it or choose another site_dir"
        )
        raise EnvironmentProblemError(message)
    if site.exists() and not os.access(site, os.W_OK | os.X_OK):
        raise _unwritable(site, "permission denied")
    stage = site.with_name(f".{site.name}-{os.getpid()}")
    try:
        shutil.rmtree(stage, ignore_errors=True)
        stage.mkdir(parents=True)
    except OSError as error:
        raise _unwritable(site, error.strerror or str(error)) from error
    return stage


def publish(stage: Path, site: Path) -> None:
    """Put the finished `stage` in the place of `site`; when that fails, `site` is as it was."""
    site, old = site.resolve(), stage.with_name(f"{stage.name}-old")
    try:
        if site.exists():
            site.rename(old)
        stage.rename(site)
    except OSError as error:
        if old.exists() and not site.exists():
            old.rename(site)
        raise _unwritable(site, error.strerror or str(error)) from error
    shutil.rmtree(old, ignore_errors=True)


def _unwritable(site: Path, reason: str) -> EnvironmentProblemError:
    message = (
        f"the site cannot be written to {site}: {reason.lower()}; correct that, or choose another site_dir"
    )
    return EnvironmentProblemError(message)


def stamp(project: Path) -> str:
    """Say which version of the project a site shows: number, commit, and the date SOURCE_DATE_EPOCH, if set."""
    commit = _commit(project)
    epoch = os.environ.get("SOURCE_DATE_EPOCH", "")
    date = datetime.fromtimestamp(int(epoch), tz=UTC).strftime("%Y-%m-%d") if epoch.isdecimal() else ""
    return ", ".join(filter(None, [f"mlpreport {__version__}", commit and f"commit {commit}", date]))


def _commit(project: Path) -> str:
    git = shutil.which("git")
    if git is None:
        return ""
    command = [git, "-C", str(project), "rev-parse", "--short=10", "HEAD"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()  # noqa: S603 - fixed words
