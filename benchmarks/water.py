"""Water beyond DFT: how many CCSD(T) energies, directly and from each cheap method, line and network.

    python -m benchmarks.water --table docs/beyond-dft.md

Ends with status 1 where a model of one molecule does not become better than PBE and B3LYP themselves, in
95 % of the draws, with at most 200 CCSD(T) energies.
"""

import argparse
import itertools
import json
import platform
import sys
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks import common
from benchmarks.common import rms
from mlms_helpers import datasets, descriptors, evaluation, linear, models, training

MOST, DRAWS, PAIR_DRAWS, NETWORK_DRAWS = 200, 50, 20, 3
SIZES, PAIRS = (5, 7, 10, 15, 20, 30, 40, 50, 70, 100, 200), (5, 10, 15, 25, 40, 60, 100, 150, 200)
NAMES = {"direct": "direct", "hf": "HF", "pbe": "PBE", "b3lyp": "B3LYP", "mp2": "MP2"}
SETTINGS = [(0.003, 0.0), (0.003, 0.03), (0.001, 0.0), (0.001, 0.03)]  # learning rate, weight decay
OTHERS = [(32, 2, 6000), (64, 3, 1500), (64, 3, 4000), (128, 2, 3000)]  # width, layers, epochs
TEXT = """# Beyond DFT

How many CCSD(T) energies of water a model needs, by `make bench NAME=water`
([notebook 14](../notebooks/14-beyond-dft.ipynb)).
Measured by `benchmarks/water.py`. {where}

A method's own error is the standard deviation of its energy minus that of CCSD(T): the best constant is taken
off for nothing.  All numbers are of the basis aug-cc-pVDZ, and none says anything of what a larger one would
change.

## One molecule

1,000 distorted molecules, 300 of them left out in each of {DRAWS} draws, drawn at random from all kinds.
The line: polynomials up to degree 8 of exp(-r1), exp(-r2) and the cosine of the angle, averaged over both
orders of the H atoms; the strength of its ridge by what is left out of the training molecules.  Own errors:
{own}.

Needed: in each draw the smallest number tried ({sizes}) from which on the root mean square error stays below;
median over draws and, in brackets, 5 and 95 %.

{needed}

Asked for: at most {MOST} energies to be better than both functionals, in 95 % of the draws.  Measured:
{worst:.0f} from the worst baseline.

Errors, meV, median (5 to 95 % of draws):

{errors}

## Line, kernel and network at equal data

100 energies, {NETWORK_DRAWS} draws, meV, mean and range.  Each chooses on its 100 molecules alone: the line
its strength; Gaussian kernel ridge (of both bond lengths and the cosine, averaged over orders) strength and
length; the network (two layers of 32, 1,500 epochs, mean pool over both orders) one of {settings} pairs of
learning rate and weight decay by four inner folds; then the mean of four seeds.

{equal}

Other networks, directly, first draw, the better of two seeds: {others}.

## Two molecules

Interaction energy of 300 pairs, 100 left out in each of {PAIR_DRAWS} draws; kernel ridge averaged over the
eight orders of like atoms and molecules.  Own errors: {pair_own}.  Needed, of {pairs}:

{pair_needed}

Errors, meV, median (5 to 95 % of draws), and hours of one core for 100 pairs with their molecules:

{pair_errors}

Seconds of each method: [the card of water_ccsdt](../data/water_ccsdt/README.md).
"""


