"""Distributions of distances and angles: known values, agreement with dscribe, symmetries, smoothness."""

import functools

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, fcc111, molecule
from ase.neighborlist import neighbor_list
from assertions import assert_symmetries
from hypothesis import given, settings
from hypothesis import strategies as st
from skewed_cells import skewed_cell

from mlms_helpers import descriptors
from mlms_helpers.descriptors import angular_distribution, cutoff_function, labels, radial_distribution

SPECIES = ["Li", "N", "O"]
PAIRS = [("Li", "Li"), ("Li", "N"), ("Li", "O"), ("N", "N"), ("N", "O"), ("O", "O")]
BOTH = {
    "radial": functools.partial(radial_distribution, species=SPECIES, cutoff=5.0, points=50),
    "angular": functools.partial(angular_distribution, species=SPECIES, cutoff=4.0),
}


CELLS = [skewed_cell(seed, tuple(SPECIES), apart=0.3) for seed in range(50)]


def test_radial_distribution_agrees_with_dscribe(dscribe_reads_ase):
    """dscribe's many-body tensor counts pairs, each once, in bins of 1/100 of the width: alike to 1e-5."""
    from dscribe.descriptors import MBTR

    reach = 5.0 + 6 * 0.5
    theirs = MBTR(
        species=SPECIES,
        geometry={"function": "distance"},
        grid={"min": 0, "max": 5, "n": 1001, "sigma": 0.5},
        weighting={"function": "exp", "scale": 1e-9, "threshold": np.exp(-1e-9 * reach)},
        normalization="none",
        periodic=True,
    )
    ours = radial_distribution(CELLS, cutoff=5.0, width=0.5, points=1001, species=SPECIES).reshape(
        50, 6, 1001
    )
    for atoms, curves in zip(CELLS, ours, strict=True):
        b = theirs.create(atoms)
        for (first, second), curve in zip(PAIRS, curves, strict=True):
            counted = curve * (atoms.symbols == first).sum() / (2 if first == second else 1)
            np.testing.assert_allclose(counted, b[theirs.get_location((first, second))], atol=1e-5 * b.max())


def test_angular_distribution_agrees_with_dscribe(dscribe_reads_ase):
    """50 stars, N with 2 to 6 neighbours at one distance: all weights are alike; ends folded back as ours."""
    from dscribe.descriptors import MBTR

    theirs = MBTR(
        species=SPECIES,
        geometry={"function": "angle"},
        grid={"min": -90, "max": 270, "n": 3601, "sigma": 10},
        weighting={"function": "unity"},
        normalization="none",
        periodic=False,
    )
    for seed in range(50):
        rng = np.random.default_rng(seed)
        arms = rng.normal(size=(rng.integers(2, 7), 3))
        positions = [np.zeros(3), *(2 * arms / np.linalg.norm(arms, axis=1)[:, None])]
        star = Atoms(["N", *rng.choice(["Li", "O"], len(arms))], positions=positions)
        ours = angular_distribution([star], cutoff=3.0, width=10.0, points=1801, species=SPECIES).reshape(
            3, 6, 1801
        )[1]
        b = theirs.create(star)
        for (first, second), curve in zip(PAIRS, ours, strict=True):
            below, middle, above = np.split(b[theirs.get_location((first, "N", second))], [900, 2701])
            middle[1:901] += below[::-1]
            middle[900:-1] += above[::-1]
            np.testing.assert_allclose(
                curve[1:-1], (middle * cutoff_function(2.0, 3.0) ** 2)[1:-1], atol=1e-5 * b.max()
            )


def test_radial_distribution_from_its_definition():
    """ASE's neighbour list, and every Gaussian on the whole grid."""
    grid = np.linspace(0, 5, 50)
    for atoms, row in zip(CELLS, BOTH["radial"](CELLS).reshape(50, 6, 50), strict=True):
        i, j, d = neighbor_list("ijd", atoms, 6.0)
        for (first, second), curve in zip(PAIRS, row, strict=True):
            chosen = d[(atoms.symbols[i] == first) & (atoms.symbols[j] == second)]
            expected = np.exp(-((grid[:, None] - chosen) ** 2) / (2 * 0.1**2)).sum(1) / (
                0.1 * np.sqrt(2 * np.pi)
            )
            np.testing.assert_allclose(curve, expected / max((atoms.symbols == first).sum(), 1), atol=1e-6)


