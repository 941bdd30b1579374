"""Citations: ``[@key]`` and ``[@one; @two, section 3]`` in prose become numbers linked to the references.

Numbers follow the order in which the pages, read from the first to the last, cite the sources; sources that no
page cites come after them in the order of the BibTeX file.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches

from pybtex.backends.html import Backend
from pybtex.database import Entry, parse_string
from pybtex.exceptions import PybtexError
from pybtex.style.formatting.unsrt import Style

from mlpreport.checks import nearest
from mlpreport.errors import PageError
from mlpreport.literate.inline import Template, without_code
from mlpreport.literate.page import CITATIONS, Cell, Page, Prose
from mlpreport.literate.references import Rewrite

MARKER = "<!-- bibliography -->"
_TYPES = sorted(match[1] for way in dir(Style) if (match := re.fullmatch("get_([a-z]+)_template", way)))
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
        When the file is not BibTeX, repeats a key or has an entry of unknown type or without a field it needs; the
        message names the file and the reason.
    """
    try:
        entries = parse_string(text, "bibtex").entries
        for entry in entries.values():
            _check_type(entry, name)
            entry.fields.update({field: _plain(field, value) for field, value in entry.fields.items()})
        formatted = Style().format_entries(entries.values())
        return {entry.key: _as_it_is(entry.text.render(Backend())) for entry in formatted}
    except PybtexError as error:
        message = f"{name}: {error}; correct the BibTeX entry"
        raise PageError(message) from error


def _plain(field: str, value: str) -> str:
    """Replace the commands that BibTeX files have and pybtex prints as they are: TeX's own names, and addresses."""
    value = re.sub(r"\\((?:La|Bib)?TeX)\b(?:\{\}|\\(?= ))?", r"{\1}", value)
    percent = "%" if field.lower() == "url" else r"\%"
    value = re.sub(
        r"\\url\s*\{([^{}]*)\}", lambda url: url[1].replace("%", percent).replace("~", f"{percent}7E"), value
    )
    return value.replace("~", "%7E") if field.lower() == "url" else value


def _as_it_is(html: str) -> str:
    """Write what Markdown would take for marks in another way."""
    return re.sub(r"[*_`\[\]\\~^]", lambda mark: f"&#{ord(mark[0])};", html)


def _check_type(entry: Entry, name: str) -> None:
    if entry.type not in _TYPES:
        hint = nearest(entry.type, _TYPES) or f"the types are {', '.join(_TYPES)}"
        message = f"{name}: the entry {entry.key!r} is of the unknown type @{entry.type}; {hint}"
        raise PageError(message)


def find_citations(page: Page) -> list[Citation]:
    """List the citations in the prose and captions of a page, leaving code and comments alone."""
    return [
        citation
        for text, line in _said(page)
        for group in CITATIONS.finditer(without_code(text))
        for citation in _read_group(group, text, page.name, line)
    ]


def number_references(pages: Iterable[Page], references: Mapping[str, str]) -> dict[str, int]:
    """Assign numbers to the sources in the order in which the pages, in reading order, cite them.

    Raises
    ------
    PageError
        When a page cites a key that is not among the references; the message names page, line and nearest key.
    """
    cited = [(page.name, citation) for page in pages for citation in find_citations(page)]
    for page, citation in cited:
        _check(citation, references, page)
    order = dict.fromkeys([citation.key for _, citation in cited] + list(references))
    return {key: number for number, key in enumerate(order, start=1)}


def citing(numbers: Mapping[str, int], *, page: str, target: str) -> Rewrite:
    """Replace the citations in texts of `page`, in their order, by numbered Markdown links into the page `target`.

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
    return _replacing(numbers, page, r"\[{}]", link)


def citing_plainly(numbers: Mapping[str, int], *, page: str) -> Rewrite:
    """Replace the citations in texts of `page` by their numbers in brackets, without links, as in its notebook."""

    def show(citation: Citation) -> str:
        return f"{numbers[citation.key]}{citation.place}"

    return _replacing(numbers, page, "[{}]", show)


def list_references(
    references: Mapping[str, str], numbers: Mapping[str, int], cited_on: Mapping[str, Mapping[str, str]]
) -> str:
    """Write the numbered list of references as Markdown with HTML; `cited_on` maps key to {title: page}."""
    items = [
        f'<li id="ref-{key}" markdown="span">{references[key]}{_back_links(key, cited_on.get(key, {}))}</li>'
        for key in sorted(references, key=lambda key: numbers[key])
    ]
    return "\n".join(['<ol class="references" markdown="1">', *items, "</ol>"])


def _said(page: Page) -> Iterator[tuple[str, int]]:
    """Give prose and captions, each with its line, without their inline values."""
    for block in page.blocks:
        if isinstance(block, Prose):
            yield _words(block.template), block.line
        elif isinstance(block, Cell):
            yield _words(block.options.caption), block.caption_line


def _words(template: Template) -> str:
    return "".join(part for part in template if isinstance(part, str))


def _read_group(group: re.Match[str], text: str, page: str, line: int) -> list[Citation]:
    """Read the citations of `group`, found in `text` that begins at `line` of `page`."""
    here = line + text.count("\n", 0, group.start())
    matches = [(part, _ITEM.fullmatch(part)) for part in group["items"].split(";")]
    for part, match in matches:
        if match is None:
            message = f"{page}:{here}: the citation {part.strip()!r} is not understood; write [@key] or [@key, place]"
            raise PageError(message)
    return [Citation(match["key"], match["locator"] or "", here) for _, match in matches if match is not None]


def _back_links(key: str, pages: Mapping[str, str]) -> str:
    links = ", ".join(f"[{title}]({page}#cite-{key})" for title, page in pages.items())
    return f' <span class="cited-on">Cited in {links}.</span>' if links else ""


def _replacing(
    numbers: Mapping[str, int], page: str, enclose: str, show: Callable[[Citation], str]
) -> Rewrite:
    def replace(text: str, line: int) -> str:
        pieces, end = [], 0
        for group in CITATIONS.finditer(without_code(text)):
            citations = _read_group(group, text, page, line)
            for citation in citations:
                _check(citation, numbers, page)
            pieces += [text[end : group.start()], enclose.format("; ".join(map(show, citations)))]
            end = group.end()
        return "".join([*pieces, text[end:]])

    return replace


def _check(citation: Citation, known: Mapping[str, object], page: str) -> None:
    if citation.key not in known:
        nearest = get_close_matches(citation.key, known, n=1, cutoff=0.0)
        advice = f"did you mean @{nearest[0]}? Otherwise" if nearest else "the bibliography is empty:"
        where = f"{page}:{citation.line}"
        message = f"{where}: there is no reference @{citation.key}; {advice} add it to the BibTeX file"
        raise PageError(message)
