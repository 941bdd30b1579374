"""Citations: numbering, linking, and the errors an author meets."""

import re
from pathlib import Path

import pytest
from bs4 import BeautifulSoup
from markdown import markdown

from mlpreport.errors import PageError
from mlpreport.literate.bibliography import (
    citing,
    citing_plainly,
    find_citations,
    list_references,
    number_references,
    read_references,
)
from mlpreport.literate.page import parse

BIBTEX = """
@article{curie1898, author={Curie, Marie}, title={Rayons}, journal={Comptes rendus}, volume={126}, year={1898}}
@book{noether1918, author={Noether, Emmy}, title={Invarianten}, publisher={Springer}, year={1918}}
@misc{turing1936, author={Turing, Alan}, title={On computable numbers}, year={1936}}
"""
REFERENCES = read_references(BIBTEX)


def found(text, name="1.md"):
    return find_citations(parse(text, name))


def number(pages):
    return number_references([parse(text, name) for name, text in pages.items()], REFERENCES)


def cite(text, numbers):
    return citing(numbers, page="1.md", target="refs.md")(text, 1)


def test_the_report_s_references_are_all_there() -> None:
    references = read_references(Path("docs/references.bib").read_text(encoding="utf-8"))
    for key, words in {
        "bridle1989": ("Bridle"),
        "cybenko1989": ("Cybenko", "2(4):303", "10.1007/BF02551274"),
        "ding2018": ("Bin Ding", "Huimin Qian", "Jun Zhou"),
        "glorot2010": ("Glorot", "Bengio", "249"),
        "hanin2018": ("Hanin", "Sellke", "1710.11278"),
    }.items():
        assert all(word in references[key] for word in words), key


def test_sources_are_numbered_in_the_order_in_which_pages_cite_them() -> None:
    pages = {"1.md": "See [@turing1936].", "2.md": "[@curie1898; @turing1936]"}
    assert number(pages) == {"turing1936": 1, "curie1898": 2, "noether1918": 3}


def test_citations_become_numbered_links() -> None:
    numbers = {"curie1898": 1, "noether1918": 2}
    text = cite("Shown in [@noether1918, section 3; @curie1898].", numbers)
    assert text == (
        r"Shown in \[[2](refs.md#ref-noether1918){ .citation #cite-noether1918 }, section 3; "
        "[1](refs.md#ref-curie1898){ .citation #cite-curie1898 }]."
    )


def test_a_paragraph_that_is_one_citation_is_no_formula() -> None:
    text = cite("[@curie1898]", {"curie1898": 1})
    html = markdown(text, extensions=["attr_list", "pymdownx.arithmatex"])
    assert re.sub("<[^>]+>", "", html) == "[1]"


def test_brackets_of_a_citation_stay_where_they_are_behind_a_comment() -> None:
    text = cite("<!-- TODO --> As in [@curie1898], so.\n\nEnd", {"curie1898": 1})
    html = markdown(text, extensions=["attr_list"])
    assert re.sub("<[^>]+>", "", html).split() == ["As", "in", "[1],", "so.", "End"]


def test_only_the_first_citation_of_a_page_carries_the_anchor() -> None:
    text = cite("[@curie1898] and [@curie1898]", {"curie1898": 1})
    assert text.count("#cite-curie1898") == 1
    assert text.count("refs.md#ref-curie1898") == 2


SHOWN = [
    "`[@nobody]`",
    "``a ` [@nobody]``",
    "```text\nx = '[@nobody]'\n\n```\n",
    "- item\n\n    ~~~\n    [@nobody]\n\n    ~~~\n",
    "<!-- [@nobody] -->",
    "inline <!-- [@nobody]\n\n --> comment",
    r"\[@nobody]",
    "[@nobody](https://example.org)",
    "mail [a@nobody]",
]


@pytest.mark.parametrize(
    "text", [*SHOWN, "code:\n\n    an indented [@nobody]\n", "```python\n'[@nobody]'\n```\n"]
)
def test_code_comments_and_links_hold_no_citations(text: str) -> None:
    assert found(text) == []