def test_coordination_numbers_of_rocksalt():
    """6 of the other kind at a / 2, 12 of the own at a / sqrt 2, 8 of the other at a sqrt 3 / 2."""
    a = 5.64
    grid = np.linspace(0, 8, 160)
    for atoms in (bulk("NaCl", "rocksalt", a=a), bulk("NaCl", "rocksalt", a=a, cubic=True).repeat((2, 1, 1))):
        cl_cl, cl_na, na_na = radial_distribution([atoms], width=0.06, points=160).reshape(3, 160)
        for curve, first, count in (
            (cl_na, a / 2, 6),
            (cl_cl, a / np.sqrt(2), 12),
            (na_na, a / np.sqrt(2), 12),
            (cl_na, a * np.sqrt(3) / 2, 8),
            (cl_cl, a, 6),
        ):
            peak = np.abs(grid - first) < 0.4
            np.testing.assert_allclose(np.trapezoid(curve[peak], grid[peak]), count, rtol=1e-3)
            np.testing.assert_allclose(grid[peak][curve[peak].argmax()], first, atol=0.03)
        assert cl_na[grid < a / 2 - 0.4].max() < 1e-6 and cl_cl[grid < a / np.sqrt(2) - 0.4].max() < 1e-6


def test_integral_of_one_neighbour_is_one():
    """A molecule: one Li with two O at 1.7 and 2.9 A; seen from Li two, the area of each peak one."""
    atoms = Atoms("LiO2", positions=[(0, 0, 0), (1.7, 0, 0), (0, 2.9, 0)])
    li_li, li_o, o_o = radial_distribution([atoms]).reshape(3, 81)
    grid = np.linspace(0, 8, 81)
    np.testing.assert_allclose(
        [np.trapezoid(curve, grid) for curve in (li_li, li_o, o_o)], [0, 2, 1], atol=1e-6
    )
    np.testing.assert_allclose(np.trapezoid(li_o * (grid < 2.3), grid), 1, rtol=1e-6)
    np.testing.assert_allclose(np.trapezoid(o_o * grid, grid), np.hypot(1.7, 2.9), rtol=1e-6)


def test_g_of_r_of_an_ideal_gas_is_one():
    """Random points, as many to a volume everywhere: curve / (4 pi r^2 density) is 1 but for noise."""
    rng = np.random.default_rng(0)
    gas = Atoms(["Li"] * 500 + ["O"] * 1000, positions=rng.random((1500, 3)) * 16, cell=[16] * 3, pbc=True)
    grid, curves = (
        np.linspace(0, 6, 31),
        radial_distribution([gas], cutoff=6.0, width=0.3, points=31).reshape(3, 31),
    )
    for curve, number in zip(curves, (500, 1000, 1000), strict=True):  # Li-Li, Li-O, O-O
        np.testing.assert_allclose((curve[10:] / (4 * np.pi * grid[10:] ** 2 * number / 16**3)), 1, atol=0.08)


def test_angles_of_rocksalt():
    """Six neighbours make 15 pairs: 12 at 90 degrees, 3 straight ones."""
    atoms = bulk("NaCl", "rocksalt", a=5.64)
    curves = (
        angular_distribution([atoms], cutoff=3.5, points=181).reshape(2, 3, 181)
        / cutoff_function(2.82, 3.5) ** 2
    )
    grid = np.linspace(0, 180, 181)
    for curve in (curves[0, 2], curves[1, 0]):  # Na-Cl-Na, Cl-Na-Cl
        right, straight = curve * (grid < 135), curve * (grid >= 135)
        np.testing.assert_allclose(
            [np.trapezoid(right, grid), np.trapezoid(straight, grid)], [12, 3], rtol=1e-6
        )
        assert grid[right.argmax()] == 90 and grid[straight.argmax()] == 180
        np.testing.assert_allclose(curve[180], 3 * 2 / (4 * np.sqrt(2 * np.pi)), rtol=1e-6)
    assert np.delete(curves.reshape(6, 181), [2, 3], axis=0).max() == 0


