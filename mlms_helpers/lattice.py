"""Lattice models (cluster expansion): which sites are filled, what describes that, what it costs.

A crystal has one site in each primitive cell that is filled or empty, such as that of Li in LixTiS2.  An
*ordering* says which sites of a supercell are filled.  In a formula a filled site counts +1 and an empty one
-1 (its spin); a *cluster* is a few sites, an *orbit* all clusters that a symmetry of the crystal carries into
each other, and a *correlation* the mean over an orbit of the product of the spins.  Where the primitive
cell is not periodic (`pbc`), no cluster reaches across that side: (True, True, False) is one plane.

An energy is linear in correlations here, `correlations @ weights`, in eV a site, and so grows with the
supercell as it must.
J. M. Sanchez, F. Ducastelle, D. Gratias, Physica A 128, 334 (1984).
"""

from collections.abc import Callable, Sequence
from itertools import combinations, product
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pandas as pd
import spglib
from ase import Atoms
from ase.units import kB

from .statistics import spawn, whole


class Orbit(NamedTuple):
    """Clusters that symmetry makes one, of one primitive cell."""

    order: int  # sites of a cluster
    length: float  # its longest distance, A
    clusters: np.ndarray  # int [multiplicity, order, 3], sites in units of the primitive cell's axes

    @property
    def multiplicity(self) -> int:
        """Clusters a site."""
        return len(self.clusters)


class Ordering(NamedTuple):
    """Which sites of a supercell are filled."""

    shape: np.ndarray  # int [3, 3], rows: the supercell in units of the primitive cell, in Hermite's form
    occupied: np.ndarray  # bool [n_sites], in the order of `sites(shape)`

    @property
    def x(self) -> float:
        """Share of the sites that are filled."""
        return float(np.mean(self.occupied))


