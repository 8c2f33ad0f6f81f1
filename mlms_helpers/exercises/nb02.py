"""Checks of notebook 02, structures and data."""

import numpy as np
from ase import Atoms

from mlms_helpers import datasets
from mlms_helpers.exercises import exercise, number, pair


def tampered_forces(structures: list[Atoms]) -> list[np.ndarray]:
    """Forces of all structures, in which one component of one force has changed its sign.

    structures: with forces, eV/A.

    Returns a list of [n_atoms, 3], eV/A; the structures keep their own.
    """
    forces = [atoms.get_forces().copy() for atoms in structures]
    intruder = _intruder(len(forces))
    atom, component = np.unravel_index(np.abs(forces[intruder]).argmax(), forces[intruder].shape)
    forces[intruder][atom, component] *= -1
    return forces


def _intruder(n):
    return int(np.random.default_rng(20261123).integers(n))


@exercise("02-gap")
def gap(answer):
    first = datasets.load("lipon").structures[0]
    eps, occ = first.info["eps"], first.info["occ"]
    hint = "info['occ'] says which of the energies in info['eps'] are filled (2) and which are empty (0)."
    return number(answer, eps[occ < 1].min() - eps[occ > 1].max(), 0.05, hint, "eV")


@exercise("02-zero")
def zero(answer):
    def depth(answer):
        hint = "The depth is a difference of two energies in eps. Does a site potential occur in it?"
        return number(answer, 0, 0.01, hint, "eV")

    def aligned(answer):
        hint = "aligned is the level minus the mean potential at the O sites. What happens to the second?"
        return number(answer, -5.0, 0.01, hint, "eV")

    return pair(answer, "depth, aligned", depth, aligned)


@exercise("02-intruder")
def intruder(answer):
    right = _intruder(len(datasets.load("lipon").structures))
    return number(answer, right, 0, "Which law do the forces of a cell obey, all together?")
