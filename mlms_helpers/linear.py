"""Straight lines: in many descriptors, solved exactly, or in the few that say most."""

from collections.abc import Sequence
from numbers import Real

import numpy as np
import scipy.linalg

from mlms_helpers.statistics import unmasked, whole

ALIKE = 1e-5  # two directions are one where 1 - (their cosine)^2 is below this


def ridge(
    x: np.ndarray,
    y: np.ndarray,
    strength: float,
    *,
    weights: np.ndarray | None = None,
    least_spread: float = 0.0,
) -> np.ndarray:
    """Ridge regression: the line that minimises mean squared error + strength * sum of squared slopes.

    Both terms are in standardised units (x and y from their weighted mean, divided by their spread): the same
    strength means the same whatever the units and the number of samples.  The spread is that of all rows
    whatever their weights, so that lines through several draws of the same rows are held back alike.

    x: [n_samples, n_features], or [n_samples] for one feature.
    y: [n_samples].
    strength: 0 or more, no unit; 0 is least squares (the smallest slopes of all that are equally good).
    weights: [n_samples], how often each sample counts, 0 or more; default, once.
    least_spread: features that vary less (standard deviation, in their own units) are divided by this, and so
        not blown up elsewhere; default 0.

    Returns float64 [n_features + 1], constant first, in the units of x and y: see `predict`.  The slope of a
    constant feature is 0.
    Raises ValueError for shapes that do not fit, a value that is masked or not finite, a strength or
    least_spread that is no finite number from 0 up, a negative weight, and weights that are all zero.
    A. E. Hoerl and R. W. Kennard, Technometrics 12, 55 (1970).
    """
    for name, value in (("strength", strength), ("least_spread", least_spread)):
        if not isinstance(value, Real) or not 0 <= value < np.inf:
            raise ValueError(f"ridge: {name} must be a number, finite and not negative; it is {value!r}")
    x, y = unmasked("x", x), unmasked("y", y)
    x = x[:, None] if x.ndim == 1 else x
    weights = np.ones(y.shape) if weights is None else unmasked("weights", weights)
    if x.ndim != 2 or y.shape != (len(x),) or weights.shape != y.shape:
        raise ValueError(
            f"ridge: x {x.shape}, y {y.shape}, weights {weights.shape} must have one row a sample"
        )
    if not (np.isfinite(x).all() and np.isfinite(y).all() and np.isfinite(weights).all()):
        raise ValueError("ridge: x, y or weights hold a value that is not a finite number")
    if (weights < 0).any() or not weights.any():
        raise ValueError("ridge: no weight may be negative, and some weight must be above zero")
    spread = np.maximum((x - x[0]).std(axis=0), least_spread)
    spread[spread == 0] = 1.0
    x, y, weights = x[weights > 0], y[weights > 0], weights[weights > 0] / weights.sum()
    middle = x[0] + weights @ (x - x[0])  # exact for a constant column
    centre = weights @ y
    root, penalty = np.sqrt(weights), strength * np.eye(x.shape[1])
    z, t = root[:, None] * (x - middle) / spread, root * (y - centre)
    if strength > 1e-6:  # normal equations: they lose no digit that counts here, and take a tenth of the time
        slopes = np.linalg.solve(z.T @ z + penalty, z.T @ t) / spread
    else:
        rows, aims = np.vstack([z, np.sqrt(penalty)]), np.concatenate([t, np.zeros(len(penalty))])
        # what rounding leaves of columns that depend on each other (they add up to zero) is no feature
        rounding = max(rows.shape) * np.finfo(float).eps
        slopes = scipy.linalg.lstsq(rows, aims, cond=rounding, lapack_driver="gelsy")[0] / spread
    return np.concatenate([[centre - middle @ slopes], slopes])


