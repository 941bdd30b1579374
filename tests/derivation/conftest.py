"""Every session derives afresh."""

import functools
import gc
from dataclasses import replace

import pytest
from sympy.core.cache import clear_cache

from mlpreport.derivation.elementwise import _REGISTERED


@pytest.fixture(scope="session", autouse=True)
def _fresh_caches():
    """Forget what was computed: mutmut forks from a process that ran the tests before the change."""
    clear_cache()
    for cached in gc.get_objects():
        if type(cached) is functools._lru_cache_wrapper:
            cached.cache_clear()
    _REGISTERED.update({name: replace(function) for name, function in _REGISTERED.items()})
