"""What printed code needs before its equations: the functions it calls, and the sizes of its inputs."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache

import sympy as sp

from mlpreport.derivation.elementwise import U
from mlpreport.derivation.indices import phi_formula
from mlpreport.derivation.printing import helper_name
from mlpreport.derivation.program import Shape, Term, nodes
from mlpreport.derivation.stable import python_code, stable

_ARRAYS = {
    "softmax": """def softmax(z):
    e = {0}.exp(z - {1})
    return e / e.sum(axis=1, keepdims=True)""",
    "log_softmax": """def log_softmax(z):
    shifted = z - {1}
    return shifted - {0}.log({0}.exp(shifted).sum(axis=1, keepdims=True))""",
    "logsumexp": """def logsumexp(z, axis):
    if axis is None:
        z, axis = z.reshape(1, -1), 1
    peak = {2}
    return peak + {0}.log({0}.exp(z - peak).sum(axis=axis, keepdims=True))""",
}
_LOOPS = {
    "logsumexp": """def logsumexp(z):
    result = np.empty((z.shape[0], 1))
    for i in range(z.shape[0]):
        peak, total = max(z[i]), 0.0
        for j in range(z.shape[1]):
            total += math.exp(z[i, j] - peak)
        result[i, 0] = peak + math.log(total)
    return result"""
}
_PEAK = {"np": "z.max(axis={}, keepdims=True)", "torch": "z.amax(dim={}, keepdim=True)"}


def helpers(terms: Iterable[Term], library: str, rewrite: Callable[..., sp.Expr] = stable) -> dict[str, str]:
    """Definitions of the functions that terms call, for `np`, `torch` or `math`, their formulas rewritten."""
    found: dict[str, str] = {}
    written = _LOOPS if library == "math" else _ARRAYS
    for term in (node for root in terms for node in nodes(root)):
        if term.op in written:
            peaks = [_PEAK.get(library, "").format(axis) for axis in (1, "axis")]
            found[term.op] = written[term.op].format(library, *peaks)
        elif term.op in {"map", "call"}:
            name = term.name if term.op == "map" else helper_name(term.name, int(term.parts[1]))
            formula = term.parts[1] if term.op == "map" else phi_formula(term.name, term.parts[1])
            found[name] = f"def {name}(u):\n{_body(formula, library, rewrite)}"
    return found


@cache
def _body(formula: sp.Expr, library: str, rewrite: Callable[..., sp.Expr]) -> str:
    return python_code(rewrite(formula, U), library)


def sizes_read(inputs: Mapping[str, Shape], used: set[sp.Basic], names: Mapping[str, str]) -> Iterator[str]:
    """Read the used sizes off the inputs' shapes, each once."""
    found: set[sp.Basic] = set()
    for name, shape in inputs.items():
        for axis, size in enumerate(shape):
            if size in used - found:
                found.add(size)
                yield f"{names[f'size {size}']} = {names[name]}.shape[{axis}]"
