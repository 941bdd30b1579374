"""Options of `nox -s bench`."""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("bench")
    group.addoption(
        "--seconds", type=float, default=1.0, help="CPU seconds for each method on each architecture"
    )
    group.addoption("--write", action="store_true", help="keep what was measured as mlpreport/benchmark.json")
