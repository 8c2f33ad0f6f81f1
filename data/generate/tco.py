"""(Al,Ga,In)2O3: formation energies and band gaps of random decorations of six lattices.

A structure is a lattice, a supercell and a decoration.  Its cell and positions lie between those of the
eighteen binaries (three elements, six lattices, relaxed by CHGNet), in proportion to its composition
(Vegard's rule); CHGNet relaxes both; GPAW labels what comes out.  No decoration occurs twice.

    python data/generate/tco.py --out runs/tco --workers 2

writes `12-10-Al4O6-0.npz` (lattice, atoms, formula, number) and so on, small cells first; `gather.py` makes
the dataset of them.  And

    python data/generate/tco.py --convergence data/tco --out runs/tco-convergence

compares two of them with finer settings.

Formation energy per cation: energy / cations - sum of x_i E_i, E_i per cation of corundum Al2O3, beta-Ga2O3
(group 12) and bixbyite In2O3 (group 206), computed alike; added when all three are there.

Ga has 3d electrons in the valence, which gpaw-data does not offer, and without which the order of the
lattices of Ga2O3 is wrong.  `Ga.d.PBE` was made by GPAW 26.7: gpaw dataset Ga -e 13 -f PBE -w -t d
"""

import argparse
import functools
import io
import json
import sys
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.build import make_supercell, niggli_reduce
from ase.filters import FrechetCellFilter
from ase.io import read, write
from ase.optimize import FIRE
from ase.spacegroup.symmetrize import refine_symmetry
from chgnet.model.dynamics import CHGNetCalculator
from gpaw import PW, FermiDirac, setup_paths
from gpaw.calculator import GPAW

from common import npz_bytes, run, update_checksums, write_whole
from gather import from_dataset, structure
from lipon import chgnet
from tco_cells import CATIONS, REFERENCES, decorations, prototype

VALENCE = {"Al": 3, "Ga": 13, "In": 13, "O": 6}  # electrons of the PAW data sets
SCALE = {"Al": 0.955, "Ga": 1.0, "In": 1.085}  # of the prototypes' lattice constants, to start from
CUTOFF, DENSITY = 600, 2.0  # eV; k points per 1/A
FINER = {
    "cutoff": {"mode": PW(800)},
    "kpoints": {"kpts": {"density": 3.0, "gamma": True}},
}
CHECKED = ["12-10-Al4O6-0", "167-10-Al4O6-0"]
MEANING = (
    "shipped minus finer: energy_per_cation (eV), gap (eV), "
    "force_max (eV/A, length of the largest difference); cutoff: 800 eV; kpoints: density 3.0 per 1/A"
)
PACKAGES = ["ase", "chgnet", "gpaw", "gpaw-data", "numpy", "scipy", "spglib", "torch"]


def relax(atoms, fmax=0.03, steps=500):
    """Positions and cell by CHGNet, symmetry kept exact; a copy.  Raises RuntimeError if it does not
    converge."""
    atoms = atoms.copy()
    atoms.calc = CHGNetCalculator(chgnet(), use_device="cpu")
    optimizer = FIRE(FrechetCellFilter(atoms), logfile=None)
    if not optimizer.run(fmax=fmax, steps=steps):
        raise RuntimeError(f"not relaxed after {steps} steps")
    energy, atoms.calc = float(atoms.get_potential_energy()), None
    niggli_reduce(atoms)
    refine_symmetry(atoms, symprec=0.03)
    atoms.info = {**atoms.info, "energy_chgnet": energy, "relaxation_steps": optimizer.nsteps}
    return atoms


def binary(group, element, folder):
    """One of the eighteen, primitive cell, relaxed; the same order of atoms for the three; kept in
    `folder`."""
    path = folder / "gpaw" / f"binary-{group}-{element}.extxyz"
    if not path.exists():
        atoms = prototype(group)
        atoms.symbols[atoms.symbols == "Ga"] = element
        atoms.set_cell(atoms.cell * SCALE[element], scale_atoms=True)
        atoms.calc = CHGNetCalculator(chgnet(), use_device="cpu")
        FIRE(FrechetCellFilter(atoms), logfile=None).run(fmax=0.02, steps=500)
        atoms.calc, text = None, io.StringIO()
        write(text, atoms, format="extxyz")
        write_whole(path, text.getvalue().encode("utf-8"))
    return read(path)


def decorated(name, folder):
    """A structure of `decorations` before it is relaxed."""
    _, group, multiple, elements = next(row for row in decorations() if row[0] == name)
    sources = [binary(group, element, folder) for element in CATIONS]
    x = np.array([elements.count(element) for element in CATIONS]) / len(elements)
    first = sources[0].get_scaled_positions(wrap=False)
    offsets = [source.get_scaled_positions(wrap=False) - first for source in sources]
    atoms = Atoms(
        sources[0].symbols,
        cell=np.tensordot(x, [source.cell.array for source in sources], 1),
        scaled_positions=first + np.tensordot(x, [offset - np.round(offset) for offset in offsets], 1),
        pbc=True,
    )
    atoms = make_supercell(atoms, np.diag(multiple))
    atoms.symbols[np.flatnonzero(atoms.numbers != 8)] = elements
    parts = {f"x_{element}": float(part) for element, part in zip(CATIONS, x, strict=True)}
    atoms.info = {"lattice": group, **parts}
    return atoms


