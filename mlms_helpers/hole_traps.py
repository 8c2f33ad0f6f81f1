"""How deep a hole trap is each N atom?  From the structure alone, in two steps that follow the physics.

1. The electrostatic potential at every anion site is learned.  Each cell has 32 anions, so there are
   many more examples of it than of N levels, and O sites teach what N sites need.
2. The level of an N atom follows its potential along a straight line; the host's valence-band edge
   follows from the potentials of the O sites (the edge is made by the O atoms that feel the highest
   ones).  The depth of the trap is the difference.
"""

import functools
from typing import NamedTuple

import ase
import numpy as np
import pandas as pd

from mlms_helpers import descriptors, levels, models, statistics, training

SPECIES = ("Li", "N", "O", "P")
LEAST_SPREAD = 0.02         # in the descriptors' own units, which are all of order one


def site_features(structures):
    """Descriptors of every O and N site: the physics that fixes its potential.

    structures: list of `ase.Atoms` of Li, N, O, P, neutral with nominal charges, periodic.

    Returns (x, sites): float64 [n_sites, n_features] and a DataFrame with one row a site: structure
    and atom (0-based), symbol.  Columns of x as in `feature_names`: the Madelung energy of an electron
    (eV, from its mean over the cell's O sites), crystal field (6), symmetry functions, is it N.
    Raises ValueError for other species, a charged cell or one without O.
    """
    for number, atoms in enumerate(structures):
        other = sorted(set(atoms.symbols) - set(SPECIES))
        if other:
            raise ValueError(f"structure {number} holds {', '.join(other)}; the model has only seen Li, P, O and N")
        if "O" not in atoms.symbols:
            raise ValueError(f"structure {number} holds no O: levels are measured from the O sites")
    sites = levels.sites(structures)
    x = np.concatenate([_all_features(atoms.numbers.tobytes(), atoms.positions.tobytes(), atoms.cell.array.tobytes(), tuple(atoms.pbc))
                        for atoms in structures])
    x = np.column_stack([levels.from_oxygen(x[:, 0], sites), x[:, 1:], sites.symbol == "N"])
    anions = sites.symbol.isin(("O", "N")).to_numpy()
    return x[anions].astype(float), sites[anions].reset_index(drop=True)


@functools.lru_cache(maxsize=1000)
def _all_features(numbers, positions, cell, pbc):
    """Madelung energy (eV), crystal field, symmetry functions of all atoms of one structure, kept for the next time it comes."""
    atoms = [ase.Atoms(numbers=np.frombuffer(numbers, int), positions=np.frombuffer(positions).reshape(-1, 3),
                       cell=np.frombuffer(cell).reshape(3, 3), pbc=pbc)]
    return np.column_stack([-descriptors.madelung_potential(atoms), descriptors.crystal_field(atoms),
                            descriptors.symmetry_functions(atoms, species=SPECIES)])


def feature_names():
    """Names of the columns of `site_features`, with units."""
    return ["Madelung energy (eV)", "field gradient, lowest (V/A^2)", "field gradient, middle (V/A^2)",
            "field gradient, highest (V/A^2)", "field (V/A)", "field along the bond (V/A)", "nearest cation (A)",
            *(f"{s} around {c} A" for s in SPECIES for c in descriptors.CENTRES), "is N"]


class HoleTraps(NamedTuple):
    """A trained model; make it with `train`, use it with `predict`."""
    committee: list             # of keras.Model, [n, n_features] -> [n, 1]: site potential, eV
    level_line: np.ndarray      # aligned level = level_line[0] + level_line[1] * potential
    edge_line: np.ndarray       # host edge = edge_line . [1, _edge_features]
    errors: pd.DataFrame        # family, atom...: true and out-of-bag predicted levels of the training N sites, eV
    domain: tuple               # mean and inverse covariance of the features, and the largest distance seen


