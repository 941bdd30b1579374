import pytest

from mlpreport.literate import Run, parse
from mlpreport.literate.reuse import execute_changed, is_current
from mlpreport.literate.worker import hash_file

TEXT = "Prose `{python} n`\n\n```python\nn = 1\n```\n"


@pytest.fixture
def module(tmp_path):
    file = tmp_path / "data.py"
    file.write_text("x = 1")
    return file


def run_of(text, *modules):
    return Run(parse(text, "p.md").code, ((),), ("1",), {str(file): hash_file(file) for file in modules}, 1.0)


def test_a_run_is_current_while_code_and_imported_files_are_as_they_were(module):
    run = run_of(TEXT, module)
    assert is_current(parse(TEXT, "p.md"), run)
    assert is_current(parse(TEXT.replace("Prose", "Other prose\n\n"), "p.md"), run)
    assert not is_current(parse(TEXT.replace("n = 1", "n = 2"), "p.md"), run)
    assert not is_current(parse(TEXT.replace("} n", "} n + 1"), "p.md"), run)


def test_a_run_is_out_of_date_when_an_imported_file_changed_or_is_gone(module):
    run = run_of(TEXT, module)
    module.write_text("x = 2")
    assert not is_current(parse(TEXT, "p.md"), run)
    module.unlink()
    assert not is_current(parse(TEXT, "p.md"), run)


@pytest.mark.usefixtures("libraries")
def test_only_changed_and_new_pages_run_again_and_pages_keep_their_order():
    cell = "```python\nimport os\nos.getpid()\n```\n"
    first = execute_changed([parse(cell, "a.md"), parse(cell, "b.md")], {})
    pages = [
        parse("c\n" + cell, "c.md"),
        parse("other prose\n" + cell, "b.md"),
        parse(cell + "`{python} 1`", "a.md"),
    ]
    heard = []
    second = execute_changed(pages, first, on_done=lambda page, run: heard.append((page.name, run.values)))
    assert sorted(heard) == [("a.md", ("1",)), ("c.md", ())]
    assert second["b.md"] is first["b.md"]
    assert list(second) == ["c.md", "b.md", "a.md"]
