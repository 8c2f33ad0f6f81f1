"""Descriptors: known values, and the symmetries they must have, on cells that hypothesis draws."""

import re

import numpy as np
import pandas as pd
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from assertions import assert_derivatives, assert_symmetries, assert_units, larger
from hypothesis import given, settings
from hypothesis import strategies as st
from skewed_cells import skewed_cell

from mlms_helpers import datasets, descriptors

CHARGES = {"Na": 1.0, "Cl": -1.0, "Cs": 1.0, "Zn": 2.0, "S": -2.0}
ALL = ["Li", "N", "O", "P"]


def cell(seed):
    return skewed_cell(seed, "Li2PO2N", apart=1.2)  # neutral: 2 + 5 - 4 - 3


@pytest.mark.parametrize(
    "descriptor, hyperparameters",
    [
        (descriptors.symmetry_functions, {"species": ALL}),
        (descriptors.symmetry_functions, {"cutoff": 11.0}),
        (descriptors.madelung_potential, {}),
        (descriptors.crystal_field, {}),
        (descriptors.neighbour_count, {"cutoff": 4.0}),
        (descriptors.soap, {"cutoff": 4.0, "species": ALL}),
    ],
)
@settings(max_examples=8)
@given(seed=st.integers(0, 10**6))
def test_symmetries(descriptor, hyperparameters, seed):
    assert_symmetries(descriptor, [cell(seed)], seed=seed, **hyperparameters)


@pytest.mark.parametrize(
    "descriptor, unit, hyperparameters",
    [
        (descriptors.madelung_potential, None, {}),
        (descriptors.crystal_field, None, {}),
        (descriptors.neighbour_count, None, {"cutoff": 4.0}),
        (descriptors.symmetry_functions, None, {"g3": [0.7], "g4": [(0.05, 4, 1)], "g5": [(0.1, 2.5, -1)]}),
        (descriptors.symmetry_functions, None, {"g2": [(0.4, 0.0), (2.0, 1.7)]}),
        (descriptors.chebyshev, None, {}),
        (descriptors.ace, None, {"order": 4, "n_max": 2, "l_max": 2}),
        (descriptors.radial_distribution, "1/A", {"cutoff": 5.0, "points": 50}),
        (descriptors.angular_distribution, "1/degree", {"cutoff": 4.0, "lengths": {"width": 0}}),
        (descriptors.coulomb_matrix, np.where(np.eye(6), "e", "e^2 / A").ravel(), {"sort": False}),
        (descriptors.ewald_matrix, "e^2 / A", {}),
    ],
)
def test_units(descriptor, unit, hyperparameters):
    assert_units(descriptor, [cell(3), cell(8)], unit, **hyperparameters)


def test_the_assertions_can_fail():
    """A library that all descriptors pass must not pass all."""

    def coordinates(structures):
        return np.concatenate([atoms.positions for atoms in structures])

    with pytest.raises(AssertionError, match="coordinates changes where the crystal is turned"):
        assert_symmetries(coordinates, [cell(3)])
    with pytest.raises(AssertionError, match=r"does not react to \{'turned'\}"):
        assert_symmetries(descriptors.madelung_potential, [cell(3)], but={"turned"})
    with pytest.raises(AssertionError, match="Not equal to tolerance"):
        assert_derivatives(descriptors.madelung_potential, [cell(3)], step=0.2)
    with pytest.raises(AssertionError, match="Not equal to tolerance"):
        assert_units(descriptors.crystal_field, [cell(3)], "V/A")
    with pytest.raises(AssertionError, match="no A\\^3 there"):
        assert_units(descriptors.madelung_potential, [cell(3)], "A^3")


def test_unit_of_soap(monkeypatch):
    """Its first orbital ends at 1 A: longer with all else, and without angular momentum, its unit shows."""
    settings = {"n_max": 3, "l_max": 0}
    before = descriptors.power_spectrum([cell(3)], cutoff=4.0, sigma=0.4, **settings)
    monkeypatch.setattr(descriptors.density, "INNERMOST", 1.25)
    after = descriptors.power_spectrum([larger(cell(3), 1.25)], cutoff=5.0, sigma=0.5, **settings)
    np.testing.assert_allclose(after, before * 1.25**3, rtol=1e-9)


