"""LixTiS2 as a lattice: errors left out, ground states, voltage, Monte Carlo, and when a network wins.

    python -m benchmarks.lattice --table docs/lattice-models.md

The shipped orderings; four clusters (three pairs, one triplet), least squares.  Ends with status 1 where
what was asked for is missed.
"""

import argparse
import platform
import sys
import time
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn import linear_model

from benchmarks import common
from benchmarks.common import rms
from mlms_helpers import datasets, evaluation, lattice, linear, models, training
from tools import icet

ERROR, RATIO, APART, MOVES = 5.0, 1.5, 0.3, 1e6  # meV per site; -; V; trial moves a second
SIZES, SEEDS = (10, 20, 40, 80), 5
SETTINGS = [(rate, decay) for rate in (0.01, 0.03) for decay in (0.1, 0.3, 1.0)]
METHODS = {
    "least squares": linear_model.LinearRegression(fit_intercept=False),
    "ridge": linear_model.RidgeCV(np.logspace(-3, 3, 25), fit_intercept=False),
    "relevance": linear_model.ARDRegression(fit_intercept=False),
}
TEXT = """# Lattice models

How well a line in a few correlation functions knows LixTiS2, by `make bench NAME=lattice`
([notebook 10](../notebooks/10-lattice-models.ipynb)). {where}

## Orderings left out

{orderings} orderings of Li in one layer, of them {inside} between the ends; formation energies per site,
from the ends.  Four clusters: {clusters}.

| | asked | measured |
|---|---:|---:|
| leave-one-out error, meV per site | below {ERROR:g} | {left_out:.2f} |
| 90 % interval of it, over orderings | | {low:.2f} to {high:.2f} |
| fitted error, meV per site | | {fitted:.2f} |
| left out / fitted | below {RATIO:g} | {ratio:.2f} |
| ground states of DFT on the predicted hull | all {states} | {kept} |
| largest difference from icet's correlations, 20 structures | 1e-10 | {icet:.0e} |
| voltage at 300 K, farthest from measured for 0.1 < x < 0.9, PBE + D3, V | {APART:g} | {d3:.2f} |
| the same, PBE without D3 | | {pbe:.2f} |
| trial moves a second, millions (300 K, 512 crystals of 144 sites) | {millions:g} | {speed:.1f} |

The set of clusters was chosen with these errors in sight; the next table chooses inside each fold.  D3 has
lines of its own, and the metal has D3, too; without it there: {bare:.2f} V.  Measured voltage:
a straight line from 2.5 to 1.9 V (M. S. Whittingham, Science 192, 1126 (1976)).  The trial moves are
those of the semi-grand ensemble, in which a move fills or empties a site; canonical (a move swaps two
sites): {swaps:.1f} millions.  Time by the clock, on a machine that did other work beside.

## Line or network, at equal data

Each ordering between the ends is left out once, and whatever has a choice chooses on the others alone, by
four inner folds.  The line chooses among {methods} methods and {sets} sets of clusters.  The networks
(`lattice.network`, two layers of 16, 400 epochs) choose among {settings} pairs of learning rate and weight
decay, and answer with the mean of {SEEDS} seeds.  "Clusters in": site correlations of the six shortest
clusters; "end to end": occupations and three rings of neighbours.  Error left out, meV per site, and the
90 % interval, over orderings drawn with replacement, of its difference from that of the line:

{versus}

Seeds alone, that is without their mean: {by_seed}.

## When would a network win?

A model Hamiltonian, no DFT: each filled site gains an energy that
saturates with its filled neighbours (60 meV times the root of their number).
{pool} orderings, 50 of them to test; {SEEDS} draws and seeds, the lines with the ridge strength
that suits the test rows best; root mean square error in meV per site, ± half of the range over the draws.

{curve}

That energy is a sum over clusters of seven sites, so a line that has all of them is exact once it has
orderings enough; the network was told who the neighbours are, but no cluster.  Best line without those
clusters, over the network, at 80 orderings: {wins:.1f}; best of all lines, over the network, at 10 orderings:
**{early:.1f}**, at 80: {late:.2f}.
"""


