"""Recognition of index formulas as matrix expressions."""

import pytest
import sympy as sp

from mlpreport.derivation.elementwise import vanishes
from mlpreport.derivation.indices import cell, indices
from mlpreport.derivation.matrices import recognise, tidy
from mlpreport.derivation.printing import show
from mlpreport.errors import ProgramError

N, M, K = sp.symbols("N M K", integer=True, positive=True)
SHAPES = {"a": (N, K), "b": (K, M), "c": (N, M), "d": (K, 1), "e": (1, K)}
(P, Q), (k, _) = indices((N, M), "pq"), indices((K, M), "kk")


def entry(name, i, j):
    return cell(name, SHAPES[name], i, j)


def total(formula):
    return sp.Sum(formula, (k, 1, K))


@pytest.mark.parametrize(
    ("formula", "shape", "text"),
    [
        (total(entry("a", P, k) * entry("b", k, Q)), (N, M), "a @ b"),
        (total(entry("a", P, k) * entry("d", k, 1) * entry("b", k, Q)), (N, M), "a * d.T @ b"),
        (total(entry("a", P, k) * entry("d", k, 1)), (N, 1), "a @ d"),
        (total(entry("e", 1, k) * entry("b", k, Q)), (1, M), "e @ b"),
        (total((entry("a", P, k) + entry("b", k, Q)) * entry("d", k, 1)), (N, M), "a @ d + d.T @ b"),
        (total(entry("d", k, 1) * entry("e", 1, k)), (1, 1), "sum(d * e.T)"),
        (entry("c", P, Q) / N - 2, (N, M), "c / N - 2"),
        (sp.S.One, (N, M), "ones((N, M))"),
        (entry("d", P, 1), (K, M), "d * ones((K, M))"),
    ],
)
def test_index_formulas_are_recognised(formula, shape, text):
    term = recognise(formula, cell("g", shape, P, Q))
    assert term.shape == shape
    assert show(term, {}) == text


def test_formulas_without_a_matrix_form_are_refused():
    with pytest.raises(ProgramError, match="three linked indices"):
        recognise(total(sp.exp(entry("a", P, k) * entry("b", k, Q))), cell("g", (N, M), P, Q))
    with pytest.raises(ProgramError, match="has no place"):
        recognise(entry("a", P, k), cell("g", (N, M), P, Q))


def test_tidy_keeps_the_value_and_never_adds_operations():
    a, c = entry("a", P, Q), entry("c", P, Q)
    for formula in (a * c - a * c**2, (1 - a) / (1 - a**2), a + c):
        assert sp.count_ops(tidy(formula)) <= sp.count_ops(formula)
        assert sp.simplify(tidy(formula) - formula) == 0


def test_an_identity_of_one_sign_only_is_seen():
    a = entry("a", P, Q)
    assert not vanishes(sp.sqrt(a**2) - a)
    assert vanishes((a + 1) ** 2 - a**2 - 2 * a - 1)


C, G, L = (cell(name, (N, M), P, Q) for name in ("c", "g", "long"))
DZ = cell("∂l/∂z", (N, M), P, Q)


@pytest.mark.parametrize(
    ("formula", "text"),
    [
        (C * G * DZ, "∂l/∂z * c * g"),
        (2 * C * G / N, "2 * c * g / N"),
        (C - G - L, "c - g - long"),
        (C - 2 * G * DZ + 1, "1 + c - 2 * ∂l/∂z * g"),
        (-C - G, "-(c + g)"),
        (-C * G, "-c * g"),
        (2 * C - 2 * G, "2 * (c - g)"),
        ((-C - G) * sp.exp(C + G + L), "exp(c + g + long) * (-(c + g))"),
        (L * (C + G) ** 2, "long * (c + g)**2"),
        (C / (2 * G), "c / (2 * g)"),
        (-G / (N * C), "-g / (N * c)"),
        (-sp.exp(-C) * G / 3, "-g * exp(-c) / 3"),
        (G / C**2, "g / c**2"),
        (1 / sp.sqrt(C + 1), "1 / (1 + c)**(1/2)"),
        (entry("d", P, 1) * entry("e", 1, Q), "d @ e"),
        (2 * entry("d", P, 1) * entry("e", 1, Q) / N, "2 * (d @ e) / N"),
    ],
)
def test_products_and_sums_come_in_the_order_of_reading(formula, text):
    shape = (K, K) if "d @ e" in text else (N, M)
    assert show(recognise(formula, cell("r", shape, P, Q)), {}) == text


def test_an_identity_may_hold_whatever_a_sum_is():
    some = sp.Dummy(positive=True)
    assert vanishes((some + 1) ** 2 - some**2 - 2 * some - 1)
    assert not vanishes(some - 1)
