"""Checks of notebook 06: what is right passes, and each usual mistake gets its own hint."""

import numpy as np
import pytest


def paired(a, b, groups, same_draw=True, whole=True, quantiles=(0.025, 0.975)):
    kinds, which = np.unique(groups if whole else np.arange(len(a)), return_inverse=True)
    rng = np.random.default_rng(0)
    first = rng.integers(len(kinds), size=(2000, len(kinds)))
    second = first if same_draw else rng.integers(len(kinds), size=first.shape)
    rmse = [
        np.sqrt(np.bincount(which, r**2)[drawn].sum(1) / np.bincount(which)[drawn].sum(1))
        for r, drawn in ((a, first), (b, second))
    ]
    return np.quantile(rmse[0] - rmse[1], quantiles)


@pytest.mark.parametrize(
    "name, answer, words",
    [
        ("06-safe-splits", ["family", "phase", "n_nitrogen", "temperature"], "Right"),
        ("06-safe-splits", "family", "there are more"),
        ("06-safe-splits", ["config"], "both sides"),
        ("06-safe-splits", ["colour"], "no such column"),
        ("06-safe-splits", 7, "could not use"),
        ("06-paired", paired, "Right"),
        ("06-paired", 0.3, "a function"),
        ("06-paired", lambda a, b, g: paired(b, a, g), "positive"),
        ("06-paired", lambda a, b, g: paired(a, b, g, whole=False), "too narrow"),
        ("06-paired", lambda a, b, g: paired(a, b, g, same_draw=False), "0 to 0"),
        ("06-paired", lambda a, b, g: paired(a, b, g, quantiles=(0.0005, 0.9995)), "too wide"),
        ("06-paired", lambda a: a, "could not use"),
        ("06-claim", 23, "Right"),
        ("06-claim", 17, "power of 80 %"),
        ("06-claim", 3, "takes the true difference"),
    ],
)
def test_answers(said, name, answer, words):
    assert words in said(name, answer)
