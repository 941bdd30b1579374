"""All pages of a site at once: run, woven, their citations numbered across them."""

import hashlib
import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mlpreport.literate.bibliography import (
    MARKER,
    cite,
    cite_plainly,
    find_citations,
    list_references,
    number_references,
    read_references,
)
from mlpreport.literate.execution import Run, execute
from mlpreport.literate.page import Cell, Page, parse
from mlpreport.literate.references import Reference, number
from mlpreport.literate.weave import Woven, weave

_TITLE = re.compile(r"^# +(?P<title>.+?)(?:[ \t]*\{[^}\n]*\})?[ \t]*$", re.MULTILINE)


@dataclass(frozen=True)
class Sources:
    """What a site is made of: the text of each Markdown page by name, in reading order, and the bibliography.

    `references_page` is the name of the page on which the entries of the BibTeX file `bibtex` are listed.
    """

    pages: Mapping[str, str]
    bibtex: str
    bibtex_name: str
    references_page: str


@dataclass(frozen=True)
class Chapters:
    """Pages ready to be rendered, Markdown and generated files by name, with the Pages and Runs behind them."""

    markdown: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, bytes] = field(default_factory=dict)
    pages: Mapping[str, Page] = field(default_factory=dict)
    runs: Mapping[str, Run] = field(default_factory=dict)


def compose(sources: Sources, *, workers: int, cwd: Path, earlier: Chapters) -> Chapters:
    """Run and weave the pages, `workers` at a time, in the folder `cwd`.

    A page whose code and whose imported modules of mlpreport are as in the `earlier` Chapters does not run again.

    Raises
    ------
    PageError
        For the first page that cannot be built; the message names page and line.
    """
    pages = {name: parse(text, name) for name, text in sources.pages.items()}
    numbering = number(pages.values())
    references = read_references(sources.bibtex, sources.bibtex_name)
    numbers = number_references(sources.pages, references)
    runs = _run(pages, earlier, workers=workers, cwd=cwd)
    woven = {name: _weave(page, runs[name], numbering, numbers) for name, page in pages.items()}
    listing = list_references(references, numbers, _cited_on(sources))
    markdown = {
        name: _cited(name, result.markdown, numbers, sources.references_page).replace(MARKER, listing)
        + (_download(result) if pages[name].cells else "")
        for name, result in woven.items()
    }
    files = {
        file: content
        for name, result in woven.items()
        for file, content in result.files.items()
        if pages[name].cells or file != result.notebook
    }
    return Chapters(markdown, files, pages, runs)


def _run(pages: Mapping[str, Page], earlier: Chapters, *, workers: int, cwd: Path) -> dict[str, Run]:
    kept = {name: earlier.runs[name] for name, page in pages.items() if _is_current(page, earlier)}
    return kept | execute(
        [page for name, page in pages.items() if name not in kept], workers=workers, cwd=cwd
    )


def _is_current(page: Page, earlier: Chapters) -> bool:
    if page.name not in earlier.runs or _code(page) != _code(earlier.pages[page.name]):
        return False
    return all(_digest(Path(file)) == digest for file, digest in earlier.runs[page.name].modules.items())


def _code(page: Page) -> list[str]:
    return [step.source if isinstance(step, Cell) else step.expression for step in page.steps]


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else ""


def _weave(page: Page, run: Run, numbering: Mapping[str, Reference], numbers: Mapping[str, int]) -> Woven:
    return weave(
        page, run, numbering, plain_citations=lambda text: cite_plainly(text, numbers, page=page.name)
    )


def _cited(name: str, markdown: str, numbers: Mapping[str, int], references_page: str) -> str:
    return cite(markdown, numbers, page=name, target=_relative(references_page, name))


def _download(woven: Woven) -> str:
    return f"\n\n[Download this page as a notebook]({posixpath.basename(woven.notebook)}){{ .download download='' }}\n"


def _cited_on(sources: Sources) -> dict[str, dict[str, str]]:
    """Map each cited key to the titles of the pages that cite it, each with its path from the list of references."""
    places: dict[str, dict[str, str]] = {}
    for name, text in sources.pages.items():
        title = _TITLE.search(text)
        for citation in find_citations(text, name):
            here = places.setdefault(citation.key, {})
            here[title["title"] if title else name] = _relative(name, sources.references_page)
    return places


def _relative(name: str, page: str) -> str:
    return posixpath.relpath(name, posixpath.dirname(page) or ".")
