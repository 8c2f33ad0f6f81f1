"""How deep a hole trap is each N atom?  From the structure alone, in two steps that follow the physics.

1. The electrostatic potential at every anion site is learned.  Each cell has 32 anions, so there are
   many more examples of it than of N levels, and O sites teach what N sites need.
2. The level of an N atom follows its potential along a straight line; the host's valence-band edge
   follows from the potentials of the O sites (the edge is made by the O atoms that feel the highest
   ones).  The depth of the trap is the difference.
"""

from collections import Counter
from typing import NamedTuple

import numpy as np
import pandas as pd
from ase import Atoms

from mlms_helpers import descriptors, levels, linear, statistics, uploads
from mlms_helpers.descriptors._checks import validated

SPECIES = ("Li", "N", "O", "P")
ANIONS = ("O", "N")
LEAST_SPREAD = 0.02  # in the descriptors' own units, which are all of order one
EDGE_STRENGTH = 0.02  # of the ridge for the host edge, which is learned from one number a structure


class Feature(NamedTuple):
    """What one column of `site_features` is; its text is `str` of it."""

    kind: str
    unit: str = ""
    species: str = ""  # of the neighbours that are counted, if it counts neighbours
    distance: float = 0.0  # A, at which they are counted

    def __str__(self) -> str:
        if self.species:
            return f"{self.species} around {self.distance} A"
        return f"{self.kind} ({self.unit})" if self.unit else self.kind


FEATURES = (
    Feature("Madelung energy", "eV"),
    Feature("field gradient, lowest", "V/A^2"),
    Feature("field gradient, middle", "V/A^2"),
    Feature("field gradient, highest", "V/A^2"),
    Feature("field", "V/A"),
    Feature("field along the bond", "V/A"),
    Feature("nearest cation", "A"),
    *(Feature("neighbours", "", s, c) for s in SPECIES for c in descriptors.CENTRES),
    Feature("is N"),
)


class Domain(NamedTuple):
    """Where the training sites lie among the features: what is familiar."""

    mean: np.ndarray  # [n_features]
    spread: np.ndarray  # [n_features], standard deviation, at least LEAST_SPREAD
    inverse: np.ndarray  # [n_features, n_features], of the correlation, held back a little
    largest: float  # Mahalanobis distance of the training site that is farthest out


class HoleTraps(NamedTuple):
    """A trained model; make it with `train`, use it with `predict`."""

    committee: (
        np.ndarray
    )  # [n_models, n_features + 1], lines to the site potential (eV): see `linear.predict`
    level_line: np.ndarray  # [2], constant and slope: from the site potential to the aligned level
    edge_line: np.ndarray  # [4], constant and slopes: from `edge_features` to the host edge
    errors: pd.DataFrame  # family, atom...: true and out-of-bag predicted levels of the training N sites, eV
    domain: Domain  # of the training sites


def check(atoms: Atoms, name: str = "the structure") -> None:
    """Raise ValueError, with one sentence, for a structure that the model cannot treat.

    atoms: any.  Atoms are counted from 0 in the sentence.
    name: begins the sentence.

    Looked for: what `uploads.check` looks for, other species than Li, P, O, N, no cell, no periodicity in
    three directions, no O, no N, and nominal charges (Li +1, P +5, O -2, N -3) that do not add up to zero.
    """
    uploads.check(atoms, name)
    fault = _not_lipon(atoms)
    if fault:
        raise ValueError(f"{name}: {fault}")


def site_features(structures: list[Atoms]) -> tuple[np.ndarray, pd.DataFrame]:
    """Descriptors of every O and N site: the physics that fixes its potential.

    structures: of Li, N, O, P, neutral with nominal charges, periodic.

    Returns (x, sites): float64 [n_sites, n_features] and the O and N sites as in `levels.sites`.  Columns of
    x as in `FEATURES`: the Madelung energy of an electron (eV, from its mean over the cell's O sites), the
    crystal field (6), symmetry functions, is it N.
    Raises ValueError for other species, a charged cell or one without O.
    """
    structures = validated(structures)
    for number, atoms in enumerate(structures):
        other = sorted(set(atoms.symbols) - set(SPECIES))
        if other:
            raise ValueError(
                f"structure {number} holds {', '.join(other)}; the model has only seen Li, P, O and N"
            )
        if "O" not in atoms.symbols:
            raise ValueError(f"structure {number} holds no O: levels are measured from the O sites")
    sites = levels.sites(structures)
    x = np.column_stack(
        [
            levels.from_oxygen(-descriptors.madelung_potential(structures), sites),
            descriptors.crystal_field(structures),
            descriptors.symmetry_functions(structures, species=SPECIES),
            sites.symbol == "N",
        ]
    )
    return x[sites.symbol.isin(ANIONS)].astype(float), levels.sites(structures, ANIONS)


