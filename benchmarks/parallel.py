"""Dask on this machine: two workers against one on 100,000 environments, and what a lost worker costs.

    python -m benchmarks.parallel --table docs/parallel.md        (about two minutes on 2 cores)

1,560 cells of 64 atoms: the small cells of the LiPON data again and again, every time with the atoms
displaced anew; `descriptors.symmetry_functions` through `parallel.featurise`.  Both clusters are warm and
take turns; the ratio is the median over the rounds of the ratios within a round, with its quartiles.  Then
one of two workers is killed in the middle.
"""

import argparse
import datetime
import itertools
import logging
import os
import platform
import signal
import sys
import threading
import time
from pathlib import Path

import dask
import numpy as np
import psutil
from dask.distributed import Client, LocalCluster

from benchmarks import common
from mlms_helpers import datasets, descriptors, parallel

CELLS = 1560
DISPLACED = 0.02  # A


def cells():
    """1,560 cells of 64 to 68 atoms, 100,000 environments."""
    rng = np.random.default_rng(0)
    known = [atoms for atoms in datasets.load("lipon").structures if 64 <= len(atoms) <= 68]
    out = []
    for atoms in itertools.islice(itertools.cycle(known), CELLS):
        out.append(atoms.copy())
        out[-1].positions += rng.normal(0, DISPLACED, out[-1].positions.shape)
    return out


class Memory:
    """Peaks of memory, MB, of this process ("client") and of the Dask workers, read every 20 ms."""

    def __init__(self, client):
        self.pids = {
            "client": os.getpid(),
            **{f"worker {k}": pid for k, pid in enumerate(client.run(os.getpid).values(), 1)},
        }
        self.first, self.peak, self._end = self._read(), {}, threading.Event()

    def _read(self):
        return {name: psutil.Process(pid).memory_info().rss / 1e6 for name, pid in self.pids.items()}

    def _watch(self):
        while not self._end.wait(0.02):
            for name, now in self._read().items():
                self.peak[name] = max(now, self.peak.get(name, 0))

    def __enter__(self):
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._end.set()
        self._thread.join()


def timed(structures, client):
    start = time.perf_counter()
    out = parallel.featurise(descriptors.symmetry_functions, structures, client=client)
    return out, time.perf_counter() - start


def killer(client):
    """A `watch` that kills one worker half-way."""

    def watch(done, total):
        if done == total // 2:
            os.kill(next(iter(client.run(os.getpid).values())), signal.SIGKILL)

    return watch


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--table", type=Path, help="also write what is printed into this file")
    arguments = parser.parse_args()
    structures = cells()
    start = time.perf_counter()
    right = descriptors.symmetry_functions(structures)
    serial = time.perf_counter() - start
    logging.disable(logging.WARNING)  # Dask says that a worker was lost, and that all are closed
    clients = {
        n: Client(LocalCluster(n_workers=n, threads_per_worker=1, dashboard_address=":0")) for n in (1, 2)
    }
    times = {n: [] for n in clients}
    for client in clients.values():
        assert np.array_equal(timed(structures, client)[0], right)  # and the workers have imported all
    for _ in range(arguments.rounds):
        for n, client in clients.items():
            times[n].append(timed(structures, client)[1])
    middle, low, high = np.percentile(np.array(times[1]) / times[2], [50, 25, 75])
    with Memory(clients[2]) as memory:
        timed(structures, clients[2])
    start = time.perf_counter()
    out = parallel.featurise(
        descriptors.symmetry_functions, structures, client=clients[2], watch=killer(clients[2])
    )
    lost = time.perf_counter() - start
    assert np.array_equal(out, right), "a lost worker has changed the result"
    lines = [
        "| | measured | asked for |",
        "|---|---:|---:|",
        f"| one worker / two workers, time | {middle:.2f} ({low:.2f} to {high:.2f}) "
        f"| at least 1.7{'' if middle >= 1.7 else ': **missed**'} |",
        f"| one of two workers killed half-way | the same array to the last bit, {lost:.1f} s | unchanged |",
        "",
        f"{len(right):,} environments, {right.shape[1]} numbers each, {right.nbytes / 1e6:.0f} MB.  Medians: "
        f"one worker {np.median(times[1]):.2f} s, two workers {np.median(times[2]):.2f} s; "
        f"`descriptors.symmetry_functions` itself, once: {serial:.2f} s.",
        "",
        "Memory, MB, before and at most: "
        + ", ".join(f"{name} {memory.first[name]:.0f} and {peak:.0f}" for name, peak in memory.peak.items())
        + ".  The client holds the result; what comes on top is a few chunks.",
    ]
    print("\n".join(lines))
    for client in clients.values():
        client.cluster.close()
        client.close()
    if arguments.table:
        head = (
            f"# Dask on one machine\n\nMeasured by `benchmarks/parallel.py` on {datetime.date.today()}, "
            f"{os.cpu_count()} cores, {platform.machine()}, Dask {dask.__version__}: {CELLS} cells of 64 to "
            f"68 atoms, symmetry functions; chunks of {parallel.CHUNK} atoms; {arguments.rounds} rounds.\n\n"
            f"{common.stamp('lipon')}\n\n"
        )
        arguments.table.write_text(head + "\n".join(lines) + "\n")
    return int(middle < 1.7)


if __name__ == "__main__":
    sys.exit(main())
