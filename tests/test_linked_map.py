"""The linked map without a browser: set `.selected`, read `.atoms`."""

import io

import numpy as np
import pandas as pd
import pytest
from ase.build import bulk, molecule
from PIL import Image

from mlms_helpers import maps
from mlms_helpers.linked_map import LinkedMap

STRUCTURES = [molecule("H2O"), bulk("NaCl", "rocksalt", a=5.64, cubic=True)]
TABLE = pd.DataFrame(
    {
        "structure": [0, 0, 0, 1, 1],
        "atom": [0, 1, 2, 3, 5],
        "element": ["O", "H", "H", "Na", "Na"],
        "height": [0.12, 0.6, np.nan, 1.5, 2.0],
    }
)
XY = np.array([[0.0, 0], [1, 0], [0, 1], [2, 2], [3, 1]])


def linked(**settings):
    return LinkedMap(
        XY, TABLE, STRUCTURES, **{"units": {"height": "Å"}, "axes": ("PC 1", "PC 2"), **settings}
    )


def with_gap(column):
    return TABLE.assign(**{column: pd.array([0, 0, 0, None, 1], dtype="Int64")})


@pytest.mark.parametrize(
    "call, part",
    [
        (lambda: LinkedMap(XY[:4], TABLE, STRUCTURES), "5 rows for 4 points"),
        (lambda: LinkedMap(XY, TABLE, STRUCTURES[:1]), "atom 3 of structure 1"),
        (lambda: linked(columns=["depth"]), "no column 'depth'"),
        (lambda: LinkedMap(XY, TABLE.drop(columns="atom"), STRUCTURES), "no column 'atom'"),
        (lambda: LinkedMap(XY, with_gap("structure"), STRUCTURES), "whole numbers"),
        (lambda: LinkedMap(XY, with_gap("atom"), STRUCTURES), "whole numbers"),
        (lambda: linked(columns=[]), "no column to colour by"),
    ],
)
def test_refusals_are_sentences(call, part):
    with pytest.raises(ValueError, match=part):
        call()


def test_a_table_of_numbers_only_and_of_nullable_numbers():
    for table in (TABLE.drop(columns="element"), TABLE.convert_dtypes()):
        e = LinkedMap(XY, table, STRUCTURES, columns=["height"])
        e.selected = 3
        assert e.atoms is STRUCTURES[1] and e.view.picked == 3 and "height 1.5" in e.status.value


def test_a_picked_point_shows_its_atom():
    e = linked()
    assert (
        e.selected is None
        and e.atoms is STRUCTURES[0]
        and repr(e) == "map of 5 points beside a structure view"
    )
    e.selected = 3
    assert e.atoms is STRUCTURES[1] and e.view.picked == 3 and e.picture.selected == 3
    assert (
        "Point 3: element Na, height 1.5 Å" in e.status.value and "Point 3 of the map" in e.view.status.value
    )
    assert "marked: atom 3" in e.view._alt
    e.selected = 1
    assert e.atoms is STRUCTURES[0] and e.view.picked == 1
    e.selected = None
    assert e.picture.selected is None
    with pytest.raises(ValueError, match="points 0 to 4"):
        e.selected = 5


def test_a_picked_atom_marks_its_point():
    e = linked()
    e.selected = 3
    e.view.pick(5)
    assert e.selected == 4 == e.picture.selected and e.view.picked == 5 and "marked: atom 5" in e.view._alt
    e.view.pick(1)  # is not in the table: neither ring nor halo stay on the former atom
    assert e.selected is None and e.picture.selected is None and e.view.picked == 1
    assert "not on the map: of the 4 Cl atoms of this structure 2 are" in e.view.status.value
    assert "marked: atom 1" in e.view._alt and e.number.value == ""


def test_a_pick_in_the_picture_and_by_number():
    e = linked()
    e.picture.selected = 4  # what the browser does
    assert e.selected == 4 and e.view.picked == 5
    e.number.value = "2"
    assert e.selected == 2 and e.view.picked == 2
    e.number.value = "9"
    assert e.selected == 2 and "There is no point 9" in e.status.value and "0 to 4" in e.status.value
    assert e.number.value == "2"  # what is no point does not stay in the field


def test_what_belongs_to_the_picked_point_is_marked_with_it():
    e = linked(columns=["height"], together="element")
    assert e.picture.together == [] and e.colour.options == ("height",)
    e.selected = 1
    assert e.picture.together == [2] and "the other points of element H, 1 in all" in e.status.value
    e.selected = None
    assert e.picture.together == []
    with pytest.raises(ValueError, match="no column 'depth'"):
        linked(together="depth")


def test_axes_without_meaning_carry_no_numbers():
    with_numbers, without = (
        maps.draw(XY, TABLE.element, numbers=numbers).axes[0].get_xticks() for numbers in (True, False)
    )
    assert len(with_numbers) > 1 and len(without) == 0
    assert linked().picture.png != linked(numbers=False).picture.png


def test_points_lie_where_the_picture_has_them_and_colours_follow_the_menu():
    e = linked(columns=["height", "element"])
    assert e.colour.options == ("height", "element") and "coloured by height (Å)" in e.picture.alt
    assert e.picture.names[2:4] == ["2: height no value", "3: height 1.5 Å"]
    before, points = e.picture.png, np.array(e.picture.points)
    assert (points > 0).all() and (points < [e.picture.width, e.picture.height]).all()
    steps = np.linalg.lstsq(np.column_stack([XY, np.ones(5)]), points, rcond=None)[0]
    assert np.allclose(np.column_stack([XY, np.ones(5)]) @ steps, points, atol=0.2)  # linear
    assert steps[0, 0] > 50 and steps[1, 1] < -50 and abs(steps[0, 1]) < 0.2  # x to the right, y upwards
    shot = Image.open(io.BytesIO(e.picture.png)).convert("RGB").resize((e.picture.width, e.picture.height))
    assert (
        shot.getpixel(tuple(points[4].round().astype(int).tolist()))[2] < 110
    )  # yellow, where the largest value is
    e.colour.value = "element"
    assert e.picture.png != before and e.picture.names[3] == "3: element Na"
