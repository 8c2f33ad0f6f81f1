"""The widgets and views in a real browser, on small notebooks of their own."""

import json

import pytest

SETUP = """
import ipywidgets, numpy as np, threading, time
from ase.build import bulk, molecule
from mlms_helpers import plots, views, widgets
"""
VIEWS = [
    SETUP,
    """
atoms = bulk("NaCl", "rocksalt", a=5.64, cubic=True)
seen = []
view = views.structure(atoms, highlight=[0])
threads = set()
def weigh(i):
    threads.add(threading.current_thread())
    seen.append(i)
    return f"mass {atoms.get_masses()[i]:.1f} u"
view.on_pick(weigh)
view""",
    """
views.structure(molecule("C6H6"))""",
    """
views.structure(bulk("Si") * (3, 3, 3), colours=np.arange(54), label="number", unit="1")""",
]
SLIDERS = [
    SETUP,
    """
computed = []
def noise(seed, width):
    assert threading.current_thread() is threading.main_thread()
    computed.append((seed, width))
    return np.random.default_rng(seed).normal(0, width, 1000)
explorer = widgets.explore(noise, lambda r: plots.histogram(r, title="Noise", bins=np.linspace(-3, 3, 31)),
                           seed=widgets.slider("seed of the random numbers", 1, 100, 4),
                           width=widgets.slider("standard deviation", 0.01, 10, 1.0, unit="eV", log=True))
explorer""",
    """
widgets.explore(lambda **values: values, lambda values: plots.histogram([1, 2], title=str(values["curve"])),
                curve=ipywidgets.ToggleButtons(options=["training", "validation", "both"],
                                               description="curve to show"),
                activation=ipywidgets.Dropdown(options=["relu", "tanh"], description="activation"),
                noise=ipywidgets.Checkbox(description="add noise to the training set"),
                samples=ipywidgets.SelectionSlider(options=[10, 20, 50], description="training samples"))""",
    """
tried = []
def training(epochs):
    tried.append(epochs)
    if epochs == 30:
        raise ValueError("30 epochs are too many for 20 samples.")
    for _ in range(50):
        time.sleep(1.0 if epochs == 20 else 0.02)
    return epochs
slow = widgets.explore(training, lambda r: plots.history(np.exp(-np.arange(1, r + 2) / 5)),
                       epochs=widgets.slider("epochs", 1, 40, 10))
slow""",
]
UPLOAD = [
    SETUP,
    """
def read(name, content):
    assert threading.current_thread() is threading.main_thread()
    if b"zero" in content:
        raise ValueError(f"`{name}`, line 2: the cell has zero volume. Give three lattice vectors.")
    if b"mistake" in content:
        return {}["key"]
    return f"<p>{len(content)} bytes</p>", plots.histogram(list(content), title="bytes", unit="")
uploader = widgets.upload(read, accept=".cif,.xyz", label="Upload a structure")
uploader""",
]

# Before each frame that the browser paints: is the figure there, and does it keep its size?
WATCH = """() => {
    const seen = window.frames_seen = {frames: 0, absent: 0, sizes: new Set()};
    const look = () => {
        if (window.frames_seen !== seen) return;
        const image = document.querySelector('.jp-Notebook .widget-image');
        seen.frames += 1;
        if (image?.offsetParent) seen.sizes.add(`${image.clientWidth}x${image.clientHeight}`);
        else seen.absent += 1;
        requestAnimationFrame(look);
    };
    requestAnimationFrame(look); }"""
SEEN = """() => { const s = window.frames_seen; window.frames_seen = null;
    return {frames: s.frames, absent: s.absent, sizes: [...s.sizes]}; }"""


def run(lab, name, cells):
    lab.open(lab.write(name, *cells))
    lab.run_all()
    assert lab.errors() == []


