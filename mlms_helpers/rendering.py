"""Pictures: the look of the course's figures, their pixels, and their alternative text.

`style` sets matplotlib for a `with` block, `png`, `redraw` and `bundle` make the bytes, `show` puts a figure
into the notebook.  None of them uses pyplot, so nothing is shown twice and no figure stays open.
"""

import base64
import contextlib
import html
import io
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter
from numpy.typing import ArrayLike
from PIL import Image

if TYPE_CHECKING:
    from ipywidgets import DOMWidget

# Okabe and Ito, https://jfly.uni-koeln.de/color/
PALETTE = {
    "blue": "#0072B2",
    "orange": "#E69F00",
    "green": "#009E73",
    "vermillion": "#D55E00",
    "sky": "#56B4E9",
    "purple": "#CC79A7",
    "yellow": "#F0E442",
    "black": "#000000",
}
GREY = "#666666"
BLANK = "#cfcfcf"  # a point or an atom without a number, where the others have one
DOTS = 130  # an inch of a picture, which is shown as 100 pixels
CYCLE = list(PALETTE.values())
MARKERS = "osD^vP*X"
LINES = ["-", "--", "-.", ":"]
_SAVED = (Path(__file__).parent / "browser" / "saved.css").read_text("utf-8")
_LOOK = {
    "figure.figsize": (7.2, 4.4),
    "figure.dpi": 100,
    "savefig.dpi": DOTS,
    "figure.facecolor": "white",
    "figure.constrained_layout.use": True,
    "font.size": 13,
    "axes.titlesize": 14,
    "axes.labelsize": 13,
    "axes.titlelocation": "left",
    "legend.fontsize": 12,
    "legend.framealpha": 0.85,
    "xtick.labelsize": 12,
    "ytick.labelsize": 12,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#dddddd",
    "axes.axisbelow": True,
    "lines.linewidth": 2,
    "lines.markersize": 6,
    "axes.formatter.useoffset": False,
    "axes.prop_cycle": matplotlib.cycler(color=CYCLE),
}


@contextlib.contextmanager
def style() -> Iterator[None]:
    """Matplotlib settings of the course, for a `with` block: they end where it ends."""
    with matplotlib.rc_context(_LOOK):
        yield


def axis_label(text: str, unit: str = "") -> str:
    """What an axis shows, with its unit in brackets where it has one, for matplotlib."""
    return as_written(f"{text} ({unit})" if unit else text)


def as_written(text: str) -> str:
    """Text for matplotlib, which shows it letter by letter: a dollar sign begins no formula."""
    return str(text).replace("$", r"\$")


def short(value: float) -> str:
    """A number for a title: two decimals where they say enough, else two digits."""
    return f"{value:.2f}" if 0.095 <= abs(value) < 1000 or value == 0 else f"{value:.2g}"


def plain_ticks(axis: Axis) -> None:
    """0.1, 0.2, 0.5 on a logarithmic axis, and not powers of ten; few enough to be read."""
    low, high = sorted(axis.get_view_interval())
    # over more than two decades the powers of ten are enough
    span = high / low
    steps = (1,) if span > 100 else (1, 2, 5) if span > 4 else (1, 1.5, 2, 2.5, 3, 4, 5, 6, 7, 8, 9)
    tens = 10.0 ** np.arange(np.floor(np.log10(low)), np.ceil(np.log10(high)) + 1)
    ticks = [t for t in np.outer(tens, steps).ravel() if low <= t <= high]
    if len(ticks) > 1:
        axis.set_ticks(ticks)
        axis.set_ticks([], minor=True)
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def vector(values: ArrayLike, name: str, finite: bool = True) -> np.ndarray:
    """values as float64 [n]; ValueError, with their name, where there is none or one is not finite."""
    if isinstance(values, pd.Series):
        values = values.to_numpy(float, na_value=np.nan)
    values = np.ma.filled(np.ma.asarray(values, float), np.nan).ravel()
    if not len(values):
        raise ValueError(f"{name} is empty: there is nothing to draw")
    if finite and not np.isfinite(values).all():
        raise ValueError(f"{name} holds a value that is not a number")
    return values


def same_length(**arrays: ArrayLike | None) -> None:
    """ValueError, with their names, where arrays are not equally long; None is left out."""
    lengths = {name: len(values) for name, values in arrays.items() if values is not None}
    if len(set(lengths.values())) > 1:
        raise ValueError(
            "these must be equally long: " + ", ".join(f"{name} has {n}" for name, n in lengths.items())
        )


def png(fig: Figure) -> bytes:
    """The figure as the bytes of a PNG, 130 dots an inch; the same data give the same bytes."""
    buffer = io.BytesIO()
    with style():
        fig.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def redraw(fig: Figure, layout: tuple | None = None) -> tuple[bytes, tuple]:
    """`png`, in half the time, for a figure that takes the place of one like it: axes stand where its stood.

    fig: Figure.
    layout: what the call before returned; None the first time.  Where a text would be cut with that layout,
        a new one is made, as if it were the first time.

    Returns (bytes of a PNG, layout).
    """
    with style():
        kind = (*fig.get_size_inches(), *(ax.get_label() for ax in fig.axes))
        fig.set_dpi(DOTS)
        canvas = FigureCanvasAgg(fig)
        if layout and layout[0] == kind:
            engine = fig.get_layout_engine()
            fig.set_layout_engine("none")
            for ax, place in zip(fig.axes, layout[1], strict=True):
                ax.set_position(place)
            canvas.draw()
            box, spill = fig.get_tightbbox(canvas.get_renderer()), 0.02
            if (box.min < -spill).any() or (box.max > fig.get_size_inches() + spill).any():
                fig.set_layout_engine(engine)
                for ax in fig.axes:
                    ax.set_in_layout(True)  # set_position took it out
                layout = None
        else:
            layout = None
        if layout is None:
            canvas.draw()
            layout = kind, [ax.get_position() for ax in fig.axes]
        buffer = io.BytesIO()
        pixels = Image.frombuffer(
            "RGBA", canvas.get_width_height(), canvas.buffer_rgba(), "raw", "RGBA", 0, 1
        )
        pixels.convert("RGB").save(buffer, "PNG", compress_level=1)
    return buffer.getvalue(), layout


