"""Checks of notebook 11."""

import numpy as np

SPREAD = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.9])
SHORTEST = np.array([2.3, 2.3, 2.2, 2.2, 2.1, 2.05, 1.4])


class Springs:
    """Stands in for a potential: -5 eV an atom, and 3 eV for whatever is missing from 64."""

    def predict(self, structures):
        return np.array([-5.0 * len(a) + 3.0 * (64 - len(a)) for a in structures]), None


def test_slope(said):
    assert said("11-slope", -0.036) == "Right.\n"
    assert "sign" in said("11-slope", 0.036)
    assert "twice" in said("11-slope", -0.072)


def test_formation(said):
    assert said("11-formation", 3.0, potential=Springs()) == "Right.\n"
    assert "63/64" in said("11-formation", 8.0, potential=Springs())
    assert "63/64" in said("11-formation", 2.0, potential=Springs())


def test_frames(said):
    given = {"spread": SPREAD, "shortest": SHORTEST}
    assert said("11-frames", [5, 4, 3, 2, 1], **given) == "Right.\n"
    assert "collapsed" in said("11-frames", [6, 5, 4, 3, 2], **given)
    assert "larger spread" in said("11-frames", [0, 1, 2, 3, 4], **given)
    assert "Five" in said("11-frames", [1, 2], **given)
