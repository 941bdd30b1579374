#!/usr/bin/env python3
# /// script
# requires-python = ">=3.11"
# dependencies = ["nox>=2025.2.9"]
# ///
"""Everything one does with mlpreport: `python3 noxfile.py -s docs`, or `nox -s docs` where nox is installed.

The only thing needed beforehand is Python. Two private environments are made in `.nox/`: one for nox itself (when it
is not installed) and one that all sessions share. Both hold exactly what the hashed lock files say.
"""

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NoReturn


def stop(message: str) -> NoReturn:
    """End with the exit status that means: this machine lacks something."""
    sys.stderr.write(f"mlpreport: {message}\n")
    sys.exit(3)


if sys.version_info < (3, 11):  # noqa: UP036 - an older Python must be told, and can run up to this line
    stop(f"Python 3.11 or newer is needed, and {sys.executable} is {sys.version.split()[0]}")

ROOT = Path(__file__).resolve().parent
LOCK, NOX_LOCK, PEERS_LOCK = (ROOT / f"requirements{name}.txt" for name in ("", "-nox", "-peers"))
ENVIRONMENT, NOX_ENVIRONMENT, PEERS = (ROOT / ".nox" / name for name in ("mlpreport", "bootstrap", "peers"))

LOCKED = ("-qq", "--no-deps", "--only-binary=:all:", "--require-hashes", "--requirement")
NOX_INSTALLS = ((*LOCKED, str(NOX_LOCK)),)
INSTALLS = (
    (*LOCKED, str(LOCK)),
    # Outside the lock: which build of torch fits (CPU, CUDA) depends on the machine.
    ("torch==2.13.0",),
    ("--quiet", "--no-deps", "--no-build-isolation", "--editable", str(ROOT)),
)
PEERS_INSTALLS = ((*LOCKED, str(PEERS_LOCK)), *INSTALLS)


def environment(folder: Path, installs: tuple[tuple[str, ...], ...], *files: Path) -> Path:
    """Make the environment in `folder`, unless it was completed from the same files; return where its programs are."""
    contents = [sys.version, repr(installs), *(file.read_text("utf-8") for file in files)]
    key = hashlib.sha256("\0".join(contents).encode()).hexdigest()
    complete = folder / "complete"
    programs = folder / ("Scripts" if os.name == "nt" else "bin")
    if not (complete.is_file() and complete.read_text("utf-8") == key):
        _create(folder, programs / "python", installs)
        complete.write_text(key, "utf-8")  # last, so that what was interrupted is made again
    return programs


def _create(folder: Path, python: Path, installs: tuple[tuple[str, ...], ...]) -> None:
    if not all(importlib.util.find_spec(name) for name in ("venv", "ensurepip")):
        stop(
            f"{sys.executable} cannot make environments, because its venv or ensurepip is missing; "
            "install it (Debian, Ubuntu: `apt install python3-venv`) and try again"
        )
    sys.stderr.write(f"mlpreport: making {os.path.relpath(folder, ROOT)}; this is done once\n")
    pip = (python, "-m", "pip", "--disable-pip-version-check", "install", "--no-compile")
    try:
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        for arguments in installs:
            subprocess.run([*pip, *arguments], check=True)
    except subprocess.CalledProcessError as error:
        stop(
            f"{folder.relative_to(ROOT)} could not be made: `{' '.join(map(str, error.cmd))}` failed, see above"
        )


def bootstrap() -> None:
    """Hand over to a nox in its private environment, with the same arguments."""
    python = str(environment(NOX_ENVIRONMENT, NOX_INSTALLS, NOX_LOCK) / "python")
    command = [python, "-m", "nox", "--noxfile", str(ROOT / "noxfile.py"), *sys.argv[1:]]
    if os.name == "nt":  # where exec does not wait for the new process
        sys.exit(subprocess.call(command))
    os.execv(python, command)


if __name__ == "__main__" and importlib.util.find_spec("nox") is None:
    bootstrap()

import nox  # noqa: E402 - it is certain to be there only from here on

nox.needs_version = ">=2025.2.9"
nox.options.default_venv_backend = "none"  # all sessions share the environment made above

