"""The kernel cache is used, survives damage, and can be missing."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from cases import one_in
from numba import float64, int64

from mlpreport.derivation import register_elementwise
from mlpreport.training import Architecture, compilation, kernel_cache
from mlpreport.training.kernels_memory import aligned_zeros
from mlpreport.training.problem import Problem


@pytest.fixture(scope="module", autouse=True)
def _small():
    """A kernel that is compiled in a tenth of a second, as it is compiled ten times."""
    with pytest.MonkeyPatch.context() as patch:
        signature = float64(compilation.VECTOR, int64)
        patch.setitem(compilation.ENTRIES, "small", ("kernels_linear", "row_total", signature))
        yield


@pytest.fixture
def fresh(monkeypatch, tmp_path):
    """An empty cache folder, and kernels not yet in memory."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    forget()
    yield tmp_path
    forget()


@pytest.fixture(scope="module")
def compiled_before(tmp_path_factory):
    """A cache folder with one kernel in it."""
    folder = tmp_path_factory.mktemp("before")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder))
        forget()
        compilation.compiled("small")
    return folder


@pytest.fixture
def kept(fresh, compiled_before):
    """A copy of the folder with one kernel, which is not in memory."""
    shutil.copytree(compiled_before, fresh, dirs_exist_ok=True)
    return fresh


def forget():
    compilation._compiled.cache_clear()
    compilation._compiled_network.cache_clear()
    compilation._printed.cache_clear()


def files(folder):
    return sorted(path for path in folder.rglob("*") if path.suffix in {".nbi", ".nbc"})


def recompile():
    compilation._compiled.cache_clear()
    return compilation.compiled("small")


def test_a_kernel_is_kept_on_disk_and_taken_from_there(kept):
    before = {path: path.stat().st_mtime_ns for path in files(kept)}
    kernel = recompile()
    assert len(before) == 2
    assert sum(kernel.stats.cache_hits.values()) == 1
    assert {path: path.stat().st_mtime_ns for path in files(kept)} == before


@pytest.mark.parametrize("damage", [b"", b"no pickle at all", b"\x80\x05"])
def test_a_corrupt_cache_is_rebuilt_silently(kept, damage):
    for path in files(kept):
        path.write_bytes(damage)
    assert recompile().signatures
    assert all(path.read_bytes() != damage for path in files(kept))
    assert sum(recompile().stats.cache_hits.values()) == 1


@pytest.mark.parametrize("place", [0.02, 0.5])
def test_a_byte_of_machine_code_that_has_changed_is_never_run(kept, place):
    (code,) = (path for path in files(kept) if path.suffix == ".nbc")
    whole = code.read_bytes()
    at = int(place * len(whole))
    code.write_bytes(whole[:at] + bytes([whole[at] ^ 255]) + whole[at + 1 :])
    kernel = recompile()  # or the interpreter dies
    assert not kernel.stats.cache_hits
    assert kernel(np.arange(8.0), 8) == 28
    assert sum(recompile().stats.cache_hits.values()) == 1


def test_a_compilation_that_was_killed_is_done_again(kept):
    (seal,) = kept.rglob(kernel_cache.SEAL)
    seal.unlink()
    assert not recompile().stats.cache_hits
    assert sum(recompile().stats.cache_hits.values()) == 1
    assert not list(kept.rglob("tmp*"))


def test_a_file_in_the_place_of_a_kernel_is_replaced(kept):
    (seal,) = kept.rglob(kernel_cache.SEAL)
    shutil.rmtree(seal.parent)
    seal.parent.touch()
    assert not recompile().stats.cache_hits
    assert sum(recompile().stats.cache_hits.values()) == 1


