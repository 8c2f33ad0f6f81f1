"""Chains and rings of growing length: alkanes, polyenes, cycloalkanes and acenes; total energy, HOMO and LUMO
by one DFT.

Every molecule and conformer comes relaxed and warm, both by GFN2-xTB, a cheap quantum model; PBE0 labels
them.  A geometry is a function of its name alone.

    python data/generate/chains.py --out runs/chains

writes `polyene-12-trans-0.npz` and so on (12 C atoms, snapshot 0), one file a geometry; `gather.py` makes the
dataset of them.  The same command with `--convergence data/chains` compares some with finer settings, and
writes `convergence.json`.

PySCF: Q. Sun et al., J. Chem. Phys. 153, 024109 (2020).
PBE0: C. Adamo and V. Barone, J. Chem. Phys. 110, 6158 (1999).
def2-SVP: F. Weigend and R. Ahlrichs, Phys. Chem. Chem. Phys. 7, 3297 (2005).
GFN2-xTB: C. Bannwarth et al., J. Chem. Theory Comput. 15, 1652 (2019).
RDKit: https://www.rdkit.org.
"""

import argparse
import functools
import importlib.metadata
import json
import sys
from pathlib import Path

import numpy as np
from ase import Atoms, units
from ase.md.langevin import Langevin
from ase.md.velocitydistribution import MaxwellBoltzmannDistribution
from ase.optimize import BFGS
from pyscf import dft, gto, lib
from rdkit import Chem
from rdkit.Chem import AllChem, rdMolTransforms
from tblite.ase import TBLite

from common import npz_bytes, run, update_checksums, write_whole

SEED = 20261123
TEMPERATURES = [300, 600]  # K, of snapshots 1, 3, ... and 2, 4, ...
STEPS = 200  # of 1 fs, from the relaxed molecule to a warm snapshot
BASIS = "def2-SVP"
GRID = 2  # PySCF's level; level 1 is too coarse for the energy of long alkanes, by 0.02 eV in C18
ACENES = {
    6: "c1ccccc1",
    10: "c1ccc2ccccc2c1",
    14: "c1ccc2cc3ccccc3cc2c1",
    18: "c1ccc2cc3cc4ccccc4cc3cc2c1",
    22: "c1ccc2cc3cc4cc5ccccc5cc4cc3cc2c1",
}
PACKAGES = ["ase", "numpy", "pyscf", "rdkit", "scipy", "tblite"]

SETTINGS = {"shipped": {}, "def2-TZVP": {"basis": "def2-TZVP"}, "exact": {"fitted": False, "grid": 4}}
FINER = {
    "hexane": ("alkane-06-anti-0", ["def2-TZVP", "exact"]),  # the geometry, and what it is compared with
    "octatetraene": ("polyene-08-trans-0", ["def2-TZVP", "exact"]),
    "octatetraene, 300 K": ("polyene-08-trans-1", ["def2-TZVP", "exact"]),
    "octadecane": ("alkane-18-anti-0", ["exact"]),
}


def molecules():
    """Which are computed: (series, number of C atoms, form) -> number of snapshots; small ones have more."""
    found = {}
    for n in [*range(2, 13), 14, 16, 18, 20]:
        for form in ["anti"] if n < 4 or n > 12 else ["anti", "gauche"]:
            found["alkane", n, form] = 6 if n <= 6 else 4 if n <= 10 else 2
    for n in range(2, 25, 2):
        for form in ["trans"] + ["gauche"] * (4 <= n <= 16) + ["cis"] * (6 <= n <= 16):
            found["polyene", n, form] = 7 if n <= 6 else 5 if n <= 10 else 3 if n <= 16 else 2
    for n in range(3, 13):
        found["cycloalkane", n, "ring"] = 6 if n <= 6 else 4 if n <= 9 else 2
    for n in ACENES:
        found["acene", n, "ring"] = 6 if n == 6 else 4 if n <= 14 else 2
    return found


def names():
    """Names of all geometries: the relaxed ones first, then the warm ones, each from small to large."""
    listed = [
        (snapshot, n, series, form)
        for (series, n, form), count in molecules().items()
        for snapshot in range(count)
    ]
    return [f"{series}-{n:02d}-{form}-{snapshot}" for snapshot, n, series, form in sorted(listed)]


