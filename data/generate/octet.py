"""Octet compounds: rocksalt against zincblende for 82 compounds AB with eight valence electrons, and their
free atoms.

For each compound and structure the energy at several lattice constants, and the minimum of a curve through
them; for each element ionisation potential, electron affinity, levels and radii of the free atom.  Which
compounds, and which functional: L. M. Ghiringhelli et al., Phys. Rev. Lett. 114, 105503 (2015).

    python data/generate/octet.py --out runs/octet --workers 2

writes `AlN-rocksalt.npz`, `element-Al.npz` and so on; `gather.py` makes the dataset of them.  And

    python data/generate/octet.py --convergence data/octet --out runs/octet-convergence

compares that with finer settings.

GPAW: J. J. Mortensen et al., J. Chem. Phys. 160, 092503 (2024).
LDA: J. P. Perdew and Y. Wang, Phys. Rev. B 45, 13244 (1992).
"""

import argparse
import functools
import io
import json
import sys
from itertools import product
from pathlib import Path

import numpy as np
from ase import Atoms, units
from ase.data import atomic_numbers, covalent_radii
from gpaw import PW, FermiDirac
from gpaw.atom.aeatom import AllElectronAtom, Channel
from gpaw.calculator import GPAW

from common import npz_bytes, run, update_checksums, write_whole
from eos import REACH, birch_murnaghan, walk
from gather import from_dataset

COMPOUNDS = [
    *product(["Li", "Na", "K", "Rb", "Cs", "Cu", "Ag"], ["F", "Cl", "Br", "I"]),
    *product(["Be", "Mg", "Ca", "Sr", "Ba", "Zn", "Cd"], ["O", "S", "Se", "Te"]),
    *product(["B", "Al", "Ga", "In"], ["N", "P", "As", "Sb"]),
    ("C", "C"),
    ("Si", "Si"),
    ("Ge", "Ge"),
    ("Sn", "Sn"),
    ("Si", "C"),
    ("Ge", "C"),
    ("Sn", "C"),
    ("Ge", "Si"),
    ("Sn", "Si"),
    ("Sn", "Ge"),
]
STRUCTURES = {"zincblende": 0.25, "rocksalt": 0.5}  # where B sits on the diagonal of the cubic cell; A at 0
CUTOFF, HARD_CUTOFF = 500, 700  # of the plane waves, eV; the second where one of HARD occurs
HARD = {"B", "C", "N", "O", "F"}
MEANING = (
    "shipped minus finer: energy_per_atom (eV), lattice_constant (A), bulk_modulus (GPa); cutoff: plane "
    "waves to 1000 eV; "
    "kpoints: 12 x 12 x 12; rocksalt_minus_zincblende: of energy_per_atom"
)
WALL = 10.0 / units.Bohr  # around the free atom, Bohr
FINER = {"cutoff": {"mode": PW(1000)}, "kpoints": {"kpts": {"size": (12, 12, 12), "gamma": True}}}
CHECKED = [("Li", "F"), ("In", "As"), ("Be", "O")]  # compounds that are computed with those settings too
PACKAGES = ["ase", "gpaw", "gpaw-data", "numpy", "scipy"]


def crystal(a, b, structure, lattice_constant):
    """The primitive cell, two atoms; lattice constant of the cubic cell, A (of one element: diamond)."""
    cell = lattice_constant / 2 * (1 - np.eye(3))
    return Atoms([a, b], scaled_positions=[[0] * 3, [STRUCTURES[structure]] * 3], cell=cell, pbc=True)


def calculator(symbols, log, **finer):
    """GPAW: LDA (Perdew-Wang), PAW, plane waves, 8 x 8 x 8 k points with Gamma, symmetry used.

    symbols: the elements.   finer: GPAW's arguments in place of these.
    """
    settings = {
        "mode": PW(HARD_CUTOFF if HARD & set(symbols) else CUTOFF),
        "xc": "LDA",
        "kpts": {"size": (8, 8, 8), "gamma": True},
        "occupations": FermiDirac(0.1),
        "convergence": {"energy": 2e-5, "density": 1e-3, "eigenstates": 1e-4},
        "txt": log,
    }
    return GPAW(**{**settings, **finer})


