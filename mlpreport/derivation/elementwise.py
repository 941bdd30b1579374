"""Elementwise functions, each defined once by a SymPy expression in `u`; derivatives are computed.

Training, typesetting, tests and the browser all read the definition kept here.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from keyword import iskeyword

import sympy as sp
from sympy.core.cache import clear_cache
from sympy.functions.elementary.piecewise import ExprCondPair
from sympy.logic.boolalg import Boolean

from mlpreport.checks import nearest
from mlpreport.derivation.stable import python_code, stable
from mlpreport.errors import InvalidInputError

U = sp.Symbol("u", real=True)
"""The argument in which every elementwise function is written."""

H = sp.Symbol("h", real=True)
"""The function's own value, in which some derivatives are written."""

MODULES = ("math", "np", "scipy", "torch")
"""What printed code calls the libraries it uses."""

_LANGUAGE = ("exp", "log", "logsumexp", "max", "mean", "min", "ones", "softmax", "sum")
RESERVED = frozenset({*_LANGUAGE, *MODULES, "len", "range", "value_and_grad"})
"""Names that mean something else in the forward language or in printed code."""


@dataclass(frozen=True)
class Elementwise:
    """A function applied to each entry: its name and its SymPy expression in `U`."""

    name: str
    expression: sp.Expr

    @cached_property
    def derivative(self) -> sp.Expr:
        """The derivative with respect to `U`, computed by SymPy."""
        return derivative(self.expression, 1)

    @cached_property
    def derivative_by_value(self) -> sp.Expr | None:
        """The derivative as a polynomial in `U` and the function's own value `H`; None if there is no such form."""
        form = by_value(self.derivative, self.expression, {H: {}})
        return None if form is None else sp.factor_terms(form)


def by_value(
    slope: sp.Expr, formula: sp.Expr, values: Mapping[sp.Expr, Mapping[sp.Expr, sp.Expr]]
) -> sp.Expr | None:
    """Write the slope of a formula as a polynomial in its values, or return None.

    `values` says for each value with which change of indices the formula gives it. A transcendental part that enters
    the formula linearly is eliminated, so there is one branch only; a form such as 3 h^(2/3) for u^3 holds on one side.
    """
    for part in sorted(formula.atoms(sp.Function), key=sp.default_sort_key):
        mark, value = sp.Dummy(), sp.Dummy()
        rest = formula.xreplace({part: mark})
        if any(U in other.free_symbols for other in rest.atoms(sp.Function)):  # no polynomial could be left
            continue
        equation = sp.expand(sp.numer(sp.together(rest - value)))
        if not equation.is_polynomial(mark) or sp.degree(equation, mark) != 1:
            continue
        solved = -equation.coeff(mark, 0) / equation.coeff(mark, 1)
        new = {part.xreplace(moved): solved.xreplace({value: h}) for h, moved in values.items()}
        form = sp.expand(sp.cancel(slope.subs(new)))
        gap = form.xreplace({h: formula.xreplace(moved) for h, moved in values.items()}) - slope
        if form.has(*values) and form.is_polynomial(U, H, *form.atoms(sp.Indexed)) and vanishes(gap):
            return form
    return None


def vanishes(gap: sp.Expr) -> bool:
    """Whether an expression is 0 at negative and at positive entries, whatever its deltas, sums and sizes."""
    atoms = sorted(gap.atoms(sp.Indexed, sp.KroneckerDelta) | {U}, key=sp.default_sort_key)
    sizes = sorted(gap.free_symbols - {U} - gap.atoms(sp.Dummy), key=str)
    values = []
    for scale in (-3, -1, 1, 3):
        point = {atom: scale * sp.Rational(2 * n + 1, n + 3) for n, atom in enumerate(atoms)}
        known = {size: 3 * n + 4 for n, size in enumerate(sizes)} | dict.fromkeys(gap.atoms(sp.Dummy), 3)
        values.append(gap.xreplace(point).subs(known).evalf(30, chop=True))
    return all(abs(value) < sp.Float("1e-20") for value in values)


