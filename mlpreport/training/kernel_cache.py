"""A disk cache of compiled kernels that no edit, crash, damage or foreign folder can spoil.

Numba's cache sees edits of a kernel's own file only, not of kernels it calls, and runs damaged machine code. The folder
is therefore named by a hash of all kernel sources and where they are, the versions of Python and numba, and the
processor; a kernel is compiled in a folder of its own, which is sealed with a hash of its files and only then takes its
place. What is not sealed, or is not what was sealed, is compiled again; without a folder to write, kernels are compiled
in memory.
"""

import hashlib
import os
import shutil
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import llvmlite.binding
import numba
from numba import njit

from mlpreport.training.kernels_linear import Kernel

SEAL = "seal"
"""File with the hash of all others in the folder of a kernel."""


def kept(name: str, function: Kernel, signature: Any) -> Kernel:
    """Load the compiled kernel of that name, or compile and keep it."""
    folder = cache_folder()
    if folder is not None:
        place = folder / name.replace(" ", "-")
        # Numba's files raise anything from EOFError to MemoryError; a fault of the kernel is raised below.
        with suppress(Exception):
            if (place / SEAL).read_text("utf-8") == _contents(place):
                return _jit(function, signature, place)
        with suppress(Exception), tempfile.TemporaryDirectory(dir=folder, ignore_cleanup_errors=True) as new:
            kernel = _jit(function, signature, Path(new))
            _seal(Path(new), place)
            return kernel
    return _jit(function, signature, None)


def _seal(new: Path, place: Path) -> None:
    (new / SEAL).write_text(_contents(new), "utf-8")
    shutil.rmtree(place, ignore_errors=True)
    with suppress(OSError):  # a file or a link
        place.unlink()
    with suppress(OSError):  # another process was quicker
        new.rename(place)


def _contents(place: Path) -> str:
    files = sorted(path for path in place.rglob("*") if path.is_file() and path.name != SEAL)
    return digest(*(part for path in files for part in (path.name.encode(), path.read_bytes())))


def _jit(function: Kernel, signature: Any, place: Path | None) -> Kernel:
    with warnings.catch_warnings(), _numba_cache(place):
        # Kernels take each other as arguments through numba's first-class functions, which it calls experimental.
        warnings.simplefilter("ignore", numba.NumbaExperimentalFeatureWarning)
        kernel: Kernel = njit(signature, nogil=True, error_model="numpy", cache=place is not None)(function)
    return kernel


@contextmanager
def _numba_cache(place: Path | None) -> Iterator[None]:
    config: Any = numba.config
    before = config.CACHE_DIR
    config.CACHE_DIR = before if place is None else str(place)
    try:
        yield
    finally:
        config.CACHE_DIR = before


def written(name: str, text: str) -> Path:
    """Write generated text where numba looks for it when it caches; if that fails, the path is only a name."""
    folder = cache_folder()
    path = Path(f"<{name}>") if folder is None else folder / name
    with suppress(OSError):
        if folder is not None and not (path.exists() and path.read_bytes() == text.encode()):
            temporary = path.with_suffix(f".{os.getpid()}")
            temporary.write_bytes(text.encode())
            temporary.replace(path)
    return path


def cache_folder() -> Path | None:
    """Return the folder for compiled kernels of exactly these sources, or None if it cannot be written."""
    try:
        root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        folder = root / "mlpreport" / f"kernels-{_sources_hash()}"
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError):  # no home at all is a RuntimeError
        return None
    return folder if os.access(folder, os.W_OK) else None


@cache
def _sources_hash() -> str:
    """Hash what is compiled, by what and for what: all on which numba's own names and files depend."""
    here = Path(__file__)
    paths = (*sorted(here.parent.glob("kernels_*.py")), here, here.with_name("compilation.py"))
    processor = llvmlite.binding.get_host_cpu_name(), llvmlite.binding.get_host_cpu_features().flatten()
    names = (str(here), sys.version, numba.__version__, *processor)
    return digest(*map(os.fsencode, names), *(path.read_bytes() for path in paths))


@cache
def derivation_hash() -> str:
    """Hash what prints kernels: the derivation, the networks' programs, and SymPy's version."""
    here = Path(__file__).parent
    paths = (*sorted(here.with_name("derivation").rglob("*.py")), here / "network.py")
    return digest(version("sympy").encode(), *(path.read_bytes() for path in paths))


def digest(*parts: bytes) -> str:
    """Hash bytes, to sixteen hexadecimal digits."""
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]
