"""Run notebooks in JupyterLab and photograph them from top to bottom, to look at what a reader sees.

    python -m scripts.screenshots FOLDER [NOTEBOOK ...]             (in the folder of the course)

NOTEBOOK: for example 05-training; default, all.  Writes FOLDER/05-training-1.png and so on, prints what went
wrong on each page, and ends with status 1 if anything did.  Needs Chromium (CHROMIUM=/path/to/it where it is
elsewhere).
"""

import sys
from pathlib import Path

from tools import jupyter_lab


def main(folder: str, *names: str) -> int:
    """Photograph notebooks into a folder.  Returns 1 if anything went wrong on a page, else 0."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    notebooks = [Path(name).stem for name in names] or sorted(
        path.stem for path in (jupyter_lab.ROOT / "notebooks").glob("*.ipynb")
    )
    wrong = 0
    with jupyter_lab.page(width=1300, height=1400) as lab:
        for notebook in notebooks:
            seconds = lab.open(f"{notebook}.ipynb").run_all()
            lab.page.wait_for_timeout(3000)
            faults = lab.errors() + lab.cut_texts()
            wrong += len(faults)
            print(f"{notebook}: {seconds:.0f} s, {len(lab.shots(folder / notebook))} pictures")
            print(*(f"    {fault}\n" for fault in faults), sep="", end="")
    return int(wrong > 0)


if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))
