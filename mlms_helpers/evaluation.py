"""How good is a model, really: splits, errors, baselines, calibration."""

import numpy as np
import pandas as pd


def split(table, by=None, test=0.2, validation=0.2, seed=0):
    """Cut a table into training, validation and test rows.

    table: DataFrame, one row a sample.
    by: name of a column whose equal values are never separated, such as `family` or `n_nitrogen`;
    None for rows at random.   test, validation: share of all rows (with `by`: of the distinct values;
    at least one).   seed: of the draw.

    Returns three sorted arrays of row numbers (0-based, for `iloc`): training, validation, test.
    Raises ValueError if a part would be empty or the column is missing.
    """
    groups = _groups(table, by)
    kinds = np.random.default_rng(seed).permutation(np.unique(groups))
    n_test, n_val = (int(max(1, round(share * len(kinds)))) if share else 0 for share in (test, validation))
    if n_test + n_val >= len(kinds):
        raise ValueError(f"{len(kinds)} distinct values of {by or 'the row number'} are too few for a test share of "
                         f"{test} and a validation share of {validation}: nothing is left to train on")
    parts = kinds[n_test + n_val:], kinds[n_test:n_test + n_val], kinds[:n_test]
    return tuple(np.flatnonzero(np.isin(groups, part)) for part in parts)


def split_above(table, column, threshold, by=None, validation=0.2, seed=0):
    """Extrapolate: train below or at a threshold, test above it.

    table, by, validation, seed: as in `split`.   column: such as `n_nitrogen`.   threshold: in its units.

    Returns training, validation, test row numbers; every test row has `column` > threshold.
    """
    above = np.asarray(table[column] > threshold)
    if above.all() or not above.any():
        raise ValueError(f"no row, or every row, has {column} above {threshold}: nothing to extrapolate to")
    below = np.flatnonzero(~above)
    train, val, _ = split(table.iloc[below], by=by, test=0, validation=validation, seed=seed)
    return below[train], below[val], np.flatnonzero(above)


def folds(table, by=None, n=5, seed=0):
    """Cross-validation: every row is tested once, in one of n folds; rows with one value of `by` together.

    table, by, seed: as in `split`.   n: number of folds; cut down to the number of distinct values.

    Returns a list of (training, test) row numbers.
    """
    groups = _groups(table, by)
    kinds = np.random.default_rng(seed).permutation(np.unique(groups))
    if len(kinds) < 2:
        raise ValueError(f"{by or 'the row number'} has only one value: nothing can be held out")
    return [(np.flatnonzero(~np.isin(groups, part)), np.flatnonzero(np.isin(groups, part)))
            for part in np.array_split(kinds, min(n, len(kinds)))]


def errors(true, predicted):
    """RMSE and MAE, in the units of the data, and R2, dimensionless.

    true, predicted: [n_samples].   R2 compares with the mean of `true`; NaN where `true` does not vary.

    Returns {"RMSE": ..., "MAE": ..., "R2": ...}.
    """
    true, predicted = np.asarray(true, float), np.asarray(predicted, float)
    if true.shape != predicted.shape or true.size == 0:
        raise ValueError(f"true and predicted must be alike in shape and not empty, not {true.shape} and {predicted.shape}")
    rest, spread = ((predicted - true) ** 2).mean(), true.var()
    return {"RMSE": float(np.sqrt(rest)), "MAE": float(np.abs(predicted - true).mean()),
            "R2": float(1 - rest / spread) if spread > 0 else float("nan")}


def cross_validate(models, table, target, *, by=None, n_folds=5, seeds=range(5)):
    """Compare models on the same folds: every row is predicted by a model that has not seen its group.

    models: {name: function}; `function(train, test, seed) -> predictions for the test rows`, where
    train and test are row numbers.   table, by: as in `split`.   target: column of `table`.
    n_folds: folds a seed.   seeds: each draws its own folds (and the models' initial weights).

    Returns a DataFrame, one row a model and seed: model, seed, RMSE, MAE, R2 over all rows.
    """
    true, rows = np.asarray(table[target], float), []
    for seed in seeds:
        cut = folds(table, by, n_folds, seed)
        for name, function in models.items():
            predicted = np.full(len(true), np.nan)
            for train, test in cut:
                predicted[test] = np.asarray(function(train, test, seed), float).reshape(len(test))
            rows.append({"model": name, "seed": seed, **errors(true, predicted)})
    return pd.DataFrame(rows)


