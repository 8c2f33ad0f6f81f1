"""Coulomb, sine and Ewald sum matrices: against dscribe, known values, symmetries, derivatives."""

import functools

import numpy as np
import pandas as pd
import pytest
from ase import Atoms
from ase.build import bulk, fcc100, molecule
from assertions import assert_derivatives, assert_symmetries
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation
from skewed_cells import skewed_cell

from mlms_helpers import descriptors
from mlms_helpers.descriptors import electrostatics, matrices
from mlms_helpers.descriptors.matrices import coulomb_matrix, ewald_matrix, sine_matrix

KINDS = {"coulomb": coulomb_matrix, "sine": sine_matrix, "ewald": ewald_matrix}
ORDERS = {"none": False, "sorted_l2": True, "eigenspectrum": "eigenvalues"}


SPECIES = ("H", "Li", "N", "O", "P", "Ti")
CELLS = [skewed_cell(seed, SPECIES, most=7, apart=0.8) for seed in range(50)]
SIZE = max(map(len, CELLS))
LARGE = [number for number, atoms in enumerate(CELLS) if len(atoms) > 2]


def of_dscribe(kind, order):
    from dscribe import descriptors as ds

    maker = {"coulomb": ds.CoulombMatrix, "sine": ds.SineMatrix, "ewald": ds.EwaldSumMatrix}[kind]
    return maker(n_atoms_max=SIZE, permutation=order).create(
        CELLS, **({"accuracy": 1e-13} if kind == "ewald" else {})
    )


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("kind", KINDS)
def test_agrees_with_dscribe(kind, order, dscribe_reads_ase):
    """Every element of 50 cells to 1e-5 of itself, or to 1e-9 of the largest where it all but vanishes."""
    ours, theirs = KINDS[kind](CELLS, sort=ORDERS[order]), of_dscribe(kind, order)
    assert (
        min(atoms.cell.angles().min() for atoms in CELLS) < 30
        and max(atoms.cell.angles().max() for atoms in CELLS) > 150
    )
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-9 * np.abs(b).max())


def test_agrees_with_dscribe_on_molecules():
    from dscribe.descriptors import CoulombMatrix

    molecules = [molecule(name) for name in ("H2O", "CH4", "C6H6", "CH3CH2OH", "SO2")]
    for order, sort in ORDERS.items():
        theirs = CoulombMatrix(n_atoms_max=12, permutation=order).create(molecules)
        ours = coulomb_matrix(molecules, sort=sort)
        if order == "sorted_l2":  # rounding decides the order of atoms alike by symmetry
            ours, theirs = np.sort(ours), np.sort(theirs)
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-9)


def test_ewald_matrix_does_not_depend_on_its_width(monkeypatch):
    """Both sums share the work in another way, and every element stays, though no cell is neutral."""
    reference = [ewald_matrix([atoms], sort=False) for atoms in CELLS[:10]]
    for factor in (0.6, 1.7):
        monkeypatch.setattr(
            matrices, "ewald_parts", lambda atoms, factor=factor: electrostatics.ewald_parts(atoms, factor)
        )
        for atoms, m in zip(CELLS[:10], reference, strict=True):
            np.testing.assert_allclose(
                ewald_matrix([atoms], sort=False), m, rtol=1e-8, atol=1e-8 * np.abs(m).max()
            )


@pytest.mark.parametrize(
    "structure, name, a, constant",
    [("rocksalt", "NaCl", 5.64, 1.7475646), ("cesiumchloride", "CsCl", 4.12, 1.7626748)],
)
def test_madelung_constant_in_the_ewald_matrix(structure, name, a, constant):
    """With charges +1 and -1, diagonal and upper triangle add up to the energy of an ion pair."""
    atoms = bulk(name, structure, a=a)
    m = ewald_matrix([atoms], sort=False).reshape(2, 2)
    q = np.array([1.0, -1.0])
    energy = (np.triu(m) * np.outer(q / atoms.numbers, q / atoms.numbers)).sum()
    nearest = a / 2 if structure == "rocksalt" else a * np.sqrt(3) / 2
    np.testing.assert_allclose(energy, -constant / nearest, rtol=1e-7)


