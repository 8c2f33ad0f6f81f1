"""LiPON with motifs built on purpose: pairs of N on one P, N that bridges two P, three N on one P.

A family is one cell and one short trajectory, and labelled, as in `lipon.py`; motifs, phase and temperature
follow from its number, so that every eight families hold four of pairs, two of bridges, one of three N on a
P or of two bridges, and one of lone N.

    python data/generate/lipon_motifs.py --out runs/lipon_motifs --workers 2

writes `k2000-0.npz` and so on for all families but the sealed ones, which `lipon_sealed.py` makes into a
dataset of their own; `gather.py` makes the dataset of them.
"""

import argparse
import functools
import sys
from pathlib import Path

import numpy as np
from ase import units
from ase.constraints import Hookean
from ase.md.langevin import Langevin
from ase.md.velocitydistribution import MaxwellBoltzmannDistribution
from ase.optimize import FIRE
from chgnet.model.dynamics import CHGNetCalculator

from common import npz_bytes, run
from lipon import PACKAGES, STEPS, TEMPERATURES, calculator, chgnet, label
from lipon_cells import CORNERS, add_lithium, bonds, bridges, missing_lithium, motifs, place

FAMILIES = range(2000, 2032)
# Of families 2000, 2001, ...; then again from the start: what the dataset calls it, and the motifs.
BUILT = [
    ("pairs", ["pair"]),
    ("bridges", ["bridge"]),
    ("pairs", ["pair", "pair"]),
    ("triple", ["triple"]),
    ("pairs", ["pair", "pair"]),
    ("bridges", ["bridge"]),
    ("pairs", ["pair"]),
    ("lone", ["lone", "lone"]),
    ("pairs", ["pair"]),
    ("bridges", ["bridge"]),
    ("pairs", ["pair", "pair"]),
    ("two bridges", ["bridge", "bridge"]),
    ("pairs", ["pair", "pair"]),
    ("bridges", ["bridge"]),
    ("pairs", ["pair"]),
    ("lone", ["lone", "lone", "lone"]),
]
# Drawn once with numpy's default_rng(20261125), in this order: three of pairs, two of bridges, one of three N
# on a P or of two bridges; and all four of lone N.
SEALED = [2003, 2004, 2007, 2009, 2010, 2015, 2023, 2028, 2029, 2031]
# Springs that hold two P near to their corner while the cell relaxes at first: eV/A^2, A.
PULL, LENGTH = 30.0, 1.68
# A and degrees; a relaxed bridge outside these is no bridge.
BRIDGE_LENGTHS, BRIDGE_ANGLES = (1.55, 1.75), (105, 155)


def plan(k):
    """What family k is: name of its kind, its motifs, phase and temperature (K)."""
    turn, position = divmod(k - FAMILIES[0], 8)
    phase = ["beta", "gamma"][(turn + turn // 2 + position // 2) % 2]
    return *BUILT[(k - FAMILIES[0]) % len(BUILT)], phase, float(TEMPERATURES[(turn + position // 2) % 4])


def relax(atoms, kinds, fmax=0.1, steps=50):
    """Relax the positions by CHGNet.

    Where tetrahedra were condensed, with springs first, and then for 300 steps at most.

    Raises RuntimeError where a motif is lost, or a bridge is no bridge.
    """
    atoms.calc = CHGNetCalculator(chgnet(), use_device="cpu")
    built = motifs(atoms)
    if condensed := any(kind in CORNERS for kind in kinds):
        centre, anion, _ = bonds(atoms)
        corners = np.flatnonzero(np.bincount(anion, minlength=len(atoms)) == 2)
        atoms.constraints = [
            Hookean(int(p), int(i), PULL, LENGTH) for p, i in zip(centre, anion, strict=True) if i in corners
        ]
        FIRE(atoms, logfile=None).run(fmax=0.3, steps=100)
        atoms.constraints = []
    FIRE(atoms, logfile=None).run(fmax=fmax, steps=max(steps, 300) if condensed else steps)
    if motifs(atoms) != built:
        raise RuntimeError(f"{kinds} became {motifs(atoms)}")
    for length, angle in bridges(atoms):
        (shortest, longest), (least, most) = BRIDGE_LENGTHS, BRIDGE_ANGLES
        if not (shortest < length < longest and least < angle < most):
            raise RuntimeError(f"a bridge with bonds of {length:.2f} A and an angle of {angle:.0f} degrees")


def trajectory(k):
    """The snapshots of family k: strained by -1 to +2 %, relaxed, then 22.5, 67.5 and 67.5 fs of dynamics."""
    name, kinds, phase, temperature = plan(k)
    rng = np.random.default_rng([20261125, k])
    atoms = place(kinds, phase, rng)
    add_lithium(atoms, missing_lithium(atoms), rng)
    atoms.set_cell(atoms.cell * (1 + rng.uniform(-0.01, 0.02)), scale_atoms=True)
    relax(atoms, kinds)
    MaxwellBoltzmannDistribution(atoms, temperature_K=temperature, rng=rng)
    dynamics = Langevin(atoms, 1.5 * units.fs, temperature_K=temperature, friction=0.02 / units.fs, rng=rng)
    for snapshot, steps in enumerate(STEPS):
        dynamics.run(steps)
        copy = atoms.copy()
        copy.wrap()
        copy.info = {
            "family": k,
            "snapshot": snapshot,
            "phase": phase,
            "n_nitrogen": int((atoms.symbols == "N").sum()),
            "temperature": temperature,
            "motif_built": name,
        }
        yield copy


def labelled(structures, name, logs):
    """The files of structures of one cell, for `common.run`; the wave functions of one start the next.

    structures: yields file name and `Atoms`.   name: of GPAW's log in the folder `logs`.
    """
    calc = None

    def compute(atoms):
        nonlocal calc
        used, calc = calc or calculator(atoms, f"{logs}/{name}.txt"), None  # one that fails is not used again
        labels = label(atoms, used)
        calc = used
        structure = {"numbers": atoms.numbers, "positions": atoms.positions, "cell": atoms.cell.array}
        return npz_bytes({**structure, **atoms.info, **labels})

    for file, atoms in structures:
        yield file, functools.partial(compute, atoms)


def work(family, logs):
    """The files of one family."""
    snapshots = trajectory(int(family[1:]))
    yield from labelled(
        ((f"{family}-{atoms.info['snapshot']}.npz", atoms) for atoms in snapshots), family, logs
    )


def main(families):
    """Compute these families; returns the exit status."""
    parser = argparse.ArgumentParser(
        description="Compute LiPON with motifs built on purpose; run it again to go on."
    )
    parser.add_argument("--out", required=True, type=Path, help="folder of the results")
    parser.add_argument("--workers", type=int, default=1, help="processes, of one core each")
    arguments = parser.parse_args()
    logs = arguments.out.resolve() / "gpaw"
    logs.mkdir(parents=True, exist_ok=True)
    tasks = {f"k{k}": [f"k{k}-{i}.npz" for i in range(len(STEPS))] for k in families}
    return run(tasks, functools.partial(work, logs=logs), arguments.out, arguments.workers, PACKAGES)


if __name__ == "__main__":
    sys.exit(main([k for k in FAMILIES if k not in SEALED]))
