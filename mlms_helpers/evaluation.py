"""How good is a model, really: splits, errors, baselines, seeds, calibration.

A *model* here is a function `function(train, test, seed) -> predictions for the test rows`, where train and
test are row numbers of one table.  What runs many models takes `map`: any function that is called and answers
in order as Python's `map(function, items)`, so that the work can go to other processes or machines.
"""

import functools
import html

import numpy as np
import pandas as pd


def split(table, by=None, test=0.2, validation=0.2, seed=0):
    """Cut a table into training, validation and test rows.

    table: DataFrame, one row a sample.
    by: name of a column whose equal values are never separated, such as `family`, `formula` (composition) or
    `phase` (host); None for rows at random.   test, validation: share of all rows (with `by`: of the distinct
    values; at least one); 0 leaves the part empty.   seed: of the draw.

    Returns three sorted arrays of row numbers (0-based, for `iloc`): training, validation, test.
    Raises ValueError if nothing would be left to train on, for a share outside 0 to 1, and if the column is missing
    or has gaps.
    """
    groups = _groups(table, by)
    if not (0 <= test < 1 and 0 <= validation < 1):
        raise ValueError(f"test ({test}) and validation ({validation}) are shares: each must be at least 0 and below 1")
    kinds = np.random.default_rng(seed).permutation(np.unique(groups))
    n_test, n_val = (int(max(1, round(share * len(kinds)))) if share else 0 for share in (test, validation))
    if n_test + n_val >= len(kinds):
        raise ValueError(f"{len(kinds)} distinct values of {by or 'the row number'} are too few for a test share of "
                         f"{test} and a validation share of {validation}: nothing is left to train on")
    parts = kinds[n_test + n_val:], kinds[n_test:n_test + n_val], kinds[:n_test]
    return tuple(np.flatnonzero(np.isin(groups, part)) for part in parts)


def split_above(table, column, threshold, by=None, validation=0.2, seed=0):
    """Extrapolate: train below or at a threshold, test above it.

    table, by, validation, seed: as in `split`.   column: such as `n_nitrogen` (more nitrogen) or `n_atoms`
    (larger cells).   threshold: in its units.

    Returns training, validation, test row numbers; every test row has `column` > threshold.  A group of `by` that
    lies on both sides would leak: its rows below the threshold are in no part.
    Raises ValueError if the column is missing, holds no numbers, or leaves nothing to test or to train on.
    """
    above = _numbers(table, column) > threshold
    if above.all() or not above.any():
        raise ValueError(f"{'every' if len(above) and above.all() else 'no'} row has {column} above {threshold}: "
                         f"nothing to extrapolate {'from' if len(above) and above.all() else 'to'}")
    groups = _groups(table, by)
    below = np.flatnonzero(~above & ~np.isin(groups, groups[above]))
    if len(below) == 0:
        raise ValueError(f"every {by} with a row at or below {threshold} also has one above: nothing is left to train on")
    train, val, _ = split(table.iloc[below], by=by, test=0, validation=validation, seed=seed)
    return below[train], below[val], np.flatnonzero(above)


def folds(table, by=None, n=5, seed=0):
    """Cross-validation: every row is tested once, in one of n folds; rows with one value of `by` together.

    table, by, seed: as in `split`.   n: number of folds; cut down to the number of distinct values.

    Returns a list of (training, test) row numbers.
    Raises ValueError for fewer than two folds or distinct values.
    """
    groups = _groups(table, by)
    if n < 2:
        raise ValueError(f"{n} folds: it takes at least two, one to learn from and one to test")
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


