"""The last measurement of speed: a frozen record of what `nox -s bench -- --write` wrote, shipped with the package."""

import json
from dataclasses import dataclass, fields
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

from mlpreport.checks import checked_name
from mlpreport.errors import InvalidInputError

SHIPPED = Path(__file__).with_name("benchmark.json")


@dataclass(frozen=True)
class Entry:
    """One method on one architecture: CPU time per restart (ms) and the share of restarts that reach the target.

    `expected` is the expected running time in ms, time over share, None if no restart got there; `share_interval` is
    Wilson's 99 % interval; `family` is "report", "ours" or "peer".
    """

    method: str
    family: str
    stops: str
    settings: dict[str, Any]
    restarts: int
    milliseconds: float
    share: float
    share_interval: tuple[float, float]
    lowest: float
    expected: float | None


@dataclass(frozen=True)
class Contest:
    """All methods on one architecture, and the training MSE that counts as success with the rule that gave it."""

    architecture: str
    target: float
    rule: str
    entries: tuple[Entry, ...]

    def best(self, family: str) -> Entry:
        """Return the entry of least expected running time in a family."""
        reached = [entry for entry in self.entries if entry.family == family and entry.expected is not None]
        if not reached:
            message = f"no method of family {family!r} reached {self.target:g} at {self.architecture}; measure longer"
            raise InvalidInputError(message)
        return min(reached, key=lambda entry: entry.expected or 0.0)

    def ratio(self, family: str) -> float:
        """Return how many times as long the best of a family is expected to run as our best."""
        return (self.best(family).expected or 0.0) / (self.best("ours").expected or 1.0)


@dataclass(frozen=True)
class Limit:
    """What an iteration of ours costs and could cost: work, ns measured, ns at the machine's throughput."""

    architecture: str
    method: str
    exponentials: int
    flops: int
    nanoseconds: float
    least_nanoseconds: float

    @property
    def fraction(self) -> float:
        """Part of the limit that is reached."""
        return self.least_nanoseconds / self.nanoseconds


@dataclass(frozen=True)
class Scaling:
    """Restarts of the two-unit network per second of one thread, and the peak memory (MB), at a number of restarts."""

    restarts: int
    per_second: float
    peak_megabytes: float


@dataclass(frozen=True)
class Machine:
    """The kind of machine: processor family, cores, widest vector instructions, and its throughput per ns."""

    processor: str
    cores: int
    instructions: str
    exponentials: float
    flops: float


@dataclass(frozen=True)
class Benchmark:
    """Everything one run measured; compile times and the time of 10,000 restarts on all cores in seconds."""

    date: str
    machine: Machine
    versions: dict[str, str]
    contests: tuple[Contest, ...]
    limits: tuple[Limit, ...]
    scaling: tuple[Scaling, ...]
    compile_cold: float
    compile_warm: float
    ten_thousand: float

    def contest(self, architecture: str) -> Contest:
        """Return the contest on an architecture, such as "[3,5,4]"."""
        contests = {contest.architecture: contest for contest in self.contests}
        return contests[checked_name("architecture", architecture, contests)]


def read_benchmark(path: str | Path = SHIPPED) -> Benchmark:
    """Read a measurement; by default the one that is shipped.

    Raises
    ------
    InvalidInputError
        If the file is not there or is not such a record.
    """
    try:
        stored = json.loads(Path(path).read_text("utf-8"))
        benchmark: Benchmark = _decoded(Benchmark, stored)
    except (OSError, ValueError, TypeError, KeyError) as error:
        message = f"{path} is no benchmark ({error!r}); make one with `nox -s bench -- --write`"
        raise InvalidInputError(message) from error
    return benchmark


def _decoded(kind: Any, stored: Any) -> Any:
    """Make a value of this type from JSON, refusing other keys and other types."""
    if isinstance(kind, type) and issubclass(kind, Benchmark | Contest | Entry | Limit | Machine | Scaling):
        hints = get_type_hints(kind)
        if stored.keys() != hints.keys():
            message = f"{kind.__name__} has the fields {', '.join(hints)}, not {', '.join(stored)}"
            raise ValueError(message)
        return kind(**{part.name: _decoded(hints[part.name], stored[part.name]) for part in fields(kind)})
    if get_origin(kind) is tuple:
        return tuple(_decoded(get_args(kind)[0], item) for item in stored)
    if kind is float:
        return float(stored)
    plain = get_args(kind) if isinstance(kind, UnionType) else (get_origin(kind) or kind,)
    if not isinstance(stored, plain):
        message = f"{stored!r} is no {kind}"
        raise TypeError(message)
    return stored
