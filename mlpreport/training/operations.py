"""How much arithmetic one iteration takes, to compare its time with the limit of the machine."""

from dataclasses import dataclass
from itertools import pairwise

from mlpreport.checks import POSITIVE, checked_whole
from mlpreport.derivation.elementwise import scalar_source
from mlpreport.errors import InvalidInputError
from mlpreport.training.architecture import Architecture


@dataclass(frozen=True)
class Operations:
    """Exponentials and functions like them, and additions and multiplications, of one iteration and evaluation."""

    exponentials: int
    flops: int


def operations(architecture: Architecture, points: int, method: str) -> Operations:
    """Count the operations of one iteration on so many points.

    Parameters
    ----------
    architecture
        The network.
    points
        Number of training points.
    method
        'levenberg-marquardt' (residuals, Jacobian, normal matrix, Cholesky factor, two solves) or 'bfgs' (objective,
        gradient, one update of the inverse Hessian with two products).

    Raises
    ------
    InvalidInputError
        If the operations of the method are not counted here.
    """
    value = scalar_source(architecture.activation).partition("def slope")[0]
    calls = sum(value.count(f"math.{name}(") for name in ("exp", "tanh", "erf"))
    exponentials = checked_whole("points", points, POSITIVE) * sum(architecture.hidden) * calls
    size, outputs = architecture.parameter_count, architecture.sizes[-1]
    if method == "levenberg-marquardt":
        jacobian = outputs * points * (_backward(architecture) + _weights(architecture))
        normal = outputs * points * size * (size + 3)
        flops = jacobian + normal + size**3 // 3 + 4 * size**2
    elif method == "bfgs":
        flops = points * (_backward(architecture) + 2 * _weights(architecture)) + 8 * size**2
    else:
        message = f"method = {method!r}: operations are counted for 'levenberg-marquardt' and 'bfgs'; give one of them"
        raise InvalidInputError(message)
    return Operations(exponentials, flops + points * 2 * _weights(architecture))


def _weights(architecture: Architecture) -> int:
    return sum(fan_in * fan_out for fan_in, fan_out in pairwise(architecture.sizes))


def _backward(architecture: Architecture) -> int:
    """Operations per point that carry cotangents to the hidden units: two for each weight, three for each slope."""
    first = architecture.sizes[0] * architecture.sizes[1]
    return 2 * (_weights(architecture) - first) + 3 * sum(architecture.hidden)
