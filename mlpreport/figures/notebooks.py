"""Figures in notebooks, where IPython draws them only after pyplot was imported: ours come without it."""

import sys
from functools import partial

from matplotlib.figure import Figure


def show_in_notebooks() -> None:
    """Have IPython, if this process runs under it, draw a Figure as SVG, unless it draws Figures already."""
    if "IPython" not in sys.modules:
        return
    from IPython.core.getipython import get_ipython  # noqa: PLC0415 - a script does without IPython
    from IPython.core.pylabtools import print_figure  # noqa: PLC0415

    shell = get_ipython()
    formatters = shell.display_formatter.formatters if shell and shell.display_formatter else {}
    if formatters and not any(Figure in formatter.type_printers for formatter in formatters.values()):
        formatters["image/svg+xml"].for_type(Figure, partial(print_figure, fmt="svg"))
