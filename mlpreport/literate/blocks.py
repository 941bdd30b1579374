"""The coarse structure of a page: prose, text to leave alone, and python fences, with their line numbers."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from mlpreport.errors import PageError
from mlpreport.literate.inline import SHOWN

_FENCE = re.compile(r"(?P<prefix>[ \t>]*)(?P<fence>`{3,}(?=[^`]*$)|~{3,})(?P<info>.*)$")
_QUOTE = re.compile(r"[ \t]*>(?:[ \t]{0,3}>)*[ \t]?")
# What may hold indented blocks: list items, admonitions, folds, tabs, footnotes, definitions.
_OPENER = re.compile(
    r"[ \t]*(?:[-*+][ \t]|\d+[.)][ \t]|!!![ \t]|\?\?\?\+?[ \t]|===[!+]?[ \t]|\[\^[^\]]+\]:|:[ \t])"
)
_CODE_INDENT = 4


@dataclass(frozen=True)
class Block:
    """Consecutive text of one kind: `line` is that of the first, `prefix` the indentation of a fence."""

    kind: Literal["prose", "verbatim", "cell"]
    text: str
    line: int
    prefix: str = ""


def split_blocks(text: str, *, page: str, line: int) -> tuple[Block, ...]:
    """Cut `text`, which starts at `line` of `page`, into blocks; only a fence of exactly ```` ```python ```` is a cell.

    Other fences, indented code and HTML comments, wherever they begin, are verbatim. A python fence that is never
    closed, or whose lines are indented less than itself, is a `PageError`.
    """
    lines = text.splitlines(keepends=True)
    stretches = list(_stretches(lines))
    return tuple(
        block
        for kind, i, j in _merge(stretches)
        for block in _blocks(kind, lines[i:j], page=page, line=line + i)
    )


def _stretches(lines: list[str]) -> Iterator[tuple[str, int, int]]:
    """Name the kind of each line or group of lines `i` to `j`."""
    openers: dict[int, list[int]] = {}
    i, in_code = 0, False
    while i < len(lines):
        kind, j = _kind(lines, i, openers, in_code=in_code)
        yield kind, i, j
        in_code = kind == "verbatim" and j == i + 1
        i = j


def _kind(lines: list[str], i: int, openers: dict[int, list[int]], *, in_code: bool) -> tuple[str, int]:
    """Name the kind of line `i`; `openers` has the indentation of what is open in each depth of quotation."""
    line = lines[i]
    quote = _QUOTE.match(line)
    depth, text = (quote[0].count(">"), line[quote.end() :]) if quote else (0, line)
    if not text.strip():
        return ("verbatim" if in_code else "prose"), i + 1
    after_blank = i == 0 or not lines[i - 1].strip(" \t\n>")
    for deeper in [level for level in openers if level > depth]:
        del openers[deeper]
    levels = {0: _indent(line), depth: _indent(text)}
    is_code = [_holds_code(openers.setdefault(level, []), indent) for level, indent in levels.items()]
    if any(is_code) and (after_blank or in_code):
        return "verbatim", i + 1
    if fence := _FENCE.match(line.rstrip()):
        is_cell = fence["fence"] == "```" and fence["info"].strip() == "python"
        return ("cell" if is_cell else "verbatim"), _closing(lines, i, fence["fence"])
    if _OPENER.match(text):
        openers[depth].append(levels[depth])
    return "prose", _after_comments(lines, i) if "<!--" in line else i + 1


def _holds_code(openers: list[int], indent: int) -> bool:
    """Close the `openers` that do not hold what is indented by `indent`, and tell whether that may be code."""
    while openers and openers[-1] >= indent:
        openers.pop()
    return indent >= _CODE_INDENT + (openers[-1] + _CODE_INDENT if openers else 0)


def _after_comments(lines: list[str], i: int) -> int:
    """Give the line after those that line `i` and the comments which begin on it fill."""
    text, end = "".join(lines[i:]), len(lines[i])
    for span in SHOWN.finditer(text):
        if span["comment"] and span.start() < end:
            end = max(end, (text.find("\n", span.end()) + 1) or len(text))
    return i + max(1, len(text[:end].splitlines()))


def _closing(lines: list[str], i: int, fence: str) -> int:
    """Give the line after the fence that closes the one on line `i`, or the number of lines plus one."""
    closing = re.compile(rf"[ \t>]*{re.escape(fence[0])}{{{len(fence)},}}[ \t]*$")
    return next(
        (j + 1 for j in range(i + 1, len(lines)) if closing.match(lines[j].rstrip("\n"))), len(lines) + 1
    )


def _merge(stretches: list[tuple[str, int, int]]) -> Iterator[tuple[str, int, int]]:
    """Join neighbours of one kind; cells stay apart."""
    merged: list[tuple[str, int, int]] = []
    for kind, i, j in stretches:
        if merged and kind != "cell" and merged[-1][0] == kind:
            merged[-1] = (kind, merged[-1][1], j)
        else:
            merged.append((kind, i, j))
    return iter(merged)


def _blocks(kind: str, lines: list[str], *, page: str, line: int) -> Iterator[Block]:
    if kind == "prose":
        yield from _prose("".join(lines), line)
    elif kind == "verbatim":
        yield Block("verbatim", "".join(lines), line)
    else:
        yield _cell(lines, page=page, line=line)


def _prose(text: str, line: int) -> Iterator[Block]:
    """Cut the comments out of running text."""
    cuts = [0, *(edge for span in SHOWN.finditer(text) if span["comment"] for edge in span.span()), len(text)]
    for k, (start, end) in enumerate(pairwise(cuts)):
        if start < end:
            yield Block("verbatim" if k % 2 else "prose", text[start:end], line + text.count("\n", 0, start))


def _cell(lines: list[str], *, page: str, line: int) -> Block:
    prefix = _prefix(lines[0])
    closed = len(lines) > 1 and (last := _FENCE.match(lines[-1].rstrip())) and not last["info"].strip()
    if not closed:
        message = f"{page}:{line}: the python fence opened here is never closed; add a line with ```"
        raise PageError(message)
    source = "".join(_dedent(text, prefix, f"{page}:{line + 1 + i}") for i, text in enumerate(lines[1:-1]))
    return Block("cell", source, line, prefix)


def _dedent(line: str, prefix: str, where: str) -> str:
    if line.startswith(prefix):
        return line.removeprefix(prefix)
    if not line.strip(" \t\n>"):
        return "\n"
    message = f"{where}: the line {line.strip()!r} is indented less than its fence; indent it as the fence is"
    raise PageError(message)


def indent(text: str, prefix: str) -> str:
    """Put `prefix` before each line, its blank end left off blank lines."""
    lines = text.splitlines(keepends=True)
    return "".join(prefix + line if line.strip() else prefix.rstrip() + line for line in lines)


def _prefix(line: str) -> str:
    fence = _FENCE.match(line.rstrip())
    return fence["prefix"] if fence else ""


def _indent(line: str) -> int:
    expanded = line.expandtabs(4)
    return len(expanded) - len(expanded.lstrip())
