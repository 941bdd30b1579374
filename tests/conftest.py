"""The shapes in signatures are checked while the tests run; processes keep to one thread each."""

import gc
import os
from collections.abc import Iterator

import pytest

for library in ("OMP", "OPENBLAS", "MKL"):
    os.environ.setdefault(f"{library}_NUM_THREADS", "1")

# SymPy forgets all but its last 1,000 results, which tests ask for again.
os.environ.setdefault("SYMPY_CACHE_SIZE", "None")

# SymPy keeps a million objects. Looking for garbage among them every few seconds took a sixteenth of the time;
# without it, a process ends a fifth larger.
gc.disable()

from shapes import check_signatures_of  # noqa: E402 - NumPy's thread pools read the above when they are imported

check_signatures_of("mlpreport")


@pytest.fixture(scope="session", autouse=True)
def _garbage(pytestconfig: pytest.Config) -> Iterator[None]:
    """Look once for what was not closed, within the last test, which then fails; afterwards it would be seven times.

    What the imports left is not looked at. As it takes every process seconds, it is for the thorough run.
    """
    gc.freeze()
    yield
    if "not thorough" not in pytestconfig.option.markexpr:
        gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _own_elementwise_functions() -> Iterator[None]:
    """Forget what a test registers, so that no test depends on the ones before it."""
    from mlpreport.derivation.elementwise import _REGISTERED  # noqa: PLC0415 - after the hook above

    before = dict(_REGISTERED)
    yield
    _REGISTERED.clear()
    _REGISTERED.update(before)
