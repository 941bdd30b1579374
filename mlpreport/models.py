"""Section 1 of the report as torch modules: logistic regression and the multilayer perceptron.

Row convention: a batch x is (N, D), a layer computes x @ W + b with W of shape (in, out).
"""

import math
from collections.abc import Callable, Sequence
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from mlpreport.checks import checked_sizes
from mlpreport.errors import InvalidInputError, ShapeError


class _Layers(nn.Module):
    """Affine layers `0_weight`, `0_bias`, `1_weight`, … and the reading of their output as logits."""

    def __init__(
        self, sizes: Sequence[int], dtype: torch.dtype | None, generator: torch.Generator | None
    ) -> None:
        super().__init__()
        self.sizes = checked_sizes(sizes)
        _check_dtype(dtype)
        for layer, (fan_in, fan_out) in enumerate(zip(self.sizes, self.sizes[1:], strict=False)):
            weight = torch.randn(fan_in, fan_out, dtype=dtype, generator=generator) / math.sqrt(fan_in)
            bias = torch.randn(fan_out, dtype=dtype, generator=generator) / math.sqrt(fan_out)
            self.register_parameter(f"{layer}_weight", nn.Parameter(weight))
            self.register_parameter(f"{layer}_bias", nn.Parameter(bias))

    def _affine(self, layer: int, x: Tensor) -> Tensor:
        weight: Tensor = getattr(self, f"{layer}_weight")
        bias: Tensor = getattr(self, f"{layer}_bias")
        return x @ weight + bias

    def log_probabilities(self, x: Float[Tensor, "*batch D"]) -> Float[Tensor, "*batch C"]:
        """Logarithms of `probabilities`, computed without overflow; shape (C,) or (N, C)."""
        return torch.log_softmax(self(x), dim=-1)

    def probabilities(self, x: Float[Tensor, "*batch D"]) -> Float[Tensor, "*batch C"]:
        """Softmax of the logits: non-negative, summing to 1 over the last axis; shape (C,) or (N, C)."""
        return torch.softmax(self(x), dim=-1)

    def extra_repr(self) -> str:
        """Layer sizes, for `print(model)`."""
        return f"sizes={self.sizes}"


@final
class LogisticRegression(_Layers):
    """Multinomial logistic regression: logits x @ W + b.

    Parameters
    ----------
    D
        Number of inputs, at least 1.
    C
        Number of classes, at least 1.
    dtype
        Floating-point type; torch's default when None.
    generator
        Source of the initial values; torch's own when None.

    Raises
    ------
    InvalidInputError
        If D or C is not a positive whole number.

    Notes
    -----
    `0_weight` (D, C) starts as randn/√D and `0_bias` (C,) as randn/√C (the report's section 1.1).
    """

    def __init__(
        self, D: int, C: int, *, dtype: torch.dtype | None = None, generator: torch.Generator | None = None
    ) -> None:
        super().__init__((D, C), dtype, generator)

    def forward(self, x: Float[Tensor, "*batch D"]) -> Float[Tensor, "*batch C"]:
        """Compute the logits of one input vector (D,) or of a batch (N, D)."""
        _check_input(x, self.sizes[0], getattr(self, "0_weight"))
        return self._affine(0, x)


@final
class MLP(_Layers):
    """Multilayer perceptron: `phi` after every layer but the last, whose output is linear.

    Parameters
    ----------
    sizes
        Numbers of inputs, of units of each hidden layer, and of outputs, for example (1, 2, 1).
    phi
        The activation, a function of a tensor that keeps its shape.
    dtype
        Floating-point type; torch's default when None.
    generator
        Source of the initial values; torch's own when None.

    Raises
    ------
    InvalidInputError
        If a size is not a positive whole number, there are fewer than two, or `phi` cannot be called.

    Notes
    -----
    `i_weight` (in, out) starts as randn/√in and `i_bias` (out,) as randn/√out (the report's section 1.1).
    """

    def __init__(
        self,
        sizes: Sequence[int],
        phi: Callable[[Tensor], Tensor] = torch.sigmoid,
        *,
        dtype: torch.dtype | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        _check_activation(phi)
        super().__init__(sizes, dtype, generator)
        self.phi = phi

    def forward(self, x: Float[Tensor, "*batch D"]) -> Float[Tensor, "*batch C"]:
        """Compute the outputs (logits, for classes) of one input vector (D,) or of a batch (N, D)."""
        _check_input(x, self.sizes[0], getattr(self, "0_weight"))
        last = len(self.sizes) - 2
        for layer in range(last):
            x = self.phi(self._affine(layer, x))
        return self._affine(last, x)


def _check_dtype(dtype: object) -> None:
    if dtype is not None and not (isinstance(dtype, torch.dtype) and dtype.is_floating_point):
        message = f"dtype = {dtype!r}: parameters are real numbers; give torch.float64, torch.float32 or None"
        raise InvalidInputError(message)


def _check_activation(phi: object) -> None:
    if not callable(phi):
        message = f"phi = {phi!r}: the activation must be a function of a tensor, such as torch.sigmoid or torch.relu"
        raise InvalidInputError(message)


def _check_input(x: object, width: int, weight: Tensor) -> None:
    if not isinstance(x, torch.Tensor):
        message = f"x is a {type(x).__name__}, not a tensor; convert it with torch.as_tensor(x, dtype={weight.dtype})"
        raise InvalidInputError(message)
    if x.dtype != weight.dtype:
        message = f"x has dtype {x.dtype}, the parameters {weight.dtype}; convert with x.to({weight.dtype})"
        raise InvalidInputError(message)
    if x.ndim not in (1, 2) or x.shape[-1] != width:
        message = f"x has shape {tuple(x.shape)}: expected one vector ({width},) or a batch (N, {width})"
        raise ShapeError(message)
