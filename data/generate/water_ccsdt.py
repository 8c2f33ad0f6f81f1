"""Water: a thousand distorted monomers and three hundred dimers by Hartree-Fock, PBE, B3LYP, MP2 and CCSD(T),
one basis.

Geometry k is a function of k alone.  GFN2-xTB, a cheap quantum model, only says which geometries are worth a
label; a dimer is made of two monomers of this set, so its interaction energy is a difference of shipped
numbers.

    python data/generate/water_ccsdt.py --out runs/water_ccsdt

writes `m0000.npz`, `d0000.npz` and so on, one file a geometry; `gather.py` makes the dataset of them.  The
same command with `--convergence data/water_ccsdt` compares some with larger bases and with what is known, and
writes `convergence.json`, and with `--times data/water_ccsdt` writes `times.json`, what each method costs.

PySCF: Q. Sun et al., J. Chem. Phys. 153, 024109 (2020).
CCSD(T): K. Raghavachari et al., Chem. Phys. Lett. 157, 479 (1989).
aug-cc-pVDZ: R. A. Kendall et al., J. Chem. Phys. 96, 6796 (1992).
GFN2-xTB: C. Bannwarth et al., J. Chem. Theory Comput. 15, 1652 (2019).
"""

import argparse
import functools
import importlib.metadata
import json
import sys
import time
from pathlib import Path

import numpy as np
from ase import Atoms, units
from ase.calculators.calculator import CalculationFailed
from pyscf import cc, dft, gto, lib, mp, scf
from scipy.optimize import minimize
from scipy.spatial.transform import Rotation
from tblite.ase import TBLite

from common import npz_bytes, run, update_checksums, write_whole

SEED = 20261123
MONOMERS, DIMERS = 1000, 300
KINDS = (
    ["warm"] * 3 + ["hot"] * 4 + ["bent", "bent", "stretched"]
)  # of monomers 0, 1, 2, ...; then again from the start
WARM, HOT, COLD = 0.1, 0.5, 0.03  # eV, k_B T of warm and hot monomers, and of the contact of bound dimers
HIGHEST = 2.5  # eV above the minimum (20,000 1/cm), the most a monomer may have in GFN2-xTB
CONTACT = 0.5  # eV, the most two monomers may repel each other in GFN2-xTB
BINDING = -0.25  # eV, a little below the deepest contact in GFN2-xTB
BASIS = "aug-cc-pVDZ"
METHODS = ["hf", "pbe", "b3lyp", "mp2", "ccsd", "ccsdt"]
CORRELATED = ["hf", "mp2", "ccsd", "ccsdt"]
PACKAGES = ["ase", "numpy", "pyscf", "scipy", "tblite"]

FINER = {
    "m0000": ["aug-cc-pVTZ", "aug-cc-pVQZ"],
    "m0005": ["aug-cc-pVTZ", "aug-cc-pVQZ"],
    "m0069": ["aug-cc-pVTZ"],
    "d0000": ["aug-cc-pVTZ"],
    "d0001": ["aug-cc-pVTZ"],
}
TIMED = {"monomer": [f"m{k:04d}" for k in range(20)], "dimer": ["d0000", "d0001", "d0002"]}
KNOWN = [BASIS, "cc-pVTZ", "aug-cc-pVTZ"]  # bases of the minimum, the linear molecule and the bound dimer
# Water dimer, A: P. Jurecka et al., Phys. Chem. Chem. Phys. 8, 1985 (2006), set S22.
S22 = Atoms(
    "OHHOHH",
    [
        (-1.551007, -0.114520, 0),
        (-1.934259, 0.762503, 0),
        (-0.599677, 0.040712, 0),
        (1.350625, 0.111469, 0),
        (1.680398, -0.373741, -0.758561),
        (1.680398, -0.373741, 0.758561),
    ],
)


def water(r1, r2, angle):
    """A water molecule, O first and at the origin; bond lengths in A, the angle between them in degrees."""
    angle = np.radians(angle)
    return Atoms("OHH", [(0, 0, 0), (r1, 0, 0), (r2 * np.cos(angle), r2 * np.sin(angle), 0)])


def xtb(atoms):
    """Energy in GFN2-xTB, eV; infinite where it finds none, as for two atoms almost in one place."""
    atoms = atoms.copy()
    atoms.calc = TBLite(method="GFN2-xTB", verbosity=0)
    try:
        return atoms.get_potential_energy()
    except CalculationFailed:
        return np.inf


