"""Descriptors: known values, and the symmetries they must have, on cells that hypothesis draws."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, make_supercell, molecule
from ase.geometry import get_distances
from hypothesis import given, settings
from hypothesis import strategies as st

from mlms_helpers import datasets, descriptors

CHARGES = {"Na": 1.0, "Cl": -1.0, "Cs": 1.0, "Zn": 2.0, "S": -2.0}


def cell(seed, n=6):
    """Small skewed cell of Li, P, O, N, neutral (2 Li P O2 N: 2 + 5 - 4 - 3), atoms not too close."""
    rng = np.random.default_rng(seed)
    box = np.diag(rng.uniform(4.5, 6.5, 3)) + np.tril(rng.uniform(-1.5, 1.5, (3, 3)), -1)
    positions = []
    for _ in range(2000):
        trial = rng.random(3) @ box
        if not positions or get_distances([trial], positions, cell=box, pbc=True)[1].min() > 1.2:
            positions.append(trial)
        if len(positions) == n:
            return Atoms("Li2PO2N", positions=positions, cell=box, pbc=True)
    raise AssertionError("no room")


PER_ATOM = {
    "symmetry_functions": lambda s: descriptors.symmetry_functions(s, species=["Li", "N", "O", "P"]),
    "long cutoff": lambda s: descriptors.symmetry_functions(s, cutoff=11.0),
    "madelung_potential": descriptors.madelung_potential,
    "crystal_field": descriptors.crystal_field,
    "neighbour_count": descriptors.neighbour_count,
    "soap": lambda s: descriptors.soap(s, cutoff=4.0, species=["Li", "N", "O", "P"]),
}


def close(a, b):
    scale = np.abs(a).max() + 1e-12
    np.testing.assert_allclose(b / scale, a / scale, atol=1e-6)


@pytest.mark.parametrize("name", PER_ATOM)
@settings(max_examples=8)
@given(seed=st.integers(0, 10**6))
def test_rotation_translation_permutation(name, seed):
    atoms, f, rng = cell(seed), PER_ATOM[name], np.random.default_rng(seed)
    reference = f([atoms])
    turned = atoms.copy()
    rotation = np.linalg.qr(rng.normal(size=(3, 3)))[0]             # may hold a mirror: that must not matter either
    turned.set_cell(atoms.cell.array @ rotation)
    turned.positions = atoms.positions @ rotation
    close(reference, f([turned]))
    moved = atoms.copy()
    moved.positions += rng.normal(size=3) * 5
    moved.wrap()
    close(reference, f([moved]))
    order = rng.permutation(len(atoms))
    close(reference[order], f([atoms[order]]))


@pytest.mark.parametrize("name", PER_ATOM)
@settings(max_examples=5)
@given(seed=st.integers(0, 10**6), row=st.sampled_from([(1, 0, 0), (1, 1, 0), (-1, 1, 1)]))
def test_choice_of_cell(name, seed, row):
    """The same crystal in another cell of the same size, and in one twice as large."""
    atoms, f = cell(seed), PER_ATOM[name]
    reference = f([atoms])
    other = atoms.copy()
    other.set_cell(np.array([row, (0, 1, 0), (0, 0, 1)]) @ atoms.cell.array if row[0] == 1
                   else np.array([row, (0, 1, 0), (0, 0, -1)]) @ atoms.cell.array)
    other.wrap()
    close(reference, f([other]))
    double = make_supercell(atoms, [[1, 1, 0], [-1, 1, 0], [0, 0, 1]])
    from_old = np.array([int(get_distances([p], atoms.positions, cell=atoms.cell, pbc=True)[1].argmin())
                         for p in double.positions])
    close(reference[from_old], f([double]))


@pytest.mark.parametrize("structure, a, constant", [("rocksalt", ("NaCl", 5.64), 1.7475646), ("cesiumchloride", ("CsCl", 4.12), 1.7626748),
                                                    ("zincblende", ("ZnS", 5.41), 1.6380551)])
def test_madelung_constants(structure, a, constant):
    """C. Kittel, Introduction to Solid State Physics, chapter 3: potential = -constant * charge / nearest distance."""
    atoms = bulk(a[0], structure, a=a[1])
    charge = {s: CHARGES[s] for s in set(atoms.symbols)}
    nearest = atoms.get_all_distances(mic=True)[0, 1]
    q = np.array([charge[s] for s in atoms.symbols])
    found = -descriptors.madelung_potential([atoms], charge) * nearest / (descriptors.COULOMB * q)
    np.testing.assert_allclose(found, constant, rtol=1e-6)


def test_charges_of_single_atoms():
    """An array of charges gives what the table of symbols gives; halved charges give half the potential."""
    structures = [bulk("NaCl", "rocksalt", a=5.64), bulk("CsCl", "cesiumchloride", a=4.12)]
    arrays = [np.array([CHARGES[s] for s in atoms.symbols]) for atoms in structures]
    by_symbol = descriptors.madelung_potential(structures, CHARGES)
    np.testing.assert_allclose(descriptors.madelung_potential(structures, arrays), by_symbol)
    np.testing.assert_allclose(descriptors.madelung_potential(structures, [q / 2 for q in arrays]), by_symbol / 2)


def test_symmetry_function_by_hand():
    atoms = Atoms("LiO", positions=[(0, 0, 0), (0, 0, 2.0)])
    g = descriptors.symmetry_functions([atoms], cutoff=4.0, centres=(1.5,), widths=0.5)
    by_hand = np.exp(-(0.5**2) / (2 * 0.25)) * 0.5 * (np.cos(np.pi * 0.5) + 1)
    np.testing.assert_allclose(g, [[0, by_hand], [by_hand, 0]], rtol=1e-12)


def test_symmetry_functions_agree_with_dscribe():
    """dscribe's ACSF: eta = 1 / (2 width^2), the species in the order of their atomic numbers."""
    from dscribe.descriptors import ACSF
    for seed in range(5):
        atoms = cell(seed)
        ours = descriptors.symmetry_functions([atoms], cutoff=9.0, centres=(1.5, 3.0), widths=(0.3, 0.7))
        theirs = ACSF(species=["Li", "N", "O", "P"], r_cut=9.0, periodic=True,
                      g2_params=[(1 / (2 * 0.3**2), 1.5), (1 / (2 * 0.7**2), 3.0)]).create(atoms)
        per_species = theirs.reshape(len(atoms), 4, 3)[:, :, 1:]           # drop G1
        np.testing.assert_allclose(ours, per_species.reshape(len(atoms), -1), rtol=1e-5, atol=1e-9)


