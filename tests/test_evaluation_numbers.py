"""Numbers that break naive formulas: NaN, masks, constants, columns for rows, rounding, one thing twice."""

import numpy as np
import pandas as pd
import pytest

from mlms_helpers import evaluation

Y = np.random.default_rng(0).normal(size=20)
TABLE = pd.DataFrame({"y": Y, "family": list("abcdefghij") * 2})
mean = evaluation.mean_baseline(Y)


def diverged(train, test, seed):
    return np.full(len(test), np.nan)


def diverged_once(train, test, seed):
    return np.where(test == 7, np.inf, Y[test])


# ---- NaN is never the best


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize("bad", [diverged, diverged_once])
def test_a_setting_that_diverged_is_not_chosen(bad, order):
    settings = dict([("bad", bad), ("good", mean)][::order])
    found = evaluation.nested_cross_validate({"net": settings}, TABLE, "y", by="family", seeds=[0, 1])
    plain = evaluation.cross_validate({"net": mean}, TABLE, "y", by="family", seeds=[0, 1])
    if bad is diverged:
        assert (found.chosen.explode() == "good").all()
        np.testing.assert_array_equal(found.RMSE, plain.RMSE)
    assert np.isfinite(found.RMSE).all()
    np.testing.assert_array_equal(found.flattering, plain.RMSE)


def test_if_all_settings_diverge_it_is_said():
    with pytest.raises(ValueError, match="no setting of 'net' gives predictions that are all finite"):
        evaluation.nested_cross_validate({"net": {1: diverged, 2: diverged}}, TABLE, "y", seeds=[0])


def test_a_mean_over_seeds_does_not_pass_over_the_seed_that_diverged():
    def unlucky(train, test, seed):
        return diverged(train, test, seed) if seed == 2 else mean(train, test, seed)

    found = evaluation.summary(
        evaluation.cross_validate({"a": unlucky, "b": mean}, TABLE, "y", seeds=range(3))
    )
    assert found.loc["a"].isna().all() and found.loc["b"].notna().all()


# ---- errors


@pytest.mark.parametrize("shift", [0.0, 0.01])
@pytest.mark.parametrize("value", [0.1, 0.3, -2e6 / 3, 1e-9, 0.0, 1e12])
def test_r2_of_a_constant_is_nan_whatever_rounding_makes_of_it(value, shift):
    for n in (1, 3, 7, 1000):
        assert np.isnan(evaluation.errors([value] * n, [value + shift] * n)["R2"])
    assert np.isnan(evaluation.errors([0.1 + 0.2, 0.3, 0.3], [0.3, 0.3, 0.31])["R2"])


def test_r2_of_small_spreads_on_large_values_stays():
    true = -6e4 + 1e-4 * Y
    shifted = evaluation.errors(true, true + 0.5e-4 * Y.std())["R2"]
    assert shifted == pytest.approx(0.75, abs=1e-4)
    assert evaluation.errors(1e-12 * Y, np.zeros(20))["R2"] == pytest.approx(1 - (Y**2).mean() / Y.var())


def test_errors_of_masked_values_are_not_those_behind_the_mask():
    hidden = np.ma.masked_greater(np.r_[Y[:3], 1e6], 1e3)
    for pair in ((hidden, Y[:4]), (Y[:4], hidden)):
        with pytest.raises(ValueError, match="1 values are masked"):
            evaluation.errors(*pair)
    assert evaluation.errors(np.ma.masked_greater(Y, 1e3), Y)["RMSE"] == 0


# ---- coverage


def test_coverage_by_hand():
    found = evaluation.coverage([0.0, 1.0, 2.0, 3.0], [0.0, 1.5, 4.0, 9.0], [0.0, 1.0, 1.0, 1.0], [0.5, 0.96])
    assert list(found.promised) == [0.5, 0.96] and list(found.found) == [0.5, 0.75]


