"""Checks of notebook 12: what is right passes, and each usual mistake gets its own hint."""

import numpy as np
import pytest


def enough(distance, force, wanted, add=np.linalg.norm, least=0.0):
    for reach in [least, *np.sort(distance)]:
        if add(force[distance > reach]) <= wanted:
            return reach


@pytest.mark.parametrize(
    "name, answer, words",
    [
        ("12-reach", 24, "Right"),
        ("12-reach", 12.0, "slope of the energies"),
        ("12-reach", 6, "one step"),
        ("12-reach", 3, "How far"),
        ("12-reach", "24", "quotation marks"),
        ("12-dipole", 0.22, "Right"),
        ("12-dipole", 0.022, "Ten times"),
        ("12-dipole", -0.22, "sign"),
        ("12-dipole", 0.5, "One unknown"),
        ("12-enough", enough, "Right"),
        ("12-enough", 5.0, "a function"),
        ("12-enough", lambda d, f, w: enough(d, f, w, np.sum), "squares are added"),
        ("12-enough", lambda d, f, w: enough(d, f, w, least=2.0), "the answer is 0"),
        ("12-enough", lambda d: d, "could not use"),
    ],
)
def test_answers(said, name, answer, words):
    assert words in said(name, answer)
