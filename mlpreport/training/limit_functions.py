"""The functions that networks of one hidden layer approach at infinity, as programs with their own parameters.

Two units z ± εδ, δ = α + βx, with output weights a/2 ± 1/(2ε), give a σ(z) + δ σ′(z) + ε² g + O(ε⁴), where
g = a δ² σ″(z)/2 + δ³ σ‴(z)/6: merging units. A unit of ever steeper slope becomes a step between two points, or one
through a point. A unit that is saturated at all points is a constant. Source for merging units: Fukumizu and Amari,
Neural Networks 13, 2000.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import numpy as np
from jaxtyping import Float64

from mlpreport.derivation import ValueAndGrad, register_elementwise, trace, value_and_grad
from mlpreport.derivation.elementwise import Elementwise, elementwise, elementwise_names
from mlpreport.training.objective import Objective, derived

SHAPES = {
    "x": ("N", "D"), "y": ("N", 1), "S": ("N", "K"),
    "W1": ("D", "H"), "b1": (1, "H"), "W2": ("H", 1),
    "w": ("D", 1), "b": (1, 1), "a": (1, 1), "alpha": (1, 1), "beta": ("D", 1),
    "s": ("K", 1), "c": (1, 1),
}  # fmt: skip
"""Inputs of the programs: points, targets, columns of steps; ordinary units; the merged pair; heights; constant."""


@dataclass(frozen=True)
class Form:
    """What a limit function is made of besides its constant: ordinary units, a merged pair, columns of steps."""

    activation: str
    units: bool
    pair: bool
    steps: bool

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of the parameters."""
        names = ("W1", "b1", "W2") * self.units + ("w", "b", "a", "alpha", "beta") * self.pair
        return (*names, *("s",) * self.steps, "c")

    @property
    def forward(self) -> list[str]:
        """Lines that compute `yhat`, in the forward language."""
        lines, terms = [], []
        if self.units:
            lines += ["z1 = x @ W1 + b1", f"a1 = {self.activation}(z1)"]
            terms.append("a1 @ W2")
        if self.pair:
            slope = derivatives(self.activation)[0].name
            lines += ["z = x @ w + b", "d = x @ beta + alpha"]
            terms.append(f"{self.activation}(z) @ a + d * {slope}(z)")
        terms += ["S @ s"] * self.steps
        return [*lines, f"yhat = {' + '.join(terms)} + c"]

    @property
    def functions(self) -> tuple[Elementwise, ...]:
        """Definitions that the lines may call; a name can be registered anew."""
        return (elementwise(self.activation), *(derivatives(self.activation) if self.pair else ()))

    @property
    def shapes(self) -> dict[str, Any]:
        """Declared shapes of what the lines use."""
        names = ("x", "y", *("S",) * self.steps, *self.parameters)
        return {name: SHAPES[name] for name in names}


def derivatives(activation: str) -> tuple[Elementwise, Elementwise, Elementwise]:
    """Register the first three derivatives of an activation as functions of their own, and return them."""
    found, before = [], activation
    for order in (1, 2, 3):
        name = f"{activation}_d{order}"
        expression = elementwise(before).derivative
        while name in elementwise_names() and elementwise(name).expression != expression:
            name += "_"  # that one is the reader's
        if name not in elementwise_names():
            register_elementwise(name, partial(_constant, expression))
        found.append(elementwise(name))
        before = name
    first, second, third = found
    return first, second, third


def _constant(formula: Any, _argument: Any) -> Any:
    return formula


def limit_objective(
    form: Form, sizes: Mapping[str, tuple[int, int]], arrays: Mapping[str, np.ndarray]
) -> Objective:
    """Make the mean squared error of a limit function, given the shapes of its parameters and its data."""
    source = "\n".join([*form.forward, "l = mean((y - yhat) ** 2)"])
    traced = derived(source, form.parameters, tuple(form.shapes.items()), *form.functions)
    shapes = {name: sizes[name] for name in form.parameters}
    return Objective(shapes, {name: arrays[name] for name in traced[0].inputs if name in arrays}, *traced)


def separation_slope(form: Form) -> ValueAndGrad:
    """Compile ∂loss/∂ε² where two units have merged, 2 mean((f − y) g)."""
    _, _, second, third = form.functions
    g = f"g = (d ** 2 * {second.name}(z)) @ a / 2 + d ** 3 * {third.name}(z) / 6"
    return _compiled(form, [g, "k = 2 * mean((yhat - y) * g)"], form.shapes, ())


def value_slopes(form: Form) -> ValueAndGrad:
    """Compile ∂loss/∂y, which is −∂loss/∂f at each point."""
    return _compiled(form, ["l = mean((y - yhat) ** 2)"], form.shapes, ("y",))


def limit_values(form: Form, inputs: Mapping[str, np.ndarray]) -> Float64[np.ndarray, " n"]:
    """Compute a limit function at points x."""
    # The derivative of sum(v * yhat) by v is yhat.
    shapes = {name: shape for name, shape in form.shapes.items() if name != "y"} | {"v": ("N", 1)}
    compiled = _compiled(form, ["l = sum(v * yhat)"], shapes, ("v",))
    return np.asarray(compiled(**inputs, v=np.ones((len(inputs["x"]), 1)))[1]["v"])[:, 0]


def _compiled(
    form: Form, lines: Sequence[str], shapes: Mapping[str, Any], wrt: tuple[str, ...]
) -> ValueAndGrad:
    return _once("\n".join([*form.forward, *lines]), tuple(shapes.items()), wrt, *form.functions)


@cache
def _once(
    source: str, shapes: tuple[tuple[str, Any], ...], wrt: tuple[str, ...], *_: Elementwise
) -> ValueAndGrad:
    return value_and_grad(trace(source, **dict(shapes)).vjp(), wrt=wrt)
