"""Shapes in signatures are checked, and really so."""

import numpy as np
import pytest
from jaxtyping import Float64
from shapes import ShapeMismatchError, checked

from mlpreport import data

Matrix = Float64[np.ndarray, "n m"]


@checked
def transposed(x: Matrix) -> Float64[np.ndarray, "m n"]:
    if x.size == 0:
        message = "empty"
        raise ValueError(message)
    return x.T


@checked
def not_transposed(x: Matrix) -> Float64[np.ndarray, "m n"]:
    return x


@checked
def first(rows: tuple[Float64[np.ndarray, " n"], ...] | None = None) -> int:
    return 0 if rows is None else len(rows)


def test_a_call_that_keeps_its_signature_passes():
    assert transposed(np.ones((2, 3))).shape == (3, 2)


def test_a_result_of_another_shape_is_refused():
    with pytest.raises(ShapeMismatchError, match=r"not_transposed: return is not"):
        not_transposed(np.ones((2, 3)))


def test_an_argument_of_another_dtype_is_refused():
    with pytest.raises(ShapeMismatchError, match=r"transposed: x is not"):
        transposed(np.ones((2, 3), dtype=np.float32))


def test_the_error_of_the_function_comes_first():
    with pytest.raises(ValueError, match="empty"):
        transposed(np.ones((0, 3, 3), dtype=np.int64))


def test_shapes_are_found_inside_containers():
    assert first((np.ones(2), np.ones(2))) == 2
    with pytest.raises(ShapeMismatchError):
        first((np.ones((2, 2)), np.ones((2, 2))))


def test_a_function_without_shapes_is_left_alone():
    def plain(x: int) -> int:
        return x

    assert checked(plain) is plain


def test_the_package_is_checked():
    with pytest.raises(ShapeMismatchError):
        data.Sample(np.ones(3), np.ones((3, 1)))
