"""Look into a structure: in 3-D with nglview, and as a picture where 3-D cannot be shown."""

import contextlib
import html
import io
import json
import warnings

import ase.io
import ipywidgets
import matplotlib
import numpy as np
import traitlets
from ase.data.colors import jmol_colors
from matplotlib.collections import LineCollection
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from scipy.spatial.transform import Rotation

from . import rendering
from .widgets import in_main_thread

# The elements of the course in colours that the colour-blind can tell apart; all others as Jmol has them.
COLOURS = {"Li": "#CC79A7", "O": "#D55E00", "N": "#0072B2", "P": "#E69F00", "H": "#DDDDDD", "C": "#555555",
           "S": "#F0E442", "Si": "#56B4E9"}
HIGHLIGHT = "#009E73"
BLANK = "#cfcfcf"             # an atom without a number, where the others have one
_COLOUR_MAP = "viridis"
# Drawn as balls without sticks: their bonds are ionic, and sticks to them would hide all others.
_IONS = {"Li", "Na", "K", "Rb", "Cs", "Mg", "Ca", "Sr", "Ba"}
# How the 3-D view looks at a structure: z upwards, x to the right, from 25 degrees aside and 18 above, angle of vision 30.
_ASIDE, _ABOVE, _VISION = np.deg2rad([25, 18, 30])
_SETTING_UP = 2               # messages to nglview before the structure: the angle of vision, _MANNERS

# 3-D draws into a canvas.  Where there is none (no WebGL, no nglview in this browser), the picture shows instead.
# It waits four seconds, so that it does not flash up while the 3-D view loads.
_STYLE = """<style>
.mlms-view:has(canvas) .mlms-static {display: none !important}
.mlms-view .mlms-static {animation: mlms-late 0s linear 4s backwards}
.mlms-view:not(:has(canvas)) .mlms-3d {animation: mlms-gone 0s linear 4s forwards; overflow: hidden}
@keyframes mlms-late {from {max-height: 0; opacity: 0}}
@keyframes mlms-gone {to {max-height: 0; margin: 0; padding: 0}}
</style>"""
_NO_WEBGL = ("Here is a picture, because this browser does not show 3-D: WebGL is switched off or missing. "
             "Look for “hardware acceleration” in the browser's settings, or open the notebook in another browser.")
# What the 3-D view does beside turning: after a click into it the wheel zooms, and before that it scrolls the page;
# atoms are named as Python counts them.
_MANNERS = """const stage = this.stage, box = stage.viewer.container;
stage.mouseObserver.handleScroll = false;
box.addEventListener('mousedown', () => { stage.mouseObserver.handleScroll = true; });
box.addEventListener('mouseleave', () => { stage.mouseObserver.handleScroll = false; });
this.$pickingInfo.remove();
stage.mouseControls.remove('hoverPick');
stage.mouseControls.remove('clickPick-left');
stage.signals.hovered.add(spot => {
    stage.tooltip.style.display = spot && spot.atom ? 'block' : 'none';
    if (spot && spot.atom) {
        stage.tooltip.innerText = 'atom ' + spot.atom.index + ': ' + this.elements[spot.atom.index];
        stage.tooltip.style.left = (spot.mouse.position.x + 12) + 'px';
        stage.tooltip.style.bottom = (window.innerHeight - spot.mouse.position.y + 12) + 'px';
    } });"""


def structure(atoms, *, highlight=None, colours=None, label="value", unit="", size=(700, 420)):
    """A crystal or molecule in 3-D: drag to turn it, click an atom to pick it.

    atoms: `ase.Atoms`; its cell is drawn where it has one.   highlight: indices of atoms to mark with a halo.
    colours: [n_atoms], a number for each atom, shown as a colour from viridis (NaN: grey, for atoms
    that have none); default, colours by element.
    label, unit: what these numbers are.   size: width and height in CSS pixels.

    Sticks are drawn for up to 500 atoms, and not to ions such as Li.

    Returns StructureView, a widget: `.picked` is the index of the atom picked last, from 0, or None;
    `.on_pick(callback)` has `callback(index)` called for each pick.
    Raises ValueError where there are no atoms, positions are not finite, or lengths differ.
    """
    return StructureView(atoms, highlight, colours, label, unit, size)