def test_ewald_energy_of_a_lattice_of_charges_in_a_background():
    """Wigner's crystal, bcc: -0.895929 / r_s Hartree for each unit charge.

    C. A. Sholl, Proc. Phys. Soc. 92, 434 (1967).
    """
    atoms = Atoms("H2", scaled_positions=[(0, 0, 0), (0.5, 0.5, 0.5)], cell=[3.0] * 3, pbc=True)
    radius = (3 / (4 * np.pi) * 27 / 2) ** (1 / 3)
    per_charge = np.triu(ewald_matrix([atoms], sort=False).reshape(2, 2)).sum() / 2
    np.testing.assert_allclose(per_charge * radius, -0.895929, rtol=1e-6)


def test_coulomb_matrix_by_hand():
    water = molecule("H2O")
    m = coulomb_matrix([water], sort=False).reshape(3, 3)
    r = water.get_distance(0, 1)
    np.testing.assert_allclose(m[0], [0.5 * 8**2.4, 8 / r, 8 / r])
    np.testing.assert_allclose(m[1], [8 / r, 0.5, 1 / water.get_distance(1, 2)])


def test_sine_matrix_by_hand():
    """Half a lattice vector apart, sin^2 = 1: the distance is the whole vector; at a quarter, half of it."""
    for f, length in ((0.5, 4.0), (0.25, 2.0)):
        atoms = Atoms("LiO", scaled_positions=[(0, 0, 0), (f, 0, 0)], cell=[4.0, 5.0, 6.0], pbc=True)
        np.testing.assert_allclose(
            sine_matrix([atoms], sort=False), [[0.5 * 3**2.4, 24 / length, 24 / length, 0.5 * 8**2.4]]
        )


@pytest.mark.parametrize("kind", ["sine", "ewald"])
@settings(max_examples=10)
@given(seed=st.integers(0, 49), shift=st.tuples(*[st.integers(-3, 3)] * 3))
def test_periodicity(kind, seed, shift):
    """One atom moved by whole lattice vectors: the same row."""
    atoms = CELLS[seed]
    moved = atoms.copy()
    moved.positions[0] += np.array(shift) @ atoms.cell.array
    close(KINDS[kind]([atoms], sort=False), KINDS[kind]([moved], sort=False))
    if any(shift) and len(atoms) > 1:
        assert not np.allclose(
            coulomb_matrix([atoms], sort=False), coulomb_matrix([moved], sort=False), rtol=1e-3
        )


def test_choice_of_cell():
    """Another cell of the same size: the Ewald sum matrix stays, the sine matrix does not."""
    atoms = next(a for a in CELLS if len(a) > 3)
    other = atoms.copy()
    other.set_cell(np.array([(1, 1, 0), (0, 1, 0), (0, 0, 1)]) @ atoms.cell.array)
    close(ewald_matrix([atoms], sort=False), ewald_matrix([other], sort=False))
    assert not np.allclose(sine_matrix([atoms]), sine_matrix([other]), rtol=0.01)


def close(a, b):
    scale = np.abs(a).max()
    np.testing.assert_allclose(b / scale, a / scale, atol=1e-6)


@pytest.mark.parametrize("sort", [True, False, "eigenvalues"])
@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=8)
@given(seed=st.integers(0, 10**6))
def test_symmetries(kind, sort, seed):
    """Order of the atoms: only if sorted, or eigenvalues; choice of the cell: only Ewald, at equal size."""
    but = {"coulomb": set(), "sine": {"cell cut anew", "doubled"}, "ewald": {"doubled"}}[kind]
    structures = [CELLS[seed % 50], CELLS[LARGE[0]]]
    if kind == "coulomb":
        structures = [Atoms(atoms, pbc=False) for atoms in structures]
    assert_symmetries(
        KINDS[kind], structures, seed=seed, sort=sort, but=but if sort else but | {"renumbered"}
    )


@pytest.mark.parametrize("kind", KINDS)
def test_unsorted_matrix_follows_the_order(kind):
    atoms, order = (
        Atoms("LiOP", positions=[(0, 0, 0), (1.9, 0, 0), (0, 2.3, 1)], cell=[5, 6, 7], pbc=True),
        [1, 0, 2],
    )
    matrix, other = (KINDS[kind]([a], sort=False).reshape(3, 3) for a in (atoms, atoms[order]))
    np.testing.assert_allclose(matrix[order][:, order], other)
    assert not np.allclose(matrix, other)


