"""Widgets without a browser: set a value, read the result."""

import asyncio
import datetime
import threading
import time

import ipywidgets
import pytest

from mlms_helpers import plots, widgets


def times(a, b=2.0):
    if a == 13:
        raise ValueError("13 brings <bad> luck")
    if a == 14:
        return a / 0
    return a * b


def draw(result):
    return plots.histogram([result], title="product"), f"The product is {result:g}."


def explorer(function=times):
    return widgets.explore(
        function,
        draw,
        a=widgets.slider("number", 1, 20, 3),
        b=widgets.slider("factor", 0.0, 10.0, 2.0, unit="1/s", step=0.5),
    )


def test_result_and_picture_follow_the_controls():
    e = explorer()
    first = bytes(e.image.value)
    assert e.result == 6 and first.startswith(b"\x89PNG") and "computed in" in e.status.value
    e.controls["a"].value = 5
    assert e.result == 10 and e.image.value != first
    assert "The product is 10." in e.caption.value
    assert e.set(a=4, b=0.5) == 2 == e.result


def test_reset_sets_all_controls_back_and_computes_once():
    calls = []

    def count(a, b):
        calls.append((a, b))
        return a * b

    e = explorer(count)
    e.set(a=4, b=0.5)
    e.reset.click()
    assert e.result == 6 and e.values() == {"a": 3, "b": 2.0} and calls == [(3, 2.0), (4, 0.5), (3, 2.0)]
    assert e.reset in e.children[0].children
    alone = widgets.explore(lambda a: a, draw, a=widgets.slider("number", 1, 20, 3))
    assert alone.reset not in alone.children[0].children


def test_a_refused_value_says_why_and_keeps_the_picture():
    e = explorer()
    before = e.image.value
    e.controls["a"].value = 13
    assert e.result is None and e.image.value == before
    assert "13 brings &lt;bad&gt; luck" in e.status.value and "alert" in e.status.value
    e.controls["a"].value = 2
    assert e.result == 4 and "bad" not in e.status.value


def test_a_mistake_in_the_function_is_named_and_not_hidden():
    e = explorer()
    with pytest.raises(ZeroDivisionError):
        e.controls["a"].value = 14
    assert "ZeroDivisionError" in e.status.value
    assert e.set(a=2) == 4


def test_an_interrupted_computation_can_be_repeated():
    def stop(a, b):
        if a == 9:
            raise KeyboardInterrupt
        return a

    e = explorer(stop)
    e.controls["a"].value = 9
    assert e.result is None and "Stopped" in e.status.value
    assert e.set(a=2) == 2


def reader(loop_of, monkeypatch, doing):
    """Do something as JupyterLab delivers a reader's doings: in a thread beside that of the cells."""
    monkeypatch.setattr(widgets, "_loop", lambda: loop_of)
    thread = threading.Thread(target=doing)
    thread.start()
    thread.join()


@pytest.mark.parametrize("slow", [False, True])
def test_of_many_values_only_the_last_is_computed(monkeypatch, slow):
    calls = []

    def record(a, b):
        calls.append(a)
        return a

    def move():
        for value in range(4, 18):
            e.controls["a"].value = value

    async def cells():
        reader(asyncio.get_running_loop(), monkeypatch, move)
        await asyncio.sleep(3 * widgets.PAUSE)

    e = explorer(record)
    e._seconds = 1.0 if slow else 0.0
    asyncio.run(cells())
    assert calls == [3, 17] and e.result == 17


def test_a_value_set_in_a_cell_is_computed_at_once_and_set_computes_once(monkeypatch):
    calls = []

    def record(a, b):
        calls.append((a, b))
        return a * b

    async def cell():
        monkeypatch.setattr(widgets, "_loop", asyncio.get_running_loop)
        e.controls["a"].value = 7
        assert calls[-1] == (7, 2.0) and e.result == 14
        e.set(a=8, b=1.0)
        await asyncio.sleep(3 * widgets.PAUSE)

    e = explorer(record)
    asyncio.run(cell())
    assert calls == [(3, 2.0), (7, 2.0), (8, 1.0)]
    assert e.result == 8 and len(calls) == 3  # reading computes nothing


