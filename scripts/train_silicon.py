"""Train the potentials of notebook 11 on silicon, and measure their errors: writes notebooks/checkpoints/.

    python scripts/train_silicon.py             silicon.npz, fast.npz
    python scripts/train_silicon.py --curves    silicon.json

Both potentials are committees of four lines, learned from 30 of the 38 families of 64 sites; their names, and
those left out, stand in their history.  `fast` has a tenth of the invariants, for dynamics in a notebook.
`silicon.json` holds errors on families left out, against the number to learn from, and hot against cold.
Each takes 5 to 10 processor minutes.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np

from mlms_helpers import datasets, potentials

FOLDER = Path(__file__).resolve().parent.parent / "notebooks" / "checkpoints"
LEFT_OUT = 2  # families of each number of vacancies
FAMILIES = (4, 12, 30)  # to learn from, in the learning curves
MODELS = {  # of the learning curves
    "line, body order 3": (potentials.line, {"n_max": 5, "l_max": 6, "mixed": 0}),
    "network, body order 3": (potentials.train, {"n_max": 5, "l_max": 6, "mixed": 0, "minutes": 60}),
    "line, body order 4": (potentials.line, {"n_max": 3, "l_max": 4, "mixed": 3}),
}
SIZES = {  # of the invariants
    "silicon": {"n_max": 5, "l_max": 6, "mixed": 5},
    "fast": {"n_max": 3, "l_max": 4, "mixed": 3},
}
COLD, HOT = (0, 300, 600), (1200, 1500)  # K


def split(table):
    """Names of the families of 64 sites to learn from, numbers of vacancies in turn, and those left out."""
    small = table[table.n_sites == 64].drop_duplicates("family")
    rng, columns = np.random.default_rng(0), []
    for vacancies in range(4):
        columns.append(rng.permutation(small.family[small.n_vacancies == vacancies]).tolist())
    left_out = [name for column in columns for name in column[:LEFT_OUT]]
    rest = [column[LEFT_OUT:] for column in columns]
    learned = [column[k] for k in range(max(map(len, rest))) for column in rest if k < len(column)]
    return learned, left_out


def members(silicon, families):
    """Structures of these families."""
    return [silicon.structures[k] for k in np.flatnonzero(silicon.table.family.isin(families))]


def errors(potential, structures):
    """Root mean square errors of the energy, meV an atom, and of the force components, meV/A."""
    energies, forces = potential.predict(structures)
    n = np.array([len(atoms) for atoms in structures])
    off = (energies - [atoms.get_potential_energy() for atoms in structures]) / n
    misfit = np.concatenate([f - atoms.get_forces() for f, atoms in zip(forces, structures, strict=True)])
    return {"energy": 1000 * np.sqrt(np.mean(off**2)), "forces": 1000 * np.sqrt(np.mean(misfit**2))}


def curves(silicon):
    """Errors on the families left out, against the number of families: rows of a table."""
    learned, left_out = split(silicon.table)
    test, rows = members(silicon, left_out), []
    for n in FAMILIES:
        train = members(silicon, learned[:n])
        for name, (learn, settings) in MODELS.items():
            began = time.process_time()
            potential = learn(train, **settings)
            row = {"model": name, "families": n, "configurations": len(train)}
            row["seconds"] = round(time.process_time() - began)
            rows.append(row | {k: round(v, 2) for k, v in errors(potential, test).items()})
            print(rows[-1], flush=True)
    return rows


def hot_and_cold(silicon):
    """Errors of lines learned from cold or hot configurations, on both, in families left out: two folds."""
    table = silicon.table[silicon.table.n_sites == 64]
    families, rows = table.family.unique(), []
    for fold in range(2):
        left_out = table.family.isin(families[fold::2])
        for name, kind in {"cold": COLD, "hot": HOT}.items():
            train = table.index[~left_out & table.temperature.isin(kind)][:32]
            potential = potentials.line([silicon.structures[k] for k in train], **SIZES["fast"])
            for asked, other in {"cold": COLD, "hot": HOT}.items():
                test = [silicon.structures[k] for k in table.index[left_out & table.temperature.isin(other)]]
                row = {"fold": fold, "learned": name, "asked": asked, "configurations": len(train)}
                rows.append(row | {k: round(v, 2) for k, v in errors(potential, test).items()})
                print(rows[-1], flush=True)
    return rows


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--curves", action="store_true", help="the errors, not the potential")
    arguments = parser.parse_args()
    silicon = datasets.load("silicon")
    learned, left_out = split(silicon.table)
    FOLDER.mkdir(exist_ok=True)
    if arguments.curves:
        found = {"hot_and_cold": hot_and_cold(silicon), "curves": curves(silicon)}
        (FOLDER / "silicon.json").write_text(json.dumps(found, indent=1) + "\n")
        return
    for name, size in SIZES.items():
        potential = potentials.line(members(silicon, learned), members=4, **size)
        potential.history |= {"learned": learned, "left_out": left_out}
        potential.save(FOLDER / f"{name}.npz")
        print(name, errors(potential, members(silicon, left_out)), flush=True)


if __name__ == "__main__":
    main()
