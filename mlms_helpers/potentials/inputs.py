"""Structures as the arrays that a compiled program takes: neighbours in slots, structures in bins."""

from collections.abc import Sequence

import numpy as np
from ase import Atoms

from mlms_helpers.descriptors._checks import apart, chemical_species, validated
from mlms_helpers.descriptors.neighbours import neighbours

NEAREST = 0.3  # A; atoms closer than this are at one place


def pairs(atoms: Atoms, cutoff: float, number: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Neighbours sorted by atom: i, j (int [n_pairs]), r (float64 [n_pairs, 3], A), from i to j.

    Raises ValueError as `descriptors.neighbours` does, and for atoms closer than 0.3 A.
    """
    i, j, r = neighbours(atoms, cutoff)
    d = np.sqrt((r * r).sum(axis=1))
    apart(i, j, d, number)
    if len(d) and d.min() < NEAREST:
        a = d.argmin()
        raise ValueError(
            f"structure {number}: atoms {i[a]} and {j[a]} are {d[a]:.2g} A apart, too close for any potential"
        )
    order = np.argsort(i, kind="stable")
    return i[order], j[order], r[order]


def slots(i: np.ndarray, j: np.ndarray, r: np.ndarray, n_atoms: int, width: int, far: float) -> tuple:
    """Neighbours in slots: partner [n_atoms, width], r [n_atoms, width, 3], A; empty slots are `far` away."""
    place = np.arange(len(i)) - np.searchsorted(i, i)
    partner, vectors = np.zeros((n_atoms, width), np.int32), np.full((n_atoms, width, 3), far)
    partner[i, place], vectors[i, place] = j, r
    return partner, vectors


def bins(sizes: Sequence[int], room: int) -> list[list[int]]:
    """Which structures share a bin of `room` atoms: first fit, the largest first."""
    out, left = [], []
    for k in np.argsort(sizes, kind="stable")[::-1]:
        place = next((b for b, free in enumerate(left) if free >= sizes[k]), None)
        if place is None:
            out, left, place = [*out, []], [*left, room], len(left)
        out[place].append(int(k))
        left[place] -= sizes[k]
    return out


def packed(
    structures: Sequence[Atoms], cutoff: float, species: Sequence[str], least: tuple[int, int] = (1, 1)
) -> tuple[dict, list[list[int]]]:
    """Structures as samples of one shape: several small ones share a bin as large as the largest.

    structures: periodic or not.
    cutoff: A.
    species: symbols that may occur.

    Returns a dict of arrays, and the numbers of the structures in each bin.  With n bins of `room` atoms and
    at most `few` structures, `width` neighbours an atom:
    r float64 [n, room, width, 3], A, from the atom to its neighbour (an empty slot: beyond the cutoff);
    partner int32 [n, room, width], the neighbour's place in the bin; kind int32 [n, room, width], own int32
    [n, room], species (own -1: no atom); which int32 [n, room], place of the structure in the bin.
    """
    structures = validated(structures)
    species = chemical_species(structures, species)
    lists = [pairs(atoms, cutoff, number) for number, atoms in enumerate(structures)]
    sizes = [len(atoms) for atoms in structures]
    room = max(least[0], *sizes)
    together = bins(sizes, room)
    width = max([int(np.bincount(i).max()) for i, _, _ in lists if len(i)], default=1)
    width = max(width, least[1])
    n = len(together)
    out = {
        "r": np.full((n, room, width, 3), 2 * cutoff),
        "partner": np.zeros((n, room, width), np.int32),
        "kind": np.zeros((n, room, width), np.int32),
        "own": np.full((n, room), -1, np.int32),
        "which": np.zeros((n, room), np.int32),
    }
    for b, members in enumerate(together):
        start = 0
        for place, k in enumerate(members):
            rows = slice(start, start + sizes[k])
            partner, vectors = slots(*lists[k], sizes[k], width, 2 * cutoff)
            number = np.searchsorted(species, structures[k].symbols)
            out["r"][b, rows], out["partner"][b, rows] = vectors, partner + start
            out["kind"][b, rows], out["own"][b, rows] = number[partner], number
            out["which"][b, rows] = place
            start += sizes[k]
    return out, together


def labels(structures: Sequence[Atoms]) -> tuple[np.ndarray, list[np.ndarray]]:
    """Energies float64 [n], eV, and forces, a list of float64 [n_atoms, 3], eV/A, that the structures carry.

    Raises ValueError for a structure without them, or with one that is not a finite number.
    """
    energies, forces = [], []
    for number, atoms in enumerate(structures):
        results = getattr(atoms.calc, "results", {})
        for name in ("energy", "forces"):
            if results.get(name) is None:
                raise ValueError(
                    f"structure {number} has no {name}: attach them by ASE's SinglePointCalculator, or read "
                    "an extended XYZ file that holds them"
                )
        force = np.asarray(results["forces"], float)
        if force.shape != (len(atoms), 3):
            raise ValueError(
                f"structure {number}: its forces have the shape {force.shape}, not {(len(atoms), 3)}"
            )
        if not (np.isfinite(results["energy"]) and np.isfinite(force).all()):
            raise ValueError(f"structure {number}: its energy, or a force, is not a finite number")
        energies.append(float(results["energy"]))
        forces.append(force)
    return np.array(energies), forces