def test_truncated_machine_code_is_rebuilt_silently(kept):
    (code,) = (path for path in files(kept) if path.suffix == ".nbc")
    whole = code.stat().st_size
    code.write_bytes(code.read_bytes()[: whole // 2])
    assert recompile().signatures
    assert max(path.stat().st_size for path in files(kept)) > whole // 2


def test_without_a_folder_to_write_kernels_are_compiled_in_memory(fresh, monkeypatch):
    blocked = fresh / "file"
    blocked.write_text("not a folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(blocked))
    assert kernel_cache.cache_folder() is None
    assert recompile().signatures
    architecture = Architecture((1, 1), "identity")
    problem = Problem(architecture, np.array([[3.0], [-2.0]]), np.empty((2, 1))).for_kernels()
    values = aligned_zeros(1, 2)
    compilation.compiled_network("forward", architecture)(np.array([2.0, 1.0]), problem, values)
    assert values[:, :2].tolist() == [[7.0, -3.0]]


def test_networks_of_one_depth_and_activation_share_kernels_and_a_new_definition_gets_its_own():
    def kernel(width):
        return compilation.compiled_network("forward", Architecture((1, width, 1), "own_test_activation"))

    register_elementwise("own_test_activation", lambda u: u**2)
    first = kernel(2)
    assert kernel(3) is first
    register_elementwise("own_test_activation", lambda u: u**3)
    assert kernel(2) is not first


@pytest.mark.thorough
@pytest.mark.usefixtures("fresh")
def test_a_printed_network_is_kept_on_disk_and_damage_to_it_does_no_harm(fresh):
    architecture = Architecture((1, 1, 1), "identity")
    compilation.compiled_network("forward", architecture)
    (text,) = fresh.rglob("network_*.py")
    before = text.read_bytes()
    text.write_bytes(b"nonsense")
    for path in files(fresh):
        path.write_bytes(b"")
    forget()
    assert compilation.compiled_network("forward", architecture).signatures
    assert text.read_bytes() == before


def digest(*sizes, activation="identity"):
    """Print a network, or read what was printed, as a process does that has done neither."""
    forget()
    return compilation._printed(*compilation._kind(Architecture(sizes, activation)))[0]


@pytest.mark.usefixtures("fresh")
def test_what_was_printed_before_is_not_derived_again(monkeypatch):
    before = digest(1, 1)
    monkeypatch.delattr(compilation, "kernels_source")
    assert digest(1, 1) == before
    with pytest.raises(NameError, match="kernels_source"):
        digest(1, 1, 1)


@pytest.mark.parametrize("pattern", ["kind_*.txt", "network_*.py"])
@pytest.mark.parametrize("damage", one_in(2, [None, b"", b"nonsense", b"\xff"]))
def test_printed_text_that_is_missing_or_damaged_is_printed_again_silently(fresh, pattern, damage):
    before = digest(1, 1)
    kept = {path: path.read_bytes() for name in ("kind_*.txt", "network_*.py") for path in fresh.rglob(name)}
    assert len(kept) == 2
    (path,) = fresh.rglob(pattern)
    path.unlink() if damage is None else path.write_bytes(damage)
    assert digest(1, 1) == before
    assert {path: path.read_bytes() for path in kept} == kept


@pytest.mark.thorough
@pytest.mark.usefixtures("fresh")
def test_a_new_definition_of_a_name_is_printed_anew():
    found = set()
    for power in (2, 3):
        register_elementwise("own_test_activation", lambda u, power=power: u**power)
        found |= {digest(1, 1, 1, activation="own_test_activation") for _ in range(2)}
    assert len(found) == 2


@pytest.mark.parametrize("edited", ["derivation/program.py", "training/network.py"])
def test_text_that_other_sources_printed_is_not_used(tmp_path, monkeypatch, edited):
    def found():
        kernel_cache.derivation_hash.cache_clear()
        return kernel_cache.derivation_hash()

    package = Path(kernel_cache.__file__).parents[1]
    shutil.copytree(package, tmp_path / "copy", ignore=shutil.ignore_patterns("*.json", "__pycache__"))
    before = found()
    monkeypatch.setattr(kernel_cache, "__file__", str(tmp_path / "copy" / "training" / "kernel_cache.py"))
    assert found() == before
    with (tmp_path / "copy" / edited).open("a") as file:
        file.write("# edited\n")
    assert found() != before
    monkeypatch.undo()
    assert found() == before


@pytest.mark.usefixtures("fresh")
def test_the_folder_is_named_by_all_that_numbas_files_depend_on(monkeypatch, tmp_path):
    folder, elsewhere = kernel_cache.cache_folder(), tmp_path / "training"
    shutil.copytree(Path(kernel_cache.__file__).parent, elsewhere)
    for module, name, other in (
        (kernel_cache.numba, "__version__", "another"),
        (kernel_cache.llvmlite.binding, "get_host_cpu_name", lambda: "another"),
        (kernel_cache.sys, "version", "another"),
        (kernel_cache, "__file__", str(elsewhere / "kernel_cache.py")),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(module, name, other)
            kernel_cache._sources_hash.cache_clear()
            assert kernel_cache.cache_folder() not in {None, folder}
    kernel_cache._sources_hash.cache_clear()
    assert kernel_cache.cache_folder() == folder


TWO_PROCESSES = """
import json, os, threading
import numpy as np
from mlpreport.training import Architecture
from mlpreport.training.compilation import compiled, compiled_network
from mlpreport.training.problem import Problem, losses_and_gradient_norms

deep, line = Architecture((1, 1, 1), "identity"), Architecture((1, 1), "identity")
compiled("evaluate")
if os.fork() == 0:
    compiled_network("objective", deep)
    os._exit(0)
os.wait()
hits = sum(compiled_network("objective", deep).stats.cache_hits.values())
compiled_network("objective", line)  # numba's counter stands where it stood in the other process
one, two = np.ones((1, 1)), np.full((1, 1), 2.0)
losses = [
    losses_and_gradient_norms(Problem(network, one, two), np.array([parameters]))[0].item()
    for network, parameters in ((deep, [3.0, 4.0, 5.0, 6.0]), (line, [3.0, 4.0]))
]
print(json.dumps({"threads": threading.active_count(), "hits": hits, "losses": losses}))
"""


@pytest.fixture(scope="module")
def two_processes(tmp_path_factory):
    """What a process tells that loaded a kernel of another process, compiled one itself, and ran both."""
    environment = os.environ | {"XDG_CACHE_HOME": str(tmp_path_factory.mktemp("cache"))}
    command = (sys.executable, "-c", TWO_PROCESSES)
    return json.loads(subprocess.run(command, check=True, env=environment, stdout=subprocess.PIPE).stdout)


@pytest.mark.thorough
def test_a_kernel_of_another_process_is_not_mistaken_for_one_compiled_here(two_processes):
    assert two_processes["hits"] == 1
    assert two_processes["losses"] == [((1 * 3 + 4) * 5 + 6 - 2) ** 2, (1 * 3 + 4 - 2) ** 2]


@pytest.mark.thorough
def test_importing_and_compiling_start_no_thread(two_processes):
    assert two_processes["threads"] == 1


def test_importing_the_room_imports_neither_numba_nor_torch_nor_scipy():
    program = (
        "import sys, mlpreport.training, mlpreport.training.optima;"
        "sys.exit(bool({'numba', 'torch', 'scipy'} & set(sys.modules)))"
    )
    assert subprocess.run((sys.executable, "-c", program), check=False, env=os.environ).returncode == 0
