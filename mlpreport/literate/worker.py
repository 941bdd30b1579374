"""The life of one worker process: it runs the steps of one page in a fresh IPython and sends back what came out.

Only built-in types are sent, and nothing of mlpreport is used while a page runs: the worker forgets the package
before the first step, so that the page imports it afresh, and what it imported is what its results depend on.
"""

import gc
import hashlib
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from functools import partial
from multiprocessing import parent_process
from multiprocessing.connection import Connection, wait
from pathlib import Path
from traceback import extract_tb
from typing import Any

from IPython.core.interactiveshell import ExecutionResult, InteractiveShell
from traitlets.config import Config

from mlpreport.literate.inline import VALUE
from mlpreport.literate.recorder import Output, Recorder, Stream, bundle, message

Step = tuple[str, str]
"""What to run: ("cell", source) or ("value", expression)."""

Failure = dict[str, Any]
"""An exception: its `step`, `name`, `message`, and `frames` [(file, line, function)]; a cell's file is "<cell 3>"."""

_SETTINGS = {
    "InlineBackend": {
        "figure_formats": {"svg"},
        # Without the date and the salt every build would give other SVG files.
        "print_figure_kwargs": {"bbox_inches": "tight", "metadata": {"Date": None}},
        "rc": {
            "svg.hashsalt": "mlpreport",
            "svg.fonttype": "path",
            "figure.facecolor": "none",
            "axes.facecolor": "none",
            "legend.facecolor": "white",
        },
    },
    "HistoryManager": {"enabled": False},
}


def serve(connection: Connection, steps: Sequence[Step], *, folder: str, cwd: str) -> None:
    """Run `steps` in `cwd` and send ("step", i) before each, then ("done", result) or ("failed", Failure).

    `folder` receives what is written to the file descriptors of the standard streams, and IPython's own files.
    """
    gc.freeze()  # collections need not walk through the libraries, which would copy their memory, too
    threading.Thread(target=_end_with_parent, daemon=True).start()
    os.setsid()  # so that whatever a cell starts can be ended together with the worker
    hear_interrupts()
    os.chdir(cwd)
    sys.path.insert(0, "")
    sys.argv[:] = [""]
    forget("mlpreport")
    recorder = Recorder()
    with captured(recorder, Path(folder)) as collect:
        shell = open_shell(recorder, Path(folder))
        enable_figures(shell)
        connection.send(run_steps(shell, steps, recorder, collect=collect, report=connection.send))


