"""Eight numbers at once: the vector type of compiled linear algebra, and rows that suit it.

A loop over single numbers leaves to the compiler how a sum is split and what becomes of a remainder. Here the program
says it: the order of additions is the same on every machine (one with narrower vectors takes two or four of its own),
and there are no remainders, since rows are filled up with zeros to whole vectors and start where a cache line starts.
"""

import inspect
from collections.abc import Callable, Iterable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core.imputils import lower_cast
from numba.core.typeconv.castgraph import Conversion
from numba.extending import intrinsic, models, register_model

from mlpreport.training.kernels_memory import LANES

VECTOR, INTEGERS = ir.VectorType(ir.DoubleType(), LANES), ir.VectorType(ir.IntType(64), LANES)
FUSED = ("contract",)
"""A product and a sum may be rounded once."""


class Lanes(types.Type):
    """Numba's type of eight numbers; a number stands for eight of it where it meets them."""

    def can_convert_from(self, typingctx: Any, other: Any) -> Any:  # noqa: ARG002 - numba's protocol
        """Tell numba that numbers may stand for lanes."""
        return Conversion.safe if isinstance(other, types.Float | types.Integer) else None


class Mask(types.Type):
    """Numba's type of eight truth values."""


@register_model(Lanes)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, VECTOR)  # type: ignore[no-untyped-call]


@register_model(Mask)
class _MaskModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, ir.VectorType(ir.IntType(1), LANES))  # type: ignore[no-untyped-call]


LANE, MASK = Lanes(name="Lanes"), Mask(name="Mask")


def instruction(result: Any, *operands: Any) -> Callable[[Callable[..., Any]], Any]:
    """Make a function for compiled code of one that builds its instructions; an array comes as its address."""

    def decorate(build: Callable[..., Any]) -> Any:
        def typed(_context: Any, *given: Any) -> tuple[Any, Any]:
            kinds = (
                found if kind is types.Array else kind for found, kind in zip(given, operands, strict=True)
            )
            return result(*kinds), generate

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            values = [
                context.make_array(kind)(context, builder, value).data if kind not in operands else value
                for kind, value in zip(signature.args, arguments, strict=True)
            ]
            made = build(builder, *values)
            if isinstance(made, list):
                return context.make_tuple(builder, signature.return_type, made)
            return context.get_dummy_value() if made is None else made

        typed.__signature__ = inspect.signature(build)  # type: ignore[attr-defined] # numba reads the names here
        return intrinsic(typed)

    return decorate


def _address(builder: Any, data: Any, start: Any) -> Any:
    return builder.bitcast(builder.gep(data, [start]), VECTOR.as_pointer())


def _shuffled(builder: Any, first: Any, second: Any, lanes: Iterable[int]) -> Any:
    places = list(lanes)
    return builder.shuffle_vector(
        first, second, ir.Constant(ir.VectorType(ir.IntType(32), len(places)), places)
    )


def _in_all(builder: Any, value: Any, kind: Any) -> Any:
    single = builder.insert_element(ir.Constant(kind, ir.Undefined), value, ir.Constant(ir.IntType(32), 0))
    return _shuffled(builder, single, single, [0] * LANES)


