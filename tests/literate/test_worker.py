import os
import sys

import pytest
from IPython.core.interactiveshell import InteractiveShell

from mlpreport.literate.recorder import Recorder, Stream
from mlpreport.literate.worker import captured, failure, forget, hash_file, imported, open_shell, run_steps


@pytest.fixture(scope="module")
def shell(tmp_path_factory):
    """One shell in this process, which keeps its main module."""
    main = sys.modules["__main__"]
    recorder = Recorder()
    shell = open_shell(recorder, tmp_path_factory.mktemp("ipython"))
    sys.modules["__main__"] = main
    shell.recorder = recorder
    yield shell
    InteractiveShell.clear_instance()


@pytest.fixture
def run(shell, tmp_path):
    def run(*steps):
        reports = []
        with captured(shell.recorder, tmp_path) as collect:
            result = run_steps(shell, steps, shell.recorder, collect=collect, report=reports.append)
        assert reports == [("step", i) for i in range(len(reports))]
        return result

    return run


def outputs(result):
    kind, content = result
    assert kind == "done", content
    return content["outputs"]


def test_text_results_and_displays_come_in_order(run):
    source = "import sys\nprint('a', end='')\nprint('b')\nprint('c', file=sys.stderr)\ndisplay(1)\n2"
    (cell,) = outputs(run(("cell", source)))
    assert [(o["output_type"], o.get("text") or o["data"]["text/plain"]) for o in cell] == [
        ("stream", "ab\n"), ("stream", "c\n"), ("display_data", "1"), ("execute_result", "2"),
    ]  # fmt: skip


def test_what_goes_past_python_to_the_descriptors_is_collected(run):
    source = "import os, subprocess\nsubprocess.run(['echo', 'out'])\nos.write(2, b'err')\nNone"
    (cell,) = outputs(run(("cell", source)))
    assert [(o["name"], o["text"]) for o in cell] == [("stdout", "out\n"), ("stderr", "err")]


def test_values_see_the_cells_above_and_are_written_with_str(run):
    kind, content = run(("cell", "x = 1.5"), ("value", "x * 2"), ("value", "f'{x:.2f}'"))
    assert (kind, content["values"]) == ("done", ["3.0", "1.50"])
    assert content["seconds"] >= 0


def test_what_no_file_can_hold_is_replaced_wherever_it_comes_from(run):
    cell = "x = 'a\\ud800'\nprint(x)\ndisplay({'text/plain': x, 'application/json': [x]}, raw=True)"
    kind, content = run(("cell", cell), ("value", "x"))
    (printed, shown), values = content["outputs"][0], content["values"]
    assert (kind, printed["text"], values) == ("done", "a?\n", ["a?"])
    assert shown["data"] == {"text/plain": "a?", "application/json": ["a?"]}


def test_a_semicolon_suppresses_the_result(run):
    assert outputs(run(("cell", "1;"))) == [[]]


def test_an_exception_ends_the_page_with_its_frames(run):
    source = "def f():\n    return 1 / 0\n\nf()"
    kind, content = run(("cell", "0"), ("cell", source), ("cell", "1"))
    assert (kind, content["step"], content["name"], content["message"]) == (
        "failed", 1, "ZeroDivisionError", "division by zero",
    )  # fmt: skip
    assert [(line, name) for _, line, name in content["frames"]] == [(4, "<module>"), (2, "f")]


@pytest.mark.filterwarnings("ignore:To exit:UserWarning")  # what IPython says after sys.exit()
@pytest.mark.parametrize(
    ("step", "name", "line"),
    [
        (("cell", "x = 1\nx = = 2"), "SyntaxError", 2),
        (("cell", "import sys\nsys.exit(3)"), "SystemExit", 2),
        (("cell", "raise KeyboardInterrupt"), "KeyboardInterrupt", 1),
        (("cell", "0\nexit()"), "SystemExit", 2),
        (("cell", "quit(3)"), "SystemExit", 1),
        (("value", "exit()"), "SystemExit", 1),
        (("value", "nothing"), "NameError", 1),
        (("value", "(_ for _ in ()).throw(SystemExit)"), "SystemExit", 1),
    ],
)
def test_every_way_to_fail_fails_the_page(run, step, name, line):
    kind, content = run(step)
    assert (kind, content["name"], content["frames"][0][1]) == ("failed", name, line)
    assert not any("IPython" in file for file, *_ in content["frames"])
    assert (name == "SystemExit") == content["message"].endswith("a cell must end normally")


