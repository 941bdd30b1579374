"""Elementwise expressions rewritten so that floating-point numbers neither overflow nor cancel, and their code."""

import re
from collections.abc import Mapping
from textwrap import indent

import sympy as sp
from sympy.printing.precedence import PRECEDENCE
from sympy.printing.str import StrPrinter


class Sigmoid(sp.Function):  # type: ignore[misc]
    """1 / (1 + exp(-w)), computed without overflow."""

    nargs = 1


class Softplus(sp.Function):  # type: ignore[misc]
    """log(1 + exp(w)), computed without overflow."""

    nargs = 1


EXACT = 3
"""Powers of sizes up to which compilers' integers of 64 bits hold them; they hold no negative ones at all."""

HIGHEST = 6
"""Powers of one exponential up to which several are written in its sigmoid; polynomials of high degree take long."""


def stable(expression: sp.Expr, u: sp.Symbol) -> sp.Expr:
    """Rewrite in Sigmoid and Softplus what is rational in exp(k u), and logarithms of such; the value is the same."""
    if isinstance(expression, sp.Piecewise):
        return sp.Piecewise(*((stable(branch, u), condition) for branch, condition in expression.args))
    expression = expression.replace(sp.log, lambda inner: _stable_log(inner, u))
    terms = [_in_sigmoid(term, u) for term in sp.Add.make_args(expression)]
    whole = _in_sigmoid(expression, u) if None in terms else sp.Add(*terms)
    return expression if whole is None else whole


def _in_sigmoid(expression: sp.Expr, u: sp.Symbol) -> sp.Expr | None:
    """Write a rational function of exp(k u) in the sigmoid; None if that has a pole or it is no such function."""
    found = sorted((e.exp for e in expression.atoms(sp.exp)), key=sp.default_sort_key)
    exponents = [e for e in found if e.is_polynomial(u) and sp.degree(e, u) == 1]
    if not exponents:
        return expression
    mark, s = sp.Dummy(positive=True), sp.Dummy()
    ratios = [sp.nsimplify(sp.cancel(e / exponents[0]), rational=True) for e in exponents]
    if not all(ratio.is_Rational for ratio in ratios):
        return None
    step = sp.sign(sp.LC(exponents[0], u)) * sp.gcd(ratios)
    if max(map(abs, ratios)) > HIGHEST * abs(step):
        return None
    powers = {sp.exp(e): mark ** (ratio / step) for e, ratio in zip(exponents, ratios, strict=True)}
    replaced = expression.subs(powers)
    if not replaced.is_rational_function(mark):
        return None
    form = sp.cancel(replaced.subs(mark, s / (1 - s)))
    if not _finite(sp.denom(form), s):
        return None
    return sp.factor_terms(form).subs(s, Sigmoid(sp.expand(exponents[0] * step)))


def _stable_log(inner: sp.Expr, u: sp.Symbol) -> sp.Expr:
    parts = [part.as_independent(u, as_Add=False) for part in sp.Add.make_args(sp.expand(inner))]
    match sorted(parts, key=lambda part: part[1] != 1):
        case [(a, v), (b, sp.exp() as w)] if a > 0 < b and (v == 1 or isinstance(v, sp.exp)):
            # log(exp(v) + exp(w)) = v + softplus(w - v)
            v = sp.log(a) + (0 if v == 1 else v.exp)
            return v + Softplus(sp.log(b) + w.exp - v)
    form = stable(inner, u)
    for sign, candidate in ((-1, form), (1, sp.expand(1 - form))):
        if isinstance(candidate, Sigmoid):  # log s(w) = -softplus(-w) and log(1 - s(w)) = -softplus(w)
            return -Softplus(sign * candidate.args[0])
    return sp.log(inner)


def _finite(denominator: sp.Expr, s: sp.Symbol) -> bool:
    """Whether a denominator polynomial in s has no zero on [0, 1]."""
    if not denominator.free_symbols <= {s} or not denominator.is_polynomial(s):
        return False
    poly = sp.Poly(denominator, s)
    return poly.degree() == 0 or bool(
        (poly.domain.is_QQ or poly.domain.is_ZZ) and poly.count_roots(0, 1) == 0
    )


_PIECES = {
    "": {},
    "math": {
        "low": "min({0}, {1})",
        "high": "max({0}, {1})",
        "Abs": "abs({0})",
        "sign": "((1.0 if {0} > 0 else -1.0) if {0} != 0 else 0.0)",
    },
    "lanes": {
        "low": "lanes.minimum({0}, {1})",
        "high": "lanes.maximum({0}, {1})",
        "Abs": "lanes.absolute({0})",
        "Piecewise": "lanes.where({0}, {1}, {2})",
    },
    "np": {
        "low": "np.minimum({0}, {1})",
        "high": "np.maximum({0}, {1})",
        "Abs": "np.abs({0})",
        "erf": "scipy.special.erf({0})",
        "Piecewise": "np.where({0}, {1}, {2})",
    },
    "torch": {
        "low": "torch.clamp({0}, max={1})",
        "high": "torch.clamp({0}, min={1})",
        "Abs": "torch.abs({0})",
        "Piecewise": "torch.where({0}, {1}, {2})",
    },
}
"""How libraries write what they do not all write as `library.name(…)`."""


