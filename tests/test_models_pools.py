"""Pools over atoms and message passing: symmetries, sizes, padding."""

import numpy as np
import pytest
from ase.build import bulk, molecule

from mlms_helpers import descriptors, models, training

# What a model says must not depend on these (float32).
ALIKE = {"rtol": 2e-5, "atol": 2e-5}
Y = np.array([1.0, 2.5, -0.5])


def crystals():
    out = [
        bulk("NaCl", "rocksalt", a=5.6),
        bulk("NaCl", "cesiumchloride", a=3.4),
        bulk("NaCl", "zincblende", a=6),
    ]
    for number, atoms in enumerate(out):
        atoms.rattle(0.1, seed=number)
    return out


def for_atoms(structures):
    return descriptors.padded(
        descriptors.symmetry_functions(structures, cutoff=4.0, species=["Cl", "Na"]), structures
    )


def by_distance(structures):
    return descriptors.graph(structures, "distance", cutoff=4.0, n_gaussians=6, species=["Cl", "Na"])


def by_bond(structures):
    return descriptors.graph(structures, species=["Cl", "Na"])


@pytest.fixture(scope="module")
def made():
    """A model of each kind and pool, untrained, by (what the structures become, pool)."""
    out = {}
    for pool in models.POOLS:
        out[for_atoms, pool] = models.over_atoms(for_atoms(crystals()), Y, pool=pool, width=5, seed=3)
        for inputs in (by_distance, by_bond):
            out[inputs, pool] = models.message_passing(
                inputs(crystals()), Y, pool=pool, width=5, steps=2, seed=3
            )
    return out


KINDS = pytest.mark.parametrize("inputs", [for_atoms, by_distance, by_bond], ids=lambda f: f.__name__)
POOLS = pytest.mark.parametrize("pool", models.POOLS)


@KINDS
@POOLS
def test_symmetries(made, inputs, pool):
    model = made[inputs, pool]
    before = models.predict(model, inputs(crystals()))
    assert np.ptp(before) > 1e-3, "what is constant has any symmetry"
    shuffled, moved = [], []
    for atoms in (a * (2, 1, 1) for a in crystals()):
        shuffled.append(atoms[np.random.default_rng(0).permutation(len(atoms))])
        moved.append(atoms.copy())
        moved[-1].translate([0.3, 1.1, 2.0])
        moved[-1].rotate(20, [1, 1, 3], rotate_cell=True)
    doubled = models.predict(model, inputs([a * (2, 1, 1) for a in crystals()]))
    np.testing.assert_allclose(models.predict(model, inputs(shuffled)), doubled, **ALIKE)
    np.testing.assert_allclose(models.predict(model, inputs(moved)), doubled, **ALIKE)
    # The sum adds up, the others do not.
    np.testing.assert_allclose(doubled, before * (2 if pool == "sum" else 1), **ALIKE)


@KINDS
@POOLS
def test_padding_plays_no_part(made, inputs, pool):
    model, alone = made[inputs, pool], crystals()[:1]
    beside_a_large_one = models.predict(model, inputs([*alone, crystals()[1] * (3, 2, 1)]))
    np.testing.assert_allclose(models.predict(model, inputs(alone)), beside_a_large_one[:1], **ALIKE)


def test_the_sum_counts_atoms_far_apart():
    """Two molecules that do not see each other have the sum of what they have alone, and the mean of it."""
    pair = molecule("CH4")
    pair.extend(molecule("H2O", positions=molecule("H2O").positions + 30.0))
    structures = [molecule("CH4"), molecule("H2O"), pair]
    graph = descriptors.graph(structures, "distance", cutoff=3.0)
    told = {
        pool: models.predict(models.message_passing(graph, Y, pool=pool, width=5), graph)
        for pool in ("sum", "mean", "max")
    }
    np.testing.assert_allclose(told["sum"][2], told["sum"][:2].sum(), **ALIKE)
    np.testing.assert_allclose(told["mean"][2], (5 * told["mean"][0] + 3 * told["mean"][1]) / 8, **ALIKE)


def test_a_step_reaches_one_bond_further():
    """An atom at the end of a chain is heard from as many bonds away as there are steps."""
    chain = bulk("Po", "sc", a=3.3) * (8, 1, 1)
    other = chain.copy()
    other.symbols[4] = "Te"
    graph = descriptors.graph([chain, other], "distance", cutoff=3.5)
    for steps in (0, 1, 2):
        model = models.message_passing(graph, Y[:2], width=5, steps=steps)
        dense = [layer.output for layer in model.layers if layer.name.startswith("dense")]
        states = models.keras.Model(model.input, dense[-2])
        told = models.predict(states, graph)
        changed = np.abs(told[0] - told[1]).max(axis=1) > 1e-7
        assert changed.sum() == 1 + 2 * steps


def test_a_model_learns_and_is_the_same_again():
    structures = [bulk("Si", a=5.2 + 0.1 * k) * (1 + k % 2, 1, 1) for k in range(8)]
    graph = descriptors.graph(structures, "distance", cutoff=4.0, n_gaussians=8)
    y = np.array([len(a) * a.get_volume() / len(a) for a in structures])
    runs = []
    for _ in range(2):
        model = models.message_passing(graph, y, pool="sum", width=8, steps=1, seed=1)
        training.fit(model, graph, y, epochs=60, learning_rate=1e-2)
        runs.append(models.predict(model, graph))
    np.testing.assert_array_equal(*runs)
    assert np.sqrt(np.mean((runs[0] - y) ** 2)) < 0.1 * y.std()


def test_many_structures_are_predicted_in_batches(made, monkeypatch):
    x, model = for_atoms(crystals()), made[for_atoms, "mean"]
    expected = models.predict(model, x)
    monkeypatch.setattr(models, "NUMBERS", 1)
    np.testing.assert_allclose(models.predict(model, x), expected, rtol=1e-6)


def test_what_cannot_be():
    x, graph = for_atoms(crystals()), by_bond(crystals())
    with pytest.raises(ValueError, match="pool must be one of sum, mean, max, attention, not 'average'"):
        models.over_atoms(x, Y, pool="average")
    with pytest.raises(ValueError, match="3 structures, but 2 values"):
        models.message_passing(graph, Y[:2])
    with pytest.raises(ValueError, match="y must be"):
        models.message_passing(graph, np.zeros((3, 1, 1)))
    with pytest.raises(ValueError, match="structure 1 has no atoms"):
        models.over_atoms({**x, "node_mask": x["node_mask"] * [[1], [0], [1]]}, Y)
    with pytest.raises(ValueError, match="not a finite number"):
        models.message_passing(graph, [1.0, np.inf, 2.0])
    with pytest.raises(ValueError, match="atoms must be"):
        models.over_atoms({**x, "atoms": x["atoms"][0]}, Y)
