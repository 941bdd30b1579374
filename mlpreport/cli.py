"""Rerun an experiment or a page of the site, derive the gradients of a program, or judge a gradient of your own."""

import argparse
import io
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Any

from mlpreport import __version__
from mlpreport.errors import EnvironmentProblemError, InvalidInputError, MlpReportError

if TYPE_CHECKING:
    from mlpreport.derivation import Derivation, Program

WRONG, INTERRUPTED = 1, 130
PROGRAM_FILE = """\
FILE holds array code, one assignment a line, the last one being the loss; comment lines declare shapes:

  # shapes: x = (N, D), W = (D, H), b = (1, H)
  z = x @ W + b
  l = sum(z ** 2)
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; the exit status is 0 ok, 1 failed, 2 usage, 3 environment, 130 interrupted."""
    for stream in (sys.stdout, sys.stderr):
        # A terminal that has no ∂ gets its number instead of an error.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    options = _parser().parse_args(arguments)
    return guarded(lambda: options.command(options))


def guarded(command: Callable[[], int | None]) -> int:
    """Run `command` and return the exit status, its own or 0; what went wrong is told on standard error."""
    try:
        status = command() or 0
        print(end="", flush=True)
    except MlpReportError as error:
        print(f"mlpreport: {error}", file=sys.stderr)
        return error.exit_status
    except KeyboardInterrupt:
        print("mlpreport: interrupted", file=sys.stderr)
        return INTERRUPTED
    except OSError as error:
        # What Python would still flush goes nowhere. Who reads from a broken pipe, such as `head`, has seen enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):
            return 0
        where = f"{error.filename}: " if error.filename else ""
        print(
            f"mlpreport: {where}{error.strerror or error}; free the place or choose another", file=sys.stderr
        )
        return EnvironmentProblemError.exit_status
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="mlpreport", description=__doc__)
    parser.add_argument("--version", action="version", version=f"mlpreport {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    rerun = commands.add_parser(
        "rerun", help="run an experiment, or a page of docs/ by its name or a label on it, again"
    )
    rerun.add_argument("what", help="experiment (widths), page (2-3-width.md) or label (fig-widths)")
    rerun.add_argument("--out", type=Path, default="results", help="folder to write to (default: results)")
    for name, kind in (("method", str), ("restarts", int), ("seed", int)):
        rerun.add_argument(f"--{name}", type=kind, help=f"{name} instead of the experiment's own")
    rerun.set_defaults(command=_rerun)
    _add_derive(commands)
    _add_explain(commands)
    _add_atlas(commands)
    return parser


def _add_derive(commands: Any) -> None:
    derive = _add_program_command(commands, "derive", "print all steps of the derivation of a program")
    derive.add_argument("--wrt", nargs="+", action="extend", metavar="NAME", help="variables (default: all)")
    derive.add_argument(
        "--format",
        choices=("text", "markdown", "latex", "python"),
        default="text",
        help="text, Markdown or LaTeX with formulas, or the gradient as Python code (default: text)",
    )
    derive.add_argument("--backend", choices=("numpy", "torch"), help="library of the code (default: numpy)")
    derive.set_defaults(command=_derive)


def _add_explain(commands: Any) -> None:
    explain = _add_program_command(
        commands, "explain", "judge a gradient of your own: right, or what is wrong"
    )
    explain.add_argument("name", metavar="NAME", help="the variable whose gradient it is")
    explain.add_argument(
        "claim",
        nargs=argparse.REMAINDER,  # so that a claim may begin with a minus sign
        metavar="GRADIENT",
        help='what you say its gradient is, with dz for the gradient with respect to z: "x.T @ dz"; '
        "the exit status is 0 if it is right and 1 if it is wrong",
    )
    explain.set_defaults(command=_explain, print_help=explain.print_help)


def _add_atlas(commands: Any) -> None:
    atlas = commands.add_parser(
        "atlas", help="make the atlas of optima again, or verify the one that is there"
    )
    atlas.add_argument("--width", type=int, action="append", help="numbers of hidden units (default: all)")
    atlas.add_argument(
        "--verify", action="store_true", help="only verify; the exit status is 1 if it is stale"
    )
    atlas.add_argument("--out", type=Path, help="folder to write to or to verify (default: the package's)")
    atlas.set_defaults(command=_atlas)


