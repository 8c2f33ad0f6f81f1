"""Resampling, tests and seeds: how sure is a number that comes from few families, or from few runs?"""

import math
from collections.abc import Sequence
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike


def spawn(seed: int, k: int) -> int:
    """The seed of member `k` of what has `seed`: an ensemble, a search, a set of runs.

    seed: whole number, at least 0.
    k: whole number, at least 0: which member.

    Returns a whole number below 2**32.  Members of one seed, and of two seeds, draw from streams that are
    independent of each other, which `seed + k` is not: member 1 of seed 0 is then member 0 of seed 1.
    """
    return int(np.random.SeedSequence([seed, k]).generate_state(1)[0])


def group_numbers(groups: Sequence) -> np.ndarray:
    """Groups as numbers 0, 1, 2, ... in the order of their sorted values.

    groups: [n_samples], any values that can be compared, such as the name of a family.

    Returns whole numbers [n_samples].
    Raises ValueError for groups that are no vector, that have gaps, or of which two differ in nothing but the
    rounding of a number or the spaces around a word: one family would stand on both sides of a split.
    """
    if np.ndim(groups) != 1:
        raise ValueError(f"groups must be a vector, one value a sample, not of shape {np.shape(groups)}")
    which, kinds = pd.factorize(pd.Series(groups), sort=True)
    if (which < 0).any():
        raise ValueError(f"{(which < 0).sum()} of {len(which)} samples have no group")
    if pd.api.types.is_float_dtype(kinds):
        values = np.asarray(kinds, float)
        twins = np.flatnonzero(np.isclose(values[1:], values[:-1], rtol=1e-9, atol=0))
        alike = [(values[i], values[i + 1]) for i in twins]
    else:
        first = {}
        alike = [
            (first[kind.strip()], kind)
            for kind in kinds
            if isinstance(kind, str) and first.setdefault(kind.strip(), kind) != kind
        ]
    if alike:
        one, other = alike[0]
        raise ValueError(f"are the groups {one!r} and {other!r} two, or one? Give one family one value.")
    return which


def unmasked(name: str, values: ArrayLike) -> np.ndarray:
    """Numbers as a float64 array; ValueError where some are masked: what a mask hides is no number.

    name: for the sentence.
    values: of any shape.
    """
    if np.ma.is_masked(values):
        raise ValueError(f"{name}: {np.ma.count_masked(values)} values are masked; leave them out first")
    return np.asarray(values, float)


def bootstrap_weights(groups: Sequence, n_models: int, seed: int = 0) -> np.ndarray:
    """How often each model of an ensemble sees each sample, when whole groups are drawn with replacement.

    groups: [n_samples], the family of each sample; families are drawn whole, since their members are alike.
    n_models: number of draws.
    seed: of the draws.

    Returns float64 [n_models, n_samples].
    Raises ValueError as `group_numbers`, for no sample, and for n_models or seed that are no whole numbers.
    B. Efron, Ann. Stat. 7, 1 (1979).
    """
    which, n_models, seed = group_numbers(groups), whole("n_models", n_models), whole("seed", seed, 0)
    if len(which) == 0:
        raise ValueError("there is no sample to draw from")
    n = which.max() + 1
    rng = np.random.default_rng(seed)
    return np.array(
        [np.bincount(rng.integers(n, size=n), minlength=n)[which] for _ in range(n_models)], float
    )


