"""Checks of a reader's answer, with a hint when it is wrong.

A check is a function of the answer that returns None when it is right, or a hint: one or two sentences
that help without giving the answer away.  `check("05-width", answer)` calls the one of that name.
"""

import functools
from numbers import Real

import numpy as np

from mlms_helpers import datasets, evaluation, levels

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


# --- 01

@functools.cache
def _nitrogen_sites():
    """Level and family of every N atom of the shipped data, and how many configurations there are."""
    lipon = datasets.load("lipon")
    return levels.nitrogen_levels(lipon.structures), len(lipon.structures)


@exercise("01-slope")
def _(answer):
    return number(answer, 0.45, 0.005, "Subtract the means first: the Madelung energies become -2, 0 and 2 eV. Then multiply, add, and "
                                       "divide by the sum of their squares.")


@exercise("01-break-even")
def _(answer):
    right = _nitrogen_sites()[1] + 1
    if isinstance(answer, Real) and abs(answer - right) == 1:
        return "Very close. At which n are both ways equally expensive?"
    return number(answer, right, 0, "Write both costs down, in calculations: which one grows with n?")


@exercise("01-local")
def _(answer):
    sites, _ = _nitrogen_sites()
    x = np.asarray(answer, float)
    if x.shape != (len(sites),) or not np.isfinite(x).all():
        return f"The answer should be {len(sites)} finite numbers, one for each row of `sites`; this one has the shape {x.shape}."
    if abs(np.corrcoef(x, sites.aligned)[0, 1]) > 0.97:
        return "This follows the level too well to come from the positions alone. Is there DFT in it?"
    models = {"line": evaluation.line_baseline(x, sites.aligned), "mean": evaluation.mean_baseline(sites.aligned)}
    error = evaluation.summary(evaluation.cross_validate(models, sites, "aligned", by="family")).RMSE
    if error["line"] > 0.85 * error["mean"]:
        return (f"On families kept apart its line has an RMSE of {error['line']:.2f} eV, and the mean alone has {error['mean']:.2f} eV. Let each "
                "term fade out towards the cutoff: descriptors.cutoff_function.")
    return None
