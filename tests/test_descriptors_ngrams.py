"""Dressed species and n-grams: counted by hand on crystals that everybody knows, and their symmetries."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.spacegroup import crystal
from assertions import assert_symmetries, assert_units
from hypothesis import given, settings
from hypothesis import strategies as st
from skewed_cells import skewed_cell

from mlms_helpers import descriptors


@pytest.fixture(scope="module")
def salt():
    """Rock salt: six anions around each cation, and the other way round."""
    return bulk("MgO", "rocksalt", a=4.21)


def corundum(symbol="Al"):
    return crystal(
        [symbol, "O"],
        [(0, 0, 0.352), (0.306, 0, 0.25)],
        spacegroup=167,
        cellpar=[4.76, 4.76, 12.99, 90, 90, 120],
        primitive_cell=True,
    )


def test_counted_by_hand(salt):
    """Each Mg has 6 bonds; through each of them 5 go on; a path of four atoms has 5 more ways to end."""
    names = descriptors.labels("ngrams", [salt], n=4)
    assert names == ["Mg6", "O6", "Mg6-O6", "Mg6-O6-Mg6", "O6-Mg6-O6", "Mg6-O6-Mg6-O6"]
    # paths of three count once, not once a direction: 6 x 5 / 2
    np.testing.assert_allclose(descriptors.ngrams([salt], n=4), [[1, 1, 6, 15, 15, 150]])


def test_corundum():
    """Six O around Al, four Al around O."""
    assert sorted(set(descriptors.dressed(corundum()))) == ["Al6", "O4"]
    names = descriptors.labels("ngrams", [corundum()], n=3)
    found = dict(zip(names, descriptors.ngrams([corundum()], n=3)[0], strict=True))
    assert found == pytest.approx(
        {"Al6": 1, "O4": 1.5, "Al6-O4": 6, "Al6-O4-Al6": 1.5 * 4 * 3 / 2, "O4-Al6-O4": 6 * 5 / 2}
    )


def test_species_are_told_apart():
    mixed = corundum()
    mixed.symbols[np.flatnonzero(mixed.numbers == 13)[0]] = "Ga"
    names = descriptors.labels("ngrams", [mixed])
    assert {"Ga6", "Al6-O4-Ga6", "Al6-O4-Al6"} <= set(names)
    assert not {"Ga6-O4-Al6"} & set(names), "a word and its reverse are one"


def test_no_distance(salt):
    """What keeps who touches whom changes nothing: a crystal blown up, or shaken a little."""
    before = descriptors.ngrams([salt * (2, 2, 1)], n=4)
    blown = salt * (2, 2, 1)
    blown.set_cell(1.2 * blown.cell, scale_atoms=True)
    blown.rattle(0.1, seed=1)
    np.testing.assert_allclose(descriptors.ngrams([blown], n=4), before)


def test_words_of_the_training_set(salt):
    words = descriptors.labels("ngrams", [corundum()], n=2)
    assert descriptors.ngrams([salt], n=2, words=words).tolist() == [[0, 0, 0]]
    assert descriptors.labels("ngrams", [salt], words=words) == words


@settings(max_examples=6)
@given(seed=st.integers(0, 10**6))
def test_symmetries(seed):
    assert_symmetries(descriptors.ngrams, [skewed_cell(seed, "Li2PO2N", apart=1.2)], seed=seed)


def test_units(salt):
    assert_units(descriptors.ngrams, [salt, corundum("Ga")])


def test_paths_lie_along_bonds():
    """Across the edges of the cell, without turning back, each in both directions."""
    atoms = corundum()
    visited, places = descriptors.paths(atoms, 4)
    lengths = np.linalg.norm(np.diff(places, axis=1), axis=2)
    assert lengths.max() < 2.1  # the longer of the two bonds of corundum is 1.97 A
    inverse = np.linalg.inv(atoms.cell.array)
    shift = (places - atoms.positions[visited]) @ inverse
    np.testing.assert_allclose(shift, np.rint(shift), atol=1e-8)
    assert np.linalg.norm(places[:, 2:] - places[:, :-2], axis=2).min() > 1
    rows = {
        tuple(row) for row in np.round(np.c_[visited[:, :1], (places - places[:, :1]).reshape(-1, 12)], 3)
    }
    assert len(rows) == len(visited)


def test_a_molecule():
    water = Atoms("OH2", [[0, 0, 0], [0.96, 0, 0], [-0.24, 0.93, 0]])
    assert descriptors.dressed(water) == ["O2", "H1", "H1"]


@pytest.mark.parametrize(
    "atoms, settings, sentence",
    [
        (bulk("Al"), {}, "needs both O and other atoms"),
        (Atoms("O2", [[0, 0, 0], [1.2, 0, 0]]), {}, "needs both O and other atoms"),
        (Atoms("MgO", [[0, 0, 0], [15, 0, 0]]), {}, r"atom 0 has no O within 12 A"),
        (bulk("MgO", "rocksalt", a=4.2), {"ratio": 1}, "ratio must be more than 1"),
        (bulk("MgO", "rocksalt", a=4.2), {"anion": "Oxygen"}, "anion must be a chemical symbol"),
        (bulk("MgO", "rocksalt", a=4.2), {"n": 0}, "n must be"),
    ],
)
def test_what_cannot_be(atoms, settings, sentence):
    with pytest.raises(ValueError, match=sentence):
        descriptors.ngrams([atoms], **settings)
