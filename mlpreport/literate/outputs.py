"""Outputs of cells as Markdown for MkDocs: text, HTML, mathematics, images with a light and a dark version."""

import base64
import json
import re
from dataclasses import dataclass

from mlpreport.literate.recorder import Output, joined
from mlpreport.literate.schemes import dark

IMAGES = {
    "image/svg+xml": "svg",
    "image/png": "png",
    "image/jpeg": "jpg",
    "image/webp": "webp",
    "image/gif": "gif",
}
SCRIPT = "application/javascript"
_JSON = "application/json"
_ORDER = (*IMAGES, "text/markdown", "text/html", "text/latex", _JSON, SCRIPT, "text/plain")
# ECMA-48: control sequences (colours, cursor), operating-system commands (titles, links), others (character sets).
_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[ -/]*[0-Z\\^-~])")
_MARKDOWN = re.compile(r"""[\\`*_{}\[\]()<>#+.!|$"'&@~^=:-]""")


@dataclass(frozen=True)
class Image:
    """An image of a page: its files (name → content) and the Markdown that shows it."""

    files: dict[str, bytes]
    markdown: str


def best(output: Output) -> str:
    """Name the richest form of an output that a page can show; "" if there is none."""
    return next((mime for mime in _ORDER if mime in output.get("data", {})), "")


def is_image(output: Output) -> bool:
    """Tell whether an output is shown as an image."""
    return best(output) in IMAGES


def image(output: Output, *, stem: str, folder: str, alt: str) -> Image:
    """Write the files of an image, named after `stem`, and show them from `folder`; `alt` is plain text."""
    mime = best(output)
    content = joined(output["data"][mime])
    alt = escape(alt)
    if mime != "image/svg+xml":
        name = f"{stem}.{IMAGES[mime]}"
        return Image({name: base64.b64decode(content)}, f"![{alt}]({folder}/{name}){{ .raster }}")
    files = {f"{stem}-light.svg": content.encode(), f"{stem}-dark.svg": dark(content).encode()}
    shown = (f"![{alt}]({folder}/{stem}-{scheme}.svg#only-{scheme})" for scheme in ("light", "dark"))
    return Image(files, "\n".join(shown))


def markdown(output: Output) -> str:
    """Write an output that is no image as Markdown; "" if there is nothing to show."""
    if output["output_type"] == "stream":
        kind = " .stderr" if output["name"] == "stderr" else ""
        return text_block(joined(output["text"]), kind)
    if output["output_type"] == "error":
        return text_block("\n".join(output["traceback"]), " .stderr")
    mime = best(output)
    if mime == _JSON:
        return text_block(json.dumps(output["data"][mime], indent=2, ensure_ascii=False))
    content = joined(output["data"].get(mime, ""))
    if mime == "text/html":
        return block("div.output", content, "markdown: html")
    if mime == "text/latex":
        return _display(content)
    return content.strip("\n") if mime == "text/markdown" else text_block(content)


def text_block(text: str, kind: str = "") -> str:
    """Show plain text, without terminal codes, in a fence of the class `output`."""
    text = "\n".join(_last_written(line) for line in _ANSI.sub("", text).rstrip().split("\n"))
    marks = fence(text)
    return f"{marks}{{.text .output{kind}}}\n{text}\n{marks}" if text else ""


def fence(text: str) -> str:
    """Give a fence of backticks longer than any in `text`."""
    return "`" * max(3, 1 + max(map(len, re.findall(r"`+", text)), default=0))


def block(kind: str, content: str, *options: str) -> str:
    """Wrap Markdown in an HTML element `tag.class#id`; unlike raw HTML, pymdownx.blocks nests in lists."""
    marks = "/" * max(3, 1 + max(map(len, re.findall(r"^\s*(/{3,})", content, re.MULTILINE)), default=0))
    head = "".join(f"    {option}\n" for option in options)
    return f"{marks} html | {kind}\n{head}\n{content.strip(chr(10))}\n{marks}"


def escape(text: str) -> str:
    """Write plain text so that Markdown and HTML attributes give it back unchanged, on one line."""
    return _MARKDOWN.sub(lambda match: f"&#{ord(match[0])};", " ".join(text.split()))


def _last_written(line: str) -> str:
    """Show what a terminal would after carriage returns, as those of progress bars."""
    return next((part for part in reversed(line.split("\r")) if part), "").rstrip()


def _display(latex: str) -> str:
    """Write LaTeX, with its own dollar signs or without, as a displayed equation."""
    latex = latex.strip()
    inner = latex.strip("$").strip()
    return latex if "$" in inner else f"$$\n{inner}\n$$"
