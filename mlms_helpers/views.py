"""Look into a structure: in 3-D with nglview, and as a picture where 3-D cannot be shown."""

import contextlib
import html
import io
import json
import operator
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import ase.data
import ase.io
import ipywidgets
import matplotlib
import numpy as np
import traitlets
from ase import Atoms
from ase.data.colors import jmol_colors
from matplotlib.collections import LineCollection
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import ArrayLike
from scipy.spatial.transform import Rotation

from . import rendering
from .rendering import BLANK, as_written, axis_label
from .widgets import in_main_thread, tell

# The elements of the course in colours that the colour-blind can tell apart; all others as Jmol has them.
COLOURS = {
    "Li": "#CC79A7",
    "O": "#D55E00",
    "N": "#0072B2",
    "P": "#E69F00",
    "H": "#DDDDDD",
    "C": "#555555",
    "S": "#F0E442",
    "Si": "#56B4E9",
}
HIGHLIGHT = "#009E73"
_COLOUR_MAP = "viridis"
# Drawn as balls without sticks: their bonds are ionic, and sticks to them would hide all others.
_IONS = {"Li", "Na", "K", "Rb", "Cs", "Mg", "Ca", "Sr", "Ba"}
# How the 3-D view looks at a structure: z upwards, x to the right, from 25 degrees aside and 18 above; angle
# of vision, 30 degrees.
_ASIDE, _ABOVE, _VISION = np.deg2rad([25, 18, 30])
_BROWSER = Path(__file__).parent / "browser"
_STYLE = f"<style>{(_BROWSER / 'view.css').read_text('utf-8')}</style>"
_HINT = "Drag to turn; click an atom to pick it; after a click the wheel zooms; Shift and drag zooms too."
_NO_WEBGL = (
    "Here is a picture, because this browser does not show 3-D: WebGL is switched off or missing. "
    "Look for “hardware acceleration” in the browser's settings, or open the notebook in another browser."
)


def structure(
    atoms: Atoms,
    *,
    highlight: ArrayLike | None = None,
    colours: ArrayLike | None = None,
    label: str = "value",
    unit: str = "",
    limits: tuple[float, float] | None = None,
    size: tuple[int, int] = (700, 420),
) -> "StructureView":
    """A crystal or molecule in 3-D: drag to turn it, click an atom to pick it.

    atoms: its cell is drawn where it has one.
    highlight: atoms to mark with a halo: their indices, or [n_atoms] True and False.
    colours: [n_atoms], a number for each atom, shown as a colour from viridis (not finite: grey, for atoms
        that have none); default, colours by element.
    label: what these numbers are.
    unit: their unit.
    limits: the numbers at both ends of the colours, for views to be compared; default, the least and the
        greatest of `colours`.
    size: width and height, CSS pixels.

    Sticks are drawn for up to 500 atoms, and not to ions such as Li.

    Returns StructureView, a widget: `.picked` is the index of the atom picked last, from 0, or None;
    `.on_pick(callback)` has `callback(index)` called for each pick.
    Raises ValueError where there are no atoms, positions are not finite or far away, or lengths differ.
    """
    return StructureView(atoms, highlight, colours, label, unit, limits, size)


def beside(views: Sequence["StructureView"], titles: Sequence[str]) -> "Beside":
    """Some structures side by side in one output.

    views: of `structure`, small enough to stand in a row: two of 340 CSS pixels.
    titles: one above each.

    Returns a widget; `.views` are the views.
    Raises ValueError where there is not one title a view, or no view.
    """
    return Beside(views, titles)


