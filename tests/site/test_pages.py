"""What must hold on every page, read from its HTML."""

import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

FETCHED = {
    "script": ("src",), "img": ("src", "srcset"), "iframe": ("src",), "source": ("src", "srcset"),
    "object": ("data",), "embed": ("src",), "video": ("src", "poster"), "audio": ("src",), "link": ("href",),
}  # fmt: skip
NOT_FETCHED = {"canonical", "next", "prev"}
CSS_URL = re.compile(r"(?:url\(|@import\s+)[\"']?([^\"')\s;]+)")
VERBATIM = ("script", "style", "code", "pre", "math", "svg", "textarea")
VOID = ("img", "br", "hr", "input", "link", "meta", "source", "wbr", "path", "embed", "col", "area")


class Document(HTMLParser):
    """The elements of a page with their attributes, and its text outside of code and formulas."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.text: list[str] = []
        self._open: list[str] = []
        self.feed(file.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag):
        if tag in self._open:
            while self._open.pop() != tag:
                pass

    def handle_data(self, data):
        if not any(tag in VERBATIM for tag in self._open):
            self.text.append(data)

    def attributes(self, name: str) -> list[str]:
        return [attributes[name] for _, attributes in self.elements if name in attributes]


@pytest.fixture(name="pages")
def _pages(site: Path) -> dict[str, Document]:
    return {str(file.relative_to(site)): Document(file) for file in sorted(site.rglob("*.html"))}


def test_the_site_has_its_pages(pages: dict[str, Document]) -> None:
    assert {"index.html", "references.html", "api.html", "404.html"} <= pages.keys()


def test_every_image_has_alternative_text(pages: dict[str, Document]) -> None:
    images = [(page, a) for page, document in pages.items() for tag, a in document.elements if tag == "img"]
    assert images
    assert [(page, a["src"][:80]) for page, a in images if not a.get("alt", "").strip()] == []


def test_nothing_is_fetched_from_elsewhere(site: Path, pages: dict[str, Document]) -> None:
    fetched = [
        (page, attributes[name])
        for page, document in pages.items()
        for tag, attributes in document.elements
        for name in FETCHED.get(tag, ())
        if name in attributes and not NOT_FETCHED & set(attributes.get("rel", "").split())
    ]
    styles = [(str(f.relative_to(site)), f.read_text(encoding="utf-8")) for f in site.rglob("*.css")]
    styles += [(page, style) for page, document in pages.items() for style in document.attributes("style")]
    fetched += [
        (name, url)
        for name, css in styles
        for url in re.findall(r"(?:url\(|@import\s+)[\"']?([^\"')\s;]+)", css)
    ]
    assert [(page, url) for page, url in fetched if re.match(r"(?:https?:)?//", url)] == []


def test_pages_carry_no_styles_or_scripts_of_their_own(pages: dict[str, Document]) -> None:
    """Those of mkdocs-jupyter are 575 KB a page; the theme itself has a few lines of each."""
    sizes = [len(document.rawdata) for document in pages.values()]
    assert max(sizes) < 1_000_000
    assert not [
        page for page, document in pages.items() if "jp-Notebook" in " ".join(document.attributes("class"))
    ]


def test_all_mathematics_is_mathml(pages: dict[str, Document]) -> None:
    formula = re.compile(r"\$[^\s$][^$]*\$|\\[(\[]|\\begin\{")
    left = {page: formula.findall("".join(document.text)) for page, document in pages.items()}
    assert {page: formulas for page, formulas in left.items() if formulas} == {}
    assert any(tag == "math" for document in pages.values() for tag, _ in document.elements)


def test_every_page_has_one_title_and_a_language(pages: dict[str, Document]) -> None:
    for page, document in pages.items():
        tags = [tag for tag, _ in document.elements]
        assert tags.count("h1") == 1, page
        assert dict(document.elements)["html"]["lang"] == "en", page


def test_dialogs_have_names(pages: dict[str, Document]) -> None:
    dialogs = [
        (page, attributes)
        for page, document in pages.items()
        for _, attributes in document.elements
        if attributes.get("role") == "dialog"
    ]
    assert dialogs
    assert [page for page, attributes in dialogs if not attributes.get("aria-label")] == []


def test_ids_are_unique(pages: dict[str, Document]) -> None:
    for page, document in pages.items():
        ids = document.attributes("id")
        assert sorted(ids) == sorted(set(ids)), page


def test_every_link_within_the_site_leads_somewhere(site: Path, pages: dict[str, Document]) -> None:
    anchors = {
        page: {*document.attributes("id"), *document.attributes("name")} for page, document in pages.items()
    }
    broken = []
    for page in pages.keys() - {"404.html"}:
        for href in pages[page].attributes("href"):
            url = urlsplit(href)
            if url.scheme or url.netloc:
                continue
            target = (site / page).parent.joinpath(unquote(url.path)) if url.path else site / page
            name = str(target.resolve().relative_to(site.resolve()))
            if not target.is_file() or (
                url.fragment and url.fragment not in anchors.get(name, {url.fragment})
            ):
                broken.append((page, href))
    assert broken == []


def test_notebooks_of_the_pages_are_offered_and_there(site: Path, pages: dict[str, Document]) -> None:
    downloads = [
        (site / page).parent / attributes["href"]
        for page, document in pages.items()
        for _, attributes in document.elements
        if "download" in attributes
    ]
    assert downloads
    assert all(file.is_file() for file in downloads)
