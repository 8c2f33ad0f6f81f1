"""Nested cross-validation, learning curves, and runs that go elsewhere through `map`."""

import builtins

import cloudpickle
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlms_helpers import evaluation

FAMILY = np.repeat(np.arange(20), 3)
Y = np.random.default_rng(0).normal(size=60)
TABLE = pd.DataFrame(
    {
        "family": FAMILY,
        "formula": np.array(["Li3PO4", "Li25N", "Li26N2", "Li27N3"])[FAMILY % 4],
        "n_atoms": 64 + FAMILY % 4,
        "y": Y,
    }
)
mean = evaluation.mean_baseline(Y)


def guess(rank):
    """A model that has learned nothing: random numbers, other ones for each rank."""
    return lambda train, test, seed: np.random.default_rng([rank, seed, 7]).normal(size=60)[test]


# ---- extrapolating splits


def test_larger_cells_and_other_hosts():
    train, validation, test = evaluation.split_above(TABLE, "n_atoms", 66, by="family")
    assert (TABLE.n_atoms.iloc[test] == 67).all() and TABLE.n_atoms.iloc[np.r_[train, validation]].max() == 66
    for by in ("formula", "n_atoms"):
        parts = evaluation.split(TABLE, by=by, test=0.25, validation=0.25)
        assert [TABLE[by].iloc[p].nunique() for p in parts] == [2, 1, 1]


@given(threshold=st.floats(-3, 3), seed=st.integers(0, 100))
def test_no_family_is_torn_when_the_threshold_cuts_through_it(threshold, seed):
    def cut():
        return evaluation.split_above(TABLE, "y", threshold, by="family", seed=seed)

    whole_below = TABLE.groupby("family").y.max().le(threshold).sum()
    if whole_below < 2 or threshold >= Y.max():  # one family for training, one for validation
        with pytest.raises(ValueError, match=r"nothing (is left to train on|to extrapolate (to|from))"):
            cut()
        return
    train, validation, test = cut()
    assert (Y[test] > threshold).all() and (Y[np.r_[train, validation]] <= threshold).all()
    sides = [set(FAMILY[part]) for part in (train, validation, test)]
    assert sum(map(len, sides)) == len(set.union(*sides))
    assert len(sides[0] | sides[1]) == whole_below and len(test) == np.count_nonzero(threshold < Y)


# ---- nested cross-validation


def test_the_setting_is_chosen_without_the_outer_rows():
    seen = []

    def model(train, test, seed):
        seen.append((frozenset(train), frozenset(test)))
        return np.zeros(len(test))

    evaluation.nested_cross_validate(
        {"spy": {1: model, 2: model}}, TABLE, "y", by="family", outer=4, inner=3, seeds=[0]
    )
    outer = [frozenset(test) for _, test in evaluation.folds(TABLE, "family", 4, 0)]
    inner_calls = [rows for rows in seen if rows[1] not in outer]
    assert len(seen) == 2 * 4 * (3 + 1) and len(inner_calls) == 2 * 4 * 3
    for train, test in inner_calls:
        untouched = [part for part in outer if not part & (train | test)]
        assert len(untouched) == 1 and len(train | test) + len(untouched[0]) == 60
        assert not set(FAMILY[list(train)]) & set(FAMILY[list(test)])


def test_a_setting_that_shines_on_the_outer_folds_only_is_not_chosen():
    def cheat(train, test, seed):
        inside = len(train) + len(test) < 60
        return mean(train, test, seed) + 10 if inside else Y[test]

    scores = evaluation.nested_cross_validate(
        {"m": {"plain": mean, "cheat": cheat}}, TABLE, "y", by="family", seeds=[0, 1]
    )
    assert (
        (scores.chosen.explode() == "plain").all()
        and (scores.RMSE > 0.5).all()
        and (scores.flattering < 1e-9).all()
    )


@given(seed=st.integers(0, 10**6))
@settings(max_examples=15)
def test_the_flattering_number_is_never_above_any_setting(seed):
    settings_ = {rank: guess(rank) for rank in range(5)}
    nested = evaluation.nested_cross_validate({"g": settings_}, TABLE, "y", by="family", seeds=[seed]).iloc[0]
    plain = evaluation.cross_validate(settings_, TABLE, "y", by="family", seeds=[seed])
    assert nested.flattering == pytest.approx(plain.RMSE.min())
    assert nested.flattering <= nested.RMSE + 1e-12 or len(set(nested.chosen)) > 1
    assert len(nested.chosen) == 5 and set(nested.chosen) <= set(settings_)


def test_choosing_among_useless_models_flatters_and_nesting_does_not():
    scores = evaluation.nested_cross_validate(
        {"g": {rank: guess(rank) for rank in range(30)}}, TABLE, "y", by="family", seeds=range(8)
    )
    true_error = np.sqrt((Y**2).mean() + 1)
    assert scores.flattering.mean() < 0.92 * true_error and scores.RMSE.mean() == pytest.approx(
        true_error, rel=0.05
    )
    assert evaluation.summary(scores).RMSE["g"] == pytest.approx(scores.RMSE.mean())


