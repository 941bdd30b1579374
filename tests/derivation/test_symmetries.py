"""Symmetries of activations are read off their definitions, not their names."""

import pytest
import sympy as sp

from mlpreport.derivation import register_elementwise
from mlpreport.derivation.elementwise import _REGISTERED
from mlpreport.derivation.symmetries import ANYWHERE, Symmetries, symmetries
from mlpreport.errors import InvalidInputError

KNOWN = {
    "sigmoid": Symmetries((-1, 1), None, (), (0, 1)),
    "tanh": Symmetries((-1, 0), None, (), (-1, 1)),
    "relu": Symmetries(None, 1, (0,), (0, None)),
    "identity": Symmetries((-1, 0), 1, (), (None, None)),
    "softplus": Symmetries(None, None, (), (0, None)),
}
DEFINED = {
    "half": (lambda u: 1 / (1 + sp.exp(-2 * u)) / 2, Symmetries((-1, 0.5), None, (), (0, 0.5))),
    "bell": (lambda u: sp.exp(-(u**2)), Symmetries((1, 0), None, (), (0, 0))),
    "cube": (lambda u: u**3, Symmetries((-1, 0), 3, (), (None, None))),
    "size": (sp.Abs, Symmetries((1, 0), 1, (0,), (None, None))),
    "clip": (
        lambda u: sp.Piecewise((-1, u < -1), (1, u > 1), (u, True)),
        Symmetries((-1, 0), None, (-1, 1), (-1, 1)),
    ),
    "wave": (lambda u: sp.sin(u) * sp.erf(u), Symmetries((1, 0), None, (), (None, None))),
}


@pytest.mark.parametrize("name", KNOWN)
def test_symmetries_of_built_in_functions(name):
    assert symmetries(name) == KNOWN[name]
    assert symmetries(name).smooth == (name != "relu")


@pytest.mark.parametrize("name", DEFINED)
def test_symmetries_of_a_readers_functions(name):
    definition, expected = DEFINED[name]
    before = dict(_REGISTERED)
    register_elementwise(name, definition)
    try:
        assert symmetries(name) == expected
    finally:
        _REGISTERED.clear()
        _REGISTERED.update(before)


def test_an_unknown_function_has_no_symmetries():
    with pytest.raises(InvalidInputError, match="tanh"):
        symmetries("tahn")


def test_a_symmetry_of_a_few_points_is_none():
    register_elementwise("wiggle", lambda u: u + 1 - sp.cos(14 * sp.pi * u))  # u at all sevenths
    assert symmetries("wiggle").reflection is None


@pytest.mark.parametrize(
    ("definition", "kinks"),
    [
        (lambda u: sp.sign(u - 1), (1,)),
        (lambda u: u * sp.Heaviside(u + 2), (-2,)),
        (lambda u: sp.Abs(u**2 - 4) + sp.Abs(u), (-2, 0, 2)),
        (lambda u: sp.Piecewise((0, u < sp.Rational(1, 2)), (u, True)), (0.5,)),
    ],
)
def test_kinks_are_where_the_formula_changes(definition, kinks):
    register_elementwise("kinked", definition)
    assert symmetries("kinked").kinks == kinks
    assert not symmetries("kinked").smooth


@pytest.mark.parametrize(
    ("definition", "limits"),
    [
        (lambda u: sp.Abs(sp.sin(u)), (None, None)),
        (lambda u: sp.Abs(sp.tanh(u) - u / 2), (None, None)),
        (lambda u: sp.Piecewise((0, sp.sin(u) < 0), (sp.sin(u), True)), (None, None)),
    ],
)
def test_kinks_that_cannot_be_listed_may_be_anywhere(definition, limits):
    register_elementwise("kinked", definition)
    assert symmetries("kinked").kinks == ANYWHERE
    assert symmetries("kinked").limits == limits
    assert not symmetries("kinked").smooth
