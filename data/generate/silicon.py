"""Silicon with vacancies: energies, forces and stress by density-functional theory.

A family is one pattern of vacancies and one short trajectory: diamond silicon of 64 sites, 0 to 3 of them
empty, strained a little, relaxed and then moved by CHGNet; GPAW labels the relaxed structure and the
snapshots.  A large family has 216 sites, 4 to 13 of them empty, and one snapshot.  Family k is a function of
k alone.

    python data/generate/silicon.py --families 0:38 --large 0:8 --out runs/silicon --workers 2

writes `k0018-0.npz`, `large0003-0.npz` and so on; `gather.py` makes the dataset of them.  And

    python data/generate/silicon.py --convergence data/silicon --out runs/silicon-convergence

compares that with finer settings, and with what is known of silicon.

CHGNet: B. Deng et al., Nature Machine Intelligence 5, 1031 (2023).
GPAW: J. J. Mortensen et al., J. Chem. Phys. 160, 092503 (2024).
PBE: J. P. Perdew, K. Burke and M. Ernzerhof, Phys. Rev. Lett. 77, 3865 (1996).
"""

import argparse
import functools
import json
import sys
from pathlib import Path

import numpy as np
from ase import units
from ase.build import bulk
from ase.md.langevin import Langevin
from ase.md.velocitydistribution import MaxwellBoltzmannDistribution
from ase.optimize import BFGS, FIRE
from chgnet.model.dynamics import CHGNetCalculator
from gpaw import PW, FermiDirac
from gpaw.calculator import GPAW

from common import numbers, npz_bytes, run, update_checksums, write_whole
from eos import REACH, STEP, birch_murnaghan
from gather import from_dataset, structure
from lipon import chgnet

LATTICE_CONSTANT = 5.47  # of PBE, A; strained by -1.5 to +2 %
SNAPSHOTS = 4  # of a family: the relaxed structure, then three of the dynamics
TEMPERATURES = [300, 600, 900, 1200, 1500]  # K
VACANCIES = [1, 2, 3, 0]  # of families 0, 1, 2, ...; then again from the start
LARGE_VACANCIES = [4, 5, 7, 8, 9, 10, 12, 13]  # of the large families
CUTOFF = 150  # of the plane waves, eV
# By the number of cells along an axis.  Both sets sum the first translations of the cell to nothing, up to a
# length of 22 A (twice the edge of the small cell) and 23 A (the face diagonal of the large one).
KPOINTS = {2: {"size": (2, 2, 2), "gamma": False}, 3: [(0.25, 0.25, 0.25)]}
FINER = {"cutoff": {"mode": PW(350)}, "kpoints": {"kpts": {"size": (3, 3, 3), "gamma": True}}}
CHECKED = ["k0001-0", "k0002-2"]  # configurations that are computed with those settings too
MEANING = (
    "lattice_constant (A), bulk_modulus (GPa), vacancy_formation_energy (eV, one vacancy in 64 sites, "
    "relaxed; with the "
    "electrons' entropy, and extrapolated to zero width), vacancy_neighbours (A, the six distances of its "
    "four "
    "neighbours): with the shipped settings; the others shipped minus finer: energy_per_atom (eV), "
    "force_rms, force_max "
    "(eV/A, of the components; length of the largest difference), stress_max (GPa); cutoff: 350 eV; kpoints: "
    "3 x 3 x 3 "
    "with Gamma"
)
PACKAGES = ["ase", "chgnet", "gpaw", "gpaw-data", "numpy", "scipy", "torch"]


def crystal(cells):
    """Diamond silicon, cells x cells x cells cubic cells of eight atoms."""
    return bulk("Si", "diamond", a=LATTICE_CONSTANT, cubic=True) * (cells, cells, cells)


def with_vacancies(atoms, n, rng):
    """A copy with n atoms taken out: each next one, by the toss of a coin, beside one taken before or not."""
    distances = atoms.get_all_distances(mic=True)
    taken = []
    for _ in range(n):
        free = np.setdiff1d(np.arange(len(atoms)), taken)
        beside = free[(distances[free][:, taken] < 2.6).any(axis=1)]
        taken.append(int(rng.choice(beside if len(beside) and rng.random() < 0.5 else free)))
    return atoms[np.setdiff1d(np.arange(len(atoms)), taken)]


