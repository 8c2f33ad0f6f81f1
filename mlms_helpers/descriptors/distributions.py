"""How far, and at which angle: distributions of distances and of angles, one row a structure.

Each distance, or angle, is a Gaussian of area one, so that curves change smoothly as atoms move; the mean is
taken over the atoms at the centre, so that a larger piece of the same crystal has the same row.
"""

from collections.abc import Sequence

import numpy as np
from ase import Atoms

from mlms_helpers.statistics import whole

from ._checks import chemical_species, pair_number, positive, species_pairs, validated
from ._sums import blocks, triplets
from .neighbours import cutoff_function

REACH = 6.0  # widths after which a Gaussian ends: there it is 1.5e-8 of its height
ENTRIES = 2**21  # numbers that are worked on at once


def radial_distribution(
    structures: Sequence[Atoms],
    cutoff: float = 8.0,
    width: float = 0.1,
    points: int = 81,
    species: Sequence[str] | None = None,
) -> np.ndarray:
    """How many neighbours of each kind stand at which distance: the pair distribution, one row a structure.

    structures: periodic or not.
    cutoff: A, the end of the grid `np.linspace(0, cutoff, points)`.
    width: standard deviation of each neighbour's Gaussian, A; at least half the step of the grid.
    points: of the grid.
    species: as in `symmetry_functions`.

    Returns float64 [n_structures, n_pairs * points], 1/A, the grid of the first pair of species first: for a,
    b (a <= b in the alphabet) the mean number of neighbours b of an atom a per A.  The integral over a peak
    is a coordination number; divided by 4 pi r^2 and by the number of atoms b per volume, the curve is g(r).
    Zeros for a species that is absent.  Neighbours beyond the cutoff show their flank; an atom that comes
    near appears with 1.5e-8 of a peak's height.
    Raises ValueError for an empty list, a species that is not in `species`, two atoms at one place, a cutoff
    or width that is not positive, or fewer than two points.
    """
    structures = validated(structures)
    species = chemical_species(structures, species)
    grid = _grid(cutoff, width, points)
    n, pairs = len(species), len(species_pairs(species))
    which, kind, atoms_of = _all_atoms(structures, species)
    out = np.zeros((len(structures), pairs * points))
    before = 0
    for block in blocks(structures, cutoff + REACH * width, species, _rows_at_once(grid, width)):
        centre = before + block.centre
        before += block.n
        kept = kind[centre] <= block.kind
        centre, partner = centre[kept], block.kind[kept]
        d = np.sqrt((block.r[kept] ** 2).sum(1))
        channel = pair_number(kind[centre], partner, n)
        _add(out, which[centre], channel, d, 1 / atoms_of[which[centre], kind[centre]], grid, width)
    return out


def radial_distribution_labels(structures, cutoff, width, points, species):
    grid = _grid(cutoff, width, points)
    pairs = species_pairs(chemical_species(structures, species))
    return [f"{b} around {a}, {r:.{_digits(grid)}f} A" for a, b in pairs for r in grid]