@functools.cache
def lowest():
    """The least energy of a water molecule in GFN2-xTB, eV."""
    return minimize(lambda x: xtb(water(x[0], x[0], x[1])), [0.96, 105], method="Nelder-Mead").fun


def monomer(k):
    """Monomer k: `ase.Atoms`, and its kind.

    warm, hot: bond lengths (0.7 to 1.8 A) and angle (50 to 180 degrees) drawn evenly, kept with the Boltzmann
    factor of GFN2-xTB.
    bent: bonds 0.96 +- 0.03 A, angle even in 60 to 180 degrees.
    stretched: one bond even in 0.8 to 1.5 A, the other 0.96 +- 0.03 A, the angle 104.5 +- 8 degrees.
    None is more than `HIGHEST` above the minimum.
    """
    rng = np.random.default_rng([SEED, 1, k])
    kind = KINDS[k % len(KINDS)]
    while True:
        if kind == "bent":
            shape = [*rng.normal(0.96, 0.03, 2), rng.uniform(60, 180)]
        elif kind == "stretched":
            shape = [rng.uniform(0.8, 1.5), rng.normal(0.96, 0.03), rng.normal(104.5, 8)]
        else:
            shape = [*rng.uniform(0.7, 1.8, 2), rng.uniform(50, 180)]
        atoms = water(*shape)
        energy = xtb(atoms) - lowest()
        chance = np.exp(-energy / {"warm": WARM, "hot": HOT}[kind]) if kind in ("warm", "hot") else 1
        if energy < HIGHEST and rng.random() < chance:
            return atoms, kind


def dimer(k):
    """Dimer k: `ase.Atoms`, OHHOHH; its kind; the numbers of its two warm monomers; the distance of their O
    atoms, A.

    bound (even k): O-O even in 2.5 to 3.5 A and orientations, kept together with the Boltzmann factor of the
    contact in GFN2-xTB, so most have a hydrogen bond.
    free (odd k): O-O even in 2.3 to 8 A, kept if it repels less than `CONTACT`.
    """
    rng = np.random.default_rng([SEED, 2, k])
    kind = ["bound", "free"][k % 2]
    warm = [i for i in range(MONOMERS) if KINDS[i % len(KINDS)] == "warm"]
    first, second = (int(i) for i in rng.choice(warm, 2, replace=False))
    a, b = monomer(first)[0], monomer(second)[0]
    apart = xtb(a) + xtb(b)
    while True:
        distance = rng.uniform(2.5, 3.5) if kind == "bound" else rng.uniform(2.3, 8)
        for atoms in (a, b):
            atoms.positions = Rotation.random(rng=rng).apply(atoms.positions - atoms.positions[0])
        b.translate([distance, 0, 0])
        both = a + b
        contact = xtb(both) - apart
        chance = np.exp(-(contact - BINDING) / COLD) if kind == "bound" else 1
        if contact < CONTACT and rng.random() < chance:
            return both, kind, first, second, distance


def converged(calculation):
    """Run it; returns it, converged."""
    calculation.run()
    if not calculation.converged:
        raise RuntimeError(f"{type(calculation).__name__} has not converged.")
    return calculation


def energies(atoms, basis=BASIS, ghosts=(), methods=METHODS, seconds=None):
    """Total energies of a closed-shell molecule, eV, by name of the method; with `t1`, the T1 diagnostic.

    ghosts: indices of atoms that give their basis functions only.   methods: those wanted, of `METHODS`.
    seconds: a dict that takes the processor seconds of each method, from nothing; default, none.
    The 1s electrons of O stay uncorrelated; no density fitting; the grid of PBE and B3LYP is PySCF's level 3.
    T1: T. J. Lee and P. R. Taylor, Int. J. Quantum Chem. Symp. 23, 199 (1989); single-reference methods are
    trusted below 0.02.
    """
    lib.num_threads(1)
    names = [f"ghost-{symbol}" if i in ghosts else symbol for i, symbol in enumerate(atoms.symbols)]
    molecule = gto.M(
        atom=list(zip(names, atoms.positions, strict=True)), basis=basis, verbose=0, max_memory=4000
    )
    core = names.count("O")
    spent = {} if seconds is None else seconds

    def timed(name, calculation, *, after=None):
        began = time.process_time()
        found = calculation()
        spent[name] = time.process_time() - began + spent.get(after, 0.0)
        return found

    hf = timed("hf", lambda: converged(scf.RHF(molecule).set(conv_tol=1e-10)))
    result = {"hf": hf.e_tot}
    for name in ("pbe", "b3lyp"):
        if name in methods:
            functional = dft.RKS(molecule, xc=name).set(conv_tol=1e-9)
            result[name] = timed(name, functools.partial(converged, functional)).e_tot
    if "mp2" in methods:
        result["mp2"] = timed("mp2", mp.MP2(hf, frozen=core).run, after="hf").e_tot
    coupled = cc.CCSD(hf, frozen=core).set(conv_tol=1e-7, conv_tol_normt=1e-5)
    timed("ccsd", lambda: converged(coupled), after="hf")
    triples = timed("ccsdt", coupled.ccsd_t, after="ccsd")
    result |= {"ccsd": coupled.e_tot, "ccsdt": coupled.e_tot + triples}
    electrons = 2 * len(coupled.t1)
    return {
        **{name: energy * units.Hartree for name, energy in result.items()},
        "t1": np.linalg.norm(coupled.t1) / np.sqrt(electrons),
    }