# One thread a process: the work is spread over processes, and sums keep their order.
THREADS = {f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL")}
PARALLEL = ("--numprocesses=auto", "--dist=worksteal")
QUIET = {"NO_MKDOCS_2_WARNING": "1"}  # MkDocs is pinned: what its next version will be changes nothing here


def run(session: nox.Session, program: str, *arguments: str, **env: str | None) -> None:
    """Run a program of the shared environment."""
    programs = environment(ENVIRONMENT, INSTALLS, LOCK, ROOT / "pyproject.toml")
    run_in(programs, session, program, *arguments, **env)


def run_in(programs: Path, session: nox.Session, program: str, *arguments: str, **env: str | None) -> None:
    """Run a program of an environment."""
    path = os.pathsep.join((str(programs), os.environ.get("PATH", "")))
    # pip compiles nothing here, so that without bytecode each process would compile all that it imports, for seconds.
    setting = {"PATH": path, "PYTHONDONTWRITEBYTECODE": None, **THREADS, **env}
    session.run(str(programs / program), *arguments, env=setting, external=True)


@nox.session
def docs(session: nox.Session) -> None:
    """Build the site into site/; a build that fails leaves the site that was there."""
    run(session, "mkdocs", "build", "--strict", *session.posargs, **QUIET, **_epoch(ROOT))


def _epoch(folder: Path) -> dict[str, str]:
    """Date the site by the last commit, so that two builds of one commit are the same."""
    if "SOURCE_DATE_EPOCH" in os.environ or shutil.which("git") is None:
        return {}
    command = ("git", "-C", folder, "log", "-1", "--format=%ct")
    seconds = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    return {"SOURCE_DATE_EPOCH": seconds} if seconds else {}


@nox.session(default=False)
def serve(session: nox.Session) -> None:
    """Show the site at a local address, and build pages again when they change."""
    run(session, "mkdocs", "serve", "--strict", *session.posargs, **QUIET)


@nox.session
def tests(session: nox.Session) -> None:
    """Run the tests on all cores; arguments after -- go to pytest instead."""
    run(session, "pytest", *(session.posargs or PARALLEL))


@nox.session(default=False)
def coverage(session: nox.Session) -> None:
    """Run the tests, the thorough ones too, with branch coverage, which takes twice as long."""
    run(session, "pytest", "-m", "not browser and not bench", *PARALLEL, "--cov", *session.posargs)


@nox.session(default=False)
def browser(session: nox.Session) -> None:
    """Run the tests that look at the site in Chromium."""
    if not any(map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))):
        stop("no Chromium was found; install it (Debian, Ubuntu: `apt install chromium`) and try again")
    run(session, "pytest", "-m", "browser", *session.posargs)


@nox.session(default=False)
def bench(session: nox.Session) -> None:
    """Measure speed as ratios, with the peers in an environment of their own; `-- --write` keeps the figures."""
    programs = environment(PEERS, PEERS_INSTALLS, LOCK, PEERS_LOCK, ROOT / "pyproject.toml")
    # A processor that OpenBLAS was told to see would slow the peers.
    plain = {"OPENBLAS_CORETYPE": None, "OPENBLAS_L2_SIZE": None}
    run_in(programs, session, "pytest", "tests/bench", "-m", "bench", "-s", *session.posargs, **plain)


@nox.session(default=False)
def mutation(session: nox.Session) -> None:
    """Change the derivation in small ways and list changes its tests miss; `-- --sample 400`, or names of mutants."""
    programs = environment(ROOT / ".nox" / "mutation", (("--quiet", "mutmut==3.8.1"),))
    environment(ENVIRONMENT, INSTALLS, LOCK, ROOT / "pyproject.toml")
    packages = next((ENVIRONMENT / "lib").glob("python*/site-packages"))  # the tests' own, borrowed
    paths = os.pathsep.join(map(str, (packages, ROOT)))
    run_in(programs, session, "python", "tests/derivation/mutation.py", *session.posargs, PYTHONPATH=paths)


@nox.session(default=False)
def atlas(session: nox.Session) -> None:
    """Make the atlas of optima again; with `-- --verify`, verify it."""
    run(session, "mlpreport", "atlas", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Check style, types, layers, project set-up and spelling; nothing is fetched."""
    run(session, "ruff", "check")
    run(session, "ruff", "format", "--check")
    run(session, "mypy")
    run(session, "lint-imports")
    run(session, "sp-repo-review", ".")
    run(session, "codespell")


@nox.session(default=False)
def lock(session: nox.Session) -> None:
    """Write the lock files, keeping the versions in them; `-- --upgrade` takes the newest ones."""
    uv = environment(ROOT / ".nox" / "lock", (("--quiet", "uv==0.13.9"),)) / "uv"
    form = ("--universal", "--python-version=3.11", "--fork-strategy=fewest", "--generate-hashes")
    form += ("--no-header", "--annotation-style=line", "--quiet", *session.posargs)
    for output, *what in (
        (LOCK, "pyproject.toml", "--group=dev"),
        (NOX_LOCK, "--group=nox", f"-c={LOCK.name}"),
        (PEERS_LOCK, "--group=peers", f"-c={LOCK.name}"),
    ):
        session.run(str(uv), "pip", "compile", *what, *form, f"--output-file={output.name}", external=True)


if __name__ == "__main__":
    nox.main()
