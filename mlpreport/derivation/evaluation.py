"""Values of index formulas at every index at once, in floating point or exactly in a finite field.

In the field a sum of symbolic size is a weighted sum over a few points, with random weights that add up to the size:
what holds for random entries and weights holds for all sizes. By Schwartz and Zippel an accident has a probability
below 1e-14.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache, reduce
from operator import add, mul

import numpy as np
import sympy as sp

from mlpreport.derivation.domains import FLOATS, PRIME, SYMBOLS, Array, Domain, each
from mlpreport.derivation.elementwise import U
from mlpreport.derivation.indices import Partial, Phi, entry, outer_sum, phi_formula
from mlpreport.derivation.program import ONE, Program, Shape, Term

POINTS = 3
"""Points over which a sum of symbolic size runs in the field."""


@dataclass(frozen=True)
class Frame:
    """What names mean: values of sizes and symbols, arrays, the grid and weights of each index, how to do `Partial`."""

    domain: Domain
    symbols: Mapping[sp.Basic, Array]
    weights: Mapping[sp.Expr, Array]
    arrays: Mapping[str, Array]
    grids: Mapping[sp.Basic, tuple[Array, Array]]
    partial: Callable[["Frame", sp.Expr], Array] | None = None
    memo: dict[sp.Expr, Array] | None = None

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


def frame_of(program: Program, domain: Domain, sizes: Mapping[sp.Expr, int] | None) -> Frame:
    """Make a frame in which sums run over all entries, for sizes with values; without, sizes stay symbolic."""
    used = sorted({ONE, *(size for shape in program.shapes.values() for size in shape)}, key=str)
    weights = {
        size: _weights(size, domain)
        if sizes is None and size != 1
        else np.ones(int((sizes or {}).get(size, size)), dtype=float if domain is FLOATS else object)
        for size in used
    }
    symbols = {size: domain.reduced(sum(weights[size])) for size in used if size.is_Symbol}
    return Frame(domain, symbols, weights, {}, {})


def _weights(size: sp.Expr, field: Domain) -> Array:
    value = field.number(size) if size.is_Integer else field.draw("size", str(size))
    first = [field.draw("weight", str(size), n) for n in range(POINTS - 1)]
    return np.array([*first, (value - sum(first)) % PRIME], dtype=object)


def evaluate(e: sp.Expr, frame: Frame) -> Array:
    """Value of a formula; free indices run over their grids."""
    if frame.memo is None:
        return _evaluated(e, frame)
    if e not in frame.memo:
        frame.memo[e] = _evaluated(e, frame)
    return frame.memo[e]


def _evaluated(e: sp.Expr, frame: Frame) -> Array:
    domain = frame.domain
    if isinstance(e, sp.Indexed):
        return frame.arrays[str(e.base.label)][frame.place(e.indices[0]), frame.place(e.indices[1])]
    if e.is_number and not e.args:
        return domain.number(e)
    if e.is_Symbol:
        return frame.symbols[e]
    if e.is_Add or e.is_Mul:
        values = (evaluate(part, frame) for part in e.args)
        return reduce(lambda a, b: domain.reduced((add if e.is_Add else mul)(a, b)), values)
    if e.is_Pow:
        return domain.power(evaluate(e.base, frame), e.exp)
    if isinstance(e, sp.Sum):
        body, k, size = outer_sum(e)
        inner = frame.with_index(k, size)
        return domain.reduced((inner.grids[k][1] * evaluate(body, inner)).sum(axis=0))
    if isinstance(e, sp.KroneckerDelta):
        (a, weight), (b, _) = (frame.grids[k] for k in e.args)
        return domain.reduced((a == b) * domain.power(weight, sp.S.NegativeOne))
    return _function(e, frame)


def _function(e: sp.Expr, frame: Frame) -> Array:
    domain = frame.domain
    if isinstance(e, Partial) and frame.partial:
        return frame.partial(frame, e)
    if isinstance(e, Phi):
        name, order, argument = e.args
        if domain is SYMBOLS:
            return each(lambda value: Phi(name, order, value), evaluate(argument, frame))
        inner = replace(frame, symbols={U: evaluate(argument, frame)}, memo=None)
        return evaluate(phi_formula(name, order), inner)
    if isinstance(e, sp.Piecewise):
        *cases, (last, _) = e.args
        return reduce(
            lambda no, case: _where(case[1], evaluate(case[0], frame), no, frame),
            cases[::-1],
            evaluate(last, frame),
        )
    if isinstance(e, sp.exp):
        factors = [part.as_coeff_Mul() for part in sp.Add.make_args(sp.expand(e.exp))]
        powers = (domain.exp(evaluate(rest, frame), factor) for factor, rest in factors)
        return reduce(lambda a, b: domain.reduced(a * b), powers)
    return domain.call(type(e).__name__, evaluate(e.args[0], frame))


def _where(condition: sp.Basic, yes: Array, no: Array, frame: Frame) -> Array:
    if isinstance(condition, sp.And):
        return reduce(lambda chosen, part: _where(part, chosen, no, frame), condition.args, yes)
    if isinstance(condition, sp.Or):
        return reduce(lambda chosen, part: _where(part, yes, chosen, frame), condition.args, no)
    return frame.domain.where(condition.rel_op, evaluate(condition.lhs - condition.rhs, frame), yes, no)


def entries(term: Term, frame: Frame) -> Array:
    """All entries of a term."""
    formula, at = _formula(term)
    return entries_at(formula, at, term.shape, frame)


@lru_cache(maxsize=4096)
def _formula(term: Term) -> tuple[sp.Expr, Shape]:
    i, j = sp.Dummy("i"), sp.Dummy("j")
    return entry(term, i, j), (i, j)


def entries_at(formula: sp.Expr, at: Shape, shape: Shape, frame: Frame) -> Array:
    """All values of a formula with the free indices `at`."""
    value = evaluate(formula, frame.with_index(at[1], shape[1]).with_index(at[0], shape[0]))
    array = np.broadcast_to(value, frame.shape(shape))
    return array if frame.domain is FLOATS else array.astype(object)


def forward(program: Program, frame: Frame, start: Mapping[str, Array]) -> Frame:
    """Compute every equation; `start` gives inputs, and nodes whose value is to be taken instead of computed."""
    frame = replace(frame, arrays=dict(start))
    for equation in program.equations:
        if equation.name not in start:
            frame = frame.with_array(equation.name, entries(equation.term, frame))
    return frame
