"""Compiling the kernels, with a disk cache that no edit, crash or foreign folder can spoil.

Numba's cache sees edits of a kernel's own file only, not of kernels it calls. The folder is therefore named by a
hash of all kernel sources and numba's version. What derivations print is kept there too, under a hash of the
derivation's sources and the activation's definition. A cache that cannot be read is deleted and made again; without
a folder to write, kernels are compiled in memory.
"""

import hashlib
import os
import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from threading import RLock
from types import FunctionType
from typing import Any

import numba
from numba import float64, int64, njit, types, uint8

from mlpreport.derivation.elementwise import Elementwise, elementwise
from mlpreport.training.architecture import Architecture
from mlpreport.training.kernels_functions import WORDS
from mlpreport.training.kernels_lanes import first, load, store, sum_of
from mlpreport.training.kernels_linear import Kernel, inner, row_product, row_total
from mlpreport.training.kernels_memory import LANES
from mlpreport.training.network import kernels_source, sizes_of

VECTOR = types.Array(float64, 1, "C")
MATRIX = types.Array(float64, 2, "C")
SYSTEMS = types.Array(float64, 3, "C")
PROBLEM = types.Tuple((types.Array(int64, 1, "C"), int64, MATRIX, MATRIX, float64, MATRIX, VECTOR))  # type: ignore[no-untyped-call]
"""Layers' sizes, number of points, inputs, targets (size, point), penalty factor, workspaces (row, point), (entry,)."""
OBJECTIVE = float64(VECTOR, PROBLEM, VECTOR)
RESIDUALS = types.void(VECTOR, PROBLEM, SYSTEMS)
FORWARD = types.void(VECTOR, PROBLEM, MATRIX)


def _method(oracle: Any) -> Any:
    return types.UniTuple(int64, 2)(types.FunctionType(oracle), PROBLEM, VECTOR, VECTOR)  # type: ignore[no-untyped-call]


def _each(oracle: Any) -> Any:
    counts = types.Array(int64, 1, "C")
    method, flags = types.FunctionType(_method(oracle)), types.Array(uint8, 1, "C")
    return types.void(method, types.FunctionType(oracle), PROBLEM, VECTOR, MATRIX, counts, counts, flags)


ENTRIES = {
    "bfgs": ("kernels_bfgs", "bfgs", _method(OBJECTIVE)),
    "levenberg-marquardt": ("kernels_levenberg_marquardt", "levenberg_marquardt", _method(RESIDUALS)),
    "adam": ("kernels_descent", "adam", _method(OBJECTIVE)),
    "gradient-descent": ("kernels_descent", "gradient_descent", _method(OBJECTIVE)),
    "evaluate": (
        "kernels_restarts",
        "evaluate",
        types.void(types.FunctionType(OBJECTIVE), PROBLEM, MATRIX, VECTOR, VECTOR, VECTOR),
    ),
    "each restart with objective": ("kernels_restarts", "each_restart", _each(OBJECTIVE)),
    "each restart with residuals": ("kernels_restarts", "each_restart", _each(RESIDUALS)),
}
"""What is compiled: name -> module, function, signature."""

NETWORK = {"forward": FORWARD, "objective": OBJECTIVE, "residuals": RESIDUALS}
"""What is printed from derivations and compiled for each kind of network."""

_LOCK = RLock()


def compiled(name: str) -> Kernel:
    """Return a compiled kernel of `ENTRIES`; the first call in a process compiles it or loads it from the cache."""
    with _LOCK:
        return _compiled(name)


def compiled_network(name: str, architecture: Architecture) -> Kernel:
    """Return a kernel of `NETWORK` for networks like this one, printed from the derivation and compiled or loaded."""
    with _LOCK:
        return _compiled_network(name, *_kind(architecture))


def workspace(architecture: Architecture) -> tuple[int, int]:
    """Return how many rows of points, and how many entries besides, the kernels of an architecture work in."""
    with _LOCK:
        rows, entries = _printed(*_kind(architecture))[1]["room"](architecture.sizes)
    return rows, entries