def test_a_cutoff_far_beyond_a_molecule():
    water = molecule("H2O")
    i, j, r = descriptors.neighbours(water, 1e5)
    assert sorted(zip(i, j)) == [(0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1)]
    np.testing.assert_allclose(r, water.positions[j] - water.positions[i])


def test_cutoff_is_smooth():
    d = np.linspace(3.9, 4.1, 2001)
    f = descriptors.cutoff_function(d, 4.0)
    assert (f[d >= 4.0] == 0).all() and np.abs(np.gradient(f, d)).max() < 0.1


def test_coulomb_matrix():
    water = molecule("H2O")
    matrix = descriptors.coulomb_matrix([water], sort=False).reshape(3, 3)
    np.testing.assert_allclose(matrix[0, 0], 0.5 * 8**2.4)
    np.testing.assert_allclose(matrix[0, 1], 8 / water.get_distance(0, 1))
    shuffled = water[[2, 0, 1]]
    np.testing.assert_allclose(descriptors.coulomb_matrix([water]), descriptors.coulomb_matrix([shuffled]))
    assert not np.allclose(descriptors.coulomb_matrix([water], sort=False), descriptors.coulomb_matrix([shuffled], sort=False))
    assert descriptors.coulomb_matrix([water, molecule("CH4")]).shape == (2, 25)


def test_crystal_field_of_an_ion_pair():
    """One charge +1 at distance r: V'' = 2 k q / r^3 along the axis, -k q / r^3 across; the field points away from it."""
    atoms = Atoms("NLi", positions=[(0, 0, 0), (0, 0, 2.0)])
    weight = descriptors.cutoff_function(2.0, 7.0) * descriptors.COULOMB
    row = descriptors.crystal_field([atoms])[0]
    np.testing.assert_allclose(row, [-weight / 8, -weight / 8, weight / 4, weight / 4, -weight / 4, 2.0], rtol=1e-10)


def test_neighbour_count_and_cut():
    atoms = bulk("NaCl", "rocksalt", a=5.64, cubic=True)
    count = descriptors.neighbour_count([atoms, atoms], "Cl", cutoff=3.0)
    assert [list(part) for part in descriptors.per_structure(count, [atoms, atoms])] == [[6, 0] * 4] * 2


