"""CHGNet's energies and forces for every shipped configuration of silicon and LiPON:
`data/chgnet/chgnet.npz`.

    python data/generate/chgnet_columns.py --out runs/chgnet --workers 2

A pretrained potential that has seen neither dataset, as a baseline, and as the lower of two levels of theory.

B. Deng et al., Nature Machine Intelligence 5, 1031 (2023).
"""

import argparse
import functools
import sys
from pathlib import Path

import numpy as np
from ase.io import read
from chgnet.model.dynamics import CHGNetCalculator

from common import npz_bytes, run, write_whole
from lipon import chgnet

DATA = Path(__file__).resolve().parent.parent
DATASETS = ["lipon", "lipon_motifs", "lipon_sealed", "lipon_arrangements", "silicon"]


def predictions(atoms):
    """The bytes of one configuration's file: energy (eV) and forces (eV/A)."""
    atoms = atoms.copy()
    atoms.calc = CHGNetCalculator(chgnet(), use_device="cpu")
    energy, forces = atoms.get_potential_energy(), atoms.get_forces()
    return npz_bytes({"energy": float(energy), "forces": forces})


def work(dataset):
    """The files of one dataset, for `common.run`."""
    for atoms in read(DATA / dataset / "configurations.extxyz", ":"):
        yield f"{dataset}_{atoms.info['config']}.npz", functools.partial(predictions, atoms)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", required=True, type=Path, help="folder of the results")
    parser.add_argument("--workers", type=int, default=1, help="processes, of one core each")
    arguments = parser.parse_args()
    there = [name for name in DATASETS if (DATA / name / "configurations.extxyz").exists()]
    tasks = {name: [file for file, _ in work(name)] for name in there}
    status = run(tasks, work, arguments.out, arguments.workers, ["ase", "chgnet", "numpy", "torch"])
    if status:
        return status
    columns = {}
    for name, files in tasks.items():
        for file in sorted(files):
            config, result = file.removeprefix(f"{name}_").removesuffix(".npz"), np.load(arguments.out / file)
            columns[f"{name}/{config}/energy"] = np.round(result["energy"], 5)
            columns[f"{name}/{config}/forces"] = (np.round(result["forces"], 4) + 0.0).astype("float32")
    write_whole(DATA / "chgnet" / "chgnet.npz", npz_bytes(columns))
    return 0


if __name__ == "__main__":
    sys.exit(main())