def summary(scores):
    """Mean over seeds and the half-width of its 95 % confidence interval (Student's t).

    scores: DataFrame of `cross_validate`.

    Returns a DataFrame indexed by model, in the order of first appearance: RMSE, RMSE_ci, MAE,
    MAE_ci, R2, R2_ci.  The interval speaks of the draw of folds and initial weights only, not of
    data from elsewhere.
    """
    from scipy.stats import t
    rows = {}
    for name, part in scores.groupby("model", sort=False):
        n = len(part)
        half = t.ppf(0.975, n - 1) / np.sqrt(n) if n > 1 else np.nan
        rows[name] = {k: v for column in ("RMSE", "MAE", "R2")
                      for k, v in ((column, part[column].mean()), (f"{column}_ci", half * part[column].std()))}
    return pd.DataFrame(rows).T


def mean_baseline(y):
    """Model for `cross_validate` that predicts the mean of the training rows.   y: [n_samples]."""
    return lambda train, test, seed: np.full(len(test), np.mean(np.asarray(y)[train]))


def line_baseline(x, y):
    """Model for `cross_validate`: least squares on few descriptors.

    x: [n_samples] or [n_samples, n_features] (number of Li neighbours, Madelung potential...), y: [n_samples].
    """
    x = np.column_stack([np.ones(len(y)), np.asarray(x, float).reshape(len(y), -1)])
    return lambda train, test, seed: x[test] @ np.linalg.lstsq(x[train], np.asarray(y, float)[train], rcond=None)[0]


def coverage(true, predicted, sigma, levels=(0.5, 0.68, 0.9, 0.95)):
    """Calibration: how many values lie within the interval that a Gaussian error bar promises.

    true, predicted, sigma: [n_samples], in one unit.   levels: promised shares.

    Returns a DataFrame: promised, found.
    """
    from scipy.stats import norm
    z = np.abs(np.asarray(true) - predicted) / np.asarray(sigma)
    return pd.DataFrame({"promised": levels, "found": [float((z < norm.ppf(0.5 + p / 2)).mean()) for p in levels]})


class TestSet:
    """True values of a test set behind a counter: whoever asks for the error leaves a trace.

    true: [n_samples].   looks: how often it may be asked; None, without limit.

    Attributes: `looks`, a list with what was asked and answered so far.  After one look the error is
    an honest estimate for a model chosen without it; the lowest of many looks is not.
    C. Dwork et al., Science 349, 636 (2015).
    """

    __test__ = False                                    # no test for pytest to collect

    def __init__(self, true, looks=None):
        self._true, self._allowed, self.looks = np.array(true, float), looks, []

    def __len__(self):
        return len(self._true)

    def __repr__(self):
        return f"test set of {len(self)} samples, looked at {len(self.looks)} times"

    def errors(self, predicted, why=""):
        """As `errors`, and one look more.   why: what is being tested, for the record.

        Raises ValueError when all looks are spent; the true values are then used up for choosing models.
        """
        if self._allowed is not None and len(self.looks) >= self._allowed:
            raise ValueError(f"this test set has been looked at {len(self.looks)} times, as often as was agreed: "
                             f"for another honest number get new data")
        found = errors(self._true, predicted)
        self.looks.append((why, found["RMSE"]))
        return found


def _groups(table, by):
    if by is None:
        return np.arange(len(table))
    if by not in table:
        raise ValueError(f"the table has no column {by!r}; it has {', '.join(map(str, table.columns))}")
    return np.asarray(table[by])