def describe(fig: Figure) -> str:
    """What a figure's own titles and axes say, as a sentence: the least an alternative text can be."""
    parts = []
    for ax in fig.axes:
        # a title may stand left, as ours do, or in the middle
        title = ax.get_title(loc="left") or ax.get_title()
        axes = " against ".join(s for s in (ax.get_ylabel(), ax.get_xlabel()) if s)
        parts.append(": ".join(s for s in (title, axes) if s))
    text = "; ".join(p for p in parts if p).replace(r"\$", "$") or "no title"
    return "Figure: " + " ".join(text.split()) + "."


def hidden(text: str, live: bool = False) -> str:
    """HTML that a screen reader reads and the eye does not see; live: also when it changes."""
    role = ' role="status" aria-live="polite"' if live else ""
    return (
        '<span style="position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%);'
        f'white-space:nowrap"{role}>{html.escape(text)}</span>'
    )


def show(fig: Figure | bytes, alt: str) -> None:
    """Put a figure into the notebook, as a PNG with alternative text, and close it.

    fig: Figure, or the bytes of a PNG.
    alt: what the picture says, in a sentence or two, for those who cannot see it.

    JupyterLab does not read the alternative text of an image; so it also follows as text for screen
    readers only.   Raises ValueError for an empty `alt`.
    """
    from IPython.display import display

    if not str(alt).strip():
        raise ValueError("a figure needs an alternative text: say in a sentence what it shows")
    alt = " ".join(str(alt).split())
    data, meta = bundle(fig, alt)
    display(data, metadata=meta, raw=True)
    display({"text/html": hidden(alt), "text/plain": alt}, raw=True)
    if "matplotlib.pyplot" in sys.modules and isinstance(fig, Figure):
        sys.modules["matplotlib.pyplot"].close(fig)


def show_widget(widget: "DOMWidget", picture: bytes | None, alt: str = "") -> None:
    """Put a widget into the notebook, and what stays of it where the notebook is opened without its kernel.

    widget: its `repr` names it for readers.
    picture: a PNG of what it shows now; None, where it shows none yet.
    alt: the picture in words.

    A saved notebook holds no widget, only where one was, and JupyterLab writes "model not found" there.  So
    three outputs are left: the picture, a line that says what it was, and the widget; the style beside that
    line shows either the two or the widget.  A page that takes no styles shows the two.
    """
    from IPython.display import display

    kind = "mlms-saved"
    if picture:
        data, meta = bundle(picture, alt)
        display(data, metadata=meta, raw=True)
        kind += " mlms-saved-picture"
    name = repr(widget)
    line = f"{name[:1].upper()}{name[1:]}. Run this cell to use it."
    text = f'<div class="{kind}" style="opacity:0.75">{html.escape(line)}{hidden(alt)}</div>'
    display({"text/html": f"<style>{_SAVED}</style>{text}", "text/plain": f"{line} {alt}".strip()}, raw=True)
    widget.add_class("mlms-live")
    view = "application/vnd.jupyter.widget-view+json"
    display({view: widget._repr_mimebundle_()[view]}, raw=True)


def bundle(picture: Figure | bytes, alt: str) -> tuple[dict, dict]:
    """MIME data and metadata of a picture (Figure, or the bytes of a PNG), as a notebook stores them."""
    data = png(picture) if isinstance(picture, Figure) else bytes(picture)
    width, height = size(data)
    small = io.BytesIO()  # 256 colours are enough: a third of the bytes
    whole = Image.open(io.BytesIO(data)).convert("RGB")
    whole.quantize(256, dither=Image.Dither.NONE).save(small, "PNG", optimize=True)
    return (
        {"image/png": base64.b64encode(small.getvalue()).decode(), "text/plain": f"picture: {alt}"},
        {"image/png": {"alt": alt, "width": width, "height": height}},
    )


def stacked(pictures: list[bytes]) -> bytes:
    """PNGs of `png` as one, each below the one before, on white."""
    images = [Image.open(io.BytesIO(data)).convert("RGB") for data in pictures]
    whole = Image.new("RGB", (max(i.width for i in images), sum(i.height for i in images)), "white")
    top = 0
    for image in images:
        whole.paste(image, (0, top))
        top += image.height
    data = io.BytesIO()
    whole.save(data, "PNG")
    return data.getvalue()


def size(data: bytes) -> tuple[int, int]:
    """Width and height at which a PNG of `png` is shown, in CSS pixels: 100 an inch."""
    pixels = int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")
    return tuple(round(n * 100 / DOTS) for n in pixels)
