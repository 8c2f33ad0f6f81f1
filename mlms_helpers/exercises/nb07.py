"""Checks of notebook 07, small data."""

import numpy as np

from mlms_helpers import linear
from mlms_helpers.exercises import exercise, no_function, number


@exercise("07-units")
def units(answer, features):
    energy, length = features.units.T
    if answer == (length == -2).sum() > ((length == -2) & (energy == 0)).sum():
        return "These are all that are divided by an area; those in eV/A^2 have another unit."
    right = ((length == -2) & (energy == 0)).sum()
    return number(
        answer, int(right), 0, "features.units has a row for each formula: the exponents of eV and A."
    )


@exercise("07-diamond")
def diamond(answer, features, y, compounds):
    out = np.asarray(compounds) == "C"
    right, same = (_error(features.values, y, train, out) for train in (~out, np.full(len(y), True)))
    if isinstance(answer, float) and abs(answer - same) < 0.005:
        return "That is its error when it is among the 82. Take it out before the search, not after."
    return number(answer, right, 0.005, "Search and fit with the 81 others, then predict C.", "eV")


def _error(x, y, train, test):
    """Predicted minus true of one compound by the line in two features."""
    columns = linear.sisso(x[train], y[train], 2)[1]
    line = linear.ridge(x[train][:, columns], y[train], 0.0)
    return float((linear.predict(line, x[test][:, columns]) - y[test])[0])


@exercise("07-screen")
def screen(answer):
    if fault := no_function(answer, "x, residual and n", "screen"):
        return fault
    rng = np.random.default_rng(7)
    x = rng.normal(size=(50, 8)) * 10.0 ** rng.integers(-3, 4, 8) + rng.normal(size=8) * 100
    z = (x - x.mean(axis=0)) / x.std(axis=0)
    residual = z @ np.array([0.5, -2.0, 0.0, 1.2, 0.0, 0.0, -0.8, 0.0]) + 3
    found = list(np.asarray(answer(x.copy(), residual.copy(), 4)).ravel())
    score = np.corrcoef(x.T, residual)[-1, :-1]
    right = list(np.argsort(-np.abs(score))[:4])
    if found == right:
        return None
    if len(found) != 4:
        return f"For n = 4 there should be four column numbers, not {len(found)}."
    if found == list(np.argsort(-score)[:4]):
        return "A column that falls when the residual rises says as much: take the size of the correlation."
    if sorted(found) == sorted(right):
        return "The columns are right, their order is not: the best comes first."
    return "Columns in other units or with another mean must not score differently. Are they standardised?"
