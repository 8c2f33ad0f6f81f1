"""Neighbours of every atom, the weight that fades with their distance, and their number."""

from collections.abc import Sequence

import numpy as np
from ase import Atoms
from vesin import NeighborList

from ._checks import apart, box, is_symbol, positive, validated


def neighbours(atoms: Atoms, cutoff: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """All pairs closer than the cutoff, periodic images included, each pair both ways round.

    atoms: periodic or not.
    cutoff: A; may be longer than the cell.

    Returns i, j (int [n_pairs], 0-based) and r (float64 [n_pairs, 3], A), the vector from i to j.
    Raises ValueError for positions that are not finite, a cell without volume, or a cutoff that is not a
    positive length.
    """
    validated([atoms])
    positive("cutoff", cutoff)
    if not atoms.pbc.any():  # no need to look beyond a molecule
        cutoff = min(cutoff, 1.0 + np.linalg.norm(np.ptp(atoms.positions, axis=0)))
    i, j, r = NeighborList(cutoff=float(cutoff), full_list=True).compute(
        points=atoms.positions, box=box(atoms), periodic=np.asarray(atoms.pbc), quantities="ijD"
    )
    return i.astype(int), j.astype(int), r


def distinct_neighbours(
    atoms: Atoms, cutoff: float, number: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """`neighbours`, and their distances; a ValueError where two lie at one place in structure `number`."""
    i, j, r = neighbours(atoms, cutoff)
    d = np.sqrt((r * r).sum(axis=1))
    apart(i, j, d, number)
    return i, j, r, d


def neighbour_count(structures: Sequence[Atoms], symbol: str = "Li", cutoff: float = 2.6) -> np.ndarray:
    """Number of neighbours of one species within the cutoff: a descriptor to count on one's fingers.

    structures: periodic or not.
    symbol: chemical symbol of the neighbours.
    cutoff: A.

    Returns float64 [n_atoms_total], dimensionless.
    Raises ValueError for what is no chemical symbol, and two atoms at one place.
    """
    neighbour_count_labels(structures, symbol, cutoff)  # says what is wrong with them
    out = []
    for number, atoms in enumerate(validated(structures)):
        i, j, _, _ = distinct_neighbours(atoms, cutoff, number)
        out.append(np.bincount(i[atoms.symbols[j] == symbol], minlength=len(atoms)))
    return np.concatenate(out).astype(float)


def neighbour_count_labels(structures, symbol, cutoff):
    positive("cutoff", cutoff)
    if not is_symbol(symbol):
        raise ValueError(f"symbol must be a chemical symbol, as 'Li', not {symbol!r}")
    return [f"{symbol} within {cutoff:g} A"]


def cutoff_function(distance: np.ndarray, cutoff: float, xp=np) -> np.ndarray:
    """Behler's cosine cutoff: 1 at zero distance, 0 with zero slope at the cutoff.

    distance: A, any shape.
    cutoff: A.
    xp: numpy, or jax.numpy for derivatives.

    Returns float64 of the same shape, dimensionless.
    J. Behler and M. Parrinello, PRL 98, 146401 (2007), eq. 3.
    """
    return xp.where(distance < cutoff, 0.5 * (xp.cos(np.pi * xp.asarray(distance) / cutoff) + 1), 0.0)


def per_structure(values: np.ndarray, structures: Sequence[Atoms]) -> list[np.ndarray]:
    """Cut a per-atom array into one array a structure.

    values: array [n_atoms_total, ...].
    structures: the list it was made from.

    Returns a list of arrays [n_atoms, ...].
    Raises ValueError where the array has not one row an atom.
    """
    sizes = [len(atoms) for atoms in structures]
    if len(values) != sum(sizes):
        raise ValueError(f"the structures have {sum(sizes)} atoms, but the array has {len(values)} rows")
    return np.split(np.asarray(values), np.cumsum(sizes)[:-1])
