"""Checks of notebook 04, maps."""

from numbers import Real

import numpy as np

from mlms_helpers.exercises import exercise, no_function, number


@exercise("04-share")
def share(answer):
    if isinstance(answer, Real) and abs(answer - 0.64) < 1e-6:
        return (
            "That is the share of one column's variance that the other explains. "
            "Here the question is about a direction between the two."
        )
    hint = (
        "Write down the covariance matrix of the two, two by two. What are its eigenvalues, and what is "
        "their sum?"
    )
    return number(answer, 0.9, 1e-3, hint)


@exercise("04-believe")
def believe(answer):
    answer = {str(letter).lower() for letter in answer}
    if answer - set("abcde"):
        return f"{sorted(answer - set('abcde'))[0]!r} is none of the letters a to e."
    wrong = {
        "b": "On a UMAP distances between islands are not kept: far only means not near.",
        "c": (
            "Noise has gaps, too: see the islands above. "
            "Does the gap stay with other seeds and more neighbours?"
        ),
        "d": (
            "UMAP gives dense and thin groups much the same density, so the size of an island counts its "
            "points rather than its spread."
        ),
    }
    for letter in sorted(answer & set(wrong)):
        return f"{letter}: {wrong[letter]}"
    if len(answer) < 2:
        return "There is one more. Which of the five are about neighbours, and about the random steps?"
    return None


@exercise("04-kept")
def kept(answer):
    from mlms_helpers import maps

    if fault := no_function(answer, "x, xy and k"):
        return fault
    x = np.random.default_rng(4).normal(size=(60, 5))
    if abs(answer(x.copy(), x.copy(), 7) - 1) > 1e-9:
        return "The same points twice must give 1."
    found, right = float(answer(x.copy(), x[:, :2].copy(), 7)), maps.neighbours_kept(x, x[:, :2], 7)
    if abs(found - right) < 1e-9:
        return None
    if abs(found - (1 + 6 * maps.neighbours_kept(x, x[:, :2], 6)) / 7) < 1e-9:
        return "Each point counts itself as a neighbour. Put infinity where the distance is to itself."
    if abs(found - 7 * right) < 1e-9:
        return "That is the mean number of neighbours kept. A share is asked for."
    return "For one point: list its k nearest in x, list its k nearest in xy. How many are in both lists?"
