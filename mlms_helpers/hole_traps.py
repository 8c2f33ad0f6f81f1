"""How deep a hole trap is each N atom?  From the structure alone, in three steps that follow the physics.

1. The electrostatic potential at every anion site is learned.  Each cell has 32 anions, so there are
   many more examples of it than of N levels, and O sites teach what N sites need.
2. The level of an N atom alone follows its potential along a straight line; N atoms on one P couple, by one
   number t for all of them, and have one highest level together: see `levels.coupled`.  N that bridge two P
   obey another line, for which there are too few: they get the mean of those that are known.
3. The host's valence-band edge follows from the potentials of the O sites (the edge is made by the O atoms
   that feel the highest ones).  The depth of the trap is the difference.

Error bars come from families that a model has not seen, for each motif apart.
"""

import itertools
from collections import Counter
from typing import NamedTuple

import numpy as np
import pandas as pd
from ase import Atoms
from scipy.optimize import least_squares
from scipy.stats import t as student

from mlms_helpers import descriptors, levels, linear, statistics, uploads
from mlms_helpers.descriptors._checks import validated

SPECIES = ("Li", "N", "O", "P")
ANIONS = ("O", "N")
LEAST_SPREAD = 0.02  # in the descriptors' own units, which are all of order one
EDGE_STRENGTH = 0.02  # of the ridge for the host edge, which is learned from one number a structure
ANGLES = {
    "cutoff": 4.0,
    "g2": (),
    "g4": [(eta, 1, sign) for eta in (0.0, 0.03, 0.09) for sign in (-1.0, 1.0)],
}  # 1/A^2
FOLDS = 6  # of families, when what is fitted to all of them is judged by those left out
LEAST_FAMILIES = 3  # with a motif, or it counts as unknown
LABELS = {"aligned": "pair_level", "depth": "pair_depth"}  # what is predicted: columns of nitrogen_levels
FAMILIAR = 0.99  # share of the training N, each judged without its family, that are called familiar


_MOTIF = "its motif: "
_MEANING = {
    "loose": "an N is bound to no P",
    "lone": "an N is alone on its P",
    "pair": "two N share a P",
    "triple": "three N share a P",
    "quadruple": "four N share a P",
    "bridge": "an N bridges two P",
}


class Feature(NamedTuple):
    """What one column of `site_features` is; its text is `str` of it."""

    kind: str
    unit: str = ""
    species: str = ""  # of the neighbours that are counted, if it counts neighbours
    distance: float = 0.0  # A, at which they are counted

    def __str__(self) -> str:
        if self.kind == "neighbours":
            return f"{self.species} around {self.distance} A"
        if self.species:
            return f"{self.kind} with {self.species}"
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
    Feature("bridges on its P"),
    # O stands for O and N: what two N on one P have of their own is left to step 2
    *(
        Feature(f"angles, eta {eta} lambda {sign:+.0f}", "", "-".join(pair))
        for pair in itertools.combinations_with_replacement(("Li", "O", "P"), 2)
        for eta, _, sign in ANGLES["g4"]
    ),
    Feature("is N"),
)
FIRST = FEATURES.index(Feature("bridges on its P"))  # features by which a site is called familiar or not


class Domain(NamedTuple):
    """Where the training sites of one species lie among the first features: what is familiar."""

    mean: np.ndarray  # [n_features]
    spread: np.ndarray  # [n_features], standard deviation, at least LEAST_SPREAD
    inverse: np.ndarray  # [n_features, n_features], of the correlation, held back a little
    limit: float  # Mahalanobis distance beyond which a site is strange


class HoleTraps(NamedTuple):
    """A trained model; make it with `train`, use it with `predict`."""

    committee: np.ndarray  # [n_models, n_features + 1], lines to the site potential: see `linear.predict`
    level_line: np.ndarray  # [3], constant (eV) and slope in the site potential; level of a bridge (eV)
    coupling: float  # t, eV, between two N on one P
    edge_line: np.ndarray  # [4], constant and slopes: from `edge_features` to the host edge
    errors: (
        pd.DataFrame
    )  # family, atom, motif...: true levels (pair_level, pair_depth) of the training N sites
    # and aligned_predicted, depth_predicted without their family, eV
    domains: dict[str, Domain]  # of the O and of the N sites


