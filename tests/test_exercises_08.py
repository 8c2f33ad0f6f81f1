"""Checks of notebook 08: what is right passes, and each usual mistake gets its own hint."""

import numpy as np
import pytest


def softmin(values, mask, sharpness, *, sign=-1, masked=True, shifted=True):
    mask = mask if masked else np.ones_like(mask)
    lowest = np.where(mask > 0, values, np.inf).min(axis=1, keepdims=True) if shifted else 0.0
    away = np.where(mask > 0, values - lowest, 0.0)
    weights = np.exp(sign * sharpness * away) * mask
    return (values * weights).sum(axis=1) / weights.sum(axis=1)


@pytest.mark.parametrize(
    "name, answer, words",
    [
        ("08-extensive", {"volume", "heat capacity of the cell", "number of valence electrons"}, "Right"),
        ("08-extensive", ["volume"], "there are more"),
        ("08-extensive", "density", "is the density of both twice"),
        ("08-extensive", ["colour"], "none of the seven"),
        ("08-extensive", 3, "could not use"),
        ("08-line", 3.03, "Right"),
        ("08-line", 2.2, "Three molecules"),
        ("08-line", 2.41, "value of DFT"),
        ("08-line", -1.76, "against 1/N"),
        ("08-line", "2.1", "without quotation marks"),
        ("08-softmin", softmin, "Right"),
        ("08-softmin", 0.5, "a function"),
        ("08-softmin", lambda v, m, s: softmin(v, m, s, sign=1), "prefers the largest"),
        ("08-softmin", lambda v, m, s: softmin(v, m, s, masked=False), "padding was averaged"),
        ("08-softmin", lambda v, m, s: softmin(v, m, s, shifted=False), "overflows"),
        ("08-softmin", lambda v, m, s: softmin(v, m, 2 * s), "At sharpness 1"),
        ("08-softmin", lambda v, m, s: v.min(axis=1), "must be the mean"),
        ("08-softmin", lambda v, m, s: v, "one number a structure"),
    ],
)
def test_answers(said, name, answer, words):
    assert words in said(name, answer)
