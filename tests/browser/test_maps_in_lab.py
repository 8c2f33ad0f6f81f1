"""The map in a real browser: a click on a point shows its atom in 3-D, a click on an atom marks its point."""

import pytest

MAP = [
    """
import threading
import numpy as np, pandas as pd
from ase.build import bulk, molecule
from mlms_helpers.linked_map import LinkedMap
rng = np.random.default_rng(0)
structures = [bulk("NaCl", "rocksalt", a=5.64, cubic=True), molecule("C6H6"), bulk("Si") * (2, 2, 2)]
rows = [(n, k, a.symbols[k], a.positions[k, 2]) for n, a in enumerate(structures) for k in range(len(a))]
table = pd.DataFrame(rows, columns=["structure", "atom", "element", "height"])
xy = np.stack(np.meshgrid(np.arange(6.0), np.arange(6.0)), -1).reshape(-1, 2)        # 8 + 12 + 16 atoms
threads = set()
""",
    """
explorer = LinkedMap(xy, table, structures, units={"height": "Å"}, axes=("PC 1", "PC 2"))
explorer.observe(lambda change: threads.add(threading.current_thread()), "selected")
explorer""",
]


@pytest.fixture(scope="module")
def page(lab):
    """A page with the map of small structures, run and drawn."""
    lab.open(lab.write("map.ipynb", *MAP))
    lab.run_all()
    assert lab.errors() == []
    assert lab.until(lambda: lab.canvases() and lab.page.locator(".mlms-map img").count())
    assert lab.drawn(lab.canvases()[0]) and lab.drawn(lab.page.locator(".mlms-map"))
    return lab


def at(lab, number):
    """Where a point of the map lies on the page, once the map stands still (a new size moves it)."""
    picture, before, box = lab.page.locator(".mlms-map img"), None, {}
    picture.scroll_into_view_if_needed()
    while box != before:
        before = box
        lab.page.wait_for_timeout(200)
        box = picture.bounding_box()
    x, y, width = map(
        float, lab.python(f"print(*explorer.picture.points[{number}], explorer.picture.width)").split()
    )
    return box["x"] + x * box["width"] / width, box["y"] + y * box["width"] / width


def ring(lab, kind="picked"):
    """Where a ring lies in the picture, or None where it is hidden."""
    return lab.page.locator(f".mlms-map .{kind}").evaluate(
        "c => c.style.display === 'none' ? null : [c.getAttribute('cx'), c.getAttribute('cy')].map(Number)"
    )


def picked(lab, number):
    """Whether that point is picked, in Python and in the picture."""
    return lab.python("print(explorer.selected)") == str(number) and ring(lab) == list(
        map(float, lab.python(f"print(*explorer.picture.points[{number}])").split())
    )


def test_a_clicked_point_shows_its_atom_and_another_structure_takes_the_place_of_the_first(page):
    for number in (2, 10, 30, 3, 21):
        page.page.locator(".mlms-map").scroll_into_view_if_needed()
        page.page.mouse.move(*at(page, number))
        assert page.page.locator(".mlms-map .name").inner_text().startswith(f"{number}: ")
        page.page.mouse.click(*at(page, number))
        assert page.until(lambda number=number: picked(page, number))
        assert (
            page.python(
                f"print(explorer.atoms is structures[table.structure[{number}]], "
                f"explorer.view.picked == table.atom[{number}])"
            )
            == "True True"
        )
        page.page.wait_for_timeout(1500)
        assert len(page.canvases()) == 1 and page.drawn(page.canvases()[0])
        assert page.page.locator(".jp-Notebook canvas").count() == 1  # a browser draws few at a time
    assert page.python("print(threads == {threading.main_thread()})") == "True"
    assert page.errors() == [] and page.cut_texts() == []
    assert not [text for text in page.said if "anywidget" in text or "nglview" in text.lower()]
    # nothing of the four structures before is left in the 3-D view
    assert page.python("print(len(explorer.view.three_d._ngl_component_ids))") == "2"
    assert page.until(lambda: page.python("print(len(explorer.view.three_d._ngl_repr_dict))") == "2")


def test_a_clicked_atom_marks_its_point(page):
    canvas = page.canvases()[0]
    page.python("explorer.selected = None")
    page.page.wait_for_timeout(1000)
    assert page.click_atoms(canvas, lambda: page.python("print(explorer.selected)") != "None")
    number = int(page.python("print(explorer.selected)"))
    assert page.until(lambda: picked(page, number))
    assert page.python(f"print(table.atom[{number}] == explorer.view.picked)") == "True"
    assert f"Point {number} of the map" in page.output(canvas).inner_text()


def test_keys_step_from_point_to_point_and_a_number_picks(page):
    page.page.mouse.click(*at(page, 14))
    assert page.until(lambda: picked(page, 14))
    page.page.mouse.move(5, 5)
    page.page.locator(".mlms-map").focus()
    for key, number in (
        ("ArrowRight", 15),
        ("ArrowUp", 21),
        ("ArrowLeft", 20),
        ("ArrowDown", 14),
        ("ArrowDown", 8),
    ):
        page.page.keyboard.press(key)
        assert page.page.locator(".mlms-map .name").inner_text().startswith(f"{number}: "), key
    page.page.keyboard.press("Enter")
    assert page.until(lambda: picked(page, 8))
    assert (
        page.page.evaluate("() => document.activeElement.className") == "mlms-map"
    )  # JupyterLab did not take the key
    page.page.get_by_label("Point number").fill("27")
    page.page.keyboard.press("Enter")
    assert page.until(lambda: picked(page, 27))


def test_the_menu_changes_the_colours_and_keeps_the_ring(page):
    page.page.mouse.click(*at(page, 7))
    assert page.until(lambda: picked(page, 7))
    source = "() => document.querySelector('.mlms-map img').src"
    before = page.page.evaluate(source)
    assert "coloured by element" in page.page.locator(".mlms-map img").get_attribute("alt")
    page.page.get_by_label("Colour by").select_option("height")
    assert page.until(lambda: page.page.evaluate(source) != before)
    assert "coloured by height (Å)" in page.page.locator(".mlms-map img").get_attribute("alt")
    assert page.until(lambda: picked(page, 7))


def test_map_and_view_stand_side_by_side_where_there_is_room(page):
    picture, view = page.page.locator(".mlms-map"), page.page.locator(".mlms-view")
    assert view.bounding_box()["x"] >= picture.bounding_box()["x"] + picture.bounding_box()["width"]
    size = page.page.viewport_size
    for width in (1000, 640):
        page.page.set_viewport_size({"width": width, "height": size["height"]})
        try:
            assert page.until(lambda: view.bounding_box()["y"] > picture.bounding_box()["y"] + 100)
            assert page.cut_texts() == []
            page.page.mouse.click(*at(page, 9))  # also where it is shrunk
            assert page.until(lambda: picked(page, 9))
        finally:
            page.page.set_viewport_size(size)


def test_a_reloaded_page_shows_the_map_and_the_last_structure(page):
    page.page.mouse.click(*at(page, 10))
    assert page.until(lambda: picked(page, 10))
    page.page.wait_for_timeout(1500)
    page.page.evaluate("() => window.jupyterapp.commands.execute('docmanager:save')")
    page.page.wait_for_timeout(1000)
    page.page.reload(wait_until="domcontentloaded")
    assert page.until(lambda: len(page.canvases()) == 1 and page.page.locator(".mlms-map img").count() == 1)
    assert page.drawn(page.canvases()[0]) and page.until(lambda: picked(page, 10))
    assert page.errors() == []
