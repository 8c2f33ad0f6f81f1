"""The widgets of the notebooks as a reader has them in JupyterLab: looked at, moved, clicked, fed a file.

Whether every cell runs, and its saved output holds, nbval tells in a bare kernel.  Only a browser can tell
whether the widgets work: here each notebook runs once for all tests of this file, without the cells that no
widget needs.
"""

import re

import ase.io
import nbformat
import pytest

from mlms_helpers import datasets
from tools import jupyter_lab
from tools.notebooks import cells_for_widgets, is_widget

# How many sliders with a figure each notebook has.
SLIDERS = {
    "00-start-here": 1,
    "01-the-loop": 2,
    "02-structures-and-data": 1,
    "03-descriptors": 7,
    "04-maps": 3,
    "05-training": 8,
    "06-honest-errors": 2,
    "07-small-data": 1,
    "08-extensive-or-intensive": 1,
    "09-topology": 2,
    "10-lattice-models": 2,
    "11-potentials": 2,
    "12-locality": 1,
    "13-uncertainty": 1,
    "14-beyond-dft": 2,
    "15-defect-levels": 2,
    "16-inverse-design": 3,
}
THREE_D = (
    "00-start-here",
    "02-structures-and-data",
    "03-descriptors",
    "04-maps",
    "07-small-data",
    "09-topology",
    "10-lattice-models",
    "11-potentials",
    "12-locality",
    "14-beyond-dft",
    "15-defect-levels",
    "16-inverse-design",
)

# How many cells of the open notebook show a widget.
WIDGETS = """() => window.jupyterapp.shell.currentWidget.content.widgets.filter(c => c.model.type === 'code'
    && c.model.outputs.toJSON().some(o => 'application/vnd.jupyter.widget-view+json' in (o.data ?? {}))
    ).length"""


def test_all_notebooks_are_here():
    assert sorted(SLIDERS) == sorted(path.stem for path in (jupyter_lab.ROOT / "notebooks").glob("*.ipynb"))


@pytest.fixture(scope="module", params=SLIDERS)
def notebook(request, lab):
    """(page, name) with the notebook run, as far as its widgets need it."""
    shipped = nbformat.read(lab.folder / f"{request.param}.ipynb", 4)
    needed = cells_for_widgets(shipped)
    shipped.cells = [c for k, c in enumerate(shipped.cells) if c.cell_type != "code" or k in needed]
    nbformat.write(shipped, lab.folder / f"widgets-of-{request.param}.ipynb")
    lab.open(f"widgets-of-{request.param}.ipynb")
    print(f"{request.param}: ran in {lab.run_all():.0f} s")
    lab.page.wait_for_timeout(1000)
    return lab, request.param


def about(name):
    """For a test of one notebook only."""
    return pytest.mark.parametrize("notebook", [name], indirect=True)


def test_runs_and_shows_every_widget(notebook):
    lab, name = notebook
    assert lab.errors() == []
    assert lab.cut_texts() == []
    cells = nbformat.read(jupyter_lab.ROOT / "notebooks" / f"{name}.ipynb", 4).cells
    assert lab.page.evaluate(WIDGETS) == sum(map(is_widget, cells)) > 0


def test_three_d_views_hold_a_drawing(notebook):
    lab, name = notebook
    canvases = lab.canvases()
    assert canvases or name not in THREE_D, "there is no 3-D view"
    for canvas in canvases:
        assert lab.drawn(canvas), lab.ink(canvas)


def test_every_slider_changes_its_figure(notebook):
    lab, name = notebook
    sliders = lab.sliders()
    assert len(sliders) == SLIDERS[name], [label for label, _ in sliders]
    for label, handle in sliders:
        taken = lab.move_slider(handle)
        assert taken, f"the figure did not change when `{label}` moved"
        print(f"{name}, {label}: {taken:.0f} ms")
    assert lab.errors() == []


@about("02-structures-and-data")
def test_a_picked_atom_reaches_python(notebook):
    lab, _ = notebook
    lab.python("view.picked = None")
    at = lab.canvases()[-1]  # above the spectrum
    assert lab.click_atoms(at, lambda: lab.python("print(view.picked)") != "None")
    picked = lab.python("print(view.picked)")
    assert lab.until(lambda: f"atom {picked}: " in lab.output(at).inner_text())


@pytest.fixture(scope="module")
def structure():
    """A structure with the fewest N atoms that has any, without its calculated results."""
    atoms = min(
        (a for a in datasets.load("lipon").structures if "N" in a.symbols),
        key=lambda a: (a.symbols == "N").sum(),
    )
    return ase.Atoms(atoms.symbols, atoms.positions, cell=atoms.cell, pbc=True)


@about("15-defect-levels")
@pytest.mark.parametrize("name, kind", [("my.cif", "cif"), ("POSCAR", "vasp"), ("my.extxyz", "extxyz")])
def test_an_uploaded_structure_gets_its_levels(notebook, structure, tmp_path, name, kind):
    lab, _ = notebook
    output = lab.output(lab.page.locator(".jp-Notebook .widget-upload").first)
    lab.python("uploader.message.value = ''")
    ase.io.write(tmp_path / name, structure, format=kind)
    lab.upload(tmp_path / name)
    assert lab.until(
        lambda: lab.page.get_by_text(name, exact=True).count() and "reading" not in output.inner_text()
    )
    assert output.locator("[role=alert]").count() == 0, output.inner_text()
    levels = re.findall(r"-?\d+\.\d+", lab.python("print(uploader.result[0])"))
    assert len(levels) >= (structure.symbols == "N").sum()


@about("15-defect-levels")
@pytest.mark.parametrize(
    "name, content", [("empty.cif", b""), ("noise.cif", bytes(range(256)) * 20), ("POSCAR", b"Li3N\n1.0\n")]
)
def test_a_file_that_is_no_structure_gets_a_sentence(notebook, structure, tmp_path, name, content):
    lab, _ = notebook
    output = lab.output(lab.page.locator(".jp-Notebook .widget-upload").first)
    (tmp_path / name).write_bytes(content)
    lab.upload(tmp_path / name)
    assert lab.until(lambda: output.locator("[role=alert]").count()), output.inner_text()
    sentence = output.locator("[role=alert]").inner_text()
    print(sentence)
    assert name in sentence and "Traceback" not in output.inner_text()
    ase.io.write(tmp_path / "good.cif", structure)
    lab.upload(tmp_path / "good.cif")
    assert lab.until(lambda: lab.page.get_by_text("good.cif", exact=True).count())
    assert output.locator("[role=alert]").count() == 0
