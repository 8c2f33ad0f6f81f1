"""How far a displaced atom is felt: forces, charges and potentials with one atom moved to and fro.

One atom of a perfect crystal is moved by +0.1 A and by -0.1 A along a direction that is no axis, all others
stay, and half of the difference of what density-functional theory says is the response to 0.1 A.  The cells
are those of the shipped data: silicon of 64 sites, and Li3PO4 of 128 atoms, in which a Li moves.
Functional, plane waves and k points are those of `silicon.py` and `lipon.py`; the electrons are converged
further, since differences are wanted.

    python data/generate/response.py --out runs/response --workers 1

writes `lithium-plus.npz`, `lithium-minus.npz` and so on; `gather.py` makes the dataset of them.

GPAW: J. J. Mortensen et al., J. Chem. Phys. 160, 092503 (2024).
PBE: J. P. Perdew, K. Burke and M. Ernzerhof, Phys. Rev. Lett. 77, 3865 (1996).
"""

import argparse
import functools
import sys
from pathlib import Path

import numpy as np
from gpaw.analyse.hirshfeld import HirshfeldPartitioning

import lipon
import silicon
from common import npz_bytes, run
from lipon_cells import host

STEP = 0.1  # A
DIRECTION = np.array([1, 2, 3]) / np.sqrt(14)
SIGNS = {"plus": 1, "minus": -1}
CASES = ["silicon", "lithium"]
CONVERGED = {"energy": 1e-6, "density": 1e-5, "eigenstates": 1e-8}  # eV and electrons, an electron
PACKAGES = ["ase", "gpaw", "gpaw-data", "numpy", "scipy"]


def crystal(case):
    """The perfect crystal, and the number of the atom that moves."""
    if case == "lithium":
        atoms = host("beta", large=True)
        return atoms, int(np.flatnonzero(atoms.symbols == "Li")[0])
    return silicon.crystal(2), 0


def calculator(case, atoms, log):
    """GPAW as the shipped data have it, converged further."""
    if case == "lithium":
        occupied = sum(lipon.VALENCE[symbol] for symbol in atoms.symbols) // 2
        return lipon.calculator(atoms, log, nbands=occupied + 8, convergence=CONVERGED)
    return silicon.calculator(2, len(atoms), log, convergence=CONVERGED)


def label(atoms, calc):
    """Energy (eV; of silicon with the electrons' entropy) and forces (eV/A), Hirshfeld charges (e) and
    potentials (eV, of an electron) of all atoms.
    """
    atoms.calc = calc
    return {
        "energy": atoms.get_potential_energy(force_consistent=True),
        "forces": atoms.get_forces(),
        "hirshfeld": HirshfeldPartitioning(calc).get_charges(),
        "potential": np.array(calc.get_atomic_electrostatic_potentials()),
    }


def work(case, logs):
    """The files of one crystal, for `common.run`."""
    perfect, moved = crystal(case)
    calc = None

    def compute(sign):
        nonlocal calc
        atoms = perfect.copy()
        atoms.positions[moved] += sign * STEP * DIRECTION
        used, calc = calc or calculator(case, atoms, f"{logs}/{case}.txt"), None  # not used again if it fails
        labels = label(atoms, used)
        calc = used
        return npz_bytes(
            {
                "numbers": atoms.numbers,
                "positions": atoms.positions,
                "cell": atoms.cell.array,
                "crystal": case,
                "moved": moved,
                "step": sign * STEP,
                **labels,
            }
        )

    for name, sign in SIGNS.items():
        yield f"{case}-{name}.npz", functools.partial(compute, sign)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", required=True, type=Path, help="folder of the results")
    parser.add_argument("--workers", type=int, default=1, help="processes, of one core each")
    arguments = parser.parse_args()
    logs = arguments.out.resolve() / "gpaw"
    logs.mkdir(parents=True, exist_ok=True)
    tasks = {case: [f"{case}-{name}.npz" for name in SIGNS] for case in CASES}
    return run(tasks, functools.partial(work, logs=logs), arguments.out, arguments.workers, PACKAGES)


if __name__ == "__main__":
    sys.exit(main())
