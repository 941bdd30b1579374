"""The plugin inside MkDocs: what gets published, what an author is told, and what `serve` does again."""

import re
from contextlib import nullcontext
from pathlib import Path

import pytest
from mkdocs.commands.build import build
from mkdocs.config import load_config
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import Abort, ConfigurationError, PluginError
from mkdocs.livereload import LiveReloadServer
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from mkdocs.structure.toc import get_toc
from mkdocs_jupyter.plugin import Plugin as JupyterPlugin
from nbclient.exceptions import CellExecutionError
from nbformat import write
from nbformat.v4 import new_code_cell, new_notebook

import mlpreport
from mlpreport.literate.plugin import LiterateConfig, LiteratePlugin

BIBTEX = "@misc{curie1898, author={Curie, Marie}, title={Rayons}, year={1898}}"
PAGE = "# One\n\n$x$ is `{python} 6 * 7`, see [@curie1898].\n\n```python\n1 + 1\n```\n"
EXTENSIONS = ["attr_list", "md_in_html", "pymdownx.superfences", "pymdownx.blocks.html"]

pytestmark = pytest.mark.usefixtures("libraries")


@pytest.fixture(name="project")
def _project(tmp_path: Path) -> Path:
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "index.md").write_text(PAGE)
    (docs / "references.md").write_text("# References\n\n<!-- bibliography -->\n")
    (docs / "references.bib").write_text(BIBTEX)
    (tmp_path / "mkdocs.yml").write_text("site_name: test\n")
    return tmp_path


def _config(project: Path, *, strict: bool = False, **options: object):
    config = load_config(
        str(project / "mkdocs.yml"),
        plugins=[{"mlpreport": {"workers": 1} | options}],
        markdown_extensions=[*EXTENSIONS, {"pymdownx.arithmatex": {"generic": True}}],
        use_directory_urls=False,
        strict=strict,
    )
    config.plugins["mlpreport"].on_startup(
        command="build", dirty=False
    )  # MkDocs keeps plugins between builds
    return config


def _build_published(project: Path, **options: object) -> str:
    build(_config(project, **options))
    return (project / "site" / "index.html").read_text(encoding="utf-8")


def test_a_page_is_run_and_its_formulas_and_citations_are_set(project: Path) -> None:
    html = _build_published(project)
    assert "<math><mi>x</mi></math> is 42, see" in html
    assert 'href="references.html#ref-curie1898"' in html
    assert "Rayons" in (project / "site" / "references.html").read_text(encoding="utf-8")
    assert (project / "site" / "index.ipynb").is_file()


def test_nothing_but_the_site_is_left(project: Path) -> None:
    _build_published(project)
    assert sorted(path.name for path in project.iterdir()) == ["docs", "mkdocs.yml", "site"]


@pytest.mark.parametrize(
    ("page", "told"),
    [
        ("one\n\n```python\nint('x')\n```\n", r"index\.md:4.*ValueError"),
        ("one\n\n[@curie]\n", r"index\.md:3: there is no reference @curie"),
        (r"$\frac$", r"index\.md: the formula \$\\frac\$ is not LaTeX at character 5"),
        ("see @fig-none\n", r"index\.md:1: .*@fig-none"),
    ],
)
def test_a_failing_page_is_named_and_the_earlier_site_stays(
    project: Path, caplog: pytest.LogCaptureFixture, page: str, told: str
) -> None:
    before = _build_published(project)
    (project / "docs" / "index.md").write_text(page)
    with pytest.raises(Abort):
        build(_config(project))
    message = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"][-1]
    assert re.match(told, message)
    assert (project / "site" / "index.html").read_text(encoding="utf-8") == before
    assert sorted(path.name for path in project.iterdir()) == ["docs", "mkdocs.yml", "site"]


def test_a_site_with_warnings_is_not_published_when_building_strictly(project: Path) -> None:
    before = _build_published(project)
    (project / "docs" / "index.md").write_text("[nowhere](nowhere.md)")
    with pytest.raises(Abort, match="strict"):
        build(_config(project, strict=True))
    assert (project / "site" / "index.html").read_text(encoding="utf-8") == before


