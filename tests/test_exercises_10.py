"""Checks of notebook 10."""

import numpy as np
import pandas as pd

X = np.array([0, 1 / 3, 1 / 2, 1 / 2, 1])
FORMED = np.array([0.0, -60.0, -75.0, -50.0, 0.0])  # meV
CONFIGS = pd.Series(["o1-00", "o3-02", "o4-04", "o4-01", "o1-01"])


def test_rows(said):
    assert said("10-rows", -1 / 3) == said("10-rows", -0.333) == "Right.\n"
    assert "sign is not" in said("10-rows", 1 / 3)
    assert "six neighbours" in said("10-rows", 0.5)


def test_above(said):
    given = {"x": X, "formed": FORMED, "configs": CONFIGS}
    assert said("10-above", 25.0, **given) == "Right.\n"
    assert "hull" in said("10-above", -50.0, **given)


def test_plateau(said):
    given = {"x": X, "formed": FORMED, "mean": 1.9}
    assert said("10-plateau", 1.99, **given) == "Right.\n"
    assert "sign" in said("10-plateau", 1.81, **given)
    assert "Divide" in said("10-plateau", 1.9, **given)
