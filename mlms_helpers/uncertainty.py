"""What a model does not know: error bars of several kinds, all judged on families left out, and mended.

Each way to an error bar is a function `way(x, y, groups, new, seed) -> Bars`.  It tells what it says of new
samples and also, honestly, of the training samples: each by a model that has not seen its family.  From these
`recalibrate` and `conformal` learn how wide a bar must be, without a look at the families that test.
"""

import warnings
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from mlms_helpers import evaluation, linear, models, training
from mlms_helpers.statistics import bootstrap_weights, group_numbers, spawn, unmasked, whole

LOGARITHM = -8.0, 4.0  # bounds of the logarithm of a variance, of targets with a spread of 1
LEAST_SPREAD = 0.05  # features that vary less (in their own units) are not blown up
NETWORK = {"width": 16, "hidden_layers": 1}
TRAINED = {"epochs": 150, "batch_size": 64, "learning_rate": 5e-3, "weight_decay": 0.3}


class Bars(NamedTuple):
    """What a way to an error bar says, in the units of y."""

    mean: np.ndarray  # [n_new]
    sigma: np.ndarray  # [n_new], standard deviations
    held_mean: np.ndarray  # [n_samples], of the training samples, each without its family
    held_sigma: np.ndarray  # [n_samples], likewise


Way = Callable[[np.ndarray, np.ndarray, Sequence, np.ndarray, int], Bars]


def judge(residual: ArrayLike, sigma: ArrayLike, *, level: float = 0.9, bins: int = 8) -> dict[str, float]:
    """Are error bars right?  The numbers that tell, each of which can be right where another is not.

    residual: [n], predicted minus true.
    sigma: [n], stated standard deviations in the same unit, above 0.
    level: of the interval that is counted; default, 90 %.
    bins: as in `binned`.

    Returns {"RMSE"; "sharpness", mean sigma: of bars that are right, short ones are better (both in the
    unit); "r-statistic", standard deviation of z = residual / sigma; "mean z2", mean of z squared: it counts
    a bias, too; "slope" and "intercept" (unit) of the line through `binned`: 1 and 0 where longer bars mean
    larger errors, in proportion; "coverage", share of residuals within the Gaussian interval of that level}.
    Raises ValueError as `binned` does.
    R. Jacobs et al., MAST-ML (r-statistic, slope); D. Levi et al., Sensors 22, 5540 (2022) (binned errors);
    P. Pernot, arXiv:2402.10043 (mean z2).
    """
    residual, sigma = _pair(residual, sigma)
    z = residual / sigma
    found = evaluation.coverage(np.zeros(len(z)), residual, sigma, [level]).found[0]
    slope, intercept = _line(binned(residual, sigma, bins))
    return {
        "RMSE": float(np.sqrt((residual**2).mean())),
        "sharpness": float(sigma.mean()),
        "r-statistic": float(z.std()),
        "mean z2": float((z**2).mean()),
        "slope": slope,
        "intercept": intercept,
        "coverage": float(found),
    }


def binned(residual: ArrayLike, sigma: ArrayLike, bins: int = 8) -> pd.DataFrame:
    """Error against stated error: samples in the order of sigma, in bins of equal number.

    residual, sigma: as in `judge`.
    bins: their number; cut down to one sample a bin.

    Returns a DataFrame, one row a bin: stated (root mean square of sigma), found (of the residuals),
    samples.
    Raises ValueError for lengths that differ, no sample, values that are not finite, and a sigma of 0 or
    less.
    """
    residual, sigma = _pair(residual, sigma)
    parts = np.array_split(np.argsort(sigma, kind="stable"), min(whole("bins", bins), len(sigma)))
    rows = [(*(np.sqrt((a[p] ** 2).mean()) for a in (sigma, residual)), len(p)) for p in parts]
    return pd.DataFrame(rows, columns=["stated", "found", "samples"])