def _halved(builder: Any, value: Any, combined: Callable[..., Any]) -> Any:
    """Combine the lower half of the lanes with the upper half."""
    lanes = value.type.count
    low, high = range(lanes // 2), range(lanes // 2, lanes)
    return combined(builder, _shuffled(builder, value, value, low), _shuffled(builder, value, value, high))


def _folded(builder: Any, value: Any, combined: Callable[..., Any]) -> Any:
    """Combine all lanes, in halves, to one number."""
    while value.type.count > 1:
        value = _halved(builder, value, combined)
    return builder.extract_element(value, ir.Constant(ir.IntType(32), 0))


def _sum(builder: Any, a: Any, b: Any) -> Any:
    return builder.fadd(a, b)


def _larger(builder: Any, a: Any, b: Any) -> Any:
    grows = builder.and_(builder.fcmp_unordered(">", b, a), builder.fcmp_ordered("ord", a, a))
    return builder.select(grows, b, a)


def _paired(builder: Any, first: Any, second: Any, size: int) -> Any:
    """Add neighbouring groups of lanes of each of two vectors, and take the sums from both in turn."""
    both = (*range(size), *range(LANES, LANES + size))
    low = [lane + offset for lane in range(0, LANES, 2 * size) for offset in both]
    high = [lane + size for lane in low]
    return builder.fadd(_shuffled(builder, first, second, low), _shuffled(builder, first, second, high))


def _spread_number(context: Any, builder: Any, kind: Any, _lanes: Any, value: Any) -> Any:
    return _in_all(builder, context.cast(builder, value, kind, types.float64), VECTOR)


cast_from: Any = lower_cast
cast_from(types.Float, Lanes)(_spread_number)
cast_from(types.Integer, Lanes)(_spread_number)


@instruction(LANE, types.Array, types.intp)
def load(builder: Any, vector: Any, start: Any) -> Any:
    """Return entries start, …, start + 7 of a vector."""
    value = builder.load(_address(builder, vector, start))
    value.align = 8
    return value


@instruction(types.void, types.Array, types.intp, LANE)
def store(builder: Any, vector: Any, start: Any, value: Any) -> None:
    """Set entries start, …, start + 7 of a vector."""
    builder.store(value, _address(builder, vector, start), align=8)


@instruction(LANE, types.float64)
def spread(builder: Any, value: Any) -> Any:
    """Return a number in all lanes."""
    return _in_all(builder, value, VECTOR)


@instruction(LANE, LANE, LANE, LANE)
def multiply_add(builder: Any, a: Any, b: Any, c: Any) -> Any:
    """Return a · b + c."""
    return builder.fadd(builder.fmul(a, b, flags=FUSED), c, flags=FUSED)


@instruction(LANE, LANE, LANE)
def larger(builder: Any, a: Any, b: Any) -> Any:
    """Return the larger of a and the absolute value of b; a NaN stays."""
    without_sign = builder.and_(builder.bitcast(b, INTEGERS), ir.Constant(INTEGERS, [2**63 - 1] * LANES))
    return _larger(builder, a, builder.bitcast(without_sign, VECTOR))


@instruction(types.float64, LANE)
def largest_of(builder: Any, value: Any) -> Any:
    """Return the largest of the lanes, NaN if one is NaN."""
    return _folded(builder, value, _larger)


@instruction(LANE, types.intp, LANE)
def first(builder: Any, count: Any, value: Any) -> Any:
    """Return the first lanes of a vector, with zeros in the others."""
    places = ir.Constant(INTEGERS, list(range(LANES)))
    inside = builder.icmp_signed("<", places, _in_all(builder, count, INTEGERS))
    return builder.select(inside, value, ir.Constant(VECTOR, [0.0] * LANES))


@instruction(types.float64, LANE)
def sum_of(builder: Any, value: Any) -> Any:
    """Return the sum over the lanes."""
    return _folded(builder, value, _sum)


FOUR = types.UniTuple(types.float64, 4)  # type: ignore[no-untyped-call]


@instruction(FOUR, LANE, LANE, LANE, LANE)
def sums_of(builder: Any, a: Any, b: Any, c: Any, d: Any) -> list[Any]:
    """Return the sums over the lanes of four vectors, in half the steps that one by one would take."""
    sums = _four_sums(builder, a, b, c, d)
    return [builder.extract_element(sums, ir.Constant(ir.IntType(32), lane)) for lane in range(4)]


@instruction(types.void, types.Array, types.intp, LANE, LANE, LANE, LANE)
def add_sums_of(builder: Any, vector: Any, start: Any, a: Any, b: Any, c: Any, d: Any) -> None:
    """Add the sums over the lanes of four vectors to entries start, …, start + 3 of a vector."""
    sums = _four_sums(builder, a, b, c, d)
    address = builder.bitcast(builder.gep(vector, [start]), sums.type.as_pointer())
    before = builder.load(address, align=8)
    builder.store(builder.fadd(before, sums), address, align=8)


def _four_sums(builder: Any, a: Any, b: Any, c: Any, d: Any) -> Any:
    pairs = _paired(builder, a, b, 1), _paired(builder, c, d, 1)
    return _halved(builder, _paired(builder, *pairs, 2), _sum)
