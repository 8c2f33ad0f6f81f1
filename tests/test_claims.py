"""A claim that does not hold: a sentence for a reader, an error in a test."""

import numpy as np
import pytest
from IPython.core.formatters import DisplayFormatter

from mlms_helpers.claims import claim


@pytest.fixture
def as_a_reader(monkeypatch):
    monkeypatch.delenv("MLMS_STRICT")


@pytest.mark.parametrize("holds", [True, np.array([True, True]), np.float64(1.0) < 2])
def test_what_holds_is_silent(as_a_reader, capsys, holds):
    assert claim(holds, "one is less than two")
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("fails", [False, np.array([True, False]), np.nan < 2])
def test_what_does_not_hold_is_said_in_a_line(as_a_reader, capsys, fails):
    assert not claim(fails, "the line errs by less than 0.3 eV.")
    out = capsys.readouterr().out
    assert out.startswith("This no longer holds: the line errs by less than 0.3 eV. Text")
    assert out.count("\n") == 1


def test_tests_are_strict():
    with pytest.raises(AssertionError, match=r"^two is one$"):
        claim(False, "two is one")


def test_a_cell_that_ends_in_a_claim_shows_nothing():
    assert DisplayFormatter().format(claim(True, "one is one")) == ({}, {})
    assert repr(claim(True, "one is one")) == "True"