def train(structures, *, n_models=24, depth=0, strength=3e-3, width=32, epochs=300, batch_size=256, learning_rate=1e-2,
          weight_decay=0.1, seed=0):
    """Learn site potentials, levels and band edges from structures with DFT results.

    structures: as `datasets.load("lipon")` gives them.   n_models: members of the committee, each
    trained on families drawn with replacement.   depth: hidden layers; 0, a line in the
    descriptors, is solved exactly (ridge regression of the given strength, see `solve_line`): Adam would jitter
    around that solution.   width: neurons a hidden layer; it and the rest, as in `training.fit`, are for depth > 0.

    Returns `HoleTraps`.  The lines of step 2 and the error bars come from out-of-bag predictions: each
    family is predicted by the members that have not seen it.
    """
    x, sites = site_features(structures)
    potential = levels.from_oxygen(levels.site_potentials(structures), sites)
    family = np.array([a.info["family"] for a in structures])[sites.structure]
    weights = statistics.bootstrap_weights(family, n_models, seed)
    committee = [models.mlp(x, potential, width=width, hidden_layers=depth, least_spread=LEAST_SPREAD, seed=1000 * seed + k)
                 for k in range(n_models)]
    if depth:
        training.fit_ensemble(committee, x, potential, weights=weights, epochs=epochs, batch_size=batch_size,
                              learning_rate=learning_rate, weight_decay=weight_decay, seed=seed)
    else:
        for member, w in zip(committee, weights):
            solve_line(member, x, potential, w, strength)
    votes = np.array([models.predict(m, x) for m in committee])
    unseen = weights == 0
    known = unseen.any(axis=0)                     # a family that every member drew cannot be judged
    honest = np.where(known, (votes * unseen).sum(0) / np.maximum(unseen.sum(0), 1), np.nan)

    table = levels.nitrogen_levels(structures)
    edges = levels.band_edges(structures)
    trap = honest[(sites.symbol == "N").to_numpy()]
    use = np.isfinite(trap)
    line = np.linalg.lstsq(np.column_stack([np.ones(use.sum()), trap[use]]), table.aligned[use], rcond=None)[0]
    host = _edge_features(structures, honest, sites)
    fine = np.isfinite(host).all(axis=1)
    edge_line = _ridge(host[fine], edges.host_edge[fine].to_numpy())
    predicted = line[0] + line[1] * trap
    edge = host @ edge_line
    report = table.assign(aligned_predicted=predicted, depth_predicted=predicted - edge[table.structure],
                          edge_predicted=edge[table.structure])[use & fine[table.structure]]
    return HoleTraps(committee, line, edge_line, report.reset_index(drop=True), _domain(x))


def predict(model, structures):
    """Levels of every N atom of structures that DFT has never seen.

    model: `HoleTraps`.   structures: as in `site_features`.

    Returns a DataFrame, one row an N site, energies in eV: structure, atom, aligned (level above the
    mean potential energy at the O sites), aligned_sigma, depth (above the valence-band edge of the
    host), depth_sigma, unlike (distance from the training sites; above 1 the structure is unlike
    anything in the training set, and the error bar means little), why (the descriptor that is
    furthest out).  sigma joins the spread of the committee and the out-of-bag error.
    """
    x, sites = site_features(structures)
    votes = np.array([models.predict(m, x) for m in model.committee])
    nitrogen = (sites.symbol == "N").to_numpy()
    where = sites[nitrogen].structure.to_numpy()
    aligned = model.level_line[0] + model.level_line[1] * votes[:, nitrogen]
    edges = np.array([_edge_features(structures, vote, sites) @ model.edge_line for vote in votes])
    depth = aligned - edges[:, where]
    rest = {k: np.sqrt(((model.errors[f"{k}_predicted"] - model.errors[k]) ** 2).mean()) for k in ("aligned", "depth")}
    distance, why = unlike(model, x)
    # a cell is as strange as its strangest anion: the edge is made of all of them
    worst = pd.Series(distance).groupby(sites.structure.to_numpy()).idxmax().reindex(where).to_numpy()
    return pd.DataFrame({
        "structure": where, "atom": sites[nitrogen].atom.to_numpy(),
        "aligned": aligned.mean(0), "aligned_sigma": np.hypot(aligned.std(0), rest["aligned"]),
        "depth": depth.mean(0), "depth_sigma": np.hypot(depth.std(0), rest["depth"]),
        "unlike": distance[worst], "why": [why[k] for k in worst]})


