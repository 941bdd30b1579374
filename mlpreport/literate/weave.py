"""A page and what came out of it, woven into Markdown for MkDocs, image files and a notebook."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath

from mlpreport.errors import InvalidInputError, PageError
from mlpreport.literate import outputs
from mlpreport.literate.blocks import indent
from mlpreport.literate.execution import Run, execute
from mlpreport.literate.filled import FilledBlock, FilledCell, FilledProse, fill_page, titled
from mlpreport.literate.notebook import executed_notebook
from mlpreport.literate.page import EQUATION, Page, Verbatim, equation, numbered, parse
from mlpreport.literate.recorder import Output, joined
from mlpreport.literate.references import Reference, Rewrite, as_link, as_words, number, resolve

_FORMULA = re.compile(r"(?P<dollars>\$\$?)(?P<body>(?:\\.|[^$\\])+)(?P=dollars)", re.DOTALL)

Numbering = Mapping[str, Reference]


@dataclass(frozen=True)
class Woven:
    """A woven page: Markdown without front matter, and its files by their paths below the site's pages.

    `notebook` is the path of the executed notebook, which is one of the files.
    """

    markdown: str
    files: Mapping[str, bytes]
    notebook: str


@dataclass(frozen=True)
class Surroundings:
    """What a page takes from the site around it; a page alone keeps its citations and comments.

    `cite` rewrites citations in prose, captions and Markdown that cells show, `cite_plainly` those of the notebook;
    `lists` has what stands in the place of comments.
    """

    cite: Rewrite = lambda text, _: text
    cite_plainly: Rewrite = lambda text, _: text
    lists: Mapping[str, str] = field(default_factory=dict)


ALONE = Surroundings()


def weave_text(text: str, *, name: str = "page.md", cwd: str | Path | None = None) -> Woven:
    """Parse, execute and weave a page that stands alone."""
    page = parse(text, name)
    run = execute([page], workers=1, cwd=cwd)[name]
    return weave(page, run, number([titled(page, run)]))


def weave(page: Page, run: Run, numbering: Numbering, site: Surroundings = ALONE) -> Woven:
    """Weave `page` of `site` with its Run; a figure without alternative text or an unknown label is a `PageError`."""
    _check_arguments(page, run, numbering)
    blocks = fill_page(page, run)
    stem = PurePosixPath(page.name).with_suffix("")
    files: dict[str, bytes] = {}
    link = _rewriting(numbering, page.name, as_link, site.cite)
    parts = [
        site.lists.get(block.text, block.text)
        if isinstance(block, Verbatim)
        else _markdown(block, page.name, numbering, files, link)
        for block in blocks
    ]
    content = executed_notebook(
        blocks, numbering, _rewriting(numbering, page.name, as_words, site.cite_plainly)
    )
    notebook = f"{stem}.ipynb"
    files = {f"{stem}_files/{name}": files[name] for name in files} | {notebook: content}
    return Woven(_joined(blocks, parts), files, notebook)


def _rewriting(
    numbering: Numbering, page: str, show: Callable[[Reference, str], str], cite: Rewrite
) -> Rewrite:
    """Rewrite references by `show`, then citations by `cite`."""
    return lambda text, line: cite(resolve(text, numbering, page=page, line=line, show=show), line)


def _check_arguments(page: Page, run: Run, numbering: Numbering) -> None:
    if run.code != page.code:
        message = (
            f"the Run given for {page.name} is of other code; give that which execute() made of this page"
        )
        raise InvalidInputError(message)
    missing = [label.name for label in page.labels if label.name not in numbering]
    if missing:
        message = (
            f"the numbering lacks {missing[0]!r} of {page.name}; give that which number() made with this page"
        )
        raise InvalidInputError(message)


def _joined(blocks: Sequence[FilledBlock], texts: Iterable[str]) -> str:
    """Join blocks with a blank line around cells, without which Markdown would see one paragraph."""
    result, after_cell = "", False
    for block, text in zip(blocks, texts, strict=True):
        is_cell = isinstance(block, FilledCell)
        last, first = result.removesuffix("\n").rpartition("\n")[2], text.partition("\n")[0]
        touching = last.strip(" \t>") and first.strip(" \t>")
        result += f"\n{text}" if touching and (is_cell or after_cell) else text
        after_cell = is_cell
    return result


def _markdown(
    block: FilledProse | FilledCell, page: str, numbering: Numbering, files: dict[str, bytes], link: Rewrite
) -> str:
    """Write one block; its image files are added to `files`."""
    if isinstance(block, FilledProse):
        return link(EQUATION.sub(partial(_equation, numbering=numbering), block.text), block.line)
    parts = [part for part in (_code(block), *_shown(block, page, numbering, files, link)) if part]
    return indent("\n\n".join(parts) + "\n", block.cell.prefix)


def _equation(match: re.Match[str], numbering: Numbering) -> str:
    """Give a displayed equation its number and anchor, apart from the text around it."""
    label, edge = match["label"], match["indent"].rstrip()
    block = outputs.block(f"div#{label}", equation(match, numbering[label].number))
    return f"{edge}\n{indent(block, match['indent'])}\n{edge}"


def _code(block: FilledCell) -> str:
    """Show the code of a cell as its options say."""
    options, source = block.cell.options, block.cell.source.strip("\n")
    if not options.echo or not source:
        return ""
    fence = outputs.fence(source)
    code = f"{fence}python\n{source}\n{fence}"
    if options.fold is None:
        return code
    title = options.fold.replace('"', "&quot;")
    return f'??? code "{title}"\n\n' + indent(code, "    ")


def _shown(
    block: FilledCell, page: str, numbering: Numbering, files: dict[str, bytes], link: Rewrite
) -> Iterator[str]:
    """Show the outputs of a cell: its images, or with a table's or equation's label all of them, become one element."""
    label = block.cell.options.label or ""
    images = _images(block)
    _check(block, page, has_image=bool(images))
    pictures = _pictures(block, page, images, files)
    if label.startswith(("tbl-", "eq-")):
        shown = (output for output in block.outputs if not outputs.is_image(output))
        texts = [_text(output, block, link) for output in shown]
        yield _labelled(block, "\n\n".join([*pictures, *filter(None, texts)]), page, numbering, link)
        return
    for output in block.outputs:
        if not outputs.is_image(output):
            yield _text(output, block, link)
        elif output is images[0]:
            yield _labelled(block, "\n\n".join(pictures), page, numbering, link)


def _images(block: FilledCell) -> list[Output]:
    """List the images of a cell, each once: an open figure that is the result of the cell, too, comes twice."""
    found: dict[str, Output] = {}
    for output in filter(outputs.is_image, block.outputs):
        found.setdefault(joined(output["data"][outputs.best(output)]), output)
    return list(found.values())


def _text(output: Output, block: FilledCell, link: Rewrite) -> str:
    text = outputs.markdown(output)
    is_markdown = outputs.best(output) == "text/markdown"
    return link(text, block.cell.line) if is_markdown else text


def _check(block: FilledCell, page: str, *, has_image: bool) -> None:
    options, where = block.cell.options, f"{page}:{block.cell.line}"
    if outputs.SCRIPT in map(outputs.best, block.outputs):
        message = f"{where}: the cell shows a script, but pages run none; show HTML, a picture or text"
        raise PageError(message)
    if has_image and not block.alt.strip():
        message = f"{where}: the figure has no alternative text; add '#| alt: …' saying what it shows"
        raise PageError(message)
    needs_image = (options.label or "").startswith("fig-") or (options.caption and not options.label)
    if (needs_image and not has_image) or (options.label and not block.outputs):
        name = repr(options.label) if options.label else "the caption"
        message = f"{where}: the cell has {name} but shows nothing that it names; end the cell with what it should show"
        raise PageError(message)


def _pictures(block: FilledCell, page: str, images: list[Output], files: dict[str, bytes]) -> list[str]:
    name = block.cell.options.label or f"cell-{block.index}"
    folder = f"{PurePosixPath(page).stem}_files"
    shown = []
    for i, output in enumerate(images, start=1):
        image = outputs.image(output, stem=name if i == 1 else f"{name}-{i}", folder=folder, alt=block.alt)
        files.update(image.files)
        shown.append(image.markdown)
    return shown


def _labelled(block: FilledCell, content: str, page: str, numbering: Numbering, link: Rewrite) -> str:
    """Wrap what a cell shows in a figure with its number and caption, or an equation with its number."""
    label = block.cell.options.label
    if label and label.startswith("eq-"):
        formula = _formula(content, f"{page}:{block.cell.line}", label)
        return outputs.block(f"div#{label}", numbered(formula, numbering[label].number))
    caption = link(block.caption, block.cell.caption_line)
    if label:
        caption = f"**{numbering[label].text}.** {caption}"
    rerun = (
        f"\n\nRerun: `mlpreport rerun {label}`\n{{: .rerun }}" if label and label.startswith("fig-") else ""
    )
    below = "\n\n" + outputs.block("figcaption", caption + rerun) if caption else ""
    return outputs.block(f"figure#{label}" if label else "figure", content + below)


def _formula(content: str, where: str, label: str) -> str:
    formula = _FORMULA.fullmatch(content.strip())
    if formula is None:
        message = (
            f"{where}: the cell has {label!r} but shows what is not one formula; end it with Math(…) alone"
        )
        raise PageError(message)
    return formula["body"]
