"""Parametrised tests that hold a statement for many cases: a few in every run, all when one has the time."""

from collections.abc import Iterable

import pytest


def few_of(cases: Iterable[object], *always: object) -> list[object]:
    """Mark as thorough all cases but those that every run tries."""
    listed = list(cases)
    assert set(always) <= set(listed)
    return [case if case in always else pytest.param(case, marks=pytest.mark.thorough) for case in listed]
