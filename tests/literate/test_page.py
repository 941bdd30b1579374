import pytest

from mlpreport.errors import PageError
from mlpreport.literate import Run, parse, weave
from mlpreport.literate.inline import Value
from mlpreport.literate.page import Cell, Prose, Verbatim


def cells(text):
    return [cell.source for cell in parse(text, "p.md").cells]


def fence(source, *, indent="", info="python", marks="```"):
    lines = f"{marks}{info}\n{source}\n{marks}".split("\n")
    return "".join(f"{indent}{line}\n" for line in lines)


def test_a_plain_python_fence_is_a_cell():
    assert cells(f"a\n\n{fence('x = 1')}\nb\n") == ["x = 1\n"]


@pytest.mark.parametrize(
    "info", ["py", "text", 'python title="a"', "{.python}", "{python}", "pycon", "", "Python"]
)
def test_a_fence_of_other_kind_is_shown_and_not_run(info):
    text = fence("1/0", info=info)
    page = parse(text, "p.md")
    assert page.cells == ()
    assert page.blocks == (Verbatim(text, 1),)


@pytest.mark.parametrize("marks", ["````", "~~~", "~~~~"])
def test_a_fence_that_shows_a_fence_does_not_run(marks):
    assert cells(fence(fence("1/0"), marks=marks, info="")) == []


@pytest.mark.parametrize(
    "opener", ["- item", "1. item", "!!! note", "??? note", '=== "tab"', "[^1]: note", ": definition"]
)
def test_a_fence_inside_a_list_or_admonition_runs_without_its_indentation(opener):
    page = parse(f"{opener}\n\n{fence('if x:' + chr(10) + '    y', indent='    ')}", "p.md")
    assert [(cell.source, cell.prefix) for cell in page.cells] == [("if x:\n    y\n", "    ")]


def test_a_fence_inside_two_lists_runs():
    assert cells(f"- a\n    - b\n\n{fence('1', indent='        ')}") == ["1\n"]


def test_a_fence_inside_a_quotation_runs():
    assert parse(f"> a\n>\n{fence('1', indent='> ')}", "p.md").cells[0].prefix == "> "


@pytest.mark.parametrize(
    ("text", "prefix"),
    [
        ("> - a\n>\n{}", ">     "),
        ("> !!! note\n>\n{}", ">     "),
        ("> - a\n>     - b\n>\n{}", ">         "),
        ("- a\n\n    > !!! note\n    >\n{}", "    >     "),
        ("> > 1. a\n> >\n{}", "> >     "),
        ("- a\n\n    > quoted\n\n{}", "    "),
    ],
)
def test_a_fence_inside_what_a_quotation_holds_runs(text, prefix):
    page = parse(text.format(fence("if x:\n\n    y", indent=prefix)), "p.md")
    assert [(cell.source, cell.prefix) for cell in page.cells] == [("if x:\n\n    y\n", prefix)]


@pytest.mark.parametrize("text", ["> a\n>\n{}", "> - a\n>     - b\n\ntext\n\n{}", "- a\n\n> b\n>\n{}"])
def test_a_fence_inside_indented_code_of_a_quotation_does_not_run(text):
    assert cells(text.format(fence("1/0", indent=">         "))) == []


def test_a_list_that_ended_in_front_of_a_quotation_holds_no_fence():
    assert cells(f"- a\n\n> b\n\n{fence('1/0', indent='    ')}") == []


def test_a_fence_inside_indented_code_does_not_run():
    assert cells(f"text\n\n{fence('1/0', indent='    ')}") == []
    assert cells(f"- item\n\n{fence('1/0', indent=' ' * 12)}") == []


def test_a_list_that_ended_holds_no_fence():
    assert cells(f"- item\n\ntext\n\n{fence('1/0', indent='    ')}") == []


def test_a_fence_inside_a_comment_does_not_run():
    assert cells(f"<!--\n{fence('1/0')}-->\n{fence('2')}") == ["2\n"]


@pytest.mark.parametrize(
    "comment",
    [
        "<!-- `{python} 1/0`, @fig-none -->",
        "<!-- a\n`{python} 1/0` @fig-none\n\n# A {#sec-a}\n\n$$a$$ {#eq-a}\n-->",
        f"<!--\n\n{fence('1/0')}\n-->",
        f"<!-- a --> and <!-- b\n{fence('1/0')}--><!-- c\n{fence('2/0')}-->",
    ],
)
@pytest.mark.parametrize("before", ["", "A sentence ", "`<!--` is shown; ", "> ", "- "])
def test_a_comment_is_left_alone_wherever_it_begins(comment, before):
    page = parse(f"text\n\n{before}{comment} goes `{{python}} 2` on.\n\n{fence('3')}", "p.md")
    assert [getattr(step, "expression", None) or step.source for step in page.steps] == ["2", "3\n"]
    assert page.labels == ()
    assert weave(page, Run(page.code, ((),), ("two",), {}, 0.0), {}).markdown == (
        f"text\n\n{before}{comment} goes two on.\n\n{fence('3')}"
    )