def test_three_d_views_hold_drawings_and_picks_reach_python(lab):
    run(lab, "views.ipynb", VIEWS)
    assert lab.until(lambda: len(lab.canvases()) == 3)
    for canvas in lab.canvases():
        assert lab.drawn(canvas), lab.ink(canvas)
    assert not any(picture.is_visible() for picture in lab.page.locator(".mlms-static").all())
    canvas = lab.canvases()[0]
    assert lab.click_atoms(canvas, lambda: lab.python("print(len(seen))") != "0")
    index, element = lab.python("i = seen[-1]; print(i, atoms.symbols[i])").split()
    assert lab.python("print(view.picked)") == index
    # the atom that NGL says was clicked stands where ASE has atom number `index`
    assert (
        lab.python(
            "a = view.three_d.picked['atom1']; "
            "print(np.allclose([a['x'], a['y'], a['z']], atoms.positions[view.picked], atol=1e-3))"
        )
        == "True"
    )
    assert lab.python("print(threads == {threading.main_thread()})") == "True"
    status = lab.page.locator(".mlms-view").first.inner_text()
    assert f"atom {index}: {element} at" in status and "mass" in status
    lab.page.get_by_label("Atom number").first.fill("5")
    lab.page.keyboard.press("Enter")
    assert lab.until(lambda: lab.python("print(view.picked)") == "5")
    assert lab.cut_texts() == []
    assert not [text for text in lab.said if "nglview" in text.lower()]


def test_a_reloaded_page_shows_the_views_again(lab):
    run(lab, "views.ipynb", VIEWS)
    assert lab.until(lambda: len(lab.canvases()) == 3) and lab.drawn(lab.canvases()[0])
    lab.page.evaluate("() => window.jupyterapp.commands.execute('docmanager:save')")
    lab.page.wait_for_timeout(1000)
    lab.page.reload(wait_until="domcontentloaded")
    assert lab.until(lambda: len(lab.canvases()) == 3)
    for canvas in lab.canvases():
        assert lab.drawn(canvas), lab.ink(canvas)
    assert lab.errors() == []


def test_the_wheel_scrolls_the_page_until_the_view_is_clicked(lab):
    run(lab, "views.ipynb", VIEWS)
    assert lab.until(lambda: len(lab.canvases()) == 3)
    canvas = lab.canvases()[0]
    assert lab.drawn(canvas)
    lab.page.wait_for_timeout(1000)
    canvas.scroll_into_view_if_needed()
    top = "() => document.querySelector('.jp-WindowedPanel-outer').scrollTop"
    box = canvas.bounding_box()
    lab.page.mouse.move(box["x"] + 30, box["y"] + 60)
    before = lab.page.evaluate(top)
    lab.page.mouse.wheel(0, 120)
    assert lab.until(lambda: lab.page.evaluate(top) != before)


def test_without_webgl_a_picture_and_the_reason_are_shown(flat_lab):
    lab = flat_lab
    run(lab, "views.ipynb", VIEWS)
    picture = lab.page.locator(".mlms-static").first
    assert lab.until(lambda: picture.bounding_box()["height"] > 200)
    assert "WebGL is switched off" in picture.inner_text()
    assert lab.drawn(picture.locator("img"))
    assert lab.page.locator(".mlms-3d").first.bounding_box()["height"] < 5
    lab.page.get_by_label("Atom number").first.fill("5")
    lab.page.keyboard.press("Enter")
    assert lab.until(lambda: lab.python("print(seen)") == "[5]")


def test_slider_redraws_its_figure_in_place(lab, record_property):
    run(lab, "sliders.ipynb", SLIDERS)
    (label, handle), *_ = lab.sliders()
    assert label == "seed of the random numbers" and lab.cut_texts() == []
    lab.move_slider(handle)
    times = sorted(lab.move_slider(handle) for _ in range(9))
    record_property("milliseconds from key to figure", times)
    print(f"key to figure: median {times[4]:.0f} ms, slowest {times[-1]:.0f} ms")
    handle.focus()
    lab.page.evaluate(WATCH)
    shown, pressed = set(), 0
    with lab.film(lab.output(handle).locator(".widget-image")) as frames:
        while pressed < 25 or (len(shown) < 5 and pressed < 500):  # a busy machine paints few frames
            lab.page.keyboard.press("ArrowRight" if pressed < 25 or pressed % 2 else "ArrowLeft", delay=15)
            pressed += 1
            lab.page.wait_for_timeout(40)
            shown.add(lab.figure(handle))
        value = handle.get_attribute("aria-valuenow")
        lab.until(lambda: lab.python("print(computed[-1][0])") == str(int(float(value))))
        lab.page.wait_for_timeout(500)
    seen = lab.page.evaluate(SEEN)
    assert len(shown) >= 5, "the figure does not follow the slider"
    assert seen["frames"] > 5 and seen["absent"] == 0 and len(seen["sizes"]) == 1, seen
    dark = [sum(f.histogram()[:200]) / (f.width * f.height) for f in frames]
    print(f"{len(dark)} frames while the slider moved; the figure's ink: {min(dark):.3f} to {max(dark):.3f}")
    assert min(dark) > 0.5 * max(dark) > 0.005  # an empty figure for one frame is flicker
    assert "computed in" in lab.output(handle).inner_text()


