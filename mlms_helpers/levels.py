"""One-electron levels of defects: which band belongs to which atom, and measured from where.

A *level* is an energy in eV; it means nothing without a reference.  Two references are offered:
the host band edge of the same configuration, and the mean electrostatic potential at the oxygen
sites (the alignment through site potentials that charged-defect calculations use).
"""

import numpy as np
import pandas as pd

WINDOW = 8.0          # eV below the host edge: the width of the O-2p valence band with room to spare
HOST_WEIGHT = 0.1     # a band with less than this weight on the defect atoms belongs to the host
OWN_SHARE = 0.5       # of an atom's largest share: a band with at least this much belongs to the atom


def host_edge(eps, occ, share, defect):
    """Highest occupied band of the host: the valence-band edge next to a defect.

    eps: [n_bands], eV, ascending.   occ: [n_bands], electrons in each band (0 to 2).
    share: [n_atoms, n_bands], each atom's share of each band; columns sum to one.
    defect: bool [n_atoms], True for the defect atoms.

    Returns the band's index: the highest occupied one with less than a tenth of its weight on the
    defect atoms.  Raises ValueError if there is none.
    """
    weight = np.asarray(share)[np.asarray(defect, bool)].sum(axis=0)
    bands = np.flatnonzero((np.asarray(occ) > 1) & (weight < HOST_WEIGHT))
    if len(bands) == 0:
        raise ValueError("no occupied band has less than a tenth of its weight on the defect atoms: "
                         "there is no host band edge to measure from")
    return bands[-1]


def atom_level(eps, occ, share, atom, edge):
    """Band that holds the highest occupied level of one atom.

    eps, occ, share: as in `host_edge`.   atom: row of `share`.   edge: energy of the host edge, eV.

    Returns the band's index: the highest occupied band with at least half of the largest share that
    the atom has in any occupied band from `WINDOW` below the edge upwards.  (Without the window, the
    N-2s band 12 eV below wins whenever several N atoms mix.)
    """
    eps = np.asarray(eps)
    bands = np.flatnonzero((np.asarray(occ) > 1) & (eps > edge - WINDOW))
    own = np.asarray(share)[atom, bands]
    return bands[own >= OWN_SHARE * own.max()][-1]


def band_edges(structures):
    """Band edges and gap of each configuration, one row a structure.

    structures: list of `ase.Atoms` with `info["eps"]` (eV), `info["occ"]`, `arrays["share"]` and
    `arrays["potential"]` (eV, the potential energy of an electron at the site), as `datasets.load("lipon")` gives them.

    Returns a DataFrame, all energies in eV:
      reference   mean potential energy of an electron at the O sites
      host_edge   valence-band edge of the host, from `reference`
      top_level   highest occupied level of all, from `reference`
      empty_edge  lowest empty level, from `reference`
      gap         empty_edge - host_edge: the host's gap
    """
    return pd.DataFrame([_edges(atoms)[0] for atoms in structures])


def nitrogen_levels(structures):
    """Level of every nitrogen atom: the data behind the hole-trap depth, one row an N site.

    structures: as in `band_edges`.

    Returns a DataFrame with energies in eV:
      structure, atom   which: index into `structures`, and of the atom in it (both 0-based)
      depth             level above the host edge of its own configuration: the hole-trap depth
      aligned           level above the mean potential energy at the O sites
      centroid          share-weighted mean of all occupied bands in the O-2p window, aligned likewise:
                        a smoother label, to see what the choice of label does
      share             the atom's share of the level's band (1: a level all its own)
    and the columns of `info` that say where the structure comes from.

    The level is a Kohn-Sham eigenvalue, not a charge-transition level: no relaxation, no correction
    of the gap.
    """
    rows = []
    for number, atoms in enumerate(structures):
        edges, edge = _edges(atoms)
        eps, occ, share = atoms.info["eps"], atoms.info["occ"], atoms.arrays["share"]
        valence = np.flatnonzero((occ > 1) & (eps > eps[edge] - WINDOW))
        for atom in np.flatnonzero(atoms.symbols == "N"):
            band = atom_level(eps, occ, share, atom, eps[edge])
            own = share[atom, valence]
            rows.append({
                "structure": number, "atom": int(atom),
                "depth": eps[band] - eps[edge],
                "aligned": eps[band] - edges["reference"],
                "centroid": float(own @ eps[valence] / own.sum()) - edges["reference"],
                "share": float(share[atom, band]),
                **{k: atoms.info[k] for k in PROVENANCE if k in atoms.info}})
    return pd.DataFrame(rows)


def nitrogen_content(structures):
    """y of Li(3+y)PO(4-y)N(y): N atoms in a formula unit, float64 [n_structures]; the same whatever the size of the cell.

    structures: list of `ase.Atoms`.   Raises ValueError for a structure without P.
    """
    counts = np.array([[(atoms.symbols == symbol).sum() for symbol in ("N", "P")] for atoms in structures]).reshape(-1, 2)
    if not counts[:, 1].all():
        raise ValueError(f"structure {int(counts[:, 1].argmin())} has no P: formula units of Li(3+y)PO(4-y)N(y) cannot be counted")
    return counts[:, 0] / counts[:, 1]


PROVENANCE = ("config", "family", "snapshot", "phase", "n_nitrogen", "temperature")


def _edges(atoms):
    """Row of `band_edges` and the index of the host edge's band."""
    eps, occ, share = atoms.info["eps"], atoms.info["occ"], atoms.arrays["share"]
    edge = host_edge(eps, occ, share, atoms.symbols == "N")
    reference = atoms.arrays["potential"][atoms.symbols == "O"].mean()
    host, top, empty = eps[edge], eps[occ > 1].max(), eps[occ < 1].min()
    return {"reference": reference, "host_edge": host - reference, "top_level": top - reference,
            "empty_edge": empty - reference, "gap": empty - host}, edge
