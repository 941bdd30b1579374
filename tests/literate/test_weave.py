import base64
import json
from textwrap import dedent, indent

import pytest
from bs4 import BeautifulSoup
from markdown import markdown

from mlpreport.errors import InvalidInputError, PageError
from mlpreport.literate import Run, number, parse, weave, weave_text

SVG = '<svg xmlns="http://www.w3.org/2000/svg"><path style="stroke: #000000" d="M0 0"/></svg>'
EXTENSIONS = ["attr_list", "admonition", "md_in_html", "tables"] + [
    f"pymdownx.{name}" for name in ("arithmatex", "blocks.html", "details", "highlight", "superfences")
]


def display(kind="display_data", **data):
    names = {"svg": "image/svg+xml", "png": "image/png", "plain": "text/plain"}
    bundle = {names.get(name, f"text/{name}"): content for name, content in data.items()}
    return {"output_type": kind, "data": bundle, "metadata": {}}


def stream(text, name="stdout"):
    return {"output_type": "stream", "name": name, "text": text}


def woven(text, *outputs, values=(), name="p.md"):
    """Weave a page whose cells have come out with `outputs`, as if it had run."""
    page = parse(text, name)
    run = Run(page.code, tuple(map(tuple, outputs)), values, {}, 0.0)
    return weave(page, run, number([page]))


def html(text, *outputs, values=()):
    settings = {"pymdownx.arithmatex": {"generic": True}}
    content = woven(text, *outputs, values=values).markdown
    return BeautifulSoup(markdown(content, extensions=EXTENSIONS, extension_configs=settings), "html.parser")


def cell(source="f()", **options):
    lines = "".join(f"#| {name}: {value}\n" for name, value in options.items())
    return f"```python\n{lines}{source}\n```\n"


FIGURE = cell(label="fig-a", caption="'A *wave*, see @fig-a.'", alt="Up and down")


def test_prose_is_copied_and_its_values_are_put_in():
    assert woven("# A\n\nn = `{python} n`\n", values=("3",)).markdown == "# A\n\nn = 3\n"


def test_the_front_matter_is_not_part_of_the_markdown():
    assert woven("---\ntitle: T\n---\ntext\n").markdown == "text\n"


def test_code_is_shown_without_its_options():
    assert woven(cell("x = 1", echo="true"), []).markdown == "```python\nx = 1\n```\n"


def test_echo_false_hides_the_code_only():
    assert html(cell(echo="false"), [stream("out\n")]).get_text(strip=True) == "out"


def test_folded_code_has_its_summary():
    details = html(cell(fold="""'The "code"'"""), []).details
    assert details.summary.get_text() == 'The "code"'
    assert details.code.get_text() == "f()\n"


def test_a_figure_has_caption_number_and_the_same_alternative_text_in_both_schemes():
    figure = html(FIGURE, [display(svg=SVG)]).find("figure", id="fig-a")
    assert [(image["src"], image["alt"]) for image in figure.find_all("img")] == [
        ("p_files/fig-a-light.svg#only-light", "Up and down"),
        ("p_files/fig-a-dark.svg#only-dark", "Up and down"),
    ]
    first, second = figure.figcaption.find_all("p")
    assert first.decode_contents() == (
        '<strong>Figure 1.</strong> A <em>wave</em>, see <a href="#fig-a">Figure 1</a>.'
    )
    assert second["class"] == ["rerun"]
    assert second.code.get_text() == "mlpreport rerun fig-a"


def test_the_files_of_a_figure_are_named_below_the_folder_of_the_page():
    files = woven(FIGURE, [display(svg=SVG)], name="a/p.md").files
    assert sorted(files) == ["a/p.ipynb", "a/p_files/fig-a-dark.svg", "a/p_files/fig-a-light.svg"]
    assert b"#000000" in files["a/p_files/fig-a-light.svg"]
    assert b"#000000" not in files["a/p_files/fig-a-dark.svg"]


ALT = r"""[a](b) *c* _d_ `e` <b> "f" 'g' & $h$ \i ![j] @k {l} #m ~n~ http://o.p https://q :r:"""