@pytest.mark.parametrize(
    "structure, a, constant",
    [
        ("rocksalt", ("NaCl", 5.64), 1.7475646),
        ("cesiumchloride", ("CsCl", 4.12), 1.7626748),
        ("zincblende", ("ZnS", 5.41), 1.6380551),
    ],
)
def test_madelung_constants(structure, a, constant):
    """C. Kittel, Introduction to Solid State Physics, chapter 3: -constant * charge / nearest distance."""
    atoms = bulk(a[0], structure, a=a[1])
    charge = {s: CHARGES[s] for s in set(atoms.symbols)}
    nearest = atoms.get_all_distances(mic=True)[0, 1]
    q = np.array([charge[s] for s in atoms.symbols])
    found = -descriptors.madelung_potential([atoms], charge) * nearest / (descriptors.COULOMB * q)
    np.testing.assert_allclose(found, constant, rtol=1e-6)


@pytest.mark.parametrize("listed", [list, tuple, iter, lambda arrays: pd.Series(arrays, index=[2, 0, 1])])
def test_charges_of_single_atoms(listed):
    """Cells of several sizes: an array each gives what the table of symbols gives, in the list's order."""
    salt = bulk("NaCl", "rocksalt", a=5.64)
    structures = [salt, bulk("CsCl", "cesiumchloride", a=4.12), salt * (2, 1, 1)]
    arrays = [np.array([CHARGES[s] for s in atoms.symbols]) for atoms in structures]
    for descriptor in (descriptors.madelung_potential, descriptors.crystal_field):
        by_symbol = descriptor(structures, charges=CHARGES)
        np.testing.assert_allclose(descriptor(structures, charges=listed(arrays)), by_symbol)
    half = [q / 2 for q in arrays]
    by_symbol = descriptors.madelung_potential(structures, CHARGES)
    np.testing.assert_allclose(descriptors.madelung_potential(structures, half), by_symbol / 2)


@pytest.mark.parametrize("descriptor", [descriptors.madelung_potential, descriptors.crystal_field])
@pytest.mark.parametrize(
    "charges, words",
    [
        ([[1, -1]], "there are 2 structures, but charges of 1"),
        ([[1, -1]] * 3, "there are 2 structures, but charges of 3"),
        (1.0, "there are 2 structures, but charges of 0"),
        ([[1, -1], [1, -1, 0]], "structure 1 has 2 atoms"),
        ([[1, -1], [1, "high"]], "structure 1: a charge is not a number"),
        ([[1, -1], [1, None]], "structure 1: a charge is not a number"),
        ({"Na": 1, "Cl": "-"}, "structure 0: a charge is not a number"),
    ],
)
def test_charges_of_other_structures(descriptor, charges, words):
    """One array too many would be another structure's without a word."""
    with pytest.raises(ValueError, match=words):
        descriptor([bulk("NaCl", "rocksalt", a=5.64)] * 2, charges=charges)


@pytest.mark.parametrize("symbol", ["h", "HO", "Hx", "X", "", 1, None, ["H"]])
def test_a_symbol_that_is_none(symbol):
    with pytest.raises(ValueError, match=f"a chemical symbol, as 'Li', not {re.escape(repr(symbol))}"):
        descriptors.neighbour_count([molecule("H2O")], symbol=symbol)
    with pytest.raises(ValueError, match="species must be a list of chemical symbols"):
        descriptors.symmetry_functions([molecule("H2O")], species=["H", "O", symbol])
    assert (
        descriptors.neighbour_count([molecule("H2O")], symbol="Li") == 0
    ).all()  # an element that is not there


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
        theirs = ACSF(
            species=["Li", "N", "O", "P"],
            r_cut=9.0,
            periodic=True,
            g2_params=[(1 / (2 * 0.3**2), 1.5), (1 / (2 * 0.7**2), 3.0)],
        ).create(atoms)
        per_species = theirs.reshape(len(atoms), 4, 3)[:, :, 1:]  # drop G1
        np.testing.assert_allclose(ours, per_species.reshape(len(atoms), -1), rtol=1e-5, atol=1e-9)


def test_a_cutoff_far_beyond_a_molecule():
    water = molecule("H2O")
    i, j, r = descriptors.neighbours(water, 1e5)
    assert sorted(zip(i, j, strict=True)) == [(0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1)]
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
    assert not np.allclose(
        descriptors.coulomb_matrix([water], sort=False), descriptors.coulomb_matrix([shuffled], sort=False)
    )
    assert descriptors.coulomb_matrix([water, molecule("CH4")]).shape == (2, 25)


def test_crystal_field_of_an_ion_pair():
    """One charge +1: V'' = 2 k q / r^3 along the axis, -k q / r^3 across; the field points away from it."""
    atoms = Atoms("NLi", positions=[(0, 0, 0), (0, 0, 2.0)])
    weight = descriptors.cutoff_function(2.0, 7.0) * descriptors.COULOMB
    row = descriptors.crystal_field([atoms])[0]
    np.testing.assert_allclose(
        row, [-weight / 8, -weight / 8, weight / 4, weight / 4, -weight / 4, 2.0], rtol=1e-10
    )


