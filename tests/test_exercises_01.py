"""Checks of notebook 01."""

import numpy as np
import pytest

from mlms_helpers import datasets, descriptors, levels


@pytest.fixture(scope="module")
def lipon():
    return datasets.load("lipon")


def at_nitrogen(structures, per_atom):
    sites = levels.nitrogen_levels(structures)
    cells = descriptors.per_structure(per_atom, structures)
    return np.array([cells[s][k] for s, k in zip(sites.structure, sites.atom, strict=True)])


def test_slope(said):
    slope = np.polyfit([-8, -6, -4], [1.0, 1.6, 2.8], 1)[0]
    assert said("01-slope", slope) == "Right.\n"
    assert "sign" in said("01-slope", -0.45) and "means" in said("01-slope", 0.6)


def test_break_even(said, lipon):
    n = len(lipon.structures)
    assert said("01-break-even", n + 1) == "Right.\n"
    assert "close" in said("01-break-even", n) and "grows" in said("01-break-even", 3)


def test_local_sum(said, lipon):
    """The Ewald sum passes, a count of neighbours, DFT's own answers and what is no answer do not."""
    structures = lipon.structures
    sites = levels.nitrogen_levels(structures)
    energy = -descriptors.madelung_potential(structures)
    assert said("01-local", at_nitrogen(structures, energy)) == "Right.\n"
    count = at_nitrogen(structures, descriptors.neighbour_count(structures))
    assert "leaves the sphere" in said("01-local", count)
    assert "shape" in said("01-local", energy)
    assert "364 of the 364" in said("01-local", np.full(len(sites), np.nan))
    assert "the same" in said("01-local", np.zeros(len(sites)))


@pytest.mark.parametrize("name", ["aligned", "depth", "centroid", "potential"])
def test_what_dft_says_is_no_descriptor(said, lipon, name):
    sites, every = levels.nitrogen_levels(lipon.structures), levels.sites(lipon.structures)
    potential = levels.from_oxygen(levels.site_potentials(lipon.structures, None), every)
    sites["potential"] = potential[every.symbol == "N"]
    assert f"follows `{name}` too well" in said("01-local", 3 - 2 * sites[name])
