"""Maps: many numbers a site drawn as one point a site, and a picture of it that leads back to the structures.

`pca` and `umap` make the coordinates, `trustworthiness` and `neighbours_kept` say how far to believe them,
`draw` colours them by a column, and `explorer` links each point with its atom in 3-D.
"""

import warnings

import anywidget
import ipywidgets
import numpy as np
import pandas as pd
import traitlets
from matplotlib.figure import Figure
from sklearn.neighbors import NearestNeighbors

from . import rendering, views
from .widgets import in_main_thread, tell

_MARKERS = "osD^vP*X"


def pca(x, n=2):
    """Principal components: the directions in which the points are spread most, by singular value decomposition.

    x: [n_points, n_features]; only its mean is taken off, so standardise it first where the columns have different units.
    n: components to keep.

    Returns scores [n_points, n] (the coordinates), components [n, n_features] (unit vectors), share [n] of the whole variance.
    The sign of a component is free; here the largest number in each is positive, so that every machine draws the same map.
    Raises ValueError for values that are not finite, fewer than two points, or n beyond what there is.
    K. Pearson, Philos. Mag. 2, 559 (1901).
    """
    x = _points(x)
    if not 1 <= n <= min(x.shape):
        raise ValueError(f"{n} components cannot be had from {x.shape[0]} points with {x.shape[1]} features")
    centred = x - x.mean(axis=0)
    _, spread, components = np.linalg.svd(centred, full_matrices=False)
    if spread[0] <= 1e-12 * np.abs(x).max() * np.sqrt(x.size):
        raise ValueError("all points lie at one place: there is no direction to find")
    components = components[:n]
    largest = np.abs(components).argmax(axis=1)
    components = components * np.sign(components[np.arange(n), largest])[:, None]
    return centred @ components.T, components, spread[:n] ** 2 / (spread**2).sum()


def umap(x, neighbours=15, min_distance=0.1, seed=0, start="pca"):
    """Uniform manifold approximation: a map in the plane that tries to keep each point's neighbours.

    x: [n_points, n_features], standardised.   neighbours: how many count as near; few show crumbs, many the whole.
    min_distance: how close points may lie on the map.   seed: of the random steps.
    start: "pca", the first two principal components, or "random" places.

    Returns float64 [n_points, 2].  Axes, sizes of clumps and distances between them have no unit and little meaning.  The same
    arguments give the same map on one machine; other processors may draw another one.  Importing the package takes about 1 s
    (longer the first time), the first call in a kernel about 5 to 10 s of compiling, then 1,000 points 2 s.
    Raises ValueError for values that are not finite, or not 2 <= neighbours < n_points.
    L. McInnes, J. Healy and J. Melville, arXiv:1802.03426 (2018); on the start, D. Kobak and G. C. Linderman, Nat. Biotechnol.
    39, 156 (2021).
    """
    x = _points(x)
    if not 2 <= neighbours < len(x):
        raise ValueError(f"neighbours must be from 2 to {len(x) - 1} for {len(x)} points, not {neighbours}")
    if start not in ("pca", "random"):
        raise ValueError(f"start must be 'pca' or 'random', not {start!r}")
    places = pca(x)[0] if start == "pca" else np.random.default_rng(seed).uniform(size=(len(x), 2))
    # Neighbours are found exactly, and not by UMAP's own approximate search, which compiles for long and draws lots.
    distance, index = NearestNeighbors(n_neighbors=neighbours).fit(x).kneighbors(x)
    with warnings.catch_warnings():                 # that TensorFlow is missing, that new points cannot be added
        warnings.simplefilter("ignore")
        from umap import UMAP                       # slow to import: only when asked for
        model = UMAP(n_neighbors=neighbours, min_dist=min_distance, init=places, random_state=seed, n_jobs=1,
                     precomputed_knn=(index, distance), force_approximation_algorithm=True)
        return model.fit_transform(x).astype(float)


