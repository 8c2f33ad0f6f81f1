"""Descriptors: symmetry functions and derivatives against dscribe's, and throughput against cutoff and size.

    python -m benchmarks.descriptors --table docs/descriptor-speed.md        (some minutes on one core)

The same set for both (`standard_set`: 8 G2, 18 G4), on 100 cells of LiPON, on one core; both take turns, in
groups of ten cells; a ratio is the median over the groups, with its quartiles.  dscribe differentiates
symmetry functions numerically, one pair of atoms after the other: it is timed for a few of the atoms that
move, and the time scaled to all; ours computes all.
"""

import argparse
import datetime
import functools
import os
import platform
import sys
import time
from importlib.metadata import version
from pathlib import Path

if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # one core, before JAX counts them

import numpy as np
from dscribe.descriptors import ACSF

from benchmarks import common
from mlms_helpers import datasets, descriptors

CUTOFFS = (3.0, 4.0, 5.0, 6.5, 8.0)  # A
SIZES = (
    (1, 1, 1),
    (2, 2, 2),
    (4, 4, 4),
    (6, 6, 6),
    (10, 10, 10),
    (8, 12, 16),
)  # copies of a cell of 66 atoms
MOVED = 2  # atoms that dscribe moves


def seconds(function, *arguments):
    begin = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - begin


def ratios(pairs):
    """Median and quartiles of dscribe's time over ours, and the medians of both."""
    theirs, ours = np.array(pairs).T
    return np.percentile(theirs / ours, [25, 50, 75]), np.median(theirs), np.median(ours)


def acsf(species, cutoff, g2, g4):
    return ACSF(species=species, r_cut=cutoff, g2_params=g2, g4_params=g4, periodic=True)


def values(structures, species, chosen):
    peer = acsf(species, **chosen)
    groups = [structures[k : k + 10] for k in range(0, len(structures), 10)]
    ours = functools.partial(descriptors.symmetry_functions, species=species, **chosen)
    for group in groups:
        ours(group)  # every program compiled
    pairs = [(sum(seconds(peer.create, atoms) for atoms in group), seconds(ours, group)) for group in groups]
    quartiles, theirs, ours = ratios(pairs)
    return quartiles, theirs / 10, ours / 10


def derivatives(structures, species, chosen):
    peer = acsf(species, **chosen)
    theirs = functools.partial(
        peer.derivatives, include=list(range(MOVED)), attach=True, return_descriptor=False
    )
    ours = functools.partial(descriptors.derivatives, "symmetry_functions", species=species, **chosen)
    for atoms in structures:
        ours(atoms)
    pairs = [(seconds(theirs, atoms) * len(atoms) / MOVED, seconds(ours, atoms)) for atoms in structures]
    return ratios(pairs)


def throughput(atoms, species, cutoff):
    """Environments a second, the second time."""
    ours = functools.partial(
        descriptors.symmetry_functions, species=species, **descriptors.standard_set(cutoff=cutoff)
    )
    ours([atoms])
    return len(atoms) / seconds(ours, [atoms])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--table", type=Path, help="write the result to this file, too")
    arguments = parser.parse_args()
    structures = datasets.load("lipon").structures[:100]
    species = sorted({s for atoms in structures for s in atoms.symbols})
    rows, missed = [], []
    for cutoff in (5.0, 6.5):
        chosen = descriptors.standard_set(cutoff=cutoff)
        for measure, least, some in ((values, 1.0, structures), (derivatives, 3.0, structures[::25])):
            quartiles, theirs, ours = measure(some, species, chosen)
            low, middle, high = quartiles
            rows.append(
                f"| {measure.__name__}, {cutoff:g} A | {middle:.3g} | {low:.3g} to {high:.3g} | {least:g} "
                f"| {1e3 * theirs:,.0f} | {1e3 * ours:,.0f} |"
            )
            print(rows[-1], flush=True)
            if middle < least:
                missed.append(f"{measure.__name__} at {cutoff:g} A")
    by_cutoff = [f"| {cutoff:g} | {throughput(structures[0], species, cutoff):,.0f} |" for cutoff in CUTOFFS]
    cell = next(atoms for atoms in structures if len(atoms) == 66)
    by_size = {len(cell) * np.prod(copies): throughput(cell * copies, species, 5.0) for copies in SIZES}
    large = np.array([n for n in by_size if n >= 500])
    power = np.polyfit(np.log(large), np.log([n / by_size[n] for n in large]), 1)[0]
    if power > 1.1:
        missed.append("linear in the number of atoms")
    lines = [
        "# Speed of the descriptors",
        "",
        f"Measured by `benchmarks/descriptors.py` on {datetime.date.today()}, one core, "
        f"{platform.machine()}, JAX {version('jax')}, dscribe {version('dscribe')}, "
        f"{len(structures)} cells of LiPON, 8 G2 and 18 G4 a channel (`standard_set`).",
        "",
        common.stamp("lipon"),
        "",
        "| | dscribe's ACSF / ours | quartiles | asked for, at least | dscribe (ms a cell) "
        "| ours (ms a cell) |",
        "|---|---:|---:|---:|---:|---:|",
        *rows,
        "",
        "Derivatives: of all features of all atoms by all positions. dscribe's are numerical and were timed "
        f"for {MOVED} of the atoms of 4 cells, then scaled; ours are exact.",
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
        f"From {large[0]:,} to {large[-1]:,} atoms the time grows as the number of atoms to the power "
        f"{power:.2f} (asked for: linear).",
        "",
    ]
    print(*lines, sep="\n")
    if arguments.table:
        arguments.table.write_text("\n".join(lines), encoding="utf-8")
    if missed:
        print("missed: " + "; ".join(missed), file=sys.stderr)
    return bool(missed)


if __name__ == "__main__":
    sys.exit(main())
