"""Checks of notebook 05."""

import json
import re
from pathlib import Path

import numpy as np
import pytest


def test_numbers(said):
    assert said("05-step", 1.2) == "Right.\n"
    assert "bias" in said("05-step", 0.6) and "sign" in said("05-step", -1.2)
    assert said("05-weights", 2529) == "Right.\n"
    assert "has a bias" in said("05-weights", 2464) and "layer to layer" in said("05-weights", 108)


@pytest.mark.parametrize(
    "answer, words",
    [
        (1.0, "dictionary"),
        ({}, "dictionary"),
        ({"rate": 1}, "no setting"),
        ({"depth": 0}, "from 1 to 4"),
        ({"epochs": 2.5}, "whole number"),
        ({"weight_decay": "much"}, "number from"),
    ],
)
def test_rein_hints(said, answer, words):
    assert words in said("05-rein", answer)


def problem():
    """Few noisy rows: a network that is not held back learns the noise."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 4))
    y = 2 * x[:, 0] + np.where(np.arange(300) < 200, rng.normal(size=300), 0)
    return {"x": x, "y": y, "train": np.arange(200), "rows": np.arange(120), "val": np.arange(200, 300)}


def test_rein_trains_on_what_the_notebook_gives(said):
    assert "should be below" in said("05-rein", {"epochs": 240}, **problem())
    assert said("05-rein", {"weight_decay": 1.0}, **problem()) == "Right.\n"
    assert "x=x, y=y" in said("05-rein", {"weight_decay": 1.0})


def test_the_notebook_gives_it():
    notebook = Path(__file__).resolve().parent.parent / "notebooks" / "05-training.ipynb"
    text = "".join("".join(cell["source"]) for cell in json.loads(notebook.read_text())["cells"])
    calls = re.findall(r'exercises\.(?:check|solution)\("05-rein", .*?, (x=.*?)\)', text, re.S)
    given = [re.sub(r"\s+", " ", call) for call in calls]
    assert given == [", ".join(f"{name}={name}" for name in problem())] * 2
