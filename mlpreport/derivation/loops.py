"""A derivation as loops for a compiler: every entry by its index formula, every intermediate once.

Arrays are stored as they are written, or, for a layout with points, with the points on their last axis, so that every
inner loop runs over contiguous points.
"""

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass

import sympy as sp

from mlpreport.derivation.indices import Phi, entry, indices, outermost
from mlpreport.derivation.printing import helper_name
from mlpreport.derivation.program import ONE, Shape, Term, build
from mlpreport.derivation.stable import code
from mlpreport.errors import ProgramError

Axis = tuple[sp.Expr, sp.Expr]
"""An index with the number of its values."""

_BUILT_IN = ("abs", "float", "max", "min", "range")
RESERVED = (*"ijkn", "total", *_BUILT_IN, *(f"{name}{n}" for name in ("k", "total") for n in range(1, 9)))
"""What loops call their indices and sums, and which functions of Python they use."""


@dataclass(frozen=True)
class Layout:
    """Variables that differ from point to point have the points last, in place of rows or behind them.

    `points` is the index over the points, with their number. A scalar is no array. A variable in
    `parts` is a part of a flat array, whose name with the bracket is given; its own name is the place of its start.
    """

    points: Axis
    varying: Container[str]
    scalars: Container[str]
    parts: Mapping[str, str]

    @property
    def library(self) -> str:
        """What the code may call: functions of numbers, or of as many points at once as a vector holds."""
        return "math" if self.points == (ONE, ONE) else "lanes"

    def axes(self, name: str, shape: Shape, at: Iterable[sp.Expr]) -> list[Axis]:
        """Pairs of index and size, in the order in which the entry `at` of a variable is stored."""
        rows, columns = zip(at, shape, strict=True)
        if name not in self.varying:
            return [rows, columns]
        if shape[0] == self.points[1]:
            return [columns, rows]
        return [columns, self.points] if shape[0] == 1 else [rows, columns, self.points]


