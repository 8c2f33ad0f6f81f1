"""A map beside a 3-D view: a picked point shows its atom, a picked atom marks its point."""

from pathlib import Path

import anywidget
import ipywidgets
import numpy as np
import pandas as pd
import traitlets
from ase import Atoms
from numpy.typing import ArrayLike

from . import maps, rendering, views
from .widgets import in_main_thread, tell


class Picture(anywidget.AnyWidget):
    """A picture whose points can be picked: by a click, or with arrow keys and Enter.

    png: its bytes.
    width, height: CSS pixels.
    points: [n][2], CSS pixels from the upper left corner.
    names: [n], what the pointer shows.
    alt: the picture in words.
    selected: number of the picked point, or None.
    together: numbers of the points that are marked with it.
    """

    _esm = Path(__file__).parent / "browser" / "points.js"
    png = traitlets.Bytes().tag(sync=True)
    width = traitlets.Int().tag(sync=True)
    height = traitlets.Int().tag(sync=True)
    points = traitlets.List().tag(sync=True)
    names = traitlets.List().tag(sync=True)
    alt = traitlets.Unicode().tag(sync=True)
    selected = traitlets.Int(None, allow_none=True).tag(sync=True)
    together = traitlets.List().tag(sync=True)


class LinkedMap(ipywidgets.VBox):
    """A map beside a 3-D view: a picked point shows its atom, a picked atom marks its point.

    xy: [n_points, 2].
    table: one row a point, with columns `structure` and `atom` (0-based).
    structures: those that the table names.
    columns: names of the columns to colour by, the first at first; default, all others.
    units: {column: unit}.
    axes: what the two axes of the map are.
    numbers: whether the axes carry numbers; False where these mean nothing.
    together: a column, such as the family; all points that have the value of the picked one are marked with
        it.  Default, none.

    selected: number of the picked point, from 0, or None; `.selected = 7` picks point 7.
    atoms: the structure shown; `view`, the `views.StructureView` of it.
    picture, status: the map, and a line about the point.
    colour, number: the menu of columns, and a field for the number of a point.

    Raises ValueError where lengths differ, or a row names an atom that is not there.
    """

    selected = traitlets.Int(None, allow_none=True)

    def __init__(
        self,
        xy: ArrayLike,
        table: pd.DataFrame,
        structures: list[Atoms],
        *,
        columns: list[str] | None = None,
        units: dict[str, str] | None = None,
        axes: tuple[str, str] = ("first axis", "second axis"),
        numbers: bool = True,
        together: str | None = None,
    ) -> None:
        self._xy, self._structures = maps.points(xy, columns=2), structures
        self._table = table.reset_index(drop=True)
        self._units, self._axes = units or {}, {"axes": axes, "numbers": numbers}
        self._together = together
        columns = [c for c in table.columns if c not in ("structure", "atom")] if columns is None else columns
        self._check(list(columns))
        self.colour = ipywidgets.Dropdown(
            options=list(columns),
            description="Colour by",
            tooltip="column of the table that colours the points",
            style={"description_width": "initial"},
        )
        self.number = ipywidgets.Text(
            description="Point number",
            placeholder=f"0 to {len(table) - 1}",
            tooltip="pick a point by its number",
            continuous_update=False,
            style={"description_width": "initial"},
            layout={"width": "210px"},
        )
        self.picture = Picture()
        self.status = ipywidgets.HTML(layout={"min_height": "28px"})
        self._where = self._table[["structure", "atom"]].to_numpy(int)
        self._number, atom = self._where[0]
        self.view = views.structure(structures[self._number], highlight=[atom], size=(430, 370))
        self.view.on_pick(self._picked_atom)
        self.view.layout.width = "440px"  # beside the map, where the window is wide enough
        self._paint()
        self.colour.observe(lambda _: in_main_thread(self._paint), "value")
        self.number.observe(self._typed, "value")
        self.picture.observe(lambda _: in_main_thread(self._follow), "selected")
        row = {"flex_flow": "row wrap", "align_items": "flex-start"}
        super().__init__(
            [
                ipywidgets.Box([self.colour, self.number], layout=row),
                ipywidgets.Box([self.picture, self.view], layout=row),
                self.status,
            ]
        )

    @property
    def atoms(self) -> Atoms:
        """The structure in the 3-D view."""
        return self.view.atoms

    @traitlets.validate("selected")
    def _known(self, proposal):
        if proposal.value is not None and not 0 <= proposal.value < len(self._table):
            last = len(self._table) - 1
            raise ValueError(f"there is no point {proposal.value}: this map has points 0 to {last}")
        return proposal.value

    @traitlets.observe("selected")
    def _show(self, change):
        """The picked point: ring, structure, halo, words, and its number in the field."""
        self.picture.together, said = self._others(change.new)
        self.picture.selected = change.new
        if change.new is None:
            tell(self.status, "")
            self.number.value = ""
            return
        self._number, atom = self._where[change.new]
        self.view.show(self._structures[self._number], highlight=[atom])
        self.view.pick(atom)
        words = ", ".join(
            f"{c} {self._word(c, self._table[c].iloc[change.new])}" for c in self.colour.options
        )
        tell(self.status, f"Point {change.new}: {words}{said}")
        self.number.value = str(change.new)

    def _others(self, number):
        """Points to be marked with a picked one, and a sentence about them."""
        if self._together is None or number is None:
            return [], ""
        values = self._table[self._together]
        found = np.flatnonzero(values == values.iloc[number])
        others = found[found != number].tolist()
        value = self._word(self._together, values.iloc[number])
        return others, f". Small rings: the other points of {self._together} {value}, {len(others)} in all"

    def _follow(self):
        """Take what is picked in the picture by now: two quick clicks are one."""
        self.selected = self.picture.selected

    def _picked_atom(self, index):
        """What follows a pick in the 3-D view: text for the line below it."""
        found = np.flatnonzero((self._where == [self._number, index]).all(axis=1))
        if not len(found):
            self.selected = None
            self.view.show(self.atoms, highlight=[index])  # the halo goes with it
            self.view.picked = index
            symbol = self.atoms.symbols[index]
            drawn = self._where[self._where[:, 0] == self._number, 1]
            shown = (self.atoms.symbols[drawn] == symbol).sum()
            alike = (self.atoms.symbols == symbol).sum()
            return f"It is not on the map: of the {alike} {symbol} atoms of this structure {shown} are"
        if self.selected not in found:
            self.selected = int(found[0])
        return f"Point {self.selected} of the map"

    def _typed(self, change):
        text = change.new.strip()
        if text.isdecimal() and int(text) < len(self._table):
            in_main_thread(self.set_trait, "selected", int(text))
        elif text:
            tell(self.status, f"There is no point {text}: type a number from 0 to {len(self._table) - 1}.")
            self.number.value = "" if self.selected is None else str(self.selected)

    def _paint(self):
        """Draw the map in the colours of the chosen column."""
        column = self.colour.value
        unit = self._units.get(column, "")
        values = self._table[column]
        figure = maps.draw(self._xy, values, label=column, unit=unit, **self._axes)
        png = rendering.png(figure)
        width, height = rendering.size(png)
        pixels = figure.axes[0].transData.transform(self._xy) * 100 / figure.dpi
        shown = f"{column} ({unit})" if unit else column
        with self.picture.hold_sync():
            self.picture.width, self.picture.height = width, height
            self.picture.points = np.column_stack([pixels[:, 0], height - pixels[:, 1]]).round(1).tolist()
            self.picture.names = [f"{i}: {column} {self._word(column, v)}" for i, v in enumerate(values)]
            axes = "{1} against {0}".format(*self._axes["axes"])
            self.picture.alt = f"Map of {len(self._xy)} points, {axes}, coloured by {shown}."
            self.picture.png = png

    def _word(self, column, value):
        if pd.isna(value):
            return "no value"
        value = f"{value:.4g}" if isinstance(value, (float, np.floating)) else str(value)
        return f"{value} {self._units.get(column, '')}".strip()

    def _check(self, columns):
        if len(self._table) != len(self._xy):
            raise ValueError(f"the table has {len(self._table)} rows for {len(self._xy)} points")
        wanted = ["structure", "atom", *columns, *([self._together] if self._together else [])]
        missing = [c for c in wanted if c not in self._table]
        if missing:
            there = ", ".join(map(str, self._table.columns))
            raise ValueError(f"the table has no column {missing[0]!r}; it has {there}")
        if not columns:
            raise ValueError("there is no column to colour by")
        for name in ("structure", "atom"):
            if not pd.api.types.is_integer_dtype(self._table[name]) or self._table[name].hasnans:
                raise ValueError("the columns structure and atom must hold whole numbers")
        for number, atom in zip(self._table.structure, self._table.atom, strict=True):
            if not (0 <= number < len(self._structures) and 0 <= atom < len(self._structures[number])):
                raise ValueError(f"a row names atom {atom} of structure {number}, which is not there")

    def __repr__(self) -> str:
        return f"map of {len(self._xy)} points beside a structure view"

    def _ipython_display_(self):
        rendering.show_widget(self, self.picture.png, self.picture.alt)
