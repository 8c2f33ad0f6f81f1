"""Hole-trap levels: every model against the baselines, families never shared between training and test.

    python -m benchmarks.hole_traps --table docs/hole-trap-levels.md      (some minutes on 2 cores)

Writes RMSE with its 95 % interval over families, MAE and R2 for both labels, and the learning curve.
"""

import argparse
import datetime
import os
import platform
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks import common
from mlms_helpers import (
    datasets,
    descriptors,
    evaluation,
    hole_traps,
    levels,
    linear,
    models,
    statistics,
    training,
)

SEEDS, FOLDS = range(5), 6
LABELS = ("aligned", "depth")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--table", type=Path, help="also write what is printed into this file")
    arguments = parser.parse_args()
    structures = datasets.load("lipon").structures
    traps = levels.nitrogen_levels(structures)
    features = hole_traps.site_features(structures)
    text = [
        f"{len(structures)} configurations, {len(traps)} N sites in {traps.family.nunique()} families; "
        f"{FOLDS} folds of whole families, {len(SEEDS)} seeds.  Energies in eV; after +/- half of the 95 % "
        "interval over families (families drawn again with replacement)."
    ]
    two_steps = {
        "two steps, straight lines": once(straight_lines, structures, traps, features),
        "two steps, one hidden layer": once(networks, structures, traps, features),
    }
    for label in LABELS:
        candidates = baselines(structures, traps, label, features)
        candidates |= {name: of_label(label, run) for name, run in two_steps.items()}
        runs = evaluation.cross_validate(candidates, traps, label, by="family", n_folds=FOLDS, seeds=SEEDS)
        scores = table(evaluation.summary(runs))
        text += ["", f"**{label}** (standard deviation {traps[label].std():.2f} eV)", "", scores]
        print("\n".join(text[-3:]), flush=True)
    title = "**Learning curve**, two steps with straight lines, tested on families left out:"
    text += ["", title, "", curve(structures, traps, features)]
    print(text[-1])
    if arguments.table:
        head = (
            f"# Hole-trap levels of N in LiPON\n\nMeasured by `benchmarks/hole_traps.py` on "
            f"{datetime.date.today()}, {os.cpu_count()} cores, {platform.machine()}, "
            f"Python {platform.python_version()}.\n\n{common.stamp('lipon')}\n\n"
        )
        arguments.table.write_text(head + "\n".join(text) + "\n")


def baselines(structures, traps, label, features):
    """Mean, a count, the physics in one number, many numbers, and what DFT's own potential would give."""
    y = traps[label].to_numpy()
    x, sites = features
    x = x[sites.symbol == "N", :-1]  # the last column says that it is N
    radial = x[:, [k for k, feature in enumerate(hole_traps.FEATURES[:-1]) if feature.species]]
    lithium = descriptors.neighbour_count(structures)[levels.sites(structures).symbol == "N"]
    dft = levels.from_oxygen(levels.site_potentials(structures), sites)[sites.symbol == "N"]
    return {
        "mean": evaluation.mean_baseline(y),
        "number of Li neighbours, line": evaluation.line_baseline(lithium, y),
        "Madelung potential, line": evaluation.line_baseline(x[:, 0], y),
        f"{radial.shape[1]} radial functions, ridge": ridge(radial, y),
        f"all {x.shape[1]} descriptors, ridge, level asked directly": ridge(x, y),
        "DFT's own site potential, line (not a prediction)": evaluation.line_baseline(dft, y),
    }


def ridge(x, y, penalty=10.0):
    """A `fit_predict` of `cross_validate`; penalty: on squared slopes, of the sum of squared errors."""

    def fit_predict(train, test, seed):
        line = linear.ridge(x[train], y[train], penalty / len(train), least_spread=0.05)
        return linear.predict(line, x[test])

    return fit_predict


def straight_lines(structures, features, known, new, seed):
    """The model of the course.  known, new: numbers of structures.  Returns levels of the new ones."""
    model = hole_traps.train(
        [structures[k] for k in known], seed=seed, features=hole_traps.select(features, known)
    )
    return hole_traps.predict(model, [structures[k] for k in new], features=hole_traps.select(features, new))


