"""Citations: ``[@key]`` and ``[@one; @two, section 3]`` in prose become numbers linked to the references.

Numbers follow the order in which the pages, read from the first to the last, cite the sources; sources that no
page cites come after them in the order of the BibTeX file.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches

from pybtex.backends.html import Backend
from pybtex.database import parse_string
from pybtex.exceptions import PybtexError
from pybtex.style.formatting.unsrt import Style

from mlpreport.errors import PageError
from mlpreport.literate.blocks import split_blocks

MARKER = "<!-- bibliography -->"
_INLINE_CODE = re.compile(r"(?<![\\`])(?P<ticks>`+)(?!`).+?(?<!`)(?P=ticks)(?!`)|<!--.*?-->", re.DOTALL)
_CELL_OPTION = re.compile(r"[ \t>]*#\|")
_GROUP = re.compile(r"(?<!\\)\[(?P<items>@[^\[\]]*)\](?!\()")
_ITEM = re.compile(r"\s*@(?P<key>[\w:./+-]*\w)\s*(?:,\s*(?P<locator>.+?))?\s*", re.DOTALL)


@dataclass(frozen=True)
class Citation:
    """One source cited at one place: its key, the optional locator (`section 3`), and the line of the page."""

    key: str
    locator: str
    line: int

    @property
    def place(self) -> str:
        """What follows the number: a comma and the locator, if there is one."""
        return f", {self.locator}" if self.locator else ""


def read_references(text: str, name: str = "references.bib") -> dict[str, str]:
    """Format every entry of a BibTeX file as HTML, in the file's order.

    Raises
    ------
    PageError
        When the file is not BibTeX, repeats a key or lacks a field; the message names the file and the reason.
    """
    try:
        entries = parse_string(text, "bibtex").entries
        return {entry.key: entry.text.render(Backend()) for entry in Style().format_entries(entries.values())}
    except (PybtexError, AttributeError) as error:
        message = f"{name}: {error}; correct the BibTeX entry"
        raise PageError(message) from error


def find_citations(markdown: str, page: str) -> list[Citation]:
    """List the citations in the prose of a page, leaving code and comments alone."""
    prose = _mask_code(markdown, page)
    return [
        citation
        for group in _GROUP.finditer(prose)
        for citation in _read_group(group["items"], page, 1 + prose.count("\n", 0, group.start()))
    ]


def number_references(pages: Mapping[str, str], references: Mapping[str, str]) -> dict[str, int]:
    """Assign numbers to the sources in the order in which the pages (name to Markdown, in reading order) cite them.

    Raises
    ------
    PageError
        When a page cites a key that is not among the references; the message names page, line and nearest key.
    """
    cited = [(page, citation) for page, text in pages.items() for citation in find_citations(text, page)]
    for page, citation in cited:
        _check(citation, references, page)
    order = dict.fromkeys([citation.key for _, citation in cited] + list(references))
    return {key: number for number, key in enumerate(order, start=1)}


def cite(markdown: str, numbers: Mapping[str, int], *, page: str, target: str) -> str:
    """Replace the citations of a page by numbered Markdown links into the page `target`.

    The first link to each source carries the id ``cite-key``, to which the list of references points back.
    """
    seen: set[str] = set()

    def link(citation: Citation) -> str:
        anchor = "" if citation.key in seen else f" #cite-{citation.key}"
        seen.add(citation.key)
        return (
            f"[{numbers[citation.key]}]({target}#ref-{citation.key}){{ .citation{anchor} }}{citation.place}"
        )

    # Not \[ and \]: a paragraph that is one citation would be a formula.
    return _replace(markdown, numbers, page, lambda links: f"&#91;{links}&#93;", link)


def cite_plainly(markdown: str, numbers: Mapping[str, int], *, page: str) -> str:
    """Replace the citations of a page by their numbers in brackets, without links, as in its notebook."""
    return _replace(
        markdown,
        numbers,
        page,
        lambda items: f"[{items}]",
        lambda citation: f"{numbers[citation.key]}{citation.place}",
    )


def list_references(
    references: Mapping[str, str], numbers: Mapping[str, int], cited_on: Mapping[str, Mapping[str, str]]
) -> str:
    """Write the numbered list of references as Markdown with HTML; `cited_on` maps key to {title: page}."""
    items = [
        f'<li id="ref-{key}" markdown="span">{references[key]}{_back_links(key, cited_on.get(key, {}))}</li>'
        for key in sorted(references, key=lambda key: numbers[key])
    ]
    return "\n".join(['<ol class="references" markdown="1">', *items, "</ol>"])


def _mask_code(markdown: str, page: str) -> str:
    """Blank out code and comments, but not the captions of cells, keeping every other character where it is."""
    lines = markdown.splitlines(keepends=True)
    blocks = split_blocks(markdown, page=page, line=1)
    ends = [block.line - 1 for block in blocks[1:]] + [len(lines)]
    return "".join(
        _mask(block.kind, lines[block.line - 1 : end]) for block, end in zip(blocks, ends, strict=True)
    )


def _mask(kind: str, lines: list[str]) -> str:
    if kind == "prose":
        return _INLINE_CODE.sub(lambda match: _blank(match[0]), "".join(lines))
    return "".join(line if kind == "cell" and _CELL_OPTION.match(line) else _blank(line) for line in lines)


def _blank(text: str) -> str:
    return re.sub(r"[^\n]", " ", text)


def _read_group(items: str, page: str, line: int) -> list[Citation]:
    matches = [(part, _ITEM.fullmatch(part)) for part in items.split(";")]
    for part, match in matches:
        if match is None:
            message = f"{page}:{line}: the citation {part.strip()!r} is not understood; write [@key] or [@key, place]"
            raise PageError(message)
    return [Citation(match["key"], match["locator"] or "", line) for _, match in matches if match is not None]


def _back_links(key: str, pages: Mapping[str, str]) -> str:
    links = ", ".join(f"[{title}]({page}#cite-{key})" for title, page in pages.items())
    return f' <span class="cited-on">Cited in {links}.</span>' if links else ""


def _replace(
    markdown: str,
    numbers: Mapping[str, int],
    page: str,
    enclose: Callable[[str], str],
    show: Callable[[Citation], str],
) -> str:
    prose, pieces, end = _mask_code(markdown, page), [], 0
    for group in _GROUP.finditer(prose):
        citations = _read_group(group["items"], page, 1 + prose.count("\n", 0, group.start()))
        for citation in citations:
            _check(citation, numbers, page)
        pieces += [markdown[end : group.start()], enclose("; ".join(map(show, citations)))]
        end = group.end()
    return "".join([*pieces, markdown[end:]])


def _check(citation: Citation, known: Mapping[str, object], page: str) -> None:
    if citation.key not in known:
        nearest = get_close_matches(citation.key, known, n=1, cutoff=0.0)
        advice = f"did you mean @{nearest[0]}? Otherwise" if nearest else "the bibliography is empty:"
        where = f"{page}:{citation.line}"
        message = f"{where}: there is no reference @{citation.key}; {advice} add it to the BibTeX file"
        raise PageError(message)
