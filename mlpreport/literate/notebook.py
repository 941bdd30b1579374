"""The executed notebook of a page, which opens and runs again in Jupyter (nbformat 4.5)."""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from textwrap import dedent
from typing import Any

from mlpreport.literate.blocks import indent
from mlpreport.literate.filled import FilledBlock, FilledCell, FilledProse
from mlpreport.literate.page import EQUATION, Verbatim, equation
from mlpreport.literate.references import Reference, Rewrite

_METADATA = {
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
_FOLD = re.compile(
    r'^\?\?\?\+?[ \t]+(?:[\w-]+[ \t]+)*"(?P<title>[^"\n]*)"[ \t]*\n(?P<body>(?:(?: {4}.*)?\n)*)', re.MULTILINE
)
"""A fold of pymdownx.details with the prose in it; its cells are blocks of their own."""
_HEADING_ATTRIBUTES = re.compile(
    r"^(?:(#{1,6} .*?)[ \t]*\{[^}\n]*\}[ \t]*$|(.+?)[ \t]*\{[^}\n]*\}[ \t]*(?=\n(?:=+|-+)[ \t]*$))",
    re.MULTILINE,
)


def executed_notebook(
    blocks: Iterable[FilledBlock],
    numbering: Mapping[str, Reference],
    plain: Rewrite,
) -> bytes:
    """Write the blocks of a page as a notebook, prose as `plain` rewrites it; the same blocks give the same bytes."""
    cells: list[dict[str, Any]] = []
    prose: list[str] = []
    for block in blocks:
        if isinstance(block, FilledCell):
            cells += [*_prose_cell(prose), _code_cell(block, in_fold=_opens_fold(prose))]
            caption = _caption(block, numbering)
            prose = [plain(caption, block.cell.caption_line)] if caption else []
        else:
            prose.append(_plain(block, numbering, plain))
    cells += _prose_cell(prose)
    numbered = [{"id": _identity(i, cell), **cell} for i, cell in enumerate(cells)]
    notebook = {"cells": numbered, "metadata": _METADATA, "nbformat": 4, "nbformat_minor": 5}
    return (json.dumps(notebook, ensure_ascii=False, indent=1, sort_keys=True) + "\n").encode()


def _plain(block: FilledProse | Verbatim, numbering: Mapping[str, Reference], plain: Rewrite) -> str:
    """Write prose without what only the site understands: labels, references, citations."""
    if isinstance(block, Verbatim):
        return block.text
    text = EQUATION.sub(lambda match: _tagged(match, numbering), block.text)
    return plain(_HEADING_ATTRIBUTES.sub(r"\1\2", text), block.line)


def _tagged(match: re.Match[str], numbering: Mapping[str, Reference]) -> str:
    return indent(equation(match, numbering[match["label"]].number), match["indent"])


def _caption(block: FilledCell, numbering: Mapping[str, Reference]) -> str:
    label = block.cell.options.label
    return f"**{numbering[label].text}.** {block.caption}\n" if label and block.caption else block.caption


def _opens_fold(prose: list[str]) -> bool:
    return bool(_FOLD.match("".join(prose).rstrip().rpartition("\n")[2] + "\n"))


def _unfolded(fold: re.Match[str]) -> str:
    """Write a fold as Jupyter knows it, or its title if what is in it comes in the next cell."""
    if not fold["body"].strip():
        return f"*{fold['title']}*\n"
    return f"<details><summary>{fold['title']}</summary>\n\n{dedent(fold['body']).strip()}\n\n</details>\n\n"


def _prose_cell(prose: list[str]) -> list[dict[str, Any]]:
    text = _FOLD.sub(_unfolded, "".join([*prose, "\n"])).strip("\n")
    return [{"cell_type": "markdown", "metadata": {}, "source": text}] if text else []


def _code_cell(block: FilledCell, *, in_fold: bool) -> dict[str, Any]:
    options = block.cell.options
    hidden = {"source_hidden": True} if in_fold or not options.echo or options.fold is not None else {}
    hidden |= {"outputs_hidden": True} if in_fold else {}
    return {
        "cell_type": "code",
        "execution_count": block.index,
        "metadata": {"jupyter": hidden} if hidden else {},
        "outputs": list(block.outputs),
        "source": block.cell.source.strip("\n"),
    }


def _identity(i: int, cell: Mapping[str, Any]) -> str:
    digest = hashlib.sha256(f"{i} {cell['cell_type']} {cell['source']}".encode()).hexdigest()
    return f"{cell['cell_type']}-{digest[:12]}"