def structure(config):
    """The geometry `m0012` or `d0012`: `ase.Atoms`, its row of the table; -1: no such number."""
    k = int(config[1:])
    if config[0] == "m":
        atoms, kind = monomer(k)
        return atoms, {"system": "monomer", "kind": kind, "monomer_a": k, "monomer_b": -1, "distance": -1.0}
    atoms, kind, first, second, distance = dimer(k)
    return atoms, {
        "system": "dimer",
        "kind": kind,
        "monomer_a": first,
        "monomer_b": second,
        "distance": distance,
    }


def work(config):
    """The file of one geometry, for `common.run`."""

    def compute():
        atoms, info = structure(config)
        found = energies(atoms)
        return npz_bytes(
            {
                "numbers": atoms.numbers,
                "positions": atoms.positions,
                **info,
                "energy": found["ccsdt"],
                **found,
            }
        )

    yield f"{config}.npz", compute


def lowest_shape(basis, angle=None):
    """The minimum of CCSD(T): bond length (A), angle (degrees), energy (eV); a given angle is kept."""

    def energy(x):
        return energies(water(x[0], x[0], angle or x[1] * 100), basis, methods=["ccsdt"])["ccsdt"]

    simplex = [[0.965], [0.935]] if angle else [[0.965, 1.04], [0.960, 1.04], [0.965, 1.045]]
    best = minimize(
        energy,
        simplex[0],
        method="Nelder-Mead",
        options={"xatol": 5e-5, "fatol": 1e-4, "initial_simplex": simplex},
    )
    return best.x[0], angle or best.x[1] * 100, best.fun


def compare(name):
    """The file of one finer calculation, or of one of the known numbers, for `common.run`.

    name: `CONFIG-BASIS`, or `minimum-BASIS`, `linear-BASIS`, `s22-BASIS`.
    """
    subject, basis = name.split("-", 1)

    def compute():
        if subject == "s22":
            pairs = {"both": energies(S22, basis, methods=CORRELATED)}
            for i, mine in enumerate([[0, 1, 2], [3, 4, 5]]):
                pairs[f"alone{i}"] = energies(S22[mine], basis, methods=CORRELATED)
                pairs[f"ghosts{i}"] = energies(S22, basis, set(range(6)) - set(mine), CORRELATED)
            return npz_bytes(
                {f"{name}_{method}": pair[method] for name, pair in pairs.items() for method in CORRELATED}
            )
        if subject in ("minimum", "linear"):
            length, angle, energy = lowest_shape(basis, 180 if subject == "linear" else None)
            return npz_bytes({"length": length, "angle": angle, "energy": energy})
        atoms, info = structure(subject)
        found = energies(atoms, basis)
        if info["system"] == "dimer":
            for i in (0, 3):
                alone = energies(atoms[i : i + 3], basis)
                found |= {f"alone{i // 3}_{method}": alone[method] for method in METHODS}
        return npz_bytes(found)

    yield f"{name}.npz", compute


def comparisons():
    """Names of all comparisons."""
    return [
        *(f"{subject}-{basis}" for basis in KNOWN for subject in ("minimum", "linear", "s22")),
        *(f"{config}-{basis}" for config, bases in FINER.items() for basis in [BASIS, *bases]),
    ]


