"""The test set that counts its look-ups."""

import numpy as np
import pytest

from mlms_helpers import evaluation

TRUE = np.array([0.0, 1.0, 2.0, 4.0])


def test_every_look_is_counted_and_answered_as_errors_does():
    sealed = evaluation.TestSet(TRUE)
    assert (
        len(sealed) == 4 and sealed.looks == [] and repr(sealed) == "test set of 4 samples, never looked at"
    )
    assert sealed.errors(TRUE + 1, "a shifted guess") == evaluation.errors(TRUE, TRUE + 1)
    sealed.errors(TRUE)
    assert sealed.looks == [("a shifted guess", 1.0), ("", 0.0)] and "2 times" in repr(sealed)


def test_a_look_too_many_is_refused_and_not_counted():
    sealed = evaluation.TestSet(TRUE, looks=1)
    sealed.errors(TRUE)
    for _ in range(2):
        with pytest.raises(ValueError, match=r"1 of 1.*new data"):
            sealed.errors(TRUE)
    assert len(sealed.looks) == 1


def test_a_question_that_makes_no_sense_costs_nothing():
    sealed = evaluation.TestSet(TRUE, looks=1)
    with pytest.raises(ValueError, match="alike in shape"):
        sealed.errors(TRUE[:2])
    for value in (np.nan, np.inf):
        with pytest.raises(ValueError, match="not counted"):
            sealed.errors([0.0, 1.0, 2.0, value])
    assert sealed.looks == [] and sealed.errors(TRUE)["RMSE"] == 0


def test_it_keeps_its_own_values():
    true = TRUE.copy()
    sealed = evaluation.TestSet(true)
    true[:] = 7
    assert sealed.errors(TRUE)["RMSE"] == 0


def test_a_notebook_shows_the_looks():
    sealed = evaluation.TestSet(TRUE, looks=2)
    assert "looks 0 of 2 agreed" in sealed._repr_html_() and "<table>" not in sealed._repr_html_()
    sealed.errors(TRUE + 0.5, "width <1>")
    shown = sealed._repr_html_()
    assert (
        "looks 1 of 2 agreed" in shown
        and "width &lt;1&gt;" in shown
        and "0.500" in shown
        and "RMSE (eV)" in shown
    )
    assert "of" not in evaluation.TestSet(TRUE)._repr_html_().split("looks")[1]
