"""Checks of a reader's answer, with a hint when it is wrong: one file a notebook.

A check is a function of the answer that returns None when it is right, or a hint: one or two sentences
that help without giving the answer away.  `check("05-step", answer)` reads `nb05` and calls the one of that
name.
"""

import html
import importlib
import math
from collections.abc import Callable, Sequence
from numbers import Real
from pathlib import Path
from typing import Any

from mlms_helpers.claims import QuietBool, strict

CHECKS: dict[str, Callable[..., str | None]] = {}


def check(name: str, answer: Any, **given: Any) -> QuietBool | None:
    """Say whether an answer is right, and give a hint if not.

    name: of the exercise, as the notebook says; it begins with the notebook's number.
    answer: what the exercise asks for; `...` means that nothing has been filled in yet.
    given: what else the check needs of the notebook, by name.

    Prints one line; an answer of the wrong kind gets a sentence, never a traceback.
    Returns True or False, or None for what is not answered yet.
    """
    _read(str(name)[:2])
    if name not in CHECKS:
        _read("")
        print(f"There is no exercise {name!r}. There are: {', '.join(sorted(CHECKS))}.")
        return None
    if answer is ...:
        print("Not answered yet: put your answer in place of the three dots and run the cell again.")
        return None
    hint = _hint(name, answer, given)
    print("Right." if hint is None else f"Not yet. {hint}")
    return QuietBool(hint is None)


def solution(name: str, answer: Any, **given: Any) -> None:
    """Show the answer of a solution's cell, which leaves the reader's own alone.

    name: of the exercise.
    answer: the right one.
    given: what else the check needs of the notebook, by name.

    Shows one line that opens at a click: whoever runs the cell on the way has not seen the answer.
    Raises AssertionError, where the environment has MLMS_STRICT, for an answer that the check calls wrong.
    """
    from IPython.display import display

    _read(str(name)[:2])
    hint = _hint(name, answer, given)
    if hint is not None and strict():
        raise AssertionError(f"the solution of {name} is wrong: {hint}")
    words = _short(answer) + ("" if hint is None else ", with data and settings as shipped")
    closed = f"<details><summary>Solution</summary>{html.escape(words)}</details>"
    display({"text/plain": f"Solution: {words}", "text/html": closed}, raw=True)


def _hint(name, answer, given):
    """None for a right answer, else a hint."""
    try:
        return CHECKS[name](_plain(answer), **given)
    except Exception as problem:
        what = f"{type(problem).__name__}: {problem}"
        return f"The check could not use this answer ({what}). Is it of the kind asked for?"


def _short(answer):
    """What a line can say of an answer."""
    answer = _plain(answer)
    if isinstance(answer, str):
        return answer
    if isinstance(answer, Real):
        return f"{answer:.4g}" if isinstance(answer, float) else str(answer)
    if isinstance(answer, tuple | list) and len(answer) <= 6:
        return ", ".join(_short(one) for one in answer)
    if shape := getattr(answer, "shape", ()):
        return f"numbers of the shape {shape}, in this cell"
    if isinstance(answer, Callable):
        return "the function in this cell"
    return f"the {type(answer).__name__} in this cell"


def exercise(name: str) -> Callable[[Callable], Callable]:
    """Decorator that enters a function into the checks.

    name: of the exercise, such as "05-step".
    """

    def enter(function):
        CHECKS[name] = function
        return function

    return enter


def number(answer: Any, right: float, tolerance: float, hint: str, unit: str = "") -> str | None:
    """The commonest check: a number within a tolerance of the right one.

    answer: the reader's.
    right: the right one, in `unit`.
    tolerance: the largest difference that is still right, in `unit`; half a unit of the last digit that
        the question gives, so that an answer rounded like the question passes.  0: a count.
    hint: for another number.
    unit: for the hints; default, none.

    Returns None or a hint: for something that is no number, for a wrong sign, for another unit (per cent,
    thousandths), else the given one.
    """
    if fault := _no_number(answer, unit):
        return fault
    if abs(answer - right) <= tolerance:
        return None
    if abs(answer + right) <= tolerance:
        return "The size is right, the sign is not."
    return (_other_unit(abs(answer), abs(right), tolerance, unit) if tolerance and right else None) or hint


def no_function(answer: Any, of: str, name: str = "") -> str | None:
    """The first look at an answer that should be a function.

    answer: the reader's.
    of: its arguments, in words: "x, y and length".
    name: the one that the exercise gives it; default, none.

    Returns None, or a hint for what cannot be called.
    """
    if callable(answer):
        return None
    write = f"write `{name}`" if name else "write its name"
    return f"The answer should be a function of {of}, not {type(answer).__name__}: {write}, without brackets."


def pair(answer: Any, names: str, first: Callable, second: Callable) -> str | None:
    """The check of two answers in one: both are looked at, and whether they are swapped.

    answer: the reader's.
    names: of the two, for the hints: "y, lithium".
    first, second: each a check of one of them, which returns None or a hint.

    Returns None or a hint.
    """
    answer = answer.tolist() if hasattr(answer, "tolist") else answer
    if not isinstance(answer, Sequence) or isinstance(answer, str) or len(answer) != 2:
        return f"The answer should be a pair of numbers, ({names})."
    hint = first(answer[0]) or second(answer[1])
    if hint and first(answer[1]) is None and second(answer[0]) is None:
        return f"Both numbers are right, in the wrong order: give ({names})."
    return hint


def _no_number(answer, unit):
    """A hint for what is no number."""
    wanted = f"one number{f' in {unit}' if unit else ''}"
    if isinstance(answer, str):
        return f"The answer should be {wanted}, without quotation marks."
    if not isinstance(answer, Real):
        return f"The answer should be {wanted}, not {type(answer).__name__}."
    if not math.isfinite(answer):
        return f"{answer} is no answer yet: something was divided by zero, or a value is missing."
    return None


def _other_unit(answer, right, tolerance, unit):
    """A hint for the right number in another unit."""
    if not unit and abs(answer / 100 - right) <= tolerance:
        return "That is 100 times too large: give a part of one, 0.5 instead of 50 %."
    if unit and abs(answer / 1000 - right) <= tolerance:
        return f"That is 1,000 times too large: give it in {unit}."
    if unit and abs(answer * 1000 - right) <= tolerance:
        return f"That is 1,000 times too small: give it in {unit}."
    return None


def _plain(answer):
    """Arrays without a shape as the numbers in them."""
    if type(answer) in (tuple, list):
        return type(answer)(_plain(one) for one in answer)
    return answer.item() if getattr(answer, "shape", None) == () else answer


def _read(notebook):
    """Import the checks of the notebooks whose number begins so."""
    for file in sorted(Path(__file__).parent.glob("nb[0-9][0-9].py")):
        if file.stem.startswith(f"nb{notebook}"):
            importlib.import_module(f"{__name__}.{file.stem}")


# Notebook 02 shows the reader what its check has made.
from mlms_helpers.exercises.nb02 import tampered_forces  # noqa: E402, F401  (it needs what stands above)
