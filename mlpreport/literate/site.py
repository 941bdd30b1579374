"""A site of MkDocs as the bridge takes it: pages in the order of the navigation, their titles, the bibliography."""

import os
from difflib import get_close_matches
from pathlib import Path

from mkdocs.config import load_config
from mkdocs.config.base import Config, ConfigErrors, ConfigWarnings, ValidationError
from mkdocs.config.config_options import Type
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import Abort, ConfigurationError
from mkdocs.structure.files import Files, get_files
from mkdocs.structure.nav import Navigation, get_navigation

from mlpreport.errors import InvalidInputError, PageError
from mlpreport.literate.chapters import Sources


class LiterateConfig(Config):  # type: ignore[no-untyped-call] # of MkDocs
    """Options of the plugin in mkdocs.yml; a name that is not among them is an error."""

    bibliography = Type(str, default="references.bib")
    """BibTeX file below docs_dir."""

    references = Type(str, default="references.md")
    """Page that lists the references, where it says `<!-- bibliography -->`."""

    workers = Type(int, default=os.cpu_count() or 1)
    """How many pages run at the same time."""

    def validate(self) -> tuple[ConfigErrors, ConfigWarnings]:
        """Refuse unknown names and impossible values."""
        errors, _ = super().validate()
        for name in sorted(set(self) - self._schema_keys):
            nearest = get_close_matches(name, self._schema_keys, n=1, cutoff=0.0)[0]
            errors.append((name, ValidationError(f"there is no such option; did you mean {nearest!r}?")))
        if isinstance(self.workers, bool) or (isinstance(self.workers, int) and self.workers < 1):
            reason = f"{self.workers!r} is not a number of processes; write a whole number of at least 1"
            errors.append(("workers", ValidationError(reason)))
        return errors, []


EXTENSIONS = ("attr_list", "md_in_html", "pymdownx.blocks.html")
"""Extensions of Markdown that woven pages are written in: anchors, lists and figures."""


def read_sources(nav: Navigation, files: Files, config: MkDocsConfig, options: LiterateConfig) -> Sources:
    """Read the Markdown pages, those of the navigation first, and the bibliography."""
    path = Path(config.docs_dir, options.bibliography)
    listed = [page.file for page in nav.pages]
    titles = {page.file.src_uri: str(page.title) for page in nav.pages if page.title}
    pages = {
        file.src_uri: _text(file.src_uri, file.content_bytes)
        for file in [*listed, *(file for file in files.documentation_pages() if file not in listed)]
        if file.src_uri.endswith(".md")
    }
    try:
        bibtex = _text(options.bibliography, path.read_bytes())
    except OSError as error:
        message = f"the bibliography {path} cannot be read ({error.strerror}); name it in mkdocs.yml"
        raise PageError(message) from error
    return Sources(pages, titles, bibtex, options.bibliography, options.references)


def _text(name: str, content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        byte = content[error.start]
        message = f"{name}:{line}: the byte {byte:#04x} is not UTF-8 ({error.reason}); save the file as UTF-8"
        raise PageError(message) from error


def load_sources(config_file: Path) -> Sources:
    """Read the site that `config_file`, its mkdocs.yml, describes, in MkDocs' order; without it there are no pages."""
    if not config_file.is_file():
        return Sources({}, {}, "", "", "")
    try:
        config = load_config(str(config_file))
        options = config.plugins["mlpreport"].config
    except (ConfigurationError, Abort, KeyError) as error:
        reason = "it has no plugin mlpreport" if isinstance(error, KeyError) else " ".join(str(error).split())
        message = (
            f"{config_file} describes no site of mlpreport: {reason}; run this in a copy of the repository"
        )
        raise InvalidInputError(message) from error
    files = config.plugins.on_files(get_files(config), config=config)
    return read_sources(get_navigation(files, config), files, config, options)
