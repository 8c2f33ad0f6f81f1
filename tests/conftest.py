"""What all tests share."""

import os

import pytest
from hypothesis import settings

from tools import jupyter_lab

# In tests, and in the kernels of nbval, a claim that does not hold is an error (mlms_helpers/claims.py).
os.environ["MLMS_STRICT"] = "1"

# A slow machine is no failure; CI tries the same examples every time.
settings.register_profile("mlms", deadline=None, derandomize=bool(os.environ.get("CI")))
settings.load_profile("mlms")


def pytest_collection_modifyitems(items):
    for item in items:
        if item.path.suffix == ".ipynb":
            item.add_marker("notebook")
        elif item.path.parent.name == "browser":
            item.add_marker("browser")
            item.add_marker(pytest.mark.timeout(3600))  # tools/jupyter_lab.py ends what does not go on


@pytest.fixture(scope="module")
def strict_types():
    """JAX makes no float64 of a float32, or a float of an int, without being told (Keras itself does so)."""
    import jax

    with jax.numpy_dtype_promotion("strict"):
        yield


@pytest.fixture
def dscribe_reads_ase(monkeypatch):
    """dscribe 2.1.2 copies structures in a way that ASE 3.29 refuses; this does what it means."""
    from dscribe.core import System

    monkeypatch.setattr(
        System,
        "from_atoms",
        staticmethod(
            lambda atoms: System(
                atoms.get_chemical_symbols(), positions=atoms.positions, cell=atoms.cell, pbc=atoms.pbc
            )
        ),
    )


@pytest.fixture(scope="session")
def chromium():
    """Path of the browser.  Without one the test is skipped, but on CI it fails."""
    if jupyter_lab.chromium():
        return jupyter_lab.chromium()
    sentence = "no Chromium here: install it (Debian: sudo apt install chromium) or give CHROMIUM=/path/to/it"
    if os.environ.get("CI"):
        pytest.fail(sentence)
    pytest.skip(sentence)


@pytest.fixture
def shown(monkeypatch):
    """(data, metadata) of all that a test puts into a notebook."""
    import IPython.display

    shown = []
    monkeypatch.setattr(IPython.display, "display", lambda data, **k: shown.append((data, k.get("metadata"))))
    return shown


@pytest.fixture
def said(capsys):
    """What the check of an exercise says to an answer: one line."""
    from mlms_helpers import exercises

    def said(name, answer, **given):
        exercises.check(name, answer, **given)
        out = capsys.readouterr().out
        assert out.count("\n") == 1
        return out

    return said
