"""What touches what, without a distance: dressed species, and n-grams along paths of coordination.

A *dressed species* is an atom with its number of bonds: Al4, In6, O3.  A path walks from atom to atom along
bonds; the dressed species that it meets are a word, an n-gram of n atoms: Al4-O3-In6.  A structure is
described by how often each word occurs, as a text by its words.
"""

from collections import Counter
from collections.abc import Sequence

import numpy as np
from ase import Atoms

from mlms_helpers.statistics import whole

from ._checks import is_symbol, validated
from .neighbours import distinct_neighbours

NEAREST = 3  # anions, whose mean distance is the measure of a bond
FARTHEST = 12.0  # A, where the search for them ends


def ngrams(
    structures: Sequence[Atoms],
    n: int = 3,
    *,
    anion: str = "O",
    ratio: float = 1.25,
    words: Sequence[str] | None = None,
) -> np.ndarray:
    """How often each word of one to n dressed species occurs along the paths of a structure.

    structures: oxides, nitrides, halides...: cations bound by one kind of anion; periodic or not.
    n: atoms of the longest path.
    anion: chemical symbol; every other atom counts as a cation.
    ratio: of `bonds`.
    words: the columns; default, all words of these structures, short ones first.  Words of the training set
        (`labels("ngrams", training_set, ...)`) describe other structures alike; a word not among them is not
        counted.

    A path does not turn back along the bond it came by, and counts once, not once a direction.

    Returns float64 [n_structures, n_words], number of such paths per cation, dimensionless.
    Raises ValueError as `bonds` does, and for an n that is no whole number above zero.
    After the n-grams of a crystal graph: C. Sutton et al., npj Comput. Mater. 5, 111 (2019).
    """
    counted = [_counted(atoms, n, anion, ratio, k) for k, atoms in enumerate(validated(structures))]
    place = {word: k for k, word in enumerate(_sorted(counted) if words is None else words)}
    out = np.zeros((len(counted), len(place)))
    for row, counts in zip(out, counted, strict=True):
        for word, count in counts.items():
            if word in place:
                row[place[word]] = count
    return out


def ngram_labels(structures, n, anion, ratio, words):
    if words is not None:
        return list(words)
    return _sorted([_counted(atoms, n, anion, ratio, k) for k, atoms in enumerate(structures)])


