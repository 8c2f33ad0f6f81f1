"""Neighbours of every atom, and sums over them: what all descriptors of an atom are made of.

A *term* is a function of a neighbour, row by row: `term(xp, parameters, one) -> [n, n_terms]`, or of two neighbours of one atom,
`term(xp, parameters, one, two)`, where `one` is the vector to it (A, [n, 3]), its length and its weight by the cutoff function
([n]).  `xp` is numpy or jax.numpy, so that one formula serves values and derivatives; `parameters` is a tuple of arrays, the
cutoff first, which a program takes as arguments: other numbers compile nothing.  Translation and permutation are symmetries of
every sum; rotation where a term holds lengths and angles only.
"""

import functools
from typing import NamedTuple

import numpy as np
from ase.data import chemical_symbols
from vesin import NeighborList

PAIRS = 2**14                   # neighbours that are worked on at once
COUPLES = 2**17                 # and pairs of neighbours: what stays near the processor, and bounds the memory


def neighbours(atoms, cutoff):
    """All pairs closer than the cutoff, periodic images included, each pair both ways round.

    atoms: `ase.Atoms`.   cutoff: A; may be longer than the cell.

    Returns i, j (int [n_pairs], 0-based) and r (float64 [n_pairs, 3], A), the vector from i to j.
    Raises ValueError for positions that are not finite, a cell without volume, or a cutoff that is not a positive length.
    """
    check([atoms])
    positive("cutoff", cutoff)
    if not atoms.pbc.any():                                 # no need to look beyond a molecule
        cutoff = min(cutoff, 1.0 + np.linalg.norm(np.ptp(atoms.positions, axis=0)))
    i, j, r = NeighborList(cutoff=float(cutoff), full_list=True).compute(
        points=atoms.positions, box=box(atoms), periodic=np.asarray(atoms.pbc), quantities="ijD")
    return i.astype(int), j.astype(int), r


def neighbour_count(structures, symbol="Li", cutoff=2.6):
    """Number of neighbours of one species within the cutoff: a descriptor to count on one's fingers.

    structures: list of `ase.Atoms`.   symbol: chemical symbol.   cutoff: A.

    Returns float64 [n_atoms_total].
    """
    out = []
    for number, atoms in enumerate(check(structures)):
        i, j, r = neighbours(atoms, cutoff)
        apart(i, j, np.linalg.norm(r, axis=1), number)
        out.append(np.bincount(i[atoms.symbols[j] == symbol], minlength=len(atoms)))
    return np.concatenate(out).astype(float)


def neighbour_count_labels(structures, symbol="Li", cutoff=2.6):
    """Name of the one column of `neighbour_count`."""
    return [f"{symbol} within {cutoff:g} A"]


def cutoff_function(distance, cutoff, xp=np):
    """Behler's cosine cutoff: 1 at zero distance, 0 with zero slope at the cutoff.

    distance: A, any shape.   cutoff: A.   xp: numpy, or jax.numpy for derivatives.
    Returns float64 of the same shape, dimensionless.
    J. Behler and M. Parrinello, PRL 98, 146401 (2007), eq. 3.
    """
    return xp.where(distance < cutoff, 0.5 * (xp.cos(np.pi * xp.asarray(distance) / cutoff) + 1), 0.0)


def seen(xp, cutoff, r):
    """A neighbour as terms take it: vector, length, weight."""
    d = xp.sqrt((r * r).sum(-1))
    return r, d, cutoff_function(d, cutoff, xp)


def chebyshev_polynomials(xp, x, n):
    """T_0 ... T_(n-1) of x [rows]: [rows, n]."""
    columns = [xp.ones_like(x), x]
    while len(columns) < n:
        columns.append(2 * x * columns[-1] - columns[-2])
    return xp.stack(columns[:n], axis=1)


def radial_sums(term, parameters, structures, cutoff, species):
    """Sum of a term over the neighbours of every atom, apart for each species.

    term, parameters: see above.   structures: list of `ase.Atoms`.   cutoff: A.   species: sorted symbols.

    Returns float64 [n_atoms_total, n_species, n_terms].
    """
    out = []
    for block in blocks(structures, cutoff, species, PAIRS):
        values = term(np, parameters, seen(np, parameters[0], block.r))
        out.append(_segment_sum(values, block.centre * len(species) + block.kind, block.n * len(species)))
    return np.concatenate(out).reshape(-1, len(species), out[0].shape[-1])


