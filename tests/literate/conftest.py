import pytest

from mlpreport.literate import preload

# What the pages of the tests use; the default would load torch and more, for seconds.
LIBRARIES = ("matplotlib.pyplot", "matplotlib.backends.backend_svg", "matplotlib_inline.backend_inline")


@pytest.fixture(scope="session")
def libraries():
    """Pages are forked from one process that all tests share."""
    preload((*LIBRARIES, "IPython.core.interactiveshell", "IPython.core.magics", "IPython.display"))
