"""Terms as code: identifiers for every variable, expressions for NumPy, torch and the forward language."""

from collections.abc import Iterable, Mapping

import sympy as sp

from mlpreport.derivation.program import ALL, Program, Term
from mlpreport.derivation.stable import code

_LEVEL = {"+": 1, "-": 1, "neg": 1, "*": 2, "/": 2, "@": 2, "**": 4}
"""How tightly an operation binds."""


def code_names(program: Program, reserved: Iterable[str] = (), more: Iterable[str] = ()) -> dict[str, str]:
    """Give every variable and size an identifier: cotangents d…, directions v…; a taken name gets an underscore."""
    taken = set(reserved)
    sizes = sorted({str(s) for shape in program.inputs.values() for s in shape if isinstance(s, sp.Symbol)})
    names = {key: _free_name(key, taken) for key in program.shapes if key.isidentifier()}
    names |= {f"size {size}": _free_name(size, taken) for size in sizes}
    derived = dict.fromkeys(key for key in [*program.shapes, *more] if not key.isidentifier())
    return names | {key: _free_name(plain_name(key), taken) for key in derived}


def plain_name(key: str) -> str:
    """Write the internal name of a cotangent as d…, of a direction as v…."""
    if key.startswith("∂"):
        return "d" + plain_name(key.partition("/∂")[2])
    head, _, rest = key.partition("(")
    return {"dot": "v", "shared": "part"}.get(head, head) + plain_name(rest[:-1]) if rest else key


def _free_name(name: str, taken: set[str]) -> str:
    while name in taken:
        name += "_"
    taken.add(name)
    return name


def show(term: Term, names: Mapping[str, str], library: str = "") -> str:
    """Print a term as code for `np` or `torch`, or in the forward language."""
    op = term.op
    if op == "var":
        return names.get(term.name, term.name)
    if op == "num":
        return _number(term.parts[0], names)
    if op == "ones":
        sizes = ", ".join(_number(size, names) for size in term.parts)
        return (
            f"{library}.ones(({sizes}){', dtype=torch.float64' * (library == 'torch')})"
            if library
            else f"ones({sizes})"
        )
    if op in _LEVEL:
        least = _LEVEL[op]
        left = _operand(
            term.operands[0], max(least, 2) if op == "neg" else least + (op == "**"), names, library
        )
        if op == "neg":
            return f"-{left}"
        space = "" if op == "**" else " "
        return f"{left}{space}{op}{space}{_operand(term.operands[1], least + 1, names, library)}"
    if op == "T":
        return f"{_operand(term.operands[0], 5, names, library)}.T"
    return _call(term, names, library)


def _operand(term: Term, least: int, names: Mapping[str, str], library: str) -> str:
    text = show(term, names, library)
    level = _LEVEL.get(term.op, 6)
    if term.op == "num" and not text.replace(".", "").isalnum():
        level = 1 if text.startswith("-") or " " in text else 2
    return text if level >= least else f"({text})"


def _call(term: Term, names: Mapping[str, str], library: str) -> str:
    op, inner = term.op, show(term.operands[-1], names, library)
    if op in {"sum", "mean"}:
        everything = term.parts[1] == ALL
        if not library:
            return f"{op}({inner})" if everything else f"{op}({inner}, axis={term.parts[1]})"
        array = _operand(term.operands[0], 5, names, library)
        return (
            f"{array}.{op}().reshape(1, 1)"
            if everything
            else f"{array}.{op}(axis={term.parts[1]}, keepdims=True)"
        )
    if op == "vdot":
        return f"np.vdot({show(term.operands[0], names, library)}, {inner}).reshape(1, 1)"
    if op == "logsumexp":
        axis = None if term.parts[1] == ALL else term.parts[1]
        return f"logsumexp({inner}, {axis})" if library else f"log(sum(exp({inner}), axis={axis}))"
    if op == "call" and term.name in {"exp", "log"}:
        return f"{library}.{term.name}({inner})" if library else f"{term.name}({inner})"
    return f"{helper_name(term)}({inner})"


def helper_name(term: Term) -> str:
    """Name of the function that a term calls."""
    if term.op != "call":
        return term.name if term.op == "map" else term.op
    order = int(term.parts[1])
    return term.name + ("" if order == 0 else "_slope" if order == 1 else f"_slope{order}")


def _number(value: sp.Expr, names: Mapping[str, str]) -> str:
    return code(
        value.xreplace({s: sp.Symbol(names.get(f"size {s}", str(s))) for s in value.free_symbols}), "math"
    )