def bootstrap_interval(
    residuals: np.ndarray,
    groups: Sequence | None = None,
    *,
    minus: np.ndarray | None = None,
    n: int = 2000,
    seed: int = 0,
) -> np.ndarray:
    """95 % interval of an RMSE if the samples had been drawn again: whole groups, with replacement.

    residuals: [n_samples], predicted minus true.
    groups: [n_samples], the family of each; None, each sample for itself.
    minus: [n_samples], residuals of another model on the same samples; then the interval is that of
        RMSE(residuals) - RMSE(minus), both from the same draws.
    n: draws.
    seed: of the draws.

    Returns array [2], lower and upper end, in the units of the residuals.  With few groups (below twenty or
    so) it is somewhat too narrow.
    Raises ValueError if lengths differ, for residuals that are not finite, if there is only one group, and as
    `group_numbers`.
    B. Efron, Ann. Stat. 7, 1 (1979).
    """
    n = whole("the number of draws", n)
    both = [unmasked("residuals", r) for r in (residuals, minus) if r is not None]
    which = np.arange(both[0].size) if groups is None else group_numbers(groups)
    if any(r.shape != which.shape or r.ndim != 1 for r in both):
        shapes = " and ".join(str(r.shape) for r in [*both, which])
        raise ValueError(f"residuals and groups must be vectors of one length, not {shapes}")
    if not np.isfinite(both).all():
        raise ValueError("a residual is not a finite number")
    if len(which) == 0 or which.max() == 0:
        raise ValueError("there is only one group: drawing it again and again tells nothing")
    squares, count = np.array([np.bincount(which, r**2) for r in both]), np.bincount(which)
    rng = np.random.default_rng(seed)
    at_once = max(1, 1_000_000 // len(count))  # draws held in memory together
    rmse = []
    for first in range(0, n, at_once):
        drawn = rng.integers(len(count), size=(min(at_once, n - first), len(count)))
        rmse.append(np.sqrt(squares[:, drawn].sum(axis=2) / count[drawn].sum(axis=1)))
    rmse = np.concatenate(rmse, axis=1)
    return np.quantile(rmse[0] - (rmse[1] if minus is not None else 0), [0.025, 0.975])


def compare(
    a: Sequence[float], b: Sequence[float], *, paired: bool = False, n: int = 2000, seed: int = 0
) -> dict[str, float]:
    """Do two models differ by more than their seeds do?  Welch's t test and a bootstrap interval.

    a: [n_seeds], one score a seed (say RMSE, eV), at least two.
    b: [n_seeds], those of the other model.
    paired: score k of both comes from the same folds, and the differences are tested (Student's t).
    n: draws of the bootstrap.
    seed: of the bootstrap.

    Returns {"difference": mean(a) - mean(b); "low", "high": its 95 % interval by the t distribution;
    "t", "df", "p": statistic, degrees of freedom, two-sided p value; "boot_low", "boot_high": 95 % interval
    of the bootstrap over seeds, too narrow below ten seeds or so}, in the units of the scores.
    Scores of overlapping folds are not independent: p speaks of the seeds, not of new data.
    Raises ValueError for too few, unequal (paired), infinite or constant scores.
    B. L. Welch, Biometrika 34, 28 (1947); C. Colas, O. Sigaud and P.-Y. Oudeyer, arXiv:1806.08295 (2018).
    """
    from scipy.stats import t as student

    a, b = (unmasked("scores", scores) for scores in (a, b))
    if a.ndim != 1 or b.ndim != 1:
        raise ValueError(f"scores must be vectors, one score a seed, not of shapes {a.shape} and {b.shape}")
    if min(len(a), len(b)) < 2 or not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise ValueError(
            f"each model needs at least two finite scores: one a seed (here {len(a)} and {len(b)})"
        )
    if paired and len(a) != len(b):
        raise ValueError(
            f"a paired comparison needs the same seeds for both models, not {len(a)} and {len(b)}"
        )
    samples = [a - b] if paired else [a, -b]
    sizes = np.array([len(s) for s in samples])
    variances = np.array([s.var(ddof=1) for s in samples]) / sizes
    difference, error = sum(s.mean() for s in samples), np.sqrt(variances.sum())
    if error <= 1e-12 * max(np.abs(a).max(), np.abs(b).max()):
        raise ValueError(
            "the scores do not vary from seed to seed: there is no spread to compare a difference with"
        )
    df = variances.sum() ** 2 / (variances**2 / (sizes - 1)).sum()
    half = student.ppf(0.975, df) * error
    rng = np.random.default_rng(seed)
    means = sum(s[rng.integers(len(s), size=(n, len(s)))].mean(axis=1) for s in samples)
    boot_low, boot_high = np.quantile(means, [0.025, 0.975])
    found = {
        "difference": difference,
        "low": difference - half,
        "high": difference + half,
        "t": difference / error,
        "df": df,
        "p": 2 * student.sf(abs(difference) / error, df),
        "boot_low": boot_low,
        "boot_high": boot_high,
    }
    return {name: float(value) for name, value in found.items()}


def welch_power(effect: float, spread_a: float, spread_b: float, n_seeds: int, alpha: float = 0.05) -> float:
    """Probability that Welch's t test with n seeds a model finds a true difference.

    effect: true difference of the means.
    spread_a: standard deviation over the seeds of one model, in the units of `effect`; one of them may be 0.
    spread_b: that of the other.
    n_seeds: of each model, at least 2.
    alpha: p below which a difference counts as found.

    Returns a number from about alpha (no difference) to 1; exact for Gaussian scores.  Given the ratio of
    the two sample variances the test statistic follows a non-central t distribution; the ratio follows a
    beta distribution, over which the integral is taken (Gauss-Jacobi, 32 points).
    Raises ValueError for spreads, seeds or alpha that cannot be.
    B. L. Welch, Biometrika 34, 28 (1947); on its use for seeds: C. Colas et al., arXiv:1806.08295 (2018).
    """
    from scipy.special import roots_jacobi
    from scipy.stats import nct
    from scipy.stats import t as student

    possible = spread_a >= 0 and spread_b >= 0 and spread_a + spread_b > 0
    if not (possible and np.isfinite([effect, spread_a, spread_b]).all()):
        raise ValueError(
            f"the spreads ({spread_a}, {spread_b}) must be positive numbers (one may be 0), "
            f"the effect ({effect}) a number"
        )
    if not (0 < alpha < 1 and n_seeds >= 2):
        raise ValueError(
            f"alpha ({alpha}) must lie between 0 and 1, and there must be at least two seeds (not {n_seeds})"
        )
    nu, both = n_seeds - 1, spread_a**2 + spread_b**2
    x, weight = roots_jacobi(32, nu / 2 - 1, nu / 2 - 1)
    # sample variances, but for a common factor
    a, b = spread_a**2 * (1 + x) / 2, spread_b**2 * (1 - x) / 2
    edge = student.ppf(1 - alpha / 2, nu * (a + b) ** 2 / (a**2 + b**2)) * np.sqrt(2 * (a + b) / both)
    shift = abs(effect) / np.sqrt(both / n_seeds)
    # scipy gives NaN for the wrong tail where it is too small to be computed
    found = nct.sf(edge, 2 * nu, shift) + np.nan_to_num(nct.cdf(-edge, 2 * nu, shift))
    return float(weight @ found / weight.sum())


def seeds_needed(
    effect: float, spread_a: float, spread_b: float, alpha: float = 0.05, power: float = 0.8
) -> int:
    """Least number of seeds for each of two models with which Welch's t test finds a true difference.

    effect, spread_a, spread_b, alpha: as in `welch_power`.
    power: how often it shall be found.

    Returns a whole number, at least 2.
    Raises ValueError if no number up to a million is enough.
    """
    if not 0 < power < 1:
        raise ValueError(f"power ({power}) lies between 0 and 1")

    def enough(n):
        return welch_power(effect, spread_a, spread_b, n, alpha) >= power

    high = 2
    while not enough(high):
        if high == 1_000_000:
            raise ValueError(f"a difference of {effect} is too small to be found with a million seeds")
        high = min(2 * high, 1_000_000)
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return max(high, 2)


def whole(name: str, value: Any, least: int = 1) -> int:
    """A whole number of any kind as int; ValueError with its name for anything else or less than `least`."""
    number = isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)
    if number and value == int(value) >= least:
        return int(value)
    raise ValueError(f"{name} must be a whole number, {least} or more, not {value!r}")
