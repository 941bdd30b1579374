"""The literate bridge against mkdocs-jupyter, on the same pages in one run; `nox -s bench` prints the ratio."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

import mlpreport

pytestmark = pytest.mark.bench

PAGES = 12
WANTED = 8

PAGE = """\
# Page {i}

A small page: some numbers, a figure, a table of results.

```python
import numpy as np

x = np.linspace(0, 4 * np.pi, 100)
y = np.sin(x + {i}) + np.random.default_rng({i}).normal(0, 0.1, 100)
print(np.mean((y - y.mean()) ** 2))
```

```python
#| alt: "Points and the sine they scatter around"
import matplotlib.pyplot as plt

fig, ax = plt.subplots()
ax.plot(x, y, "o", label="data")
ax.plot(x, np.sin(x + {i}), label="sine")
ax.legend();
```

```python
np.polynomial.polynomial.polyfit(x, y, 1)
```
"""

OURS = """
import sys
from pathlib import Path
from mlpreport.literate import execute, number, parse, weave
pages = [parse(Path(name).read_text(), name) for name in sys.argv[1:]]
numbering, runs = number(pages), execute(pages, workers=2)
print(sum(len(weave(page, runs[page.name], numbering).files) for page in pages))
"""

THEIRS = """
import sys
from mkdocs_jupyter.nbconvert2 import nb2html
print(sum("data:image/png" in nb2html(name, execute=True, allow_errors=False) for name in sys.argv[1:]))
"""


def seconds(source, names, folder):
    """Time a fresh Python that runs `source` on the pages `names`; give also the number it prints."""
    environment = os.environ | {"PYTHONPATH": str(Path(mlpreport.__file__).parents[1])}
    start = time.perf_counter()
    command = [sys.executable, "-W", "ignore", "-c", source, *names]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=True)
    return time.perf_counter() - start, int(done.stdout)


def test_pages_run_at_least_eight_times_faster_than_in_mkdocs_jupyter(tmp_path, capsys):
    names = [f"{i}.md" for i in range(PAGES)]
    for i, name in enumerate(names):
        (tmp_path / name).write_text(PAGE.format(i=i))
    ours, files = seconds(OURS, names, tmp_path)
    theirs, images = seconds(THEIRS, names, tmp_path)
    message = (
        f"{PAGES} pages: the bridge {ours:.1f} s, mkdocs-jupyter {theirs:.1f} s, ratio {theirs / ours:.1f}"
    )
    with capsys.disabled():
        sys.stdout.write(f"\n{message}\n")
    assert (files, images) == (3 * PAGES, PAGES)  # light, dark and notebook; one figure
    assert theirs / ours >= WANTED


def test_loading_the_libraries_starts_no_thread():
    """Threads do not survive a fork: what one of them was doing would hang in the workers."""
    source = """
import os
from mlpreport.literate import execute, parse
page = parse('```python\\nimport os\\nprint(len(os.listdir(f"/proc/{os.getppid()}/task")))\\n```\\n', "p.md")
print(execute([page])["p.md"].outputs[0][0]["text"])
"""
    assert seconds(source, [], Path.cwd())[1] == 1
