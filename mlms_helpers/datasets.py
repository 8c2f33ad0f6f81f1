"""Load the reference data that come with the course, and check that they are whole.

What a dataset holds is said by its data card, `README.md` in its folder: the SHA-256 of every file, and a
fenced block for the loader, every part of which may be missing:

    ```toml
    energy_per_atom = [-8, -3]      # eV: plausible range; outside it is a wrong unit or zero
    partly_filled = 0.01            # electrons by which a band may miss 0 or 2; this is the default
    per_atom = ["share"]            # arrays with one row an atom; all others go into info
    [files]
    "levels.npz" = "arrays"         # keys CONFIG/NAME, attached to the structure CONFIG
    "elements.csv" = "elements"     # columns NAME_A, NAME_B: of the first and last element of each structure
    "eos.csv" = "rows"              # rows with a column config: info["eos"] of that structure, a DataFrame
    "chgnet.csv" = "columns"        # one row a structure, with a column config: joined to the table
    ```
"""

import hashlib
import os
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import ase.io
import numpy as np
import pandas as pd
from ase import Atoms

from mlms_helpers import published as _published

STRUCTURES = "configurations.extxyz"


class Dataset(NamedTuple):
    """A list of structures, a table with one row each, and the text of the data card."""

    structures: list[Atoms]
    table: pd.DataFrame
    card: str


def folder() -> Path:
    """Where the shipped datasets lie: `MLMS_DATA` if set, else `data/` beside the package."""
    return Path(os.environ.get("MLMS_DATA") or Path(__file__).resolve().parent.parent / "data")


def names() -> list[str]:
    """Names of the shipped datasets, sorted: the folders that hold a data card with checksums."""
    # a card that is damaged is named when its dataset is loaded, and must not hide the others
    return sorted(
        card.parent.name
        for card in folder().glob("*/README.md")
        if _checksums(card.read_text("utf-8", errors="replace"))
    )


def load(name: str) -> Dataset:
    """Load a shipped dataset, after comparing every file with the checksum in its data card.

    name: one of `names()`.

    Returns Dataset(structures, table, card): a list of `ase.Atoms` with energy (eV) and, where they were
    computed, forces (eV/A) and stress (eV/A^3) attached as ASE does, a DataFrame with one row a structure,
    and the card's text.  The table has every number or word of the structures' info, formula, n_atoms and
    energy.  More comes with some of them, as their cards say.

    Raises ValueError for an unknown name, FileNotFoundError or ValueError for a missing or damaged
    file; the message names the file and the mend.
    """
    here, card = folder() / name, _card(name)
    settings, checksums = _settings(here / "README.md", card), _checksums(card)
    for file in (STRUCTURES, *settings["files"]):
        if file not in checksums:
            raise _damaged(here / "README.md", f"it has no SHA-256 of {file}")
    for file, checksum in checksums.items():
        _verify(here / file, checksum)
    structures = ase.io.read(here / STRUCTURES, ":")
    table = pd.DataFrame(
        [
            {
                **atoms.info,
                "formula": atoms.get_chemical_formula(),
                "n_atoms": len(atoms),
                "energy": atoms.get_potential_energy(),
            }
            for atoms in structures
        ]
    )
    for file, kind in settings["files"].items():
        if kind == "arrays":
            _attach_arrays(structures, here / file, settings["per_atom"])
        elif kind == "rows":
            _attach_rows(structures, here / file)
        elif kind == "elements":
            table = _join_elements(table, structures, here / file)
        else:
            table = table.merge(pd.read_csv(here / file), on="config", how="left", validate="one_to_one")
    return Dataset(structures, table, card)


