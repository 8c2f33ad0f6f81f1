"""Published data by registry: downloaded file by file into the user's cache, each compared with its SHA-256.

`published.txt` lists the files: a line `[NAME] owner/repository/commit/folder`, then a line a file, SHA-256,
bytes, name.  `datasets.published(NAME)` returns what the functions below make of them; their docstrings are
the data cards.
"""

import hashlib
import inspect
import json
import logging
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pooch
from ase import Atoms, units
from ase.symbols import Symbols

URL = "https://raw.githubusercontent.com/"
MIRROR = "MLMS_DATA_MIRROR"
WAIT = 30  # seconds that a server may be silent
TRIES_AGAIN = 2
AT_ONCE = 8


class File(NamedTuple):
    """A public file: what it must be."""

    checksum: str
    size: int


def registry() -> dict[str, dict[str, File]]:
    """{dataset: {owner/repository/commit/path: File(checksum, size)}}, as `published.txt` has it."""
    found, here, folder = {}, {}, ""
    for line in Path(__file__).with_suffix(".txt").read_text("utf-8").splitlines():
        if line.startswith("["):
            name, folder = line[1:].split("] ")
            here = found.setdefault(name, {})
        elif line and not line.startswith("#"):
            checksum, size, file = line.split(" ", 2)
            here[f"{folder}/{file}"] = File(checksum, int(size))
    return found


def fetch(name: str, *, download: bool = True) -> dict[str, Path]:
    """Paths of the files of a published dataset, all of them there and whole.

    name: a dataset of `registry()`.
    download: fetch what is missing (default), or not.

    Returns {owner/repository/commit/path: path on this machine}.  Files lie in the folder that
    MLMS_DATA_MIRROR names, if it is set, else in the user's cache, where a download puts them: a file is
    moved there only when it is whole, and files that are there are kept, so that a download broken off goes
    on. Raises ValueError for an unknown name, OSError where a file cannot be had; the sentence says what
    helps.
    """
    datasets = registry()
    if name not in datasets:
        raise ValueError(f"no published dataset is called {name!r}; there are: {', '.join(datasets)}")
    files, mirror = datasets[name], os.environ.get(MIRROR)
    folder = Path(mirror).expanduser() if mirror else Path(pooch.os_cache("mlms")) / "published"
    missing = {file: entry for file, entry in files.items() if not _whole(folder / file, entry)}
    if missing and mirror:
        raise OSError(
            f"{name}: {folder / next(iter(missing))} is missing or damaged ({len(missing)} of {len(files)} "
            f"files are). {MIRROR} must name a folder with the files of published.txt; unset, they come "
            "over the network"
        )
    if missing and not download:
        megabytes = sum(entry.size for entry in missing.values()) / 1e6
        raise OSError(
            f"{name} is not on this machine. datasets.published({name!r}) downloads it ({len(missing)} "
            f"files, {megabytes:.1f} MB); without a network, set {MIRROR} to a folder that holds the files"
        )
    if missing:
        _download(name, folder, missing)
    return {file: folder / file for file in files}


def read(name: str, *, download: bool = True) -> tuple[list[Atoms], pd.DataFrame, str]:
    """Structures, table and card of a published dataset; arguments and errors as in `datasets.published`."""
    files = fetch(name, download=download)
    structures, table = READERS[name](files)
    return structures, table, inspect.getdoc(READERS[name])


def _whole(path: Path, entry: File) -> bool:
    """Whether a file is there, and is the one that was published."""
    if not path.is_file() or path.stat().st_size != entry.size:
        return False
    return hashlib.sha256(path.read_bytes()).hexdigest() == entry.checksum


def _download(name: str, folder: Path, files: dict[str, File]) -> None:
    """Fetch files, some at once, with one progress bar for all; the first that cannot be had ends it."""
    from tqdm.auto import tqdm

    known = {file: f"sha256:{entry.checksum}" for file, entry in files.items()}
    server = pooch.create(path=folder, base_url=URL, registry=known, retry_if_failed=TRIES_AGAIN)
    logger = pooch.get_logger()
    level = logger.level
    logger.setLevel(logging.WARNING)  # one bar, and not a line a file
    for parent in {(folder / file).parent for file in files}:
        parent.mkdir(parents=True, exist_ok=True)
    workers = ThreadPoolExecutor(AT_ONCE)
    try:
        quick = pooch.HTTPDownloader(timeout=WAIT, chunk_size=65536)
        jobs = {file: workers.submit(server.fetch, file, downloader=quick) for file in files}
        total = sum(entry.size for entry in files.values())
        with tqdm(total=total, desc=name, unit="B", unit_scale=True) as bar:
            for file, job in jobs.items():
                job.result()
                bar.update(files[file].size)
    except (
        OSError,
        ValueError,
    ) as fault:  # what requests raises is an OSError, a wrong checksum a ValueError
        why = "its SHA-256 is wrong" if isinstance(fault, ValueError) else type(fault).__name__
        raise OSError(
            f"{name}: {URL}{file} could not be had ({why}). What has come is kept: "
            f"datasets.published({name!r}) goes on from there; without a network, set {MIRROR} to a folder "
            "that holds the files"
        ) from fault
    finally:
        workers.shutdown(cancel_futures=True)
        logger.setLevel(level)