def _kind(architecture: Architecture) -> tuple[tuple[int, ...], Elementwise]:
    # Hidden widths are sizes at run time; a name can be registered anew, so the function itself tells the kind.
    ends = [size if isinstance(size, int) else 2 for size in sizes_of(architecture)]
    return tuple(ends), elementwise(architecture.activation)


@cache
def _compiled(name: str) -> Kernel:
    module, function, signature = ENTRIES[name]
    kernel = getattr(import_module(f"mlpreport.training.{module}"), function)
    return _with_cache(name, getattr(kernel, "py_func", kernel), signature)


@cache
def _compiled_network(name: str, sizes: tuple[int, ...], activation: Elementwise) -> Kernel:
    digest, functions = _printed(sizes, activation)
    return _with_cache(f"{name} {digest}", functions[name], NETWORK[name])


@cache
def _printed(sizes: tuple[int, ...], activation: Elementwise) -> tuple[str, dict[str, Any]]:
    """Print the kernels of a kind of network; return a digest of the text and its functions."""
    text = _text(sizes, activation)
    digest = _digest(text.encode())
    path = _written(f"network_{digest}.py", text)
    # A cached function is loaded into the module that its globals name.
    names: dict[str, Any] = {"__name__": __name__, "lanes": WORDS, "LANES": LANES}
    names |= {
        "load": load,
        "store": store,
        "first": first,
        "sum_of": sum_of,
        "row_product": row_product,
        "row_total": row_total,
    }
    exec(compile(text, str(path), "exec"), names)  # noqa: S102 - printed by our own derivation, not by a user
    for name, value in names.items():
        if isinstance(value, FunctionType):
            # Machine code of several processes meets in the cache; by equal names one kernel would run another's.
            value.__qualname__ = f"{name}_{digest}"
            names[name] = value if name in {*NETWORK, "room"} else inner(value)
    return digest, names


def _text(sizes: tuple[int, ...], activation: Elementwise) -> str:
    """Return the text of the kernels: what the same derivation of the same definition printed before, else anew."""
    kind = f"{_derivation_hash()} {sizes} {activation.name} {activation.expression}"
    note, folder = f"kind_{_digest(kind.encode())}.txt", cache_folder()
    if folder is not None:
        with suppress(OSError, ValueError):  # missing, or damaged
            digest = (folder / note).read_text("utf-8")
            kept = (folder / f"network_{digest}.py").read_text("utf-8")
            if _digest(kept.encode()) == digest:
                return kept
    text = kernels_source(Architecture(sizes, activation.name))
    _written(note, _digest(text.encode()))
    return text


def _written(name: str, text: str) -> Path:
    """Write generated text where numba looks for it when it caches; if that fails, the path is only a name."""
    folder = cache_folder()
    path = Path(f"<{name}>") if folder is None else folder / name
    with suppress(OSError):
        if folder is not None and not (path.exists() and path.read_bytes() == text.encode()):
            temporary = path.with_suffix(f".{os.getpid()}")
            temporary.write_bytes(text.encode())
            temporary.replace(path)
    return path


def _with_cache(name: str, function: Kernel, signature: Any) -> Kernel:
    folder = cache_folder()
    if folder is not None:
        place = folder / name.replace(" ", "-")
        for _ in range(2):
            try:
                return _jit(function, signature, place)
            # Unreadable files raise anything from EOFError to MemoryError; a fault of the kernel is raised below.
            except Exception:  # noqa: BLE001
                shutil.rmtree(place, ignore_errors=True)
    return _jit(function, signature, None)


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
    """Hash what is compiled: the kernels, this module, and numba's version."""
    paths = (*sorted(Path(__file__).parent.glob("kernels_*.py")), Path(__file__))
    return _digest(numba.__version__.encode(), *(path.read_bytes() for path in paths))


@cache
def _derivation_hash() -> str:
    """Hash what prints kernels: the derivation, the networks' programs, and SymPy's version."""
    here = Path(__file__).parent
    paths = (*sorted(here.with_name("derivation").rglob("*.py")), here / "network.py")
    return _digest(version("sympy").encode(), *(path.read_bytes() for path in paths))


def _digest(*parts: bytes) -> str:
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]
