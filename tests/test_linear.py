"""The one ridge: against scikit-learn's, and what must not matter."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import Ridge

from mlms_helpers import linear


def problem(n=60, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 4)) * [1, 10, 0.1, 3] + [5, -2, 0, 100]
    return x, x @ [2.0, -0.3, 4.0, 0.0] + 7 + 0.5 * rng.normal(size=n)


@pytest.mark.parametrize("strength", [1e-9, 1e-4, 3e-3, 0.1, 10.0])
def test_the_same_as_scikit_learn(strength):
    """There the error is summed and nothing is standardised: alpha = n_samples * strength, on z."""
    x, y = problem()
    z = (x - x.mean(0)) / x.std(0)
    peer = Ridge(len(x) * strength).fit(z, y).predict(z)
    np.testing.assert_allclose(linear.predict(linear.ridge(x, y, strength), x), peer, atol=1e-10)


def test_weights_as_in_scikit_learn():
    """The spread is that of all rows: a line through another draw of the same rows is held back alike."""
    x, y = problem()
    times = np.random.default_rng(1).integers(0, 4, len(x))
    z = (x - x.mean(0)) / x.std(0)
    peer = Ridge(times.sum() * 3e-3).fit(z, y, sample_weight=times).predict(z)
    for weights in (times, 0.01 * times):
        found = linear.predict(linear.ridge(x, y, 3e-3, weights=weights), x)
        np.testing.assert_allclose(found, peer, atol=1e-10)


def test_a_weight_is_a_number_of_copies():
    x, y = problem()
    times = np.random.default_rng(1).integers(0, 4, len(x))
    copies = linear.ridge(np.repeat(x, times, axis=0), np.repeat(y, times), 0.0)
    np.testing.assert_allclose(linear.ridge(x, y, 0.0, weights=times), copies, rtol=1e-9)
    y[times == 0] = 1e6  # not there at all
    np.testing.assert_allclose(linear.ridge(x, y, 0.0, weights=times), copies, rtol=1e-9)


def test_strength_zero_is_least_squares_and_a_large_one_the_mean():
    x, y = problem()
    solution = np.linalg.lstsq(np.column_stack([np.ones(len(x)), x]), y, rcond=None)[0]
    np.testing.assert_allclose(linear.ridge(x, y, 0.0), solution, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(linear.predict(linear.ridge(x, y, 1e12), x), y.mean(), atol=1e-9)


def test_slopes_are_those_of_the_minimum():
    """No small change of a coefficient lowers what is to be minimised, written out as in the docstring."""
    x, y = problem(20)

    def objective(c):
        z, t = (linear.predict(c, x) - y.mean()) / y.std(), (y - y.mean()) / y.std()
        return np.mean((z - t) ** 2) + 0.05 * np.sum((c[1:] * x.std(0) / y.std()) ** 2)

    best = linear.ridge(x, y, 0.05)
    for k in range(len(best)):
        for step in (-1e-3, 1e-3):
            assert objective(best + step * np.eye(len(best))[k]) > objective(best)


@given(
    units=st.lists(st.floats(-6, 6), min_size=5, max_size=5),
    shift=st.floats(-100, 100),
    strength=st.sampled_from([0.0, 1e-3, 1.0]),
)
def test_units_do_not_matter(units, shift, strength):
    x, y = problem()
    factor, unit = 10.0 ** np.array(units[:4]), 10.0 ** units[4]
    other = linear.predict(
        linear.ridge((x + shift) * factor, y * unit + shift, strength), (x + shift) * factor
    )
    expected = linear.predict(linear.ridge(x, y, strength), x)
    np.testing.assert_allclose((other - shift) / unit, expected, atol=1e-6 * max(1, 1 / unit))


@pytest.mark.parametrize("strength", [0.0, 1e-2])
def test_constant_columns_say_nothing(strength):
    x, y = problem()
    more = np.column_stack([x, np.full(len(x), 0.1), np.full(len(x), 1e9)])
    found = linear.ridge(more, y, strength)
    assert (found[-2:] == 0).all()
    np.testing.assert_allclose(found[:-2], linear.ridge(x, y, strength))
    np.testing.assert_allclose(linear.ridge(more[:1], y[:1], strength), [y[0], 0, 0, 0, 0, 0, 0])
    once = np.arange(len(x)) == 3  # constant in all rows but one, which does not count
    alone = linear.ridge(np.column_stack([x, once]), y, strength, weights=1.0 - once)
    assert alone[-1] == 0


def test_copies_of_a_column_share_the_slope():
    x, y = problem()
    found = linear.ridge(np.column_stack([x, x[:, 0]]), y, 0.0)
    np.testing.assert_allclose(found[[1, 5]], linear.ridge(x, y, 0.0)[1] / 2, rtol=1e-6)


def test_what_hardly_varies_is_not_blown_up():
    x, y = problem()
    x = np.column_stack([x, 1e-6 * np.random.default_rng(2).normal(size=len(x))])
    floor = linear.ridge(x, y, 0.01, least_spread=0.02)
    assert abs(floor[5]) < 1 < abs(linear.ridge(x, y, 0.01)[5])  # slope of the last column
    far = np.append(x[0, :4], 0.5)
    assert abs(linear.predict(floor, far[None]) - linear.predict(floor, x[:1]))[0] < 0.5


def test_several_lines_at_once():
    x, y = problem()
    lines = np.array([linear.ridge(x, y, s) for s in (0.0, 0.1, 1.0)])
    found = linear.predict(lines, x[:7])
    assert found.shape == (3, 7)
    np.testing.assert_allclose(found[1], linear.predict(lines[1], x[:7]))
    np.testing.assert_allclose(
        linear.predict(linear.ridge(x[:, 0], y, 0.0), x[:, 0]), np.polyval(np.polyfit(x[:, 0], y, 1), x[:, 0])
    )


@pytest.mark.parametrize(
    "change, words",
    [
        ({"y": np.zeros(59)}, "one row a sample"),
        ({"y": np.zeros((60, 1))}, "one row a sample"),
        ({"weights": np.ones(3)}, "one row a sample"),
        ({"x": np.full((60, 4), np.nan)}, "not a finite number"),
        ({"weights": np.zeros(60)}, "above zero"),
        ({"weights": -np.ones(60)}, "negative"),
        ({"strength": -1.0}, "negative"),
    ],
)
def test_one_clear_error(change, words):
    x, y = problem()
    with pytest.raises(ValueError, match=words):
        linear.ridge(**{"x": x, "y": y, "strength": 0.1, **change})


@pytest.mark.parametrize("seed", range(5))
def test_columns_that_add_up_to_zero_but_for_rounding_are_one_less(seed):
    rng = np.random.default_rng(seed)
    pair = rng.normal(size=(300, 2)) * [0.3, 1.7]
    third = -pair.sum(axis=1)
    third += np.spacing(third) * rng.integers(-1, 2, 300)
    x, y = np.column_stack([pair, third]), pair @ [1.0, -2.0] + rng.normal(size=300)
    line = linear.ridge(x, y, 0.0)
    np.testing.assert_allclose(
        linear.predict(line, x), linear.predict(linear.ridge(pair, y, 0.0), pair), atol=1e-10
    )
    elsewhere = linear.predict(line, x + rng.normal(size=(300, 1)) * [1, -1, 0])
    assert np.abs(elsewhere).max() < 50, "rounding has made a slope"


def test_what_is_masked_is_no_number():
    x, y = np.arange(6.0), 2 * np.arange(6.0)
    for hidden in ((np.ma.array(x, mask=x > 4), y), (x, np.ma.array(y, mask=y > 8))):
        with pytest.raises(ValueError, match="1 values are masked"):
            linear.ridge(*hidden, 0.0)


@pytest.mark.parametrize("value", [-1, np.nan, np.inf, "a", None])
def test_strengths_that_cannot_be(value):
    for settings in ({"strength": value}, {"strength": 0.0, "least_spread": value}):
        with pytest.raises(ValueError, match="must be a number, finite and not negative"):
            linear.ridge(np.arange(6.0), np.arange(6.0), **settings)


# ---- few features out of many


def many(n=40, features=300, seed=0):
    """Columns of which 7, 100 and 200 make y, with a little noise; two copies, and one that is constant."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, features)) * rng.uniform(0.01, 100, features) + rng.normal(size=features)
    x[:, 3], x[:, 4], x[:, 5] = x[:, 7] * 2 - 1, x[:, 100], 4.0
    z = (x - x.mean(0)) / np.where(x.std(0), x.std(0), 1)
    return x, 5 + z @ np.bincount([7, 100, 200], [3.0, -2.0, 1.0], features) + 0.01 * rng.normal(size=n)