def data():
    """Primitive cell, orderings, x, PBE energies and those with D3 (eV per site), and the metal's two."""
    lixtis2 = datasets.load("lixtis2")
    table = lixtis2.table
    primitive = lixtis2.structures[int(table.index[table.config == "o1-01"][0])].copy()
    primitive.pbc = (True, True, False)
    orderings, placed = lattice.place(lixtis2.structures, primitive)
    lost = placed.why[placed.why != ""]
    if len(lost):
        sys.exit(f"lattice: an ordering fell off the lattice: {lost.iloc[0]}")
    energy = (table.energy / table.units).to_numpy()
    with_d3 = ((table.energy + table.energy_d3) / table.units).to_numpy()
    metal = pd.read_csv(datasets.folder() / "lixtis2" / "elements.csv").set_index("element").loc["Li"]
    metals = metal.energy_metal, metal.energy_metal + metal.energy_metal_d3
    return primitive, orderings, table.x.to_numpy(), energy, with_d3, metals


def nested_line(primitive, orderings, x, formed, inside):
    """Errors left out, eV per site, of lines that choose method and set of clusters on the others alone."""
    orbits = lattice.orbits(primitive, {2: 12.0, 3: 7.0, 4: 7.0})
    features = lattice.formation(orbits, lattice.correlations(orbits, orderings), x)[:, 2:]
    order, size = (np.array([getattr(o, name) for o in orbits])[2:] for name in ("order", "length"))
    pairs, near = order == 2, (order == 2) & (size < 9.2)
    sets = [pairs & (size < 6.5), pairs & (size < 7)]
    sets += [sets[1] | ((order == 3) & (size < 4))]
    sets += [near | ((order == 3) & (size < 6)), near | (order == 3), order <= 4]

    def told(method, columns, train, test):
        scale = features[train][:, columns].std(axis=0)
        line = METHODS[method].fit(features[train][:, columns] / scale, 1000 * formed[train])
        return features[test][:, columns] / scale @ line.coef_ / 1000

    choices, errors = [(method, columns) for method in METHODS for columns in sets], []
    for k in inside:
        rows = inside[inside != k]
        inner = [(rows[a], rows[b]) for a, b in evaluation.folds(pd.DataFrame({"row": rows}), n=4)]
        square = [sum(((told(*c, a, b) - formed[b]) ** 2).sum() for a, b in inner) for c in choices]
        errors.append(told(*choices[int(np.argmin(square))], rows, [k])[0] - formed[k])
    return np.array(errors), len(sets)


def nested_network(inputs, y):
    """Errors left out, in the unit of y, [seeds, orderings], of networks that choose a setting likewise."""
    n = len(y)

    def errors(seen, settings, seeds):
        """Of networks that have seen these rows, [n_models, n]: predicted minus true of all rows."""
        networks = [lattice.network(inputs, y, seed=seed) for seed in seeds]
        rates, decays = np.array(settings).T
        training.fit_ensemble(
            networks,
            inputs,
            y,
            weights=seen,
            epochs=400,
            batch_size=n,
            learning_rate=rates,
            weight_decay=decays,
        )
        return np.array([models.predict(network, inputs) for network in networks]) - y

    best = []
    for k in range(n):
        rows = np.flatnonzero(np.arange(n) != k)
        outer = [rows[b] for _, b in evaluation.folds(pd.DataFrame({"row": rows}), n=4)]
        seen = np.ones((len(outer), len(SETTINGS), n))
        seen[..., k] = 0
        for fold, rows_out in enumerate(outer):
            seen[fold, :, rows_out] = 0
        found = errors(seen.reshape(-1, n), SETTINGS * len(outer), [0] * (len(outer) * len(SETTINGS)))
        found = found.reshape(len(outer), len(SETTINGS), n)
        square = sum((found[fold][:, out] ** 2).sum(axis=1) for fold, out in enumerate(outer))
        best.append(SETTINGS[int(np.argmin(square))])
    seen = np.repeat(1 - np.eye(n), SEEDS, axis=0)
    found = errors(seen, [setting for setting in best for _ in range(SEEDS)], list(range(SEEDS)) * n)
    return found.reshape(n, SEEDS, n)[np.arange(n), :, np.arange(n)].T