@rendering.style()
def static(atoms, *, highlight=None, colours=None, label="value", unit="", title=None):
    """A structure from the front and from above, as a figure with a legend.

    Arguments as for `structure`.   Returns Figure; axes in A.
    """
    highlight, colours = _checked(atoms, highlight, colours)
    corners = _edges(atoms)
    extent = np.ptp(np.concatenate([atoms.positions, corners.reshape(-1, 3)]), axis=0) + 2.4
    fig = Figure(figsize=(7.6, np.clip(1.5 + 2.4 * extent[1:].max() / extent[0], 2.6, 5.5)), layout="compressed")
    axes = fig.subplots(1, 2)
    shades = _shades(colours) if colours is not None else _element_colours(atoms)
    radii = np.where(atoms.numbers == 1, 0.3, 0.45)
    for ax, (x, y, towards), name in zip(axes, [(0, 2, -1), (0, 1, 2)], ["from the front", "from above"], strict=True):
        depth = atoms.positions[:, 1] * -1 if towards == -1 else atoms.positions[:, 2]
        order = np.argsort(depth)                   # the nearest is drawn last; in front of all, those that alone have a number
        if colours is not None and np.isnan(colours).any():
            order = sorted(order, key=lambda i: np.isfinite(colours[i]))
        if len(corners):
            ax.add_collection(LineCollection(corners[:, :, [x, y]], colors=rendering.GREY, linewidths=1, zorder=0))
        near = atoms.positions[:, [x, y]]
        everything = np.concatenate([near, corners[:, :, [x, y]].reshape(-1, 2)])
        low, high = everything.min(axis=0) - 1.2, everything.max(axis=0) + 1.2
        ax.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), aspect="equal", xlabel=f"{'xyz'[x]} (Å)",
               ylabel=f"{'xyz'[y]} (Å)")
        ax.set_title(name, fontsize=12)
        ax.grid(visible=False)
        for i in order:
            marked = i in highlight
            ax.add_patch(matplotlib.patches.Circle(near[i], radii[i], facecolor=shades[i], zorder=2,
                                                   edgecolor=HIGHLIGHT if marked else "black",
                                                   linewidth=3 if marked else 0.6))
    if colours is None:
        handles = [_dot(colour, f"{symbol} ({count})") for symbol, count, colour in _elements(atoms)]
        if len(highlight):
            handles.append(_dot("white", "marked", HIGHLIGHT))
        fig.legend(handles=handles, loc="outside right center", frameon=False)
    else:
        scale = matplotlib.cm.ScalarMappable(matplotlib.colors.Normalize(*_range(colours)), _COLOUR_MAP)
        fig.colorbar(scale, ax=list(axes), label=f"{label} ({unit})" if unit else label, location="bottom",
                     shrink=0.5, aspect=30)
    fig.suptitle(title or f"{atoms.get_chemical_formula()}, {len(atoms)} atoms", fontsize=13)
    return fig


