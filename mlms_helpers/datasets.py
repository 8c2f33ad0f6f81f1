"""Load the reference data that come with the course, and check that they are whole."""

import hashlib
import os
import re
from pathlib import Path
from typing import NamedTuple

import ase.io
import numpy as np
import pandas as pd


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

    Returns Dataset(structures, table, card): a list of `ase.Atoms` with energy (eV) and forces (eV/A)
    attached as ASE does, a DataFrame with one row a structure, and the card's text.  A structure of
    `lipon` also carries arrays `hirshfeld` (e), `potential` (eV, the potential energy of an electron at the site) and `share`
    [n_atoms, n_bands], and info `eps` (eV) and `occ` (0 to 2), both [n_bands]: see `levels`.
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
    if (here / "levels.npz").exists():
        _attach_levels(structures, here / "levels.npz")
    table = pd.DataFrame([{**{k: v for k, v in a.info.items() if np.isscalar(v)},
                           "formula": a.get_chemical_formula(), "n_atoms": len(a),
                           "energy": a.get_potential_energy()} for a in structures])
    return Dataset(structures, table, card)


def check(name):
    """Look for what should not be in a dataset.

    name: as in `load`.

    Returns a list of sentences, one a fault; empty when all is well.  Looked for: a value that is not
    finite, two atoms closer than 0.7 A, forces that do not sum to zero (0.05 eV/A an atom), Hirshfeld
    charges that do not sum to zero (0.01 e an atom), two structures alike, occupations that are not those of
    a closed shell, band shares that do not sum to one.
    """
    structures, faults, seen = load(name).structures, [], {}
    for number, atoms in enumerate(structures):
        label = atoms.info.get("config", number)
        say = lambda text, label=label: faults.append(f"{name}, {label}: {text}")
        values = [atoms.positions, atoms.get_forces(), [atoms.get_potential_energy()], *atoms.arrays.values()]
        if not all(np.isfinite(v).all() for v in values if np.asarray(v).dtype.kind == "f"):
            say("holds a value that is not a number")
        distance = atoms.get_all_distances(mic=True)[np.triu_indices(len(atoms), 1)]
        if distance.min() < 0.7:
            say(f"two atoms are {distance.min():.2f} A apart")
        if np.abs(atoms.get_forces().mean(axis=0)).max() > 0.05:
            say(f"the forces do not sum to zero: {np.abs(atoms.get_forces().mean(axis=0)).max():.3f} eV/A an atom")
        if "hirshfeld" in atoms.arrays and abs(atoms.arrays["hirshfeld"].mean()) > 0.01:
            say(f"the Hirshfeld charges sum to {atoms.arrays['hirshfeld'].sum():.3f} e")
        if "occ" in atoms.info:
            if np.abs(atoms.info["occ"] - 2 * (atoms.info["occ"] > 1)).max() > 0.01:
                say("a band is partly filled")
            if np.abs(atoms.arrays["share"].sum(axis=0) - 1).max() > 0.01:
                say("the shares of a band do not sum to one")
        key = (atoms.get_chemical_formula(), round(float(atoms.get_potential_energy()), 5))
        if key in seen:
            say(f"is the same as {seen[key]}")
        seen[key] = label
    return faults


def _attach_levels(structures, path):
    with np.load(path, allow_pickle=False) as levels:
        for atoms in structures:
            config = atoms.info["config"]
            for key in ("eps", "occ"):
                atoms.info[key] = np.asarray(levels[f"{config}/{key}"], float)
            atoms.arrays["share"] = np.asarray(levels[f"{config}/share"], float)


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
