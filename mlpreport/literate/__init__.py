"""The literate bridge: a page of Markdown with code becomes Markdown with results, image files and a notebook.

    page      = parse(text, "2-1.md")
    numbering = number([page])
    runs      = execute([page])
    woven     = weave(page, runs[page.name], numbering)

Nothing here knows MkDocs; the plugin that does is in `mlpreport.literate.plugin`.
"""

from mlpreport.literate.execution import Run, execute, preload
from mlpreport.literate.page import Page, parse
from mlpreport.literate.references import Reference, number
from mlpreport.literate.weave import Woven, weave, weave_text

__all__ = [
    "Page",
    "Reference",
    "Run",
    "Woven",
    "execute",
    "number",
    "parse",
    "preload",
    "weave",
    "weave_text",
]