@pytest.mark.parametrize("text", SHOWN)
def test_what_is_shown_as_it_is_stays_as_it_is(text: str) -> None:
    assert cite(text, {}) == text


def test_an_unknown_key_in_what_a_cell_shows_is_told_with_its_line() -> None:
    for rewrite in (citing({"a": 1}, page="1.md", target="r.md"), citing_plainly({"a": 1}, page="1.md")):
        with pytest.raises(PageError, match=r"^1\.md:13: there is no reference @nobody"):
            rewrite("text\n[@nobody]", 12)


def test_a_citation_after_a_fence_is_still_seen_on_its_line() -> None:
    (citation,) = found("```\ncode\n```\n\nAnd [@curie1898].")
    assert (citation.key, citation.line) == ("curie1898", 5)


def test_a_caption_cites_too() -> None:
    cell = "```python\n#| alt: A [@nobody]\n#| caption: As in [@curie1898].\nfigure('[@nobody]')\n```\n"
    assert [(citation.key, citation.line) for citation in found(cell)] == [("curie1898", 3)]


def test_a_citation_may_run_over_the_end_of_a_line() -> None:
    keys = [citation.key for citation in found("as [@curie1898;\n@turing1936] show")]
    assert keys == ["curie1898", "turing1936"]


def test_an_unknown_key_is_named_with_its_page_line_and_nearest_key() -> None:
    with pytest.raises(PageError) as caught:
        number({"1.md": "fine", "2.md": "one\n\ntwo [@curie1889]"})
    message = str(caught.value)
    assert all(part in message for part in ("2.md:3:", "@curie1889", "@curie1898"))


def test_a_citation_that_cannot_be_read_is_named() -> None:
    with pytest.raises(PageError, match=r"1\.md:2: .*curie 1898"):
        found("\n[@curie1898; curie 1898]")


def test_references_are_listed_by_number_with_links_back() -> None:
    numbers = {"turing1936": 1, "curie1898": 2, "noether1918": 3}
    listing = list_references(
        REFERENCES, numbers, {"turing1936": {"1 Models": "1.md", "2.2 Optima": "2-2.md"}}
    )
    assert listing.index("ref-turing1936") < listing.index("ref-curie1898") < listing.index("ref-noether1918")
    assert "Cited in [1 Models](1.md#cite-turing1936), [2.2 Optima](2-2.md#cite-turing1936)." in listing
    assert listing.count("Cited in") == 1


def test_addresses_and_the_names_of_tex_are_shown_as_they_are_meant() -> None:
    entry = r"@misc{one, title={\LaTeX{} for {\TeX}ies}, note={\url{http://a.org/~b/c%20d}}, url={http://x.org/~y}}"
    shown = re.sub("<[^>]*>", "", read_references(entry)["one"])
    assert shown.replace("\n", " ") == "LaTeX for TeXies. http://a.org/%7Eb/c%20d. URL: http://x.org/%7Ey."


def test_entries_are_no_markdown() -> None:
    title = "Of *stars* and [links](x) in a_b_c `code`"
    entry = f"@misc{{a, title={{{title}}}, url={{https://example.org/a_b_c}}}}"
    listing = list_references(read_references(entry), {"a": 1}, {})
    item = BeautifulSoup(markdown(listing, extensions=["md_in_html"]), "html.parser").li
    assert title in item.get_text()
    assert item.a["href"] == "https://example.org/a_b_c"


@pytest.mark.parametrize(
    ("bibtex", "reason"),
    [
        ("@book{a, title={x}", "premature"),
        ("@misc{a, title={x}} @misc{a, title={y}}", "repeated"),
        ("@book{a, title={x}}", "missing"),
        (
            "@novel{curie, title={x}}",
            "the entry 'curie' is of the unknown type @novel; the types are article, book, booklet, dataset, ",
        ),
        ("@artikle{curie, title={x}}", "unknown type @artikle; did you mean 'article'"),
    ],
)
def test_a_faulty_bibtex_file_is_named_with_the_reason(bibtex: str, reason: str) -> None:
    with pytest.raises(PageError, match=rf"mine\.bib: .*{reason}"):
        read_references(bibtex, "mine.bib")
