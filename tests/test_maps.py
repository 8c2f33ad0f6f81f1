"""Maps without a browser: set `.selected`, read `.atoms`."""

import io
import time
import warnings

import numpy as np
import pandas as pd
import pytest
from ase.build import bulk, molecule
from PIL import Image

from mlms_helpers import maps

RNG = np.random.default_rng(0)
BLOBS = np.concatenate([RNG.normal(size=(40, 6)), RNG.normal(size=(40, 6)) + 12])
STRUCTURES = [molecule("H2O"), bulk("NaCl", "rocksalt", a=5.64, cubic=True)]
TABLE = pd.DataFrame({"structure": [0, 0, 0, 1, 1], "atom": [0, 1, 2, 3, 5], "element": ["O", "H", "H", "Na", "Na"],
                      "height": [0.12, 0.6, np.nan, 1.5, 2.0]})
XY = np.array([[0.0, 0], [1, 0], [0, 1], [2, 2], [3, 1]])


def explorer(**settings):
    return maps.explorer(XY, TABLE, STRUCTURES, **{"units": {"height": "Å"}, "axes": ("PC 1", "PC 2"), **settings})


def test_pca_is_an_orthogonal_turn_of_the_centred_points():
    scores, components, share = maps.pca(BLOBS, n=6)
    assert np.allclose(components @ components.T, np.eye(6)) and np.isclose(share.sum(), 1)
    assert np.allclose(scores @ components, BLOBS - BLOBS.mean(axis=0))
    assert np.allclose(scores.var(axis=0) / BLOBS.var(axis=0).sum(), share) and (np.diff(share) <= 0).all()
    values = np.linalg.eigvalsh(np.cov(BLOBS.T))[::-1]
    assert np.allclose(values / values.sum(), share)


def test_pca_has_one_sign_whatever_the_order_of_rows():
    order = RNG.permutation(len(BLOBS))
    assert np.allclose(maps.pca(BLOBS)[0][order], maps.pca(BLOBS[order])[0])
    _, components, _ = maps.pca(BLOBS, 4)
    assert (components[np.arange(4), np.abs(components).argmax(axis=1)] > 0).all()


def test_umap_keeps_blobs_apart_repeats_itself_and_leaves_warnings_alone():
    filters = list(warnings.filters)
    start = time.perf_counter()
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        xy = maps.umap(BLOBS)
    print(f"first UMAP of this process: {time.perf_counter() - start:.1f} s")
    assert said == [] and warnings.filters == filters
    assert xy.shape == (80, 2) and xy.dtype == float
    middle = xy[:40].mean(axis=0), xy[40:].mean(axis=0)
    wide = [np.linalg.norm(xy[k:k + 40] - m, axis=1).mean() for k, m in zip((0, 40), middle)]
    assert np.linalg.norm(middle[0] - middle[1]) > 2 * max(wide)
    assert (maps.umap(BLOBS) == xy).all() and (maps.umap(BLOBS, seed=1) != xy).any()
    assert (maps.umap(BLOBS, start="random") != xy).any() and (maps.umap(BLOBS, min_distance=0.8) != xy).any()


def test_quality_of_a_perfect_and_of_a_random_map():
    flat = RNG.normal(size=(300, 2))
    assert maps.trustworthiness(flat, flat) == 1 == maps.neighbours_kept(flat, 3 * flat)
    noise = RNG.normal(size=(300, 2))
    assert abs(maps.trustworthiness(flat, noise) - 0.5) < 0.1
    assert abs(maps.neighbours_kept(flat, noise, neighbours=15) - 15 / 300) < 0.03
    # by hand: on the line 0 1 2 3 the nearest neighbour of the last two is swapped on the map
    line, drawn = np.array([[0.0, 0], [1, 0], [2.1, 0], [9, 0]]), np.array([[0.0, 0], [1, 0], [9, 0], [2.1, 0]])
    assert maps.neighbours_kept(line, drawn, neighbours=1) == 0.5


