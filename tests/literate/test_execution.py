import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest
from cases import one_in

import mlpreport
from mlpreport.errors import InvalidInputError, PageError
from mlpreport.literate import execute, parse
from mlpreport.literate.execution import LIBRARIES, SHELL, used_libraries

pytestmark = pytest.mark.usefixtures("libraries")


ENVIRONMENT = os.environ | {"PYTHONPATH": str(Path(mlpreport.__file__).parents[1])}


def fence(*cells):
    return "".join(f"```python\n{cell}\n```\n\n" for cell in cells)


def page(*cells, name="p.md"):
    return parse(fence(*cells), name)


def outputs(*cells, **options):
    return execute([page(*cells)], **options)["p.md"].outputs


CELLS = r"""
1 + 1
# %%
x = 2
x;
# %%
None
# %%
print('a', end='')
print('b')
# %%
import sys
print('c', file=sys.stderr)
# %%
from IPython.display import HTML, Image, Latex, Markdown, clear_output
display(Markdown('*m*'), HTML('<b>'))
Latex('$x$')
# %%
class M:
    def _repr_markdown_(self):
        return '**m**'
    def __repr__(self):
        return 'M'
M()
# %%
class B:
    def _repr_mimebundle_(self, include=None, exclude=None):
        return {'text/html': 'b'}, {'text/html': {'k': 1}}
B()
# %%
class L:
    def _repr_latex_(self):
        return '$l$'
    def _repr_html_(self):
        return '<l>'
display(L())
# %%
handle = display('one', display_id='k')
print('between')
handle.update('two')
# %%
handle.update('three')
# %%
print('gone')
clear_output()
print('kept')
# %%
print('gone')
clear_output(wait=True)
print('kept')
# %%
display({'text/plain': 'raw', 'text/html': '<p>'}, raw=True)
# %%
Image(data=b'\x89PNG\r\n\x1a\n0000', format='png')
# %%
try:
    1 / 0
except ZeroDivisionError as error:
    print(type(error).__name__, error)
# %%
import matplotlib.pyplot as plt
plt.plot([1, 2])
# %%
figure, _ = plt.subplots()
plt.show()
print('after')
# %%
figure
# %%
plt.close(plt.figure())
# %%
from matplotlib.figure import Figure
Figure().add_subplot().figure
# %%
%timeit -n1 -r1 pass
# %%
%%time
y = 1
# %%
%%capture captured
print('x')
# %%
captured.stdout
# %%
!echo hi
# %%
Out[1], In[1], _
# %%
import asyncio
await asyncio.sleep(0)
'awaited'
# %%
import warnings
warnings.warn('careful', stacklevel=1)
# %%
__name__
# %%
import inspect
def g(a):
    return a
print(inspect.getsource(g))
# %%
import pickle
class Q: pass
pickle.loads(pickle.dumps(Q())).__class__.__name__
# %%
import threading
thread = threading.Thread(target=lambda: print('thread'))
thread.start()
thread.join()
# %%
{'a': list(range(40))}
# %%
%precision 3
3.14159
# %%
_ = 5
_
""".strip().split("\n# %%\n")


def comparable(cell_outputs):
    """Leave out of outputs what may differ: addresses, times, file names, the format of figures."""
    text = json.dumps([without_figure(output) for output in joined(cell_outputs)], sort_keys=True)
    text = re.sub(r"\b0x[0-9a-f]+", "0x", text)
    text = re.sub(r'"[^"]*:2: UserWarning', '"FILE:2: UserWarning', text)
    return json.loads(re.sub(r"[\d.e+]+ (?:ns|\\u03bcs|\\u00b5s|ms|s)\b", "TIME", text))


def joined(cell_outputs):
    """Join the parts of a stream, which a slow Jupyter divides."""
    found = []
    for output in cell_outputs:
        if "name" in output and found and found[-1].get("name") == output["name"]:
            found.append(output | {"text": found.pop()["text"] + output["text"]})
        else:
            found.append(output)
    return found


def without_figure(output):
    if "<Figure" not in output.get("data", {}).get("text/plain", ""):
        return output
    assert output["data"].keys() & {"image/png", "image/svg+xml"}
    return output | {"data": output["data"]["text/plain"], "metadata": {}}


@pytest.mark.thorough
def test_outputs_are_those_of_jupyter(jupyter):
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in CELLS])
    ours = outputs(*CELLS)
    theirs = [cell.outputs for cell in jupyter(notebook).cells]
    for cell, our, their in zip(CELLS, ours, theirs, strict=True):
        assert comparable(our) == comparable(their), cell