class StructureView(ipywidgets.VBox):
    """A structure in 3-D.

    picked: index of the atom picked last, from 0, or None.   atoms: the structure.
    three_d: the nglview widget, or None where nglview cannot be used.   status: the line below the view.
    number: a field for the number of an atom, for those who cannot click; it shows once `on_pick` is used.
    """

    picked = traitlets.Int(None, allow_none=True)

    def __init__(self, atoms, highlight=None, colours=None, label="value", unit="", size=(700, 420)):
        highlight, colours = _checked(atoms, highlight, colours)
        self._size, self._callbacks = size, []
        self._legend, self._image, self._hidden = ipywidgets.HTML(), ipywidgets.Image(format="png"), ipywidgets.HTML()
        self.status = ipywidgets.HTML(layout={"min_height": "28px"})
        self.number = ipywidgets.Text(description="Atom number", tooltip="pick an atom by its number", continuous_update=False,
                                      style={"description_width": "initial"}, layout={"width": "200px", "display": "none"})
        self.number.observe(self._typed, "value")
        self._write(atoms, highlight, colours, label, unit)
        self.three_d, reason = _three_d(atoms, highlight, colours, size)
        picture = ipywidgets.VBox([ipywidgets.HTML(f"<p>{html.escape(reason or _NO_WEBGL)}</p>"), self._image])
        picture.add_class("mlms-static")
        scene = []
        if self.three_d:
            hint = "Drag to turn; click an atom to pick it; after a click the wheel zooms; Shift and drag zooms too."
            scene = [ipywidgets.VBox([self.three_d, self._legend, ipywidgets.HTML(f'<span style="opacity:0.75">{hint}</span>')])]
            scene[0].add_class("mlms-3d")
            self.three_d.observe(self._clicked, "picked")
        super().__init__([*scene, picture, self.number, self.status, self._hidden])
        self.add_class("mlms-view")

    def show(self, atoms, *, highlight=None):
        """Put another structure into this view, in colours by element, or mark other atoms of the one that it shows.

        Arguments as for `structure`.   Of the structure already shown, the reader's angle of view stays.
        """
        highlight, _ = _checked(atoms, highlight, None)
        halo = self._halo if atoms is self.atoms and highlight else None
        self._write(atoms, highlight, None, "", "")
        self.picked, self.status.value = None, ""
        if self.three_d and halo is not None:
            self.three_d._set_selection("@" + ",".join(map(str, highlight)), repr_index=halo)
        elif self.three_d:
            for component in list(self.three_d._ngl_component_ids):
                self.three_d.remove_component(component)
            # nglview says all this again when the page is loaded again: let it forget the structure before
            self.three_d._ngl_msg_archive = self.three_d._ngl_msg_archive[:_SETTING_UP]
            _fill(self.three_d, atoms, highlight, None, self._size)

    def _write(self, atoms, highlight, colours, label, unit):
        """All but the 3-D view: picture, legend, words."""
        self.atoms = atoms
        # the halo is the last of the representations: balls, ions, halo
        self._halo = len({symbol in _IONS for symbol in atoms.symbols}) if highlight and colours is None else None
        self._picture = rendering.png(static(atoms, highlight=highlight, colours=colours, label=label, unit=unit))
        self._alt = _words(atoms, highlight, colours, label, unit)
        self._image.width, self._image.height = map(str, rendering.size(self._picture))
        self._image.value = self._picture
        self._legend.value = _legend(atoms, highlight, colours, label, unit)
        self._hidden.value = _STYLE + rendering.hidden(self._alt)
        self.number.placeholder = f"0 to {len(atoms) - 1}"

    def on_pick(self, callback):
        """Have `callback(index)` called for each pick; text that it returns is shown below the view."""
        self._callbacks.append(callback)
        self.number.layout.display = None           # the keyboard's way to pick
        return self

    def pick(self, index):
        """Do as if the atom `index` had been clicked."""
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
        self._tell(". ".join(words))

    def _clicked(self, change):
        """nglview sends {} first, then the atom, the bond with its two atoms, or neither (the cell's edges)."""
        if "bond" in change.new:
            self._tell("That was a bond: click on a ball to pick an atom.")
        elif "atom1" in change.new:
            in_main_thread(self.pick, change.new["atom1"]["index"])

    def _typed(self, change):
        text = change.new.strip()
        if text.isdecimal() and int(text) < len(self.atoms):
            in_main_thread(self.pick, int(text))
        elif text:
            self._tell(f"Type the number of an atom, 0 to {len(self.atoms) - 1}.")

    def _tell(self, text):
        self.status.value = f'<div role="status" style="line-height:1.5;max-width:90ch">{html.escape(text)}</div>'

    def __repr__(self):
        return f"structure view: {self.atoms.get_chemical_formula()}, {len(self.atoms)} atoms"

    def _repr_mimebundle_(self, **kwargs):
        """The widget, and for a page without a kernel the picture."""
        picture, metadata = rendering.bundle(self._picture, self._alt)
        return {**picture, **super()._repr_mimebundle_(**kwargs)}, metadata


