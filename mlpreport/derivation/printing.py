"""Terms and index formulas as text: one printer, and for each language a table of how it writes operations."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import sympy as sp

from mlpreport.derivation.indices import Direct, Partial, Phi, outer_sum
from mlpreport.derivation.program import ALL, Program, Term
from mlpreport.derivation.stable import code

Row = tuple[int, tuple[int, ...], str]
"""How tightly an operation binds, how tightly its operands must, and how it is written."""

_OPERATORS: dict[str, Row] = {
    "+": (0, (0, 2), "{} + {}"),
    "-": (0, (0, 2), "{} - {}"),
    "neg": (1, (2,), "-{}"),
    "*": (2, (1, 3), "{} * {}"),
    "scale": (2, (1, 3), "{} * {}"),
    "product": (2, (1, 3), "{} * {}"),
    "/": (2, (1, 3), "{} / {}"),
    "@": (2, (1, 3), "{} @ {}"),
    "**": (4, (5, 5), "{}**{}"),
    "sqrt": (4, (5, 5), "{}**{}"),
    "T": (6, (5,), "{}.T"),
}
_FORWARD = _OPERATORS | {
    "sum": (6, (0,), "{op}({})"),
    "sum along": (6, (0,), "{op}({}, axis={axis})"),
    "logsumexp": (6, (0,), "log(sum(exp({}), axis={axis}))"),
    "logsumexp along": (6, (0,), "log(sum(exp({}), axis={axis}))"),
    "softmax": (6, (0,), "softmax({})"),
    "softmax along": (6, (0,), "softmax({}, axis={axis})"),
    "ones": (6, (0, 0), "ones(({}, {}))"),
    "Σ": (4, (7, 0, 0), "Σ_{1} {0}"),
    "δ": (6, (0, 0), "δ[{},{}]"),
    "∂": (6, (0, 0), "∂{}/∂{}"),
    "∂()": (6, (7, 0), "∂{}/∂{}"),
    "∂ direct": (6, (0, 0), "(∂{}/∂{} directly)"),
}
_ARRAYS = _OPERATORS | {
    "sum": (6, (5,), "{}.{op}().reshape(1, 1)"),
    "sum along": (6, (5,), "{}.{op}(axis={axis}, keepdims=True)"),
}
_ROWS = {
    "": _FORWARD,
    "np": _ARRAYS
    | {
        "ones": (6, (0, 0), "np.ones(({}, {}))"),
        "full": (6, (0,), "np.full((1, 1), float({}))"),
        "copy": (6, (6,), "{}.copy()"),
        "@": (6, (0, 0), "np.dot({}, {})"),  # a microsecond quicker than @ where a size is 1
        "vdot": (6, (0, 0), "np.vdot({}, {}).reshape(1, 1)"),
    },
    "torch": _ARRAYS
    | {
        "ones": (6, (0, 0), "torch.ones(({}, {}), dtype=torch.float64)"),
        "full": (6, (0,), "torch.full((1, 1), float({}), dtype=torch.float64)"),
        "copy": (6, (6,), "{}.clone()"),
    },
}
_AXES = {ALL: (None, "all"), sp.S.Zero: (0, "rows"), sp.S.One: (1, "columns")}


class Text(NamedTuple):
    """What was printed, and how tightly it binds."""

    text: str
    level: int = 6


@dataclass(frozen=True)
class Dialect:
    """How a language writes variables and their entries, numbers, functions, brackets, and each operation."""

    cell: Callable[[str, Sequence[str]], str]
    number: Callable[[sp.Expr], str]
    function: Callable[[str, int], str]
    brackets: str
    rows: Mapping[str, Row]

    def join(self, row: str, *operands: Text, **fields: object) -> Text:
        """Write an operation, with brackets where an operand binds too loosely."""
        level, least, form = self.rows[row]
        texts = [
            o.text if o.level >= n else self.brackets.format(o.text)
            for o, n in zip(operands, least, strict=True)
        ]
        return Text(form.format(*texts, **fields), level)

    def call(self, name: str, order: int, argument: Text) -> Text:
        """Write a function, or one of its derivatives, at an argument."""
        return Text(self.function(name, order) + self.brackets.format(argument.text))


def code_dialect(names: Mapping[str, str], library: str) -> Dialect:
    """Make the dialect of `np` or `torch`, or of the forward language (""), with names of variables and sizes."""

    def cell(key: str, at: Sequence[str]) -> str:
        return names.get(key, key) + (f"[{','.join(at)}]" if at else "")

    def number(value: sp.Expr) -> str:
        return code(value, library and "math", names)

    def function(key: str, order: int) -> str:
        if not library:
            return key + "'" * order
        return f"{library}.{key}" if key in {"exp", "log"} else helper_name(key, order)

    return Dialect(cell, number, function, "({})", _ROWS[library])


def helper_name(name: str, order: int) -> str:
    """Name of the function in generated code that computes a derivative of a registered function."""
    return name + ("" if order == 0 else "_slope" if order == 1 else f"_slope{order}")


def show(term: Term, names: Mapping[str, str], library: str = "") -> str:
    """Print a term as code for `np` or `torch`, or in the forward language."""
    return term_text(term, code_dialect(names, library)).text


def term_text(term: Term, d: Dialect) -> Text:
    """Print a term."""
    op, parts = term.op, term.parts
    if op == "var":
        return _fraction_or_name(d.cell(term.name, ()))
    if op == "num":
        return _number(parts[0], d)
    operands = [term_text(part, d) for part in term.operands] or [_number(size, d) for size in parts]
    if op in {"sum", "mean", "max", "amax", "softmax", "logsumexp"}:
        axis, along = _AXES[parts[1]]
        row, unsaid = (op, 1) if op in {"softmax", "logsumexp"} else ("sum", None)
        row += "" if axis == unsaid else " along"
        return d.join(row, *operands, op=d.function(op, 0), axis=axis, along=along)
    numbers = [part.parts[0] for part in term.operands if part.op == "num"]
    if (op == "*" and numbers) or (op == "**" and numbers[-1] == sp.S.Half):
        return d.join("scale" if op == "*" else "sqrt", *operands)
    if op in d.rows:
        return d.join(op, *operands)
    return d.call(term.name if op in {"call", "map"} else op, parts[1] if op == "call" else 0, operands[0])


def _fraction_or_name(text: str) -> Text:
    return Text(text, 4 if text.startswith("\\frac") else 6)


def _number(value: sp.Expr, d: Dialect) -> Text:
    if value.is_Add or value.could_extract_minus_sign():
        return Text(d.number(value), 1 if value.is_Integer else 0)
    if value.is_Mul or value.is_Pow or not (value.is_Symbol or value.is_Integer):
        return Text(d.number(value), 4 if value.is_Pow and value.exp.is_positive else 2)
    return Text(d.number(value))


def formula_text(e: sp.Basic, d: Dialect, letters: Mapping[sp.Dummy, str]) -> Text:
    """Print an index formula, with a letter for every index; along an axis of size 1 there is none."""
    again = partial(formula_text, d=d, letters=letters)
    if isinstance(e, Term):
        return term_text(e, d)
    if isinstance(e, sp.Dummy):
        return Text(letters[e])
    if not e.has(sp.Indexed, sp.Dummy, Phi):
        return _number(e, d)
    if isinstance(e, sp.Indexed):
        return _fraction_or_name(d.cell(str(e.base.label), [letters[k] for k in e.indices if k in letters]))
    if isinstance(e, sp.Sum):
        body, k, size = outer_sum(e)
        text = _product(body, d, again, k)
        return d.join("Σ", Text(text.text, 7) if isinstance(body, sp.Sum) else text, again(k), again(size))
    if isinstance(e, sp.KroneckerDelta):
        return d.join("δ", *map(again, e.args))
    if isinstance(e, Partial):
        kind = "∂ direct" if isinstance(e, Direct) else "∂" if isinstance(e.args[0], sp.Indexed) else "∂()"
        return d.join(kind, *map(again, e.args))
    return _operation(e, d, again)


def _operation(e: sp.Expr, d: Dialect, again: Callable[[sp.Expr], Text]) -> Text:
    if e.is_Add:
        first, *rest = sorted(e.as_ordered_terms(), key=_is_negative)
        text = again(first)
        for term in rest:
            negative = _is_negative(term)
            text = d.join("-" if negative else "+", text, again(-term if negative else term))
        return text
    if _is_negative(e):
        return d.join("neg", again(-e))
    above, below = sp.fraction(e, exact=True)
    if below != 1:
        return d.join("/", again(above), again(below))
    if e.is_Mul:
        return _product(e, d, again, None)
    if e.is_Pow:
        return d.join("sqrt" if e.exp == sp.S.Half else "**", again(e.base), again(e.exp))
    name, order = e.args[:2] if isinstance(e, Phi) else (type(e).__name__, 0)
    return d.call(str(name), int(order), again(e.args[-1]))


def _is_negative(e: sp.Expr) -> bool:
    return bool(e.as_coeff_Mul()[0] < 0)


def _product(e: sp.Expr, d: Dialect, again: Callable[[sp.Expr], Text], k: sp.Dummy | None) -> Text:
    """Print factors as on paper: numbers, deltas, entries (what ends in the summed index first), ∂ and sums."""
    if not e.is_Mul or _is_negative(e) or sp.fraction(e, exact=True)[1] != 1:
        return again(e)

    def place(factor: sp.Expr) -> tuple[int, bool]:
        kinds = (sp.Number, sp.Symbol), sp.KroneckerDelta, object, sp.Indexed, Partial, sp.Sum
        at = max(n for n, kind in enumerate(kinds) if isinstance(factor, kind))
        return at, isinstance(factor, sp.Indexed) and factor.args[-1] != k

    first, *rest = sorted(e.as_ordered_factors(), key=place)
    text = again(first)
    for factor in rest:
        text = d.join("product", text, again(factor))
    return text


def code_names(program: Program, reserved: Iterable[str] = (), more: Iterable[str] = ()) -> dict[str, str]:
    """Give every variable and size an identifier: cotangents d…, directions v…; a taken name gets an underscore."""
    return identifiers([*program.shapes, *more], program.sizes, reserved)


def identifiers(keys: Sequence[str], sizes: Iterable[str] = (), taken: Iterable[str] = ()) -> dict[str, str]:
    """Give identifiers to variables, of which those in the source come first, and to sizes."""
    keys, taken = list(dict.fromkeys(keys)), set(taken)

    def free(name: str) -> str:
        while name in taken:
            name += "_"
        taken.add(name)
        return name

    names = {key: free(key) for key in keys if key.isidentifier()}
    names |= {f"size {size}": free(size) for size in sizes}
    return names | {key: free(_plain_name(key)) for key in keys if not key.isidentifier()}


def _plain_name(key: str) -> str:
    if key.startswith("∂"):
        return "d" + _plain_name(key.partition("/∂")[2])
    head, _, rest = key.partition("(")
    return {"dot": "v", "shared": "part"}.get(head, head) + _plain_name(rest[:-1]) if rest else key
