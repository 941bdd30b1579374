"""The command line: `mlpreport rerun` makes an experiment, a figure or a page of the site again."""

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from mlpreport import __version__
from mlpreport.errors import EnvironmentProblemError, InvalidInputError, MlpReportError

INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; the exit status is 0 ok, 1 failed, 2 usage, 3 environment, 130 interrupted."""
    options = _parser().parse_args(arguments)
    return guarded(lambda: options.command(options))


def guarded(command: Callable[[], None]) -> int:
    """Run `command` and return the exit status; what went wrong is one line on standard error."""
    try:
        command()
    except MlpReportError as error:
        print(f"mlpreport: {error}", file=sys.stderr)
        return error.exit_status
    except KeyboardInterrupt:
        print("mlpreport: interrupted", file=sys.stderr)
        return INTERRUPTED
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="mlpreport", description=__doc__)
    parser.add_argument("--version", action="version", version=f"mlpreport {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    rerun = commands.add_parser(
        "rerun", help="run an experiment, or a page of docs/ by its name or a label on it, again"
    )
    rerun.add_argument("what", help="experiment (widths), page (2-3-width.md) or label (fig-widths)")
    rerun.add_argument(
        "--out", type=Path, default=Path("results"), help="folder for what comes out (default: results)"
    )
    rerun.add_argument("--method", help="training method instead of the experiment's own")
    rerun.add_argument(
        "--restarts", type=int, help="restarts per architecture instead of the experiment's own"
    )
    rerun.add_argument("--seed", type=int, help="seed instead of the experiment's own")
    rerun.set_defaults(command=_rerun)
    return parser


def _rerun(options: argparse.Namespace) -> None:
    # Imported here: numerical libraries take a second to load, and `mlpreport --help` should not wait for them.
    from mlpreport.experiments import EXPERIMENTS  # noqa: PLC0415

    changed = {name: getattr(options, name) for name in ("method", "restarts", "seed")}
    changed = {name: value for name, value in changed.items() if value is not None}
    if options.what in EXPERIMENTS:
        _rerun_experiment(options.what, changed, options.out)
    elif changed:
        message = (
            f"--{next(iter(changed))} goes with an experiment ({', '.join(EXPERIMENTS)}), not "
            f"with {options.what!r}"
        )
        raise InvalidInputError(message)
    else:
        _rerun_page(options.what, Path("docs"), options.out)


def _rerun_experiment(name: str, changed: dict[str, Any], out: Path) -> None:
    from mlpreport.experiments import experiment_named, run  # noqa: PLC0415
    from mlpreport.tables import errors, restarts  # noqa: PLC0415

    result = run(replace(experiment_named(name), **changed))
    folder = writable(out)
    for shown in (errors(result), restarts(result)):
        print(shown, end="\n\n")
    print(f"saved {result.save(folder / f'{name}.npz')}")


def writable(folder: Path) -> Path:
    """Make `folder` if it is missing and return it; raise EnvironmentProblemError when that is impossible."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        message = f"cannot write to {folder} ({error.strerror}); choose another folder with --out"
        raise EnvironmentProblemError(message) from error
    return folder


def _rerun_page(what: str, docs: Path, out: Path) -> None:
    from mlpreport.literate import execute, number, parse, weave  # noqa: PLC0415

    pages = [
        parse(path.read_text(encoding="utf-8"), path.relative_to(docs).as_posix())
        for path in sorted(docs.rglob("*.md"))
    ]
    numbering = number(pages)
    name = numbering[what].page if what in numbering else what
    found = next((page for page in pages if page.name == name), None)
    if found is None:
        message = f"{what!r} is no experiment, and no page or label in {docs}/; run this in a copy of the repository"
        raise InvalidInputError(message)
    woven = weave(found, execute([found])[name], numbering)
    for path, content in woven.files.items():
        target = writable(out / Path(path).parent) / Path(path).name
        target.write_bytes(content)
        print(f"wrote {target}")
