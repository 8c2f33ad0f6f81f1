"""Charts that any table can use: one message each, axes with units, colours for the colour-blind, too.

Every function returns a `matplotlib.figure.Figure`; `show` puts one into the notebook.  Names, labels and
titles are shown as they are written: a dollar sign begins no formula.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.ticker import NullFormatter
from numpy.typing import ArrayLike

from .rendering import (
    CYCLE,
    GREY,
    LINES,
    MARKERS,
    PALETTE,
    as_written,
    axis_label,
    plain_ticks,
    png,
    same_length,
    short,
    show,
    style,
    vector,
)

__all__ = [
    "GREY",
    "PALETTE",
    "bars",
    "calibration",
    "histogram",
    "history",
    "learning_curve",
    "legend_outside",
    "parity",
    "plain_ticks",
    "png",
    "show",
    "style",
]


def legend_outside(
    ax: Axes, handles: Sequence[Artist] | None = None, names: Sequence[str] | None = None, **settings
) -> Legend:
    """A legend right of the axes, where no point can lie below it.

    ax: axes.
    handles: what is named; default, all that has a label.
    names: as many, as they are to be read; also those that begin with _, which matplotlib would leave out.
    settings: more of `matplotlib.axes.Axes.legend`, such as title.
    """
    if handles is not None:
        settings |= {"handles": handles, "labels": [as_written(name) for name in names]}
    return ax.legend(**{"loc": "upper left", "bbox_to_anchor": (1.01, 1), "borderaxespad": 0, **settings})


@style()
def parity(
    true: ArrayLike,
    predicted: ArrayLike,
    *,
    unit: str = "eV",
    label: str = "level",
    uncertainty: ArrayLike | None = None,
    groups: Sequence[str] | None = None,
    title: str | None = None,
    ax: Axes | None = None,
) -> Figure:
    """Predicted against true values, with the line where the two agree.

    true, predicted: [n], in `unit`.
    label: what the values are, for the axes.
    uncertainty: [n], half-widths of error bars, in `unit`.
    groups: [n], names; one colour and marker each, in the order of their categories or of their coming.
    title: default, the RMSE.
    ax: axes to draw in; default, a new figure.

    Raises ValueError when lengths differ or there is nothing to draw.
    """
    true, predicted = vector(true, "true"), vector(predicted, "predicted")
    same_length(predicted=predicted, true=true, uncertainty=uncertainty, groups=groups)
    ax = ax or Figure(figsize=(5.6 if groups is None else 7.6, 5.2)).subplots()
    names = np.full(len(true), "") if groups is None else np.asarray(groups).astype(str)
    kinds = list(dict.fromkeys(names))
    if isinstance(getattr(groups, "dtype", None), pd.CategoricalDtype):
        kinds = [str(kind) for kind in groups.dtype.categories if str(kind) in kinds]
    drawn = []
    for number, name in enumerate(kinds):
        mine = names == name
        drawn.append(
            ax.errorbar(
                true[mine],
                predicted[mine],
                fmt=MARKERS[number % 8],
                alpha=0.75,
                yerr=None if uncertainty is None else np.asarray(uncertainty, float)[mine],
                color=CYCLE[number % 8],
                ecolor=GREY,
                elinewidth=1,
                capsize=0,
                markeredgewidth=0,
            )
        )
    both = np.concatenate([true, predicted])
    pad = 0.06 * (np.ptp(both) or 1.0)
    ends = both.min() - pad, both.max() + pad
    ax.plot(ends, ends, color="black", linewidth=1, zorder=1)
    ax.set(
        xlim=ends,
        ylim=ends,
        xlabel=axis_label(f"true {label}", unit),
        ylabel=axis_label(f"predicted {label}", unit),
        aspect="equal",
    )
    rmse = np.sqrt(np.mean((predicted - true) ** 2))
    said = f"RMSE {short(rmse)} {unit} over {len(true)} samples".replace("  ", " ")
    ax.set_title(as_written(said if title is None else title))
    if groups is not None:
        legend_outside(ax, drawn, kinds, bbox_to_anchor=(1.02, 1))
    return ax.figure


@style()
def history(
    loss: ArrayLike,
    val_loss: ArrayLike | None = None,
    *,
    unit: str = "eV",
    label: str = "loss",
    baselines: Mapping[str, float] | None = None,
    epochs: int | None = None,
    title: str = "Training",
    ax: Axes | None = None,
) -> Figure:
    """Loss against epochs, with a logarithmic axis and the epoch of the lowest validation loss.

    loss: [n_epochs], positive, of the training set, in `unit`; the legend says its last value.
    val_loss: [n_epochs], of the validation set; default, none is drawn.
    label: what the loss is, for the axis.
    baselines: {name: loss in `unit`}, horizontal lines; default, none.
    epochs: how many there will be, for the room on the axis; default, as many as there are.
    title: above the axes.
    ax: axes to draw in; default, a new figure.
    """

    def named(name, value):
        return as_written(f"{name}: {value:.3g} {unit}".rstrip())

    loss = vector(loss, "loss", finite=False)
    ax = ax or Figure(figsize=(7.4, 4)).subplots()
    done = np.arange(1, len(loss) + 1)
    ax.plot(done, loss, label=named("training", loss[-1]), color=PALETTE["blue"])
    if val_loss is not None:
        val_loss = vector(val_loss, "val_loss", finite=False)
        same_length(val_loss=val_loss, loss=loss)
        look = {"color": PALETTE["vermillion"], "linestyle": "--"}
        ax.plot(done, val_loss, label=named("validation", val_loss[-1]), **look)
        if np.isfinite(val_loss).any():
            best = int(np.nanargmin(np.where(np.isfinite(val_loss), val_loss, np.nan)))
            look = {"color": "black", "markersize": 8, "fillstyle": "none", "markeredgewidth": 2}
            said = f"{named('lowest', val_loss[best])}, epoch {done[best]}"
            ax.plot(done[best], val_loss[best], "o", label=said, **look)
    for number, (name, value) in enumerate((baselines or {}).items()):
        look = {"color": GREY, "linewidth": 1.5, "linestyle": LINES[1:][number % 3]}
        ax.axhline(value, label=named(name, value), **look)
    ax.set_yscale("log")
    plain_ticks(ax.yaxis)
    ax.set(xlabel="epoch", ylabel=axis_label(label, unit), xlim=(0, max(len(loss), epochs or 0) + 1))
    ax.set_title(as_written(title))
    legend_outside(ax)
    return ax.figure


@style()
def learning_curve(
    table: pd.DataFrame | Mapping[str, pd.DataFrame] | ArrayLike,
    errors: ArrayLike | Mapping[str, ArrayLike] | None = None,
    *,
    sizes: str = "training samples",
    label: str = "RMSE",
    unit: str = "eV",
    baselines: Mapping[str, float] | None = None,
    title: str = "Learning curve",
    ax: Axes | None = None,
) -> Figure:
    """Error against training-set size: the mean over seeds, and a band from the lowest to the highest.

    table: of `evaluation.learning_curve`, one row a size and seed; or {name: such a table}, one curve each.
    errors: errors of another source, [n_sizes, n_seeds] or {name: such an array}; `table` is then [n_sizes].
    sizes: what the sizes count, for the axis.
    label: the column of errors, in `unit`, and their name; sizes where one is not finite are left out.
    baselines: {name: error in `unit`}, horizontal lines with their names beside them, where it is finite.
    title: above the axes.
    ax: axes to draw in; default, a new figure.

    Raises ValueError where a table lacks a column, or there is nothing to draw.
    """
    if errors is None:
        curves = table if isinstance(table, Mapping) else {"model": table}
    else:
        curves = errors if isinstance(errors, Mapping) else {"model": errors}
        curves = {name: _long(table, values, label) for name, values in curves.items()}
    ax = ax or Figure(figsize=(7.6, 4.4)).subplots()
    names, ticks = [], set()
    for number, (name, points) in enumerate(curves.items()):
        mean, low, high = _mean_and_band(points, label, name)
        colour = CYCLE[number % 8]
        ax.fill_between(mean.index, low, high, color=colour, alpha=0.2, linewidth=0)
        ax.plot(mean.index, mean, color=colour, marker=MARKERS[number % 8], linestyle=LINES[number % 4])
        names.append((name, mean.iloc[-1], colour))
        ticks.update(mean.index)
    known = {name: value for name, value in (baselines or {}).items() if np.isfinite(value)}
    for number, (name, value) in enumerate(known.items()):
        ax.axhline(value, color=GREY, linewidth=1.5, linestyle=LINES[1:][number % 3])
        names.append((f"{name}: {short(value)}", value, "#444444"))
    ax.set(xscale="log", yscale="log", xlabel=as_written(sizes), ylabel=axis_label(label, unit))
    ax.set_xticks(sorted(ticks), [f"{size:g}" for size in sorted(ticks)])
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.minorticks_off()
    plain_ticks(ax.yaxis)
    ax.set_title(as_written(title))
    _names_beside(ax, names)
    return ax.figure


def _long(sizes, errors, label):
    """A table, one row a size and seed, of sizes [n_sizes] and errors [n_sizes, n_seeds]."""
    sizes, errors = vector(sizes, "sizes"), np.asarray(errors, float)
    same_length(errors=errors, sizes=sizes)
    errors = errors.reshape(len(sizes), -1)
    return pd.DataFrame({"size": np.repeat(sizes, errors.shape[1]), label: errors.ravel()})


def _mean_and_band(table, label, name):
    """Mean, lowest and highest error for each size, three Series; without sizes where one is not finite."""
    if not isinstance(table, pd.DataFrame) or not {"size", label} <= set(table):
        raise ValueError(f"learning_curve: {name!r} must be a table with the columns 'size' and {label!r}")
    errors = table.assign(known=np.isfinite(table[label].to_numpy(float))).groupby("size")
    whole = errors.known.all()
    if not whole.any():
        raise ValueError(f"learning_curve: {name!r} has no size at which every {label} is a number")
    return [errors[label].agg(how)[whole] for how in ("mean", "min", "max")]


@style()
def calibration(
    table: pd.DataFrame | Mapping[str, pd.DataFrame],
    *,
    title: str = "Calibration",
    ax: Axes | None = None,
) -> Figure:
    """Share of true values found within their error bars against the share promised, and where the two agree.

    table: of `evaluation.coverage`, with columns promised and found; or {name: such a table}, one curve each.
    title: above the axes.
    ax: axes to draw in; default, a new figure.
    """
    ax = ax or Figure(figsize=(5.6, 4.4)).subplots()
    ax.plot([0, 1], [0, 1], color="black", linewidth=1)
    curves, drawn = table if isinstance(table, Mapping) else {"": table}, []
    for number, points in enumerate(curves.values()):
        look = {"marker": MARKERS[number % 8], "linestyle": LINES[number % 4]}
        drawn += ax.plot(points.promised, points.found, color=CYCLE[number % 8], **look)
    ax.set(
        xlabel="promised share within the error bar",
        ylabel="found share",
        xlim=(0, 1),
        ylim=(0, 1),
        aspect="equal",
    )
    ax.set_title(as_written(title))
    if isinstance(table, Mapping):
        ax.legend(drawn, [as_written(name) for name in curves], loc="lower right")
    return ax.figure


@style()
def bars(
    errors: Mapping[str, tuple[float, float]] | pd.DataFrame,
    *,
    unit: str = "eV",
    label: str = "RMSE",
    title: str | None = None,
    ax: Axes | None = None,
) -> Figure:
    """Horizontal bars with intervals, the first on top.

    errors: {name: (mean, half-width)} in `unit`, or a DataFrame with these two columns; where a mean is not
        finite there is no bar.
    label: what they are, for the axis.
    title: above the axes; default, none.
    ax: axes to draw in; default, a new figure.

    Raises ValueError where there is nothing to draw.
    """
    if isinstance(errors, pd.DataFrame):
        rows = [(row[0], *row[1:3]) for row in errors.itertuples()]
    else:
        rows = [(name, *pair) for name, pair in errors.items()]
    values = np.array([(mean, half) for _, mean, half in rows], float).reshape(-1, 2)
    means = np.where(np.isfinite(values[:, 0]), values[:, 0], np.nan)
    if not np.isfinite(means).any():
        raise ValueError("bars: there is nothing to draw")
    halves = np.where(np.isfinite(values).all(axis=1), values[:, 1], 0)
    ax = ax or Figure(figsize=(7.2, 1.3 + 0.5 * len(rows))).subplots()
    places = np.arange(len(rows))
    look = {"elinewidth": 2, "capsize": 4, "ecolor": "black"}
    ax.barh(places, means, xerr=halves, color=PALETTE["sky"], height=0.62, error_kw=look)
    ends = np.maximum(means, 0) + halves
    left, right = min(0, np.nanmin(means - halves)), np.nanmax(ends)
    span = (right - left) or 1.0
    for place, end, text in zip(places, ends, _amounts(means, values[:, 1]), strict=True):
        ax.text((end if np.isfinite(end) else 0) + 0.015 * span, place, text, va="center", fontsize=12)
    ax.set_yticks(places, [as_written(name) for name, *_ in rows])
    ax.set(xlabel=axis_label(label, unit), xlim=(left, right + 0.24 * span), ylim=(len(rows) - 0.5, -0.5))
    ax.grid(axis="y", visible=False)
    ax.set_title(as_written(title or ""))
    return ax.figure


def _amounts(means, halves):
    """Each mean ± half-width: two decimals, or as many as the largest and the narrowest interval need."""
    digits = max(2, 1 - int(np.floor(np.log10(np.nanmax(np.abs(means)) or 1))))
    digits += bool((halves[halves > 0] < 0.5 * 10.0**-digits).any())

    def number(value):
        fixed = f"{value:.{digits}f}"
        return f"{value:.1e}" if value and (digits > 6 or float(fixed) == 0) else fixed

    for mean, half in zip(means, halves, strict=True):
        text = number(mean) if np.isfinite(mean) else "no value"
        yield text + (f" ± {number(half)}" if half > 0 and np.isfinite(mean) else "")


@style()
def histogram(
    groups: Mapping[str, ArrayLike] | ArrayLike,
    *,
    unit: str = "eV",
    label: str = "level",
    bins: int | ArrayLike = 20,
    title: str | None = None,
    ax: Axes | None = None,
) -> Figure:
    """How often which value occurs; groups share their bins.

    groups: {name: values [n]} in `unit`, or one array.
    label: what the values are, for the axis.
    bins: how many, or their edges.
    title: above the axes; default, none.
    ax: axes to draw in; default, a new figure.

    Raises ValueError where a group is empty, or holds a value that is not finite.
    """
    groups = groups if isinstance(groups, Mapping) else {"": groups}
    groups = {name: vector(values, str(name) or "values") for name, values in groups.items()}
    if not groups:
        raise ValueError("histogram: there is nothing to draw")
    edges = np.histogram_bin_edges(np.concatenate(list(groups.values())), bins)
    ax = ax or Figure().subplots()
    drawn = []
    for number, values in enumerate(groups.values()):
        look = {"color": CYCLE[number % 8], "linestyle": LINES[number % 4], "linewidth": 2}
        ax.hist(values, edges, histtype="stepfilled", alpha=0.25, color=look["color"])
        drawn += ax.hist(values, edges, histtype="step", **look)[2]
    ax.set(xlabel=axis_label(label, unit), ylabel="count")
    ax.set_title(as_written(title or ""))
    if list(groups) != [""]:
        legend_outside(ax, drawn, [f"{name} ({len(values)})" for name, values in groups.items()])
    return ax.figure


def _names_beside(ax, names):
    """Write names at the right of their lines, moved apart where they would overlap."""
    to_axes = ax.transData + ax.transAxes.inverted()
    heights = [to_axes.transform((1, y))[1] for _, y, _ in names]
    wanted = sorted(((h, *n) for h, n in zip(heights, names, strict=True)), key=lambda n: n[0])
    gap, places = 0.075, []
    for fraction, *_ in wanted:
        places.append(max(fraction, places[-1] + gap) if places else max(fraction, 0))
    over = places[-1] - 1 if places else 0
    for k in range(len(places) - 1, -1, -1):  # pushed above the top: come down again
        limit = 1 if k == len(places) - 1 else places[k + 1] - gap
        places[k] = min(places[k], limit) if over > 0 else places[k]
    for place, (fraction, name, _, colour) in zip(places, wanted, strict=True):
        ax.annotate(
            as_written(name),
            (1, min(max(fraction, 0), 1)),
            (1.04, place),
            xycoords="axes fraction",
            textcoords="axes fraction",
            va="center",
            fontsize=12,
            color=colour,
            annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": colour, "linewidth": 0.8, "shrinkA": 0, "shrinkB": 0},
        )
