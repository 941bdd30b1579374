"""The rules of the house that no linter knows."""

import ast
import json
import re
import statistics
import subprocess
import sys
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MODULES = sorted((ROOT / "mlpreport").rglob("*.py"))
PAGES = sorted([*(ROOT / "docs").rglob("*.md"), *(ROOT / "docs").rglob("*.ipynb")])


def functions(path: Path) -> Iterator[tuple[str, int]]:
    """Name every function of a module with its length in lines."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield f"{path.relative_to(ROOT)}:{node.lineno} {node.name}", node.end_lineno - node.lineno + 1


def test_modules_end_at_250_lines():
    lengths = {path.name: len(path.read_text("utf-8").splitlines()) for path in MODULES}
    assert {name: length for name, length in lengths.items() if length > 250} == {}


def test_functions_end_at_40_lines_and_ten_are_usual():
    lengths = dict(item for path in MODULES for item in functions(path))
    assert {name: length for name, length in lengths.items() if length > 40} == {}
    assert statistics.median(lengths.values()) <= 10


def test_no_module_is_named_for_nothing():
    assert {path.stem for path in MODULES} & {
        "utils",
        "common",
        "base",
        "config",
        "core",
        "helpers",
        "misc",
    } == set()


@pytest.mark.parametrize("library", ["torch", "matplotlib", "sympy", "numba", "IPython"])
def test_importing_the_package_does_not_import(library):
    program = f"import sys, mlpreport; sys.exit({library!r} in sys.modules)"
    assert subprocess.run((sys.executable, "-c", program), cwd=ROOT, check=False).returncode == 0


def prose(page: Path) -> str:
    """Read a page, or what a notebook has in its Markdown cells."""
    text = page.read_text("utf-8")
    if page.suffix == ".md":
        return text
    return "\n\n".join(
        "".join(cell["source"]) for cell in json.loads(text)["cells"] if cell["cell_type"] == "markdown"
    )


def without_code(page: str) -> str:
    """Leave out front matter and fenced code."""
    page = re.sub(r"\A---\n.*?^---\n", "", page, flags=re.DOTALL | re.MULTILINE)
    return re.sub(r"^( *)(`{3,}|~{3,}).*?^\1\2`*~* *$", "", page, flags=re.DOTALL | re.MULTILINE)


def typed_measurements(page: str) -> list[str]:
    """Find numbers with two or more decimals outside code, computed values, mathematics and front matter."""
    page = without_code(page)
    page = re.sub(r"\$\$.*?\$\$|\$(?:[^$\n]|\n(?!\n))+\$|\\\[.*?\\\]|\\\(.*?\\\)", "", page, flags=re.DOTALL)
    page = re.sub(r"Python \d+\.\d+|(`+).+?\1|\]\([^)]*\)|<[^>\s][^>]*>|https?://\S+", "", page)
    return re.findall(r"(?<![\w.])\d+\.\d{2,}(?![\w.]*\d*\.\d)", page)


def test_measurements_are_not_typed_into_pages():
    found = {path.name: typed_measurements(prose(path)) for path in PAGES}
    assert {name: numbers for name, numbers in found.items() if numbers} == {}


@pytest.mark.parametrize(
    ("page", "numbers"),
    [
        ("The error is 0.506238, or 12.34 %.", ["0.506238", "12.34"]),
        ("The error is `{python} f'{error:.3f}'` and `0.123` is code.", []),
        ("```python\nx = 0.123\n```\n\nSection 2.1 says 0.45.\n", ["0.45"]),
        ("---\nversion: 0.123\n---\n\n$x = 0.123$ and\n\n$$\n0.123\n$$\n", []),
        ("With $x =\n0.123$ and x < 0.45 but y > 1: $0.67$.", ["0.45"]),
        ("Python 3.11, version 1.2.34 and [0.5](page-0.55.html), a width of 0.5.", []),
    ],
)
def test_typed_measurements_are_found_and_nothing_else(page, numbers):
    assert typed_measurements(page) == numbers


GREEK = "alpha|beta|gamma|delta|varepsilon|theta|lambda|mu|phi|sigma|omega"
UNEXPLAINED = {"e", "i", "j"}
"""Euler's number, the imaginary unit, and indices."""


def symbols(text: str) -> set[str]:
    """Letters in the mathematics of a text, but no subscripts and no functions with names."""
    found = set()
    for formula in re.findall(r"\$\$.*?\$\$|\$(?:[^$\n]|\n(?!\n))+\$", text, re.DOTALL):
        plain = re.sub(r"\\(?:text|operatorname|mathrm|mathcal|begin|end)\{[^}]*\}", " ", formula)
        plain = re.sub(r"_(?:\{(?:[^{}]|\{[^}]*\})*\}|\\?\w+)", " ", plain)
        greek = set(re.findall(rf"\\({GREEK})\b", plain))
        found |= greek | set(re.findall(r"[A-Za-z]", re.sub(r"\\[A-Za-z]+", " ", plain)))
    return found


def test_symbols_of_a_text_are_found():
    text = "$x^\\top W_1$ and $$\\frac{\\partial l}{2} = \\sum_{k=1}^{H} \\hat y_k \\circ \\sigma(\\text{at } u)$$"
    assert symbols(text) == {"x", "W", "l", "H", "y", "sigma", "u"}


def test_every_symbol_on_the_pages_is_in_the_notation():
    table = re.findall(r"^\| ([^|]*\$[^|]*)\|", prose(ROOT / "docs" / "notation.md"), re.MULTILINE)
    known = symbols("\n\n".join(table)) | UNEXPLAINED
    missing = {page.name: symbols(without_code(prose(page))) - known for page in PAGES}
    assert {name: letters for name, letters in missing.items() if letters} == {}


def grouped(path: Path) -> Iterator[tuple[str, set[tuple[str, str]]]]:
    """Names that share an entry of a docstring, as in "losses, test_losses", with their types and defaults."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.FunctionDef):
            spec = node.args
            last = [*spec.posonlyargs, *spec.args][::-1]
            pairs = [
                *zip_longest(last, spec.defaults[::-1]),
                *zip(spec.kwonlyargs, spec.kw_defaults, strict=True),
            ]
            known = {a.arg: (a.annotation, default) for a, default in pairs}
        elif isinstance(node, ast.ClassDef):
            fields = [f for f in node.body if isinstance(f, ast.AnnAssign)]
            known = {f.target.id: (f.annotation, f.value) for f in fields}
        else:
            continue
        for entry in re.findall(r"^ *(\w+(?:, \w+)+)$", ast.get_docstring(node) or "", re.MULTILINE):
            names = entry.split(", ")
            if names[0] in known:
                yield entry, {tuple(part and ast.unparse(part) for part in known[name]) for name in names}


def test_names_that_share_an_entry_of_a_docstring_have_one_type_and_default():
    # The API page prints the first one's for all of them.
    found = {f"{path.name}: {entry}": kinds for path in MODULES for entry, kinds in grouped(path)}
    assert len(found) > 10
    assert {entry: kinds for entry, kinds in found.items() if len(kinds) > 1} == {}
