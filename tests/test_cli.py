import subprocess
import sys

import pytest

from mlpreport.cli import guarded, main
from mlpreport.errors import EnvironmentProblemError, InvalidInputError, PageError
from mlpreport.results import Result

SMALL = ["--restarts", "2", "--method", "levenberg-marquardt"]


def test_rerun_of_an_experiment_prints_errors_and_saves_the_result(tmp_path, capsys):
    assert main(["rerun", "hidden-units", "--out", str(tmp_path), "--seed", "5", *SMALL]) == 0
    saved = Result.load(tmp_path / "hidden-units.npz")
    assert saved.description["restarts"] == 2
    assert saved.description["seed"] == 5
    printed = capsys.readouterr().out
    assert f"{saved.record('1-3-1 sigmoid').loss:.4g}" in printed
    assert "noise" not in printed or "true sine" in printed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["rerun", "hidden-unit"], "'hidden-unit' is no experiment"),
        (["rerun", "fig-widths", "--seed", "1"], "--seed goes with an experiment"),
        (["rerun", "hidden-units", "--restarts", "0"], "restarts = 0"),
        (["rerun", "hidden-units", "--method", "newton"], "newton"),
    ],
)
def test_wrong_usage_is_one_line_and_status_two(tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_a_folder_that_cannot_be_made_is_an_environment_problem(tmp_path, capsys):
    (tmp_path / "file").write_text("in the way")
    assert main(["rerun", "hidden-units", "--out", str(tmp_path / "file" / "below"), *SMALL]) == 3
    assert "choose another folder with --out" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (InvalidInputError("x"), 2),
        (PageError("x"), 1),
        (EnvironmentProblemError("x"), 3),
        (KeyboardInterrupt(), 130),
    ],
)
def test_every_kind_of_error_has_its_exit_status(error, status):
    def command():
        raise error

    assert guarded(command) == status


def test_rerun_of_a_label_executes_its_page_and_writes_its_figures(tmp_path, monkeypatch, capsys):
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "page.md").write_text(
        "# A page\n\n```python\n#| label: fig-line\n#| caption: A line.\n#| alt: A line.\n"
        "import matplotlib.pyplot as plt\nplt.plot([1, 2]);\n```\n"
    )
    monkeypatch.chdir(tmp_path)
    assert main(["rerun", "fig-line", "--out", "again"]) == 0
    written = {path.name for path in (tmp_path / "again").rglob("*.*") if path.is_file()}
    assert "page.ipynb" in written
    assert {path.rsplit("-", 1)[-1] for path in written if path.endswith(".svg")} == {"light.svg", "dark.svg"}
    assert "wrote" in capsys.readouterr().out


def test_help_loads_neither_torch_nor_matplotlib():
    code = "import sys, mlpreport.cli as c\ntry: c.main(['--help'])\nexcept SystemExit: pass\n"
    code += "print(sorted({'torch', 'matplotlib', 'numba', 'sympy'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.rstrip().endswith("[]")
