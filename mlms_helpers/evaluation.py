"""How good is a model, really: splits, errors, baselines, learning curves, calibration.

A *fit_predict* here is a function `fit_predict(train, test, seed) -> predictions for the test rows`, where
train and test are row numbers of one table.  What runs many of them takes `map`: any function that is
called and answers in order as Python's `map(function, items)`, so that the work can go to other processes
or machines.
"""

import functools
import html
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from mlms_helpers import linear
from mlms_helpers.statistics import bootstrap_interval, group_numbers, unmasked, whole

FitPredict = Callable[[np.ndarray, np.ndarray, int], np.ndarray]


def split(
    table: pd.DataFrame, by: str | None = None, test: float = 0.2, seed: int = 0, *, validation: float = 0.2
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cut a table into training, validation and test rows.

    table: one row a sample.
    by: a column whose equal values are never separated, such as `family`, `formula` (composition) or `phase`
        (host); None for rows at random.
    test: share of all rows (with `by`: of the distinct values; at least one); 0 leaves the part empty.
    seed: of the draw.
    validation: as `test`.

    Returns three sorted arrays of row numbers (0-based, for `iloc`): training, validation, test.
    Raises ValueError if nothing would be left to train on, for a share outside 0 to 1, and if the column is
    missing, has gaps, or two values in it may be one (`statistics.group_numbers`).
    """
    groups = _groups(table, by)
    if not (0 <= test < 1 and 0 <= validation < 1):
        raise ValueError(
            f"test ({test}) and validation ({validation}) are shares: each must be at least 0 and below 1"
        )
    kinds = np.random.default_rng(seed).permutation(np.unique(groups))
    n_test, n_val = (max(1, round(share * len(kinds))) if share else 0 for share in (test, validation))
    if n_test + n_val >= len(kinds):
        raise ValueError(
            f"{len(kinds)} distinct values of {by or 'the row number'} are too few for a test share of "
            f"{test} and a validation share of {validation}: nothing is left to train on"
        )
    parts = kinds[n_test + n_val :], kinds[n_test : n_test + n_val], kinds[:n_test]
    return tuple(np.flatnonzero(np.isin(groups, part)) for part in parts)


def split_above(
    table: pd.DataFrame,
    column: str,
    threshold: float,
    by: str | None = None,
    seed: int = 0,
    *,
    validation: float = 0.2,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Extrapolate: train below or at a threshold, test above it.

    table, by, seed, validation: as in `split`.
    column: such as `n_nitrogen` (more nitrogen) or `n_atoms` (larger cells).
    threshold: in its units.

    Returns training, validation, test row numbers; every test row has `column` > threshold.  A group of `by`
    that lies on both sides would leak: its rows below the threshold are in no part.
    Raises ValueError if the column is missing, holds no numbers, or leaves nothing to test or to train on.
    """
    above = _numbers(table, column) > threshold
    if above.all() or not above.any():
        which, where = ("every", "from") if len(above) and above.all() else ("no", "to")
        raise ValueError(f"{which} row has {column} above {threshold}: nothing to extrapolate {where}")
    groups = _groups(table, by)
    below = np.flatnonzero(~above & ~np.isin(groups, groups[above]))
    if len(below) == 0:
        raise ValueError(
            f"every {by} with a row at or below {threshold} also has one above: nothing is left to train on"
        )
    train, val, _ = split(table.iloc[below], by, 0, seed, validation=validation)
    return below[train], below[val], np.flatnonzero(above)


def folds(
    table: pd.DataFrame, by: str | None = None, n: int = 5, seed: int = 0
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Cross-validation: every row is tested once, in one of n folds; rows with one value of `by` together.

    table, by, seed: as in `split`.
    n: number of folds; cut down to the number of distinct values.

    Returns a list of (training, test) row numbers.
    Raises ValueError for fewer than two folds or distinct values.
    """
    groups = _groups(table, by)
    n = whole("the number of folds", n, 2)
    kinds = np.random.default_rng(seed).permutation(np.unique(groups))
    if len(kinds) < 2:
        raise ValueError(f"{by or 'the row number'} has only one value: nothing can be held out")
    parts = (np.isin(groups, part) for part in np.array_split(kinds, min(n, len(kinds))))
    return [(np.flatnonzero(~held_out), np.flatnonzero(held_out)) for held_out in parts]


def errors(true: ArrayLike, predicted: ArrayLike) -> dict[str, float]:
    """RMSE and MAE, in the units of the data, and R2, dimensionless.

    true: [n_samples].
    predicted: [n_samples]; NaN in it makes all errors NaN.

    Returns {"RMSE": ..., "MAE": ..., "R2": ...}.  R2 compares with the mean of `true`; it is NaN where `true`
    does not vary, or only by the rounding of its numbers.
    Raises ValueError for shapes that differ, and for masked values.
    """
    true, predicted = unmasked("true", true), unmasked("predicted", predicted)
    if true.shape != predicted.shape or true.size == 0:
        raise ValueError(
            f"true and predicted must be alike in shape and not empty, not {true.shape} and {predicted.shape}"
        )
    rest = ((predicted - true) ** 2).mean()
    varies = np.ptp(true) > 8 * np.finfo(float).eps * np.abs(true).max()
    return {
        "RMSE": float(np.sqrt(rest)),
        "MAE": float(np.abs(predicted - true).mean()),
        "R2": float(1 - rest / true.var()) if varies else float("nan"),
    }


def cross_validate(
    models: dict[str, FitPredict],
    table: pd.DataFrame,
    target: str,
    *,
    by: str | None = None,
    n_folds: int = 5,
    seeds: Iterable[int] = range(5),
    map: Callable = map,
) -> pd.DataFrame:
    """Compare models on the same folds: every row is predicted by a model that has not seen its group.

    models: {name: fit_predict}; see the top of the module.
    table, by: as in `split`.
    target: column of `table`.
    n_folds: folds a seed.
    seeds: each draws its own folds (and the models' initial weights).
    map: runs the folds; see the top of the module.

    Returns a DataFrame, one row per model and seed: model, seed, RMSE, MAE, R2 over all rows, and residuals,
    predicted minus true of each row, a Series whose index is the value of `by` (without it: the row number).
    Raises ValueError for a column that is missing or has gaps, for no model, and for no seed or one twice.
    """
    true, seeds = _numbers(table, target), _different("seed", seeds)
    _different("model", models)
    items = [
        (name, seed, train, test)
        for seed in seeds
        for cut in [folds(table, by, n_folds, seed)]
        for name in models
        for train, test in cut
    ]
    predicted = {}
    answers = map(functools.partial(_predict, models), items)
    for (name, seed, _, test), values in zip(items, answers, strict=True):
        predicted.setdefault((name, seed), np.full(len(true), np.nan))[test] = values
    return pd.DataFrame(
        {"model": name, "seed": seed, **_judged(true, values, table, by)}
        for (name, seed), values in predicted.items()
    )


def nested_cross_validate(
    models: dict[str, dict[Any, FitPredict]],
    table: pd.DataFrame,
    target: str,
    *,
    by: str | None = None,
    outer: int = 5,
    inner: int = 4,
    seeds: Iterable[int] = range(5),
    map: Callable = map,
) -> pd.DataFrame:
    """Error of a model *and* of the way its setting is chosen: inner folds choose, outer folds test.

    models: {name: {setting: fit_predict}}; a setting is any label, such as the value of a hyperparameter.
    table, target, by, seeds, map: as in `cross_validate`.
    outer: folds that test.
    inner: folds into which the training rows of each outer fold are cut again; the setting with the lowest
        RMSE on them predicts the outer fold.  A setting whose predictions are not all finite is not chosen.

    Returns a DataFrame, one row per model and seed: model, seed, RMSE, MAE, R2, residuals of these
    predictions as in `cross_validate`; flattering, the lowest RMSE that any one setting has on the same outer
    folds (chosen with the rows that test it: too low); chosen, the setting of each outer fold.
    Raises ValueError as `cross_validate`, and if no setting of a model can be chosen.
    S. Varma and R. Simon, BMC Bioinform. 7, 91 (2006); G. C. Cawley and N. L. C. Talbot, JMLR 11, 2079
    (2010).
    """
    true, seeds = _numbers(table, target), _different("seed", seeds)
    for name in _different("model", models):
        _different(f"setting of {name!r}", models[name])
    items = [
        (name, seed, train, test, folds(table.iloc[train], by, inner, seed))
        for seed in seeds
        for cut in [folds(table, by, outer, seed)]
        for name in models
        for train, test in cut
    ]
    found = {}
    answers = map(functools.partial(_choose, models, true), items)
    for (name, seed, _, test, _), (chosen, values) in zip(items, answers, strict=True):
        honest, every, settings = found.setdefault((name, seed), (np.empty(len(true)), {}, []))
        honest[test] = values[chosen]
        settings.append(chosen)
        for setting, part in values.items():
            every.setdefault(setting, np.empty(len(true)))[test] = part
    rows = []
    for (name, seed), (honest, every, settings) in found.items():
        each = [errors(true, values)["RMSE"] for values in every.values()]
        flattering = min((error for error in each if np.isfinite(error)), default=np.nan)
        rows.append(
            {
                "model": name,
                "seed": seed,
                **_judged(true, honest, table, by),
                "flattering": flattering,
                "chosen": settings,
            }
        )
    return pd.DataFrame(rows)


def learning_curve(
    fit_predict: FitPredict,
    table: pd.DataFrame,
    target: str,
    sizes: Iterable[int],
    *,
    by: str | None = None,
    seeds: Iterable[int] = range(5),
    test: float = 0.2,
    watch: Callable[[pd.DataFrame], Any] | None = None,
    map: Callable = map,
) -> pd.DataFrame:
    """Error against the number of training groups: a larger training set holds the smaller ones.

    fit_predict: see the top of the module.
    table, target, by, map: as in `cross_validate`.
    sizes: numbers of training groups (without `by`: of rows).
    seeds: each draws its own test groups, the same for all sizes, and order of training groups.
    test: share of the groups held out.
    watch: called as `watch(table so far)` after each point, for live pictures; if it returns True, the rest
        is left out.  (With `map=parallel.map` all points come at the end.)

    Returns a DataFrame, one row a size and seed: size, samples (training rows), seed, RMSE, MAE, R2.
    Raises ValueError for a size that is not there, and as `cross_validate`.
    C. Cortes et al., NIPS 6, 327 (1993).
    """
    true, groups, items, rows = _numbers(table, target), _groups(table, by), [], []
    sizes = [whole("a size", size, 0) for size in _different("size", sizes)]
    for seed in _different("seed", seeds):
        train, _, held_out = split(table, by, test, seed, validation=0)
        kinds = np.random.default_rng(seed).permutation(np.unique(groups[train]))
        for size in sizes:
            if not 1 <= size <= len(kinds):
                raise ValueError(
                    f"a training set of {size} is not possible: there are 1 to {len(kinds)} "
                    f"{'rows' if by is None else f'values of {by}'} to train on"
                )
            items.append((size, seed, train[np.isin(groups[train], kinds[:size])], held_out))
    answers = map(functools.partial(_predict, dict.fromkeys(sizes, fit_predict)), items)
    for (size, seed, train, held_out), values in zip(items, answers, strict=True):
        rows.append({"size": size, "samples": len(train), "seed": seed, **errors(true[held_out], values)})
        if watch is not None and watch(pd.DataFrame(rows)):
            break
    return pd.DataFrame(rows)


def _predict(models, item):
    """Predictions of one fit_predict on one fold, [n_test]: a piece of work for `map`."""
    name, seed, train, test = item
    values = unmasked("predictions", models[name](train, test, seed))
    if max(values.shape, default=1) != len(test) or values.size != len(test):
        raise ValueError(
            f"the model {name!r} gives {values.size} predictions for {len(test)} test rows, "
            f"as an array of shape {values.shape}"
        )
    return values.reshape(len(test))


def _choose(models, true, item):
    """The setting that is best on the inner folds, and the predictions of every setting for the outer one."""
    name, seed, train, test, inner = item
    square, values = {}, {}
    for setting in models[name]:
        residuals = [
            _predict(models[name], (setting, seed, train[into], train[out])) - true[train[out]]
            for into, out in inner
        ]
        values[setting] = _predict(models[name], (setting, seed, train, test))
        total = sum((part**2).sum() for part in residuals)
        if np.isfinite(total) and np.isfinite(values[setting]).all():
            square[setting] = total
    if not square:
        raise ValueError(f"no setting of {name!r} gives predictions that are all finite: none can be chosen")
    return min(square, key=square.get), values


def _judged(true, predicted, table, by):
    """Errors, and the residual of each row with its group."""
    groups = np.arange(len(true)) if by is None else np.asarray(_column(table, by))
    return {**errors(true, predicted), "residuals": pd.Series(predicted - true, groups)}


def summary(scores: pd.DataFrame) -> pd.DataFrame:
    """How large the error of each model is, and how sure that is.

    scores: table of `cross_validate` or `nested_cross_validate`.

    Returns a DataFrame indexed by model, in the order of first appearance:
    RMSE, MAE, R2: mean over seeds.
    RMSE_ci: half of the width of the 95 % interval over groups (families, if `by` was the family; without
        `by`, rows), from 2,000 bootstrap draws with replacement: as if other families of the same kind had
        been computed.  This is the number to write after +/-.
    RMSE_seeds: half of the width of the 95 % interval of the mean over seeds (Student's t): it speaks of the
        draw of folds and initial weights only.  NaN for a single seed.
    A model with a prediction that is no finite number has NaN.
    """
    from scipy.stats import t

    rows = {}
    for name, part in scores.groupby("model", sort=False):
        seeds, residuals = len(part), np.array(list(part.residuals))
        groups = part.residuals.iloc[0].index
        low, high = np.nan, np.nan
        if np.isfinite(residuals).all():
            low, high = bootstrap_interval(np.sqrt((residuals**2).mean(axis=0)), groups)
        half = t.ppf(0.975, seeds - 1) / np.sqrt(seeds) if seeds > 1 else np.nan
        rows[name] = {
            "RMSE": part.RMSE.mean(skipna=False),
            "RMSE_ci": (high - low) / 2,
            "RMSE_seeds": half * part.RMSE.std(skipna=False),
            "MAE": part.MAE.mean(skipna=False),
            "R2": part.R2.mean(skipna=False),
        }
    return pd.DataFrame(rows).T


def mean_baseline(y: ArrayLike) -> FitPredict:
    """The fit_predict that predicts the mean of the training rows.

    y: [n_samples].
    """
    y = unmasked("y", y)

    def fit_predict(train, test, seed):
        return np.full(len(test), np.mean(y[train]))

    return fit_predict


def line_baseline(
    x: ArrayLike, y: ArrayLike, strength: float = 0.0, *, least_spread: float = 0.0
) -> FitPredict:
    """The fit_predict of a straight line: least squares on few descriptors, a ridge on many.

    x: [n_samples] or [n_samples, n_features] (number of Li neighbours, Madelung potential...).
    y: [n_samples].
    strength: of the ridge, no unit, see `linear.ridge`; default 0, least squares.
    least_spread: descriptors that vary less among the training rows are not blown up, see `linear.ridge`;
        default 0.

    Raises ValueError for x and y that do not fit together, or a value that is not finite.
    """
    x, y = unmasked("x", x), unmasked("y", y)
    if y.ndim != 1 or x.ndim not in (1, 2) or len(x) != len(y):
        raise ValueError(
            f"x must be [n_samples] or [n_samples, n_features] and y [n_samples], not {x.shape} and {y.shape}"
        )
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise ValueError("x or y holds a value that is not a finite number")

    def fit_predict(train, test, seed):
        line = linear.ridge(x[train], y[train], strength, least_spread=least_spread)
        return linear.predict(line, x[test])

    return fit_predict


def coverage(
    true: ArrayLike, predicted: ArrayLike, sigma: ArrayLike, levels: Iterable[float] = (0.5, 0.68, 0.9, 0.95)
) -> pd.DataFrame:
    """Calibration: how many values lie within the interval that a Gaussian error bar promises.

    true: [n_samples].
    predicted: [n_samples], or one number for all, in the same unit.
    sigma: standard deviations, [n_samples] or one number for all, in the same unit, 0 or more.
    levels: promised shares, between 0 and 1.

    Returns a DataFrame: promised, found.
    Raises ValueError for shapes that do not fit, no sample, a value that is not finite, and a negative sigma.
    """
    from scipy.stats import norm

    levels = list(levels)
    true, predicted, sigma = (
        unmasked(name, values)
        for name, values in (("true", true), ("predicted", predicted), ("sigma", sigma))
    )
    if true.ndim != 1 or true.size == 0 or any(a.shape not in ((), true.shape) for a in (predicted, sigma)):
        raise ValueError(
            f"true, predicted and sigma must be vectors of one length and not empty, not "
            f"{true.shape}, {predicted.shape} and {sigma.shape}"
        )
    if not all(np.isfinite(a).all() for a in (true, predicted, sigma)):
        raise ValueError("true, predicted or sigma holds a value that is not a finite number")
    if (sigma < 0).any():
        raise ValueError(f"sigma is a standard deviation: it cannot be negative, as {sigma.min():g} is")
    if not all(0 < level < 1 for level in levels):
        raise ValueError(f"each level is a share between 0 and 1, not {levels}")
    distance = np.abs(true - predicted)
    found = [float((distance <= sigma * norm.ppf(0.5 + level / 2)).mean()) for level in levels]
    return pd.DataFrame({"promised": levels, "found": found})


class TestSet:
    """True values of a test set behind a counter: whoever asks for the error leaves a trace.

    true: [n_samples], in `unit`.
    looks: how often it may be asked; default None, without limit.
    unit: for the display; default eV.

    Attributes: `looks`, a list with what was asked and answered so far; a notebook shows it as a table.  It
    lives as long as the kernel: a restart forgets the looks, and you should not.
    After one look the error is an honest estimate for a model chosen without it; the lowest of many looks
    is not.  C. Dwork et al., Science 349, 636 (2015).
    """

    __test__ = False  # no test for pytest to collect

    def __init__(self, true: ArrayLike, looks: int | None = None, unit: str = "eV"):
        self._true, self._allowed, self.looks, self.unit = np.array(true, float), looks, [], unit

    def __len__(self):
        return len(self._true)

    def __repr__(self):
        times = {0: "never looked at", 1: "looked at once"}.get(
            len(self.looks), f"looked at {len(self.looks)} times"
        )
        return f"test set of {len(self)} samples, {times}"

    def _repr_html_(self):
        agreed = "" if self._allowed is None else f" of {self._allowed} agreed"
        title = f"<p><b>Test set of {len(self)} samples: looks {len(self.looks)}{agreed}</b></p>"
        if not self.looks:
            return title
        left, unit = "style='text-align:left'", html.escape(self.unit)
        rows = "".join(
            f"<tr><td>{number}</td><td {left}>{html.escape(str(why))}</td><td>{error:.3f}</td></tr>"
            for number, (why, error) in enumerate(self.looks, start=1)
        )
        head = f"<tr><th>look</th><th {left}>at what</th><th>RMSE ({unit})</th></tr>"
        return f"{title}<table>{head}{rows}</table>"

    def errors(self, predicted: ArrayLike, why: str = "") -> dict[str, float]:
        """As `errors`, and one look more.

        predicted: [n_samples].
        why: what is being tested, for the record.

        Raises ValueError when all looks are spent (the true values are then used up for choosing models), and
        for predictions that cannot be tested, which costs no look.
        """
        if self._allowed is not None and len(self.looks) >= self._allowed:
            raise ValueError(
                f"the looks agreed for this test set are spent ({len(self.looks)} of {self._allowed}): "
                f"for another honest number get new data"
            )
        found = errors(self._true, predicted)
        if not np.isfinite(found["RMSE"]):
            raise ValueError("a prediction is not a finite number: this look is not counted")
        self.looks.append((why, found["RMSE"]))
        return found


def _groups(table, by):
    """The value of `by` in each row as a number, or the row's number."""
    if by is None:
        return np.arange(len(table))
    values = _column(table, by)
    try:
        return group_numbers(values)
    except ValueError as error:
        raise ValueError(f"the column {by!r}: {error}") from None


def _numbers(table, column):
    values = _column(table, column)
    if not pd.api.types.is_numeric_dtype(values):
        raise ValueError(f"the column {column!r} holds no numbers")
    values = np.asarray(values, float)
    if not np.isfinite(values).all():
        raise ValueError(f"the column {column!r} holds a value that is not a finite number")
    return values


def _column(table, name):
    """A column without gaps, or one clear sentence."""
    if isinstance(name, list) or name not in table:
        raise ValueError(f"the table has no column {name!r}; it has {', '.join(map(str, table.columns))}")
    values = table[name]
    if values.ndim != 1:
        raise ValueError(f"the table has {values.shape[1]} columns called {name!r}: give each its own name")
    if values.isna().any():
        raise ValueError(f"the column {name!r} has no value in {values.isna().sum()} of {len(table)} rows")
    return values


def _different(what, values):
    """The values as a list: at least one, and none twice."""
    values = list(values)
    if not values:
        raise ValueError(f"there is no {what}: give at least one")
    if len(set(values)) < len(values):
        raise ValueError(f"a {what} stands twice in {values}")
    return values
