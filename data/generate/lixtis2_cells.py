"""LixTiS2 (1T): every ordering of Li on the octahedral sites of the gap, by enumeration.  Needs only ASE.

Cells: TiS2 a 3.407, c 5.695 A; LiTiS2 3.455, 6.195 A, M. S. Whittingham, Prog. Solid State Chem. 12, 41
(1978).
"""

import functools
from itertools import product

import numpy as np
from ase import Atoms
from ase.build import niggli_reduce

EMPTY, FULL = (3.407, 5.695), (3.455, 6.195)  # a and c of TiS2 and LiTiS2, A, as measured
SULFUR = 1.43  # height of S above Ti, A, to start from
# Turns and mirrors of the hexagonal plane, as matrices for its two axes at 120 degrees.
METRIC = np.array([[1, -0.5], [-0.5, 1]])
MATRICES = [np.reshape(entries, (2, 2)) for entries in product((-1, 0, 1), repeat=4)]
OPERATIONS = [m for m in MATRICES if np.allclose(m @ METRIC @ m.T, METRIC)]


def shapes(n):
    """The supercells of n formula units in the plane, one of each lattice; rows (a, b), (0, c)."""
    return [(a, b, n // a) for a in range(1, n + 1) if n % a == 0 for b in range(n // a)]


def sites(shape):
    """The sites of a supercell, int [n, 2], in units of the small cell's axes."""
    return np.array([(i, j) for i in range(shape[0]) for j in range(shape[2])])


def fold(points, shape):
    """Number, in `sites(shape)`, of each of the points, int [n, 2]."""
    a, b, c = shape
    turns, i = np.divmod(points[:, 0], a)
    return i * c + (points[:, 1] - turns * b) % c


def guises(shape, occupied):
    """The same ordering turned, mirrored and moved in all ways of the lattice: a set of (shape, occupied)."""
    found, n = set(), len(occupied)
    rows = np.array([shape[:2], (0, shape[2])])
    for operation in OPERATIONS:
        other = next(o for o in shapes(n) if not fold(rows @ operation, o).any())
        for shift in sites(other):
            turned = np.empty(n, bool)
            turned[fold(sites(shape) @ operation + shift, other)] = occupied
            found.add((other, tuple(turned.tolist())))
    return found


def smallest(shape, occupied):
    """Whether no smaller cell holds this ordering: no shift within the cell leaves it as it is."""
    shifts = sites(shape)[1:]
    return not any(
        (np.array(occupied)[fold(sites(shape) + shift, shape)] == occupied).all() for shift in shifts
    )


def cell(shape, occupied):
    """The supercell with Li where `occupied`; before relaxation."""
    x = np.mean(occupied)
    a, c = ((1 - x) * e + x * f for e, f in zip(EMPTY, FULL, strict=True))
    positions = [(0, 0, 0), (1 / 3, 2 / 3, SULFUR / c), (2 / 3, 1 / 3, 1 - SULFUR / c), (0, 0, 0.5)]
    unit = Atoms("TiS2Li", cell=[a, a, c, 90, 90, 120], scaled_positions=positions, pbc=True)
    atoms = Atoms(
        cell=[*np.array([shape[:2], (0, shape[2])]) @ unit.cell.array[:2], unit.cell.array[2]], pbc=True
    )
    for (i, j), filled in zip(sites(shape), occupied, strict=True):
        new = unit[: 3 + filled].copy()
        new.positions += (i, j, 0) @ unit.cell.array
        atoms += new
    return atoms


@functools.cache
def orderings(largest=5):
    """Name -> cell of every ordering of cells of up to `largest` formula units, small cells first."""
    found = {}
    for n in range(1, largest + 1):
        seen, number = set(), 0
        for shape, occupied in product(shapes(n), product([False, True], repeat=n)):
            if (shape, occupied) in seen or not smallest(shape, occupied):
                continue
            seen |= guises(shape, occupied)
            atoms = cell(shape, occupied)
            niggli_reduce(atoms)
            atoms.info = {"x": float(np.mean(occupied)), "units": n}
            found[f"o{n}-{number:02d}"] = atoms
            number += 1
    return found
