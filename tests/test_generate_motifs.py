"""Motifs of LiPON, oxides, orderings of Li: the cells of the generators, and what is shipped of them."""

import hashlib
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from ase.neighborlist import neighbor_list

from mlms_helpers import datasets

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "data" / "generate"))

import lipon_cells
import lixtis2_cells
import tco_cells


@pytest.mark.parametrize("phase", ["beta", "gamma"])
@pytest.mark.parametrize(
    "kinds, found, lithium",
    [
        (["lone", "lone"], {"lone": 2}, 26),
        (["pair"], {"pair": 2}, 26),
        (["pair", "lone"], {"pair": 2, "lone": 1}, 27),
        (["triple"], {"triple": 3}, 27),
        (["bridge"], {"bridge": 1}, 23),
        (["bridge", "bridge"], {"bridge": 2}, 22),
        (["oxygen bridge", "lone"], {"lone": 1}, 23),
    ],
)
def test_motifs_are_built(phase, kinds, found, lithium):
    rng = np.random.default_rng(1)
    atoms = lipon_cells.place(kinds, phase, rng)
    lipon_cells.add_lithium(atoms, lipon_cells.missing_lithium(atoms), rng)
    assert Counter(lipon_cells.motifs(atoms).values()) == found
    assert atoms.symbols.count("Li") == lithium and atoms.symbols.count("P") == 8
    assert lipon_cells.missing_lithium(atoms) == 0
    centre, _, _ = lipon_cells.bonds(atoms)
    assert (np.bincount(centre)[atoms.symbols[: centre.max() + 1] == "P"] == 4).all()
    distances = atoms.get_all_distances(mic=True)[np.triu_indices(len(atoms), 1)]
    assert distances.min() > 1.3
    assert len(lipon_cells.bridges(atoms)) == sum("bridge" in kind for kind in kinds)


def test_a_bridge_is_between_its_two_tetrahedra():
    for length, angle in lipon_cells.bridges(
        lipon_cells.place(["bridge"], "gamma", np.random.default_rng(3))
    ):
        assert length == pytest.approx(1.9, abs=1e-6) and 100 < angle <= 180


def test_as_many_orderings_as_there_are():
    """Counted apart: colourings of the triangular lattice that no symmetry joins, by size of the cell."""
    orderings = lixtis2_cells.orderings(4)
    assert Counter(atoms.info["units"] for atoms in orderings.values()) == {1: 2, 2: 1, 3: 4, 4: 8}
    compositions = Counter(round(atoms.info["x"], 4) for atoms in orderings.values())
    assert all(
        compositions[x] == compositions[round(1 - x, 4)] for x in compositions
    )  # Li and voids exchanged
    for atoms in orderings.values():
        units, x = atoms.info["units"], atoms.info["x"]
        count = Counter(atoms.symbols)
        assert (count["Ti"], count["S"], count["Li"]) == (units, 2 * units, round(x * units))
        a, c = 3.407 + x * 0.048, 5.695 + x * 0.5
        assert atoms.get_volume() / units == pytest.approx(np.sqrt(0.75) * a**2 * c)


@pytest.mark.parametrize(
    "group, coordination", [(12, {4: 2, 6: 2}), (167, {6: 4}), (206, {6: 16}), (227, {4: 5, 6: 11})]
)
def test_prototypes_have_the_coordination_of_their_lattices(group, coordination):
    atoms = tco_cells.prototype(group)
    cations = np.flatnonzero(atoms.symbols == "Ga")
    neighbours = np.bincount(neighbor_list("i", atoms, {("Ga", "O"): 2.5}), minlength=len(atoms))
    assert Counter(neighbours[cations].tolist()) == coordination
    assert len(atoms) * 2 == len(cations) * 5


def test_decorations_are_distinct_and_many():
    found = tco_cells.decorations()
    names = [row[0] for row in found]
    assert len(set(names)) == len(names) >= 160
    assert {row[1] for row in found} == set(tco_cells.LATTICES)
    assert set(names[:3]) == set(tco_cells.REFERENCES.values())


BUILT = {"pairs": "pair", "bridges": "bridge", "two bridges": "bridge", "triple": "triple", "lone": "lone"}
SEALED = {2003, 2004, 2007, 2009, 2010, 2015, 2023, 2028, 2029, 2031}


@pytest.mark.parametrize("name", ["lipon_motifs", "lipon_sealed"])
def test_shipped_families_hold_the_motifs_they_were_built_with(name):
    data = datasets.load(name)
    for atoms in data.structures:
        assert set(lipon_cells.motifs(atoms).values()) == {BUILT[atoms.info["motif_built"]]}, atoms.info[
            "config"
        ]
        assert lipon_cells.missing_lithium(atoms) == 0
        assert atoms.symbols.count("N") == atoms.info["n_nitrogen"] and atoms.symbols.count("P") == 8
        _, _, lengths = lipon_cells.bonds(atoms)
        assert lengths.min() > 1.3 and lengths.max() < 2.1
        for length, angle in lipon_cells.bridges(atoms):
            assert 1.5 < length < 1.85 and 95 < angle < 170
    families = set(data.table.family)
    assert families <= set(range(2000, 2032))
    assert families <= SEALED if name == "lipon_sealed" else not families & SEALED


def test_weights_are_a_count_of_electrons():
    for atoms in datasets.load("lipon_motifs").structures:
        weight, occupied = atoms.arrays["weight"], atoms.info["occ"] > 1
        assert weight.sum(axis=0) == pytest.approx(1, abs=5e-3)  # rounded to 1e-4, over 60 to 70 atoms
        electrons = 2 * weight[:, occupied].sum(axis=1)
        assert electrons.sum() == pytest.approx(
            sum({"Li": 1, "P": 5, "O": 6, "N": 5}[s] for s in atoms.symbols), abs=0.5
        )
        assert electrons[atoms.symbols == "Li"].max() < 0.6
        assert electrons[atoms.symbols == "O"].min() > 7.2 and electrons[atoms.symbols == "O"].max() < 7.7


def test_lithium_goes_into_tis2_at_two_volts():
    data = datasets.load("lixtis2")
    table = data.table.set_index("config")
    metal = pd.read_csv(datasets.folder() / "lixtis2" / "elements.csv").set_index("element").loc["Li"]
    voltage = table.energy["o1-00"] + metal.energy_metal - table.energy["o1-01"]
    dispersion = table.energy_d3["o1-00"] + metal.energy_metal_d3 - table.energy_d3["o1-01"]
    assert voltage == pytest.approx(1.91, abs=0.05) and voltage + dispersion == pytest.approx(2.13, abs=0.05)


def test_chgnet_columns_belong_to_the_configurations():
    folder = datasets.folder() / "chgnet"
    digest = hashlib.sha256((folder / "chgnet.npz").read_bytes()).hexdigest()
    assert digest in (folder / "README.md").read_text(encoding="utf-8")
    with np.load(folder / "chgnet.npz") as columns:
        for name in ("lipon", "silicon"):
            for atoms in datasets.load(name).structures:
                assert columns[f"{name}/{atoms.info['config']}/forces"].shape == (len(atoms), 3)
