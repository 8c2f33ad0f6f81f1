"""LixTiS2 (1T): energies of orderings of Li on the octahedral sites of the gap, by density-functional theory.

Every ordering of all cells of up to five formula units in the plane, by enumeration, small cells
first.  The cell lies between those measured of TiS2 and LiTiS2, in proportion to x; CHGNet relaxes the
positions in it, and a few steps by the forces of DFT follow.  Dispersion, D3(BJ), stands beside the energy
as a number of its own.

    python data/generate/lixtis2.py --out runs/lixtis2 --workers 2

writes `o1-00.npz` (formula units, number) and so on, and `element-Li.npz`, the metal; `gather.py` makes
the dataset of them.  And

    python data/generate/lixtis2.py --convergence data/lixtis2 --out runs/lixtis2-convergence

compares the two end members with finer settings.

PBE-D3(BJ): S. Grimme, S. Ehrlich, L. Goerigk, J. Comput. Chem. 32, 1456 (2011).
"""

import argparse
import functools
import json
import sys
from pathlib import Path

import numpy as np
from ase.build import bulk
from ase.optimize import BFGS, FIRE
from ase.spacegroup.symmetrize import refine_symmetry
from chgnet.model.dynamics import CHGNetCalculator
from dftd3.ase import DFTD3
from gpaw import PW, FermiDirac
from gpaw.calculator import GPAW

from common import npz_bytes, run, update_checksums, write_whole
from gather import from_dataset, structure
from lipon import chgnet
from lixtis2_cells import orderings

CUTOFF, DENSITY, WIDTH = 400, 4.0, 0.1  # eV; k points per 1/A; eV
METAL = {"kpts": {"density": 8.0, "gamma": True}}  # bcc Li, 3.44 A
FMAX = 0.05  # eV/A, where the steps by DFT end
FINER = {
    "cutoff": {"mode": PW(600)},
    "kpoints": {"kpts": {"density": 5.2, "gamma": True}},
    "width": {"occupations": FermiDirac(0.05)},
}
MEANING = (
    "shipped minus finer, eV a formula unit, at the same positions: the energies of the end members, and "
    "their difference, which makes the voltage; cutoff: 600 eV; kpoints: density 5.2 per 1/A; width: 0.05 eV"
)
PACKAGES = ["ase", "chgnet", "dftd3", "gpaw", "gpaw-data", "numpy", "scipy", "torch"]


def relax(atoms):
    """Positions by CHGNet in the cell given, symmetry kept exact; a copy.  Raises RuntimeError if it does
    not end."""
    atoms = atoms.copy()
    atoms.calc = CHGNetCalculator(chgnet(), use_device="cpu")
    if not FIRE(atoms, logfile=None).run(fmax=0.02, steps=300):
        raise RuntimeError("not relaxed after 300 steps")
    atoms.calc = None
    refine_symmetry(atoms, symprec=0.03)
    return atoms


def calculator(log, **finer):
    """GPAW: PBE, PAW, plane waves, Gamma-centred k points.   finer: GPAW's arguments in place of these."""
    settings = {
        "mode": PW(CUTOFF),
        "xc": "PBE",
        "kpts": {"density": DENSITY, "gamma": True},
        "occupations": FermiDirac(WIDTH),
        "nbands": "120%",
        "symmetry": {"tolerance": 1e-5},
        "convergence": {"energy": 2e-5, "density": 1e-3, "eigenstates": 1e-4},
        "txt": log,
    }
    return GPAW(**{**settings, **finer})


def dispersion(atoms):
    """D3(BJ) for PBE, eV."""
    atoms = atoms.copy()
    atoms.calc = DFTD3(method="PBE", damping="d3bj")
    return atoms.get_potential_energy()


def ordering(atoms, log, steps):
    """The bytes of an ordering's file: what DFT says of the lowest of at most `steps` steps by its forces.

    energy: eV, extrapolated to zero width of the occupations.  energy_chgnet_positions: that before the
    steps.  dft_steps: those up to the lowest; a step can go uphill, as in o4-00.
    """
    atoms = relax(atoms)
    atoms.calc = calculator(log)
    energies, places = [], []
    for _ in BFGS(atoms, logfile=None, maxstep=0.05).irun(fmax=FMAX, steps=steps):
        energies.append(atoms.get_potential_energy())
        places.append((atoms.positions.copy(), atoms.get_forces()))
    lowest = int(np.argmin(energies))
    atoms.positions, forces = places[lowest]
    labels = {
        "energy": energies[lowest],
        "forces": forces,
        "energy_d3": dispersion(atoms),
        "energy_chgnet_positions": energies[0],
        "dft_steps": lowest,
    }
    structure = {"numbers": atoms.numbers, "positions": atoms.positions, "cell": atoms.cell.array}
    return npz_bytes({**structure, **atoms.info, **labels})


def metal(log):
    """The bytes of the file of bcc Li: energies of an atom, eV."""
    atoms = bulk("Li", "bcc", a=3.44)
    atoms.calc = calculator(log, **METAL)
    return npz_bytes({"energy_metal": atoms.get_potential_energy(), "energy_metal_d3": dispersion(atoms)})


def work(name, logs, steps):
    """One file, for `common.run`."""
    if name == "element-Li":
        yield f"{name}.npz", functools.partial(metal, f"{logs}/{name}.txt")
    else:
        yield f"{name}.npz", functools.partial(ordering, orderings()[name], f"{logs}/{name}.txt", steps)


def finer_work(name, data, logs):
    """One end member with a finer setting, for `common.run`."""
    config, setting = name.split("_")

    def compute():
        atoms = structure(config, from_dataset(data)[config])
        atoms.calc = calculator(f"{logs}/{name}.txt", **FINER[setting])
        return npz_bytes({"energy": atoms.get_potential_energy()})

    yield f"{name}.npz", compute


def convergence(data, folder, workers):
    """Compute the end members with finer settings, write `convergence.json` beside the data; the exit
    status."""
    names = [f"{config}_{setting}" for config in ("o1-00", "o1-01") for setting in FINER]
    tasks = {name: [f"{name}.npz"] for name in names}
    work = functools.partial(finer_work, data=data, logs=folder / "gpaw")
    status = run(tasks, work, folder, workers, PACKAGES)
    if status:
        return status
    shipped, report = from_dataset(data), {"meaning": MEANING}
    for setting in FINER:
        empty, full = (
            float(shipped[config]["energy"] - np.load(folder / f"{config}_{setting}.npz")["energy"])
            for config in ("o1-00", "o1-01")
        )
        numbers = {"TiS2": empty, "LiTiS2": full, "difference": full - empty}
        report[setting] = {key: round(value, 4) + 0.0 for key, value in numbers.items()}
    write_whole(data / "convergence.json", (json.dumps(report, indent=2) + "\n").encode("utf-8"))
    update_checksums(data)
    return 0


def main():
    parser = argparse.ArgumentParser(description="Compute orderings of LixTiS2; run it again to go on.")
    parser.add_argument("--units", type=int, default=5, help="formula units of the largest cells")
    parser.add_argument("--steps", type=int, default=4, help="of the positions by DFT, at most")
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
    names = ["element-Li", *orderings(arguments.units)]
    tasks = {name: [f"{name}.npz"] for name in names}
    job = functools.partial(work, logs=folder / "gpaw", steps=arguments.steps)
    return run(tasks, job, folder, arguments.workers, PACKAGES)


if __name__ == "__main__":
    sys.exit(main())
