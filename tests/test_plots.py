"""Figures: the same bytes twice, nothing left behind, no text on top of text, and refusals in words."""

import io
import subprocess
import sys

import matplotlib
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from mlms_helpers import levels, plots, rendering

TRUE = np.random.default_rng(0).normal(1, 0.5, 60)
SEEDS = np.random.default_rng(1).uniform(0.4, 0.6, (4, 5))
EPOCHS = np.arange(1, 101)


FIGURES = [
    lambda: plots.parity(TRUE, TRUE + 0.1),
    lambda: plots.parity(TRUE, TRUE + 0.1, uncertainty=np.full(60, 0.1), groups=["thermal, 600 K", "y = 1", "y = 2"] * 20),
    lambda: plots.parity([1.0], [1.0]),
    lambda: plots.history(np.exp(-EPOCHS / 20), np.exp(-EPOCHS / 20) + 0.1, unit="eV²"),
    lambda: plots.history([1.0, 0.5]),
    lambda: plots.history([1e4, 1e-3], [1e4, np.nan]),
    lambda: plots.learning_curve([20, 40, 80, 160], SEEDS,
                               baselines={"mean": 0.66, "number of Li": 0.65, "Madelung potential": 0.45}),
    lambda: plots.learning_curve([10, 100, 1000], {"line": [0.5, 0.5, 0.5], "network": [0.9, 0.51, 0.2]}),
    lambda: plots.bars({"mean of the training set": (0.66, 0.08), "network": (0.2, 0.0)}, title="Half the error"),
    lambda: plots.histogram({"y = 1": TRUE, "y = 2": TRUE + 1}, title="Levels"),
    lambda: plots.histogram(TRUE),
    lambda: levels.draw([0.4, 1.2, 2.5], [0.3, 0.3, 0.3], names=["atom 40", "atom 52", "atom 58"], true=[0.5, 1.0, 2.9], title="Three traps"),
    lambda: levels.draw([1.2]),
    lambda: levels.draw(np.linspace(-0.4, 3, 64), np.full(64, 0.3)),
]


@pytest.mark.parametrize("make", FIGURES)
def test_figure_is_deterministic_small_labelled_and_no_text_overlaps(make):
    fig = make()
    data = plots.png(fig)
    assert data == plots.png(make())
    assert b"Software" not in data and len(data) < 150_000
    axes = fig.axes[0]
    assert axes.get_xlabel()
    assert rendering.size(data) == tuple((fig.get_size_inches() * 100).round())
    canvas = FigureCanvasAgg(fig)
    canvas.draw()
    texts = [t for t in fig.findobj(matplotlib.text.Text) if t.get_visible() and t.get_text().strip()]
    boxes = [t.get_window_extent(canvas.get_renderer()).shrunk(0.95, 0.8) for t in texts]
    page = fig.bbox
    for k, box in enumerate(boxes):
        if box.width == 0:
            continue
        if not any(texts[k] in axis.get_ticklabels() for axis in (axes.xaxis, axes.yaxis)):
            assert box.x0 >= page.x0 and box.x1 <= page.x1 and box.y0 >= page.y0 and box.y1 <= page.y1, texts[k].get_text()
        for other in range(k):
            overlap = matplotlib.transforms.Bbox.intersection(box, boxes[other])
            assert overlap is None or overlap.width * overlap.height == 0 or texts[k].get_text() == texts[other].get_text(), \
                (texts[k].get_text(), texts[other].get_text())


def test_import_changes_no_setting_and_draws_without_pyplot():
    code = ("import matplotlib, sys; before = matplotlib.rcParams.copy(); from mlms_helpers import plots, rendering; "
            "assert matplotlib.rcParams.copy() == before; plots.png(plots.histogram([1, 2, 3])); "
            "assert matplotlib.rcParams.copy() == before; assert 'matplotlib.pyplot' not in sys.modules")
    subprocess.run([sys.executable, "-c", code], check=True)