def select(features: tuple[np.ndarray, pd.DataFrame], chosen: np.ndarray) -> tuple[np.ndarray, pd.DataFrame]:
    """Features of some of the structures, as if `site_features` had been given these alone.

    features: of `site_features`.
    chosen: numbers of structures, in the order wanted.

    Returns (x, sites) as `site_features` does.
    """
    x, sites = features
    groups = sites.groupby("structure").indices
    rows = [groups[number] for number in chosen]
    numbers = np.repeat(np.arange(len(rows)), [len(r) for r in rows])
    rows = np.concatenate(rows)
    return x[rows], sites.iloc[rows].reset_index(drop=True).assign(structure=numbers)


def feature_names() -> list[str]:
    """Names of the columns of `site_features`, with units."""
    return [str(feature) for feature in FEATURES]


def train(
    structures: list[Atoms],
    *,
    n_models: int = 24,
    strength: float = 3e-3,
    seed: int = 0,
    features: tuple[np.ndarray, pd.DataFrame] | None = None,
) -> HoleTraps:
    """Learn site potentials, levels and band edges from structures with DFT results.

    structures: as `datasets.load("lipon")` gives them.
    n_models: members of the committee, each trained on families drawn with replacement.
    strength: of the ridge that fits each member, see `linear.ridge`.
    seed: of the draws.
    features: `site_features` of these structures, if they are there already; default, computed.

    Returns `HoleTraps`.  The lines of step 2 and the error bars come from out-of-bag predictions: each
    family is predicted by the members that have not seen it.
    Raises ValueError for structures without DFT results, and for too few families to judge the model by.
    """
    for number, atoms in enumerate(structures):
        lacks = [key for key in ("family", "eps", "occ") if key not in atoms.info]
        lacks += [key for key in ("potential", "share") if key not in atoms.arrays]
        if lacks:
            raise ValueError(
                f"structure {number} lacks {', '.join(lacks)}: it needs results as those of lipon"
            )
    x, sites = features or site_features(structures)
    potential = levels.from_oxygen(levels.site_potentials(structures), sites)
    family = np.array([atoms.info["family"] for atoms in structures])[sites.structure]
    draws = statistics.bootstrap_weights(family, n_models, seed)
    committee = [linear.ridge(x, potential, strength, weights=w, least_spread=LEAST_SPREAD) for w in draws]
    honest = out_of_bag(linear.predict(committee, x), draws)

    trap = honest[(sites.symbol == "N").to_numpy()]
    host = edge_features(honest, sites)
    level_known, edge_known = np.isfinite(trap), np.isfinite(host).all(axis=1)
    if level_known.sum() < 2 or edge_known.sum() < 2:
        raise ValueError(
            "no family with N that some member of the committee has not seen: more families are needed"
        )
    table, edges = levels.nitrogen_levels(structures), levels.band_edges(structures)
    level_line = linear.ridge(trap[level_known], table.aligned[level_known], 0.0)
    edge_line = linear.ridge(host[edge_known], edges.host_edge[edge_known], EDGE_STRENGTH)
    level, edge = linear.predict(level_line, trap), linear.predict(edge_line, host)[table.structure]
    errors = table.assign(aligned_predicted=level, depth_predicted=level - edge, edge_predicted=edge)
    errors = errors[level_known & edge_known[table.structure]].reset_index(drop=True)
    return HoleTraps(np.array(committee), level_line, edge_line, errors, _domain(x))


def predict(
    model: HoleTraps, structures: list[Atoms], *, features: tuple[np.ndarray, pd.DataFrame] | None = None
) -> pd.DataFrame:
    """Levels of every N atom of structures that DFT has never seen.

    model: of `train`.
    structures: as in `site_features`.
    features: `site_features` of these structures, if they are there already; default, computed.

    Returns a DataFrame, one row an N site, energies in eV: structure, atom, aligned (level above the
    mean potential energy at the O sites), aligned_sigma, depth (above the valence-band edge of the
    host), depth_sigma, unlike (distance from the training sites; above 1 the structure is unlike
    anything in the training set, and the error bar means little), why (the descriptor that is
    furthest out).  sigma joins the spread of the committee and the out-of-bag error.
    """
    x, sites = features or site_features(structures)
    votes = linear.predict(model.committee, x)
    nitrogen = (sites.symbol == "N").to_numpy()
    where = sites[nitrogen].structure.to_numpy()
    aligned = np.array([linear.predict(model.level_line, vote) for vote in votes[:, nitrogen]])
    edges = np.array([linear.predict(model.edge_line, edge_features(vote, sites)) for vote in votes])
    depth = aligned - edges[:, where]
    rest = {
        k: np.sqrt(((model.errors[f"{k}_predicted"] - model.errors[k]) ** 2).mean())
        for k in ("aligned", "depth")
    }
    distance, why = _unlike(model.domain, x)
    # a cell is as strange as its strangest anion: the edge is made of all of them
    worst = pd.Series(distance).groupby(sites.structure.to_numpy()).idxmax().reindex(where).to_numpy()
    return pd.DataFrame(
        {
            "structure": where,
            "atom": sites[nitrogen].atom.to_numpy(),
            "aligned": aligned.mean(0),
            "aligned_sigma": np.hypot(aligned.std(0), rest["aligned"]),
            "depth": depth.mean(0),
            "depth_sigma": np.hypot(depth.std(0), rest["depth"]),
            "unlike": distance[worst],
            "why": [str(FEATURES[why[k]]) for k in worst],
        }
    )


