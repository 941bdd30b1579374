"""How `fit` scales with the number of restarts, what compiling costs, and 10,000 restarts on all cores.

Each is measured in a fresh process: memory, because a peak never falls; compiling, because it is done once.
"""

import json
import os
import subprocess
import sys
import tempfile
from typing import Any

WORKER = r"""
import json, pathlib, re, resource, sys, time
import numba
from mlpreport.data import noisy_sine
from mlpreport.training import Architecture, fit
restarts, options = int(sys.argv[1]), json.loads(sys.argv[2])
two, data = Architecture((1, 2, 1), "sigmoid"), noisy_sine()
start = time.perf_counter()
fit(two, data, restarts=1, seed=0, **options)
first = time.perf_counter() - start
wall, cpu = time.perf_counter(), time.process_time()
fit(two, data, restarts=restarts, seed=1, **options)
wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform == "darwin" else 1)
if sys.platform == "linux":  # where ru_maxrss begins at what the parent held when it started this process
    peak = int(re.search(r"VmHWM:\s+(\d+)", pathlib.Path("/proc/self/status").read_text())[1])
print(json.dumps({"first": first, "wall": wall, "cpu": cpu, "peak": peak}))
"""

COUNTS = (100, 1_000, 10_000, 100_000)


def measured(restarts: int, options: dict[str, Any], **environment: str) -> dict[str, float]:
    """Time `fit` in a fresh process."""
    command = (sys.executable, "-W", "ignore", "-c", WORKER, str(restarts), json.dumps(options))
    done = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def scaling(options: dict[str, Any]) -> list[dict[str, float]]:
    """Restarts per second of CPU time and peak memory at each number of restarts."""
    measured(1, options)  # fills the kernel cache
    rows = []
    for count in COUNTS:
        repeats = [measured(count, options | {"threads": 1}) for _ in range(5 if count < 1_000 else 1)]
        best = min(repeats, key=lambda repeat: repeat["cpu"])
        rows.append(
            {
                "restarts": count,
                "per_second": count / best["cpu"],
                "peak_megabytes": max(r["peak"] for r in repeats) / 1024,
            }
        )
    return rows


def compile_times(options: dict[str, Any]) -> tuple[float, float]:
    """Seconds to the end of the first restart of a process: with an empty kernel cache, and with a filled one."""
    with tempfile.TemporaryDirectory() as folder:
        cold = measured(1, options, XDG_CACHE_HOME=folder)["first"]
        return cold, min(measured(1, options, XDG_CACHE_HOME=folder)["first"] for _ in range(3))


def ten_thousand(options: dict[str, Any]) -> float:
    """Seconds of wall time for 10,000 restarts on all cores."""
    return min(measured(10_000, options)["wall"] for _ in range(2))
