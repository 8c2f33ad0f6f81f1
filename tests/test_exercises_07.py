"""Checks of notebook 07: what is right passes, and each usual mistake gets its own hint."""

import numpy as np
import pytest

from mlms_helpers import formulas


@pytest.fixture(scope="module")
def given():
    """A few candidates for a few compounds, C among them."""
    rng = np.random.default_rng(0)
    units = np.array([[0, 0], [1, 0], [0, -2], [1, -2], [0, -2], [0, -1]])
    features = formulas.Formulas(list("abcdef"), rng.normal(size=(12, 6)), units)
    y = features.values @ [1.0, -2.0, 0.1, 0.0, 0.0, 0.0] + 0.1 * rng.normal(size=12)
    return {"features": features, "y": y, "compounds": ["C", *(f"AB{k}" for k in range(11))]}


def screen(x, residual, n, size=abs, standardised=True, reverse=False):
    z = x - x.mean(axis=0)
    z = z / z.std(axis=0) if standardised else z
    order = np.argsort(-size(z.T @ (residual - residual.mean())))[:n]
    return order[::-1] if reverse else order


@pytest.mark.parametrize(
    "answer, words", [(2, "Right"), (3, "another unit"), (4, "exponents"), ("2", "quotation")]
)
def test_units(said, given, answer, words):
    assert words in said("07-units", answer, features=given["features"])


def error(given, rows):
    x, y = given["features"].values[:, :2], given["y"]
    line = np.linalg.lstsq(np.column_stack([np.ones(len(rows)), x[rows]]), y[rows], rcond=None)[0]
    return float(line[0] + x[0] @ line[1:] - y[0])


def test_diamond(said, given):
    right, same = error(given, np.arange(1, 12)), error(given, np.arange(12))
    assert abs(right - same) > 0.01
    assert "Right" in said("07-diamond", right, **given)
    assert "among the 82" in said("07-diamond", same, **given)
    assert "the sign is not" in said("07-diamond", -right, **given)
    assert "81 others" in said("07-diamond", right + 0.2, **given)


@pytest.mark.parametrize(
    "answer, words",
    [
        (screen, "Right"),
        (3, "a function"),
        (lambda x, r, n: screen(x, r, n, size=lambda s: s), "falls when the residual rises"),
        (lambda x, r, n: screen(x, r, n, standardised=False), "standardised"),
        (lambda x, r, n: screen(x, r, n, reverse=True), "order"),
        (lambda x, r, n: screen(x, r, n + 1), "four column numbers"),
        (lambda x: x, "could not use"),
    ],
)
def test_screen(said, answer, words):
    assert words in said("07-screen", answer)