def test_alternative_text_comes_back_as_it_was_written():
    quoted = "'" + ALT.replace("'", "''").replace("`e`", "e") + "'"
    images = html(cell(alt=quoted), [display(svg=SVG)]).find_all("img")
    assert [image["alt"] for image in images] == [ALT.replace("`e`", "e")] * 2


def test_values_in_caption_and_alternative_text_are_those_after_the_cell():
    text = cell(caption="'`{python} x` here'", alt="'`{python} y` there'")
    figure = html(text, [display(svg=SVG)], values=("1", "2")).figure
    assert (figure.figcaption.get_text(strip=True), figure.img["alt"]) == ("1 here", "2 there")


def test_a_figure_without_label_has_no_number_and_no_rerun_note():
    figure = html(cell(alt="A", caption="C"), [display(svg=SVG)]).figure
    assert (figure.get("id"), figure.figcaption.get_text(strip=True)) == (None, "C")
    assert html(cell(alt="A"), [display(svg=SVG)]).figcaption is None


def test_all_images_of_a_cell_are_one_figure():
    other = SVG.replace("#000000", "#ffffff")
    result = woven(FIGURE, [display(svg=SVG), stream("between"), display(svg=other)])
    assert "p_files/fig-a-2-dark.svg" in result.files
    assert result.markdown.count("| figure#fig-a") == 1


def test_an_image_that_a_cell_gives_twice_is_shown_once():
    result = woven(FIGURE, [display(svg=SVG), stream("between"), display(svg=SVG)])
    assert sorted(result.files) == ["p.ipynb", "p_files/fig-a-dark.svg", "p_files/fig-a-light.svg"]
    assert "between" in result.markdown


@pytest.mark.parametrize(
    ("mime", "ending"), [("png", "png"), ("jpeg", "jpg"), ("webp", "webp"), ("gif", "gif")]
)
def test_raster_images_are_files_too(mime, ending):
    content = b"\x89..."
    output = display(plain="<Image>") | {"data": {f"image/{mime}": base64.b64encode(content).decode()}}
    result = woven(cell(alt="A"), [output])
    assert result.files[f"p_files/cell-1.{ending}"] == content
    assert f"![A](p_files/cell-1.{ending}){{ .raster }}" in result.markdown


