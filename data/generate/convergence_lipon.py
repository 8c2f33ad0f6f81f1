"""How far the shipped LiPON labels are from a finer setting, and from what is known: writes
`convergence.json` beside the data.

    python data/generate/convergence_lipon.py --data data/lipon --out runs/convergence

Three shipped configurations, two of them of one family, again with plane waves to 800 eV and a tighter
self-consistency; one with and one without N also with two k points along the shortest axis, which is what
Gamma is for a cell of twice that length: the large cells.  And both crystals without N, relaxed with their
lattices at 800 eV.
"""

import argparse
import functools
import importlib.metadata
import json
import sys
from pathlib import Path

import numpy as np
from ase.data import chemical_symbols
from ase.filters import FrechetCellFilter
from ase.neighborlist import neighbor_list
from ase.optimize import BFGS
from gpaw import PW

import gather
from common import npz_bytes, run, update_checksums, write_whole
from lipon import PACKAGES, calculator
from lipon_cells import unit_cell

CONFIGS = ["k0000-0", "k0000-2", "k0011-0"]  # without N twice, then with 3 N
KPOINTS = {
    "k0000-0": (2, 1, 1),
    "k0011-0": (1, 2, 1),
}  # two along the shortest axis, 6.2 A: what the large cells have
KNOWN = {"beta": (2, 2, 2), "gamma": (1, 2, 2)}  # k points of the unit cell, off Gamma where there are two
TOP = 12  # highest occupied bands, looked at apart
MEANING = {
    "all": "shipped minus finer; eV, eV/A",
    "force_max, force_rms": "length of the difference vector: largest, and root mean square over the atoms",
    "potential_X": "mean over the sites of element X; potential_spread: largest standard deviation over like "
    "sites",
    "levels_shift": f"mean of the {TOP} highest occupied levels at Gamma, counted from the mean O site "
    "potential",
    "top_levels, valence_levels": f"largest difference less that shift: {TOP} highest occupied, all valence "
    "states",
    "gap": "at Gamma",
    "valence_edge_over_k, empty_edge_over_k": "in the finer calculation: edge of all k-points minus edge at "
    "Gamma",
    "known": "Li3PO4, relaxed with its lattice at 800 eV: a, b, c and mean P-O distance (A); "
    "gamma_minus_beta: energy a formula unit (eV), at 800 eV, and at the shipped 500 eV with the same atoms",
}


def fine(shipped):
    """GPAW's arguments of the calculation to 800 eV of a shipped configuration."""
    occupied = int((shipped["occ"] > 1).sum())
    return {
        "mode": PW(800),
        "convergence": {"energy": 5e-5, "density": 1e-5, "eigenstates": 1e-7, "bands": occupied + 3},
    }


def tasks(shipped):
    """Name of the calculation -> configuration, GPAW's arguments."""
    more = {config: {"kpts": {"size": size, "gamma": True}} for config, size in KPOINTS.items()}
    return {
        **{f"{config}-800eV": (config, fine(shipped[config])) for config in CONFIGS},
        **{f"{config}-kpoints": (config, finer) for config, finer in more.items()},
    }


def calculation(config, shipped, log, finer):
    """The bytes of the file of a configuration computed again; finer: arguments of GPAW."""
    atoms = gather.structure(config, shipped)
    atoms.calc = calc = calculator(atoms, log, **finer)
    energy, forces = atoms.get_potential_energy(), atoms.get_forces()
    points = calc.get_ibz_k_points()
    levels = [calc.get_eigenvalues(kpt=i) for i in range(len(points))]
    potential = calc.get_atomic_electrostatic_potentials()
    results = {"energy": energy, "forces": forces, "points": points, "potential": potential, "eps": levels}
    return npz_bytes(results)


def work(name, data, logs):
    """One calculation, for `common.run`."""
    if name.startswith("known-"):
        yield f"{name}.npz", functools.partial(crystal, name.removeprefix("known-"), logs)
        return
    shipped = gather.from_dataset(data)
    config, finer = tasks(shipped)[name]
    log = f"{logs}/{name}.txt"
    yield f"{name}.npz", functools.partial(calculation, config, shipped[config], log, finer)