def test_a_fast_function_follows_a_moving_slider(monkeypatch):
    calls = []

    async def cells():
        for value in range(4, 12):
            reader(
                asyncio.get_running_loop(),
                monkeypatch,
                lambda value=value: setattr(e.controls["a"], "value", value),
            )
            await asyncio.sleep(0.02)
        await asyncio.sleep(0.1)

    e = widgets.explore(lambda a: calls.append(a) or a, lambda r: None, a=widgets.slider("number", 1, 20, 3))
    asyncio.run(cells())
    assert calls == list(range(3, 12))


@pytest.mark.parametrize("back", [False, True])
def test_a_result_grows_and_a_new_value_stops_the_one_before(monkeypatch, back):
    runs, drawn = [], []

    def grow(a, watch=None):
        runs.append((a, "watched" if watch else "whole"))
        for k in (1, 2, 3):
            if runs[-2:] == [(5, "whole"), (6, "watched")] and k == 2:
                turn(9)  # while it is at work
            if watch and watch((a, k)):
                if back:
                    turn(6)
                return "stopped"
        return a, "all"

    def show(result):
        drawn.append(result)
        return draw(result[0])[0], str(result)

    def turn(value):
        reader(loop[0], monkeypatch, lambda: setattr(e.controls["a"], "value", value))

    async def cells():
        loop.append(asyncio.get_running_loop())
        turn(6)
        for _ in range(500):
            await asyncio.sleep(0.01)
            if drawn[-1:] == [(last, "all")]:
                return

    last = 6 if back else 9
    loop = []
    e = widgets.explore(grow, show, a=widgets.slider("number", 1, 20, 5))
    assert e.set(a=4) == (4, "all") == e.set(a=4) and e.set(a=5) == (5, "all")
    assert {how for _, how in runs} == {"whole"}  # a cell waits for its result
    drawn.clear()
    asyncio.run(cells())
    assert runs[-2:] == [(6, "watched"), (last, "watched")]
    assert drawn == [(6, 1), (last, 1), (last, "all")] and e.result == (last, "all")
    assert "all" in e.caption.value and "computed in" in e.status.value


def test_parts_of_a_result_are_not_read_out():
    e = explorer()
    words = e.caption.value
    e.draw = draw
    e._due = 0.0
    assert e._follow(11) and e.caption.value == words and e._alt == "The product is 11."
    assert not e._follow(12)  # a moment later


def test_unknown_control_is_named():
    with pytest.raises(ValueError, match="no control is called 'c'; there are: a, b"):
        explorer().set(c=1)


def test_descriptions_have_room_and_saved_output_is_plain(shown):
    e = explorer()
    assert {c.style.description_width for c in e.controls.values()} == {"102px"}
    assert repr(e) == "interactive figure: number, factor (1/s)"
    e._ipython_display_()
    (picture, meta), (line, _), (widget, _) = shown
    assert "image/png" in picture and meta["image/png"]["alt"] == "The product is 6."
    assert "nteractive figure: number, factor (1/s)" in line["text/plain"]
    assert list(widget) == ["application/vnd.jupyter.widget-view+json"]


def test_values_stand_on_the_steps_that_the_browser_can_show():
    e = widgets.explore(
        lambda **values: values,
        lambda values: None,
        rate=widgets.slider("rate", 1e-5, 1.0, 3e-3, log=True),
        cutoff=ipywidgets.FloatSlider(value=5.33, min=2, max=8, step=0.5),
        size=ipywidgets.IntSlider(value=33, min=10, max=90, step=10),
        menu=ipywidgets.Dropdown(options=["a", "b"]),
    )
    assert e.result == {"rate": 0.00316227766, "cutoff": 5.5, "size": 30, "menu": "a"}
    assert e.set(rate=0.03, cutoff=2.1, menu="b") == {
        "rate": 0.0316227766,
        "cutoff": 2.0,
        "size": 30,
        "menu": "b",
    }