def warning(found):
    """One sentence for a structure that is unlike anything in the training set, or "" for a familiar one.

    found: what `predict` returns for one structure.
    """
    if len(found) == 0 or found.unlike.max() <= 1:
        return ""
    name = found.why[found.unlike.idxmax()]
    what = f"the number of {name.replace(' around ', ' atoms about ')} from one of its O or N atoms" if " around " in name else f"the {name} at one of its O or N atoms"
    return (f"Warning: this structure is unlike anything in the training set ({found.unlike.max():.1f} times as far out as the strangest "
            f"one there). What stands out most is {what}. The error bars hold for familiar structures only: do not trust them here.")


def solve_line(model, x, y, weights, strength):
    """Give a `models.mlp` without hidden layers the weights that minimise the squared error exactly.

    x: [n_samples, n_features].   y: [n_samples].   weights: [n_samples], how often each sample counts.
    strength: of the ridge: mean squared error + strength * sum of squared slopes, both in standardised units.
    A. E. Hoerl and R. W. Kennard, Technometrics 12, 55 (1970).
    """
    numbers = lambda layer: [np.asarray(v.value, float) for v in model.get_layer(layer).weights]
    _, _, into_mean, into_variance = numbers("standardise")
    spread, mean, *_ = numbers("restore_units")
    z, t, w = (x - into_mean) / np.sqrt(into_variance), (y - mean) / spread, weights / weights.sum()
    zc, tc = z - w @ z, t - w @ t
    slope = np.linalg.solve((zc * w[:, None]).T @ zc + strength * np.eye(z.shape[1]), (zc * w[:, None]).T @ tc)
    model.get_layer("output").set_weights([slope[:, None], w @ t - (w @ z) @ slope[:, None]])


def unlike(model, x):
    """How far sites lie from those of the training set.

    x: [n_sites, n_features].

    Returns (distance, why): Mahalanobis distance in units of the largest one of the training set,
    [n_sites], and for each site the name of the descriptor furthest from its training mean.
    P. C. Mahalanobis, Proc. Natl. Inst. Sci. India 2, 49 (1936).
    """
    mean, spread, inverse, largest = model.domain
    z = (x - mean) / spread
    names = feature_names()
    return np.sqrt(np.einsum("ij,jk,ik->i", z, inverse, z)) / largest, [names[k] for k in np.abs(z[:, :-1]).argmax(axis=1)]


def _domain(x):
    """Mean, spread and inverse correlation of the features (held back a little); the largest distance in the training set."""
    mean, spread = x.mean(0), np.maximum(x.std(0), LEAST_SPREAD)
    z = (x - mean) / spread
    inverse = np.linalg.inv(z.T @ z / len(z) + 0.05 * np.eye(z.shape[1]))
    return mean, spread, inverse, np.sqrt(np.einsum("ij,jk,ik->i", z, inverse, z).max())


def _edge_features(structures, potential, sites):
    """[n_structures, 4]: one, mean of the highest tenth of the O potentials (eV), their spread (eV), share of N among anions."""
    rows = []
    oxygen = (sites.symbol == "O").to_numpy()
    groups = sites.groupby("structure").indices
    for number in range(len(structures)):
        here = groups[number]
        v = np.sort(potential[here][oxygen[here]])[::-1]
        tenth = np.clip(len(v) / 10 - np.arange(len(v)), 0, 1)     # the last O in part: a supercell must give the same
        rows.append([1.0, v @ tenth / tenth.sum(), v.std(), 1 - oxygen[here].mean()])
    return np.array(rows)


def _ridge(x, y, strength=0.02):
    """Least squares whose slopes (not the first column, the constant) are held back a little."""
    scale = np.where(x.std(0) > 0, x.std(0), 1.0)
    penalty = strength * len(x) * np.diag([0.0] + [1.0] * (x.shape[1] - 1))
    z = x / scale
    return np.linalg.solve(z.T @ z + penalty, z.T @ y) / scale
