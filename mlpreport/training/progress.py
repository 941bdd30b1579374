"""How far a long fit has come: a bar on a terminal, plain lines elsewhere, nothing for short fits."""

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

SILENCED = "MLPREPORT_PROGRESS"
"""Environment variable that ends all progress reports when it is "off", as for pages: how long it took is no result."""
DELAY = 2.0
"""Seconds of silence before the first sign, so that short fits leave no trace."""
INTERVAL = 10.0
"""Seconds between plain lines."""


@contextmanager
def progress(
    label: str, total: int, *, stream: TextIO | None = None, delay: float = DELAY
) -> Iterator[Callable[[int], None]]:
    """Yield a function to call with the number of restarts just finished; writes to standard error by default."""
    target = sys.stderr if stream is None else stream
    if os.environ.get(SILENCED) == "off":
        yield lambda count: None  # noqa: ARG005
    elif target.isatty():
        with _bar(label, total, target, delay) as update:
            yield update
    else:
        yield _lines(label, total, target, delay)


@contextmanager
def _bar(label: str, total: int, stream: TextIO, delay: float) -> Iterator[Callable[[int], None]]:
    from tqdm import tqdm  # noqa: PLC0415 - only a terminal needs it

    class Bar(tqdm):  # type: ignore[misc]
        # tqdm's monitor is a thread of its own, which a later fork would not survive.
        monitor_interval = 0

    with Bar(total=total, desc=label, unit=" restarts", delay=delay, file=stream, leave=False) as bar:
        yield lambda count: (bar.update(count), None)[1]


def _lines(label: str, total: int, stream: TextIO, delay: float) -> Callable[[int], None]:
    started = time.monotonic()
    due, done = started + delay, 0

    def update(count: int) -> None:
        nonlocal due, done
        done += count
        now = time.monotonic()
        if now >= due:
            due = now + INTERVAL
            print(f"{label}: {done} of {total} restarts in {now - started:.0f} s", file=stream, flush=True)

    return update
