"""Checks of notebook 16, inverse design."""

import numpy as np

from mlms_helpers import levels
from mlms_helpers.exercises import exercise, number

LIMIT = 1 / 50  # levels deeper than 2.5 eV per formula unit
APART = 4.0  # A, between any two N


@exercise("16-sharing")
def sharing(answer):
    alone = (15 / 16) ** 3
    if isinstance(answer, float) and abs(answer - alone) < 0.005:
        return "That is the part of the N that are alone on their P: the others are asked for."
    hint = "An N is alone if the other three corners of its P are O. How likely is one corner O at y = 0.25?"
    return number(answer, 1 - alone, 0.005, hint)


@exercise("16-limit")
def limit(answer, deep_levels):
    fault = number(answer, 0.0, np.inf, "")
    if fault:
        return fault
    y = np.linspace(0.01, 0.5, 491)
    central = sum(part[0] for part in deep_levels(y, 2.5))
    lone = deep_levels(y, 2.5)[0][0]
    if abs(answer - y[central - lone <= LIMIT].max()) < 0.003:
        return "Close, but the lone N count, too."
    right = y[central <= LIMIT].max()
    hint = "Compute both parts for many y, add them, and look for the last y at which they are within 1/50."
    return number(answer, right, 0.006, hint)


@exercise("16-arrangement")
def arrangement(answer, crystal):
    chosen = np.asarray(answer)
    if chosen.shape != (4,) or chosen.dtype.kind not in "iu":
        return "The answer should be four whole numbers: which atoms of `frozen` shall be N."
    if len(set(chosen.tolist())) < 4:
        return "One atom is named twice."
    if chosen.min() < 0 or chosen.max() >= len(crystal):
        return f"The atoms are numbered from 0 to {len(crystal) - 1}."
    anions = np.isin(crystal.symbols, ["O", "N"])
    if not anions[chosen].all():
        wrong = chosen[~anions[chosen]][0]
        return f"Atom {wrong} is {crystal.symbols[wrong]}: N can only take the place of an O, or stay."
    copy = crystal.copy()
    copy.symbols[anions] = "O"
    copy.symbols[chosen] = "N"
    if (levels.motifs([copy]).motif != "lone").any():
        return "Two of the N share a P."
    distances = copy.get_all_distances(mic=True)[np.ix_(chosen, chosen)]
    nearest = distances[~np.eye(4, dtype=bool)].min()
    if nearest < APART:
        return f"Two of the N are {nearest:.1f} A apart; ask for {APART:.0f} A."
    return None
