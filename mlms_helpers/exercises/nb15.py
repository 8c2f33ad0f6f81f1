"""Checks of notebook 15, defect levels."""

from numbers import Real

import numpy as np
from ase import Atoms
from ase.geometry import find_mic

from mlms_helpers import datasets, descriptors
from mlms_helpers.exercises import exercise, number


@exercise("15-coulomb")
def coulomb(answer):
    hint = (
        "The energy of an electron in the field of the charge +e at the distance r is -14.4 eV A / r. "
        "Final minus initial."
    )
    return number(answer, descriptors.COULOMB * (1 / 2.0 - 1 / 2.5), 0.05, hint, "eV")


@exercise("15-pair")
def pair(answer):
    mean, half, t = 1.3, 0.3, 0.55
    known = {
        mean - np.hypot(half, t): "That is the lower of the two levels; a hole goes to the upper one.",
        mean + t: "Right for equal levels. These differ: half of the difference goes under the root.",
        mean + np.hypot(2 * half, t): "Half of the difference goes under the root, not all of it.",
    }
    for wrong, hint in known.items():
        if isinstance(answer, Real) and abs(answer - wrong) < 0.005:
            return hint
    hint = "The mean of the two levels, plus the root of (half of their difference) squared plus t squared."
    return number(answer, mean + np.hypot(half, t), 0.03, hint, "eV")


@exercise("15-probability")
def probability(answer):
    if isinstance(answer, Real) and abs(answer - 0.841) < 0.01:
        return "That is the probability that it is shallower."
    if isinstance(answer, Real) and abs(answer - 0.317) < 0.01:
        return "That is both tails: deeper than 1.5 eV or shallower than 0.9 eV."
    hint = "1.5 eV is one standard deviation above 1.2 eV. How much of a Gaussian lies above that?"
    return number(answer, 0.1587, 0.005, hint)


def _origins(answer):
    """The shipped structures that an answer came from, each with [n_atoms], whether an atom has moved."""
    for atoms in datasets.load("lipon").structures:
        alike = len(atoms) == len(answer) and (atoms.numbers == answer.numbers).all()
        if alike and np.abs(atoms.cell.array - answer.cell.array).max() < 1e-6:
            _, distance = find_mic(answer.positions - atoms.positions, atoms.cell)
            yield atoms, distance > 1e-3


@exercise("15-shallower")
def shallower(answer, model):
    """model: of `hole_traps.train`, that says how deep the trap is."""
    from mlms_helpers import hole_traps

    if not isinstance(answer, Atoms):
        return f"The answer should be a structure (ase.Atoms), not {type(answer).__name__}."
    try:
        hole_traps.check(answer, "This structure")
    except ValueError as fault:
        return str(fault)
    near = [(atoms, moved) for atoms, moved in _origins(answer) if moved.sum() <= 1]
    if not near:
        return (
            "More than one atom has moved, or species or cell have changed. "
            "Start from one_n.copy() and move one Li."
        )
    start, moved = near[0]
    if not moved.any():
        return "Nothing has moved yet."
    symbol = answer.symbols[int(np.flatnonzero(moved)[0])]
    if symbol != "Li":
        return f"A {symbol} atom has moved. Move a Li."
    before, after = (hole_traps.predict(model, [a]) for a in (start, answer))
    if not after.in_domain.all():
        return (
            f"The structure has become unlike the training set ({after.unlike.max():.2f}): "
            f"a smaller step, or another Li."
        )
    change = float(after.depth.max() - before.depth.max())
    if change > -0.15:
        return (
            f"The depth changes by {change:+.2f} eV. A positive charge lowers the energy of electrons "
            f"nearby: where should the Li go?"
        )
    return None