def published(name: str, *, download: bool = True) -> Dataset:
    """Data that others have published, from their repositories; none of it is shipped with the course.

    name: one of `published.READERS`; an unknown name is answered with the list.
    download: fetch what is not yet on this machine (default); False for what must go on without a network.

    Returns Dataset(structures, table, card): a list of `ase.Atoms` in the order of the rows of the table
    (none where the files hold none), a DataFrame, and what it holds, with units, source and
    licence.  Every file is compared with its SHA-256 each time.  Files lie in the user's cache; a machine
    without a network reads them from the folder that the environment variable MLMS_DATA_MIRROR names.
    Raises ValueError for an unknown name, OSError where a file cannot be had; the sentence says what helps.
    """
    return Dataset(*_published.read(name, download=download))


def check(name: str) -> list[str]:
    """Look for what should not be in a dataset.

    name: as in `load`.

    Returns a list of sentences, one a fault; empty when all is well.  Looked for: a value that is not
    finite, two atoms closer than 0.7 A or one farther than 4.5 A from all others, an energy an atom that its
    unit or zero does not allow, forces that do not sum to zero (0.05 eV/A an atom), Hirshfeld charges that do
    not sum to zero (0.01 e an atom), two structures alike, occupations that are not those of a closed shell,
    band shares that do not sum to one, a lowest energy at the end of an equation of state.
    """
    data, faults, seen = load(name), [], {}
    settings = _settings(folder() / name / "README.md", data.card)
    limits, partly = settings["energy_per_atom"], settings["partly_filled"]
    for number, atoms in enumerate(data.structures):
        label = atoms.info.get("config", number)
        said = [*_wrong_with_atoms(atoms, limits), *_wrong_with_electrons(atoms, partly)]
        energy, distance = atoms.get_potential_energy() / len(atoms), atoms.get_all_distances(mic=True).mean()
        key = (atoms.get_chemical_formula(), round(energy, 6), round(float(distance), 4))
        if key in seen:
            said.append(f"is the same as {seen[key]}")
        seen[key] = label
        faults += [f"{name}, {label}: {sentence}" for sentence in said]
    if data.table.select_dtypes("number").isna().any(axis=None):
        faults.append(f"{name}: a number is missing in the table")
    return faults


def _wrong_with_atoms(atoms: Atoms, limits: tuple[float, float]) -> Iterator[str]:
    """Sentences about numbers, distances, energy and forces."""
    values = [*atoms.calc.results.values(), *atoms.arrays.values(), *atoms.info.values()]
    if not all(np.isfinite(v).all() for v in map(np.asarray, values) if v.dtype.kind == "f"):
        yield "holds a value that is not a number"
    distance = atoms.get_all_distances(mic=True)
    if len(atoms) > 1:
        nearest = np.where(np.eye(len(atoms), dtype=bool), np.inf, distance).min(axis=1)
        if nearest.min() < 0.7:
            yield f"two atoms are {nearest.min():.2f} A apart"
        if nearest.max() > 4.5:
            yield f"an atom is {nearest.max():.1f} A from all others"
    per_atom = atoms.get_potential_energy() / len(atoms)
    if not limits[0] < per_atom < limits[1]:
        yield f"the energy is {per_atom:.3f} eV an atom, not between {limits[0]} and {limits[1]}"
    net = np.abs(atoms.calc.results.get("forces", np.zeros((1, 3))).mean(axis=0)).max()
    if net > 0.05:
        yield f"the forces do not sum to zero: {net:.3f} eV/A an atom"


def _wrong_with_electrons(atoms: Atoms, partly: float) -> Iterator[str]:
    """Sentences about charges, bands and the equation of state."""
    if "hirshfeld" in atoms.arrays and abs(atoms.arrays["hirshfeld"].mean()) > 0.01:
        yield f"the Hirshfeld charges sum to {atoms.arrays['hirshfeld'].sum():.3f} e"
    if "occ" in atoms.info and np.abs(atoms.info["occ"] - 2 * (atoms.info["occ"] > 1)).max() > partly:
        yield "a band is partly filled"
    if "share" in atoms.arrays and np.abs(atoms.arrays["share"].sum(axis=0) - 1).max() > 0.01:
        yield "the shares of a band do not sum to one"
    if "eos" in atoms.info and atoms.info["eos"]["energy"].argmin() in (0, len(atoms.info["eos"]) - 1):
        yield "the lowest energy is at the end of the equation of state"