def trajectory(task):
    """The structures of one family: relaxed (at most 100 steps), then 60 fs, 40 fs and 40 fs of dynamics; of
    a large one only the first of the dynamics.
    """
    large, k = task.startswith("large"), int(task[-4:])
    rng = np.random.default_rng([20261124, large, k])
    n = (LARGE_VACANCIES if large else VACANCIES)[k % (8 if large else 4)]
    temperature = float(rng.choice(TEMPERATURES))
    atoms = with_vacancies(crystal(3 if large else 2), n, rng)
    atoms.set_cell(atoms.cell * (1 + rng.uniform(-0.015, 0.02)), scale_atoms=True)
    atoms.rattle(0.02, rng=rng)  # away from the symmetric structure
    atoms.calc = CHGNetCalculator(chgnet(), use_device="cpu")
    FIRE(atoms, logfile=None).run(fmax=0.03, steps=100)

    def snapshot(number, temperature):
        copy = atoms.copy()
        copy.wrap()
        copy.info = {
            "family": task,
            "snapshot": number,
            "n_sites": 216 if large else 64,
            "n_vacancies": n,
            "temperature": temperature,
        }
        return copy

    if not large:
        yield snapshot(0, 0.0)
    MaxwellBoltzmannDistribution(
        atoms, temperature_K=2 * temperature, rng=rng
    )  # half of it becomes potential energy
    dynamics = Langevin(atoms, 2 * units.fs, temperature_K=temperature, friction=0.02 / units.fs, rng=rng)
    for number in [0] if large else range(1, SNAPSHOTS):
        dynamics.run(30 if number <= 1 else 20)
        yield snapshot(number, temperature)


def calculator(cells, n_atoms, log, **finer):
    """GPAW: PBE, spin-paired, PAW, plane waves, k points off Gamma, no symmetry but that of time.

    Used for all snapshots of a family: the wave functions of one start the next.
    cells: of the supercell along each axis.   finer: GPAW's arguments in place of these.
    """
    settings = {
        "mode": PW(CUTOFF),
        "xc": "PBE",
        "kpts": KPOINTS[cells],
        "occupations": FermiDirac(0.1),
        "nbands": 2 * n_atoms + 6 + n_atoms // 16,
        "symmetry": {"point_group": False},
        "txt": log,
        "convergence": {"energy": 2e-5, "density": 1e-3, "eigenstates": 1e-4},
    }
    return GPAW(**{**settings, **finer})


def label(atoms, calc):
    """What DFT says of one structure: energy (eV; with the electrons' entropy, so that the forces are its
    slope), forces (eV/A), stress (eV/A^3, as ASE orders it).
    """
    atoms = atoms.copy()
    atoms.calc = calc
    return {
        "energy": atoms.get_potential_energy(force_consistent=True),
        "forces": atoms.get_forces(),
        "stress": atoms.get_stress(),
    }


