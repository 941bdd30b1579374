"""Numbers written as a book prints them, in tables, verdicts and prose."""

import re

import numpy as np

POWERS = range(-4, 6)
"""Orders of magnitude that are written out; beyond them a number gets a power of ten."""
FIRST_GROUPED = 10_000
"""The first count whose thousands are set apart."""

_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def number(value: float | np.integer | np.floating, *, digits: int) -> str:
    """Write a number with so many significant digits, a count with all of them: 0.1235, 12,350, 1.235 × 10⁻⁷."""
    if isinstance(value, int | np.integer):
        text = f"{value:,}" if abs(value) >= FIRST_GROUPED else f"{value}"
    elif not value or not np.isfinite(value):
        text = f"{value:g}"
    else:
        text = _significant(float(value), digits)
    return text.replace("-", "−")


def _significant(value: float, digits: int) -> str:
    mantissa, _, exponent = f"{value:.{digits - 1}e}".partition("e")
    power = int(exponent)
    if power in POWERS:
        return f"{float(f'{mantissa}e{power}'):,.{max(0, digits - 1 - power)}f}"
    return f"{mantissa}\N{NO-BREAK SPACE}×\N{NO-BREAK SPACE}10{str(power).translate(_SUPERSCRIPTS)}"


def in_print(sentence: str) -> str:
    """Write the numbers that a sentence has in a computer's form, as 2.4e-09 and -1, as a book prints them."""
    return re.sub(r"(?<![\w.-])-?\d+(?:\.\d+)?(?:e[-+]?\d+)?(?![\w-]|\.\d)", _printed, sentence)


def _printed(found: re.Match[str]) -> str:
    mantissa, _, power = found.group().partition("e")
    if not power:
        return mantissa.replace("-", "−")
    return number(float(found.group()), digits=sum(map(str.isdigit, mantissa)))


def percent(share: float | np.floating) -> str:
    """Write a share in whole percent: 35 %."""
    return f"{100 * share:.0f}\N{NO-BREAK SPACE}%"
