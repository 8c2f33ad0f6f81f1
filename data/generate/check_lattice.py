"""Correlation functions by icet, which `mlms_helpers/lattice.py` is compared with.

    .venv-generate/bin/pip install icet        (compiles C++)
    .venv-generate/bin/python data/generate/check_lattice.py

writes `tests/icet_correlations.json`: 20 orderings of Li in LiTiS2, ten that are alike in every gap
and ten in cells drawn at random, and their cluster vectors with pairs, triplets and
quadruplets.  `tests/test_lattice.py` computes them anew without icet.
"""

import json
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.build import make_supercell
from icet import ClusterSpace

from lixtis2_cells import FULL, SULFUR

CUTOFFS = {2: 9.5, 3: 7.1, 4: 6.3}  # A
TARGET = Path(__file__).resolve().parents[2] / "tests" / "icet_correlations.json"


def primitive():
    """LiTiS2, as `lixtis2_cells.cell` makes it."""
    a, c = FULL
    positions = [(0, 0, 0), (1 / 3, 2 / 3, SULFUR / c), (2 / 3, 1 / 3, 1 - SULFUR / c), (0, 0, 0.5)]
    return Atoms("TiS2Li", cell=[a, a, c, 90, 90, 120], scaled_positions=positions, pbc=True)


def supercell(cell, matrix, share, rng):
    """A supercell with a share of its sites filled, and these sites, int [n, 3], in units of the cell."""
    atoms = make_supercell(cell, matrix)
    lithium = np.flatnonzero(atoms.symbols == "Li")
    empty = lithium[rng.permutation(len(lithium))[round(share * len(lithium)) :]]
    symbols = np.array(atoms.get_chemical_symbols())
    symbols[empty] = "X"
    atoms.set_chemical_symbols(symbols)
    at = np.linalg.solve(cell.cell.array.T, atoms.positions[symbols == "Li"].T).T - [0, 0, 0.5]
    return atoms, np.rint(at).astype(int)


def matrices(rng):
    """Twenty supercells: ten of one plane, ten that are drawn."""
    plane = [np.diag([3, 3, 1]), np.diag([4, 3, 1]), np.diag([5, 2, 1])]
    plane += [np.array([[a, b, 0], [0, c, 0], [0, 0, 1]]) for a, b, c in [(1, 2, 5), (2, 1, 4), (1, 3, 7)]]
    plane += [np.array([[2, 1, 0], [1, 3, 0], [0, 0, 1]]) * s for s in ([[1], [1], [1]], [[2], [1], [1]])]
    plane += [np.array([[2, 1, 0], [-1, 1, 0], [0, 0, 1]]), np.diag([6, 4, 1])]
    drawn = []
    while len(drawn) < 10:
        matrix = rng.integers(-2, 3, (3, 3))
        if 4 <= round(np.linalg.det(matrix)) <= 12:
            drawn.append(matrix)
    return plane + drawn


def main():
    cell, rng = primitive(), np.random.default_rng(0)
    space = ClusterSpace(cell, list(CUTOFFS.values()), [["Ti"], ["S"], ["S"], ["Li", "X"]])
    rows = []
    for matrix in matrices(rng):
        atoms, filled = supercell(cell, matrix, rng.uniform(0.2, 0.8), rng)
        vector = space.get_cluster_vector(atoms)
        rows.append(
            {"matrix": matrix.tolist(), "filled": filled.tolist(), "correlations": vector.round(13).tolist()}
        )
    frame = space.to_dataframe()
    report = {
        "meaning": "icet's cluster vectors of orderings of Li in LiTiS2; matrix: rows, the supercell in "
        "units of the cell; filled: the cells whose Li site is filled",
        "cell": cell.cell.array.round(8).tolist(),
        "symbols": list(cell.symbols),
        "scaled_positions": cell.get_scaled_positions().round(10).tolist(),
        "cutoffs": {str(order): cutoff for order, cutoff in CUTOFFS.items()},
        "order": frame["order"].tolist(),
        "multiplicity": frame["multiplicity"].tolist(),
        "structures": rows,
    }
    TARGET.write_text(json.dumps(report) + "\n")
    print(f"{len(rows)} orderings, {len(report['order'])} orbits -> {TARGET}")


if __name__ == "__main__":
    main()