def _add_program_command(commands: Any, name: str, purpose: str) -> argparse.ArgumentParser:
    command: argparse.ArgumentParser = commands.add_parser(
        name, help=purpose, epilog=PROGRAM_FILE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    command.add_argument("file", metavar="FILE", help="a program file, or - for standard input")
    return command


def _rerun(options: argparse.Namespace) -> None:
    # Imported here: numerical libraries take a second to load, and `mlpreport --help` should not wait for them.
    from mlpreport.experiments import EXPERIMENTS  # noqa: PLC0415

    changed = {name: getattr(options, name) for name in ("method", "restarts", "seed")}
    changed = {name: value for name, value in changed.items() if value is not None}
    if options.what in EXPERIMENTS:
        _rerun_experiment(options.what, changed, options.out)
    elif changed:
        message = f"--{next(iter(changed))} goes with an experiment ({', '.join(EXPERIMENTS)}), not {options.what!r}"
        raise InvalidInputError(message)
    else:
        here = Path.cwd()
        site = next((folder for folder in (here, *here.parents) if (folder / "mkdocs.yml").is_file()), here)
        _rerun_page(options.what, site, options.out)


def _rerun_experiment(name: str, changed: dict[str, Any], out: Path) -> None:
    from mlpreport.experiments import experiment_named, run  # noqa: PLC0415
    from mlpreport.tables import errors, restarts  # noqa: PLC0415

    # Whoever waits for the training must not hear only then that its result has no place.
    folder = writable(out)
    result = run(replace(experiment_named(name), **changed))
    for shown in (errors(result), restarts(result)):
        print(shown, end="\n\n")
    print(f"saved {result.save(folder / f'{name}.npz')}")


def writable(folder: Path) -> Path:
    """Make `folder` if it is missing and return it; raise EnvironmentProblemError when that is impossible."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        TemporaryFile(dir=folder).close()
    except OSError as error:
        message = f"cannot write to {folder} ({error.strerror}); choose another folder with --out"
        raise EnvironmentProblemError(message) from error
    return folder


def _rerun_page(what: str, site: Path, out: Path) -> None:
    from mlpreport.checks import nearest  # noqa: PLC0415
    from mlpreport.experiments import EXPERIMENTS  # noqa: PLC0415
    from mlpreport.literate.rerunning import places, rerun  # noqa: PLC0415
    from mlpreport.literate.site import load_sources  # noqa: PLC0415

    sources = load_sources(site / "mkdocs.yml")
    pages = places(sources)
    if what not in pages:
        hint = nearest(what, [*EXPERIMENTS, *pages]) or "run this in a copy of the repository"
        message = f"{what!r} is no experiment, and no page or label in docs/; {hint}"
        raise InvalidInputError(message)
    for path, content in rerun(sources, pages[what], cwd=site).files.items():
        target = writable(out / Path(path).parent) / Path(path).name
        target.write_bytes(content)
        print(f"wrote {target}")


def _atlas(options: argparse.Namespace) -> None:
    from mlpreport.training import atlas  # noqa: PLC0415

    folder = options.out or atlas.FOLDER
    if options.verify and not folder.is_dir():
        message = f"{folder} is no folder; give --out that into which `mlpreport atlas --out` wrote"
        raise InvalidInputError(message)
    for width in options.width or atlas.WIDTHS:
        if options.verify:
            atlas.verify_atlas(atlas.load_atlas(width, folder), sample=atlas.SAMPLE, seed=0)
            print(f"the atlas of {width} hidden unit{'s' * (width > 1)} is as its certificates say")
        else:
            writable(folder)
            restarts = atlas.WIDTHS.get(width, min(atlas.WIDTHS.values()))
            print(f"wrote {atlas.save_atlas(atlas.make_atlas(width, restarts=restarts, seed=0), folder)}")


def _derive(options: argparse.Namespace) -> None:
    if options.backend and options.format != "python":
        message = f"--backend goes with --format python, not with --format {options.format}"
        raise InvalidInputError(message)
    derivation = _program(options.file).vjp()
    names = options.wrt or list(derivation.program.inputs if options.format == "python" else derivation.steps)
    print(_shown(derivation, list(dict.fromkeys(names)), options.format, options.backend or "numpy"))


def _shown(derivation: "Derivation", names: Sequence[str], form: str, backend: str) -> str:
    from mlpreport.derivation import value_and_grad  # noqa: PLC0415
    from mlpreport.derivation.backward import cotangent  # noqa: PLC0415
    from mlpreport.derivation.writing import steps_written  # noqa: PLC0415

    if form != "python":
        return steps_written(derivation, names, form)
    results = {name: cotangent(derivation.program.loss, derivation[name].target) for name in names}
    return value_and_grad(replace(derivation, results=results), backend).source.rstrip()


def _explain(options: argparse.Namespace) -> int:
    from mlpreport.derivation import explain  # noqa: PLC0415

    if options.claim == ["--help"]:  # which argparse takes for a claim
        options.print_help()
        return 0
    claim = " ".join(options.claim).removeprefix("-- ")
    if not claim.strip():
        message = f"say what the gradient of {options.name} is, such as: mlpreport explain {options.file} W 'x.T @ dz'"
        raise InvalidInputError(message)
    explanation = explain(_program(options.file), options.name, claim)
    print(explanation)
    return 0 if explanation.agrees else WRONG


def _program(file: str) -> "Program":
    from mlpreport.derivation import read_program  # noqa: PLC0415

    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        message = f"cannot read {file} ({reason}); name a program file, or - for standard input"
        raise InvalidInputError(message) from error
    return read_program(text)
