"""Checks of notebook 12, locality."""

import numpy as np

from mlms_helpers import datasets
from mlms_helpers.exercises import exercise, no_function, number

COULOMB, STEP = 14.4, 0.1  # eV A; A, of the moved atom


@exercise("12-reach")
def reach(answer):
    if number(answer, 12, 0.01, "") is None:
        return "So far hears an atom's energy. The force is the slope of the energies of others, too."
    if number(answer, 6, 0.01, "") is None:
        return "That is for one step. Each step carries the news one cutoff farther."
    return number(answer, 24, 0.01, "How far does one energy hear after four steps? And then the force?", "Å")


@exercise("12-dipole")
def dipole(answer):
    plus, minus = (
        next(a for a in datasets.load("response").structures if a.info["config"] == f"lithium-{sign}")
        for sign in ("plus", "minus")
    )
    moved, atoms = plus.info["moved"], plus.copy()
    atoms.positions = (plus.positions + minus.positions) / 2
    r = atoms.get_distances(moved, range(len(atoms)), mic=True, vector=True)
    d = np.linalg.norm(r, axis=1)
    shell = (d >= 4) & (d <= 7)
    along = r[shell] @ (plus.positions - minus.positions)[moved] / (2 * STEP)
    field = -COULOMB * STEP * along / d[shell] ** 3
    change = ((plus.arrays["potential"] - minus.arrays["potential"]) / 2)[shell]
    right = field @ change / (field @ field)
    if number(answer, STEP * right, 0.05 * STEP * right, "") is None:
        return "Ten times too small: d is 0.1 Å, and belongs into the formula."
    square = -COULOMB * STEP * along / d[shell] ** 2
    if number(answer, square @ change / (square @ square), 0.002, "") is None:
        return "cos θ is `along` divided by the distance: one more power of r below."
    return number(answer, right, 0.01, "One unknown: sum(field * potential) / sum(field²), 4 to 7 Å.")


@exercise("12-enough")
def enough(answer):
    if fault := no_function(answer, "distance, force and wanted", "enough"):
        return fault
    distance, force = np.array([5.0, 2.0, 4.0, 3.0]), np.array([3.0, 50.0, 4.0, 12.0])
    for wanted, right, hint in (
        (5.0, 3.0, "Forces at 4 and 5 Å of 3 and 4 make 5: squares are added, and 3 Å is enough for 5."),
        (13.0, 2.0, "3, 4 and 12 make 13, which is no more than 13: 2 Å is enough."),
        (100.0, 0.0, "If all forces together are no more than what is wanted, the answer is 0."),
        (0.0, 5.0, "For 0 the reach must be the farthest distance."),
    ):
        told = answer(distance.copy(), force.copy(), wanted)
        if told is None or not np.isclose(float(told), right):
            return hint
    return None
