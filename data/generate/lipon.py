"""LiPON: energies, forces, charges and one-electron levels of Li(3+y)PO(4-y)N(y) by density-functional theory.

A family is one doping pattern and one short trajectory: a 64-atom supercell of beta- or gamma-Li3PO4 in which n O
atoms are replaced by N and n Li atoms are put into voids, so that every cell is neutral and closed shell.  CHGNet moves
the atoms; GPAW labels the snapshots.  A large family has twice the cell, grown along its shortest axis, and one snapshot.
Family k is a function of k alone.

    python data/generate/lipon.py --families 0:70 --large 0:8 --out runs/lipon --workers 2

writes `k0018-0.npz` and so on, one file a snapshot; `gather.py` makes the dataset of them.

CHGNet: B. Deng et al., Nature Machine Intelligence 5, 1031 (2023).   GPAW: J. J. Mortensen et al., J. Chem. Phys. 160,
092503 (2024).   PBE: J. P. Perdew, K. Burke and M. Ernzerhof, Phys. Rev. Lett. 77, 3865 (1996).
"""
import argparse
import functools
import sys
from pathlib import Path

import numpy as np
import torch
from ase import Atom, units
from ase.geometry import get_distances
from ase.md.langevin import Langevin
from ase.md.velocitydistribution import MaxwellBoltzmannDistribution
from ase.optimize import FIRE
from ase.spacegroup import crystal
from chgnet.model import CHGNet
from chgnet.model.dynamics import CHGNetCalculator
from gpaw import PW, FermiDirac
from gpaw.analyse.hirshfeld import HirshfeldPartitioning
from gpaw.calculator import GPAW

from common import numbers, npz_bytes, run

N_NITROGEN = [0, 1, 1, 2, 2, 3, 4, 1]           # of families 0 and 1, 2 and 3, ...; then again from the start
LARGE = 1000                                    # number of the first large family; they count on from there
LARGE_NITROGEN = [1, 1, 0, 2, 3, 4, 6, 8]       # of the large families; then again from the start
STEPS, LARGE_STEPS = [15, 45, 45], [60]         # of 1.5 fs, before each snapshot of a family
TEMPERATURES = [300, 600, 900, 1200]            # K
VALENCE = {"Li": 1, "P": 5, "O": 6, "N": 5}     # electrons of the PAW data sets
PACKAGES = ["ase", "chgnet", "gpaw", "gpaw-data", "numpy", "scipy", "torch"]


def unit_cell(phase):
    """Li3PO4: "beta" (Pmn2_1, 16 atoms) or "gamma" (Pnma, 32 atoms); lattice about 1 % above the measured one.

    beta: C. Keffer et al., Inorg. Chem. 6, 119 (1967).
    """
    if phase == "beta":
        return crystal(["Li", "Li", "P", "O", "O", "O"],
                       [(0.248, 0.328, 0.986), (0.0, 0.157, 0.489), (0.0, 0.824, 0.0),
                        (0.208, 0.686, 0.898), (0.0, 0.105, 0.898), (0.0, 0.816, 0.321)],
                       spacegroup=31, cellpar=[6.157, 5.283, 4.907, 90, 90, 90])
    return crystal(["Li", "Li", "P", "O", "O", "O"],
                   [(0.163, 0.503, 0.303), (0.424, 0.25, 0.205), (0.411, 0.75, 0.309),
                    (0.342, 0.544, 0.206), (0.050, 0.75, 0.292), (0.0904, 0.25, 0.124)],
                   spacegroup=62, cellpar=[10.56, 6.16, 4.96, 90, 90, 90])


def host(phase, large=False):
    """64 atoms of Li3PO4, or 128."""
    return unit_cell(phase) * {"beta": (1 + large, 2, 2), "gamma": (1, 1 + large, 2)}[phase]


def dope(atoms, n, rng):
    """A copy with n O atoms replaced by N, and n Li atoms added, each in a void drawn from the roomiest.

    A grid point is the roomier the farther its nearest cation (up to 2.1 A) and its nearest anion (up to 1.9 A).
    """
    atoms = atoms.copy()
    oxygen = [i for i, symbol in enumerate(atoms.symbols) if symbol == "O"]
    for i in rng.choice(oxygen, n, replace=False) if n else []:
        atoms[int(i)].symbol = "N"
    axis = np.linspace(0, 1, 20, endpoint=False)
    grid = np.stack(np.meshgrid(axis, axis, axis), -1).reshape(-1, 3) @ atoms.cell.array
    for _ in range(n):
        distances = get_distances(grid, atoms.positions, cell=atoms.cell, pbc=True)[1]
        cations = np.isin(atoms.symbols, ["Li", "P"])
        room = (np.minimum(distances[:, cations].min(1), 2.1)
                + np.minimum(distances[:, ~cations].min(1), 1.9))
        atoms.append(Atom("Li", grid[rng.choice(np.where(room > room.max() - 0.2)[0])]))
    return atoms