def test_neighbour_count_and_cut():
    atoms = bulk("NaCl", "rocksalt", a=5.64, cubic=True)
    count = descriptors.neighbour_count([atoms, atoms], "Cl", cutoff=3.0)
    assert [list(part) for part in descriptors.per_structure(count, [atoms, atoms])] == [[6, 0] * 4] * 2


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: descriptors.symmetry_functions([]), "empty"),
        (
            lambda: descriptors.symmetry_functions(
                [Atoms("LiO", positions=[(0, 0, 0), (0, 0, 2)])], species=["Li"]
            ),
            "O occurs",
        ),
        (lambda: descriptors.symmetry_functions([Atoms("Li", positions=[(0, 0, np.nan)])]), "not a number"),
        (lambda: descriptors.symmetry_functions([Atoms("Li", pbc=True)]), "no volume"),
        (lambda: descriptors.symmetry_functions([Atoms("Li")], cutoff=-1), "positive"),
        (lambda: descriptors.symmetry_functions([Atoms("Li")], cutoff="5"), "positive number, not 5"),
        (lambda: descriptors.symmetry_functions([Atoms("Li")], species=5), "list of chemical symbols"),
        (
            lambda: descriptors.madelung_potential([Atoms("LiO", positions=[(0, 0, 0), (0, 0, 2)])]),
            "periodic in three",
        ),
        (
            lambda: descriptors.madelung_potential(
                [Atoms("LiO", positions=[(0, 0, 0), (0, 0, 2)], cell=[4, 4, 4], pbc=True)]
            ),
            "neutral",
        ),
        (
            lambda: descriptors.madelung_potential([Atoms("U", cell=[4, 4, 4], pbc=True)]),
            "no charge is known for U",
        ),
        (
            lambda: descriptors.madelung_potential([Atoms("LiO", cell=[4, 4, 4], pbc=True)], [[1.0, -1.0]]),
            "atoms 0 and 1 lie at one place",
        ),
        (
            lambda: descriptors.madelung_potential([Atoms("LiO", cell=[4, 4, 4], pbc=True)], [[1.0]]),
            "in it one charge for each atom",
        ),
        (
            lambda: descriptors.madelung_potential(
                [bulk("NaCl", "rocksalt", a=5.6)], {"Na": np.nan, "Cl": -1}
            ),
            "a charge is not a number",
        ),
        (lambda: descriptors.madelung_potential([bulk("NaCl", "rocksalt", a=5.6)], {}), "known are none"),
        (lambda: descriptors.neighbour_count([Atoms("Li2", positions=[(0, 0, 0)] * 2)]), "lie at one place"),
        (lambda: descriptors.soap([Atoms("Li2", positions=[(0, 0, 0)] * 2)]), "lie at one place"),
        (lambda: descriptors.soap([Atoms("Li")], cutoff=0.5), "more than 1 A"),
        (lambda: descriptors.soap([Atoms("Li")], n_max=16), "too much alike"),
        (lambda: descriptors.symmetry_functions([Atoms("Li")], species="Li"), "list of chemical symbols"),
        (
            lambda: descriptors.symmetry_functions([Atoms("Li", pbc=True, cell=[4, 4, 4])], cutoff=np.inf),
            "positive number, not inf",
        ),
        (lambda: descriptors.symmetry_functions(None), "in brackets"),
        (lambda: descriptors.symmetry_functions(["Li"]), "structure 0 is not an ase.Atoms, but a str"),
        (
            lambda: descriptors.symmetry_functions([Atoms("Li")], centres=(1, 2), widths=(1, 2, 3)),
            "as many as there are centres",
        ),
        (lambda: descriptors.ace([Atoms("Li")], n_max=0), "n_max must be a whole number, 1 or more, not 0"),
        (lambda: descriptors.chebyshev([Atoms("Li")], radial_order=2.5), "whole number"),
        (
            lambda: descriptors.per_structure(np.zeros(5), [molecule("CO")] * 2),
            "4 atoms, but the array has 5 rows",
        ),
        (lambda: descriptors.labels("chebyshev", []), "empty"),
        (lambda: descriptors.derivatives("chebyshev", bulk("Si") * (20, 20, 20)), "would take .* GB"),
        (
            lambda: descriptors.crystal_field([Atoms("LiO", positions=[(0, 0, 0), (0, 0, 0)])]),
            "lie at one place",
        ),
        (lambda: descriptors.coulomb_matrix([Atoms("H2", positions=[(0, 0, 0)] * 2)]), "one place"),
        (lambda: descriptors.coulomb_matrix([molecule("CH4")], n_atoms=3), "too small"),
    ],
)
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
