"""Descriptors of atoms against dscribe's on 50 skewed cells; derivatives, symmetries, bad input."""

import functools

import numpy as np
import pytest
from ase import Atoms
from ase.data import atomic_numbers
from ase.build import bulk, fcc100, molecule
from assertions import assert_derivatives, assert_symmetries
from hypothesis import given, settings
from hypothesis import strategies as st
from skewed_cells import skewed_cell

from mlms_helpers import descriptors

pytestmark = pytest.mark.usefixtures("strict_types")
SPECIES = ["Cl", "H", "O", "Ti"]  # by the alphabet, not by atomic number
SET = {
    "g2": [(0.01, 0.0), (0.4, 0.0), (2.0, 1.7), (4.0, 3.0)],
    "g3": [0.7, 2.0],
    "g4": [(0.005, 1, -1), (0.05, 4, 1), (0.3, 16, 1), (0.05, 2.5, -1)],
    "g5": [(0.01, 1, 1), (0.1, 2, -1)],
}
CELLS = range(50)


def skewed(seed):
    """A strongly skewed cell, and a cutoff of up to twice its shortest vector."""
    atoms = skewed_cell(seed, tuple(SPECIES), flattest=0.25, longest=7.0)
    shortest = np.linalg.norm(atoms.cell.array, axis=1).min()
    return atoms, float(np.random.default_rng(seed).uniform(0.6, 2.0) * shortest)


@functools.cache
def cluster(seed, n=5):
    rng = np.random.default_rng(seed)
    positions = [np.zeros(3)]
    while len(positions) < n:
        trial = rng.uniform(-2, 2, 3)
        if np.linalg.norm(np.array(positions) - trial, axis=1).min() > 0.9:
            positions.append(trial)
    return Atoms(rng.choice(SPECIES, n), positions=positions)


def relative(ours, theirs):
    return np.abs(ours - theirs).max() / (np.abs(theirs).max() or 1.0)


