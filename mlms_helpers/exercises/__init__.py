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

CHECKS: dict[str, Callable[..., str | None]] = {}


def check(name: str, answer: Any, **given: Any) -> None:
    """Say whether an answer is right, and give a hint if not.

    name: of the exercise, as the notebook says; it begins with the notebook's number.
    answer: what the exercise asks for; `...` means that nothing has been filled in yet.
    given: what else the check needs of the notebook, by name.

    Prints one line; an answer of the wrong kind gets a sentence, never a traceback.
    """
    _read(str(name)[:2])
    if name not in CHECKS:
        _read("")
        print(f"There is no exercise {name!r}. There are: {', '.join(sorted(CHECKS))}.")
        return
    if answer is ...:
        print("Not answered yet: put your answer in place of the three dots and run the cell again.")
        return
    try:
        hint = CHECKS[name](answer, **given)
    except Exception as problem:
        what = f"{type(problem).__name__}: {problem}"
        hint = f"The check could not use this answer ({what}). Is it of the kind asked for?"
    print("Right." if hint is None else f"Not yet. {hint}")


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
