"""Numbers of figures, equations, tables and sections over all pages, and the references to them."""

import posixpath
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import count

from mlpreport.errors import PageError
from mlpreport.literate.inline import outside_code
from mlpreport.literate.page import Kind, Label, Page

# Not inside words and addresses (me@fig-x.org), paths, or citations [@key].
_REFERENCE = re.compile(r"(?<![\w@/.\[;&-])(?P<escape>\\?)@(?P<label>(?:fig|eq|tbl|sec)-\w(?:[\w-]*\w)?)")
_IN_CITATION = re.compile(r"\[@[^\]\n]*\]")
_TITLE_NUMBER = re.compile(r"(?P<number>\d+(?:\.\d+)*)\.?\s")


Rewrite = Callable[[str, int], str]
"""Rewrites what stands for something else, such as citations, in a text that begins at a line of its page."""


@dataclass(frozen=True)
class Reference:
    """What a label stands for: its kind, its number, where it is, and the words that refer to it ("Figure 3")."""

    kind: Kind
    number: str
    page: str
    anchor: str
    text: str


def number(pages: Iterable[Page]) -> dict[str, Reference]:
    """Give the labels of `pages`, in the order of navigation, their numbers; one used twice is a `PageError`."""
    numbering: dict[str, Reference] = {}
    places: dict[str, str] = {}
    counters = {kind: count(1) for kind in ("fig", "eq", "tbl")}
    for page in pages:
        for label in page.labels:
            place = f"{page.name}:{label.line}"
            if label.name in places:
                message = (
                    f"{place}: the label {label.name!r} is already used at {places[label.name]}; rename one"
                )
                raise PageError(message)
            places[label.name] = place
            numbering[label.name] = _reference(label, page.name, counters)
    return numbering


def _reference(label: Label, page: str, counters: Mapping[str, "count[int]"]) -> Reference:
    if label.kind == "sec":
        title = _TITLE_NUMBER.match(label.title)
        here = title["number"] if title else ""
        return Reference("sec", here, page, label.name, f"Section {here or f'“{label.title}”'}")
    here = str(next(counters[label.kind]))
    text = {"fig": f"Figure {here}", "tbl": f"Table {here}", "eq": f"Equation ({here})"}[label.kind]
    return Reference(label.kind, here, page, label.name, text)


def resolve(
    text: str,
    numbering: Mapping[str, Reference],
    *,
    page: str,
    line: int,
    show: Callable[[Reference, str], str],
) -> str:
    """Replace each `@label` in `text`, outside of code, by what `show` makes of its Reference and `page`.

    An unknown label is a `PageError` that names its line, counted from `line` at the start of `text`.
    """

    def link(match: re.Match[str]) -> str:
        if match["escape"]:
            return f"@{match['label']}"
        if match["label"] not in numbering:
            near = get_close_matches(match["label"], numbering, n=1)
            hint = f"did you mean @{near[0]}?" if near else "label what it refers to"
            message = f"{page}:{_line_of(match[0], text, line)}: unknown reference {match[0]}; {hint}"
            raise PageError(message)
        return show(numbering[match["label"]], page)

    return outside_code(
        text, lambda stretch: _outside_citations(stretch, lambda part: _REFERENCE.sub(link, part))
    )


def as_link(reference: Reference, page: str) -> str:
    """Write a reference from `page` as a Markdown link that MkDocs resolves and validates."""
    path = "" if reference.page == page else posixpath.relpath(reference.page, posixpath.dirname(page) or ".")
    return f"[{reference.text}]({path}#{reference.anchor})"


def as_words(reference: Reference, page: str) -> str:  # noqa: ARG001  # the form that resolve() calls
    """Write a reference in plain words, for the notebook."""
    return reference.text


def _outside_citations(text: str, change: Callable[[str], str]) -> str:
    parts, end = [], 0
    for citation in _IN_CITATION.finditer(text):
        parts += [change(text[end : citation.start()]), citation[0]]
        end = citation.end()
    return "".join([*parts, change(text[end:])])


def _line_of(reference: str, text: str, line: int) -> int:
    return line + text.count("\n", 0, max(text.find(reference), 0))
