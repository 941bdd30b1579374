"""Proofs with interval arithmetic: the code that was derived, run on balls; Krawczyk's test; definiteness.

Balls (a midpoint and a radius that bounds every error) are Arb's, through python-flint. Sources: Krawczyk 1969;
Moore, Kearfott and Cloud, Introduction to Interval Analysis, 2009; Johansson, Arb, IEEE Trans. Computers 66, 2017.
"""

import ast
import operator
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from types import SimpleNamespace
from typing import Any

import numpy as np
from flint import arb, ctx

from mlpreport.derivation import ValueAndGrad
from mlpreport.training.objective import Objective, Vector

PRECISION = 128
"""Bits of a ball's midpoint."""

_ALIASES = {"abs": "__abs__", "arctan": "atan", "arcsinh": "asinh", "sign": "sgn"}

BALL, DECIDED = "a ball", "a comparison"
"""How code on balls calls what it is given: no identifiers, so that no function can have these names."""

_COMPARISONS = {
    "Lt": operator.lt,
    "LtE": operator.le,
    "Gt": operator.gt,
    "GtE": operator.ge,
    "Eq": operator.eq,
    "NotEq": operator.ne,
}
"""By their names in syntax trees."""


@contextmanager
def precise() -> Iterator[None]:
    """Compute with `PRECISION` bits inside, and as before outside."""
    before, ctx.prec = ctx.prec, PRECISION
    try:
        yield
    finally:
        ctx.prec = before


class UndecidedError(ArithmeticError):
    """A branch depends on the sign of a ball that contains zero."""


def ball(value: Any) -> Any:
    """Make a number a ball; a float literal that may stand for a rounded number is given its last place as radius."""
    if isinstance(value, np.ndarray):
        # Arrays of objects are of balls already: looking at every one again took half the time of a proof.
        return value if value.dtype == object else np.frompyfunc(ball, 1, 1)(value)
    if isinstance(value, float) and not (value * 1024).is_integer():
        return arb(value, float(np.spacing(abs(value))))
    return arb(value) if isinstance(value, int | float) else value


def exact(values: Any) -> np.ndarray:
    """Make every float64 of an array a ball of radius zero."""
    return np.asarray(np.frompyfunc(lambda value: arb(float(value)), 1, 1)(np.asarray(values)))


class _Balls:
    """Stands for NumPy in generated code: the same functions, on arrays of balls."""

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = _ALIASES.get(name, name)
        function: Callable[..., Any] = np.frompyfunc(lambda value: getattr(ball(value), method)(), 1, 1)
        return function

    minimum = staticmethod(np.frompyfunc(lambda a, b: ball(a).min(ball(b)), 2, 1))
    maximum = staticmethod(np.frompyfunc(lambda a, b: ball(a).max(ball(b)), 2, 1))
    where = staticmethod(np.frompyfunc(lambda condition, a, b: ball(a if condition else b), 3, 1))

    @staticmethod
    def ones(shape: tuple[Any, ...]) -> np.ndarray:
        return np.full(shape, arb(1), dtype=object)

    @staticmethod
    def full(shape: tuple[int, ...], value: Any) -> np.ndarray:
        return np.full(shape, ball(value), dtype=object)

    @staticmethod
    def full_like(values: Any, value: Any) -> np.ndarray:
        return np.full(np.shape(values), ball(value), dtype=object)

    dot, errstate = staticmethod(np.dot), np.errstate

    @staticmethod
    def vdot(a: np.ndarray, b: np.ndarray) -> Any:
        return np.asarray((a * b).sum())


def _decided(left: Any, comparison: str, right: Any) -> Any:
    """Compare balls, and refuse to say anything where the balls overlap."""
    holds = _COMPARISONS[comparison]
    return np.frompyfunc(lambda a, b: holds(_order(ball(a), ball(b)), 0), 2, 1)(left, right)


def _order(a: Any, b: Any) -> int:
    """Return -1, 0 or 1 where every number of a is less than, equal to or greater than every one of b."""
    order = int(a > b) - int(a < b)
    if order == 0 and not (a.is_exact() and b.is_exact()):
        raise UndecidedError
    return order


