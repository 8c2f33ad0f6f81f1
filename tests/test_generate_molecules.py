"""The shipped molecules, `chains` and `water_ccsdt`, against what must hold whatever the numbers are."""

import numpy as np
import pytest

from mlms_helpers import datasets

METHODS = ["hf", "pbe", "b3lyp", "mp2", "ccsd", "ccsdt"]


def table(name):
    """Structures and table of a dataset; a test of one that is not shipped is skipped."""
    if name not in datasets.names():
        pytest.skip(f"{name} is not shipped yet")
    data = datasets.load(name)
    return data.structures, data.table


def relaxed(chains, series, form):
    """The relaxed chains of one kind, from short to long."""
    kind = (chains["series"] == series) & (chains["form"] == form) & (chains["snapshot"] == 0)
    return chains[kind].sort_values("n_carbon")


@pytest.mark.parametrize("series, form, hydrogens", [("alkane", "anti", lambda n: 2 * n + 2),
                                                     ("polyene", "trans", lambda n: n + 2),
                                                     ("cycloalkane", "ring", lambda n: 2 * n)])
def test_formulas(series, form, hydrogens):
    structures, chains = table("chains")
    for i in relaxed(chains, series, form).index:
        symbols = structures[i].get_chemical_symbols()
        n = symbols.count("C")
        assert n == chains["n_carbon"][i] and symbols.count("H") == hydrogens(n)


def long_chains(series, form):
    """The relaxed chains of 6 C atoms and more; as long as there are fewer than four, the test is skipped."""
    chain = relaxed(table("chains")[1], series, form)
    chain = chain[chain["n_carbon"] >= 6]
    if len(chain) < 4:
        pytest.skip("too few long chains are shipped yet")
    return chain


def test_gap_falls_with_length_of_polyenes_more_than_of_alkanes():
    falls = []
    for chain in (long_chains("polyene", "trans"), long_chains("alkane", "anti")):
        gap = (chain["lumo"] - chain["homo"]).to_numpy()
        assert (np.diff(gap) < 0).all()
        falls.append(1 - gap[-1] / gap[0])
    assert falls[0] > 2 * falls[1]


@pytest.mark.parametrize("series, form", [("alkane", "anti"), ("polyene", "trans")])
def test_energy_is_extensive(series, form):
    chain = long_chains(series, form)
    line = np.polyfit(chain["n_carbon"], chain["energy"], 1)
    assert np.abs(np.polyval(line, chain["n_carbon"]) - chain["energy"]).max() < 0.1          # eV; the energies are thousands


def test_relaxed_is_lower_than_warm():
    chains = table("chains")[1]
    for _, molecule in chains.groupby(["family", "form"]):
        cold, warm = molecule[molecule["snapshot"] == 0], molecule[molecule["snapshot"] > 0]
        if len(cold) and len(warm):
            assert cold["energy"].item() < warm["energy"].min()


def test_dimers_are_made_of_the_shipped_monomers():
    structures, water = table("water_ccsdt")
    where = dict(zip(water["config"], water.index))
    apart = {"contact": [], "distance": []}
    for i in water[water["system"] == "dimer"].index:
        names = [f"m{water[side][i]:04d}" for side in ("monomer_a", "monomer_b")]
        if not set(names) <= set(where):
            continue
        for name, part in zip(names, (structures[i][:3], structures[i][3:])):
            np.testing.assert_allclose(part.get_all_distances(), structures[where[name]].get_all_distances(), atol=1e-5)
        apart["contact"].append(water["ccsdt"][i] - sum(water["ccsdt"][where[name]] for name in names))
        apart["distance"].append(structures[i].get_distance(0, 3))
    contact, distance = (np.array(values) for values in apart.values())
    if len(contact):
        assert contact.min() > -0.35                                 # eV; the deepest contact of two waters is -0.22
        assert np.abs(contact[distance > 7]).max(initial=0) < 0.03


def test_water_methods_are_in_order():
    water = table("water_ccsdt")[1]
    assert (water["energy"] == water["ccsdt"]).all()
    assert (water["mp2"] < water["hf"]).all() and (water["ccsdt"] < water["ccsd"]).all()
    assert (water["t1"] < 0.02).all(), "not a single-reference molecule"
    assert water[METHODS].notna().all(axis=None)
