"""Cells of LiPON: Li3PO4 with O replaced by N, at random or in motifs built on purpose.  Needs only ASE.

Motifs: a lone N on a P, two (a pair) or three N on one P, and an N that bridges two P, as in the glass.
Li +1, P +5, O -2, N -3: every cell adds up to zero.
"""

import numpy as np
from ase import Atom
from ase.neighborlist import neighbor_list
from ase.spacegroup import crystal

CHARGES = {"Li": 1, "P": 5, "O": -2, "N": -3}
CORNERS = {"bridge": "N", "oxygen bridge": "O"}  # of two tetrahedra: what they share
BOND = 2.2  # A, P to O or N in a snapshot: bonds are 1.5 to 1.9 there, the next anion is beyond 2.7


def unit_cell(phase):
    """Li3PO4: "beta" (Pmn2_1, 16 atoms) or "gamma" (Pnma, 32); lattice about 1 % above the measured one.

    beta: C. Keffer et al., Inorg. Chem. 6, 119 (1967).
    """
    if phase == "beta":
        return crystal(
            ["Li", "Li", "P", "O", "O", "O"],
            [
                (0.248, 0.328, 0.986),
                (0.0, 0.157, 0.489),
                (0.0, 0.824, 0.0),
                (0.208, 0.686, 0.898),
                (0.0, 0.105, 0.898),
                (0.0, 0.816, 0.321),
            ],
            spacegroup=31,
            cellpar=[6.157, 5.283, 4.907, 90, 90, 90],
        )
    return crystal(
        ["Li", "Li", "P", "O", "O", "O"],
        [
            (0.163, 0.503, 0.303),
            (0.424, 0.25, 0.205),
            (0.411, 0.75, 0.309),
            (0.342, 0.544, 0.206),
            (0.050, 0.75, 0.292),
            (0.0904, 0.25, 0.124),
        ],
        spacegroup=62,
        cellpar=[10.56, 6.16, 4.96, 90, 90, 90],
    )


def host(phase, large=False):
    """64 atoms of Li3PO4, or 128."""
    return unit_cell(phase) * {"beta": (1 + large, 2, 2), "gamma": (1, 1 + large, 2)}[phase]


def add_lithium(atoms, n, rng):
    """Add n Li atoms, in place, each in a void drawn from the roomiest.

    A grid point is the roomier the farther its nearest cation (to 2.1 A) and its nearest anion (to 1.9 A).
    """
    size = atoms.cell.lengths()  # both crystals have right angles
    axis = np.linspace(0, 1, 20, endpoint=False)
    grid = np.stack(np.meshgrid(axis, axis, axis), -1).reshape(-1, 3) @ atoms.cell.array
    for _ in range(n):
        vectors = (grid[:, None] - atoms.positions + size / 2) % size - size / 2
        distances = np.linalg.norm(vectors, axis=2)
        cations = np.isin(atoms.symbols, ["Li", "P"])
        room = np.minimum(distances[:, cations].min(1), 2.1) + np.minimum(distances[:, ~cations].min(1), 1.9)
        atoms.append(Atom("Li", grid[rng.choice(np.where(room > room.max() - 0.2)[0])]))


def dope(atoms, n, rng):
    """A copy with n O atoms replaced by N, and n Li atoms added."""
    atoms = atoms.copy()
    oxygen = [i for i, symbol in enumerate(atoms.symbols) if symbol == "O"]
    for i in rng.choice(oxygen, n, replace=False) if n else []:
        atoms[int(i)].symbol = "N"
    add_lithium(atoms, n, rng)
    return atoms


def bonds(atoms):
    """P-O and P-N bonds up to `BOND`: index of the P, of the anion, and the distance (A), one a bond."""
    first, second, lengths = neighbor_list("ijd", atoms, {("P", "O"): BOND, ("P", "N"): BOND})
    phosphorus = atoms.numbers[first] == 15
    return first[phosphorus], second[phosphorus], lengths[phosphorus]


