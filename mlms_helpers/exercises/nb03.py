"""Checks of notebook 03, descriptors."""

import numpy as np

from mlms_helpers import datasets
from mlms_helpers.exercises import exercise, no_function, number


@exercise("03-count")
def count(answer):
    if answer == 6 * 5 + 12 * 10:
        return "Almost: a pair of two like species (O with O) is a pair too."
    if answer == 6 * 5 + 12 * 25:
        return "Almost: Li-O and O-Li are the same pair."
    hint = "Count the species first, then list the pairs: Li-Li, Li-Ni, ..."
    return number(answer, 6 * 5 + 12 * 15, 0, hint)


@exercise("03-body-order")
def body_order(answer):
    if answer == 2:
        return "Body order 2 is a sum over single neighbours. Have the two rings different distances from C?"
    if answer == 3:
        return (
            "Body order 3 looks at two neighbours at once, and the angles of all pairs are the same. "
            "(If you mean three neighbours: the atom itself counts, too.)"
        )
    hint = (
        "Compare rows 0 and 5, the two C atoms, at each order, and take the first that differs by more than "
        "rounding."
    )
    return number(answer, 4, 0, hint)


def _rewritten(atoms):
    """The same crystal written in five other ways, by what was done to it."""
    from mlms_helpers.descriptors import trust

    words = {
        "turned": "is turned",
        "shifted": "is shifted",
        "renumbered": "has its atoms in another order",
        "cell cut anew": "is cut into a cell with other lattice vectors",
    }
    others = {words[name]: other for name, (other, _) in trust.rewritten(atoms).items()}
    return {**others, "is written with a doubled cell": atoms.repeat((1, 1, 2))}


@exercise("03-own-descriptor")
def own_descriptor(answer):
    if fault := no_function(answer, "one structure"):
        return fault
    atoms = next(a for a in datasets.load("lipon").structures if "N" in a.symbols)
    before = np.atleast_1d(np.asarray(answer(atoms.copy()), float))
    if not np.isfinite(before).all() or before.size == 0:
        return "It returns no number, or one that is not finite."
    size = np.abs(before).max() + 1e-12
    for what, other in _rewritten(atoms).items():
        after = np.atleast_1d(np.asarray(answer(other), float))
        if after.shape != before.shape:
            return f"Its length changes, from {before.size} to {after.size}, when the crystal {what}."
        if np.abs(after - before).max() > 1e-6 * size:
            return f"It changes when the crystal {what}. Which step of your function takes notice of that?"
    swapped, moved = atoms.copy(), atoms.copy()
    a, b = np.flatnonzero(atoms.symbols == "N")[0], np.flatnonzero(atoms.symbols == "Li")[0]
    swapped.numbers[[a, b]] = swapped.numbers[[b, a]]
    moved.rattle(0.1, seed=3)
    for what, other in (("an N and a Li change places", swapped), ("all atoms move a little", moved)):
        if np.abs(np.asarray(answer(other), float) - before).max() < 1e-6 * size:
            return f"It is blind: it does not change when {what}."
    return None