def versus(primitive, orderings, x, formed, inside):
    """The table line against networks, a sentence about seeds, and how many sets the line chooses from."""
    line, sets = nested_line(primitive, orderings, x, formed, inside)
    short = lattice.orbits(primitive, {2: 7.0, 3: 4.0})
    some, y = [orderings[k] for k in inside], 1000 * formed[inside]
    found = {
        "network, clusters in": nested_network(lattice.network_input(some, short[1:]), y),
        "network, end to end": nested_network(lattice.network_input(some, short[1:2], short[2:5]), y),
    }
    errors = {"line": 1000 * line} | {name: values.mean(axis=0) for name, values in found.items()}
    drawn = np.random.default_rng(0).integers(0, len(inside), (2000, len(inside)))
    lines = ["| model | error | difference, 90 % |", "|---|---:|---:|"]
    for name, values in errors.items():
        apart = [np.sqrt((e[drawn] ** 2).mean(axis=1)) for e in (values, errors["line"])]
        low, high = np.quantile(apart[0] - apart[1], [0.05, 0.95])
        lines.append(
            f"| {name} | {rms(values):.2f} | {'' if name == 'line' else f'{low:+.2f} to {high:+.2f}'} |"
        )
    seeds = [
        f"{name[9:]} {min(r):.2f} to {max(r):.2f}" for name, v in found.items() for r in [[*map(rms, v)]]
    ]
    return "\n".join(lines), "; ".join(seeds), sets


def voltage(orbits, features, formed, inside, means):
    """Farthest distance (V) from the measured line of curves at 300 K, mean of 20 draws, one a mean."""
    rng, lines = np.random.default_rng(3), []
    while len(lines) < 20:
        rows = rng.choice(inside, len(inside))
        if np.linalg.matrix_rank(features[rows]) == features.shape[1]:
            lines.append(np.linalg.lstsq(features[rows], formed[rows], rcond=None)[0])
    mu = np.linspace(-0.32, 0.36, 35)
    weights = lattice.weights_of(orbits, range(2, len(orbits)), np.array(lines))
    run = lattice.monte_carlo(
        orbits,
        np.repeat(weights, len(mu), axis=0),
        (12, 12, 1),
        300.0,
        np.tile(mu, len(lines)),
        samples=40,
        every=8,
        seed=2,
    )
    content = run.x[10:].mean(axis=0).reshape(len(lines), len(mu))
    grid = np.linspace(0.1, 0.9, 33)
    potential = np.mean([np.interp(grid, c, mu) for c in content], axis=0)
    return [float(np.abs(mean - potential - (2.5 - 0.6 * grid)).max()) for mean in means]


def moves_a_second(orbits, weights, potential):
    """The best of three runs of 512 crystals.   potential: see `lattice.monte_carlo`."""
    rates, temperature = [], np.full(512, 300.0)
    for _ in range(4):  # the first one compiles
        start = time.perf_counter()
        run = lattice.monte_carlo(orbits, weights, (12, 12, 1), temperature, potential, samples=10, every=5)
        rates.append(run.moves / (time.perf_counter() - start))
    return max(rates[1:])


def embedded(orbits, ordering):
    """Energy of the model Hamiltonian, meV per site."""
    steps = orbits[2].clusters[:, 1] - orbits[2].clusters[:, 0]
    at = lattice.sites(ordering.shape)[:, None] + np.concatenate([steps, -steps])
    z = ordering.occupied[lattice.fold(at, ordering.shape)].sum(axis=1)
    return -60.0 * np.mean(ordering.occupied * (np.sqrt(6) - np.sqrt(z)))