@pytest.mark.parametrize("angle", [0.5, 3.0, 60.0, 104.5, 177.0, 179.9, 180.0])
@pytest.mark.parametrize("width", [4.0, 70.0])
def test_area_of_one_angle_is_one(angle, width):
    turn = np.radians(angle)
    atoms = Atoms("OLiN", positions=[(0, 0, 0), (1, 0, 0), (2 * np.cos(turn), 2 * np.sin(turn), 0)])
    curves = angular_distribution([atoms], cutoff=2.5, width=width, species=SPECIES).reshape(3, 6, 60)
    weight = cutoff_function(1.0, 2.5) * cutoff_function(2.0, 2.5)
    np.testing.assert_allclose(np.trapezoid(curves[2, 1], np.linspace(0, 180, 60)), weight, rtol=1e-6)
    np.testing.assert_allclose((curves[2, 1] - curves[2].sum(axis=0)) ** 2, 0)


def test_water_by_hand():
    water = molecule("H2O")
    d, angle, grid = water.get_distance(0, 1), water.get_angle(1, 0, 2), np.linspace(0, 180, 60)
    curve = angular_distribution([water], cutoff=1.4).reshape(2, 3, 60)[1, 0]
    expected = np.exp(-((grid - angle) ** 2) / 32) / (4 * np.sqrt(2 * np.pi)) * cutoff_function(d, 1.4) ** 2
    np.testing.assert_allclose(curve, expected, atol=1e-9)


@pytest.mark.parametrize(
    "descriptor, hyperparameters",
    [(radial_distribution, {"cutoff": 5.0, "points": 50}), (angular_distribution, {"cutoff": 4.0})],
)
@settings(max_examples=15)
@given(seed=st.integers(0, 10**6))
def test_symmetries(descriptor, hyperparameters, seed):
    assert_symmetries(descriptor, [CELLS[seed % 50]], seed=seed, species=SPECIES, **hyperparameters)


@pytest.mark.parametrize("name", BOTH)
def test_not_a_symmetry(name):
    """Stretched by a hundredth, or with two species exchanged, a cell has another row."""
    atoms, f = next(a for a in CELLS if len(set(a.symbols)) == 3), BOTH[name]
    reference, larger, exchanged = f([atoms]), atoms.copy(), atoms.copy()
    larger.set_cell(atoms.cell * np.array([1.01, 1, 1]), scale_atoms=True)
    exchanged.symbols = ["O" if s == "Li" else "Li" if s == "O" else s for s in atoms.symbols]
    for changed in (larger, exchanged):
        assert np.abs(f([changed]) - reference).max() > 1e-3 * reference.max()


@pytest.mark.parametrize("name", BOTH)
def test_many_structures_are_each_alone(name):
    together = BOTH[name](CELLS)
    np.testing.assert_allclose(
        together, np.concatenate([BOTH[name]([atoms]) for atoms in CELLS]), rtol=1e-9, atol=1e-12
    )


