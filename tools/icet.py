"""Correlation functions by icet, kept in a file since icet is no dependency, and ours beside them."""

import json
from pathlib import Path

import numpy as np
from ase import Atoms
from scipy.optimize import linear_sum_assignment

from mlms_helpers import lattice

# Written by data/generate/check_lattice.py.
REFERENCE = json.loads((Path(__file__).parent.parent / "tests" / "icet_correlations.json").read_text())


def primitive(pbc: bool | tuple[bool, bool, bool] = True) -> Atoms:
    """The primitive cell that icet was given, periodic along the axes that `pbc` names."""
    return Atoms(
        REFERENCE["symbols"], cell=REFERENCE["cell"], scaled_positions=REFERENCE["scaled_positions"], pbc=pbc
    )


def difference() -> tuple[list[lattice.Orbit], int, float]:
    """Our orbits, the number of orderings, and the largest difference of a correlation from icet's."""
    found = lattice.orbits(primitive(), {int(k): v for k, v in REFERENCE["cutoffs"].items()})
    orderings = []
    for one in REFERENCE["structures"]:
        shape = lattice.hermite(one["matrix"])
        occupied = np.zeros(len(lattice.sites(shape)), bool)
        occupied[lattice.fold(one["filled"], shape)] = True
        orderings.append(lattice.Ordering(shape, occupied))
    ours = lattice.correlations(found, orderings)
    icets = np.array([one["correlations"] for one in REFERENCE["structures"]])
    apart = abs(ours[:, :, None] - icets[:, None]).max(axis=0)  # ours, icet's: they order equal lengths anew
    apart[np.array([o.order for o in found])[:, None] != REFERENCE["order"]] = 9
    return found, len(orderings), float(apart[linear_sum_assignment(apart)].max())
