"""Pages run in parallel, each in a fresh process forked from one that has the libraries loaded."""

import multiprocessing
import os
import re
import signal
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import forkserver, resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import ModuleType
from typing import Any

from mlpreport.checks import POSITIVE, checked_whole
from mlpreport.errors import EnvironmentProblemError, PageError
from mlpreport.literate.inline import VALUE
from mlpreport.literate.page import Cell, Page
from mlpreport.literate.recorder import Output

SHELL = (
    *(
        "IPython.core.interactiveshell",
        "IPython.core.magics",
        "IPython.core.completer",
        "IPython.core.oinspect",
    ),
    *("IPython.core.pylabtools", "IPython.display", "numpy.random", "numpy.polynomial"),
    *("matplotlib.pyplot", "matplotlib.backends.backend_svg", "matplotlib_inline.backend_inline"),
    "mlpreport.literate.worker",
)
"""What every page needs: imported once, before any page runs."""

LIBRARIES = ("scipy.optimize", "scipy.stats", "sympy", "numba", "torch")
"""Imported once as well if a page uses them. Not mlpreport: pages import it themselves, so that edits are seen."""

# One thread each: threads of a library do not survive the fork, and the workers share the cores anyway.
_ENVIRONMENT = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1") | {
    "MLPREPORT_PROGRESS": "off",
    "MPLBACKEND": "module://matplotlib_inline.backend_inline",
}

_FRAMES = 6
_PATIENCE = 1.0
"""Seconds that a worker has to clean up after its page."""


@dataclass(frozen=True)
class Run:
    """What came out of a page: outputs (nbformat) for each cell, inline values, and the mlpreport files it imported.

    `modules` maps each file to the SHA-256 of its content; `seconds` is the wall time; `code` is what ran.
    """

    code: str

    outputs: tuple[tuple[Output, ...], ...]
    values: tuple[str, ...]
    modules: Mapping[str, str]
    seconds: float


@dataclass(frozen=True)
class _Worker:
    page: Page
    process: BaseProcess
    connection: Connection
    folder: Path


def preload(libraries: Sequence[str] = (*SHELL, *LIBRARIES)) -> None:
    """Start the process that pages are forked from, with `libraries` imported; without effect if it runs already."""
    multiprocessing.set_forkserver_preload(list(libraries))
    path = os.pathsep.join(entry or str(Path.cwd()) for entry in sys.path)
    with environment(_ENVIRONMENT | {"PYTHONPATH": path}), _interrupts_held():
        forkserver.ensure_running()


def used_libraries(pages: Iterable[Page]) -> tuple[str, ...]:
    """Name the LIBRARIES that the code of `pages` mentions; mlpreport uses them all."""
    words = set(re.findall(r"\w+", "\n".join(page.code for page in pages)))
    used = (library for library in LIBRARIES if words & {"mlpreport", library.partition(".")[0]})
    return (*SHELL, *used)


def execute(
    pages: Iterable[Page],
    *,
    workers: int = 2,
    cwd: str | Path | None = None,
    on_done: Callable[[Page, Run], object] | None = None,
) -> dict[str, Run]:
    """Run `pages` in `cwd`, `workers` at a time, and map the name of each to its Run.

    `on_done` hears of each page as it ends. The first page that raises, or whose process dies, ends all others
    and is a `PageError` with the page's file and line.
    """
    checked_whole("workers", workers, POSITIVE)
    waiting = list(pages)
    runs = {page.name: Run(page.code, (), (), {}, 0.0) for page in waiting}
    preload(used_libraries(waiting))
    with tempfile.TemporaryDirectory(prefix="mlpreport-", ignore_cleanup_errors=True) as folder:
        for page, run in _finished(waiting, workers, folder=Path(folder), cwd=Path(cwd or ".").resolve()):
            runs[page.name] = run
            if on_done:
                on_done(page, run)
    return runs


def _finished(pages: list[Page], workers: int, *, folder: Path, cwd: Path) -> Iterator[tuple[Page, Run]]:
    """Give each page with its Run, as they end; leave no process behind."""
    running: list[_Worker] = []
    waiting = [page for page in reversed(pages) if page.steps]
    at_step: dict[str, int] = {}
    try:
        while waiting or running:
            while waiting and len(running) < workers:
                running.append(_start(waiting.pop(), folder / str(len(waiting)), cwd))
            ready = wait([worker.connection for worker in running])
            for worker in [worker for worker in running if worker.connection in ready]:
                message, content = _receive(worker, at_step.get(worker.page.name, -1))
                if message == "step":
                    at_step[worker.page.name] = content
                    continue
                worker.process.join(_PATIENCE)
                running.remove(worker)
                _end(worker)
                yield worker.page, _run(worker.page, message, content)
    finally:
        for worker in running:
            _end(worker)


