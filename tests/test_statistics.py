"""How many seeds tell two models apart (Welch's test, its power), the bootstrap, groups, seeds of members."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.stats import ttest_ind, ttest_rel

from mlms_helpers import statistics

SCORES = st.lists(st.floats(0.01, 10, allow_subnormal=False), min_size=2, max_size=30)


@given(a=SCORES, b=SCORES)
def test_welch_agrees_with_scipy(a, b):
    assume(min(np.std(a), np.std(b)) > 1e-3)
    found, theirs = statistics.compare(a, b, n=10), ttest_ind(a, b, equal_var=False)
    assert (found["t"], found["df"], found["p"]) == pytest.approx(
        (theirs.statistic, theirs.df, theirs.pvalue), rel=1e-6, abs=1e-12
    )
    assert (found["low"], found["high"]) == pytest.approx(
        tuple(theirs.confidence_interval(0.95)), rel=1e-6, abs=1e-9
    )
    assert found["difference"] == pytest.approx(np.mean(a) - np.mean(b), abs=1e-12)


@given(a=st.lists(st.floats(0.01, 10), min_size=3, max_size=20), seed=st.integers(0, 1000))
def test_paired_agrees_with_scipy(a, seed):
    b = np.array(a) + np.random.default_rng(seed).normal(0.1, 0.2, len(a))
    found, theirs = statistics.compare(a, b, paired=True, n=10), ttest_rel(a, b)
    assert (found["t"], found["df"], found["p"]) == pytest.approx(
        (theirs.statistic, theirs.df, theirs.pvalue), rel=1e-6, abs=1e-12
    )


def test_pairing_sees_what_a_hard_fold_hides():
    rng = np.random.default_rng(0)
    fold = rng.normal(0.5, 0.1, 12)
    a, b = fold + rng.normal(0.02, 0.01, 12), fold + rng.normal(0, 0.01, 12)
    assert statistics.compare(a, b, paired=True)["p"] < 0.01 and statistics.compare(a, b)["p"] > 0.3


def test_swapping_the_models_turns_the_sign():
    a, b = np.random.default_rng(0).normal(size=(2, 9))
    one, other = statistics.compare(a, b), statistics.compare(b, a)
    assert one["p"] == pytest.approx(other["p"]) and one["low"] == pytest.approx(-other["high"])
    assert one["boot_low"] < one["difference"] < one["boot_high"]
    assert one == statistics.compare(a, b)  # the bootstrap is seeded


@pytest.mark.parametrize(
    "spread, n, effect",
    [(1.0, 2, 3.0), (1.0, 3, 1.5), (2.0, 5, 1.5), (0.3, 5, 0.0), (1.0, 10, 1.0), (0.0, 4, 1.0)],
)
def test_power_is_what_a_simulation_finds(spread, n, effect):
    rng, tries = np.random.default_rng(1), 20_000
    p = ttest_ind(
        rng.normal(0, 1, (tries, n)),
        rng.normal(effect, spread, (tries, n)) + 1e-9 * rng.normal(size=(tries, n)),
        axis=1,
        equal_var=False,
    ).pvalue
    expected = statistics.welch_power(effect, 1.0, spread, n)
    assert (p < 0.05).mean() == pytest.approx(
        expected, abs=4 * np.sqrt(expected * (1 - expected) / tries) + 5e-4
    )


def test_two_equal_models_differ_once_in_twenty():
    rng = np.random.default_rng(2)
    found = [statistics.compare(*rng.normal(0.5, 0.03, (2, 10)), n=1)["p"] < 0.05 for _ in range(2000)]
    assert 0.035 < np.mean(found) < 0.065


@given(
    effect=st.floats(0.05, 5),
    spread_a=st.floats(0.1, 2),
    spread_b=st.floats(0, 2),
    wanted=st.floats(0.1, 0.99),
)
@settings(max_examples=40)
def test_seeds_needed_is_the_least_number(effect, spread_a, spread_b, wanted):
    n = statistics.seeds_needed(effect, spread_a, spread_b, power=wanted)
    assert statistics.welch_power(effect, spread_a, spread_b, n) >= wanted
    assert n == 2 or statistics.welch_power(effect, spread_a, spread_b, n - 1) < wanted


def test_half_the_difference_takes_four_times_the_seeds():
    many, few = (statistics.seeds_needed(effect, 1.0, 1.0) for effect in (0.1, 0.2))
    assert many / few == pytest.approx(4, rel=0.02)
    assert few == pytest.approx(
        2 * (1.96 + 0.8416) ** 2 / 0.2**2, rel=0.02
    )  # the textbook's formula for many seeds


@given(shift=st.floats(0, 1e9), spread_b=st.floats(0, 100), n=st.integers(2, 10**6))
@settings(max_examples=50)
def test_power_is_a_probability_however_far_out(shift, spread_b, n):
    assert 0 < statistics.welch_power(shift / np.sqrt(n), 1.0, spread_b, n) < 1 + 1e-9


# ---- the bootstrap over samples and groups


def coverage(groups_differ, by_group, n_groups=30, each=4, tries=300):
    """How often the interval holds the true RMSE, for errors of one group that are alike (or not)."""
    rng, groups, inside = np.random.default_rng(3), np.repeat(np.arange(n_groups), each), 0
    for _ in range(tries):
        residual = np.repeat(rng.normal(0, groups_differ, n_groups), each) + rng.normal(
            0, 0.3, n_groups * each
        )
        low, high = statistics.bootstrap_interval(residual, groups if by_group else None, n=300)
        inside += low < np.hypot(groups_differ, 0.3) < high
    return inside / tries


def test_the_interval_over_groups_holds_the_truth_and_that_over_samples_does_not():
    assert 0.86 < coverage(1.0, by_group=True) < 0.98
    assert coverage(1.0, by_group=False) < 0.8
    assert 0.86 < coverage(0.0, by_group=False) < 0.98


def test_interval_of_a_difference():
    rng = np.random.default_rng(4)
    b = rng.normal(size=400)
    low, high = statistics.bootstrap_interval(1.2 * b, minus=b)
    assert 0 < low < 0.2 < high < 0.3
    assert statistics.bootstrap_interval(b, minus=b) == pytest.approx([0, 0], abs=1e-12)
    assert statistics.bootstrap_interval(b, minus=1.2 * b) == pytest.approx([-high, -low])


def test_interval_by_hand():
    # two groups with errors 1 and 3: the draws give 1, sqrt(5) or 3
    assert statistics.bootstrap_interval([1.0, 1.0, 3.0, 3.0], ["a", "a", "b", "b"]) == pytest.approx([1, 3])


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: statistics.compare([1.0], [1.0, 2.0]), "at least two finite scores"),
        (lambda: statistics.compare([1.0, np.nan], [1.0, 2.0]), "at least two finite scores"),
        (lambda: statistics.compare([1.0, 1.0], [2.0, 2.0]), "do not vary"),
        (lambda: statistics.compare(np.ones((5, 4)), [1.0, 2.0]), "one score a seed"),
        (
            lambda: statistics.compare(np.ma.masked_greater([1.0, 2.0, 1e9], 9), [1.0, 2.0]),
            "1 values are masked",
        ),
        (
            lambda: statistics.bootstrap_interval(np.ma.masked_greater([1.0, 2.0, 1e9], 9)),
            "1 values are masked",
        ),
        (lambda: statistics.bootstrap_interval(np.ones((3, 1))), "vectors of one length"),
        (lambda: statistics.compare([1.0, 2.0, 3.0], [1.0, 2.0], paired=True), "same seeds for both"),
        (lambda: statistics.welch_power(0.1, 0.0, 0.0, 5), "must be positive"),
        (lambda: statistics.welch_power(0.1, -1.0, 1.0, 5), "must be positive"),
        (lambda: statistics.welch_power(0.1, 1.0, 1.0, 1), "at least two seeds"),
        (lambda: statistics.welch_power(0.1, 1.0, 1.0, 5, alpha=0), "between 0 and 1"),
        (lambda: statistics.seeds_needed(0.0, 1.0, 1.0), "too small to be found"),
        (lambda: statistics.seeds_needed(0.1, 1.0, 1.0, power=1.0), "between 0 and 1"),
        (lambda: statistics.bootstrap_interval([1.0, 2.0], ["a"]), "vectors of one length"),
        (lambda: statistics.bootstrap_interval([1.0, 2.0], ["a", "a"]), "only one group"),
    ],
)
def test_one_clear_error(call, words):
    with pytest.raises(ValueError, match=words):
        call()


def test_seeds_needed_up_to_its_limit():
    n = statistics.seeds_needed(0.005, 1.0, 1.0)
    assert 500_000 < n < 700_000
    with pytest.raises(ValueError, match="million seeds"):
        statistics.seeds_needed(0.001, 1.0, 1.0)


def test_residuals_must_be_numbers():
    with pytest.raises(ValueError, match="not a finite number"):
        statistics.bootstrap_interval([0.1, np.nan, 0.2])


def test_bootstrap_draws_whole_families():
    groups = np.repeat([3, 5, 8, 9], 3)
    weights = statistics.bootstrap_weights(groups, 50, seed=1)
    assert weights.shape == (50, 12) and (weights.sum(1) == 12).all()
    for family in np.unique(groups):
        assert (np.ptp(weights[:, groups == family], axis=1) == 0).all()
    assert 0.2 < (weights == 0).mean() < 0.45  # (1 - 1/4)^4 = 0.32 are left out


# ---- groups and seeds


@pytest.mark.parametrize(
    "groups, words",
    [
        (["a", None, "b"], "1 of 3 samples have no group"),
        ([1.0, np.nan, 2.0], "1 of 3 samples have no group"),
        (pd.array([1, pd.NA, 2], dtype="Int64"), "1 of 3 samples have no group"),
        ([0.1 + 0.2, 0.3, 1.0], "two, or one"),
        (["Li3PO4", "LiPON ", "LiPON"], "two, or one"),
        (np.zeros((3, 1)), "vector"),
    ],
)
def test_groups_that_would_leak_are_refused(groups, words):
    for call in (
        statistics.group_numbers,
        lambda g: statistics.bootstrap_weights(g, 2),
        lambda g: statistics.bootstrap_interval([0.1, 0.2, 0.3], g),
    ):
        with pytest.raises(ValueError, match=words):
            call(groups)


@pytest.mark.parametrize("groups", [["b", "a", "c", "a"], [7, -1, 9, -1], [1.5, 0.0, 2e9, 0.0]])
def test_groups_are_numbered_in_order_whatever_holds_them(groups):
    for kind in (
        list,
        np.array,
        pd.Series,
        lambda g: pd.Series(g, dtype="category"),
        lambda g: pd.Series(g, index=[9, 9, 8, 8]),
    ):
        np.testing.assert_array_equal(statistics.group_numbers(kind(groups)), [1, 0, 2, 0])


def test_no_two_members_of_two_seeds_share_a_stream():
    seeds = [statistics.spawn(seed, k) for seed in range(30) for k in range(30)]
    assert len(set(seeds)) == 900 and all(type(s) is int and 0 <= s < 2**32 for s in seeds)
    assert statistics.spawn(3, 4) == statistics.spawn(3, 4) != statistics.spawn(4, 3)
    first = np.array([np.random.default_rng(s).normal(size=200) for s in seeds[:100]])
    assert (
        np.abs(np.corrcoef(first) - np.eye(100)).max() < 0.4
    )  # of 4,950 pairs; 0.07 is one standard deviation


@pytest.mark.parametrize("n", [0, -1, 2.5, "a", True])
def test_numbers_of_draws_that_cannot_be(n):
    with pytest.raises(ValueError, match="whole number"):
        statistics.bootstrap_weights([0, 1], n)
    with pytest.raises(ValueError, match="whole number"):
        statistics.bootstrap_interval(np.array([1.0, 2.0]), n=n)


def test_no_sample_to_draw_from():
    with pytest.raises(ValueError, match="no sample"):
        statistics.bootstrap_weights([], 3)
