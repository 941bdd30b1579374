"""Architectures keep their sizes, refuse what is no size, and know their parameters."""

import numpy as np
import pytest

from mlpreport.errors import InvalidInputError
from mlpreport.training import Architecture


@pytest.mark.parametrize("sizes", [[1, 2, 1], np.array([1, 2, 1]), (np.int64(1), np.int32(2), 1)])
def test_sizes_of_any_sequence_are_stored_as_a_tuple_of_int(sizes):
    architecture = Architecture(sizes, "sigmoid")
    assert architecture.sizes == (1, 2, 1)
    assert {type(size) for size in architecture.sizes} == {int}


def test_equal_architectures_are_one_dictionary_key():
    assert len({Architecture((1, 2, 1), "tanh"), Architecture([1, 2, 1], "tanh")}) == 1


@pytest.mark.parametrize(
    "sizes", [(), (1,), (1, 0, 1), (1, -2, 1), (1, 2.0, 1), (1, True, 1), "121", 3, None]
)
def test_what_is_no_size_is_refused_by_name(sizes):
    with pytest.raises(InvalidInputError, match="sizes = "):
        Architecture(sizes, "sigmoid")


def test_an_unknown_activation_is_refused_with_a_suggestion():
    with pytest.raises(InvalidInputError, match="did you mean 'sigmoid'"):
        Architecture((1, 2, 1), "sigmoyd")
    with pytest.raises(InvalidInputError, match="is not registered"):
        Architecture((1, 2, 1), ["sigmoid"])


def test_parameters_are_counted_and_shaped_layer_by_layer():
    architecture = Architecture((2, 3, 5, 1), "relu")
    shapes = {"W1": (2, 3), "b1": (3,), "W2": (3, 5), "b2": (5,), "W3": (5, 1), "b3": (1,)}
    assert architecture.parameter_shapes == shapes
    assert list(architecture.parameter_shapes) == list(shapes)
    assert architecture.parameter_count == sum(int(np.prod(shape)) for shape in shapes.values())
    assert architecture.hidden == (3, 5)


def test_labels_name_sizes_and_activation_where_there_is_one():
    assert Architecture((1, 2, 1), "sigmoid").label == "1-2-1 sigmoid"
    assert Architecture((1, 1), "sigmoid").label == "1-1 linear"
