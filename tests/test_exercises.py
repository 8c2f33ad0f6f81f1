"""The checks' own manners: one line, no traceback."""

import pytest

from mlms_helpers import exercises


@pytest.fixture
def say(capsys, monkeypatch):
    monkeypatch.setattr(exercises, "CHECKS", dict(exercises.CHECKS))

    @exercises.exercise("test-number")
    def number(answer):
        return exercises.number(answer, 2.5, 0.1, "Think of units.", "eV")

    def ask(answer, name="test-number"):
        exercises.check(name, answer)
        out = capsys.readouterr().out
        assert out.count("\n") == 1
        return out
    return ask


def test_answers(say):
    assert say(2.45) == "Right.\n"
    assert say(...).startswith("Not answered yet")
    assert "units" in say(7) and "sign" in say(-2.5) and "one number in eV" in say("2.5")
    assert "no exercise 'nonsense'" in say(1, "nonsense")


def test_a_check_that_stumbles_says_so(say):
    exercises.exercise("test-stumble")(lambda answer: answer["x"])
    assert "could not use this answer" in say(3, "test-stumble")
