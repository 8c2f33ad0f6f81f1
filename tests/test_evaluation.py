"""Splits, errors, baselines."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlms_helpers import evaluation

TABLE = pd.DataFrame(
    {
        "family": np.repeat(np.arange(20), 3),
        "n_nitrogen": np.repeat([0, 1, 2, 3, 4], 12),
        "y": np.linspace(0, 1, 60),
    }
)


@given(seed=st.integers(0, 10**6), by=st.sampled_from([None, "family", "n_nitrogen"]))
def test_split_is_a_partition_and_keeps_groups_whole(seed, by):
    parts = evaluation.split(TABLE, by=by, seed=seed)
    assert sorted(np.concatenate(parts)) == list(range(60)) and all(len(p) for p in parts)
    if by:
        kinds = [set(TABLE[by].iloc[p]) for p in parts]
        assert not (kinds[0] & kinds[1] | kinds[0] & kinds[2] | kinds[1] & kinds[2])


def test_split_is_seeded():
    same = [evaluation.split(TABLE, by="family", seed=4) for _ in range(2)]
    assert all((a == b).all() for a, b in zip(*same, strict=True))
    assert not np.array_equal(same[0][2], evaluation.split(TABLE, by="family", seed=5)[2])


@given(seed=st.integers(0, 10**6), n=st.integers(2, 7), by=st.sampled_from([None, "family"]))
def test_folds_test_every_row_once(seed, n, by):
    cut = evaluation.folds(TABLE, by, n, seed)
    assert sorted(np.concatenate([test for _, test in cut])) == list(range(60))
    for train, test in cut:
        assert not set(train) & set(test)
        assert by is None or not set(TABLE.family.iloc[train]) & set(TABLE.family.iloc[test])


def test_split_above_extrapolates():
    train, validation, test = evaluation.split_above(TABLE, "n_nitrogen", 2, by="family")
    assert set(TABLE.n_nitrogen.iloc[test]) == {3, 4} and set(
        TABLE.n_nitrogen.iloc[np.r_[train, validation]]
    ) == {0, 1, 2}
    assert not set(TABLE.family.iloc[train]) & set(TABLE.family.iloc[validation])


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: evaluation.split(TABLE, by="familly"), "no column 'familly'"),
        (lambda: evaluation.split(TABLE.iloc[:3], by="family"), "nothing is left to train on"),
        (lambda: evaluation.folds(TABLE.iloc[:3], by="family"), "only one value"),
        (lambda: evaluation.split_above(TABLE, "n_nitrogen", 9), "nothing to extrapolate to"),
        (lambda: evaluation.errors([1, 2], [1]), "alike in shape"),
    ],
)
def test_one_clear_error(call, words):
    with pytest.raises(ValueError, match=words):
        call()


def test_errors_by_hand():
    found = evaluation.errors([1, 2, 3], [1, 2, 6])
    assert found == pytest.approx({"RMSE": np.sqrt(3), "MAE": 1.0, "R2": 1 - 3 / (2 / 3)})


def test_baselines_and_summary():
    models = {
        "mean": evaluation.mean_baseline(TABLE.y),
        "line": evaluation.line_baseline(np.arange(60), TABLE.y),
    }
    scores = evaluation.cross_validate(models, TABLE, "y", by="family", seeds=range(4))
    table = evaluation.summary(scores)
    assert list(table.index) == ["mean", "line"] and len(scores) == 8
    assert table.RMSE["line"] < 1e-9 and table.R2["mean"] < 0 < table.RMSE_ci["mean"]
    assert list(table.columns) == ["RMSE", "RMSE_ci", "RMSE_seeds", "MAE", "R2"]


def off_by(errors):
    """A model that errs by a given number in each row, whatever it has seen."""
    return lambda train, test, seed: TABLE.y.to_numpy()[test] + errors[test]


def test_the_interval_of_a_summary_is_over_families():
    """20 families whose error is a family's own: 3 rows of one are no more than one."""
    by_family = np.random.default_rng(0).normal(size=20)[TABLE.family]
    by_row = np.random.default_rng(1).normal(size=60)
    models = {"of the family": off_by(by_family), "of the row": off_by(by_row)}
    families = evaluation.summary(evaluation.cross_validate(models, TABLE, "y", by="family"))
    rows = evaluation.summary(evaluation.cross_validate(models, TABLE, "y"))
    # relative standard error 1 / sqrt(2 n) of n = 20 families or 60 rows
    assert families.RMSE_ci["of the family"] / families.RMSE["of the family"] == pytest.approx(
        1.96 / np.sqrt(40), rel=0.4
    )
    assert rows.RMSE_ci["of the family"] < 0.8 * families.RMSE_ci["of the family"]
    assert families.RMSE_ci["of the row"] == pytest.approx(rows.RMSE_ci["of the row"], rel=0.35)
    assert (families.RMSE_seeds < 1e-9).all() and (families.RMSE == rows.RMSE).all()


def test_the_intervals_of_a_summary_by_hand():
    """Two families, errors 1 and 3: drawn again, the RMSE is 1, sqrt(5) or 3."""
    table = pd.DataFrame({"y": [0.0, 0.0, 0.0, 0.0], "family": [1, 1, 2, 2]})
    errors = np.array([1.0, -1.0, 3.0, -3.0])
    scores = evaluation.cross_validate(
        {"m": lambda train, test, seed: (1 + 0.5 * seed) * errors[test]},
        table,
        "y",
        by="family",
        seeds=[0, 1],
    )
    found = evaluation.summary(scores).loc["m"]
    assert found.RMSE / np.sqrt(5) == pytest.approx(1.25)
    assert found.RMSE_ci == pytest.approx(np.sqrt((1 + 1.5**2) / 2))  # (3 - 1) / 2, both seeds together
    assert found.RMSE_seeds == pytest.approx(12.7062 * 0.25 * np.sqrt(5), rel=1e-4)
    np.testing.assert_allclose(scores.residuals[0].groupby(level=0).apply(np.ptp), [2, 6])


def test_cross_validation_hides_the_test_rows():
    def nosy(train, test, seed):
        assert not set(TABLE.family.iloc[train]) & set(TABLE.family.iloc[test])
        return np.zeros(len(test))

    evaluation.cross_validate({"nosy": nosy}, TABLE, "y", by="family", seeds=[0])


def test_coverage_of_honest_error_bars():
    rng = np.random.default_rng(0)
    true = rng.normal(size=4000)
    np.testing.assert_allclose(
        *evaluation.coverage(true, 0, 1.0)[["promised", "found"]].to_numpy().T, atol=0.02
    )
    assert (evaluation.coverage(true, 0, 0.5).found < evaluation.coverage(true, 0, 1.0).found).all()
