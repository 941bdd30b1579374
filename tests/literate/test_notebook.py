import copy
import json

import nbformat
import pytest

from mlpreport.literate import Run, number, parse, weave, weave_text
from mlpreport.literate.weave import Surroundings

PAGE = """\
---
title: T
---
# Setup {#sec-a .wide}

See @eq-b, @fig-c, `@fig-c` and [@key]; `{python} 1 + 1`.

$$ x^2 $$ {#eq-b}

```text
shown
```

```python
#| label: fig-c
#| caption: "A line of `{python} n` points, @eq-b [@key]"
#| alt: A line
#| echo: false
import matplotlib.pyplot as plt
n = 3
plt.plot(range(n));
```

- item

    ```python
    #| fold: true
    print(n)
    ```
"""


@pytest.fixture(scope="module")
def notebook(libraries):  # noqa: ARG001 - a fixture cannot be marked with another
    woven = weave_text(PAGE, name="p.md")
    return nbformat.reads(woven.files[woven.notebook], as_version=4)


def test_the_notebook_is_valid_and_opens_with_python(notebook):
    nbformat.validate(notebook)
    assert notebook.metadata.kernelspec.name == "python3"


def test_prose_reads_well_without_the_site(notebook):
    assert notebook.cells[0].source == (
        "# Setup\n\nSee Equation (1), Figure 1, `@fig-c` and [@key]; 2.\n\n"
        "$$\nx^2 \\tag{1}\n$$\n\n```text\nshown\n```"
    )
    assert notebook.cells[2].source == "**Figure 1.** A line of 3 points, Equation (1) [@key]\n\n- item"


def test_a_quoted_equation_and_an_underlined_heading_read_well_too():
    text = "T {#sec-a}\n===\n\n> $$\n> a\n> > b\n> $$ {#eq-a}\n\n- x\n\n    $$c$$ {#eq-b}\n"
    page = parse(text, "p.md")
    woven = weave(page, Run("", (), (), {}, 0.0), number([page]))
    (prose,) = json.loads(woven.files["p.ipynb"])["cells"]
    assert prose["source"] == (
        "T\n===\n\n> $$\n> a\n> > b \\tag{1}\n> $$\n\n- x\n\n    $$\n    c \\tag{2}\n    $$"
    )


def test_code_has_its_outputs_and_hides_what_the_page_hides(notebook):
    _, figure, _, text = notebook.cells
    assert figure.source.startswith("import matplotlib")
    assert (figure.execution_count, text.execution_count) == (1, 2)
    assert figure.outputs[0].data["image/svg+xml"].startswith("<svg")
    assert text.outputs == [{"output_type": "stream", "name": "stdout", "text": "3\n"}]
    assert figure.metadata == text.metadata == {"jupyter": {"source_hidden": True}}


def test_what_is_in_a_fold_is_hidden_with_its_outputs_under_the_title():
    page = (
        '# Q\n\n??? note "The answer"\n\n    ```python\n    print(1)\n    ```\n\nNext.\n\n```python\n2\n```\n'
    )
    woven = weave_text(page, name="q.md")
    question, answer, following, last = nbformat.reads(woven.files["q.ipynb"], as_version=4).cells
    assert question.source == "# Q\n\n*The answer*"
    assert answer.metadata == {"jupyter": {"source_hidden": True, "outputs_hidden": True}}
    assert (following.source, last.metadata) == ("Next.", {})


def test_prose_in_a_fold_can_be_folded_in_jupyter_too():
    page = '# Q\n\n??? "Hints"\n\n    1. One,\n       $x$.\n\n    2. Two.\n\nNext.\n'
    woven = weave_text(page, name="q.md")
    (prose,) = nbformat.reads(woven.files["q.ipynb"], as_version=4).cells
    hints = "1. One,\n   $x$.\n\n2. Two."
    assert prose.source == f"# Q\n\n<details><summary>Hints</summary>\n\n{hints}\n\n</details>\n\nNext."


@pytest.mark.thorough
def test_the_notebook_runs_again_in_jupyter(notebook, jupyter):
    again = jupyter(copy.deepcopy(notebook))
    assert again.cells[3].outputs == notebook.cells[3].outputs
    assert [output.output_type for output in again.cells[1].outputs] == ["display_data"]


@pytest.mark.thorough
def test_figures_of_the_package_are_drawn_in_jupyter_without_pyplot(jupyter):
    without_pyplot = (
        "from matplotlib.figure import Figure\n"
        "for formatter in get_ipython().display_formatter.formatters.values():\n"
        "    formatter.type_printers.pop(Figure, None)\n"
    )
    drawn = "import mlpreport.figures\nfigure = Figure()\nfigure.add_subplot()\nfigure"
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(without_pyplot + drawn)])
    assert jupyter(notebook).cells[0].outputs[0].data["image/svg+xml"].startswith("<?xml")


def test_citations_are_rewritten_by_the_function_given():
    page = parse("A [@key].\n\n```python\n#| caption: C [@key]\n1\n```\n", "p.md")
    svg = {"output_type": "display_data", "data": {"image/svg+xml": "<svg/>"}, "metadata": {}}
    run = Run(page.code, ((svg,),), (), {}, 0.0)
    text = "A [@key].\n\n```python\n#| caption: C [@key]\n#| alt: A\n1\n```\n"
    page = parse(text, "p.md")
    woven = weave(
        page, run, number([page]), Surroundings(cite_plainly=lambda text, _: text.replace("[@key]", "[1]"))
    )
    cells = json.loads(woven.files["p.ipynb"])["cells"]
    assert [cell["source"] for cell in cells] == ["A [1].", "1", "C [1]"]
    assert "[@key]" in woven.markdown


def test_identities_depend_on_place_and_content_only():
    def identities(text):
        page = parse(text, "p.md")
        woven = weave(page, Run(page.code, ((), ()), (), {}, 0.0), number([page]))
        return [cell["id"] for cell in json.loads(woven.files["p.ipynb"])["cells"]]

    cells = "```python\n1\n```\n" * 2
    assert identities(cells) == identities(cells)
    assert len(set(identities(cells))) == 2
    assert identities(cells)[0] != identities(cells.replace("1", "2"))[0]
