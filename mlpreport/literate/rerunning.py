"""One page of a site again, with the numbers that its figures, equations and citations have on the site."""

from pathlib import Path

from mlpreport.literate.bibliography import number_references, read_references
from mlpreport.literate.chapters import Sources, surroundings
from mlpreport.literate.execution import execute
from mlpreport.literate.filled import titled
from mlpreport.literate.page import Page, parse
from mlpreport.literate.references import number
from mlpreport.literate.weave import Woven, weave


def places(sources: Sources) -> dict[str, str]:
    """Map each label, and each page as `2-1.md`, `2-1` or `docs/2-1.md`, to the name of its page."""
    pages = {name: parse(text, name) for name, text in sources.pages.items()}
    spelt = {way: name for name in pages for way in (name, name.removesuffix(".md"), f"docs/{name}")}
    return {label: place.page for label, place in number(pages.values()).items()} | spelt


def rerun(sources: Sources, name: str, *, cwd: Path) -> Woven:
    """Run the page `name` in the folder `cwd`, and those whose titles hold values, to which it may refer; weave it."""
    pages = {name: parse(text, name) for name, text in sources.pages.items()}
    numbers = number_references(pages.values(), read_references(sources.bibtex, sources.bibtex_name))
    runs = execute(
        [page for page in pages.values() if page.name == name or _has_computed_title(page)], cwd=cwd
    )
    numbering = number(
        titled(page, runs[page.name]) if page.name in runs else page for page in pages.values()
    )
    return weave(pages[name], runs[name], numbering, surroundings(name, numbers, sources.references_page))


def _has_computed_title(page: Page) -> bool:
    return any("{python}" in label.title for label in page.labels)
