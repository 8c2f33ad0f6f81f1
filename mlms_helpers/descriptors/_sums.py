"""Sums over the neighbours of every atom, and their derivatives: what all descriptors of an atom are made of.

A *term* is a function of a neighbour, row by row: `f(xp, parameters, one) -> [n, n_terms]`, or of two
neighbours of one atom, `f(xp, parameters, one, two)`, where `one` is the vector to it (A, [n, 3]), its length
and its weight by the cutoff function ([n]).  `xp` is numpy or jax.numpy, so that one formula serves values
and derivatives; `parameters` is a tuple of arrays, the
cutoff first, which a program takes as arguments: other numbers compile nothing.  Translation and permutation
are symmetries of every sum; rotation where a term holds lengths and angles only.
"""

import functools
import itertools
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from ase import Atoms

from ._checks import pair_number, species_pairs
from .neighbours import cutoff_function, distinct_neighbours

PAIRS = 2**14  # neighbours that are worked on at once
TRIPLETS = 2**17  # and pairs of neighbours of one atom: what stays near the processor, and bounds the memory


class Term(NamedTuple):
    """What is summed."""

    function: Callable  # see above; of two neighbours, the same when they change places
    parameters: tuple  # the cutoff (A) first
    angular: bool = False  # a function of two neighbours
    within: float | None = None  # A; the function vanishes for two neighbours farther apart

    def channels(self, species: np.ndarray) -> int:
        """How many sums each atom has: one a species, or one a pair of species."""
        return len(species_pairs(species)) if self.angular else len(species)


class Block(NamedTuple):
    """Neighbours of some consecutive atoms, sorted by atom and by species."""

    n: int  # atoms
    centre: np.ndarray  # int [n_pairs]: the atom, counted from the block's first
    partner: np.ndarray  # int [n_pairs]: its neighbour's number in its own structure
    kind: np.ndarray  # int [n_pairs]: the neighbour's species
    r: np.ndarray  # float64 [n_pairs, 3]: the way to it, A


def sums(term: Term, structures: list[Atoms], species: np.ndarray) -> np.ndarray:
    """Sum of a term over the neighbours, or the pairs of neighbours, of every atom.

    term: what is summed; each pair of neighbours counts once.
    structures: periodic or not.
    species: sorted symbols.

    Returns float64 [n_atoms_total, n_channels, n_terms]: apart for each species, or pair of species
    (`species_pairs`).
    """
    add = _sums_over_triplets if term.angular else _sums_over_pairs
    out = [add(term, block, species) for block in _blocks_of(term, structures, species)]
    return np.concatenate(out).reshape(-1, term.channels(species), out[0].shape[-1])


def derivatives(term: Term, atoms: Atoms, species: np.ndarray) -> np.ndarray:
    """Derivatives of `sums` by the positions of all atoms of one structure.

    Returns float64 [n_atoms, n_channels, n_terms, n_atoms, 3], in units of the term per A.  Exact; an atom
    that meets its own images adds nothing, since they move along.
    """
    import jax

    n, channels, out = len(atoms), term.channels(species), []
    with jax.enable_x64(True):
        for block in _blocks_of(term, [atoms], species):
            if term.angular:
                a, b = triplets(block, term.within)
                row = block.centre[a] * channels + pair_number(block.kind[a], block.kind[b], len(species))
                pairs, rows = [a, b], [row * n + block.partner[a], row * n + block.partner[b]]
                program = _compiled(_angular_derivatives)
            else:
                pairs, rows = [], [(block.centre * channels + block.kind) * n + block.partner]
                program = _compiled(_radial_derivatives)
            size = _room(block.n) * channels * n
            values = program(term.function, term.parameters, size, *_padded(block.r, pairs, rows, size))
            out.append(np.asarray(values)[: block.n * channels * n])
    return _about_centre(np.concatenate(out).reshape(n, channels, n, -1, 3))


def blocks(
    structures: list[Atoms], cutoff: float, species: np.ndarray, size: int, squared: bool = False
) -> Iterator[Block]:
    """The neighbours of all atoms, in their order, in Blocks of about `size` pairs (squared: triplets)."""
    batch, held = [], 0
    for number, atoms in enumerate(structures):
        i, j, r, _ = distinct_neighbours(atoms, cutoff, number)
        kind = np.searchsorted(species, atoms.symbols)[j]
        order = np.lexsort((kind, i))
        batch.append((len(atoms), i[order], j[order], kind[order], r[order]))
        held += len(i)
        if held > PAIRS or number == len(structures) - 1:
            yield from _cut(batch, size, squared)
            batch, held = [], 0