def report(folder):
    """What the comparisons say, for `convergence.json`."""

    def load(name):
        with np.load(folder / f"{name}.npz") as file:
            return {key: float(value) for key, value in file.items()}

    def rounded(numbers):
        return {name: round(value, 4) for name, value in numbers.items()}

    text = {
        "production": f"{BASIS}, O 1s frozen, no density fitting",
        "unit": "eV, A, degrees; barrier in 1/cm",
        "meaning": {
            "barrier": "CCSD(T), linear minus bent, each at its own minimum",
            "binding": "dimer of S22 minus its two molecules as they are in it",
            "binding_counterpoise": "the same, the molecules in the basis of the dimer",
            "correction": "CCSD(T) minus the other method, what a delta-learner learns",
            "energy": "from m0000, each basis for itself",
            "interaction": "dimer minus its two monomers as they are in it",
        },
        "versions": {name: importlib.metadata.version(name) for name in PACKAGES},
        "known": {},
        "geometries": {},
    }
    for basis in KNOWN:
        bent, linear, pairs = load(f"minimum-{basis}"), load(f"linear-{basis}"), load(f"s22-{basis}")
        text["known"][basis] = {
            **rounded({"length": bent["length"], "angle": bent["angle"]}),
            "barrier": round((linear["energy"] - bent["energy"]) / units.invcm, 1),
            "binding": rounded(
                {m: pairs[f"both_{m}"] - pairs[f"alone0_{m}"] - pairs[f"alone1_{m}"] for m in CORRELATED}
            ),
            "binding_counterpoise": rounded(
                {m: pairs[f"both_{m}"] - pairs[f"ghosts0_{m}"] - pairs[f"ghosts1_{m}"] for m in CORRELATED}
            ),
        }
    for config, bases in FINER.items():
        text["geometries"][config] = {}
        for basis in [BASIS, *bases]:
            found = load(f"{config}-{basis}")
            if config[0] == "m":
                first = load(f"m0000-{basis}")
                numbers = {"energy": rounded({m: found[m] - first[m] for m in METHODS})}
            else:
                numbers = {
                    "interaction": rounded(
                        {m: found[m] - found[f"alone0_{m}"] - found[f"alone1_{m}"] for m in METHODS}
                    )
                }
            text["geometries"][config][basis] = {
                **numbers,
                "correction": rounded({m: found["ccsdt"] - found[m] for m in METHODS[:-1]}),
                "t1": round(found["t1"], 4),
            }
    return text


def times():
    """Processor seconds of each method on one core, median over some geometries, for `times.json`."""
    text = {
        "meaning": "processor seconds from nothing, one core; MP2 includes HF, CCSD(T) includes CCSD and HF",
        "versions": {name: importlib.metadata.version(name) for name in PACKAGES},
    }
    for system, configs in TIMED.items():
        spent = []
        for config in configs:
            spent.append({})
            energies(structure(config)[0], seconds=spent[-1])
        text[system] = {m: round(float(np.median([one[m] for one in spent])), 3) for m in METHODS}
    return text


def main():
    parser = argparse.ArgumentParser(description="Compute water monomers and dimers; run it again to go on.")
    parser.add_argument("--out", required=True, type=Path, help="folder of the results")
    parser.add_argument("--workers", type=int, default=1, help="processes, of one core each")
    parser.add_argument("--monomers", type=int, default=MONOMERS, help="how many, from the first")
    parser.add_argument("--dimers", type=int, default=DIMERS, help="how many, from the first")
    parser.add_argument(
        "--convergence", type=Path, help="write convergence.json into this folder instead, that of the data"
    )
    parser.add_argument(
        "--times", type=Path, help="write times.json into this folder instead, that of the data"
    )
    arguments = parser.parse_args()
    if arguments.times:
        return add(arguments.times, "times.json", times())
    if not arguments.convergence:
        configs = [
            *(f"m{k:04d}" for k in range(arguments.monomers)),
            *(f"d{k:04d}" for k in range(arguments.dimers)),
        ]
        return run(
            {config: [f"{config}.npz"] for config in configs},
            work,
            arguments.out,
            arguments.workers,
            PACKAGES,
        )
    folder = arguments.out / "convergence"
    status = run(
        {name: [f"{name}.npz"] for name in comparisons()}, compare, folder, arguments.workers, PACKAGES
    )
    if status:
        return status
    return add(arguments.convergence, "convergence.json", report(folder))


def add(folder, name, text):
    """Write a file of the dataset in a folder, and its checksum into the card if there is one."""
    write_whole(folder / name, (json.dumps(text, indent=2) + "\n").encode("utf-8"))
    if (folder / "README.md").exists():
        update_checksums(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
