"""Structure views without a browser."""

import sys

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule

from mlms_helpers import plots, views

WATER = molecule("H2O")
SALT = bulk("NaCl", "rocksalt", a=5.64, cubic=True)
SKEW = bulk("Si")


@pytest.mark.parametrize(
    "atoms",
    [WATER, SALT, SKEW, Atoms("Li"), Atoms("N2", [[0, 0, 0], [0, 0, 1.1]], cell=[5, 0, 0], pbc=[1, 0, 0])],
)
def test_view_and_picture_of_any_structure(atoms, shown):
    view = views.structure(atoms)
    assert repr(view) == f"structure view: {atoms.get_chemical_formula()}, {len(atoms)} atoms"
    view._ipython_display_()
    (picture, meta), (line, _), (widget, _) = shown
    assert repr(view)[1:] in line["text/plain"] and list(widget) == [
        "application/vnd.jupyter.widget-view+json"
    ]
    assert len(picture["image/png"]) < 100_000 and "atoms" in meta["image/png"]["alt"]
    assert plots.png(views.static(atoms)) == plots.png(views.static(atoms))


def test_what_nglview_gets_is_the_structure():
    text = views._pdb(SKEW, [1, 2])
    rows = [line for line in text.splitlines() if line.startswith("ATOM")]
    assert np.allclose(
        [[float(row[c : c + 8]) for c in (30, 38, 46)] for row in rows], SKEW.positions, atol=1e-3
    )
    assert [row[76:78].strip().title() for row in rows] == ["Si", "Si"]
    assert [float(row[60:66]) for row in rows] == [1, 2]


def test_cell_edges():
    edges = views._edges(SKEW)
    assert edges.shape == (12, 2, 3)
    lengths = np.linalg.norm(edges[:, 1] - edges[:, 0], axis=1)
    assert np.allclose(np.sort(lengths), np.sort(np.repeat(SKEW.cell.lengths(), 4)))
    assert len(views._edges(WATER)) == 0


@pytest.mark.parametrize("atoms", [WATER, SALT, SKEW, Atoms("Li")])
def test_camera_sees_everything(atoms):
    from scipy.spatial.transform import Rotation

    centre, quaternion, distance = views._camera(atoms, (700, 420))
    points = np.concatenate([atoms.positions, views._edges(atoms).reshape(-1, 3)]) - centre
    x, y, z = (
        Rotation.from_quat(quaternion).apply(points).T
    )  # the camera stands at z = -distance and looks along z
    slope = np.tan(views._VISION / 2) * (distance + z)
    assert (np.abs(y) < slope).all() and (np.abs(x) < slope * 700 / 420).all()


def test_a_pick_reaches_python():
    view, seen = views.structure(SALT), []
    view.on_pick(seen.append).on_pick(lambda i: f"site <{i}>")
    view.three_d.picked = {"atom1": {"index": 3}, "component": 0}
    assert view.picked == 3 and seen == [3]
    assert f"atom 3: {SALT.symbols[3]}" in view.status.value and "site &lt;3&gt;" in view.status.value
    view.three_d.picked = {}
    view.three_d.picked = {"bond": {}, "atom1": {"index": 1}, "atom2": {"index": 2}}
    assert view.picked == 3 and "bond" in view.status.value
    view.three_d.picked = {"component": 1}
    view.three_d.picked = {}
    view.three_d.picked = {"atom1": {"index": 3}}
    assert seen == [3, 3]


def test_a_pick_by_keyboard_and_a_failing_callback():
    view = views.structure(SALT)
    assert view.number.layout.display == "none"
    view.on_pick(lambda i: 1 / 0)
    assert view.number.layout.display is None
    view.number.value = "2"
    assert view.picked == 2 and "ZeroDivisionError" in view.status.value
    view.number.value = "8"
    assert view.picked == 2 and "0 to 7" in view.status.value
    with pytest.raises(ValueError, match="no atom -1"):
        view.pick(-1)


def test_without_nglview_the_picture_and_the_reason_are_shown(monkeypatch):
    monkeypatch.setitem(sys.modules, "nglview", None)
    view = views.structure(SALT).on_pick(lambda i: None)
    assert view.three_d is None
    picture = view.children[0]
    assert "nglview" in picture.children[0].value and bytes(picture.children[1].value).startswith(b"\x89PNG")
    view.number.value = "1"
    assert view.picked == 1


