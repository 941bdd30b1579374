"""An executable report on multilayer perceptrons and backpropagation.

The rooms (`mlpreport.data`, `mlpreport.derivation`, `mlpreport.training`, …) are imported when they are
first used, so that `import mlpreport` loads neither torch nor matplotlib.
"""

from importlib import import_module
from types import ModuleType

__version__ = "0.1.0"

_ROOMS = frozenset(
    {
        "benchmark",
        "claims",
        "cli",
        "data",
        "derivation",
        "errors",
        "experiments",
        "figures",
        "literate",
        "merging",
        "models",
        "numerals",
        "programs",
        "results",
        "studies",
        "tables",
        "training",
    }
)


def __getattr__(name: str) -> ModuleType:
    """Import a room of the package on first use."""
    if name not in _ROOMS:
        message = f"module 'mlpreport' has no attribute {name!r}; its rooms are {', '.join(sorted(_ROOMS))}"
        raise AttributeError(message)
    return import_module(f"mlpreport.{name}")


def __dir__() -> list[str]:
    """List the rooms beside the version."""
    return sorted({"__version__", *_ROOMS})
