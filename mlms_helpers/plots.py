"""Figures of the course: one message each, axes with units, colours that the colour-blind can tell apart.

Every function returns a `matplotlib.figure.Figure`; `show` puts one into the notebook.  None of them
uses pyplot, so nothing is shown twice and no figure stays open.
"""

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from .rendering import (
    CYCLE,
    GREY,
    LINES,
    MARKERS,
    PALETTE,
    axis_label,
    plain_ticks,
    png,
    same_length,
    short,
    show,
    style,
    vector,
)

__all__ = ["GREY", "PALETTE", "bars", "histogram", "history", "learning_curve", "parity", "png", "show", "style"]


@style()
def parity(true, predicted, *, unit="eV", label="level", uncertainty=None, groups=None, title=None, ax=None):
    """Predicted against true values, with the line where the two agree.

    true, predicted: [n], in `unit`.   label: what the values are, for the axes.
    uncertainty: [n], half-widths of error bars, in `unit`.   groups: [n], names; one colour and marker each.
    title: default, the RMSE.   ax: axes to draw in; default, a new figure.

    Returns Figure.   Raises ValueError when lengths differ or there is nothing to draw.
    """
    true, predicted = vector(true, "true"), vector(predicted, "predicted")
    same_length(predicted=predicted, true=true, uncertainty=uncertainty, groups=groups)
    ax = ax or Figure(figsize=(5.6 if groups is None else 7.6, 5.2)).subplots()
    names = np.full(len(true), "") if groups is None else np.asarray(groups).astype(str)
    for number, name in enumerate(dict.fromkeys(names)):
        mine = names == name
        ax.errorbar(true[mine], predicted[mine], fmt=MARKERS[number % 8], label=name or None, alpha=0.75,
                    yerr=None if uncertainty is None else np.asarray(uncertainty, float)[mine],
                    color=CYCLE[number % 8], ecolor=GREY, elinewidth=1, capsize=0, markeredgewidth=0)
    both = np.concatenate([true, predicted])
    pad = 0.06 * (np.ptp(both) or 1.0)
    ends = both.min() - pad, both.max() + pad
    ax.plot(ends, ends, color="black", linewidth=1, zorder=1)
    ax.set(xlim=ends, ylim=ends, xlabel=axis_label(f"true {label}", unit), ylabel=axis_label(f"predicted {label}", unit),
           aspect="equal")
    rmse = np.sqrt(np.mean((predicted - true) ** 2))
    ax.set_title(title if title is not None else f"RMSE {short(rmse)} {unit} over {len(true)} samples".replace("  ", " "))
    if groups is not None:
        # outside: points may lie anywhere inside
        ax.legend(loc="upper left", bbox_to_anchor=(1.02, 1), borderaxespad=0)
    return ax.figure


@style()
def history(loss, val_loss=None, *, unit="eV", label="loss", title="Training", ax=None):
    """Loss against epochs, with a logarithmic axis and the epoch of the lowest validation loss.

    loss, val_loss: [n_epochs], positive, in `unit`.   Returns Figure.
    """
    loss = vector(loss, "loss", finite=False)
    ax = ax or Figure().subplots()
    epochs = np.arange(1, len(loss) + 1)
    ax.plot(epochs, loss, label="training", color=PALETTE["blue"])
    if val_loss is not None:
        val_loss = vector(val_loss, "val_loss", finite=False)
        same_length(val_loss=val_loss, loss=loss)
        ax.plot(epochs, val_loss, label="validation", color=PALETTE["vermillion"], linestyle="--")
        if np.isfinite(val_loss).any():
            best = int(np.nanargmin(np.where(np.isfinite(val_loss), val_loss, np.nan)))
            ax.plot(epochs[best], val_loss[best], "o", color="black", markersize=8, fillstyle="none", markeredgewidth=2,
                    label=f"lowest: {short(val_loss[best])} {unit}, epoch {epochs[best]}".replace(" ,", ","))
    ax.set_yscale("log")
    plain_ticks(ax.yaxis)
    ax.set(xlabel="epoch", ylabel=axis_label(label, unit), xlim=(0, len(loss) + 1))
    ax.set_title(title)
    ax.legend(loc="best")
    return ax.figure


@style()
def learning_curve(sizes, errors, *, unit="eV", label="RMSE", baselines=None, title="Learning curve", ax=None):
    """Error against training-set size: the mean over seeds, and a band from the lowest to the highest.

    sizes: [n_sizes].   errors: [n_sizes, n_seeds], in `unit`, or a dict of such arrays, one curve each.
    baselines: {name: error in `unit`}, horizontal lines with their names beside them.   Returns Figure.
    """
    sizes = vector(sizes, "sizes")
    curves = errors if isinstance(errors, Mapping) else {"model": errors}
    ax = ax or Figure(figsize=(7.6, 4.4)).subplots()
    names = []
    for number, (name, values) in enumerate(curves.items()):
        values = np.asarray(values, float).reshape(len(values), -1)
        same_length(errors=values, sizes=sizes)
        mean, colour = values.mean(axis=1), CYCLE[number % 8]
        ax.fill_between(sizes, values.min(axis=1), values.max(axis=1), color=colour, alpha=0.2, linewidth=0)
        ax.plot(sizes, mean, color=colour, marker=MARKERS[number % 8], linestyle=LINES[number % 4])
        names.append((name, mean[-1], colour))
    for number, (name, value) in enumerate((baselines or {}).items()):
        ax.axhline(value, color=GREY, linewidth=1.5, linestyle=LINES[1:][number % 3])
        names.append((f"{name}: {short(value)}", value, "#444444"))
    ax.set(xscale="log", yscale="log", xlabel="training samples", ylabel=axis_label(label, unit))
    ax.set_xticks(sizes, [f"{s:g}" for s in sizes])
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.minorticks_off()
    plain_ticks(ax.yaxis)
    ax.set_title(title)
    _names_beside(ax, names)
    return ax.figure