def _card(name: str) -> str:
    """Text of a dataset's card; a dataset without one is there, but not whole."""
    card = folder() / name / "README.md"
    if name not in names():
        if Path(name).name != name or not (card.parent / STRUCTURES).exists():
            raise ValueError(f"no dataset is called {name!r}; there are: {', '.join(names()) or 'none'}")
        if not card.exists():
            raise FileNotFoundError(f"{card} is missing. {_mend(card)}")
        raise _damaged(card, "it has no checksums")
    try:
        return card.read_text("utf-8")
    except UnicodeDecodeError:
        raise _damaged(card, "it is not UTF-8 text") from None


def _settings(path: Path, card: str) -> dict:
    """What the block for the loader says, and what holds where it is silent."""
    settings = {"energy_per_atom": (-np.inf, np.inf), "partly_filled": 0.01, "per_atom": [], "files": {}}
    block = re.search(r"^```toml\n(.*?)^```", card, re.M | re.S)
    try:
        settings |= tomllib.loads(block[1]) if block else {}
    except tomllib.TOMLDecodeError as fault:
        raise _damaged(path, f"its toml block cannot be read ({fault})") from None
    wrong = set(settings["files"].values()) - {"arrays", "elements", "rows", "columns"}
    if wrong:
        raise ValueError(
            f"{path}: files are arrays, elements, rows or columns, not {', '.join(sorted(wrong))}"
        )
    return settings


def _attach_arrays(structures: list[Atoms], path: Path, per_atom: list[str]) -> None:
    frames = {atoms.info["config"]: atoms for atoms in structures}
    with np.load(path, allow_pickle=False) as arrays:
        for key in arrays.files:
            config, quantity = key.split("/")
            holder = frames[config].arrays if quantity in per_atom else frames[config].info
            holder[quantity] = np.asarray(arrays[key], float)


def _attach_rows(structures: list[Atoms], path: Path) -> None:
    rows = dict(list(pd.read_csv(path).groupby("config")))
    for atoms in structures:
        if atoms.info["config"] in rows:
            atoms.info[path.stem] = rows[atoms.info["config"]].drop(columns="config").reset_index(drop=True)


def _join_elements(table: pd.DataFrame, structures: list[Atoms], path: Path) -> pd.DataFrame:
    elements = pd.read_csv(path).set_index("element")
    for side, number in {"A": 0, "B": -1}.items():
        table[side] = [atoms.symbols[number] for atoms in structures]
        table = table.join(elements.add_suffix(f"_{side}"), on=side)
    return table


def _checksums(card: str) -> dict[str, str]:
    """{file name: SHA-256} from the card: lines of 64 hexadecimal digits, two blanks, the file's name."""
    return {file: digest for digest, file in re.findall(r"^ *([0-9a-f]{64})  (\S+)$", card, re.M)}


def _mend(path: Path) -> str:
    return f"Get it back with: git checkout -- {path.parent.parent.name}/{path.parent.name}/{path.name}"


def _verify(path: Path, checksum: str) -> None:
    if not path.exists():
        raise FileNotFoundError(f"{path} is missing. {_mend(path)}")
    if hashlib.sha256(path.read_bytes()).hexdigest() != checksum:
        raise _damaged(path, "its SHA-256 is not the one in the data card (truncated, or changed by hand?)")


def _damaged(path: Path, why: str) -> ValueError:
    return ValueError(f"{path} is damaged: {why}. {_mend(path)}")


if __name__ == "__main__":
    import sys

    if sys.argv[1:] != ["check"]:
        sys.exit("usage: python -m mlms_helpers.datasets check")
    found = [fault for name in names() for fault in check(name)]
    print("\n".join(found) or f"no fault found in: {', '.join(names())}")
    sys.exit(bool(found))
