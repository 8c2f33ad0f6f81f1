"""(Al,Ga,In)2O3: six lattices, from measured structures of one member each, and decorations.  Needs only ASE.

group   measured        source
12      beta-Ga2O3      S. Geller, J. Chem. Phys. 33, 676 (1960)
33      kappa-Al2O3     L. Smrcok, V. Langer, J. Krestan, Acta Cryst. C 62, i83 (2006); here to two decimals
167     alpha-Al2O3     corundum
194     InGaO3          YAlO3 type, cations of five and six O in layers
206     In2O3           bixbyite, M. Marezio, Acta Cryst. 20, 723 (1966)
227     defect spinel   two of 18 cations missing in three primitive cells, one tetrahedral, one octahedral
"""

import functools

import numpy as np
from ase.build import make_supercell, niggli_reduce
from ase.neighborlist import neighbor_list
from ase.spacegroup import crystal

LATTICES = [12, 33, 167, 194, 206, 227]
CATIONS = ["Al", "Ga", "In"]
# What formation energies are measured from.
REFERENCES = {"Al": "167-10-Al4O6-0", "Ga": "12-10-Ga4O6-0", "In": "206-40-In16O24-0"}
# Supercells, by the atoms of the primitive cell, and how many mixed decorations of each.
SUPERCELLS = {
    10: {
        (1, 1, 1): 6,
        (2, 1, 1): 6,
        (1, 2, 1): 6,
        (1, 1, 2): 4,
        (3, 1, 1): 2,
        (1, 1, 3): 2,
        (2, 2, 1): 2,
        (2, 1, 2): 2,
    },
    40: {(1, 1, 1): 24},
}


def prototype(group):
    """Primitive cell of a space group, all cations Ga, oxygen last; 10 or 40 atoms."""
    lattices = {12: monoclinic, 33: kappa, 167: corundum, 194: hexagonal, 206: bixbyite, 227: defect_spinel}
    atoms = lattices[group]()
    return atoms[np.argsort(atoms.numbers == 8, kind="stable")]


def corundum():
    """Group 167."""
    return crystal(
        ["Ga", "O"],
        [(0, 0, 0.3554), (0.306, 0, 0.25)],
        spacegroup=167,
        cellpar=[4.98, 4.98, 13.43, 90, 90, 120],
        primitive_cell=True,
    )


def monoclinic():
    """Group 12."""
    return crystal(
        ["Ga", "Ga", "O", "O", "O"],
        [
            (0.0904, 0, 0.7948),
            (0.3414, 0, 0.6857),
            (0.1674, 0, 0.1011),
            (0.4957, 0, 0.2553),
            (0.8279, 0, 0.4365),
        ],
        spacegroup=12,
        cellpar=[12.23, 3.04, 5.80, 90, 103.7, 90],
        primitive_cell=True,
    )


def kappa():
    """Group 33."""
    return crystal(
        ["Ga"] * 4 + ["O"] * 6,
        [
            (0.68, 0.84, 0.00),
            (0.18, 0.34, 0.79),
            (0.81, 0.65, 0.70),
            (0.67, 0.47, 0.00),
            (0.33, 0.83, 0.89),
            (0.02, 0.49, 0.63),
            (0.47, 0.66, 0.64),
            (0.52, 0.67, 0.12),
            (0.86, 0.33, 0.87),
            (0.34, 0.50, 0.90),
        ],
        spacegroup=33,
        cellpar=[5.05, 8.70, 9.28, 90, 90, 90],
    )


def hexagonal():
    """Group 194."""
    return crystal(
        ["Ga", "Ga", "O", "O"],
        [(0, 0, 0), (1 / 3, 2 / 3, 0.25), (0, 0, 0.25), (1 / 3, 2 / 3, 0.086)],
        spacegroup=194,
        cellpar=[3.31, 3.31, 12.04, 90, 90, 120],
    )