def group(atoms, n, rng, used):
    """Replace n O of one P by N, in place; its index is added to `used`, those of the P changed before."""
    centre, anion, _ = bonds(atoms)
    phosphorus = rng.choice(np.setdiff1d(np.flatnonzero(atoms.symbols == "P"), used))
    used.append(phosphorus)
    atoms.symbols[rng.choice(anion[centre == phosphorus], n, replace=False)] = "N"


def condense(atoms, rng, used, symbol="N", vacancy=0):
    """Condense two PO4 into one with a shared corner, in place.

    Two O become one atom between them, and a Li near it goes.  The two O are drawn from the three closest
    such pairs.  Their P are moved together, each with its own three O, so that both are 1.9 A from the
    shared corner.  symbol: of the corner.  vacancy: which Li goes, 0 the nearest to the corner.  used: as
    in `group`.  Returns the indices of the O and the Li to delete.
    """
    centre, anion, _ = bonds(atoms)
    free = ~np.isin(centre, used) & (atoms.numbers[anion] == 8)
    centre, anion = centre[free], anion[free]
    distances = atoms.get_all_distances(mic=True)[np.ix_(anion, anion)]
    distances[centre[:, None] >= centre] = np.inf  # of one P, or counted before
    i, j = np.unravel_index(np.argsort(distances, axis=None)[rng.integers(3)], distances.shape)
    one, other = anion[i], anion[j]
    atoms.positions[one] += atoms.get_distance(one, other, mic=True, vector=True) / 2
    atoms.symbols[one] = symbol
    for phosphorus in (centre[i], centre[j]):
        vector = atoms.get_distance(phosphorus, one, mic=True, vector=True)
        own = [phosphorus, *(a for a in anion[centre == phosphorus] if a not in (one, other))]
        atoms.positions[own] += vector * (1 - 1.9 / np.linalg.norm(vector))
        used.append(phosphorus)
    lithium = np.flatnonzero(atoms.symbols == "Li")
    return [other, lithium[np.argsort(atoms.get_distances(one, lithium, mic=True))[vacancy]]]


def place(kinds, phase, rng, vacancy=0):
    """A cell of `phase` with a motif for each of `kinds`.

    kinds: of "lone", "pair", "triple", "bridge", "oxygen bridge".   vacancy: as in `condense`.   The Li that
    make the cell neutral are still to be added.
    """
    atoms, used, gone = host(phase), [], []
    for kind in kinds:
        if kind in CORNERS:
            gone += condense(atoms, rng, used, CORNERS[kind], vacancy)
        else:
            group(atoms, {"lone": 1, "pair": 2, "triple": 3}[kind], rng, used)
    del atoms[gone]
    return atoms


def missing_lithium(atoms):
    """How many Li have to be added to make the cell neutral."""
    return -sum(CHARGES[symbol] for symbol in atoms.symbols)


def motifs(atoms):
    """Motif of each N by its bonds.

    "bridge" (to two P), else by the N on its P "lone", "pair", "triple"; "loose" without a P.
    Returns index of the N -> motif.
    """
    centre, anion, _ = bonds(atoms)
    nitrogen = np.flatnonzero(atoms.symbols == "N")
    found = {}
    for i in nitrogen:
        own = centre[anion == i]
        together = np.isin(anion[centre == own[0]], nitrogen).sum() if len(own) else 0
        found[int(i)] = "bridge" if len(own) == 2 else ["loose", "lone", "pair", "triple", "four"][together]
    return found


def bridges(atoms):
    """Every N or O between two P: mean distance to them (A) and angle there (degrees), one row a bridge."""
    centre, anion, lengths = bonds(atoms)
    rows = []
    for i in np.flatnonzero(np.bincount(anion) == 2):
        one, other = centre[anion == i]
        rows.append((float(lengths[anion == i].mean()), float(atoms.get_angle(one, i, other, mic=True))))
    return rows