def warning(found: pd.DataFrame) -> str:
    """One sentence for a structure that is unlike anything in the training set, or "" for a familiar one.

    found: what `predict` returns for one structure.
    """
    if len(found) == 0 or found.unlike.max() <= 1:
        return ""
    feature = FEATURES[feature_names().index(found.why[found.unlike.idxmax()])]
    what = f"the {feature} at"
    if feature.species:
        what = f"the number of {feature.species} atoms about {feature.distance} A from"
    return (
        "Warning: this structure is unlike anything in the training set "
        f"({found.unlike.max():.1f} times as far out as the strangest one there). What stands out most is "
        f"{what} one of its O or N atoms. The error bars hold for familiar structures only: do not trust "
        "them here."
    )


def out_of_bag(votes: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """Mean over the members that have not seen a sample.

    votes: [n_models, n_samples].
    draws: [n_models, n_samples], how often each member saw each sample: see `statistics.bootstrap_weights`.

    Returns float64 [n_samples]; NaN where every member has seen the sample.
    L. Breiman, Mach. Learn. 24, 123 (1996).
    """
    unseen = draws == 0
    mean = (votes * unseen).sum(axis=0) / np.maximum(unseen.sum(axis=0), 1)
    return np.where(unseen.any(axis=0), mean, np.nan)


def edge_features(potential: np.ndarray, sites: pd.DataFrame) -> np.ndarray:
    """What the host edge of each structure is learned from.

    potential: [n_sites], eV, from the mean over the O sites.
    sites: O and N sites as of `site_features`.

    Returns float64 [n_structures, 3]: mean of the highest tenth of the O potentials (eV), their spread (eV),
    share of N among the anions.
    """
    rows = []
    oxygen = (sites.symbol == "O").to_numpy()
    for here in sites.groupby("structure").indices.values():
        v = np.sort(potential[here][oxygen[here]])[::-1]
        tenth = np.clip(
            len(v) / 10 - np.arange(len(v)), 0, 1
        )  # the last O in part: a supercell must give the same
        rows.append([v @ tenth / tenth.sum(), v.std(), 1 - oxygen[here].mean()])
    return np.array(rows).reshape(-1, 3)


def _domain(x: np.ndarray) -> Domain:
    mean, spread = x.mean(0), np.maximum(x.std(0), LEAST_SPREAD)
    z = (x - mean) / spread
    inverse = np.linalg.inv(z.T @ z / len(z) + 0.05 * np.eye(z.shape[1]))
    return Domain(mean, spread, inverse, np.sqrt(np.einsum("ij,jk,ik->i", z, inverse, z).max()))


def _unlike(domain: Domain, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How far sites lie from those of the training set.

    Returns (distance, why): Mahalanobis distance in units of the largest one of the training set, [n_sites],
    and for each site the number of the descriptor furthest from its training mean ("is N" left out).
    P. C. Mahalanobis, Proc. Natl. Inst. Sci. India 2, 49 (1936).
    """
    z = (x - domain.mean) / domain.spread
    distance = np.sqrt(np.einsum("ij,jk,ik->i", z, domain.inverse, z))
    return distance / domain.largest, np.abs(z[:, :-1]).argmax(axis=1)


def _not_lipon(atoms: Atoms) -> str:
    """Why a structure without faults is still none for this model, or ""."""
    count = Counter(atoms.symbols)
    other = sorted(set(count) - set(SPECIES))
    if other:
        return (
            f"holds {uploads.listed(other)}; the model has only seen Li, P, O and N, "
            "and knows nothing about other species"
        )
    if not atoms.cell.any():
        return (
            "there is no cell. The model needs a crystal: give three lattice vectors "
            '(extended XYZ: Lattice="ax ay az bx by bz cx cy cz" in the second line).'
        )
    if not atoms.pbc.all():
        return (
            "it is not periodic in three directions. The model needs a crystal "
            '(extended XYZ: pbc="T T T" in the second line).'
        )
    if not count["O"]:
        return "holds no O atom: the levels are measured from the O sites of the host"
    if not count["N"]:
        return "holds no N atom, so there is no level to predict. Put an N in place of an O, and add one Li."
    charge = round(sum(descriptors.NOMINAL_CHARGES[s] * n for s, n in count.items()))
    if not charge:
        return ""
    many = f"{abs(charge)} Li {'is' if abs(charge) == 1 else 'are'}"
    mend = f"{many} too many, or as many O atoms should be N"
    if charge < 0:
        mend = f"{many} missing: every N in place of an O needs one extra Li"
    atoms_there = uploads.listed(f"{n} {s}" for s, n in sorted(count.items()))
    return (
        f"the cell is not neutral: {atoms_there} with the charges Li +1, P +5, O -2, N -3 "
        f"add up to {charge:+d} e; {mend}."
    )