def test_what_comes_after_comments_keeps_its_line():
    text = f"a <!--\n\n--> b <!-- c --> `{{python}} 1`\n\n{fence('2')}"
    assert [step.line for step in parse(text, "p.md").steps] == [3, 5]


def test_a_comment_that_never_ends_is_text_as_in_markdown():
    assert cells(f"<!-- a\n\n{fence('1')}") == ["1\n"]
    assert cells(f"a <!-- b\n\n{fence('1')}") == ["1\n"]


def test_blank_lines_in_an_indented_cell_need_no_indentation():
    assert cells("- a\n\n    ```python\n    x\n\n    y\n    ```\n") == ["x\n\ny\n"]


def test_windows_line_ends_and_a_byte_order_mark_make_no_difference():
    text = f"---\ntitle: T\n---\nprose `{{python}} 1`\n\n{fence('x')}"
    assert parse("\ufeff" + text.replace("\n", "\r\n"), "p.md") == parse(text, "p.md")


def test_the_blocks_of_a_page_without_cells_are_its_text():
    text = "# A\n\ntext\n\n    code\n\n```text\nx\n```\n<!-- c -->\n- a\n\n    b"
    blocks = parse(text, "p.md").blocks
    assert "".join("".join(b.template) if isinstance(b, Prose) else b.text for b in blocks) == text


def test_front_matter_is_read_and_lines_count_from_the_top_of_the_file():
    page = parse(f"---\ntitle: T\n---\n\n{fence('#| echo: false' + chr(10) + 'x')}", "p.md")
    assert page.meta == {"title": "T"}
    assert (page.cells[0].line, page.cells[0].first_line) == (5, 7)
    assert page.cells[0].source == "x\n"


def test_options_are_read():
    text = fence(
        "#| label: fig-a\n#| caption: >\n#|   Two\n#|   lines\n#| alt: 'It''s'\n#| fold: Show\n#| echo: true\nx"
    )
    options = parse(text, "p.md").cells[0].options
    assert (options.label, options.caption, options.alt, options.fold) == (
        "fig-a",
        ("Two lines",),
        ("It's",),
        "Show",
    )


@pytest.mark.parametrize(("given", "fold"), [("true", "Code"), ("false", None), ("Details", "Details")])
def test_fold_is_a_switch_or_a_summary(given, fold):
    assert parse(fence(f"#| fold: {given}\nx"), "p.md").cells[0].options.fold == fold


def test_inline_values_come_in_order_after_the_cells_above():
    text = "`{python} a`\n\n" + fence(
        "#| alt: `{python} c`\n#| caption: '`{python} b`'\n1".replace(
            "alt: `{python} c`", "alt: '`{python} c`'"
        )
    )
    steps = parse(text + "\n`{python} d`", "p.md").steps
    assert [step if isinstance(step, Value) else type(step) for step in steps] == [
        Value("a", 1), Cell, Value("b", 5), Value("c", 4), Value("d", 9),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "text", ["`` `{python} x` ``", "``{python} x``", r"\`{python} x`", "`a {python} x`", "    `{python} x`"]
)
def test_inline_code_of_other_kind_is_left_alone(text):
    assert parse(text, "p.md").values == ()


def test_an_inline_value_may_run_over_a_line_but_not_over_a_paragraph():
    assert parse("a `{python} x +\n1` b", "p.md").values == (Value("x + 1", 1),)
    assert parse("a `{python} x\n\n1` b", "p.md").values == ()


def test_an_expression_is_what_stands_between_its_backticks():
    assert parse("`{python} f'{x:.2f}'`, `{python} {1: 2}[1]`", "p.md").values == (
        Value("f'{x:.2f}'", 1),
        Value("{1: 2}[1]", 1),
    )


def test_labels_of_all_kinds_are_found_with_their_lines():
    text = "## Setup { #sec-a .c }\n\n$$\nx\n$$ {#eq-b}\n\n" + fence("#| label: fig-c\n#| caption: C\n1")
    labels = parse(text + fence("#| label: tbl-d\n#| caption: D\n1"), "p.md").labels
    assert [(label.name, label.kind, label.line) for label in labels] == [
        ("sec-a", "sec", 1), ("eq-b", "eq", 3), ("fig-c", "fig", 7), ("tbl-d", "tbl", 12),
    ]  # fmt: skip
    assert labels[0].title == "Setup"


