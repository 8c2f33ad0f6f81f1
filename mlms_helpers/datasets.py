"""Load the reference data that come with the course, and check that they are whole."""

import hashlib
import os
import re
from pathlib import Path
from typing import NamedTuple

import ase.io
import numpy as np
import pandas as pd


# Plausible energies, eV an atom: a wrong unit, or a wrong zero, falls out of them.
ENERGY_PER_ATOM = {"lipon": (-8, -3), "octet": (-12, 0), "silicon": (-7, -3),
                   "chains": (-700, -250), "water_ccsdt": (-693, -689)}        # all electrons, from bare nuclei


class Dataset(NamedTuple):
    """A list of structures, a table with one row each, and the text of the data card."""
    structures: list
    table: pd.DataFrame
    card: str


def folder():
    """Where the shipped datasets lie: `MLMS_DATA` if set, else `data/` beside the package."""
    return Path(os.environ.get("MLMS_DATA") or Path(__file__).resolve().parent.parent / "data")


def names():
    """Names of the shipped datasets, sorted: the folders that hold a data card with checksums."""
    return sorted(card.parent.name for card in folder().glob("*/README.md") if _checksums(card.read_text()))


def load(name):
    """Load a shipped dataset, after comparing every file with the checksum in its data card.

    name: one of `names()`.

    Returns Dataset(structures, table, card): a list of `ase.Atoms` with energy (eV) and, where they were computed, forces
    (eV/A) and stress (eV/A^3) attached as ASE does, a DataFrame with one row a structure, and the card's text.  The table
    has every number or word of the structures' info.  More comes with some of them, as their cards say:

    - `levels.npz`: arrays `share` [n_atoms, n_bands], info `eps` (eV) and `occ` (0 to 2), both [n_bands]: see `levels`.
    - `elements.csv`: columns `A` and `B` of the table, elements of the first and the last atom, and their `NAME_A`, `NAME_B`.
    - `eos.csv`: info `eos`, a DataFrame, one row a point of the structure's equation of state.

    Raises ValueError for an unknown name, FileNotFoundError or ValueError for a missing or damaged
    file; the message names the file and the mend.
    """
    if name not in names():
        raise ValueError(f"no dataset is called {name!r}; there are: {', '.join(names()) or 'none'}")
    here = folder() / name
    card = (here / "README.md").read_text()
    for file, checksum in _checksums(card).items():
        _verify(here / file, checksum)
    structures = ase.io.read(here / "configurations.extxyz", ":")
    table = pd.DataFrame([{**atoms.info, "formula": atoms.get_chemical_formula(), "n_atoms": len(atoms),
                           "energy": atoms.get_potential_energy()} for atoms in structures])
    if (here / "levels.npz").exists():
        _attach_levels(structures, here / "levels.npz")
    if (here / "elements.csv").exists():
        elements = pd.read_csv(here / "elements.csv").set_index("element")
        for side, number in {"A": 0, "B": -1}.items():
            table[side] = [atoms.symbols[number] for atoms in structures]
            table = table.join(elements.add_suffix(f"_{side}"), on=side)
    if (here / "eos.csv").exists():
        points = dict(list(pd.read_csv(here / "eos.csv").groupby("config")))
        for atoms in structures:
            if atoms.info["config"] in points:
                atoms.info["eos"] = points[atoms.info["config"]].drop(columns="config").reset_index(drop=True)
    return Dataset(structures, table, card)


