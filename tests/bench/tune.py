"""Find a contestant's best settings: one setting is varied at a time, twice through, and the best ERT is kept.

    python tests/bench/tune.py "JAX Levenberg-Marquardt" 3 [--seconds 2] [--loss 0.0073]

All candidates are judged by the same loss to reach.
"""

import argparse
import sys
import time

import numpy as np
from contestants import CONTESTANTS, Contestant
from networks import Task, losses

from mlpreport.benchmark import read_benchmark

FIRST_SEED = 1_000  # starts that no measurement uses


def expected(contestant: Contestant, task: Task, target: float, seconds: float, changes: dict) -> float:
    """The mean CPU time per restart over the share of restarts that reach the target, in ms."""
    train = contestant.prepared(task, **changes)
    start, count, ends = time.process_time(), 0, []
    while time.process_time() - start < seconds and count < 40:
        ends.append(
            train(FIRST_SEED + count, changes.get("batch", 10) * (5 if contestant.family == "ours" else 1))
        )
        count += 1
    spent, found = time.process_time() - start, losses(np.concatenate(ends), task.sizes)
    share = float(np.mean(found <= target))
    return 1e3 * spent / len(found) / share if share else np.inf


def search(contestant: Contestant, task: Task, target: float, seconds: float, *, passes: int = 2) -> dict:
    """Coordinate search over the grid."""
    best = dict(contestant.settings.get(task.label, contestant.settings["all"]))
    lowest = expected(contestant, task, target, seconds, best)
    for _ in range(passes):
        for name, values in contestant.grid.items():
            for value in values:
                if value == best.get(name):
                    continue
                ert = expected(contestant, task, target, seconds, best | {name: value})
                if ert < lowest:
                    lowest, best = ert, best | {name: value}
    sys.stdout.write(f"{task.label:9} {contestant.name:40} {lowest:9.3f} ms  {best}\n")
    sys.stdout.flush()
    return best


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name", help="part of a contestant's name")
    parser.add_argument("hidden", help="hidden widths, such as 3,5,4")
    parser.add_argument("--seconds", type=float, default=2.0, help="for each candidate")
    parser.add_argument("--loss", type=float, help="to reach; without it, that of the last benchmark")
    arguments = parser.parse_args()
    chosen = Task(tuple(map(int, arguments.hidden.split(","))))
    target = arguments.loss or read_benchmark().contest(chosen.label).target
    for one in CONTESTANTS:
        if arguments.name in one.name.replace("–", "-") and one.grid:
            search(one, chosen, target, arguments.seconds)