@pytest.mark.parametrize("call, words", [
    (lambda: descriptors.symmetry_functions([]), "empty"),
    (lambda: descriptors.symmetry_functions([Atoms("LiO", positions=[(0, 0, 0), (0, 0, 2)])], species=["Li"]), "O occurs"),
    (lambda: descriptors.symmetry_functions([Atoms("Li", positions=[(0, 0, np.nan)])]), "not a number"),
    (lambda: descriptors.symmetry_functions([Atoms("Li", pbc=True)]), "no volume"),
    (lambda: descriptors.symmetry_functions([Atoms("Li")], cutoff=-1), "positive"),
    (lambda: descriptors.madelung_potential([Atoms("LiO", positions=[(0, 0, 0), (0, 0, 2)])]), "periodic in three"),
    (lambda: descriptors.madelung_potential([Atoms("LiO", positions=[(0, 0, 0), (0, 0, 2)], cell=[4, 4, 4], pbc=True)]), "neutral"),
    (lambda: descriptors.madelung_potential([Atoms("U", cell=[4, 4, 4], pbc=True)]), "no charge is known for U"),
    (lambda: descriptors.madelung_potential([Atoms("LiO", cell=[4, 4, 4], pbc=True)], [[1.0, -1.0]]), "atoms 0 and 1 lie at one place"),
    (lambda: descriptors.madelung_potential([Atoms("LiO", cell=[4, 4, 4], pbc=True)], [[1.0]]), "in it one charge for each atom"),
    (lambda: descriptors.madelung_potential([bulk("NaCl", "rocksalt", a=5.6)], {"Na": np.nan, "Cl": -1}), "a charge is not a number"),
    (lambda: descriptors.madelung_potential([bulk("NaCl", "rocksalt", a=5.6)], {}), "known are none"),
    (lambda: descriptors.neighbour_count([Atoms("Li2", positions=[(0, 0, 0)] * 2)]), "lie at one place"),
    (lambda: descriptors.soap([Atoms("Li2", positions=[(0, 0, 0)] * 2)]), "lie at one place"),
    (lambda: descriptors.soap([Atoms("Li")], cutoff=0.5), "more than 1 A"),
    (lambda: descriptors.soap([Atoms("Li")], n_max=16), "too much alike"),
    (lambda: descriptors.symmetry_functions([Atoms("Li")], species="Li"), "list of chemical symbols"),
    (lambda: descriptors.symmetry_functions([Atoms("Li", pbc=True, cell=[4, 4, 4])], cutoff=np.inf), "positive number, not inf"),
    (lambda: descriptors.symmetry_functions(None), "in brackets"),
    (lambda: descriptors.symmetry_functions(["Li"]), "structure 0 is not an ase.Atoms, but a str"),
    (lambda: descriptors.symmetry_functions([Atoms("Li")], centres=(1, 2), widths=(1, 2, 3)), "as many as there are centres"),
    (lambda: descriptors.ace([Atoms("Li")], n_max=0), "n_max must be a whole number, 1 or more, not 0"),
    (lambda: descriptors.chebyshev([Atoms("Li")], radial_order=2.5), "whole number"),
    (lambda: descriptors.per_structure(np.zeros(5), [molecule("CO")] * 2), "4 atoms, but the array has 5 rows"),
    (lambda: descriptors.labels("chebyshev", []), "empty"),
    (lambda: descriptors.derivatives("chebyshev", bulk("Si") * (20, 20, 20)), "would take .* GB"),
    (lambda: descriptors.crystal_field([Atoms("LiO", positions=[(0, 0, 0), (0, 0, 0)])]), "lie at one place"),
    (lambda: descriptors.coulomb_matrix([Atoms("H2", positions=[(0, 0, 0)] * 2)]), "one place"),
    (lambda: descriptors.coulomb_matrix([molecule("CH4")], n_atoms=3), "too small"),
])
def test_one_clear_error(call, words):
    with pytest.raises(ValueError, match=words):
        call()


def test_isolated_atom_has_no_neighbours():
    assert (descriptors.symmetry_functions([Atoms("Li")]) == 0).all()
    assert descriptors.crystal_field([Atoms("Li")])[0].tolist() == [0, 0, 0, 0, 0, 7.0]


def test_real_cells():
    structures = datasets.load("lipon").structures[::20]
    potential = descriptors.madelung_potential(structures)
    symbols = np.concatenate([a.symbols for a in structures])
    assert (potential[symbols == "O"] > 0).all() and (potential[symbols == "P"] < 0).all()