@style()
def bars(errors, *, unit="eV", label="RMSE", title=None, ax=None):
    """Horizontal bars with intervals, the first on top.

    errors: {name: (mean, half-width)} in `unit`, or a DataFrame with these two columns.   Returns Figure.
    """
    if hasattr(errors, "itertuples"):
        errors = {str(row[0]): row[1:3] for row in errors.itertuples()}
    if not errors:
        raise ValueError("bars: there is nothing to draw")
    means, halves = np.array([[float(m), float(h)] for m, h in errors.values()]).T
    ax = ax or Figure(figsize=(7.2, 1.3 + 0.5 * len(errors))).subplots()
    rows = np.arange(len(errors))
    ax.barh(rows, means, xerr=np.nan_to_num(halves), color=PALETTE["sky"], height=0.62,
            error_kw={"elinewidth": 2, "capsize": 4, "ecolor": "black"})
    ends = np.maximum(means, 0) + np.nan_to_num(halves)
    left, right = min(0, np.nanmin(means - np.nan_to_num(halves))), np.nanmax(ends)
    span = (right - left) or 1.0
    # two decimals, or as many as the largest mean and the smallest interval need
    digits = max(2, 1 - int(np.floor(np.log10(np.nanmax(np.abs(means)) or 1))))
    digits += bool((halves[halves > 0] < 0.5 * 10.0 ** -digits).any())
    for row, end, mean, half in zip(rows, ends, means, halves, strict=True):
        text = f"{mean:.{digits}f}" + (f" ± {half:.{digits}f}" if half > 0 else "")
        ax.text(end + 0.015 * span, row, text, va="center", fontsize=12)
    ax.set_yticks(rows, list(errors))
    ax.set(xlabel=axis_label(label, unit), xlim=(left, right + 0.24 * span), ylim=(len(errors) - 0.5, -0.5))
    ax.grid(axis="y", visible=False)
    ax.set_title(title or "")
    return ax.figure


@style()
def histogram(groups, *, unit="eV", label="level", bins=20, title=None, ax=None):
    """How often which value occurs; groups share their bins.

    groups: {name: values [n]} in `unit`, or one array.   bins: a number, or edges.   Returns Figure.
    """
    groups = groups if isinstance(groups, Mapping) else {"": groups}
    groups = {name: vector(values, str(name) or "values") for name, values in groups.items()}
    if not groups:
        raise ValueError("histogram: there is nothing to draw")
    edges = np.histogram_bin_edges(np.concatenate(list(groups.values())), bins)
    ax = ax or Figure().subplots()
    for number, (name, values) in enumerate(groups.items()):
        colour = CYCLE[number % 8]
        ax.hist(values, edges, histtype="stepfilled", alpha=0.25, color=colour)
        ax.hist(values, edges, histtype="step", color=colour, linestyle=LINES[number % 4], linewidth=2,
                label=f"{name} ({len(values)})" if name != "" else None)
    ax.set(xlabel=axis_label(label, unit), ylabel="count")
    ax.set_title(title or "")
    if len(groups) > 1 or "" not in groups:
        ax.legend(loc="upper left", bbox_to_anchor=(1.01, 1), borderaxespad=0)
    return ax.figure


def _names_beside(ax, names):
    """Write names at the right of their lines, moved apart where they would overlap."""
    to_axes = ax.transData + ax.transAxes.inverted()
    wanted = sorted(((to_axes.transform((1, y))[1], name, y, colour) for name, y, colour in names), key=lambda n: n[0])
    gap, places = 0.075, []
    for fraction, *_ in wanted:
        places.append(max(fraction, places[-1] + gap) if places else max(fraction, 0))
    over = places[-1] - 1 if places else 0
    for k in range(len(places) - 1, -1, -1):        # pushed above the top: come down again
        limit = 1 if k == len(places) - 1 else places[k + 1] - gap
        places[k] = min(places[k], limit) if over > 0 else places[k]
    for place, (fraction, name, _, colour) in zip(places, wanted, strict=True):
        ax.annotate(name, (1, min(max(fraction, 0), 1)), (1.04, place), xycoords="axes fraction", textcoords="axes fraction",
                    va="center", fontsize=12, color=colour, annotation_clip=False,
                    arrowprops={"arrowstyle": "-", "color": colour, "linewidth": 0.8, "shrinkA": 0, "shrinkB": 0})