def predict(coefficients: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Values of lines that `ridge` has found.

    coefficients: [n_features + 1], or [n_models, n_features + 1] for several lines.
    x: [n_samples, n_features], or [n_samples] for one feature.

    Returns float64 [n_samples], or [n_models, n_samples].
    """
    coefficients, x = np.asarray(coefficients, float), np.asarray(x, float)
    x = x[:, None] if x.ndim == 1 else x
    return coefficients[..., :1] + coefficients[..., 1:] @ x.T


def kernel_ridge(
    kernel: np.ndarray, y: np.ndarray, strengths: Sequence[float] = tuple(10.0 ** np.arange(-13.0, 0.0))
) -> tuple[np.ndarray, float]:
    """A line in as many functions as there are samples, held back as suits samples left out best.

    kernel: [n_samples, n_samples], how alike any two training samples are: inner products of descriptors, or
        a Gaussian of their distance; symmetric, no negative eigenvalue.
    y: [n_samples].
    strengths: of the ridge, above 0, in units of the largest eigenvalue of the kernel; the one whose error is
        lowest when each sample is left out in turn is taken (the constant, the mean of y, stays).

    Returns (weights, error): weights [n_samples + 1], constant first, so that `predict(weights, likeness)`
    with likeness [n_new, n_samples] to the training samples gives the values; error, the root mean square of
    what is left out, in the unit of y: compare it between kernels.
    Raises ValueError for shapes that do not fit, a value that is not finite and a strength that is not above
    zero.
    C. E. Rasmussen and C. K. I. Williams, Gaussian Processes for Machine Learning (2006), eqs. 2.25, 5.12.
    """
    kernel, y = unmasked("kernel", kernel), unmasked("y", y)
    if y.ndim != 1 or len(y) == 0 or kernel.shape != (len(y), len(y)):
        raise ValueError(f"kernel_ridge: kernel {kernel.shape} and y {y.shape} must be [n, n] and [n]")
    if not (np.isfinite(kernel).all() and np.isfinite(y).all()):
        raise ValueError("kernel_ridge: kernel or y holds a value that is not a finite number")
    if not len(strengths) or not min(strengths) > 0:
        raise ValueError("kernel_ridge: give one strength or more, each above zero")
    values, vectors = np.linalg.eigh(kernel)
    values = np.maximum(values, 0.0)
    along, best = vectors.T @ (y - y.mean()), (np.inf, None)
    for strength in strengths:
        inverse = 1 / (values + strength * max(values[-1], np.finfo(float).tiny))
        weights = vectors @ (inverse * along)
        error = np.sqrt(np.mean((weights / (vectors**2 @ inverse)) ** 2))
        if error < best[0]:
            best = error, weights
    return np.concatenate([[y.mean()], best[1]]), float(best[0])


def lasso(x: np.ndarray, y: np.ndarray, n: int) -> np.ndarray:
    """Columns in the order in which LASSO takes them up, as the price of a slope falls.

    LASSO minimises mean squared error + strength * sum of |slopes| of standardised columns; most slopes are
    zero.  From the strength at which all are, it goes down until n columns have had a slope.
    x: [n_samples, n_features].
    y: [n_samples].
    n: columns wanted.

    Returns int [n] or fewer, column numbers of x.
    Raises ValueError for shapes that do not fit and values that are not finite.
    R. Tibshirani, J. R. Stat. Soc. B 58, 267 (1996); path: B. Efron et al., Ann. Stat. 32, 407 (2004).
    """
    from sklearn.linear_model import lars_path

    z, target = _directions(x, y)
    _, _, slopes = lars_path(z, target, method="lasso", max_iter=3 * whole("n", n))
    taken = np.flatnonzero(slopes.any(axis=1))
    return taken[np.argsort((slopes[taken] != 0).argmax(axis=1), kind="stable")][:n]


def best_subsets(x: np.ndarray, y: np.ndarray, size: int, keep: int = 1) -> np.ndarray:
    """The columns whose least-squares line fits best, found by trying all subsets (l0).

    x: [n_samples, n_features]; the time grows as n_features^size.
    y: [n_samples].
    size: columns in a subset.
    keep: subsets wanted, the best first.

    Returns int [keep, size] or fewer rows, column numbers of x.
    Raises ValueError for shapes that do not fit and values that are not finite.
    """
    z, target = _directions(x, y)
    size = whole("size", size)
    if size > z.shape[1]:
        raise ValueError(f"best_subsets: there are {z.shape[1]} features, too few for subsets of {size}")
    return _best_subsets(z.T @ z, z.T @ target, size, whole("keep", keep))[1]


def sisso(
    x: np.ndarray, y: np.ndarray, size: int = 3, *, screened: int = 20, residuals: int = 10
) -> list[np.ndarray]:
    """Sure independence screening and sparsifying operator: few features out of very many.

    First the features that correlate best with y are kept, and the best single one is found.  Then, again and
    again: those that correlate best with what some good lines leave are kept as well, and among all kept ones
    every subset of one feature more is tried.

    x: [n_samples, n_features], thousands of features.
    y: [n_samples].
    size: features in the largest line.
    screened: features kept in each round.
    residuals: number of lines, the best of a round, whose residuals screen the next one.

    Returns a list: the columns of the best line in one feature, int [1], in two, int [2], ... `ridge(x[:,
    columns], y, 0.0)` gives the line.
    Raises ValueError for shapes that do not fit, values that are not finite, and more features asked for than
    there are.
    R. Ouyang et al., Phys. Rev. Mater. 2, 083802 (2018); J. Fan and J. Lv, J. R. Stat. Soc. B 70, 849 (2008).
    """
    z, target = _directions(x, y)
    size, screened, residuals = (
        whole("size", size),
        whole("screened", screened),
        whole("residuals", residuals),
    )
    if size > z.shape[1]:
        raise ValueError(f"sisso: there are {z.shape[1]} features, too few for a line in {size}")
    quick = z.astype(np.float32)  # screening needs no more digits
    left, kept, found = target[:, None], np.array([], int), []
    for n in range(1, size + 1):
        lengths = np.linalg.norm(left, axis=0)
        score = np.abs(quick.T @ (left / np.where(lengths, lengths, 1)).astype(np.float32)).max(axis=1)
        score[kept] = -1
        kept = np.concatenate(
            [kept, np.argsort(-score, kind="stable")[: min(screened, len(score) - len(kept))]]
        )
        pool = z[:, kept]
        _, subsets = _best_subsets(pool.T @ pool, pool.T @ target, n, residuals)
        found.append(kept[subsets[0]])
        lines = [np.linalg.lstsq(pool[:, columns], target, rcond=None)[0] for columns in subsets]
        left = np.column_stack(
            [target - pool[:, columns] @ line for columns, line in zip(subsets, lines, strict=True)]
        )
    return found


def _directions(x, y):
    """Columns of x from their means, of length one (zero where they do not vary), and y from its mean."""
    x, y = unmasked("x", x), unmasked("y", y)
    if x.ndim != 2 or y.shape != (len(x),) or 0 in x.shape:
        raise ValueError(
            f"x {x.shape} and y {y.shape} must have one row a sample, and x one column a feature"
        )
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise ValueError("x or y holds a value that is not a finite number")
    z = x - x.mean(axis=0)
    length = np.linalg.norm(z, axis=0)
    varies = length > 1e-12 * np.abs(x).max(axis=0) * np.sqrt(len(x))
    return np.where(varies, z / np.where(varies, length, 1.0), 0.0), y - y.mean()


def _best_subsets(inner, along, size, keep):
    """Gains [keep] and columns [keep, size], best first, of subsets of directions with these inner products.

    inner: [n, n], between directions of length one (or zero); along: [n], of each with y.  The gain is by how
    much a line in a subset lowers the sum of squares.
    """
    n = len(along)
    if size == 1:
        gains, columns = along**2, np.arange(n)[:, None]
    elif size == 2:  # all pairs at once
        left = 1 - inner**2
        gains = along[:, None] ** 2 + along**2 - 2 * inner * along[:, None] * along
        gains = np.where(left > ALIKE, gains / np.maximum(left, ALIKE), -1)
        columns = np.column_stack(np.triu_indices(n, 1))
        gains = gains[tuple(columns.T)]
    else:  # one direction is taken out of all behind it, which leaves a smaller problem
        parts = []
        for first in range(n - size + 1):
            shadow, rest = inner[first, first + 1 :], inner[first + 1 :, first + 1 :]
            left = 1 - shadow**2
            scale = np.where(left > ALIKE, 1 / np.sqrt(np.maximum(left, ALIKE)), 0)
            gains, columns = _best_subsets(
                (rest - np.outer(shadow, shadow)) * np.outer(scale, scale),
                (along[first + 1 :] - shadow * along[first]) * scale,
                size - 1,
                keep,
            )
            columns = np.column_stack([np.full(len(gains), first), columns + first + 1])
            parts.append((gains + along[first] ** 2, columns))
        gains, columns = (np.concatenate(part) for part in zip(*parts, strict=True))
    best = np.argpartition(-gains, keep)[:keep] if keep < len(gains) else np.arange(len(gains))
    best = best[np.argsort(-gains[best], kind="stable")]
    return gains[best], columns[best]
