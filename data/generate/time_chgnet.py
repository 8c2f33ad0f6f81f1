"""Seconds of one call of CHGNet, to hold beside docs/potentials.md: energy and forces of disordered silicon.

    OMP_NUM_THREADS=1 python data/generate/time_chgnet.py

One thread; cells of `benchmarks/potentials.py`: the crystal, disordered by 0.05 A; the least of five calls.
"""

import time

import torch
from ase.build import bulk
from chgnet.model.dynamics import CHGNetCalculator

from lipon import chgnet

torch.set_num_threads(1)
calculator = CHGNetCalculator(chgnet(), use_device="cpu")
for size in (2, 4):
    atoms = bulk("Si", a=5.47, cubic=True).repeat((size, size, size))
    atoms.calc, seconds = calculator, []
    for seed in range(6):
        atoms.rattle(0.05, seed=seed)
        start = time.process_time()
        atoms.get_forces()
        seconds.append(time.process_time() - start)
    least = min(seconds[1:])
    print(f"{len(atoms)} atoms: {1000 * least:.0f} ms, {1e6 * least / len(atoms):.0f} microseconds an atom")
