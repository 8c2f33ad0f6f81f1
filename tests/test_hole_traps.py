"""The level of an N atom from the structure alone: physics, symmetry, honesty."""

import time

import numpy as np
import pandas as pd
import pytest
from assertions import rewritings
from ase import Atom
from ase.build import make_supercell

from mlms_helpers import datasets, descriptors, evaluation, hole_traps, levels


@pytest.fixture(scope="module")
def lipon():
    return datasets.load("lipon").structures


@pytest.fixture(scope="module")
def features(lipon):
    return hole_traps.site_features(lipon)


@pytest.fixture(scope="module")
def held_out(lipon, features):
    """A model trained without every fourth family, and the structures of those."""
    test = [a for a in lipon if a.info["family"] % 4 == 3 and "N" in a.symbols]
    known = [k for k, a in enumerate(lipon) if a.info["family"] % 4 != 3]
    return hole_traps.train([lipon[k] for k in known], features=hole_traps.select(features, known)), test


def test_names_fit_columns(lipon):
    x, sites = hole_traps.site_features(lipon[:3])
    assert (
        x.shape == (len(sites), len(hole_traps.FEATURES))
        and len(set(hole_traps.feature_names())) == x.shape[1]
    )
    assert set(sites.symbol) <= {"O", "N"} and (x[:, -1] == (sites.symbol == "N")).all()
    assert abs(x[sites.symbol == "O", 0].sum()) < 1e-9  # Madelung energies are measured from the O sites
    labels = descriptors.labels("symmetry_functions", lipon[:3], species=hole_traps.SPECIES)
    counts = [feature for feature in hole_traps.FEATURES if feature.kind == "neighbours"]
    assert len(labels) == len(counts) == 36
    for feature, label in zip(counts, labels, strict=True):
        assert label.startswith(f"G2 {feature.species} ") and label.endswith(f" R={feature.distance:g}")
    assert str(counts[0]) == "Li around 1.4 A" and str(hole_traps.FEATURES[0]) == "Madelung energy (eV)"


def test_features_of_some_structures_are_those_of_all(lipon, features):
    chosen = [7, 2, 31]
    x, sites = hole_traps.select(features, chosen)
    alone, same = hole_traps.site_features([lipon[k] for k in chosen])
    np.testing.assert_allclose(x, alone, atol=1e-9)
    pd.testing.assert_frame_equal(sites, same)


def test_out_of_bag_is_the_mean_of_those_that_have_not_seen():
    votes, draws = np.array([[1.0, 2.0, 3.0], [5.0, 6.0, 7.0]]), np.array([[0, 2, 1], [0, 0, 1]])
    np.testing.assert_array_equal(hole_traps.out_of_bag(votes, draws), [3.0, 6.0, np.nan])


def test_beats_the_madelung_line_on_new_families(lipon, held_out):
    model, test = held_out
    train = [a for a in lipon if a.info["family"] % 4 != 3 and "N" in a.symbols]

    def madelung(structures):
        sites = levels.sites(structures)
        energy = levels.from_oxygen(-descriptors.madelung_potential(structures), sites)
        return np.column_stack([np.ones((sites.symbol == "N").sum()), energy[sites.symbol == "N"]])

    found = hole_traps.predict(model, test)
    for label in ("aligned", "depth"):
        true = levels.nitrogen_levels(test)[hole_traps.LABELS[label]]
        known = levels.nitrogen_levels(train)[hole_traps.LABELS[label]]
        line = np.linalg.lstsq(madelung(train), known, rcond=None)[0]
        ours = evaluation.errors(true, found[label])["RMSE"]
        assert ours < 0.85 * evaluation.errors(true, madelung(test) @ line)["RMSE"]
        assert ours < 0.7 * true.std(ddof=0)


@pytest.fixture(scope="module")
def left_out(lipon, features):
    """Every N, three times predicted by a model that has not seen its family, beside what is true."""
    table = levels.nitrogen_levels(lipon)
    family = np.array([a.info["family"] for a in lipon])
    found = []
    for seed in range(3):
        kinds = np.random.default_rng(seed).permutation(table.family.unique())
        for part in np.array_split(kinds, 5):
            known, new = (np.flatnonzero(np.isin(family, part, invert=i)) for i in (True, False))
            chosen = hole_traps.select(features, known)
            model = hole_traps.train([lipon[k] for k in known], seed=seed, features=chosen)
            chosen = hole_traps.select(features, new)
            rows = hole_traps.predict(model, [lipon[k] for k in new], features=chosen)
            found.append(rows.assign(structure=new[rows.structure], coupling=model.coupling, seed=seed))
    return pd.concat(found).merge(table[["structure", "atom", *hole_traps.LABELS.values()]])


