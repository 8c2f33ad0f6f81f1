"""Projections and pictures of them."""

import time
import warnings

import matplotlib
import numpy as np
import pandas as pd
import pytest

from mlms_helpers import maps, plots, rendering

RNG = np.random.default_rng(0)
BLOBS = np.concatenate([RNG.normal(size=(40, 6)), RNG.normal(size=(40, 6)) + 12])
TABLE = pd.DataFrame({"element": ["O", "H", "H", "Na", "Na"], "height": [0.12, 0.6, np.nan, 1.5, 2.0]})
XY = np.array([[0.0, 0], [1, 0], [0, 1], [2, 2], [3, 1]])


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
    wide = [np.linalg.norm(xy[k : k + 40] - m, axis=1).mean() for k, m in zip((0, 40), middle, strict=True)]
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
    line, drawn = (
        np.array([[0.0, 0], [1, 0], [2.1, 0], [9, 0]]),
        np.array([[0.0, 0], [1, 0], [9, 0], [2.1, 0]]),
    )
    assert maps.neighbours_kept(line, drawn, neighbours=1) == 0.5


@pytest.mark.parametrize(
    "call, part",
    [
        (lambda: maps.pca(BLOBS, 7), "7 components"),
        (lambda: maps.pca(np.ones((5, 3))), "one place"),
        (lambda: maps.pca([[1, np.nan], [2, 3]]), "point 0 holds"),
        (lambda: maps.pca([1, 2, 3]), "rows of a table"),
        (lambda: maps.umap(BLOBS, neighbours=80), "from 2 to 79"),
        (lambda: maps.umap(BLOBS, neighbours=7.5), "whole number"),
        (lambda: maps.umap(BLOBS, start="spectral"), "'pca' or 'random'"),
        (lambda: maps.trustworthiness(BLOBS, BLOBS[:, :2], 40), "below half"),
        (lambda: maps.neighbours_kept(BLOBS, BLOBS[:9]), "has 9 points"),
        (lambda: maps.neighbours_kept(BLOBS, BLOBS, 80), "from 1 to 79"),
        (lambda: maps.draw(XY, [1, 2]), "2 values for 5 points"),
        (lambda: maps.draw(XY, [np.nan] * 5), "no number to colour by"),
        (lambda: maps.draw(XY, [np.inf] * 5), "no number to colour by"),
        (lambda: maps.draw(BLOBS, np.zeros(80)), "2 columns"),
    ],
)
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


def test_points_at_one_place_have_no_direction():
    with pytest.raises(ValueError, match="at one place"):
        maps.pca(np.full((7, 3), 0.1))


def drawn(figure):
    """How many points a figure shows."""
    return sum(len(dots.get_offsets()) for dots in figure.axes[0].collections)


def shown(figure, text):
    """Whether a legend shows exactly this, letter by letter."""
    found = [
        t for t in figure.axes[0].get_legend().texts if t._preprocess_math(t.get_text()) == (text, False)
    ]
    return len(found) == 1


def entries(figure):
    return [text.get_text() for text in figure.axes[0].get_legend().texts]


@pytest.mark.parametrize(
    "values",
    [
        [np.inf, -np.inf, np.nan, 1.0, 2.0],
        pd.array([None, None, None, 1, 2], dtype="Int64"),
        pd.Series([None, None, None, 1.0, 2.0], dtype="Float64", index=[9, 8, 7, 6, 5]),
        np.array([None, None, None, 1, 2.0], dtype=object),
        np.ma.masked_array([5, 5, 5, 1, 2], [True, True, True, False, False]),
    ],
)
def test_a_point_without_a_number_is_grey_and_numbers_stay_numbers(values):
    figure = maps.draw(XY, values, label="value", unit="eV")
    grey, coloured = figure.axes[0].collections
    assert grey.get_offsets().tolist() == XY[:3].tolist() and coloured.get_array().tolist() == [1, 2]
    assert matplotlib.colors.to_hex(grey.get_facecolor()[0]) == rendering.BLANK
    assert figure.axes[1].get_ylabel() == "value (eV)" and plots.png(figure)


@pytest.mark.parametrize(
    "values",
    [
        [None, "a", "b", None, "b"],
        pd.Series([None, "a", "b", None, "b"], dtype="str"),
        pd.Series([None, "a", "b", None, "b"], dtype="string"),
        pd.Categorical([None, "a", "b", None, "b"]),
    ],
)
def test_a_point_without_a_word_is_grey_and_named(values):
    figure = maps.draw(XY, values)
    assert drawn(figure) == 5 and entries(figure) == ["no value (2)", "a (1)", "b (2)"]


def test_words_come_in_their_own_order_and_as_they_are_written():
    assert entries(maps.draw(XY, ["y10", "y2", "_y1", "y2", "y2"])) == ["_y1 (1)", "y2 (3)", "y10 (1)"]
    steps = pd.Categorical(
        ["low", "high", "mid", "low", "low"], categories=["low", "mid", "high"], ordered=True
    )
    assert entries(maps.draw(XY, steps)) == ["low (3)", "mid (1)", "high (1)"]
    assert entries(maps.draw(XY, [True, False, True, True, True])) == ["False (1)", "True (4)"]
    figure = maps.draw(
        XY, ["b$_$", "$5", "$6", "$5 and $6", "c"], label="$_$", axes=("$_$", "$^$"), title="$_$"
    )
    assert shown(figure, "$5 and $6 (1)") and plots.png(figure)


def test_what_is_masked_is_no_point():
    x = np.random.default_rng(0).normal(size=(9, 3))
    with pytest.raises(ValueError, match="masked"):
        maps.pca(np.ma.array(x, mask=x > 1))


@pytest.mark.parametrize("settings", [{"min_distance": d} for d in (-1, 2, np.nan, "a")] + [{"seed": 1.5}])
def test_settings_of_a_map_that_cannot_be(settings):
    with pytest.raises(ValueError, match="must be a"):
        maps.umap(np.random.default_rng(0).normal(size=(30, 3)), neighbours=5, **settings)
    for n in (1.5, "a"):
        with pytest.raises(ValueError, match="whole number"):
            maps.pca(np.eye(4), n)
        with pytest.raises(ValueError, match="whole number"):
            maps.neighbours_kept(np.eye(4), np.eye(4)[:, :2], n)
