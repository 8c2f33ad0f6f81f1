"""Checks of a reader's answer, with a hint when it is wrong.

A check is a function of the answer that returns None when it is right, or a hint: one or two sentences
that help without giving the answer away.  `check("05-width", answer)` calls the one of that name.
"""

from numbers import Real

CHECKS = {}


def check(name, answer):
    """Say whether an answer is right, and give a hint if not.

    name: of the exercise, as the notebook says.   answer: what the exercise asks for; `...` means
    that nothing has been filled in yet.

    Prints one line; an answer of the wrong kind gets a sentence, never a traceback.
    """
    if name not in CHECKS:
        print(f"There is no exercise {name!r}. There are: {', '.join(sorted(CHECKS))}.")
        return
    if answer is ...:
        print("Not answered yet: put your answer in place of the three dots and run the cell again.")
        return
    try:
        hint = CHECKS[name](answer)
    except Exception as problem:
        hint = f"The check could not use this answer ({type(problem).__name__}: {problem}). Is it of the kind asked for?"
    print("Right." if hint is None else f"Not yet. {hint}")


def exercise(name):
    """Decorator that enters a function into the checks under a name."""
    def enter(function):
        CHECKS[name] = function
        return function
    return enter


def number(answer, right, tolerance, hint, unit=""):
    """The commonest check: a number within a tolerance of the right one.

    Returns None or a hint: for something that is no number, for a wrong sign, else the given one.
    """
    if not isinstance(answer, Real):
        return f"The answer should be one number{f' in {unit}' if unit else ''}, not {type(answer).__name__}."
    if abs(answer - right) <= tolerance:
        return None
    if abs(answer + right) <= tolerance:
        return "The size is right, the sign is not."
    return hint