def interval(
    residual: ArrayLike, sigma: ArrayLike, groups: Sequence, *, n: int = 500, seed: int = 0, **settings
) -> pd.DataFrame:
    """How sure are the numbers of `judge`?  95 % intervals, whole families drawn again with replacement.

    residual, sigma: as in `judge`.
    groups: [n_samples], the family of each.
    n: draws.
    seed: of the draws.
    settings: level and bins of `judge`.

    Returns a DataFrame, one row a number of `judge`: value, low, high.
    Raises ValueError as `judge` and `statistics.bootstrap_weights` do.
    """
    residual, sigma = _pair(residual, sigma)
    drawn = [
        judge(*(np.repeat(a, w.astype(int)) for a in (residual, sigma)), **settings)
        for w in bootstrap_weights(groups, n, seed)
    ]
    low, high = np.quantile(pd.DataFrame(drawn).to_numpy(), [0.025, 0.975], axis=0)
    value = judge(residual, sigma, **settings)
    return pd.DataFrame({"value": value.values(), "low": low, "high": high}, index=list(value))


def recalibrate(residual: ArrayLike, sigma: ArrayLike) -> tuple[float, float]:
    """Two numbers that mend error bars: sqrt(floor^2 + (factor * sigma)^2), of the highest likelihood.

    residual, sigma: [n], of samples that the model has not seen and that do not test it.

    Returns (floor, in the unit of sigma; factor): for `widened`.  A factor of 0: the stated sigma says
    nothing.
    Raises ValueError as `binned` does.
    """
    from scipy.optimize import minimize

    residual, sigma = _pair(residual, sigma)
    mean, scale = (residual**2).mean(), (sigma**2).mean()
    if mean == 0:
        return 0.0, 0.0

    def cost(q):  # in parts of the mean square, so that eV or meV make no difference
        variance = np.maximum(q[0] + q[1] * sigma**2 / scale, 1e-6)
        return (residual**2 / mean / variance + np.log(variance)).mean()

    starts = [(0.9, 0.1), (0.5, 0.5), (0.1, 0.9)]
    found = [minimize(cost, start, bounds=[(0, None)] * 2, method="L-BFGS-B") for start in starts]
    floor, factor = min(found, key=lambda result: result.fun).x
    return float(np.sqrt(floor * mean)), float(np.sqrt(factor * mean / scale))


def widened(sigma: ArrayLike, numbers: tuple[float, float]) -> np.ndarray:
    """Error bars mended by the two numbers of `recalibrate`.

    sigma: [n].
    numbers: floor and factor.
    """
    floor, factor = numbers
    return np.hypot(floor, factor * np.asarray(sigma, float))


def conformal(score: ArrayLike, groups: Sequence, level: float = 0.9) -> float:
    """What a share `level` of new samples will not exceed, whatever the distribution of the errors.

    score: [n], of samples that the model has not seen: |residual|, or |residual| / sigma.
    groups: [n], the family of each.
    level: share promised; 90 %.

    Returns the half-width of the interval (or the factor on sigma): the quantile of the scores at
    level * (1 + 1 / number of families), the largest score where that is above 1.  Exact where families are
    alike and have one sample each; in larger ones samples are not independent: it is an approximation.
    Raises ValueError for a level outside 0 to 1 and groups that do not fit.
    V. Vovk, A. Gammerman and G. Shafer, Algorithmic learning in a random world (2005); by groups: V. Vovk et
    al., ICML (2003).
    """
    score, families = unmasked("score", score), group_numbers(groups)
    if not 0 < level < 1 or score.shape != families.shape or not len(score) or not np.isfinite(score).all():
        raise ValueError("conformal: level lies between 0 and 1, and each finite score has one group")
    return float(np.quantile(score, min(1.0, level * (1 + 1 / len(np.unique(families)))), method="higher"))


def by_kind(bars: Bars, y: ArrayLike, groups: Sequence, kinds: ArrayLike, new_kinds: ArrayLike) -> np.ndarray:
    """Error bars of new samples, mended for each kind apart on the training samples of that kind.

    bars: of a way.
    y, groups, kinds: [n_samples], of the training samples: true values, families, kinds such as motifs.
    new_kinds: [n_new].

    Returns sigma [n_new], wider by Student's t where few families hold a kind, as two numbers from n of them
    are not sure.  A kind that fewer than four families hold gets the numbers of all samples;
    training samples without a bar (NaN: fewer than two members had not seen them) are left out.
    """
    kinds, new_kinds, groups = np.asarray(kinds), np.asarray(new_kinds), np.asarray(groups)
    residual, out = bars.held_mean - np.asarray(y), np.empty(len(new_kinds))
    for kind in np.unique(new_kinds):
        rows = (kinds == kind) & np.isfinite(residual)
        if len(np.unique(groups[rows])) < 4:
            rows = np.isfinite(residual)
        here, n = new_kinds == kind, len(np.unique(groups[rows]))
        few = np.sqrt((n - 1) / (n - 3)) if n > 3 else 1.0
        out[here] = few * widened(bars.sigma[here], recalibrate(residual[rows], bars.held_sigma[rows]))
    return out


