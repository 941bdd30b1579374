"""The one command works on a machine that has Python and nothing else, or says what is missing."""

import shutil
import subprocess
import sys
import textwrap
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def noxfile():
    """The file as a module; it is started as a program only in the tests that say so."""
    spec = spec_from_file_location("noxfile", ROOT / "noxfile.py")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def start(folder: Path, *, before: str) -> subprocess.CompletedProcess:
    """Start a copy of noxfile.py, without nox and in a Python that `before` has changed."""
    for name in ("noxfile.py", "requirements-nox.txt"):
        shutil.copy(ROOT / name, folder)
    script = f"""
        import runpy, sys
        sys.modules["nox"] = None
        {before}
        runpy.run_path("noxfile.py", run_name="__main__")
    """
    command = (sys.executable, "-c", textwrap.dedent(script), "-s", "docs")
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_without_venv_it_says_what_to_install(tmp_path):
    ended = start(tmp_path, before='sys.modules["ensurepip"] = None')
    assert ended.returncode == 3
    assert "apt install python3-venv" in ended.stderr
    assert not (tmp_path / ".nox").exists()


def test_an_older_python_is_told_which_one_is_needed(tmp_path):
    ended = start(tmp_path, before='sys.version_info, sys.version = (3, 10, 12), "3.10.12 (main)"')
    assert ended.returncode == 3
    assert ended.stderr.startswith("mlpreport: Python 3.11 or newer is needed")
    assert "3.10.12" in ended.stderr


def test_what_cannot_be_installed_ends_with_the_failing_command(tmp_path):
    (tmp_path / "venv.py").write_text("import sys; sys.exit('no space left')")
    ended = start(tmp_path, before='import os; os.environ["PYTHONPATH"] = "."')
    assert ended.returncode == 3
    assert "no space left" in ended.stderr
    assert ".nox/bootstrap could not be made: `" in ended.stderr


WITHOUT_PIP = "import venv; venv.EnvBuilder._setup_pip = lambda *_: None"
"""Saves the seconds it takes to unpack pip; nothing is installed into these environments."""


def test_an_environment_is_made_again_when_it_was_interrupted_or_is_outdated(noxfile, tmp_path, monkeypatch):
    (tmp_path / "sitecustomize.py").write_text(WITHOUT_PIP)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    lock, folder = tmp_path / "lock.txt", tmp_path / "environment"
    lock.write_text("a==1")
    folder.mkdir()
    left_over = folder / "left-over"
    left_over.touch()

    programs = noxfile.environment(folder, (), lock)
    assert not left_over.exists()
    assert (programs / "python").exists()

    left_over.touch()
    assert noxfile.environment(folder, (), lock) == programs
    assert left_over.exists()

    lock.write_text("a==2")
    monkeypatch.setitem(sys.modules, "ensurepip", None)  # so that it ends where it would be made again
    with pytest.raises(SystemExit, match="3"):
        noxfile.environment(folder, (), lock)


def test_the_site_is_dated_by_the_last_commit(noxfile, tmp_path, monkeypatch):
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    assert noxfile._epoch(tmp_path) == {}
    person = {f"GIT_{who}_{what}": "a@b" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    for name, value in (person | {"GIT_COMMITTER_DATE": "2024-04-07T12:00:00+0000"}).items():
        monkeypatch.setenv(name, value)
    for command in (("init", "--quiet"), ("commit", "--quiet", "--allow-empty", "--message", "Begin")):
        subprocess.run(("git", "-C", tmp_path, *command), check=True)
    assert noxfile._epoch(tmp_path) == {"SOURCE_DATE_EPOCH": "1712491200"}
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1")
    assert noxfile._epoch(tmp_path) == {}


def test_every_session_says_what_it_does():
    listed = subprocess.run(
        (sys.executable, "-m", "nox", "--list"), cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    for name in ("docs", "serve", "tests", "coverage", "browser", "bench", "lint", "lock"):
        assert f" {name} -> " in listed