@pytest.mark.parametrize("line", ["=", "---"])
def test_an_underlined_heading_has_a_label_too(line):
    (label,) = parse(f"text\n\nSetup `a` {{#sec-a .c}}\n{line}\n\nno heading {{#sec-b}}\n", "p.md").labels
    assert (label.name, label.title, label.line) == ("sec-a", "Setup `a`", 3)


def test_shown_labels_do_not_count():
    assert parse("```text\n## A {#sec-a}\n```\n\n    $$ x $$ {#eq-a}\n", "p.md").labels == ()


def test_only_executable_content_is_the_code_of_a_page():
    text = "Prose `{python} x`\n\n" + fence("#| echo: false\ny")
    assert parse(text, "p.md").code == parse("\n\nOther `{python} x`\n\n" + fence("y"), "p.md").code
    assert parse(text, "p.md").code != parse(text.replace("python} x", "python} z"), "p.md").code


@pytest.mark.parametrize(
    "wrong",
    [
        "atl: b", "label: x", "caption: 3", "alt: [1]", "echo: 7", "fold: 7", "alt: a: b", "alt: 'a' b", "alt: 'open",
        "caption: Net #3", "atl: b\n#| fold: true", "alt: 'open\n#| fold: true",
    ],
)  # fmt: skip
def test_a_wrong_option_is_named_with_its_own_line(wrong):
    fine = [line for line in ("label: fig-a", "caption: C", "alt: A", "echo: true") if line[:3] != wrong[:3]]
    text = fence("\n".join([*(f"#| {line}" for line in fine), f"#| {wrong}", "1"]))
    with pytest.raises(PageError, match=rf"^p\.md:{2 + len(fine)}: "):
        parse(text, "p.md")


def test_an_option_given_twice_and_a_label_without_caption_are_named_with_their_lines():
    with pytest.raises(PageError, match=r"^p\.md:4: the option 'alt' is given twice"):
        parse(fence("#| alt: a\n#| echo: true\n#| alt: b\n1"), "p.md")
    with pytest.raises(PageError, match=r"^p\.md:3: the label 'fig-a' has no caption"):
        parse(fence("#| echo: true\n#| label: fig-a\n1"), "p.md")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "a\n\n```python\nx = 1\n",
            r"^p\.md:3: the python fence opened here is never closed; add a line with ```$",
        ),
        (
            "- a\n\n    ```python\n    x\n  y\n    ```\n",
            r"^p\.md:5: the line 'y' is indented less than its fence",
        ),
        (fence("#| lable: fig-a\n1"), r"^p\.md:2: unknown option 'lable'; did you mean 'label'\?"),
        (fence("#| zzz: 1\n1"), r"unknown option 'zzz'; the options are label, caption, alt, echo, fold"),
        (
            fence("#| caption: a: b\n1"),
            r"^p\.md:2: the #\| options are not valid YAML .*; put the text of captions in quotes",
        ),
        (
            fence("#| caption: Net #3 of 4\n1"),
            r"YAML takes '#3 of 4' for a comment; put the caption in quotes",
        ),
        (fence("#| just text\n1"), r"the #\| options 'just text' are no options"),
        (fence("#| alt: a\n#| alt: b\n1"), r"the option 'alt' is given twice"),
        (fence("#| label: a b\n1"), r"the label 'a b' must be fig-, tbl- or eq-"),
        (fence("#| label: sec-a\n1"), r"the label 'sec-a' must be fig-, tbl- or eq-"),
        (fence("#| label: fig-a\n1"), r"the label 'fig-a' has no caption"),
        (fence("#| caption: 3\n1"), r"the caption 3 is not text; put it in quotes"),
        (fence("#| echo: sometimes\n1"), r"the option 'echo' is 'sometimes'; it must be true or false"),
        (fence("#| fold: 3\n1"), r"the option 'fold' is 3; it must be true or false"),
        ("a\n`{python} 1 +` b", r"^p\.md:2: the inline value '1 \+' is not a Python expression"),
        ("`{python} `", r"the inline value '' is not a Python expression"),
        ("---\ntitle: [\n---\n", r"^p\.md:\d: the front matter is not valid YAML"),
        ("---\n- a\n---\n", r"^p\.md:1: the front matter is list, not a mapping"),
    ],
)
def test_what_is_wrong_on_a_page_is_named_with_its_line(text, message):
    with pytest.raises(PageError, match=message):
        parse(text, "p.md")