def test_a_curve_grows_and_the_next_position_stops_it(lab):
    run(
        lab,
        "growing.ipynb",
        [
            SETUP,
            """
runs = []
def grow(steps, watch=None):
    runs.append(0)
    for k in range(1, 6000 if steps == 51 else 6):          # of 51 it sees the end in five minutes
        time.sleep(0.05 if watch else 0)
        runs[-1] = k
        if watch and watch(k / steps):
            break
    return k / steps
draw = lambda r: plots.histogram([r], title=f"{r:.4f}", bins=np.linspace(0, 200, 11))
explorer = widgets.explore(grow, draw, steps=widgets.slider("steps", 1, 100, 50))
explorer""",
        ],
    )
    ((_, handle),) = lab.sliders()
    output = lab.output(handle)
    lab.page.evaluate(WATCH)
    shown = {lab.figure(handle)}
    handle.focus()
    lab.page.keyboard.press("ArrowRight")
    assert lab.until(lambda: shown.add(lab.figure(handle)) or len(shown) > 3), "the curve does not grow"
    assert "computing" in output.inner_text()
    lab.page.keyboard.press("ArrowRight")
    assert lab.until(lambda: "computed in" in output.inner_text())
    whole, stopped, last = json.loads(lab.python("print(runs)"))
    assert whole == last == 5 and 2 < stopped < 5999
    assert lab.python("print(explorer.result == 5 / 52)") == "True"
    seen = lab.page.evaluate(SEEN)
    assert seen["absent"] == 0 and len(seen["sizes"]) == 1, seen
    assert lab.errors() == []


def test_the_browser_changes_no_value_by_itself(lab):
    run(
        lab,
        "steps.ipynb",
        [
            SETUP,
            """
computed = []
explorer = widgets.explore(lambda **values: computed.append(values) or values,
                           lambda values: plots.histogram(list(values.values())),
                           rate=widgets.slider("rate", 1e-5, 1.0, 3e-3, log=True),
                           share=widgets.slider("share", 0.0, 1.0, 0.333, step=0.1),
                           cutoff=widgets.slider("cutoff", 2.0, 8.0, 5.55, unit="Å"),
                           samples=widgets.slider("samples", 7, 200, 33, step=5))
explorer""",
        ],
    )
    for rate in (1e-5, 2e-5, 7e-4, 0.011, 0.23, 1.0):
        lab.python(
            f"explorer.set(rate={rate}, share={rate}, cutoff={2 + 5 * rate}, samples=int(200 * {rate}) + 7)"
        )
        lab.page.wait_for_timeout(300)
    assert lab.python("print(len(computed))") == "7", lab.python("print(computed)")


def test_a_slow_function_waits_for_the_slider_to_rest_and_the_last_value_wins(lab):
    run(lab, "sliders.ipynb", SLIDERS)
    *_, (label, handle) = lab.sliders()
    assert label == "epochs"
    output = lab.output(handle)
    lab.move_slider(handle)
    handle.focus()
    for _ in range(6):
        lab.page.keyboard.press("ArrowRight", delay=10)
    assert lab.until(lambda: "computing" in output.inner_text(), step=20)
    assert output.locator(".widget-image").is_visible()
    for _ in range(2):
        lab.page.keyboard.press("ArrowRight", delay=10)
    assert lab.until(
        lambda: "computed in" in output.inner_text() and lab.python("print(slow.result)") == "19"
    )
    tried = json.loads(lab.python("print(tried)"))
    assert tried[:2] == [10, 11] and tried[-1] == 19 and len(tried) <= 6, tried