def angular_sums(term, parameters, structures, cutoff, species, within=None):
    """Sum of a term over the pairs of neighbours of every atom, apart for each pair of species.

    term: the same when its two neighbours change places.   structures, cutoff, species: as in `radial_sums`.
    within: pairs of neighbours farther apart than this (A) are left out, since the term vanishes there; default, none.

    Returns float64 [n_atoms_total, n_pairs of species, n_terms]; each pair of neighbours counts once, and the pairs of
    species are ordered as in `species_pairs`.
    """
    import jax
    pairs = len(species_pairs(species))
    out = []
    with jax.enable_x64(True):
        for block in blocks(structures, cutoff, species, COUPLES, squared=True):
            a, b = couples(block, within)
            rows = _room(block.n)
            segment = block.centre[a] * pairs + _pair_number(block.kind[a], block.kind[b], len(species))
            values = _program("sums")(term, parameters, *_padded(block.r, [a, b], [segment], rows * pairs), rows * pairs)
            out.append(np.asarray(values)[:block.n * pairs])
    return np.concatenate(out).reshape(-1, pairs, out[0].shape[-1])


def radial_slopes(term, parameters, atoms, cutoff, species):
    """Derivatives of `radial_sums` by the positions of all atoms of one structure.

    Returns float64 [n_atoms, n_species, n_terms, n_atoms, 3], in units of the term per A.  Exact; an atom that meets its
    own images adds nothing, since they move along.
    """
    import jax
    n, kinds, out = len(atoms), len(species), []
    with jax.enable_x64(True):
        for block in blocks([atoms], cutoff, species, PAIRS):
            size = _room(block.n) * kinds * n
            segment = (block.centre * kinds + block.kind) * n + block.partner
            slopes = _program("radial slopes")(term, parameters, *_padded(block.r, [], [segment], size), size)
            out.append(np.asarray(slopes)[:block.n * kinds * n])
    return _about_centre(np.concatenate(out).reshape(n, kinds, n, -1, 3))


def angular_slopes(term, parameters, atoms, cutoff, species, within=None):
    """Derivatives of `angular_sums`: float64 [n_atoms, n_pairs of species, n_terms, n_atoms, 3]."""
    import jax
    n, pairs, out = len(atoms), len(species_pairs(species)), []
    with jax.enable_x64(True):
        for block in blocks([atoms], cutoff, species, COUPLES, squared=True):
            a, b = couples(block, within)
            size = _room(block.n) * pairs * n
            row = (block.centre[a] * pairs + _pair_number(block.kind[a], block.kind[b], len(species))) * n
            arguments = _padded(block.r, [a, b], [row + block.partner[a], row + block.partner[b]], size)
            out.append(np.asarray(_program("angular slopes")(term, parameters, *arguments, size))[:block.n * pairs * n])
    return _about_centre(np.concatenate(out).reshape(n, pairs, n, -1, 3))


def species_pairs(species):
    """Unordered pairs of species, in the order of the channels: (first, first), (first, second), ... (last, last)."""
    return [(a, b) for number, a in enumerate(species) for b in species[number:]]


def per_structure(values, structures):
    """Cut a per-atom array into one array a structure.

    values: array [n_atoms_total, ...].   structures: the list it was made from.
    Returns a list of arrays [n_atoms, ...].
    Raises ValueError where the array has not one row an atom.
    """
    sizes = [len(atoms) for atoms in structures]
    if len(values) != sum(sizes):
        raise ValueError(f"the structures have {sum(sizes)} atoms, but the array has {len(values)} rows")
    return np.split(np.asarray(values), np.cumsum(sizes)[:-1])


