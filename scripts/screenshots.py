"""Run notebooks in JupyterLab and photograph them from top to bottom, to look at what a reader sees.

    python scripts/screenshots.py FOLDER [NOTEBOOK ...]

NOTEBOOK: for example 05-training; default, all.  Writes FOLDER/05-training-1.png and so on, prints what went wrong
on each page, and ends with status 1 if anything did.  Needs Chromium (CHROMIUM=/path/to/it where it is elsewhere).
"""

import os
import shutil
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "browser"))
import jupyter_lab  # noqa: E402  (it stands beside the tests)


def main(folder, *names, width=1300, height=1400):
    from playwright.sync_api import sync_playwright

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    notebooks = [ROOT / "notebooks" / f"{Path(n).stem}.ipynb" for n in names] or sorted((ROOT / "notebooks").glob("*.ipynb"))
    wrong = 0
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home, sync_playwright() as playwright:
        with jupyter_lab.serve(home) as server:
            chromium = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
            browser = playwright.chromium.launch(executable_path=chromium, args=jupyter_lab.FLAGS)
            lab = jupyter_lab.Lab(browser, *server, width, height)
            for notebook in notebooks:
                seconds = lab.open(notebook.name).run_all(600)
                lab.page.wait_for_timeout(3000)
                faults = lab.errors() + lab.cut_texts()
                wrong += len(faults)
                print(f"{notebook.stem}: {seconds:.0f} s, {len(lab.shots(folder / notebook.stem))} pictures",
                      *(f"\n    {fault}" for fault in faults))
            lab.close()
    return int(wrong > 0)


if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))