@rendering.style()
def static(
    atoms: Atoms,
    *,
    highlight: ArrayLike | None = None,
    colours: ArrayLike | None = None,
    label: str = "value",
    unit: str = "",
    limits: tuple[float, float] | None = None,
    title: str | None = None,
) -> Figure:
    """A structure from the front and from above, as a figure with a legend; axes in Å.

    Arguments as for `structure`.
    title: default, formula and number of atoms.
    """
    highlight, colours = _checked(atoms, highlight, colours)
    corners = _edges(atoms)
    extent = np.ptp(np.concatenate([atoms.positions, corners.reshape(-1, 3)]), axis=0) + 2.4
    fig = Figure(
        figsize=(7.6, np.clip(1.5 + 2.4 * extent[1:].max() / extent[0], 2.6, 5.5)), layout="compressed"
    )
    axes = fig.subplots(1, 2)
    shades = _shades(colours, limits) if colours is not None else _element_colours(atoms)
    radii = np.where(atoms.numbers == 1, 0.3, 0.45)
    for ax, (x, y, towards), name in zip(
        axes, [(0, 2, -1), (0, 1, 2)], ["from the front", "from above"], strict=True
    ):
        depth = atoms.positions[:, 1] * -1 if towards == -1 else atoms.positions[:, 2]
        order = np.argsort(
            depth
        )  # the nearest is drawn last; in front of all, those that alone have a number
        if colours is not None and np.isnan(colours).any():
            order = sorted(order, key=lambda i: np.isfinite(colours[i]))
        if len(corners):
            ax.add_collection(
                LineCollection(corners[:, :, [x, y]], colors=rendering.GREY, linewidths=1, zorder=0)
            )
        near = atoms.positions[:, [x, y]]
        everything = np.concatenate([near, corners[:, :, [x, y]].reshape(-1, 2)])
        low, high = everything.min(axis=0) - 1.2, everything.max(axis=0) + 1.2
        ax.set(
            xlim=(low[0], high[0]),
            ylim=(low[1], high[1]),
            aspect="equal",
            xlabel=f"{'xyz'[x]} (Å)",
            ylabel=f"{'xyz'[y]} (Å)",
        )
        ax.set_title(name, fontsize=12)
        ax.grid(visible=False)
        for i in order:
            marked = i in highlight
            ax.add_patch(
                matplotlib.patches.Circle(
                    near[i],
                    radii[i],
                    facecolor=shades[i],
                    zorder=2,
                    edgecolor=HIGHLIGHT if marked else "black",
                    linewidth=3 if marked else 0.6,
                )
            )
    if colours is None:
        handles = [_dot(colour, f"{symbol} ({count})") for symbol, count, colour in _elements(atoms)]
        if len(highlight):
            handles.append(_dot("white", "marked", HIGHLIGHT))
        fig.legend(handles=handles, loc="outside right center", frameon=False)
    else:
        scale = matplotlib.cm.ScalarMappable(
            matplotlib.colors.Normalize(*_range(colours, limits)), _COLOUR_MAP
        )
        fig.colorbar(
            scale, ax=list(axes), label=axis_label(label, unit), location="bottom", shrink=0.5, aspect=30
        )
    fig.suptitle(as_written(title or _name(atoms)), fontsize=13)
    return fig


