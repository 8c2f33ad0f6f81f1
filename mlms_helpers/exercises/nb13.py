"""Checks of notebook 13, uncertainty and active learning."""

from collections.abc import Callable
from numbers import Real

import numpy as np

from mlms_helpers import uncertainty
from mlms_helpers.exercises import exercise, number


@exercise("13-overlap")
def overlap(answer):
    if isinstance(answer, Real) and abs(answer - 50) < 0.5:
        return "That is what the saved lists hold. What would one expect of a draw by chance?"
    hint = "Each of the 50 test structures is in the training set with the probability 170 / 10,001."
    return number(answer, 50 * 170 / 10001, 0.06, hint)


@exercise("13-warm")
def warm(answer):
    if isinstance(answer, Real) and abs(answer - 16) < 0.01:
        return "Sixteen trainings, but the first ones are on fewer structures."
    if isinstance(answer, Real) and abs(answer - 1520) < 0.5:
        return "That is the sum of the sizes. By how much is it more than once 170?"
    hint = "Add up the sizes of the training sets, 20, 30, ... 170, and divide by 170."
    return number(answer, sum(range(20, 171, 10)) / 170, 0.06, hint)


@exercise("13-which")
def which(answer, quiz):
    """quiz: {name: (residual, sigma)}."""
    if isinstance(answer, str):
        answer = answer.replace(",", " ").split() if len(answer) > 3 else list(answer)
    if not isinstance(answer, list | tuple) or sorted(map(str, answer)) != sorted(quiz):
        return f"Give each of the names {', '.join(sorted(quiz))} once, in a list."
    found = {name: uncertainty.judge(*pair) for name, pair in quiz.items()}
    short = max(found, key=lambda name: found[name]["r-statistic"])
    meaningless = min(found, key=lambda name: abs(found[name]["slope"]))
    _, too_short, no_meaning = map(str, answer)
    if too_short != short:
        return "Bars that are all too short have a large standard deviation of residual / sigma."
    if no_meaning != meaningless:
        return "Two have the right size on average. In which do long bars go with large residuals?"
    return None


@exercise("13-conformal")
def conformal(answer):
    if not isinstance(answer, Callable):
        return "Give the function itself: answer = half_width."
    rng = np.random.default_rng(0)
    for n, level in ((200, 0.9), (9, 0.8), (3, 0.9)):
        scores = rng.permutation(rng.exponential(size=n))
        rank = min(int(np.ceil(level * (n + 1) - 1e-9)), n)
        got, right = float(answer(scores, level)), float(np.sort(scores)[rank - 1])
        if not np.isclose(got, right):
            if np.isclose(got, np.sort(scores)[min(int(np.ceil(level * n)), n) - 1]):
                return f"Of {n} scores, level {level}: the correction 1 + 1 / n is missing."
            if not np.isclose(scores, got).any():
                return f"Of {n} scores, level {level}: {got:.3g} is none of the scores. Do not interpolate."
            return f"Of {n} scores, level {level}: it should be the {rank}. smallest score."
    return None
