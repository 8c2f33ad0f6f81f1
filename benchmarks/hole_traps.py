"""Hole-trap levels: every model against the baselines, families never shared between training and test.

    python -m benchmarks.hole_traps --table docs/hole-trap-levels.md      (some minutes on 2 cores)

Writes errors of both labels, for lone and for paired N, with 95 % intervals over families; how often the
error bars hold; the learning curve; and how well each model knows the potential of the sites.
"""

import argparse
import functools
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.optimize import least_squares

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

SEEDS, FOLDS, MEMBERS = range(5), 5, 8
STRENGTHS = (1e-3, 3e-3, 1e-2, 3e-2, 1e-1)  # of the ridge that is asked for the level
SMALL = {"width": 16, "hidden_layers": 1}  # the network
TRAINED = {"epochs": 60, "batch_size": 256, "learning_rate": 3e-3, "weight_decay": 0.3}
HELD = 0.3  # holds the network's part in the level back, as so many errors of 1 eV


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--table", type=Path, help="also write what is printed into this file")
    arguments = parser.parse_args()
    structures = datasets.load("lipon").structures
    traps = levels.nitrogen_levels(structures)
    features = hole_traps.site_features(structures)
    families = np.array([atoms.info["family"] for atoms in structures])
    text = [
        f"{len(structures)} configurations, {len(traps)} N sites in {traps.family.nunique()} families, "
        f"{(traps.motif == 'pair').sum()} of them in pairs on one P; {FOLDS} folds of whole families, "
        f"{len(SEEDS)} seeds.  Energies in eV; after +/- half of the 95 % interval over families.  The "
        "level of a pair is its upper one, for both N."
    ]
    runs = {
        "course": functools.partial(course, structures, features),
        "network": functools.partial(networks, structures, features, traps),
    }
    folds = {name: [] for name in runs}
    for seed in SEEDS:
        for _, test in evaluation.folds(traps, by="family", n=FOLDS, seed=seed):
            out = traps.family.iloc[test].unique()
            for name, run in runs.items():
                found = run(families, out, seed).assign(seed=seed)
                folds[name].append(found)
        print(f"seed {seed} done", flush=True)
    found = {name: pd.concat(parts) for name, parts in folds.items()}
    for label, column in hole_traps.LABELS.items():
        rows = []
        candidates = baselines(structures, traps, column, features)
        scores = evaluation.cross_validate(candidates, traps, column, by="family", n_folds=FOLDS, seeds=SEEDS)
        for name, part in scores.groupby("model", sort=False):
            errors = pd.concat(
                traps.assign(seed=row.seed, error=np.asarray(row.residuals)) for row in part.itertuples()
            )
            rows.append((name, errors))
        direct = nested(features, traps, column)
        rows.append(
            ("ridge, level asked directly (it is not told of pairs), strength by inner folds", direct)
        )
        rows.append(
            ("**two steps and the coupling of pairs (the course's model)**", of(found, "course", label))
        )
        if label == "aligned":
            for name in ("line + network", "network alone"):
                rows.append((f"the same, potential by {name}", of(found, "network", name)))
            rows.append(("the same, line, and the network's part shrunk", of(found, "network", "mixed")))
        text += ["", f"**{label}** (standard deviation {traps[column].std():.2f} eV)", "", table(rows)]
        print("\n".join(text[-3:]), flush=True)
    text += ["", "**Error bars of the course's model**", "", bars(found["course"])]
    text += ["", "**Potential of the sites**, families left out, RMSE / eV", "", potentials(found["network"])]
    title = (
        "**Learning curve** on 13 families left out, RMSE / eV over four draws; the families without N are "
        "always known:"
    )
    text += ["", title, "", curve(structures, features, traps, families)]
    print("\n".join(text[-11:]))
    if arguments.table:
        head = f"# Hole-trap levels of N in LiPON\n\n{common.measured('hole_traps', 'lipon')}\n\n"
        arguments.table.write_text(head + "\n".join(text) + "\n")


def baselines(structures, traps, column, features):
    """Mean, a count, the physics in one number, and what DFT's own potential would give."""
    y = traps[column].to_numpy()
    x, sites = features
    lithium = descriptors.neighbour_count(structures)[levels.sites(structures).symbol == "N"]
    dft = levels.from_oxygen(levels.site_potentials(structures), sites)[sites.symbol == "N"]
    return {
        "mean": evaluation.mean_baseline(y),
        "number of Li neighbours, line": evaluation.line_baseline(lithium, y),
        "Madelung potential, line": evaluation.line_baseline(x[sites.symbol == "N", 0], y),
        "DFT's own site potential, line (not a prediction)": evaluation.line_baseline(dft, y),
    }


