"""Crystals that the tests of descriptors try: strongly skewed cells, few atoms, none too close."""

import functools

import numpy as np
from ase import Atoms
from ase.geometry import get_distances


@functools.cache
def skewed_cell(seed, species, most=6, apart=1.0, flattest=0.15, longest=8.0):
    """A periodic cell of up to `most` atoms, at least `apart` (A) from one another and from their images.

    species: a tuple of symbols to draw from, or a formula, which all are placed in a cell large enough.
    flattest: volume of the cell, as a share of that of a right-angled box.
    longest: lattice vector, A; the shortest is 2.5 A.
    """
    rng = np.random.default_rng(seed)
    if isinstance(species, str):
        symbols = list(Atoms(species).symbols)
        box = np.diag(rng.uniform(4.5, 6.5, 3)) + np.tril(rng.uniform(-1.5, 1.5, (3, 3)), -1)
    else:
        symbols = rng.choice(species, rng.integers(1, most + 1))
        box = skewed_box(rng, flattest, longest)
    positions = []
    for _ in range(2000):
        trial = rng.random(3) @ box
        if not positions or get_distances([trial], positions, cell=box, pbc=True)[1].min() > apart:
            positions.append(trial)
        if len(positions) == len(symbols):
            break
    return Atoms(symbols[: len(positions)], positions=positions, cell=box, pbc=True)


def skewed_box(rng, flattest, longest):
    while True:
        box = rng.normal(size=(3, 3)) * 2.5
        lengths = np.linalg.norm(box, axis=1)
        wide = abs(np.linalg.det(box)) > flattest * lengths.prod()
        if wide and lengths.min() > 2.5 and lengths.max() < longest:
            return box
