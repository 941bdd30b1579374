"""Check the shapes in signatures: a call that succeeds must have taken and returned what its signature says.

The check comes after the call, so that bad input still meets the error the function itself raises for it. Compiled
kernels are no Python functions and stay as they are.
"""

import functools
import inspect
import sys
from collections.abc import Callable, Iterator
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import FunctionType, ModuleType
from typing import Any, get_args

from beartype.door import is_bearable
from jaxtyping import AbstractArray, jaxtyped


def check_signatures_of(package: str) -> None:
    """Check each call of a function of `package`, from its import on."""
    sys.meta_path.insert(0, _Finder(package))


class ShapeMismatchError(AssertionError):
    """A function took or returned an array of another shape or dtype than its signature says."""


def checked(function: Callable) -> Callable:
    """Wrap a function whose signature has shapes in it; give back any other as it is."""
    hints = {name: hint for name, hint in function.__annotations__.items() if _has_shape(hint)}
    if not hints:
        return function
    signature = inspect.signature(function)

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        result = function(*args, **kwargs)
        values = signature.bind(*args, **kwargs).arguments | {"return": result}
        with jaxtyped("context"):  # one letter, one size: in all arguments and the result together
            for name, hint in hints.items():
                if name in values and not is_bearable(values[name], hint):
                    raise ShapeMismatchError(_message(function, name, hint, values))
        return result

    return call


def _message(function: Callable, name: str, hint: object, values: dict[str, Any]) -> str:
    shapes = {key: getattr(value, "shape", type(value).__name__) for key, value in values.items()}
    return f"{function.__module__}.{function.__qualname__}: {name} is not {hint}; the call had {shapes}"


def _has_shape(hint: object) -> bool:
    array = inspect.isclass(hint) and issubclass(hint, AbstractArray)
    return array or any(map(_has_shape, get_args(hint)))


class _Finder(MetaPathFinder):
    def __init__(self, package: str) -> None:
        self.package = package

    def find_spec(self, name: str, path: Any, target: ModuleType | None = None) -> ModuleSpec | None:
        if name.partition(".")[0] != self.package:
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module
            spec.loader.exec_module = lambda module: _wrap(module, execute(module))
        return spec


def _wrap(module: ModuleType, _executed: None) -> None:
    owners = [module, *(value for value in vars(module).values() if inspect.isclass(value))]
    for owner in owners:
        if owner is module or owner.__module__ == module.__name__:
            for name, function in _functions(owner, module.__name__):
                setattr(owner, name, checked(function))


def _functions(owner: object, module: str) -> Iterator[tuple[str, FunctionType]]:
    for name, value in list(vars(owner).items()):
        if isinstance(value, FunctionType) and value.__module__ == module:
            yield name, value