def octet82(files: dict[str, Path]) -> tuple[list[Atoms], pd.DataFrame]:
    """82 octet compounds AB: rocksalt or zincblende, and the published descriptor.

    All electrons, LDA: L. M. Ghiringhelli, J. Vybiral, S. V. Levchenko, C. Draxl, M. Scheffler, PRL 114,
    105503 (2015); files of github.com/angeloziletti/ai4materials, Apache-2.0.  No structures come with these
    files. One row a compound:

    compound, A, B: as in datasets.load("octet"): A is the less electronegative element; C, Si, Ge, Sn have A
        = B
    energy_difference: eV an atom, energy of rocksalt minus that of zincblende
    descriptor_1: eV/A^2, (IP_B - EA_B) / r_p_A^2
    descriptor_2: A, |r_s_A - r_p_B| / exp(r_s_A), with r_s_A in A in the exponent
    predicted: eV an atom, what the published line in these two says
    IP_A, EA_A, HOMO_A, LUMO_A and _B: eV, of the free atoms, ionisation potential and electron affinity with
        the signs of datasets.load("octet"): positive where the cation lies higher, the anion lower than the
        atom
    r_s_A, r_p_A, r_d_A and _B: A, where the radial probability of the valence s, p and d function is largest
    """
    viewer, collection = sorted(files.values(), key=lambda path: path.suffix)
    (atoms,) = json.loads(collection.read_text("utf-8"))["sections"].values()
    joule, metre = units.J, units.m
    named = {
        "IP": ("ionization_potential", -joule),
        "EA": ("electron_affinity", -joule),
        "HOMO": ("homo", joule),
        "LUMO": ("lumo", joule),
        **{f"r_{shell}": (f"r{shell}_max", metre) for shell in "spd"},
    }
    elements = {
        atom["atomic_element_symbol"]: {
            name: unit * atom.get(f"atomic_{key}", np.nan) for name, (key, unit) in named.items()
        }
        for atom in atoms["sections"].values()
        if "atomic_rs_max" in atom
    }
    rows = []
    for row in pd.read_csv(viewer).itertuples():
        pair = sorted(
            Symbols.fromsymbols(row.chemical_formula),
            key=lambda symbol: elements[symbol]["IP"] + elements[symbol]["EA"],
        )
        rows.append(
            {
                "compound": "".join(dict.fromkeys(pair)),
                **dict(zip("AB", pair, strict=True)),
                "energy_difference": row.y_true,
                "descriptor_1": row.coord_0,
                "descriptor_2": row.coord_1,
                "predicted": row.y_pred,
                **{
                    f"{name}_{side}": value
                    for side, symbol in zip("AB", pair, strict=True)
                    for name, value in elements[symbol].items()
                },
            }
        )
    return [], pd.DataFrame(rows)


def si_deep_levels(files: dict[str, Path]) -> tuple[list[Atoms], pd.DataFrame]:
    """Deep levels measured in silicon, one row a defect, paper and level.

    Collected by the semiconductorDefects project (github.com/MK8J/semiconductorDefects, MIT licence) from the
    papers whose DOI stands in each row.  No structures.

    elements, defect: what the defect is made of and its name, with _s, _i, _v: on a site, between sites, a
        vacancy
    charge: a for acceptor, d for donor, repeated for the second and third level; empty where not known
    level, level_kind: as the paper has it, of the first of the columns Ed (level), Ed_h (enthalpy), Ed_a
        (apparent: from an activation, not corrected) that is filled; Ev and Ec are the band edges
    edge, energy: eV, the same in numbers: distance of the level into the gap from Ev or Ec.  Empty where the
        level depends on temperature, is given from the middle of the gap (Ei), as two values, or not at all
    sigma_e, sigma_h: cm^2, capture cross sections of electrons and holes, as text
    technique, author, year, title, doi, comments
    """
    (path,) = files.values()
    raw = pd.read_csv(path)
    levels = raw[["Ed", "Ed_h", "Ed_a"]].bfill(axis=1).iloc[:, 0]
    parts = levels.str.extract(r"^\s*(E[vc])\s*([+-]\s*\d*\.?\d+)\s*$")
    into_the_gap = parts[0].map({"Ev": 1.0, "Ec": -1.0})
    table = pd.DataFrame(
        {
            "elements": raw.elements.str.findall(r"'(\w+)'").str.join(" "),
            "defect": raw.defect.str.strip("_"),
            "charge": raw.charge,
            "level": levels,
            "level_kind": raw[["Ed", "Ed_h", "Ed_a"]].notna().idxmax(axis=1).where(levels.notna()),
            "edge": parts[0],
            "energy": into_the_gap * parts[1].str.replace(" ", "").astype(float),
            "technique": raw.measurement_technique,
        }
    )
    return [], table.join(raw[["sigma_e", "sigma_h", "author", "year", "title", "doi", "comments"]])


