"""Notebooks that mkdocs-jupyter rendered, in the clothes of the other pages.

It brings 575 KB of styles, four scripts (two from a CDN) and its own boxes into every page.  What is kept here is
the text, the code, the outputs; formulas become MathML, and pictures get the text of the cell's `#| alt:` line.
"""

import json
import posixpath
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from pathlib import Path
from urllib.parse import urlsplit

import nbformat
from bs4 import BeautifulSoup, Tag
from jupyter_client.kernelspec import NoSuchKernel

from mlpreport.errors import PageError
from mlpreport.literate.execution import environment
from mlpreport.literate.mathematics import replace_dollars
from mlpreport.literate.options import read_options, split_options

_ANSI = re.compile(r"\x1b\[[0-9;]*m")
_PLACE = re.compile(r"Cell In\[(?P<cell>\d+)\], line (?P<line>\d+)")
_STREAM = {"application/vnd.jupyter.stderr": "output stderr"}


def check(content: bytes, page: str) -> None:
    """Refuse a lab that is no notebook: a `PageError` names it and the reason."""
    try:
        nbformat.validate(dict(json.loads(content)))
    except (ValueError, TypeError, nbformat.ValidationError) as error:
        reason = str(error).partition("\n")[0]
        message = f"{page}: it is no notebook ({reason}); save it again in Jupyter"
        raise PageError(message) from error


def tidy(html: str, page: str) -> str:
    """Rewrite the HTML of a notebook page with the elements and classes of the site.

    Raises
    ------
    PageError
        When a cell shows a picture without having a line ``#| alt: …``, or a formula is not understood.
    """
    soup = BeautifulSoup(html, "html.parser")
    cells = soup.select(".jp-Notebook-cell[id]")
    parts = [
        _code_cell(cell, page) if "jp-CodeCell" in cell["class"] else _text_cell(cell, page) for cell in cells
    ]
    return replace_dollars("\n".join([*parts, _download(page)]))


def _download(page: str) -> str:
    file = posixpath.basename(page)
    return (
        f'<p><a class="download" href="{escape(file)}" download>Download this notebook and change it</a></p>'
    )


def _text_cell(cell: Tag, page: str) -> str:
    text = cell.select_one(".jp-RenderedMarkdown")
    if text is None:
        return ""
    for link in text.select("a[href]"):
        _check_link(str(link["href"]), page)
    for link in text.select("a.anchor-link"):
        link["class"] = "headerlink"
    return text.decode_contents()


def _check_link(address: str, page: str) -> None:
    """Refuse a link to a Markdown file: MkDocs resolves those of pages only."""
    try:
        place = urlsplit(address)
    except ValueError as error:
        message = f"{page}: the link to {address} is malformed ({error}); correct it"
        raise PageError(message) from error
    if not (place.scheme or place.netloc) and place.path.endswith(".md"):
        message = f"{page}: the link to {address} leads nowhere in a lab; link to the page as built, ../2-3-width.html"
        raise PageError(message)


def _code_cell(cell: Tag, page: str) -> str:
    source = cell.select_one(".clipboard-copy-txt")
    code = cell.select_one(".highlight-ipynb pre")
    head, _ = split_options(source.get_text() if source else "")
    _check_options(head, page)
    parts = [] if code is None else [_code(code, head.count("\n"))]
    return "\n".join(parts + [_output(box, head, page) for box in cell.select(".jp-OutputArea-output")])


def _check_options(head: str, page: str) -> None:
    useless = [name for name in read_options(head, page=page, line=1).lines if name != "alt"]
    if useless:
        message = f"{page}: the option {useless[0]!r} has no effect in a lab, where only alt has; remove it"
        raise PageError(message)


def _code(code: Tag, hidden: int) -> str:
    """Show a cell's code without its first `hidden` lines, in the markup that the theme gives a copy button."""
    lines = code.decode_contents().removeprefix("<span></span>").split("\n")[hidden:]
    shown = "\n".join(lines)
    return f'<div class="language-python highlight"><pre><span></span><code>{shown}</code></pre></div>'


def _output(box: Tag, head: str, page: str) -> str:
    for picture in box.select("img"):
        picture["alt"] = _alternative(head, page)
    for text in box.select("pre"):
        text.name = "code"
        text.wrap(Tag(name="pre"))
    kind = _STREAM.get(str(box.get("data-mime-type")), "output")
    return f'<div class="{kind}">{box.decode_contents().strip()}</div>'


def _alternative(head: str, page: str) -> str:
    alternative = "".join(part for part in read_options(head, page=page, line=1).alt if isinstance(part, str))
    if not alternative:
        message = (
            f"{page}: a cell shows a picture without alternative text; begin the cell with a line '#| alt: …'"
        )
        raise PageError(message)
    return alternative


def explain(error: Exception) -> str:
    """Say in one line what ended a notebook: the exception, and at which line of which code cell if that is known."""
    if isinstance(error, NoSuchKernel):
        return f"its kernel {error.name!r} is not installed; save it with the kernel python3"
    name, value = getattr(error, "ename", type(error).__name__), getattr(error, "evalue", str(error))
    place = _PLACE.search(_ANSI.sub("", str(error)))
    where = "a cell" if place is None else f"code cell {place['cell']}, line {place['line']},"
    return f"{where} raised {name}: {value}"


@contextmanager
def own_ipython() -> Iterator[None]:
    """Let kernels that start meanwhile use settings of their own for IPython and matplotlib.

    What a user has in theirs (start-up files, styles) would show in the site, and a kernel warns on every start that
    its sockets on this machine are not encrypted. Without a salt, every build gives other names inside an SVG.
    """
    with tempfile.TemporaryDirectory(prefix="mlpreport-", ignore_cleanup_errors=True) as folder:
        settings = Path(folder, "profile_default", "ipython_kernel_config.json")
        settings.parent.mkdir()
        settings.write_text(json.dumps({"IPKernelApp": {"log_level": "ERROR"}}), encoding="utf-8")
        drawing = Path(folder, "matplotlibrc")
        drawing.write_text("svg.hashsalt: mlpreport\n", encoding="utf-8")
        with environment({"IPYTHONDIR": folder, "MATPLOTLIBRC": str(drawing)}):
            yield