def angular_distribution(
    structures: Sequence[Atoms],
    cutoff: float = 3.0,
    width: float = 4.0,
    points: int = 60,
    species: Sequence[str] | None = None,
) -> np.ndarray:
    """How many pairs of neighbours of each kind stand at which angle: the bond angles, one row a structure.

    structures: periodic or not.
    cutoff: A; a pair of neighbours counts with the product of their two cutoff functions, so that an atom
    that leaves fades.
    width: standard deviation of each angle's Gaussian, degrees; at least half the step of the grid.
    points: of the grid `np.linspace(0, 180, points)`.
    species: as in `symmetry_functions`.

    Returns float64 [n_structures, n_species * n_pairs * points], 1/degree, by the species of the atom in the
    middle,
    then by the pair of its neighbours: the mean number of such pairs of one atom, each counted once, per
    degree.  What a
    Gaussian would lay below 0 or above 180 degrees is reflected, so that its area stays one: a straight bond
    counts fully.  Zeros for a species that is absent.  The first derivative is continuous where an atom
    crosses the cutoff.
    Raises ValueError as `radial_distribution` does.
    """
    structures = validated(structures)
    species = chemical_species(structures, species)
    grid = _grid(180.0, width, points, "angles")
    n, pairs = len(species), len(species_pairs(species))
    which, kind, atoms_of = _all_atoms(structures, species)
    out = np.zeros((len(structures), n * pairs * points))
    before = 0
    for block in blocks(structures, cutoff, species, _rows_at_once(grid, width), squared=True):
        a, b = triplets(block)
        centre = before + block.centre[a]
        before += block.n
        d = np.sqrt((block.r**2).sum(1))
        fade = cutoff_function(d, cutoff)
        cosine = np.einsum("px,px->p", block.r[a], block.r[b]) / (d[a] * d[b])
        angle = np.degrees(np.arccos(np.clip(cosine, -1, 1)))
        channel = kind[centre] * pairs + pair_number(block.kind[a], block.kind[b], n)
        weight = fade[a] * fade[b] / atoms_of[which[centre], kind[centre]]
        turns = int(np.ceil(REACH * width / 360))
        for turn in range(-turns, turns + 1):
            for image in (360 * turn + angle, 360 * turn - angle):
                near = (image > -REACH * width) & (image < 180 + REACH * width)
                _add(out, which[centre[near]], channel[near], image[near], weight[near], grid, width)
    return out


def angular_distribution_labels(structures, cutoff, width, points, species):
    grid = _grid(180.0, width, points, "angles")
    species = chemical_species(structures, species)
    return [
        f"{a}-{centre}-{b}, {angle:.{_digits(grid)}f} degrees"
        for centre in species
        for a, b in species_pairs(species)
        for angle in grid
    ]


def _grid(last, width, points, what="distances"):
    positive("cutoff", last)
    positive("width", width)
    points = whole(f"points, of the grid of {what},", points, 2)
    if width < 0.5 * last / (points - 1):
        raise ValueError(
            f"a width of {width:g} falls between the points of the grid, {last / (points - 1):.3g} apart: "
            f"take more points, or a larger width"
        )
    return np.linspace(0.0, last, points)


def _digits(grid):
    """Decimals that tell the points of a grid apart."""
    return max(0, int(np.ceil(-np.log10(grid[1]))) + 1)


def _all_atoms(structures, species):
    """Of each atom its structure's number and its species'; how many there are [n_structures, n_species]."""
    which = np.repeat(np.arange(len(structures)), [len(atoms) for atoms in structures])
    kind = np.concatenate([np.searchsorted(species, atoms.symbols) for atoms in structures])
    count = np.bincount(which * len(species) + kind, minlength=len(structures) * len(species))
    return which, kind, count.reshape(len(structures), -1)


def _window(grid, width):
    """Points of the grid a Gaussian reaches to either side."""
    return int(np.ceil(REACH * width / grid[1]))


def _rows_at_once(grid, width):
    return max(1, ENTRIES // (2 * min(_window(grid, width), len(grid)) + 1))


def _add(out, row, channel, position, weight, grid, width):
    """Add Gaussians to rows of `out`, which ascend: at `position`, of area `weight`, in curve `channel`."""
    if not len(row):
        return
    reach, step = _window(grid, width), grid[1]
    near = np.rint(position / step).astype(int)[:, None] + np.arange(-reach, reach + 1)
    height = (weight / (width * np.sqrt(2 * np.pi)))[:, None]
    height = np.exp(-0.5 * ((near * step - position[:, None]) / width) ** 2) * height
    place = ((row - row[0]) * out.shape[1] + channel * len(grid))[:, None] + near
    inside = (near >= 0) & (near < len(grid))
    touched = out[row[0] : row[-1] + 1]
    touched += np.bincount(place[inside], height[inside], touched.size).reshape(touched.shape)