def test_ipython_does_not_write_out_a_traceback_which_takes_a_minute_if_it_is_deep(run, shell):
    kind, content = run(("cell", "def f():\n    f()\nf()"))
    assert (kind, content["name"], content["frames"][0][1]) == ("failed", "RecursionError", 3)
    assert [output["traceback"] for output in shell.recorder.outputs] == [[]]
    assert list(shell.history_manager.exceptions.values())[-1]["traceback"] == []


@pytest.mark.parametrize(
    "source",
    [
        "class A:\n    def _repr_html_(self):\n        raise OSError('shown')\nA()",
        "class B:\n    def _ipython_display_(self):\n        raise OSError('shown')\nB()",
        "%%time\nraise OSError('shown')",
    ],
)
def test_what_ipython_only_shows_fails_the_page(run, source):
    kind, content = run(("cell", source))
    assert (kind, content["name"], content["message"]) == ("failed", "OSError", "shown")


def test_an_exception_that_cannot_tell_its_message_is_still_named(run):
    source = "class Mute(Exception):\n    def __str__(self):\n        raise ValueError"
    value = "(_ for _ in ()).throw(Mute)"
    assert (
        run(("cell", source), ("value", value))[1]["message"] == "(no message: its __str__ raised ValueError)"
    )


def test_what_is_sent_is_made_of_built_in_types(run):
    source = (
        "class Text(str):\n    def __str__(self):\n        return self\n"
        "class Odd:\n    def _repr_html_(self):\n        return Text('<p>')\n"
        "display({'application/json': {'a': {1}}}, raw=True)\nprint('\\udcff')\nOdd()"
    )
    kind, content = run(("cell", source), ("value", "Text('v')"))
    odd, text, last = content["outputs"][0]
    assert (kind, odd["data"], text["text"]) == ("done", {"application/json": {"a": "{1}"}}, "?\n")
    assert {type(last["data"]["text/html"]), type(content["values"][0])} == {str}


def test_a_failure_outside_of_cells_has_no_frames():
    with pytest.raises(ValueError, match="invalid") as raised:
        int("a")
    assert failure(raised.value)["frames"] == []


def test_streams_and_descriptors_are_put_back(shell, tmp_path):
    before = (sys.stdout, os.fstat(1).st_ino)
    with captured(shell.recorder, tmp_path):
        assert sys.stdout.fileno() == 1
        assert os.fstat(1).st_ino != before[1]
    assert (sys.stdout, os.fstat(1).st_ino) == before


def test_a_stream_is_text_that_can_be_written():
    taken = []
    stream = Stream(taken.append, 7)
    assert (stream.writable(), stream.fileno(), stream.encoding, stream.isatty()) == (True, 7, "utf-8", False)
    assert stream.write("abc") == 3
    assert taken == ["abc"]


def test_updates_replace_all_displays_with_their_name():
    recorder = Recorder()
    recorder.publish({"text/plain": "1"}, transient={"display_id": "a"})
    recorder.publish({"text/plain": "x"})
    recorder.publish({"text/plain": "2"}, {"k": 1}, transient={"display_id": "a"}, update=True)
    recorder.publish({"text/plain": "3"}, transient={"display_id": "b"}, update=True)
    assert [(o["data"]["text/plain"], o["metadata"]) for o in recorder.outputs] == [
        ("2", {"k": 1}),
        ("x", {}),
    ]


def test_outputs_are_cleared_now_or_before_the_next():
    recorder = Recorder()
    recorder.write("stdout", "a")
    recorder.clear(wait=True)
    assert len(recorder.outputs) == 1
    recorder.write("stdout", "b")
    assert [o["text"] for o in recorder.outputs] == ["b"]
    recorder.clear()
    assert recorder.outputs == []


def test_images_given_as_bytes_are_kept_in_base64():
    recorder = Recorder()
    recorder.publish({"image/png": b"\x89PNG"})
    assert recorder.outputs[0]["data"] == {"image/png": "iVBORw=="}


def test_a_package_can_be_forgotten_and_its_imported_files_listed(tmp_path, monkeypatch):
    package = tmp_path / "parrot"
    package.mkdir()
    for name in ("__init__", "norwegian", "unused"):
        (package / f"{name}.py").write_text(f"# {name}")
    monkeypatch.syspath_prepend(tmp_path)
    __import__("parrot.norwegian")
    files = [str(package / f"{name}.py") for name in ("__init__", "norwegian")]
    assert imported("parrot") == {file: hash_file(type(tmp_path)(file)) for file in files}
    forget("parrot")
    assert imported("parrot") == {}
