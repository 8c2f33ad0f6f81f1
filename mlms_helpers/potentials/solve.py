"""The linear potential: energies and forces of all structures in one least-squares problem."""

import functools
import os
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy.linalg

from .inputs import pairs, slots
from .program import Shape, invariants

STRENGTHS = 10.0 ** np.arange(-12, -3)  # of the ridge, in units of the trace
ENERGY = 300.0  # weight of a squared energy an atom, (eV/atom)^2, beside a squared force, (eV/A)^2
BLOCK = 32  # atoms that are worked on at once


class Rows(NamedTuple):
    """What one structure says of a line."""

    energy: np.ndarray  # [S * F], sums of invariants over the atoms of each species
    force: np.ndarray  # [3 n_atoms, S * F], minus their derivatives by the positions, 1/A


@functools.partial(jax.jit, static_argnums=0)
def _features(shape, radial, r, kind):
    """Invariants [n, F] and their derivatives by the vectors to the neighbours [3 width, n, F]."""

    def of(r):
        return invariants(shape, radial, r, kind)

    def along(k):
        tangent = jnp.zeros_like(r).at[:, k // 3, k % 3].set(1.0)
        return jax.jvp(of, (r,), (tangent,))[1]

    return of(r), jax.lax.map(along, jnp.arange(3 * r.shape[1]))


def rows(shape: Shape, atoms, species, number: int = 0) -> Rows:
    """Rows of the least-squares problem of one structure (its number stands in an error)."""
    i, j, r = pairs(atoms, shape.cutoff, number)
    n, own = len(atoms), np.searchsorted(species, atoms.symbols)
    count = np.bincount(i, minlength=n)
    width = -(-max(1, int(count.max())) // 8) * 8
    partner, vectors = slots(i, j, r, -(-n // BLOCK) * BLOCK, width, 2 * shape.cutoff)
    radial, energy, force = shape.radial().astype("float32"), None, None
    for start in range(0, n, BLOCK):
        part = slice(start, start + BLOCK)
        x, change = _features(shape, radial, vectors[part].astype("float32"), own[partner[part]])
        x, change = np.asarray(x), np.asarray(change)
        if energy is None:
            energy = np.zeros((shape.n_species, x.shape[1]))
            force = np.zeros((n, 3, *energy.shape))
        change = change.reshape(width, 3, BLOCK, -1)
        for a in range(start, min(start + BLOCK, n)):
            energy[own[a]] += x[a - start]
            for slot in range(count[a]):
                force[a, :, own[a]] += change[slot, :, a - start]
                force[partner[a, slot], :, own[a]] -= change[slot, :, a - start]
    return Rows(energy.ravel(), force.reshape(3 * n, -1))


class Equations:
    """Normal equations: all that a line needs to know of any number of structures.

    Mean squared residual of the forces + ENERGY * that of the energies an atom, of weighted structures.
    """

    def __init__(self, size):
        self.forces, self.energies = ([np.zeros((size, size)), np.zeros(size), 0.0, 0.0] for _ in range(2))

    def add(self, rows: Rows, energy: float, forces: np.ndarray, weight: float = 1.0):
        """One structure more; its energies here are those an atom."""
        if not weight:
            return
        energies = (self.energies, rows.energy[None], np.array([energy]))
        for part, x, y in ((self.forces, rows.force, forces.ravel()), energies):
            part[0] += weight * (x.T @ x)
            part[1] += weight * (x.T @ y)
            part[2] += weight * (y @ y)
            part[3] += weight * len(y)

    def __add__(self, other):
        out = Equations(0)
        out.forces, out.energies = (
            [a + b for a, b in zip(*pair, strict=True)]
            for pair in ((self.forces, other.forces), (self.energies, other.energies))
        )
        return out

    @property
    def joined(self):
        """Matrix, right side and square of the targets."""
        (a, b, c, n), (d, e, f, m) = self.forces, self.energies
        return a / n + ENERGY * d / m, b / n + ENERGY * e / m, c / n + ENERGY * f / m

    def error(self, slopes):
        """What is minimised, without the ridge."""
        left, right, square = self.joined
        return square - 2 * slopes @ right + slopes @ left @ slopes

    @property
    def spread(self):
        """Root mean square of each column of the forces' rows; 1 where there is none."""
        size = np.sqrt(np.diag(self.forces[0]) / max(self.forces[3], 1))
        return np.where(size > 1e-12 * size.max(initial=0), size, 1.0)

    def solve(self, spread, strength):
        """Slopes, or None where the matrix is not positive definite to the computer."""
        left, right, _ = self.joined
        left = left / spread / spread[:, None]
        left[np.diag_indices_from(left)] += strength * np.trace(left)
        try:
            factor = scipy.linalg.cho_factor(left, lower=True, overwrite_a=True, check_finite=False)
        except scipy.linalg.LinAlgError:
            return None
        return scipy.linalg.cho_solve(factor, right / spread) / spread


def each(work, items, progress):
    """Results of work(item), in their order, on all cores, a few ahead."""
    from tqdm.auto import tqdm

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    items, waiting = iter(items), []
    with ThreadPoolExecutor(cores) as pool, tqdm(total=None, unit="structure", disable=not progress) as bar:
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) > cores:
                yield waiting.pop(0).result()
                bar.update()
        for future in waiting:
            yield future.result()
            bar.update()
