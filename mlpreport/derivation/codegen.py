"""A derivation as code: one readable function for all sizes, each intermediate computed once, numerically stable."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from importlib import import_module
from typing import Any, NoReturn

import numpy as np
import sympy as sp

from mlpreport.derivation.backward import Derivation
from mlpreport.derivation.elementwise import U, elementwise
from mlpreport.derivation.indices import phi_formula
from mlpreport.derivation.loops import compiled_loops
from mlpreport.derivation.printing import code_names, helper_name, show
from mlpreport.derivation.program import Program, needed
from mlpreport.derivation.rewriting import faster, is_number, shared, stabilised
from mlpreport.derivation.stable import python_code, stable
from mlpreport.derivation.terms import Shape, Term, show_shape, variables
from mlpreport.errors import InvalidInputError, ShapeError

_LIBRARIES = {"numpy": "np", "torch": "torch", "numba": "numba"}
_COPIES = {
    "np": (".copy()", "np.full((1, 1), float({0}))"),
    "torch": (".clone()", "torch.full((1, 1), float({0}), dtype=torch.float64)"),
}

_HELPERS = {
    "softmax": """def softmax(z):
    e = {0}.exp(z - {1})
    return e / e.sum(axis=1, keepdims=True)""",
    "log_softmax": """def log_softmax(z):
    shifted = z - {1}
    return shifted - {0}.log({0}.exp(shifted).sum(axis=1, keepdims=True))""",
    "logsumexp": """def logsumexp(z, axis):
    if axis is None:
        z, axis = z.reshape(1, -1), 1
    peak = {2}
    return peak + {0}.log({0}.exp(z - peak).sum(axis=axis, keepdims=True))""",
}
_PEAKS = {
    "np": ("z.max(axis=1, keepdims=True)", "z.max(axis=axis, keepdims=True)"),
    "torch": ("z.amax(dim=1, keepdim=True)", "z.amax(dim=axis, keepdim=True)"),
}


@dataclass(frozen=True)
class ValueAndGrad:
    """A compiled function `f(**arrays) -> (value, derivatives)`; `source` is its readable text."""

    source: str
    inputs: Mapping[str, Shape]
    compiled: Callable[..., tuple[Any, dict[str, Any]]]
    as_array: Callable[[Any], Any]
    fitting: set[tuple[Any, ...]] = field(default_factory=set, repr=False)

    def __call__(self, **arrays: Any) -> tuple[float, dict[str, Any]]:
        """Compute the loss and its derivatives at float64 arrays, one keyword for each input.

        Raises
        ------
        InvalidInputError, ShapeError
            If an input is missing, unknown or no array of numbers, or its shape does not fit.
        """
        try:
            values = [self.as_array(arrays[name]) for name in self.inputs]
            shapes = tuple([array.shape for array in values])
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            self._explain(arrays, error)
        if len(arrays) != len(values) or shapes not in self.fitting:
            self._check(arrays, shapes)
        value, derivatives = self.compiled(*values)
        return float(value), derivatives

    def _explain(self, arrays: Mapping[str, Any], error: Exception) -> NoReturn:
        self._check(arrays, ())
        message = f"an input is no array of real numbers ({error})"
        raise InvalidInputError(message) from error

    def _check(self, arrays: Mapping[str, Any], shapes: tuple[Any, ...]) -> None:
        """Refuse missing and unknown inputs and shapes that do not fit; remember shapes that do."""
        if arrays.keys() != self.inputs.keys():
            missing, extra = self.inputs.keys() - arrays.keys(), arrays.keys() - self.inputs.keys()
            known = ", ".join(self.inputs)
            message = f"inputs are {known}; missing: {sorted(missing)}, unknown: {sorted(extra)}"
            raise InvalidInputError(message)
        sizes: dict[sp.Expr, int] = {}
        for (name, declared), found in zip(self.inputs.items(), shapes, strict=False):
            _check_shape(name, declared, found, sizes)
        self.fitting.add(shapes)


def _converter(library: str) -> Callable[[Any], Any]:
    if library != "torch":
        return partial(np.require, dtype=np.float64, requirements=["C", "W"] * (library == "numba"))
    torch = import_module("torch")
    return lambda value: torch.as_tensor(value, dtype=torch.float64).detach()


def _check_shape(name: str, shape: Shape, found: tuple[int, ...], sizes: dict[sp.Expr, int]) -> None:
    """Compare an array's shape with the declared one; a symbolic size takes the first value met."""
    if len(found) != 2:  # noqa: PLR2004
        remedy = "reshape(1, -1)" if shape[0] == 1 else "reshape(-1, 1)"
        message = (
            f"{name} has shape {found}, but arrays have two axes: {show_shape(shape)}; use {name}.{remedy}"
        )
        raise ShapeError(message)
    for size, actual in zip(shape, found, strict=True):
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
        Names whose derivatives are wanted; all if not given.

    Returns
    -------
    ValueAndGrad
        `f(x=…, W1=…) -> (value, {name: array shaped like its variable})`, with its text in `.source`.

    Raises
    ------
    InvalidInputError
        If the backend or a name in `wrt` is unknown, or a function was redefined after the derivation was made.
    """
    if backend not in _LIBRARIES:
        message = f"backend {backend!r} is unknown; use {' or '.join(map(repr, _LIBRARIES))}"
        raise InvalidInputError(message)
    check_current(derivation)
    if wrt is not None:
        derivation = _restricted(derivation, tuple(wrt))
    library = _LIBRARIES[backend]
    scope: dict[str, Any] = {}
    if library == "numba":
        source, scope["value_and_grad"] = compiled_loops(derivation)
    else:
        source = source_of(derivation, library)
        exec(source, scope)  # noqa: S102 (the text is printed from a checked program, never taken from outside)
    names, found = code_names(derivation.backward), derivation.backward.inputs
    inputs = {name if name.isidentifier() else names[name]: s for name, s in found.items()}
    return ValueAndGrad(source, inputs, scope["value_and_grad"], _converter(library))


def _restricted(derivation: Derivation, wrt: tuple[str, ...]) -> Derivation:
    """Keep the wanted results only."""
    for name in wrt:
        if name not in derivation.results:
            message = f"{name!r} has no derivative here (there are {', '.join(derivation.results)})"
            raise InvalidInputError(message)
    return replace(derivation, results={name: derivation.results[name] for name in wrt})


def check_current(derivation: Derivation) -> None:
    """Refuse a derivation whose elementwise functions were redefined since it was made."""
    for function in derivation.functions:
        if elementwise(function.name) != function:
            message = (
                f"{function.name} was redefined after this derivation was made; derive the program again"
            )
            raise InvalidInputError(message)


def source_of(derivation: Derivation, library: str) -> str:
    """Print a derivation as a Python module for `np` or `torch`."""
    program, results = derivation.backward, set(derivation.results.values())
    named: dict[sp.Expr, str] = {}
    definitions = {
        name: stabilised(term, program.definitions, named) for name, term in program.definitions.items()
    }
    if library == "np":
        definitions = {name: faster(term) for name, term in definitions.items()}
    terms = shared(needed(definitions, [derivation.value, *results]))
    helpers = _helpers(terms.values(), library)
    names = code_names(program, ["np", "torch", "erf", "value_and_grad", *helpers], [*terms])
    lines = [f"def value_and_grad({', '.join(names[name] for name in program.inputs)}):"]
    lines += _size_lines(program, terms.values(), names)
    codes = {name: _code(name, term, names, library, results) for name, term in terms.items()}
    value = f"{names[derivation.value]}[0, 0]"
    used = {other for term in terms.values() for other in variables(term)} | results
    loss = terms[derivation.value]
    if derivation.value not in used and loss.op != "num" and is_number(loss):
        codes[derivation.value] = codes[derivation.value].replace(".reshape(1, 1)", "")
        value = names[derivation.value]
    lines += [f"    {names[name]} = {code}" for name, code in codes.items()]
    pairs = ", ".join(f"{key!r}: {names[name]}" for key, name in derivation.results.items())
    lines.append(f"    return {value}, {{{pairs}}}")
    imports = "import numpy as np" if library == "np" else "import torch"
    if any("erf(" in helper for helper in helpers.values()) and library == "np":
        imports += "\nfrom scipy.special import erf"
    return "\n\n\n".join([imports, *helpers.values(), "\n".join(lines)]) + "\n"


def _code(name: str, term: Term, names: Mapping[str, str], library: str, results: set[str]) -> str:
    """Print one right-hand side; numbers become arrays, and a result is never another variable's array."""
    copy, full = _COPIES[library]
    code = show(term, names, library)
    if term.op == "num":
        return full.format(code)
    return code + copy if term.op == "var" and name in results else code