def lines(
    x: np.ndarray, y: np.ndarray, groups: Sequence, new: np.ndarray, seed: int = 0, *, strength: float = 3e-3,
    members: int = 48,
) -> Bars:  # fmt: skip
    """Bootstrap of lines: ridges, each on families drawn anew with replacement; sigma is their spread.

    x: [n_samples, n_features].   y: [n_samples].   groups: [n_samples].   new: [n_new, n_features].
    seed: of the draws.
    strength: of the ridge, see `linear.ridge`.
    members: number of lines.

    B. Efron, Ann. Stat. 7, 1 (1979); held: L. Breiman, Mach. Learn. 24, 123 (1996).
    """
    drawn = bootstrap_weights(groups, members, seed)
    found = [linear.ridge(x, y, strength, weights=w, least_spread=LEAST_SPREAD) for w in drawn]
    inside, outside = linear.predict(found, x), linear.predict(found, new)
    return _of_votes(outside, inside, drawn)


def ensemble(
    x: np.ndarray, y: np.ndarray, groups: Sequence, new: np.ndarray, seed: int = 0, *, members: int = 24
) -> Bars:
    """Deep ensemble: small networks, each on families drawn anew, from other weights; sigma is their spread.

    Arguments as in `lines`; members: number of networks.
    B. Lakshminarayanan, A. Pritzel and C. Blundell, arXiv:1612.01474 (2017).
    """
    networks, drawn = _trained(x, _column(y), y, groups, seed, members, "mse")
    inside, outside = (np.array([models.predict(net, a) for net in networks]) for a in (x, new))
    return _of_votes(outside, inside, drawn)


def mean_and_variance(
    x: np.ndarray, y: np.ndarray, groups: Sequence, new: np.ndarray, seed: int = 0, *, members: int = 24
) -> Bars:
    """Mean-variance networks: two outputs, the mean and the logarithm of the variance, with `gaussian_loss`.

    Arguments as in `ensemble`.  sigma^2 is the mean of the variances and the variance of the means.
    D. A. Nix and A. S. Weigend, ICNN 1, 55 (1994); several: Lakshminarayanan et al., as in `ensemble`.
    """
    middle, spread = y.mean(), y.std()
    t = (y - middle) / spread
    # the second output starts at the mean of the logarithm of a variance of 0.1, and varies by 1
    shape = np.column_stack([t, np.log(0.1) + np.where(np.arange(len(t)) % 2, 1.0, -1.0)])
    networks, drawn = _trained(x, shape, t, groups, seed, members, gaussian_loss)
    parts = []
    for a in (new, x):
        out = np.array([models.predict(net, a) for net in networks])
        parts += [middle + spread * out[..., 0], spread**2 * np.exp(np.clip(out[..., 1], *LOGARITHM))]
    return _of_votes(parts[0], parts[2], drawn, parts[1], parts[3])


def gaussian_loss(y, prediction):
    """What a mean-variance network learns: minus the logarithm of the likelihood, but for a constant.

    y: [n, 1], with a spread of about 1.
    prediction: [n, 2]: mean, and logarithm of the variance (held between -8 and 4).

    Returns [n]: ((y - mean)^2 / variance + log variance) / 2.
    """
    import keras

    logarithm = keras.ops.clip(prediction[:, 1], *LOGARITHM)
    return ((y[:, 0] - prediction[:, 0]) ** 2 * keras.ops.exp(-logarithm) + logarithm) / 2


