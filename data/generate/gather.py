"""Make a dataset of finished results: `configurations.extxyz`, `levels.npz` and the checksums in the data card.

    python data/generate/gather.py data/lipon runs/lipon --into data/lipon

Each source is a folder of one .npz file a configuration (what the generators write) or a dataset made here before.  A
configuration in two sources comes from the first.  The same sources give the same bytes.
"""
import argparse
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import read, write

from common import npz_bytes, update_checksums, write_whole

INFO = ["family", "snapshot", "phase", "n_nitrogen", "temperature"]
DIGITS = {"positions": 6, "cell": 8, "energy": 6, "forces": 5, "hirshfeld": 5, "potential": 4,    # A, eV, eV/A, e, eV
          "eps": 5, "share": 4}                                                                    # eV, part of 1
LEVELS = {"eps": "float64", "occ": "float32", "share": "float32"}


def from_run(folder):
    """Configurations of a generator's folder: name -> name of the quantity -> array."""
    results = {}
    for path in sorted(folder.glob("k*-*.npz")):
        with np.load(path) as file:
            results[path.stem] = dict(file)
    return results


def from_dataset(folder):
    """Configurations of a gathered dataset, in the same form."""
    results = {}
    with np.load(folder / "levels.npz") as levels:
        for atoms in read(folder / "configurations.extxyz", ":"):
            config = atoms.info["config"]
            results[config] = {"numbers": atoms.numbers, "positions": atoms.positions, "cell": atoms.cell.array,
                               "energy": atoms.get_potential_energy(), "forces": atoms.get_forces(),
                               "hirshfeld": atoms.arrays["hirshfeld"], "potential": atoms.arrays["potential"],
                               **{name: atoms.info[name] for name in INFO},
                               **{name: levels[f"{config}/{name}"] for name in LEVELS}}
    return results


def structure(config, result):
    """One configuration as `ase.Atoms`, energy and forces attached."""
    atoms = Atoms(result["numbers"], positions=result["positions"], cell=result["cell"], pbc=True)
    atoms.info = {"config": config, **{name: np.asarray(result[name]).item() for name in INFO}}
    for name in ("hirshfeld", "potential"):
        atoms.set_array(name, result[name])
    atoms.calc = SinglePointCalculator(atoms, energy=float(result["energy"]), forces=result["forces"])
    return atoms


def gather(sources, target):
    """Write the dataset of all configurations of `sources` into the folder `target`; returns how many there are."""
    results = {}
    for source in map(Path, sources):
        found = from_dataset(source) if (source / "levels.npz").exists() else from_run(source)
        if not found:
            raise FileNotFoundError(f"{source} holds no finished configuration.")
        results = {**found, **results}
    results = dict(sorted(results.items(), key=lambda item: (item[1]["family"], item[1]["snapshot"])))
    for result in results.values():
        for name, digits in DIGITS.items():
            result[name] = np.round(np.asarray(result[name], dtype="float64"), digits) + 0.0        # no -0.0
    half = Path(target) / "configurations.extxyz.part"
    write(half, [structure(config, result) for config, result in results.items()], format="extxyz")
    half.replace(Path(target) / "configurations.extxyz")
    write_whole(Path(target) / "levels.npz",
                npz_bytes({f"{config}/{name}": result[name].astype(kind)
                           for config, result in results.items() for name, kind in LEVELS.items()}))
    return len(results)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sources", nargs="+", type=Path)
    parser.add_argument("--into", required=True, type=Path, help="the dataset's folder")
    arguments = parser.parse_args()
    print(f"{gather(arguments.sources, arguments.into)} configurations in {arguments.into.name}.")
    if (arguments.into / "README.md").exists():
        print("Checksums brought up to date in README.md:", *update_checksums(arguments.into))


if __name__ == "__main__":
    main()