def cross_validate(models, table, target, *, by=None, n_folds=5, seeds=range(5), map=map):
    """Compare models on the same folds: every row is predicted by a model that has not seen its group.

    models: {name: function}; `function(train, test, seed) -> predictions for the test rows`, where
    train and test are row numbers.   table, by: as in `split`.   target: column of `table`.
    n_folds: folds a seed.   seeds: each draws its own folds (and the models' initial weights).
    map: runs the folds; see the top of the module.

    Returns a DataFrame, one row a model and seed: model, seed, RMSE, MAE, R2 over all rows.
    Raises ValueError for a column that is missing or has gaps.
    """
    true = _numbers(table, target)
    items = [(name, seed, train, test) for seed in seeds
             for cut in [folds(table, by, n_folds, seed)] for name in models for train, test in cut]
    predicted = {}
    for (name, seed, _, test), values in zip(items, map(functools.partial(_predict, models), items)):
        predicted.setdefault((name, seed), np.full(len(true), np.nan))[test] = values
    return pd.DataFrame([{"model": name, "seed": seed, **errors(true, values)} for (name, seed), values in predicted.items()])


def nested_cross_validate(models, table, target, *, by=None, outer=5, inner=4, seeds=range(5), map=map):
    """Error of a model *and* of the way its setting is chosen: inner folds choose, outer folds test.

    models: {name: {setting: function}}, functions as in `cross_validate`; a setting is any label, such as the value of
    a hyperparameter.   table, target, by, seeds, map: as there.   outer: folds that test.   inner: folds into
    which the training rows of each outer fold are cut again; the setting with the lowest RMSE on them predicts
    the outer fold.

    Returns a DataFrame, one row a model and seed: model, seed, RMSE, MAE, R2 of these predictions;
    flattering, the lowest RMSE that any one setting has on the same outer folds (chosen with the rows that test it:
    too low); chosen, the setting of each outer fold.
    S. Varma and R. Simon, BMC Bioinform. 7, 91 (2006); G. C. Cawley and N. L. C. Talbot, JMLR 11, 2079 (2010).
    """
    true = _numbers(table, target)
    items = [(name, seed, train, test, folds(table.iloc[train], by, inner, seed)) for seed in seeds
             for cut in [folds(table, by, outer, seed)] for name in models for train, test in cut]
    found = {}
    for (name, seed, _, test, _), (chosen, values) in zip(items, map(functools.partial(_choose, models, true), items)):
        honest, every, settings = found.setdefault((name, seed), (np.empty(len(true)), {}, []))
        honest[test] = values[chosen]
        settings.append(chosen)
        for setting, part in values.items():
            every.setdefault(setting, np.empty(len(true)))[test] = part
    return pd.DataFrame([{"model": name, "seed": seed, **errors(true, honest),
                          "flattering": min(errors(true, values)["RMSE"] for values in every.values()), "chosen": settings}
                         for (name, seed), (honest, every, settings) in found.items()])


def learning_curve(function, table, target, sizes, *, by=None, seeds=range(5), test=0.2, watch=None, map=map):
    """Error against the number of training groups: a larger training set holds the smaller ones, the test set stays.

    function, table, target, by, map: as in `cross_validate`.   sizes: numbers of training groups (without `by`: of
    rows).   seeds: each draws its own test groups and order of training groups.   test: share of the
    groups held out.   watch: called as `watch(table so far)` after each point, for live pictures; if it returns
    True, the rest is left out.  (With `map=parallel.imap` points come as they are
    computed, with `parallel.map` all at the end.)

    Returns a DataFrame, one row a size and seed: size, samples (training rows), seed, RMSE, MAE, R2.
    Raises ValueError for a size that is not there.
    C. Cortes et al., NIPS 6, 327 (1993).
    """
    true, groups, items, rows = _numbers(table, target), _groups(table, by), [], []
    sizes = list(sizes)
    for seed in seeds:
        train, _, held_out = split(table, by, test=test, validation=0, seed=seed)
        kinds = np.random.default_rng(seed).permutation(np.unique(groups[train]))
        for size in sizes:
            if not 1 <= size <= len(kinds):
                raise ValueError(f"a training set of {size} is not possible: there are 1 to {len(kinds)} "
                                 f"{'rows' if by is None else f'values of {by}'} to train on")
            items.append((size, seed, train[np.isin(groups[train], kinds[:size])], held_out))
    one_model = dict.fromkeys(sizes, function)
    for (size, seed, train, held_out), values in zip(items, map(functools.partial(_predict, one_model), items)):
        rows.append({"size": size, "samples": len(train), "seed": seed, **errors(true[held_out], values)})
        if watch is not None and watch(pd.DataFrame(rows)):
            break
    return pd.DataFrame(rows)


