"""All pages of a site at once: run, woven, their citations numbered across them."""

import posixpath
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from mlpreport.literate.bibliography import (
    MARKER,
    citing,
    citing_plainly,
    find_citations,
    list_references,
    number_references,
    read_references,
)
from mlpreport.literate.execution import Run
from mlpreport.literate.filled import titled
from mlpreport.literate.page import Page, Verbatim, parse
from mlpreport.literate.references import number
from mlpreport.literate.reuse import execute_changed
from mlpreport.literate.verdicts import MARKER as VERDICTS
from mlpreport.literate.verdicts import find_verdicts, list_verdicts
from mlpreport.literate.weave import Surroundings, Woven, weave


@dataclass(frozen=True)
class Sources:
    """What a site is made of: the text of each Markdown page by name, in reading order, and the bibliography.

    `titles` has the names that the navigation gives to pages, others are named by their headings;
    `references_page` is the page that lists the entries of `bibtex`.
    """

    pages: Mapping[str, str]
    titles: Mapping[str, str]
    bibtex: str
    bibtex_name: str
    references_page: str


@dataclass(frozen=True)
class Chapters:
    """Pages ready to be rendered, Markdown and generated files by name, with the Runs behind them, and a warning."""

    markdown: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, bytes] = field(default_factory=dict)
    runs: Mapping[str, Run] = field(default_factory=dict)
    warning: str = ""


def compose(
    sources: Sources,
    *,
    workers: int,
    cwd: Path,
    earlier: Mapping[str, Run],
    on_done: Callable[[Page, Run], object] | None = None,
) -> Chapters:
    """Run and weave the pages, `workers` at a time, in the folder `cwd`; `on_done` hears of each that has run.

    A page whose code and whose imported modules of mlpreport are those of its `earlier` Run does not run again.

    Raises
    ------
    PageError
        For the first page that cannot be built; the message names page and line.
    """
    pages = {name: parse(text, name) for name, text in sources.pages.items()}
    number(pages.values())  # a label used twice is told before anything runs
    references = read_references(sources.bibtex, sources.bibtex_name)
    numbers = number_references(pages.values(), references)
    runs = execute_changed(pages.values(), earlier, workers=workers, cwd=cwd, on_done=on_done)
    complete = [titled(page, runs[name]) for name, page in pages.items()]
    numbering = number(complete)
    titles = {page.name: page.title.title for page in complete} | dict(sources.titles)
    listing = list_references(references, numbers, _cited_on(pages, titles, sources.references_page))
    woven = {}
    for name, page in pages.items():
        lists = {MARKER: listing, VERDICTS: _verdicts(name, runs, titles)}
        site = replace(surroundings(name, numbers, sources.references_page), lists=lists)
        woven[name] = weave(page, runs[name], numbering, site)
    return replace(_gathered(pages, woven, runs), warning=_unlisted(pages, sources.references_page))


def _unlisted(pages: Mapping[str, Page], references_page: str) -> str:
    """Tell of the first citation if it links to a list of references that is nowhere."""
    listed = references_page in pages and any(
        isinstance(block, Verbatim) and block.text == MARKER for block in pages[references_page].blocks
    )
    cited = next(((name, found[0]) for name, page in pages.items() if (found := find_citations(page))), None)
    if cited is None or listed:
        return ""
    page, citation = cited
    return (
        f"{page}:{citation.line}: @{citation.key} is cited, but no list of references can be shown: write the line "
        f"{MARKER} in {references_page}, or name the page with the option 'references' in mkdocs.yml"
    )


def _gathered(pages: Mapping[str, Page], woven: Mapping[str, Woven], runs: Mapping[str, Run]) -> Chapters:
    """Put the pages together, those without cells without their notebooks."""
    markdown = {
        name: result.markdown + (_download(result) if pages[name].cells else "")
        for name, result in woven.items()
    }
    files = {
        file: content
        for name, result in woven.items()
        for file, content in result.files.items()
        if pages[name].cells or file != result.notebook
    }
    return Chapters(markdown, files, runs)


def surroundings(page: str, numbers: Mapping[str, int], references_page: str) -> Surroundings:
    """Give `page` the citations of a site whose sources have `numbers` and are listed on `references_page`."""
    target = _relative(references_page, page)
    return Surroundings(citing(numbers, page=page, target=target), citing_plainly(numbers, page=page))


def _verdicts(name: str, runs: Mapping[str, Run], titles: Mapping[str, str]) -> str:
    def link(page: str, anchor: str) -> str:
        return f"[{titles[page]}]({_relative(page, name)}#{anchor})"

    return list_verdicts(find_verdicts(runs), link)


def _download(woven: Woven) -> str:
    return f"\n\n[Download this page as a notebook]({posixpath.basename(woven.notebook)}){{ .download download='' }}\n"


def _cited_on(
    pages: Mapping[str, Page], titles: Mapping[str, str], references_page: str
) -> dict[str, dict[str, str]]:
    """Map each cited key to the titles of the pages that cite it, each with its path from the list of references."""
    places: dict[str, dict[str, str]] = {}
    for name, page in pages.items():
        for citation in find_citations(page) if name != references_page else ():
            places.setdefault(citation.key, {})[titles[name]] = _relative(name, references_page)
    return places


def _relative(name: str, page: str) -> str:
    return posixpath.relpath(name, posixpath.dirname(page) or ".")