_HYPERBOLIC = (sp.sinh, sp.cosh, sp.sech, sp.csch, sp.coth)
"""Functions that are written with exponentials."""

_KNOWN = (
    *(sp.Add, sp.Mul, sp.Pow, sp.Number, sp.NumberSymbol, sp.Symbol, sp.Piecewise, ExprCondPair, Boolean),
    *(sp.exp, sp.log, sp.Abs, sp.sign, sp.erf, sp.tanh, sp.sin, sp.cos, sp.tan),
    *(sp.asin, sp.acos, sp.atan, sp.asinh, sp.acosh, sp.atanh),
)
"""What definitions are made of: all languages of printed code have it, and so has its derivative."""

_REGISTERED: dict[str, Elementwise] = {}


def register_elementwise(name: str, definition: Callable[[sp.Symbol], sp.Expr]) -> Elementwise:
    """Define the elementwise function `name` by a SymPy expression in `u`; a later definition replaces it.

    Floating-point numbers in the definition become exact fractions, so that proofs stay exact.

    Raises
    ------
    InvalidInputError
        If the name is no identifier or is taken by the language, or the result is no SymPy expression in `u` alone.
    """
    if not isinstance(name, str) or not name.isidentifier() or iskeyword(name) or name in RESERVED:
        message = (
            f"elementwise name {name!r}: use a Python identifier other than {', '.join(sorted(RESERVED))}"
        )
        raise InvalidInputError(message)
    function = Elementwise(name, _checked(name, definition))
    if _REGISTERED.get(name, function) != function:
        clear_cache()  # SymPy remembers derivatives of the function by its name
    _REGISTERED[name] = function
    return function


def _checked(name: str, definition: Callable[[sp.Symbol], sp.Expr]) -> sp.Expr:
    rule = f"the definition of {name!r} must return a SymPy expression in u alone, with known real functions"
    remedy = f"{rule}, such as 1 / (1 + sympy.exp(-u))"
    try:
        expression = sp.sympify(definition(U))
    except Exception as error:  # a definition is the caller's code and may raise anything
        message = f"{remedy}; it raised {type(error).__name__}: {error}"
        raise InvalidInputError(message) from error
    known = isinstance(expression, sp.Expr) and not expression.atoms(sp.core.function.AppliedUndef)
    if not known or expression.free_symbols - {U} or expression.has(sp.nan, sp.zoo, sp.oo, sp.I):
        message = f"{remedy}; it returned {expression!r}"
        raise InvalidInputError(message)
    for pieces in expression.atoms(sp.Piecewise):
        if sp.Or(*(condition for _, condition in pieces.args)) is not sp.true:
            message = f"{name!r}: {pieces} has no value elsewhere; end it with a pair (…, True)"
            raise InvalidInputError(message)
    # Max and Min have slope 1/2 at a tie; torch, and so this project, decides for one side. Slopes at jumps are 0.
    done = expression.doit()
    exact = done.xreplace({number: _fraction(number) for number in done.atoms(sp.Float)})
    exact = exact.replace(sp.Heaviside, _stairs).replace(sp.Pow, _power)
    exact = exact.rewrite((sp.Max, sp.Min, sp.sign), sp.Piecewise)
    # One inside the other leaves a condition of conditions, which no language prints.
    exact = sp.piecewise_fold(exact) if exact.has(sp.ITE) else exact
    exact = _joined(exact.rewrite(_HYPERBOLIC, sp.exp))
    parts = sp.preorder_traversal(exact)
    if unknown := {type(part).__name__ for part in parts if not isinstance(part, _KNOWN)}:
        message = f"{remedy}; {' and '.join(sorted(unknown))} is not known"
        raise InvalidInputError(message)
    return exact


def _fraction(number: sp.Float) -> sp.Rational:
    """Write a float as a fraction that rounds to it: a short one such as 10/3, or its decimals."""
    short = sp.nsimplify(number, rational=True)
    return short if float(short) == float(number) else sp.Rational(repr(float(number)))


def _power(base: sp.Expr, exponent: sp.Expr) -> sp.Expr:
    """Write a power with a variable exponent with exp, for which everything has rules."""
    return base**exponent if exponent.is_number else sp.exp(exponent * sp.log(base))