def _end_with_parent() -> None:
    """End this process as soon as the one that started it has ended, however that happened."""
    parent = parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def hear_interrupts() -> None:
    """Take up SIGINT, held back until now, for what cells do with it; one that came meanwhile is forgotten."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def forget(package: str) -> None:
    """Remove `package` and its modules from the imported modules."""
    for name in [name for name in sys.modules if name.partition(".")[0] == package]:
        del sys.modules[name]


def hash_file(file: Path) -> str:
    """Give the SHA-256 of the content of `file` in hexadecimal."""
    return hashlib.sha256(file.read_bytes()).hexdigest()


def imported(package: str) -> dict[str, str]:
    """Give the files of the imported modules of `package`, each with the SHA-256 of its content."""
    modules = [module for name, module in sys.modules.items() if name.partition(".")[0] == package]
    files = {file for module in modules if (file := getattr(module, "__file__", None))}
    return {file: hash_file(Path(file)) for file in sorted(files)}


@contextmanager
def captured(recorder: Recorder, folder: Path) -> Iterator[Callable[[], None]]:
    """Send the standard streams to `recorder`; the function given collects what went past Python to the descriptors."""
    with ExitStack() as stack:
        files = {}
        for name, descriptor in {"stdout": 1, "stderr": 2}.items():
            written = stack.enter_context((folder / name).open("wb"))
            stack.enter_context(_replaced(descriptor, written.fileno()))
            files[name] = stack.enter_context((folder / name).open(encoding="utf-8", errors="replace"))
        stack.enter_context(redirect_stdout(Stream(partial(recorder.write, "stdout"), 1)))
        stack.enter_context(redirect_stderr(Stream(partial(recorder.write, "stderr"), 2)))

        def collect() -> None:
            for name, file in files.items():
                recorder.write(name, file.read())

        yield collect


@contextmanager
def _replaced(descriptor: int, other: int) -> Iterator[None]:
    """Let `descriptor` stand for the file of `other`."""
    before = os.dup(descriptor)
    os.dup2(other, descriptor)
    try:
        yield
    finally:
        os.dup2(before, descriptor)
        os.close(before)


def open_shell(recorder: Recorder, folder: Path) -> InteractiveShell:
    """Start an IPython, with no configuration of the user, whose outputs all go to `recorder`."""
    shell = InteractiveShell.instance(config=Config(_SETTINGS), ipython_dir=str(folder), colors="nocolor")
    hooks: tuple[tuple[object, str, Callable[..., object]], ...] = (
        (shell.display_pub, "publish", recorder.publish),
        (shell.display_pub, "clear_output", recorder.clear),
        (shell.displayhook, "write_output_prompt", lambda: None),
        (shell.displayhook, "finish_displayhook", lambda: None),
        (shell.displayhook, "write_format_data", partial(_add_result, shell, recorder)),
        (shell, "_showtraceback", recorder.fail),  # the hook that kernels override
        (
            shell.InteractiveTB,
            "structured_traceback",
            lambda *_, **__: [],
        ),  # no page shows it; deep ones take a minute
        (shell, "enable_gui", lambda gui=None: None),  # noqa: ARG005 - no event loop to join; IPython has none either
        (shell.compile, "get_code_name", lambda raw, code, number: f"<cell {number}>"),  # noqa: ARG005
    )
    for owner, name, hook in hooks:
        setattr(owner, name, hook)
    shell.user_ns.update(exit=sys.exit, quit=sys.exit)  # IPython's own would ask a terminal
    return shell


def enable_figures(shell: InteractiveShell) -> None:
    """Show figures as in Jupyter, even those of a page that does not import pyplot, and draw them only then.

    Pyplot would draw all of them at the end of a cell as well, for nothing: that takes half of their time.
    """
    shell.enable_matplotlib("inline")  # type: ignore[no-untyped-call]
    for callback in list(shell.events.callbacks["post_execute"]):
        if callback.__name__ == "_draw_all_if_interactive":
            shell.events.unregister("post_execute", callback)


def run_steps(
    shell: InteractiveShell,
    steps: Sequence[Step],
    recorder: Recorder,
    *,
    collect: Callable[[], None],
    report: Callable[[tuple[str, Any]], object],
) -> tuple[str, dict[str, Any]]:
    """Run the steps in order up to the first that raises; ("done", outputs, values, modules, …) or ("failed", …)."""
    start = time.perf_counter()
    outputs: list[list[Output]] = []
    values: list[str] = []
    for i, (kind, source) in enumerate(steps):
        report(("step", i))
        recorder.start_cell()
        error = _run_cell(shell, source) if kind == "cell" else _evaluate(shell, source, values)
        error = error or recorder.exception  # IPython only shows those of magics, displays and figures
        collect()
        if error is not None:
            return "failed", {"step": i, **failure(error)}
        if kind == "cell":
            outputs.append(recorder.outputs)
    seconds = time.perf_counter() - start
    content = {"outputs": outputs, "values": values, "modules": imported("mlpreport"), "seconds": seconds}
    # Lone surrogates, which no file can hold, are replaced.
    return "done", json.loads(json.dumps(content, default=str, ensure_ascii=False).encode(errors="replace"))


def _run_cell(shell: InteractiveShell, source: str) -> BaseException | None:
    result: ExecutionResult = shell.run_cell(source, store_history=True)  # type: ignore[no-untyped-call]
    return result.error_before_exec or result.error_in_exec


def _evaluate(shell: InteractiveShell, expression: str, values: list[str]) -> BaseException | None:
    try:
        values.append(str(shell.ev(compile(expression, VALUE, "eval"))))  # type: ignore[no-untyped-call]
    except BaseException as error:  # noqa: BLE001 - even SystemExit fails the page rather than the worker
        return error
    return None


def failure(error: BaseException) -> Failure:
    """Describe an exception: name, message, and the frames below IPython's own."""
    frames = [(frame.filename, frame.lineno or 0, frame.name) for frame in extract_tb(error.__traceback__)]
    first = next((i for i, frame in enumerate(frames) if frame[0].startswith(("<cell", VALUE))), len(frames))
    frames = frames[first:]
    if isinstance(error, SyntaxError) and (error.filename or "").startswith("<cell"):
        frames.append((str(error.filename), error.lineno or 1, "<module>"))
    said = [message(error), "a cell must end normally" if isinstance(error, SystemExit) else ""]
    return {"name": type(error).__name__, "message": "; ".join(filter(None, said)), "frames": frames}


def _add_result(
    shell: InteractiveShell, recorder: Recorder, data: Output, metadata: Output | None = None
) -> None:
    count = {"execution_count": shell.displayhook.prompt_count}
    recorder.add(bundle("execute_result", data, metadata) | count)