def test_parity_states_the_error_and_follows_groups():
    fig = plots.parity([0, 1, 2], [0, 1, 5], groups=["a", "b", "a"])
    assert fig.axes[0].get_title(loc="left") == "RMSE 1.73 eV over 3 samples"
    assert [t.get_text() for t in fig.axes[0].get_legend().get_texts()] == ["a", "b"]


def test_history_marks_the_lowest_validation_loss():
    fig = plots.history([3, 2, 1], [3, 1.5, 2], unit="eV²")
    assert "lowest: 1.50 eV², epoch 2" in [t.get_text() for t in fig.axes[0].get_legend().get_texts()]


def test_bars_take_a_table():
    import pandas as pd
    table = pd.DataFrame({"mean": [1.0, 2.0], "half_width": [0.1, 0.2]}, index=["a", "b"])
    fig = plots.bars(table)
    assert [t.get_text() for t in fig.axes[0].texts] == ["1.00 ± 0.10", "2.00 ± 0.20"]
    fig = plots.bars({"a": (0.434, 0.002), "b": (0.5, 0.0)})
    assert [t.get_text() for t in fig.axes[0].texts] == ["0.434 ± 0.002", "0.500"]
    assert plots.bars({"a": (0.0031, 0.0004)}).axes[0].texts[0].get_text() == "0.0031 ± 0.0004"


@pytest.mark.parametrize("call, part", [
    (lambda: plots.parity([], []), "empty"),
    (lambda: plots.parity([1, 2], [1]), "predicted has 1"),
    (lambda: plots.parity([1, np.nan], [1, 2]), "not a number"),
    (lambda: plots.parity([1, 2], [1, 2], groups=["a"]), "groups has 1"),
    (lambda: plots.bars({}), "nothing to draw"),
    (lambda: plots.histogram({}), "nothing to draw"),
    (lambda: plots.learning_curve([1, 2], [[1], [2], [3]]), "errors has 3"),
    (lambda: plots.show(Figure(), " "), "alternative text"),
])
def test_refusals_are_sentences(call, part):
    with pytest.raises(ValueError, match=part):
        call()


def test_show_puts_the_picture_and_its_text(monkeypatch):
    import IPython.display
    shown = []
    monkeypatch.setattr(IPython.display, "display", lambda data, **k: shown.append((data, k.get("metadata"))))
    assert plots.show(plots.histogram([1, 2, 3]), "Three <values>\n alike") is None
    (data, meta), (words, _) = shown
    assert meta["image/png"]["alt"] == "Three <values> alike" and data["text/plain"] == "picture: Three <values> alike"
    assert "Three &lt;values&gt; alike" in words["text/html"]
    assert len(data["image/png"]) < 60_000


def test_stored_picture_keeps_its_colours():
    import base64
    import io
    fig = plots.histogram([1, 2, 3])
    data, _ = rendering.bundle(fig, "x")
    small = np.asarray(Image.open(io.BytesIO(base64.b64decode(data["image/png"]))).convert("RGB"), int)
    whole = np.asarray(Image.open(io.BytesIO(plots.png(fig))).convert("RGB"), int)
    assert small.shape == whole.shape and np.abs(small - whole).mean() < 0.5 and (small[0, 0] == 255).all()


def pixels(png):
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)


def test_redraw_gives_the_same_picture_and_makes_room_where_it_must():
    figure = lambda n, label="training": plots.history(np.exp(-np.arange(1, n) / 9), label=label)
    first, layout = rendering.redraw(figure(20))
    np.testing.assert_array_equal(pixels(first), pixels(plots.png(figure(20))))
    again, kept = rendering.redraw(figure(20), layout)
    np.testing.assert_array_equal(pixels(first), pixels(again))
    assert kept is layout and rendering.size(first) == rendering.size(again)
    wide = lambda: plots.histogram([1, 2], label="a much longer\nlabel\nin four\nlines")
    larger, other = rendering.redraw(wide(), layout)
    np.testing.assert_array_equal(pixels(larger), pixels(plots.png(wide())))
    assert other is not layout
