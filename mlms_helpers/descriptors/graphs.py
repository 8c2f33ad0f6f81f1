"""Structures as graphs: atoms are nodes, neighbours are edges that say how far, or only of which kind.

Two ways to label an edge: by its distance, or by its bond class, which knows no distance at all: the symmetry
of the facet that two Voronoi cells share.  All arrays are padded to one size, with masks.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from ase import Atoms
from scipy.spatial import Voronoi

from mlms_helpers.statistics import whole

from ._checks import box, chemical_species, positive, validated
from .neighbours import cutoff_function, distinct_neighbours, per_structure

# Point groups that a facet can have: rotations alone, and rotations with mirror lines.
CLASSES = ("C1", "C2", "C3", "C4", "C6", "D1", "D2", "D3", "D4", "D6")
DIRECTIONS = 120  # around a facet's centre, where it is compared with its turned and mirrored copies
FARTHEST = 40.0  # A, where the search for the neighbours of a Voronoi cell ends


def graph(
    structures: Sequence[Atoms],
    labels: str = "bond",
    cutoff: float = 5.0,
    *,
    n_gaussians: int = 16,
    least_share: float = 0.02,
    tolerance: float = 0.1,
    species: Sequence[str] | None = None,
) -> dict[str, np.ndarray]:
    """Graphs of structures for `models.message_passing`, padded to the largest of them.

    structures: periodic for "bond"; periodic or not for "distance".
    labels: "bond": an edge joins two atoms whose Voronoi cells share a facet, and is labelled by the facet's
        point group, one of `CLASSES`, one-hot: who is whose neighbour, and no distance.  "distance": an edge
        joins all pairs within the cutoff, and carries Gaussians of their distance.
    cutoff: A, of "distance".
    n_gaussians: of "distance", their centres evenly from 0 to the cutoff, as wide as they are apart.
    least_share: of "bond", facets that fill less of the sphere around an atom (a part of 1) are no bond: they
        come and go as atoms move.
    tolerance: of "bond", the part of its area by which a facet may differ from its turned or mirrored copy
        and still count as symmetric.
    species: chemical symbols; default, all that occur, sorted.  Give it when several lists are to be
        numbered alike.

    Returns a dict of arrays, float32 and int32:
    nodes [n_structures, most_atoms]: number of the species, from 1; 0 is padding.
    node_mask [n_structures, most_atoms]: 1 for an atom, 0 for padding.
    senders, receivers [n_structures, most_edges]: numbers of two atoms; each pair both ways round, and as
        often as periodic images make it.
    edges [n_structures, most_edges, n_features]: the labels.
    edge_mask [n_structures, most_edges]: how much an edge counts: 1 for a bond, `cutoff_function` of a
        distance, 0 for padding.
    Raises ValueError for other labels, a species that is not in `species`, two atoms at one place, "bond" of
    what is not periodic in three directions, and numbers that cannot be.
    P. B. Jorgensen, E. Garijo del Rio, M. N. Schmidt and K. W. Jacobsen, PRB 100, 104114 (2019),
    arXiv:1905.06048 (facets and their symmetries; there each symmetry has a flag of its own); K. T. Schuett
    et al., JCP 148, 241722 (2018), eq. 10 (Gaussians).
    """
    structures = validated(structures)
    species = chemical_species(structures, species)
    if labels == "distance":
        positive("cutoff", cutoff)
        centres = np.linspace(0, cutoff, whole("n_gaussians", n_gaussians, 2))
        found = [_by_distance(atoms, cutoff, centres, k) for k, atoms in enumerate(structures)]
    elif labels == "bond":
        for name, value in (("least_share", least_share), ("tolerance", tolerance)):
            if not 0 <= value < 1:
                raise ValueError(f"{name} must be a part of 1, from 0 to below 1, not {value}")
        found = [_by_bond(atoms, least_share, tolerance, k) for k, atoms in enumerate(structures)]
    else:
        raise ValueError(f"labels must be 'bond' or 'distance', not {labels!r}")
    numbers = [1 + np.searchsorted(species, np.array(atoms.symbols)) for atoms in structures]
    receivers, senders, edges, weights = zip(*found, strict=True)
    return {
        "nodes": _stack(numbers, "int32"),
        "node_mask": _stack([np.ones(len(n)) for n in numbers]),
        "senders": _stack(senders, "int32"),
        "receivers": _stack(receivers, "int32"),
        "edges": _stack(edges),
        "edge_mask": _stack(weights),
    }


def padded(values: np.ndarray, structures: Sequence[Atoms]) -> dict[str, np.ndarray]:
    """A descriptor per atom as one array a structure, padded to the largest, for `models.over_atoms`.

    values: [n_atoms_total, n_features], rows in the order of the structures and their atoms.
    structures: the list it was made from.

    Returns a dict: atoms float32 [n_structures, most_atoms, n_features], 0 in the padding; node_mask float32
    [n_structures, most_atoms], 1 for an atom, 0 for padding.
    Raises ValueError where the array has not one row an atom.
    """
    each = per_structure(values, structures)
    return {"atoms": _stack(each), "node_mask": _stack([np.ones(len(a)) for a in each])}


def _stack(each, kind="float32"):
    """Arrays of different lengths in one, zeros behind the shorter ones."""
    out = np.zeros((len(each), max(1, *map(len, each)), *each[0].shape[1:]), kind)
    for row, values in zip(out, each, strict=True):
        row[: len(values)] = values
    return out


def _by_distance(atoms, cutoff, centres, number):
    i, j, _, distance = distinct_neighbours(atoms, cutoff, number)
    gaussians = np.exp(-((distance[:, None] - centres) ** 2) / (2 * (centres[1] - centres[0]) ** 2))
    return i, j, gaussians, cutoff_function(distance, cutoff)


def _by_bond(atoms, least_share, tolerance, number):
    if not atoms.pbc.all():
        raise ValueError(
            f"structure {number} is not periodic: the Voronoi cells at its surface have no end, and so no "
            "bond classes; take labels='distance'"
        )
    i, j, corners = _facets(atoms, number)
    shares, outlines = np.zeros(len(i)), np.ones((len(i), DIRECTIONS))
    sizes = np.array([len(c) for c in corners])
    for size in np.unique(sizes):  # facets with equally many corners together
        mine = np.flatnonzero(sizes == size)
        shares[mine], outlines[mine] = _measured(np.array([corners[k] for k in mine]))
    kept = shares >= least_share
    one_hot = np.eye(len(CLASSES))[_classes(outlines[kept], tolerance)]
    return i[kept], j[kept], one_hot, np.ones(kept.sum())


def _facets(atoms, number):
    """i, j, and the corners of the facet between them, seen from i: a list of arrays [n_corners, 3], A."""
    cell, reach = box(atoms), 6.0
    while reach < FARTHEST:
        i, j, r, _ = distinct_neighbours(atoms, reach, number)
        shift = np.rint((atoms.positions[i] + r - atoms.positions[j]) @ np.linalg.inv(cell)).astype(int)
        own = np.column_stack([np.arange(len(atoms)), np.zeros((len(atoms), 3), int)])
        others = np.unique(np.column_stack([j, shift]), axis=0)
        others = others[others[:, 1:].any(axis=1)]
        atom, shift = np.split(np.concatenate([own, others]), [1], axis=1)
        points = atoms.positions[atom[:, 0]] + shift @ cell
        diagram = Voronoi(points) if len(points) > len(atoms) + 3 else None
        facets = diagram and _of_cells(diagram, len(atoms))
        # an atom beyond twice a cell's farthest corner cannot touch the cell
        if facets and max(np.linalg.norm(c, axis=1).max() for _, _, c in facets) <= reach / 2:
            i, j, corners = zip(*facets, strict=True)
            return np.array(i), atom[list(j), 0], corners
        reach *= 1.5
    raise ValueError(f"structure {number}: no neighbours on all sides of an atom within {FARTHEST:g} A")


def _of_cells(diagram, n):
    """(i, point, corners) of all facets of the first n cells; None where a cell is open."""
    facets = []
    for ends, corners in zip(diagram.ridge_points, diagram.ridge_vertices, strict=True):
        for i, j in (ends, ends[::-1]):
            if i < n:
                if -1 in corners:
                    return None
                facets.append((i, j, diagram.vertices[corners] - diagram.points[i]))
    return facets


def _measured(corners):
    """Share of the sphere, [n], and distance from the middle to the edge in all directions, of facets.

    corners: [n, n_corners, 3], in their order around the facet, seen from an atom.
    """
    a, b = corners, np.roll(corners, -1, axis=1)
    hub = np.broadcast_to(corners.mean(axis=1, keepdims=True), a.shape)
    length = [np.linalg.norm(v, axis=-1) for v in (hub, a, b)]
    below = length[0] * length[1] * length[2] + sum(
        (v * w).sum(-1) * length[k] for v, w, k in ((hub, a, 2), (hub, b, 1), (a, b, 0))
    )
    share = np.abs(2 * np.arctan2((hub * np.cross(a, b)).sum(-1), below).sum(1)) / (4 * np.pi)

    area = np.cross(a - hub, b - hub)
    normal = area.sum(axis=1)
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-12)
    weight = (area * normal[:, None]).sum(-1)[..., None]
    middle = (weight * (hub + a + b) / 3).sum(1) / np.maximum(weight.sum(1), 1e-12)
    first = np.cross(normal, np.eye(3)[np.abs(normal).argmin(axis=1)])
    first /= np.maximum(np.linalg.norm(first, axis=1, keepdims=True), 1e-12)
    plane = np.stack([first, np.cross(normal, first)], axis=2)
    flat = (corners - middle[:, None]) @ plane  # [n, n_corners, 2]
    edge = np.roll(flat, -1, axis=1) - flat
    outward = np.stack([edge[..., 1], -edge[..., 0]], axis=-1)
    height = (outward * flat).sum(-1)  # of the edge's line, times its length
    angle = 2 * np.pi * np.arange(DIRECTIONS) / DIRECTIONS
    along = outward @ np.stack([np.cos(angle), np.sin(angle)])
    with np.errstate(divide="ignore", invalid="ignore"):
        reach = np.where(along > 1e-9, height[..., None] / along, np.inf)
    return share, np.where(np.isfinite(r := reach.min(axis=1)), r, 0.0)


def _classes(outlines, tolerance):
    """Place in `CLASSES` of the point group of each outline [n, DIRECTIONS]."""
    square = outlines**2

    def alike(copies):  # common area, a part of the area of both together
        common, both = np.minimum(square[:, None], copies), np.maximum(square[:, None], copies)
        return common.sum(-1) >= (1 - tolerance) * both.sum(-1)

    around = np.arange(DIRECTIONS)
    turned = {n: alike(square[:, None, (around + DIRECTIONS // n) % DIRECTIONS])[:, 0] for n in (2, 3, 4, 6)}
    mirrored = np.zeros(len(square), bool)
    for some in pairwise(range(0, DIRECTIONS + 1, 12)):  # a few mirror lines at a time, for the memory
        lines = np.arange(*some)[:, None]
        mirrored |= alike(square[:, (lines - around) % DIRECTIONS]).any(axis=1)
    order = np.zeros(len(square), int)  # 1, 2, 3, 4, 6 by their places
    for place, n in enumerate((2, 3, 4, 6), 1):
        order[turned[n]] = place
    return order + 5 * mirrored
