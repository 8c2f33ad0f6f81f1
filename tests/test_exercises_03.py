"""Checks of notebook 03."""

import numpy as np
import pytest

from mlms_helpers import descriptors


def histogram(atoms, cutoff=5.0):
    i, j, r = descriptors.neighbours(atoms, cutoff)
    d = np.linalg.norm(r, axis=1)
    weights = atoms.numbers[i] * atoms.numbers[j] * descriptors.cutoff_function(d, cutoff)
    return np.array(
        [(weights * np.exp(-((d - centre) ** 2) / 0.1)).sum() for centre in (1.5, 2.0, 3.0)]
    ) / len(atoms)


def test_numbers(said):
    assert said("03-count", 210) == "Right.\n"
    assert "like species" in said("03-count", 150) and "same pair" in said("03-count", 330)
    assert "Count the species" in said("03-count", 42)
    assert said("03-body-order", 4) == "Right.\n"
    assert "distances from C" in said("03-body-order", 2) and "counts, too" in said("03-body-order", 3)
    assert "rows 0 and 5" in said("03-body-order", 5) and "one number" in said("03-body-order", {"order": 4})


@pytest.mark.parametrize(
    "function, words",
    [
        (3.0, "function"),
        (lambda atoms: np.nan, "not finite"),
        (lambda atoms: atoms.positions.mean(axis=0), "turned"),
        (lambda atoms: np.linalg.norm(atoms.get_center_of_mass()), "shifted"),
        (lambda atoms: atoms.get_all_distances(mic=True)[0, 1], "another order"),
        (lambda atoms: np.linalg.norm(atoms.cell, axis=1), "lattice vectors"),
        (lambda atoms: [len(atoms)], "doubled"),
        (lambda atoms: histogram(atoms) * len(atoms), "doubled"),
        (lambda atoms: np.ones(len(atoms)), "length"),
        (lambda atoms: atoms.numbers.mean(), "blind"),
        (lambda atoms: [1.0], "blind"),
        (lambda atoms: atoms.no_such_thing, "could not use"),
    ],
)
def test_own_descriptor_hints(said, function, words):
    assert words in said("03-own-descriptor", function)


def test_own_descriptor_right(said):
    assert said("03-own-descriptor", histogram) == "Right.\n"
    assert (
        said("03-own-descriptor", lambda atoms: np.sort(descriptors.madelung_potential([atoms]))[[0, -1]])
        == "Right.\n"
    )
