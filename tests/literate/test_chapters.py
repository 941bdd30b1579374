"""Pages of one site together: citations, references, notebooks, and what need not run again."""

import json
from pathlib import Path

import pytest

from mlpreport.errors import PageError
from mlpreport.literate import Run
from mlpreport.literate.chapters import Sources, compose
from mlpreport.literate.verdicts import MIME, find_verdicts

BIBTEX = "@misc{curie1898, author={Curie, Marie}, title={Rayons}, year={1898}}"
REFERENCES = "# References\n\n<!-- bibliography -->\n"

pytestmark = pytest.mark.usefixtures("libraries")


def _sources(pages: dict[str, str]) -> Sources:
    return Sources(
        pages | {"references.md": REFERENCES}, {"a/1.md": "One"}, BIBTEX, "my.bib", "references.md"
    )


def _compose(pages: dict[str, str], **options: object):
    arguments = {"workers": 1, "cwd": Path.cwd(), "earlier": {}} | options
    return compose(_sources(pages), **arguments)


def test_citations_link_from_any_folder_to_the_list_and_back() -> None:
    chapters = _compose({"a/1.md": "# 1\n\nSee [@curie1898].\n"})
    assert "](../references.md#ref-curie1898)" in chapters.markdown["a/1.md"]
    assert "[One](a/1.md#cite-curie1898)" in chapters.markdown["references.md"]
    assert 'id="ref-curie1898"' in chapters.markdown["references.md"]


@pytest.mark.parametrize(
    ("head", "title"),
    [
        ("---\ntitle: Given\n---\n# One\n", "Given"),
        ("Text.\n\n## Not this\n\n# `{python} 2`. [Two](3.md) *x* {#sec-a .b}\n", "2. Two *x*"),
        ("`{python} 3` underlined\n===\n", "3 underlined"),
        ("No heading.\n\n```text\n# comment\n```\n", "2.md"),
    ],
)
def test_a_page_without_a_name_in_the_navigation_is_named_by_its_title(head: str, title: str) -> None:
    chapters = _compose({"2.md": f"{head}\nSee [@curie1898].\n", "3.md": ""})
    assert f"Cited in [{title}](2.md#cite-curie1898)." in chapters.markdown["references.md"]


def test_a_page_with_cells_offers_its_notebook_and_others_do_not() -> None:
    chapters = _compose({"1.md": "# 1\n\n```python\n6 * 7\n```\n\nSo [@curie1898].\n", "2.md": "# 2\n"})
    assert "(1.ipynb)" in chapters.markdown["1.md"]
    assert "ipynb" not in chapters.markdown["2.md"]
    assert [name for name in chapters.files if name.endswith(".ipynb")] == ["1.ipynb"]
    cells = json.loads(chapters.files["1.ipynb"])["cells"]
    assert cells[1]["outputs"][0]["data"]["text/plain"] == "42"
    assert cells[2]["source"] == "So [1]."


def test_a_citation_that_a_cell_prints_is_linked_too() -> None:
    cell = "from IPython.display import Markdown\nMarkdown('Found by [@' + 'curie1898].')"
    chapters = _compose({"1.md": f"```python\n{cell}\n```\n"})
    assert "references.md#ref-curie1898" in chapters.markdown["1.md"]


@pytest.mark.parametrize("shown", ["[@nobody]", "[@" + "curie1898]"])
def test_data_that_a_cell_shows_is_not_searched_for_citations(shown: str) -> None:
    code = f"display(HTML('<p>{shown}</p>'), Latex('$a$ {shown}'))\n'{shown}'"
    page = f"```python\n#| echo: false\nfrom IPython.display import HTML, Latex\n{code}\n```\n"
    assert _compose({"1.md": page}).markdown["1.md"].count(shown) == 3


def test_an_unknown_source_in_what_a_cell_shows_is_told_with_the_line_of_the_cell() -> None:
    page = "one\n\n```python\nfrom IPython.display import Markdown\nMarkdown('[@nobody]')\n```\n"
    with pytest.raises(PageError, match=r"^1\.md:3: there is no reference @nobody"):
        _compose({"1.md": page})


def test_lists_stand_where_a_page_asks_for_them_and_not_where_it_explains_that() -> None:
    shown = "Write `<!-- bibliography -->` or\n\n```html\n<!-- verdicts -->\n```\n\n"
    chapters = _compose({"1.md": shown + "- <!-- bibliography -->\n"})
    assert chapters.markdown["1.md"].startswith(shown)
    assert chapters.markdown["1.md"].count('id="ref-curie1898"') == 1


JUDGES = """
```python
from mlpreport.claims import judge
judge("hanin-sellke")
```
"""


@pytest.mark.thorough
def test_verdicts_of_all_pages_are_listed_by_section_with_links() -> None:
    first, second = JUDGES.replace("hanin-sellke", "softmax-amplifies"), JUDGES
    chapters = _compose(
        {"a/1.md": second + first, "2.md": "# Two\n" + second, "list.md": "# All\n\n<!-- verdicts -->\n"}
    )
    count, *table = chapters.markdown["list.md"].splitlines()[2:]
    outcomes = ("partly", "not testable")
    partly, untestable = (f'<span class="verdict {n.replace(" ", "-")}">{n}</span>' for n in outcomes)
    assert count == f"2 claims of the report are judged: 1 {partly}, 1 {untestable}."
    softmax, hanin = table[3:]
    assert softmax.startswith("| 1.1 | Softmax raises")
    assert softmax.endswith(f" [One](a/1.md#claim-softmax-amplifies) | {partly} |")
    assert hanin.endswith(
        f" [One](a/1.md#claim-hanin-sellke), [Two](2.md#claim-hanin-sellke) | {untestable} |"
    )
    assert 'id="claim-hanin-sellke"' in chapters.markdown["2.md"]


def test_claims_of_our_own_come_last() -> None:
    claims = [("ours", ""), ("late", "2.10"), ("early", "2.9")]
    data = [{MIME: {"anchor": n, "section": s, "statement": "", "outcome": "partly"}} for n, s in claims]
    run = Run("", ([{"output_type": "display_data", "data": bundle} for bundle in data],), (), {}, 0.0)
    assert [judged.anchor for judged in find_verdicts({"1.md": run})] == ["early", "late", "ours"]


def test_only_changed_pages_run_again() -> None:
    ran: list[str] = []
    pages = {"1.md": "```python\n1\n```\n", "2.md": "`{python} 2`\n"}
    earlier = _compose(pages).runs
    pages["1.md"] = "Other words.\n\n" + pages["1.md"]
    pages["2.md"] = "`{python} 3`\n"
    chapters = _compose(pages, earlier=earlier, on_done=lambda page, _: ran.append(page.name))
    assert ran == ["2.md"]
    assert chapters.markdown["1.md"].startswith("Other words.")


@pytest.mark.parametrize(
    ("page", "message"),
    [
        ("one\n\n[@marie]", r"1\.md:3: .*@marie.*@curie1898"),
        ("one\n\n```python\n1 / 0\n```\n", r"1\.md:4.*ZeroDivisionError"),
    ],
)
def test_a_page_that_cannot_be_built_is_named(page: str, message: str) -> None:
    with pytest.raises(PageError, match=message):
        _compose({"1.md": page})