def check(structures):
    """The structures as a list, or a ValueError that says what is wrong with them, and where."""
    if hasattr(structures, "positions") or not hasattr(structures, "__iter__"):
        raise ValueError("a list of structures (ase.Atoms) is asked for: put a single one in brackets, [atoms]")
    structures = list(structures)
    if not structures:
        raise ValueError("the list of structures is empty: give at least one")
    for number, atoms in enumerate(structures):
        if not hasattr(atoms, "positions"):
            raise ValueError(f"structure {number} is not an ase.Atoms, but a {type(atoms).__name__}")
        if len(atoms) == 0:
            raise ValueError(f"structure {number} has no atoms")
        if not np.isfinite(atoms.positions).all():
            bad = np.flatnonzero(~np.isfinite(atoms.positions).all(axis=1))[0]
            raise ValueError(f"structure {number}: the position of atom {bad} is not a number")
        if atoms.pbc.any() and not abs(np.linalg.det(box(atoms))) > 1e-6:
            raise ValueError(f"structure {number} is periodic, but its cell has no volume; "
                             f"give three lattice vectors, or pbc=False for a molecule")
    return structures


def positive(name, value):
    """Raise a ValueError where a length or a width is none."""
    if not (np.isscalar(value) and np.isreal(value) and 0 < value < np.inf):
        raise ValueError(f"the {name} must be a positive number, not {value}")


def whole(name, value, least):
    """A count as int, or a ValueError."""
    if not (np.isscalar(value) and np.isreal(value) and value == int(value) and value >= least):
        raise ValueError(f"{name} must be a whole number, {least} or more, not {value!r}")
    return int(value)


def apart(i, j, distance, number=0):
    """Raise a ValueError where a pair of the neighbour list lies at one place; number: of the structure."""
    if len(distance) and distance.min() < 1e-6:
        pair = distance.argmin()
        raise ValueError(f"structure {number}: atoms {i[pair]} and {j[pair]} lie at one place")


def box(atoms):
    """Lattice vectors [3, 3], A; in a direction that is not periodic, one at right angles to the others."""
    cell = atoms.cell.copy()
    cell[~atoms.pbc] = 0.0
    return np.asarray(cell if atoms.pbc.all() else cell.complete())


def chemical_species(structures, species):
    """Channels of a descriptor: sorted symbols, those that occur or those given.  Raises ValueError where one is missing."""
    found = sorted({s for atoms in structures for s in atoms.symbols})
    if species is None:
        return np.array(found)
    if isinstance(species, str) or not set(species) <= set(chemical_symbols[1:]):
        raise ValueError(f"species must be a list of chemical symbols, as ['Li', 'O'], not {species!r}")
    unknown = sorted(set(found) - set(species))
    if unknown:
        raise ValueError(f"{', '.join(unknown)} occurs in the structures, but not among the species {sorted(species)}")
    return np.array(sorted(set(species)))


class Block(NamedTuple):
    """Neighbours of some consecutive atoms, sorted by atom and by species."""
    n: int                      # atoms
    centre: np.ndarray          # int [n_pairs]: the atom, counted from the block's first
    partner: np.ndarray         # int [n_pairs]: its neighbour's number in its own structure
    kind: np.ndarray            # int [n_pairs]: the neighbour's species
    r: np.ndarray               # float64 [n_pairs, 3]: the way to it, A


def blocks(structures, cutoff, species, size, squared=False):
    """The neighbourhoods of all atoms, in the order of the atoms, as Blocks of about `size` pairs (or, squared, couples)."""
    batch, held = [], 0
    for number, atoms in enumerate(structures):
        i, j, r = neighbours(atoms, cutoff)
        apart(i, j, np.linalg.norm(r, axis=1), number)
        kind = np.searchsorted(species, atoms.symbols)[j]
        order = np.lexsort((kind, i))
        batch.append((len(atoms), i[order], j[order], kind[order], r[order]))
        held += len(i)
        if held > PAIRS or number == len(structures) - 1:
            yield from _cut(batch, size, squared)
            batch, held = [], 0


def couples(block, within=None):
    """Pairs of neighbours of one atom: a, b (int [n_couples], rows of the block's arrays, a < b), closer than `within`, A."""
    n = len(block.centre)
    ends = np.cumsum(np.bincount(block.centre, minlength=block.n))
    partners = ends[block.centre] - 1 - np.arange(n)                        # how many neighbours of the same atom come later
    a = np.repeat(np.arange(n, dtype=np.int32), partners)
    b = np.arange(len(a), dtype=np.int32) + (np.arange(1, n + 1) - np.cumsum(partners) + partners).astype(np.int32)[a]
    if within is not None:
        square = sum((x[a] - x[b]) ** 2 for x in np.ascontiguousarray(block.r.T))
        a, b = a[square < within**2], b[square < within**2]
    return a, b


