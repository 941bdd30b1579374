"""Elementwise arithmetic and functions of lanes, in the words that printed kernels use; all take plain numbers, too.

The exponential is our own: the C library's is called once per value and takes six times as long, and it is most of
the cost of a small network. exp(x) = 2^k exp(r) with k the integer next to x / log 2, and for |r| <= log(2) / 2 a
polynomial of degree 11: Taylor's series cut off in Chebyshev's polynomials, which spreads the error over the interval
and saves two degrees; 1.3 units in the last place. The high part of log 2 has trailing zeros, so that k times it is
exact (Cody and Waite, 1980).
"""

import inspect
import math
import operator
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core.imputils import lower_builtin
from numba.core.typing.templates import ConcreteTemplate, infer_global
from numba.extending import intrinsic, overload
from numpy.polynomial import chebyshev

from mlpreport.training.kernels_lanes import FUSED, INTEGERS, LANE, MASK, VECTOR, instruction, spread
from mlpreport.training.kernels_linear import Kernel, inner
from mlpreport.training.kernels_memory import LANES

LARGEST, SMALLEST = 709.0, -708.0
"""Arguments beyond these are clamped to them: the result stays finite and above the subnormal numbers."""

LOG2E = 1 / math.log(2)
LOG2_HIGH, LOG2_LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10
ROUNDING = 1.5 * 2.0**52
"""Added to a small number, leaves its nearest integer in the low bits."""

HALF = math.log(2) / 2
"""Bound of |r|."""


def _defined(operation: Callable[..., Any], result: Any, kind: Any, build: Callable[..., Any]) -> None:
    """Define a Python operator for lanes, or for truth values."""
    operands = (kind,) * (len(inspect.signature(build).parameters) - 1)
    infer: Any = infer_global
    infer(operation)(type("Cases", (ConcreteTemplate,), {"cases": [result(*operands)]}))

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # noqa: ARG001 - numba's protocol
        return build(builder, *arguments)

    lower: Any = lower_builtin
    lower(operation, *operands)(generate)


def _compared(sign: str) -> Callable[..., Any]:
    return lambda builder, a, b: builder.fcmp_ordered(sign, a, b)


_defined(operator.add, LANE, LANE, lambda builder, a, b: builder.fadd(a, b, flags=FUSED))
_defined(operator.sub, LANE, LANE, lambda builder, a, b: builder.fsub(a, b, flags=FUSED))
_defined(operator.mul, LANE, LANE, lambda builder, a, b: builder.fmul(a, b, flags=FUSED))
_defined(operator.truediv, LANE, LANE, lambda builder, a, b: builder.fdiv(a, b))
_defined(operator.neg, LANE, LANE, lambda builder, a: builder.fneg(a))
_defined(operator.and_, MASK, MASK, lambda builder, a, b: builder.and_(a, b))
_defined(operator.or_, MASK, MASK, lambda builder, a, b: builder.or_(a, b))
_defined(operator.ne, MASK, LANE, lambda builder, a, b: builder.fcmp_unordered("!=", a, b))
for _operation, _sign in (
    (operator.lt, "<"),
    (operator.le, "<="),
    (operator.gt, ">"),
    (operator.ge, ">="),
    (operator.eq, "=="),
):
    _defined(_operation, MASK, LANE, _compared(_sign))


@instruction(LANE, MASK, LANE, LANE)
def _chosen(builder: Any, condition: Any, a: Any, b: Any) -> Any:
    return builder.select(condition, a, b)


@instruction(LANE, LANE)
def _power_of_two(builder: Any, shifted: Any) -> Any:
    """Return 2^k for the k in the low bits."""
    exponent = builder.add(builder.bitcast(shifted, INTEGERS), ir.Constant(INTEGERS, [1023] * LANES))
    return builder.bitcast(builder.shl(exponent, ir.Constant(INTEGERS, [52] * LANES)), VECTOR)


def _lanewise(function: Callable[..., float], operands: int = 1) -> Any:
    """Make a function of lanes of one of numbers, which is called for each lane."""
    kinds, numbers = (LANE,) * operands, (types.float64,) * operands

    def typed(_context: Any, *given: Any) -> tuple[Any, Any]:  # noqa: ARG001 - numba's protocol
        return LANE(*kinds), generate

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # noqa: ARG001
        result = ir.Constant(VECTOR, ir.Undefined)
        for lane in range(LANES):
            place = ir.Constant(ir.IntType(32), lane)
            values = [builder.extract_element(argument, place) for argument in arguments]
            value = context.compile_internal(builder, function, types.float64(*numbers), values)
            result = builder.insert_element(result, value, place)
        return result

    context = inspect.Parameter("context", inspect.Parameter.POSITIONAL_ONLY)
    parameters = [
        context,
        *(p.replace(kind=context.kind) for p in inspect.signature(function).parameters.values()),
    ]
    typed.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return intrinsic(typed)


