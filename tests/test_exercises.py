"""The checks' own manners: one line, no traceback."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mlms_helpers import exercises

NOTEBOOKS = Path(__file__).resolve().parent.parent / "notebooks"


@pytest.fixture
def say(said):
    @exercises.exercise("test-number")
    def number(answer):
        return exercises.number(answer, 2.5, 0.1, "Think of units.", "eV")

    yield lambda answer, name="test-number", **given: said(name, answer, **given)
    for name in ("test-number", "test-stumble"):
        exercises.CHECKS.pop(name, None)


def test_answers(say):
    assert say(2.45) == "Right.\n"
    assert say(...).startswith("Not answered yet")
    assert "units" in say(7) and "sign" in say(-2.5)
    assert "one number in eV, without quotation" in say("2.5") and "not list" in say([2.5, 1, 2])
    assert "no exercise 'nonsense'" in say(1, "nonsense")


def test_a_check_that_stumbles_says_so(say):
    exercises.exercise("test-stumble")(lambda answer: answer["x"])
    assert "could not use this answer" in say(3, "test-stumble")
    assert "could not use this answer" in say(3, unasked=1)


@pytest.mark.parametrize("answer", [np.float32(2.5), np.int64(2), np.array(2.5), np.ma.masked_array(2.5)])
def test_numbers_of_numpy_are_numbers(say, answer):
    assert say(answer) == ("Right.\n" if answer > 2.4 else "Not yet. Think of units.\n")


@pytest.mark.parametrize(
    "answer, words",
    [
        (2500, "1,000 times too large: give it in eV"),
        (-2480.0, "1,000 times too large"),
        (0.0025, "1,000 times too small"),
        (250, "Think of units"),
        (np.nan, "no answer yet"),
        (np.inf, "no answer yet"),
    ],
)
def test_another_unit_is_said(say, answer, words):
    assert words in say(answer)


def test_per_cent_of_a_number_without_unit(said):
    exercises.exercise("test-part")(lambda answer: exercises.number(answer, 0.64, 0.005, "Count."))
    assert "0.5 instead of 50 %" in said("test-part", 64) and "Count" in said("test-part", 640)
    exercises.exercise("test-part")(lambda answer: exercises.number(answer, 28, 0, "Count."))
    assert "Count" in said("test-part", 2800)  # nobody counts in per cent
    exercises.CHECKS.pop("test-part")


@pytest.mark.parametrize(
    "answer, words",
    [
        ((1, 2.0), "Right"),
        (np.array([1, 2]), "Right"),
        ([np.array(1), 2], "Right"),
        ((2, 1), "wrong order: give (one, two)"),
        ((1, 3), "No two"),
        ((3, 2), "No one"),
        (1, "a pair of numbers, (one, two)"),
        ("12", "a pair"),
        ((1, 2, 3), "a pair"),
    ],
)
def test_pairs(said, answer, words):
    @exercises.exercise("test-pair")
    def pair(answer):
        one = lambda a: exercises.number(a, 1, 0.1, "No one.")  # noqa: E731
        two = lambda a: exercises.number(a, 2, 0.1, "No two.")  # noqa: E731
        return exercises.pair(answer, "one, two", one, two)

    assert words in said("test-pair", answer)
    exercises.CHECKS.pop("test-pair")


def test_a_check_returns_whether_it_is_right(say):
    assert exercises.check("test-number", 2.45)
    assert exercises.check("test-number", 7) == False  # noqa: E712  (None would not do)
    assert exercises.check("test-number", ...) is None and exercises.check("nonsense", 1) is None


@pytest.mark.parametrize(
    "answer, words",
    [
        (2.4500001, "2.45"),
        (2, "2"),
        ((0.625, 29), "0.625, 29"),
        (np.zeros((3, 2)), "numbers of the shape (3, 2), in this cell"),
        (abs, "the function in this cell"),
        ({1: 2}, "the dict in this cell"),
        ("no", "no"),
    ],
)
def test_a_solution_is_shown_at_a_click(say, shown, answer, words):
    exercises.exercise("test-stumble")(lambda answer: None)
    exercises.solution("test-stumble", answer)
    closed = f"<details><summary>Solution</summary>{words}</details>"
    assert shown[0][0] == {"text/plain": f"Solution: {words}", "text/html": closed}


def test_a_wrong_solution_fails_in_tests_alone(say, monkeypatch, shown):
    with pytest.raises(AssertionError, match="test-number is wrong: Think of units"):
        exercises.solution("test-number", 7)
    monkeypatch.delenv("MLMS_STRICT")
    exercises.solution("test-number", 7)
    assert shown[0][0]["text/plain"] == "Solution: 7, with data and settings as shipped"


def test_a_check_is_found_by_its_prefix_and_reads_that_notebook_only():
    code = (
        "import sys; from mlms_helpers import exercises; exercises.check('00-lithium', 28); "
        "print(sorted(m for m in sys.modules if '.nb' in m and m.startswith('mlms_helpers')), "
        "{'keras', 'jax'} & set(sys.modules))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    # notebook 02 shows what its check has made, so its checks are there from the start
    assert out.splitlines() == [
        "Right.",
        "['mlms_helpers.exercises.nb00', 'mlms_helpers.exercises.nb02'] set()",
    ]


@pytest.mark.parametrize("notebook", sorted(NOTEBOOKS.glob("[0-9][0-9]-*.ipynb")), ids=lambda path: path.stem)
def test_every_exercise_of_a_notebook_has_a_check_and_no_check_is_left_over(notebook, said):
    cells = json.loads(notebook.read_text())["cells"]
    source = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    asked = set(re.findall(r'exercises\.(?:check|solution)\(\s*"([^"]+)"', source))
    there = (
        said("nonsense", 1)
        .removeprefix("There is no exercise 'nonsense'. There are: ")
        .strip(".\n")
        .split(", ")
    )
    assert asked == {name for name in there if name.startswith(notebook.stem[:2])}
