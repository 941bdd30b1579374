"""Every session derives afresh."""

import functools
import gc
import os
from dataclasses import replace

import pytest
from sympy.core.cache import clear_cache

from mlpreport.derivation.elementwise import _REGISTERED


@pytest.fixture(scope="session")
def _caches():
    gc.unfreeze()  # mutmut freezes all objects before it forks, which hides them from `get_objects`
    found = [cached for cached in gc.get_objects() if type(cached) is functools._lru_cache_wrapper]
    gc.freeze()
    return found


def _forget(caches):
    clear_cache()
    for cached in caches:
        cached.cache_clear()
    _REGISTERED.update({name: replace(function) for name, function in _REGISTERED.items()})


@pytest.fixture(scope="session", autouse=True)
def _fresh_caches(_caches):
    """Forget what was computed: mutmut forks from a process that ran the tests before the change."""
    _forget(_caches)


@pytest.fixture(scope="module", autouse=True)
def _kept():
    """Leave terms, of which there are hundreds of thousands, out of the last look for what was not closed."""
    yield
    gc.freeze()


@pytest.fixture(autouse=True)
def _seen_alone(_caches, _fresh_caches):
    """Let each test compute all that it needs while mutmut notes which tests reach which function."""
    if os.environ.get("MUTANT_UNDER_TEST") == "stats":
        _forget(_caches)