def _joined(expression: sp.Expr) -> sp.Expr:
    """Give a point at which several pieces tie to the piece below; ties decided one by one may fit neither side."""
    if len(expression.atoms(sp.Piecewise)) <= 1:
        return expression
    try:
        if any(relation.as_set().has(sp.ConditionSet, sp.CRootOf) for relation in expression.atoms(sp.Rel)):
            return expression
        pairs = sp.piecewise_fold(expression).as_expr_set_pairs()
    # Conditions that SymPy does not solve, or no pieces are left.
    except (NotImplementedError, AttributeError):
        return expression
    ties = {point: piece for piece, places in pairs if places.is_FiniteSet for point in places}
    pieces, joined = [], set()
    for piece, places in pairs:
        parts = places.args if places.is_Union else (places,)
        ends = {part.end for part in parts if part.is_Interval} & ties.keys()
        own = {point for point in ends if piece.subs(U, point) == ties[point].subs(U, point)}
        if not places.is_FiniteSet:
            pieces.append((piece, places.union(sp.FiniteSet(*own)).as_relational(U)))
        joined |= own
    return sp.Piecewise(*pieces[:-1], (pieces[-1][0], True)) if ties and joined == ties.keys() else expression


def _stairs(argument: sp.Expr, at_jump: sp.Expr = sp.S.Half) -> sp.Expr:
    return sp.Piecewise((0, argument < 0), (at_jump, argument <= 0), (1, True))


def derivative(expression: sp.Expr, order: int) -> sp.Expr:
    """Differentiate an expression in `U`; where it jumps, the slope is 0, as in torch."""
    return sp.diff(expression, U, order).replace(sp.DiracDelta, lambda *_: sp.S.Zero)


def elementwise(name: str) -> Elementwise:
    """Look up a registered function; an unknown name is an error that suggests the nearest."""
    if name not in _REGISTERED:
        hint = nearest(name, _REGISTERED) or "define it with register_elementwise"
        message = f"activation {name!r} is not registered (known: {', '.join(sorted(_REGISTERED))}); {hint}"
        raise InvalidInputError(message)
    return _REGISTERED[name]


def elementwise_names() -> tuple[str, ...]:
    """Names of all registered functions, sorted."""
    return tuple(sorted(_REGISTERED))


def scalar_source(name: str) -> str:
    """Python source of the scalar functions `value(u)` and `slope(u, h)` with h = value(u), for numba to compile.

    Only `math`, arithmetic and conditionals are used; exponentials saturate. Where a power overflows, or a function
    has no real value, numba and NumPy's numbers give infinity or NaN, and Python's own raise errors.
    """
    function = elementwise(name)
    slope = function.derivative_by_value
    slope = stable(function.derivative, U) if slope is None else slope
    value_body = python_code(stable(function.expression, U), "math")
    slope_body = python_code(slope, "math")
    return f"import math\n\n\ndef value(u):\n{value_body}\n\n\ndef slope(u, h):\n{slope_body}\n"


def scalar_functions(name: str) -> tuple[Callable[[float], float], Callable[[float, float], float]]:
    """Return the Python functions `value(u)` and `slope(u, h)` that `scalar_source` defines."""
    namespace: dict[str, Callable[..., float]] = {}
    exec(scalar_source(name), namespace)  # noqa: S102 - the source was generated from the SymPy expression
    return namespace["value"], namespace["slope"]


register_elementwise("identity", lambda u: u)
register_elementwise("sigmoid", lambda u: 1 / (1 + sp.exp(-u)))
register_elementwise("tanh", sp.tanh)
# Max(0, u) would have slope 1/2 at 0; torch, and so this project, has 0 there.
register_elementwise("relu", lambda u: sp.Piecewise((0, u <= 0), (u, True)))
register_elementwise("softplus", lambda u: sp.log(1 + sp.exp(u)))
register_elementwise("gelu", lambda u: u * (1 + sp.erf(u / sp.sqrt(2))) / 2)

BUILT_IN = dict(_REGISTERED)
"""The definitions above, whatever is registered later under their names."""