@pytest.mark.parametrize("name", BOTH)
def test_blocks_of_any_size(name, monkeypatch):
    """How many pairs are worked on at once changes nothing."""
    reference = BOTH[name](CELLS[:8])
    monkeypatch.setattr(descriptors.distributions, "ENTRIES", 300)
    np.testing.assert_allclose(BOTH[name](CELLS[:8]), reference, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name, leaves, least", [("radial", 5.0 + 6 * 0.1, 1e-7), ("angular", 4.0, 1e-6)])
def test_smooth_where_an_atom_leaves(name, leaves, least):
    """Who crosses the border changes no number by more than 1e-7 of a peak, or 1e-6 of an angle's."""

    def row(d):
        return BOTH[name]([Atoms("OLi2", positions=[(0, 0, 0), (0, 1.5, 0), (d, 0, 0)])])

    steps = np.diff([row(d)[0] for d in (leaves - 1e-3, leaves - 1e-9, leaves + 1e-9, leaves + 1e-3)], axis=0)
    assert 0 <= np.abs(steps[1]).max() < least * row(2.0).max()
    assert np.abs(row(leaves - 0.5) - row(leaves + 0.5)).max() > 1e-3 * row(2.0).max()


def test_slope_is_continuous_at_the_angular_cutoff():
    def row(d):
        return BOTH["angular"]([Atoms("OLi2", positions=[(0, 0, 0), (0, 1.5, 0), (d, 0, 0)])])[0]

    inside, outside = row(4.0 - 1e-4) - row(4.0 - 2e-4), row(4.0 + 2e-4) - row(4.0 + 1e-4)
    assert np.abs(inside).max() / 1e-4 < 1e-4 and (outside == 0).all()


def test_slab_and_molecule():
    """An atom of a (111) surface has nine neighbours, one inside twelve; a molecule sees no image."""
    slab = fcc111("Al", (1, 1, 5), a=4.05, vacuum=6.0)
    curve, grid = radial_distribution([slab], cutoff=3.4, points=69, width=0.05)[0], np.linspace(0, 3.4, 69)
    np.testing.assert_allclose(np.trapezoid(curve, grid), (2 * 9 + 3 * 12) / 5, rtol=1e-6)
    water = molecule("H2O")
    boxed = water.copy()
    boxed.set_cell([3.0] * 3)
    np.testing.assert_array_equal(radial_distribution([water]), radial_distribution([boxed]))
    boxed.pbc = True
    assert radial_distribution([boxed]).sum() > 2 * radial_distribution([water]).sum()


def test_isolated_atom_and_absent_species():
    lone = Atoms("Li")
    assert radial_distribution([lone]).shape == (1, 81) and (radial_distribution([lone]) == 0).all()
    assert angular_distribution([lone]).shape == (1, 60) and (angular_distribution([lone]) == 0).all()
    water = molecule("H2O")
    narrow, wide = (
        radial_distribution([water]),
        radial_distribution([water], species=["O", "Li", "H"]).reshape(6, 81),
    )
    np.testing.assert_array_equal(narrow.reshape(3, 81), wide[[0, 2, 5]])  # of H Li O
    assert (wide[[1, 3, 4]] == 0).all()


def test_labels():
    water = [molecule("H2O")]
    radial = labels(radial_distribution, water)
    assert (
        len(radial) == 3 * 81 and radial[81] == "O around H, 0.00 A" and radial[161] == "O around H, 8.00 A"
    )
    angular = labels(angular_distribution, water, points=91)
    assert len(angular) == 2 * 3 * 91 and angular[91 * 3 + 52] == "H-O-H, 104.0 degrees"
    assert len(set(radial)) == len(radial) and len(set(angular)) == len(angular)
    row = angular_distribution(water, cutoff=1.4, points=91)[0]
    assert angular[row.argmax()] == "H-O-H, 104.0 degrees"
    for f, options in (
        (radial_distribution, {"cutoff": 4.0, "width": 0.2}),
        (angular_distribution, {"width": 4.0, "species": [*SPECIES, "H"]}),
    ):
        assert (
            len(descriptors.labels(f, water, **options, points=30)) == f(water, **options, points=30).shape[1]
        )


@pytest.mark.parametrize("f", [radial_distribution, angular_distribution])
@pytest.mark.parametrize(
    "change, words",
    [
        ({"structures": []}, "empty"),
        ({"species": ["H"]}, "O occurs in the structures, but not among the species"),
        ({"structures": [Atoms("Li", positions=[(0, 0, np.inf)])]}, "not a number"),
        ({"structures": [Atoms("Li", pbc=True)]}, "no volume"),
        (
            {"structures": [molecule("H2O"), Atoms("H3", positions=[(0, 0, 1), (0, 0, 0), (0, 0, 0)])]},
            "structure 1: atoms 1 and 2 lie at one place",
        ),
        ({"width": 0.0}, "the width must be a positive number, not 0.0"),
        ({"cutoff": -1.0}, "cutoff must be"),
        ({"points": 1}, "must be a whole number, 2 or more, not 1"),
    ],
)
def test_one_clear_error(f, change, words):
    with pytest.raises(ValueError, match=words):
        f(**{"structures": [molecule("H2O")], **change})