def test_two_n_on_one_p_couple_by_half_an_ev(left_out):
    assert left_out.coupling.between(0.4, 0.65).all()
    for _, pair in left_out[left_out.motif == "pair"].groupby(["seed", "structure"]):
        assert len(pair.aligned.round(9).unique()) < len(pair)  # both have one level


def rmse(found, name):
    return evaluation.errors(found[hole_traps.LABELS[name]], found[name])["RMSE"]


def test_errors_on_families_left_out_lone_and_paired(left_out):
    pairs, lone = left_out[left_out.motif == "pair"], left_out[left_out.motif == "lone"]
    assert rmse(left_out, "aligned") < 0.19 and rmse(left_out, "depth") < 0.28
    assert rmse(pairs, "aligned") < 0.24 and rmse(lone, "aligned") < 0.19
    deep = left_out[left_out.pair_depth > 2.5]
    assert abs((deep.aligned - deep.pair_level).mean()) < 0.1


@pytest.mark.parametrize("motif", ["lone", "pair"])
@pytest.mark.parametrize("name", ["aligned", "depth"])
def test_error_bars_hold_for_each_motif(left_out, motif, name):
    found = left_out[left_out.motif == motif]

    def cover(width):
        true, sigma = found[hole_traps.LABELS[name]], width * found[f"{name}_sigma"]
        return evaluation.coverage(true, found[name], sigma, levels=(0.9,)).found[0]

    assert 0.84 < cover(1) < 0.97
    assert cover(0.5) < 0.84  # and bars too short are seen


def test_a_motif_that_was_not_learned_is_named_and_gets_a_wide_bar(lipon, features):
    known = [k for k, a in enumerate(lipon) if not (levels.motifs([a]).motif == "pair").any()]
    model = hole_traps.train([lipon[k] for k in known], features=hole_traps.select(features, known))
    assert model.coupling == 0
    pair = next(a for a in lipon if (levels.motifs([a]).motif == "pair").any())
    found = hole_traps.predict(model, [pair])
    stranger, lone = found[found.motif == "pair"], found[found.motif == "lone"]
    assert not stranger.in_domain.any() and stranger.why.eq("its motif: pair").all()
    assert (stranger.aligned_sigma > 0.5).all() and (lone.aligned_sigma < 0.3).all()
    assert hole_traps.warning(found).startswith("Warning: two N share a P (N atom ")


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
    assert hole_traps.warning(hole_traps.predict(model, [test[0]]).assign(in_domain=True)) == ""
    strange = test[0].copy()
    strange.set_cell(strange.cell * 0.85, scale_atoms=True)
    words = hole_traps.warning(hole_traps.predict(model, [strange]))
    assert (
        words.startswith("Warning: this structure is unlike")
        and "do not trust" in words
        and "is N" not in words
        and "\n" not in words
    )


def test_symmetries(held_out):
    model, test = held_out
    atoms = test[1]
    reference = hole_traps.predict(model, [atoms])
    for other, order in rewritings(atoms, seed=1).values():
        found, times = hole_traps.predict(model, [other]), len(order) // len(atoms)
        for column in ("aligned", "depth", "aligned_sigma", "depth_sigma", "unlike"):
            np.testing.assert_allclose(
                np.sort(found[column]), np.sort(np.tile(reference[column], times)), atol=2e-3
            )


def test_a_supercell_has_the_same_levels_whatever_the_number_of_o(lipon, held_out):
    for n in (1, 2, 3, 4):  # 31 to 28 O: a tenth of them is no whole number
        atoms = next(a for a in lipon if a.info["n_nitrogen"] == n)
        single, double = (
            hole_traps.predict(held_out[0], [a]) for a in (atoms, make_supercell(atoms, np.diag([2, 1, 1])))
        )
        for column in ("aligned", "depth", "depth_sigma"):
            np.testing.assert_allclose(
                np.sort(double[column]), np.sort(np.repeat(single[column], 2)), atol=1e-4
            )


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
    found = [hole_traps.predict(hole_traps.train(few, n_models=3, seed=seed), few[6:9]) for seed in (1, 1, 2)]
    pd.testing.assert_frame_equal(*found[:2], check_exact=True)
    assert np.abs(found[0].depth - found[2].depth).max() > 1e-6


def test_what_cannot_be_learned_from_is_said(lipon):
    family = [a for a in lipon if a.info["family"] == lipon[6].info["family"]]
    with pytest.raises(ValueError, match="more families are needed"):
        hole_traps.train(family)
    with pytest.raises(ValueError, match="more families are needed"):
        hole_traps.train([a for a in lipon if "N" not in a.symbols])
    bare = lipon[6].copy()
    del bare.info["family"], bare.arrays["potential"]
    with pytest.raises(ValueError, match="structure 1 lacks family, potential"):
        hole_traps.train([lipon[6], bare])