@pytest.mark.parametrize(
    ("output", "shown"),
    [
        (display(plain="3"), '<div class="output highlight"><pre><span></span><code>3\n</code></pre></div>'),
        (stream("<b>\n"), '<div class="output highlight"><pre><span></span><code>&lt;b&gt;\n</code></pre></div>'),
        (
            stream("careful\n", "stderr"),
            '<div class="output stderr highlight"><pre><span></span><code>careful\n</code></pre></div>',
        ),
        (display(html="<i>a *b*</i>", plain="p"), '<div class="output"><i>a *b*</i></div>'),
        (display(markdown="**a**", html="<p>", plain="p"), "<p><strong>a</strong></p>"),
        (display(latex="$x$", plain="x"), '<div class="arithmatex">\\[\nx\n\\]</div>'),
        (display(latex=r"$$\frac12$$"), '<div class="arithmatex">\\[\n\\frac12\n\\]</div>'),
        (display(latex="$a$ or $b$"), '<span class="arithmatex">\\(a\\)</span> or <span class="arithmatex">'),
        (stream("\x1b[31mred\x1b[0m \x1b]0;title\x07x"), "<code>red x\n</code>"),
        (stream("\x1b7\x1b[1mred\x1b(B\x1b[m\x1b8 x\x1b="), "<code>red x\n</code>"),
        (stream("0%\r50%\r100%\n"), "<code>100%\n</code>"),
        (stream("```\n"), "<code>```\n</code>"),
        ({"output_type": "error", "ename": "E", "evalue": "v", "traceback": ["T", "U"]}, "<code>T\nU\n</code>"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("opener", ["", "- item\n\n", "!!! note\n\n", "1. a\n    - b\n\n"])
def test_outputs_are_shown_in_their_kind_wherever_the_cell_is(output, shown, opener):
    depth = 4 * (opener.count("\n") - 1) if opener else 0
    page = html(opener + indent(cell(echo="false"), " " * depth), [output])
    assert shown in str(page)
    assert len(page.find_all("pre")) <= 1


def test_html_with_blank_lines_and_indentation_stays_whole_in_a_list():
    table = "<table>\n\n    <tr><td>a</td></tr>\n\n</table>"
    page = html("- item\n\n" + indent(cell(echo="false"), "    "), [display(html=table)])
    assert page.li.table.td.get_text() == "a"
    assert page.pre is None


@pytest.mark.parametrize("opener", ["- item", "!!! note", "??? note"])
def test_a_cell_in_a_quoted_list_or_note_is_shown_in_it(opener):
    quoted = indent(f"{opener}\n\n" + indent(cell("x\n\ny"), "    "), "> ", lambda _: True)
    page = html(quoted + "\nafter\n", [display(html="<table>\n\n<tr><td>a</td></tr></table>")])
    inner = page.blockquote.find(["li", "div", "details"])
    assert inner.table.td.get_text() == "a"
    assert inner.code.get_text() == "x\n\ny\n"
    assert page.find_all("p")[-1].get_text() == "after"


def test_json_is_shown_as_text():
    data = {"application/json": {"a": [1, "é <A at 0x7f1254bf47f0>"]}, "text/plain": "<JSON object>"}
    output = {"output_type": "display_data", "data": data, "metadata": {}}
    assert json.loads(html(cell(echo="false"), [output]).get_text()) == {"a": [1, "é <A at 0x…>"]}


def test_what_cannot_be_shown_and_empty_output_leave_no_trace():
    outputs = [display(json="{}"), stream(" \n")]
    assert woven(cell(echo="false"), outputs).markdown == "\n"


def test_what_a_cell_shows_is_apart_from_the_text_around_it():
    table = "|a|b|\n|-|-|\n|c|d|"
    page = html("text\n" + cell(echo="false") + "text\n", [display(markdown=table)])
    assert [tag.name for tag in page.find_all(recursive=False)] == ["p", "table", "p"]
    assert woven("text\n<!-- c -->\ntext").markdown == "text\n<!-- c -->\ntext"
    page = html("text\n$$ a $$ {#eq-a}\ntext\n")
    assert [tag.name for tag in page.find_all(recursive=False)] == ["p", "div", "p"]


def test_references_in_markdown_output_are_resolved():
    assert (
        "see [Figure 1](#fig-a)" in woven(FIGURE, [display(svg=SVG), display(markdown="see @fig-a")]).markdown
    )


def test_a_table_has_number_and_caption():
    figure = html(cell(label="tbl-a", caption="C", echo="false"), [display(html="<table></table>")]).figure
    assert figure["id"] == "tbl-a"
    assert figure.table is not None
    assert figure.figcaption.get_text(strip=True) == "Table 1.C"


SCRIPT = {
    "output_type": "display_data",
    "data": {"application/javascript": "x", "text/plain": "<x>"},
    "metadata": {},
}
EQUATION = "$$\na\n$$ {#eq-a}"


@pytest.mark.parametrize("text", [EQUATION, "$$ a $$ {#eq-a}", cell(label="eq-a", echo="false")])
@pytest.mark.parametrize(
    ("opener", "prefix"),
    [("", ""), ("- item\n\n", "    "), ("> text\n>\n", "> "), ("> a\n", "> "), ("> - item\n>\n", ">     ")],
)
def test_equations_have_number_and_anchor(text, opener, prefix):
    page = html(opener + indent(text, prefix) + f"\n{prefix}after", [display(latex="$a$")])
    assert page.find(id="eq-a").get_text(strip=True) == "\\[\na \\tag{1}\n\\]"
    assert len(page.find_all("blockquote")) == prefix.count(">")
    assert "$" not in page.get_text()


@pytest.mark.parametrize("latex", ["$a$", "$$\n a $$", "a", r"$\displaystyle a$"])
@pytest.mark.parametrize("form", ["latex", "markdown"])
def test_a_formula_of_any_form_is_an_equation(latex, form):
    content = latex if form == "latex" or "$" in latex else f"${latex}$"
    page = html(cell(label="eq-a", echo="false"), [display(**{form: content})])
    assert "a \\tag{1}" in page.find(id="eq-a").get_text(strip=True)


OTHERS = [
    [stream("1")],
    [display(plain="3")],
    [display(html="<b>a</b>")],
    [display(markdown="a sentence with $a$")],
    [display(latex="$a$"), stream("careful", "stderr")],
    [display(latex="$a$"), display(latex="$b$")],
    [display(latex="$a$ and $b$")],
]


@pytest.mark.parametrize("outputs", OTHERS)
def test_what_is_not_one_formula_is_no_equation(outputs):
    with pytest.raises(PageError, match=r"^p\.md:1: the cell has 'eq-a' but shows what is not one formula; "):
        woven(cell(label="eq-a"), outputs)


def test_equations_without_label_and_shown_equations_stay_as_they_are():
    for text in ("$$\na\n$$\n", f"```text\n{EQUATION}\n```\n"):
        assert woven(text).markdown == text


def test_citations_stay_for_the_bibliography():
    assert woven("A [@key] and [@a; @b].").markdown == "A [@key] and [@a; @b]."


@pytest.mark.parametrize(
    ("text", "outputs", "message"),
    [
        (cell(caption="C"), [display(svg=SVG)], r"^p\.md:1: the figure has no alternative text; add '#\| alt: …'"),
        (cell(alt="''"), [display(png="")], r"the figure has no alternative text"),
        (FIGURE, [stream("no figure")], r"^p\.md:1: the cell has 'fig-a' but shows nothing that it names"),
        (cell(caption="C"), [], r"the cell has the caption but shows nothing"),
        (cell(label="tbl-a", caption="C"), [], r"the cell has 'tbl-a' but shows nothing"),
        (cell(alt="A"), [display(svg="<svg>&nbsp;</svg>")], r"^p\.md:1: the SVG image .* is not well-formed XML"),
        (cell(alt="A"), [display(png="#")], r"^p\.md:1: the image/png that the cell shows is not in base64"),
        (cell(), [display(plain=5)], r"^p\.md:1: the cell shows 5 as text/plain, which must be text; give display\(\)"),
        (cell(), [SCRIPT], r"^p\.md:1: the cell shows a script, but pages run none; show HTML, a picture or text"),
        (cell() + "\n\n@fig-b", [], r"^p\.md:6: unknown reference @fig-b"),
    ],
)  # fmt: skip
def test_what_a_reader_would_miss_fails_the_page(text, outputs, message):
    with pytest.raises(PageError, match=message):
        woven(text, outputs)


def test_run_and_numbering_must_be_those_of_the_page():
    page, other = parse(FIGURE, "p.md"), parse(cell("g()"), "p.md")
    run = Run(page.code, ((display(svg=SVG),),), (), {}, 0.0)
    with pytest.raises(InvalidInputError, match=r"the Run given for p\.md is of other code"):
        weave(other, run, {})
    with pytest.raises(InvalidInputError, match=r"the numbering lacks 'fig-a' of p\.md"):
        weave(page, run, {})


@pytest.mark.usefixtures("libraries")
def test_a_page_is_woven_from_its_text_alike_in_every_build():
    text = dedent("""\
        ```python
        #| label: fig-a
        #| caption: "`{python} n` points"
        #| alt: A line with a legend and clipping
        import matplotlib.pyplot as plt
        n = 2
        plt.plot(range(n), label="$x^2$")
        plt.legend()
        plt.gca().twinx().hist([1, 2, 2], hatch="/")
        object()
        ```
        """)
    builds = [weave_text(text, name="a.md") for _ in range(2)]
    assert builds[0] == builds[1]
    assert "**Figure 1.** 2 points" in builds[0].markdown
    assert "<object at 0x…>" in builds[0].markdown
    light = builds[0].files["a_files/fig-a-light.svg"].decode()
    assert "<text" not in light  # text is drawn as paths: no font is needed
    assert "<metadata" not in light
    assert "#ffffff" not in light.split('id="axes_1"')[0]  # the background is transparent


def test_bars_in_values_do_not_end_the_cells_of_a_table():
    table = "| a | b |\n|---|---|\n| `{python} a` | x `{python} f` |\n\n`{python} a`\n"
    page = html(table, values=("p(a|b)", "$|x|$", "p(a|b)"))
    assert [part.text for part in page.find_all("td")] == ["p(a|b)", r"x \(\vert{}x\vert{}\)"]
    assert page.find_all("p")[-1].text == "p(a|b)"