def equation_of_state(a, b, structure, guess, log, **finer):
    """What is kept of one compound in one structure; which is what, see `gather.py` and the data card.

    guess: lattice constant to start from, A.   finer: see `calculator`.
    """

    def energy(lattice_constant):
        atoms = crystal(a, b, structure, lattice_constant)
        atoms.calc = calculator([a, b], log, **finer)
        return atoms.get_potential_energy()

    constants, energies = walk(energy, guess)
    near = abs(np.arange(len(energies)) - energies.argmin()) <= REACH
    volume, lowest, modulus, derivative, rms = birch_murnaghan(constants[near] ** 3 / 4, energies[near])
    atoms = crystal(a, b, structure, (4 * volume) ** (1 / 3))
    return {
        "numbers": atoms.numbers,
        "positions": atoms.positions,
        "cell": atoms.cell.array,
        "energy": lowest,
        "compound": name(a, b),
        "structure": structure,
        "energy_per_atom": lowest / 2,
        "lattice_constant": (4 * volume) ** (1 / 3),
        "bulk_modulus": modulus / units.GPa,
        "bulk_modulus_derivative": derivative,
        "fit_rms": rms,
        "eos/lattice_constant": constants,
        "eos/energy": energies,
    }


def radial_state(atom, ell, n, energy):
    """The state with n nodes and angular momentum ell in the potential of `atom`, zero at the wall;
    scalar-relativistic.

    The energy is found by counting nodes; energy: where to start from, Hartree.
    The wall stands nearer where the state has fallen to 1e-7 of what it was.
    Returns energy (Hartree) and r times the wave function on the atom's grid, normalised.
    """
    channel, grid, potential = Channel(ell), atom.rgd, atom.vr_sg[0]
    r = grid.r_g[1:]
    barrier = potential[1:] / r + ell * (ell + 1) / 2 / r**2

    def integrate(e):
        decay = np.sqrt(np.maximum(2 * (barrier - e), 0)) * grid.dr_g[1:]
        allowed = np.flatnonzero(barrier < e)
        decay[: allowed[0] if len(allowed) else 0] = 0  # near the nucleus: not the tail
        end = min(int(np.searchsorted(np.cumsum(decay), 17)), grid.N - 2)
        u = grid.zeros()
        channel.integrate_outwards(u, grid, potential, end, e, True, atom.Z)
        return u, int((u[1:end] * u[2 : end + 1] < 0).sum())

    low, high, width = energy, energy, 0.05
    while integrate(low)[1] > n:
        low, width = low - width, 2 * width
    width = 0.05
    while integrate(high)[1] <= n:
        high, width = high + width, 2 * width
    while high - low > 1e-10 * max(1, abs(low)):
        middle = (low + high) / 2
        low, high = (low, middle) if integrate(middle)[1] > n else (middle, high)
    u = integrate(low)[0]
    return low, u / np.sqrt(grid.integrate(u**2, -2) / (4 * np.pi))


def solve(atom):
    """All states of the atom in its potential, in place of `AllElectronAtom.solve`.

    Keeps their kinetic energy, as `kinetic`: with this potential, not the next, the total energy has no error
    of first order.
    """
    for channel in atom.channels:
        for n in range(len(channel.f_n)):
            channel.e_n[n], u = radial_state(atom, channel.l, n, channel.e_n[n])
            channel.phi_ng[n, 1:] = u[1:] / atom.rgd.r_g[1:]
            channel.phi_ng[n, 0] = channel.phi_ng[n, 1]
    atom.eeig = sum(channel.get_eigenvalue_sum() for channel in atom.channels)
    density = sum(channel.calculate_density() for channel in atom.channels)
    atom.kinetic = atom.eeig - atom.rgd.integrate(atom.vr_sg[0] * density, -1)