def _word(on_lanes: Kernel, on_numbers: Kernel) -> Kernel:
    """Make a function that is one or the other by what it is given."""

    def stub(u: Any) -> Any:
        raise NotImplementedError  # numba takes the overload; as Python there are no lanes

    def of_lanes(u: Any) -> Any:
        return on_lanes(u)

    def of_numbers(u: Any) -> Any:
        return on_numbers(u)

    @overload(stub)
    def chosen(u: Any) -> Kernel:
        return of_lanes if u is LANE else of_numbers

    return stub


def where(condition: Any, a: Any, b: Any) -> Any:
    """Return a where the condition holds, else b."""
    raise NotImplementedError  # as above


@overload(where)
def _where(condition: Any, a: Any, b: Any) -> Kernel:  # noqa: ARG001 - one signature for all
    return _where_of_lanes if condition is MASK else _where_of_numbers


def _where_of_lanes(condition: Any, a: Any, b: Any) -> Any:
    return _chosen(condition, a, b)


def _where_of_numbers(condition: Any, a: Any, b: Any) -> Any:
    return a if condition else b


@overload(operator.pow)
def _pow(base: Any, exponent: Any) -> Kernel | None:
    if LANE not in {base, exponent}:
        return None
    return _whole_power if isinstance(exponent, types.Integer) else _any_power


def _any_power(base: Any, exponent: Any) -> Any:
    return _power(base, exponent)


def _whole_power(base: Any, exponent: Any) -> Any:
    result = spread(1.0)
    for _ in range(abs(exponent)):
        result = result * base
    return result if exponent >= 0 else 1.0 / result


_power = _lanewise(lambda base, exponent: base**exponent, operands=2)


@inner
def minimum(a: Any, b: Any) -> Any:
    """Return the smaller; a, if that is NaN."""
    return where(b < a, b, a)


@inner
def maximum(a: Any, b: Any) -> Any:
    """Return the larger; a, if that is NaN."""
    return where(b > a, b, a)


@inner
def absolute(u: Any) -> Any:
    """Return |u|."""
    return where(u < 0.0, -u, u)


@inner
def sign(u: Any) -> Any:
    """Return 1, 0 or -1."""
    return where(u > 0.0, 1.0, where(u < 0.0, -1.0, 0.0))


def _coefficients(degree: int) -> list[float]:
    """Coefficients of the polynomial for (exp(r) - 1 - r) / r² on |r| <= HALF."""
    taylor = np.array([HALF**k / math.factorial(k + 2) for k in range(20)])
    shortened = chebyshev.cheb2poly(chebyshev.poly2cheb(taylor)[: degree + 1])
    coefficients: list[float] = (shortened / HALF ** np.arange(degree + 1)).tolist()
    return coefficients


C2, C3, C4, C5, C6, C7, C8, C9, C10, C11 = _coefficients(9)


@inner
def exponential(x: Any) -> Any:
    """Return exp(x) of lanes; NaN stays NaN."""
    x = maximum(minimum(x, LARGEST), SMALLEST)
    shifted = x * LOG2E + ROUNDING
    k = shifted - ROUNDING
    r = x - k * LOG2_HIGH - k * LOG2_LOW
    # Estrin's scheme: four short chains of products instead of one long one.
    square = r * r
    fourth = square * square
    end = (C6 + C7 * r) + square * (C8 + C9 * r) + fourth * (C10 + C11 * r)
    p = (C2 + C3 * r) + square * (C4 + C5 * r) + fourth * end
    return (1.0 + (r + square * p)) * _power_of_two(shifted)


def _on_numbers(name: str) -> Callable[[float], float]:
    function = getattr(math, name)
    return lambda u: function(u)  # noqa: PLW0108 - numba compiles the body


NAMES = (
    *("log", "log1p", "log2", "log10", "expm1", "sqrt", "erf", "erfc", "gamma", "lgamma", "floor", "ceil"),
    *("sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "tanh", "asinh", "acosh", "atanh"),
)
WORDS = ModuleType("lanes")
"""What printed kernels call `lanes`: functions by name."""
vars(WORDS).update({name: _word(_lanewise(_on_numbers(name)), getattr(math, name)) for name in NAMES})
vars(WORDS)["exp"] = _word(exponential, inner(lambda u: math.exp(min(u, LARGEST))))
vars(WORDS).update({f.__name__: f for f in (where, minimum, maximum, absolute, sign)})
