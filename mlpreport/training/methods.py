"""The training methods by name: who minimises, and with which settings when the caller gives none."""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from functools import partial
from queue import SimpleQueue
from typing import Any

import numpy as np
from jaxtyping import Float64, UInt8

from mlpreport.checks import checked_name
from mlpreport.training.baseline import bfgs_minimiser, l_bfgs_minimiser
from mlpreport.training.problem import Problem
from mlpreport.training.settings import Advance, Counts, Minimiser, Rows, Settings
from mlpreport.training.stopping import (
    DECREMENT_TOLERANCE,
    FIRST_DAMPING,
    GRADIENT_TOLERANCE,
    LEARNING_RATE,
    MAX_ITERATIONS,
)

Flag = UInt8[np.ndarray, "1"]


@dataclass(frozen=True)
class Method:
    """How a minimiser is made ready for a problem, and the settings it has when the caller gives none."""

    prepare: Callable[[Problem, Settings], Minimiser]
    settings: Settings


def find_method(name: str) -> Method:
    """Look up a method; an unknown name is an error that suggests the nearest."""
    return METHODS[checked_name("method", name, METHODS)]


def compiled_minimiser(problem: Problem, settings: Settings, *, kernel: str, oracle: str) -> Minimiser:
    """Compile a method and its oracle, and return the minimiser that shares the rows between threads."""
    from mlpreport.training.compilation import compiled, compiled_network  # noqa: PLC0415 - numba takes 0.3 s to import

    loop, method = compiled(f"each restart with {oracle}"), compiled(kernel)
    function = compiled_network(oracle, problem.architecture)
    options = _options(settings)

    def minimise(rows: Rows, advance: Advance) -> tuple[Counts, Counts]:
        iterations, codes = np.zeros(len(rows), np.int64), np.zeros(len(rows), np.int64)
        threads = min(settings.threads or available_threads(), len(rows))
        spare = SimpleQueue[tuple[Any, ...]]()
        for _ in range(threads):
            spare.put(problem.for_kernels())

        def minimise_part(part: slice, cancelled: Flag) -> None:
            own, results = spare.get(), (rows[part], iterations[part], codes[part])
            try:
                loop(method, function, own, options, *results, cancelled)
            finally:
                spare.put(own)

        _share(minimise_part, len(rows), threads, advance)
        return iterations, codes

    return minimise


def _options(settings: Settings) -> Float64[np.ndarray, " option"]:
    options = np.zeros(5)
    options[MAX_ITERATIONS] = settings.max_iterations
    options[GRADIENT_TOLERANCE] = settings.gradient_tolerance
    options[DECREMENT_TOLERANCE] = settings.decrement_tolerance
    options[LEARNING_RATE] = settings.learning_rate
    options[FIRST_DAMPING] = settings.first_damping
    return options


def _share(work: Callable[[slice, Flag], None], count: int, threads: int, advance: Advance) -> None:
    """Work on parts of `count` rows in threads; an interruption ends them after the restart they are at."""
    cancelled = np.zeros(1, np.uint8)
    with ThreadPoolExecutor(threads) as pool:
        sizes = {
            pool.submit(work, part, cancelled): part.stop - part.start for part in _chunks(count, threads)
        }
        try:
            for future in as_completed(sizes):
                future.result()
                advance(sizes[future])
        except BaseException:
            cancelled[0] = 1
            pool.shutdown(cancel_futures=True)
            raise


def _chunks(count: int, threads: int) -> Iterator[slice]:
    # Restarts differ in length, so several chunks for each thread keep all busy; each costs a tenth of a millisecond.
    size = max(1, count // (8 * threads))
    for start in range(0, count, size):
        yield slice(start, min(start + size, count))


def available_threads() -> int:
    """Return the number of cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


METHODS = {
    "scipy-bfgs": Method(bfgs_minimiser, Settings()),
    "bfgs": Method(partial(compiled_minimiser, kernel="bfgs", oracle="objective"), Settings()),
    "levenberg-marquardt": Method(
        partial(compiled_minimiser, kernel="levenberg-marquardt", oracle="residuals"),
        Settings(max_iterations=1_000, decrement_tolerance=1e-9),
    ),
    "l-bfgs": Method(l_bfgs_minimiser, Settings()),
    "adam": Method(
        partial(compiled_minimiser, kernel="adam", oracle="objective"), Settings(learning_rate=0.01)
    ),
    "gradient-descent": Method(
        partial(compiled_minimiser, kernel="gradient-descent", oracle="objective"),
        Settings(learning_rate=0.1),
    ),
}
"""The only list of methods."""
