"""LiPON: energies of relaxed arrangements, pairs, bridges and lone N compared at the same composition.

A pattern is a phase and the motifs of a cell; an arrangement is a pattern with one of three placements of the
Li: in other voids, or where tetrahedra were condensed, another Li gone.  CHGNet relaxes the positions in the
host's cell; GPAW labels what comes out, with the settings of `lipon.py`.

    python data/generate/lipon_arrangements.py --out runs/lipon_arrangements --workers 2

writes `a00-0.npz` and so on; `gather.py` makes the dataset of them.
"""

import argparse
import functools
import sys
from pathlib import Path

import numpy as np

from common import run
from lipon import PACKAGES
from lipon_cells import add_lithium, missing_lithium, place
from lipon_motifs import labelled, relax

# Groups of the same composition, the first of each what the others are measured from: lone N, or what has the
# O bridge.
GROUPS = [
    (["lone", "lone"], ["pair"]),
    (["oxygen bridge", "lone"], ["bridge"]),
    (["lone", "lone", "lone"], ["pair", "lone"], ["triple"]),
    (["lone"] * 4, ["pair", "lone", "lone"], ["pair", "pair"]),
]
# Phase by phase and group by group, so that a run cut short holds whole groups.
PATTERNS = [(phase, kinds) for group in GROUPS for phase in ("beta", "gamma") for kinds in group]
ARRANGEMENTS = 3  # of a pattern


def arrangements(number):
    """The arrangements of a pattern, relaxed: yields name of the file and `Atoms`."""
    phase, kinds = PATTERNS[number]
    for lithium in range(ARRANGEMENTS):
        atoms = place(kinds, phase, np.random.default_rng([20261126, number]), vacancy=lithium)
        add_lithium(atoms, missing_lithium(atoms), np.random.default_rng([20261126, number, lithium]))
        relax(atoms, kinds, fmax=0.05, steps=300)
        atoms.wrap()
        chgnet = atoms.get_potential_energy()
        atoms.calc = None
        atoms.info = {
            "pattern": number,
            "lithium": lithium,
            "motif_built": " + ".join(kinds),
            "phase": phase,
            "n_nitrogen": int((atoms.symbols == "N").sum()),
            "energy_chgnet": chgnet,
        }
        yield f"a{number:02d}-{lithium}.npz", atoms


def work(task, logs):
    """The files of one pattern."""
    yield from labelled(arrangements(int(task[1:])), task, logs)


def main():
    parser = argparse.ArgumentParser(
        description="Compute relaxed arrangements of LiPON; run it again to go on."
    )
    parser.add_argument("--out", required=True, type=Path, help="folder of the results")
    parser.add_argument("--workers", type=int, default=1, help="processes, of one core each")
    arguments = parser.parse_args()
    logs = arguments.out.resolve() / "gpaw"
    logs.mkdir(parents=True, exist_ok=True)
    tasks = {f"a{k:02d}": [f"a{k:02d}-{i}.npz" for i in range(ARRANGEMENTS)] for k in range(len(PATTERNS))}
    return run(tasks, functools.partial(work, logs=logs), arguments.out, arguments.workers, PACKAGES)


if __name__ == "__main__":
    sys.exit(main())
