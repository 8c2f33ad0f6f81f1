"""Checks of notebook 11, potentials."""

import numpy as np
from ase.build import bulk

from mlms_helpers.exercises import exercise, number


@exercise("11-slope")
def slope(answer):
    if isinstance(answer, float) and abs(abs(answer) - 0.072) < 0.001:
        return "The two positions are twice the step apart."
    return number(answer, -0.036, 0.0005, "Divide the difference of the energies by 0.02 Å.", "eV/Å")


@exercise("11-formation")
def formation(answer, potential):
    crystal = bulk("Si", a=5.47, cubic=True).repeat((2, 2, 2))
    with_gap, without = potential.predict([crystal[1:], crystal])[0]
    right = float(with_gap - 63 / 64 * without)
    if isinstance(answer, float) and abs(answer - float(with_gap - without)) < 0.05:
        return "The atom that was taken out is still in the crystal, elsewhere: compare with 63/64 of it."
    return number(answer, right, 0.006, "Energy of 63 atoms minus 63/64 of the energy of 64.", "eV")


@exercise("11-frames")
def frames(answer, spread, shortest):
    chosen = {int(k) for k in answer}
    if len(chosen) != 5 or not chosen <= set(range(len(spread))):
        return f"Five different numbers of frames are asked for, 0 to {len(spread) - 1}."
    if (np.asarray(shortest)[sorted(chosen)] < 2.0).any():
        return "One of them has collapsed already: the label of such a frame teaches little."
    allowed = np.flatnonzero(np.asarray(shortest) >= 2.0)
    right = set(allowed[np.argsort(np.asarray(spread)[allowed])[-5:]].tolist())
    return None if chosen == right else "Among the allowed frames there are some with a larger spread."
