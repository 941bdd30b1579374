"""Parametrised tests that hold a statement for many cases: a few in every run, all when one has the time."""

from collections.abc import Iterable

import pytest


def few_of(cases: Iterable[object], *always: object) -> list[object]:
    """Mark as thorough all cases but those that every run tries."""
    listed = list(cases)
    assert set(always) <= set(listed)
    return [case if case in always else _thorough(case) for case in listed]


def one_in(n: int, cases: Iterable[object]) -> list[object]:
    """Mark as thorough all cases but the first of every `n`; a tuple holds the values of several arguments."""
    return [case if k % n == 0 else _thorough(case) for k, case in enumerate(cases)]


def _thorough(case: object) -> object:
    if isinstance(case, type(pytest.param())):
        return pytest.param(*case.values, marks=pytest.mark.thorough, id=case.id)
    return pytest.param(*(case if isinstance(case, tuple) else (case,)), marks=pytest.mark.thorough)
