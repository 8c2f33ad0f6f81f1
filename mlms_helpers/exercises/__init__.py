"""Checks of a reader's answer, with a hint when it is wrong: one file a notebook.

A check is a function of the answer that returns None when it is right, or a hint: one or two sentences
that help without giving the answer away.  `check("05-step", answer)` reads `nb05` and calls the one of that
name.
"""

import importlib
from collections.abc import Callable
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

    Prints one line.
    Raises AssertionError, where the environment has MLMS_STRICT, for an answer that the check calls wrong.
    """
    _read(str(name)[:2])
    hint = _hint(name, answer, given)
    if hint is not None and strict():
        raise AssertionError(f"the solution of {name} is wrong: {hint}")
    print(f"Solution: {_short(answer)}{'' if hint is None else ', with data and settings as shipped'}")


def _hint(name, answer, given):
    """None for a right answer, else a hint."""
    try:
        return CHECKS[name](answer, **given)
    except Exception as problem:
        what = f"{type(problem).__name__}: {problem}"
        return f"The check could not use this answer ({what}). Is it of the kind asked for?"


def _short(answer):
    """What a line can say of an answer."""
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
    tolerance: the largest difference that is still right, in `unit`.
    hint: for another number.
    unit: for the hints; default, none.

    Returns None or a hint: for something that is no number, for a wrong sign, else the given one.
    """
    if not isinstance(answer, Real):
        return f"The answer should be one number{f' in {unit}' if unit else ''}, not {type(answer).__name__}."
    if abs(answer - right) <= tolerance:
        return None
    if abs(answer + right) <= tolerance:
        return "The size is right, the sign is not."
    return hint


def _read(notebook):
    """Import the checks of the notebooks whose number begins so."""
    for file in sorted(Path(__file__).parent.glob("nb[0-9][0-9].py")):
        if file.stem.startswith(f"nb{notebook}"):
            importlib.import_module(f"{__name__}.{file.stem}")


# Notebook 02 shows the reader what its check has made.
from mlms_helpers.exercises.nb02 import tampered_forces  # noqa: E402, F401  (it needs what stands above)