def nested(features, traps, column):
    """Errors of a ridge that is asked for the level, its strength from inner folds, an N and seed a row."""
    x, y = features[0][features[1].symbol == "N"], traps[column].to_numpy()

    def with_strength(strength):
        def fit_predict(train, test, seed):
            line = linear.ridge(x[train], y[train], strength, least_spread=hole_traps.LEAST_SPREAD)
            return linear.predict(line, x[test])

        return fit_predict

    scores = evaluation.nested_cross_validate(
        {"direct": {s: with_strength(s) for s in STRENGTHS}},
        traps,
        column,
        by="family",
        outer=FOLDS,
        seeds=SEEDS,
    )
    return pd.concat(
        traps.assign(seed=row.seed, error=np.asarray(row.residuals)) for row in scores.itertuples()
    )


def course(structures, features, families, out, seed):
    """The model of the course, one row an N of the families that are left out, with errors."""
    known, new = (np.flatnonzero(np.isin(families, out, invert=i)) for i in (True, False))
    chosen = hole_traps.select(features, known)
    model = hole_traps.train([structures[k] for k in known], seed=seed, features=chosen)
    new_structures = [structures[k] for k in new]
    found = hole_traps.predict(model, new_structures, features=hole_traps.select(features, new))
    true = levels.nitrogen_levels(new_structures)
    for label, column in hole_traps.LABELS.items():
        found[f"error {label}"] = found[label] - true[column]
    return found.assign(family=true.family, coupling=model.coupling, pair_depth=true.pair_depth)


def networks(structures, features, traps, families, out, seed):
    """A line and a committee of small Keras networks on what it leaves, the constant between O and N out.

    Networks are shrunk by what they are worth on families that each has not seen: in the potential, and, as a
    second number beside it, in the level.  Returns one row an N of the families that are left out.
    """
    x, sites = features
    potential = levels.from_oxygen(levels.site_potentials(structures), sites)
    family, is_n = families[sites.structure], (sites.symbol == "N").to_numpy()
    known = ~np.isin(family, out)
    draws = statistics.bootstrap_weights(family[known], MEMBERS, seed)
    line = functools.partial(linear.ridge, strength=3e-3, least_spread=hole_traps.LEAST_SPREAD)
    lines = linear.predict([line(x[known], potential[known], weights=w) for w in draws], x)
    rest = potential[known] - linear.predict(line(x[known], potential[known]), x[known])
    element = np.where(is_n, potential[known & is_n].mean(), 0.0)  # what a network alone must not learn
    votes = {}
    for name, aim in (("rest", rest), ("alone", (potential - element)[known])):
        committee = [
            models.mlp(
                x[known],
                aim,
                least_spread=hole_traps.LEAST_SPREAD,
                seed=statistics.spawn(seed, k),
                **SMALL,
            )
            for k in range(MEMBERS)
        ]
        training.fit_ensemble(committee, x[known], aim, weights=draws, seed=seed, **TRAINED)
        votes[name] = np.array([models.predict(net, x) for net in committee])
    votes["alone"] += element

    def apart(of_all):
        """Of known sites the mean over members that have not seen them, of others over all."""
        mean = of_all.mean(axis=0)
        mean[known] = hole_traps.out_of_bag(of_all[:, known], draws)
        return mean

    straight, more, alone = (apart(v) for v in (lines, votes["rest"], votes["alone"]))
    judged = known & np.isfinite(straight)
    shrunk = np.zeros(len(x))
    for species in (is_n, ~is_n):
        rows = judged & species
        factor = (potential - straight)[rows] @ more[rows] / (more[rows] @ more[rows])
        shrunk[species] = np.clip(factor, 0, 1) * more[species]
    true, groups = traps.pair_level.to_numpy(), traps.group.to_numpy()
    rows, new = judged[is_n], ~known[is_n]
    found = traps[new].copy()
    for name, v in (("line", straight), ("line + network", straight + shrunk), ("network alone", alone)):
        found[f"potential {name}"] = (v - potential)[is_n][new]
        found[f"potential of O {name}"] = np.sqrt(((v - potential)[~is_n & ~known] ** 2).mean())
        found[f"error {name}"] = level(v[is_n], None, true, groups, rows)[new] - true[new]
    found["error mixed"] = level(straight[is_n], more[is_n], true, groups, rows)[new] - true[new]
    return found