def self_consistent(atom, memory=6, damping=0.3, tolerance=3e-4):
    """Bring the atom's potential and density in line, by Anderson's mixing of the last potentials; returns
    its energy, eV.

    tolerance: electrons by which the density may still change.   D. G. Anderson, J. ACM 12, 547 (1965).
    """
    potentials, residuals = [], []
    for _ in range(150):
        potential, density = atom.vr_sg.copy(), atom.n_sg
        atom.step()
        if atom.rgd.integrate(abs(atom.n_sg - density).sum(0)) < tolerance:
            return (atom.kinetic + atom.eH + atom.eZ + atom.exc) * units.Hartree
        potentials = [*potentials[-memory:], potential]
        residuals = [*residuals[-memory:], atom.vr_sg - potential]
        steps = np.array([(p - potentials[-1]).ravel() for p in potentials[:-1]])
        changes = np.array([(r - residuals[-1]).ravel() for r in residuals[:-1]])
        atom.vr_sg = potentials[-1] + damping * residuals[-1]
        if len(changes):
            weight = np.sqrt(atom.rgd.dr_g)
            share = np.linalg.lstsq((changes * weight).T, -residuals[-1].ravel() * weight, rcond=1e-6)[0]
            atom.vr_sg = atom.vr_sg + (share @ (steps + damping * changes)).reshape(atom.vr_sg.shape)
    raise RuntimeError(f"the atom {atom.symbol} did not converge")


def free_atom(symbol):
    """Properties of the free atom: spherical, spin-paired, scalar-relativistic, inside a hard wall.

    All electrons, by GPAW's program for atoms with `solve` in place of its own.  As in the paper, ionisation
    potential and affinity are differences of total energy, and an electron more or less goes to or from the
    level that is next.

    Returns IP (energy of the cation above the atom) and EA (of the atom above the anion); HOMO, highest level
    with electrons; LUMO, lowest without; E_s, E_p, E_d (all eV); r_s, r_p, r_d, radii where r^2 times the
    squared function is largest (A): of the s and p functions of the valence shell, and of the lowest d
    function without electrons.
    """
    atom = AllElectronAtom(symbol, xc="LDA", log=io.StringIO())
    shells = {ell: len(atom.f_lsn.get(ell, [[]])[0]) for ell in range(3)}  # with electrons
    for ell, count in shells.items():
        atom.add(ell + count + 1, ell, 0)  # and one without
    atom.initialize(rcut=WALL)
    atom.run()  # without wall and relativity, to start from
    atom.solve = functools.partial(solve, atom)
    neutral = self_consistent(atom)
    states = [
        (channel.e_n[n] * units.Hartree, channel, n)
        for channel in atom.channels
        for n in range(len(channel.f_n))
    ]
    homo = max((s for s in states if s[1].f_n[s[2]] > 0), key=lambda s: s[0])
    lumo = min((s for s in states if s[1].f_n[s[2]] == 0), key=lambda s: s[0])
    valence = {"s": shells[0] - 1, "p": shells[0] - 2, "d": shells[2]}  # number of nodes
    radii, energies = {}, {}
    for channel, (letter, n) in zip(atom.channels, valence.items(), strict=False):  # no f
        density = (channel.phi_ng[n] * atom.rgd.r_g) ** 2
        radii[f"r_{letter}"] = atom.rgd.r_g[density.argmax()] * units.Bohr
        energies[f"E_{letter}"] = channel.e_n[n] * units.Hartree

    def charged(state, electrons):
        state[1].f_n[state[2]] += electrons
        energy = self_consistent(atom)
        state[1].f_n[state[2]] -= electrons
        return energy

    room = homo[1].f_n[homo[2]] < 4 * homo[1].l + 2
    cation, anion = charged(homo, -1), charged(homo if room else lumo, +1)
    return {
        "IP": cation - neutral,
        "EA": neutral - anion,
        "HOMO": homo[0],
        "LUMO": lumo[0],
        **energies,
        **radii,
    }


def name(a, b):
    """Formula of the compound: SiC, but Si for the element."""
    return a if a == b else a + b


def files(a, b):
    """Names of the files of a compound, in the order in which they are made."""
    return [f"{name(a, b)}-{structure}.npz" for structure in STRUCTURES]