def bonds(
    atoms: Atoms, anion: str = "O", ratio: float = 1.25, number: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Who is bound to whom: each cation to the anions of its coordination shell.

    atoms: periodic or not.
    anion: chemical symbol.
    ratio: an anion is bound that is no farther than ratio times the mean distance of the three nearest ones;
        a cation with fewer than three anions around it has only those.
    number: of the structure, for errors.

    Returns i, j [n_bonds] and r [n_bonds, 3] (A, from i to j), each bond both ways round.
    Raises ValueError for a structure without cations or without the anion, for a cation with no anion within
    12 A, a ratio of 1 or less, and two atoms at one place.
    """
    if not is_symbol(anion):
        raise ValueError(f"anion must be a chemical symbol, as 'O', not {anion!r}")
    if not 1 < ratio < np.inf:
        raise ValueError(f"ratio must be more than 1, as 1.25, not {ratio}")
    is_anion = np.array(atoms.symbols) == anion
    if is_anion.all() or not is_anion.any():
        raise ValueError(f"structure {number} ({atoms.symbols}) needs both {anion} and other atoms")
    cutoff = 4.0
    while True:
        i, j, r, distance = distinct_neighbours(atoms, cutoff, number)
        chosen = ~is_anion[i] & is_anion[j]
        i, j, r, distance = i[chosen], j[chosen], r[chosen], distance[chosen]
        order = np.lexsort((distance, i))
        i, j, r, distance = i[order], j[order], r[order], distance[order]
        rank = np.arange(len(i)) - np.searchsorted(i, i)
        near = rank < NEAREST
        found = np.bincount(i[near], minlength=len(atoms))
        shell = ratio * np.bincount(i[near], distance[near], len(atoms)) / np.maximum(found, 1)
        whole_shell = (found == NEAREST) & (shell <= cutoff)
        if cutoff >= FARTHEST or whole_shell[~is_anion].all():
            break
        cutoff = min(1.5 * cutoff, FARTHEST)
    if not found[~is_anion].all():
        lonely = np.flatnonzero(~is_anion & (found == 0))[0]
        raise ValueError(f"structure {number}: atom {lonely} has no {anion} within {FARTHEST:g} A")
    bound = distance <= shell[i]
    i, j, r = i[bound], j[bound], r[bound]
    return np.concatenate([i, j]), np.concatenate([j, i]), np.concatenate([r, -r])


def dressed(atoms: Atoms, anion: str = "O", ratio: float = 1.25) -> list[str]:
    """Each atom with its number of bonds: ["Al4", "Al6", "O3", ...].

    atoms, anion, ratio: as in `bonds`.

    Returns a list of str, one an atom.  Raises ValueError as `bonds` does.
    """
    return _dressed(atoms, bonds(validated([atoms])[0], anion, ratio)[0])


def paths(atoms: Atoms, n: int, anion: str = "O", ratio: float = 1.25) -> tuple[np.ndarray, np.ndarray]:
    """All paths of n atoms along bonds, each in both directions.

    atoms, anion, ratio: as in `bonds`.
    n: atoms of a path.

    Returns the atoms [n_paths, n], and where they lie, [n_paths, n, 3] (A): from the first atom's place on,
    across the edges of the cell.
    Raises ValueError as `bonds` does, and for an n that is no whole number above zero.
    """
    visited, places = _walked(validated([atoms])[0], n, bonds(atoms, anion, ratio))[-1]
    return visited, places


def _walked(atoms, n, bound):
    """(atoms, places) of all paths of 1, 2, ... n atoms."""
    i, j, r = bound
    order = np.argsort(i, kind="stable")
    i, j, r = i[order], j[order], r[order]
    first, count = np.searchsorted(i, np.arange(len(atoms))), np.bincount(i, minlength=len(atoms))
    visited, places = np.arange(len(atoms))[:, None], atoms.positions[:, None]
    out, last = [(visited, places)], None
    for _ in range(whole("n", n) - 1):
        end = visited[:, -1]
        grown = np.repeat(np.arange(len(visited)), count[end])
        step = np.arange(len(grown)) - np.repeat(np.cumsum(count[end]) - count[end], count[end])
        bond = first[end[grown]] + step
        if last is not None:
            back = (j[bond] == i[last[grown]]) & (np.abs(r[bond] + r[last[grown]]).max(axis=1) < 1e-6)
            grown, bond = grown[~back], bond[~back]
        visited = np.column_stack([visited[grown], j[bond]])
        places = np.concatenate([places[grown], places[grown][:, -1:] + r[bond][:, None]], axis=1)
        last = bond
        out.append((visited, places))
    return out


def _dressed(atoms, i):
    numbers = np.bincount(i, minlength=len(atoms))
    return [f"{symbol}{number}" for symbol, number in zip(atoms.symbols, numbers, strict=True)]


def _counted(atoms, n, anion, ratio, number):
    """{word: paths per cation} of one structure."""
    bound = bonds(atoms, anion, ratio, number)
    names, kind = np.unique(_dressed(atoms, bound[0]), return_inverse=True)
    cations, out = (np.array(atoms.symbols) != anion).sum(), Counter()
    for visited, _ in _walked(atoms, n, bound):
        found, counts = np.unique(kind[visited], axis=0, return_counts=True)
        ways = 1 if visited.shape[1] == 1 else 2
        for letters, count in zip(names[found].tolist(), counts, strict=True):
            out["-".join(min(letters, letters[::-1]))] += count / ways / cations
    return out


def _sorted(counted):
    """All words: short ones first, then by the alphabet."""
    return sorted(set().union(*counted), key=lambda word: (word.count("-"), word))