class _Code(StrPrinter):  # type: ignore[misc]
    """Prints an elementwise expression for `math`, `lanes`, `np` or `torch`, or in the forward language ("")."""

    def __init__(self, library: str) -> None:
        super().__init__()
        self.library = library

    def _call(self, name: str, *arguments: str) -> str:
        prefix = f"{self.library}." if self.library else ""
        return _PIECES[self.library].get(name, f"{prefix}{name}({{0}})").format(*arguments)

    def _print_Function(self, expr: sp.Expr) -> str:  # noqa: N802 (SymPy's name)
        if expr.is_number and self.library:
            return repr(float(expr))
        name, inner, call = type(expr).__name__, self._print(expr.args[0]), self._call
        if name == "Sigmoid":
            return f"(1 / (1 + {call('exp', call('low', self._print(-expr.args[0]), '709.0'))}))"
        if name == "Softplus":
            decay = call("exp", f"-{call('Abs', inner)}")
            return f"({call('high', inner, '0.0')} + {call('log1p', decay)})"
        saturated = name == "exp" and self.library and not expr.args[0].is_nonpositive
        return call(name, call("low", inner, "709.0") if saturated else inner)

    def _print_Piecewise(self, expr: sp.Piecewise) -> str:  # noqa: N802
        *cases, (last, _) = expr.args
        text = self._branch(last)
        for branch, condition in reversed(cases):
            form = _PIECES[self.library].get("Piecewise", "({1} if {0} else {2})")
            text = form.format(self._print(condition), self._branch(branch), text)
        return text

    def _print_Equality(self, expr: sp.Rel) -> str:  # noqa: N802
        return f"({self._print(expr.lhs)} {expr.rel_op} {self._print(expr.rhs)})"

    _print_Unequality = _print_Equality  # noqa: N815

    def _branch(self, branch: sp.Expr) -> str:
        if not branch.is_number or not self.library:
            return str(self._print(branch))
        # A Python float would make float32 of it.
        form = "torch.full_like(u, {})" if self.library == "torch" else "{}"
        # 1/0 is met at sizes that are refused only.
        return form.format(float(branch) if branch.is_finite else "math.nan")

    def _print_Pow(self, expr: sp.Pow, rational: bool = True) -> str:  # noqa: ARG002, N802
        if self.library and expr.base.is_integer and not -1 <= expr.exp <= EXACT:
            return f"float({self._print(expr.base)})**{self.parenthesize(expr.exp, PRECEDENCE['Pow'])}"
        return str(super()._print_Pow(expr, rational=True))

    def _print_Rational(self, expr: sp.Rational) -> str:  # noqa: N802
        # Compilers have 64-bit integers; a larger one becomes a float. So does a thousandth: it was written as one.
        large = max(abs(expr.p), expr.q) >= 2**53
        return repr(float(expr)) if large or is_decimal(expr) else str(super()._print_Rational(expr))

    _print_Integer = _print_Rational  # noqa: N815

    def _print_NumberSymbol(self, expr: sp.Expr) -> str:  # noqa: N802
        return repr(float(expr))

    _print_Exp1 = _print_Pi = _print_EulerGamma = _print_GoldenRatio = _print_NumberSymbol  # noqa: N815
    _print_Catalan = _print_TribonacciConstant = _print_NumberSymbol  # noqa: N815


def is_decimal(number: sp.Rational) -> bool:
    """Whether a fraction has a thousand, or a higher power of ten, below the line."""
    return re.fullmatch("10{3,}", str(number.q)) is not None


def code(expression: sp.Expr, library: str, names: Mapping[str, str]) -> str:
    """Print an expression for `math`, `lanes`, `np` or `torch`, or in the forward language (""); sizes have `names`."""
    symbols = {
        s: sp.Symbol(names.get(f"size {s}", str(s)), integer=s.is_integer, positive=s.is_positive)
        for s in expression.free_symbols
    }
    return str(_Code(library).doprint(expression.xreplace(symbols)))


def python_code(expression: sp.Expr, library: str) -> str:
    """Print an expression as the body of a Python function; shared parts are named first."""
    printer = _Code(library)
    shared, (result,) = sp.cse([expression], symbols=sp.numbered_symbols("a"))
    value = float(result) if result.is_number else printer.doprint(result)
    if result.is_number and library in {"np", "torch"}:
        value = f"{library}.full_like(u, {value})"
    named = [f"{name} = {printer.doprint(part)}" for name, part in shared]
    text = indent("\n".join([*named, f"return {value}"]), "    ")
    if library == "np" and expression.has(sp.Piecewise) and not _harmless(expression):
        text = f"    with np.errstate(all='ignore'):  # in pieces that are not taken\n{indent(text, '    ')}"
    return text


def _harmless(expression: sp.Expr) -> bool:
    """Whether all pieces are finite everywhere."""
    return not expression.atoms(sp.Function) - expression.atoms(sp.Piecewise, sp.Abs, sp.sign) and all(
        power.exp.is_nonnegative and power.exp.is_integer for power in expression.atoms(sp.Pow)
    )
