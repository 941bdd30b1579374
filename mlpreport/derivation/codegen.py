"""A derivation as code: one readable function for all sizes, each intermediate computed once, numerically stable."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from functools import partial
from importlib import import_module
from typing import Any, NoReturn

import numpy as np
import sympy as sp

from mlpreport.checks import listed, nearest
from mlpreport.derivation.backward import Derivation
from mlpreport.derivation.elementwise import MODULES, elementwise
from mlpreport.derivation.lowering import exponentials, function_text, helpers, is_number, lowered
from mlpreport.derivation.pointwise import compiled_loops
from mlpreport.derivation.printing import code_names, show
from mlpreport.derivation.program import Shape, Term, nodes, show_shape, variables
from mlpreport.derivation.sizes import check_values, numbers
from mlpreport.derivation.splitting import needed
from mlpreport.errors import InvalidInputError, ShapeError

_LIBRARIES = {"numpy": "np", "torch": "torch", "numba": "numba"}
_IMPORTS = {"np": "import numpy as np", "torch": "import torch"}


@dataclass(frozen=True)
class ValueAndGrad:
    """A compiled function `f(**arrays) -> (value, derivatives)`; `source` is its readable text."""

    source: str
    inputs: Mapping[str, Shape]
    numbers: Sequence[sp.Expr]
    compiled: Callable[..., tuple[Any, dict[str, Any]]]
    as_array: Callable[[Any], Any]
    fitting: set[tuple[Any, ...]] = field(default_factory=set, repr=False)

    def __call__(self, /, **arrays: Any) -> tuple[float, dict[str, Any]]:
        """Compute the loss and its derivatives at float64 arrays, one keyword for each input.

        Raises
        ------
        InvalidInputError, ShapeError
            If an input is missing, unknown or no array of numbers, its shape does not fit, or a number made of sizes
            has no value.
        """
        if arrays.keys() != self.inputs.keys():
            _refuse_names(self.inputs.keys(), arrays.keys())
        values = []
        for name in self.inputs:
            try:
                values.append(self.as_array(arrays[name]))
            except (KeyError, OverflowError, TypeError, ValueError, RuntimeError) as error:
                message = f"{name} is no array of real numbers ({error})"
                raise InvalidInputError(message) from error
        shapes = tuple([array.shape for array in values])
        if shapes not in self.fitting:
            sizes: dict[sp.Expr, int] = {}
            for (name, declared), found in zip(self.inputs.items(), shapes, strict=True):
                _check_shape(name, declared, found, sizes)
            check_values(self.numbers, sizes)
            self.fitting.add(shapes)
        value, derivatives = self.compiled(*values)
        return float(value), derivatives


def _refuse_names(known: AbstractSet[str], given: AbstractSet[str]) -> NoReturn:
    missing, extra = sorted(known - given), sorted(given - known)
    hint = " ".join(filter(None, {nearest(name, missing): None for name in extra}))
    message = f"inputs are {', '.join(known)}; missing: {missing}, unknown: {extra}{'; ' * bool(hint)}{hint}"
    raise InvalidInputError(message)


def _check_shape(name: str, shape: Shape, found: tuple[int, ...], sizes: dict[sp.Expr, int]) -> None:
    """Compare an array's shape with the declared one; a symbolic size takes the first value met."""
    if len(found) != 2:  # noqa: PLR2004
        row_or_column = f"use {name}.reshape({'1, -1' if shape[0] == 1 else '-1, 1'})"
        remedy = {0: f"write [[{name}]]", 1: row_or_column}.get(len(found), f"reshape {name} to two")
        message = f"{name} has shape {tuple(found)}, but arrays have two axes: {show_shape(shape)}; {remedy}"
        raise ShapeError(message)
    for size, actual in zip(shape, found, strict=True):
        if not actual:
            message = (
                f"{name} has shape {tuple(found)}, declared {show_shape(shape)}: {size} is 0; give at least 1"
            )
            raise ShapeError(message)
        expected = sizes.setdefault(size, actual) if size.is_Symbol else int(size)
        if actual != expected:
            wrong = f"{size} is {expected}, not {actual}"
            message = f"{name} has shape {tuple(found)}, declared {show_shape(shape)}: {wrong}"
            raise ShapeError(message)


