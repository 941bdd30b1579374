import errno
import io
import subprocess
import sys

import numpy as np
import pytest
import torch
from cases import few_of, one_in

from mlpreport.cli import guarded, main
from mlpreport.errors import EnvironmentProblemError, InvalidInputError, PageError
from mlpreport.literate.mathematics import replace_dollars
from mlpreport.results import Result
from mlpreport.training.atlas import load_atlas, save_atlas

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
        (
            ["rerun", "hidden-unit"],
            "'hidden-unit' is no experiment, and no page or label in docs/; did you mean 'hid",
        ),
        (["rerun", "zzz"], "'zzz' is no experiment, and no page or label in docs/; run this in a copy"),
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


@pytest.mark.parametrize("command", [["rerun", "hidden-units", "--restarts", "0"], ["atlas", "--width", "0"]])
def test_a_folder_that_cannot_be_written_is_told_before_anything_is_trained(tmp_path, capsys, command):
    (tmp_path / "file").write_text("in the way")
    assert main([*command, "--out", str(tmp_path / "file")]) == 3
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES])
def test_a_place_that_fails_while_it_is_written_is_an_environment_problem(number):
    code = (
        "import sys; from mlpreport.cli import guarded\n"
        f"def command(): print('x'); raise OSError({number}, 'no place', 'file.npz')\n"
        "sys.exit(guarded(command))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 3
    assert done.stderr == "mlpreport: file.npz: no place; free the place or choose another\n"


def test_the_package_run_as_a_module_is_the_command_line():
    help_, wrong = (
        subprocess.run(
            [sys.executable, "-m", "mlpreport", *arguments], capture_output=True, text=True, check=False
        )
        for arguments in (["--help"], ["explain", "nowhere.txt", "W", "x"])
    )
    assert help_.returncode == 0
    assert help_.stdout.startswith("usage: mlpreport ")
    assert wrong.returncode == 2
    assert wrong.stderr.startswith("mlpreport: cannot read nowhere.txt")


def test_an_atlas_that_was_altered_fails_with_status_one(tmp_path, capsys):
    text = save_atlas(load_atlas(1), tmp_path).read_text()
    (tmp_path / "1.json").write_text(
        text.replace('"seed": 0', '"seed": 1').replace('"count": 802', '"count": 803')
    )
    assert main(["atlas", "--width", "1", "--verify", "--out", str(tmp_path)]) == 1
    error = capsys.readouterr().err
    assert "count is stored as 803" in error
    assert error.count("\n") == 1


def test_an_atlas_in_a_folder_that_is_not_there_is_wrong_usage(tmp_path, capsys):
    assert main(["atlas", "--width", "1", "--verify", "--out", str(tmp_path / "gone")]) == 2
    assert capsys.readouterr().err == (
        f"mlpreport: {tmp_path / 'gone'} is no folder; give --out that into which `mlpreport atlas --out` wrote\n"
    )


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


LINE = """\
```python
#| label: fig-{}
#| caption: A line [@curie1898] as in @sec-six.
#| alt: A line.
import matplotlib.pyplot as plt
plt.plot([1, 2]);
```
"""
SITE = {
    "mkdocs.yml": "site_name: test\nplugins: [{mlpreport: {workers: 1}}]\n"
    "nav: [{Last in the alphabet: z.md}, {First: a.md}]\n",
    "docs/z.md": "## Page `{python} 2 * 3` {#sec-six}\n\n" + LINE.format("last"),
    "docs/a.md": "See @fig-last.\n\n" + LINE.format("first"),
    "docs/references.bib": "@misc{curie1898, author={Curie, Marie}, title={Rayons}, year={1898}}",
}


@pytest.fixture(name="site")
def _site(tmp_path, monkeypatch):
    (tmp_path / "docs").mkdir()
    for name, text in SITE.items():
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_rerun_of_a_label_executes_its_page_and_writes_its_figures(site, capsys):
    assert main(["rerun", "fig-first", "--out", "again"]) == 0
    written = {path.name for path in (site / "again").rglob("*.*") if path.is_file()}
    assert written == {"a.ipynb", "fig-first-light.svg", "fig-first-dark.svg"}
    assert "wrote" in capsys.readouterr().out


@pytest.mark.thorough
def test_rerun_writes_the_notebook_of_the_site(site):
    subprocess.run([sys.executable, "-m", "mkdocs", "build", "-q"], check=True)
    assert main(["rerun", "fig-first", "--out", "again"]) == 0
    assert (site / "again" / "a.ipynb").read_bytes() == (site / "site" / "a.ipynb").read_bytes()
    assert "Figure 2.** A line [1] as in Section “Page 6”" in (site / "again" / "a.ipynb").read_text()


@pytest.mark.parametrize("name", few_of(["a.md", "a", "docs/a.md"], "a"))
def test_rerun_takes_a_page_as_one_would_spell_it(site, name):
    assert main(["rerun", name, "--out", "again"]) == 0
    assert (site / "again" / "a.ipynb").is_file()


def test_rerun_finds_the_site_from_a_folder_in_it(site, monkeypatch):
    monkeypatch.chdir(site / "docs")
    assert main(["rerun", "a", "--out", "../again"]) == 0
    assert (site / "again" / "a.ipynb").is_file()


@pytest.mark.parametrize(
    ("config", "reason"),
    [("site_name: other\n", "it has no plugin mlpreport"), ("site_name: [\n", "parsing")],
)
def test_rerun_in_a_folder_of_another_site_says_so(site, capsys, config, reason):
    (site / "mkdocs.yml").write_text(config)
    assert main(["rerun", "fig-first"]) == 2
    error = capsys.readouterr().err
    assert "mkdocs.yml describes no site of mlpreport: " in error
    assert reason in error
    assert error.count("\n") == 1


def test_help_loads_no_numerical_library():
    code = "import sys, mlpreport.cli as c\ntry: c.main(['--help'])\nexcept SystemExit: pass\n"
    code += "print(sorted({'numpy', 'torch', 'matplotlib', 'numba', 'sympy'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.rstrip().endswith("[]")


NETWORK = """\
# shapes: x = (N, D), W1 = (D, H), b1 = (1, H)
# shapes: W2 = (H, C), y = (N, C)
z1 = x @ W1 + b1
a1 = tanh(z1)
z2 = a1 @ W2
l = -mean(sum(y * log(softmax(z2)), axis=1))
"""


@pytest.fixture(name="network")
def _network(tmp_path):
    file = tmp_path / "network.txt"
    file.write_text(NETWORK)
    return str(file)


def test_derive_prints_every_step_from_the_loss_back_with_rules_and_reasons(network, capsys):
    assert main(["derive", network]) == 0
    printed = capsys.readouterr().out
    heads = [line.split()[2].rstrip(",") for line in printed.splitlines() if line.startswith("∂")]
    assert heads[0] == "dl"
    assert {"dz2", "dW2", "da1", "dz1", "db1", "dW1", "dx", "dy"} < set(heads)
    assert "  dW1 = x.T @ dz1  [matrix form: " in printed
    assert "  db1 = sum(dz1, axis=0)  [matrix form: " in printed
    assert "[chain rule: W1 enters l through z1" in printed
    assert "Dummy" not in printed
    assert "Indexed" not in printed


@pytest.mark.thorough
def test_the_matrix_forms_that_derive_prints_are_what_explain_calls_right(network, capsys):
    main(["derive", network, "--wrt", "x", "W1", "b1", "W2", "z1", "z2"])
    forms = [line.partition("  [")[0].split(" = ") for line in capsys.readouterr().out.splitlines()]
    forms = [(form[0].strip()[1:], form[1]) for form in forms if form[0].strip() in DERIVED]
    assert len(forms) == len(DERIVED)
    for name, gradient in forms:
        if "slope" not in gradient:
            assert main(["explain", network, name, gradient]) == 0


DERIVED = {"dx", "dW1", "db1", "dW2", "dz1", "dz2"}


def test_a_program_saved_by_an_editor_of_windows_is_read(tmp_path, capsys):
    file = tmp_path / "program.txt"
    file.write_bytes("\ufeff# shapes: x = (N, 1)\r\n\r\nl = sum(x**2)\r\n".encode())
    assert main(["explain", str(file), "x", "2*x"]) == 0
    assert capsys.readouterr().out.startswith("Right")


def test_derive_restricts_itself_to_what_is_asked_for_once_each_in_that_order(network, capsys):
    assert main(["derive", network, "--wrt", "W1", "b1", "--wrt", "W1"]) == 0
    heads = [line for line in capsys.readouterr().out.splitlines() if line.startswith("∂l/∂")]
    assert heads == ["∂l/∂W1 = dW1, shape (D, H)", "∂l/∂b1 = db1, shape (1, H)"]


def test_indices_in_text_avoid_the_names_of_variables_and_of_each_other(tmp_path, capsys):
    file = tmp_path / "letters.txt"
    file.write_text("# shapes: i = (p, k), q = (k, j)\nl = sum(i @ q)\n")
    assert main(["derive", str(file), "--wrt", "i"]) == 0
    printed = capsys.readouterr().out
    sums = [line for line in printed.splitlines() if "Σ" in line]
    assert sums
    assert not any(f"Σ_{letter}" in line for line in sums for letter in "ipkqj")
    assert "di[" in printed


def test_derive_writes_markdown_in_which_every_formula_is_mathml(network, capsys):
    assert main(["derive", network, "--format", "markdown"]) == 0
    printed = capsys.readouterr().out
    assert r"## $\frac{\partial l}{\partial W_{1}}$, shape (D, H)" in printed
    converted = replace_dollars(printed)
    assert converted.count("<math") == printed.count("## $") + printed.count("\\begin{aligned}")
    assert "$" not in converted


def test_derive_writes_latex_with_all_lines_of_a_step_in_one_display(network, capsys):
    assert main(["derive", network, "--format", "latex", "--wrt", "W1"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("% ∂l/∂W1, shape (D, H)\n\\[\n\\begin{aligned}\n")
    assert printed.endswith("\\end{aligned}\n\\]\n")
    assert r"x^{\mathsf{T}}" in printed
    assert "<details" not in printed


@pytest.mark.parametrize("backend", ["numpy", "torch"])
@pytest.mark.parametrize("wrt", one_in(3, [["z1", "b1"], ["W1"], None]))
def test_derive_writes_python_that_gives_the_gradients_of_autograd(network, backend, wrt, capsys):
    options = ["--wrt", *wrt] if wrt else []
    assert main(["derive", network, "--format", "python", "--backend", backend, *options]) == 0
    scope = {}
    exec(capsys.readouterr().out, scope)
    stream = torch.Generator().manual_seed(0)
    shapes = {"x": (5, 2), "W1": (2, 3), "b1": (1, 3), "W2": (3, 4), "y": (5, 4)}
    t = {
        name: torch.rand(shape, generator=stream, dtype=torch.float64).requires_grad_()
        for name, shape in shapes.items()
    }
    arrays = {name: a.detach() if backend == "torch" else a.detach().numpy() for name, a in t.items()}
    value, gradients = scope["value_and_grad"](**arrays)
    z1 = t["x"] @ t["W1"] + t["b1"]
    loss = -(t["y"] * torch.log_softmax(torch.tanh(z1) @ t["W2"], dim=1)).sum(dim=1).mean()
    assert float(value) == pytest.approx(loss.item(), rel=1e-13)
    assert list(gradients) == (wrt or list(shapes))
    expected = torch.autograd.grad(loss, [{**t, "z1": z1}[name] for name in gradients])
    for found, exact in zip(gradients.values(), expected, strict=True):
        np.testing.assert_allclose(np.asarray(found), exact.numpy(), rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize(
    ("claim", "status", "message"),
    one_in(
        2,
        [
            (["x.T @ dz1"], 0, "Right"),
            (["x.T", "@", "dz1"], 0, "Right"),
            (["-x.T @ (-dz1)"], 0, "Right"),
            (["--", "x.T @ dz1"], 0, "Right"),
            (["-x.T@dz1"], 1, "sign"),
            (["x @ dz1"], 1, "transpose"),
            (["x.T @ dz1 / N"], 1, "N"),
            (["0"], 1, "shape"),
        ],
    ),
)
def test_explain_judges_a_gradient_by_words_and_exit_status(network, claim, status, message, capsys):
    assert main(["explain", network, "W1", *claim]) == status
    printed = capsys.readouterr().out
    assert message in printed
    assert ("Derived: dW1 = x.T @ dz1" in printed) is bool(status)


def test_a_program_is_read_from_standard_input(monkeypatch, capsys):
    monkeypatch.setattr("sys.stdin", io.StringIO(NETWORK))
    assert main(["explain", "-", "b1", "sum(dz1, axis=0)"]) == 0
    monkeypatch.setattr("sys.stdin", io.StringIO(NETWORK))
    assert main(["derive", "-", "--wrt", "b1"]) == 0
    assert "db1 = sum(dz1, axis=0)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["derive", "{}", "--wrt", "W11"], "did you mean 'W1'?"),
        (["derive", "{}", "--format", "python", "--wrt", "W11"], "did you mean 'W1'?"),
        (["derive", "{}", "--backend", "torch"], "--backend goes with --format python"),
        (["explain", "{}", "W11", "x.T @ dz1"], "did you mean 'W1'?"),
        (["explain", "{}", "W1", "x.T @ dz9"], "dz9"),
        (["explain", "{}", "W1", "__import__('os').getcwd()"], "line 1"),
        (["explain", "{}", "W1", "[x for x in y]"], "outside the language"),
        (["explain", "{}", "W1", "dW1"], "dW1 is the gradient"),
        (["explain", "{}", "W1", "x.T @"], "not Python syntax"),
        (["explain", "{}", "W1"], "say what the gradient of W1 is"),
        (["explain", "{}", "W1", " "], "say what the gradient of W1 is"),
        (["derive", "missing.txt"], "cannot read missing.txt (No such file or directory)"),
        (["explain", "missing.txt", "W1", "x"], "cannot read missing.txt"),
        (["derive", "."], "cannot read . (Is a directory)"),
    ],
)
def test_wrong_use_of_derive_and_explain_is_told_with_status_two(network, arguments, message, capsys):
    assert main([argument.format(network) for argument in arguments]) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.err.startswith("mlpreport: ")
    assert captured.out == ""


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "empty"),
        (b"\xff\xfe\x00", "not UTF-8 text"),
        (b"l = sum(x)", "unknown name 'x'"),
        (b"# shapes: x = (N)\nl = sum(x)", "line 1: write '# shapes:"),
        (b"# shapes: x = (N, D)\nz = x @ x\nl = sum(z)", "(N, D) @ (N, D)"),
        (b"# shapes: x = (N, D)\nl = x", "the loss l has shape (N, D)"),
        (b"# shapes: x = (N, D)\nimport os", "line 2"),
    ],
)
def test_a_file_that_holds_no_program_is_told_with_status_two(tmp_path, text, message, capsys):
    file = tmp_path / "program.txt"
    file.write_bytes(text)
    assert main(["derive", str(file)]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["derive"], ["explain"], ["derive", "f", "--format", "html"]])
