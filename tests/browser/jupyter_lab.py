"""JupyterLab on a free port, and a page of it in Chromium: what the browser tests and the screenshots share."""

import base64
import contextlib
import io
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
# Draws WebGL without a graphics card, and asks no server of its maker for anything.
FLAGS = """--no-sandbox --disable-quic --no-first-run --disable-background-networking --disable-component-update
    --disable-sync --use-gl=angle --use-angle=swiftshader --enable-unsafe-swiftshader""".split()
NO_WEBGL = [*FLAGS, "--disable-3d-apis"]


@contextlib.contextmanager
def serve(home):
    """JupyterLab with all its files in `home`, on a copy of the notebooks.  Gives (address, token, folder of the copy)."""
    home, token = Path(home), secrets.token_hex()
    notebooks = home / "course" / "notebooks"
    shutil.copytree(ROOT / "notebooks", notebooks, ignore=shutil.ignore_patterns(".*"))
    for path in ROOT.iterdir():                     # beside the notebooks lies what lies beside them in the course
        if path.name != "notebooks" and not path.name.startswith("."):
            (home / "course" / path.name).symlink_to(path)
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    environment = {**os.environ, "HOME": str(home), "IPYTHONDIR": str(home / "ipython"), "JUPYTER_TOKEN": token,
                   "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1",
                   **{f"JUPYTER_{name}_DIR": str(home / name.lower()) for name in ("CONFIG", "DATA", "RUNTIME")}}
    environment.setdefault("JAX_COMPILATION_CACHE_DIR", str(Path(cache) / "mlms" / "jax"))   # as without the new HOME
    news = home / "config/lab/user-settings/@jupyterlab/apputils-extension/notification.jupyterlab-settings"
    news.parent.mkdir(parents=True)
    news.write_text('{"fetchNews": "false", "checkForUpdates": false}')
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    with open(home / "log", "w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ip=127.0.0.1", f"--port={port}",
             "--port-retries=0", "--LabApp.expose_app_in_browser=True"],
            cwd=notebooks, env=environment, stdout=log, stderr=subprocess.STDOUT)
    try:
        for _ in range(400):
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"{address}/api?token={token}", timeout=5).read()
                break
            if process.poll() is not None:
                raise RuntimeError("JupyterLab did not start:\n" + (home / "log").read_text()[-3000:])
            time.sleep(0.25)
        else:
            raise RuntimeError("JupyterLab did not answer in 100 s:\n" + (home / "log").read_text()[-3000:])
        yield address, token, notebooks
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()


