import pytest
from jupyter_client.manager import KernelManager
from nbclient import NotebookClient

from mlpreport.literate import preload
from mlpreport.literate.execution import SHELL


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

    def run(notebook):
        client = NotebookClient(notebook, km=manager, timeout=60)
        try:
            return client.execute()
        finally:
            client.kc.stop_channels()

    yield run
    manager.shutdown_kernel(now=True)