def check(atoms: Atoms, name: str = "the structure") -> None:
    """Raise ValueError, with one sentence, for a structure that the model cannot treat.

    atoms: any.  Atoms are counted from 0 in the sentence.
    name: begins the sentence.

    Looked for: what is no `ase.Atoms`, what `uploads.check` looks for, other species than Li, P, O, N, no
    cell, no periodicity in three directions, no O, no N, and nominal charges (Li +1, P +5, O -2, N -3) that
    do not add up to zero.
    """
    if not hasattr(atoms, "positions"):
        raise ValueError(f"{name}: one structure (ase.Atoms) is asked for, not a {type(atoms).__name__}")
    uploads.check(atoms, name)
    fault = _not_lipon(atoms)
    if fault:
        raise ValueError(f"{name}: {fault}")


def site_features(structures: list[Atoms]) -> tuple[np.ndarray, pd.DataFrame]:
    """Descriptors of every O and N site: the physics that fixes its potential.

    structures: of Li, N, O, P, neutral with nominal charges, periodic.

    Returns (x, sites): float64 [n_sites, n_features] and the O and N sites as in `levels.sites`.  Columns of
    x as in `FEATURES`: the Madelung energy of an electron (eV, from its mean over the cell's O sites), the
    crystal field (6), symmetry functions of distances, how many anions of its P bridge to another P,
    symmetry functions of angles, is it N.
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
            np.concatenate([_bridges_beside(atoms) for atoms in structures]),
            descriptors.symmetry_functions(
                [_as_oxygen(a) for a in structures], species=("Li", "O", "P"), **ANGLES
            ),
            sites.symbol == "N",
        ]
    )
    return x[sites.symbol.isin(ANIONS)].astype(float), levels.sites(structures, ANIONS)


def select(features: tuple[np.ndarray, pd.DataFrame], chosen: np.ndarray) -> tuple[np.ndarray, pd.DataFrame]:
    """Features of some of the structures, as if `site_features` had been given these alone.

    features: of `site_features`.
    chosen: numbers of structures, in the order wanted, or a mask, True for those wanted.

    Returns (x, sites) as `site_features` does.
    Raises ValueError for a number that is none of theirs, a mask of another length, and for none at all.
    """
    x, sites = features
    groups, chosen = sites.groupby("structure").indices, np.asarray(chosen)
    if chosen.dtype == bool:
        if chosen.shape != (len(groups),):
            raise ValueError(f"a mask of shape {chosen.shape} does not choose among {len(groups)} structures")
        chosen = np.flatnonzero(chosen)
    unknown = [number for number in chosen.ravel() if number not in groups]
    if unknown or chosen.ndim != 1 or not len(chosen):
        what = f"{unknown[0]} is none" if unknown else "choose at least one, in one list"
        raise ValueError(f"the structures have the numbers 0 to {len(groups) - 1}: {what}")
    rows = [groups[number] for number in chosen]
    numbers = np.repeat(np.arange(len(rows)), [len(r) for r in rows])
    rows = np.concatenate(rows)
    return x[rows], sites.iloc[rows].reset_index(drop=True).assign(structure=numbers)


def trap_features(
    structures: list[Atoms], features: tuple[np.ndarray, pd.DataFrame] | None = None
) -> tuple[np.ndarray, pd.DataFrame]:
    """One row a trap, for models that are asked for the level at once: N on one P are one trap.

    structures: as in `site_features`; those without N have no row.
    features: `site_features` of these structures, if they are there already; default, computed.

    Returns (x, traps): float64 [n_traps, n_features], the mean of `site_features` over the N of the trap (but
    "is N"), half of the range of their Madelung energies (eV), and 1 or 0 for pair, bridge, triple; traps, a
    DataFrame: structure (0-based), group and motif as in `levels.motifs`, n_nitrogen.
    Raises ValueError as `site_features` does, and for features of other structures.
    """
    x, sites = _features_of(validated(structures), features)
    own, bound = x[(sites.symbol == "N").to_numpy(), :-1], levels.motifs(structures)
    groups, first = bound.groupby("group"), bound.drop_duplicates("group").sort_values("group")
    madelung = pd.Series(own[:, 0]).groupby(bound.group.to_numpy())
    kinds = [(first.motif == kind).to_numpy() for kind in ("pair", "bridge", "triple")]
    columns = [
        pd.DataFrame(own).groupby(bound.group.to_numpy()).mean(),
        (madelung.max() - madelung.min()) / 2,
        *kinds,
    ]
    traps = first[["structure", "group", "motif"]].reset_index(drop=True)
    return np.column_stack(columns).astype(float), traps.assign(n_nitrogen=groups.size().to_numpy())


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

    Returns `HoleTraps`.  Steps 2 and 3 are fitted to out-of-bag potentials: each family is predicted by the
    members that have not seen it; and judged on families left out of them.
    Raises ValueError for structures without DFT results, features of other structures, and for too few
    families to judge the model by.
    """
    structures = validated(structures)
    for number, atoms in enumerate(structures):
        lacks = [key for key in ("family", "eps", "occ") if key not in atoms.info]
        lacks += [key for key in ("potential", "share") if key not in atoms.arrays]
        if lacks:
            raise ValueError(
                f"structure {number} lacks {', '.join(lacks)}: it needs results as those of lipon"
            )
    x, sites = _features_of(structures, features)
    potential = levels.from_oxygen(levels.site_potentials(structures), sites)
    families = np.array([atoms.info["family"] for atoms in structures])
    table, edges = levels.nitrogen_levels(structures), levels.band_edges(structures).host_edge.to_numpy()
    draws = statistics.bootstrap_weights(families[sites.structure], n_models, seed)
    if len(table) == 0:
        raise ValueError("no structure holds N: more families are needed, with N")
    bridge = (table.motif == "bridge").to_numpy()
    usual = np.ones(len(x), bool)
    usual[(sites.symbol == "N").to_numpy()] = ~bridge
    committee = [
        linear.ridge(x[usual], potential[usual], strength, weights=w[usual], least_spread=LEAST_SPREAD)
        for w in draws
    ]
    honest = out_of_bag(linear.predict(committee, x), draws)

    where = table.structure.to_numpy()
    site = honest[(sites.symbol == "N").to_numpy()]
    host = edge_features(honest, sites)
    # N that share a P are of one family, so seen by the same members
    known, edge_known = np.isfinite(site), np.isfinite(host).all(axis=1)
    if known.sum() < 3 or edge_known.sum() < 2:
        raise ValueError(
            "no family with N that some member of the committee has not seen: more families are needed"
        )
    true, groups = table.pair_level.to_numpy(), table.group.to_numpy()

    def steps(rows, cells):
        """Steps 2 and 3 from some N (bool) and some structures (bool): line, coupling, line of the edge."""
        n = rows & known
        line, coupling = _level_line(site[n], bridge[n], true[n], groups[n])
        chosen = cells & edge_known
        return line, coupling, linear.ridge(host[chosen], edges[chosen], EDGE_STRENGTH)

    level, edge = np.full(len(table), np.nan), np.full(len(structures), np.nan)
    kinds = np.unique(families)
    parts = np.array_split(np.random.default_rng(seed).permutation(kinds), min(FOLDS, len(kinds)))
    for part in parts:
        out = np.isin(families, part)
        rows = out[where] & known
        if (~out[where] & known).sum() < 3 or (~out & edge_known).sum() < 2:
            continue
        line, coupling, edge_line = steps(~out[where], ~out)
        level[rows] = levels.coupled(_alone(line, site[rows], bridge[rows]), groups[rows], coupling)
        edge[out & edge_known] = linear.predict(edge_line, host[out & edge_known])
    errors = table.assign(aligned_predicted=level, edge_predicted=edge[where])
    errors["depth_predicted"] = errors.aligned_predicted - errors.edge_predicted
    errors = errors[np.isfinite(errors.depth_predicted)].reset_index(drop=True)
    line, coupling, edge_line = steps(np.ones(len(table), bool), np.ones(len(structures), bool))
    x, of_site = x[:, :FIRST], families[sites.structure]
    domains = {
        symbol: _domain(x[rows], [np.isin(of_site[rows], part) for part in parts], quantile)
        for symbol, quantile in (("O", 1.0), ("N", FAMILIAR))
        for rows in [(sites.symbol == symbol).to_numpy()]
    }
    return HoleTraps(np.array(committee), line, coupling, edge_line, errors, domains)