def smiles(series, n):
    """The molecule in SMILES; the C atoms of a chain come in its order."""
    return {
        "alkane": "C" * n,
        "polyene": "C=C" * (n // 2),
        "cycloalkane": f"C1{'C' * (n - 1)}1",
        "acene": ACENES.get(n),
    }[series]


def torsions(series, n, form, rng):
    """Angles about the inner bonds of a chain of n C atoms, degrees, [n - 3], none for two or three.

    anti, trans: all 180.
    gauche: of an alkane each 180, 60 or -60; of a polyene some of the single bonds 40 or -40.
    cis: some of the double bonds 0.
    Some: each with one chance in three, one at least.
    """
    angles = np.full(max(n - 3, 0), 180.0)
    if form in ("anti", "trans") or n < 4:
        return angles
    kinds = {
        ("alkane", "gauche"): (0, 1, [60, -60]),
        ("polyene", "gauche"): (0, 2, [40, -40]),
        ("polyene", "cis"): (1, 2, [0]),
    }
    first, step, choices = kinds[series, form]
    bonds = np.arange(first, n - 3, step)
    turned = bonds[rng.random(len(bonds)) < 1 / 3]
    if not len(turned):
        turned = rng.choice(bonds, 1)
    angles[turned] = rng.choice(choices, len(turned))
    return angles


def draft(series, n, form, rng):
    """A first geometry: `ase.Atoms`, and its bonds [n_bonds, 2]."""
    molecule = Chem.AddHs(Chem.MolFromSmiles(smiles(series, n)))
    bonds = np.array([(bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()) for bond in molecule.GetBonds()])
    bends = molecule.GetSubstructMatches(Chem.MolFromSmarts("[#6]~[#6]~[#6]"))
    while True:
        AllChem.EmbedMolecule(molecule, randomSeed=int(rng.integers(2**31)))
        AllChem.MMFFOptimizeMolecule(molecule)
        conformer = molecule.GetConformer()
        if form != "ring":
            for i, angle in enumerate(torsions(series, n, form, rng)):
                rdMolTransforms.SetDihedralDeg(conformer, i, i + 1, i + 2, i + 3, float(angle))
        atoms = Atoms([atom.GetSymbol() for atom in molecule.GetAtoms()], conformer.GetPositions())
        far = atoms.get_all_distances() + 9 * np.eye(len(atoms))
        far[tuple(bonds.T)] = far[tuple(bonds[:, ::-1].T)] = 9
        widest = max((atoms.get_angle(*bend) for bend in bends), default=0)
        if far.min() > 1.6 and widest < 140:  # H atoms of one C are 1.75 A apart; 128 degrees occur
            return atoms, bonds


def intact(atoms, bonds):
    """Whether every bond still has a bond's length, and nothing else has."""
    heavy = atoms.numbers[bonds].min(1) > 1
    lengths = atoms.get_all_distances()
    near = lengths < np.where(np.minimum.outer(atoms.numbers, atoms.numbers) > 1, 1.75, 1.3)
    return (lengths[tuple(bonds.T)] < np.where(heavy, 1.75, 1.3)).all() and near.sum() - len(
        atoms
    ) == 2 * len(bonds)


@functools.lru_cache(1)
def relaxed(series, n, form):
    """The molecule relaxed in GFN2-xTB to 0.02 eV/A: `ase.Atoms`, and its bonds."""
    rng = np.random.default_rng([SEED, *f"{series}-{n}-{form}".encode()])
    atoms, bonds = draft(series, n, form, rng)
    atoms.calc = TBLite(method="GFN2-xTB", verbosity=0)
    if not BFGS(atoms, logfile=None).run(fmax=0.02, steps=1000):
        raise RuntimeError("The relaxation has not converged.")
    if not intact(atoms, bonds):
        raise RuntimeError("The relaxation made another molecule.")
    return atoms, bonds


def structure(name):
    """The geometry of that name: `ase.Atoms`, and what the table says of it.

    Snapshot 0 is relaxed; each other one ends a Langevin trajectory of its own from there, in GFN2-xTB.
    """
    series, n, form, snapshot = name.split("-")
    start, bonds = relaxed(series, int(n), form)
    atoms, temperature = start.copy(), 0
    if snapshot != "0":
        rng = np.random.default_rng([SEED, *name.encode()])
        temperature = TEMPERATURES[(int(snapshot) - 1) % 2]
        atoms.calc = TBLite(method="GFN2-xTB", verbosity=0)
        MaxwellBoltzmannDistribution(atoms, temperature_K=temperature, rng=rng)
        Langevin(
            atoms, 1 * units.fs, temperature_K=temperature, friction=0.02 / units.fs, fixcm=False, rng=rng
        ).run(STEPS)
        if not intact(atoms, bonds):
            raise RuntimeError("The dynamics made another molecule.")
    atoms = Atoms(atoms.numbers, atoms.positions - atoms.get_center_of_mass())
    return atoms, {
        "family": f"{series}-{n}",
        "snapshot": int(snapshot),
        "series": series,
        "form": form,
        "n_carbon": int(n),
        "temperature": temperature,
    }


def label(atoms, basis=BASIS, fitted=True, grid=GRID):
    """What PBE0 says of a molecule: `energy`, `homo` and `lumo`, eV.

    fitted: the Coulomb and exchange integrals by density fitting.
    grid: PySCF's level of the integration grid; a first density comes from level 0, which is faster.
    """
    lib.num_threads(1)
    molecule = gto.M(
        atom=list(zip(atoms.symbols, atoms.positions, strict=True)), basis=basis, verbose=0, max_memory=4000
    )
    scf, density = dft.RKS(molecule, xc="pbe0").set(conv_tol=1e-6), None
    if fitted:
        scf = scf.density_fit()
    for level in (0, grid):
        scf.grids.reset()
        scf.grids.level = level
        scf.kernel(density)
        if not scf.converged:
            raise RuntimeError("Self-consistency was not reached.")
        density = scf.make_rdm1()
    occupied = molecule.nelectron // 2
    energies = np.array([scf.e_tot, *scf.mo_energy[occupied - 1 : occupied + 1]]) * units.Hartree
    return dict(zip(["energy", "homo", "lumo"], energies, strict=True))


def work(name):
    """The file of one geometry, for `common.run`."""

    def compute():
        atoms, info = structure(name)
        return npz_bytes({"numbers": atoms.numbers, "positions": atoms.positions, **info, **label(atoms)})

    yield f"{name}.npz", compute


def compare(name):
    """The file of one finer calculation, for `common.run`; name: of the geometry, `+`, and of the setting."""
    geometry, setting = name.split("+")
    yield f"{name}.npz", lambda: npz_bytes(label(structure(geometry)[0], **SETTINGS[setting]))


def line(x, y):
    """The straight line through points: value at 0, slope, distance of the farthest point."""
    slope, start = np.polyfit(x, y, 1)
    return {"at_zero": start, "slope": slope, "farthest": np.abs(y - start - slope * x).max()}


def trends(folder):
    """How relaxed straight chains change with length: gaps, and lines through them; strain of rings; eV."""

    def relaxed_ones(series, form):
        rows = []
        for path in sorted(folder.glob(f"{series}-*-{form}-0.npz")):
            with np.load(path) as file:
                rows.append([file["n_carbon"], file["energy"], file["lumo"] - file["homo"]])
        return np.array(rows).T

    found = {}
    for series, form in (("alkane", "anti"), ("polyene", "trans")):
        n, energy, gap = relaxed_ones(series, form)
        long = n >= 8
        found[series] = {
            "gap": {int(number): value for number, value in zip(n, gap, strict=True)},
            "gap_against_1/n, n >= 8": line(1 / n[long], gap[long]),
            "energy_against_n, n >= 8": line(n[long], energy[long]),
        }
    n, energy, _ = relaxed_ones("cycloalkane", "ring")
    strain = energy - n * found["alkane"]["energy_against_n, n >= 8"]["slope"]
    found["cycloalkane"] = {"strain": {int(number): value for number, value in zip(n, strain, strict=True)}}
    return found


def report(folder):
    """What the finer calculations and the chains say, for `convergence.json`."""

    def load(geometry, setting):
        with np.load(folder / "convergence" / f"{geometry}+{setting}.npz") as file:
            return {name: float(value) for name, value in file.items()}

    def rounded(value):
        return (
            {k: rounded(v) for k, v in value.items()} if isinstance(value, dict) else round(float(value), 4)
        )

    differences = {}
    for molecule, (geometry, settings) in FINER.items():
        shipped = load(geometry, "shipped")
        for setting in settings:
            fine = load(geometry, setting)
            change = {name: shipped[name] - fine[name] for name in shipped}
            differences.setdefault(molecule, {})[setting] = {**change, "gap": change["lumo"] - change["homo"]}
    return {
        "production": f"PBE0, {BASIS}, density fitting, grid {GRID}",
        "unit": "eV",
        "meaning": {
            "finer": "shipped minus finer; exact: no density fitting, grid 4.  Total energies of two bases "
            "differ; "
            "compare the differences of two geometries",
            "trends": "relaxed straight chains; at_zero of a gap is where the line ends at 1/n = 0, slope of "
            "an "
            "energy is that of one more C (alkane: CH2; polyene: CH).  strain: relaxed ring minus as many "
            "CH2 of the alkanes",
        },
        "versions": {name: importlib.metadata.version(name) for name in PACKAGES},
        "finer": rounded(differences),
        "trends": rounded(trends(folder)),
    }


def main():
    parser = argparse.ArgumentParser(description="Compute chains and rings; run it again to go on.")
    parser.add_argument("--out", required=True, type=Path, help="folder of the results")
    parser.add_argument("--workers", type=int, default=1, help="processes, of one core each")
    parser.add_argument(
        "--convergence", type=Path, help="write convergence.json into this folder instead, that of the data"
    )
    arguments = parser.parse_args()
    if not arguments.convergence:
        return run(
            {name: [f"{name}.npz"] for name in names()}, work, arguments.out, arguments.workers, PACKAGES
        )
    if not all((arguments.out / f"{name}.npz").exists() for name in names() if name.endswith("-0")):
        parser.error(
            f"{arguments.out} lacks relaxed molecules, whose trends are compared too: run without "
            "--convergence first"
        )
    finer = [
        f"{geometry}+{setting}" for geometry, settings in FINER.values() for setting in ["shipped", *settings]
    ]
    status = run(
        {name: [f"{name}.npz"] for name in finer},
        compare,
        arguments.out / "convergence",
        arguments.workers,
        PACKAGES,
    )
    if status:
        return status
    content = (json.dumps(report(arguments.out), indent=2) + "\n").encode("utf-8")
    write_whole(arguments.convergence / "convergence.json", content)
    if (arguments.convergence / "README.md").exists():
        update_checksums(arguments.convergence)
    return 0


if __name__ == "__main__":
    sys.exit(main())
