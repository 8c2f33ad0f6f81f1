"""Make a dataset of finished results: `configurations.extxyz`, tables, and the checksums in the data card.

    python data/generate/gather.py data/lipon runs/lipon --into data/lipon

Each source is a folder of .npz files (what the generators write) or a dataset made here before.  What is in
two sources comes from the first.  The same sources give the same bytes.  Where a number goes is told by its
name and its shape:

    numbers, positions, cell        the structure, a frame of configurations.extxyz (a molecule has no cell)
    energy, forces, stress          results of that frame, attached as ASE does
    eps, occ, share, weight         levels.npz
    TABLE/COLUMN, one a row         TABLE.csv, with the configuration's name in front
    any other number or word        the frame's info, a column of the loader's table
    any other array                 an array of the frame, one row an atom

The frame's name, `config`, is the file's.  A file element-X.npz holds no structure but numbers of the element
X: a row of elements.csv.
"""

import argparse
import csv
import io
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import read, write

from common import npz_bytes, update_checksums, write_whole

STRUCTURE = ["numbers", "positions", "cell"]
CALCULATED = ["energy", "forces", "stress"]
LEVELS = {"eps": "float64", "occ": "float32", "share": "float32", "weight": "float32"}
# fmt: off
DIGITS = {"positions": 6, "cell": 8, "energy": 6, "forces": 5, "stress": 7,             # A, eV, eV/A, eV/A^3
          "hirshfeld": 5, "potential": 4, "eps": 5, "share": 4, "weight": 4,            # e, eV, eV, part of 1
          "x": 6, "x_Al": 6, "x_Ga": 6, "x_In": 6, "gap": 4,                            # 1, eV
          **dict.fromkeys(["formation_energy", "energy_chgnet", "energy_chgnet_positions", "energy_d3",
                           "energy_metal", "energy_metal_d3"], 6),                      # eV
          "homo": 5, "lumo": 5, "distance": 6, "t1": 5,                                 # eV, eV, A, 1
          **dict.fromkeys(["hf", "pbe", "b3lyp", "mp2", "ccsd", "ccsdt"], 6),           # eV
          "energy_per_atom": 6, "lattice_constant": 5, "fit_rms": 6,                    # eV, A, eV
          "bulk_modulus": 2, "bulk_modulus_derivative": 3,                              # GPa, 1
          **dict.fromkeys(["IP", "EA", "HOMO", "LUMO", "E_s", "E_p", "E_d"], 3),        # eV
          **dict.fromkeys(["r_s", "r_p", "r_d"], 3)}                                    # A
# fmt: on


def from_run(folder):
    """What a generator's folder holds: name of the file -> name of the quantity -> array."""
    results = {}
    for path in sorted(folder.glob("*.npz")):
        with np.load(path) as file:
            results[path.stem] = dict(file)
    return results


def from_dataset(folder):
    """What a gathered dataset holds, in the same form."""
    results = {}
    for atoms in read(folder / "configurations.extxyz", ":"):
        others = {name: array for name, array in atoms.arrays.items() if name not in STRUCTURE}
        results[atoms.info.pop("config")] = {
            "numbers": atoms.numbers,
            "positions": atoms.positions,
            **({"cell": atoms.cell.array} if atoms.pbc.all() else {}),
            **atoms.calc.results,
            **atoms.info,
            **others,
        }
    if (folder / "levels.npz").exists():
        with np.load(folder / "levels.npz") as levels:
            for key in levels.files:
                config, name = key.split("/")
                results[config][name] = levels[key]
    for path in sorted(folder.glob("*.csv")):
        with open(path, newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                if path.stem == "elements":
                    symbol = row.pop("element")
                    results[f"element-{symbol}"] = {name: float(value) for name, value in row.items()}
                else:
                    config = results[row.pop("config")]
                    for name, value in row.items():
                        config.setdefault(f"{path.stem}/{name}", []).append(float(value))
    return results


def structure(config, result):
    """One configuration as `ase.Atoms`, what was calculated attached."""
    atoms = Atoms(
        result["numbers"], positions=result["positions"], cell=result.get("cell"), pbc="cell" in result
    )
    atoms.info = {"config": config}
    for name, value in result.items():
        if name in [*STRUCTURE, *CALCULATED, *LEVELS] or "/" in name:
            continue
        if np.ndim(value):
            atoms.set_array(name, value)
        else:
            atoms.info[name] = np.asarray(value).item()
    atoms.calc = SinglePointCalculator(
        atoms,
        **{
            name: float(result[name]) if name == "energy" else result[name]
            for name in CALCULATED
            if name in result
        },
    )
    return atoms


def csv_bytes(rows):
    """The bytes of a table; rows: dictionaries, all with the names of the first."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode("utf-8")


def tables(results):
    """The tables of a dataset: name of the .csv file -> its rows."""
    rows = {}
    for config, result in results.items():
        if config.startswith("element-"):
            numbers = {name: np.asarray(value).item() for name, value in result.items()}
            rows.setdefault("elements.csv", []).append(
                {"element": config.removeprefix("element-"), **numbers}
            )
        for table in dict.fromkeys(name.split("/")[0] for name in result if "/" in name):
            columns = {
                name.split("/")[1]: values for name, values in result.items() if name.startswith(f"{table}/")
            }
            for row in zip(*columns.values(), strict=True):
                numbers = {name: np.asarray(value).item() for name, value in zip(columns, row, strict=True)}
                rows.setdefault(f"{table}.csv", []).append({"config": config, **numbers})
    return rows


def gather(sources, target):
    """Write the dataset of all that `sources` hold into the folder `target`; returns its number of frames."""
    results = {}
    for source in map(Path, sources):
        found = from_dataset(source) if (source / "configurations.extxyz").exists() else from_run(source)
        if not found:
            raise FileNotFoundError(f"{source} holds no finished configuration.")
        results = {**found, **results}
    results = dict(sorted(results.items()))
    for result in results.values():
        for name in result:
            digits = DIGITS.get(name.split("/")[-1])
            if digits is not None:
                result[name] = np.round(np.asarray(result[name], dtype="float64"), digits) + 0.0  # no -0.0
    structures = [structure(config, result) for config, result in results.items() if "numbers" in result]
    frames = io.StringIO()
    write(frames, structures, format="extxyz")
    files = {
        "configurations.extxyz": frames.getvalue().encode("utf-8"),
        **{name: csv_bytes(rows) for name, rows in tables(results).items()},
    }
    levels = {
        f"{config}/{name}": result[name].astype(kind)
        for config, result in results.items()
        for name, kind in LEVELS.items()
        if name in result
    }
    if levels:
        files["levels.npz"] = npz_bytes(levels)
    for name, content in files.items():
        write_whole(Path(target) / name, content)
    return len(structures)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sources", nargs="+", type=Path)
    parser.add_argument("--into", required=True, type=Path, help="the dataset's folder")
    arguments = parser.parse_args()
    print(f"{gather(arguments.sources, arguments.into)} structures in {arguments.into.name}.")
    if (arguments.into / "README.md").exists():
        print("Checksums brought up to date in README.md:", *update_checksums(arguments.into))


if __name__ == "__main__":
    main()