def test_every_page_starts_afresh_in_its_own_process():
    pages = [
        page("import os, builtins\nold = hasattr(builtins, 'x')\nbuiltins.x = 1\nold, os.getpid()", name=n)
        for n in "ab"
    ]
    texts = [run.outputs[0][0]["data"]["text/plain"] for run in execute(pages).values()]
    assert len(set(texts)) == 2
    assert all(text.startswith("(False, ") and str(os.getpid()) not in text for text in texts)


def test_libraries_keep_to_one_thread_and_cells_run_where_they_are_told(tmp_path):
    source = (
        "import os\nprint(os.getcwd(), *(os.environ[f'{n}_NUM_THREADS'] for n in ('OMP', 'OPENBLAS', 'MKL')))"
    )
    assert outputs(source, cwd=tmp_path)[0][0]["text"] == f"{tmp_path} 1 1 1\n"


def test_cells_have_the_environment_of_now_and_no_module_of_mlpreport(monkeypatch):
    monkeypatch.setenv("PARROT", "dead")
    monkeypatch.delenv("PYTHONPATH", raising=False)
    source = "import os, sys\nprint(os.environ['PARROT'], 'PYTHONPATH' in os.environ)"
    modules = "[name for name in sys.modules if name.startswith('mlpreport')]"
    (text,), (loaded,) = outputs(source, modules)
    assert (text["text"], loaded["data"]["text/plain"]) == ("dead False\n", "[]")


def test_libraries_are_loaded_that_the_pages_mention():
    assert used_libraries([page("import numpy")]) == SHELL
    assert set(used_libraries([page("1"), page("from scipy import optimize")])) - set(SHELL) == {
        "scipy.optimize",
        "scipy.stats",
    }
    assert used_libraries([page("import mlpreport")]) == (*SHELL, *LIBRARIES)


def test_modules_beside_the_pages_can_be_imported(tmp_path):
    (tmp_path / "beside.py").write_text("x = 7")
    assert outputs("import beside\nbeside.x", cwd=tmp_path)[0][0]["data"]["text/plain"] == "7"


def test_the_mlpreport_files_a_page_imports_are_known():
    runs = execute([page("import mlpreport.data", name="a.md"), page("1", name="b.md")])
    assert {"data.py", "errors.py", "__init__.py"} <= {Path(file).name for file in runs["a.md"].modules}
    assert not any("literate" in file for file in runs["a.md"].modules)
    assert runs["b.md"].modules == {}


def test_pages_are_heard_of_as_they_end():
    heard = []
    pages = [page("1", name="a.md"), parse("prose", "empty.md")]
    runs = execute(pages, on_done=lambda page, run: heard.append((page.name, run.seconds > 0)))
    assert heard == [("a.md", True)]
    assert runs["empty.md"].outputs == ()


FAILING = """\
---
title: T
---

```python
#| echo: false
def f(x):
    return 1 / x
```

Prose.

- item

    ```python
    print("first")
    f(0)
    ```
"""


def test_an_exception_names_page_line_and_frames():
    with pytest.raises(PageError) as raised:
        execute([parse(FAILING, "p.md")])
    assert str(raised.value) == (
        "p.md:8: the cell at line 15 raised ZeroDivisionError: division by zero\n"
        "  p.md:17 in <module>\n"
        "  p.md:8 in f"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "a\n\n`{python} nothing`",
            r"^p\.md:3: the inline value 'nothing' raised NameError: name 'nothing' is",
        ),
        (
            fence("from dataclasses import make_dataclass as make", "A = make('A', 'x')\n\nA()"),
            r"^p\.md:8: the cell at line 5 raised TypeError: .*\n  p\.md:8 in <module>$",
        ),
        (
            fence("class A:\n    exec('def f(self): 1 / 0')", "x = 1\nA().f()"),
            r"^p\.md:8: the cell at line 6 raised ZeroDivisionError: .*\n  p\.md:8 in <module>\n  <string>:1 in f$",
        ),
        (fence("x = 1\nx = = 2"), r"^p\.md:3: the cell at line 1 raised SyntaxError: "),
        (fence("import sys\nsys.exit()"), r"^p\.md:3: the cell at line 1 raised SystemExit: "),
        (
            fence("import json\njson.loads('{')"),
            r"^p\.md:3: .* JSONDecodeError: (.|\n)*decoder\.py:\d+ in raw_decode$",
        ),
        (
            fence("1\nimport os\nos._exit(3)"),
            r"^p\.md:1: the process died while it ran this \(exit status 3\)",
        ),
        (fence("1", "import os\nos.kill(os.getpid(), 11)"), r"^p\.md:5: .* \(killed by SIGSEGV\)"),
    ],
)
def test_every_way_to_fail_is_an_error_with_page_and_line(text, message):
    with pytest.raises(PageError, match=message):
        execute([parse(text, "p.md")])


