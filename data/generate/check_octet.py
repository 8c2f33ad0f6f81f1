"""The octet dataset against published numbers: which structure each compound takes, and by how much; the free
atoms.

    python data/generate/check_octet.py --data data/octet --mirror FOLDER

FOLDER holds the public repositories' files as owner/repo/commit/path; default, MLMS_DATA_MIRROR.  Published:
L. M. Ghiringhelli et al., Phys. Rev. Lett. 114, 105503 (2015), all electrons, LDA: energy of rocksalt minus
zincblende, eV an atom, of 82 compounds; properties of their atoms.
"""

import argparse
import csv
import json
import os
from pathlib import Path

import numpy as np
from ase import units
from ase.symbols import Symbols

from gather import from_dataset

REPOSITORY = "angeloziletti/ai4materials/36a339bab90d49468fc54261623d87ce419f459d/ai4materials/data"
COMPOUNDS = f"{REPOSITORY}/viewer_files/l1_l0_dim2_for_viewer.csv"
ATOMS = f"{REPOSITORY}/descriptors_data/ExtendedBinaries_Dimers_Atoms_new.json"
JOULE, METRE = units.J, units.m  # in eV, in A: the units of the published atoms
PROPERTIES = {
    "IP": ("ionization_potential", -JOULE),
    "EA": ("electron_affinity", -JOULE),
    "HOMO": ("homo", JOULE),
    "LUMO": ("lumo", JOULE),
    "r_s": ("rs_max", METRE),
    "r_p": ("rp_max", METRE),
    "r_d": ("rd_max", METRE),
}


def published(mirror):
    """Formula, elements in the order of the alphabet -> energy of rocksalt minus zincblende, eV an atom."""
    with open(Path(mirror) / COMPOUNDS, newline="", encoding="utf-8") as file:
        return {alphabetical(row["chemical_formula"]): float(row["y_true"]) for row in csv.DictReader(file)}


def alphabetical(formula):
    """One name for AlN and NAl, Si2 and Si."""
    symbols = Symbols.fromsymbols(formula)
    return "".join(sorted(symbols if len(symbols) == 2 else 2 * list(symbols)))


def computed(data):
    """The same of the dataset, for the compounds that have both structures."""
    energies = {
        (result["compound"], result["structure"]): float(result["energy_per_atom"])
        for result in from_dataset(data).values()
        if "structure" in result
    }
    return {
        alphabetical(compound): energy - energies[compound, "zincblende"]
        for (compound, structure), energy in energies.items()
        if structure == "rocksalt" and (compound, "zincblende") in energies
    }


def published_atoms(mirror):
    """Symbol -> property -> eV or A, with the signs of the dataset."""
    sections = json.loads((Path(mirror) / ATOMS).read_text(encoding="utf-8"))["sections"]
    (collection,) = sections.values()
    atoms = [section for section in collection["sections"].values() if "atomic_rs_max" in section]
    return {
        atom["atomic_element_symbol"]: {
            name: unit * atom[f"atomic_{key}"]
            for name, (key, unit) in PROPERTIES.items()
            if f"atomic_{key}" in atom
        }
        for atom in atoms
    }


def compare_atoms(data, mirror):
    """Print how far the free atoms are from the published ones; r_d without unbound functions (E_d > 0)."""
    theirs = published_atoms(mirror)
    ours = {
        name.removeprefix("element-"): result
        for name, result in from_dataset(data).items()
        if name.startswith("element-")
    }
    for name in PROPERTIES:
        symbols = [
            symbol
            for symbol in sorted(ours.keys() & theirs.keys())
            if name in theirs[symbol] and not (name == "r_d" and ours[symbol]["E_d"] > 0)
        ]
        if symbols:
            difference = np.array([float(ours[symbol][name]) - theirs[symbol][name] for symbol in symbols])
            far = abs(difference).argmax()
            print(
                f"{name}, {len(symbols)} atoms: median of the size of the difference "
                f"{np.median(abs(difference)):.3f}, largest "
                f"{difference[far]:+.3f} ({symbols[far]})"
            )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, type=Path, help="the dataset's folder")
    parser.add_argument(
        "--mirror", default=os.environ.get("MLMS_DATA_MIRROR"), help="folder of the published files"
    )
    arguments = parser.parse_args()
    if not arguments.mirror:
        parser.error("give --mirror, or set MLMS_DATA_MIRROR")
    compare_atoms(arguments.data, arguments.mirror)
    ours, theirs = computed(arguments.data), published(arguments.mirror)
    names = sorted(ours.keys() & theirs.keys())
    if not names:
        parser.exit(1, "No compound has both structures yet.\n")
    difference = np.array([ours[name] - theirs[name] for name in names])
    other = [name for name in names if ours[name] * theirs[name] < 0]
    print(f"{len(names)} of {len(theirs)} published compounds.")
    print(
        "Differences of E(rocksalt) - E(zincblende) from the published, eV an atom: root mean square "
        f"{np.sqrt((difference**2).mean()):.4f}, mean {difference.mean():+.4f}, median of the size "
        f"{np.median(abs(difference)):.4f}."
    )
    print(
        f"Same structure: {len(names) - len(other)}. Another:",
        ", ".join(f"{name} (here {ours[name]:+.3f} eV an atom)" for name in other) or "none",
    )
    print(
        "Farthest:", ", ".join(f"{names[i]} {difference[i]:+.3f}" for i in np.argsort(-abs(difference))[:8])
    )


if __name__ == "__main__":
    main()
