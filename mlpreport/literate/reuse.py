"""Runs kept while a site is being written: only pages whose results may have changed run again.

Runs are kept in memory only. A build that starts afresh computes every number, so that none can be stale.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from mlpreport.literate.execution import Run, execute
from mlpreport.literate.page import Page


def execute_changed(
    pages: Iterable[Page],
    before: Mapping[str, Run],
    *,
    workers: int = 2,
    cwd: str | Path | None = None,
    on_done: Callable[[Page, Run], object] | None = None,
) -> dict[str, Run]:
    """Run the pages whose Run in `before` is missing or out of date; see `execute` for the rest."""
    pages = tuple(pages)
    kept = {
        page.name: before[page.name]
        for page in pages
        if page.name in before and is_current(page, before[page.name])
    }
    changed = [page for page in pages if page.name not in kept]
    runs = kept | execute(changed, workers=workers, cwd=cwd, on_done=on_done)
    return {page.name: runs[page.name] for page in pages}


def is_current(page: Page, run: Run) -> bool:
    """Tell whether `run` is of the code that `page` has, and every mlpreport file it imported is as it was."""
    return run.code == page.code and all(_hash(Path(file)) == digest for file, digest in run.modules.items())


def _hash(file: Path) -> str:
    """Hash `file` as the worker did; "" if it is no longer there."""
    return hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else ""
