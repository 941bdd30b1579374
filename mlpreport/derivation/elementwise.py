"""Elementwise functions, each defined once by a SymPy expression in `u`; derivatives are computed.

Training, typesetting, tests and the browser all read the definition kept here.
"""

from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property

import sympy as sp

from mlpreport.errors import InvalidInputError

U = sp.Symbol("u", real=True)
"""The argument in which every elementwise function is written."""


@dataclass(frozen=True)
class Elementwise:
    """A function applied to each entry: its name and its SymPy expression in `U`."""

    name: str
    expression: sp.Expr

    @cached_property
    def derivative(self) -> sp.Expr:
        """The derivative with respect to `U`, computed by SymPy."""
        return sp.diff(self.expression, U)


_REGISTERED: dict[str, Elementwise] = {}


def register_elementwise(name: str, definition: Callable[[sp.Symbol], sp.Expr]) -> Elementwise:
    """Define the elementwise function `name` by a SymPy expression in `u`; a later definition replaces it."""
    function = Elementwise(name, sp.sympify(definition(U)))
    _REGISTERED[name] = function
    return function


def elementwise(name: str) -> Elementwise:
    """Look up a registered function; an unknown name is an error that suggests the nearest."""
    if name not in _REGISTERED:
        near = get_close_matches(str(name), _REGISTERED, n=1)
        hint = f"did you mean {near[0]!r}?" if near else "define it with register_elementwise"
        message = f"activation {name!r} is not registered (known: {', '.join(sorted(_REGISTERED))}); {hint}"
        raise InvalidInputError(message)
    return _REGISTERED[name]


def elementwise_names() -> tuple[str, ...]:
    """Names of all registered functions, sorted."""
    return tuple(sorted(_REGISTERED))


register_elementwise("identity", lambda u: u)
register_elementwise("sigmoid", lambda u: 1 / (1 + sp.exp(-u)))
register_elementwise("tanh", sp.tanh)
# Max(0, u) would have slope 1/2 at 0; torch, and so this project, has 0 there.
register_elementwise("relu", lambda u: sp.Piecewise((0, u <= 0), (u, True)))
register_elementwise("softplus", lambda u: sp.log(1 + sp.exp(u)))
register_elementwise("gelu", lambda u: u * (1 + sp.erf(u / sp.sqrt(2))) / 2)