def test_usage_that_the_parser_refuses_has_status_two(arguments, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2
    assert "usage: mlpreport" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["derive", "explain"])
def test_the_help_of_a_program_command_shows_what_a_program_file_looks_like(command, tmp_path, capsys):
    with pytest.raises(SystemExit) as stopped:
        main([command, "--help"])
    assert stopped.value.code == 0
    lines = capsys.readouterr().out.splitlines()
    start = next(number for number, line in enumerate(lines) if "# shapes:" in line)
    file = tmp_path / "from-help.txt"
    file.write_text("\n".join(line.strip() for line in lines[start:]))
    assert main(["explain", str(file), "W", "x.T @ dz"]) == 0


def test_help_is_shown_where_a_claim_is_expected(capsys):
    assert main(["explain", "program.txt", "W", "--help"]) == 0
    assert capsys.readouterr().out.startswith("usage: mlpreport explain ")


@pytest.mark.thorough
def test_a_terminal_without_greek_letters_gets_their_numbers():
    arguments = [sys.executable, "-c", "from mlpreport.cli import main; main(['derive', '-'])"]
    done = subprocess.run(
        arguments,
        input=b"# shapes: x = (N, D)\nl = sum(x)\n",
        capture_output=True,
        env={"PYTHONIOENCODING": "ascii"},
        check=True,
    )
    assert rb"\u2202l/\u2202x = dx, shape (N, D)" in done.stdout


@pytest.mark.thorough
def test_a_reader_that_has_seen_enough_ends_derive_quietly(network):
    code = "import sys; from mlpreport.cli import main; sys.exit(main(['derive', sys.argv[1]]))"
    with subprocess.Popen(
        [sys.executable, "-c", code, network], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as started:
        started.stdout.close()
        assert started.stderr.read() == b""
    assert started.returncode == 0
