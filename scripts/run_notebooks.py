"""Run notebooks in fresh kernels, save them with clean outputs, and measure time and memory.

    python scripts/run_notebooks.py                     run and save all of notebooks/
    python scripts/run_notebooks.py notebooks/05*.ipynb run and save these
    python scripts/run_notebooks.py --table FILE        also write the table of seconds and memory (Markdown)
    python scripts/run_notebooks.py --twice             run each twice, save nothing, compare every number
    python scripts/run_notebooks.py --clean             run nothing: clean what JupyterLab saved

A claim or a solution that does not hold ends the run (MLMS_STRICT, see mlms_helpers/claims.py).
The table is for docs/notebooks.md; limits are those of Binder.
"""

import argparse
import datetime
import os
import platform
import sys
import threading
import time
from pathlib import Path

import nbformat
import psutil
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parent.parent
MINUTES, GIGABYTES = 3, 1.5  # what one notebook may need; Binder gives 2 GB


def run(path):
    """Execute one notebook.  Returns it with outputs, seconds, and the kernel's peak memory in MB."""
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook,
        timeout=900,
        kernel_name="python3",
        store_widget_state=False,
        record_timing=False,
        resources={"metadata": {"path": str(path.parent)}},
    )
    done, peak = threading.Event(), [0]

    def watch(process):
        while not done.wait(0.1):
            try:
                family = [process, *process.children(recursive=True)]
                peak[0] = max(peak[0], sum(p.memory_info().rss for p in family))
            except psutil.NoSuchProcess:
                pass

    start = time.perf_counter()
    with client.setup_kernel():
        watcher = threading.Thread(
            target=watch, args=(psutil.Process(client.km.provisioner.pid),), daemon=True
        )
        watcher.start()
        try:
            for index, cell in enumerate(notebook.cells):
                client.execute_cell(cell, index)
        finally:
            done.set()
    seconds = time.perf_counter() - start
    return clean(notebook), seconds, peak[0] / 1e6


def clean(notebook):
    """Remove what changes from run to run without meaning: identifiers, times, widget states, addresses."""
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number:03d}"
        cell.metadata.pop("execution", None)
        for key in ("collapsed", "lines_to_next_cell"):
            cell.metadata.pop(key, None)
        if cell.cell_type == "code":
            for output in cell.outputs:
                output.get("data", {}).pop("application/vnd.jupyter.widget-view+json", None)
            # what remains of a widget is what rendering.show_widget leaves beside it
            cell.outputs = merged([o for o in cell.outputs if o.get("data", True)])
    return notebook


def merged(outputs):
    """Join consecutive pieces of one stream, which arrive in pieces of no fixed size."""
    out = []
    for output in outputs:
        if out and output.output_type == "stream" == out[-1].output_type and output.name == out[-1].name:
            out[-1].text += output.text
        else:
            out.append(output)
    return out


def printed(notebook):
    """Everything a reader can read in the outputs: one text a cell."""
    texts = []
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            texts.append(
                output.get("text", "")
                + data.get("text/plain", "")
                + data.get("text/markdown", "")
                + data.get("text/html", "")
            )
    return texts


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("notebooks", nargs="*", type=Path)
    parser.add_argument("--twice", action="store_true", help="run each twice and compare; save nothing")
    parser.add_argument("--table", type=Path, help="write seconds and memory of each as a Markdown table")
    parser.add_argument("--clean", action="store_true", help="run nothing: clean what JupyterLab saved")
    arguments = parser.parse_args()
    paths = arguments.notebooks or sorted((ROOT / "notebooks").glob("*.ipynb"))
    os.environ["MLMS_STRICT"] = "1"  # for the kernels
    if arguments.clean:
        for path in paths:
            nbformat.write(clean(nbformat.read(path, as_version=4)), path)
        return 0
    rows, faults = [], []
    for path in paths:
        path = path.resolve()
        notebook, seconds, megabytes = run(path)
        print(f"{path.name:40s} {seconds:6.1f} s {megabytes:7.0f} MB", flush=True)
        if seconds > 60 * MINUTES:
            faults.append(f"{path.name} takes {seconds:.0f} s, more than {MINUTES} minutes")
        if megabytes > 1000 * GIGABYTES:
            faults.append(f"{path.name} needs {megabytes:.0f} MB, more than {GIGABYTES} GB")
        rows.append((path.name, seconds, megabytes))
        if arguments.twice:
            pairs = zip(printed(notebook), printed(run(path)[0]), strict=True)
            faults += [
                f"{path.name}, output {n}: two runs differ:\n  {a!r}\n  {b!r}"
                for n, (a, b) in enumerate(pairs)
                if a != b
            ]
        else:
            nbformat.write(notebook, path)
    if arguments.table:
        arguments.table.write_text(table(rows))
    well = "every notebook within its limits" + (", and both runs print the same" if arguments.twice else "")
    print("\n".join(faults) or well)
    return bool(faults)


def table(rows):
    machine = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    limits = f"Limits: {MINUTES} minutes, {GIGABYTES} GB."
    lines = [
        f"Measured by `scripts/run_notebooks.py` on {datetime.date.today()}: {machine}.  {limits}",
        "",
        "| notebook | seconds | peak memory of the kernel, MB |",
        "|---|---:|---:|",
        *(f"| {name} | {seconds:.0f} | {megabytes:.0f} |" for name, seconds, megabytes in rows),
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
