"""Compiling the kernels: those written here, and those that derivations print.

What derivations print is kept beside the compiled kernels, under a hash of the derivation's sources and of the
activation's definition.
"""

from contextlib import suppress
from functools import cache
from importlib import import_module
from threading import RLock
from types import FunctionType
from typing import Any

from numba import float64, int64, types, uint8

from mlpreport.derivation.elementwise import Elementwise, elementwise
from mlpreport.training.architecture import Architecture
from mlpreport.training.kernel_cache import cache_folder, derivation_hash, digest, kept, written
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
    return kept(name, getattr(kernel, "py_func", kernel), signature)


@cache
def _compiled_network(name: str, sizes: tuple[int, ...], activation: Elementwise) -> Kernel:
    key, functions = _printed(sizes, activation)
    return kept(f"{name} {key}", functions[name], NETWORK[name])


@cache
def _printed(sizes: tuple[int, ...], activation: Elementwise) -> tuple[str, dict[str, Any]]:
    """Print the kernels of a kind of network; return a digest of the text and its functions."""
    text = _text(sizes, activation)
    key = digest(text.encode())
    path = written(f"network_{key}.py", text)
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
            value.__qualname__ = f"{name}_{key}"
            names[name] = value if name in {*NETWORK, "room"} else inner(value)
    return key, names


def _text(sizes: tuple[int, ...], activation: Elementwise) -> str:
    """Return the text of the kernels: what the same derivation of the same definition printed before, else anew."""
    kind = f"{derivation_hash()} {sizes} {activation.name} {activation.expression}"
    note, folder = f"kind_{digest(kind.encode())}.txt", cache_folder()
    if folder is not None:
        with suppress(OSError, ValueError):  # missing, or damaged
            key = (folder / note).read_text("utf-8")
            text = (folder / f"network_{key}.py").read_text("utf-8")
            if digest(text.encode()) == key:
                return text
    text = kernels_source(Architecture(sizes, activation.name))
    written(note, digest(text.encode()))
    return text
