"""JupyterLab on a free port, on a copy of the notebooks, and Chromium that looks at it."""

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

import pytest

ROOT = Path(__file__).resolve().parents[2]
# Draws WebGL without a graphics card, and asks no server of its maker for anything.
CHROMIUM_FLAGS = """--no-sandbox --disable-quic --no-first-run --disable-background-networking --disable-component-update
    --disable-sync --use-gl=angle --use-angle=swiftshader --enable-unsafe-swiftshader""".split()


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """(address, token, folder) of a JupyterLab that runs on a copy of the notebooks, with settings of its own."""
    home, token = tmp_path_factory.mktemp("lab"), secrets.token_hex()
    folder = home / "notebooks"
    folder.mkdir()
    for notebook in (ROOT / "notebooks").glob("*.ipynb"):
        shutil.copy(notebook, folder)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {**os.environ, "HOME": str(home), "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1",
                   "MLMS_DATA": os.environ.get("MLMS_DATA", str(ROOT / "data"))}
    # compiled JAX programs may come from, and go to, the usual cache
    environment.setdefault("JAX_COMPILATION_CACHE_DIR", str(
        Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mlms" / "jax"))
    for name in ("CONFIG", "DATA", "RUNTIME"):
        environment[f"JUPYTER_{name}_DIR"] = str(home / name.lower())
    environment |= {"IPYTHONDIR": str(home / "ipython"), "JUPYTER_TOKEN": token}
    quiet = home / "config/lab/user-settings/@jupyterlab/apputils-extension/notification.jupyterlab-settings"
    quiet.parent.mkdir(parents=True)
    quiet.write_text('{"fetchNews": "false", "checkForUpdates": false}')
    with open(home / "log", "w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "jupyterlab", "--no-browser", "--ip=127.0.0.1", f"--port={port}", "--port-retries=0",
             "--allow-root", "--LabApp.expose_app_in_browser=True"],
            cwd=folder, env=environment, stdout=log, stderr=subprocess.STDOUT)
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(240):
            try:
                urllib.request.urlopen(f"{address}/api?token={token}", timeout=5).read()
                break
            except OSError:
                if process.poll() is not None:
                    pytest.fail("JupyterLab did not start:\n" + (home / "log").read_text()[-3000:])
                time.sleep(0.25)
        else:
            pytest.fail("JupyterLab did not answer within a minute:\n" + (home / "log").read_text()[-3000:])
        yield address, token, folder
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()


@pytest.fixture(scope="session")
def browser(chromium):
    """Chromium with 3-D."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=chromium, args=CHROMIUM_FLAGS)


@pytest.fixture(scope="session")
def lab(server, browser):
    """One page of JupyterLab, see Lab."""
    lab = Lab(browser, *server)
    yield lab
    lab.close()


class Lab:
    """A page of JupyterLab with at most one notebook open."""

    def __init__(self, browser, address, token, folder, width=1300, height=1000):
        self.address, self.token, self.folder = address, token, folder
        self.context = browser.new_context(viewport={"width": width, "height": height})
        self.page = self.context.new_page()
        self.said = []                              # what the page wrote to its console
        self.page.on("console", lambda m: self.said.append(f"{m.type}: {m.text}") if m.type == "error" else None)
        self.page.on("pageerror", lambda e: self.said.append(f"page error: {e}"))

    def write(self, name, *cells):
        """Write a small notebook of code cells.  Returns its file name."""
        cells = [{"cell_type": "code", "id": f"c{k}", "metadata": {}, "execution_count": None, "outputs": [],
                  "source": source} for k, source in enumerate(cells)]
        (self.folder / name).write_text(json.dumps({
            "cells": cells, "nbformat": 4, "nbformat_minor": 5,
            "metadata": {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}}))
        return name

    def open(self, name):
        """Open a notebook, with a kernel of its own, in an otherwise empty Lab."""
        self.end_kernel()
        self.said.clear()
        self.page.goto(f"{self.address}/lab/tree/{name}?reset&token={self.token}", wait_until="domcontentloaded")
        self.page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=90_000)
        self._wait_idle(90)

    def end_kernel(self):
        """End all kernels, so that the next notebook has the memory for itself."""
        for session in self._ask("/api/sessions"):
            self._ask(f"/api/sessions/{session['id']}", "DELETE")

    def _ask(self, path, method="GET"):
        request = urllib.request.Request(self.address + path, method=method, headers={"Authorization": f"token {self.token}"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.loads(answer.read() or "null")

    def _wait_idle(self, seconds):
        self.page.wait_for_function(
            "window.jupyterapp?.shell?.currentWidget?.sessionContext?.session?.kernel?.status === 'idle'",
            timeout=1000 * seconds, polling=100)

    def run_all(self, seconds=240):
        """Run all cells and wait until they ran, or one raised.  Returns seconds taken."""
        start = time.perf_counter()
        self.page.evaluate("() => { window.jupyterapp.commands.execute('notebook:run-all-cells') }")
        self.page.wait_for_function("""() => {
            const notebook = window.jupyterapp.shell.currentWidget;
            const code = notebook.content.widgets.filter(c => c.model.type === 'code' && c.model.sharedModel.source.trim());
            const failed = code.some(c => c.model.outputs.toJSON().some(o => o.output_type === 'error'));
            return notebook.sessionContext.session?.kernel?.status === 'idle'
                && (failed || code.every(c => c.model.executionCount && c.model.executionState !== 'running')); }""",
            timeout=1000 * seconds, polling=200)
        return time.perf_counter() - start

    def errors(self):
        """What went wrong on the page: exceptions in cells, and widgets that could not be shown."""
        return self.page.evaluate("""() => {
            const cells = window.jupyterapp.shell.currentWidget.content.widgets.filter(c => c.model.type === 'code');
            const raised = cells.flatMap((c, k) => c.model.outputs.toJSON().filter(o => o.output_type === 'error')
                .map(o => `code cell ${k}: ${o.ename}: ${o.evalue}`));
            const boxes = [...document.querySelectorAll('.jp-OutputArea-output, .jupyter-widgets-error-widget')]
                .map(e => e.textContent).filter(t =>
                    /^(Error displaying widget|Loading widget)|Error creating widget|javascript error/i.test(t.trim()));
            return raised.concat(boxes); }""")

    def python(self, code, seconds=60):
        """Run code in the notebook's kernel.  Returns what it printed."""
        self.page.set_default_timeout(1000 * seconds)
        try:
            return self.page.evaluate("""async code => {
                const kernel = window.jupyterapp.shell.currentWidget.sessionContext.session.kernel;
                const future = kernel.requestExecute({code, store_history: false});
                let out = '';
                future.onIOPub = m => {
                    if (m.header.msg_type === 'stream') out += m.content.text;
                    if (m.header.msg_type === 'error') out += `${m.content.ename}: ${m.content.evalue}`; };
                await future.done;
                return out; }""", code).strip()
        finally:
            self.page.set_default_timeout(30_000)

    def wait(self, milliseconds):
        self.page.wait_for_timeout(milliseconds)

    def drawn(self, place):
        """How much is drawn in an element: (number of colours, share of pixels unlike the commonest one)."""
        import io
        from PIL import Image
        place.scroll_into_view_if_needed()
        picture = Image.open(io.BytesIO(place.screenshot())).convert("RGB")
        counts = sorted((n for n, _ in picture.getcolors(picture.width * picture.height)), reverse=True)
        return len(counts), 1 - counts[0] / sum(counts)

    def close(self):
        self.end_kernel()
        self.context.close()