def error(x, y, columns):
    """Sum of squares that the least-squares line leaves."""
    line = np.column_stack([np.ones(len(x)), x[:, columns]])
    return np.sum((y - line @ np.linalg.lstsq(line, y, rcond=None)[0]) ** 2)


@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_best_subsets_are_those_of_trying_all(size):
    x, y = many()
    x = x[:, 90:101]
    left = {c: error(x, y, list(c)) for c in itertools.combinations(range(x.shape[1]), size)}
    found = linear.best_subsets(x, y, size, keep=5)
    assert [tuple(columns) for columns in found] == sorted(left, key=left.get)[:5]


def test_best_subsets_take_no_feature_twice():
    """A copy adds nothing: neither of the other, nor of what two others say together."""
    x, y = many()
    x = np.column_stack([x[:, [7, 3, 100, 4]], x[:, 7] - x[:, 100], x[:, 200]])
    for size in (2, 3):
        for columns in map(set, linear.best_subsets(x, y, size, keep=5)):
            assert not any(same <= columns for same in ({0, 1}, {2, 3}, {0, 2, 4}, {1, 3, 4}))
    assert len(linear.best_subsets(x[:, :2], y, 2)) == 1


@pytest.mark.parametrize("scale", [1.0, 1e-6])
def test_sisso_finds_what_makes_y(scale):
    x, y = many()
    one, two, three = linear.sisso(x * scale, y * scale, screened=5)
    same = {3: 7, 4: 100}
    assert [same.get(c, c) for c in one] == [7]
    assert {same.get(c, c) for c in two} == {7, 100} and {same.get(c, c) for c in three} == {7, 100, 200}
    line = linear.ridge(x[:, three], y, 0.0)
    assert np.std(linear.predict(line, x[:, three]) - y) < 0.02