def crystal(phase, logs):
    """The crystal without N, relaxed with its lattice: the bytes of its file."""

    def gpaw(ev, name):
        return calculator(
            atoms,
            f"{logs}/known-{phase}-{name}.txt",
            mode=PW(ev),
            symmetry={},
            kpts={"size": KNOWN[phase], "gamma": False},
        )

    atoms = unit_cell(phase)
    atoms.calc = gpaw(800, "relaxed")
    if not BFGS(FrechetCellFilter(atoms), logfile=None).run(fmax=0.03, steps=60):
        raise RuntimeError(f"{phase}-Li3PO4 did not relax")
    energy, distances = atoms.get_potential_energy(), neighbor_list("d", atoms, {("P", "O"): 2.0})
    atoms.calc = gpaw(500, "shipped")
    return npz_bytes(
        {
            "cell": atoms.cell.lengths(),
            "p_o": distances.mean(),
            "formulas": len(atoms) // 8,
            "energy": energy,
            "energy_500": atoms.get_potential_energy(),
        }
    )


def known(folder):
    """What the two crystals say, for `convergence.json`."""
    found = {phase: dict(np.load(folder / f"known-{phase}.npz")) for phase in KNOWN}
    per_formula = {
        phase: [r["energy"] / r["formulas"], r["energy_500"] / r["formulas"]] for phase, r in found.items()
    }
    return {
        **{
            phase: {
                **dict(zip("abc", np.round(r["cell"], 3).tolist(), strict=True)),
                "P-O": round(float(r["p_o"]), 4),
            }
            for phase, r in found.items()
        },
        "gamma_minus_beta": np.round(np.subtract(per_formula["gamma"], per_formula["beta"]), 4).tolist(),
    }


def compare(result, shipped):
    """The shipped labels' differences from a finer calculation, eV and eV/A, as `MEANING` says."""
    n = int((shipped["occ"] > 1).sum())
    at_gamma = int(np.argmin(np.abs(result["points"]).sum(1)))
    forces = np.linalg.norm(shipped["forces"] - result["forces"], axis=1)
    potential = shipped["potential"] - result["potential"]
    elements = {
        chemical_symbols[z]: potential[shipped["numbers"] == z] for z in np.unique(shipped["numbers"])
    }
    levels = shipped["eps"] - result["eps"][at_gamma] - elements["O"].mean()
    shift = levels[n - TOP : n].mean()
    numbers = {
        "energy_per_atom": (shipped["energy"] - result["energy"]) / len(forces),
        "force_max": forces.max(),
        "force_rms": np.sqrt((forces**2).mean()),
        **{f"potential_{symbol}": values.mean() for symbol, values in elements.items()},
        "potential_spread": max(values.std() for values in elements.values()),
        "levels_shift": shift,
        "top_levels": np.abs(levels - shift)[n - TOP : n].max(),
        "valence_levels": np.abs(levels - shift)[:n].max(),
        "gap": levels[n] - levels[n - 1],
        "valence_edge_over_k": result["eps"][:, n - 1].max() - result["eps"][at_gamma, n - 1],
        "empty_edge_over_k": result["eps"][:, n].min() - result["eps"][at_gamma, n],
    }
    return {name: round(float(value), 4) + 0.0 for name, value in numbers.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--data", required=True, type=Path, help="the dataset's folder; convergence.json goes there"
    )
    parser.add_argument("--out", required=True, type=Path, help="folder of the finer calculations")
    parser.add_argument("--workers", type=int, default=1, help="processes, of one core each")
    arguments = parser.parse_args()
    shipped = gather.from_dataset(arguments.data)
    logs = arguments.out.resolve() / "gpaw"
    logs.mkdir(parents=True, exist_ok=True)
    status = run(
        {name: [f"{name}.npz"] for name in [*tasks(shipped), *(f"known-{phase}" for phase in KNOWN)]},
        functools.partial(work, data=arguments.data.resolve(), logs=logs),
        arguments.out,
        arguments.workers,
        PACKAGES,
    )
    if status:
        return status
    report = {
        "production": "PBE, PAW, plane waves to 500 eV, Gamma point",
        "meaning": MEANING,
        "versions": {name: importlib.metadata.version(name) for name in PACKAGES},
    }
    for name, (config, _) in tasks(shipped).items():
        result, atoms = (
            dict(np.load(arguments.out / f"{name}.npz")),
            gather.structure(config, shipped[config]),
        )
        report[name] = {
            "formula": atoms.get_chemical_formula(),
            **atoms.info,
            **compare(result, shipped[config]),
        }
    report["known"] = known(arguments.out)
    write_whole(arguments.data / "convergence.json", (json.dumps(report, indent=2) + "\n").encode("utf-8"))
    if (arguments.data / "README.md").exists():
        update_checksums(arguments.data)
    return 0


if __name__ == "__main__":
    sys.exit(main())