def networks(structures, features, known, new, seed, n_models=8):
    """The same two steps, but the potential is learned by a committee of networks with one hidden layer."""
    inside = [structures[k] for k in known]
    x, sites = hole_traps.select(features, known)
    potential = levels.from_oxygen(levels.site_potentials(inside), sites)
    family = np.array([atoms.info["family"] for atoms in inside])[sites.structure]
    draws = statistics.bootstrap_weights(family, n_models, seed)
    committee = [
        models.mlp(
            x,
            potential,
            width=32,
            hidden_layers=1,
            least_spread=hole_traps.LEAST_SPREAD,
            seed=statistics.spawn(seed, k),
        )
        for k in range(n_models)
    ]
    training.fit_ensemble(
        committee,
        x,
        potential,
        weights=draws,
        epochs=100,
        batch_size=256,
        learning_rate=3e-3,
        weight_decay=0.3,
        seed=seed,
    )
    honest = hole_traps.out_of_bag(np.array([models.predict(net, x) for net in committee]), draws)
    trap, host = honest[sites.symbol == "N"], hole_traps.edge_features(honest, sites)
    edges, own = levels.band_edges(inside).host_edge, levels.nitrogen_levels(inside).aligned
    judged, whole = np.isfinite(trap), np.isfinite(host).all(axis=1)
    level_line = linear.ridge(trap[judged], own[judged], 0.0)
    edge_line = linear.ridge(host[whole], edges[whole], hole_traps.EDGE_STRENGTH)

    x, sites = hole_traps.select(features, new)
    votes, n = [models.predict(net, x) for net in committee], (sites.symbol == "N").to_numpy()
    level = np.mean([linear.predict(level_line, vote[n]) for vote in votes], axis=0)
    edge = np.mean(
        [linear.predict(edge_line, hole_traps.edge_features(vote, sites)) for vote in votes], axis=0
    )
    return pd.DataFrame({"aligned": level, "depth": level - edge[sites.structure[n]], "atom": sites.atom[n]})


def once(run, structures, traps, features):
    """Both labels of a fold come from one training.  Returns a function of (train, test, seed) -> levels."""
    families, found = np.array([a.info["family"] for a in structures]), {}

    def of_fold(train, test, seed):
        key = (tuple(test), seed)
        if key not in found:
            # pristine families hold no N: they always help to learn the potential
            known = np.flatnonzero(~np.isin(families, traps.family.iloc[test]))
            new = sorted(set(traps.structure.iloc[test]))
            found[key] = run(structures, features, known, new, seed)
            assert list(found[key].atom) == list(traps.atom.iloc[test])
        return found[key]

    return of_fold


def of_label(label, of_fold):
    """A `fit_predict` of `cross_validate`."""
    return lambda train, test, seed: of_fold(train, test, seed)[label].to_numpy()


def curve(structures, traps, features):
    """RMSE against the number of training families, mean and standard deviation over seeds."""
    rows = ["| training families | aligned, RMSE / eV | depth, RMSE / eV |", "|---:|---:|---:|"]
    families = np.array([a.info["family"] for a in structures])
    doped, kinds = np.array(["N" in a.symbols for a in structures]), np.unique(families)
    for n in [n for n in (6, 9, 12, 18, 27, 40, 60) if n <= 0.8 * len(kinds)]:
        scores = []
        for seed in SEEDS:
            order = np.random.default_rng(seed).permutation(kinds)
            known = np.flatnonzero(np.isin(families, order[:n]))
            new = np.flatnonzero(np.isin(families, order[-len(kinds) // 5 :]) & doped)
            found = straight_lines(structures, features, known, new, seed)
            true = traps[traps.structure.isin(new)]
            scores.append([evaluation.errors(true[k], found[k])["RMSE"] for k in LABELS])
        mean, spread = np.mean(scores, 0), np.std(scores, 0, ddof=1)
        rows.append(f"| {n} | {mean[0]:.2f} ({spread[0]:.2f}) | {mean[1]:.2f} ({spread[1]:.2f}) |")
    return "\n".join(rows) + "\n\nIn parentheses: standard deviation over seeds (another draw of families)."


def table(scores):
    rows = ["| model | RMSE / eV | MAE / eV | R2 |", "|---|---:|---:|---:|"]
    rows += [
        f"| {name} | {row.RMSE:.2f} +/- {row.RMSE_ci:.2f} | {row.MAE:.2f} | {row.R2:.2f} |"
        for name, row in scores.iterrows()
    ]
    return "\n".join(rows)


if __name__ == "__main__":
    main()