@pytest.mark.parametrize("kind", KINDS)
def test_sorted_rows_and_eigenvalues(kind):
    """The norms of the rows descend; the sum of the eigenvalues is the trace; the rest is zeros."""
    for atoms in [a for a in CELLS if len(a) > 2][:5]:
        n, f = len(atoms), KINDS[kind]
        m = f([atoms], n_atoms=9).reshape(9, 9)
        assert (
            (np.diff(np.linalg.norm(m, axis=1)) <= 0).all() and (m[n:] == 0).all() and (m[:, n:] == 0).all()
        )
        np.testing.assert_allclose(m, m.T, rtol=1e-9)
        value = f([atoms], n_atoms=9, sort="eigenvalues")[0]
        assert value.shape == (9,) and (np.diff(np.abs(value)) <= 0).all() and (value[n:] == 0).all()
        np.testing.assert_allclose(value.sum(), np.trace(m), rtol=1e-9)
        np.testing.assert_allclose((value**2).sum(), (m**2).sum(), rtol=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_one_by_one_and_all_at_once(kind):
    """Structures of one size are worked on together; their rows are those of each alone."""
    for sort in (True, False, "eigenvalues"):
        alone = [KINDS[kind]([atoms], n_atoms=SIZE, sort=sort)[0] for atoms in CELLS]
        np.testing.assert_allclose(KINDS[kind](CELLS, sort=sort), alone, rtol=1e-12, atol=1e-12)


def test_random_order():
    """Seeded; the same atoms in another order each time, and sorted without noise."""
    ethanol = [molecule("CH3CH2OH")] * 20
    rows = coulomb_matrix(ethanol, sort="random", seed=3, noise=5.0)
    np.testing.assert_array_equal(rows, coulomb_matrix(ethanol, sort="random", seed=3, noise=5.0))
    assert not np.array_equal(rows, coulomb_matrix(ethanol, sort="random", seed=4, noise=5.0))
    assert len(np.unique(rows.round(6), axis=0)) > 10
    np.testing.assert_allclose(np.sort(rows), np.sort(coulomb_matrix(ethanol)), rtol=1e-12)
    np.testing.assert_array_equal(coulomb_matrix(ethanol, sort="random", noise=0.0), coulomb_matrix(ethanol))
    first = rows.reshape(20, 9, 9)[:, 0, 0]  # a little noise cannot bring the H to the front
    assert np.isin(first.round(6), (0.5 * np.array([6.0, 8.0]) ** 2.4).round(6)).all()


def test_labels():
    pair = [molecule("H2O"), molecule("CO2")]
    labels = functools.partial(descriptors.labels, coulomb_matrix)
    assert labels(pair)[:4] == ["row 1, column 1", "row 1, column 2", "row 1, column 3", "row 2, column 1"]
    assert labels(pair, sort="random", noise=2.0) == labels(pair)
    assert labels(pair, n_atoms=4, sort=False)[-1] == "atom 4, atom 4"
    assert labels(pair, sort="eigenvalues") == ["eigenvalue 1", "eigenvalue 2", "eigenvalue 3"]
    for sort in (True, False, "eigenvalues", "random"):
        assert (
            len(descriptors.labels(coulomb_matrix, pair, n_atoms=5, sort=sort))
            == coulomb_matrix(pair, 5, sort).shape[1]
        )


@pytest.mark.parametrize("sort", [True, False, "eigenvalues"])
@pytest.mark.parametrize("kind", KINDS)
def test_derivatives(kind, sort):
    """Where no two norms cross; padding does not move."""
    structures = [atoms for atoms in (CELLS[k] for k in LARGE) if norm_gap(kind, atoms) > 0.1][:6]
    assert len(structures) == 6
    assert_derivatives(KINDS[kind], structures, n_atoms=8, sort=sort)


def norm_gap(kind, atoms):
    matrix = KINDS[kind]([atoms], sort=False).reshape(len(atoms), -1)
    return np.diff(np.sort(np.linalg.norm(matrix, axis=1))).min()


PAIR = Atoms("LiO", positions=[(0, 0, 0), (0, 0, 2)])
ON_IMAGE = Atoms("LiOP", positions=[(2, 2, 2), (0, 0, 0), (4, 0, 4)], cell=[4, 5, 4], pbc=True)


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: coulomb_matrix([]), "empty"),
        (
            lambda: coulomb_matrix([PAIR, molecule("CH4"), Atoms("H2", positions=[(0, 0, 0)] * 2)]),
            "two atoms lie at one place: the Coulomb matrix diverges .structure 2, atom 0 and atom 1",
        ),
        (
            lambda: coulomb_matrix([molecule("CH4")], n_atoms=3),
            "n_atoms=3 is too small: one structure has 5 atoms",
        ),
        (lambda: coulomb_matrix([PAIR], sort="norm"), "sort='norm' is unknown"),
        (lambda: coulomb_matrix([PAIR], sort="random", noise=-1.0), "cannot be -1"),
        (
            lambda: coulomb_matrix([PAIR, Atoms("H", positions=[(0, np.nan, 0)])]),
            "structure 1: the position of atom 0 is not",
        ),
        (
            lambda: sine_matrix([PAIR]),
            "structure 0: the sine matrix needs a cell that is periodic in three directions",
        ),
        (
            lambda: ewald_matrix([ON_IMAGE[[0, 1]], fcc100("Al", (1, 1, 2), vacuum=5.0)]),
            "structure 1: the Ewald sum matrix needs",
        ),
        (
            lambda: sine_matrix([ON_IMAGE]),
            "the sine matrix diverges .structure 0, atom 1 and atom 2 or its image",
        ),
        (
            lambda: ewald_matrix([ON_IMAGE]),
            "the Ewald sum matrix diverges .structure 0, atom 1 and atom 2 or its image",
        ),
        (lambda: ewald_matrix([Atoms("H", pbc=True)]), "no volume"),
        (
            lambda: descriptors.derivatives(coulomb_matrix, PAIR, sort="random"),
            "a random order has no derivative",
        ),
        (
            lambda: descriptors.derivatives(coulomb_matrix, molecule("CH4"), sort="eigenvalues"),
            "two eigenvalues are equal",
        ),
        (lambda: descriptors.derivatives(ewald_matrix, PAIR), "periodic in three"),
    ],
)
def test_one_clear_error(call, words):
    with pytest.raises(ValueError, match=words):
        call()


