"""A loss as a function of one parameter vector: value, gradient and Hessian, run from the code that was derived."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from jaxtyping import Float64

from mlpreport.derivation import ValueAndGrad, trace, value_and_grad
from mlpreport.derivation.elementwise import Elementwise, elementwise
from mlpreport.training.architecture import Architecture
from mlpreport.training.network import network_text, parameter_sizes, sizes_of

Vector = Float64[np.ndarray, " parameter"]


@dataclass(frozen=True, eq=False)
class Objective:
    """A traced loss with its data: everything but the parameters is fixed.

    Parameters
    ----------
    shapes
        Shapes of the parameters, all with two axes, in the order in which they are flattened.
    arrays
        The other inputs of the program.
    gradient, product
        The derived gradient, and the derived product of the Hessian with directions `v…`.
    """

    shapes: Mapping[str, tuple[int, ...]]
    arrays: Mapping[str, Float64[np.ndarray, "rows columns"]]
    gradient: ValueAndGrad
    product: ValueAndGrad

    @property
    def size(self) -> int:
        """Number of parameters."""
        return sum(rows * columns for rows, columns in self.shapes.values())

    def named(self, flat: Any, prefix: str = "") -> dict[str, Any]:
        """Cut a flat vector, of any kind of numbers, into the parameters."""
        ends = np.cumsum([rows * columns for rows, columns in self.shapes.values()])
        parts = np.split(np.asarray(flat), ends[:-1])
        return {
            f"{prefix}{name}": part.reshape(self.shapes[name])
            for name, part in zip(self.shapes, parts, strict=True)
        }

    def value_and_gradient(self, flat: Vector) -> tuple[float, Vector]:
        """Compute the loss and its gradient."""
        value, gradient = self.gradient(**self.arrays, **self.named(flat))
        return value, self.flat(gradient)

    def hessian(self, flat: Vector) -> Float64[np.ndarray, "parameter parameter"]:
        """Compute the Hessian, one product with each unit vector; what rounding makes uneven is averaged."""
        fixed = {**self.arrays, **self.named(flat)}
        columns = [self.flat(self.product(**fixed, **self.named(unit, "v"))[1]) for unit in np.eye(self.size)]
        matrix = np.array(columns)
        return np.asarray((matrix + matrix.T) / 2)

    def flat(self, parameters: Mapping[str, Any]) -> Any:
        """Put parameters, or derivatives by them, into one vector."""
        return np.concatenate([np.asarray(parameters[name]).ravel() for name in self.shapes])


Traced = tuple[ValueAndGrad, ValueAndGrad]
"""The compiled gradient and Hessian-vector product of a program."""


@cache
def derived(
    source: str,
    parameters: tuple[str, ...],
    shapes: tuple[tuple[str, tuple[Any, Any]], ...],
    *functions: Elementwise,
) -> Traced:
    """Derive gradient and Hessian-vector product of a program; `functions` are the definitions that it calls."""
    # Each set of definitions has derivations of its own, since a name can be registered anew.
    del functions
    program = trace(source, **dict(shapes))
    return value_and_grad(program.vjp(), wrt=parameters), value_and_grad(program.hvp(parameters))


def network_objective(architecture: Architecture, x: np.ndarray, y: np.ndarray) -> Objective:
    """Make the mean squared error of an architecture on points x (n, in) with targets y (n, out)."""
    shapes = {
        name: (*([1] * (2 - len(shape))), *shape) for name, shape in architecture.parameter_shapes.items()
    }
    sizes = sizes_of(architecture)
    declared = {"x": ("N", sizes[0]), "y": ("N", sizes[-1])} | parameter_sizes(architecture)
    source, activation = f"{network_text(architecture)}\nl = mean(r**2)", elementwise(architecture.activation)
    return Objective(
        shapes, {"x": x, "y": y}, *derived(source, tuple(shapes), tuple(declared.items()), activation)
    )