def _cut(batch, size, squared):
    n, i, j, kind, r = zip(*batch)
    before = np.cumsum(n) - n
    i, j, kind, r = np.concatenate([a + b for a, b in zip(i, before)]), *map(np.concatenate, (j, kind, r))
    counts = np.bincount(i, minlength=sum(n))
    ends = np.cumsum(counts)
    cost = np.cumsum(counts**2 if squared else counts)
    borders = [0, *(np.flatnonzero(np.diff(cost // size)) + 1), sum(n)]
    for first, last in zip(borders[:-1], borders[1:]):
        rows = slice(ends[first - 1] if first else 0, ends[last - 1])
        yield Block(last - first, i[rows] - first, j[rows], kind[rows], r[rows])


def _segment_sum(values, segment, n):
    """Sum of the rows of each segment; segments are sorted."""
    out = np.zeros((n, values.shape[1]))
    if len(values):
        begin = np.flatnonzero(np.diff(segment, prepend=-1))
        out[segment[begin]] = np.add.reduceat(values, begin, axis=0)
    return out


def _pair_number(a, b, n):
    """Place of the pair of species a <= b among `species_pairs`."""
    return a * n - a * (a - 1) // 2 + b - a


def _room(n):
    """Room for n rows, so that few programs serve all: the next of 16, 24, 32, 48, 64, ..."""
    power = 16
    while power < n:
        power *= 2
    return power * 3 // 4 if n <= power * 3 // 4 and power > 16 else power


def _padded(r, numbers, segments, nowhere):
    """The arrays with room to spare, filled with any vector, the first number, and a segment that no sum has."""
    vectors = np.ones((_room(len(r)), 3))
    vectors[:len(r)] = r
    out = [vectors]
    for array, filling in [*((array, 0) for array in numbers), *((array, nowhere) for array in segments)]:
        out.append(np.full(_room(len(array)), filling, np.int32))
        out[-1][:len(array)] = array
    return out


def _about_centre(slopes):
    """[centre, channel, atom, term, 3] without the centre's own motion -> [centre, channel, term, atom, 3] with it."""
    n = len(slopes)
    slopes = slopes.transpose(0, 1, 3, 2, 4).copy()
    own = slopes.sum(axis=3)
    for centre in range(n):
        slopes[centre, :, :, centre] -= own[centre]
    return slopes


@functools.cache
def _program(what):
    """Compiled once: sums, or derivatives, of a term."""
    import jax
    import jax.numpy as jnp

    def total(values, segment, n):
        return jax.ops.segment_sum(values.reshape(len(values), -1), segment, n)

    def along(function, vectors, place):
        """Derivatives [rows, terms, 3] of a function of vectors, by one of them; rows do not mix."""
        def one(axis):
            tangents = [jnp.zeros_like(v).at[:, axis].set(1.0) if number == place else jnp.zeros_like(v)
                        for number, v in enumerate(vectors)]
            return jax.jvp(function, tuple(vectors), tuple(tangents))[1]
        return jnp.stack([one(axis) for axis in range(3)], axis=-1)

    def sums(term, parameters, r, a, b, segment, n):
        one = seen(jnp, parameters[0], r)
        return total(term(jnp, parameters, [x[a] for x in one], [x[b] for x in one]), segment, n)

    def of_vectors(term, parameters):
        return lambda *vectors: term(jnp, parameters, *(seen(jnp, parameters[0], r) for r in vectors))

    def radial(term, parameters, r, segment, n):
        return total(along(of_vectors(term, parameters), [r], 0), segment, n)

    def angular(term, parameters, r, a, b, segment_a, segment_b, n):
        function, vectors = of_vectors(term, parameters), [r[a], r[b]]
        return total(along(function, vectors, 0), segment_a, n) + total(along(function, vectors, 1), segment_b, n)

    chosen, static = {"sums": (sums, (0, 6)), "radial slopes": (radial, (0, 4)), "angular slopes": (angular, (0, 7))}[what]
    return jax.jit(chosen, static_argnums=static)
