"""Checks of notebook 09: what is right passes, and each usual mistake gets its own hint."""

import numpy as np
import pytest

from mlms_helpers import descriptors


def shortest(a, b, together=True, none=None):
    for n in range(1, 5):
        x = descriptors.ngrams([a, b], n) if together else [descriptors.ngrams([c], n)[0] for c in (a, b)]
        if len(x[0]) != len(x[1]) or not np.allclose(*x):
            return n
    return none


@pytest.mark.parametrize(
    "name, answer, words",
    [
        ("09-count", [15, 6], "Right"),
        ("09-count", (30, 12), "counted twice"),
        ("09-count", (36, 16), "turn back"),
        ("09-count", [6, 15], "other way round"),
        ("09-count", [5, 3], "How many pairs"),
        ("09-count", 15, "could not use"),
        ("09-oxygen", 10 / 3, "Right"),
        ("09-oxygen", 3.333, "Right"),
        ("09-oxygen", 5, "average of a cation"),
        ("09-oxygen", 3.0, "ends of all bonds"),
        ("09-shortest", shortest, "Right"),
        ("09-shortest", 1, "a function"),
        ("09-shortest", lambda a, b: 2, "n = 1"),
        ("09-shortest", lambda a, b: 1, "corundum"),
        ("09-shortest", lambda a, b: shortest(a, b, none=4), "None"),
        ("09-shortest", lambda a: a, "could not use"),
    ],
)
def test_answers(said, name, answer, words):
    assert words in said(name, answer)
