"""A page of the site, read: prose, cells, inline values and labels, each with its line in the page file.

A page is Markdown that is also a notebook (jupytext's Markdown form): an optional YAML front matter, prose,
and cells in plain ```` ```python ```` fences. Python that must not run is shown in a ```` ```py ```` fence.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from textwrap import dedent
from typing import Any, Literal

import yaml  # type: ignore[import-untyped]

from mlpreport.errors import PageError
from mlpreport.literate.blocks import Block, split_blocks
from mlpreport.literate.inline import Template, Value, read_template, values
from mlpreport.literate.options import Options, read_options, split_options

Kind = Literal["fig", "eq", "tbl", "sec"]

EQUATION = re.compile(
    r"^(?P<indent>[ \t>]*)\$\$(?P<body>(?:(?!\$\$).)+?)\$\$[ \t]*\{#(?P<label>eq-[\w-]+)\}[ \t]*$",
    re.MULTILINE | re.DOTALL,
)
"""A displayed equation with a label: ``$$ … $$ {#eq-name}``."""

_HEADING = re.compile(
    r"^(?P<marks>#{1,6}[ \t]+)?(?P<title>.*?)[ \t]*\{[^}\n]*#(?P<label>sec-[\w-]+)[^}\n]*\}"
    r"(?(marks)|[ \t]*\n(?:=+|-+)[ \t]*$)",
    re.MULTILINE,
)
_TITLE = re.compile(r"^(?:#[ \t]+(?P<one>.+)|(?P<two>\S.*)(?=\n=+[ \t]*$))", re.MULTILINE)
_ATTRIBUTES = re.compile(r"[ \t]*(?:\{[^}\n]*#[^}\n]*\})?[ \t]*#*[ \t]*$")
_LINK = re.compile(r"!?\[(?P<text>[^\]]*)\](?:\([^)]*\)|\[[^\]]*\])")
CITATIONS = re.compile(r"(?<!\\)\[(?P<items>@[^\[\]]*)\](?!\()")
"""Citations in brackets, as in [@key; @other, p. 3]."""
_CITED = re.compile(rf"[ \t]*{CITATIONS.pattern}")
_FRONT_MATTER = re.compile(
    r"---[ \t]*\n(?P<yaml>.*?)^(?:---|\.\.\.)[ \t]*(?:\n|\Z)", re.MULTILINE | re.DOTALL
)


@dataclass(frozen=True)
class Label:
    """A name that references can use: its kind, its line, and the title if it names a section."""

    name: str
    kind: Kind
    line: int
    title: str = ""


@dataclass(frozen=True)
class Prose:
    """Running text with inline values."""

    template: Template
    line: int


@dataclass(frozen=True)
class Verbatim:
    """Text that is copied as it is: shown code, comments."""

    text: str
    line: int


@dataclass(frozen=True)
class Cell:
    """Code to run: `line` is that of the fence, `first_line` that of the first line of `source`."""

    source: str
    options: Options
    line: int
    first_line: int
    prefix: str = ""

    @property
    def caption_line(self) -> int:
        """The line of the caption, which is that of the fence if there is none."""
        return self.options.lines.get("caption", self.line)


@dataclass(frozen=True)
class Page:
    """A page read by `parse`: `meta` is its front matter, `name` its path below the site's pages (`a/2-1.md`).

    `title` is that of the front matter or of the first heading, or else the name.
    """

    name: str
    meta: Mapping[str, Any]
    blocks: tuple[Prose | Verbatim | Cell, ...]
    labels: tuple[Label, ...]
    title: Label

    @property
    def cells(self) -> tuple[Cell, ...]:
        """The cells in order."""
        return tuple(step for step in self.steps if isinstance(step, Cell))

    @property
    def values(self) -> tuple[Value, ...]:
        """The inline values in the order of evaluation."""
        return tuple(step for step in self.steps if isinstance(step, Value))

    @property
    def code(self) -> str:
        """What is executed, as one text: pages with the same code have the same results."""
        return "\0".join(
            step.source if isinstance(step, Cell) else f"={step.expression}" for step in self.steps
        )

    @property
    def steps(self) -> tuple[Cell | Value, ...]:
        """What is executed, in order: the values of a caption follow their cell."""
        return tuple(chain.from_iterable(map(_steps, self.blocks)))


def equation(match: re.Match[str], number: str) -> str:
    """Write a displayed equation that EQUATION found with its number, without the indentation around it."""
    quote = r"\n" + r"[ \t]*>[ \t]?" * match["indent"].count(">")
    return numbered(re.sub(quote, "\n", match["body"]), number)


def numbered(formula: str, number: str) -> str:
    """Display a formula with its number."""
    return f"$$\n{dedent(formula).strip()} \\tag{{{number}}}\n$$"


def parse(text: str, name: str) -> Page:
    """Read the text of the page `name`; a `PageError` names the line of what is wrong in it."""
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    front = _FRONT_MATTER.match(text)
    body = text[front.end() :] if front else text
    first = text.count("\n", 0, front.end()) + 1 if front else 1
    blocks = split_blocks(body, page=name, line=first)
    read = tuple(_read(block, name) for block in blocks)
    labels = tuple(chain.from_iterable(map(_labels, blocks, read)))
    meta = _meta(front["yaml"] if front else "", name)
    return Page(name, meta, read, labels, _title(meta, blocks, name))


def _meta(text: str, name: str) -> Mapping[str, Any]:
    try:
        meta = yaml.safe_load(text) or {}
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 2 if mark else 1
        message = f"{name}:{line}: the front matter is not valid YAML ({getattr(error, 'problem', error)}); correct it"
        raise PageError(message) from None
    if not isinstance(meta, dict):
        message = (
            f"{name}:1: the front matter is {type(meta).__name__}, not a mapping; write 'name: value' lines"
        )
        raise PageError(message)
    return meta


def _read(block: Block, page: str) -> Prose | Verbatim | Cell:
    if block.kind == "prose":
        return Prose(read_template(block.text, page=page, line=block.line), block.line)
    if block.kind == "verbatim":
        return Verbatim(block.text, block.line)
    head, source = split_options(block.text)
    options = read_options(head, page=page, line=block.line + 1)
    return Cell(source, options, block.line, block.line + 1 + head.count("\n"), block.prefix)


def _steps(block: Prose | Verbatim | Cell) -> Iterator[Cell | Value]:
    if isinstance(block, Prose):
        yield from values(block.template)
    elif isinstance(block, Cell):
        yield block
        yield from values(block.options.caption)
        yield from values(block.options.alt)


def _labels(block: Block, read: Prose | Verbatim | Cell) -> Iterator[Label]:
    if isinstance(read, Cell) and read.options.label:
        kind: Kind = read.options.label.split("-")[0]  # type: ignore[assignment]  # read_options checked it
        yield Label(read.options.label, kind, read.line)
    elif block.kind == "prose":
        found = chain(EQUATION.finditer(block.text), _HEADING.finditer(block.text))
        for match in sorted(found, key=re.Match.start):
            yield _label(match, block.line + block.text.count("\n", 0, match.start()))


def _label(match: re.Match[str], line: int) -> Label:
    if match.re is EQUATION:
        return Label(match["label"], "eq", line)
    return Label(match["label"], "sec", line, _unlinked(match["title"]))


def _title(meta: Mapping[str, Any], blocks: Iterable[Block], name: str) -> Label:
    """Find the title of the page, in which values may be, and its line."""
    if meta.get("title"):
        return Label(name, "sec", 1, str(meta["title"]))
    for block in blocks:
        if block.kind == "prose" and (match := _TITLE.search(block.text)):
            title = _unlinked(_ATTRIBUTES.sub("", match["one"] or match["two"]))
            return Label(name, "sec", block.line + block.text.count("\n", 0, match.start()), title)
    return Label(name, "sec", 1, name)


def _unlinked(title: str) -> str:
    """Leave the words of links, and no citation: a reference that shows the title is a link itself."""
    return _LINK.sub(r"\g<text>", _CITED.sub("", title))
