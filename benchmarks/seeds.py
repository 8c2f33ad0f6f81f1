"""What seeds alone do to an error: 200 networks on LiPON that differ in nothing else.

python -m benchmarks.seeds --table docs/seeds.md      (a minute on 2 cores)
"""

import argparse
from pathlib import Path

import numpy as np

from benchmarks import common
from mlms_helpers import datasets, evaluation, hole_traps, levels, models, statistics, training

NETWORKS, SEEDS, IDEAS = 200, 5, 20

TEXT = """# Seeds

A network starts from random weights, so its error depends on the seed. Is a change of the network better,
or was the seed? This page holds the numbers behind the section *A lucky seed* of notebook 06.

{made}

{networks} networks with two layers of 32 neurons learn the aligned level of N from the same {train} rows
and are tested on the same {test} rows (families kept whole). They differ in the seed alone. RMSE:
{mean:.3f} eV on average, from {low:.3f} to {high:.3f} eV, standard deviation {spread:.3f} eV.

## Two networks that differ in nothing

"Old" and "new" are drawn from these {networks}, so every difference is luck. How often is the new one
found better?

| comparison | found better |
|---|---:|
{comparisons}

The second line is a common habit: one's own network is run until it runs well, the other once. The last
one is Welch's t test, $t = (\\bar a - \\bar b) / \\sqrt{{s_a^2/n_a + s_b^2/n_b}}$ with means and standard
deviations over seeds. The p value is the probability of a $|t|$ at least as large if the two networks are
equally good. At p < 0.05 one comparison in twenty raises a false alarm, half of them in favour of the new
network. `statistics.compare(a, b)` computes it; `paired=True` if score k of both comes from the same
folds, so that what is hard for both drops out.

## Twenty ideas

Somebody tries {ideas} ideas, {seeds} seeds each, against {seeds} seeds of the old network. None changes
anything. The best-looking one has p < 0.05 in **{alarms:.0%}** of 2,000 searches. With fresh seeds, which
had no part in the choice, {confirmed:.0%} of these discoveries are found again. Confirm a winner with
fresh seeds, or ask for p < 0.05/{ideas} (Bonferroni).

## How many seeds

The power is the probability that a test finds a difference which is there. With {seeds} seeds each and a
true difference of one standard deviation it is {power:.0%} (`statistics.welch_power`; {simulated:.0%} of
2,000 simulated comparisons). How many seeds does each network need for a power of 80 %, p < 0.05
(`statistics.seeds_needed`)?

| true difference of the RMSE | seeds for each network |
|---|---:|
{needed}

Half the difference takes four times the seeds. With enough of them any difference becomes significant,
also one of 1 meV, *on these test families*. Whether it holds on others is the question of the interval
over families (`evaluation.summary`, `statistics.bootstrap_interval`), which no seed answers.

* B. L. Welch, Biometrika **34**, 28 (1947),
  [10.1093/biomet/34.1-2.28](https://doi.org/10.1093/biomet/34.1-2.28)
* C. Colas, O. Sigaud, P.-Y. Oudeyer,
  [10.48550/arXiv.1806.08295](https://doi.org/10.48550/arXiv.1806.08295) (2018)
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--table", type=Path, help="also write what is printed into this file")
    arguments = parser.parse_args()
    pool, train, test = networks()
    spread, rng = pool.std(ddof=1), np.random.default_rng(0)
    simulated = rng.normal([[0.0], [1.0]], 1.0, (2000, 2, SEEDS))
    alarms, confirmed = searches(pool, rng)
    text = TEXT.format(
        made=common.measured("seeds", "lipon"),
        networks=NETWORKS,
        train=train,
        test=test,
        mean=pool.mean(),
        low=pool.min(),
        high=pool.max(),
        spread=spread,
        comparisons=rows(comparisons(pool, rng), "{:.0%}"),
        ideas=IDEAS,
        seeds=SEEDS,
        alarms=alarms,
        confirmed=confirmed,
        power=statistics.welch_power(1.0, 1.0, 1.0, SEEDS),
        simulated=np.mean([statistics.compare(a, b, n=1)["p"] < 0.05 for a, b in simulated]),
        needed=rows(
            {
                f"{percent} %": statistics.seeds_needed(percent / 100 * pool.mean(), spread, spread)
                for percent in (20, 10, 5, 2, 1)
            },
            "{}",
        ),
    )
    print(text)
    if arguments.table:
        arguments.table.write_text(text)


def networks():
    """RMSE (eV) of each network, and the numbers of training and test rows."""
    structures = datasets.load("lipon").structures
    features, anions = hole_traps.site_features(structures)
    x = features[(anions.symbol == "N").to_numpy()][:, : hole_traps.FIRST]
    sites = levels.nitrogen_levels(structures)
    y = sites.aligned.to_numpy()
    train, _, test = evaluation.split(sites, by="family", test=0.3, validation=0, seed=0)
    nets = [
        models.mlp(x[train], y[train], width=32, hidden_layers=2, least_spread=0.1, seed=seed)
        for seed in range(NETWORKS)
    ]
    training.fit_ensemble(
        nets, x[train], y[train], epochs=100, batch_size=32, learning_rate=3e-3, weight_decay=1.0
    )
    scores = [evaluation.errors(y[test], models.predict(net, x[test]))["RMSE"] for net in nets]
    return np.array(scores), len(train), len(test)


def comparisons(pool, rng, draws=2000):
    """How often a new network is found better than an old one that is no different: {comparison: share}."""
    both = np.array([rng.choice(pool, size=2 * SEEDS, replace=False) for _ in range(draws)])
    old, new = both[:, :SEEDS], both[:, SEEDS:]
    tests = [statistics.compare(a, b, n=1) for a, b in zip(old, new, strict=True)]
    better = {
        "one run each, 5 % better": 1 - new[:, 0] / old[:, 0] > 0.05,
        "best of five new runs against one old run, 5 % better": 1 - new.min(axis=1) / old[:, 0] > 0.05,
        "mean of five against mean of five, 5 % better": 1 - new.mean(axis=1) / old.mean(axis=1) > 0.05,
        "Welch's test, five against five, p < 0.05, and better": [
            c["p"] < 0.05 and c["difference"] > 0 for c in tests
        ],
    }
    return {name: np.mean(how) for name, how in better.items()}


def searches(pool, rng, draws=2000):
    """Share of searches through ideas that change nothing with a "discovery", and of these found again."""
    alarms, confirmed = 0, 0
    for _ in range(draws):
        scores = rng.permutation(pool)
        old, ideas = scores[:SEEDS], scores[SEEDS : SEEDS * (IDEAS + 1)].reshape(IDEAS, SEEDS)
        best = min(ideas, key=lambda idea: -statistics.compare(old, idea, n=1)["t"])
        if statistics.compare(old, best, n=1)["p"] < 0.05:
            fresh = np.array_split(scores[SEEDS * (IDEAS + 1) :], 2)
            again = statistics.compare(*fresh, n=1)
            alarms, confirmed = alarms + 1, confirmed + (again["p"] < 0.05 and again["difference"] > 0)
    return alarms / draws, confirmed / alarms


def rows(table, form):
    return "\n".join(f"| {name} | {form.format(value)} |" for name, value in table.items())


if __name__ == "__main__":
    main()
