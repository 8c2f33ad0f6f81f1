"""Checks of notebook 10, lattice models."""

import numpy as np

from mlms_helpers import lattice
from mlms_helpers.exercises import exercise, number


@exercise("10-rows")
def rows(answer):
    hint = "How many of the six neighbours of a site lie in its own row, and what do the others give?"
    return number(answer, -1 / 3, 0.005, hint)


@exercise("10-above")
def above(answer, x, formed, configs):
    heights = lattice.above_hull(x, formed, lattice.hull(x, formed))
    right = float(heights[np.flatnonzero(np.asarray(configs) == "o4-01")[0]])
    hint = "Subtract the value of the hull at the same x, the straight line between its two nearest corners."
    return number(answer, right, 0.06, hint, "meV")


@exercise("10-plateau")
def plateau(answer, x, formed, mean):
    low = [np.min(formed[np.isclose(x, at)]) / 1000 for at in (1 / 3, 1 / 2)]
    slope = (low[1] - low[0]) * 6
    if isinstance(answer, float) and abs(answer - (mean + slope)) < 0.005:
        return "The sign: a lithium that lowers the formation energy raises the voltage."
    hint = "Divide the difference of the two lowest formation energies (in eV) by the difference of x."
    return number(answer, mean - slope, 0.006, hint, "V")