@dataclass(frozen=True)
class Loops:
    """Prints equations as loops: `shapes` and `names` of all variables, and how they are stored."""

    shapes: Mapping[str, Shape]
    names: Mapping[str, str]
    layout: Layout

    def lines(self, name: str, term: Term) -> list[str]:
        """Print the loops that fill the array of a variable with the value of its term."""
        at, peak = indices(term.shape, "ij"), term.op == "max"
        summed = build("sum", *term.parts) if peak else term
        formula = entry(term.operands[0] if term.op == "map" else summed, *at)
        formula, axes = self._lettered(formula, self.layout.axes(name, term.shape, at))
        if term.op == "map":
            formula = sp.Symbol(f"{term.name}({self.code(formula)})")
        places = [_place(k) for k, _ in axes]
        sums = {part: sp.Dummy() for part in sorted(outermost(formula), key=sp.default_sort_key)}
        rest, totals = formula.xreplace(sums), list[str]()
        *outer, inner = axes
        added = [part for part in sums if inner[1] != 1 and not peak and not self._over_points(part)]
        for number, (part, mark) in enumerate(sums.items()):
            if part not in added:
                total = f"total{number or ''}"
                totals += self._largest(total, part) if peak else self._total(total, part)
                rest = rest.xreplace({mark: sp.Symbol(total)})
        start = rest.xreplace({sums[part]: sp.S.Zero for part in added})
        body = self._nested([inner], [*totals, self._assigned(name, places, self.code(start))])
        for part in added:
            term_of_sum = self.code(sp.diff(rest, sums[part]) * part.function)
            body += self._nested(
                [*_limits(part), inner], [self._assigned(name, places, term_of_sum, add=True)]
            )
        return self._nested(outer, body)

    def _assigned(self, name: str, places: list[str], value: str, *, add: bool = False) -> str:
        """Print that an entry, or entries for several points, are set or added to."""
        if name not in self.layout.varying:
            return f"{self._cell(name, places)} {'+' * add}= {value}"
        row, n = self._cell(name, places[:-1]), places[-1]
        value = f"load({row}, {n}) + {value}" if add else value
        if self.layout.parts[name] != "work[":  # what others read keeps its zeros behind the points
            value = f"first({self.code(self.layout.points[1])} - {n}, {value})"
        return f"store({row}, {n}, {value})"

    def code(self, formula: sp.Expr) -> str:
        """Print an index formula; its entries become elements of arrays, counted from 0."""
        formula = formula.replace(lambda e: isinstance(e, Phi), lambda e: self._call(*e.args))
        formula = formula.xreplace({e: sp.Symbol(self._element(e)) for e in formula.atoms(sp.Indexed)})
        return code(formula, self.layout.library, self.names)

    def _call(self, name: sp.Symbol, order: sp.Integer, argument: sp.Expr) -> sp.Symbol:
        return sp.Symbol(f"{helper_name(str(name), int(order))}({self.code(argument)})")

    def _element(self, e: sp.Indexed, *, whole_row: bool = False) -> str:
        name = str(e.base.label)
        places = [_place(k) for k, _ in self.layout.axes(name, self.shapes[name], e.indices)]
        if name not in self.layout.varying:
            return self._cell(name, places)
        row = self._cell(name, places[:-1])
        return row if whole_row else f"load({row}, {places[-1]})"

    def _cell(self, name: str, places: list[str]) -> str:
        if name in self.layout.scalars:
            return self.names[name]
        if name not in self.layout.parts:
            return f"{self.names[name]}[{', '.join(places)}]"
        shape, varies = self.shapes[name], name in self.layout.varying
        flat = len(self.layout.axes(name, shape, (ONE, ONE))) - varies
        *row, column = places[:flat]
        start = [self.names[name], *(f"{i}*{self.code(shape[1])}" for i in row), column]
        start = [part for part in start if part != "0" and not part.startswith("0*")]
        return f"{self.layout.parts[name]}{', '.join([' + '.join(start), *places[flat:]])}]"

    def _lettered(self, formula: sp.Expr, axes: list[Axis]) -> tuple[sp.Expr, list[Axis]]:
        """Give every index the letter that it has in the code."""
        summed = [k for part in formula.atoms(sp.Sum) for k, _, size in part.limits]
        letters = {k: sp.Symbol(k.name) for k, _ in axes if k != 1}
        letters |= {
            k: sp.Symbol(f"k{n or ''}") for n, k in enumerate(sorted(summed, key=sp.default_sort_key))
        }
        return formula.xreplace(letters), [(k.xreplace(letters), size) for k, size in axes]

    def _over_points(self, part: sp.Sum) -> bool:
        return self.layout.points[1] in [size for _, _, size in part.limits]

    def _total(self, name: str, part: sp.Sum) -> list[str]:
        """Print the loops that add up a sum in a local variable; sums over points are inner products of rows."""
        value, loops, rows = self.code(part.function), _limits(part), self._rows(part.function)
        body, points = f"{name} += {value}", self.code(self.layout.points[1])
        if self._over_points(part) and rows:
            loops = [(k, size) for k, size in loops if size != self.layout.points[1]]
            body = f"{name} += row_{('total', 'product')[len(rows) - 1]}({', '.join([*rows, points])})"
        elif self._over_points(part):
            k = next(k for k, size in loops if size == self.layout.points[1])
            body = f"{name} += sum_of(first({points} - {k}, {value}))"
        return [f"{name} = 0.0", *self._nested(loops, [body])]

    def _largest(self, name: str, part: sp.Sum) -> list[str]:
        """Print the loops that find the largest of what a sum runs over, for each point where it differs.

        Raises
        ------
        ProgramError
            If it is to be found among the points, which kernels hold several at a time.
        """
        if self._over_points(part):
            message = (
                "a kernel takes no softmax and no logarithm of a sum of exponentials over its points; "
                "take it along the columns (axis=1), or compile the program with value_and_grad"
            )
            raise ProgramError(message)
        varies = any(str(e.base.label) in self.layout.varying for e in part.atoms(sp.Indexed))
        largest = "lanes.maximum" if varies else "max"
        body = f"{name} = {largest}({name}, {self.code(part.function)})"
        return [f"{name} = -math.inf", *self._nested(_limits(part), [body])]

    def _rows(self, body: sp.Expr) -> list[str]:
        """The rows whose product is summed over the points, if it is one of one or two; else none."""
        factors = [factor.as_base_exp() for factor in sp.Mul.make_args(body)]
        if not all(isinstance(base, sp.Indexed) and power in {1, 2} for base, power in factors):
            return []
        rows = [base for base, power in factors for _ in range(power)]
        fits = len(rows) <= 2 and all(str(row.base.label) in self.layout.varying for row in rows)  # noqa: PLR2004
        return [self._element(row, whole_row=True) for row in rows] if fits else []

    def _nested(self, axes: list[Axis], body: list[str]) -> list[str]:
        for k, size in reversed(axes):
            if size != 1:
                steps = f"0, {self.code(size)}, LANES" if size == self.layout.points[1] else self.code(size)
                body = [f"for {k} in range({steps}):", *("    " + line for line in body)]
        return body


def _place(k: sp.Expr) -> str:
    return "0" if k == 1 else str(k)


def _limits(part: sp.Sum) -> list[Axis]:
    """Indices of a sum with their sizes, the outermost first."""
    return [(k, size) for k, _, size in reversed(part.limits)]
