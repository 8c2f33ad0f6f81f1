"""Checks of notebook 14: what is right passes, and each usual mistake gets its own hint."""

import numpy as np
import pytest


def kernel(x, y, length, reduce=np.mean, rows=slice(None)):
    apart = x[:, None, :1] - y[None][:, :, rows]
    return reduce(np.exp(-(apart**2).sum(axis=3) / (2 * length**2)), axis=2)


@pytest.mark.parametrize(
    "name, answer, words",
    [
        ("14-constant", 58.3, "Right"),
        ("14-constant", 41.9, "for all molecules"),
        ("14-constant", 0.0583, "1,000 times too small"),
        ("14-constant", "58.3", "without quotation marks"),
        ("14-constant", 12.0, "Rows with kind"),
        ("14-uses", 5988, "Right"),
        ("14-uses", 6038, "costs one PBE"),
        ("14-uses", 1474, "not computed any more"),
        ("14-uses", 100, "difference"),
        ("14-kernel", kernel, "Right"),
        ("14-kernel", lambda x, y, s: kernel(x, y, s, rows=slice(1)), "one order only"),
        ("14-kernel", lambda x, y, s: kernel(x, y, s, np.sum), "take their mean"),
        ("14-kernel", lambda x, y, s: kernel(x, y, 2 * s), "not of the distances"),
        ("14-kernel", lambda x, y, s: kernel(x, y, s)[0], "each pair"),
        ("14-kernel", 0.5, "a function"),
    ],
)
def test_answers(said, name, answer, words):
    assert words in said(name, answer)