def oxygen_vacancies(files: dict[str, Path]) -> tuple[list[Atoms], pd.DataFrame]:
    """924 oxides and the formation energies of their oxygen vacancies, charges 0, +1 and +2.

    S. Kiyohara, C. Shibui, S. Bae, Y. Kumagai, PRL 135, 246101 (2025); files of
    github.com/kumagai-group/ML_charged_defects.  That repository names no licence; the database it comes from
    says CC BY 4.0.  Vacancies with perturbed host states are left out there.

    Structures: the relaxed host.  info["vacancies"]: one row a site and charge:
    site, atom: the authors' name of the site, and its index in the structure (-1 in Sr2SnO4, whose published
        indices are of Sr and Sn)
    charge: e
    formation_energy: eV, with the Fermi level at the O core potential (the same zero for all oxides)

    Table, one row an oxide: formula, split (train, validation or test: the authors'; empty for VAg3O4, of
        which there is no vacancy), n_atoms, n_sites and n_vacancies: of sites, and of rows in
        info["vacancies"]
    The level of a site: (formation energy at 0 less that at +2) / 2 above the same zero.
    """
    names = {"train": "train", "val": "validation", "test": "test"}
    split = {
        formula: names[path.name.partition("_")[0]]
        for path in files.values()
        if path.suffix == ".txt"
        for formula in path.read_text("utf-8").split()
    }
    structures, rows = [], []
    for path in files.values():
        if path.suffix != ".json":
            continue
        given = json.loads(path.read_text("utf-8"))
        sites = given["structure"]["sites"]
        atoms = Atoms(
            [site["species"][0]["element"] for site in sites],
            scaled_positions=[site["abc"] for site in sites],
            cell=given["structure"]["lattice"]["matrix"],
            pbc=True,
        )
        index = np.array(given["target_site_indices"], int)
        atoms.info["vacancies"] = pd.DataFrame(
            {
                "site": given["target_site_names"],
                "atom": np.where(atoms.numbers[index] == 8, index, -1),
                "charge": np.array(given["charges"], int),
                "formation_energy": np.array(given["target_vals"], float),
            }
        )
        structures.append(atoms)
        rows.append(
            {
                "formula": given["formula"],
                "split": split.get(given["formula"]),
                "n_atoms": len(atoms),
                "n_sites": len(set(given["target_site_names"])),
                "n_vacancies": len(index),
            }
        )
    return structures, pd.DataFrame(rows)


def nomad2018(files: dict[str, Path]) -> tuple[list[Atoms], pd.DataFrame]:
    """(Al, Ga, In)2O3: formation energy and gap of 2,391 training and 600 test structures.

    C. Sutton et al., npj Comput. Mater. 5, 111 (2019): the NOMAD 2018 Kaggle competition; structures and
    labels of github.com/jirichmel/research-project, the competition's tables of
    github.com/taidopurason/nomad2018.  No licence is stated.

    Structures: where the relaxation began, lattice constants by Vegard's rule; not relaxed.
    Table, one row a structure, training set first:

    id, split: the competition's number, which counts train and test each from 1
    spacegroup: of the lattice that was decorated: 12, 33, 167, 194, 206, 227
    n_atoms, x_Al, x_Ga, x_In: atoms a cell, and shares of the cations
    formation_energy: eV a cation, from the three oxides
    gap: eV

    Nine of the competition's 2,400 training rows have no structure in that repository, and are not here:
    126, 308, 353, 531, 1215, 2319 and 2370, known as second rows of 395, 2154, 2075, 1379, 1886, 2337 and
    2333 with other labels, and 464 and 2189.
    """
    structures, tables = [], []
    for split in ("train", "test"):
        general, energy, fractions, lattice = (
            pd.read_csv(next(path for file, path in files.items() if file.endswith(f"/{split}/{ending}")))
            for ending in (
                "relaxation/general.csv",
                "final/energy.csv",
                "start/frac_vegard.csv",
                "start/lattice_vegard.csv",
            )
        )
        cells = dict(zip(lattice.id, lattice.iloc[:, 2:].to_numpy().reshape(-1, 3, 3), strict=True))
        sites = dict(list(fractions.groupby("id")))
        structures += [
            Atoms(
                list(sites[number].species),
                scaled_positions=sites[number][["L1", "L2", "L3"]],
                cell=cells[number],
                pbc=True,
            )
            for number in general.id
        ]
        tables.append(general.merge(energy, on="id", validate="one_to_one").assign(split=split))
    table = pd.concat(tables, ignore_index=True).rename(
        columns={
            "number_of_total_atoms": "n_atoms",
            "formation_energy_ev_natom": "formation_energy",
            "bandgap_energy_ev": "gap",
            **{f"percent_atom_{symbol.lower()}": f"x_{symbol}" for symbol in ("Al", "Ga", "In")},
        }
    )
    columns = ["id", "split", "spacegroup", "n_atoms", "x_Al", "x_Ga", "x_In", "formation_energy", "gap"]
    return structures, table[columns]


READERS: dict[str, Callable] = {
    reader.__name__: reader for reader in (octet82, si_deep_levels, oxygen_vacancies, nomad2018)
}