class StructureView(ipywidgets.VBox):
    """A structure in 3-D; `structure` makes one, and says what its arguments are.

    picked: index of the atom picked last, from 0, or None.
    atoms: the structure.
    three_d: the nglview widget, or None where nglview cannot be used.
    status: the line below the view.
    number: a field for the number of an atom, for those who cannot click; it shows once `on_pick` is used.
    """

    picked = traitlets.Int(None, allow_none=True)

    def __init__(
        self,
        atoms: Atoms,
        highlight: ArrayLike | None = None,
        colours: ArrayLike | None = None,
        label: str = "value",
        unit: str = "",
        limits: tuple[float, float] | None = None,
        size: tuple[int, int] = (700, 420),
    ) -> None:
        highlight, colours = _checked(atoms, highlight, colours)
        self._callbacks = []
        self._legend, self._hidden = ipywidgets.HTML(), ipywidgets.HTML()
        self._image = ipywidgets.Image(format="png")
        self.status = ipywidgets.HTML(layout={"min_height": "28px"})
        self.number = ipywidgets.Text(
            description="Atom number",
            tooltip="pick an atom by its number",
            continuous_update=False,
            style={"description_width": "initial"},
            layout={"width": "200px", "display": "none"},
        )
        self.number.observe(self._typed, "value")
        self._write(atoms, highlight, colours, label, unit, limits)
        scene, reason = [], _NO_WEBGL
        try:
            self._scene = _Scene(size)
        except ImportError as error:
            self._scene, self.three_d = None, None
            reason = (
                "Here is a picture, because 3-D views need the package nglview, "
                f"and it cannot be imported: {error}."
            )
        else:
            self._scene.fill(atoms, highlight, colours, limits)
            self.three_d = self._scene.widget
            self.three_d.observe(self._clicked, "picked")
            hint = ipywidgets.HTML(f'<span style="opacity:0.75">{_HINT}</span>')
            scene = [ipywidgets.VBox([self.three_d, self._legend, hint])]
            scene[0].add_class("mlms-3d")
        picture = ipywidgets.VBox([ipywidgets.HTML(f"<p>{html.escape(reason)}</p>"), self._image])
        picture.add_class("mlms-static")
        super().__init__([*scene, picture, self.number, self.status, self._hidden])
        self.add_class("mlms-view")

    def show(self, atoms: Atoms, *, highlight: ArrayLike | None = None) -> None:
        """Put another structure into this view, by element, or mark other atoms of the one that it shows.

        Arguments as for `structure`.   Of the structure already shown, the reader's angle of view stays.
        """
        highlight, _ = _checked(atoms, highlight, None)
        again = atoms is self.atoms
        self._write(atoms, highlight, None, "", "", None)
        self.picked, self.status.value = None, ""
        if self._scene and not (again and self._scene.mark(highlight)):
            self._scene.fill(atoms, highlight, None, None)

    def _write(self, atoms, highlight, colours, label, unit, limits):
        """All but the 3-D view: picture, legend, words."""
        self.atoms = atoms
        self._picture = rendering.png(
            static(atoms, highlight=highlight, colours=colours, label=label, unit=unit, limits=limits)
        )
        self._alt = _words(atoms, highlight, colours, label, unit)
        self._image.width, self._image.height = map(str, rendering.size(self._picture))
        self._image.value = self._picture
        self._legend.value = _legend(atoms, highlight, colours, label, unit, limits)
        self._hidden.value = _STYLE + rendering.hidden(self._alt)
        self.number.placeholder = f"0 to {len(atoms) - 1}"

    def on_pick(self, callback: Callable[[int], str | None]) -> "StructureView":
        """Have `callback(index)` called for each pick; text that it returns is shown below the view."""
        self._callbacks.append(callback)
        self.number.layout.display = None  # the keyboard's way to pick
        return self

    def pick(self, index: int) -> None:
        """Do as if the atom `index` had been clicked.  ValueError where there is none."""
        if not 0 <= index < len(self.atoms):
            raise ValueError(f"there is no atom {index}: this structure has atoms 0 to {len(self.atoms) - 1}")
        self.picked = int(index)
        place = ", ".join(f"{x:.2f}" for x in self.atoms.positions[index])
        words = [f"atom {index}: {self.atoms.symbols[index]} at ({place}) Å"]
        for callback in self._callbacks:
            try:
                said = callback(int(index))
            except Exception as error:
                said = f"what should follow failed with {type(error).__name__}: {error}"
            words += [said] if isinstance(said, str) else []
        tell(self.status, ". ".join(words))

    def _clicked(self, change):
        """nglview sends {} first, then the atom, the bond and its atoms, or neither (the cell's edges)."""
        if "bond" in change.new:
            tell(self.status, "That was a bond: click on a ball to pick an atom.")
        elif "atom1" in change.new:
            in_main_thread(self.pick, change.new["atom1"]["index"])

    def _typed(self, change):
        text = change.new.strip()
        if text.isdecimal() and int(text) < len(self.atoms):
            in_main_thread(self.pick, int(text))
        elif text:
            tell(self.status, f"Type the number of an atom, 0 to {len(self.atoms) - 1}.")

    def __repr__(self) -> str:
        return f"structure view: {_name(self.atoms)}"

    def _ipython_display_(self):
        rendering.show_widget(self, self._picture, self._alt)


