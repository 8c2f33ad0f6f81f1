"""Active learning: error against number of labels, a committee's choice against chance and farthest points.

    python -m benchmarks.active --table docs/active-learning.md      (some minutes on 2 cores)

Two pools of shipped DFT labels, silicon (energies and forces) and levels in LiPON.  Every way to choose
starts from the same labels, spends the same number and trains from scratch; test families are in no pool.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks import common
from mlms_helpers import datasets, descriptors, hole_traps, levels, linear, selection, statistics

SEEDS, MEMBERS, TESTED = range(20), 8, 0.25  # share of the families that test
ACE = {"cutoff": 5.0, "n_max": 4, "l_max": 3, "order": 4}
PENALTY = 0.05  # (eV/A)^2, of a slope in standardised derivatives
ENERGY = 30.0  # weight of an energy an atom (eV) beside a force component (eV/A)
LINE = {"strength": 3e-3, "least_spread": 0.05}
NAMES = {"chance": "random", "farthest": "farthest point", "committee": "committee"}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--table", type=Path, help="also write what is printed into this file")
    arguments = parser.parse_args()
    text = [
        f"{len(SEEDS)} seeds, each with its own test families, start and order.  *share of labels*: at which "
        "a choice reaches the final error of random choice, over the labels of random choice (1 would be no "
        "saving, infinity: not reached), with the 95 % interval over seeds."
    ]
    for title, run, settings, errors in (
        ("Silicon, forces and energies", silicon(), {"start": 4, "batch": 4, "budget": 40}, SILICON),
        ("Levels of N in LiPON", nitrogen(), {"start": 4, "batch": 4, "budget": 60}, NITROGEN),
    ):
        text += ["", f"## {title}", "", *races(run, settings, errors)]
        print("\n".join(text[-12:]), flush=True)
    if arguments.table:
        made = common.measured("active", "silicon", "lipon", "lipon_motifs")
        head = f"# Active learning on pools of DFT labels\n\n{made}\n\n"
        arguments.table.write_text(head + "\n".join(text) + "\n")


def races(run, settings, errors):
    """Learning curves, shares of labels and the stopping rule, as Markdown."""
    curves, disagreement = {}, []
    for way in NAMES:
        found = [run(seed, way, settings) for seed in SEEDS]
        curves[way] = np.array([rounds for rounds, _ in found])
        if way == "committee":
            disagreement = [scores for _, scores in found]
    labels = curves["chance"][0, :, 0]
    shown = sorted({*range(0, len(labels), 2), len(labels) - 1})
    out = ["| error | choice | " + " | ".join(f"{labels[k]:.0f}" for k in shown) + " | share of labels |"]
    out.append("|---|---|" + "---:|" * (len(shown) + 1))
    for column, (name, digits) in enumerate(errors.items(), start=1):
        for way, said in NAMES.items():
            mean = np.nanmean(curves[way][:, :, column], axis=0)
            cells = " | ".join(f"{mean[k]:.{digits}f}" for k in shown)
            share = "1"
            if way != "chance":
                pair = (curves[w][:, :, column] for w in (way, "chance"))
                found = selection.labels_saved(labels, *pair)
                share = f"{found['share']:.2f} ({found['low']:.2f} to {found['high']:.2f})"
            out.append(f"| {name} | {said} | {cells} | {share} |")
    return [*out, "", stopping(labels, curves["committee"], disagreement, errors)]


def stopping(labels, curves, disagreement, errors):
    """Where the rule would have stopped, and what was still to be won."""
    stops = [selection.stop(scores) for scores in disagreement]
    ended = [k for k in stops if k is not None]
    if not ended:
        return "The stopping rule would never have stopped."
    said = []
    for column, name in enumerate(errors, start=1):
        lost = [
            curves[seed, k, column] / curves[seed, -1, column] - 1
            for seed, k in enumerate(stops)
            if k is not None
        ]
        said.append(f"{name} {np.median(lost):+.0%}")
    at, last = np.median(labels[ended]), labels[-1]
    return (
        "The stopping rule (mean disagreement on the rest of the pool not lower by 10 % within three rounds) "
        f"would have stopped {len(ended)} of {len(stops)} runs, at {at:.0f} labels in the median; there the "
        f"errors were above those at {last:.0f} labels by (median): " + ", ".join(said) + "."
    )


SILICON = {
    "forces, families left out (meV/A)": 1,
    "energies, families left out (meV/atom)": 1,
    "forces, 4 to 13 vacancies in 216 sites (meV/A)": 1,
    "energies, 4 to 13 vacancies in 216 sites (meV/atom)": 1,
}
NITROGEN = {"lone, paired and bridging N (eV)": 3, "lone (eV)": 3, "pairs (eV)": 3}


def silicon():
    """A race on the small cells of silicon, with a line in the ACE invariants."""
    data = datasets.load("silicon")
    small, large = (np.flatnonzero(data.table.n_sites == n) for n in (64, 216))
    rows = [design(atoms) for atoms in data.structures]
    scale = np.sqrt(np.mean([(x[:-1] ** 2).mean(axis=0) for x, _ in (rows[k] for k in small)], axis=0))
    scale[-1] = 1 / 3  # the constant of the energies is hardly held back
    middle = np.mean([rows[k][0][-1] for k in small], axis=0) * (np.arange(len(scale)) < len(scale) - 1)
    zero = np.mean([rows[k][1][-1] for k in small])
    for k, (x, y) in enumerate(rows):
        x[-1], y[-1] = x[-1] - middle, y[-1] - zero
        rows[k] = x / scale, y
    inner = np.array([rows[k][0].T @ rows[k][0] for k in small])
    along = np.array([rows[k][0].T @ rows[k][1] for k in small])
    family = data.table.family.to_numpy()[small]
    per_atom = descriptors.ace([data.structures[k] for k in small], **ACE)
    ends = np.cumsum(data.table.n_atoms.to_numpy()[small])[:-1]
    means = np.array([part.mean(axis=0) for part in np.split(per_atom, ends)])
    means = (means - means.mean(axis=0)) / means.std(axis=0)

    def fitted(known, weights):
        matrix = np.tensordot(weights, inner[known], 1) + PENALTY * np.eye(inner.shape[1])
        return np.linalg.solve(matrix, weights @ along[known])

    def rmse(line, numbers):
        off = [rows[k][0] @ line - rows[k][1] for k in numbers]
        forces, energies = np.concatenate([r[:-1] for r in off]), np.array([r[-1] for r in off]) / ENERGY
        return [1000 * np.sqrt((part**2).mean()) for part in (forces, energies)]

    def run(seed, way, settings):
        order, test = drawn(family, seed)
        scores, rng = [], np.random.default_rng(seed)

        def judge(known):
            line = fitted(known, np.ones(len(known)))
            return [*rmse(line, small[test]), *rmse(line, large)]

        def score(known, rest):
            weights = rng.multinomial(len(known), np.full(len(known), 1 / len(known)), size=MEMBERS)
            lines = np.array([fitted(known, w.astype(float)) for w in weights]).T
            spread = [np.sqrt((rows[small[k]][0][:-1] @ lines).var(axis=1).mean()) for k in rest]
            scores.append(np.mean(spread))
            return np.array(spread)

        choose = {
            "chance": selection.random,
            "farthest": selection.farthest(means),
            "committee": selection.most(score),
        }
        return selection.race(order, choose[way], judge, **settings), scores

    return run


def design(atoms):
    """Rows of the linear model, forces and then the weighted energy an atom, and their true values."""
    change = descriptors.derivatives(descriptors.ace, atoms, **ACE)  # [n, n_features, n, 3]
    forces = -change.sum(axis=0).reshape(change.shape[1], -1).T
    energy = ENERGY * np.append(descriptors.ace([atoms], **ACE).mean(axis=0), 1.0)
    x = np.vstack([np.column_stack([forces, np.zeros(len(forces))]), energy])
    return x, np.append(atoms.get_forces(), ENERGY * atoms.get_potential_energy() / len(atoms))


def nitrogen():
    """A race on cells of 64 sites (one calculation labels all N in one), with a line for the level."""
    structures = [atoms for name in ("lipon", "lipon_motifs") for atoms in datasets.load(name).structures]
    x, traps = hole_traps.trap_features(structures)
    first = levels.nitrogen_levels(structures).drop_duplicates("group").set_index("group").loc[traps.group]
    y, family, cell = first.pair_level.to_numpy(), first.family.to_numpy(), traps.structure.to_numpy()
    motif = traps.motif.to_numpy()
    in_pool = np.array([len(atoms) < 100 for atoms in structures])[cell]  # one price: cells of 64 sites
    z = (x - x[in_pool].mean(axis=0)) / np.maximum(x[in_pool].std(axis=0), LINE["least_spread"])

    def run(seed, way, settings):
        _, test = drawn(family, seed)
        pool = np.setdiff1d(np.unique(cell[in_pool]), cell[test])
        order, scores = np.random.default_rng(seed).permutation(pool), []
        rng = np.random.default_rng(statistics.spawn(seed, 1))

        def rows(known):
            return np.flatnonzero(np.isin(cell, known))

        def judge(known):
            train = rows(known)
            off = linear.predict(linear.ridge(x[train], y[train], **LINE), x[test]) - y[test]
            parts = (motif[test] != "triple", motif[test] == "lone", motif[test] == "pair")
            return [np.sqrt((off[part] ** 2).mean()) for part in parts]

        def score(known, rest):
            train = rows(known)
            draws = statistics.bootstrap_weights(cell[train], MEMBERS, int(rng.integers(2**31)))
            lines = [linear.ridge(x[train], y[train], weights=w, **LINE) for w in draws]
            spread = pd.Series(linear.predict(lines, x).var(axis=0)).groupby(cell).sum()
            scores.append(np.sqrt(spread.loc[rest].mean()))
            return spread.loc[rest].to_numpy()

        def farthest(known, rest, n):
            """The cell of the trap that is least like all known ones, one after the other."""
            new = []
            for _ in range(n):
                left = rows([k for k in rest if k not in new])
                points = np.append(rows([*known, *new]), left)
                place = selection.farthest(z[points])(
                    list(range(len(points) - len(left))), list(range(len(points) - len(left), len(points))), 1
                )
                new.append(int(cell[points[place[0]]]))
            return new

        choose = {"chance": selection.random, "farthest": farthest, "committee": selection.most(score)}
        return selection.race(order, choose[way], judge, **settings), scores

    return run


def drawn(family, seed):
    """Order of the pool, and the samples that test, by whole families."""
    rng = np.random.default_rng(seed)
    kinds = rng.permutation(np.unique(family))
    test = np.isin(family, kinds[: round(TESTED * len(kinds))])
    return rng.permutation(np.flatnonzero(~test)), np.flatnonzero(test)


if __name__ == "__main__":
    main()