def predict(
    model: HoleTraps, structures: list[Atoms], *, features: tuple[np.ndarray, pd.DataFrame] | None = None
) -> pd.DataFrame:
    """Levels of every N atom of structures that DFT has never seen.

    model: of `train`.
    structures: as in `site_features`.
    features: `site_features` of these structures, if they are there already; default, computed.

    Returns a DataFrame, one row an N site, energies in eV:
      structure, atom  which
      motif         what it is bound to, see `levels.motifs`
      aligned       highest level of the N, or of the N on its P together, above the mean potential energy at
                    the O sites
      depth         the same above the valence-band edge of the host
      aligned_sigma, depth_sigma  standard deviation of the error: the spread of the committee, and the error
                    of this motif on families left out, wider by Student's t where these are few; for an N
                    that is not in_domain also the spread of all levels, since the model knows no more
      unlike        distance from the training sites, of the N among N and the O among O; above 1 the
                    structure is unlike those of the training set
      in_domain     unlike is at most 1, and the motif is known from at least three families
      why           what is furthest out: the motif, or a descriptor
    Raises ValueError as `site_features` does, for features of other structures, and for no model.
    """
    structures = validated(structures)
    if not isinstance(model, HoleTraps):
        raise ValueError(f"the model must be one of `train`, not a {type(model).__name__}")
    x, sites = _features_of(structures, features)
    votes = linear.predict(model.committee, x)
    nitrogen = (sites.symbol == "N").to_numpy()
    bound = levels.motifs(structures)
    where, motif = bound.structure.to_numpy(), bound.motif.to_numpy()
    alone = _alone(model.level_line, votes[:, nitrogen], motif == "bridge")
    aligned = levels.coupled(alone, bound.group, model.coupling)
    edges = np.array([linear.predict(model.edge_line, edge_features(vote, sites)) for vote in votes])
    distance, furthest = _unlike(model.domains, x, sites)
    # a cell is as strange as its strangest anion: the edge is made of all of them
    worst = pd.Series(distance).groupby(sites.structure.to_numpy()).idxmax().reindex(where).to_numpy()
    worst = np.where(distance[nitrogen] > 1, np.flatnonzero(nitrogen), worst)  # its own reason first
    unlike, known = distance[worst], np.isin(motif, _known_motifs(model.errors))
    in_domain = known & (unlike <= 1)
    found = bound[["structure", "atom", "motif"]].copy()
    for name, values in (("aligned", aligned), ("depth", aligned - edges[:, where])):
        sigma = np.hypot(values.std(axis=0), [_typical_error(model.errors, name, kind) for kind in motif])
        outside = np.where(in_domain, 0, model.errors[LABELS[name]].std())
        found[name], found[f"{name}_sigma"] = values.mean(axis=0), np.hypot(sigma, outside)
    reasons = np.where(known, [str(FEATURES[k]) for k in furthest[worst]], _MOTIF + motif.astype(object))
    return found.assign(unlike=unlike, in_domain=in_domain, why=reasons)