class Lab:
    """A page of JupyterLab, with one notebook open at a time."""

    def __init__(self, browser, address, token, folder, width=1300, height=1000):
        self.address, self.token, self.folder = address, token, Path(folder)
        self.context = browser.new_context(viewport={"width": width, "height": height})
        self.page = self.context.new_page()
        self.said = []                              # errors that the page wrote to its console
        self.page.on("console", lambda m: self.said.append(m.text) if m.type == "error" else None)
        self.page.on("pageerror", lambda e: self.said.append(str(e)))

    def close(self):
        self.end_kernels()
        self.context.close()

    def write(self, name, *cells):
        """Write a notebook of code cells.  Returns its file name."""
        cells = [{"cell_type": "code", "id": f"c{k}", "metadata": {}, "execution_count": None, "outputs": [],
                  "source": source} for k, source in enumerate(cells)]
        (self.folder / name).write_text(json.dumps({
            "cells": cells, "nbformat": 4, "nbformat_minor": 5,
            "metadata": {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}}))
        return name

    def open(self, name):
        """Open a notebook with a kernel of its own, in an otherwise empty Lab."""
        self.end_kernels()
        self.said.clear()
        self.page.goto(f"{self.address}/lab/tree/{name}?reset&token={self.token}", wait_until="domcontentloaded")
        self.page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=90_000)
        self.page.wait_for_function(
            "document.querySelector('.jp-Dialog')"
            " || window.jupyterapp?.shell?.currentWidget?.sessionContext?.session?.kernel?.status === 'idle'",
            timeout=90_000, polling=100)
        dialog = self.page.locator(".jp-Dialog")
        assert not dialog.count(), f"{name}: JupyterLab asks its reader: {dialog.first.inner_text()!r}"
        self.page.evaluate("() => { window.jupyterapp.shell.collapseLeft() }")     # the file browser takes room
        return self

    def run_all(self, seconds=240):
        """Run all cells, and wait until they ran or one raised.  Returns seconds taken."""
        start = time.perf_counter()
        self.page.evaluate("() => { window.jupyterapp.commands.execute('notebook:run-all-cells') }")
        self.page.wait_for_function("""() => {
            const notebook = window.jupyterapp.shell.currentWidget;
            const code = notebook.content.widgets.filter(c => c.model.type === 'code' && c.model.sharedModel.source.trim());
            const raised = code.some(c => c.model.outputs.toJSON().some(o => o.output_type === 'error')
                && !(c.model.metadata.tags ?? []).includes('raises-exception'));
            return notebook.sessionContext.session?.kernel?.status === 'idle'
                && (raised || code.every(c => c.model.executionCount && c.model.executionState !== 'running')); }""",
            timeout=1000 * seconds, polling=200)
        return time.perf_counter() - start

    def errors(self):
        """What went wrong on the page: exceptions in cells, and widgets that could not be shown."""
        return self.page.evaluate("""() => {
            const cells = window.jupyterapp.shell.currentWidget.content.widgets.filter(c => c.model.type === 'code'
                && !(c.model.metadata.tags ?? []).includes('raises-exception'));
            const raised = cells.flatMap(c => c.model.outputs.toJSON().filter(o => o.output_type === 'error')
                .map(o => `[${c.model.executionCount}] ${o.ename}: ${o.evalue}`));
            const boxes = [...document.querySelectorAll('.jp-OutputArea-output, .jupyter-widgets-error-widget')]
                .map(e => e.textContent.trim().slice(0, 200)).filter(t =>
                    /^(Error displaying widget|Loading widget)|Error creating widget|javascript error/i.test(t));
            return raised.concat(boxes); }""")

    def python(self, code, seconds=60):
        """Run code in the notebook's kernel.  Returns what it printed; an exception as `Kind: text`."""
        return self.page.evaluate("""async ([code, seconds]) => {
            const kernel = window.jupyterapp.shell.currentWidget.sessionContext.session.kernel;
            const future = kernel.requestExecute({code, store_history: false});
            let out = '';
            future.onIOPub = m => {
                if (m.header.msg_type === 'stream') out += m.content.text;
                if (m.header.msg_type === 'error') out += `${m.content.ename}: ${m.content.evalue}`; };
            const late = new Promise((_, fail) => setTimeout(() => fail(new Error('the kernel did not answer')), 1000 * seconds));
            await Promise.race([future.done, late]);
            return out.trim(); }""", [code, seconds])

    def until(self, true, seconds=30, step=100):
        """Wait until `true()` holds; returns whether it does."""
        end = time.perf_counter() + seconds
        while not (held := true()) and time.perf_counter() < end:
            self.page.wait_for_timeout(step)
        return held

    # 3-D views

    def canvases(self):
        """The 3-D views of the notebook."""
        return self.page.locator(".jp-Notebook .mlms-view canvas").all()

    def ink(self, place):
        """How much is drawn in an element: (number of colours, share of pixels unlike the commonest one)."""
        place.scroll_into_view_if_needed()
        picture = Image.open(io.BytesIO(place.screenshot())).convert("RGB")
        counts = [n for n, _ in picture.getcolors(picture.width * picture.height)]
        return len(counts), 1 - max(counts) / sum(counts)

    def drawn(self, place, seconds=30):
        """Whether an element comes to hold a drawing: many colours, on more than a hundredth of it."""
        def enough():
            colours, share = self.ink(place)
            return colours > 60 and share > 0.01
        return self.until(enough, seconds)

    def click_atoms(self, canvas, enough, grid=9):
        """Click across a 3-D view until `enough()` holds.  Returns whether it did."""
        canvas.scroll_into_view_if_needed()
        box = canvas.bounding_box()
        steps = sorted(((i, j) for i in range(1, grid) for j in range(1, grid)),
                       key=lambda p: (p[0] - grid / 2) ** 2 + (p[1] - grid / 2) ** 2)      # from the middle outwards
        for i, j in steps:
            x, y = box["x"] + box["width"] * (0.2 + 0.6 * i / grid), box["y"] + box["height"] * (0.1 + 0.8 * j / grid)
            self.page.mouse.move(x, y)
            self.page.wait_for_timeout(60)
            self.page.mouse.down()
            self.page.wait_for_timeout(30)
            self.page.mouse.up()
            if self.until(enough, 0.4, 50):
                return True
        return False

    # sliders

    def sliders(self):
        """The sliders of the notebook whose output holds a figure, as (label, handle)."""
        found = []
        for box in self.page.locator(".jp-Notebook .jp-OutputArea-output .widget-slider").all():
            handle = box.locator(".noUi-handle")
            if handle.count() and box.is_visible():
                found.append((box.locator(".widget-label").text_content(), handle.first))
        return found

    @staticmethod
    def _figure(handle):
        """The source of the figure in a slider's output, or None."""
        return handle.evaluate("h => h.closest('.jp-OutputArea-output').querySelector('.widget-image')?.src ?? null")

    def move_slider(self, handle, key=None, seconds=60):
        """Press an arrow key on a slider.  Returns milliseconds until the figure had changed, or None."""
        handle.scroll_into_view_if_needed()
        before = self._figure(handle)
        if key is None:
            at, end = (float(handle.get_attribute(f"aria-value{name}")) for name in ("now", "max"))
            key = "ArrowLeft" if at >= end else "ArrowRight"
        handle.focus()
        start = time.perf_counter()
        self.page.keyboard.press(key)
        changed = self.until(lambda: self._figure(handle) != before, seconds, 10)
        return 1000 * (time.perf_counter() - start) if changed and before else None

    @staticmethod
    def output(handle):
        """The output that an element stands in."""
        return handle.locator("xpath=ancestor::div[contains(@class, 'jp-OutputArea-output')][1]")

    @contextlib.contextmanager
    def film(self, place):
        """Every frame that the browser paints meanwhile, as a list of pictures of an element that stays where it is."""
        box = place.bounding_box()
        size = self.page.viewport_size
        session, pictures = self.context.new_cdp_session(self.page), []

        def keep(event):
            picture = Image.open(io.BytesIO(base64.b64decode(event["data"]))).convert("L")
            scale = picture.width / size["width"]
            pictures.append(picture.crop([int(scale * v) for v in (
                box["x"], box["y"], box["x"] + box["width"], min(box["y"] + box["height"], size["height"]))]))
            session.send("Page.screencastFrameAck", {"sessionId": event["sessionId"]})

        session.on("Page.screencastFrame", keep)
        session.send("Page.startScreencast", {"format": "png", "everyNthFrame": 1})
        try:
            yield pictures
        finally:
            session.send("Page.stopScreencast")
            session.detach()

    # uploads

    def upload(self, path, button=None):
        """Upload a file through the browser's file dialog."""
        button = button or self.page.locator(".jp-Notebook .widget-upload").first
        button.scroll_into_view_if_needed()
        with self.page.expect_file_chooser() as chooser:
            button.click()
        chooser.value.set_files(path)

    # layout

    def cut_texts(self):
        """Labels that are cut off, and widgets that stick out of their output."""
        return self.page.evaluate("""() => {
            const cut = [...document.querySelectorAll('.jp-Notebook .widget-label, .jp-Notebook .jupyter-button')]
                .filter(e => e.offsetParent && e.scrollWidth > e.clientWidth + 1).map(e => 'cut: ' + e.textContent);
            const out = [...document.querySelectorAll('.jp-Notebook .jp-OutputArea-output')].filter(
                e => e.querySelector('.jupyter-widgets') && e.scrollWidth > e.clientWidth + 1).map(
                e => `sticks out by ${e.scrollWidth - e.clientWidth} px: ` + e.textContent.trim().slice(0, 60));
            return cut.concat(out); }""")

    def shots(self, path):
        """Screenshots of the whole notebook, as many as it takes: path-1.png and so on.  Returns their names."""
        height = self.page.viewport_size["height"] - 160
        outer = self.page.locator(".jp-Notebook .jp-WindowedPanel-outer").first
        names, top = [], 0
        while True:
            outer.evaluate("(e, top) => { e.scrollTop = top }", top)
            self.page.wait_for_timeout(1200)
            names.append(f"{path}-{len(names) + 1}.png")
            self.page.screenshot(path=names[-1])
            seen = outer.evaluate("e => [...e.querySelectorAll('.jp-Cell')].at(-1).getBoundingClientRect().bottom <= innerHeight")
            if seen or len(names) == 60:
                return names
            top += height

    def end_kernels(self):
        """End all kernels of this server, so that the next notebook has the memory for itself."""
        for session in self._ask("/api/sessions"):
            self._ask(f"/api/sessions/{session['id']}", "DELETE")

    def _ask(self, path, method="GET"):
        request = urllib.request.Request(self.address + path, method=method, headers={"Authorization": f"token {self.token}"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.loads(answer.read() or "null")