class Beside(ipywidgets.HBox):
    """Structures side by side; `beside` makes it.   views: the views."""

    def __init__(self, views: Sequence[StructureView], titles: Sequence[str]) -> None:
        if len(views) != len(titles):
            raise ValueError(f"{len(views)} views need as many titles, not {len(titles)}")
        if not views or not all(isinstance(view, StructureView) for view in views):
            raise ValueError("views of `structure` are asked for, at least one")
        self.views, self._titles = list(views), list(titles)
        wide = {"width": f"{100 / len(views):.4g}%"}  # else the words below a view set its width
        heads = [ipywidgets.HTML(f"<b>{html.escape(title)}</b>") for title in titles]
        super().__init__(
            [ipywidgets.VBox(list(both), layout=wide) for both in zip(heads, self.views, strict=True)]
        )

    def __repr__(self) -> str:
        return "structures side by side: " + "; ".join(self._titles)

    def _ipython_display_(self):
        words = zip(self._titles, (view._alt for view in self.views), strict=True)
        pictures = rendering.stacked([view._picture for view in self.views])
        rendering.show_widget(self, pictures, " ".join(f"{title}. {alt}" for title, alt in words))


class _Scene:
    """A structure in nglview: the only place that knows nglview, whose private names are all here.

    widget: the nglview widget.   Raises ImportError where nglview cannot be used.
    """

    def __init__(self, size: tuple[int, int]) -> None:
        with _quiet():
            import nglview

            self.widget = nglview.NGLWidget(width=f"{size[0]}px", height=f"{size[1]}px")
        self._nglview, self._size, self._halo = nglview, size, None
        self.widget.stage.set_parameters(camera_fov=float(np.rad2deg(_VISION)), clip_dist=1)
        self.widget._js((_BROWSER / "view.js").read_text("utf-8"))
        self._set_up = len(self.widget._ngl_msg_archive)

    def fill(
        self,
        atoms: Atoms,
        highlight: list[int],
        colours: np.ndarray | None,
        limits: tuple[float, float] | None,
    ) -> None:
        """Put a structure in place of the one before, and look at it."""
        view, (numbers, scheme) = self.widget, _scheme(atoms, colours, limits)
        for component in list(view._ngl_component_ids):
            view.remove_component(component)
        # nglview says all this again when the page is loaded again: let it forget the structure before
        view._ngl_msg_archive = view._ngl_msg_archive[: self._set_up]
        view.add_structure(self._nglview.TextStructure(_pdb(atoms, numbers)), default_representation=False)
        layers = list(_layers(atoms, highlight, colours, scheme))
        for kind, selection, look in layers:
            view.add_representation(kind, selection=selection, **look)
        self._halo = len(layers) - 1 if highlight and colours is None else None
        edges = [("cylinder", *pair.tolist(), [0.4, 0.4, 0.4], 0.05) for pair in _edges(atoms)]
        if edges:  # NGL's own cell is always orange, as oxygen is here
            view._add_shape(edges, name="cell")
        centre, quaternion, distance = _camera(atoms, self._size)
        view.control.center(centre)
        view.control.rotate(quaternion)
        view.control._call("distance", distance)
        view._js(f"this.elements = {json.dumps(list(atoms.symbols))}")

    def mark(self, atoms: list[int]) -> bool:
        """Move the halo to other atoms of the structure shown.  False where there is none to move."""
        if self._halo is None or not atoms:
            return False
        self.widget._set_selection("@" + ",".join(map(str, atoms)), repr_index=self._halo)
        return True


def _scheme(atoms, colours, limits):
    """Numbers [n_atoms] for the B-factor column, and how NGL turns them into colours."""
    if colours is None:
        elements = [symbol for symbol, *_ in _elements(atoms)]
        numbers = [elements.index(s) for s in atoms.symbols]
        palette = [colour for *_, colour in _elements(atoms)]
        palette = palette * 2 if len(palette) == 1 else palette
        top = len(palette) - 1
    else:
        low, high = _range(colours, limits)
        inside = np.clip(np.nan_to_num(colours, nan=low), low, high)
        numbers, top = 90 * (inside - low) / (high - low), 90
        palette = [to_hex(c) for c in matplotlib.colormaps[_COLOUR_MAP](np.linspace(0, 1, 11))]
    look = {"color_scheme": "bfactor", "color_scale": palette, "color_domain": [0, top], "color_mode": "rgb"}
    return numbers, look