class _OnBalls(ast.NodeTransformer):
    """Makes balls of the numbers in arithmetic, lets comparisons fail where balls overlap, and imports nothing."""

    def visit_Import(self, _: ast.Import) -> None:
        return None

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        self.generic_visit(node)
        node.left = _as_ball(node.left)
        if not isinstance(node.op, ast.Pow) or not isinstance(node.right, ast.Constant):
            node.right = _as_ball(node.right)
        return node

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        self.generic_visit(node)
        comparison = ast.Constant(type(node.ops[0]).__name__)
        return _call(DECIDED, node.left, comparison, node.comparators[0])


def _as_ball(node: ast.expr) -> ast.expr:
    return _call(BALL, node) if isinstance(node, ast.Constant | ast.Name) else node


def _call(name: str, *arguments: ast.expr) -> ast.Call:
    return ast.Call(ast.Name(name, ast.Load()), list(arguments), [])


@cache
def on_balls(source: str) -> Callable[..., tuple[Any, dict[str, Any]]]:
    """Compile generated NumPy code so that it computes with balls."""
    tree = ast.fix_missing_locations(_OnBalls().visit(ast.parse(source)))
    scope: dict[str, Any] = {BALL: ball, DECIDED: _decided}
    scope |= {"np": _Balls(), "math": _Balls(), "scipy": SimpleNamespace(special=_Balls())}
    exec(compile(tree, "<derived, on balls>", "exec"), scope)  # noqa: S102 - printed by our own derivation
    function: Callable[..., tuple[Any, dict[str, Any]]] = scope["value_and_grad"]
    return function


def enclosed(compiled: ValueAndGrad, given: Mapping[str, np.ndarray]) -> tuple[Any, dict[str, Any]]:
    """Enclose what compiled NumPy code computes from balls; `given` may hold more than its inputs."""
    return on_balls(compiled.source)(*(given[name] for name in compiled.inputs))


def gradient_on(objective: Objective, box: np.ndarray) -> tuple[Any, np.ndarray]:
    """Enclose the loss and its gradient for every point of a box (a flat array of balls)."""
    arrays = {name: exact(values) for name, values in objective.arrays.items()} | objective.named(box)
    value, gradient = enclosed(objective.gradient, arrays)
    return value, objective.flat(gradient)


def hessian_on(objective: Objective, box: np.ndarray) -> np.ndarray:
    """Enclose the Hessian for every point of a box; both of two equal entries are known, so they are intersected."""
    arrays = {name: exact(values) for name, values in objective.arrays.items()} | objective.named(box)
    directions = (objective.named(exact(unit), "v") for unit in np.eye(objective.size))
    matrix = np.array([objective.flat(enclosed(objective.product, arrays | v)[1]) for v in directions])
    return np.asarray(np.frompyfunc(lambda a, b: a.intersection(b), 2, 1)(matrix, matrix.T))


def box_around(centre: Vector, radius: float) -> np.ndarray:
    """Make the box of all points whose entries differ from the centre's by at most the radius."""
    return np.asarray(np.frompyfunc(lambda value: arb(float(value), radius), 1, 1)(centre))


def has_one_zero(radius: float, gradient: np.ndarray, hessian: np.ndarray, rates: np.ndarray) -> bool:
    """Test after Krawczyk whether the gradient has exactly one zero in the box of this radius.

    Parameters
    ----------
    gradient, hessian
        Balls: the gradient at the centre, and the Hessian on the whole box.
    rates
        Any matrix of balls, best an approximate inverse of the Hessian at the centre.
    """
    spread = arb(0, radius)
    contraction = exact(np.eye(len(gradient))) - rates @ hessian
    image = -(rates @ gradient) + (contraction * spread).sum(axis=1)
    return all(bool(entry.abs_upper() < radius) for entry in image)


def is_positive_definite(matrix: np.ndarray, root: np.ndarray) -> bool:
    """Tell whether every symmetric matrix A in a matrix of balls is positive definite.

    R A Rᵀ is positive definite if and only if A is and R is regular; with R the inverse of a Cholesky factor of A it
    is nearly the identity, so that the pivots of its LDLᵀ stay positive on wide balls, too.
    """
    rest = exact(root) @ matrix @ exact(root.T)
    for k in range(len(rest)):
        pivot = rest[k, k]
        if not pivot > 0:
            return False
        column = rest[k + 1 :, k]
        rest[k + 1 :, k + 1 :] -= np.outer(column, column) / pivot
    return True


def curvature_along(matrix: np.ndarray, direction: Vector) -> Any:
    """Enclose the Rayleigh quotient of a matrix of balls along a direction of norm 1."""
    ray = exact(direction)
    return ray @ matrix @ ray