def work(task, logs):
    """The files of one family, for `common.run`."""
    calc = None

    def compute(atoms):
        nonlocal calc
        cells = 3 if atoms.info["n_sites"] == 216 else 2
        used, calc = (
            calc or calculator(cells, len(atoms), f"{logs}/{task}.txt"),
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

    for atoms in trajectory(task):
        yield f"{task}-{atoms.info['snapshot']}.npz", functools.partial(compute, atoms)


def tasks(families, large):
    """Name of the family -> its files; families, large: numbers."""
    return {
        **{f"k{k:04d}": [f"k{k:04d}-{i}.npz" for i in range(SNAPSHOTS)] for k in families},
        **{f"large{k:04d}": [f"large{k:04d}-0.npz"] for k in large},
    }


def finer_work(task, folder, data):
    """One calculation of `convergence`, for `common.run`."""
    kind, *what = task.split(" ")
    log = folder / "gpaw" / f"{task}.txt"

    def bulk_energies():
        """Energies of the cubic cell of eight atoms, with k points as dense as in the supercell."""
        constants, energies = LATTICE_CONSTANT * STEP ** np.arange(-REACH, REACH + 1.0), []
        for constant in constants:
            atoms = bulk("Si", "diamond", a=constant, cubic=True)
            atoms.calc = calculator(2, 8, log, kpts={"size": (4, 4, 4), "gamma": False}, symmetry={})
            energies.append(atoms.get_potential_energy(force_consistent=True))
        return npz_bytes({"lattice_constant": constants, "energy": energies})

    def vacancy():
        """Perfect crystal, and one vacancy relaxed by DFT at the crystal's volume."""

        def energies(atoms):
            return [atoms.get_potential_energy(force_consistent=True), atoms.get_potential_energy()]

        atoms = crystal(2)
        atoms.calc = calculator(2, 64, log)
        perfect = energies(atoms)
        around = np.flatnonzero(atoms.get_distances(0, slice(1, None), mic=True) < 2.6)
        del atoms[0]
        atoms.rattle(0.05, seed=0)
        atoms.calc = calculator(2, 63, log)
        if not BFGS(atoms, logfile=None).run(fmax=0.05, steps=40):
            raise RuntimeError("the vacancy did not relax")
        distances = atoms.get_all_distances(mic=True)[np.ix_(around, around)]
        return npz_bytes(
            {"perfect": perfect, "vacancy": energies(atoms), "distances": distances[np.triu_indices(4, 1)]}
        )

    def finer():
        config, setting = what
        atoms = structure(config, from_dataset(data)[config])
        return npz_bytes(label(atoms, calculator(2, len(atoms), log, **FINER[setting])))

    yield f"{task}.npz", {"bulk": bulk_energies, "vacancy": vacancy, "finer": finer}[kind]


def convergence(folder, data, workers):
    """The shipped labels against finer settings, and known numbers: writes convergence.json into `data`."""
    names = ["bulk", "vacancy", *(f"finer {config} {setting}" for config in CHECKED for setting in FINER)]
    status = run(
        {name: [f"{name}.npz"] for name in names},
        functools.partial(finer_work, folder=folder, data=data),
        folder,
        workers,
        PACKAGES,
    )
    if status:
        return status
    results, shipped = {name: dict(np.load(folder / f"{name}.npz")) for name in names}, from_dataset(data)
    constants, energies = results["bulk"]["lattice_constant"], results["bulk"]["energy"]
    volume, _, modulus, _, _ = birch_murnaghan(constants**3, energies)
    report = {
        "meaning": MEANING,
        "lattice_constant": volume ** (1 / 3),
        "bulk_modulus": modulus / units.GPa,
        "vacancy_formation_energy": list(
            results["vacancy"]["vacancy"] - 63 / 64 * results["vacancy"]["perfect"]
        ),
        "vacancy_neighbours": sorted(results["vacancy"]["distances"]),
    }
    for name in names[2:]:
        config = shipped[name.split(" ")[1]]
        forces = config["forces"] - results[name]["forces"]
        report[name.removeprefix("finer ")] = {
            "energy_per_atom": (config["energy"] - results[name]["energy"]) / len(forces),
            "force_rms": np.sqrt((forces**2).mean()),
            "force_max": np.linalg.norm(forces, axis=1).max(),
            "stress_max": abs(config["stress"] - results[name]["stress"]).max() / units.GPa,
        }
    rounded = json.loads(json.dumps(report, default=float), parse_float=lambda text: round(float(text), 4))
    write_whole(data / "convergence.json", (json.dumps(rounded, indent=2) + "\n").encode("utf-8"))
    update_checksums(data)
    return 0


def main():
    parser = argparse.ArgumentParser(description="Compute silicon with vacancies; run it again to go on.")
    parser.add_argument(
        "--families", type=numbers, default="0:38", help="of 64 sites: first, and last plus one, as 0:38"
    )
    parser.add_argument("--large", type=numbers, default="0:8", help="families of 216 sites, likewise")
    parser.add_argument("--out", required=True, type=Path, help="folder of the results")
    parser.add_argument("--workers", type=int, default=1, help="processes, of one core each")
    parser.add_argument(
        "--convergence",
        type=Path,
        metavar="DATASET",
        help="instead, compare the dataset in this folder with finer settings",
    )
    arguments = parser.parse_args()
    folder = arguments.out.resolve()
    (folder / "gpaw").mkdir(parents=True, exist_ok=True)
    if arguments.convergence:
        return convergence(folder, arguments.convergence.resolve(), arguments.workers)
    return run(
        tasks(arguments.families, arguments.large),
        functools.partial(work, logs=folder / "gpaw"),
        folder,
        arguments.workers,
        PACKAGES,
    )


if __name__ == "__main__":
    sys.exit(main())
