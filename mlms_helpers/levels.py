"""One-electron levels of defects: which band belongs to which atom, and measured from where.

A *level* is an energy in eV; it means nothing without a reference.  Two references are offered:
the host band edge of the same configuration, and the mean electrostatic potential at the oxygen
sites (the alignment through site potentials that charged-defect calculations use).
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from ase import Atoms
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike
from scipy.sparse.csgraph import connected_components

from mlms_helpers.descriptors import neighbours
from mlms_helpers.descriptors._checks import validated
from mlms_helpers.rendering import PALETTE, as_written, same_length, style, vector
from mlms_helpers.statistics import group_numbers, unmasked

COLUMNS = ("structure", "atom", "motif", "group", "depth", "aligned", "pair_level", "pair_depth", "centroid")
COLUMNS += ("orbital", "share")  # of `nitrogen_levels`, before those of PROVENANCE
PROVENANCE = ("config", "family", "snapshot", "phase", "n_nitrogen", "temperature")
WINDOW = 8.0  # eV below the host edge: the width of the O-2p valence band with room to spare
HOST_WEIGHT = 0.1  # a band with less than this weight on the defect atoms belongs to the host
OWN_SHARE = 0.5  # of an atom's largest share: a band with at least this much belongs to the atom
BOND = 2.2  # A, P to N: bonds have 1.5 to 1.9, the next N is beyond 2.7
MOTIFS = ("loose", "lone", "pair", "triple", "quadruple")  # by the number of N on the P
EDGE_ORBITALS = 1 / 8  # orbitals an O atom that make the smooth edge: four in a small cell


def sites(structures: list[Atoms], symbols: Sequence[str] | None = None) -> pd.DataFrame:
    """Which atom of which structure: the table that every array of one number an atom goes with.

    structures: any.
    symbols: of the atoms wanted, such as ("O", "N"); default, all.

    Returns a DataFrame, one row an atom in the order of the structures and their atoms: structure and atom
    (both 0-based), symbol.
    """
    structures = validated(structures, least=0)
    counts = [len(atoms) for atoms in structures]
    table = pd.DataFrame(
        {
            "structure": np.repeat(np.arange(len(structures)), counts),
            "atom": np.concatenate([np.arange(n) for n in counts] or [np.arange(0)]),
            "symbol": [symbol for atoms in structures for symbol in atoms.symbols],
        }
    )
    return table if symbols is None else table[table.symbol.isin(symbols)].reset_index(drop=True)


def site_potentials(structures: list[Atoms], symbols: Sequence[str] | None = ("O", "N")) -> np.ndarray:
    """Electrostatic potential energy of an electron at each site, as DFT has it.

    structures: with `arrays["potential"]` (eV), as `datasets.load("lipon")` gives them.
    symbols: of the sites wanted; None, all.

    Returns float64, one a row of `sites(structures, symbols)`, eV; to be measured `from_oxygen`, since each
    structure has its own zero.  Raises ValueError for a structure without potentials.
    """
    structures = validated(structures, least=0)
    for number, atoms in enumerate(structures):
        if "potential" not in atoms.arrays:
            raise ValueError(f"structure {number} has no potential: it comes with data such as lipon")
    found = np.concatenate([atoms.arrays["potential"] for atoms in structures] or [np.zeros(0)])
    return found if symbols is None else found[sites(structures).symbol.isin(symbols)]


def from_oxygen(values: ArrayLike, sites: pd.DataFrame) -> np.ndarray:
    """Energies of sites measured from the mean over the O sites of their own structure.

    values: [n_sites], eV.
    sites: one row a site, with the columns structure and symbol: see `sites`.

    Returns float64 [n_sites], eV.
    Raises ValueError for values of another number than sites, and for a structure without O.
    """
    values, where = unmasked("values", values), sites.structure.to_numpy()
    if values.shape != where.shape:
        raise ValueError(f"values of shape {values.shape} do not belong to {len(where)} sites, one each")
    oxygen = (sites.symbol == "O").to_numpy()
    without = np.setdiff1d(where, where[oxygen])
    if len(without):
        raise ValueError(f"structure {without[0]} has no O site to measure from")
    mean = pd.Series(values[oxygen]).groupby(where[oxygen]).mean()
    return values - mean.reindex(where).to_numpy()


def motifs(structures: list[Atoms]) -> pd.DataFrame:
    """What each N is bound to: alone on its P, one of a pair, a bridge between two P.

    structures: any; those without N have no row.

    Returns a DataFrame, one row an N: structure and atom (both 0-based); motif, "lone", "pair", "triple" or
    "quadruple" by the number of N on its P, "bridge" for a bond to two P, "loose" for none; group, a number
    that the N with a common P have in common, 0, 1, ... over all structures.  A bond is a distance below
    `BOND`.
    """
    rows, first = [], 0
    for number, atoms in enumerate(validated(structures, least=0)):
        nitrogen, phosphorus = (np.flatnonzero(atoms.symbols == symbol) for symbol in ("N", "P"))
        if len(nitrogen) == 0:
            continue
        i, j, _ = neighbours(atoms, BOND)
        bonds = np.zeros((len(atoms), len(atoms)), int)
        np.add.at(bonds, (i, j), 1)  # twice in a cell so small that an atom has two images of the other
        bonds = bonds[np.ix_(nitrogen, phosphorus)]
        n_groups, group = connected_components(bonds @ bonds.T)
        beside = (bonds.sum(axis=0) * (bonds > 0)).max(axis=1, initial=0)
        kinds = [
            "bridge" if own > 1 else MOTIFS[min(n, 4)] for own, n in zip(bonds.sum(1), beside, strict=True)
        ]
        rows += [(number, int(a), k, first + int(g)) for a, k, g in zip(nitrogen, kinds, group, strict=True)]
        first += n_groups
    found = pd.DataFrame(rows, columns=["structure", "atom", "motif", "group"])
    return found.astype({"structure": int, "atom": int, "group": int})  # also where there is no N


def coupled(levels: ArrayLike, groups: ArrayLike, coupling: float) -> np.ndarray:
    """Highest level of N atoms that share a P, from the levels that each would have alone.

    levels: [..., n], eV, of each N for itself.
    groups: [n], which N belong together: the column group of `motifs`.
    coupling: t, eV, between any two N of a group; of a pair only its size matters.

    Returns float64 [..., n], eV: for each N the highest eigenvalue of its group's matrix, with the levels on
    the diagonal and t beside it.  Two N: mean + sqrt((difference / 2)^2 + t^2); one alone keeps its level.
    Raises ValueError for lengths that differ, a level or coupling that is no finite number, and a missing
    group.
    """
    levels, coupling, numbers = unmasked("levels", levels), np.asarray(coupling), group_numbers(groups)
    if levels.ndim == 0 or levels.shape[-1] != len(numbers):
        raise ValueError(f"levels of shape {levels.shape} do not belong to {len(numbers)} groups, one each")
    if coupling.shape or coupling.dtype.kind not in "iuf" or not np.isfinite(coupling):
        raise ValueError(f"the coupling must be one finite number, eV, not {coupling}")
    if not np.isfinite(levels).all():
        raise ValueError("the levels hold a value that is not a finite number")
    found, sizes = levels.copy(), np.bincount(numbers)
    order = np.argsort(numbers, kind="stable")
    for size in set(sizes[sizes > 1]):
        members = order[np.isin(numbers[order], np.flatnonzero(sizes == size))].reshape(-1, size)
        matrix = levels[..., members][..., None] * np.eye(size) + coupling * (1 - np.eye(size))
        found[..., members] = np.linalg.eigvalsh(matrix)[..., -1:]
    return found


def host_edge(eps: ArrayLike, occ: ArrayLike, share: ArrayLike, defect: ArrayLike) -> int:
    """Highest occupied band of the host: the valence-band edge next to a defect.

    eps: [n_bands], eV, ascending.
    occ: [n_bands], electrons in each band (0 to 2).
    share: [n_atoms, n_bands], each atom's squared projections on a band, divided so that columns sum to one.
        They say which atoms a band sits on, and are no count of electrons: Li gets too much.
    defect: bool [n_atoms], True for the defect atoms.

    Returns the band's index: the highest occupied one with less than a tenth of its weight on the
    defect atoms.  Raises ValueError if there is none.
    """
    weight = np.asarray(share)[np.asarray(defect, bool)].sum(axis=0)
    bands = np.flatnonzero((np.asarray(occ) > 1) & (weight < HOST_WEIGHT))
    if len(bands) == 0:
        raise ValueError(
            "no occupied band has less than a tenth of its weight on the defect atoms: "
            "there is no host band edge to measure from"
        )
    return bands[-1]


def atom_level(eps: ArrayLike, occ: ArrayLike, share: ArrayLike, atom: int, edge: float) -> int:
    """Band that holds the highest occupied level of one atom.

    eps, occ, share: as in `host_edge`.
    atom: row of `share`.
    edge: energy of the host edge, eV.

    Returns the band's index: the highest occupied band with at least half of the largest share that
    the atom has in any occupied band from `WINDOW` below the edge upwards.  (Without the window, the
    N-2s band 12 eV below wins whenever several N atoms mix.)
    """
    eps = np.asarray(eps)
    bands = np.flatnonzero((np.asarray(occ) > 1) & (eps > edge - WINDOW))
    own = np.asarray(share)[atom, bands]
    return bands[own >= OWN_SHARE * own.max()][-1]


def band_edges(structures: list[Atoms]) -> pd.DataFrame:
    """Band edges and gap of each configuration, one row a structure.

    structures: with `info["eps"]` (eV), `info["occ"]`, `arrays["share"]` and `arrays["potential"]` (eV, the
        potential energy of an electron at the site), as `datasets.load("lipon")` gives them.

    Returns a DataFrame, all energies in eV:
      reference   mean potential energy of an electron at the O sites
      host_edge   valence-band edge of the host, from `reference`: one Kohn-Sham state, see the function
                  `host_edge`, whose threshold moves it by 0.1 eV where there is much N
      smooth_edge mean of the bands that are mostly O, from the top down, as many as hold one orbital of each
                  eight O atoms (four in a cell of 64 atoms), from `reference`: smoother than one state
      top_level   highest occupied level of all, from `reference`
      empty_edge  lowest empty level, from `reference`
      gap         empty_edge - host_edge: the host's gap
    Raises ValueError for a structure without such results, or whose results contradict one another.
    """
    return pd.DataFrame([_edges(atoms, n)[0] for n, atoms in enumerate(validated(structures, least=0))])


def host_zero(edges: pd.DataFrame, table: pd.DataFrame) -> float:
    """Zero for aligned levels that can be read: the valence-band edge of the crystals without N.

    edges: of `band_edges`.
    table: one row a structure, in the same order, with the column n_nitrogen, as that of "lipon".

    Returns the mean `host_edge` of the structures without N, eV, from their O sites, like the column aligned
    of `nitrogen_levels`.  Raises ValueError if each structure holds N, or for tables of different length or
    without their column.
    """
    for wanted, given in (("host_edge", edges), ("n_nitrogen", table)):
        if wanted not in given:
            raise ValueError(f"a table lacks the column {wanted}: give those of `band_edges` and of the data")
    if len(edges) != len(table):
        raise ValueError(f"{len(edges)} band edges do not belong to a table of {len(table)} structures")
    without = (table.n_nitrogen == 0).to_numpy()
    if not without.any():
        raise ValueError("each structure holds N: there is no host without a defect to take the zero from")
    return float(edges.host_edge[without].mean())


def nitrogen_levels(structures: list[Atoms]) -> pd.DataFrame:
    """Level of every nitrogen atom: the data behind the hole-trap depth, one row an N site.

    structures: as in `band_edges`.

    Returns a DataFrame with energies in eV:
      structure, atom   which: index into `structures`, and of the atom in it (both 0-based)
      motif, group      what it is bound to, and which N share a P: see `motifs`
      depth             level above the host edge of its own configuration: the hole-trap depth
      aligned           level above the mean potential energy at the O sites
      pair_level        the same, but of its group: N on one P have one highest level together, and both get
                        it.  For an N alone it is `aligned`
      pair_depth        pair_level above the host edge
      centroid          share-weighted mean of all occupied bands in the O-2p window, aligned likewise:
                        a smoother label, to see what the choice of label does
      orbital           mean of the atom's highest orbital, aligned likewise: from the top down, as many bands
                        as hold one orbital of the atom, by its part of the shares of all anions.  Smoother
                        than `aligned`, since no band is chosen
      share             the atom's share of the level's band, see `host_edge`
    and the columns of `info` that say where the structure comes from.

    The level is a Kohn-Sham eigenvalue, not a charge-transition level: no relaxation, no correction
    of the gap.
    Raises ValueError as `band_edges` does.
    """
    structures, rows = validated(structures, least=0), []
    bound = motifs(structures)
    for number, atoms in enumerate(structures):
        edges, edge = _edges(atoms, number)
        eps, occ, share, _ = _bands(atoms, number)
        valence = np.flatnonzero((occ > 1) & (eps > eps[edge] - WINDOW))
        anions = share[np.isin(atoms.symbols, ["O", "N"])].sum(axis=0)
        here = bound[bound.structure == number]
        for atom, motif, group in zip(here.atom, here.motif, here.group, strict=True):
            band = atom_level(eps, occ, share, atom, eps[edge])
            together = share[here.atom[here.group == group]].sum(axis=0, keepdims=True)
            upper = eps[atom_level(eps, occ, together, 0, eps[edge])]
            own = share[atom, valence]
            rows.append(
                {
                    "structure": number,
                    "atom": atom,
                    "motif": motif,
                    "group": group,
                    "depth": eps[band] - eps[edge],
                    "aligned": eps[band] - edges["reference"],
                    "pair_level": upper - edges["reference"],
                    "pair_depth": upper - eps[edge],
                    "centroid": float(own @ eps[valence] / own.sum()) - edges["reference"],
                    "orbital": _top(eps[valence], own / anions[valence], 1.0) - edges["reference"],
                    "share": float(share[atom, band]),
                    **{k: atoms.info[k] for k in PROVENANCE if k in atoms.info},
                }
            )
    return pd.DataFrame(rows, columns=None if rows else [*COLUMNS, *PROVENANCE])


def nitrogen_content(structures: list[Atoms]) -> np.ndarray:
    """y of Li(3+y)PO(4-y)N(y): N atoms in a formula unit, the same whatever the size of the cell.

    structures: with P.

    Returns float64 [n_structures].  Raises ValueError for a structure without P.
    """
    counts = [
        [(atoms.symbols == symbol).sum() for symbol in ("N", "P")] for atoms in validated(structures, least=0)
    ]
    counts = np.array(counts).reshape(-1, 2)
    if not counts[:, 1].all():
        first = int(counts[:, 1].argmin())
        raise ValueError(f"structure {first} has no P: formula units of Li(3+y)PO(4-y)N(y) cannot be counted")
    return counts[:, 0] / counts[:, 1]


@style()
def draw(
    depth: ArrayLike,
    sigma: ArrayLike | None = None,
    *,
    names: Sequence | None = None,
    true: ArrayLike | None = None,
    title: str | None = None,
    ax: Axes | None = None,
) -> Figure:
    """Levels of defects as lines in the gap, above the valence band, with error bars.

    depth: [n], eV, above the valence-band edge.
    sigma: [n], eV; default, no error bars.
    names: [n], below each line; default, its number.
    true: [n], eV, known levels to compare with, as dashed lines; default, none.
    title: default, none.
    ax: axes to draw in; default, a new figure.

    Returns Figure.  Raises ValueError when lengths differ or there is nothing to draw.
    """
    depth = vector(depth, "depth")
    names = [as_written(n) for n in (range(len(depth)) if names is None else names)]
    same_length(sigma=sigma, names=names, true=true, depth=depth)
    sigma = np.zeros(len(depth)) if sigma is None else vector(sigma, "sigma")
    ax = ax or Figure(figsize=(max(5.0, min(9.0, 2.4 + 0.9 * len(depth))), 4.4)).subplots()
    rows = np.arange(len(depth))
    ax.axhspan(-0.6, 0, color=PALETTE["sky"], alpha=0.35, linewidth=0)
    ax.text(len(depth) - 0.52, -0.05, "O 2p valence band", ha="right", va="top", fontsize=12)
    ax.hlines(depth, rows - 0.32, rows + 0.32, color=PALETTE["blue"], linewidth=3, label="predicted")
    ax.errorbar(rows, depth, yerr=sigma, fmt="none", ecolor=PALETTE["blue"], elinewidth=1.5, capsize=4)
    ends = [*(depth + sigma), 0]
    if true is not None:
        dashed = {"color": PALETTE["vermillion"], "linewidth": 2, "linestyle": "--", "label": "DFT"}
        ax.hlines(vector(true, "true"), rows - 0.32, rows + 0.32, **dashed)
        ax.legend(loc="upper left", bbox_to_anchor=(1.01, 1), borderaxespad=0)
        ends += list(true)
    if len(depth) > 20:  # too many names to be read
        names = [name if number % (len(depth) // 10) == 0 else "" for number, name in enumerate(names)]
    ax.set_xticks(rows, names)
    ax.set(xlabel="N atom", xlim=(-0.5, len(depth) - 0.5), ylabel="level above the valence-band edge (eV)")
    ax.set_ylim(min(-0.6, (depth - sigma).min() - 0.1), max(2.0, max(ends) + 0.2))
    ax.grid(axis="x", visible=False)
    ax.set_title(as_written(title or ""))
    return ax.figure


def _top(eps: np.ndarray, weight: np.ndarray, orbitals: float) -> float:
    """Mean energy of the highest states that together hold so many orbitals.  eps: ascending."""
    eps, weight = eps[::-1], weight[::-1]
    used = np.diff(np.minimum(np.cumsum(weight), orbitals), prepend=0)
    return float(used @ eps / used.sum())


def _bands(atoms: Atoms, number: int) -> list[np.ndarray]:
    """eps, occ, share and potential of a structure, or a ValueError with its number."""
    kept = {"eps": atoms.info, "occ": atoms.info, "share": atoms.arrays, "potential": atoms.arrays}
    lacks = [name for name, where in kept.items() if name not in where]
    if lacks:
        raise ValueError(f"structure {number} lacks {', '.join(lacks)}: it needs results as those of lipon")
    found = [np.asarray(kept[name][name], float) for name in kept]
    eps, occ, share, _ = found
    if eps.ndim != 1 or occ.shape != eps.shape or share.shape != (len(atoms), len(eps)):
        raise ValueError(
            f"structure {number}: eps {eps.shape}, occ {occ.shape} and share {share.shape} must have as many "
            f"bands, and share {len(atoms)} atoms"
        )
    wrong = [name for name, values in zip(kept, found, strict=True) if not np.isfinite(values).all()]
    if wrong:
        raise ValueError(f"structure {number}: {wrong[0]} holds a value that is not a finite number")
    if (np.diff(eps) < 0).any():
        raise ValueError(f"structure {number}: the energies eps must ascend")
    if not (occ < 1).any():
        raise ValueError(f"structure {number} has no empty band, so no gap")
    if "O" not in atoms.symbols:
        raise ValueError(f"structure {number} holds no O: levels are measured from the O sites")
    return found


def _edges(atoms: Atoms, number: int) -> tuple[dict, int]:
    """Row of `band_edges` and the index of the host edge's band."""
    eps, occ, share, potential = _bands(atoms, number)
    edge = host_edge(eps, occ, share, atoms.symbols == "N")
    reference = potential[atoms.symbols == "O"].mean()
    host, top, empty = eps[edge], eps[occ > 1].max(), eps[occ < 1].min()
    valence = np.flatnonzero((occ > 1) & (eps > host - WINDOW))
    oxygen, anions = (share[np.isin(atoms.symbols, kinds)][:, valence] for kinds in (["O"], ["O", "N"]))
    part = oxygen.sum(axis=0) / anions.sum(axis=0)
    smooth = _top(eps[valence], np.where(part > 0.5, part, 0), EDGE_ORBITALS * len(oxygen))
    return {
        "reference": reference,
        "host_edge": host - reference,
        "smooth_edge": smooth - reference,
        "top_level": top - reference,
        "empty_edge": empty - reference,
        "gap": empty - host,
    }, edge
