"""A page with the results of its Run in their places."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from mlpreport.literate.execution import Run
from mlpreport.literate.inline import fill
from mlpreport.literate.page import Cell, Page, Prose, Verbatim
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
    cells, values = iter(enumerate(run.outputs, start=1)), iter(run.values)
    return tuple(_fill(block, cells, values) for block in page.blocks)


def _fill(
    block: Prose | Verbatim | Cell, cells: Iterator[tuple[int, tuple[Output, ...]]], values: Iterator[str]
) -> FilledBlock:
    if isinstance(block, Prose):
        return FilledProse(fill(block.template, values), block.line)
    if isinstance(block, Verbatim):
        return block
    index, outputs = next(cells)
    caption = fill(block.options.caption, values)
    return FilledCell(block, index, tuple(map(_tidy, outputs)), caption, fill(block.options.alt, values))


def _tidy(output: Output) -> Output:
    """Leave out what differs from build to build without saying anything: addresses, matplotlib's metadata."""
    if output["output_type"] == "stream":
        return output | {"text": _ADDRESS.sub("0x…", output["text"])}
    data = dict(output["data"])
    if isinstance(data.get("text/plain"), str):
        data["text/plain"] = _ADDRESS.sub("0x…", data["text/plain"])
    if "image/svg+xml" in data:
        data["image/svg+xml"] = light(data["image/svg+xml"])
    return output | {"data": data}
