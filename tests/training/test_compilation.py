"""The kernel cache is used, survives damage, and can be missing."""

import os
import subprocess
import sys

import numpy as np
import pytest

from mlpreport.derivation import register_elementwise
from mlpreport.training import Architecture, compilation
from mlpreport.training.problem import Problem


@pytest.fixture
def fresh(monkeypatch, tmp_path):
    """An empty cache folder, and kernels not yet in memory."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    forget()
    yield tmp_path
    forget()


def forget():
    compilation._compiled.cache_clear()
    compilation._compiled_network.cache_clear()
    compilation._printed.cache_clear()


def files(folder):
    return sorted(path for path in folder.rglob("*") if path.suffix in {".nbi", ".nbc"})


def recompile():
    compilation._compiled.cache_clear()
    return compilation.compiled("gradient-descent")


def test_a_kernel_is_kept_on_disk_and_taken_from_there(fresh):
    compilation.compiled("gradient-descent")
    before = {path: path.stat().st_mtime_ns for path in files(fresh)}
    kernel = recompile()
    assert len(before) == 2
    assert sum(kernel.stats.cache_hits.values()) == 1
    assert {path: path.stat().st_mtime_ns for path in files(fresh)} == before


@pytest.mark.parametrize("damage", [b"", b"no pickle at all", b"\x80\x05"])
def test_a_corrupt_cache_is_rebuilt_silently(fresh, damage):
    compilation.compiled("gradient-descent")
    for path in files(fresh):
        path.write_bytes(damage)
    assert recompile().signatures
    assert all(path.read_bytes() != damage for path in files(fresh))
    assert sum(recompile().stats.cache_hits.values()) == 1


def test_truncated_machine_code_is_rebuilt_silently(fresh):
    compilation.compiled("gradient-descent")
    (code,) = (path for path in files(fresh) if path.suffix == ".nbc")
    whole = code.stat().st_size
    code.write_bytes(code.read_bytes()[: whole // 2])
    assert recompile().signatures
    assert max(path.stat().st_size for path in files(fresh)) > whole // 2


def test_without_a_folder_to_write_kernels_are_compiled_in_memory(fresh, monkeypatch):
    blocked = fresh / "file"
    blocked.write_text("not a folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(blocked))
    assert compilation.cache_folder() is None
    assert recompile().signatures
    architecture = Architecture((1, 1), "identity")
    problem = Problem(architecture, np.array([[3.0], [-2.0]]), np.empty((2, 1))).for_kernels()
    values = np.empty((1, 2))
    compilation.compiled_network("forward", architecture)(np.array([2.0, 1.0]), problem, values)
    assert values.tolist() == [[7.0, -3.0]]


def test_networks_of_one_depth_and_activation_share_kernels_and_a_new_definition_gets_its_own():
    def kernel(width):
        return compilation.compiled_network("forward", Architecture((1, width, 1), "own_test_activation"))

    register_elementwise("own_test_activation", lambda u: u**2)
    first = kernel(2)
    assert kernel(3) is first
    register_elementwise("own_test_activation", lambda u: u**3)
    assert kernel(2) is not first


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


@pytest.mark.usefixtures("fresh")
def test_the_folder_is_named_by_sources_and_numba(monkeypatch):
    folder = compilation.cache_folder()
    monkeypatch.setattr(compilation.numba, "__version__", "another")
    compilation._sources_hash.cache_clear()
    assert compilation.cache_folder() != folder
    compilation._sources_hash.cache_clear()


def test_importing_and_compiling_start_no_thread():
    program = (
        "import threading, mlpreport.training.compilation as c; c.compiled('each restart with objective');"
        "import sys; sys.exit(threading.active_count() - 1)"
    )
    assert subprocess.run((sys.executable, "-c", program), check=False, env=os.environ).returncode == 0


def test_importing_the_room_imports_neither_numba_nor_torch_nor_scipy():
    program = (
        "import sys, mlpreport.training, mlpreport.training.optima;"
        "sys.exit(bool({'numba', 'torch', 'scipy'} & set(sys.modules)))"
    )
    assert subprocess.run((sys.executable, "-c", program), check=False, env=os.environ).returncode == 0
