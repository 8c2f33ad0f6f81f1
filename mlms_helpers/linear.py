"""Straight lines in many descriptors, solved exactly."""

from numbers import Real

import numpy as np
import scipy.linalg

from mlms_helpers.statistics import unmasked


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
