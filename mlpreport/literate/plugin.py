"""The MkDocs plugin `mlpreport`: it runs the pages, and MkDocs makes a site of what comes out.

Everything happens in plain functions of this room; the plugin says when.  Pages run before MkDocs renders the
first of them.  A site is built in a folder of its own and replaces the earlier one only when it is complete.
"""

import logging
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Literal

from jupyter_client.kernelspec import NoSuchKernel
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.livereload import LiveReloadServer
from mkdocs.plugins import BasePlugin, event_priority, get_plugin_logger
from mkdocs.structure.files import File, Files, InclusionLevel
from mkdocs.structure.nav import Navigation
from mkdocs.structure.pages import Page as SitePage
from mkdocs.structure.toc import TableOfContents
from mkdocs.utils import CountHandler
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

import mlpreport
from mlpreport.errors import MlpReportError
from mlpreport.literate.chapters import Chapters, compose
from mlpreport.literate.execution import Run
from mlpreport.literate.labs import check, explain, own_ipython, tidy
from mlpreport.literate.mathematics import replace_arithmatex
from mlpreport.literate.page import Page
from mlpreport.literate.publishing import prepare, publish, stamp
from mlpreport.literate.site import EXTENSIONS, LiterateConfig, read_sources

Rendered = tuple[str | None, TableOfContents, str | None]
"""What mkdocs-jupyter makes of a notebook: HTML, contents, title."""

_log = get_plugin_logger("mlpreport")
_AFTER_ALL_OTHERS = -200


class LiteratePlugin(BasePlugin[LiterateConfig]):  # type: ignore[no-untyped-call] # of MkDocs
    """Runs and weaves the pages, and sets their formulas and citations."""

    def __init__(self) -> None:
        self._command = "build"
        self._dirty = False
        self._chapters = Chapters()
        self._runs: dict[str, Run] = {}
        self._labs: dict[str, tuple[tuple[bytes, ...], Rendered]] = {}
        self._stage: Path | None = None
        self._site = Path()

    def on_startup(self, *, command: Literal["build", "gh-deploy", "serve"], dirty: bool) -> None:
        """Remember what MkDocs was asked to do, and forget what was done before."""
        self._command, self._dirty, self._runs = command, dirty, {}

    def on_config(self, config: MkDocsConfig) -> None:
        """Build beside the site that is there, with the Markdown that woven pages need, and date the footer."""
        config.markdown_extensions += [name for name in EXTENSIONS if name not in config.markdown_extensions]
        config.copyright = " · ".join(
            filter(None, [config.copyright, stamp(Path(config.config_file_path).parent)])
        )
        if self._command != "serve" and not self._dirty:
            with _told_by_mkdocs():
                self._site = Path(config.site_dir)
                self._stage = prepare(self._site)
                config.site_dir = str(self._stage)

    def on_nav(self, nav: Navigation, /, *, config: MkDocsConfig, files: Files) -> Navigation:
        """Run all pages, in the order of the navigation, and add the files they make."""
        with _told_by_mkdocs():
            for file in files.documentation_pages():
                if file.src_uri.endswith(".ipynb"):
                    check(file.content_bytes, file.src_uri)
            sources = read_sources(nav, files, config, self.config)
            cwd = Path(config.config_file_path).parent
            earlier = dict(self._runs) if self._command == "serve" else {}
            self._chapters = compose(
                sources, workers=self.config.workers, cwd=cwd, earlier=earlier, on_done=self._keep
            )
        if self._chapters.warning:
            _log.warning(self._chapters.warning)
        for name, content in self._chapters.files.items():
            files.append(File.generated(config, name, content=content, inclusion=InclusionLevel.INCLUDED))
        return nav

    def _keep(self, page: Page, run: Run) -> None:
        """Tell that a page has run, and keep its Run even if another page fails."""
        _log.info("Ran %s in %.1f s", page.name, run.seconds)
        self._runs[page.name] = run

    def on_page_markdown(self, markdown: str, /, *, page: SitePage, **_: object) -> str:
        """Give MkDocs the woven page."""
        return self._chapters.markdown.get(page.file.src_uri, markdown)

    @event_priority(_AFTER_ALL_OTHERS)
    def on_pre_page(self, page: SitePage, /, **_: object) -> SitePage:
        """Make a lab that fails fail the build in the same words as a page."""
        if page.file.src_uri.endswith(".ipynb"):
            page.render = partial(self._render_lab, page, page.render)  # type: ignore[method-assign] # as mkdocs-jupyter does
        return page

    def _render_lab(
        self,
        page: SitePage,
        render: Callable[[MkDocsConfig, Files], None],
        config: MkDocsConfig,
        files: Files,
    ) -> None:
        key = (page.file.content_bytes, *(file.read_bytes() for file in _modules()))
        if self._labs.get(page.file.src_uri, ((), None))[0] != key:
            try:
                with own_ipython():
                    render(config, files)
            except (CellExecutionError, CellTimeoutError, DeadKernelError, NoSuchKernel) as error:
                message = f"{page.file.src_uri}: {explain(error)}"
                raise PluginError(message) from error
            self._labs[page.file.src_uri] = key, (page.content, page.toc, page.title)
        page.content, page.toc, page.title = self._labs[page.file.src_uri][1]

    def on_page_content(self, html: str, /, *, page: SitePage, **_: object) -> str:
        """Set the formulas of the page, whatever it was written in."""
        name = page.file.src_uri
        with _told_by_mkdocs(name):
            return tidy(html, name) if name.endswith(".ipynb") else replace_arithmatex(html)

    def on_post_page(self, output: str, /, **_: object) -> str:
        """Name the theme's search dialog for screen readers, as WAI-ARIA asks."""
        return output.replace('role="dialog"', 'role="dialog" aria-label="Search"')

    def on_post_template(self, output: str, /, **_: object) -> str:
        """Do the same on the page that is shown when there is none."""
        return self.on_post_page(output)

    @event_priority(_AFTER_ALL_OTHERS)
    def on_post_build(self, *, config: MkDocsConfig) -> None:
        """Replace the earlier site, unless there are warnings for which MkDocs will give up."""
        if self._stage is None or _has_warned():
            return
        with _told_by_mkdocs():
            publish(self._stage, self._site)
        config.site_dir, self._stage = str(self._site), None

    def on_build_error(self, **_: object) -> None:
        """Remove the incomplete site."""
        self._remove_stage()

    def on_shutdown(self) -> None:
        """Remove what an interrupted build left."""
        self._remove_stage()

    def _remove_stage(self) -> None:
        if self._stage is not None:
            shutil.rmtree(self._stage, ignore_errors=True)
        self._stage = None

    def on_serve(self, server: LiveReloadServer, /, **_: object) -> LiveReloadServer:
        """Watch the modules that pages import, but not the folders below them, where Python writes as they run."""
        for folder in sorted({file.parent for file in _modules()}):
            server.watch(str(folder), recursive=False)
        return server


@contextmanager
def _told_by_mkdocs(page: str = "") -> Iterator[None]:
    """Turn an error of mlpreport into one that MkDocs reports as a message, without a traceback."""
    try:
        yield
    except MlpReportError as error:
        message = str(error) if str(error).startswith(page) else f"{page}: {error}"
        raise PluginError(message) from error


def _modules() -> list[Path]:
    return sorted(Path(mlpreport.__file__).parent.rglob("*.py"))


def _has_warned() -> bool:
    """Tell whether MkDocs, in strict mode, has counted warnings."""
    handlers = logging.getLogger("mkdocs").handlers
    return any(handler.get_counts() for handler in handlers if isinstance(handler, CountHandler))