def _calls(terms: Iterable[Term]) -> list[Term]:
    nodes = (t for term in terms for t in sp.preorder_traversal(term) if isinstance(t, Term))
    kinds = {"softmax", "log_softmax", "logsumexp", "map"}
    return [t for t in nodes if t.op in kinds or (t.op == "call" and t.name not in {"exp", "log"})]


def _helpers(terms: Iterable[Term], library: str) -> dict[str, str]:
    """Definitions of the functions that terms call."""
    helpers: dict[str, str] = {}
    for term in _calls(terms):
        name = helper_name(term)
        if term.op in _HELPERS:
            helpers[name] = _HELPERS[term.op].format(library, *_PEAKS[library])
        else:
            formula = term.parts[1] if term.op == "map" else phi_formula(term.name, term.parts[1])
            helpers[name] = f"def {name}(u):\n{python_code(stable(formula, U), library)}"
    return helpers


def _size_lines(program: Program, terms: Iterable[Term], names: Mapping[str, str]) -> list[str]:
    """Read the sizes that terms mention off the inputs' shapes."""
    nodes = (
        t for term in terms for t in sp.preorder_traversal(term) if getattr(t, "op", "") in {"num", "ones"}
    )
    used = {s for t in nodes for s in t.free_symbols}
    lines: dict[sp.Expr, str] = {}
    for name, shape in program.inputs.items():
        for axis, size in enumerate(shape):
            if size in used:
                lines.setdefault(size, f"    {names[f'size {size}']} = {names[name]}.shape[{axis}]")
    return list(lines.values())
