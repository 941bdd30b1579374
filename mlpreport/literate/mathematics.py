r"""LaTeX to MathML Core at build time: no script runs in the reader's browser and screen readers can read it.

Formulas reach the page as what `pymdownx.arithmatex` writes in its generic mode (``\(…\)`` and ``\[…\]`` in
elements of class ``arithmatex``); notebooks carry their dollars into the HTML.  Both become ``<math>`` here.
"""

import re
from html import escape, unescape
from itertools import count

from math_core import LatexError, LatexToMathML

from mlpreport.errors import PageError

_CONVERTER = LatexToMathML(fancy_error=False)
_ARITHMATEX = re.compile(
    r'<(?P<tag>span|div) class="arithmatex">\s*\\(?P<open>[(\[])(?P<latex>.*?)\\[)\]]\s*</(?P=tag)>'
    r"(?P<after>[.,;:!?)]*)",
    re.DOTALL,
)
_TAG = re.compile(r"\\tag\{(?P<number>[^{}]*)\}")
_REASON = re.compile(r"<mtext>\[[^<]*\]</mtext>")
"""Why a line of a derivation holds: words that may be broken over lines."""
_MARKUP = re.compile(r"(<!--.*?-->|<[^<>]*>)", re.DOTALL)
_DOLLARS = re.compile(
    r"\$\$(?P<display>.+?)\$\$"
    r"|(?<![\\$])\$(?P<inline>[^\s$](?:[^$\n]*[^\s$])?)\$(?![\d$])(?P<after>[.,;:!?)]*)",
    re.DOTALL,
)
_VERBATIM = re.compile(r"<(?P<end>/?)(?:pre|code|script|style|svg|math|textarea)\b", re.IGNORECASE)


def to_mathml(latex: str, *, display: bool = False) -> str:
    """Convert one LaTeX formula (without its dollars) to a MathML Core element.

    Parameters
    ----------
    latex
        The formula; environments such as ``aligned`` and ``pmatrix`` are understood.
    display
        Whether it stands on a line of its own.

    Raises
    ------
    PageError
        When the formula is empty or not understood; the message shows it with the reason.
    """
    if not latex.strip():
        message = "an empty formula: write LaTeX between the dollars, or a dollar sign as \\$"
        raise PageError(message)
    try:
        mathml = _CONVERTER.convert_with_local_state(latex, displaystyle=display)
    except LatexError as error:
        place, _, reason = str(error).partition(": ")
        formula = " ".join(latex.split())
        message = (
            f"the formula ${formula}$ is not LaTeX at character {place}: {reason.rstrip('.')}; correct it"
        )
        raise PageError(message) from error
    return _REASON.sub(lambda reason: reason[0].replace("\N{NO-BREAK SPACE}", " "), mathml)


def replace_arithmatex(html: str) -> str:
    """Replace every formula that arithmatex marked in rendered HTML by MathML."""
    numbers = count(1)

    def render(match: re.Match[str]) -> str:
        latex, after = unescape(match["latex"]), match["after"]
        return _inline(latex, after) if match["open"] == "(" else _display(latex, numbers) + after

    return _ARITHMATEX.sub(render, html)


def replace_dollars(html: str) -> str:
    """Replace the ``$…$`` and ``$$…$$`` in the text of rendered HTML, leaving code and markup alone."""
    pieces, verbatim, numbers = [], 0, count(1)
    for piece in _MARKUP.split(html):
        if piece.startswith("<"):
            edge = _VERBATIM.match(piece)
            verbatim += 0 if edge is None or piece.endswith("/>") else (-1 if edge["end"] else 1)
            pieces.append(piece)
        elif verbatim:
            pieces.append(piece)
        else:
            pieces.append(_DOLLARS.sub(lambda match: _render_dollars(match, numbers), piece))
    return "".join(pieces)


def _render_dollars(match: re.Match[str], numbers: "count[int]") -> str:
    if match["inline"]:
        return _inline(unescape(match["inline"]), match["after"])
    return _display(unescape(match["display"]), numbers)


def _inline(latex: str, after: str) -> str:
    """Keep the punctuation after a formula on its line: browsers would break there."""
    mathml = to_mathml(latex)
    return f'<span class="formula">{mathml}{after}</span>' if after else mathml


def _display(latex: str, numbers: "count[int]") -> str:
    r"""Put a display into its own scrolling box, its ``\tag`` beside the box so that it stays in sight."""
    tag = _TAG.search(latex)
    mathml = to_mathml(_TAG.sub("", latex), display=True)
    label = f"Formula {next(numbers)}" if tag is None else f"Equation {tag['number']}"
    number = "" if tag is None else f'<span class="equation-number">({escape(tag["number"])})</span>'
    box = f'<span class="equation-box" tabindex="0" role="group" aria-label="{escape(label)}">{mathml}</span>'
    return f'<span class="equation">{box}{number}</span>'
