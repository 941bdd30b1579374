"""Change the derivation room in small ways, and report which changes its tests miss; see `nox -s mutation`.

A survivor listed in equivalent_mutants.toml, under its function and the changed line, was judged: no reader can tell it
from the original. The others wait for a test or a judgement.
"""

import argparse
import json
import re
import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path

import numpy as np
from mutmut.__main__ import copy_also_copy_files, copy_src_dir, create_mutants
from mutmut.mutation.diff_apply import get_diff_for_mutant
from mutmut.stats import status_by_exit_code

from mlpreport.training.optima import wilson

ROOM = Path("mlpreport/derivation")
EQUIVALENT = Path(__file__).with_name("equivalent_mutants.toml")
CAUGHT = ("killed", "timeout", "segfault", "suspicious")


def results():
    """The exit status of the tests for every mutant, by name; None for one that was not tried."""
    files = [Path("mutants", f"{file}.meta") for file in sorted(ROOM.glob("*.py"))]
    return {
        name: code
        for file in files
        if file.exists()
        for name, code in json.loads(file.read_text("utf-8"))["exit_code_by_key"].items()
    }


def drawn(number, seed):
    """A random sample of all mutants, in which every module has its share."""
    copy_src_dir()
    copy_also_copy_files()
    create_mutants(1)
    stream = np.random.default_rng(seed)
    names = sorted(stream.permutation(list(results())).tolist(), key=module)
    return [names[int((n + stream.random()) * len(names) / number)] for n in range(number)]


def module(name):
    """The module of a mutant, within the room."""
    return name.split(".")[2]


def place(name):
    """The function of a mutant: `matrices.tidy`, or `explain._Judge.value`."""
    function = name.split(".", 3)[3].partition("__mutmut_")[0]
    return f"{module(name)}.{function.removeprefix('x_').removeprefix('xǁ').replace('ǁ', '.')}"


def change(name):
    """The line of the original that a mutant changes, and the line as it is then."""
    lines = get_diff_for_mutant(name, path=ROOM / f"{module(name)}.py").splitlines()[2:]
    return [" ".join(line[1:].strip() for line in lines if line[0] == sign) for sign in "-+"]


def reason(name, judged):
    """Why a mutant is equivalent; None if nobody judged that it is."""
    before, after = change(name)
    for pattern, why in judged["*"].items():  # what makes no difference, whatever the function
        if re.sub(pattern, "", before) == re.sub(pattern, "", after):
            return why
    return judged.get(place(name), {}).get(after)


def report(found):
    """Print how many mutants were caught in each module, and each survivor."""
    counts = Counter((module(name), found[name] in CAUGHT) for name in found)
    for part in sorted({part for part, _ in counts}):
        print(f"{part:<14}{counts[part, True]:>5} caught {counts[part, False]:>4} survived")
    judged = tomllib.loads(EQUIVALENT.read_text("utf-8"))
    reasons = {name: reason(name, judged) for name in found if found[name] not in CAUGHT}
    for name, why in sorted(reasons.items(), key=lambda item: item[1] is None):
        print(f"{found[name]}: {name}\n    {change(name)[1]}\n    {why or 'unjudged'}")
    equivalent = sum(why is not None for why in reasons.values())
    total, caught = len(found), len(found) - len(reasons)
    low, high = wilson(caught, total)
    print(f"{caught} of {total} caught: {caught / total:.1%}, 99 % interval {low:.1%} to {high:.1%}")
    print(f"survivors: {equivalent} equivalent, {len(reasons) - equivalent} unjudged")
    low, high = wilson(caught, total - equivalent)
    print(
        f"without the equivalent: {caught / (total - equivalent):.1%}, 99 % interval {low:.1%} to {high:.1%}"
    )


def main():
    """Run mutmut on all mutants, on those that match the names given, or on a random sample."""
    parser = argparse.ArgumentParser(prog="nox -s mutation --", description=main.__doc__)
    parser.add_argument("names", nargs="*", help='such as "mlpreport.derivation.stable*"')
    parser.add_argument("--sample", type=int, help="how many mutants to draw")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=1)
    arguments = parser.parse_args()
    names = drawn(arguments.sample, arguments.seed) if arguments.sample else arguments.names
    mutmut = Path(sys.executable).with_name("mutmut")
    subprocess.run([mutmut, "run", f"--max-children={arguments.workers}", *names], check=True)
    chosen = set(names) if arguments.sample else results()
    report(
        {
            name: status_by_exit_code[code]
            for name, code in results().items()
            if name in chosen and code is not None
        }
    )


if __name__ == "__main__":
    main()
