import nbformat
import pytest
from jupyter_client.manager import KernelManager
from nbclient import NotebookClient

from mlpreport.literate import preload
from mlpreport.literate.execution import SHELL

RESET = "get_ipython().reset(new_session=True)"
"""Makes a kernel forget the notebooks before, and count from 1."""


@pytest.fixture(scope="session")
def libraries():
    """All tests fork their pages from one process, which does not load torch and more, for seconds."""
    preload(SHELL)


@pytest.fixture(scope="session")
def jupyter(tmp_path_factory):
    """A function that runs a notebook in Jupyter; one kernel serves all tests, because it takes seconds to start."""
    folder = tmp_path_factory.mktemp("jupyter")
    manager = KernelManager(kernel_name="python3", connection_file=str(folder / "kernel.json"))
    manager.start_kernel(cwd=str(folder))

    def execute(notebook):
        client = NotebookClient(notebook, km=manager, timeout=60)
        try:
            return client.execute()
        finally:
            client.kc.stop_channels()

    def run(notebook):
        execute(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(RESET)]))
        return execute(notebook)

    yield run
    manager.shutdown_kernel(now=True)
