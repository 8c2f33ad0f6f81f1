"""How far physics reaches and how far a model should look: DFT's response, cutoffs, and an Ewald sum.

python -m benchmarks.locality --table docs/locality.md      (some five minutes of one core)
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks import common
from mlms_helpers import datasets, descriptors

SPECIES = {"silicon": ["Si"], "lipon": ["Li", "N", "O", "P"]}
SIZE = {"silicon": {"n_max": 6, "l_max": 4}, "lipon": {"n_max": 3, "l_max": 2}}
LARGEST = {"silicon": 64, "lipon": 80}  # atoms
NAMES = {"silicon": "silicon", "lipon": "LiPON"}
CUTOFFS, SEEDS, TEST = (3.0, 4.0, 5.0, 6.0, 8.0), 4, 12  # A; draws of families; families of the test
FAMILIES = {"silicon": (6, 12, 24), "lipon": (12, 24, 48)}
FORCE_CUTOFFS, FORCES, FORCE_SEEDS = (3.0, 4.0, 5.0, 6.0), (6, 12, 20), 3  # one structure a family
FORCE_TEST = 8
STRENGTHS = 10.0 ** np.arange(-9, 0)
CHARGES = {"Li": 1.0, "P": 5.0, "O": -2.0, "N": -3.0}  # e; one factor for all is fitted

TEXT = """# Over which distance physics acts, and how far a model should look

Behind [notebook 12](../notebooks/12-locality.ipynb), which explains the words.

{made}

## What DFT feels

One atom of a perfect crystal moved by 0.1 A ([data/response](../data/response/README.md)): change of the
force on the atoms of each shell (root mean square, meV/A), and what all atoms beyond the shell's beginning do
together, root of the sum of squares: the error of a force component that cannot be avoided with forces that
reach so far, if all atoms move at random by 0.1 A in each direction.

| distance, A | silicon, a Si moved | beyond | Li3PO4, a Li moved | beyond |
|---|---:|---:|---:|---:|
{response}

The force in Li3PO4 falls with the power {power:.1f} of the distance (3.5 to 7 A): -3 is that of dipoles. The
nearest copies of the moved atom are 10.9 A (silicon) and 9.8 A (Li3PO4) away, so the last two rows hold
several copies, or are cut off.

## Energies: error against cutoff

Root mean square error of the energy, meV/atom, of {test} families left out; a line in ACE invariants of pairs
and triplets (n_max, l_max: {sizes}), summed over the atoms of each species, an atom;
ridge, its strength chosen by training families left out.
Mean ± standard deviation over {seeds} draws of families.

| | families | {cutoffs} |
|---|---:|{rule}|
{energies}

"Ewald" has the Ewald energy of fixed charges (Li 1, P 5, O -2, N -3) as one more column, with a factor of its
own. "As fine" has as many radial functions as the cutoff has angstrom (of silicon half as many more), so that
the resolution stays: does the longer cutoff lose only because it is coarser?

{energy_words}

## Forces: error against cutoff

Root mean square error of a force component, meV/A, on {force_test} structures of families left out, the
same lines fitted to forces alone; one structure a family, so {numbers} force components each. {force_seeds}
draws.

| | structures | {force_cutoffs} |
|---|---:|{force_rule}|
{forces}

Mean size of a component: silicon {si_size:.0f}, LiPON {li_size:.0f} meV/A. LiPON's forces carry 140 meV/A
that come from the single k point of its cell ([data card](../data/lipon/README.md)).

