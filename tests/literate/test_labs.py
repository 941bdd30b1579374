"""Labs: what is kept of mkdocs-jupyter's HTML."""

import os
from pathlib import Path

import pytest
from matplotlib import rc_params_from_file
from mkdocs_jupyter.convert import nb2html
from nbclient.exceptions import CellExecutionError, DeadKernelError
from nbformat import write
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from mlpreport.errors import PageError
from mlpreport.literate.labs import explain, own_ipython, tidy

PICTURE = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
KERNEL = {"kernelspec": {"name": "python3", "language": "python", "display_name": "Python 3"}}


@pytest.fixture(name="render")
def _render(tmp_path):
    def render(*cells):
        notebook = new_notebook(cells=list(cells), metadata=KERNEL)
        with (tmp_path / "lab.ipynb").open("w") as file:
            write(notebook, file)
        return nb2html(str(tmp_path / "lab.ipynb"), no_prompt=True)

    return render


def _picture(source: str):
    output = new_output("display_data", {"image/png": PICTURE})
    return new_code_cell(source, outputs=[output], id="picture")


def test_text_code_and_outputs_are_kept_and_nothing_else(render) -> None:
    printed = new_output("stream", name="stdout", text="a < b\n")
    warned = new_output("stream", name="stderr", text="careful\n")
    html = tidy(
        render(
            new_markdown_cell("# Title\n\nWith $x_1$ and\n\n$$y$$", id="text"),
            new_code_cell("print('a < b')", outputs=[printed, warned], id="code"),
        ),
        "labs/lab.ipynb",
    )
    assert '<h1 id="title">Title' in html
    assert html.count("<math") == 2
    assert "$" not in html
    assert '<div class="output"><pre><code>a &lt; b\n</code></pre></div>' in html
    assert '<div class="output stderr"><pre><code>careful\n</code></pre></div>' in html
    assert "<script" not in html
    assert "<style" not in html
    assert "jp-" not in html
    assert 'href="lab.ipynb" download' in html


def test_a_picture_gets_the_alternative_text_of_its_cell(render) -> None:
    html = tidy(render(_picture("#| alt: One pixel\ndraw()")), "labs/lab.ipynb")
    assert 'alt="One pixel"' in html
    assert "#|" not in html
    assert "draw" in html


def test_a_picture_without_alternative_text_is_refused(render) -> None:
    with pytest.raises(PageError, match=r"labs/lab\.ipynb: .*alternative text"):
        tidy(render(_picture("draw()")), "labs/lab.ipynb")


@pytest.mark.parametrize(
    ("cell", "told"),
    [
        (new_code_cell("#| lable: x\n1", id="a"), "unknown option 'lable'; did you mean 'label'"),
        (new_code_cell("#| alt: A\n#| echo: false\n1", id="a"), "the option 'echo' has no effect in a lab"),
        (
            new_markdown_cell("[Width](../2-3-width.md#sec-spread)", id="a"),
            "leads nowhere in a lab; link to the page",
        ),
        (new_markdown_cell('<a href="http://[bad">x</a>', id="a"), r"the link to http://\[bad is malformed"),
    ],
)
def test_what_would_silently_be_of_no_use_is_refused(render, cell, told) -> None:
    with pytest.raises(PageError, match=rf"^labs/lab\.ipynb:.*{told}"):
        tidy(render(cell), "labs/lab.ipynb")


def test_links_to_what_is_built_and_to_elsewhere_are_fine(render) -> None:
    links = "[a](../2-3-width.html) [b](https://example.org/README.md) [c](#here) [d](//a.org/a.md)"
    assert tidy(render(new_markdown_cell(links, id="a")), "labs/lab.ipynb").count("<a ") == 5


def test_a_failing_cell_is_explained_in_one_line() -> None:
    traceback = "\x1b[36mCell\x1b[39m\x1b[36m \x1b[39m\x1b[32mIn[2]\x1b[39m\x1b[32m, line 4\x1b[39m\n 1/0\n"
    explained = explain(CellExecutionError(traceback, "ZeroDivisionError", "division by zero"))
    assert explained == "code cell 2, line 4, raised ZeroDivisionError: division by zero"


def test_a_dead_kernel_is_explained_too() -> None:
    assert explain(DeadKernelError("Kernel died")) == "a cell raised DeadKernelError: Kernel died"


@pytest.mark.parametrize("before", [None, "/home/reader/.ipython"])
def test_kernels_of_labs_do_not_read_what_the_user_has_set_up(monkeypatch, before) -> None:
    monkeypatch.delenv("IPYTHONDIR", raising=False)
    if before:
        monkeypatch.setenv("IPYTHONDIR", before)
    with own_ipython():
        folder = Path(os.environ["IPYTHONDIR"])
        assert (folder / "profile_default" / "ipython_kernel_config.json").is_file()
        assert rc_params_from_file(os.environ["MATPLOTLIBRC"])["svg.hashsalt"] == "mlpreport"
    assert not folder.exists()
    assert os.environ.get("IPYTHONDIR") == before