def as_dscribe_orders(values, n_atoms):
    """Our columns in dscribe's order: species by atomic number, G2, G3; pairs (1,1), (2,1), ..., G4, G5."""
    number = np.argsort([atomic_numbers[symbol] for symbol in SPECIES])
    s, (n2, n3, n4, n5) = len(SPECIES), (len(SET[name]) for name in ("g2", "g3", "g4", "g5"))
    g2, g3, g4, g5 = np.split(values, np.cumsum([s * n2, s * n3, s * (s + 1) // 2 * n4]), axis=1)
    radial = np.concatenate([g2.reshape(n_atoms, s, n2), g3.reshape(n_atoms, s, n3)], axis=2)
    angular = np.concatenate([g4.reshape(n_atoms, -1, n4), g5.reshape(n_atoms, -1, n5)], axis=2)
    pairs = {(a, b): k for k, (a, b) in enumerate((a, b) for a in range(s) for b in range(a, s))}
    return radial[:, number], angular[
        :, [pairs[tuple(sorted((number[a], number[b])))] for a in range(s) for b in range(a + 1)]
    ]


def test_symmetry_functions_equal_dscribe():
    from dscribe.descriptors import ACSF

    worst, longest = 0.0, 0.0
    for seed in CELLS:
        atoms, cutoff = skewed(seed)
        ours = descriptors.symmetry_functions([atoms], cutoff=cutoff, species=SPECIES, **SET)
        theirs = ACSF(
            species=SPECIES,
            r_cut=cutoff,
            periodic=True,
            g2_params=SET["g2"],
            g3_params=SET["g3"],
            g4_params=SET["g4"],
            g5_params=SET["g5"],
        ).create(atoms)
        radial, angular = as_dscribe_orders(ours, len(atoms))
        size = len(SPECIES) * (1 + radial.shape[2])
        worst = max(
            worst,
            relative(radial, theirs[:, :size].reshape(len(atoms), len(SPECIES), -1)[:, :, 1:]),
            relative(angular, theirs[:, size:].reshape(angular.shape)),
        )
        longest = max(longest, cutoff / np.linalg.norm(atoms.cell.array, axis=1).min())
    assert worst < 1e-5 and longest > 1.9


def test_power_spectrum_equals_dscribe():
    worst = 0.0
    for seed in CELLS:
        atoms, cutoff = skewed(seed)
        settings = {"cutoff": max(cutoff, 2.0), "n_max": 4, "l_max": 5, "sigma": 0.4, "species": SPECIES}
        worst = max(
            worst,
            relative(descriptors.power_spectrum([atoms], **settings), descriptors.soap([atoms], **settings)),
        )
    assert worst < 1e-5


def test_soap_does_not_mind_where_the_atoms_are_written():
    """dscribe's own changes where an atom stands outside the cell; a slab may lack its third vector."""
    atoms = skewed(7)[0]
    away = atoms.copy()
    away.positions[0] += 3 * atoms.cell[0] - 2 * atoms.cell[1]
    assert relative(descriptors.soap([away]), descriptors.soap([atoms])) < 1e-9
    slab = fcc100("Al", (1, 1, 3), vacuum=2.0, periodic=False)
    slab.cell[2] = 0
    assert relative(descriptors.soap([slab]), descriptors.power_spectrum([slab])) < 1e-5


def test_powers_of_angles():
    """Straight, right and zero angles; whole, broken and very large zeta; each by hand."""
    bent = Atoms("OHH", positions=[(0, 0, 0), (1, 0, 0), (0, 1, 0)])
    straight = Atoms("OHH", positions=[(0, 0, 0), (0, 0, 1), (0, 0, -1)])
    fade = descriptors.cutoff_function(1.0, 4.0) ** 2
    for zeta in (0, 1, 2.5, 40, 3000):
        row = descriptors.symmetry_functions(
            [bent, straight], cutoff=4.0, g2=(), g5=[(0, zeta, -1), (0, zeta, 0)]
        )[[0, 3], 0:2]
        np.testing.assert_allclose(
            row, fade * np.array([[2.0 ** (1 - zeta)] * 2, [2.0, 2.0 ** (1 - zeta)]]), rtol=1e-9, atol=1e-300
        )
    slopes = descriptors.derivatives(
        "symmetry_functions", straight, cutoff=4.0, g5=[(0.1, 4, -1), (0.1, 4, 1)], g4=[(0.1, 1, 1)]
    )
    assert np.isfinite(slopes).all() and np.abs(slopes.sum(axis=2)).max() < 1e-12


def test_many_lone_atoms_beside_a_crystal_take_no_memory():
    from mlms_helpers.descriptors import _sums

    structures = [Atoms("Cu")] * 3000 + [bulk("Cu", cubic=True)]
    pairs = [
        len(_sums.triplets(block)[0])
        for block in _sums.blocks(structures, 6.0, ["Cu"], _sums.TRIPLETS, squared=True)
    ]
    assert 0 < max(pairs) < 2 * _sums.TRIPLETS


def test_harmonics_are_those_of_scipy():
    from scipy.special import sph_harm_y

    r = np.random.default_rng(0).normal(size=(20, 3))
    theta, phi = np.arccos(r[:, 2] / np.linalg.norm(r, axis=1)), np.arctan2(r[:, 1], r[:, 0])
    ours = descriptors.density.spherical_harmonics(np, r, 6)
    for degree in range(7):
        for m in range(degree + 1):
            theirs = sph_harm_y(degree, m, theta, phi) * (-1) ** m * (np.sqrt(2) if m else 1)
            np.testing.assert_allclose(ours[:, degree**2 + degree + m], theirs.real, atol=1e-12)
            if m:
                np.testing.assert_allclose(ours[:, degree**2 + degree - m], theirs.imag, atol=1e-12)


LOCAL = {
    "symmetry_functions": SET,
    "chebyshev": {"radial_cutoff": 5.0, "angular_cutoff": 4.0},
    "power_spectrum": {"cutoff": 4.0, "n_max": 3, "l_max": 3},
    "ace": {"n_max": 2, "l_max": 2, "order": 4},
}


@pytest.mark.parametrize("name", LOCAL)
def test_derivatives(name):
    structures = [cluster(3), skewed(7)[0]]
    assert_derivatives(getattr(descriptors, name), structures, species=SPECIES, **LOCAL[name])


def test_derivatives_of_the_madelung_potential():
    assert_derivatives(descriptors.madelung_potential, [skewed_cell(2, "Li2PO2N")])


@pytest.mark.parametrize("name", LOCAL)
@settings(max_examples=8)
@given(seed=st.integers(0, 10**6))
def test_symmetries(name, seed):
    atoms = skewed(seed % 50)[0]
    assert_symmetries(getattr(descriptors, name), [atoms], seed=seed, species=SPECIES, **LOCAL[name])


def test_chebyshev_does_not_grow_with_species():
    sizes = [
        descriptors.chebyshev([atoms]).shape[1]
        for atoms in (
            molecule("CH4"),
            molecule("CH3OH"),
            Atoms("HCNOFSiPSCl", positions=np.arange(27).reshape(9, 3) / 2),
        )
    ]
    assert sizes == [2 * (17 + 5)] * 3
    assert descriptors.chebyshev([bulk("Si")]).shape[1] == 17 + 5  # one species: no composition


def test_chebyshev_by_hand():
    """Water from its O: both H at one distance, one angle; weights -1 (H) and 1 (O)."""
    water = molecule("H2O")
    d, angle = water.get_distance(0, 1), np.deg2rad(water.get_angle(1, 0, 2))
    row = descriptors.chebyshev(
        [water], radial_cutoff=6.0, radial_order=3, angular_cutoff=5.0, angular_order=2
    )[0]
    radial = 2 * np.cos(np.arange(4) * np.arccos(2 * d / 6 - 1)) * descriptors.cutoff_function(d, 6.0)
    angular = np.cos(np.arange(3) * angle) * descriptors.cutoff_function(d, 5.0) ** 2
    np.testing.assert_allclose(row, [*radial, *angular, *-radial, *angular], rtol=1e-12)


def ring(*places):
    """A C atom with H atoms on a circle around it, at multiples of 45 degrees."""
    angle = np.array(places) * np.pi / 4
    return Atoms(
        "C" + "H" * len(places),
        np.vstack([np.zeros(3), np.column_stack([np.cos(angle), np.sin(angle), 0 * angle])]),
    )


def test_body_orders_and_a_degenerate_pair():
    """Two rings with the same angles between pairs of H: body order 4 tells them apart.

    A. L. Patterson, Phys. Rev. 65, 195 (1944).
    """
    pair = [ring(0, 1, 2, 5), ring(0, 1, 3, 4)]

    def apart(f, **settings):
        return np.ptp([f([atoms], **settings)[0] for atoms in pair], axis=0).max()

    assert apart(descriptors.symmetry_functions, **SET) < 1e-12
    assert apart(descriptors.power_spectrum) < 1e-12
    assert apart(descriptors.ace, order=3, l_max=4) < 1e-12
    assert apart(descriptors.ace, order=4, n_max=2, l_max=4) > 0.1
    matrix = descriptors.ace([ring(0, 3)], order=2, n_max=1)[0]
    np.testing.assert_allclose(
        matrix[1], 2 * descriptors.cutoff_function(1.0, 5.0)
    )  # order 2, n = 0: weighted count of H


@pytest.mark.parametrize(
    "descriptor, settings",
    [
        *((name, LOCAL[name]) for name in LOCAL),
        ("soap", {}),
        ("madelung_potential", {"charges": dict.fromkeys(SPECIES, 0)}),
        ("crystal_field", {"charges": dict.fromkeys(SPECIES, 1)}),
        ("neighbour_count", {"symbol": "O"}),
        ("coulomb_matrix", {}),
        ("sine_matrix", {"sort": "eigenvalues"}),
        ("ewald_matrix", {"n_atoms": 7}),
        ("radial_distribution", {"cutoff": 1.0, "points": 9}),
        ("angular_distribution", {"points": 61}),
    ],
)
def test_labels_name_every_column(descriptor, settings):
    structures = [skewed(7)[0], skewed(8)[0]]
    values = getattr(descriptors, descriptor)(structures, **settings)
    names = descriptors.labels(descriptor, structures, **settings)
    assert len(names) == len(set(names)) == (values.shape[1] if values.ndim > 1 else 1)


def test_a_slab_sees_no_image_above_it():
    """Periodic in two directions: like the same slab in a cell too high to matter."""
    slab = fcc100("Al", (1, 1, 3), vacuum=2.0, periodic=False)
    high = slab.copy()
    high.cell[2, 2] += 40
    high.pbc = True
    flat = slab.copy()
    flat.cell[2] = 0
    for name in ("symmetry_functions", "chebyshev", "power_spectrum", "ace"):
        descriptor = getattr(descriptors, name)
        np.testing.assert_allclose(descriptor([slab]), descriptor([high]), atol=1e-10)
        np.testing.assert_allclose(
            descriptor([flat]), descriptor([high]), atol=1e-10
        )  # no third vector at all
    assert not np.allclose(descriptors.chebyshev([slab]), descriptors.chebyshev([Atoms(slab, pbc=True)]))


@pytest.mark.parametrize("name", LOCAL)
def test_bad_input(name):
    descriptor, settings = getattr(descriptors, name), LOCAL[name]
    with pytest.raises(ValueError, match="empty"):
        descriptor([], **settings)
    with pytest.raises(ValueError, match="O occurs in the structures, but not among"):
        descriptor([molecule("HCl"), molecule("H2O")], **{**settings, "species": ["Cl", "H"]})
    with pytest.raises(ValueError, match="structure 1: atoms 0 and 1 lie at one place"):
        descriptor([molecule("HCl"), Atoms("H2", positions=[(0, 0, 0)] * 2)], **settings)
    with pytest.raises(ValueError, match="in brackets"):
        descriptor(molecule("HCl"), **settings)
    alone = descriptor([Atoms("O")], **settings)
    assert alone.shape[0] == 1 and np.isfinite(alone).all()
    assert name == "power_spectrum" or (alone == 0).all()  # SOAP sees the atom itself
    several = descriptor([Atoms("O"), molecule("HCl"), Atoms("Ti")], species=SPECIES, **settings)
    np.testing.assert_allclose(
        several[1:3], descriptor([molecule("HCl")], species=SPECIES, **settings), atol=1e-12
    )


@pytest.mark.parametrize(
    "call, words",
    [
        (
            lambda: descriptors.symmetry_functions([molecule("HCl")], g4=[(0.1, 1)]),
            "g4 must be a list of eta and zeta and lambda",
        ),
        (lambda: descriptors.symmetry_functions([molecule("HCl")], g2=[("x", 1)]), "g2 must be"),
        (
            lambda: descriptors.symmetry_functions([molecule("HCl")], g2=()),
            "no symmetry function is asked for",
        ),
        (lambda: descriptors.ace([molecule("HCl")], order=5), "2, 3 or 4"),
        (lambda: descriptors.standard_set("mine"), "'artrith-urban' and 'imbalzano'"),
        (
            lambda: descriptors.derivatives("soap", molecule("HCl")),
            "has no derivatives here; these have: symmetry_functions",
        ),
        (lambda: descriptors.labels("sope", [molecule("HCl")]), "'sope' has no labels"),
    ],
)
def test_one_clear_sentence(call, words):
    with pytest.raises(ValueError, match=words):
        call()


def test_blocks_change_nothing(monkeypatch):
    """Cut into blocks of a few atoms, across structures: the same numbers."""
    from mlms_helpers.descriptors import _sums

    structures = [skewed(seed)[0] for seed in range(6)] + [cluster(0), Atoms("Ti")]

    def values():
        return descriptors.symmetry_functions(structures, cutoff=5.0, species=SPECIES, **SET)

    whole = values()
    monkeypatch.setattr(_sums, "PAIRS", 200)
    monkeypatch.setattr(_sums, "TRIPLETS", 5000)
    np.testing.assert_allclose(values(), whole, rtol=1e-12, atol=1e-13)


def test_standard_sets():
    old, rule = descriptors.standard_set(), descriptors.standard_set("imbalzano", cutoff=6.0, n=4)
    assert len(old["g2"]) == 8 and len(old["g4"]) == 18
    np.testing.assert_allclose(old["g2"][0][0], 0.003214, atol=1e-6)  # 1/A^2, as printed there
    np.testing.assert_allclose([rule["g2"][0][0], rule["g2"][4][0]], [1 / 36, 16 / 36])
    np.testing.assert_allclose([row[1] for row in rule["g2"][5:]], 6 / 4 ** (np.arange(4) / 4))
    assert np.isfinite(descriptors.symmetry_functions([molecule("CH4")], **rule)).all()
