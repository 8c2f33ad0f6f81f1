"""The dataset tco against the labels published for the same structures.

    python data/generate/check_tco.py --data data/tco

Runs in the course's environment (it needs `mlms_helpers`); the published files come from the network, or from
the folder that MLMS_DATA_MIRROR names.  Two structures count as the same if they have one lattice and one
composition, and the same words of up to five dressed species along paths of bonds (`descriptors.ngrams`), so
relaxed and unrelaxed ones can be compared.  Published: C. Sutton et al., npj Comput. Mater. 5, 111 (2019).
"""

import argparse
import sys
from pathlib import Path

import numpy as np

from gather import from_dataset, structure
from mlms_helpers import datasets, descriptors

WORDS = 5  # atoms of the longest


def twins(data):
    """(config, our result, published id, formation energy (eV/cation) and gap (eV)) of each pair."""
    theirs = datasets.published("nomad2018")
    shares = theirs.table[["x_Al", "x_Ga", "x_In"]].to_numpy()
    for config, result in from_dataset(data).items():
        ours = [float(result[f"x_{element}"]) for element in ("Al", "Ga", "In")]
        alike = (theirs.table.spacegroup == result["lattice"]).to_numpy()
        rows = np.flatnonzero(alike & (np.abs(shares - ours).max(axis=1) < 1e-3))
        if not len(rows):
            continue
        cells = [structure(config, result), *(theirs.structures[row] for row in rows)]
        words = descriptors.ngrams(cells, WORDS)
        for row, same in zip(rows, np.abs(words[1:] - words[0]).max(axis=1) < 1e-9, strict=True):
            if same:
                found = theirs.table.iloc[row]
                yield config, result, f"{found.split} {found.id}", found.formation_energy, found.gap


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, type=Path, help="the dataset's folder")
    rows = list(twins(parser.parse_args().data))
    if not rows:
        print("No structure of the dataset is among the published ones.")
        return 1
    print("structure, published id: formation energy ours, published (eV/cation); gap ours, published (eV)")
    for config, result, number, energy, gap in rows:
        ours = float(result["formation_energy"]), float(result["gap"])
        print(f"{config}, {number}: {ours[0]:.4f}, {energy:.4f}; {ours[1]:.3f}, {gap:.3f}")
    compared = np.array(
        [(float(r["formation_energy"]) - e, float(r["gap"]) - g) for _, r, _, e, g in rows if e or g]
    )
    rms = np.sqrt((compared**2).mean(axis=0))
    print(f"{len(rows)} pairs. Root mean square difference: {rms[0]:.4f} eV/cation, {rms[1]:.3f} eV.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
