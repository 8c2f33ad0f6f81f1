"""The level of an N atom from the structure alone: physics, symmetry, honesty."""

import numpy as np
import pandas as pd
import pytest
from ase import Atom
from ase.build import make_supercell

from mlms_helpers import datasets, descriptors, evaluation, hole_traps, levels


@pytest.fixture(scope="module")
def lipon():
    return datasets.load("lipon").structures


@pytest.fixture(scope="module")
def held_out(lipon):
    """A model trained without every fourth family, and the structures of those."""
    test = [a for a in lipon if a.info["family"] % 4 == 3 and "N" in a.symbols]
    return hole_traps.train([a for a in lipon if a.info["family"] % 4 != 3]), test


def test_names_fit_columns(lipon):
    x, sites = hole_traps.site_features(lipon[:3])
    assert x.shape == (len(sites), len(hole_traps.feature_names()))
    assert set(sites.symbol) <= {"O", "N"} and (x[:, -1] == (sites.symbol == "N")).all()
    assert abs(x[sites.symbol == "O", 0].sum()) < 1e-9            # Madelung energies are measured from the O sites


def test_beats_the_madelung_line_on_new_families(lipon, held_out):
    model, test = held_out
    train = [a for a in lipon if a.info["family"] % 4 != 3 and "N" in a.symbols]

    def madelung(structures):
        sites = levels.sites(structures)
        energy = levels.from_oxygen(-descriptors.madelung_potential(structures), sites)
        return np.column_stack([np.ones((sites.symbol == "N").sum()), energy[sites.symbol == "N"]])

    found = hole_traps.predict(model, test)
    for label in ("aligned", "depth"):
        true = levels.nitrogen_levels(test)[label]
        line = np.linalg.lstsq(madelung(train), levels.nitrogen_levels(train)[label], rcond=None)[0]
        ours = evaluation.errors(true, found[label])["RMSE"]
        assert ours < 0.85 * evaluation.errors(true, madelung(test) @ line)["RMSE"]
        assert ours < 0.7 * true.std(ddof=0)


def test_error_bars_are_about_right(held_out):
    model, test = held_out
    found, true = hole_traps.predict(model, test), levels.nitrogen_levels(test)
    for label in ("aligned", "depth"):
        cover = evaluation.coverage(true[label], found[label], found[f"{label}_sigma"], levels=(0.9,)).found[0]
        assert cover > 0.75
        assert (found[f"{label}_sigma"] < 0.8).all()


def test_known_families_look_alike_and_strangers_do_not(lipon, held_out):
    model, test = held_out
    assert (hole_traps.predict(model, test).unlike > 1).mean() < 0.2
    strange = test[0].copy()
    strange.set_cell(strange.cell * 0.85, scale_atoms=True)
    scrambled = test[0].copy()
    scrambled.positions += np.random.default_rng(0).normal(scale=0.4, size=(len(scrambled), 3))
    assert (hole_traps.predict(model, [strange, scrambled]).unlike > 1).all()


def test_a_stranger_is_named_in_words(held_out):
    model, test = held_out
    assert hole_traps.warning(hole_traps.predict(model, [test[0]]).assign(unlike=0.9)) == ""
    strange = test[0].copy()
    strange.set_cell(strange.cell * 0.85, scale_atoms=True)
    words = hole_traps.warning(hole_traps.predict(model, [strange]))
    assert words.startswith("Warning: this structure is unlike") and "do not trust" in words and "is N" not in words and "\n" not in words


def test_symmetries(held_out):
    model, test = held_out
    atoms, rng = test[1], np.random.default_rng(1)
    reference = hole_traps.predict(model, [atoms])
    turned = atoms.copy()
    rotation = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    turned.set_cell(atoms.cell.array @ rotation)
    turned.positions = atoms.positions @ rotation + 3.0
    shuffled = atoms[rng.permutation(len(atoms))]
    double = make_supercell(atoms, np.diag([1, 1, 2]))
    for other, times in ((turned, 1), (shuffled, 1), (double, 2)):
        found = hole_traps.predict(model, [other])
        for column in ("aligned", "depth", "aligned_sigma", "depth_sigma", "unlike"):
            np.testing.assert_allclose(np.sort(found[column]), np.sort(np.tile(reference[column], times)), atol=2e-3)


def test_a_supercell_has_the_same_levels_whatever_the_number_of_o(lipon, held_out):
    for n in (1, 2, 3, 4):                      # 31 to 28 O: a tenth of them is no whole number
        atoms = next(a for a in lipon if a.info["n_nitrogen"] == n)
        single, double = (hole_traps.predict(held_out[0], [a]) for a in (atoms, make_supercell(atoms, np.diag([2, 1, 1]))))
        for column in ("aligned", "depth", "depth_sigma"):
            np.testing.assert_allclose(np.sort(double[column]), np.sort(np.repeat(single[column], 2)), atol=1e-4)


def test_a_line_is_solved_exactly():
    from mlms_helpers import models
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(50, 3)) * [1, 10, 0.1] + 5, rng.integers(0, 3, 50).astype(float)
    y = x @ [2.0, -0.3, 4.0] + 7 + 0.1 * rng.normal(size=50)
    model = models.mlp(x, y, hidden_layers=0)
    hole_traps.solve_line(model, x, y, w, 0.0)
    a = np.column_stack([np.ones(50), x]) * np.sqrt(w)[:, None]
    np.testing.assert_allclose(models.predict(model, x), np.column_stack([np.ones(50), x]) @ np.linalg.lstsq(a, y * np.sqrt(w), rcond=None)[0], atol=1e-3)
    hole_traps.solve_line(model, x, y, w, 1e6)
    np.testing.assert_allclose(models.predict(model, x), w @ y / w.sum(), atol=1e-3)      # held back so much: the mean


def test_lithium_deepens_no_trap(held_out):
    """A Li ion pushed towards an N atom lowers the energy of electrons there: the level must fall."""
    model, test = held_out
    atoms = next(a for a in test if a.symbols.count("N") == 1)
    n = int(np.flatnonzero(atoms.symbols == "N")[0])
    lithium = np.flatnonzero(atoms.symbols == "Li")
    near = int(lithium[atoms.get_distances(n, lithium, mic=True).argmin()])
    moved = atoms.copy()
    moved.set_distance(n, near, atoms.get_distance(n, near, mic=True) - 0.15, fix=0, mic=True)
    assert hole_traps.predict(model, [moved]).aligned[0] < hole_traps.predict(model, [atoms]).aligned[0]


def test_same_seed_same_model(lipon):
    few = [a for a in lipon if a.info["family"] < 8]
    found = [hole_traps.predict(hole_traps.train(few, n_models=3, epochs=30, seed=1), few[6:9]) for _ in range(2)]
    pd.testing.assert_frame_equal(*found, check_exact=True)


@pytest.mark.parametrize("change, words", [
    (lambda a: a.append(Atom("H", (0, 0, 0))), "holds H; the model has only seen"),
    (lambda a: a.symbols.__setitem__(slice(None), "Li"), "holds no O"),
    (lambda a: a.__delitem__(int(np.flatnonzero(a.symbols == "Li")[0])), "add up to -1 e"),
    (lambda a: a.set_pbc(False), "periodic in three directions"),
])
def test_one_clear_error(lipon, change, words):
    atoms = lipon[6].copy()
    change(atoms)
    with pytest.raises(ValueError, match=words):
        hole_traps.site_features([atoms])