def _start(page: Page, folder: Path, cwd: Path) -> _Worker:
    folder.mkdir()
    steps = [
        ("cell", step.source) if isinstance(step, Cell) else ("value", step.expression) for step in page.steps
    ]
    receiver, sender = multiprocessing.Pipe(duplex=False)
    context = multiprocessing.get_context("forkserver")
    place = {"folder": str(folder), "cwd": str(cwd), "environ": {**os.environ, **_ENVIRONMENT}}
    process = context.Process(target=_work, args=(sender, steps), kwargs=place, name=page.name)
    with _hidden_main():
        try:
            process.start()
        except (OSError, EOFError) as error:
            message = f"no process could be forked ({type(error).__name__}); the reason is written above"
            raise EnvironmentProblemError(message) from error
    sender.close()
    return _Worker(page, process, receiver, folder)


def _work(
    connection: Connection, steps: list[tuple[str, str]], *, folder: str, cwd: str, environ: Mapping[str, str]
) -> None:
    from mlpreport.literate.worker import serve  # noqa: PLC0415 - keeps IPython out of the process of MkDocs

    os.environ.clear()  # that of the process it is forked from may be old
    os.environ.update(environ)
    serve(connection, steps, folder=folder, cwd=cwd)


def _receive(worker: _Worker, step: int) -> tuple[str, Any]:
    """Take the next message of a worker; its death is a `PageError`."""
    try:
        message: tuple[str, Any] = worker.connection.recv()
    except (EOFError, OSError):
        worker.process.join()
        code = worker.process.exitcode or 0
        cause = f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"
        line = worker.page.steps[max(step, 0)].line
        said = (worker.folder / "stderr").read_text(errors="replace")[-1000:].strip()
        text = f"{worker.page.name}:{line}: the process died while it ran this ({cause}); a cell must end normally"
        raise PageError(f"{text}\n{said}" if said else text) from None
    return message


def _run(page: Page, message: str, content: dict[str, Any]) -> Run:
    if message == "failed":
        raise PageError(_explain(page, content))
    outputs = tuple(tuple(outputs) for outputs in content["outputs"])
    return Run(page.code, outputs, tuple(content["values"]), content["modules"], content["seconds"])


def _explain(page: Page, failure: Mapping[str, Any]) -> str:
    """Write a failure as `page:line: exception`, the cell or value that raised, and the innermost frames."""
    step = page.steps[failure["step"]]
    what = (
        f"the cell at line {step.line}" if isinstance(step, Cell) else f"the inline value {step.expression!r}"
    )
    cells = {f"<cell {i}>": cell.first_line for i, cell in enumerate(page.cells, start=1)}
    frames = [
        (page.name, cells[file] + line - 1, name)
        if file in cells
        else (page.name, step.line, name)
        if file == VALUE
        else (file, line, name)
        for file, line, name in failure["frames"]
    ]
    line = next((line for file, line, _ in reversed(frames) if file == page.name), step.line)
    trace = "".join(f"\n  {file}:{line} in {name}" for file, line, name in frames[-_FRAMES:])
    return f"{page.name}:{line}: {what} raised {failure['name']}: {failure['message']}{trace}"


def _end(worker: _Worker) -> None:
    """End a worker with everything it started."""
    if worker.process.pid:
        with suppress(ProcessLookupError):  # it has not made its group yet
            os.killpg(worker.process.pid, signal.SIGKILL)
    worker.process.kill()
    worker.process.join()
    worker.connection.close()


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Make processes that start meanwhile deaf to Ctrl-C: it ends this process, and that ends them."""
    resource_tracker.ensure_running()  # would let interrupts through again if it were started meanwhile
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _hidden_main() -> Iterator[None]:
    """Hide the main script, which multiprocessing would otherwise import in each worker (mkdocs, pytest, …)."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


@contextmanager
def environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables for the processes that start meanwhile."""
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
