"""Checks of notebook 04."""

import numpy as np
import pytest


def kept(x, xy, k, itself=np.inf):
    def nearest(points):
        distance = np.linalg.norm(points[:, None] - points[None], axis=2)
        np.fill_diagonal(distance, itself)
        return distance.argsort(axis=1)[:, :k]

    return np.mean([len(set(a) & set(b)) / k for a, b in zip(nearest(x), nearest(xy), strict=True)])


def test_share(said):
    assert said("04-share", 0.9) == "Right.\n"
    assert "eigenvalues" in said("04-share", 0.8) and "direction" in said("04-share", 0.64)
    assert "one number" in said("04-share", "0.9")


@pytest.mark.parametrize(
    "answer, words",
    [
        ({"a", "e"}, "Right."),
        ("ae", "Right."),
        (["A", "E"], "Right."),
        ({"a"}, "one more"),
        (set(), "one more"),
        ({"a", "b", "e"}, "b: "),
        ({"c"}, "Noise"),
        ({"a", "d"}, "density"),
        ({"a", "f"}, "'f' is none"),
        (7, "could not use"),
    ],
)
def test_believe(said, answer, words):
    assert words in said("04-believe", answer)


@pytest.mark.parametrize(
    "answer, words",
    [
        (kept, "Right."),
        (lambda x, xy, k: kept(x, xy, k, itself=0), "itself"),
        (lambda x, xy, k: k * kept(x, xy, k), "must give 1"),
        (lambda x, xy, k: k * kept(x, xy, k) if x.shape != xy.shape else 1, "share is asked"),
        (lambda x, xy, k: kept(x, xy, k + 1), "both lists"),
        (0.3, "function"),
        (lambda x, xy: 1, "could not use"),
    ],
)
def test_kept(said, answer, words):
    assert words in said("04-kept", answer)
