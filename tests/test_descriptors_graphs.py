"""Graphs: who is whose neighbour, by which class of bond, and in which padding."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule

from mlms_helpers import descriptors

# Coordination shells of known crystals: {class of bond: how many}.
KNOWN = {
    "simple cubic": (bulk("Po", "sc", a=3.3), {"D4": 6}),
    "fcc": (bulk("Cu"), {"D2": 12}),
    "bcc": (bulk("Fe"), {"D6": 8, "D4": 6}),
    "rock salt": (bulk("NaCl", "rocksalt", a=5.6), {"D4": 6}),
    "diamond": (bulk("Si"), {"D6": 4}),
    "hcp": (bulk("Mg", covera=np.sqrt(8 / 3)), {"D2": 6, "D1": 6}),
}


def bonds(graph, atom=0, row=0):
    """{class: how many} of one atom."""
    mine = (graph["receivers"][row] == atom) & (graph["edge_mask"][row] > 0)
    names, count = np.unique(graph["edges"][row][mine].argmax(axis=1), return_counts=True)
    return {descriptors.CLASSES[k]: int(n) for k, n in zip(names, count, strict=True)}


@pytest.mark.parametrize("name", KNOWN)
def test_coordination_of_known_crystals(name):
    atoms, expected = KNOWN[name]
    for crystal in (atoms, atoms * (2, 1, 1)):
        assert bonds(descriptors.graph([crystal])) == expected


def test_a_bond_class_knows_no_distance():
    """A crystal blown up, strained a little, shifted and turned has the same graph."""
    atoms = bulk("NaCl", "rocksalt", a=5.6) * (2, 1, 1)
    strained = atoms.copy()
    strained.set_cell(atoms.cell * [1.5, 1.5, 1.53], scale_atoms=True)
    strained.translate([0.3, 0.7, 0.1])
    strained.rotate(33, [1, 2, 3], rotate_cell=True)
    before, after = (descriptors.graph([a]) for a in (atoms, strained))

    def edges(graph):
        ends = graph["receivers"][0], graph["senders"][0]
        return sorted(zip(*ends, graph["edges"][0].argmax(axis=1), strict=True))

    assert edges(before) == edges(after)


def test_each_bond_both_ways_round_and_like_the_other_way():
    atoms = bulk("Si", cubic=True)
    atoms.rattle(0.1, seed=2)
    graph = descriptors.graph([atoms])
    one, other = (
        sorted(zip(graph[a][0], graph[b][0], graph["edges"][0].argmax(axis=1), strict=True))
        for a, b in (("receivers", "senders"), ("senders", "receivers"))
    )
    assert one == other


def test_padding_and_numbers_of_species():
    graph = descriptors.graph([bulk("Si"), bulk("NaCl", "rocksalt", a=5.6) * (2, 1, 1)])
    assert graph["nodes"].tolist() == [[3, 3, 0, 0], [2, 1, 2, 1]]  # Cl, Na, Si
    assert graph["node_mask"].sum(axis=1).tolist() == [2, 4]
    assert graph["edge_mask"].sum(axis=1).tolist() == [8, 24]
    assert not graph["edges"][0, 8:].any() and graph["edges"].sum() == 32
    kinds = {name: array.dtype.name for name, array in graph.items()}
    assert kinds.pop("edges") == kinds.pop("edge_mask") == kinds.pop("node_mask") == "float32"
    assert set(kinds.values()) == {"int32"}
    numbered = descriptors.graph([bulk("Si")], species=["Al", "Cl", "Si"])
    assert numbered["nodes"].tolist() == [[3, 3]]


def test_distances_of_a_molecule():
    water = molecule("H2O")
    graph = descriptors.graph([water], "distance", cutoff=3.0, n_gaussians=4)
    assert graph["edge_mask"].shape == (1, 6)
    k = np.flatnonzero((graph["receivers"][0] == 0) & (graph["senders"][0] == 1))[0]
    d = water.get_distance(0, 1)
    np.testing.assert_allclose(graph["edges"][0, k], np.exp(-((d - np.arange(4.0)) ** 2) / 2), rtol=1e-5)
    np.testing.assert_allclose(graph["edge_mask"][0, k], 0.5 * (np.cos(np.pi * d / 3) + 1), rtol=1e-5)
    alone = descriptors.graph([Atoms("He")], "distance")
    assert not alone["edge_mask"].any() and alone["node_mask"].tolist() == [[1]]


def test_padded_descriptor():
    structures = [molecule("H2O"), molecule("H2")]
    x = descriptors.padded(np.arange(10.0).reshape(5, 2), structures)
    assert x["atoms"].tolist() == [[[0, 1], [2, 3], [4, 5]], [[6, 7], [8, 9], [0, 0]]]
    assert x["node_mask"].tolist() == [[1, 1, 1], [1, 1, 0]]
    with pytest.raises(ValueError, match="5 atoms, but the array has 4 rows"):
        descriptors.padded(np.zeros((4, 2)), structures)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"labels": "bonds"}, "labels must be 'bond' or 'distance', not 'bonds'"),
        ({"labels": "distance", "cutoff": 0.0}, "the cutoff must be a positive number"),
        ({"labels": "distance", "n_gaussians": 1}, "n_gaussians"),
        ({"least_share": 1.0}, "least_share must be a part of 1"),
        ({"tolerance": -0.1}, "tolerance must be a part of 1"),
        ({"species": ["Ge"]}, "Si occurs in the structures"),
    ],
)
def test_settings_that_cannot_be(settings, sentence):
    with pytest.raises(ValueError, match=sentence):
        descriptors.graph([bulk("Si")], **settings)


def test_structures_that_cannot_be():
    with pytest.raises(ValueError, match=r"structure 1 is not periodic.*labels='distance'"):
        descriptors.graph([bulk("Si"), molecule("H2O")])
    hollow = Atoms("He", cell=[90.0] * 3, pbc=True)
    with pytest.raises(ValueError, match="structure 0: no neighbours on all sides"):
        descriptors.graph([hollow])
    twice = Atoms("He2", positions=np.zeros((2, 3)), cell=[4.0] * 3, pbc=True)
    with pytest.raises(ValueError, match="lie at one place"):
        descriptors.graph([twice])
