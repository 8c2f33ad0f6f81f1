"""Hole-trap levels: every model against the baselines, families never shared between training and test.

    python benchmarks/hole_traps.py --table docs/hole-trap-levels.md      (some minutes on 2 cores)

Writes RMSE, MAE and R2 with 95 % intervals over seeds for both labels, and the learning curve.
"""

import argparse
import datetime
import os
import platform
from pathlib import Path

import numpy as np
from sklearn.linear_model import Ridge

from mlms_helpers import datasets, descriptors, evaluation, hole_traps, levels

SEEDS, FOLDS = range(5), 6


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--table", type=Path, help="also write what is printed into this file")
    arguments = parser.parse_args()
    structures = datasets.load("lipon").structures
    traps = levels.nitrogen_levels(structures)
    families = np.array([a.info["family"] for a in structures])
    text = [f"{len(structures)} configurations, {len(traps)} N sites in {traps.family.nunique()} families; {FOLDS} folds of whole "
            f"families, {len(SEEDS)} seeds.  Energies in eV; after +/- the 95 % interval of the mean over seeds."]
    two_step = {depth: cached(structures, families, traps, depth=depth, **more)
                for depth, more in ((0, {}), (1, dict(n_models=8, epochs=100, weight_decay=0.3, learning_rate=3e-3)))}
    for label in ("aligned", "depth"):
        scores = evaluation.summary(evaluation.cross_validate(
            {**baselines(structures, traps, label),
             "two steps, straight lines": lambda *a: two_step[0](label, *a),
             "two steps, one hidden layer": lambda *a: two_step[1](label, *a)},
            traps, label, by="family", n_folds=FOLDS, seeds=SEEDS))
        text += ["", f"**{label}** (standard deviation {traps[label].std():.2f} eV)", "", table(scores)]
        print("\n".join(text[-3:]), flush=True)
    text += ["", "**Learning curve**, two steps with straight lines, tested on families left out:", "",
             curve(structures, families, traps)]
    print(text[-1])
    if arguments.table:
        head = ("# Hole-trap levels of N in LiPON\n\nMeasured by `benchmarks/hole_traps.py` on "
                f"{datetime.date.today()}, {os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}.  ")
        arguments.table.write_text(head + "\n".join(text) + "\n")


def baselines(structures, traps, label):
    """Mean, a count, the physics in one number, many numbers, all of them at once, and what DFT's own potential would give."""
    y = traps[label].to_numpy()
    sites = levels.sites(structures)
    at_nitrogen = lambda values: np.asarray(values)[sites.symbol == "N"]
    madelung = levels.from_oxygen(-descriptors.madelung_potential(structures), sites)
    dft = levels.from_oxygen(levels.site_potentials(structures, None), sites)
    radial = at_nitrogen(descriptors.symmetry_functions(structures))
    everything = np.column_stack([at_nitrogen(madelung), at_nitrogen(descriptors.crystal_field(structures)), radial])
    return {"mean": evaluation.mean_baseline(y),
            "number of Li neighbours, line": evaluation.line_baseline(at_nitrogen(descriptors.neighbour_count(structures)), y),
            "Madelung potential, line": evaluation.line_baseline(at_nitrogen(madelung), y),
            f"{radial.shape[1]} radial functions, ridge": ridge(radial, y),
            f"all {everything.shape[1]} descriptors, ridge, level asked directly": ridge(everything, y),
            "DFT's own site potential, line (not a prediction)": evaluation.line_baseline(at_nitrogen(dft), y)}


def ridge(x, y, strength=10.0, floor=0.05):
    """Model for `cross_validate`: ridge regression; a descriptor that hardly varies is not blown up when it is scaled."""
    def predict(train, test, seed):
        spread = np.maximum(x[train].std(axis=0), floor)
        mean = x[train].mean(axis=0)
        return Ridge(strength).fit((x[train] - mean) / spread, y[train]).predict((x[test] - mean) / spread)
    return predict


def cached(structures, families, traps, **how):
    """Two-step model for `cross_validate`; both labels of a fold come from one training."""
    found = {}

    def predict(label, train, test, seed):
        key = (tuple(test), seed)
        if key not in found:
            # pristine families hold no N: they always help to learn the potential
            out = set(traps.family.iloc[test])
            model = hole_traps.train([a for a, f in zip(structures, families) if f not in out], seed=seed, **how)
            held = sorted(set(traps.structure.iloc[test]))
            found[key] = hole_traps.predict(model, [structures[k] for k in held])
            assert list(found[key].atom) == list(traps.atom.iloc[test])
        return found[key][label]
    return predict


def curve(structures, families, traps):
    """RMSE against the number of training families, mean and standard deviation over seeds."""
    rows = ["| training families | aligned, RMSE / eV | depth, RMSE / eV |", "|---:|---:|---:|"]
    kinds = np.unique(families)
    for n in [n for n in (6, 9, 12, 18, 27, 40, 60) if n <= 0.8 * len(kinds)]:
        scores = []
        for seed in SEEDS:
            order = np.random.default_rng(seed).permutation(kinds)
            test = [a for a, f in zip(structures, families) if f in order[-len(kinds) // 5:] and "N" in a.symbols]
            model = hole_traps.train([a for a, f in zip(structures, families) if f in order[:n]], seed=seed)
            found, true = hole_traps.predict(model, test), levels.nitrogen_levels(test)
            scores.append([evaluation.errors(true[k], found[k])["RMSE"] for k in ("aligned", "depth")])
        mean, spread = np.mean(scores, 0), np.std(scores, 0, ddof=1)
        rows.append(f"| {n} | {mean[0]:.2f} ({spread[0]:.2f}) | {mean[1]:.2f} ({spread[1]:.2f}) |")
    return "\n".join(rows) + "\n\nIn parentheses: standard deviation over seeds (another draw of families)."


def table(scores):
    rows = ["| model | RMSE / eV | MAE / eV | R2 |", "|---|---:|---:|---:|"]
    rows += [f"| {name} | " + " | ".join(f"{row[k]:.2f} +/- {row[k + '_ci']:.2f}" for k in ("RMSE", "MAE", "R2")) + " |"
             for name, row in scores.iterrows()]
    return "\n".join(rows)


if __name__ == "__main__":
    main()