def work(task, folder):
    """The files of one compound or of one element, for `common.run`."""
    kind, *symbols = task.split("-")
    if kind == "element":
        yield f"{task}.npz", lambda: npz_bytes(free_atom(*symbols))
        return
    a, b = symbols
    zincblende, rocksalt = files(a, b)
    bond = sum(covalent_radii[atomic_numbers[symbol]] for symbol in symbols)

    def compute(structure, guess):
        return npz_bytes(
            equation_of_state(a, b, structure, guess(), folder / "gpaw" / f"{name(a, b)}-{structure}.txt")
        )

    def from_zincblende():
        with np.load(folder / zincblende) as file:
            return (
                1.08 * 3**0.5 / 2 * float(file["lattice_constant"])
            )  # six neighbours are 8 % farther than four

    yield zincblende, functools.partial(compute, "zincblende", lambda: 4 / 3**0.5 * bond)
    yield rocksalt, functools.partial(compute, "rocksalt", from_zincblende)


def tasks():
    """Name of the task -> the files it makes."""
    elements = sorted({symbol for compound in COMPOUNDS for symbol in compound})
    return {
        **{f"element-{symbol}": [f"element-{symbol}.npz"] for symbol in elements},
        **{f"compound-{a}-{b}": files(a, b) for a, b in COMPOUNDS},
    }


def finer_work(task, folder, data):
    """One compound with one finer setting, in both structures, for `common.run`."""
    setting, a, b = task.split("-")
    for structure in STRUCTURES:

        def compute(structure=structure):
            shipped = from_dataset(data)[f"{name(a, b)}-{structure}"]
            return npz_bytes(
                equation_of_state(
                    a,
                    b,
                    structure,
                    float(shipped["lattice_constant"]),
                    folder / f"gpaw/{task}-{structure}.txt",
                    **FINER[setting],
                )
            )

        yield f"{task}-{structure}.npz", compute


def convergence(folder, data, workers):
    """The shipped numbers of CHECKED against finer settings: writes convergence.json into `data`."""
    names = {f"{setting}-{a}-{b}": (setting, a, b) for setting in FINER for a, b in CHECKED}
    status = run(
        {task: [f"{task}-{structure}.npz" for structure in STRUCTURES] for task in names},
        functools.partial(finer_work, folder=folder, data=data),
        folder,
        workers,
        PACKAGES,
    )
    if status:
        return status
    shipped, report = from_dataset(data), {"meaning": MEANING}
    for task, (setting, a, b) in names.items():
        finer = {structure: dict(np.load(folder / f"{task}-{structure}.npz")) for structure in STRUCTURES}
        coarse = {structure: shipped[f"{name(a, b)}-{structure}"] for structure in STRUCTURES}
        rows = {
            structure: {
                quantity: round(float(coarse[structure][quantity] - finer[structure][quantity]), 5)
                for quantity in ("energy_per_atom", "lattice_constant", "bulk_modulus")
            }
            for structure in STRUCTURES
        }
        rows["rocksalt_minus_zincblende"] = round(
            rows["rocksalt"]["energy_per_atom"] - rows["zincblende"]["energy_per_atom"], 5
        )
        report[f"{name(a, b)}, {setting}"] = rows
    write_whole(data / "convergence.json", (json.dumps(report, indent=2) + "\n").encode("utf-8"))
    update_checksums(data)
    return 0


def main():
    parser = argparse.ArgumentParser(
        description="Compute the octet compounds and their atoms; run it again to go on."
    )
    parser.add_argument("--out", required=True, type=Path, help="folder of the results")
    parser.add_argument("--workers", type=int, default=1, help="processes, of one core each")
    parser.add_argument(
        "--convergence",
        type=Path,
        metavar="DATASET",
        help="instead, compare the dataset in this folder with finer settings",
    )
    arguments = parser.parse_args()
    folder = arguments.out.resolve()
    (folder / "gpaw").mkdir(parents=True, exist_ok=True)
    if arguments.convergence:
        return convergence(folder, arguments.convergence.resolve(), arguments.workers)
    return run(tasks(), functools.partial(work, folder=folder), folder, arguments.workers, PACKAGES)


if __name__ == "__main__":
    sys.exit(main())