def test_no_cell_of_64_atoms_waits_long(lipon):
    """A slider that moves an atom needs its features while it moves: 25 ms here, on a quiet machine."""
    atoms, times = lipon[6].copy(), []
    for _ in range(5):
        atoms.positions[0] += 0.01
        start = time.process_time()
        hole_traps.site_features([atoms])
        times.append(time.process_time() - start)
    assert min(times) < 0.2


@pytest.mark.parametrize(
    "change, words",
    [
        (lambda a: a.append(Atom("H", (0, 0, 0))), "holds H; the model has only seen"),
        (lambda a: a.symbols.__setitem__(slice(None), "Li"), "holds no O"),
        (lambda a: a.__delitem__(int(np.flatnonzero(a.symbols == "Li")[0])), "add up to -1 e"),
        (lambda a: a.set_pbc(False), "periodic in three directions"),
    ],
)
def test_one_clear_error(lipon, change, words):
    atoms = lipon[6].copy()
    change(atoms)
    with pytest.raises(ValueError, match=words):
        hole_traps.site_features([atoms])


def test_a_host_has_no_levels(held_out, lipon):
    host, doped = (next(a for a in lipon if ("N" in a.symbols) == with_n) for with_n in (False, True))
    model = held_out[0]
    found = hole_traps.predict(model, [host])
    assert len(found) == 0 and list(found.columns) == list(hole_traps.predict(model, [doped]).columns)
    assert hole_traps.warning(found) == ""
    both = hole_traps.predict(model, iter([host, doped]))  # any iterable, read once
    assert set(both.structure) == {1}
    np.testing.assert_allclose(both.depth, hole_traps.predict(model, [doped]).depth, atol=1e-9)


def test_a_mask_chooses_structures(lipon, features):
    mask = np.arange(len(lipon)) == 31
    x, sites = hole_traps.select(features, mask)
    pd.testing.assert_frame_equal(sites, hole_traps.select(features, [31])[1])
    np.testing.assert_array_equal(x, hole_traps.select(features, [31])[0])
    for chosen, words in (
        ([999], "999 is none"),
        ([-1], "-1 is none"),
        ([], "at least one"),
        (mask[:9], "mask"),
    ):
        with pytest.raises(ValueError, match=words):
            hole_traps.select(features, chosen)


def test_features_of_others_are_said(lipon, features, held_out):
    x, sites = hole_traps.select(features, [6, 7])
    for given, words in (
        (hole_traps.select(features, [6]), "not the features of these structures"),
        ((x[:, :-1], sites), "not the features"),
        ((x, sites.assign(atom=sites.atom + 1)), "not the features"),
        ((x * np.nan, sites), "not a finite number"),
        (x, "the pair"),
    ):
        with pytest.raises(ValueError, match=words):
            hole_traps.predict(held_out[0], [lipon[6], lipon[7]], features=given)
        with pytest.raises(ValueError, match=words):
            hole_traps.train([lipon[6], lipon[7]], features=given)
    with pytest.raises(ValueError, match="must be one of `train`"):
        hole_traps.predict(None, [lipon[6]])


@pytest.mark.parametrize(
    "settings, words",
    [
        *(({"n_models": n}, "n_models must be a whole number") for n in (0, -1, 2.5, "a", True)),
        *(({"strength": s}, "strength must be a number") for s in (-1, np.nan, np.inf, "a")),
        *(({"seed": s}, "seed must be a whole number") for s in (-1, 1.5, "a", None)),
    ],
)
def test_settings_that_cannot_be(lipon, settings, words):
    with pytest.raises(ValueError, match=words):
        hole_traps.train(lipon[:8], **settings)


@pytest.mark.parametrize("what", [None, "POSCAR", []])
def test_check_asks_for_one_structure(what):
    with pytest.raises(ValueError, match="one structure"):
        hole_traps.check(what)
    with pytest.raises(ValueError):
        hole_traps.train(what)


def test_a_trap_is_one_row_for_all_n_on_one_p(lipon, features):
    x, traps = hole_traps.trap_features(lipon, features)
    all_n = levels.nitrogen_levels(lipon)
    assert len(x) == len(traps) == all_n.group.nunique() and np.isfinite(x).all()
    assert all_n.groupby("group").pair_level.nunique().max() == 1  # they have one level together
    first = all_n.drop_duplicates("group").set_index("group").loc[traps.group]
    assert (first.structure.to_numpy() == traps.structure).all() and (
        first.motif.to_numpy() == traps.motif
    ).all()
    own, pair = features[0][(features[1].symbol == "N").to_numpy()], int(np.flatnonzero(x[:, -3])[0])
    members = (all_n.group == traps.group[pair]).to_numpy()
    assert traps.n_nitrogen[pair] == members.sum() == 2
    assert np.allclose(x[pair, : own.shape[1] - 1], own[members, :-1].mean(axis=0))
    assert x[pair, -4] == pytest.approx(np.ptp(own[members, 0]) / 2)
