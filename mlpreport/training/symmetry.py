"""Parameters that give the same function: one representative for all of them.

Units of a layer may be permuted. If the activation has f(−u) = c + s f(u), the signs of a unit's weights and bias may
be turned; if f(ku) = kᵖ f(u), they may be scaled. Which of these hold is found from the activation's definition.
"""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Bool, Float64

from mlpreport.derivation.symmetries import Symmetries, symmetries
from mlpreport.errors import InvalidInputError, ShapeError
from mlpreport.training.architecture import Architecture, checked_architecture

Parameters = dict[str, Float64[np.ndarray, "..."]]

Layer = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
"""Weights (in, unit) and biases (unit,) of a hidden layer, weights (unit, out) and biases (out,) behind it."""


def canonical(architecture: Architecture, parameters: Mapping[str, Float64[np.ndarray, "..."]]) -> Parameters:
    """Return the representative of all parameters that give the same function by a symmetry.

    In each hidden layer, units are scaled to norm 1 of weights and bias where the activation is homogeneous, turned so
    that the first weight that is not 0 is positive where it has a reflection, and sorted by weights and bias.

    Parameters
    ----------
    architecture
        What the parameters belong to.
    parameters
        W1 (in, out), b1 (out,), W2, …, as in a Restart.

    Returns
    -------
    dict
        Parameters of the same shapes, and of the same function up to rounding.

    Raises
    ------
    InvalidInputError
        If a parameter is missing, does not fit the architecture (ShapeError), or is no array of finite numbers.
    """
    found = checked_parameters(architecture, parameters)
    known = symmetries(architecture.activation)
    for layer in range(1, len(architecture.hidden) + 1):
        names = f"W{layer}", f"b{layer}", f"W{layer + 1}", f"b{layer + 1}"
        found |= zip(names, _layer(known, *(found[name] for name in names)), strict=True)
    return found


def checked_parameters(architecture: Architecture, parameters: object) -> Parameters:
    """Return finite float64 copies of the parameters, in the order of the architecture, else raise."""
    checked_architecture(architecture)
    shapes = architecture.parameter_shapes
    if not isinstance(parameters, Mapping):
        message = (
            f"parameters = {parameters!r}: give a mapping from {', '.join(shapes)} to arrays, as in a Restart"
        )
        raise InvalidInputError(message)
    found = {name: _numbers(name, parameters[name]) for name in shapes if name in parameters}
    for name, shape in shapes.items():
        actual = found[name].shape if name in found else "no value"
        if actual != shape:
            message = f"{name} has {actual}, but {architecture.label} needs {shape}; give {', '.join(shapes)}"
            raise ShapeError(message)
    return found


def _numbers(name: str, values: object) -> Float64[np.ndarray, "..."]:
    try:
        found = np.array(values, dtype=np.float64)
    # A tensor of torch that requires its gradient raises RuntimeError.
    except (TypeError, ValueError, RuntimeError) as error:
        message = f"{name} is not an array of real numbers ({error}); give float64, as in a Restart"
        raise InvalidInputError(message) from None
    if not np.isfinite(found).all():
        message = f"{name} = {found.tolist()}: parameters must be finite; train again from another seed"
        raise InvalidInputError(message)
    return found


def _layer(
    known: Symmetries, weights: np.ndarray, biases: np.ndarray, out: np.ndarray, out_biases: np.ndarray
) -> Layer:
    """Bring one hidden layer, and what leaves it, into the representative form."""
    if known.degree is not None:
        # Squares of large weights would overflow, and those of small ones vanish.
        norms = np.hypot.reduce(np.vstack([weights, biases]))
        norms = np.where(norms > 0, norms, 1.0)
        weights, biases, out = weights / norms, biases / norms, out * norms[:, None] ** known.degree
    if known.reflection is not None:
        units = _signs(weights, biases) < 0
        weights, biases, out, out_biases = turned(known.reflection, units, (weights, biases, out, out_biases))
    order = np.lexsort((*out.T[::-1], biases, *weights[::-1]))
    return weights[:, order], biases[order], out[order], out_biases


def turned(reflection: tuple[float, float], units: Bool[np.ndarray, " unit"], layer: Layer) -> Layer:
    """Turn the signs of some units of a layer whose activation has f(-u) = c + s f(u); `reflection` is (s, c)."""
    (s, c), (weights, biases, out, out_biases) = reflection, layer
    signs = np.where(units, -1.0, 1.0)
    out_biases = out_biases - s * c * out[units].sum(axis=0)
    return weights * signs, biases * signs, np.where(units[:, None], s * out, out), out_biases


def _signs(weights: np.ndarray, biases: np.ndarray) -> np.ndarray:
    """Sign of the first entry of each unit, weights before bias, that is not 0."""
    signs = np.sign(np.vstack([weights, biases]))
    first = np.argmax(signs != 0, axis=0)
    return np.asarray(signs[first, np.arange(len(first))])
