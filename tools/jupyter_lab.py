"""JupyterLab on a free port, and a page of it in Chromium.

Nothing here waits for a fixed time: on a busy machine everything takes longer.  What runs is waited for as
long as it goes on, and PATIENCE ends only what has come to a standstill.
"""

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
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import nbformat
from PIL import Image

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator

ROOT = Path(__file__).resolve().parent.parent
PATIENCE = 300  # seconds without any progress, after which something has failed
# Draws WebGL without a graphics card, and asks no server of its maker for anything.
FLAGS = [
    "--no-sandbox",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
]
NO_WEBGL = [*FLAGS, "--disable-3d-apis"]
# How far a notebook is: the kernel's status, the first cell that has not ended, cells left, outputs written.
PROGRESS = """() => {
    const notebook = window.jupyterapp.shell.currentWidget;
    const code = notebook.content.widgets.filter(
        c => c.model.type === 'code' && c.model.sharedModel.source.trim());
    const left = code.filter(c => !c.model.executionCount || c.model.executionState === 'running');
    return {status: notebook.sessionContext.session?.kernel?.status ?? 'starting',
        raised: code.some(c => c.model.outputs.toJSON().some(o => o.output_type === 'error')
            && !(c.model.metadata.tags ?? []).includes('raises-exception')),
        next: left[0]?.model.sharedModel.source ?? '', left: left.length,
        written: code.reduce((n, c) => n + c.model.outputs.length, 0)}; }"""


@contextlib.contextmanager
def serve(home: str | Path) -> Iterator[tuple[str, str, Path]]:
    """JupyterLab with all its files in `home`, on a copy of the notebooks.

    Gives (address, token, folder of the copy).  Raises RuntimeError, with its log, where it does not start.
    """
    home, token = Path(home), secrets.token_hex()
    notebooks = home / "course" / "notebooks"
    shutil.copytree(ROOT / "notebooks", notebooks, ignore=shutil.ignore_patterns(".*"))
    for path in ROOT.iterdir():  # beside the notebooks lies what lies beside them in the course
        if path.name != "notebooks" and not path.name.startswith("."):
            (home / "course" / path.name).symlink_to(path)
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    environment = {
        **os.environ,
        "HOME": str(home),
        "IPYTHONDIR": str(home / "ipython"),
        "JUPYTER_TOKEN": token,
        "PYTHONPATH": str(ROOT),
        "PYTHONDONTWRITEBYTECODE": "1",
        **{f"JUPYTER_{name}_DIR": str(home / name.lower()) for name in ("CONFIG", "DATA", "RUNTIME")},
    }
    environment.pop("MLMS_STRICT", None)  # as a reader sees it
    environment.setdefault(
        "JAX_COMPILATION_CACHE_DIR", str(Path(cache) / "mlms" / "jax")
    )  # as without the new HOME
    news = home / "config/lab/user-settings/@jupyterlab/apputils-extension/notification.jupyterlab-settings"
    news.parent.mkdir(parents=True)
    news.write_text('{"fetchNews": "false", "checkForUpdates": false}')
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    with open(home / "log", "w") as log:
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "jupyterlab",
                "--no-browser",
                "--allow-root",
                "--ip=127.0.0.1",
                f"--port={port}",
                "--port-retries=0",
                "--LabApp.expose_app_in_browser=True",
            ],
            cwd=notebooks,
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        end = time.perf_counter() + PATIENCE
        while not _answers(f"{address}/api?token={token}"):
            if process.poll() is not None or time.perf_counter() > end:
                raise RuntimeError("JupyterLab did not start:\n" + (home / "log").read_text()[-3000:])
            time.sleep(0.25)
        yield address, token, notebooks
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()


def _answers(address):
    try:
        urllib.request.urlopen(address, timeout=5).read()
    except OSError:
        return False
    return True


def chromium() -> str | None:
    """Path of a Chromium on this machine, the one that CHROMIUM names first; None where there is none."""
    names = (os.environ.get("CHROMIUM"), "chromium", "chromium-browser", "google-chrome")
    return next((shutil.which(name) for name in names if name and shutil.which(name)), None)