@pytest.mark.parametrize("call, part", [
    (lambda: maps.pca(BLOBS, 7), "7 components"),
    (lambda: maps.pca(np.ones((5, 3))), "one place"),
    (lambda: maps.pca([[1, np.nan], [2, 3]]), "point 0 holds"),
    (lambda: maps.pca([1, 2, 3]), "rows of a table"),
    (lambda: maps.umap(BLOBS, neighbours=80), "from 2 to 79"),
    (lambda: maps.umap(BLOBS, start="spectral"), "'pca' or 'random'"),
    (lambda: maps.trustworthiness(BLOBS, BLOBS[:, :2], 40), "below half"),
    (lambda: maps.neighbours_kept(BLOBS, BLOBS[:9]), "has 9 points"),
    (lambda: maps.neighbours_kept(BLOBS, BLOBS, 80), "from 1 to 79"),
    (lambda: maps.draw(XY, [1, 2]), "2 values for 5 points"),
    (lambda: maps.draw(XY, [np.nan] * 5), "no number to colour by"),
    (lambda: maps.draw(BLOBS, np.zeros(80)), "2 columns"),
    (lambda: maps.explorer(XY[:4], TABLE, STRUCTURES), "5 rows for 4 points"),
    (lambda: maps.explorer(XY, TABLE, STRUCTURES[:1]), "atom 3 of structure 1"),
    (lambda: explorer(columns=["depth"]), "no column 'depth'"),
    (lambda: maps.explorer(XY, TABLE.drop(columns="atom"), STRUCTURES), "no column 'atom'"),
    (lambda: explorer(columns=[]), "no column to colour by"),
])
def test_refusals_are_sentences(call, part):
    with pytest.raises(ValueError, match=part):
        call()


def test_numbers_get_a_colour_bar_with_unit_and_words_a_legend():
    figure = maps.draw(XY, TABLE.height, label="height", unit="Å", axes=("PC 1", "PC 2"))
    assert [ax.get_ylabel() for ax in figure.axes] == ["PC 2", "height (Å)"]
    legend = maps.draw(XY, TABLE.element, label="element").axes[0].get_legend()
    assert [text.get_text() for text in legend.texts] == ["H (2)", "Na (2)", "O (1)"]
    assert legend.get_title().get_text() == "element"
    many = maps.draw(BLOBS[:, :2], [f"family {k // 2}" for k in range(80)], label="family")
    assert many.axes[0].get_legend() is None and len(many.axes[0].collections) == 40


def test_a_picked_point_shows_its_atom():
    e = explorer()
    assert e.selected is None and e.atoms is STRUCTURES[0] and repr(e) == "map of 5 points beside a structure view"
    e.selected = 3
    assert e.atoms is STRUCTURES[1] and e.view.picked == 3 and e.picture.selected == 3
    assert "Point 3: element Na, height 1.5 Å" in e.status.value and "Point 3 of the map" in e.view.status.value
    assert "marked: atom 3" in e.view._alt
    e.selected = 1
    assert e.atoms is STRUCTURES[0] and e.view.picked == 1
    e.selected = None
    assert e.picture.selected is None
    with pytest.raises(ValueError, match="points 0 to 4"):
        e.selected = 5


def test_a_picked_atom_marks_its_point():
    e = explorer()
    e.selected = 3
    e.view.pick(5)
    assert e.selected == 4 == e.picture.selected and e.view.picked == 5 and "marked: atom 5" in e.view._alt
    e.view.pick(0)
    assert e.selected == 4 and e.view.picked == 0 and "not on the map" in e.view.status.value


def test_a_pick_in_the_picture_and_by_number():
    e = explorer()
    e.picture.selected = 4                          # what the browser does
    assert e.selected == 4 and e.view.picked == 5
    e.number.value = "2"
    assert e.selected == 2 and e.view.picked == 2
    e.number.value = "9"
    assert e.selected == 2 and "0 to 4" in e.status.value


def test_points_lie_where_the_picture_has_them_and_colours_follow_the_menu():
    e = explorer(columns=["height", "element"])
    assert e.colour.options == ("height", "element") and "coloured by height (Å)" in e.picture.alt
    assert e.picture.names[2:4] == ["2: height no value", "3: height 1.5 Å"]
    before, points = e.picture.png, np.array(e.picture.points)
    assert (points > 0).all() and (points < [e.picture.width, e.picture.height]).all()
    steps = np.linalg.lstsq(np.column_stack([XY, np.ones(5)]), points, rcond=None)[0]
    assert np.allclose(np.column_stack([XY, np.ones(5)]) @ steps, points, atol=0.2)          # linear
    assert steps[0, 0] > 50 and steps[1, 1] < -50 and abs(steps[0, 1]) < 0.2                # x to the right, y upwards
    shot = Image.open(io.BytesIO(e.picture.png)).convert("RGB").resize((e.picture.width, e.picture.height))
    assert shot.getpixel(tuple(points[4].round().astype(int).tolist()))[2] < 110            # yellow, where the largest value is
    e.colour.value = "element"
    assert e.picture.png != before and e.picture.names[3] == "3: element Na"
    data, meta = e._repr_mimebundle_()
    assert "image/png" in data and "coloured by element" in meta["image/png"]["alt"]
    assert "application/vnd.jupyter.widget-view+json" in data


def test_points_at_one_place_have_no_direction():
    with pytest.raises(ValueError, match="at one place"):
        maps.pca(np.full((7, 3), 0.1))
