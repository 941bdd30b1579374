import pytest
from jupyter_client.manager import KernelManager
from nbclient import NotebookClient

from mlpreport.literate import preload

# What the pages of the tests use; the default would load torch and more, for seconds.
LIBRARIES = ("matplotlib.pyplot", "matplotlib.backends.backend_svg", "matplotlib_inline.backend_inline")


@pytest.fixture(scope="session")
def libraries():
    """Pages are forked from one process that all tests share."""
    preload((*LIBRARIES, "IPython.core.interactiveshell", "IPython.core.magics", "IPython.display"))


@pytest.fixture(scope="session")
def jupyter(tmp_path_factory):
    """A function that runs a notebook in Jupyter; one kernel serves all tests, because it takes seconds to start."""
    folder = tmp_path_factory.mktemp("jupyter")
    manager = KernelManager(kernel_name="python3", connection_file=str(folder / "kernel.json"))
    manager.start_kernel(cwd=str(folder))

    def run(notebook):
        client = NotebookClient(notebook, km=manager, timeout=60)
        try:
            return client.execute()
        finally:
            client.kc.stop_channels()

    yield run
    manager.shutdown_kernel(now=True)
