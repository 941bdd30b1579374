"""A small site, built once with the project's own configuration, and the whole site where there is one."""

import os
import shutil
from pathlib import Path

import pytest
import yaml
from mkdocs.commands.build import build
from mkdocs.config import load_config
from nbformat import write
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from mlpreport.literate import preload

ROOT = Path(__file__).parents[2]
PAGES = Path(__file__).with_name("pages")
NAV = [
    {"Home": "index.md"},
    {"Second": "second.md"},
    {"Lab": "labs/lab.ipynb"},
    "references.md",
    {"API": "api.md"},
]
LIBRARIES = ("matplotlib.pyplot", "matplotlib.backends.backend_svg", "matplotlib_inline.backend_inline")
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


@pytest.fixture(scope="session")
def small_site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pages of this folder in the configuration of the project; the lab is shown with stored outputs."""
    preload((*LIBRARIES, "IPython.core.interactiveshell", "IPython.core.magics", "IPython.display"))
    project = tmp_path_factory.mktemp("project")
    shutil.copytree(ROOT / "docs" / "assets", project / "docs" / "assets")
    shutil.copytree(PAGES, project / "docs", dirs_exist_ok=True)
    for name in ("references.md", "references.bib"):
        shutil.copy(ROOT / "docs" / name, project / "docs" / name)
    _write_lab(project / "docs" / "labs" / "lab.ipynb")
    _write_configuration(project / "mkdocs.yml")
    config = load_config(str(project / "mkdocs.yml"), strict=True)
    config.plugins["mlpreport"].on_startup(command="build", dirty=False)
    build(config)
    return project / "site"


@pytest.fixture(params=["small", pytest.param("whole", marks=pytest.mark.browser)])
def site(request: pytest.FixtureRequest) -> Path:
    """The small site, and in browser sessions also the whole one, from MLPREPORT_SITE or site/, if it was built."""
    if request.param == "small":
        return request.getfixturevalue("small_site")
    whole = Path(os.environ.get("MLPREPORT_SITE", ROOT / "site"))
    if not (whole / "index.html").is_file():
        pytest.skip(f"there is no site in {whole}; build it with `nox -s docs`")
    return whole


def _write_lab(path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    picture = new_output("display_data", {"image/png": PIXEL})
    cells = [
        new_markdown_cell("# A lab\n\nWith $x^2$ and\n\n$$\\sum_i x_i$$", id="text"),
        new_code_cell("#| alt: One pixel\nprint('wide ' * 50)", outputs=[picture], id="code"),
    ]
    kernel = {"name": "python3", "language": "python", "display_name": "Python 3"}
    with path.open("w", encoding="utf-8") as file:
        write(new_notebook(cells=cells, metadata={"kernelspec": kernel}), file)


def _write_configuration(path: Path) -> None:
    settings = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
    settings["nav"] = NAV
    for plugin in settings["plugins"]:
        if isinstance(plugin, dict) and "mkdocs-jupyter" in plugin:
            plugin["mkdocs-jupyter"]["execute"] = False
    path.write_text(yaml.safe_dump(settings), encoding="utf-8")
