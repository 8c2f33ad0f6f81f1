"""Internal coordinates of bent molecules: by hand, in every order, invariant; polynomials in them."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from scipy.spatial.transform import Rotation

from mlms_helpers import descriptors


def bent(first, second, degrees):
    angle = np.radians(degrees)
    return Atoms("OHH", [(0, 0, 0), (first, 0, 0), (second * np.cos(angle), second * np.sin(angle), 0)])


@pytest.fixture
def dimer():
    other = bent(0.94, 1.02, 101)
    other.positions = Rotation.random(rng=np.random.default_rng(1)).apply(other.positions)
    other.translate([2.9, 0.2, 0.4])
    return bent(0.97, 1.05, 108) + other


def test_one_molecule_by_hand():
    x = descriptors.internal_coordinates([bent(0.9, 1.1, 120)])
    np.testing.assert_allclose(x, [[[0.9, 1.1, -0.5], [1.1, 0.9, -0.5]]])
    a, b = np.exp(-0.9), np.exp(-1.1)
    columns = descriptors.symmetric_polynomials(x, 2)[0]
    by_hand = [-0.5, 0.25, (a + b) / 2, -(a + b) / 4, a * b, (a * a + b * b) / 2]
    np.testing.assert_allclose(sorted(columns), sorted(by_hand))


def test_two_molecules_are_one_beside_the_other(dimer):
    x = descriptors.internal_coordinates([dimer])
    assert x.shape == (1, 8, 15)
    np.testing.assert_allclose(x[0, 0, :3], [0.97, 1.05, np.cos(np.radians(108))])
    np.testing.assert_allclose(x[0, 0, 6:], dimer.get_all_distances()[:3, 3:].ravel())


def test_like_atoms_and_molecules_reorder_the_rows_and_no_more(dimer):
    before = descriptors.internal_coordinates([dimer])[0]
    for order in ([0, 2, 1, 3, 4, 5], [3, 4, 5, 0, 1, 2], [3, 5, 4, 0, 2, 1]):
        after = descriptors.internal_coordinates([dimer[order]])[0]
        np.testing.assert_allclose(np.sort(after, axis=0), np.sort(before, axis=0))
        assert not np.allclose(after, before)
    mixed = descriptors.internal_coordinates([dimer[[0, 4, 2, 3, 1, 5]]])[0]  # an H of each molecule
    assert not np.allclose(np.sort(mixed, axis=0), np.sort(before, axis=0))
    turned = dimer.copy()
    turned.rotate(40, (1, 2, 3))
    turned.translate((1, 2, 3))
    np.testing.assert_allclose(descriptors.internal_coordinates([turned])[0], before)


def test_polynomials_are_all_that_like_the_ends_alike():
    """As many columns as there are monomials s^i p^j c^k in a + b, ab and c, which make all of them."""
    rng = np.random.default_rng(0)
    shapes = [bent(*rng.uniform(0.8, 1.3, 2), rng.uniform(70, 170)) for _ in range(80)]
    columns = descriptors.symmetric_polynomials(descriptors.internal_coordinates(shapes), 4)
    count = sum(0 < i + 2 * j + k <= 4 for i, j, k in itertools.product(range(5), repeat=3))
    assert columns.shape == (80, count)
    assert np.linalg.matrix_rank(columns - columns.mean(axis=0), tol=1e-12) == count
    turned = descriptors.symmetric_polynomials(
        descriptors.internal_coordinates([atoms[[0, 2, 1]] for atoms in shapes]), 4
    )
    np.testing.assert_allclose(turned, columns)


def test_jax_differentiates_them(dimer):
    def total(positions, xp):
        x = descriptors.internal_coordinates(positions[None], xp)
        return (x**2).sum() + descriptors.symmetric_polynomials(x[..., :3][:, :2], 3, xp=xp).sum()

    with jax.enable_x64(True):
        slope = np.array(jax.grad(total)(jnp.array(dimer.positions), jnp))
    step = np.zeros((6, 3))
    step[4, 1] = 1e-5
    numeric = (total(dimer.positions + step, np) - total(dimer.positions - step, np)) / 2e-5
    np.testing.assert_allclose(slope[4, 1], numeric, rtol=1e-7)


@pytest.mark.parametrize(
    "structures, words",
    [
        ([molecule("CH4")], "molecules A B B"),
        ([molecule("CO2")[[1, 0, 2]]], "molecules A B B"),
        ([molecule("H2O"), molecule("H2O") + molecule("H2O")], "structure 1 is"),
        ([], "is empty"),
        (np.zeros((2, 4, 3)), "3 atoms a molecule"),
    ],
)
def test_other_molecules_are_refused(structures, words):
    with pytest.raises(ValueError, match=words):
        descriptors.internal_coordinates(structures)


def test_polynomials_refuse_what_they_cannot_take(dimer):
    x = descriptors.internal_coordinates([dimer])
    with pytest.raises(ValueError, match="one molecule"):
        descriptors.symmetric_polynomials(x, 2)
    with pytest.raises(ValueError, match="degree"):
        descriptors.symmetric_polynomials(x[:, :2, :3], 0)
    with pytest.raises(ValueError, match="length"):
        descriptors.symmetric_polynomials(x[:, :2, :3], 2, length=0)
