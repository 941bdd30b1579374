"""A page with the results of its Run in their places."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from xml.etree.ElementTree import ParseError

from mlpreport.errors import PageError
from mlpreport.literate.execution import Run
from mlpreport.literate.inline import Value, fill, read_template, values
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
    """Put the values of `run` into the titles of the labelled sections of `page`, which references show."""
    results = dict(zip(page.values, run.values, strict=True))
    labels = tuple(replace(label, title=_title(label, page.name, results)) for label in page.labels)
    return replace(page, labels=labels)


def _title(label: Label, page: str, results: Mapping[Value, str]) -> str:
    template = read_template(label.title, page=page, line=label.line)
    return fill(template, (results[value] for value in values(template)))


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
    tidy = {"text/plain": partial(_ADDRESS.sub, "0x…"), "image/svg+xml": partial(_light, where=where)}
    data = {mime: tidy.get(mime, _same)(content) for mime, content in output.get("data", {}).items()}
    return output | {"data": data} if data else output


def _light(svg: str, where: str) -> str:
    try:
        return light(svg)
    except ParseError as error:
        message = f"{where}: the SVG image that the cell shows is not well-formed XML ({error}); correct what draws it"
        raise PageError(message) from None


def _same(content: str) -> str:
    return content
