"""One JupyterLab and one Chromium for all browser tests, on a copy of the notebooks."""

import pytest

from tools import jupyter_lab


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """(address, token, folder of the notebooks)"""
    with jupyter_lab.serve(tmp_path_factory.mktemp("lab")) as server:
        yield server


@pytest.fixture(scope="module")  # its event loop would disturb the tests of other modules
def playwright(chromium):
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        yield playwright


@pytest.fixture(scope="module")
def lab(server, playwright, chromium):
    """A page of JupyterLab in a Chromium that draws 3-D."""
    lab = jupyter_lab.Lab(
        playwright.chromium.launch(executable_path=chromium, args=jupyter_lab.FLAGS), *server
    )
    yield lab
    lab.close()


@pytest.fixture
def flat_lab(server, playwright, chromium):
    """A page of JupyterLab in a Chromium without WebGL."""
    lab = jupyter_lab.Lab(
        playwright.chromium.launch(executable_path=chromium, args=jupyter_lab.NO_WEBGL), *server
    )
    yield lab
    lab.close()