def seven_sites(primitive):
    """Orbits of all clusters within a site and its six nearest neighbours."""
    cell = primitive.cell.array
    reach = np.linalg.norm(cell[0]) + 0.1
    centres = np.array([(i, j, 0) for i in range(-2, 3) for j in range(-2, 3)]) @ cell

    def fits(orbit):
        apart = np.linalg.norm(centres[:, None] - orbit.clusters[0] @ cell, axis=2)
        return (apart.max(axis=1) < reach).any()

    wide = lattice.orbits(primitive, dict.fromkeys(range(2, 8), 7.0))
    return [orbit for orbit in wide if orbit.order < 2 or fits(orbit)]


def learning_curve(primitive):
    """Size of the pool, and errors [model, orderings, draw] of lines and network on the model Hamiltonian."""
    orbits = lattice.orbits(primitive, {2: 12.0, 3: 7.0, 4: 7.0})
    every = lattice.enumerate_orderings(8)
    pool = [every[k] for k in lattice.distinct(orbits, every)[0] if 0 < every[k].x < 1]
    truth = np.array([embedded(orbits, one) for one in pool])
    x = np.array([one.x for one in pool])
    features = lattice.formation(orbits, lattice.correlations(orbits, pool), x)[:, 2:]
    order = np.array([orbit.order for orbit in orbits])[2:]
    around = seven_sites(primitive)
    lines = {
        "line, pairs": features[:, order == 2],
        "line, + triplets": features[:, order <= 3],
        "line, + quadruplets": features,
        "line, all clusters of seven sites": lattice.formation(around, lattice.correlations(around, pool), x)[
            :, 2:
        ],
    }
    sites = lattice.network_input(pool, orbits[1:2], orbits[2:3])
    mixed = np.random.default_rng(0).permutation(len(pool))
    test, rest = mixed[:50], mixed[50:]
    rows = []
    for many in SIZES:
        for seed in range(SEEDS):
            drawn = np.random.default_rng(seed).permutation(rest)[:many]
            for name, inputs in lines.items():
                fits = [
                    linear.ridge(inputs[drawn], truth[drawn], strength)
                    for strength in (1e-8, 1e-6, 1e-4, 1e-3, 1e-2)
                ]
                errors = [rms(linear.predict(fit, inputs[test]) - truth[test]) for fit in fits]
                rows.append((name, many, min(errors)))
            taken = {key: value[drawn] for key, value in sites.items()}
            network = lattice.network(taken, truth[drawn], seed=seed)
            training.fit(
                network,
                taken,
                truth[drawn],
                epochs=1500,
                batch_size=min(many, 32),
                learning_rate=0.01,
                weight_decay=0.01,
                seed=seed,
            )
            told = models.predict(network, {key: value[test] for key, value in sites.items()})
            rows.append(("network, occupations only", many, rms(told - truth[test])))
    return len(pool), pd.DataFrame(rows, columns=["model", "orderings", "error"])