def test_many_residuals_find_better_lines():
    """What the second-best line leaves points at features that the best one hides."""
    left = []
    for seed in range(10):
        rng = np.random.default_rng(seed)
        x = rng.normal(size=(30, 400))
        y = x[:, :5].sum(axis=1) + rng.normal(size=30)
        found = (linear.sisso(x, y, screened=5, residuals=n)[2] for n in (1, 10))
        left.append([error(x, y, columns) for columns in found])
    one, ten = np.transpose(left)
    assert ten.mean() < 0.97 * one.mean() and (ten < one).sum() > (ten > one).sum()


def test_sisso_of_all_features_is_l0():
    x, y = many(features=210)
    x = x[:, 190:205]
    for size, columns in enumerate(linear.sisso(x, y, screened=15), 1):
        assert sorted(columns) == sorted(linear.best_subsets(x, y, size)[0])


def test_lasso_takes_up_the_features_that_count():
    x, y = many()
    order = linear.lasso(x, y, 12)
    assert len(order) <= 12 and len(set(order)) == len(order)
    assert order[0] in (7, 3) and {7, 3} & set(order) and {100, 4} & set(order) and 200 in order
    best = linear.best_subsets(x[:, order], y, 3)[0]
    assert error(x, y, order[best]) < 40 * 0.02**2


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda x, y: linear.sisso(x, y[:-1]), "one row a sample"),
        (lambda x, y: linear.sisso(x[:, :2], y), "too few for a line in 3"),
        (lambda x, y: linear.sisso(x, y, screened=0), "screened"),
        (lambda x, y: linear.best_subsets(x[:, :2], y, 3), "too few for subsets of 3"),
        (lambda x, y: linear.lasso(np.where(x > 1, np.nan, x), y, 3), "not a finite number"),
    ],
)
def test_what_cannot_be_searched_gets_a_sentence(call, words):
    with pytest.raises(ValueError, match=words):
        call(*many())


def test_a_kernel_of_inner_products_is_the_ridge():
    rng = np.random.default_rng(0)
    x, new = rng.normal(size=(30, 4)), rng.normal(size=(5, 4))
    x = (x - x.mean(axis=0)) / x.std(axis=0)
    y = x @ [1.0, -2.0, 0.5, 0.0] + rng.normal(size=30)
    largest = np.linalg.eigvalsh(x @ x.T)[-1]
    weights, _ = linear.kernel_ridge(x @ x.T, y, [0.3 * 30 / largest])
    line = linear.ridge(x, y, 0.3)
    np.testing.assert_allclose(linear.predict(weights, new @ x.T), linear.predict(line, new), rtol=1e-9)


def test_the_error_left_out_is_that_of_leaving_each_out_and_the_best_strength_is_taken():
    rng = np.random.default_rng(1)
    x = rng.uniform(-2, 2, (25, 1))
    kernel, y = np.exp(-((x - x.T) ** 2)), np.sin(3 * x[:, 0]) + 0.1 * rng.normal(size=25)
    y -= y.mean()
    largest, errors = np.linalg.eigvalsh(kernel)[-1], {}
    for strength in (1e-9, 1e-3, 1.0):
        _, told = linear.kernel_ridge(kernel, y, [strength])
        left = []
        for k in range(25):
            rest = np.arange(25) != k
            held = kernel[np.ix_(rest, rest)] + strength * largest * np.eye(24)
            left.append(y[k] - kernel[k, rest] @ np.linalg.solve(held, y[rest]))
        np.testing.assert_allclose(told, np.sqrt(np.mean(np.square(left))), rtol=1e-4)
        errors[strength] = told
    assert linear.kernel_ridge(kernel, y, list(errors))[1] == min(errors.values())
    assert min(errors, key=errors.get) == 1e-3


@pytest.mark.parametrize(
    "kernel, y, strengths, words",
    [
        (np.eye(3), np.ones(2), [1.0], r"\[n, n\] and \[n\]"),
        (np.eye(2), np.array([1.0, np.nan]), [1.0], "not a finite"),
        (np.eye(2), np.ones(2), [], "one strength or more"),
        (np.eye(2), np.ones(2), [0.0], "above zero"),
    ],
)
def test_kernel_ridge_refuses(kernel, y, strengths, words):
    with pytest.raises(ValueError, match=words):
        linear.kernel_ridge(kernel, y, strengths)