def hermite(matrix: np.ndarray) -> np.ndarray:
    """The one upper triangular matrix, its diagonal positive, whose rows span the same lattice.

    matrix: int [3, 3], rows: lattice vectors.

    Returns int [3, 3].   Raises ValueError if the rows span no volume.
    """
    rows = np.array(matrix, int)
    if round(np.linalg.det(rows)) == 0:
        raise ValueError(f"the three rows {rows.tolist()} span no volume")
    for k in range(3):
        while True:
            left = k + np.flatnonzero(rows[k:, k])
            pivot = left[np.abs(rows[left, k]).argmin()]
            rows[[k, pivot]] = rows[[pivot, k]]
            rows[k] *= np.sign(rows[k, k])
            if len(left) == 1:
                break
            rows[k + 1 :] -= np.outer(rows[k + 1 :, k] // rows[k, k], rows[k])
        rows[:k] -= np.outer(rows[:k, k] // rows[k, k], rows[k])
    return rows


def sites(shape: np.ndarray) -> np.ndarray:
    """The sites of a supercell, int [n_sites, 3], in units of the primitive cell.   shape: see `hermite`."""
    return np.array(list(product(*map(range, np.diag(shape)))))


def fold(points: np.ndarray, shape: np.ndarray) -> np.ndarray:
    """Number, in `sites(shape)`, of each of the points: int [...] of int [..., 3]."""
    points = np.array(points)
    for k in range(3):
        points -= (points[..., k] // shape[k, k])[..., None] * shape[k]
    return (points[..., 0] * shape[1, 1] + points[..., 1]) * shape[2, 2] + points[..., 2]


def place(
    structures: Sequence[Atoms],
    primitive: Atoms,
    *,
    site: str = "Li",
    host: str = "Ti",
    tolerance: float = 1.0,
    strain: float = 0.1,
) -> tuple[list[Ordering | None], pd.DataFrame]:
    """Put relaxed structures back on the lattice, and list those that fell off.

    structures: supercells of the primitive cell, in any orientation, with atoms somewhat displaced.
    primitive: with one filled site and one atom of the host's kind below.
    site: symbol of what fills the sites.
    host: symbol of an element that has one atom in the primitive cell: its atoms show the lattice.
    tolerance: A, how far an atom may be from its site; half of the way to the next hole is a good choice.
    strain: part of one by which the lattice's vectors may differ from the primitive cell's.

    Returns orderings, None for a structure that fell off, and a DataFrame, one row a structure: x, farthest
    (A, the largest distance of an atom from its site; NaN where there is none) and why (a sentence, or "").
    Raises ValueError if the primitive cell has not one atom of each.
    """
    for symbol in (site, host):
        if (primitive.symbols == symbol).sum() != 1:
            raise ValueError(f"place: the primitive cell must hold one {symbol} atom")
    orderings, rows = [], []
    for atoms in structures:
        n = (atoms.symbols == host).sum()
        ordering, farthest, why = None, np.nan, ""
        try:
            ordering, farthest = _placed(atoms, primitive, site, host, tolerance, strain)
        except ValueError as reason:
            why = str(reason)
        orderings.append(ordering)
        x = (atoms.symbols == site).sum() / n if n else np.nan
        rows.append({"x": x, "farthest": farthest, "why": why})
    return orderings, pd.DataFrame(rows, columns=["x", "farthest", "why"])


def _placed(atoms, primitive, site, host, tolerance, strain):
    """Ordering and largest displacement of one structure; ValueError, why it fell off."""
    matrix, axes = _axes(atoms, primitive, site, host, strain)
    hosts = atoms.positions[atoms.symbols == host]
    inverse, shape = np.linalg.inv(axes), hermite(matrix)
    steps = (hosts - hosts[0]) @ inverse
    zero = hosts[0] + (steps - np.rint(steps)).mean(axis=0) @ axes
    at = {s: primitive.get_scaled_positions()[primitive.symbols == s] for s in (site, host)}
    goals = (atoms.positions[atoms.symbols == site] - zero) @ inverse - (at[site] - at[host])
    near = np.array(list(product((-1, 0, 1), repeat=3)))
    points = np.rint(goals).astype(int)[:, None] + near
    away = np.linalg.norm((goals[:, None] - points) @ axes, axis=-1)
    best = away.argmin(axis=1)[:, None]
    numbers = fold(np.take_along_axis(points, best[..., None], 1)[:, 0], shape)
    farthest = away.min(axis=1, initial=np.inf).max(initial=0.0)
    if farthest > tolerance:
        raise ValueError(f"a {site} atom is {farthest:.2f} A from the nearest site")
    if len(set(numbers)) < len(numbers):
        raise ValueError(f"two {site} atoms share a site")
    occupied = np.zeros(len(hosts), bool)
    occupied[numbers] = True
    return Ordering(shape, occupied), float(farthest)


def _axes(atoms, primitive, site, host, strain):
    """A structure's cell in units of the primitive cell, int [3, 3], and that cell as it lies in it."""
    hosts, wanted = atoms.positions[atoms.symbols == host], primitive.cell.array
    if not len(hosts):
        raise ValueError(f"it holds no {host} atom")
    images = np.array(list(product(range(-2, 3), repeat=3))) @ atoms.cell.array
    steps = (hosts[:, None] - hosts[0] + images).reshape(-1, 3)  # between like atoms: lattice vectors, about
    size, length = np.linalg.norm(wanted, axis=1), np.linalg.norm(steps, axis=1)
    near = [steps[abs(length / one - 1) < 2 * strain] for one in size]
    triples = np.array(list(product(*near))).reshape(-1, 3, 3)
    triples = triples[np.linalg.det(triples) > 0.5 * np.linalg.det(wanted)]
    matrices = np.rint(atoms.cell.array @ np.linalg.inv(triples)).astype(int)
    matrices = np.unique(matrices[np.rint(np.linalg.det(matrices)) == len(hosts)], axis=0)
    axes = np.linalg.solve(matrices, np.broadcast_to(atoms.cell.array, matrices.shape))
    misfit = axes @ axes.transpose(0, 2, 1) - wanted @ wanted.T
    misfit = abs(misfit / np.outer(size, size)).max(axis=(1, 2), initial=0)
    if not (misfit < 2 * strain).any():
        raise ValueError(f"its {len(hosts)} {host} atoms do not form the lattice")
    # the host's other atoms tell apart what the lattice alone does not, such as up and down
    others, at = ~np.isin(atoms.symbols, [site, host]), primitive.get_scaled_positions()
    at = (at - at[primitive.symbols == host])[~np.isin(primitive.symbols, [site, host])]

    def misplaced(number):
        own = (atoms.positions[others] - hosts[0]) @ np.linalg.inv(axes[number])
        away = own[:, None] - at
        away = np.linalg.norm((away - np.rint(away)) @ axes[number], axis=-1)
        return away.min(axis=1, initial=1e9).sum()

    best = min(np.flatnonzero(misfit < misfit.min() + 1e-3), key=misplaced)
    return matrices[best], axes[best]


def orbits(
    primitive: Atoms, cutoffs: dict[int, float], *, site: str = "Li", symprec: float = 1e-3
) -> list[Orbit]:
    """All orbits of clusters up to a size, under the space group of the crystal.

    primitive: with one filled site; its `pbc` says along which axes clusters reach.
    cutoffs: {sites of a cluster: longest distance in it, A}, such as {2: 9.0, 3: 7.0}.
    site: symbol of what fills the sites.
    symprec: A, of spglib.

    Returns the orbits: the empty cluster (a constant), the point, then pairs and larger ones, shorter first.
    Raises ValueError if the primitive cell has not one site, or spglib finds no symmetry.
    """
    if (primitive.symbols == site).sum() != 1:
        raise ValueError(f"orbits: the primitive cell must hold one {site} atom")
    cell = primitive.cell.array
    found = spglib.get_symmetry((cell, primitive.get_scaled_positions(), primitive.numbers), symprec=symprec)
    if found is None:
        raise ValueError("orbits: spglib finds no symmetry of the primitive cell")
    rotations = np.unique(found["rotations"], axis=0)
    found = [Orbit(0, 0.0, np.zeros((1, 0, 3), int)), Orbit(1, 0.0, np.zeros((1, 1, 3), int))]
    for order, cutoff in sorted(cutoffs.items()):
        alike = {}
        for cluster in _clusters(cell, primitive.pbc, order, cutoff):
            alike.setdefault(min(_at_zero(cluster @ r.T) for r in rotations), []).append(cluster)
        length = {key: _length(np.array(key) @ cell) for key in alike}
        order_of = sorted(alike, key=lambda key: (*np.round(length[key], 6), len(alike[key]), key))
        found += [Orbit(order, float(length[key][0]), np.array(alike[key])) for key in order_of]
    return found


def _clusters(cell, pbc, order, cutoff):
    """Each cluster of so many sites once, its lexically first site at zero: int [order, 3]."""
    reach = np.floor(cutoff * np.linalg.norm(np.linalg.inv(cell), axis=0)).astype(int) * np.asarray(pbc)
    points = np.array([p for p in product(*(range(-r, r + 1) for r in reach)) if p > (0, 0, 0)])
    points = points.reshape(-1, 3)[np.linalg.norm(points.reshape(-1, 3) @ cell, axis=1) <= cutoff]
    near = np.linalg.norm((points[:, None] - points) @ cell, axis=-1) <= cutoff
    for others in combinations(range(len(points)), order - 1):
        if near[np.ix_(others, others)].all():
            yield np.vstack([np.zeros((1, 3), int), points[list(others)]])


def _at_zero(cluster):
    """A cluster's sites, sorted and moved so that the first one is at zero, as a tuple."""
    points = sorted(map(tuple, cluster.tolist()))
    return tuple(tuple(a - b for a, b in zip(p, points[0], strict=True)) for p in points)


def _length(points):
    """All distances between points, the longest first, as a tuple."""
    apart = np.linalg.norm(points[:, None] - points, axis=-1)
    return tuple(sorted(apart[np.triu_indices(len(points), 1)], reverse=True))


def site_correlations(orbits: Sequence[Orbit], ordering: Ordering) -> np.ndarray:
    """What each site sees: the mean product of the spins over the clusters of an orbit that contain it.

    Returns float64 [n_sites, n_orbits], between -1 and 1; their mean over the sites is `correlations`.
    """
    spins, at = 2.0 * ordering.occupied - 1, sites(ordering.shape)
    values = np.ones((len(at), len(orbits)))
    for column, orbit in enumerate(orbits):
        if orbit.order:
            numbers = fold(at[:, None, None] + orbit.clusters, ordering.shape)  # [site, cluster, of it]
            weights = np.repeat(spins[numbers].prod(axis=-1).ravel(), orbit.order)
            total = np.bincount(numbers.ravel(), weights, len(at))
            values[:, column] = total / (orbit.multiplicity * orbit.order)
    return values


def correlations(orbits: Sequence[Orbit], orderings: Sequence[Ordering]) -> np.ndarray:
    """Correlation functions, float64 [n_orderings, n_orbits], between -1 and 1; the constant 1 first.

    orbits: of the function `orbits`.
    orderings: of any supercells.
    """
    values, alike = np.ones((len(orderings), len(orbits))), {}
    for row, (shape, _) in enumerate(orderings):
        alike.setdefault(tuple(map(tuple, shape.tolist())), []).append(row)
    for shape, rows in alike.items():
        shape = np.array(shape)
        spins = 2.0 * np.array([orderings[row].occupied for row in rows]) - 1
        at = sites(shape)
        for column, orbit in enumerate(orbits):
            if orbit.order:
                product_ = spins[:, fold(at[:, None, None] + orbit.clusters, shape)].prod(axis=-1)
                values[rows, column] = product_.mean(axis=(1, 2))
    return values


def formation(orbits: Sequence[Orbit], values: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Correlations, counted from those of the empty and the full lattice mixed at the same x.

    A formation energy is counted so, too: it is linear in these numbers, without constant, and both ends are
    zero by construction.

    values: [n_orderings, n_orbits], of `correlations`.
    x: [n_orderings].

    Returns float64 [n_orderings, n_orbits]; the columns of the constant and of the point are 0.
    """
    ends = np.array([(-1.0) ** orbit.order for orbit in orbits])
    x = np.asarray(x, float)[:, None]
    return values - ((1 - x) * ends + x)


def weights_of(orbits: Sequence[Orbit], columns: Sequence[int], slopes: np.ndarray) -> np.ndarray:
    """Weights for `correlations` of a line in `formation` correlations.

    orbits: all of them.
    columns: [n_features], the orbits that the line has.
    slopes: [..., n_features], eV a site (or another unit of energy).

    Returns [..., n_orbits]: the constant and the point get what makes the empty and the full lattice zero.
    """
    slopes = np.asarray(slopes, float)
    weights = np.zeros((*slopes.shape[:-1], len(orbits)))
    weights[..., list(columns)] = slopes
    odd = np.array([orbit.order % 2 for orbit in orbits], bool)
    weights[..., 1] = -weights[..., odd].sum(axis=-1)
    weights[..., 0] = -weights[..., ~odd].sum(axis=-1)
    return weights


def enumerate_orderings(largest: int, smallest: int = 1) -> list[Ordering]:
    """All orderings of all supercells in the plane of the first two axes, symmetry not used: many are equal.

    largest, smallest: sites of the supercells; 2**n orderings for each of the supercells with n sites.
    """
    found = []
    for n in range(whole("smallest", smallest), whole("largest", largest) + 1):
        filled = (np.arange(2**n)[:, None] >> np.arange(n)) % 2 == 1
        for a in (a for a in range(1, n + 1) if n % a == 0):
            for b in range(n // a):
                shape = np.array([[a, b, 0], [0, n // a, 0], [0, 0, 1]])
                found += [Ordering(shape, row) for row in filled]
    return found


def distinct(orbits: Sequence[Orbit], orderings: Sequence[Ordering]) -> tuple[np.ndarray, np.ndarray]:
    """The orderings that these orbits can tell apart: their numbers (the first of each), and correlations."""
    values = correlations(orbits, orderings)
    first = np.sort(np.unique(np.round(values, 8), axis=0, return_index=True)[1])
    return first, values[first]


def hull(x: np.ndarray, energy: np.ndarray) -> np.ndarray:
    """The ground states: corners of the lower convex hull, from the lowest x to the highest.

    x: [n], composition.
    energy: [n], of formation, a site.

    Returns int, numbers of the corners.   Raises ValueError for shapes that differ or values not finite.
    """
    x, energy = np.asarray(x, float), np.asarray(energy, float)
    if x.shape != energy.shape or x.ndim != 1 or not (np.isfinite(x).all() and np.isfinite(energy).all()):
        raise ValueError("hull: x and energy must be as many finite numbers")
    corners = []
    for k in np.lexsort((energy, x)):
        if corners and x[k] - x[corners[-1]] < 1e-9:
            continue
        while len(corners) > 1:
            (x1, e1), (x2, e2) = ((x[j], energy[j]) for j in corners[-2:])
            if (e2 - e1) * (x[k] - x1) < (energy[k] - e1) * (x2 - x1) - 1e-12:
                break
            corners.pop()
        corners.append(k)
    return np.array(corners)


def above_hull(x: np.ndarray, energy: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """Height above the hull, [n], in the unit of energy.   corners: of `hull`."""
    return energy - np.interp(x, np.asarray(x)[corners], np.asarray(energy)[corners])


class Samples(NamedTuple):
    """What a Monte Carlo run has seen."""

    x: np.ndarray  # [n_samples, n_chains], share of filled sites
    energy: np.ndarray  # [n_samples, n_chains], eV a site
    occupied: np.ndarray  # bool [n_chains, *sides], at the end
    moves: int  # trial moves, of all chains


def monte_carlo(
    orbits: Sequence[Orbit],
    weights: np.ndarray,
    sides: tuple[int, int, int],
    temperature: np.ndarray,
    potential: np.ndarray | None = None,
    *,
    samples: int = 100,
    every: int = 1,
    start: np.ndarray | float = 0.5,
    seed: int = 0,
    watch: Callable[[Samples], Any] | None = None,
) -> Samples:
    """Metropolis Monte Carlo on a periodic box, compiled, many chains side by side.

    orbits, weights: weights are [n_orbits] or [n_chains, n_orbits], eV a site, for `correlations`.
    sides: of the box, in primitive cells; (24, 24, 1) is one plane.
    temperature: K; one number or one a chain.
    potential: chemical potential of what fills the sites, eV, one number or one a chain: *semi-grand*, a
        trial move fills or empties a site.  None: *canonical*, a trial move swaps two sites drawn at random,
        and x stays.
    samples: how many of x and energy, each after some sweeps (a sweep: as many trial moves as sites).
    every: sweeps between two samples.
    start: bool [n_chains, *sides] or [*sides], or the share of sites filled at random, alike in all chains.
    seed: of all random numbers.
    watch: called with the `Samples` so far after each sample; the run ends when it returns True.

    In a semi-grand step all sites of one class, drawn at random, are tried at once: no two of a class are in
    one cluster, so they do not know of each other.  Each such step keeps detailed balance.
    Raises ValueError for a box so small that a cluster meets itself, and for shapes that do not fit.
    N. Metropolis et al., J. Chem. Phys. 21, 1087 (1953).
    """
    weights = np.atleast_2d(np.asarray(weights, float))
    if weights.shape[1] != len(orbits):
        raise ValueError(f"monte_carlo: weights {weights.shape} must have one column for each orbit")
    own = [
        np.atleast_1d(np.asarray(v, float)) for v in (temperature, 0.0 if potential is None else potential)
    ]
    given = np.asarray(start)
    n_chains = max(len(own[0]), len(own[1]), len(weights), len(given) if given.ndim == 4 else 1)
    classes, tables = _tables(orbits, weights, tuple(sides))
    n = len(classes)
    rng = np.random.default_rng(seed)
    if given.ndim:
        occupied = np.broadcast_to(given, (n_chains, *sides)).reshape(n_chains, n)
    else:
        occupied = np.broadcast_to(rng.permutation(n) < round(float(start) * n), (n_chains, n))
    spins = np.ones((n + 1, n_chains), "float32")  # the last row stands for no site
    spins[:-1] = np.where(occupied.T[classes], 1, -1)
    beta, mu = (np.broadcast_to(v, n_chains).astype("float32") for v in (1 / (kB * own[0]), own[1]))
    advance = _swaps if potential is None else _flips
    steps = every * (n if potential is None else len(tables[0]))
    spins, key, xs, energies = jnp.asarray(spins), jax.random.PRNGKey(spawn(seed, 0)), [], []

    def seen():
        at_end = np.empty((n_chains, n), bool)
        at_end[:, classes] = np.asarray(spins)[:-1].T > 0
        return Samples(np.array(xs), np.array(energies), at_end.reshape(n_chains, *sides), moves)

    for number in range(whole("samples", samples)):
        spins, key, energy = advance(spins, key, steps, beta, mu, *tables)
        xs.append((np.asarray(spins[:-1]).mean(axis=0) + 1) / 2)
        energies.append(weights[:, 0] + np.asarray(energy, float) / n)
        moves = (number + 1) * every * n * n_chains
        if watch is not None and watch(seen()):
            break
    return seen()


def _tables(orbits, weights, sides):
    """Sites in the order of their classes, [n]; for each class, [n_classes, sites, terms, others], the other
    sites of each cluster with a site (n: none); the weight of each term, [terms, chains or 1]; its share."""
    used = [k for k, orbit in enumerate(orbits) if orbit.order and weights[:, k].any()]
    most = max((orbits[k].order for k in used), default=2) - 1
    offsets, strength, share = [], [], []
    for k in used:
        for cluster in orbits[k].clusters:
            for centre in range(len(cluster)):
                others = np.delete(cluster, centre, axis=0) - cluster[centre]
                offsets.append(
                    np.pad(others, [(0, max(most, 1) - len(others)), (0, 0)], constant_values=10**6)
                )
                strength.append(weights[:, k] / orbits[k].multiplicity)
                share.append(1 / orbits[k].order)
    if not used:
        raise ValueError("monte_carlo: all weights are zero, there is nothing to simulate")
    offsets = np.array(offsets)
    none = offsets[..., 0] == 10**6
    reach = np.where(none[..., None], 0, abs(offsets)).max(axis=(0, 1))
    spacing = [next((m for m in range(r + 1, s) if s % m == 0), s) for r, s in zip(reach, sides, strict=True)]
    shape = np.diag(sides)
    at = sites(shape)
    numbers = np.where(none, len(at), fold(at[:, None, None] + np.where(none[..., None], 0, offsets), shape))
    itself = numbers == np.arange(len(at))[:, None, None]
    twice = np.sort(numbers, axis=-1)
    if itself.any() or ((twice[..., 1:] == twice[..., :-1]) & (twice[..., 1:] < len(at))).any():
        raise ValueError(f"monte_carlo: in a box of {tuple(sides)} a cluster meets itself: take a larger one")
    of_class = np.ravel_multi_index((at % spacing).T, spacing)
    classes = np.argsort(of_class, kind="stable")
    rank = np.append(np.argsort(classes), len(at))
    neighbours = rank[numbers[classes]].astype("int32")
    n_classes = int(np.prod(spacing))
    neighbours = neighbours.reshape(n_classes, -1, *neighbours.shape[1:])
    strength = np.array(strength, "float32")
    return classes, (jnp.asarray(neighbours), jnp.asarray(strength), jnp.asarray(np.array(share, "float32")))


def _field(spins, neighbours, strength):
    """Half of what a flip of each site costs, divided by minus its spin: [sites, chains]."""
    return (spins[neighbours].prod(axis=2) * strength).sum(axis=1)


def _energy(spins, neighbours, strength, share):
    """Of the box without its constant, eV [chains]: each cluster is counted from each of its sites."""

    def add(total, number):
        size = neighbours.shape[1]
        own = jax.lax.dynamic_slice_in_dim(spins, number * size, size)
        field = _field(spins, neighbours[number], strength * share[:, None])
        return total + (own * field).sum(axis=0), None

    return jax.lax.scan(add, jnp.zeros(spins.shape[1]), jnp.arange(len(neighbours)))[0]


@jax.jit
def _flips(spins, key, steps, beta, mu, neighbours, strength, share):
    size = neighbours.shape[1]

    def step(_, state):
        spins, key = state
        key, which, chance = jax.random.split(key, 3)
        number = jax.random.randint(which, (), 0, len(neighbours))
        own = jax.lax.dynamic_slice_in_dim(spins, number * size, size)
        cost = own * (mu - 2 * _field(spins, neighbours[number], strength))
        accepted = jax.random.uniform(chance, own.shape) < jnp.exp(-beta * cost)
        own = jnp.where(accepted, -own, own)
        return jax.lax.dynamic_update_slice_in_dim(spins, own, number * size, 0), key

    spins, key = jax.lax.fori_loop(0, steps, step, (spins, key))
    return spins, key, _energy(spins, neighbours, strength, share)


@jax.jit
def _swaps(spins, key, steps, beta, mu, neighbours, strength, share):
    sites = neighbours.reshape(-1, *neighbours.shape[2:])

    def step(_, state):
        spins, key = state
        key, which, chance = jax.random.split(key, 3)
        i, j = jax.random.randint(which, (2,), 0, len(sites))
        one, two = spins[i], spins[j]
        differ = one != two
        cost = -2 * one * _field(spins, sites[i][None], strength)[0]
        moved = spins.at[i].set(two)  # where they differ, that is the flip of i
        cost += -2 * two * _field(moved, sites[j][None], strength)[0]
        accepted = differ & (jax.random.uniform(chance, one.shape) < jnp.exp(-beta * cost))
        spins = spins.at[i].set(jnp.where(accepted, two, one))
        return spins.at[j].set(jnp.where(accepted, one, two)), key

    spins, key = jax.lax.fori_loop(0, steps, step, (spins, key))
    return spins, key, _energy(spins, neighbours, strength, share)


def network_input(
    orderings: Sequence[Ordering], orbits: Sequence[Orbit], shells: Sequence[Orbit] = ()
) -> dict[str, np.ndarray]:
    """What `network` takes: numbers of each site, who its neighbours are, and how much each site counts.

    orderings: [n], of any supercells; rows are filled up with sites that count nothing.
    orbits: each site gets its `site_correlations` of these; the point alone is its occupation and no more.
    shells: pair orbits whose neighbours a layer adds up; none for a network that looks at sites only.

    Two more sites, at the end, stand for the empty and the full lattice: they count -(1 - x) and -x, so the
    sum over all is a formation energy, zero at both ends by construction.

    Returns a dict of float32 arrays: sites [n, most_sites + 2, n_orbits], weights [n, most_sites + 2], and
    with shells also neighbours [n, n_shells, most_sites + 2, most_sites + 2].
    """
    most = max(len(o.occupied) for o in orderings)
    x = {
        "sites": np.zeros((len(orderings), most + 2, len(orbits)), "float32"),
        "weights": np.zeros((len(orderings), most + 2), "float32"),
        "neighbours": np.zeros((len(orderings), len(shells), most + 2, most + 2), "float32"),
    }
    for row, ordering in enumerate(orderings):
        n, at = len(ordering.occupied), sites(ordering.shape)
        x["sites"][row, :n] = site_correlations(orbits, ordering)
        x["sites"][row, most] = [(-1.0) ** orbit.order for orbit in orbits]
        x["sites"][row, most + 1] = 1
        x["weights"][row, :n] = 1 / n
        x["weights"][row, most:] = ordering.x - 1, -ordering.x
        for number, shell in enumerate(shells):
            steps = shell.clusters[:, 1] - shell.clusters[:, 0]
            steps = np.concatenate([steps, -steps])
            to = fold(at[:, None] + steps, ordering.shape)
            np.add.at(x["neighbours"][row, number], (np.arange(n)[:, None], to), 1 / len(steps))
            for end in (most, most + 1):
                x["neighbours"][row, number, end, end] = 1
    return x if shells else {k: v for k, v in x.items() if k != "neighbours"}


def network(
    x: dict[str, np.ndarray], y: np.ndarray, *, width: int = 16, layers: int = 2, seed: int = 0
) -> keras.Model:
    """A Keras network for formation energies: one small network at every site, and the sites add up.

    x: of `network_input`.  With neighbours each layer sees, beside the site's own numbers, the mean over each
        shell (a convolution with the symmetry of the lattice); without, a site's own numbers alone.
    y: [n], formation energies a site of the training data; only their spread is used.
    width: neurons a layer.
    layers: hidden layers; 0 is a line.
    seed: of the initial weights.

    Returns a `keras.Model` from that dict to [n, 1], in the unit of y.
    A. R. Natarajan and A. Van der Ven, npj Comput. Mater. 4, 56 (2018).
    """
    seeds = np.random.SeedSequence(whole("seed", seed, 0)).generate_state(layers + 1).tolist()
    inputs = {name: keras.Input(values.shape[1:], name=name) for name, values in x.items()}
    hidden = inputs["sites"]
    for number in range(whole("layers", layers, 0)):
        if "neighbours" in inputs:
            rings = keras.ops.matmul(inputs["neighbours"], keras.ops.expand_dims(hidden, 1))
            shells = x["neighbours"].shape[1]
            hidden = keras.ops.concatenate([hidden, *(rings[:, k] for k in range(shells))], axis=-1)
        start = keras.initializers.GlorotUniform(seeds[number])
        hidden = keras.layers.Dense(width, "silu", kernel_initializer=start, name=f"hidden_{number + 1}")(
            hidden
        )
    start = keras.initializers.GlorotUniform(seeds[-1])
    each = keras.layers.Dense(1, use_bias=False, kernel_initializer=start, name="energy")(hidden)
    total = keras.ops.sum(each * keras.ops.expand_dims(inputs["weights"], -1), axis=1)
    return keras.Model(inputs, total * float(np.std(y) or 1.0), name="lattice")