def trustworthiness(x, xy, neighbours=15):
    """Are the neighbours on the map true ones?  1: all are; about 0.5: a random map.

    x: [n_points, n_features].   xy: [n_points, 2], a map of them.   neighbours: how many to look at.
    Points that are neighbours on the map only are punished by how far down the true list they stand.
    Raises ValueError where lengths differ or neighbours >= n_points / 2.
    J. Venna and S. Kaski, ICANN 2001, Lect. Notes Comput. Sci. 2130, 485.
    """
    from sklearn.manifold import trustworthiness as score
    x, xy = _pair(x, xy, neighbours)
    if not neighbours < len(x) / 2:
        raise ValueError(f"trustworthiness needs neighbours below half of the {len(x)} points, not {neighbours}")
    return float(score(x, xy, n_neighbors=neighbours))


def neighbours_kept(x, xy, neighbours=15):
    """Share of each point's nearest neighbours that are among its nearest on the map, too: 1, all; neighbours / n_points, chance.

    Arguments as for `trustworthiness`; xy may have any number of columns.
    """
    x, xy = _pair(x, xy, neighbours)
    near, drawn = (NearestNeighbors(n_neighbors=neighbours).fit(a).kneighbors(return_distance=False) for a in (x, xy))
    return float((near[:, :, None] == drawn[:, None, :]).any(axis=2).mean())