def bixbyite():
    """Group 206."""
    return crystal(
        ["Ga", "Ga", "O"],
        [(0.25, 0.25, 0.25), (0.467, 0, 0.25), (0.39, 0.153, 0.382)],
        spacegroup=206,
        cellpar=[9.4] * 3 + [90] * 3,
        primitive_cell=True,
    )


def defect_spinel():
    """Group 227: three cells of spinel in a row, less one tetrahedral and one octahedral site, far apart."""
    spinel = crystal(
        ["Al", "Ga", "O"],
        [(1 / 8, 1 / 8, 1 / 8), (1 / 2, 1 / 2, 1 / 2), (0.26, 0.26, 0.26)],
        spacegroup=227,
        setting=2,
        cellpar=[8.25] * 3 + [90] * 3,
        primitive_cell=True,
    )
    atoms = make_supercell(spinel, [[1, 0, 0], [0, 1, 0], [-1, -1, 3]])
    distances = atoms.get_all_distances(mic=True)
    four, six = np.flatnonzero(atoms.numbers == 13), np.flatnonzero(atoms.numbers == 31)
    gap = distances[np.ix_(four, six)]
    i, j = np.unravel_index((gap > gap.max() - 1e-3).argmax(), gap.shape)
    atoms = atoms[np.setdiff1d(np.arange(len(atoms)), [four[i], six[j]])]
    atoms.numbers[atoms.numbers == 13] = 31
    niggli_reduce(atoms)
    return atoms


@functools.cache
def decorations():
    """All structures, small cells first, as (name, lattice, supercell, elements of the cations).

    A decoration counts as the same where the distances of every pair of elements below 6 A are: no lattice
    has two that differ only by symmetry, or by the supercell.
    """
    found = []
    for group in LATTICES:
        seen, cell, rng = set(), prototype(group), np.random.default_rng([20261125, group])
        for multiple, wanted in SUPERCELLS[len(cell)].items():
            atoms = make_supercell(cell, np.diag(multiple))
            sites = np.flatnonzero(atoms.numbers != 8)
            pure = [[element] * len(sites) for element in CATIONS] if max(multiple) == 1 else []
            first, second, distance = neighbor_list("ijd", atoms, 6.0)
            count = -len(pure)
            for _ in range(1000):
                # All compositions alike, binaries left out: they come first, in the primitive cell.
                cuts = np.sort(rng.choice(len(sites) + 2, 2, replace=False))
                counts = [cuts[0], cuts[1] - cuts[0] - 1, len(sites) + 1 - cuts[1]]
                elements = pure.pop() if pure else rng.permutation(np.repeat(CATIONS, counts)).tolist()
                if len(set(elements)) == 1 and count >= 0:
                    continue
                decorated = atoms.copy()
                decorated.symbols[sites] = elements
                mark = _mark(decorated, first, second, distance)
                if mark in seen:
                    continue
                seen.add(mark)
                formula = decorated.get_chemical_formula()
                same = sum(name.startswith(f"{group}-{len(atoms)}-{formula}-") for name, *_ in found)
                found.append((f"{group}-{len(atoms)}-{formula}-{same}", group, multiple, elements))
                count += 1
                if count == wanted:
                    break
    kinds = [name.split("-")[:2] for name, *_ in found]
    turn = {name: kinds[:i].count(kinds[i]) for i, (name, *_) in enumerate(found)}

    def place(row):
        """References first, then by size, the lattices in turns."""
        return row[0] not in REFERENCES.values(), int(row[0].split("-")[1]), turn[row[0]]

    return sorted(found, key=place)


def _mark(atoms, first, second, distance):
    """What two decorations of one lattice share only when they are the same: pairs of elements at each
    distance."""
    keys = np.column_stack([atoms.numbers[first], atoms.numbers[second], np.round(distance * 100)])
    rows, counts = np.unique(keys, axis=0, return_counts=True)
    return np.column_stack([rows, np.round(1000 * counts / len(atoms))]).astype(int).tobytes()