@contextlib.contextmanager
def page(width: int = 1300, height: int = 1000) -> Iterator["Lab"]:
    """A page of a JupyterLab of its own, for a script; all of it is gone afterwards."""
    from playwright.sync_api import sync_playwright

    if chromium() is None:
        raise SystemExit("no Chromium here: install it, or give CHROMIUM=/path/to/it")
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home,
        sync_playwright() as playwright,
        serve(home) as server,
    ):
        lab = Lab(playwright.chromium.launch(executable_path=chromium(), args=FLAGS), *server, width, height)
        yield lab
        lab.close()


class Lab:
    """A page of JupyterLab, with one notebook open at a time.

    browser: Chromium, as Playwright launched it.
    address, token, folder: what `serve` gives.
    width, height: of the page, pixels.
    """

    def __init__(
        self,
        browser: "Browser",
        address: str,
        token: str,
        folder: str | Path,
        width: int = 1300,
        height: int = 1000,
    ) -> None:
        self.address, self.token, self.folder = address, token, Path(folder)
        self.context = browser.new_context(viewport={"width": width, "height": height})
        self.context.set_default_timeout(1000 * PATIENCE)
        self.page = self.context.new_page()
        self.said = []  # errors that the page wrote to its console
        self.page.on("console", lambda m: self.said.append(m.text) if m.type == "error" else None)
        self.page.on("pageerror", lambda e: self.said.append(str(e)))

    def close(self) -> None:
        self.end_kernels()
        self.context.close()

    def write(self, name: str, *cells: str) -> str:
        """Write a notebook of code cells.  Returns its file name."""
        notebook = nbformat.v4.new_notebook(
            cells=[nbformat.v4.new_code_cell(source, id=f"c{k}") for k, source in enumerate(cells)],
            metadata={"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}},
        )
        nbformat.write(notebook, self.folder / name)
        return name

    def open(self, name: str) -> "Lab":
        """Open a notebook with a kernel of its own, in an otherwise empty Lab."""
        self.end_kernels()
        self.said.clear()
        self.page.goto(
            f"{self.address}/lab/tree/{name}?reset&token={self.token}", wait_until="domcontentloaded"
        )
        self.page.wait_for_selector(".jp-Notebook .jp-Cell")
        self.page.wait_for_function(
            "document.querySelector('.jp-Dialog')"
            " || window.jupyterapp?.shell?.currentWidget?.sessionContext?.session?.kernel?.status === 'idle'",
            polling=100,
        )
        dialog = self.page.locator(".jp-Dialog")
        assert not dialog.count(), f"{name}: JupyterLab asks its reader: {dialog.first.inner_text()!r}"
        self.page.evaluate("() => { window.jupyterapp.shell.collapseLeft() }")  # the file browser takes room
        return self

    def run_all(self, stall: float = PATIENCE) -> float:
        """Run all cells, and wait until they ran or one raised.  Returns seconds taken.

        stall: seconds in which no cell ends and none writes, after which the run has failed.
        Raises RuntimeError, with the cell, for a kernel that died or came to a standstill.
        """
        start = changed = time.perf_counter()
        self.page.evaluate("() => { window.jupyterapp.commands.execute('notebook:run-all-cells') }")
        before = None
        while True:
            self.page.wait_for_timeout(200)
            seen = self.page.evaluate(PROGRESS)
            if seen["status"] == "idle" and (seen["raised"] or not seen["left"]):
                return time.perf_counter() - start
            if seen != before:
                before, changed = seen, time.perf_counter()
            if seen["status"] in ("dead", "autorestarting", "restarting"):
                raise RuntimeError(f"the kernel is {seen['status']}, in the cell {seen['next'][:60]!r} ...")
            if time.perf_counter() - changed > stall:
                raise RuntimeError(f"no progress for {stall:.0f} s, in the cell {seen['next'][:60]!r} ...")

    def errors(self) -> list[str]:
        """What went wrong on the page: exceptions in cells, and widgets that could not be shown."""
        return self.page.evaluate("""() => {
            const cells = window.jupyterapp.shell.currentWidget.content.widgets.filter(
                c => c.model.type === 'code' && !(c.model.metadata.tags ?? []).includes('raises-exception'));
            const raised = cells.flatMap(c => c.model.outputs.toJSON().filter(o => o.output_type === 'error')
                .map(o => `[${c.model.executionCount}] ${o.ename}: ${o.evalue}`));
            const wrong = /^(Error displaying widget|Loading widget)|Error creating widget|javascript error/i;
            const places = '.jp-OutputArea-output, .jupyter-widgets-error-widget';
            const boxes = [...document.querySelectorAll(places)]
                .map(e => e.textContent.trim().slice(0, 200)).filter(text => wrong.test(text));
            return raised.concat(boxes); }""")

    def python(self, code: str, seconds: float = PATIENCE) -> str:
        """Run code in the notebook's kernel.  Returns what it printed; an exception as `Kind: text`."""
        return self.page.evaluate(
            """async ([code, seconds]) => {
            const kernel = window.jupyterapp.shell.currentWidget.sessionContext.session.kernel;
            const future = kernel.requestExecute({code, store_history: false});
            let out = '';
            future.onIOPub = m => {
                if (m.header.msg_type === 'stream') out += m.content.text;
                if (m.header.msg_type === 'error') out += `${m.content.ename}: ${m.content.evalue}`; };
            const late = new Promise((_, fail) => setTimeout(
                () => fail(new Error('the kernel did not answer')), 1000 * seconds));
            await Promise.race([future.done, late]);
            return out.trim(); }""",
            [code, seconds],
        )

    def until(self, true: Callable[[], object], seconds: float = PATIENCE, step: int = 100) -> object:
        """Wait until `true()` holds, looking every `step` ms; returns whether it does."""
        end = time.perf_counter() + seconds
        while not (held := true()) and time.perf_counter() < end:
            self.page.wait_for_timeout(step)
        return held

    # 3-D views

    def canvases(self) -> list["Locator"]:
        """The 3-D views of the notebook."""
        return self.page.locator(".jp-Notebook .mlms-view canvas").all()

    def ink(self, place: "Locator") -> tuple[int, float]:
        """How much is drawn in an element: (number of colours, share of pixels unlike the commonest one)."""
        place.scroll_into_view_if_needed()
        picture = Image.open(io.BytesIO(place.screenshot())).convert("RGB")
        counts = [n for n, _ in picture.getcolors(picture.width * picture.height)]
        return len(counts), 1 - max(counts) / sum(counts)

    def drawn(self, place: "Locator", seconds: float = PATIENCE) -> object:
        """Whether an element comes to hold a drawing: many colours, on more than a hundredth of it."""

        def enough():
            colours, share = self.ink(place)
            return colours > 60 and share > 0.01

        return self.until(enough, seconds)

    def click_atoms(self, canvas: "Locator", enough: Callable[[], object], grid: int = 9) -> bool:
        """Click across a 3-D view until `enough()` holds.  Returns whether it did."""
        canvas.scroll_into_view_if_needed()
        box = canvas.bounding_box()
        steps = sorted(
            ((i, j) for i in range(1, grid) for j in range(1, grid)),
            key=lambda p: (p[0] - grid / 2) ** 2 + (p[1] - grid / 2) ** 2,
        )  # from the middle outwards
        for i, j in steps:
            x, y = (
                box["x"] + box["width"] * (0.2 + 0.6 * i / grid),
                box["y"] + box["height"] * (0.1 + 0.8 * j / grid),
            )
            self.page.mouse.move(x, y)
            self.page.wait_for_timeout(60)
            self.page.mouse.down()
            self.page.wait_for_timeout(30)
            self.page.mouse.up()
            if self.until(enough, 0.4, 50):
                return True
        return bool(self.until(enough, 30))

    # sliders

    def sliders(self) -> list[tuple[str, "Locator"]]:
        """The sliders of the notebook whose output holds a figure, as (label, handle)."""
        found = []
        for box in self.page.locator(".jp-Notebook .jp-OutputArea-output .widget-slider").all():
            handle = box.locator(".noUi-handle")
            if handle.count() and box.is_visible():
                found.append((box.locator(".widget-label").text_content(), handle.first))
        return found

    @staticmethod
    def figure(handle: "Locator") -> str | None:
        """The source of the figure in a slider's output, or None."""
        return handle.evaluate(
            "h => h.closest('.jp-OutputArea-output').querySelector('.widget-image')?.src ?? null"
        )

    def move_slider(
        self, handle: "Locator", key: str | None = None, seconds: float = PATIENCE
    ) -> float | None:
        """Press an arrow key on a slider.  Returns milliseconds until the figure had changed, or None."""
        handle.scroll_into_view_if_needed()
        before = self.figure(handle)
        if key is None:
            at, end = (float(handle.get_attribute(f"aria-value{name}")) for name in ("now", "max"))
            key = "ArrowLeft" if at >= end else "ArrowRight"
        handle.focus()
        start = time.perf_counter()
        self.page.keyboard.press(key)
        changed = self.until(lambda: self.figure(handle) != before, seconds, 10)
        return 1000 * (time.perf_counter() - start) if changed and before else None

    @staticmethod
    def output(handle: "Locator") -> "Locator":
        """The output that an element stands in."""
        return handle.locator("xpath=ancestor::div[contains(@class, 'jp-OutputArea-output')][1]")

    @contextlib.contextmanager
    def film(self, place: "Locator") -> Iterator[list[Image.Image]]:
        """Pictures of an element that stays where it is, of every frame that the browser paints meanwhile."""
        box = place.bounding_box()
        size = self.page.viewport_size
        session, pictures = self.context.new_cdp_session(self.page), []

        def keep(event):
            picture = Image.open(io.BytesIO(base64.b64decode(event["data"]))).convert("L")
            scale = picture.width / size["width"]
            pictures.append(
                picture.crop(
                    [
                        int(scale * v)
                        for v in (
                            box["x"],
                            box["y"],
                            box["x"] + box["width"],
                            min(box["y"] + box["height"], size["height"]),
                        )
                    ]
                )
            )
            session.send("Page.screencastFrameAck", {"sessionId": event["sessionId"]})

        session.on("Page.screencastFrame", keep)
        session.send("Page.startScreencast", {"format": "png", "everyNthFrame": 1})
        try:
            yield pictures
        finally:
            session.send("Page.stopScreencast")
            session.detach()

    # uploads

    def upload(self, path: Path, button: "Locator | None" = None) -> None:
        """Upload a file through the browser's file dialog."""
        button = button or self.page.locator(".jp-Notebook .widget-upload").first
        button.scroll_into_view_if_needed()
        with self.page.expect_file_chooser() as chooser:
            button.click()
        chooser.value.set_files(path)

    # layout

    def cut_texts(self) -> list[str]:
        """Labels that are cut off, and widgets that stick out of their output."""
        return self.page.evaluate("""() => {
            const all = selector => [...document.querySelectorAll(selector)];
            const over = e => e.scrollWidth - e.clientWidth;
            const cut = all('.jp-Notebook .widget-label, .jp-Notebook .jupyter-button')
                .filter(e => e.offsetParent && over(e) > 1).map(e => 'cut: ' + e.textContent);
            const out = all('.jp-Notebook .jp-OutputArea-output')
                .filter(e => e.querySelector('.jupyter-widgets') && over(e) > 1)
                .map(e => `sticks out by ${over(e)} px: ` + e.textContent.trim().slice(0, 60));
            return cut.concat(out); }""")

    def shots(self, path: str | Path) -> list[str]:
        """Screenshots of the whole notebook, as many as it takes: path-1.png, ...  Returns their names."""
        height = self.page.viewport_size["height"] - 160
        outer = self.page.locator(".jp-Notebook .jp-WindowedPanel-outer").first
        names, top = [], 0
        while True:
            outer.evaluate("(e, top) => { e.scrollTop = top }", top)
            self.page.wait_for_timeout(1200)
            names.append(f"{path}-{len(names) + 1}.png")
            self.page.screenshot(path=names[-1])
            seen = outer.evaluate(
                "e => [...e.querySelectorAll('.jp-Cell')].at(-1)"
                ".getBoundingClientRect().bottom <= innerHeight"
            )
            if seen or len(names) == 60:
                return names
            top += height

    def end_kernels(self) -> None:
        """End all kernels of this server, so that the next notebook has the memory for itself."""
        for session in self._ask("/api/sessions"):
            self._ask(f"/api/sessions/{session['id']}", "DELETE")

    def _ask(self, path, method="GET"):
        request = urllib.request.Request(
            self.address + path, method=method, headers={"Authorization": f"token {self.token}"}
        )
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            return json.loads(answer.read() or "null")