def _layers(atoms, highlight, colours, scheme):
    """What is drawn, one above the other: (NGL's name of it, atoms, how it looks)."""
    known = np.ones(len(atoms), bool) if colours is None else np.isfinite(colours)
    look = scheme if known.all() else {"color": BLANK}
    ions = [i for i, symbol in enumerate(atoms.symbols) if symbol in _IONS]
    rest = [i for i in range(len(atoms)) if atoms.symbols[i] not in _IONS]
    if rest:
        yield "ball+stick", rest, {"radius": 0.14, "aspect_ratio": 3.2, **look}
    if ions:
        yield "spacefill", ions, {"radius_type": "size", "radius_size": 0.45, **look}
    if not known.all():  # the few that have a number stand out
        yield (
            "spacefill",
            np.flatnonzero(known).tolist(),
            {"radius_type": "size", "radius_size": 0.65, **scheme},
        )
    if highlight:
        halo = {"color": HIGHLIGHT, "opacity": 0.4, "radius_type": "size", "radius_size": 0.85}
        yield "spacefill", highlight, halo


def _checked(atoms, highlight, colours):
    """highlight as a list of int, colours as an array, NaN for none, or None; else ValueError."""
    if not hasattr(atoms, "positions"):
        raise ValueError(f"one structure (ase.Atoms) is asked for, not a {type(atoms).__name__}")
    if not len(atoms):
        raise ValueError("there are no atoms to show")
    if not np.isfinite(atoms.positions).all() or not np.isfinite(atoms.cell.array).all():
        raise ValueError("positions or cell hold a value that is not a number")
    if atoms.positions.min() < -999 or atoms.positions.max() > 9999:  # the columns of a PDB file, for NGL
        raise ValueError("positions reach below -999 or above 9999 Å: shift the structure to see it")
    highlight = [] if highlight is None else _indices(highlight, len(atoms))
    if colours is not None:
        colours = np.asarray(colours, float)
        if colours.shape != (len(atoms),):
            raise ValueError(f"colours must hold one number for each of the {len(atoms)} atoms")
        if not np.isfinite(colours).any():
            raise ValueError("colours holds no number")
        colours = np.where(np.isfinite(colours), colours, np.nan)
    return highlight, colours


def _indices(highlight, n):
    """Indices of atoms as a list of int, from indices or from a mask [n]."""
    given = np.atleast_1d(np.asarray(highlight))
    if given.dtype == object and all(isinstance(i, (bool, np.bool_)) for i in given.flat):
        given = given.astype(bool)
    if given.dtype == bool:
        if given.shape != (n,):
            raise ValueError(f"highlight has {given.size} times True or False for {n} atoms")
        return np.flatnonzero(given).tolist()
    try:
        indices = [operator.index(i) for i in given.tolist()]
    except TypeError:
        raise ValueError("highlight must hold numbers of atoms, or True and False for each") from None
    if any(not 0 <= i < n for i in indices):
        raise ValueError(f"highlight names an atom that is not there: they go from 0 to {n - 1}")
    return indices