def test_the_stop_button_ends_a_computation_and_a_refusal_is_shown(lab):
    run(lab, "sliders.ipynb", SLIDERS)
    *_, (_, handle) = lab.sliders()
    output = lab.output(handle)
    lab.python("slow.controls['epochs'].value = 19")
    assert lab.until(lambda: lab.python("print(slow.result)") == "19")
    assert lab.move_slider(handle, "ArrowLeft") and lab.move_slider(handle, "ArrowRight")
    assert lab.until(lambda: lab.python("print(slow.result)") == "19")
    handle.focus()
    lab.page.keyboard.press("ArrowRight")  # 20: takes 50 s
    assert lab.until(lambda: "computing" in output.inner_text(), step=20)
    lab.page.wait_for_timeout(1000)
    lab.page.evaluate("() => { window.jupyterapp.commands.execute('notebook:interrupt-kernel') }")
    assert lab.until(lambda: "Stopped" in output.inner_text())
    picture = lab.figure(handle)
    lab.python("slow.controls['epochs'].value = 30")
    assert lab.until(lambda: "too many for 20 samples" in output.inner_text())
    assert lab.figure(handle) == picture and output.locator(".widget-image").is_visible()
    assert lab.move_slider(handle)


def test_live_work_is_followed_and_stopped(lab):
    run(
        lab,
        "live.ipynb",
        [
            SETUP,
            """
def work(watch):
    for k in range(2000):
        time.sleep(0.05)
        if watch(np.exp(-np.arange(k + 2) / 50)):
            return k
panel = widgets.live(work, lambda loss: plots.history(loss), label="Train a network")
panel""",
        ],
    )
    output = lab.page.locator(".jp-Notebook .jp-OutputArea-output:has(.widget-button)").first
    image = output.locator(".widget-image")
    output.get_by_role("button", name="Train a network").click()
    assert lab.until(lambda: image.is_visible())
    seen = {image.get_attribute("src")}
    assert lab.until(lambda: seen.add(image.get_attribute("src")) or len(seen) > 3), (
        "the picture does not follow the work"
    )
    assert "at work" in output.inner_text()
    output.get_by_role("button", name="Stop").click()
    assert lab.until(lambda: "stopped after" in output.inner_text())
    assert 3 < int(lab.python("print(panel.result)")) < 2000
    assert image.is_visible() and lab.cut_texts() == []


def test_an_uploaded_file_is_read_refused_and_read_again(lab, tmp_path):
    run(lab, "upload.ipynb", UPLOAD)
    good, bad, worse = tmp_path / "good.cif", tmp_path / "<b>bad.cif", tmp_path / "worse.cif"
    good.write_bytes(b"data_good")
    bad.write_bytes(b"zero")
    worse.write_bytes(b"mistake")
    output = lab.output(lab.page.locator(".widget-upload"))
    for path, sentence, picture in [
        (good, "9 bytes", True),
        (bad, "<b>bad.cif`, line 2: the cell has zero volume", False),
        (worse, "something missing in the file (KeyError)", False),
        (good, "9 bytes", True),
        (good, "9 bytes", True),
    ]:
        lab.python("uploader.message.value = ''")
        lab.upload(path)
        assert lab.until(lambda sentence=sentence: sentence in output.inner_text()), (
            path.name,
            output.inner_text(),
        )
        assert lab.until(lambda picture=picture: output.locator(".widget-image").is_visible() == picture)
        assert "Traceback" not in output.inner_text()
    assert lab.errors() == []


@pytest.mark.parametrize("width", [1000])
def test_nothing_is_cut_in_a_narrow_window(lab, width):
    before = lab.page.viewport_size
    lab.page.set_viewport_size({"width": width, "height": before["height"]})
    try:
        run(lab, "all.ipynb", [*VIEWS, *SLIDERS[1:], *UPLOAD[1:]])
        lab.page.wait_for_timeout(2000)
        assert lab.cut_texts() == []
        buttons = lab.page.locator(".widget-toggle-buttons")  # in one line with their label
        assert buttons.bounding_box()["height"] < 50
    finally:
        lab.page.set_viewport_size(before)
