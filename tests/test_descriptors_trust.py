"""What the survey of descriptors says of functions whose answers are known."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from mlms_helpers import descriptors


@pytest.fixture(scope="module")
def crystal():
    atoms = bulk("NaCl", "rocksalt", a=5.6, cubic=True)
    atoms.rattle(0.1, seed=1)
    return atoms


def test_symmetry_errors(crystal):
    found = descriptors.symmetry_errors(lambda atoms: descriptors.symmetry_functions([atoms]), crystal)
    assert list(found) == ["turned", "shifted", "renumbered", "cell cut anew"] and max(found.values()) < 1e-9
    seen = descriptors.symmetry_errors(lambda atoms: atoms.positions, crystal)
    assert seen["turned"] > 0.1 and seen["shifted"] > 0.1
    assert seen["renumbered"] == 0  # each atom's row went along with it
    unsorted = descriptors.symmetry_errors(
        lambda atoms: descriptors.coulomb_matrix([atoms], sort=False)[0], crystal
    )
    assert unsorted["turned"] < 1e-9 and unsorted["renumbered"] > 0.01
    assert "cell cut anew" not in descriptors.symmetry_errors(
        lambda atoms: atoms.positions, Atoms("CO", [(0, 0, 0), (0, 0, 1)])
    )


def test_largest_jump():
    where, size = descriptors.largest_jump(lambda t: np.array([np.sin(t), 3.0 * (t > 0.7)]), 0, 2)
    assert abs(where - 0.7) < 1e-8 and abs(size - 3) < 1e-6
    assert descriptors.largest_jump(np.sin, 0, 2)[1] < 1e-8

    def steep(t):
        return np.array(
            [np.exp(-(((t - 2) / 0.05) ** 2)), 0.01 * (t > 3)]
        )  # a steep number hides no jump of another

    assert descriptors.largest_jump(steep, 1.5, 3.5)[1] == pytest.approx(0.01)
    with pytest.raises(ValueError, match="from a smaller to a larger"):
        descriptors.largest_jump(np.sin, 2, 0)


def test_one_number_an_atom_goes_in_a_column(crystal):
    def column(atoms):
        return descriptors.madelung_potential([atoms], {"Na": 1, "Cl": -1})[:, None]

    assert max(descriptors.symmetry_errors(column, crystal).values()) < 1e-9


def pair(distance):
    return Atoms("CO", [(0, 0, 0), (0, 0, distance)])


def test_smoothness_at_the_cutoff():
    def hard(atoms):
        return descriptors.neighbour_count([atoms], "O", 3.0)[:, None]

    jump, kink = descriptors.smoothness(hard, pair, 2.5, 3.5)
    assert jump == pytest.approx(1) and np.isnan(kink)

    def bent(atoms):
        return np.array([max(3.0 - atoms.get_distance(0, 1), 0)])

    jump, kink = descriptors.smoothness(bent, pair, 2.5, 3.5)
    assert jump < 1e-6 and kink == pytest.approx(1, abs=0.1)

    def smooth(atoms):
        return descriptors.symmetry_functions([atoms], cutoff=3.0, centres=(2.0, 2.8), species=["C", "O"])

    jump, kink = descriptors.smoothness(smooth, pair, 2.5, 3.5)
    assert jump < 1e-6 and kink < 0.05

    def gaussian(atoms):
        return descriptors.power_spectrum([atoms], cutoff=2.0, sigma=0.3)

    jump, _ = descriptors.smoothness(gaussian, pair, 2.5, 3.6)  # full weight up to 2 + 3.7 * 0.3 A
    assert 1e-8 < jump < 0.02


def test_sensitivity_counts_blind_directions():
    """One O beside C: of six moves a distance sees one, coordinates all six."""
    atoms = pair(1.2)
    distance = descriptors.sensitivity(lambda a: np.array([a.get_distance(0, 1)]), atoms, [0, 1])
    assert distance.shape == (6,) and (distance > 1e-6 * distance[0]).sum() == 1
    coordinates = descriptors.sensitivity(lambda a: a.positions.ravel(), atoms, [0, 1])
    np.testing.assert_allclose(coordinates, 1 / 1.2, rtol=1e-6)


def test_survey(crystal):
    def path(t):
        atoms = crystal.copy()
        atoms.positions[1, 0] += t
        return atoms

    table = descriptors.survey(
        {
            "radial": lambda atoms: descriptors.symmetry_functions(
                [atoms], cutoff=4.0, centres=(2.0, 2.5, 3.0, 3.5)
            ),
            "with angles": lambda atoms: descriptors.symmetry_functions(
                [atoms],
                cutoff=4.0,
                centres=(2.0, 2.5, 3.0, 3.5),
                g4=[(0.02, z, s) for z in (1, 4) for s in (-1, 1)],
            ),
            "coordinates": lambda atoms: atoms.positions.ravel(),
        },
        crystal,
        0,
        path,
        0.0,
        1.2,
        within=3.2,
    )
    assert (
        table.loc[["radial", "with angles"], ["turned", "shifted", "renumbered", "cell cut anew"]] < 1e-6
    ).all(axis=None)
    assert table.loc["coordinates", "renumbered"] > 0.01 and table.loc["coordinates", "turned"] > 0.01
    assert (table["jump"] < 1e-6).all()
    assert (
        table.loc["radial", "moves seen"]
        < table.loc["with angles", "moves seen"]
        <= table.loc["radial", "of"]
    )
    assert table.loc["radial", "numbers"] == 8 and (table["ms"] > 0).all()
