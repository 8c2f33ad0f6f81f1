"""Maps: many numbers a site drawn as one point a site.

`pca` and `umap` make the coordinates, `trustworthiness` and `neighbours_kept` say how far to believe them,
and `draw` colours them by a column.  (`linked_map.LinkedMap` links each point with its atom in 3-D.)
"""

import re
import warnings
from numbers import Real

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike
from sklearn.neighbors import NearestNeighbors

from .plots import legend_outside
from .rendering import BLANK, CYCLE, MARKERS, as_written, axis_label, style
from .statistics import unmasked, whole


def pca(x: ArrayLike, n: int = 2) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Principal components: directions in which the points are spread most, by singular value decomposition.

    x: [n_points, n_features]; only its mean is taken off, so standardise columns of different units first.
    n: components to keep.

    Returns scores [n_points, n] (the coordinates), components [n, n_features] (unit vectors), share [n] of
    the whole variance.  The sign of a component is free; here the largest number in each is positive, so that
    every machine draws the same map.
    Raises ValueError for values that are not finite, fewer than two points, or n beyond what there is.
    K. Pearson, Philos. Mag. 2, 559 (1901).
    """
    x, n = points(x), whole("the number of components", n)
    if n > min(x.shape):
        raise ValueError(f"{n} components cannot be had from {x.shape[0]} points with {x.shape[1]} features")
    centred = x - x.mean(axis=0)
    _, spread, components = np.linalg.svd(centred, full_matrices=False)
    if spread[0] <= 1e-12 * np.abs(x).max() * np.sqrt(x.size):
        raise ValueError("all points lie at one place: there is no direction to find")
    components = components[:n]
    largest = np.abs(components).argmax(axis=1)
    components = components * np.sign(components[np.arange(n), largest])[:, None]
    return centred @ components.T, components, spread[:n] ** 2 / (spread**2).sum()


def umap(
    x: ArrayLike, neighbours: int = 15, min_distance: float = 0.1, seed: int = 0, start: str = "pca"
) -> np.ndarray:
    """Uniform manifold approximation: a map in the plane that tries to keep each point's neighbours.

    x: [n_points, n_features], standardised.
    neighbours: how many count as near; few show crumbs, many the whole.
    min_distance: how close points may lie on the map.
    seed: of the random steps.
    start: "pca", the first two principal components, or "random" places.

    Returns float64 [n_points, 2].  Axes, sizes of clumps and distances between them have no unit and little
    meaning.  The same arguments give the same map on one machine; other processors may draw another one.
    Importing the package takes about 1 s (longer the first time), the first call in a kernel about 5 to 10 s
    of compiling, then 1,000 points 2 s.
    Raises ValueError for values that are masked or not finite, not 2 <= neighbours < n_points, and a
    min_distance that is not from 0 to 1.
    L. McInnes, J. Healy and J. Melville, arXiv:1802.03426 (2018); on the start, D. Kobak and G. C. Linderman,
    Nat. Biotechnol. 39, 156 (2021).
    """
    x, seed = points(x), whole("seed", seed, 0)
    neighbours = _whole(neighbours, 2, len(x))
    if not isinstance(min_distance, Real) or not 0 <= min_distance <= 1:
        raise ValueError(f"min_distance must be a number from 0 to 1, not {min_distance!r}")
    if start not in ("pca", "random"):
        raise ValueError(f"start must be 'pca' or 'random', not {start!r}")
    places = pca(x)[0] if start == "pca" else np.random.default_rng(seed).uniform(size=(len(x), 2))
    # Neighbours are found exactly, not by UMAP's approximate search, which compiles for long and draws lots.
    distance, index = NearestNeighbors(n_neighbors=neighbours).fit(x).kneighbors(x)
    with warnings.catch_warnings():  # that TensorFlow is missing, that new points cannot be added
        warnings.simplefilter("ignore")
        from umap import UMAP  # slow to import: only when asked for

        model = UMAP(
            n_neighbors=neighbours,
            min_dist=min_distance,
            init=places,
            random_state=seed,
            n_jobs=1,
            precomputed_knn=(index, distance),
            force_approximation_algorithm=True,
        )
        return model.fit_transform(x).astype(float)


def trustworthiness(x: ArrayLike, xy: ArrayLike, neighbours: int = 15) -> float:
    """Are the neighbours on the map true ones?  1: all are; about 0.5: a random map.

    x: [n_points, n_features].
    xy: [n_points, 2], a map of them.
    neighbours: how many to look at.

    Points that are neighbours on the map only are punished by how far down the true list they stand.
    Raises ValueError where lengths differ or neighbours >= n_points / 2.
    J. Venna and S. Kaski, ICANN 2001, Lect. Notes Comput. Sci. 2130, 485.
    """
    from sklearn.manifold import trustworthiness as score

    x, xy, neighbours = _pair(x, xy, neighbours)
    if not neighbours < len(x) / 2:
        raise ValueError(
            f"trustworthiness needs neighbours below half of the {len(x)} points, not {neighbours}"
        )
    return float(score(x, xy, n_neighbors=neighbours))


def neighbours_kept(x: ArrayLike, xy: ArrayLike, neighbours: int = 15) -> float:
    """Share of each point's nearest neighbours that are among its nearest on the map, too.

    Arguments as for `trustworthiness`; xy may have any number of columns.

    1: all of them; neighbours / n_points: chance.
    """
    x, xy, neighbours = _pair(x, xy, neighbours)
    near, drawn = (
        NearestNeighbors(n_neighbors=neighbours).fit(a).kneighbors(return_distance=False) for a in (x, xy)
    )
    return float((near[:, :, None] == drawn[:, None, :]).any(axis=2).mean())


@style()
def draw(
    xy: ArrayLike,
    values: ArrayLike,
    *,
    label: str = "value",
    unit: str = "",
    axes: tuple[str, str] = ("first axis", "second axis"),
    numbers: bool = True,
    title: str | None = None,
    ax: Axes | None = None,
) -> Figure:
    """Points of a map, coloured by a number (with a colour bar) or by a word (with a legend).

    xy: [n_points, 2].
    values: [n_points], numbers (not finite or missing: grey) or words (missing: grey, "no value").
    label: what they are.
    unit: their unit.
    axes: what the two axes are.
    numbers: whether the axes carry numbers; False where these mean nothing, as of a UMAP.
    title: default, what the colours show.
    ax: axes to draw in; default, a new figure.

    Words come in the order of their categories, or as one counts and spells: a2 before a10.  Beyond eight
    kinds the markers change too, and there is no legend.
    Raises ValueError where lengths differ, or there is nothing to draw.
    """
    xy = points(xy, columns=2)
    values = _column(values)
    if len(values) != len(xy):
        raise ValueError(f"there are {len(values)} values for {len(xy)} points")
    ax = ax or Figure(figsize=(6.0, 4.8)).subplots()
    if pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values):
        _draw_numbers(ax, xy, values.to_numpy(float, na_value=np.nan), label, unit)
    else:
        _draw_words(ax, xy, values, label)
    ax.set(xlabel=as_written(axes[0]), ylabel=as_written(axes[1]))
    if not numbers:
        ax.set(xticks=[], yticks=[])
    ax.set_title(as_written(title if title is not None else f"Coloured by {label}"))
    return ax.figure


def _column(values):
    """Values as a Series with gaps where there are none, numbers as numbers."""
    if isinstance(values, np.ma.MaskedArray):
        values = pd.Series(values.data).mask(np.ma.getmaskarray(values))
    return pd.Series(values).reset_index(drop=True).convert_dtypes()


def _size(xy):
    return np.clip(9000 / len(xy), 9, 40)


def _draw_numbers(ax, xy, values, label, unit):
    known = np.isfinite(values)
    if not known.any():
        raise ValueError(f"{label} holds no number to colour by")
    ax.scatter(*xy[~known].T, s=_size(xy), color=BLANK, linewidths=0)
    drawn = ax.scatter(*xy[known].T, s=_size(xy), c=values[known], cmap="viridis", linewidths=0)
    bar = ax.figure.colorbar(drawn, ax=ax, label=axis_label(label, unit))
    kinds = np.unique(values[known])
    if len(kinds) <= 8:
        bar.set_ticks(kinds)


def _draw_words(ax, xy, values, label):
    gap = values.isna().to_numpy()
    if isinstance(values.dtype, pd.CategoricalDtype):
        kinds = [kind for kind in values.cat.categories if (values == kind).any()]
    else:
        kinds = sorted(values.dropna().unique(), key=_natural)
    drawn = []
    if gap.any():
        drawn.append(ax.scatter(*xy[gap].T, s=_size(xy), color=BLANK, linewidths=0))
    for number, kind in enumerate(kinds):
        mine = ~gap & (values == kind).fillna(False).to_numpy(bool)
        look = {"color": CYCLE[number % 8], "marker": MARKERS[number // 8 % 8]}
        drawn.append(ax.scatter(*xy[mine].T, s=_size(xy), linewidths=0, alpha=0.8, **look))
    if len(kinds) <= 8:
        names = ["no value"] * int(gap.any()) + list(kinds)
        names = [f"{name} ({len(dots.get_offsets())})" for name, dots in zip(names, drawn, strict=True)]
        legend_outside(ax, drawn, names, markerscale=np.sqrt(40 / _size(xy)), title=as_written(label))


def _natural(word):
    """A key to sort words by as one counts: a2 before a10."""
    parts = re.split(r"(\d+)", str(word))
    return [(part.isdecimal(), int(part) if part.isdecimal() else 0, part) for part in parts]


def points(x: ArrayLike, columns: int | None = None) -> np.ndarray:
    """Points as float64 [n_points, n_features]; ValueError where they are no table of finite numbers."""
    x = unmasked("points", x)
    if x.ndim != 2 or len(x) < 2 or (columns and x.shape[1] != columns):
        wide = f", with {columns} columns" if columns else ""
        raise ValueError(f"points must come as rows of a table, at least two{wide}, not with shape {x.shape}")
    if not np.isfinite(x).all():
        number = np.flatnonzero(~np.isfinite(x).all(axis=1))[0]
        raise ValueError(f"point {number} holds a value that is not a number")
    return x


def _pair(x, xy, neighbours):
    x, xy = points(x), points(xy)
    if len(x) != len(xy):
        raise ValueError(f"the map has {len(xy)} points, and the data have {len(x)}")
    return x, xy, _whole(neighbours, 1, len(x))


def _whole(neighbours, least, n):
    try:
        if whole("neighbours", neighbours, least) < n:
            return int(neighbours)
    except ValueError:
        pass
    raise ValueError(
        f"neighbours must be a whole number from {least} to {n - 1} for {n} points, not {neighbours}"
    )
