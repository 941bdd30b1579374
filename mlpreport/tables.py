"""Results as Markdown tables; nothing is computed here that a Result does not hold."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from operator import itemgetter

import numpy as np

from mlpreport.benchmark import Benchmark, Contest
from mlpreport.errors import InvalidInputError
from mlpreport.merging import Approach
from mlpreport.numerals import in_print, number
from mlpreport.results import Baseline, EnsembleRecord, Result
from mlpreport.studies import Share, Study, wilson
from mlpreport.training import Ensemble
from mlpreport.training.atlas import Atlas, Entry
from mlpreport.training.certificates import Certificate

NUMERIC = frozenset("0123456789.,+-−%×⁻⁰¹²³⁴⁵⁶⁷⁸⁹\N{NO-BREAK SPACE} ") | {"e", "t", "o"}
"""Characters of numbers, and of the words between them."""


WRITTEN_HERE = frozenset({"torch batched Levenberg–Marquardt", "JAX Levenberg–Marquardt, vmap"})
"""Others of the benchmark that no library has: they were written for it."""


@dataclass(frozen=True)
class Table:
    """Rows of text under a header; a page or a notebook shows it as a Markdown table."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def __str__(self) -> str:
        """Columns of plain text, for a terminal."""
        widths = [max(map(len, column)) for column in zip(self.header, *self.rows, strict=True)]
        lines = [zip(cells, widths, strict=True) for cells in (self.header, *self.rows)]
        return "\n".join("  ".join(cell.ljust(width) for cell, width in line).rstrip() for line in lines)

    def _repr_markdown_(self) -> str:
        columns = zip(*self.rows, strict=True)
        rule = ["--:" if all(map(_is_number, column)) else "---" for column in columns]
        rule = rule or ["---"] * len(self.header)
        return "\n".join("| " + " | ".join(cells) + " |" for cells in (self.header, rule, *self.rows))


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> Table:
    """Make a Table; numbers are shown with four significant digits, everything else as its text."""
    return Table(tuple(header), tuple(tuple(_cell(value) for value in row) for row in rows))


def _is_number(cell: str) -> bool:
    # "55.5 %", "1e-3" and "12 to 34 %" are numbers as far as setting them flush right goes.
    return NUMERIC.issuperset(cell)


def _cell(value: object) -> str:
    return (
        number(value, digits=4) if isinstance(value, int | float | np.integer | np.floating) else str(value)
    )


def errors(result: Result) -> Table:
    """Tabulate training and test MSE of the baselines and of every architecture's best restart."""
    parts: list[tuple[str, Baseline | EnsembleRecord]] = [(part.name, part) for part in result.baselines]
    parts += [(record.label, record) for record in result.records]
    rows = sorted(
        ((name, part.loss, part.test_loss) for name, part in parts), key=itemgetter(1), reverse=True
    )
    return table(("model", "training MSE", "test MSE"), rows)


def restarts(result: Result) -> Table:
    """Tabulate, per architecture, the spread of the errors over all restarts and why how many of them stopped."""
    header = ("network", "restarts", "best training MSE", "median training MSE", "median test MSE", "stopped")
    return table(header, map(_spread, result.records))


def _spread(record: EnsembleRecord) -> tuple[object, ...]:
    medians = (float(np.median(record.losses)), float(np.median(record.test_losses)))
    return (record.label, len(record.losses), record.loss, *medians, _stops(record.stop_reasons))


def _stops(reasons: Sequence[str]) -> str:
    return ", ".join(f"{reasons.count(reason)} {reason}" for reason in sorted(set(reasons)))


def compare(results: Mapping[str, Result], label: str) -> Table:
    """Tabulate one architecture's best errors and median test error in several Results, by name."""
    records = {name: result.record(label) for name, result in results.items()}
    header = (label, "training MSE", "test MSE", "median test MSE")
    return table(
        header,
        (
            (name, record.loss, record.test_loss, float(np.median(record.test_losses)))
            for name, record in records.items()
        ),
    )


def optima(result: Result, label: str, *, most: int) -> Table:
    """Tabulate the `most` frequent optima of one architecture, lowest loss first, each by its lowest member."""
    found = sorted(result.record(label).optima, key=lambda optimum: -optimum.count)[:most]
    header = ("training MSE", "test MSE", "parameter norm", "restarts", "share", "99 % interval")
    return table(
        header,
        (
            (
                f"{optimum.loss:.6f}",
                optimum.test_loss,
                optimum.parameter_norm,
                optimum.count,
                f"{100 * optimum.share:.1f}\N{NO-BREAK SPACE}%",
                "{:.1f} to {:.1f}\N{NO-BREAK SPACE}%".format(
                    *(100 * bound for bound in optimum.share_interval)
                ),
            )
            for optimum in sorted(found, key=lambda optimum: optimum.loss)
        ),
    )


def approaches(found: Mapping[str, Approach]) -> Table:
    """Tabulate, per method, how many restarts came near the limit, how near (medians), and why they stopped."""
    medians = ("median separation", "median parameter norm", "median error above the limit")
    header = ("method", "near the limit", *medians, "stopped")
    return table(header, ((name, *_nearness(part)) for name, part in found.items()))


