"""The `#|` options at the head of a cell."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml  # type: ignore[import-untyped]

from mlpreport.checks import nearest
from mlpreport.errors import PageError
from mlpreport.literate.inline import Template, read_template

_PREFIX = re.compile(r"#\|[ \t]?")
_LABEL = re.compile(r"(?:fig|tbl|eq)-[A-Za-z0-9](?:[\w-]*\w)?")
_COMMENT = re.compile(r"""^(caption|alt|fold)[ \t]*:[ \t]+(?![ \t"'|>])[^\n]*?(\s\#.*)$""", re.MULTILINE)
_NAME = re.compile(r"^(\w+)[ \t]*:", re.MULTILINE)
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
    lines = {match[1]: line + text.count("\n", 0, match.start()) for match in _NAME.finditer(text)}

    def where(name: str) -> str:
        return f"{page}:{lines.get(name, line)}"

    given = _mapping(text, where, page=page, line=line)
    for name in given:
        _check_name(str(name), where(name))
    options = Options(
        label=_label(given.get("label"), where("label")),
        caption=read_template(
            _words(given, "caption", where("caption")), page=page, line=lines.get("caption", line)
        ),
        alt=read_template(_words(given, "alt", where("alt")), page=page, line=lines.get("alt", line)),
        echo=_switch(given.get("echo", True), "echo", where("echo")),
        fold=_fold(given.get("fold", False), where("fold")),
        lines=lines,
    )
    if options.label and not options.caption and not options.label.startswith("eq-"):
        message = f"{where('label')}: the label {options.label!r} has no caption; add a line '#| caption: …' below it"
        raise PageError(message)
    return options


def _mapping(text: str, where: Callable[[str], str], *, page: str, line: int) -> Mapping[str, Any]:
    if cut := _COMMENT.search(text):
        message = f"{where(cut[1])}: YAML takes {cut[2].strip()!r} for a comment; put the {cut[1]} in quotes"
        raise PageError(message)
    names = _NAME.findall(text)
    if twice := sorted({name for name in names if names.count(name) > 1}):
        message = f"{where(twice[0])}: the option {twice[0]!r} is given twice; keep one"
        raise PageError(message)
    try:
        given = yaml.safe_load(text) or {}
    except yaml.YAMLError as error:
        problem = " ".join(str(getattr(error, "problem", None) or error).split())
        here = f"{page}:{line + _yaml_line(error, text)}"
        message = f"{here}: the #| options are not valid YAML ({problem}); put the text of captions in quotes"
        raise PageError(message) from None
    if not isinstance(given, dict):
        message = (
            f"{page}:{line}: the #| options {text.strip()!r} are no options; write '#| name: value' lines"
        )
        raise PageError(message)
    return given


def _yaml_line(error: yaml.YAMLError, text: str) -> int:
    """Count the lines before what YAML cannot read: where a quotation begins rather than where the text ends."""
    begins = "scanning" in (getattr(error, "context", None) or "")
    mark = getattr(error, "context_mark" if begins else "problem_mark", None)
    return min(mark.line, max(text.count("\n") - 1, 0)) if mark else 0


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
