"""Checks of notebook 02."""

import numpy as np
import pytest

from mlms_helpers import datasets, exercises


@pytest.fixture(scope="module")
def structures():
    return datasets.load("lipon").structures


def test_gap(said, structures):
    eps, occ = structures[0].info["eps"], structures[0].info["occ"]
    gap = eps[occ < 1].min() - eps[occ > 1].max()
    assert said("02-gap", gap) == "Right.\n"
    assert said("02-gap", round(gap, 1)) == "Right.\n"
    assert "sign" in said("02-gap", -gap) and "occ" in said("02-gap", gap + 1)
    assert "1,000 times too large" in said("02-gap", 1000 * gap)


def test_zero(said):
    assert said("02-zero", (0, -5)) == "Right.\n"
    assert "sign" in said("02-zero", (0.0, 5.0)) and "difference" in said("02-zero", (-5, -5))
    assert "a pair of numbers, (depth, aligned)" in said("02-zero", 5)
    assert "wrong order" in said("02-zero", (-5.0, 0.0))


def test_the_intruder_can_be_found_and_the_shipped_forces_stay_as_they_are(said, structures):
    before = [atoms.get_forces().copy() for atoms in structures]
    forces = exercises.tampered_forces(structures)
    net = np.array([np.abs(f.sum(axis=0)).max() for f in forces])
    found = int(net.argmax())
    assert net[found] > 3 * np.delete(net, found).max()  # nobody can miss it
    assert said("02-intruder", found) == "Right.\n" and "law" in said("02-intruder", found + 1)
    assert all((a.get_forces() == b).all() for a, b in zip(structures, before, strict=True))