def warning(found: pd.DataFrame) -> str:
    """One sentence for a structure that is unlike anything in the training set, or "" for a familiar one.

    found: what `predict` returns for one structure.
    """
    strange = found[~found.in_domain.astype(bool)]
    if len(strange) == 0:
        return ""
    unknown = strange[strange.why.str.startswith(_MOTIF)]
    if len(unknown):
        atoms = uploads.listed([str(atom) for atom in unknown.atom])
        return (
            f"Warning: {_MEANING[unknown.motif.iloc[0]]} (N atom {atoms}), which fewer than {LEAST_FAMILIES} "
            "families of the training set hold. The model has not learned such levels: do not trust them."
        )
    row = strange.loc[strange.unlike.idxmax()]
    feature = FEATURES[feature_names().index(row.why)]
    what = f"the {feature} at"
    if feature.kind == "neighbours":
        what = f"the number of {feature.species} atoms about {feature.distance} Å from"
    return (
        "Warning: this structure is unlike anything in the training set "
        f"({row.unlike:.1f} times as far out as what counts as familiar). What stands out most is "
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


def _features_of(structures, features):
    """Those given, if they are the features of these structures, or computed."""
    if features is None:
        return site_features(structures)
    if not (isinstance(features, tuple | list) and len(features) == 2):
        raise ValueError("features must be the pair (x, sites) that `site_features` returns")
    x, sites = features
    own = levels.sites(structures, ANIONS)
    if np.shape(x) != (len(own), len(FEATURES)) or not own.equals(sites[list(own)]):
        raise ValueError(
            f"these are not the features of these structures: x is {np.shape(x)}, but they have {len(own)} O "
            f"and N sites and {len(FEATURES)} features each. `select` takes those of some structures."
        )
    if not np.isfinite(x).all():
        raise ValueError("the features hold a value that is not a finite number")
    return x, sites


def _level_line(potential, bridge, true, groups):
    """Level of an N for itself, and the coupling of N that share a P (0 if none do).

    potential, true: [n], eV.   bridge: bool [n].   groups: [n].

    Returns (line, coupling): constant and slope in the potential, of N bound to one P; level of a bridge.
    """
    usual = ~bridge
    middle = potential[usual].mean()  # from there, or constant and slope can hardly be told apart
    level = true[bridge].mean() if bridge.any() else true.mean()

    def residuals(q):
        alone = _alone([*q[:2], level], potential - middle, bridge)
        return (levels.coupled(alone, groups, q[2]) - true)[usual]

    constant, slope = linear.ridge(potential[usual] - middle, true[usual], 0.0)
    coupling = 0.0
    if len(set(groups)) < len(groups):
        constant, slope, coupling = least_squares(residuals, [constant, slope, 0.5]).x
    return np.array([constant - middle * slope, slope, level]), float(abs(coupling))


def _alone(line, potential, bridge):
    """Level of each N for itself, eV.   line: of `_level_line`.   potential: [..., n].   bridge: bool [n]."""
    return np.where(bridge, line[2], line[0] + line[1] * potential)


def _known_motifs(errors):
    """Motifs that enough families of the training set hold."""
    families = errors.groupby("motif").family.nunique()
    return list(families.index[families >= LEAST_FAMILIES])


def _typical_error(errors, name, motif):
    """Root mean square error (eV) on families left out: of one motif, or of all where it is unknown.

    Wider by Student's t at 90 %: a mean square over n families is not sure.
    """
    part = errors[errors.motif == motif] if motif in _known_motifs(errors) else errors
    rmse = np.sqrt(((part[f"{name}_predicted"] - part[LABELS[name]]) ** 2).mean())
    return rmse * student.ppf(0.95, part.family.nunique() - 1) / student.ppf(0.95, np.inf)


def _bridges_beside(atoms):
    """For each atom the anions between two P that its own P has, itself none of them: float64 [n_atoms]."""
    i, j, _ = descriptors.neighbours(atoms, levels.BOND)
    bond = np.isin(atoms.symbols[i], ANIONS) & (atoms.symbols[j] == "P")
    anion, phosphorus = i[bond], j[bond]
    bridge = np.bincount(anion, minlength=len(atoms)) > 1
    of_p = np.bincount(phosphorus[bridge[anion]], minlength=len(atoms))
    return np.bincount(anion, of_p[phosphorus], minlength=len(atoms)) * ~bridge


def _as_oxygen(atoms):
    """A copy with every N an O."""
    atoms = Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
    atoms.symbols[atoms.symbols == "N"] = "O"
    return atoms


def _domain(x, left_out, quantile):
    """The domain of sites x; its limit is a quantile of the distances of sites from other families.

    left_out: for each fold of families bool [n_sites], which sites are in it.
    """
    if len(x) == 0:
        return Domain(np.zeros(x.shape[1]), np.ones(x.shape[1]), np.eye(x.shape[1]), 0.0)
    apart = [_distance(_correlation(x[~out]), x[out]) for out in left_out if out.any() and not out.all()]
    limit = np.quantile(np.concatenate(apart), quantile) if apart else np.inf
    return Domain(*_correlation(x), limit)


def _correlation(x):
    mean, spread = x.mean(0), np.maximum(x.std(0), LEAST_SPREAD)
    z = (x - mean) / spread
    return mean, spread, np.linalg.inv(z.T @ z / len(z) + 0.05 * np.eye(z.shape[1]))


def _distance(domain, x):
    """Mahalanobis distance.  P. C. Mahalanobis, Proc. Natl. Inst. Sci. India 2, 49 (1936)."""
    z = (x - domain[0]) / domain[1]
    return np.sqrt(np.einsum("ij,jk,ik->i", z, domain[2], z))


def _unlike(domains, x, sites):
    """How far sites lie from those of their species in the training set.

    Returns (distance, furthest): in units of the limit, [n_sites], and for each site the number of the
    descriptor furthest from its training mean.
    """
    distance, furthest = np.empty(len(x)), np.empty(len(x), int)
    for symbol, domain in domains.items():
        rows = (sites.symbol == symbol).to_numpy()
        own = x[rows, :FIRST]
        distance[rows] = _distance(domain, own) / domain.limit
        furthest[rows] = np.abs((own - domain.mean) / domain.spread).argmax(axis=1)
    return distance, furthest


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
