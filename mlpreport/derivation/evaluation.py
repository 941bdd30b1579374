"""Values of index formulas at every index at once, in one of several kinds of numbers."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial, reduce
from importlib import import_module
from operator import add, mul
from typing import Any

import numpy as np
import sympy as sp

from mlpreport.derivation.elementwise import U
from mlpreport.derivation.indices import Partial, Phi, entry, outer_sum, phi_formula
from mlpreport.derivation.program import ONE, Program, Shape, Term, name_of

Array = Any
"""A NumPy array of floats, complex numbers, expressions or field elements, or a scalar of one of these."""

Arrays = dict[str, Array]


@dataclass(frozen=True)
class Domain:
    """Numbers with + and *: how to represent one, raise to a power, apply functions, find signs."""

    number: Callable[[sp.Expr], Array]
    power: Callable[[Array, sp.Rational], Array]
    exp: Callable[[Array, sp.Rational], Array]
    call: Callable[[str, Array], Array]
    sign: Callable[[Array], Array]


def each(function: Callable[[Any], Any], values: Array) -> Array:
    """Apply a function to every element."""
    return np.frompyfunc(function, 1, 1)(values)


def _float_call(name: str, argument: Array) -> Array:
    # Imported late: only erf needs SciPy, which takes longer to load than a derivation takes.
    return getattr(np if hasattr(np, name) else import_module("scipy.special"), name)(argument)


def _float(value: sp.Expr) -> float:
    try:
        return float(value)
    except TypeError:  # 1 / 0, or a root of a negative number
        return math.nan


FLOATS = Domain(
    number=_float,
    power=lambda base, exponent: base ** (int(exponent) if exponent.is_Integer else float(exponent)),
    exp=lambda argument, factor: np.exp(float(factor) * argument),
    call=_float_call,
    sign=lambda value: np.sign(np.real(value)),
)
"""Double precision, complex where a complex step needs it."""

SYMBOLS = Domain(
    number=lambda value: value,
    power=lambda base, exponent: base**exponent,
    exp=lambda argument, factor: each(sp.exp, factor * argument),
    call=lambda name, argument: each(getattr(sp, name), argument),
    sign=partial(each, sp.sign),
)
"""SymPy expressions; registered functions stay as they are."""


_COMPARE = {
    "<=": np.less_equal,
    "<": np.less,
    ">=": np.greater_equal,
    ">": np.greater,
    "==": np.equal,
    "!=": np.not_equal,
}


@dataclass(frozen=True)
class Frame:
    """What names mean: values of symbols, arrays, the weights and the grid of each index, how to do `Partial`."""

    domain: Domain
    symbols: Mapping[sp.Basic, Array]
    weights: Mapping[sp.Expr, Array]
    arrays: Mapping[str, Array]
    grids: Mapping[sp.Basic, tuple[Array, Array]]
    partial: Callable[["Frame", sp.Expr], Array] | None = None
    memo: dict[sp.Expr, Array] = field(default_factory=dict, init=False)

    def with_index(self, k: sp.Basic, size: sp.Expr) -> "Frame":
        """Add an index on a new leading axis."""
        weights = self.weights[size].reshape(-1, *[1] * len(self.grids))
        return replace(
            self, grids={**self.grids, k: (np.arange(len(weights)).reshape(weights.shape), weights)}
        )

    def with_array(self, name: str, array: Array) -> "Frame":
        """Add or replace the value of a variable."""
        return replace(self, arrays={**self.arrays, name: array})

    def place(self, k: sp.Expr) -> Array:
        """Positions that an index takes."""
        return int(k) - 1 if k.is_Integer else self.grids[k][0]

    def shape(self, shape: Shape) -> tuple[int, ...]:
        """Lengths of the axes of an array."""
        return tuple(len(self.weights[size]) for size in shape)

    def value(self, e: sp.Expr) -> Array:
        """Value of a formula; free indices run over their grids."""
        if e not in self.memo:
            self.memo[e] = _value(e, self)
        return self.memo[e]

    def values(self, formula: sp.Expr, at: Shape, shape: Shape) -> Array:
        """All values of a formula with the free indices `at`."""
        inner = self.with_index(at[1], shape[1]).with_index(at[0], shape[0])
        return np.broadcast_to(inner.value(formula), self.shape(shape))

    def entries(self, term: Term) -> Array:
        """All entries of a term."""
        return self.values(*_formula(term), term.shape)


@lru_cache(maxsize=4096)
def _formula(term: Term) -> tuple[sp.Expr, Shape]:
    at = sp.Dummy("i"), sp.Dummy("j")
    return entry(term, *at), at


def frame_of(program: Program, domain: Domain, weigh: Callable[[sp.Expr], Array]) -> Frame:
    """Make a frame in which a sum over a size is weighted; a size is the sum of its weights."""
    sizes = sorted({ONE, *(size for shape in program.shapes.values() for size in shape)}, key=str)
    weights = {size: weigh(size) for size in sizes}
    return Frame(domain, {size: sum(weights[size]) for size in sizes if size.is_Symbol}, weights, {}, {})


def plain(program: Program, domain: Domain, sizes: Mapping[sp.Expr, int]) -> Frame:
    """Make a frame in which every entry counts once, for sizes with values."""
    one = domain.number(sp.S.One)
    return frame_of(program, domain, lambda size: np.full(int(sizes.get(size, size)), one))


def _value(e: sp.Expr, frame: Frame) -> Array:
    domain = frame.domain
    if isinstance(e, sp.Indexed):
        return frame.arrays[str(e.base.label)][frame.place(e.indices[0]), frame.place(e.indices[1])]
    if e.is_number and (domain is FLOATS or not e.args):
        return domain.number(e)
    if e.is_Symbol:
        return frame.symbols[e]
    if e.is_Add or e.is_Mul:
        values = (frame.value(part) for part in e.args)
        return reduce(add if e.is_Add else mul, values)
    if e.is_Pow:
        return domain.power(frame.value(e.base), e.exp)
    if isinstance(e, sp.Sum):
        body, k, size = outer_sum(e)
        inner = frame.with_index(k, size)
        return (inner.grids[k][1] * inner.value(body)).sum(axis=0)
    if isinstance(e, sp.KroneckerDelta):
        (a, weight), (b, _) = (frame.grids[k] for k in e.args)
        return (a == b) * domain.power(weight, sp.S.NegativeOne)
    return _function(e, frame)


def _function(e: sp.Expr, frame: Frame) -> Array:
    domain = frame.domain
    if isinstance(e, Partial) and frame.partial:
        return frame.partial(frame, e)
    if isinstance(e, Phi):
        name, order, argument = e.args
        if domain is SYMBOLS:
            return each(lambda value: Phi(name, order, value), frame.value(argument))
        inner = replace(frame, symbols={U: frame.value(argument)})
        return inner.value(phi_formula(name, order))
    if isinstance(e, sp.Piecewise):
        *cases, (last, _) = e.args
        holding = [_holds(condition, frame) for _, condition in cases]
        with np.errstate(all="ignore"):  # where another case is taken
            return np.select(holding, [frame.value(case) for case, _ in cases], frame.value(last))
    if isinstance(e, sp.exp):
        factors = [part.as_coeff_Mul() for part in sp.Add.make_args(sp.expand(e.exp))]
        return reduce(mul, (domain.exp(frame.value(rest), factor) for factor, rest in factors))
    if isinstance(e, sp.log) and isinstance(e.args[0], sp.exp):  # SymPy writes this so only for real symbols
        return frame.value(e.args[0].exp)
    argument = frame.value(e.args[0])
    if isinstance(e, sp.Abs | sp.sign):  # np.abs of a complex number has no complex step
        return domain.sign(argument) * (argument if isinstance(e, sp.Abs) else domain.number(sp.S.One))
    return domain.call(type(e).__name__, argument)


def _holds(condition: sp.Basic, frame: Frame) -> Array:
    if isinstance(condition, sp.And | sp.Or):
        join = np.logical_and if isinstance(condition, sp.And) else np.logical_or
        return reduce(join, (_holds(part, frame) for part in condition.args))
    return _COMPARE[condition.rel_op](frame.domain.sign(frame.value(condition.lhs - condition.rhs)), 0)


def forward(program: Program, frame: Frame, start: Mapping[str, Array]) -> Frame:
    """Compute every equation; `start` gives inputs, and nodes whose value is to be taken instead of computed."""
    frame = replace(frame, arrays=dict(start))
    for name, term in program.definitions.items():
        if name not in start:
            frame = frame.with_array(name, frame.entries(term))
    return frame


def drawn(program: Program, frame: Frame, draw: Callable[[str, tuple[int, ...]], Array]) -> Arrays:
    """Draw inputs, by name and shape, that keep the program's assumptions."""
    arrays = {name: draw(name, frame.shape(shape)) for name, shape in program.inputs.items()}
    for name in map(name_of, program.assumptions):
        array, weights = arrays[name], frame.weights[program.shapes[name][1]]
        rest = 1 - (array[:, :-1] * weights[:-1]).sum(axis=1)
        array[:, -1] = rest * frame.domain.power(weights[-1:], sp.S.NegativeOne)
    return arrays
