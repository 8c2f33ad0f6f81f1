"""Checks of notebook 13."""

import numpy as np
import pytest


@pytest.fixture(scope="module")
def quiz():
    rng = np.random.default_rng(1)
    sigma = np.exp(rng.normal(-1, 0.5, 1000))
    residual = rng.normal(0, sigma)
    return {"A": (residual, rng.permutation(sigma)), "B": (residual, sigma / 3), "C": (residual, sigma)}


def test_overlap(said):
    assert said("13-overlap", 0.85) == said("13-overlap", 50 * 170 / 10001) == "Right.\n"
    assert "by chance" in said("13-overlap", 50)
    assert "probability" in said("13-overlap", 3)


def test_warm(said):
    assert said("13-warm", 8.94) == said("13-warm", 8.9) == "Right.\n"
    assert "fewer" in said("13-warm", 16)
    assert "once 170" in said("13-warm", 1520)
    assert "Add up" in said("13-warm", 5)


def test_which(said, quiz):
    assert said("13-which", ["C", "B", "A"], quiz=quiz) == said("13-which", "CBA", quiz=quiz) == "Right.\n"
    assert "standard deviation" in said("13-which", ["B", "C", "A"], quiz=quiz)
    assert "long bars" in said("13-which", "A, B, C", quiz=quiz)
    assert "once" in said("13-which", ["A", "A", "B"], quiz=quiz)
    assert "once" in said("13-which", 3, quiz=quiz)


def test_conformal(said):
    def right(scores, level):
        ordered = np.sort(scores)
        return ordered[min(int(np.ceil(level * (len(scores) + 1) - 1e-9)), len(scores)) - 1]

    assert said("13-conformal", right) == "Right.\n"
    plain = lambda scores, level: np.sort(scores)[int(np.ceil(level * len(scores))) - 1]  # noqa: E731
    assert "correction" in said("13-conformal", plain)
    assert "interpolate" in said("13-conformal", lambda scores, level: np.quantile(scores, level))
    assert "smallest score" in said("13-conformal", lambda scores, level: min(scores))
    assert "itself" in said("13-conformal", 0.3)
