"""Checks of notebook 05."""

import pytest

from mlms_helpers import exercises


def said(capsys, name, answer):
    exercises.check(name, answer)
    return capsys.readouterr().out


def test_numbers(capsys):
    assert said(capsys, "05-step", 1.2) == "Right.\n"
    assert "bias" in said(capsys, "05-step", 0.6) and "sign" in said(capsys, "05-step", -1.2)
    assert said(capsys, "05-weights", 2529) == "Right.\n"
    assert "has a bias" in said(capsys, "05-weights", 2464) and "layer to layer" in said(capsys, "05-weights", 108)


@pytest.mark.parametrize("answer, words", [
    (1.0, "dictionary"), ({}, "dictionary"), ({"rate": 1}, "no setting"), ({"depth": 0}, "from 1 to 4"),
    ({"epochs": 2.5}, "whole number"), ({"weight_decay": "much"}, "number from"),
])
def test_rein_hints(capsys, answer, words):
    assert words in said(capsys, "05-rein", answer)


def test_rein_trains(capsys):
    assert "should be below" in said(capsys, "05-rein", {"epochs": 240})
    assert said(capsys, "05-rein", {"weight_decay": 1.0}) == "Right.\n"
