import hashlib

import numpy as np
import pytest

from mlpreport.data import noisy_sine
from mlpreport.errors import InvalidInputError, MlpReportError


def mse(sample, prediction):
    return float(np.mean((sample.y - prediction) ** 2))


def test_default_data_are_the_reports_data_bit_for_bit():
    data = noisy_sine()
    arrays = [data.train.x, data.train.y, data.test.x, data.test.y]
    # sin may differ in its last bit between libraries, so the pinned form is rounded to 12 decimals.
    text = b"".join((np.round(array, 12) + 0.0).tobytes() for array in arrays)
    assert (
        hashlib.sha256(text).hexdigest() == "65984f5a4a13b4d94c5d6acd700c7e5839180a4d4e775d3f9579499508675f6d"
    )


def test_shapes_and_types_are_columns_of_float64():
    data = noisy_sine(train_size=7, test_size=5)
    assert data.train.x.shape == data.train.y.shape == (7, 1)
    assert data.test.x.shape == data.test.y.shape == (5, 1)
    assert {array.dtype for array in (data.train.x, data.train.y, data.test.x, data.test.y)} == {
        np.dtype(float)
    }
    assert data.train.x[0] == 0
    assert data.train.x[-1] == pytest.approx(4 * np.pi, abs=1e-15)


def test_constant_and_line_have_the_reports_errors():
    data = noisy_sine()
    line = np.polyfit(data.train.x[:, 0], data.train.y[:, 0], 1)
    assert mse(data.train, data.train.y.mean()) == pytest.approx(0.506238, abs=5e-7)
    assert mse(data.test, data.train.y.mean()) == pytest.approx(0.509990, abs=5e-7)
    assert mse(data.train, np.polyval(line, data.train.x)) == pytest.approx(0.438543, abs=5e-7)
    assert mse(data.test, np.polyval(line, data.test.x)) == pytest.approx(0.440709, abs=5e-7)


def test_noise_floor_is_the_error_of_the_true_sine():
    data = noisy_sine()
    assert mse(data.train, np.sin(data.train.x)) == pytest.approx(0.007872, abs=5e-7)
    assert mse(data.test, np.sin(data.test.x)) == pytest.approx(0.009863, abs=5e-7)


def test_test_noise_continues_the_training_stream():
    stream = np.random.RandomState(3)
    stream.normal(0.0, 0.5, 4)
    data = noisy_sine(train_size=4, test_size=6, noise=0.5, seed=3)
    expected = np.sin(data.test.x[:, 0]) + stream.normal(0.0, 0.5, 6)
    assert np.array_equal(data.test.y[:, 0], expected)


def test_data_are_frozen():
    data = noisy_sine()
    with pytest.raises(ValueError, match="read-only"):
        data.train.y[0] = 0
    with pytest.raises(AttributeError):
        data.train = data.test


def test_noise_is_a_number_of_any_real_type():
    assert np.array_equal(noisy_sine(noise=-0.0).train.y, noisy_sine(noise=0).train.y)
    for noise in (1, np.int64(1), np.float32(1)):
        assert np.array_equal(noisy_sine(noise=noise).train.y, noisy_sine(noise=1.0).train.y)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("train_size", 0),
        ("train_size", 2.0),
        ("test_size", True),
        ("seed", -1),
        ("seed", 2**32),
        ("noise", -0.1),
        ("noise", float("nan")),
        ("noise", float("inf")),
        ("noise", "0.1"),
        ("noise", True),
        ("noise", 10**400),
        ("noise", 1.7e308),
    ],
)
def test_values_out_of_range_are_named(name, value):
    with pytest.raises(InvalidInputError, match=f"{name} = ") as caught:
        noisy_sine(**{name: value})
    assert isinstance(caught.value, MlpReportError)
