"""Results as Markdown tables; nothing is computed here that a Result does not hold."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter

import numpy as np

from mlpreport.results import Baseline, EnsembleRecord, Result


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
        rule = ("--:" if all(map(_is_number, column)) else "---" for column in columns)
        return "\n".join("| " + " | ".join(cells) + " |" for cells in (self.header, rule, *self.rows))


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> Table:
    """Make a Table; numbers are shown with four significant digits, everything else as its text."""
    return Table(tuple(header), tuple(tuple(_cell(value) for value in row) for row in rows))


def _is_number(cell: str) -> bool:
    # "55.5 %", "1e-3" and "12 to 34 %" are numbers as far as setting them flush right goes.
    return all(character in "0123456789.,+-eto%\N{NO-BREAK SPACE} " for character in cell)


def _cell(value: object) -> str:
    return f"{value:#.4g}" if isinstance(value, float | np.floating) else str(value)


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
    reasons = sorted({reason for record in result.records for reason in record.stop_reasons})
    header = ("network", "restarts", "best training MSE", "median training MSE", "median test MSE", *reasons)
    return table(header, (_spread(record, reasons) for record in result.records))


def _spread(record: EnsembleRecord, reasons: Sequence[str]) -> tuple[object, ...]:
    medians = (float(np.median(record.losses)), float(np.median(record.test_losses)))
    return (record.label, len(record.losses), record.loss, *medians, *map(record.stop_reasons.count, reasons))


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
    """Tabulate the `most` frequent optima of one architecture, lowest loss first."""
    found = sorted(result.record(label).optima, key=lambda optimum: -optimum.count)[:most]
    header = ("training MSE", "test MSE", "restarts", "share", "99 % interval", "parameter norm")
    return table(
        header,
        (
            (
                f"{optimum.loss:.6f}",
                optimum.test_loss,
                optimum.count,
                f"{100 * optimum.share:.1f}\N{NO-BREAK SPACE}%",
                "{:.1f} to {:.1f}\N{NO-BREAK SPACE}%".format(
                    *(100 * bound for bound in optimum.share_interval)
                ),
                optimum.parameter_norm,
            )
            for optimum in sorted(found, key=lambda optimum: optimum.loss)
        ),
    )