def check(name):
    """Look for what should not be in a dataset.

    name: as in `load`.

    Returns a list of sentences, one a fault; empty when all is well.  Looked for: a value that is not
    finite, two atoms closer than 0.7 A or one farther than 4.5 A from all others, an energy an atom that its unit or zero
    does not allow, forces that do not sum to zero (0.05 eV/A an atom), Hirshfeld charges that do not sum to zero (0.01 e an
    atom), two structures alike, occupations that are not those of a closed shell, band shares that do not sum to one, a
    lowest energy at the end of an equation of state.
    """
    data, faults, seen = load(name), [], {}
    for number, atoms in enumerate(data.structures):
        label = atoms.info.get("config", number)
        say = lambda text, label=label: faults.append(f"{name}, {label}: {text}")
        values = [atoms.positions, *atoms.calc.results.values(), *atoms.arrays.values(), *atoms.info.values()]
        if not all(np.isfinite(v).all() for v in map(np.asarray, values) if v.dtype.kind == "f"):
            say("holds a value that is not a number")
        distance = atoms.get_all_distances(mic=True)
        pairs = distance[np.triu_indices(len(atoms), 1)]
        if pairs.min() < 0.7:
            say(f"two atoms are {pairs.min():.2f} A apart")
        if (np.sort(distance)[:, 1] > 4.5).any():
            say(f"an atom is {np.sort(distance)[:, 1].max():.1f} A from all others")
        per_atom = atoms.get_potential_energy() / len(atoms)
        low, high = ENERGY_PER_ATOM.get(name, (-np.inf, np.inf))
        if not low < per_atom < high:
            say(f"the energy is {per_atom:.3f} eV an atom, not between {low} and {high}")
        if "forces" in atoms.calc.results and np.abs(atoms.get_forces().mean(axis=0)).max() > 0.05:
            say(f"the forces do not sum to zero: {np.abs(atoms.get_forces().mean(axis=0)).max():.3f} eV/A an atom")
        if "hirshfeld" in atoms.arrays and abs(atoms.arrays["hirshfeld"].mean()) > 0.01:
            say(f"the Hirshfeld charges sum to {atoms.arrays['hirshfeld'].sum():.3f} e")
        if "occ" in atoms.info and np.abs(atoms.info["occ"] - 2 * (atoms.info["occ"] > 1)).max() > 0.01:
            say("a band is partly filled")
        if "share" in atoms.arrays and np.abs(atoms.arrays["share"].sum(axis=0) - 1).max() > 0.01:
            say("the shares of a band do not sum to one")
        if "eos" in atoms.info and atoms.info["eos"]["energy"].argmin() in (0, len(atoms.info["eos"]) - 1):
            say("the lowest energy is at the end of the equation of state")
        key = (atoms.get_chemical_formula(), round(per_atom, 6), round(float(pairs.mean()), 4))
        if key in seen:
            say(f"is the same as {seen[key]}")
        seen[key] = label
    if data.table.select_dtypes("number").isna().any(axis=None):
        faults.append(f"{name}: a number is missing in the table")
    return faults


def _attach_levels(structures, path):
    frames = {atoms.info["config"]: atoms for atoms in structures}
    with np.load(path, allow_pickle=False) as levels:
        for key in levels.files:
            config, quantity = key.split("/")
            holder = frames[config].arrays if quantity == "share" else frames[config].info
            holder[quantity] = np.asarray(levels[key], float)


def _checksums(card):
    """{file name: SHA-256} from the card: lines of 64 hexadecimal digits, two blanks, the file's name."""
    return {file: digest for digest, file in re.findall(r"^ *([0-9a-f]{64})  (\S+)$", card, re.M)}


def _verify(path, checksum):
    mend = f"Get it back with: git checkout -- {path.parent.parent.name}/{path.parent.name}/{path.name}"
    if not path.exists():
        raise FileNotFoundError(f"{path} is missing. {mend}")
    if hashlib.sha256(path.read_bytes()).hexdigest() != checksum:
        raise ValueError(f"{path} is damaged: its SHA-256 is not the one in the data card "
                         f"(truncated, or changed by hand?). {mend}")


if __name__ == "__main__":
    import sys
    if sys.argv[1:] != ["check"]:
        sys.exit("usage: python -m mlms_helpers.datasets check")
    found = [fault for name in names() for fault in check(name)]
    print("\n".join(found) or f"no fault found in: {', '.join(names())}")
    sys.exit(bool(found))