@contextlib.contextmanager
def _quiet():
    """nglview shows an empty output when it is imported, and warns of things that are not the reader's."""
    from IPython.utils.capture import capture_output

    with capture_output(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _pdb(atoms, numbers):
    """Elements and positions as PDB text, `numbers` as B-factors; without the cell, which would be turned."""
    copy = ase.Atoms(atoms.symbols, atoms.positions)
    copy.set_array("bfactor", np.asarray(numbers, float))
    text = io.StringIO()
    ase.io.write(text, copy, format="proteindatabank")
    return text.getvalue()


def _camera(atoms, size):
    """Where NGL sees all from: centre [3] in A, rotation as a quaternion (x, y, z, w), distance in A."""
    points = np.concatenate([atoms.positions, _edges(atoms).reshape(-1, 3)])
    right = np.array([np.cos(_ASIDE), np.sin(_ASIDE), 0])
    near = np.array([np.sin(_ASIDE) * np.cos(_ABOVE), -np.cos(_ASIDE) * np.cos(_ABOVE), np.sin(_ABOVE)])
    up = np.cross(near, right)
    seen = points @ np.array([right, up, near]).T
    middle = (seen.min(axis=0) + seen.max(axis=0)) / 2
    x, y, z = (seen - middle).T
    slope, ball = np.tan(_VISION / 2), 0.9
    distance = max(
        ((abs(y) + ball) / slope + z).max(), ((abs(x) + ball) / slope * size[1] / size[0] + z).max()
    )
    # NGL's camera stands on the negative z axis: x of the screen is -x there
    turn = Rotation.from_matrix([-right, up, -near])
    return (middle @ [right, up, near]).tolist(), turn.as_quat().tolist(), float(distance)


def _edges(atoms):
    """The twelve edges of the cell, [12, 2, 3], or none."""
    if atoms.cell.rank < 3:
        return np.zeros((0, 2, 3))
    corners = np.array(list(np.ndindex(2, 2, 2)))
    pairs = [(a, b) for a in corners for b in corners if (b - a).sum() == 1 and (b >= a).all()]
    return np.array(pairs) @ atoms.cell.array


def _name(atoms):
    return f"{atoms.get_chemical_formula()}, {len(atoms)} atoms"


def _elements(atoms):
    """(symbol, count, colour) for each element, in the order of the formula."""
    return [
        (symbol, count, COLOURS.get(symbol) or to_hex(jmol_colors[ase.data.atomic_numbers[symbol]]))
        for symbol, count in atoms.symbols.formula.count().items()
    ]


def _element_colours(atoms):
    colours = {symbol: colour for symbol, _, colour in _elements(atoms)}
    return [colours[s] for s in atoms.symbols]


def _range(colours, limits):
    if limits is not None:
        ends = np.asarray(limits, float)
        if ends.shape != (2,) or not np.isfinite(ends).all() or not ends[0] < ends[1]:
            raise ValueError(f"limits must be two numbers, the lower one first, not {limits}")
        return tuple(ends)
    low, high = np.nanmin(colours), np.nanmax(colours)
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _shades(colours, limits):
    low, high = _range(colours, limits)
    shades = matplotlib.colormaps[_COLOUR_MAP]((np.nan_to_num(colours, nan=low) - low) / (high - low))
    return [BLANK if np.isnan(value) else to_hex(shade) for value, shade in zip(colours, shades, strict=True)]


def _dot(colour, text, edge="black"):
    return Line2D(
        [],
        [],
        linestyle="",
        marker="o",
        markersize=11,
        markerfacecolor=colour,
        markeredgecolor=edge,
        markeredgewidth=0.6 if edge == "black" else 3,
        label=text,
    )


def _legend(atoms, highlight, colours, label, unit, limits=None):
    """What the colours mean, as HTML."""
    ball = (
        '<span style="white-space:nowrap"><span style="display:inline-block;width:0.9em;height:0.9em;'
        'border-radius:50%;border:{};background:{};margin:0 .35em 0 0;vertical-align:-0.1em"></span>{}</span>'
    )
    parts = []
    if colours is None:
        parts += [
            ball.format("1px solid #555", colour, f"{symbol} ({count})")
            for symbol, count, colour in _elements(atoms)
        ]
    else:
        low, high = _range(colours, limits)
        ramp = ",".join(to_hex(c) for c in matplotlib.colormaps[_COLOUR_MAP](np.linspace(0, 1, 7)))
        grey = "; grey: no value" if np.isnan(colours).any() else ""
        strip = f"vertical-align:-0.1em;background:linear-gradient(to right,{ramp})"
        strip = f'<span style="display:inline-block;width:9em;height:0.9em;{strip}"></span>'
        parts.append(f"{html.escape(label)}: {low:.2f} {strip} {high:.2f} {html.escape(unit)}{grey}")
    if len(highlight):
        parts.append(ball.format(f"3px solid {HIGHLIGHT}", "transparent", "marked"))
    what = f"<b>{atoms.get_chemical_formula(mode='hill')}</b>, {len(atoms)} atoms"
    return f'<div style="line-height:1.6">{what} &emsp;{" &emsp;".join(parts)}</div>'


def _words(atoms, highlight, colours, label, unit):
    """The view in words, for those who cannot see it."""
    text = f"Structure view: {_name(atoms)}"
    if atoms.cell.rank == 3:
        text += ", in a cell of " + " by ".join(f"{a:.2f}" for a in atoms.cell.lengths()) + " Å"
    if colours is not None:
        low, high = np.nanmin(colours), np.nanmax(colours)
        text += f"; colours show {label} from {low:.2f} to {high:.2f} {unit}".rstrip()
    if len(highlight):
        text += "; marked: atom " + ", ".join(map(str, highlight))
    return text + "."
