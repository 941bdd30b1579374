import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlpreport.numerals import in_print, number, percent


@pytest.mark.parametrize(
    ("value", "digits", "shown"),
    [
        (0.1234567, 4, "0.1235"),
        (0.5, 3, "0.500"),
        (0.00012345, 2, "0.00012"),
        (0.00099999, 2, "0.0010"),
        (9.9996e-5, 4, "0.0001000"),
        (1671.6, 4, "1,672"),
        (15213.7, 4, "15,210"),
        (999_999.0, 2, "1.0\N{NO-BREAK SPACE}×\N{NO-BREAK SPACE}10⁶"),
        (-7.654e-26, 3, "−7.65\N{NO-BREAK SPACE}×\N{NO-BREAK SPACE}10⁻²⁶"),
        (2e-8, 1, "2\N{NO-BREAK SPACE}×\N{NO-BREAK SPACE}10⁻⁸"),
        (7, 4, "7"),
        (-9999, 4, "−9999"),
        (np.int64(10_000), 1, "10,000"),
        (np.float64(0.5), 2, "0.50"),
        (0.0, 4, "0"),
        (float("inf"), 4, "inf"),
        (float("nan"), 4, "nan"),
    ],
)
def test_numbers_are_written_as_one_prints_them(value, digits, shown):
    assert number(value, digits=digits) == shown


@given(st.floats(1e-300, 1e300), st.integers(1, 12), st.sampled_from([1, -1]))
def test_what_is_written_is_the_number_to_its_digits(size, digits, sign):
    shown = number(sign * size, digits=digits).replace("\N{NO-BREAK SPACE}", "").replace(",", "")
    plain = shown.translate(str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹−", "-0123456789-"))
    mantissa, _, power = plain.partition("×10")
    assert float(f"{mantissa}e{power or 0}") == pytest.approx(
        sign * size, rel=0.5001 * 10.0 ** (1 - digits), abs=0
    )


def test_numbers_in_a_sentence_are_written_as_one_prints_them():
    sentence = (
        "2.4e-09 above, of 2.46e+04 or -0.00012 (1e-06, 0.0795708343625); W1, 1-2-1 and 3-5 stay, 7 of 100."
    )
    assert in_print(sentence).replace("\N{NO-BREAK SPACE}", " ") == (
        "2.4 × 10⁻⁹ above, of 24,600 or −0.00012 (1 × 10⁻⁶, 0.0795708343625); W1, 1-2-1 and 3-5 stay, 7 of 100."
    )


@pytest.mark.parametrize(
    ("share", "shown"), [(0.346, "35"), (0.0, "0"), (1.0, "100"), (np.float64(0.005), "0")]
)
def test_a_share_is_written_in_whole_percent(share, shown):
    assert percent(share) == f"{shown}\N{NO-BREAK SPACE}%"
