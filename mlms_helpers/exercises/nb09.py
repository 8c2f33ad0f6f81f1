"""Checks of notebook 09, topology."""

import numpy as np

from mlms_helpers import datasets, descriptors
from mlms_helpers.exercises import exercise, no_function, number


@exercise("09-count")
def count(answer):
    six, four = (float(value) for value in answer)
    if (six, four) == (30, 12):
        return "Each pair is counted twice: a word and its reverse are one."
    if (six, four) == (36, 16):
        return "A path does not turn back: the two O are different ones, and their order does not count."
    if (six, four) == (6, 15):
        return "The other way round: first the cation with six O, then the one with four."
    return None if (six, four) == (15, 6) else "How many pairs can be made of six neighbours, and of four?"


@exercise("09-oxygen")
def oxygen(answer):
    if np.ndim(answer) == 0 and abs(float(answer) - 5) < 1e-9:
        return "Five is the average of a cation. There are three O for two cations."
    return number(answer, 10 / 3, 0.01, "Count the ends of all bonds: first at the cations, then at the O.")


@exercise("09-shortest")
def shortest(answer):
    if fault := no_function(answer, "two crystals", "shortest"):
        return fault
    cells = {atoms.info["config"]: atoms for atoms in datasets.load("tco").structures}
    a, b = cells["12-10-GaIn3O6-0"], cells["12-10-GaIn3O6-1"]
    if answer(a, b) != 1:
        return "The two cells of GaIn3O6 differ in single dressed species already: n = 1."
    alike = _corundum()
    expected = next(n for n in range(1, 5) if not np.allclose(*descriptors.ngrams(alike, n)))
    if answer(*alike) != expected:
        return (
            f"Two decorations of corundum first differ at n = {expected}. Are both crystals in one list, so "
            f"that their columns are the same words?"
        )
    if answer(a, a.copy()) is not None:
        return "A crystal and its copy agree up to n = 4: None."
    return None


def _corundum():
    """Two decorations of one cell of corundum with equal composition."""
    cells = {atoms.info["config"]: atoms for atoms in datasets.load("tco").structures}
    host = cells["167-10-Ga4O6-0"] * (2, 1, 1)
    sites, out = np.flatnonzero(host.numbers != 8), []
    for chosen in ((0, 1, 2, 3), (0, 1, 4, 6)):
        cell = host.copy()
        cell.symbols[sites[list(chosen)]] = "Al"
        out.append(cell)
    return out
