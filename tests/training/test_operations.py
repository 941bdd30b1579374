"""Operations of an iteration are counted from the sizes."""

import pytest

from mlpreport.errors import InvalidInputError
from mlpreport.training import Architecture
from mlpreport.training.operations import operations


@pytest.mark.parametrize("method", ["levenberg-marquardt", "bfgs"])
def test_every_hidden_unit_takes_one_exponential_a_point(method):
    assert operations(Architecture((1, 3, 5, 4, 1), "sigmoid"), 100, method).exponentials == 1200
    assert operations(Architecture((1, 3, 1), "gelu"), 100, method).exponentials == 300
    assert operations(Architecture((1, 3, 1), "relu"), 100, method).exponentials == 0
    assert operations(Architecture((1, 1), "sigmoid"), 100, method).exponentials == 0


def test_the_normal_matrix_dominates_wide_networks():
    counted = operations(Architecture((1, 50, 1), "sigmoid"), 100, "levenberg-marquardt")
    normal, factor = 100 * 151 * 152, 151**3 // 3
    assert normal + factor < counted.flops < 1.1 * (normal + factor)


def test_the_linear_model_by_hand():
    # Per point: forward 2, Jacobian 1, normal matrix of two parameters 10; then 8 / 3 and 16 once.
    counted = operations(Architecture((1, 1), "sigmoid"), 10, "levenberg-marquardt")
    assert counted.flops == 10 * (2 + 1 + 10) + 2 + 16


def test_a_method_that_is_not_counted_is_refused():
    with pytest.raises(InvalidInputError, match="'levenberg-marquardt' and 'bfgs'"):
        operations(Architecture((1, 1), "sigmoid"), 10, "adam")


def test_a_number_of_points_that_is_none_is_refused():
    with pytest.raises(InvalidInputError, match="points = -10: must be a whole number of at least 1"):
        operations(Architecture((1, 3, 1), "sigmoid"), -10, "bfgs")