def level(potential, more, true, groups, rows):
    """Levels of all N by a line in their potential, and another number if there is one, and the coupling."""
    middle = potential[rows].mean()
    more = np.zeros(len(potential)) if more is None else more

    def told(q, rows):
        own = q[0] + q[1] * (potential[rows] - middle) + q[2] * more[rows]
        return levels.coupled(own, groups[rows], q[3])

    def residuals(q):
        return np.append(told(q, rows) - true[rows], HELD * q[2])

    everything = np.ones(len(true), bool)
    return told(least_squares(residuals, [true[rows].mean(), 1.0, 0.0, 0.5]).x, everything)


def of(found, run, name):
    """Errors of one model as a table with the columns seed, family, motif, error."""
    return found[run].assign(error=found[run][f"error {name}"])


def table(rows):
    out = ["| model | all | lone N | pairs |", "|---|---:|---:|---:|"]
    for name, errors in rows:
        parts = [errors, errors[errors.motif == "lone"], errors[errors.motif == "pair"]]
        out.append(f"| {name} | " + " | ".join(rmse(part) for part in parts) + " |")
    return "\n".join(out)


def rmse(errors):
    """RMSE +/- half of its interval over families."""
    low, high = statistics.bootstrap_interval(errors.error.to_numpy(), errors.family.to_numpy())
    return f"{np.sqrt((errors.error**2).mean()):.3f} +/- {(high - low) / 2:.3f}"


def bars(found):
    """Coverage and bias by motif."""
    out = [
        "| label | N | 68 % bar holds | 90 % bar holds | mean sigma | bias where deeper than 2.5 eV |",
        "|---|---|---:|---:|---:|---:|",
    ]
    for label in hole_traps.LABELS:
        for motif, part in found.groupby("motif"):
            error, sigma = part[f"error {label}"], part[f"{label}_sigma"]
            held = evaluation.coverage(np.zeros(len(part)), error, sigma, levels=(0.68, 0.9)).found
            deep = error[part.pair_depth > 2.5]
            numbers = [f"{held[0]:.0%}", f"{held[1]:.0%}", f"{sigma.mean():.2f}", f"{deep.mean():+.2f}"]
            out.append("| " + " | ".join([label, motif, *numbers]) + " |")
    t = found.coupling
    return "\n".join(out) + f"\n\nCoupling t: {t.min():.2f} to {t.max():.2f} eV over all folds and seeds."


def potentials(found):
    out = ["| model | N | O |", "|---|---:|---:|"]
    for name in ("line", "line + network", "network alone"):
        own = np.sqrt((found[f"potential {name}"] ** 2).mean())
        oxygen = np.sqrt((found[f"potential of O {name}"] ** 2).mean())
        out.append(f"| {name} | {own:.3f} | {oxygen:.3f} |")
    return "\n".join(out)


def curve(structures, features, traps, families):
    names = ["line", "mixed", "line + network", "network alone"]
    out = [
        "| training families with N | level: line | line, network's part shrunk | line + network "
        "| network alone | potential of N: line | line + network | network alone |",
        "|---:|" + "---:|" * 7,
    ]
    kinds = traps.family.unique()
    for n in (3, 6, 12, 25, len(kinds) - 13):
        squares = []
        for seed in range(4):
            order = np.random.default_rng(seed).permutation(kinds)
            kept = np.isin(families, order[: 13 + n]) | ~np.isin(families, kinds)
            chosen = np.flatnonzero(kept)
            inside = [structures[k] for k in chosen]
            part = hole_traps.select(features, chosen)
            own = levels.nitrogen_levels(inside)
            found = networks(inside, part, own, families[chosen], order[:13], seed)
            columns = [f"error {name}" for name in names] + [
                f"potential {name}" for name in ("line", "line + network", "network alone")
            ]
            squares.append((found[columns] ** 2).mean().to_numpy())
        out.append(f"| {n} | " + " | ".join(f"{v:.3f}" for v in np.sqrt(np.mean(squares, 0))) + " |")
    return "\n".join(out)


if __name__ == "__main__":
    main()
