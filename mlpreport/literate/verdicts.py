"""The list of all verdicts of a site, put together from what its pages judged."""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from mlpreport.literate.execution import Run

MARKER = "<!-- verdicts -->"
MIME = "application/vnd.mlpreport.judgement+json"
"""The form in which a Judgement of mlpreport.claims is among the outputs of a cell, beside its Markdown."""

OUTCOMES = ("reproduced", "partly", "refuted", "not testable")


@dataclass(frozen=True)
class Judged:
    """A claim with its section in the report (or ""), the outcome, and the pages that judged it, at an anchor."""

    anchor: str
    section: str
    statement: str
    outcome: str
    pages: tuple[str, ...]


def find_verdicts(runs: Mapping[str, Run]) -> tuple[Judged, ...]:
    """Gather what the pages judged, in the order of the report's sections; claims without a section come last."""
    found: dict[str, Judged] = {}
    for page, judgement in _judgements(runs):
        earlier = found.get(judgement["anchor"])
        pages = dict.fromkeys((*(earlier.pages if earlier else ()), page))
        found[judgement["anchor"]] = Judged(**judgement, pages=tuple(pages))
    return tuple(sorted(found.values(), key=_place))


def list_verdicts(found: tuple[Judged, ...], link: Callable[[str, str], str]) -> str:
    """Count the verdicts on the report and tabulate all in Markdown; `link` makes a link to an anchor of a page."""
    rows = ["| section | claim, and where it is judged | verdict |", "| --- | --- | --- |"]
    for judged in found:
        places = ", ".join(link(page, judged.anchor) for page in judged.pages)
        rows.append(
            f"| {judged.section or 'ours'} | {judged.statement} {places} | {_badge(judged.outcome)} |"
        )
    return "\n".join([_counted(found), "", *rows])


def _counted(found: tuple[Judged, ...]) -> str:
    counts = Counter(judged.outcome for judged in found if judged.section)
    parts = ", ".join(
        f"{counts[outcome]} {_badge(outcome)}" for outcome in sorted(counts, key=OUTCOMES.index)
    )
    return f"{counts.total()} claims of the report are judged: {parts}."


def _badge(outcome: str) -> str:
    return f'<span class="verdict {outcome.replace(" ", "-")}">{outcome}</span>'


def _judgements(runs: Mapping[str, Run]) -> Iterator[tuple[str, dict[str, str]]]:
    for page, run in runs.items():
        for output in (output for cell in run.outputs for output in cell):
            if MIME in output.get("data", {}):
                yield page, output["data"][MIME]


def _place(judged: Judged) -> tuple[bool, list[int]]:
    return not judged.section, [int(part) for part in re.findall(r"\d+", judged.section)]