def value_and_grad(
    derivation: Derivation, backend: str = "numpy", *, wrt: Iterable[str] | None = None
) -> ValueAndGrad:
    """Compile a derivation into a function of arrays that returns the loss and the derivatives.

    Parameters
    ----------
    derivation
        From `vjp` (gradients of the loss for every input), `hvp` or `jvp`.
    backend
        "numpy", "torch" or "numba".
    wrt
        Name or names whose derivatives are wanted; all if not given.

    Returns
    -------
    ValueAndGrad
        `f(x=…, W1=…) -> (value, {name: array shaped like its variable})`, with its text in `.source`.

    Raises
    ------
    InvalidInputError
        If the backend or a name in `wrt` is unknown, or a function was redefined after the derivation was made.
    """
    if backend not in [*_LIBRARIES]:  # a list, here and below, compares what cannot be hashed, too
        message = f"backend {backend!r} is unknown; use {' or '.join(map(repr, _LIBRARIES))}"
        raise InvalidInputError(message)
    check_current(derivation)
    program, results = derivation.backward, derivation.results
    wanted = listed(results if wrt is None else wrt)
    for name in wanted:
        if name not in [*results]:
            message = f"{name!r} has no derivative here (there are {', '.join(results)})"
            raise InvalidInputError(message)
    derivation = replace(derivation, results={name: key for name, key in results.items() if name in wanted})
    source, function = (compiled_loops if backend == "numba" else partial(_executed, backend))(derivation)
    names = code_names(program)
    inputs = {names[name]: shape for name, shape in program.inputs.items()}
    used = needed(program.definitions, [derivation.value, *derivation.results.values()]).values()
    return ValueAndGrad(source, inputs, numbers(used), function, _converter(backend))


def _executed(backend: str, derivation: Derivation) -> tuple[str, Callable[..., Any]]:
    source, scope = source_of(derivation, _LIBRARIES[backend]), dict[str, Any]()
    exec(source, scope)  # noqa: S102 (the text is printed from a checked program, never taken from outside)
    return source, scope["value_and_grad"]


def _converter(backend: str) -> Callable[[Any], Any]:
    if backend == "numpy":
        return partial(_real, np.asarray, np.dtype(float))
    if backend == "numba":
        return partial(_real, partial(np.require, requirements=["C", "W"]), np.dtype(float))
    torch = import_module("torch")

    def tensor(value: Any, dtype: Any) -> Any:
        # torch has no negative strides.
        given = np.asarray(value, order="C") if isinstance(value, np.ndarray) else value
        return torch.as_tensor(given, dtype=dtype).detach()

    return partial(_real, tensor, torch.float64)


def _real(convert: Callable[[Any, Any], Any], dtype: Any, value: Any) -> Any:
    """Convert to an array, but not None, which would become NaN, nor what would lose its imaginary parts."""
    kind = getattr(value, "dtype", type(value).__name__)
    if kind is not dtype and re.search("complex|NoneType", str(kind)):
        message = f"{kind} is not real"
        raise TypeError(message)
    return convert(value, dtype)


def check_current(derivation: object) -> None:
    """Refuse what is no derivation, and one whose elementwise functions were redefined since it was made."""
    if not isinstance(derivation, Derivation):
        message = f"this takes a derivation, not a {type(derivation).__name__}: write program.vjp()"
        raise InvalidInputError(message)
    for function in derivation.functions:
        if elementwise(function.name) != function:
            message = f"{function.name} was redefined after this derivation; derive the program again"
            raise InvalidInputError(message)


def source_of(derivation: Derivation, library: str) -> str:
    """Print a derivation as a Python module for `np` or `torch`."""
    program, results, value = derivation.backward, set(derivation.results.values()), derivation.value
    terms = lowered(derivation, library)
    functions = helpers(terms.values(), library)
    names = code_names(program, [*MODULES, "float", "value_and_grad", *functions], [*terms])
    codes = {name: show(term, names, library) for name, term in terms.items()}
    returned = f"{names[value]}[0, 0]"
    used = {*results, *(other for term in terms.values() for other in variables(term))}
    if value not in used and is_number(terms[value]):
        codes[value], returned = codes[value].replace(".reshape(1, 1)", ""), names[value]
    pairs = ", ".join(f"{key!r}: {names[name]}" for key, name in derivation.results.items())
    lines = [f"{names[name]} = {code}" for name, code in codes.items()]
    lines.append(f"return {returned}, {{{pairs}}}")
    texts = [*functions.values(), function_text(program, names, _sizes(terms.values()), lines)]
    return "\n\n\n".join([imports("\n".join(texts), library), *texts]) + "\n"


def imports(text: str, library: str) -> str:
    """Import what printed code needs; `math` has the functions of sizes."""
    with_math, with_scipy = (bool(re.search(rf"\b{module}\.", text)) for module in ("math", "scipy"))
    return "import math\n\n" * with_math + _IMPORTS[library] + "\nimport scipy.special" * with_scipy


def run(term: Term, arrays: Mapping[str, Any], sizes: Mapping[sp.Expr, int], library: str) -> Any:
    """Value of a term on arrays or tensors, its functions as they were defined."""
    term = exponentials(term, library)
    functions = helpers([term], library, lambda formula, _: formula)
    scope = {"arrays_": arrays, **{f"size_{s}": n for s, n in sizes.items()}}
    names = {name: f"arrays_[{name!r}]" for name in arrays} | {f"size {s}": f"size_{s}" for s in sizes}
    shown, texts = show(term, names, library), [*functions.values()]
    exec("\n".join([imports("\n".join([shown, *texts]), library), *texts]), scope)  # noqa: S102
    return eval(shown, scope)  # noqa: S307


def _sizes(terms: Iterable[Term]) -> set[sp.Basic]:
    """Sizes that terms mention as numbers."""
    return {
        s for term in terms for t in nodes(term) if t.op in {"num", "ones", "full"} for s in t.free_symbols
    }
