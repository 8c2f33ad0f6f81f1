"""Pixels and alternative texts: what a notebook shows, and what it keeps."""

import base64
import io

import ipywidgets
import numpy as np
from PIL import Image

from mlms_helpers import plots, rendering

VIEW = "application/vnd.jupyter.widget-view+json"


def test_show_puts_the_picture_and_its_text(shown):
    assert plots.show(plots.histogram([1, 2, 3]), "Three <values>\n alike") is None
    (data, meta), (words, _) = shown
    assert (
        meta["image/png"]["alt"] == "Three <values> alike"
        and data["text/plain"] == "picture: Three <values> alike"
    )
    assert "Three &lt;values&gt; alike" in words["text/html"]
    assert len(data["image/png"]) < 60_000


def test_a_widget_leaves_its_picture_a_line_and_itself(shown):
    box = ipywidgets.VBox()
    rendering.show_widget(box, plots.png(plots.histogram([1, 2, 3])), "Three <values>.")
    (picture, meta), (line, _), (widget, _) = shown
    assert meta["image/png"]["alt"] == "Three <values>." and "image/png" in picture
    assert "Run this cell to use it." in line["text/html"] and "Three &lt;values&gt;." in line["text/html"]
    assert "mlms-saved-picture" in line["text/html"].split("</style>")[1]
    assert widget == {VIEW: {"version_major": 2, "version_minor": 0, "model_id": box.model_id}}
    assert "mlms-live" in box._dom_classes


def test_a_widget_without_a_picture_leaves_a_line_and_hides_nothing_else(shown):
    rendering.show_widget(ipywidgets.VBox(), None)
    (line, _), (widget, _) = shown
    assert "Run this cell" in line["text/plain"] and set(widget) == {VIEW}
    assert "mlms-saved-picture" not in line["text/html"].split("</style>")[1]


def test_texts_are_described_as_they_are_read():
    assert rendering.describe(plots.histogram([1, 2], label="price of $5", title="$5 and $6")) == (
        "Figure: $5 and $6: count against price of $5 (eV)."
    )


def test_stored_picture_keeps_its_colours():
    fig = plots.histogram([1, 2, 3])
    data, _ = rendering.bundle(fig, "x")
    small = np.asarray(Image.open(io.BytesIO(base64.b64decode(data["image/png"]))).convert("RGB"), int)
    whole = np.asarray(Image.open(io.BytesIO(plots.png(fig))).convert("RGB"), int)
    assert small.shape == whole.shape and np.abs(small - whole).mean() < 0.5 and (small[0, 0] == 255).all()


def pixels(png):
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)


def test_redraw_gives_the_same_picture_and_makes_room_where_it_must():
    def figure(n):
        return plots.history(np.exp(-np.arange(1, n) / 9), label="training")

    def wide():
        return plots.histogram([1, 2], label="a much longer\nlabel\nin four\nlines")

    first, layout = rendering.redraw(figure(20))
    np.testing.assert_array_equal(pixels(first), pixels(plots.png(figure(20))))
    again, kept = rendering.redraw(figure(20), layout)
    np.testing.assert_array_equal(pixels(first), pixels(again))
    assert kept is layout and rendering.size(first) == rendering.size(again)
    larger, other = rendering.redraw(wide(), layout)
    np.testing.assert_array_equal(pixels(larger), pixels(plots.png(wide())))
    assert other is not layout