def calculator(atoms, log, **finer):
    """GPAW: PBE, PAW, plane waves, Gamma-centred k points; the lowest empty band is converged too.

    finer: GPAW's arguments in place of these.
    """
    occupied = sum(VALENCE[symbol] for symbol in atoms.symbols) // 2
    settings = {
        "mode": PW(CUTOFF),
        "xc": "PBE",
        "kpts": {"density": DENSITY, "gamma": True},
        "occupations": FermiDirac(0.05),
        "setups": {"Ga": "d"},
        "symmetry": {"tolerance": 1e-5},
        "nbands": occupied + 6 + len(atoms) // 16,
        "convergence": {"energy": 2e-5, "density": 1e-3, "eigenstates": 1e-4, "bands": occupied + 1},
        "txt": log,
    }
    return GPAW(**{**settings, **finer})


def label(atoms, log, **finer):
    """What DFT says: energy (eV), forces (eV/A), gap (eV), and how many k points were computed.

    finer: GPAW's arguments in place of `calculator`'s.
    """
    folder = str(Path(__file__).resolve().parent)
    if folder not in setup_paths:
        setup_paths.insert(0, folder)
    atoms = atoms.copy()
    atoms.calc = calculator(atoms, log, **finer)
    energy, forces = atoms.get_potential_energy(), atoms.get_forces()
    homo, lumo = atoms.calc.get_homo_lumo()
    k_points = len(atoms.calc.get_ibz_k_points())
    return {"energy": energy, "forces": forces, "gap": max(0.0, lumo - homo), "k_points": k_points}


def work(name, folder):
    """The file of one structure, for `common.run`."""

    def compute():
        atoms = relax(decorated(name, folder))
        labels = label(atoms, f"{folder}/gpaw/{name}.txt")
        cell = {"numbers": atoms.numbers, "positions": atoms.positions, "cell": atoms.cell.array}
        return npz_bytes({**cell, **atoms.info, **labels})

    yield f"{name}.npz", compute


def add_formation_energies(folder):
    """Put formation_energy (eV per cation) into every finished file that lacks it, once the references are
    there."""
    if not all((folder / f"{name}.npz").exists() for name in REFERENCES.values()):
        return
    results = {path: dict(np.load(path)) for path in sorted(folder.glob("*.npz"))}
    zero = {}
    for element, name in REFERENCES.items():
        result = results[folder / f"{name}.npz"]
        zero[element] = result["energy"] / (result["numbers"] != 8).sum()
    for path, result in results.items():
        if "formation_energy" not in result:
            reference = sum(result[f"x_{element}"] * zero[element] for element in CATIONS)
            energy = result["energy"] / (result["numbers"] != 8).sum() - reference
            write_whole(path, npz_bytes({**result, "formation_energy": energy}))


def finer_work(name, data, logs):
    """One calculation with finer settings, for `common.run`."""
    config, setting = name.rsplit("_", 1)
    atoms = structure(config, from_dataset(data)[config])
    yield f"{name}.npz", lambda: npz_bytes(label(atoms, f"{logs}/{name}.txt", **FINER[setting]))


def convergence(data, folder, workers):
    """Compute the finer calculations and write `convergence.json` beside the data; returns the exit
    status."""
    names = [f"{config}_{setting}" for config in CHECKED for setting in FINER]
    tasks = {name: [f"{name}.npz"] for name in names}
    logs = folder / "gpaw"
    status = run(tasks, functools.partial(finer_work, data=data, logs=logs), folder, workers, PACKAGES)
    if status:
        return status
    shipped, report = from_dataset(data), {"meaning": MEANING}
    for name in names:
        config, setting = name.rsplit("_", 1)
        ours, finer = shipped[config], np.load(folder / f"{name}.npz")
        numbers = {
            "energy_per_cation": (ours["energy"] - finer["energy"]) / (ours["numbers"] != 8).sum(),
            "gap": ours["gap"] - finer["gap"],
            "force_max": np.linalg.norm(ours["forces"] - finer["forces"], axis=1).max(),
        }
        report.setdefault(config, {})[setting] = {key: round(float(v), 4) + 0.0 for key, v in numbers.items()}
    write_whole(data / "convergence.json", (json.dumps(report, indent=2) + "\n").encode("utf-8"))
    update_checksums(data)
    return 0


def main():
    parser = argparse.ArgumentParser(description="Compute (Al,Ga,In)2O3; run it again to go on.")
    parser.add_argument("--atoms", type=int, default=40, help="largest cells to compute")
    parser.add_argument(
        "--convergence", type=Path, metavar="DATA", help="compare this dataset with finer ones"
    )
    parser.add_argument("--out", required=True, type=Path, help="folder of the results")
    parser.add_argument("--workers", type=int, default=1, help="processes, of one core each")
    arguments = parser.parse_args()
    folder = arguments.out.resolve()
    (folder / "gpaw").mkdir(parents=True, exist_ok=True)
    if arguments.convergence:
        return convergence(arguments.convergence.resolve(), folder, arguments.workers)
    names = [name for name, *_ in decorations()]
    small = [
        name for name in names if int(name.split("-")[1]) <= arguments.atoms or name in REFERENCES.values()
    ]
    tasks = {name: [f"{name}.npz"] for name in small}
    status = run(tasks, functools.partial(work, folder=folder), folder, arguments.workers, PACKAGES)
    add_formation_energies(folder)
    return status


if __name__ == "__main__":
    sys.exit(main())