@pytest.mark.parametrize(
    "change, words",
    [
        ({"predicted": Y[:, None]}, "vectors of one length"),
        ({"predicted": Y[:5]}, "vectors of one length"),
        ({"true": Y[:, None], "predicted": Y[:, None]}, "vectors of one length"),
        ({"sigma": np.ones((20, 1))}, "vectors of one length"),
        ({"sigma": np.ones(1)}, "vectors of one length"),
        ({"true": [], "predicted": [], "sigma": []}, "not empty"),
        ({"sigma": -0.1}, "cannot be negative"),
        ({"sigma": np.r_[-1e-9, np.ones(19)]}, "cannot be negative"),
        ({"sigma": np.r_[np.nan, np.ones(19)]}, "not a finite number"),
        ({"sigma": np.inf}, "not a finite number"),
        ({"predicted": np.r_[np.nan, Y[1:]]}, "not a finite number"),
        ({"sigma": np.ma.masked_less(np.r_[0.0, np.ones(19)], 0.5)}, "masked"),
        ({"levels": (0.5, 90)}, "between 0 and 1"),
    ],
)
def test_coverage_refuses_what_it_cannot_count(change, words):
    with pytest.raises(ValueError, match=words):
        evaluation.coverage(**{"true": Y, "predicted": Y + 0.1, "sigma": np.ones(20), **change})


# ---- baselines


def test_a_line_is_exact_far_from_zero_and_in_any_unit():
    x = np.random.default_rng(1).normal(size=(20, 2))
    for offset, unit in ((1e9, 1.0), (0.0, 1e-9), (1e7, [1e-3, 1e5]), (-6e4, 1e-4)):
        far = offset + x * unit
        y = (far - offset) @ (np.array([1.0, 2.0]) / unit) + 5
        table = pd.DataFrame({"y": y})
        rmse = evaluation.cross_validate(
            {"line": evaluation.line_baseline(far, y)}, table, "y", seeds=[0]
        ).RMSE[0]
        assert rmse < 1e-5


def test_a_line_is_least_squares():
    x, rows = np.random.default_rng(1).normal(size=(20, 3)), np.arange(20)
    a = np.column_stack([np.ones(20), x])
    expected = a[15:] @ np.linalg.lstsq(a[:15], Y[:15], rcond=None)[0]
    np.testing.assert_allclose(evaluation.line_baseline(x, Y)(rows[:15], rows[15:], 0), expected, rtol=1e-10)
    constant = np.column_stack([np.where(rows < 15, 3.0, 4.0), x])  # it teaches nothing, and changes nothing
    np.testing.assert_allclose(
        evaluation.line_baseline(constant, Y)(rows[:15], rows[15:], 0), expected, rtol=1e-10
    )


def test_a_line_that_is_held_back_is_a_ridge():
    """A column that hardly varies among the training rows throws least squares off, and not a ridge."""
    x, rows = np.random.default_rng(1).normal(size=(20, 3)), np.arange(20)
    x[:15, 2] *= 1e-6
    free = evaluation.line_baseline(x, Y)(rows[:15], rows[15:], 0)
    held = evaluation.line_baseline(x, Y, 0.1, least_spread=0.5)(rows[:15], rows[15:], 0)
    assert np.abs(free).max() > 1e3 > 3 * np.abs(held).max()
    z = x[:15] - x[:15].mean(axis=0)
    z[:, :2] /= z[:, :2].std(axis=0)
    z[:, 2] /= 0.5
    slopes = np.linalg.solve(z.T @ z / 15 + 0.1 * np.eye(3), z.T @ (Y[:15] - Y[:15].mean()) / 15)
    same = evaluation.line_baseline(x, Y, 0.1, least_spread=0.5)(rows[:15], rows[:15], 0)
    np.testing.assert_allclose(same, Y[:15].mean() + z @ slopes, atol=1e-10)