def test_a_site_folder_that_cannot_be_written_is_named(
    project: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (project / "site").write_text("not a folder")
    with pytest.raises(Abort):
        build(_config(project))
    assert f"cannot be written to {project / 'site'}" in caplog.text


def test_a_missing_bibliography_is_named(project: Path, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(Abort):
        build(_config(project, bibliography="missing.bib"))
    assert "missing.bib cannot be read (No such file or directory)" in caplog.text


def test_a_list_of_references_that_is_nowhere_is_told(
    project: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (project / "docs" / "references.md").write_text("# References\n\nSee `<!-- bibliography -->`.\n")
    build(_config(project))
    assert "index.md:3: @curie1898 is cited, but no list of references can be shown" in caplog.text
    assert "write the line <!-- bibliography --> in references.md" in caplog.text


def test_a_site_need_not_list_the_extensions_that_woven_pages_are_written_in(project: Path) -> None:
    config = _config(project)
    for name in ("attr_list", "md_in_html", "pymdownx.blocks.html"):
        config.markdown_extensions.remove(name)
    (project / "docs" / "index.md").write_text(PAGE)
    build(config)
    html = (Path(config.site_dir) / "index.html").read_text()
    assert 'id="cite-curie1898"' in html
    assert "///" not in html


@pytest.mark.parametrize(
    ("name", "told"), [("latin.md", "latin.md:3:"), ("references.bib", "references.bib:3:")]
)
def test_a_file_that_is_not_utf_8_is_named(
    project: Path, name: str, told: str, caplog: pytest.LogCaptureFixture
) -> None:
    (project / "docs" / name).write_bytes("# A\n\ncaf\u00e9\n".encode("latin-1"))
    with pytest.raises(Abort):
        build(_config(project))
    assert f"{told} the byte 0xe9 is not UTF-8" in caplog.text
    assert "save the file as UTF-8" in caplog.text


@pytest.mark.parametrize(
    ("option", "told"),
    [
        ({"worker": 2}, "did you mean 'workers'"),
        ({"workers": 0}, "0 is not a number of processes"),
        ({"workers": True}, "True is not a number of processes"),
        ({"workers": "two"}, "Expected type"),
        ({"references": 3}, "Expected type"),
    ],
)
def test_an_option_that_makes_no_sense_is_refused(option: dict[str, object], told: str) -> None:
    config = LiterateConfig()
    config.load_dict(option)
    errors, _ = config.validate()
    assert any(told in str(error) for _, error in errors)


def test_an_unknown_option_stops_mkdocs(project: Path) -> None:
    with pytest.raises((Abort, ConfigurationError)):
        _config(project, worker=2)


@pytest.mark.thorough
def test_serving_runs_only_what_changed_and_builds_where_mkdocs_says(
    project: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    config = _config(project)
    config.plugins["mlpreport"].on_startup(command="serve", dirty=False)
    build(config)
    build(config)
    assert caplog.text.count("Ran index.md") == 1
    (project / "docs" / "index.md").write_text(PAGE.replace("6 * 7", "6 * 8"))
    build(config)
    assert caplog.text.count("Ran index.md") == 2
    assert "is 48" in (project / "site" / "index.html").read_text(encoding="utf-8")


def test_serving_keeps_what_ran_well_when_another_page_fails(
    project: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    config = _config(project)
    config.plugins["mlpreport"].on_startup(command="serve", dirty=False)
    for wrong in ("1 / 0", "2 / 0", "3 / 1"):
        (project / "docs" / "wrong.md").write_text(f"# Wrong\n\n`{{python}} {wrong}`\n")
        with pytest.raises(Abort) if wrong.endswith("0") else nullcontext():
            build(config)
    assert caplog.text.count("Ran index.md") == 1
    assert caplog.text.count("Ran wrong.md") == 1


def test_the_server_watches_modules_but_not_what_python_compiles() -> None:
    server = LiveReloadServer(builder=lambda: None, host="127.0.0.1", port=0, root=".")
    LiteratePlugin().on_serve(server, config=None, builder=lambda: None)
    package = Path(mlpreport.__file__).parent
    assert {str(package), str(package / "literate")} <= set(server._watched_paths)
    assert not any(watch.is_recursive for watch in server._watch_refs.values())
    server.server_close()


def test_an_interrupted_build_leaves_nothing(project: Path) -> None:
    config = _config(project)
    plugin = config.plugins["mlpreport"]
    plugin.on_config(config)
    assert Path(config.site_dir).is_dir()
    plugin.on_shutdown()
    assert not Path(config.site_dir).exists()


def test_a_lab_that_fails_is_named_and_one_that_is_as_it_was_is_not_run_again(project: Path) -> None:
    config, plugin, runs = _config(project), LiteratePlugin(), []
    for name in ("good.ipynb", "bad.ipynb"):
        write(new_notebook(), project / name)
    files = Files([File(name, str(project), str(project), False) for name in ("good.ipynb", "bad.ipynb")])
    good, bad = (Page(None, file, config) for file in files)

    def render(_config: MkDocsConfig, _files: Files) -> None:
        runs.append(good)
        good.content, good.toc, good.title = "<p>Lab</p>", get_toc([]), "Lab"

    def fail(_config: MkDocsConfig, _files: Files) -> None:
        traceback = "Cell In[1], line 2"
        raise CellExecutionError(traceback, "KeyError", "'x'")

    for _ in range(2):
        plugin._render_lab(good, render, config, files)
    assert (good.content, len(runs)) == ("<p>Lab</p>", 1)
    with pytest.raises(PluginError, match=r"bad\.ipynb: code cell 1, line 2, raised KeyError: 'x'"):
        plugin._render_lab(bad, fail, config, files)


@pytest.mark.parametrize(
    ("lab", "told"),
    [
        ("{ not json", r"lab\.ipynb: it is no notebook \(Expecting property name.*; save it again"),
        ("{}", r"lab\.ipynb: it is no notebook"),
        ("[]", r"lab\.ipynb: it is no notebook"),
        (
            '{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [{"id": "a"}]}',
            r"lab\.ipynb: it is no notebook",
        ),
        (b"\xff\xfe", r"lab\.ipynb: it is no notebook"),
        (None, r"lab\.ipynb: its kernel 'my-own' is not installed; save it with the kernel python3$"),
    ],
)
def test_a_lab_that_cannot_be_run_is_named_in_one_line(
    project: Path, caplog: pytest.LogCaptureFixture, lab: str | bytes | None, told: str
) -> None:
    file = project / "docs" / "lab.ipynb"
    kernel = {"name": "my-own", "language": "python", "display_name": "Mine"}
    write(new_notebook(cells=[new_code_cell("1")], metadata={"kernelspec": kernel}), file)
    if lab is not None:
        file.write_bytes(lab if isinstance(lab, bytes) else lab.encode())
    config = _config(project)
    labs = JupyterPlugin()
    labs.load_config({"include": ["*.ipynb"], "execute": True, "cache": False}, str(project / "mkdocs.yml"))
    config.plugins["mkdocs-jupyter"] = labs
    with pytest.raises(Abort):
        build(config)
    *_, message = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert re.match(told, message)
    assert not any(record.exc_info for record in caplog.records if record.name.startswith("mkdocs"))


def test_two_builds_are_the_same_to_the_byte(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1712448000")
    figure = "import matplotlib.pyplot as plt\nplt.plot([1, 2]);"
    (project / "docs" / "index.md").write_text(f"{PAGE}\n```python\n#| alt: A line\n{figure}\n```\n")
    sites = []
    for _ in range(2):
        build(_config(project))
        files = sorted(file for file in (project / "site").rglob("*") if file.is_file())
        sites.append({str(file): file.read_bytes() for file in files})
    assert any(name.endswith(".svg") for name in sites[0])
    assert sites[0] == sites[1]