def test_the_first_failure_ends_the_other_pages_and_what_they_started(tmp_path):
    start = "import os, subprocess\nprocess = subprocess.Popen(['sleep', '60'])\n"
    note = f"open({str(tmp_path / 'pids')!r}, 'w').write(f'{{os.getpid()}} {{process.pid}}')\n"
    wait = f"import os, time\nwhile not os.path.exists({str(tmp_path / 'pids')!r}): time.sleep(0.01)\n1 / 0"
    with pytest.raises(PageError, match="ZeroDivisionError"):
        execute([page(start + note + "process.wait()", name="a.md"), page(wait, name="b.md")])
    assert not any(map(runs, map(int, (tmp_path / "pids").read_text().split())))


def runs(pid):
    """Tell whether a process runs; one that has ended may still be listed as a zombie."""
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


SCRIPT = """
import sys
from mlpreport.literate import execute, parse, preload
preload(["IPython.core.interactiveshell"])
print("started", flush=True)
pages = [parse("```python\\nimport os, time\\nprint(os.getpid())\\n%s\\n```", f"{i}.md") for i in range(2)]
runs = execute(pages, on_done=lambda page, run: print(run.outputs[0][0]["text"], flush=True))
"""


@pytest.mark.thorough
def test_a_script_without_main_guard_is_not_run_again_in_the_workers(tmp_path):
    script = tmp_path / "mkdocs"
    script.write_text(SCRIPT % "pass")
    done = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, check=False, env=ENVIRONMENT
    )
    assert (done.stdout.count("started"), len(done.stdout.split()), done.stderr) == (1, 3, "")


@pytest.mark.parametrize("signals", one_in(2, [signal.SIGINT, signal.SIGKILL]))
def test_interrupted_or_killed_it_leaves_no_process(tmp_path, signals):
    note = f"open({str(tmp_path)!r} + f'/{{os.getpid()}}', 'w').close()\\nwhile True: time.sleep(1)"
    command = [sys.executable, "-c", SCRIPT % note]
    with subprocess.Popen(command, stdout=-1, stderr=-1, env=ENVIRONMENT) as process:
        assert comes_true(lambda: len(list(tmp_path.iterdir())) == 2)
        process.send_signal(signals)
        process.communicate(timeout=10)
    assert comes_true(lambda: not any(runs(int(file.name)) for file in tmp_path.iterdir()))


def comes_true(condition):
    end = time.monotonic() + 20
    while not (true := condition()) and time.monotonic() < end:
        time.sleep(0.01)
    return true


BROKEN = """
from mlpreport.literate import execute, execution, parse
execution.SHELL = ("broken",)
execute([parse("`{python} 1`", "p.md")])
"""


def test_a_library_that_cannot_be_loaded_is_an_error_and_not_a_hang(tmp_path):
    (tmp_path / "broken.py").write_text("raise OSError('it is broken')")
    environment = ENVIRONMENT | {"PYTHONPATH": f"{ENVIRONMENT['PYTHONPATH']}:{tmp_path}"}
    command = [sys.executable, "-c", BROKEN]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert "OSError: it is broken" in done.stderr
    assert "EnvironmentProblemError: no process could be forked" in done.stderr


SLOW = """
from mlpreport.literate import execute, execution, parse
execution.SHELL = ("slow", *execution.SHELL)
execute([parse("`{python} 1`", "p.md")])
"""


@pytest.mark.thorough
def test_interrupted_from_the_keyboard_while_libraries_are_loaded_only_the_main_process_says_so(tmp_path):
    (tmp_path / "slow.py").write_text(f"import time; open({str(tmp_path / 'begun')!r}, 'w'); time.sleep(1)")
    environment = ENVIRONMENT | {"PYTHONPATH": f"{ENVIRONMENT['PYTHONPATH']}:{tmp_path}"}
    command = [sys.executable, "-c", SLOW]
    with subprocess.Popen(
        command, stdout=-1, stderr=-1, text=True, env=environment, start_new_session=True
    ) as process:
        assert comes_true((tmp_path / "begun").exists)
        os.killpg(process.pid, signal.SIGINT)
        _, said = process.communicate(timeout=20)
    assert said.count("Traceback") == said.count("KeyboardInterrupt") == 1
    assert "slow" not in said


def test_a_cell_hears_interrupts():
    code = "import signal\ntry:\n    signal.raise_signal(signal.SIGINT)\nexcept KeyboardInterrupt:\n    print('heard')"
    (output,) = execute([page(code)])["p.md"].outputs[0]
    assert output["text"] == "heard\n"


@pytest.mark.parametrize("workers", [0, -1, 1.5, True, "2"])
def test_the_number_of_workers_is_checked(workers):
    with pytest.raises(InvalidInputError, match="workers = "):
        execute([page("1")], workers=workers)
