"""A page with the results of its Run in their places."""

import json
import re
from base64 import b64decode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from xml.etree.ElementTree import ParseError

from mlpreport.errors import PageError
from mlpreport.literate.execution import Run
from mlpreport.literate.inline import Value, fill, read_template, values
from mlpreport.literate.outputs import IMAGES
from mlpreport.literate.page import Cell, Label, Page, Prose, Verbatim
from mlpreport.literate.recorder import Output
from mlpreport.literate.schemes import light

_ADDRESS = re.compile(r"(?<= at )0x[0-9a-f]{6,}")


@dataclass(frozen=True)
class FilledCell:
    """A cell, counted from 1 in its page, with its outputs and with the values in its caption and `alt` text."""

    cell: Cell
    index: int
    outputs: tuple[Output, ...]
    caption: str
    alt: str


@dataclass(frozen=True)
class FilledProse:
    """Running text with its values, starting at `line` of the page."""

    text: str
    line: int


FilledBlock = FilledProse | Verbatim | FilledCell


def fill_page(page: Page, run: Run) -> tuple[FilledBlock, ...]:
    """Put the outputs and values of `run` where they belong in `page`."""
    cells, results = iter(enumerate(run.outputs, start=1)), iter(run.values)
    return tuple(_fill(block, cells, results, page.name) for block in page.blocks)


def titled(page: Page, run: Run) -> Page:
    """Put the values of `run` into the titles of `page` and of its labelled sections, which references show."""
    results = dict(zip(page.values, run.values, strict=True))
    labels = tuple(replace(label, title=_title(label, page.name, results)) for label in page.labels)
    title = replace(page.title, title=_title(page.title, page.name, results))
    return replace(page, labels=labels, title=title)


def _title(label: Label, page: str, results: Mapping[Value, str]) -> str:
    template = read_template(label.title, page=page, line=label.line)
    return fill(template, (results.get(value, value.expression) for value in values(template)))


def _fill(
    block: Prose | Verbatim | Cell,
    cells: Iterator[tuple[int, tuple[Output, ...]]],
    results: Iterator[str],
    page: str,
) -> FilledBlock:
    if isinstance(block, Prose):
        return FilledProse(fill(block.template, results), block.line)
    if isinstance(block, Verbatim):
        return block
    index, outputs = next(cells)
    caption = fill(block.options.caption, results)
    tidy = tuple(_tidy(output, f"{page}:{block.line}") for output in outputs)
    return FilledCell(block, index, tidy, caption, fill(block.options.alt, results))


def _tidy(output: Output, where: str) -> Output:
    """Leave out what differs from build to build without saying anything: addresses, matplotlib's metadata."""
    if "text" in output:
        return output | {"text": _ADDRESS.sub("0x…", output["text"])}
    data = {mime: _tidy_data(mime, content, where) for mime, content in output.get("data", {}).items()}
    return output | {"data": data} if data else output


def _tidy_data(mime: str, content: object, where: str) -> object:
    if mime.endswith("json"):
        return json.loads(_ADDRESS.sub("0x…", json.dumps(content)))
    if not isinstance(content, str):
        message = f"{where}: the cell shows {content!r} as {mime}, which must be text; give display() a str or bytes"
        raise PageError(message)
    if mime == "image/svg+xml":
        return _light(content, where)
    if mime in IMAGES:
        _check_base64(mime, content, where)
    return _ADDRESS.sub("0x…", content) if mime == "text/plain" else content


def _check_base64(mime: str, content: str, where: str) -> None:
    try:
        b64decode("".join(content.split()), validate=True)
    except ValueError as error:
        message = (
            f"{where}: the {mime} that the cell shows is not in base64 ({error}); give display() the bytes"
        )
        raise PageError(message) from None


def _light(svg: str, where: str) -> str:
    try:
        return light(svg)
    except ParseError as error:
        message = f"{where}: the SVG image that the cell shows is not well-formed XML ({error}); correct what draws it"
        raise PageError(message) from None
