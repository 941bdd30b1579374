import pytest

from mlpreport.errors import PageError
from mlpreport.literate import Run, number, parse
from mlpreport.literate.filled import titled
from mlpreport.literate.references import as_link, as_words, resolve

FIGURE = "```python\n#| label: {}\n#| caption: C\n1\n```\n"


def figures(*labels):
    return "\n".join(FIGURE.format(label) for label in labels)


@pytest.fixture
def numbering():
    pages = {
        "a/1.md": "## 2.1 Optima {#sec-optima}\n\n" + figures("fig-one", "tbl-one", "fig-two"),
        "2.md": "## Method {#sec-method}\n\n$$ x $$ {#eq-x}\n" + figures("fig-three", "eq-cell"),
    }
    return number([parse(text, name) for name, text in pages.items()])


def test_each_kind_is_counted_over_all_pages(numbering):
    assert {name: reference.text for name, reference in numbering.items()} == {
        "sec-optima": "Section 2.1", "fig-one": "Figure 1", "tbl-one": "Table 1", "fig-two": "Figure 2",
        "sec-method": "Section “Method”", "eq-x": "Equation (1)", "fig-three": "Figure 3", "eq-cell": "Equation (2)",
    }  # fmt: skip
    assert (numbering["fig-three"].page, numbering["fig-three"].anchor) == ("2.md", "fig-three")


def test_a_section_is_named_with_the_values_in_its_title():
    page = parse("`{python} 0`\n\n## The `{python} n` optima {#sec-a}\n", "p.md")
    filled = titled(page, Run(page.code, (), ("0", "six"), {}, 0.0))
    assert number([filled])["sec-a"].text == "Section “The six optima”"


@pytest.mark.parametrize(
    "title",
    [
        "See [the *docs*](c/index.md) and ![more][m]",
        "See [the *docs*][1] and more",
        "See the *docs* and more",
        "See the *docs* [@a-1, p. 3; @b] and more",
    ],
)
def test_a_section_is_named_with_the_words_of_its_links_only(title):
    text = number([parse(f"## {title} {{#sec-a}}\n", "p.md")])["sec-a"].text
    assert text == "Section “See the *docs* and more”"


@pytest.mark.parametrize(
    ("page", "link"),
    [
        ("2.md", "[Figure 1](a/1.md#fig-one)"),
        ("a/1.md", "[Figure 1](#fig-one)"),
        ("a/3.md", "[Figure 1](1.md#fig-one)"),
        ("b/c/3.md", "[Figure 1](../../a/1.md#fig-one)"),
    ],
)
def test_links_are_relative_to_the_page(numbering, page, link):
    assert resolve("@fig-one", numbering, page=page, line=1, show=as_link) == link


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("(@fig-one)", "(Figure 1)"),
        ("@fig-one.", "Figure 1."),
        ("see @fig-one, @tbl-one; @eq-x-", "see Figure 1, Table 1; Equation (1)-"),
        ("*@fig-one*", "*Figure 1*"),
        ("[see @fig-one]", "[see Figure 1]"),
        (r"an escaped \@fig-none", "an escaped @fig-none"),
        ("**@sec-optima:**", "**Section 2.1:**"),
    ],
)
def test_references_in_prose_are_resolved(numbering, text, words):
    assert resolve(text, numbering, page="2.md", line=1, show=as_words) == words


@pytest.mark.parametrize(
    "text",
    [
        "`@fig-none`",
        "``@fig-none``",
        "me@fig-none.org",
        "[@fig-none]",
        "[@key; @fig-none]",
        "x/@fig-none",
        "@key",
    ],
)
def test_code_addresses_and_citations_are_left_alone(numbering, text):
    assert resolve(text, numbering, page="2.md", line=1, show=as_words) == text


def test_an_unknown_reference_names_its_line_and_the_nearest_label(numbering):
    with pytest.raises(PageError, match=r"^2\.md:12: unknown reference @fig-tow; did you mean @fig-two\?"):
        resolve("a\n`x`\nb @fig-tow", numbering, page="2.md", line=10, show=as_words)
    with pytest.raises(PageError, match="unknown reference @fig-zzzzzzzz; label what it refers to"):
        resolve("@fig-zzzzzzzz", {}, page="2.md", line=10, show=as_words)


def test_a_label_used_twice_names_both_places():
    pages = [parse(figures("fig-a"), "1.md"), parse("text\n\n" + figures("fig-a"), "2.md")]
    with pytest.raises(
        PageError, match=r"^2\.md:3: the label 'fig-a' is already used at 1\.md:1; rename one$"
    ):
        number(pages)
    with pytest.raises(PageError, match=r"^1\.md:7: .* 1\.md:1"):
        number([parse(figures("fig-a", "fig-a"), "1.md")])