def _nearness(part: Approach) -> tuple[object, ...]:
    values = (part.separations, part.norms, part.excesses)
    medians = [number(np.median(value), digits=2) if len(value) else "" for value in values]
    near = f"{len(part.norms)} of {part.restarts}".replace(" ", "\N{NO-BREAK SPACE}")
    return (near, *medians, _stops(part.stop_reasons))


def arms(study: Study, names: Mapping[str, str], *, than: str) -> Table:
    """Tabulate arms of a study: median errors of the best of ten, and how often it tests worse than another arm's."""
    header = (
        "trained by",
        "best of ten: median training MSE",
        "best of ten: median test MSE",
        "worse than three units",
        "ten times worse",
    )
    return table(header, ((title, *_arm(study, name, than)) for name, title in names.items()))


def _arm(study: Study, name: str, than: str) -> tuple[object, ...]:
    arm = study[name]
    best = arm.best_of(10)
    medians = (float(np.median(arm.losses[best])), float(np.median(arm.test_losses[best])))
    return (*medians, *(str(study.worse(name, than, factor=factor)) for factor in (1, 10)))


def expected_iterations(found: Mapping[str, Ensemble], *, target: float) -> Table:
    """Tabulate, per method, mean iterations, the share of restarts with a loss of at most `target`, and their ratio."""
    header = ("method", "iterations of a restart", "successes", "iterations until success")
    return table(header, ((name, *_until_success(ensemble, target)) for name, ensemble in found.items()))


def _until_success(ensemble: Ensemble, target: float) -> tuple[object, ...]:
    mean, count = float(np.mean(ensemble.iterations)), int(np.sum(ensemble.losses <= target))
    share = wilson(count, len(ensemble))
    return (f"{mean:.0f}", str(share), f"{mean * share.of / count:.0f}" if count else "never")


def speed(benchmark: Benchmark) -> Table:
    """Tabulate, per architecture, our best method with its expected running time, and how much longer others take.

    Among the others are methods written for the comparison; the last column has libraries only.
    """
    header = (
        "hidden units",
        "best method here",
        "ERT, ms",
        "the report's way takes",
        "the best other takes",
        "the best library takes",
    )
    return table(header, map(_compared, benchmark.contests))


def _compared(contest: Contest) -> tuple[object, ...]:
    ours, report = contest.best("ours"), f"{contest.ratio('report'):.0f} times"
    row = (contest.architecture, ours.method.removeprefix("ours: "), ours.expected, report)
    libraries = tuple(entry for entry in contest.entries if entry.method not in WRITTEN_HERE)
    return (*row, _best_other(contest), _best_other(replace(contest, entries=libraries)))


def _best_other(contest: Contest) -> str:
    if not any(entry.expected for entry in contest.entries if entry.family == "peer"):
        return "none succeeded"
    return f"{contest.ratio('peer'):.1f} times: {contest.best('peer').method}"


def basins(found: Mapping[str, Mapping[str, Share]]) -> Table:
    """Tabulate the share of restarts of each method in each class; the classes are named by their training error."""
    if not found:
        message = "found = {}: there is no class to tabulate; give basin_shares a smaller `least`"
        raise InvalidInputError(message)
    methods = list(next(iter(found.values())))
    return table(("training MSE", *methods), ((name, *shares.values()) for name, shares in found.items()))


def certificates(found: Sequence[Certificate]) -> Table:
    """Tabulate the verdict of each certificate, with its error (of the limit where there is one) and its proof."""
    header = ("training MSE", "verdict", "because")
    return table(header, ((_certified_loss(part), part.verdict, in_print(part.because)) for part in found))


def _certified_loss(part: Certificate) -> str:
    return f"{part.loss if part.limit is None else part.limit.loss:.12f}"


def atlas(atlases: Iterable[Atlas]) -> Table:
    """Tabulate the classes of atlases, lowest first: error (of the limit where there is one), share, verdict."""
    header = ("network", "training MSE", "share of restarts", "99 % interval", "verdict")
    rows = ((part.architecture.label, *_entry(entry)) for part in atlases for entry in part.entries)
    return table(header, rows)


def best_seen(atlases: Iterable[Atlas]) -> Table:
    """Tabulate the lowest restart of each atlas: restarts it was found among, both errors, and norm of parameters."""
    header = ("network", "restarts", "training MSE", "test MSE", "parameter norm")
    lowest = [(part, part.entries[0].certificate) for part in atlases]
    rows = (
        (part.architecture.label, part.restarts, found.loss, found.test_loss, found.parameter_norm)
        for part, found in lowest
    )
    return table(header, rows)


def _entry(entry: Entry) -> tuple[str, ...]:
    low, high = (100 * bound for bound in entry.interval)
    share = f"{100 * entry.share:.1f}\N{NO-BREAK SPACE}%"
    interval = f"{low:.1f} to {high:.1f}\N{NO-BREAK SPACE}%"
    return (_certified_loss(entry.certificate), share, interval, entry.certificate.verdict)
