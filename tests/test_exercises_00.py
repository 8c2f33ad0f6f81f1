"""Checks of notebook 00."""

import pytest

from mlms_helpers import datasets


@pytest.mark.parametrize(
    "name, answer",
    [("00-lithium", 28), ("00-y", (0.625, 29)), ("00-y", [5 / 8, 29.0]), ("00-y", (0.63, 29))],
)
def test_right(said, name, answer):
    assert said(name, answer) == "Right.\n"


@pytest.mark.parametrize(
    "name, answer, hint",
    [
        ("00-lithium", 24, "legend"),
        ("00-lithium", "28", "one number"),
        ("00-y", (5, 29), "formula unit"),
        ("00-y", (0.625, 24), "3 + y"),
        ("00-y", 29, "a pair of numbers, (y, lithium)"),
        ("00-y", (29, 0.625), "wrong order"),
        ("00-y", (0.6, 29), "formula unit"),
    ],
)
def test_wrong_gets_a_hint(said, name, answer, hint):
    answered = said(name, answer)
    assert answered.startswith("Not yet.") and hint in answered


def test_the_crystal_is_the_one_that_the_check_knows():
    lipon = datasets.load("lipon")
    crystal = lipon.structures[lipon.table.index[lipon.table.n_nitrogen == 4][0]]
    assert (crystal.symbols == "Li").sum() == 28
