"""Inline values `` `{python} expr` `` in running text, and what lies outside of code and comments."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from mlpreport.errors import PageError

# A code span ends at the same number of backticks and never runs over a blank line (CommonMark 6.1).
SHOWN = re.compile(
    r"^[ \t>]*(?P<fence>`{3,}|~{3,})[^\n]*\n.*?^[ \t>]*(?P=fence)[`~]*[ \t]*$"
    r"|(?<![\\`])(?P<ticks>`+)(?!`)(?P<code>(?:(?!\n[ \t]*\n).)+?)(?<!`)(?P=ticks)(?!`)"
    r"|(?P<comment><!--.*?-->)",
    re.DOTALL | re.MULTILINE,
)
"""What in Markdown is shown as it is, or not at all: fences, code spans, comments."""

_MARK = "{python}"

VALUE = "<value>"
"""The name of the file that the code of an inline value comes from."""


@dataclass(frozen=True)
class Value:
    """An expression whose result, by `str`, takes its place in the text; `line` counts from 1 in the page file."""

    expression: str
    line: int


Template = tuple[str | Value, ...]
"""Text cut at its inline values."""


def read_template(text: str, *, page: str, line: int) -> Template:
    """Cut `text`, which starts at `line` of `page`, at its inline values; a `PageError` if one is no expression."""
    parts: list[str | Value] = []
    end = 0
    for span in SHOWN.finditer(text):
        if span["ticks"] == "`" and span["code"].startswith(_MARK):
            value = Value(
                " ".join(span["code"].removeprefix(_MARK).split("\n")).strip(), _line(text, span, line)
            )
            _check_expression(value, page)
            parts += [text[end : span.start()], value]
            end = span.end()
    return tuple(part for part in (*parts, text[end:]) if part)


def values(template: Template) -> Iterator[Value]:
    """Give the inline values of `template` in order."""
    return (part for part in template if isinstance(part, Value))


def fill(template: Template, results: Iterator[str]) -> str:
    """Put the next of `results` in the place of each inline value; in a row of a table its bars do not end the cell."""
    text = ""
    for part in template:
        if isinstance(part, str):
            text += part
        else:
            value, row = next(results), text.rpartition("\n")[2].lstrip().startswith("|")
            text += value.replace("|", r"\vert{}" if "$" in value else r"\|") if row else value
    return text


def outside_code(text: str, change: Callable[[str], str]) -> str:
    """Apply `change` to the stretches of `text` between code and comments."""
    parts, end = [], 0
    for span in SHOWN.finditer(text):
        parts += [change(text[end : span.start()]), span[0]]
        end = span.end()
    return "".join([*parts, change(text[end:])])


def without_code(text: str) -> str:
    """Blank out code and comments, keeping every other character where it is."""
    return SHOWN.sub(lambda span: re.sub(r"[^\n]", " ", span[0]), text)


def _line(text: str, span: re.Match[str], first: int) -> int:
    return first + text.count("\n", 0, span.start())


def _check_expression(value: Value, page: str) -> None:
    try:
        compile(value.expression, page, "eval")
    except SyntaxError as error:
        message = (
            f"{page}:{value.line}: the inline value {value.expression!r} is not a Python expression ({error.msg}); "
            "write one expression after {python}, or show the text in double backticks"
        )
        raise PageError(message) from None