@functools.cache
def chgnet():
    """The pretrained CHGNet 0.3.0."""
    torch.set_num_threads(1)
    return CHGNet.load(verbose=False)


def trajectory(k):
    """The snapshots of family k: strained by -1 to +2 %, relaxed a little, then 22.5, 67.5 and 67.5 fs of dynamics; of a
    large one only one, after 90 fs.
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
        copy.info = {"family": k, "snapshot": snapshot, "phase": phase, "n_nitrogen": n, "temperature": temperature}
        yield copy


def calculator(atoms, log, **finer):
    """GPAW: PBE, PAW, plane waves to 500 eV, the Gamma point; the three lowest empty bands are converged too.

    Used for all snapshots of a family: the wave functions of one start the next, which saves a third of the time.
    finer: GPAW's arguments in place of these.
    """
    occupied = sum(VALENCE[symbol] for symbol in atoms.symbols) // 2
    settings = {"mode": PW(500), "xc": "PBE", "occupations": FermiDirac(0.02), "nbands": occupied + 8, "txt": log,
                "convergence": {"energy": 2e-4, "density": 1e-3, "eigenstates": 1e-4, "bands": occupied + 3}}
    return GPAW(**{**settings, **finer})


def label(atoms, calc):
    """What DFT says of one snapshot.

    Returns energy (eV), forces (eV/A), hirshfeld charges (e) and potential (eV, of an electron) of each atom; eps (eV) and
    occ (0 to 2) of each band; share [atoms, bands], each atom's part of the band by PAW projections, 1 over all atoms.
    """
    atoms = atoms.copy()
    atoms.calc = calc
    energy, forces = atoms.get_potential_energy(), atoms.get_forces()
    projections = calc.wfs.kpt_u[0].P_ani
    share = np.array([(np.abs(projections[i]) ** 2).sum(1) for i in range(len(atoms))])
    return {"energy": energy, "forces": forces,
            "hirshfeld": HirshfeldPartitioning(calc).get_charges(),
            "potential": np.array(calc.get_atomic_electrostatic_potentials()),
            "eps": calc.get_eigenvalues(), "occ": calc.get_occupation_numbers(),
            "share": (share / share.sum(0)).astype("float32")}


def work(family, logs):
    """The files of one family, for `common.run`."""
    calc = None

    def compute(atoms):
        nonlocal calc
        used, calc = calc or calculator(atoms, f"{logs}/{family}.txt"), None     # one that fails is not used again
        labels = label(atoms, used)
        calc = used
        return npz_bytes({"numbers": atoms.numbers, "positions": atoms.positions, "cell": atoms.cell.array,
                          **atoms.info, **labels})

    for atoms in trajectory(int(family[1:])):
        yield f"{family}-{atoms.info['snapshot']}.npz", functools.partial(compute, atoms)


def tasks(families, large):
    """Name of the family -> its files; families, large: numbers, of the large ones without LARGE."""
    snapshots = {**dict.fromkeys(families, len(STEPS)), **{LARGE + k: len(LARGE_STEPS) for k in large}}
    return {f"k{k:04d}": [f"k{k:04d}-{i}.npz" for i in range(count)] for k, count in snapshots.items()}


def main():
    parser = argparse.ArgumentParser(description="Compute LiPON configurations; run it again to go on.")
    parser.add_argument("--families", type=numbers, default="0:70", help="of 64 to 68 atoms: first, and last plus one, as 0:70")
    parser.add_argument("--large", type=numbers, default="0:8", help="families of twice the cell, likewise")
    parser.add_argument("--out", required=True, type=Path, help="folder of the results")
    parser.add_argument("--workers", type=int, default=1, help="processes, of one core each")
    arguments = parser.parse_args()
    logs = arguments.out.resolve() / "gpaw"
    logs.mkdir(parents=True, exist_ok=True)
    return run(tasks(arguments.families, arguments.large), functools.partial(work, logs=logs), arguments.out,
               arguments.workers, PACKAGES)


if __name__ == "__main__":
    sys.exit(main())