class Molecules:
    """One molecule: coordinates, columns and energies (eV)."""

    def __init__(self, water):
        chosen = np.flatnonzero(water.table.system == "monomer")
        self.table = water.table.iloc[chosen].reset_index(drop=True)
        self.x = descriptors.internal_coordinates([water.structures[k] for k in chosen])
        self.columns = descriptors.symmetric_polynomials(self.x, 8)

    def rest(self, baseline):
        """What is to be learned, eV."""
        return (self.table.ccsdt - (0 if baseline == "direct" else self.table[baseline])).to_numpy()

    def drawn(self, n, seed):
        order = np.random.default_rng(seed).permutation(len(self.table))
        return order[300 : 300 + n], order[:300]

    def line(self, y, train, test):
        mean, spread = self.columns[train].mean(axis=0), self.columns[train].std(axis=0)
        z, new = ((self.columns[rows] - mean) / spread for rows in (train, test))
        weights, _ = linear.kernel_ridge(z @ z.T, y[train])
        return linear.predict(weights, new @ z.T)

    def kernel(self, y, train, test):
        z = (self.x - self.x[train].mean((0, 1))) / self.x[train].std((0, 1))
        square = {}
        for name, rows in (("train", train), ("test", test)):
            square[name] = ((z[rows, None, :1] - z[None, train]) ** 2).sum(axis=-1)
        fits = []
        for length in (0.5, 1, 2, 4, 8, 16):
            alike, new = (np.exp(-square[k] / (2 * length**2)).mean(axis=2) for k in ("train", "test"))
            fits.append((linear.kernel_ridge(alike, y[train]), new))
        (weights, _), new = min(fits, key=lambda fit: fit[0][1])
        return linear.predict(weights, new)

    def network(self, y, train, test):
        inner = evaluation.folds(pd.DataFrame({"row": train}), n=4)
        square = np.zeros(len(SETTINGS))
        for into, out in inner:
            nets = self.trained(y, train[into], SETTINGS)
            square += [((said - y[train[out]]) ** 2).sum() for said in self.told(nets, train[out])]
        nets = self.trained(y, train, [SETTINGS[int(square.argmin())]] * 4)
        return self.told(nets, test).mean(axis=0)

    def trained(self, y, train, settings, epochs=1500, **shape):
        x = {"atoms": self.x[train], "node_mask": np.ones((len(train), 2))}
        nets = [models.over_atoms(x, y[train], pool="mean", seed=k, **shape) for k in range(len(settings))]
        rates, decays = zip(*settings, strict=True)
        training.fit_ensemble(
            nets, x, y[train], epochs=epochs, batch_size=25, learning_rate=rates, weight_decay=decays
        )
        return nets

    def told(self, nets, rows):
        x = {"atoms": self.x[rows], "node_mask": np.ones((len(rows), 2))}
        return np.array([models.predict(net, x) for net in nets])


class Pairs:
    """Two molecules: interaction energies (eV) and kernels between pairs."""

    def __init__(self, water, molecules):
        chosen = np.flatnonzero(water.table.system == "dimer")
        table = water.table.iloc[chosen]
        alone = molecules.set_index(molecules.config.str[1:].astype(int))
        self.energy = {
            m: table[m].to_numpy()
            - alone.loc[table.monomer_a, m].to_numpy()
            - alone.loc[table.monomer_b, m].to_numpy()
            for m in ("hf", "pbe", "b3lyp", "mp2", "ccsdt")
        }
        x = descriptors.internal_coordinates([water.structures[k] for k in chosen])
        between = 1 / x[..., 6:]
        self.between = (between - between.mean()) / between.std()
        self.shapes = (x[..., :6] - x[..., :6].mean((0, 1))) / x[..., :6].std((0, 1))
        self.kernels = [self.likeness(w, s) for w, s in itertools.product((0.1, 0.3), (2, 4, 8, 16))]

    def likeness(self, weight, length):
        z = np.concatenate([weight * self.shapes, self.between], axis=2)
        first, every = z[:, 0], z.reshape(-1, z.shape[2])
        square = (first**2).sum(1)[:, None] + (every**2).sum(1) - 2 * first @ every.T
        return np.exp(-square / (2 * length**2)).reshape(len(z), len(z), -1).mean(axis=2)

    def rest(self, baseline):
        return self.energy["ccsdt"] - self.energy.get(baseline, 0)

    def drawn(self, n, seed):
        order = np.random.default_rng(seed).permutation(len(self.shapes))
        return order[100 : 100 + n], order[:100]

    def line(self, y, train, test):
        fits = [(linear.kernel_ridge(k[np.ix_(train, train)], y[train]), k) for k in self.kernels]
        (weights, _), kernel = min(fits, key=lambda fit: fit[0][1])
        return linear.predict(weights, kernel[np.ix_(test, train)])


def curves(data, sizes, draws):
    """Root mean square errors, meV, [draws, sizes], of each baseline."""
    found = {}
    for baseline in NAMES:
        y = data.rest(baseline)
        found[baseline] = np.array(
            [
                [1000 * rms(data.line(y, train, test) - y[test]) for train, test in drawn]
                for drawn in ([data.drawn(n, seed) for n in sizes] for seed in range(draws))
            ]
        )
    return found


def needed(curve, sizes, goal):
    """Of each draw, the smallest size from which on its error stays below the goal; infinite for none."""
    above = curve >= goal
    last = np.where(above.any(axis=1), above.shape[1] - above[:, ::-1].argmax(axis=1), 0)
    return np.array([*sizes, np.inf])[last]


def needed_table(found, sizes, goals):
    def said(n):
        return f"over {sizes[-1]}" if np.isinf(n) else f"{n:.0f}"

    lines = [f"| learned | {' | '.join(goals)} |", "|---|" + "---:|" * len(goals)]
    for baseline, curve in found.items():
        spans = [
            np.quantile(needed(curve, sizes, g), [0.5, 0.05, 0.95], method="higher") for g in goals.values()
        ]
        cells = " | ".join(f"{said(m)} ({said(low)} to {said(high)})" for m, low, high in spans)
        lines.append(f"| {word(baseline)} | {cells} |")
    return "\n".join(lines)