@pytest.mark.parametrize(
    "x, y, words",
    [
        (np.zeros((2, 20)), Y, "x must be"),
        (np.zeros((20, 2, 2)), Y, "x must be"),
        (np.zeros(40), Y, "x must be"),
        (3.0, Y, "x must be"),
        (np.zeros(20), Y[:, None], "x must be"),
        (np.r_[np.nan, Y[1:]], Y, "not a finite number"),
        (Y, np.r_[np.inf, Y[1:]], "not a finite number"),
        (np.ma.masked_less(Y, 0), Y, "masked"),
    ],
)
def test_a_line_refuses_what_does_not_fit(x, y, words):
    with pytest.raises(ValueError, match=words):
        evaluation.line_baseline(x, y)


def test_predictions_may_be_a_column_and_nothing_else():
    def shaped(shape):
        return lambda train, test, seed: mean(train, test, seed).reshape(shape)

    right = evaluation.cross_validate({"m": mean}, TABLE, "y", n_folds=2, seeds=[0])
    column = evaluation.cross_validate({"m": shaped((-1, 1))}, TABLE, "y", n_folds=2, seeds=[0])
    pd.testing.assert_series_equal(right.pop("residuals")[0], column.pop("residuals")[0])
    pd.testing.assert_frame_equal(right, column)
    with pytest.raises(ValueError, match=r"shape \(2, 5\)"):
        evaluation.cross_validate({"m": shaped((2, 5))}, TABLE, "y", n_folds=2, seeds=[0])


# ---- one clear sentence

TWICE = pd.concat([TABLE, TABLE], axis=1)
NULLABLE = TABLE.assign(y=pd.array([None, *Y[1:]], dtype="Float64"))


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: evaluation.cross_validate({"m": mean}, TABLE, "y", seeds=[0, 0, 1]), "a seed stands twice"),
        (lambda: evaluation.cross_validate({"m": mean}, TABLE, "y", seeds=[]), "there is no seed"),
        (lambda: evaluation.cross_validate({}, TABLE, "y"), "there is no model"),
        (lambda: evaluation.nested_cross_validate({"m": {}}, TABLE, "y"), "there is no setting of 'm'"),
        (lambda: evaluation.learning_curve(mean, TABLE, "y", []), "there is no size"),
        (
            lambda: evaluation.learning_curve(mean, TABLE, "y", [2.5]),
            "a size must be a whole number, 0 or more, not 2.5",
        ),
        (lambda: evaluation.learning_curve(mean, TABLE, "y", [2], seeds=[1, 1]), "a seed stands twice"),
        (lambda: evaluation.folds(TABLE, n=2.5), "number of folds must be a whole number"),
        (lambda: evaluation.split(TWICE, by="family"), "2 columns called 'family'"),
        (lambda: evaluation.split(TABLE, by=["family", "y"]), "no column"),
        (
            lambda: evaluation.split(
                TABLE.assign(family=0.1 + 0.2 * (Y > 0)).replace({0.1: 0.3}), by="family"
            ),
            "two, or one",
        ),
        (
            lambda: evaluation.folds(TABLE.replace({"b": "a "}), by="family"),
            "'family': are the groups 'a' and 'a '",
        ),
        (lambda: evaluation.cross_validate({"m": mean}, NULLABLE, "y"), "no value in 1 of 20 rows"),
        (
            lambda: evaluation.cross_validate({"m": mean}, TABLE.replace({Y[3]: np.inf}), "y"),
            "not a finite number",
        ),
    ],
)
def test_one_clear_error(call, words):
    with pytest.raises(ValueError, match=words):
        call()


def test_the_fourth_argument_of_split_is_the_seed():
    by_position, by_name = (
        evaluation.split(TABLE, "family", 0.2, 3),
        evaluation.split(TABLE, by="family", test=0.2, seed=3),
    )
    assert all(np.array_equal(a, b) for a, b in zip(by_position, by_name, strict=True))
    assert [len(part) for part in by_position] == [12, 4, 4]
    with pytest.raises(TypeError):
        evaluation.split(TABLE, "family", 0.2, 3, 0.2)