def _checked(atoms, highlight, colours):
    """highlight as a list of int, colours as an array or None; ValueError where they cannot be."""
    if not len(atoms):
        raise ValueError("there are no atoms to show")
    if not np.isfinite(atoms.positions).all() or not np.isfinite(atoms.cell.array).all():
        raise ValueError("positions or cell hold a value that is not a number")
    highlight = [int(i) for i in np.atleast_1d(highlight)] if highlight is not None else []
    if any(not 0 <= i < len(atoms) for i in highlight):
        raise ValueError(f"highlight names an atom that is not there: they go from 0 to {len(atoms) - 1}")
    if colours is not None:
        colours = np.asarray(colours, float)
        if colours.shape != (len(atoms),):
            raise ValueError(f"colours must hold one number for each of the {len(atoms)} atoms")
        if not np.isfinite(colours).any():
            raise ValueError("colours holds no number")
    return highlight, colours


def _three_d(atoms, highlight, colours, size):
    """(nglview widget, "") or (None, the reason in words)."""
    try:
        with _quiet():
            import nglview
            view = nglview.NGLWidget(width=f"{size[0]}px", height=f"{size[1]}px")
    except ImportError as error:
        return None, f"Here is a picture, because 3-D views need the package nglview, and it cannot be imported: {error}."
    view.stage.set_parameters(camera_fov=float(np.rad2deg(_VISION)), clip_dist=1)
    view._js(_MANNERS)
    _fill(view, atoms, highlight, colours, size)
    return view, ""


def _fill(view, atoms, highlight, colours, size):
    """Put a structure into an empty nglview widget, and look at it."""
    import nglview
    # Numbers stand in the B-factor column; NGL turns them into colours.
    if colours is None:
        elements = [symbol for symbol, *_ in _elements(atoms)]
        numbers, palette = [elements.index(s) for s in atoms.symbols], [colour for *_, colour in _elements(atoms)]
        palette = palette * 2 if len(palette) == 1 else palette
        top = len(palette) - 1
    else:
        low, high = _range(colours)
        numbers, top = 90 * (np.nan_to_num(colours, nan=low) - low) / (high - low), 90
        palette = [to_hex(c) for c in matplotlib.colormaps[_COLOUR_MAP](np.linspace(0, 1, 11))]
    scheme = {"color_scheme": "bfactor", "color_scale": palette, "color_domain": [0, top], "color_mode": "rgb"}
    view.add_structure(nglview.TextStructure(_pdb(atoms, numbers)), default_representation=False)
    blank = np.zeros(len(atoms), bool) if colours is None else np.isnan(colours)
    look = {"color": BLANK} if blank.any() else scheme
    ions = [i for i, symbol in enumerate(atoms.symbols) if symbol in _IONS]
    rest = [i for i in range(len(atoms)) if atoms.symbols[i] not in _IONS]
    if rest:
        view.add_representation("ball+stick", selection=rest, radius=0.14, aspect_ratio=3.2, **look)
    if ions:
        view.add_representation("spacefill", selection=ions, radius_type="size", radius_size=0.45, **look)
    if blank.any():                                 # the few that have a number stand out
        view.add_representation("spacefill", selection=np.flatnonzero(~blank).tolist(), radius_type="size", radius_size=0.65, **scheme)
    grey = [0.4, 0.4, 0.4]
    edges = [("cylinder", start.tolist(), end.tolist(), grey, 0.05) for start, end in _edges(atoms)]
    if edges:                                       # NGL's own cell is always orange, as oxygen is here
        view._add_shape(edges, name="cell")
    if highlight:
        view.add_representation("spacefill", selection=highlight, color=HIGHLIGHT, opacity=0.4, radius_type="size",
                                radius_size=0.85)
    centre, quaternion, distance = _camera(atoms, size)
    view.control.center(centre)
    view.control.rotate(quaternion)
    view.control._call("distance", distance)
    view._js(f"this.elements = {json.dumps(list(atoms.symbols))}")


