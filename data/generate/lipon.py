"""LiPON: energies, forces, charges and one-electron levels of Li(3+y)PO(4-y)N(y) by density-functional
theory.

A family is one doping pattern and one short trajectory: a 64-atom supercell of beta- or gamma-Li3PO4 in which
n O atoms are replaced by N and n Li atoms are put into voids, so that every cell is neutral and closed shell.
CHGNet moves the atoms; GPAW labels the snapshots.  A large family has twice the cell, grown along its
shortest axis, and one snapshot. Family k is a function of k alone.

    python data/generate/lipon.py --families 0:70 --large 0:8 --out runs/lipon --workers 2

writes `k0018-0.npz` and so on, one file a snapshot; `gather.py` makes the dataset of them.

CHGNet: B. Deng et al., Nature Machine Intelligence 5, 1031 (2023).
GPAW: J. J. Mortensen et al., J. Chem. Phys. 160, 092503 (2024).
PBE: J. P. Perdew, K. Burke and M. Ernzerhof, Phys. Rev. Lett. 77, 3865 (1996).
"""

import argparse
import functools
import sys
from pathlib import Path

import numpy as np
import torch
from ase import units
from ase.md.langevin import Langevin
from ase.md.velocitydistribution import MaxwellBoltzmannDistribution
from ase.optimize import FIRE
from chgnet.model import CHGNet
from chgnet.model.dynamics import CHGNetCalculator
from gpaw import PW, FermiDirac
from gpaw.analyse.hirshfeld import HirshfeldPartitioning
from gpaw.calculator import GPAW

from common import numbers, npz_bytes, run
from lipon_cells import dope, host

N_NITROGEN = [0, 1, 1, 2, 2, 3, 4, 1]  # of families 0 and 1, 2 and 3, ...; then again from the start
LARGE = 1000  # number of the first large family; they count on from there
LARGE_NITROGEN = [1, 1, 0, 2, 3, 4, 6, 8]  # of the large families; then again from the start
STEPS, LARGE_STEPS = [15, 45, 45], [60]  # of 1.5 fs, before each snapshot of a family
TEMPERATURES = [300, 600, 900, 1200]  # K
VALENCE = {"Li": 1, "P": 5, "O": 6, "N": 5}  # electrons of the PAW data sets
RADII = {
    "Li": 0.76,
    "P": 0.6,
    "O": 1.0,
    "N": 1.05,
}  # A: borders between atoms near the least density on the line between them
PACKAGES = ["ase", "chgnet", "gpaw", "gpaw-data", "numpy", "scipy", "torch"]


@functools.cache
def chgnet():
    """The pretrained CHGNet 0.3.0."""
    torch.set_num_threads(1)
    return CHGNet.load(verbose=False)