def triplets(block: Block, within: float | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of neighbours of one atom: rows a < b of the block, int [n_triplets], closer than `within`, A."""
    n = len(block.centre)
    ends = np.cumsum(np.bincount(block.centre, minlength=block.n))
    later = ends[block.centre] - 1 - np.arange(n)  # how many neighbours of the same atom come later
    a = np.repeat(np.arange(n, dtype=np.int32), later)
    b = (
        np.arange(len(a), dtype=np.int32)
        + (np.arange(1, n + 1) - np.cumsum(later) + later).astype(np.int32)[a]
    )
    if within is not None:
        square = sum((x[a] - x[b]) ** 2 for x in np.ascontiguousarray(block.r.T))
        a, b = a[square < within**2], b[square < within**2]
    return a, b


def as_neighbour(xp, cutoff, r):
    """A neighbour as terms take it: vector, length, weight."""
    d = xp.sqrt((r * r).sum(-1))
    return r, d, cutoff_function(d, cutoff, xp)


def _blocks_of(term, structures, species):
    size = TRIPLETS if term.angular else PAIRS
    return blocks(structures, term.parameters[0], species, size, squared=term.angular)


def _cut(batch, size, squared):
    n, i, j, kind, r = zip(*batch, strict=True)
    before = np.cumsum(n) - n
    i = np.concatenate([a + b for a, b in zip(i, before, strict=True)])
    j, kind, r = map(np.concatenate, (j, kind, r))
    counts = np.bincount(i, minlength=sum(n))
    ends = np.cumsum(counts)
    cost = np.cumsum(counts**2 if squared else counts)
    borders = [0, *(np.flatnonzero(np.diff(cost // size)) + 1), sum(n)]
    for first, last in itertools.pairwise(borders):
        rows = slice(ends[first - 1] if first else 0, ends[last - 1])
        yield Block(last - first, i[rows] - first, j[rows], kind[rows], r[rows])


def _sums_over_pairs(term, block, species):
    channels = term.channels(species)
    values = term.function(np, term.parameters, as_neighbour(np, term.parameters[0], block.r))
    out = np.zeros((block.n * channels, values.shape[1]))
    if len(values):
        segment = block.centre * channels + block.kind  # sorted
        begin = np.flatnonzero(np.diff(segment, prepend=-1))
        out[segment[begin]] = np.add.reduceat(values, begin, axis=0)
    return out


def _sums_over_triplets(term, block, species):
    import jax

    channels, (a, b) = term.channels(species), triplets(block, term.within)
    segment = block.centre[a] * channels + pair_number(block.kind[a], block.kind[b], len(species))
    size = _room(block.n) * channels
    with jax.enable_x64(True):
        arrays = _padded(block.r, [a, b], [segment], size)
        values = _compiled(_angular_sums)(term.function, term.parameters, size, *arrays)
        return np.asarray(values)[: block.n * channels]


def _room(n):
    """Room for n rows, so that few programs serve all: the next of 16, 24, 32, 48, 64, ..."""
    power = 16
    while power < n:
        power *= 2
    return power * 3 // 4 if n <= power * 3 // 4 and power > 16 else power


def _padded(r, numbers, segments, nowhere):
    """The arrays with room to spare, filled with any vector, the first number, a segment that no sum has."""
    vectors = np.ones((_room(len(r)), 3))
    vectors[: len(r)] = r
    out = [vectors]
    for array, filling in [*((array, 0) for array in numbers), *((array, nowhere) for array in segments)]:
        out.append(np.full(_room(len(array)), filling, np.int32))
        out[-1][: len(array)] = array
    return out


def _about_centre(values):
    """[centre, channel, atom, term, 3], the centre held -> [centre, channel, term, atom, 3], it moves."""
    values = values.transpose(0, 1, 3, 2, 4).copy()
    own = values.sum(axis=3)
    for centre in range(len(values)):
        values[centre, :, :, centre] -= own[centre]
    return values


@functools.cache
def _compiled(program):
    """One of the programs below: the function and the number of sums are fixed, all else is an argument."""
    import jax

    return jax.jit(program, static_argnums=(0, 2))


def _angular_sums(function, parameters, n, r, a, b, segment):
    import jax.numpy as jnp

    one = as_neighbour(jnp, parameters[0], r)
    return _total(function(jnp, parameters, [x[a] for x in one], [x[b] for x in one]), segment, n)


def _radial_derivatives(function, parameters, n, r, segment):
    return _total(_gradient(function, parameters, [r], 0), segment, n)


def _angular_derivatives(function, parameters, n, r, a, b, segment_a, segment_b):
    vectors = [r[a], r[b]]
    return _total(_gradient(function, parameters, vectors, 0), segment_a, n) + _total(
        _gradient(function, parameters, vectors, 1), segment_b, n
    )


def _total(values, segment, n):
    import jax

    return jax.ops.segment_sum(values.reshape(len(values), -1), segment, n)


def _gradient(function, parameters, vectors, place):
    """Derivatives [rows, terms, 3] of a function of neighbours by one of their vectors; rows do not mix."""
    import jax
    import jax.numpy as jnp

    def of_vector(r):
        changed = [*vectors[:place], r, *vectors[place + 1 :]]
        return function(jnp, parameters, *(as_neighbour(jnp, parameters[0], vector) for vector in changed))

    r = vectors[place]
    axes = jnp.broadcast_to(jnp.eye(3)[:, None], (3, *r.shape))
    return jax.vmap(lambda axis: jax.jvp(of_vector, (r,), (axis,))[1], out_axes=-1)(axes)