@rendering.style()
def draw(xy, values, *, label="value", unit="", axes=("first axis", "second axis"), title=None, ax=None):
    """Points of a map, coloured by a number (with a colour bar) or by a word (with a legend).

    xy: [n_points, 2].   values: [n_points]; numbers (NaN: grey) or words.   label, unit: what they are.
    axes: what the two axes are.   title: default, what the colours show.   ax: axes to draw in; default, a new figure.

    Beyond eight kinds of words the markers change too, and there is no legend.
    Returns Figure.   Raises ValueError where lengths differ, or there is nothing to draw.
    """
    xy, values = _points(xy, columns=2), pd.Series(np.asarray(values))
    if len(values) != len(xy):
        raise ValueError(f"there are {len(values)} values for {len(xy)} points")
    ax = ax or Figure(figsize=(6.0, 4.8)).subplots()
    size = np.clip(9000 / len(xy), 9, 40)
    if pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values):
        known = values.notna().to_numpy()
        if not known.any():
            raise ValueError(f"{label} holds no number to colour by")
        ax.scatter(*xy[~known].T, s=size, color="#cfcfcf", linewidths=0)
        points = ax.scatter(*xy[known].T, s=size, c=values[known], cmap="viridis", linewidths=0)
        bar = ax.figure.colorbar(points, ax=ax, label=f"{label} ({unit})" if unit else label)
        if values.nunique() <= 8:
            bar.set_ticks(np.unique(values[known]))
    else:
        kinds = sorted(values.astype(str).unique())
        colours = list(rendering.PALETTE.values())
        for number, kind in enumerate(kinds):
            mine = (values.astype(str) == kind).to_numpy()
            ax.scatter(*xy[mine].T, s=size, color=colours[number % 8], marker=_MARKERS[number // 8 % 8], linewidths=0, alpha=0.8,
                       label=f"{kind} ({mine.sum()})")
        if len(kinds) <= 8:
            ax.legend(loc="upper left", bbox_to_anchor=(1.01, 1), borderaxespad=0, markerscale=np.sqrt(40 / size), title=label)
    ax.set(xlabel=axes[0], ylabel=axes[1])
    ax.set_title(title if title is not None else f"Coloured by {label}")
    return ax.figure


def explorer(xy, table, structures, *, columns=None, units=None, axes=("first axis", "second axis")):
    """A map beside a 3-D view: a picked point shows its atom, a picked atom marks its point.

    xy: [n_points, 2].   table: DataFrame, one row a point, with columns `structure` and `atom` (0-based).
    structures: list of `ase.Atoms`.   columns: names of the columns to colour by, the first at first; default, all others.
    units: {column: unit}.   axes: what the two axes of the map are.

    Returns Explorer, a widget; `.selected = 7` picks point 7.
    Raises ValueError where lengths differ, or a row names an atom that is not there.
    """
    return Explorer(xy, table, structures, columns, units, axes)


# The picture is drawn by matplotlib, as all figures here; the browser adds what moves: a ring around the point under the
# pointer, another around the one picked.  Arrow keys step to the nearest point in their direction, Enter picks it.
_BROWSER = """
function render({ model, el }) {
    el.innerHTML = `<div class="mlms-map" tabindex="0" role="application" style="position:relative;max-width:100%">
        <img draggable="false" style="display:block;width:100%">
        <svg style="position:absolute;inset:0;width:100%;height:100%;pointer-events:none" fill="none">
            <circle class="picked" r="9" stroke="#D55E00" stroke-width="3"/>
            <circle class="near" r="7" stroke="black" stroke-width="1.5"/></svg>
        <div class="name" role="status" style="position:absolute;left:0;top:0;padding:1px 6px;background:white;color:black;
            border:1px solid #666;font-size:13px;pointer-events:none;white-space:nowrap;display:none"></div></div>`;
    const box = el.querySelector('.mlms-map'), image = el.querySelector('img'), name = el.querySelector('.name');
    box.dataset.lmSuppressShortcuts = 'true';          // arrow keys and Enter are ours, not JupyterLab's
    let near = null, address = null;

    function place(circle, i) {
        const point = i === null || i === undefined ? null : model.get('points')[i];
        circle.style.display = point ? '' : 'none';
        if (point) { circle.setAttribute('cx', point[0]); circle.setAttribute('cy', point[1]); }
    }
    function point_at(i) {                              // the ring and the name of the point one might pick
        near = i;
        place(el.querySelector('.near'), i);
        name.style.display = i === null ? 'none' : '';
        if (i === null) return;
        name.textContent = model.get('names')[i];
        const [x, y] = model.get('points')[i], scale = image.clientWidth / model.get('width');
        name.style.left = Math.max(0, Math.min(x * scale + 12, box.clientWidth - name.offsetWidth)) + 'px';
        name.style.top = Math.max(0, y * scale - 34) + 'px';
    }
    function nearest(x, y, cost) {
        let best = null, least = Infinity;
        model.get('points').forEach(([px, py], i) => {
            const far = cost(px - x, py - y);
            if (far < least) { least = far; best = i; }
        });
        return best;
    }
    function under(event) {
        const frame = image.getBoundingClientRect(), scale = model.get('width') / frame.width;
        return nearest((event.clientX - frame.left) * scale, (event.clientY - frame.top) * scale,
                       (dx, dy) => dx * dx + dy * dy < 200 ? dx * dx + dy * dy : Infinity);
    }
    function pick(i) {
        if (i === null) return;
        model.set('selected', i);
        model.save_changes();
    }
    box.addEventListener('pointermove', event => point_at(under(event)));
    box.addEventListener('pointerleave', () => point_at(null));
    box.addEventListener('click', event => pick(under(event)));
    box.addEventListener('keydown', event => {
        const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
        if (way) {
            const from = near ?? model.get('selected');
            const [x, y] = from === null ? [model.get('width') / 2, model.get('height') / 2] : model.get('points')[from];
            const next = nearest(x, y, (dx, dy) => {
                const along = dx * way[0] + dy * way[1], across = Math.abs(dx * way[1]) + Math.abs(dy * way[0]);
                return along > 0.5 && across <= along ? along + 2 * across : Infinity;
            });
            point_at(next ?? from);
        } else if (event.key === 'Enter' || event.key === ' ') pick(near);
        else return;
        event.preventDefault();
        event.stopPropagation();
    });
    function show() {
        const before = address;
        address = URL.createObjectURL(new Blob([model.get('png')], { type: 'image/png' }));
        image.src = address;
        if (before) URL.revokeObjectURL(before);
        box.style.width = model.get('width') + 'px';
        el.querySelector('svg').setAttribute('viewBox', `0 0 ${model.get('width')} ${model.get('height')}`);
        image.alt = model.get('alt');
        box.setAttribute('aria-label', model.get('alt') + ' Arrow keys step from point to point, Enter picks.');
        point_at(null);
        mark();
    }
    function mark() { place(el.querySelector('.picked'), model.get('selected')); }
    model.on('change:png', show);
    model.on('change:selected', mark);
    show();
    return () => {
        model.off('change:png', show);
        model.off('change:selected', mark);
        URL.revokeObjectURL(address);
    };
}
export default { render };
"""


class Picture(anywidget.AnyWidget):
    """A picture whose points can be picked: by a click, or with arrow keys and Enter.

    png: its bytes.   width, height: CSS pixels.   points: [n][2], CSS pixels from the upper left corner.
    names: [n], what the pointer shows.   alt: the picture in words.   selected: number of the picked point, or None.
    """

    _esm = _BROWSER
    png = traitlets.Bytes().tag(sync=True)
    width = traitlets.Int().tag(sync=True)
    height = traitlets.Int().tag(sync=True)
    points = traitlets.List().tag(sync=True)
    names = traitlets.List().tag(sync=True)
    alt = traitlets.Unicode().tag(sync=True)
    selected = traitlets.Int(None, allow_none=True).tag(sync=True)


class Explorer(ipywidgets.VBox):
    """A map beside a 3-D view.

    selected: number of the picked point, from 0, or None.   atoms: the structure shown.   view: `views.StructureView` of it.
    colour: the menu of columns.   number: a field for the number of a point.   picture: the map.   status: a line about
    the point.
    """

    selected = traitlets.Int(None, allow_none=True)

    def __init__(self, xy, table, structures, columns, units, axes):
        self._xy, self._table, self._structures = _points(xy, columns=2), table.reset_index(drop=True), structures
        self._units, self._axes = units or {}, axes
        columns = [c for c in table.columns if c not in ("structure", "atom")] if columns is None else list(columns)
        self._check(columns)
        self.colour = ipywidgets.Dropdown(options=columns, description="Colour by", style={"description_width": "initial"})
        self.number = ipywidgets.Text(description="Point number", placeholder=f"0 to {len(table) - 1}", continuous_update=False,
                                      style={"description_width": "initial"}, layout={"width": "210px"})
        self.colour.tooltip, self.number.tooltip = "column of the table that colours the points", "pick a point by its number"
        self.picture = Picture()
        self.status = ipywidgets.HTML(layout={"min_height": "28px"})
        first = self._table.iloc[0]
        self._number = first.structure
        self.view = views.structure(structures[first.structure], highlight=[first.atom], size=(430, 400)).on_pick(self._picked_atom)
        self.view.layout.width = "440px"            # beside the map, where the window is wide enough
        self._paint()
        self.colour.observe(lambda _: in_main_thread(self._paint), "value")
        self.number.observe(self._typed, "value")
        self.picture.observe(lambda _: in_main_thread(lambda: self._take(self.picture.selected)), "selected")
        row = {"flex_flow": "row wrap", "align_items": "flex-start"}
        super().__init__([ipywidgets.Box([self.colour, self.number], layout=row),
                          ipywidgets.Box([self.picture, self.view], layout=row), self.status])

    @property
    def atoms(self):
        """The structure in the 3-D view."""
        return self.view.atoms

    @traitlets.validate("selected")
    def _known(self, proposal):
        if proposal.value is not None and not 0 <= proposal.value < len(self._table):
            raise ValueError(f"there is no point {proposal.value}: this map has points 0 to {len(self._table) - 1}")
        return proposal.value

    @traitlets.observe("selected")
    def _show(self, change):
        """The picked point: ring, structure, halo, words."""
        self.picture.selected = change.new
        if change.new is None:
            tell(self.status, "")
            return
        row = self._table.iloc[change.new]
        self._number = row.structure
        self.view.show(self._structures[row.structure], highlight=[row.atom])
        self.view.pick(int(row.atom))
        words = ", ".join(f"{c} {self._word(c, row[c])}" for c in self.colour.options)
        tell(self.status, f"Point {change.new}: {words}")

    def _take(self, number):
        self.selected = number

    def _picked_atom(self, index):
        """What follows a pick in the 3-D view: text for the line below it."""
        found = np.flatnonzero((self._table.structure == self._number) & (self._table.atom == index))
        if not len(found):
            return "It is not on the map"
        if self.selected not in found:
            self.selected = int(found[0])
        return f"Point {self.selected} of the map"

    def _typed(self, change):
        text = change.new.strip()
        if text.isdecimal() and int(text) < len(self._table):
            in_main_thread(self._take, int(text))
        elif text:
            tell(self.status, f"Type the number of a point, 0 to {len(self._table) - 1}.")

    def _paint(self):
        """Draw the map in the colours of the chosen column."""
        column = self.colour.value
        unit = self._units.get(column, "")
        figure = draw(self._xy, self._table[column], label=column, unit=unit, axes=self._axes)
        png = rendering.png(figure)
        width, height = rendering.size(png)
        pixels = figure.axes[0].transData.transform(self._xy) * 100 / figure.dpi
        with self.picture.hold_sync():
            self.picture.width, self.picture.height = width, height
            self.picture.points = np.column_stack([pixels[:, 0], height - pixels[:, 1]]).round(1).tolist()
            self.picture.names = [f"{i}: {column} {self._word(column, value)}" for i, value in enumerate(self._table[column])]
            self.picture.alt = (f"Map of {len(self._xy)} points, {self._axes[1]} against {self._axes[0]}, coloured by {column}"
                                f"{f' ({unit})' if unit else ''}.")
            self.picture.png = png

    def _word(self, column, value):
        if pd.isna(value):
            return "no value"
        value = f"{value:.4g}" if isinstance(value, (float, np.floating)) else str(value)
        return f"{value} {self._units.get(column, '')}".strip()

    def _check(self, columns):
        if len(self._table) != len(self._xy):
            raise ValueError(f"the table has {len(self._table)} rows for {len(self._xy)} points")
        missing = [c for c in ("structure", "atom", *columns) if c not in self._table]
        if missing:
            raise ValueError(f"the table has no column {missing[0]!r}; it has {', '.join(map(str, self._table.columns))}")
        if not columns:
            raise ValueError("there is no column to colour by")
        if not all(pd.api.types.is_integer_dtype(self._table[c]) for c in ("structure", "atom")):
            raise ValueError("the columns structure and atom must hold whole numbers")
        for number, atom in zip(self._table.structure, self._table.atom):
            if not (0 <= number < len(self._structures) and 0 <= atom < len(self._structures[number])):
                raise ValueError(f"a row names atom {atom} of structure {number}, which is not there")

    def __repr__(self):
        return f"map of {len(self._xy)} points beside a structure view"

    def _repr_mimebundle_(self, **kwargs):
        """The widget, and for a page without a kernel the picture of the map."""
        picture, metadata = rendering.bundle(self.picture.png, self.picture.alt)
        return {**picture, **super()._repr_mimebundle_(**kwargs)}, metadata


def _points(x, columns=None):
    x = np.asarray(x, float)
    if x.ndim != 2 or len(x) < 2 or (columns and x.shape[1] != columns):
        wide = f", with {columns} columns" if columns else ""
        raise ValueError(f"points must come as rows of a table, at least two{wide}, not with shape {x.shape}")
    if not np.isfinite(x).all():
        raise ValueError(f"point {np.flatnonzero(~np.isfinite(x).all(axis=1))[0]} holds a value that is not a number")
    return x


def _pair(x, xy, neighbours):
    x, xy = _points(x), _points(xy)
    if len(x) != len(xy):
        raise ValueError(f"the map has {len(xy)} points, and the data have {len(x)}")
    if not 1 <= neighbours < len(x):
        raise ValueError(f"neighbours must be from 1 to {len(x) - 1} for {len(x)} points, not {neighbours}")
    return x, xy
