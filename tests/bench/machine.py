"""What machine this is, and what it can do per nanosecond."""

import os
import platform
import re
import time
from importlib.metadata import version
from pathlib import Path

import numba
import numpy as np
import torch

from mlpreport.training.kernels_functions import exponential
from mlpreport.training.kernels_lanes import LANES, load, store

INSTRUCTIONS = {"avx512f": "AVX-512", "avx2": "AVX2", "avx": "AVX", "asimd": "NEON"}


def describe() -> dict:
    """The kind of machine, and no name of this one."""
    path = Path("/proc/cpuinfo")
    text = path.read_text() if path.is_file() else ""
    facts = dict(re.findall(r"^([\w ]+?)\s*: (.*)$", text, re.MULTILINE))
    flags = (facts.get("flags") or facts.get("Features") or "").split()
    family = "".join(f", {name} {facts[name]}" for name in ("cpu family", "model") if name in facts)
    return {
        "processor": facts.get("model name", platform.machine()) + family,
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "instructions": next(
            (name for flag, name in INSTRUCTIONS.items() if flag in flags), platform.machine()
        ),
        "exponentials": exponentials_per_nanosecond(),
        "flops": flops_per_nanosecond(),
    }


def versions() -> dict[str, str]:
    names = ("mlpreport", "numpy", "scipy", "numba", "torch", "scikit-learn", "jax", "jaxopt", "optimistix")
    return {"python": platform.python_version()} | {name: version(name) for name in names}


def best_time(run, repeats: int) -> float:
    """The least CPU time of a call, in ns."""
    times = []
    for _ in range(repeats):
        start = time.process_time_ns()
        run()
        times.append(time.process_time_ns() - start)
    return float(min(times))


@numba.njit(error_model="numpy")
def _exponentials(values, results, repeats):
    for _ in range(repeats):
        for i in range(0, values.size, LANES):
            store(results, i, exponential(load(values, i)))


def exponentials_per_nanosecond() -> float:
    """The fastest of our exponential, NumPy's and torch's, on as many values as fit the first cache."""
    values, repeats = np.linspace(-20, 20, 1024), 2000
    results, tensor = np.empty_like(values), torch.from_numpy(values)
    target = torch.empty_like(tensor)
    _exponentials(values, results, 1)
    calls = (
        lambda: _exponentials(values, results, repeats),
        lambda: [np.exp(values, out=results) for _ in range(repeats)],
        lambda: [torch.exp(tensor, out=target) for _ in range(repeats)],
    )
    return values.size * repeats / min(best_time(call, 7) for call in calls)


def flops_per_nanosecond() -> float:
    """The product of two matrices by the BLAS: as near as a program comes to what the processor can do."""
    size = 512
    a = np.random.default_rng(0).normal(size=(size, size))
    target = np.empty_like(a)
    return 2 * size**3 / best_time(lambda: np.matmul(a, a, out=target), 20)
