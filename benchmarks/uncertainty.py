"""Error bars of levels on families left out: four ways to them, conformal intervals, and what mends them.

    python -m benchmarks.uncertainty --table docs/uncertainty.md      (some minutes on 2 cores)

One row a trap (N on one P are one) of lipon and lipon_motifs; families never shared; everything that mends a
bar is learned from training families.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks import common
from mlms_helpers import datasets, evaluation, hole_traps, levels, uncertainty

SEEDS, FOLDS, MOTIFS = range(3), 5, ("lone", "pair")
COLUMNS = ("RMSE", "sharpness", "r-statistic", "mean z2", "slope", "coverage")
SETS = ("lipon", "lipon_motifs")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--table", type=Path, help="also write what is printed into this file")
    arguments = parser.parse_args()
    structures = [atoms for name in SETS for atoms in datasets.load(name).structures]
    x, traps = hole_traps.trap_features(structures)
    level = levels.nitrogen_levels(structures).drop_duplicates("group").set_index("group")
    traps["level"] = level.pair_level.reindex(traps.group).to_numpy()
    traps["family"] = level.family.reindex(traps.group).to_numpy()
    counts = ", ".join(
        f"{len(part)} {motif} in {part.family.nunique()} families" for motif, part in traps.groupby("motif")
    )
    text = [
        f"{len(traps)} traps: {counts}; {FOLDS} folds of whole families, {len(SEEDS)} seeds.  Levels in eV.  "
        "*as stated*: the bars of the method itself; *mended*: a floor and a factor for each motif, learned "
        "from training families that the model had not seen, wider by Student's t.  In "
        "brackets: 95 % interval over families.",
    ]
    for name, way in uncertainty.WAYS.items():
        found = left_out(way, x, traps)
        text += ["", f"**{name}**", "", table(found), "", intervals(found)]
        if name == "lines, bootstrap":
            text += ["", powerless(found), "", constant(found)]
        print("\n".join(text[-6:]), flush=True)
    if arguments.table:
        head = f"# Error bars on families left out\n\n{common.measured('uncertainty', *SETS)}\n\n"
        arguments.table.write_text(head + "\n".join(text) + "\n")


def left_out(way, x, traps):
    """One row a trap and seed: residual, bars as stated and mended, half-width of 90 % conformal interval."""
    y, family, motif = (traps[name].to_numpy() for name in ("level", "family", "motif"))
    parts = []
    for seed in SEEDS:
        for train, test in evaluation.folds(traps, by="family", n=FOLDS, seed=seed):
            bars = way(x[train], y[train], family[train], x[test], seed)
            part = traps.iloc[test].assign(seed=seed, residual=bars.mean - y[test], stated=bars.sigma)
            part["mended"] = uncertainty.by_kind(bars, y[train], family[train], motif[train], motif[test])
            for kind in MOTIFS:
                rows, here = motif[train] == kind, motif[test] == kind
                score = np.abs(bars.held_mean - y[train])[rows]
                part.loc[here, "conformal"] = uncertainty.conformal(score, family[train][rows])
                part.loc[here, "constant"] = np.sqrt((score**2).mean())
            parts.append(part)
    return pd.concat(parts)


def table(found):
    out = ["| motif | bars | " + " | ".join(COLUMNS) + " |", "|---|---|" + "---:|" * len(COLUMNS)]
    for motif in MOTIFS:
        part = found[found.motif == motif]
        for bars in ("stated", "mended"):
            numbers = uncertainty.interval(part.residual, part[bars], part.family)
            cells = [
                f"{r.value:.2f} ({r.low:.2f} to {r.high:.2f})" for r in numbers.loc[[*COLUMNS]].itertuples()
            ]
            name = "as stated" if bars == "stated" else "mended"
            out.append(f"| {motif} | {name} | " + " | ".join(cells) + " |")
    return "\n".join(out)


def intervals(found):
    said = []
    for motif in MOTIFS:
        part = found[found.motif == motif]
        held = (part.residual.abs() <= part.conformal).mean()
        said.append(f"{motif}: half-width {part.conformal.mean():.2f} eV, holds {held:.1%}")
    return "Conformal 90 % intervals, for each motif apart: " + "; ".join(said) + "."


def powerless(found, n=200):
    """What slopes would be found if the bars were exactly right: residuals drawn from them, a family alike.

    Half of the variance is common to a family, as is found for pairs.
    """
    said, rng = [], np.random.default_rng(0)
    for motif in MOTIFS:
        part = found[(found.motif == motif) & (found.seed == SEEDS[0])]
        number = pd.factorize(part.family)[0]
        slopes = []
        for _ in range(n):
            common_part, own = rng.normal(size=number.max() + 1), rng.normal(size=len(part))
            drawn = np.sqrt(0.5) * (common_part[number] + own) * part.mended
            slopes.append(uncertainty.judge(drawn, part.mended)["slope"])
        low, high = np.quantile(slopes, [0.025, 0.975])
        said.append(f"{motif}: {low:.1f} to {high:.1f}")
    return (
        "Were these mended bars exactly right, one run with as many families would find slopes of "
        + "; ".join(said)
        + " (95 % of draws).  So the slope within one motif can hardly be tested with these data."
    )


def constant(found):
    """The slope of bars that are the same for all traps of a motif and fold."""
    said = []
    for motif in MOTIFS:
        part = found[found.motif == motif]
        said.append(f"{motif} {uncertainty.judge(part.residual, part.constant)['slope']:.1f}")
    return (
        "Bars that know nothing but the root mean square error of their training families have slopes, too: "
        + ", ".join(said)
        + ".  Where hard families test, easy ones have trained, and the other way round: cross-validation "
        "itself makes the slope of nearly constant bars negative."
    )


if __name__ == "__main__":
    main()