def test_slider_kinds():
    assert isinstance(widgets.slider("n", 1, 9, 3), ipywidgets.IntSlider)
    rate = widgets.slider("rate", 1e-4, 1e-1, 1e-2, log=True)
    assert (rate.min, rate.max, rate.value) == (pytest.approx(-4), pytest.approx(-1), 0.01)
    cutoff = widgets.slider("cutoff", 2.0, 8.0, 5.0, unit="Å", step=0.5)
    assert (cutoff.step, cutoff.readout_format, cutoff.description) == (0.5, ".1f", "cutoff (Å)")


def look(name, content):
    if not content:
        raise ValueError(f"`{name}` is empty.")
    if content == b"unexpected":
        raise KeyError("internal")
    if content == b"quiet":
        return "<p>no picture</p>", None
    return f"<p>{len(content)} bytes</p>", plots.histogram([1, 2], title=name)


def test_upload_says_what_the_function_says():
    u = widgets.upload(look, accept=".cif")
    text, _ = u.feed("a.cif", b"1234")
    assert text == "<p>4 bytes</p>" and "4 bytes" in u.message.value and u.image.value
    assert u.image.layout.display is None
    u.feed("b.cif", b"quiet")
    assert u.image.layout.display == "none"


@pytest.mark.parametrize(
    "content, part", [(b"", "is empty"), (b"unexpected", "something missing in the file (KeyError)")]
)
def test_upload_fails_in_a_sentence_and_goes_on(content, part):
    u = widgets.upload(look)
    u.feed("good.cif", b"1234")
    assert u.feed("<b>.cif", content) is None and u.result is None
    assert part in u.message.value and "&lt;b&gt;.cif" in u.message.value and "<b>.cif" not in u.message.value
    assert "Traceback" not in u.message.value and u.image.layout.display == "none"
    assert u.feed("good.cif", b"12")[0] == "<p>2 bytes</p>"


def test_the_same_file_may_come_twice():
    seen = []
    u = widgets.upload(lambda name, content: (seen.append((name, content)) or "", None))
    for _ in range(2):
        u.upload.value = (
            {
                "name": "a.cif",
                "type": "",
                "size": 2,
                "content": memoryview(b"12"),
                "last_modified": datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC),
            },
        )
    assert seen == [("a.cif", b"12")] * 2 and u.upload.value == ()


def steps(n, stop=None):
    """Work of n steps that ends early when it is told to; at the third, `stop` is called beside the work."""

    def work(watch):
        for k in range(1, n + 1):
            time.sleep(0.01)
            if k == 3 and stop:
                threading.Thread(target=stop).start()
            if watch(k):
                return f"stopped at {k}"
        return "all done"

    return work


def test_live_work_is_drawn_and_returns_its_result():
    panel = widgets.live(steps(5), draw, label="Train")
    assert panel.start.description == "Train" and panel.stop.disabled and not panel.image.value
    panel.start.click()
    assert panel.result == "all done" and "done after" in panel.status.value
    assert "The product is 5." in panel.caption.value  # the last state, though drawn less often
    assert panel.stop.disabled and not panel.start.disabled


def test_live_work_stops_and_starts_again():
    panel = widgets.live(steps(10**6, stop=lambda: panel.stop.click()), draw)
    for _ in range(2):
        text = panel.run()
        assert text == panel.result and 3 <= int(text.split()[-1]) < 1000
        assert "stopped after" in panel.status.value


@pytest.mark.parametrize(
    "fault, words", [(ValueError("no data"), "no data"), (KeyboardInterrupt(), "Interrupted")]
)
def test_live_work_that_fails_says_so_and_can_start_again(fault, words):
    def work(watch):
        raise fault

    panel = widgets.live(work, draw)
    assert panel.run() is None and words in panel.status.value and not panel.start.disabled