{force_words}
"""


def small(name):
    """Structures of the small cells, their families, and energies an atom (eV)."""
    data = datasets.load(name)
    keep = np.flatnonzero(data.table.n_atoms <= LARGEST[name])
    table = data.table.iloc[keep]
    energies = (table.energy / table.n_atoms).to_numpy()
    return [data.structures[k] for k in keep], table.family.astype(str).to_numpy(), energies


def features(name, structures, cutoff, **size):
    """ACE invariants summed over the atoms of each species, and the number of these, an atom."""
    size = {**SIZE[name], **size}
    each = descriptors.per_structure(
        descriptors.ace(structures, cutoff=cutoff, species=SPECIES[name], **size), structures
    )
    out = []
    for atoms, x in zip(structures, each, strict=True):
        kind = np.array([atoms.symbols == s for s in SPECIES[name]], float)
        out.append((kind @ np.column_stack([np.ones(len(x)), x])).ravel() / len(x))
    return np.array(out)


def ewald_energies(structures):
    """Ewald energy of fixed charges, eV an atom."""
    potentials = descriptors.per_structure(
        descriptors.madelung_potential(structures, CHARGES)[:, None], structures
    )
    return np.array(
        [
            0.5 * np.mean([CHARGES[s] for s in atoms.symbols] * v[:, 0])
            for atoms, v in zip(structures, potentials, strict=True)
        ]
    )


def ewald_forces(atoms):
    """Minus the slope of that energy (of the whole cell), [3 n_atoms], eV/A."""
    slopes = descriptors.derivatives("madelung_potential", atoms, charges=CHARGES)[:, 0]
    return -0.5 * np.tensordot([CHARGES[s] for s in atoms.symbols], slopes, 1).ravel()


def ridges(z, y):
    """Slopes for all strengths, [n_strengths, n_features]: standardised columns, or columns of one scale."""
    if len(z) < z.shape[1]:
        u, s, v = np.linalg.svd(z, full_matrices=False)
        return (s / (s**2 + len(y) * STRENGTHS[:, None]) * (u.T @ y)) @ v
    w, v = np.linalg.eigh(z.T @ z / len(y))
    return (v.T @ (z.T @ y / len(y)) / (np.maximum(w, 0) + STRENGTHS[:, None])) @ v.T


def line(parts, targets, constant):
    """Slopes and constant of a ridge; its strength by leaving out parts (families), three groups of them."""

    def fitted(chosen):
        x = np.concatenate([parts[k] for k in chosen]).astype(float)
        y = np.concatenate([targets[k] for k in chosen])
        middle = x.mean(axis=0) if constant else np.zeros(x.shape[1])
        scale = np.sqrt(((x - middle) ** 2).mean(axis=0))
        # what hardly occurs in training (N in few cells) must not be blown up elsewhere
        scale = np.where(scale < 1e-12, np.inf, np.maximum(scale, 0.1 * np.median(scale)))
        shift = y.mean() if constant else 0.0
        slopes = ridges((x - middle) / scale, y - shift) / scale
        return slopes, shift - slopes @ middle

    wrong, every = np.zeros(len(STRENGTHS)), range(len(parts))
    for out in np.array_split(np.arange(len(parts)), 3):
        slopes, constants = fitted(np.setdiff1d(every, out))
        for k in out:
            wrong += ((parts[k] @ slopes.T + constants - targets[k][:, None]) ** 2).sum(axis=0)
    slopes, constants = fitted(every)
    return slopes[wrong.argmin()], constants[wrong.argmin()]


def errors(parts, targets, n, test, seeds, constant):
    """RMSE over the last `test` of shuffled parts, learned from the first n: one number a seed."""
    found = []
    for seed in range(seeds):
        order = np.random.default_rng(seed).permutation(len(parts))
        slopes, shift = line([parts[k] for k in order[:n]], [targets[k] for k in order[:n]], constant)
        wrong = np.concatenate([parts[k] @ slopes + shift - targets[k] for k in order[-test:]])
        found.append(1000 * np.sqrt((wrong**2).mean()))
    return np.array(found)


def by_family(values, family):
    return [values[family == name] for name in np.unique(family)]


def of_energies():
    """{(material and variant, families, cutoff): errors, meV/atom}."""
    found = {}
    for name in SPECIES:
        structures, family, energies = small(name)
        column = ewald_energies(structures)[:, None] if name == "lipon" else None
        for cutoff in CUTOFFS:
            x = features(name, structures, cutoff)
            fine = round(cutoff * (1.5 if name == "silicon" else 1))
            variants = {NAMES[name]: x}
            if cutoff <= 6:
                variants[f"{NAMES[name]}, as fine"] = features(name, structures, cutoff, n_max=fine)
            if column is not None:
                variants[f"{NAMES[name]} and Ewald"] = np.column_stack([x, column])
            for variant, values in variants.items():
                for n in FAMILIES[name]:
                    found[variant, n, cutoff] = errors(
                        by_family(values, family), by_family(energies, family), n, TEST, SEEDS, True
                    )
    return found


def of_forces():
    """{(material and variant, structures, cutoff): errors, meV/A}, and the size of a component."""
    found, sizes = {}, {}
    for name in SPECIES:
        structures, family, _ = small(name)
        order = np.random.default_rng(0).permutation(np.unique(family))[: max(FORCES) + FORCE_TEST]
        some = [structures[np.flatnonzero(family == f)[-1]] for f in order]
        forces = [atoms.get_forces().ravel() for atoms in some]
        sizes[name] = 1000 * np.sqrt(np.mean(np.concatenate(forces) ** 2))
        column = [ewald_forces(atoms)[:, None] for atoms in some] if name == "lipon" else None
        for cutoff in FORCE_CUTOFFS:
            x = [force_features(name, atoms, cutoff) for atoms in some]
            variants = {NAMES[name]: x}
            if column:
                variants[f"{NAMES[name]} and Ewald"] = [np.hstack(p) for p in zip(x, column, strict=True)]
            for variant, values in variants.items():
                for n in FORCES:
                    found[variant, n, cutoff] = errors(values, forces, n, FORCE_TEST, FORCE_SEEDS, False)
    return found, sizes


def force_features(name, atoms, cutoff):
    """Minus the slopes of the sums over each species, [3 n_atoms, n_features]."""
    slopes = descriptors.derivatives("ace", atoms, cutoff=cutoff, species=SPECIES[name], **SIZE[name])
    sums = [slopes[np.array(atoms.symbols == s)].sum(axis=0) for s in SPECIES[name]]
    return -np.concatenate(sums).reshape(-1, 3 * len(atoms)).T


def table(found):
    """Rows of a table: variant, size of the training set, and an error for each cutoff."""
    cutoffs = sorted({cutoff for *_, cutoff in found})
    rows = []
    for variant, n in dict.fromkeys(key[:2] for key in found):
        cells = [found.get((variant, n, cutoff)) for cutoff in cutoffs]
        rows.append(
            f"| {variant} | {n} | "
            + " | ".join("" if c is None else f"{c.mean():.1f} ± {c.std(ddof=1):.1f}" for c in cells)
            + " |"
        )
    return "\n".join(rows)


def words(found, what):
    """A sentence for each variant: the best cutoff for few and many."""
    said = []
    for variant in dict.fromkeys(key[0] for key in found):
        sizes = sorted({n for v, n, _ in found if v == variant})
        best = {
            n: min(
                (c for v, m, c in found if (v, m) == (variant, n)),
                key=lambda c, n=n: found[variant, n, c].mean(),
            )
            for n in sizes
        }
        said.append(
            f"* {variant}: best cutoff " + ", ".join(f"{c:g} A ({n} {what})" for n, c in best.items()) + "."
        )
    return "\n".join(said)


def responses():
    """Distance (A) and change of the force (eV/A) of every atom, for both crystals."""
    frames = {atoms.info["config"]: atoms for atoms in datasets.load("response").structures}
    out = {}
    for crystal in ("silicon", "lithium"):
        plus, minus = frames[f"{crystal}-plus"], frames[f"{crystal}-minus"]
        atoms = plus.copy()
        atoms.positions = (plus.positions + minus.positions) / 2
        distance = atoms.get_distances(plus.info["moved"], range(len(atoms)), mic=True)
        force = np.linalg.norm(plus.get_forces() - minus.get_forces(), axis=1) / 2
        out[crystal] = pd.DataFrame({"distance": distance, "force": force})
    return out


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--table", type=Path, help="also write what is printed into this file")
    arguments = parser.parse_args()
    told = responses()
    rows = []
    for low in range(1, 10):
        cells = []
        for frame in told.values():
            shell = frame.force[(frame.distance > low + 0.5) & (frame.distance <= low + 1.5)]
            beyond = frame.force[frame.distance > low + 0.5]
            cells += [f"{1000 * np.sqrt((shell**2).mean()):.1f}" if len(shell) else ""]
            cells += [f"{1000 * np.sqrt((beyond**2).sum()):.0f}"]
        rows.append(f"| {low + 0.5} to {low + 1.5} | " + " | ".join(cells) + " |")
    part = told["lithium"][told["lithium"].distance.between(3.5, 7)]
    energies = of_energies()
    print(table(energies), flush=True)
    forces, sizes = of_forces()
    text = TEXT.format(
        made=common.measured("locality", "silicon", "lipon", "response"),
        response="\n".join(rows),
        power=np.polyfit(np.log(part.distance), np.log(part.force), 1)[0],
        test=TEST,
        seeds=SEEDS,
        sizes="silicon 6, 4; LiPON 3, 2",
        cutoffs=" | ".join(f"{c:g} A" for c in CUTOFFS),
        rule="|".join("---:" for _ in CUTOFFS),
        energies=table(energies),
        energy_words=words(energies, "families"),
        force_test=FORCE_TEST,
        force_seeds=FORCE_SEEDS,
        numbers="about 190",
        force_cutoffs=" | ".join(f"{c:g} A" for c in FORCE_CUTOFFS),
        force_rule="|".join("---:" for _ in FORCE_CUTOFFS),
        forces=table(forces),
        si_size=sizes["silicon"],
        li_size=sizes["lipon"],
        force_words=words(forces, "structures"),
    )
    print(text)
    if arguments.table:
        arguments.table.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
