"""The `#|` options at the head of a cell."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml  # type: ignore[import-untyped]

from mlpreport.checks import nearest
from mlpreport.errors import PageError
from mlpreport.literate.inline import Template, read_template

_PREFIX = re.compile(r"#\|[ \t]?")
_LABEL = re.compile(r"(?:fig|tbl|eq)-[A-Za-z0-9](?:[\w-]*\w)?")
_COMMENT = re.compile(r"""^(caption|alt|fold)[ \t]*:[ \t]+(?![ \t"'|>])[^\n]*?(\s\#.*)$""", re.MULTILINE)
_NAMES = ("label", "caption", "alt", "echo", "fold")


@dataclass(frozen=True)
class Options:
    """How a cell is shown: `fold` is the summary of the fold its code is in, or None; captions are templates.

    `lines` has the line of the page on which each option begins.
    """

    label: str | None = None
    caption: Template = ()
    alt: Template = ()
    echo: bool = True
    fold: str | None = None
    lines: Mapping[str, int] = field(default_factory=dict)


def split_options(source: str) -> tuple[str, str]:
    """Cut the `#|` lines, without that mark, off the head of a cell's source."""
    lines = source.splitlines(keepends=True)
    count = next((i for i, line in enumerate(lines) if not line.startswith("#|")), len(lines))
    return "".join(_PREFIX.sub("", line, count=1) for line in lines[:count]), "".join(lines[count:])


def read_options(text: str, *, page: str, line: int) -> Options:
    """Read YAML options that start at `line` of `page`; a `PageError` names a wrong one and what would be right."""
    where = f"{page}:{line}"
    given = _mapping(text, where)
    for name in given:
        _check_name(str(name), where)
    lines = {
        m[1]: line + text.count("\n", 0, m.start()) for m in re.finditer(r"^(\w+)[ \t]*:", text, re.MULTILINE)
    }
    options = Options(
        label=_label(given.get("label"), where),
        caption=read_template(_words(given, "caption", where), page=page, line=lines.get("caption", line)),
        alt=read_template(_words(given, "alt", where), page=page, line=lines.get("alt", line)),
        echo=_switch(given.get("echo", True), "echo", where),
        fold=_fold(given.get("fold", False), where),
        lines=lines,
    )
    if options.label and not options.caption and not options.label.startswith("eq-"):
        message = f"{where}: the label {options.label!r} has no caption; add a line '#| caption: …' below it"
        raise PageError(message)
    return options


def _mapping(text: str, where: str) -> Mapping[str, Any]:
    names = re.findall(r"^(\w+)[ \t]*:", text, re.MULTILINE)
    cut = _COMMENT.search(text)
    if cut:
        message = f"{where}: YAML takes {cut[2].strip()!r} for a comment; put the {cut[1]} in quotes"
        raise PageError(message)
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        message = f"{where}: the option {twice[0]!r} is given twice; keep one"
        raise PageError(message)
    try:
        given = yaml.safe_load(text) or {}
    except yaml.YAMLError as error:
        problem = " ".join(str(getattr(error, "problem", None) or error).split())
        message = (
            f"{where}: the #| options are not valid YAML ({problem}); put the text of captions in quotes"
        )
        raise PageError(message) from None
    if not isinstance(given, dict):
        message = f"{where}: the #| options {text.strip()!r} are no options; write '#| name: value' lines"
        raise PageError(message)
    return given


def _check_name(name: str, where: str) -> None:
    if name not in _NAMES:
        hint = nearest(name, _NAMES) or f"the options are {', '.join(_NAMES)}"
        message = f"{where}: unknown option {name!r}; {hint}"
        raise PageError(message)


def _label(label: object, where: str) -> str | None:
    if label is None or (isinstance(label, str) and _LABEL.fullmatch(label)):
        return label
    message = f"{where}: the label {label!r} must be fig-, tbl- or eq- and letters, digits, '-' or '_'"
    raise PageError(message)


def _words(given: Mapping[str, Any], name: str, where: str) -> str:
    words = given.get(name, "")
    if not isinstance(words, str):
        message = f"{where}: the {name} {words!r} is not text; put it in quotes"
        raise PageError(message)
    return words.strip()


def _switch(switch: object, name: str, where: str) -> bool:
    if not isinstance(switch, bool):
        message = f"{where}: the option {name!r} is {switch!r}; it must be true or false"
        raise PageError(message)
    return switch


def _fold(fold: object, where: str) -> str | None:
    if isinstance(fold, str) and fold.strip():
        return fold.strip()
    return "Code" if _switch(fold, "fold", where) else None
