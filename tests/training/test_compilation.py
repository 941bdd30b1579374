"""The kernel cache is used, survives damage, and can be missing."""

import os
import subprocess
import sys

import numpy as np
import pytest

from mlpreport.training import compilation


@pytest.fixture
def fresh(monkeypatch, tmp_path):
    """An empty cache folder, and kernels not yet in memory."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    compilation._compiled.cache_clear()
    yield tmp_path
    compilation._compiled.cache_clear()
    compilation._compiled_activation.cache_clear()


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
    activation = compilation.compiled_activation("identity")
    z, slopes = np.array([[3.0, -2.0]]), np.empty((1, 2))
    activation(z, slopes)
    assert (z.tolist(), slopes.tolist()) == ([[3.0, -2.0]], [[1.0, 1.0]])


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