def gaussian_process(x: np.ndarray, y: np.ndarray, groups: Sequence, new: np.ndarray, seed: int = 0) -> Bars:
    """Gaussian process: a line, a smooth function and noise, their sizes of the highest likelihood.

    Arguments as in `lines`.  The training samples are told without their families by the formula for leaving
    samples out of the inverse matrix, so that one fit is enough.
    C. E. Rasmussen and C. K. I. Williams, Gaussian processes for machine learning (2006), eqs. 2.25, 2.26 and
    5.12 (for one sample); scikit-learn.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import RBF, ConstantKernel, DotProduct, WhiteKernel

    scale = np.maximum(x.std(axis=0), LEAST_SPREAD) * np.sqrt(x.shape[1])
    z, z_new = ((a - x.mean(axis=0)) / scale for a in (x, new))
    middle, spread = y.mean(), y.std()
    smooth = ConstantKernel(1.0, (1e-4, 1e3)) * RBF(1.0, (0.3, 30.0))
    straight = ConstantKernel(1.0, (1e-4, 1e3)) * DotProduct(1.0, "fixed")
    kernel = smooth + straight + WhiteKernel(0.05, (1e-4, 1.0))
    with warnings.catch_warnings():  # a part of the kernel that nothing needs ends at its bound
        warnings.simplefilter("ignore", ConvergenceWarning)
        process = GaussianProcessRegressor(kernel, random_state=seed).fit(z, (y - middle) / spread)
    mean, sigma = process.predict(z_new, return_std=True)
    inverse = np.linalg.inv(process.kernel_(z))
    pull, families = inverse @ (y - middle), group_numbers(groups)
    held_mean, held_sigma = np.empty(len(y)), np.empty(len(y))
    for family in range(families.max() + 1):
        rows = np.flatnonzero(families == family)
        covariance = np.linalg.inv(inverse[np.ix_(rows, rows)])
        held_mean[rows] = y[rows] - covariance @ pull[rows]
        held_sigma[rows] = spread * np.sqrt(np.diag(covariance))
    return Bars(middle + spread * mean, spread * sigma, held_mean, held_sigma)


WAYS: dict[str, Way] = {
    "lines, bootstrap": lines,
    "deep ensemble": ensemble,
    "mean-variance networks": mean_and_variance,
    "Gaussian process": gaussian_process,
}


def _trained(x, shape, y, groups, seed, members, loss):
    """Networks with the outputs of `shape`, each on its own draw of families; and the draws."""
    drawn = bootstrap_weights(groups, members, seed)
    networks = [
        models.mlp(x, shape, least_spread=LEAST_SPREAD, seed=spawn(seed, k), **NETWORK)
        for k in range(members)
    ]
    training.fit_ensemble(networks, x, _column(y), loss=loss, weights=drawn, seed=seed, **TRAINED)
    return networks, drawn


def _of_votes(outside, inside, drawn, noise_outside=0.0, noise_inside=0.0):
    """Bars of members: their spread and, if they state one, mean variance; of training samples out of bag."""
    unseen = (drawn == 0).astype(float)
    voters = unseen.sum(axis=0)
    unseen /= np.where(voters > 1, voters, np.nan)  # one vote has no spread, and then there is no bar: NaN

    def both(votes, noise, weights):
        center = (weights * votes).sum(axis=0)
        return center, np.sqrt((weights * ((votes - center) ** 2 + noise)).sum(axis=0))

    everyone = np.full((len(outside), 1), 1 / len(outside))
    return Bars(*both(outside, noise_outside, everyone), *both(inside, noise_inside, unseen))


def _column(y):
    return np.asarray(y, float)[:, None]


def _pair(residual, sigma):
    residual, sigma = unmasked("residual", residual), unmasked("sigma", sigma)
    if residual.ndim != 1 or residual.shape != sigma.shape or not len(residual):
        raise ValueError(
            f"residual and sigma must be vectors of one length and not empty, not {residual.shape} and "
            f"{sigma.shape}"
        )
    if not (np.isfinite(residual).all() and np.isfinite(sigma).all() and (sigma > 0).all()):
        raise ValueError("residual and sigma must be finite, and each sigma above 0")
    return residual, sigma


def _line(table):
    """Slope and intercept of found against stated; NaN where stated does not vary."""
    stated, found = table.stated.to_numpy(), table.found.to_numpy()
    if np.ptp(stated) < 1e-9 * stated.max():
        return float("nan"), float("nan")
    intercept, slope = linear.ridge(stated, found, 0.0, weights=table.samples.to_numpy(float))
    return float(slope), float(intercept)
