"""A notebook opened again, with no kernel that knows its widgets: it shows their pictures and no error."""

import nbformat
import pytest

from tools import jupyter_lab

CELLS = [
    """
import numpy as np, pandas as pd
from ase.build import molecule
from mlms_helpers import plots, views, widgets
from mlms_helpers.linked_map import LinkedMap
water = molecule("H2O")
views.structure(water)""",
    """
widgets.explore(lambda number: [number, 2], lambda r: (plots.histogram(r, title="Numbers"), "A histogram."),
                number=widgets.slider("number", 1, 9, 4))""",
    """
table = pd.DataFrame({"structure": 0, "atom": range(3), "height": [0.1, 0.2, 0.3]})
LinkedMap(np.eye(3)[:, :2], table, [water])""",
    """
plots.show(plots.histogram([1, 2, 3], title="Not of a widget"), "Another histogram.")
widgets.live(lambda watch: None, plots.history, label="Train")""",
]
PICTURES, LINES = 4, 4  # of three widgets and one figure; the last widget shows none yet


def visible(lab, selector):
    """Texts of what can be seen; a picture's is where it comes from, its bytes."""
    return lab.page.evaluate(
        """selector => [...document.querySelectorAll(selector)]
        .filter(e => e.offsetParent && e.getBoundingClientRect().height > 15)
        .map(e => e.src || e.innerText)""",
        f".jp-Notebook {selector}",
    )


def pictures(lab):
    return visible(lab, ".jp-RenderedImage img")


def lines(lab):
    return [text for text in visible(lab, ".mlms-saved") if "Run this cell to use it" in text]


def faults(lab):
    """What JupyterLab says where a widget is missing, as far as it can be seen; 00's text quotes it, too."""
    said = lab.page.evaluate(
        """() => [...document.querySelectorAll('.jp-Notebook .jp-OutputArea')].map(
            area => area.innerText).join('\\n')"""
    )
    return [text for text in ("model not found", "Error displaying", "Loading widget") if text in said]


@pytest.fixture(scope="module")
def saved(lab):
    """A notebook whose cells were run and saved by its reader, while its widgets are alive."""
    name = lab.write("reopened.ipynb", *CELLS)
    lab.open(name)
    lab.run_all()
    assert lab.errors() == []
    assert lab.until(lambda: lab.canvases() and lab.page.locator(".mlms-map img").count())
    return name


def test_while_a_widget_is_alive_its_saved_picture_is_hidden(lab, saved):
    assert lab.until(lambda: len(pictures(lab)) == 1), pictures(lab)
    assert lines(lab) == [] and faults(lab) == []
    lab.page.evaluate("() => window.jupyterapp.commands.execute('docmanager:save')")
    assert lab.until(lambda: len(nbformat.read(lab.folder / saved, 4).cells[3].outputs) == 4)


def test_a_reader_who_opens_their_own_notebook_again_sees_the_pictures(lab, saved):
    assert "widget-view" in (lab.folder / saved).read_text()  # as JupyterLab saves it
    lab.open(saved)
    assert lab.until(lambda: len(pictures(lab)) == PICTURES and len(lines(lab)) == LINES), (
        pictures(lab),
        lines(lab),
    )
    lab.page.wait_for_timeout(3000)  # JupyterLab looks for the widgets meanwhile
    assert faults(lab) == [] and len(pictures(lab)) == PICTURES and len(lines(lab)) == LINES
    assert "Structure view: H2O, 3 atoms. Run this cell to use it." in lines(lab)[0]
    lab.run_all()
    assert lab.until(lambda: len(pictures(lab)) == 1 and lines(lab) == [])


def test_a_notebook_of_somebody_else_shows_the_pictures_too(lab, saved):
    notebook = nbformat.read(lab.folder / saved, 4)
    notebook.metadata["title"] = "not signed by this reader: its styles are not trusted"
    nbformat.write(notebook, lab.folder / "foreign.ipynb")
    lab.open("foreign.ipynb")
    assert lab.until(lambda: len(pictures(lab)) == PICTURES and len(lines(lab)) == LINES), (
        pictures(lab),
        lines(lab),
    )
    lab.page.wait_for_timeout(3000)
    assert faults(lab) == [] and len(pictures(lab)) == PICTURES


@pytest.mark.parametrize(
    "path", sorted((jupyter_lab.ROOT / "notebooks").glob("*.ipynb")), ids=lambda path: path.stem
)
def test_notebooks_as_shipped_hold_no_widget(path):
    assert "widget-view" not in path.read_text("utf-8")


def test_a_notebook_as_shipped_shows_all_of_its_pictures(lab):
    notebook = nbformat.read(lab.folder / "00-start-here.ipynb", 4)
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    data = [output.data["image/png"] for output in outputs if "image/png" in output.get("data", {})]
    lab.open("00-start-here.ipynb")
    seen = set()
    for cell in range(len(notebook.cells)):  # JupyterLab draws what is in sight
        lab.page.evaluate(
            """number => { const notebook = window.jupyterapp.shell.currentWidget.content;
            notebook.activeCellIndex = number; return notebook.scrollToItem(number, 'smart', 0); }""",
            cell,
        )
        lab.page.wait_for_timeout(100)
        assert faults(lab) == []
        seen.update(pictures(lab))
    assert seen == {"data:image/png;base64," + "".join(png.split()) for png in data} and len(seen) > 3