def test_one_atom():
    """The diagonal alone; of the Ewald sum, the energy of a simple cubic lattice (Sholl: -0.880059 / r_s)."""
    np.testing.assert_allclose(coulomb_matrix([Atoms("O")]), [[0.5 * 8**2.4]])
    cubic = Atoms("O", cell=[3.0] * 3, pbc=True)
    np.testing.assert_allclose(sine_matrix([cubic]), [[0.5 * 8**2.4]])
    np.testing.assert_allclose(
        ewald_matrix([cubic]) * 3.0 * (3 / (4 * np.pi)) ** (1 / 3), [[-0.880059 * 64]], rtol=1e-6
    )
    assert (descriptors.derivatives(ewald_matrix, cubic) == 0).all()


def test_what_symmetry_makes_equal_keeps_its_order():
    """Turned benzene, shifted rock salt: rows of equal norm must not be ordered by rounding."""
    benzene, salt = molecule("C6H6"), bulk("NaCl", "rocksalt", a=5.64, cubic=True)
    turned = benzene.copy()
    turned.positions = benzene.positions @ Rotation.random(random_state=3).as_matrix()
    np.testing.assert_allclose(coulomb_matrix([turned]), coulomb_matrix([benzene]), atol=1e-8)
    shifted = salt.copy()
    shifted.translate((0.1, 0.2, 0.3))
    np.testing.assert_allclose(ewald_matrix([shifted]), ewald_matrix([salt]), atol=1e-7)


def test_structures_of_a_shuffled_series_keep_their_places():
    structures = [molecule(name) for name in ("H2O", "NH3", "CH4")]
    np.testing.assert_array_equal(
        coulomb_matrix(pd.Series(structures, index=[2, 0, 1])), coulomb_matrix(structures)
    )
    np.testing.assert_array_equal(coulomb_matrix(atoms for atoms in structures), coulomb_matrix(structures))


def test_derivatives_of_a_large_matrix():
    """One row a structure: 140 atoms take 66 MB, well below the limit."""
    large = Atoms(
        "Li140", positions=np.random.default_rng(0).permutation(np.indices((5, 7, 4)).reshape(3, -1).T * 2.0)
    )
    out = descriptors.derivatives("coulomb_matrix", large, sort=False)
    assert out.shape == (140**2, 140, 3) and np.abs(out.sum(axis=1)).max() < 1e-12