def errors_table(found, sizes, shown, more=None):
    head = [f"{n}" for n in shown] + ([more[0]] if more else [])
    lines = [f"| learned | {' | '.join(head)} |", "|---|" + "---:|" * len(head)]
    for baseline, curve in found.items():
        cells = []
        for n in shown:
            low, middle, high = np.quantile(curve[:, sizes.index(n)], [0.05, 0.5, 0.95])
            cells.append(f"{middle:.2f} ({low:.2f} to {high:.2f})")
        cells += [more[1](baseline)] if more else []
        lines.append(f"| {word(baseline)} | {' | '.join(cells)} |")
    return "\n".join(lines)


def word(baseline):
    return "directly" if baseline == "direct" else f"from {NAMES[baseline]}"


def equal_table(data, baselines=("direct", "hf", "pbe", "mp2")):
    lines = ["| learned | line | kernel | network | network / line |", "|---|---:|---:|---:|---:|"]
    for baseline in baselines:
        y, found = data.rest(baseline), {"line": [], "kernel": [], "network": []}
        for seed in range(NETWORK_DRAWS):
            train, test = data.drawn(100, seed)
            for name, errors in found.items():
                errors.append(1000 * rms(getattr(data, name)(y, train, test) - y[test]))
        cells = [f"{np.mean(e):.2f} ({min(e):.2f} to {max(e):.2f})" for e in found.values()]
        ratio = np.mean(found["network"]) / np.mean(found["line"])
        lines.append(f"| {word(baseline)} | {' | '.join(cells)} | {ratio:.1f} |")
        print(lines[-1], flush=True)
    return "\n".join(lines)


def other_networks(data):
    y, (train, test) = data.rest("direct"), data.drawn(100, 0)
    said = []
    for width, layers, epochs in OTHERS:
        nets = data.trained(y, train, [(0.001, 0.0)] * 2, epochs, width=width, hidden_layers=layers)
        best = min(1000 * rms(one - y[test]) for one in data.told(nets, test))
        said.append(f"{layers} layers of {width}, {epochs:,} epochs {best:.1f} meV")
    return "; ".join(said)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--table", type=Path, help="where to write the table; default, nowhere")
    arguments = parser.parse_args()
    water = datasets.load("water_ccsdt")
    times = json.loads((datasets.folder() / "water_ccsdt" / "times.json").read_text())
    one = Molecules(water)
    two = Pairs(water, one.table)
    own, pair_own = ({m: 1000 * np.std(data.rest(m)) for m in list(NAMES)[1:]} for data in (one, two))
    found, pair_found = curves(one, SIZES, DRAWS), curves(two, PAIRS, PAIR_DRAWS)

    def goals(errors, others):
        return {f"better than {NAMES[m]}": errors[m] for m in ("pbe", "b3lyp")} | others

    asked = min(own["pbe"], own["b3lyp"])
    worst = max(np.quantile(needed(c, SIZES, asked), 0.95, method="higher") for c in found.values())

    def hours(baseline):
        paid = [
            "ccsdt",
            *([baseline] if baseline in ("pbe", "b3lyp") else []),
        ]  # HF and MP2 are part of CCSD(T)
        return f"{100 / 3600 * sum(times['dimer'][m] + 2 * times['monomer'][m] for m in paid):.2f}"

    def listed(errors):
        return ", ".join(f"{NAMES[m]} {e:.1f} meV" for m, e in errors.items())

    text = TEXT.format(
        where=f"{date.today()}, {platform.machine()}, Python {platform.python_version()}.\n\n"
        f"{common.stamp('water_ccsdt')}",
        DRAWS=DRAWS,
        PAIR_DRAWS=PAIR_DRAWS,
        NETWORK_DRAWS=NETWORK_DRAWS,
        MOST=MOST,
        own=listed(own),
        pair_own=listed(pair_own),
        sizes=", ".join(map(str, SIZES)),
        pairs=", ".join(map(str, PAIRS)),
        needed=needed_table(found, SIZES, goals(own, {"5 meV": 5.0, "1 meV": 1.0})),
        worst=worst,
        errors=errors_table(found, SIZES, (10, 20, 50, 100, 200)),
        settings=len(SETTINGS),
        equal=equal_table(one),
        others=other_networks(one),
        pair_needed=needed_table(pair_found, PAIRS, goals(pair_own, {"2 meV": 2.0, "1 meV": 1.0})),
        pair_errors=errors_table(pair_found, PAIRS, (10, 25, 100, 200), ("hours", hours)),
    )
    print(text)
    if arguments.table:
        arguments.table.write_text(text)
    sys.exit(int(worst > MOST))


if __name__ == "__main__":
    main()
