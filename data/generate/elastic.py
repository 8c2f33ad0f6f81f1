"""Elastic constants of silicon by density-functional theory, for the card of `silicon` and notebook 11.

    python data/generate/elastic.py

prints lattice constant (A), C11, C12, C44 and bulk modulus (GPa) with plane waves to 150 eV, as the data, and
to 400 eV: stress at strains of +-1 %, atoms relaxed under shear, 8 x 8 x 8 k points off Gamma for the cell of
two atoms.  Two minutes of one core.

GPAW: J. J. Mortensen et al., J. Chem. Phys. 160, 092503 (2024).
"""

import numpy as np
from ase import units
from ase.build import bulk
from ase.optimize import BFGS
from gpaw import PW, FermiDirac
from gpaw.calculator import GPAW

LATTICE_CONSTANTS = {
    150: 5.479,
    400: 5.469,
}  # A, at each cutoff in eV; the second: all electrons, [1] of the card
STRAIN = 0.01


def stress(strain, lattice_constant, cutoff, relax=False):
    """Stress of the strained crystal, GPa, as xx, yy, zz, yz, xz, xy."""
    atoms = bulk("Si", "diamond", a=lattice_constant)
    atoms.set_cell(atoms.cell.array @ (np.eye(3) + strain), scale_atoms=True)
    atoms.calc = GPAW(
        mode=PW(cutoff),
        xc="PBE",
        kpts={"size": (8, 8, 8), "gamma": False},
        occupations=FermiDirac(0.1),
        convergence={"energy": 1e-6, "density": 1e-5},
        txt=None,
    )
    if relax:
        BFGS(atoms, logfile=None).run(fmax=0.003, steps=10)
    return atoms.get_stress() / units.GPa


def main():
    pull, shear = np.zeros((3, 3)), np.zeros((3, 3))
    pull[0, 0], shear[1, 2], shear[2, 1] = STRAIN, STRAIN / 2, STRAIN / 2
    for cutoff, edge in LATTICE_CONSTANTS.items():
        pulled = (stress(pull, edge, cutoff) - stress(-pull, edge, cutoff)) / (2 * STRAIN)
        sheared = (stress(shear, edge, cutoff, True) - stress(-shear, edge, cutoff, True)) / (2 * STRAIN)
        c11, c12, c44 = pulled[0], pulled[1], sheared[3]
        bulk_modulus = (c11 + 2 * c12) / 3
        print(f"{cutoff} eV: {edge} A, C11 {c11:.1f}, C12 {c12:.1f}, C44 {c44:.1f}, B {bulk_modulus:.1f} GPa")


if __name__ == "__main__":
    main()