@contextlib.contextmanager
def _quiet():
    """nglview shows an empty output when it is imported in a notebook, and warns of things that are not the reader's."""
    from IPython.utils.capture import capture_output
    with capture_output(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _pdb(atoms, numbers):
    """Elements and positions as PDB text, with `numbers` in the B-factor column.  Without the cell: it would be turned."""
    copy = ase.Atoms(atoms.symbols, atoms.positions)
    copy.set_array("bfactor", np.asarray(numbers, float))
    text = io.StringIO()
    ase.io.write(text, copy, format="proteindatabank")
    return text.getvalue()


def _camera(atoms, size):
    """Where NGL looks from: centre [3] in A, rotation as a quaternion (x, y, z, w), distance in A; all is in sight."""
    points = np.concatenate([atoms.positions, _edges(atoms).reshape(-1, 3)])
    right = np.array([np.cos(_ASIDE), np.sin(_ASIDE), 0])
    near = np.array([np.sin(_ASIDE) * np.cos(_ABOVE), -np.cos(_ASIDE) * np.cos(_ABOVE), np.sin(_ABOVE)])
    up = np.cross(near, right)
    seen = points @ np.array([right, up, near]).T
    middle = (seen.min(axis=0) + seen.max(axis=0)) / 2
    x, y, z = (seen - middle).T
    slope, ball = np.tan(_VISION / 2), 0.9
    distance = max(((abs(y) + ball) / slope + z).max(), ((abs(x) + ball) / slope * size[1] / size[0] + z).max())
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


def _elements(atoms):
    """(symbol, count, colour) for each element, in the order of the formula."""
    return [(symbol, count, COLOURS.get(symbol) or to_hex(jmol_colors[ase.data.atomic_numbers[symbol]]))
            for symbol, count in atoms.symbols.formula.count().items()]


def _element_colours(atoms):
    colours = {symbol: colour for symbol, _, colour in _elements(atoms)}
    return [colours[s] for s in atoms.symbols]


def _range(colours):
    low, high = np.nanmin(colours), np.nanmax(colours)
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _shades(colours):
    low, high = _range(colours)
    shades = matplotlib.colormaps[_COLOUR_MAP]((np.nan_to_num(colours, nan=low) - low) / (high - low))
    return [BLANK if np.isnan(value) else to_hex(shade) for value, shade in zip(colours, shades, strict=True)]


def _dot(colour, text, edge="black"):
    return Line2D([], [], linestyle="", marker="o", markersize=11, markerfacecolor=colour, markeredgecolor=edge,
                  markeredgewidth=0.6 if edge == "black" else 3, label=text)


def _legend(atoms, highlight, colours, label, unit):
    """What the colours mean, as HTML."""
    ball = ('<span style="white-space:nowrap"><span style="display:inline-block;width:0.9em;height:0.9em;border-radius:50%;'
            'border:{};background:{};margin:0 0.35em 0 0;vertical-align:-0.1em"></span>{}</span>')
    parts = []
    if colours is None:
        parts += [ball.format("1px solid #555", colour, f"{symbol} ({count})") for symbol, count, colour in _elements(atoms)]
    else:
        low, high = _range(colours)
        ramp = ",".join(to_hex(c) for c in matplotlib.colormaps[_COLOUR_MAP](np.linspace(0, 1, 7)))
        grey = "; grey: no value" if np.isnan(colours).any() else ""
        parts.append(f'{html.escape(label)}: {low:.2f} <span style="display:inline-block;width:9em;height:0.9em;'
                     f'vertical-align:-0.1em;background:linear-gradient(to right,{ramp})"></span> {high:.2f} {html.escape(unit)}{grey}')
    if len(highlight):
        parts.append(ball.format(f"3px solid {HIGHLIGHT}", "transparent", "marked"))
    what = f"<b>{atoms.get_chemical_formula(mode='hill')}</b>, {len(atoms)} atoms"
    return f'<div style="line-height:1.6">{what} &emsp;{" &emsp;".join(parts)}</div>'


def _words(atoms, highlight, colours, label, unit):
    """The view in words, for those who cannot see it."""
    text = f"Structure view: {atoms.get_chemical_formula()}, {len(atoms)} atoms"
    if atoms.cell.rank == 3:
        text += ", in a cell of " + " by ".join(f"{a:.2f}" for a in atoms.cell.lengths()) + " Å"
    if colours is not None:
        text += f"; colours show {label} from {np.nanmin(colours):.2f} to {np.nanmax(colours):.2f} {unit}".rstrip()
    if len(highlight):
        text += "; marked: atom " + ", ".join(map(str, highlight))
    return text + "."