def test_one_setting_is_plain_cross_validation():
    nested = evaluation.nested_cross_validate({"mean": {"only": mean}}, TABLE, "y", by="family", seeds=[3])
    plain = evaluation.cross_validate({"mean": mean}, TABLE, "y", by="family", seeds=[3])
    assert nested.RMSE[0] == plain.RMSE[0] == nested.flattering[0]


# ---- learning curve


def test_training_sets_are_nested_and_whole_and_the_test_set_stays():
    seen = []

    def spy(train, test, seed):
        seen.append((seed, set(train), set(test)))
        return np.zeros(len(test))

    table = evaluation.learning_curve(spy, TABLE, "y", [1, 4, 16], by="family", seeds=[0, 1])
    assert (
        list(table["size"]) == [1, 4, 16] * 2
        and list(table.samples) == [3, 12, 48] * 2
        and list(table.seed) == [0] * 3 + [1] * 3
    )
    for seed in (0, 1):
        (_, a, test), (_, b, same), (_, c, again) = [call for call in seen if call[0] == seed]
        assert a < b < c and test == same == again and not set(FAMILY[list(c)]) & set(FAMILY[list(test)])
    assert table.RMSE[0] == pytest.approx(np.sqrt((Y[list(seen[0][2])] ** 2).mean()))


def test_watch_sees_every_point_and_can_stop():
    lengths = []

    def watch(table):
        lengths.append(len(table))
        return len(table) == 3

    calls = []

    def model(train, test, seed):
        calls.append(seed)
        return np.zeros(len(test))

    table = evaluation.learning_curve(model, TABLE, "y", [2, 8], by="family", seeds=range(4), watch=watch)
    assert lengths == [1, 2, 3] and len(table) == 3 == len(calls)  # nothing is computed after the stop


def test_more_data_teach_more():
    x = np.random.default_rng(1).normal(size=(60, 5))
    table = pd.DataFrame({"y": x @ np.arange(5.0) + 0.1 * Y})
    errors = (
        evaluation.learning_curve(evaluation.line_baseline(x, table.y), table, "y", [7, 12, 40])
        .groupby("size")
        .RMSE.mean()
    )
    assert errors[7] > errors[12] > errors[40]


# ---- somewhere else


def elsewhere(function, items):
    """A `map` that sends the work through cloudpickle, as processes do."""
    sent = [cloudpickle.dumps((function, item)) for item in items]
    return [run(item) for run, item in builtins.map(cloudpickle.loads, sent)]


def test_the_same_numbers_elsewhere():
    models = {"mean": mean, "guess": guess(1)}
    for run in (
        lambda **how: evaluation.cross_validate(models, TABLE, "y", by="family", seeds=[0, 1], **how),
        lambda **how: evaluation.nested_cross_validate(
            {"both": models}, TABLE, "y", by="family", seeds=[0], **how
        ),
        lambda **how: evaluation.learning_curve(
            guess(2), TABLE, "y", [3, 9], by="family", seeds=[0, 1], **how
        ),
    ):
        here, there = run(), run(map=elsewhere)
        for residuals in [table.pop("residuals") for table in (here, there) if "residuals" in table]:
            assert [len(one) for one in residuals] == [60] * len(residuals)
        pd.testing.assert_frame_equal(here, there)


GAPS = TABLE.assign(y=TABLE.y.where(TABLE.index > 2), family=TABLE.family.where(TABLE.index > 1))


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: evaluation.split(TABLE, test=1.5), "are shares"),
        (lambda: evaluation.split(TABLE, validation=-0.1), "are shares"),
        (lambda: evaluation.split(GAPS, by="family"), "no value in 2 of 60 rows"),
        (lambda: evaluation.split_above(TABLE, "atoms", 2), "no column 'atoms'"),
        (lambda: evaluation.split_above(TABLE, "formula", 2), "no numbers"),
        (lambda: evaluation.split_above(TABLE, "n_atoms", 60), "every row has n_atoms above 60"),
        (
            lambda: evaluation.split_above(TABLE.assign(one=1), "y", 0.0, by="one"),
            "nothing is left to train on",
        ),
        (lambda: evaluation.folds(TABLE, n=1), "folds must be a whole number, 2 or more, not 1"),
        (lambda: evaluation.cross_validate({"mean": mean}, TABLE, "z"), "no column 'z'"),
        (lambda: evaluation.cross_validate({"mean": mean}, GAPS, "y"), "no value in 3 of 60 rows"),
        (lambda: evaluation.learning_curve(mean, TABLE, "y", [17], by="family"), "1 to 16 values of family"),
        (lambda: evaluation.learning_curve(mean, TABLE, "y", [0]), "1 to 48 rows"),
    ],
)
def test_one_clear_error(call, words):
    with pytest.raises(ValueError, match=words):
        call()


def test_learning_curve_stops_on_any_true_value_and_a_wrong_model_is_named():
    table = pd.DataFrame({"y": np.arange(20.0)})
    mean = evaluation.mean_baseline(table.y)
    assert len(evaluation.learning_curve(mean, table, "y", [2, 4], watch=lambda t: t.RMSE.min() < 1e9)) == 1
    with pytest.raises(ValueError, match="'short' gives 3 predictions for"):
        evaluation.cross_validate({"short": lambda train, test, seed: np.zeros(3)}, table, "y", seeds=[0])