def _predict(models, item):
    """Predictions of one model on one fold, [n_test]: a piece of work for `map`."""
    name, seed, train, test = item
    values = np.asarray(models[name](train, test, seed), float)
    if values.size != len(test):
        raise ValueError(f"the model {name!r} gives {values.size} predictions for {len(test)} test rows")
    return values.reshape(len(test))


def _choose(models, true, item):
    """The setting that is best on the inner folds, and the predictions of every setting for the outer one."""
    name, seed, train, test, inner = item
    square = {setting: sum(((_predict(models[name], (setting, seed, train[into], train[out])) - true[train[out]]) ** 2).sum()
                           for into, out in inner) for setting in models[name]}
    values = {setting: _predict(models[name], (setting, seed, train, test)) for setting in models[name]}
    return min(square, key=square.get), values


def summary(scores):
    """Mean over seeds and the half-width of its 95 % confidence interval (Student's t).

    scores: DataFrame of `cross_validate` or `nested_cross_validate`.

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

    true: [n_samples], in `unit`.   looks: how often it may be asked; None, without limit.

    Attributes: `looks`, a list with what was asked and answered so far; a notebook shows it as a table.  It
    lives as long as the kernel: a restart forgets the looks, and you should not.
    After one look the error is an honest estimate for a model chosen without it; the lowest of many looks is not.
    C. Dwork et al., Science 349, 636 (2015).
    """

    __test__ = False                                    # no test for pytest to collect

    def __init__(self, true, looks=None, unit="eV"):
        self._true, self._allowed, self.looks, self.unit = np.array(true, float), looks, [], unit

    def __len__(self):
        return len(self._true)

    def __repr__(self):
        return f"test set of {len(self)} samples, looked at {len(self.looks)} times"

    def _repr_html_(self):
        agreed = "" if self._allowed is None else f" of {self._allowed} agreed"
        rows = "".join(f"<tr><td>{number}</td><td style='text-align:left'>{html.escape(str(why))}</td><td>{error:.3f}</td></tr>"
                       for number, (why, error) in enumerate(self.looks, start=1))
        table = f"<table><tr><th>look</th><th style='text-align:left'>at what</th><th>RMSE ({html.escape(self.unit)})</th></tr>{rows}</table>"
        return f"<p><b>Test set of {len(self)} samples: looks {len(self.looks)}{agreed}</b></p>{table if rows else ''}"

    def errors(self, predicted, why=""):
        """As `errors`, and one look more.   why: what is being tested, for the record.

        Raises ValueError when all looks are spent; the true values are then used up for choosing models.
        """
        if self._allowed is not None and len(self.looks) >= self._allowed:
            raise ValueError(f"the looks agreed for this test set are spent ({len(self.looks)} of {self._allowed}): "
                             f"for another honest number get new data")
        found = errors(self._true, predicted)
        self.looks.append((why, found["RMSE"]))
        return found


def _groups(table, by):
    """The value of `by` in each row, or the row's number."""
    groups = pd.Series(np.arange(len(table))) if by is None else _column(table, by)
    return pd.factorize(groups, sort=True)[0]


def _numbers(table, column):
    values = _column(table, column)
    if not pd.api.types.is_numeric_dtype(values):
        raise ValueError(f"the column {column!r} holds no numbers")
    return np.asarray(values, float)


def _column(table, name):
    """A column without gaps, or one clear sentence."""
    if name not in table:
        raise ValueError(f"the table has no column {name!r}; it has {', '.join(map(str, table.columns))}")
    if table[name].isna().any():
        raise ValueError(f"the column {name!r} has no value in {table[name].isna().sum()} of {len(table)} rows")
    return table[name]