def test_another_structure_takes_the_place_of_the_first():
    view, seen = views.structure(SALT, highlight=[1]), []
    view.on_pick(seen.append).pick(7)
    widget, first = view.three_d, view._picture
    view.show(SALT, highlight=[2])  # only the halo moves: the reader's angle of view stays
    assert widget._ngl_msg_archive[-1]["methodName"] == "setSelection" and "marked: atom 2" in view._alt
    view.show(WATER)
    assert view.three_d is widget and view.atoms is WATER and view.picked is None and view.status.value == ""
    assert view._picture != first and "H2O" in repr(view) and view.number.placeholder == "0 to 2"
    loads = [
        message["args"][0]["data"]
        for message in widget._ngl_msg_archive
        if message["methodName"] == "loadFile"
    ]
    assert loads == [views._pdb(WATER, [0, 1, 1])] and len(widget._ngl_component_ids) == 1
    assert [m["methodName"] for m in widget._ngl_msg_archive[: view._scene._set_up]] == [
        "setParameters",
        "executeCode",
    ]
    with pytest.raises(ValueError, match="0 to 2"):
        view.show(WATER, highlight=[3])
    view.pick(2)
    assert seen == [7, 2]


def test_legend_and_words():
    words = views._words(SALT, [1, 2], None, "", "")
    assert words == "Structure view: Cl4Na4, 8 atoms, in a cell of 5.64 by 5.64 by 5.64 Å; marked: atom 1, 2."
    legend = views._legend(SALT, [], np.arange(8.0), "charge <q>", "e")
    assert "charge &lt;q&gt;: 0.00" in legend and "7.00 e" in legend


@pytest.mark.parametrize(
    "call, part",
    [
        (lambda: views.structure(Atoms()), "no atoms"),
        (lambda: views.structure(Atoms("H", [[np.nan, 0, 0]])), "not a number"),
        (lambda: views.structure(WATER, highlight=[3]), "0 to 2"),
        (lambda: views.structure(WATER, colours=[1, 2]), "each of the 3 atoms"),
        (lambda: views.static(WATER, colours=[np.nan] * 3), "holds no number"),
    ],
)
def test_refusals_are_sentences(call, part):
    with pytest.raises(ValueError, match=part):
        call()


def test_colours_on_one_scale():
    """Two views to be compared take the ends of their colours from outside; what lies beyond has an end's."""
    numbers, look = views._scheme(SALT, np.arange(8.0), (2, 4))
    assert numbers.tolist() == [0, 0, 0, 45, 90, 90, 90, 90] and look["color_domain"] == [0, 90]
    legend = views._legend(SALT, [], np.arange(8.0), "depth", "eV", (2, 4))
    assert "2.00" in legend and "4.00" in legend and "7.00" not in legend
    same = views._shades(np.array([3.0]), (2, 4)), views._shades(np.array([2.0, 3.0, 4.0]), None)[1:2]
    assert same[0] == same[1]


def test_views_beside_each_other(capsys):
    both = [views.structure(atoms, size=(300, 200)) for atoms in (WATER, SALT)]
    row = views.beside(both, ["water", "salt <1>"])
    assert row.views == both and "water; salt <1>" in repr(row)
    assert "salt &lt;1&gt;" in row.children[1].children[0].value
    picture = views.rendering.stacked([view._picture for view in both])
    sizes = [views.rendering.size(view._picture) for view in both]
    wide, high = views.rendering.size(picture)
    assert wide == max(w for w, _ in sizes) and abs(high - sum(h for _, h in sizes)) <= 1
    with pytest.raises(ValueError, match="2 views need as many titles, not 1"):
        views.beside(both, ["water"])


@pytest.mark.parametrize("limits", [(2, 1), (1, 1), (np.nan, 1), (0, np.inf), (1,), 3])
def test_limits_that_are_none(limits):
    atoms = Atoms("HO", [[0, 0, 0], [0, 0, 1]])
    with pytest.raises(ValueError, match="limits must be two numbers"):
        views.static(atoms, colours=[1.0, 2.0], limits=limits)
    with pytest.raises(ValueError, match="limits must be two numbers"):
        views.structure(atoms, colours=[1.0, 2.0], limits=limits)


def test_what_is_no_structure_or_no_view_is_said():
    with pytest.raises(ValueError, match="one structure"):
        views.static([Atoms("H")])
    with pytest.raises(ValueError, match="at least one"):
        views.beside([], [])
    with pytest.raises(ValueError, match="views of"):
        views.beside([Atoms("H")], ["a"])