def trajectory(k):
    """The snapshots of family k: strained by -1 to +2 %, relaxed a little, then 22.5, 67.5 and 67.5 fs of
    dynamics; of a large one only one, after 90 fs.
    """
    rng = np.random.default_rng([20261123, k])
    phase = ["beta", "gamma"][k % 2]
    large = k >= LARGE
    n = LARGE_NITROGEN[(k - LARGE) % 8] if large else N_NITROGEN[(k // 2) % 8]
    temperature = float(rng.choice(TEMPERATURES))
    atoms = dope(host(phase, large), n, rng)
    atoms.set_cell(atoms.cell * (1 + rng.uniform(-0.01, 0.02)), scale_atoms=True)
    atoms.calc = CHGNetCalculator(chgnet(), use_device="cpu")
    FIRE(atoms, logfile=None).run(fmax=0.1, steps=50)
    MaxwellBoltzmannDistribution(atoms, temperature_K=temperature, rng=rng)
    dynamics = Langevin(atoms, 1.5 * units.fs, temperature_K=temperature, friction=0.02 / units.fs, rng=rng)
    for snapshot, steps in enumerate(LARGE_STEPS if large else STEPS):
        dynamics.run(steps)
        copy = atoms.copy()
        copy.wrap()
        copy.info = {
            "family": k,
            "snapshot": snapshot,
            "phase": phase,
            "n_nitrogen": n,
            "temperature": temperature,
        }
        yield copy


def calculator(atoms, log, **finer):
    """GPAW: PBE, PAW, plane waves to 500 eV, the Gamma point; the three lowest empty bands are converged too.

    Used for all snapshots of a family: the wave functions of one start the next, which saves a third of the
    time. finer: GPAW's arguments in place of these.
    """
    occupied = sum(VALENCE[symbol] for symbol in atoms.symbols) // 2
    settings = {
        "mode": PW(500),
        "xc": "PBE",
        "occupations": FermiDirac(0.02),
        "nbands": occupied + 8,
        "txt": log,
        "convergence": {"energy": 2e-4, "density": 1e-3, "eigenstates": 1e-4, "bands": occupied + 3},
    }
    return GPAW(**{**settings, **finer})


def weights(atoms, calc):
    """Each atom's part of the electrons of each band, [atoms, bands]; 1 over all atoms.

    Space is divided among the atoms, a point to the atom whose distance less `RADII` is smallest; the bands'
    smooth parts are summed there, and what the PAW spheres lack is added to their atoms (P. E. Bloechl, Phys.
    Rev. B 50, 17953 (1994), eq. 11). Only for cells at right angles.
    """
    kpt = calc.wfs.kpt_u[0]
    points = np.moveaxis(calc.wfs.gd.get_grid_point_coordinates(), 0, -1).reshape(-1, 3) * units.Bohr
    size = atoms.cell.lengths()
    distances = [
        np.linalg.norm((points - position + size / 2) % size - size / 2, axis=1) - RADII[symbol]
        for position, symbol in zip(atoms.positions, atoms.symbols, strict=True)
    ]
    owner = np.argmin(distances, axis=0) == np.arange(len(atoms))[:, None]
    smooth = np.array(
        [np.abs(calc.get_pseudo_wave_function(band=n)).ravel() ** 2 for n in range(len(kpt.eps_n))]
    )
    sphere = [
        np.einsum("ni,ij,nj->n", kpt.P_ani[a].conj(), calc.setups[a].dO_ii, kpt.P_ani[a]).real
        for a in range(len(atoms))
    ]
    return owner @ smooth.T * (atoms.get_volume() / len(points)) + sphere


def label(atoms, calc):
    """What DFT says of one snapshot.

    Returns energy (eV), forces (eV/A), hirshfeld charges (e) and potential (eV, of an electron) of each atom;
    eps (eV) and occ (0 to 2) of each band; share [atoms, bands], each atom's part of the band by PAW
    projections, 1 over all atoms; weight [atoms, bands], its part of the band's electrons, likewise.
    """
    atoms = atoms.copy()
    atoms.calc = calc
    energy, forces = atoms.get_potential_energy(), atoms.get_forces()
    projections = calc.wfs.kpt_u[0].P_ani
    share = np.array([(np.abs(projections[i]) ** 2).sum(1) for i in range(len(atoms))])
    return {
        "energy": energy,
        "forces": forces,
        "hirshfeld": HirshfeldPartitioning(calc).get_charges(),
        "potential": np.array(calc.get_atomic_electrostatic_potentials()),
        "eps": calc.get_eigenvalues(),
        "occ": calc.get_occupation_numbers(),
        "share": (share / share.sum(0)).astype("float32"),
        "weight": weights(atoms, calc).astype("float32"),
    }


def work(family, logs):
    """The files of one family, for `common.run`."""
    calc = None

    def compute(atoms):
        nonlocal calc
        used, calc = (
            calc or calculator(atoms, f"{logs}/{family}.txt"),
            None,
        )  # one that fails is not used again
        labels = label(atoms, used)
        calc = used
        return npz_bytes(
            {
                "numbers": atoms.numbers,
                "positions": atoms.positions,
                "cell": atoms.cell.array,
                **atoms.info,
                **labels,
            }
        )

    for atoms in trajectory(int(family[1:])):
        yield f"{family}-{atoms.info['snapshot']}.npz", functools.partial(compute, atoms)


def tasks(families, large):
    """Name of the family -> its files; families, large: numbers, of the large ones without LARGE."""
    snapshots = {**dict.fromkeys(families, len(STEPS)), **{LARGE + k: len(LARGE_STEPS) for k in large}}
    return {f"k{k:04d}": [f"k{k:04d}-{i}.npz" for i in range(count)] for k, count in snapshots.items()}


def main():
    parser = argparse.ArgumentParser(description="Compute LiPON configurations; run it again to go on.")
    parser.add_argument(
        "--families",
        type=numbers,
        default="0:70",
        help="of 64 to 68 atoms: first, and last plus one, as 0:70",
    )
    parser.add_argument("--large", type=numbers, default="0:8", help="families of twice the cell, likewise")
    parser.add_argument("--out", required=True, type=Path, help="folder of the results")
    parser.add_argument("--workers", type=int, default=1, help="processes, of one core each")
    arguments = parser.parse_args()
    logs = arguments.out.resolve() / "gpaw"
    logs.mkdir(parents=True, exist_ok=True)
    return run(
        tasks(arguments.families, arguments.large),
        functools.partial(work, logs=logs),
        arguments.out,
        arguments.workers,
        PACKAGES,
    )


if __name__ == "__main__":
    sys.exit(main())