def main():
    parser = argparse.ArgumentParser(description="Measure the lattice model of LixTiS2.")
    parser.add_argument("--table", type=Path, help="file to write")
    arguments = parser.parse_args()
    primitive, orderings, x, energy, with_d3, metals = data()
    ends = [(e[x == 0][0], e[x == 1][0]) for e in (energy, with_d3)]
    formed = energy - (1 - x) * ends[0][0] - x * ends[0][1]
    orbits = lattice.orbits(primitive, {2: 7.0, 3: 4.0})
    features = lattice.formation(orbits, lattice.correlations(orbits, orderings), x)[:, 2:]
    inside = np.flatnonzero((x > 0) & (x < 1))

    def fitted(rows):
        return np.linalg.lstsq(features[rows], formed[rows], rcond=None)[0]

    out = np.array([features[k] @ fitted(inside[inside != k]) - formed[k] for k in inside])
    slopes = fitted(inside)
    fit = features[inside] @ slopes - formed[inside]
    draws = out[np.random.default_rng(0).integers(0, len(out), (2000, len(out)))]
    low, high = np.quantile(1000 * np.sqrt((draws**2).mean(axis=1)), [0.05, 0.95])
    weights = lattice.weights_of(orbits, range(2, len(orbits)), slopes)
    every = lattice.enumerate_orderings(8)
    numbers, values = lattice.distinct(orbits, every)
    hull_x, hull_energy = np.array([every[k].x for k in numbers]), values @ weights
    corners = lattice.hull(hull_x, hull_energy)
    states = lattice.hull(x, formed)
    ours = (lattice.correlations(orbits, orderings) @ weights)[states]
    kept = int((ours - np.interp(x[states], hull_x[corners], hull_energy[corners]) < 1e-5).sum())
    means = [empty + metal - full for (empty, full), metal in zip(ends, metals, strict=True)]
    formed_d3 = with_d3 - (1 - x) * ends[1][0] - x * ends[1][1]
    pbe = voltage(orbits, features, formed, inside, means[:1])[0]
    d3, bare = voltage(orbits, features, formed_d3, inside, [means[1], means[1] - metals[1] + metals[0]])
    speed, apart = moves_a_second(orbits, weights, np.linspace(-0.3, 0.3, 512)), icet.difference()[2]
    table, by_seed, sets = versus(primitive, orderings, x, formed, inside)
    pool, curve = learning_curve(primitive)
    errors = curve.groupby(["model", "orderings"], sort=False).error
    middle, half = errors.mean().unstack(), (errors.max() - errors.min()).unstack() / 2
    lines = [f"| model | {' | '.join(map(str, SIZES))} |", "|---|" + "---:|" * len(SIZES)]
    for name in middle.index:
        cells = [f"{middle.loc[name, n]:.2f} ± {half.loc[name, n]:.2f}" for n in SIZES]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    network = middle.loc["network, occupations only"]
    every_line = middle.drop("network, occupations only").min()
    best_line = middle.drop(["network, occupations only", "line, all clusters of seven sites"]).min()
    text = TEXT.format(
        where=f"{date.today()}, {platform.machine()}, Python {platform.python_version()}.\n\n"
        f"{common.stamp('lixtis2')}",
        ERROR=ERROR,
        RATIO=RATIO,
        APART=APART,
        SEEDS=SEEDS,
        orderings=len(x),
        inside=len(inside),
        clusters=", ".join(
            f"{o.order} sites to {o.length:.1f} A ({1000 * s:.1f} meV)"
            for o, s in zip(orbits[2:], slopes, strict=True)
        ),
        left_out=1000 * rms(out),
        low=low,
        high=high,
        fitted=1000 * rms(fit),
        ratio=rms(out) / rms(fit),
        states=len(states),
        kept=kept,
        icet=apart,
        d3=d3,
        pbe=pbe,
        bare=bare,
        swaps=moves_a_second(orbits, weights, None) / 1e6,
        versus=table,
        by_seed=by_seed,
        sets=sets,
        methods=len(METHODS),
        settings=len(SETTINGS),
        millions=MOVES / 1e6,
        speed=speed / 1e6,
        pool=pool,
        curve="\n".join(lines),
        wins=best_line[80] / network[80],
        early=every_line[10] / network[10],
        late=every_line[80] / network[80],
    )
    print(text)
    if arguments.table:
        arguments.table.write_text(text)
    missed = 1000 * rms(out) > ERROR or rms(out) / rms(fit) > RATIO or kept < len(states)
    sys.exit(int(missed or d3 > APART or speed < MOVES or apart > 1e-10))


if __name__ == "__main__":
    main()
