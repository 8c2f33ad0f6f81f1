"""How far LiPON's motifs and arrangements are from finer settings: writes `convergence.json` beside the data.

    python data/generate/convergence_motifs.py --data data/lipon_motifs --out runs/convergence_motifs
    python data/generate/convergence_motifs.py --data data/lipon_arrangements --out
    runs/convergence_arrangements

Two cells each, again with plane waves to 800 eV, and with two k points along the shortest axis: a cell of
pairs and one of a bridge; two arrangements of one composition, whose energies are to be compared.
"""

import argparse
import functools
import json
import sys
from pathlib import Path

import numpy as np

import gather
from common import run, update_checksums, write_whole
from convergence_lipon import MEANING, calculation, compare, fine
from lipon import PACKAGES

CONFIGS = {"lipon_motifs": ["k2000-0", "k2001-0"], "lipon_arrangements": ["a00-0", "a01-0"]}
SIZES = {"beta": (2, 1, 1), "gamma": (1, 2, 1)}  # two k points along the shortest axis, 6.2 A


def finer(setting, shipped):
    """GPAW's arguments of a setting, "kpoints" or "800eV"."""
    if setting == "800eV":
        return fine(shipped)
    return {"kpts": {"size": SIZES[str(shipped["phase"])], "gamma": True}}


def work(name, data, logs):
    """One calculation, for `common.run`."""
    config, setting = name.split("_")
    shipped = gather.from_dataset(data)[config]
    log = f"{logs}/{name}.txt"
    yield f"{name}.npz", functools.partial(calculation, config, shipped, log, finer(setting, shipped))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--data", required=True, type=Path, help="the dataset's folder; convergence.json goes there"
    )
    parser.add_argument("--out", required=True, type=Path, help="folder of the finer calculations")
    parser.add_argument("--workers", type=int, default=1, help="processes, of one core each")
    arguments = parser.parse_args()
    data, logs = arguments.data.resolve(), arguments.out.resolve() / "gpaw"
    logs.mkdir(parents=True, exist_ok=True)
    names = [f"{config}_{setting}" for setting in ("kpoints", "800eV") for config in CONFIGS[data.name]]
    tasks = {name: [f"{name}.npz"] for name in names}
    job = functools.partial(work, data=data, logs=logs)
    status = run(tasks, job, arguments.out, arguments.workers, PACKAGES)
    shipped, report = gather.from_dataset(data), {"meaning": MEANING}
    for name in names:
        path, config = arguments.out / f"{name}.npz", name.split("_")[0]
        if path.exists():
            report[name] = compare(dict(np.load(path)), shipped[config])
    write_whole(data / "convergence.json", (json.dumps(report, indent=2) + "\n").encode("utf-8"))
    if (data / "README.md").exists():
        update_checksums(data)
    return status


if __name__ == "__main__":
    sys.exit(main())
