"""Descriptors: symmetry functions and their derivatives against dscribe's, and throughput against cutoff and size.

    python benchmarks/descriptors.py --table docs/descriptor-speed.md        (some minutes on one core)

The same set for both (`standard_set`: 8 G2, 18 G4), on 100 cells of LiPON, on one core; both take turns, cell by cell in groups of
ten; a ratio is the median over the groups, with its quartiles.  dscribe differentiates symmetry functions numerically, one pair
of atoms after the other: it is timed for a few of the atoms that move, and the time scaled to all; ours computes all.
"""

import argparse
import datetime
import os
import platform
import sys
import time
from importlib.metadata import version
from pathlib import Path

if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # one core, before JAX counts them

import numpy as np  # noqa: E402
from dscribe.descriptors import ACSF  # noqa: E402

from mlms_helpers import datasets, descriptors  # noqa: E402

CUTOFFS, SIZES = (
    (3.0, 4.0, 5.0, 6.5, 8.0),
    (1, 8, 64, 216, 1000, 1536),
)  # A; copies of a cell of 64 to 68 atoms
MOVED = 2  # atoms that dscribe moves


def seconds(function):
    begin = time.perf_counter()
    function()
    return time.perf_counter() - begin


def ratios(pairs):
    """Median and quartiles of dscribe's time over ours, and the medians of both."""
    theirs, ours = np.array(pairs).T
    return np.percentile(theirs / ours, [25, 50, 75]), np.median(theirs), np.median(ours)


def values(structures, species, chosen):
    acsf = ACSF(
        species=species, r_cut=chosen["cutoff"], g2_params=chosen["g2"], g4_params=chosen["g4"], periodic=True
    )
    groups = [structures[k : k + 10] for k in range(0, len(structures), 10)]
    ours = lambda group: descriptors.symmetry_functions(group, species=species, **chosen)
    theirs = lambda group: [acsf.create(atoms) for atoms in group]
    for group in groups:
        ours(group)  # every program compiled
    theirs(groups[0])
    pairs = [(seconds(lambda: theirs(group)), seconds(lambda: ours(group))) for group in groups]
    q, a, b = ratios(pairs)
    return q, a / 10, b / 10


def slopes(structures, species, chosen):
    acsf = ACSF(
        species=species, r_cut=chosen["cutoff"], g2_params=chosen["g2"], g4_params=chosen["g4"], periodic=True
    )
    ours = lambda atoms: descriptors.derivatives("symmetry_functions", atoms, species=species, **chosen)
    for atoms in structures:
        ours(atoms)
    pairs = []
    for atoms in structures:
        part = seconds(
            lambda: acsf.derivatives(atoms, include=list(range(MOVED)), attach=True, return_descriptor=False)
        )
        pairs.append((part * len(atoms) / MOVED, seconds(lambda: ours(atoms))))
    return ratios(pairs)


def throughput(atoms, species, chosen):
    """Environments a second, the second time."""
    descriptors.symmetry_functions([atoms], species=species, **chosen)
    return len(atoms) / seconds(lambda: descriptors.symmetry_functions([atoms], species=species, **chosen))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--table", type=Path, help="write the result to this file, too")
    arguments = parser.parse_args()
    structures = datasets.load("lipon").structures[:100]
    species = sorted({s for atoms in structures for s in atoms.symbols})
    rows, missed = [], []
    for cutoff in (5.0, 6.5):
        chosen = descriptors.standard_set(cutoff=cutoff)
        for what, least, (q, theirs, ours) in (
            ("values", 1.0, values(structures, species, chosen)),
            ("derivatives", 3.0, slopes(structures[::25], species, chosen)),
        ):
            rows.append(
                f"| {what}, {cutoff:g} A | {q[1]:.3g} | {q[0]:.3g} to {q[2]:.3g} | {least:g} | {1e3 * theirs:,.0f} | {1e3 * ours:,.0f} |"
            )
            missed += [f"{what} at {cutoff:g} A"] if q[1] < least else []
            print(rows[-1], flush=True)
    by_cutoff = [
        f"| {cutoff:g} | {throughput(structures[0], species, descriptors.standard_set(cutoff=cutoff)):,.0f} |"
        for cutoff in CUTOFFS
    ]
    print(*by_cutoff, sep="\n", flush=True)
    chosen, cell = (
        descriptors.standard_set(cutoff=5.0),
        next(atoms for atoms in structures if len(atoms) == 66),
    )
    by_size = {}
    for copies in SIZES:
        edge = round(copies ** (1 / 3))
        atoms = cell * ((edge,) * 3 if edge**3 == copies else (8, 12, 16))
        by_size[len(atoms)] = throughput(atoms, species, chosen)
        print(f"{len(atoms)}: {by_size[len(atoms)]:,.0f}", flush=True)
    large = [n for n in by_size if n >= 500]
    slope = np.polyfit(np.log(large), np.log([n / by_size[n] for n in large]), 1)[0]
    missed += ["linear in the number of atoms"] if slope > 1.1 else []
    text = "\n".join(
        [
            "# Speed of the descriptors",
            "",
            f"Measured by `benchmarks/descriptors.py` on {datetime.date.today()}, one core, {platform.machine()}, JAX {version('jax')}, dscribe "
            f"{version('dscribe')}, {len(structures)} cells of LiPON, 8 G2 and 18 G4 a channel (`standard_set`).",
            "",
            "| | dscribe's ACSF / ours | quartiles | asked for, at least | dscribe (ms a cell) | ours (ms a cell) |",
            "|---|---:|---:|---:|---:|---:|",
            *rows,
            "",
            f"Derivatives: of all features of all atoms by all positions. dscribe's are numerical and were timed for {MOVED} of the atoms of 4 cells, then scaled; ours are exact.",
            "",
            "Throughput of the same set, the second time (programs compiled).",
            "",
            "| cutoff (A), one cell | environments a second |",
            "|---:|---:|",
            *by_cutoff,
            "",
            "| atoms (cutoff 5 A) | environments a second |",
            "|---:|---:|",
            *(f"| {n:,} | {rate:,.0f} |" for n, rate in by_size.items()),
            "",
            f"From {large[0]:,} to {large[-1]:,} atoms the time grows as the number of atoms to the power {slope:.2f} (asked for: linear).",
            "",
        ]
    )
    print(text)
    if arguments.table:
        arguments.table.write_text(text, encoding="utf-8")
    if missed:
        print("missed: " + "; ".join(missed), file=sys.stderr)
    return bool(missed)


if __name__ == "__main__":
    sys.exit(main())
