"""Molecules AB2, such as water, alone or several: lengths, angles, distances, in all orders of like atoms."""

import itertools
from collections.abc import Sequence
from types import ModuleType

import numpy as np
from ase import Atoms

from mlms_helpers.statistics import whole

from ._checks import validated


def internal_coordinates(structures: Sequence[Atoms] | np.ndarray, xp: ModuleType = np) -> np.ndarray:
    """Bond lengths, angles and distances between molecules AB2, written in every order of like atoms.

    structures: all of one size, each of the same molecules one after the other, the middle atom of each
        first: O H H, or O H H O H H.  Or their positions, [n, n_atoms, 3], A.
    xp: numpy, or jax.numpy for positions that JAX differentiates; default numpy.

    Returns float64 [n, n_orders, n_coordinates].  An order says which end of each molecule is called the
    first, and which molecule: 2 for one molecule, 8 for two.  Coordinates of each molecule: its two bond
    lengths (A) and the cosine of the angle between them; then, of each pair of molecules, the 9 distances
    from an atom of the one to one of the other (A).
    Each row is invariant under rotation and translation.  A permutation of like atoms or molecules reorders
    the rows, so that any mean over them is invariant.
    Raises ValueError for structures that are not of such molecules, or of different sizes.
    Averages over permutations: B. J. Braams and J. M. Bowman, Int. Rev. Phys. Chem. 28, 577 (2009).
    """
    positions = structures if hasattr(structures, "shape") else _positions(structures)
    if positions.ndim != 3 or positions.shape[1] % 3 or positions.shape[2] != 3 or 0 in positions.shape:
        raise ValueError(f"positions must be [n, 3 atoms a molecule, 3], not {tuple(positions.shape)}")
    every = [_coordinates(xp, positions[:, order]) for order in _orders(positions.shape[1] // 3)]
    return xp.stack(every, 1)


def symmetric_polynomials(
    coordinates: np.ndarray, degree: int, length: float = 1.0, xp: ModuleType = np
) -> np.ndarray:
    """All polynomials up to a degree in the shape of one molecule AB2 that like its ends alike.

    coordinates: of `internal_coordinates` for one molecule, [n, 2, 3].
    degree: the highest; 1 or more.
    length: A; bond lengths r come in as exp(-r / length), which is bounded however long the bond; default 1.
    xp: as in `internal_coordinates`.

    Returns float64 [n, n_columns], dimensionless: means over the two orders of a^i b^j c^k with i >= j, where
    a and b are exp(-r / length) of the bonds and c is the cosine; 2 columns of degree 1, 6 up to degree 2.
    Raises ValueError for coordinates of another shape, a degree or a length that cannot be.
    B. J. Braams and J. M. Bowman, Int. Rev. Phys. Chem. 28, 577 (2009).
    """
    if tuple(coordinates.shape[1:]) != (2, 3):
        raise ValueError(f"coordinates of one molecule are [n, 2, 3], not {tuple(coordinates.shape)}")
    if not length > 0:
        raise ValueError(f"the length must be a positive number, not {length}")
    a, b = (xp.exp(-coordinates[..., k] / length) for k in (0, 1))
    powers = [[v**k for k in range(whole("degree", degree) + 1)] for v in (a, b, coordinates[..., 2])]
    columns = [
        powers[0][i] * powers[1][j] * powers[2][k]
        for i, j, k in itertools.product(range(degree + 1), repeat=3)
        if 0 < i + j + k <= degree and i >= j
    ]
    return xp.stack(columns, 1).mean(2)


def _positions(structures):
    """Positions of all structures, [n, n_atoms, 3], A."""
    structures = validated(structures)
    pattern = structures[0].get_chemical_symbols()
    if len(pattern) % 3 or pattern != pattern[:3] * (len(pattern) // 3) or pattern[1] != pattern[2]:
        raise ValueError(
            f"structure 0 is {''.join(pattern)}: molecules A B B, one after the other, are asked for"
        )
    for number, atoms in enumerate(structures):
        if atoms.get_chemical_symbols() != pattern:
            raise ValueError(f"structure {number} is {atoms.symbols}, the first is {structures[0].symbols}")
    return np.array([atoms.positions for atoms in structures])


def _orders(n):
    """Every order of the atoms of n molecules that exchanges ends or molecules."""
    return [
        [atom for k, turned in zip(molecules, turns, strict=True) for atom in _ends(k, turned)]
        for molecules in itertools.permutations(range(n))
        for turns in itertools.product((False, True), repeat=n)
    ]


def _ends(molecule, turned):
    middle = 3 * molecule
    return [middle, middle + 2, middle + 1] if turned else [middle, middle + 1, middle + 2]


def _coordinates(xp, positions):
    """Coordinates in the order in which the atoms are, [n, n_coordinates]."""
    columns = []
    for middle in range(0, positions.shape[1], 3):
        first, second = (positions[:, middle + k] - positions[:, middle] for k in (1, 2))
        lengths = [xp.sqrt((bond**2).sum(-1)) for bond in (first, second)]
        columns += [*lengths, (first * second).sum(-1) / (lengths[0] * lengths[1])]
    for one, other in itertools.combinations(range(0, positions.shape[1], 3), 2):
        for i, j in itertools.product(range(3), repeat=2):
            columns.append(xp.sqrt(((positions[:, one + i] - positions[:, other + j]) ** 2).sum(-1)))
    return xp.stack(columns, -1)
