"""From the key that moves a slider to the new curve on the screen: notebook 05 in a browser.

    python -m benchmarks.slider --table docs/slider-speed.md       (two minutes on 2 cores; needs Chromium)

The cells up to the sliders are run.  For each slider the arrow keys are pressed, each when the curve of the
one before is finished.  The time runs, in the browser, from the key's event to the frame that shows the first
part of the new position's curve, and to the frame that shows all of it.  Every frame in between must show a
picture of the same size.
"""

import argparse
import datetime
import os
import platform
import sys
from pathlib import Path

import nbformat
import numpy as np

from benchmarks import common
from tools import jupyter_lab

ASKED = ("learning rate", "epochs", "weight decay", "training set")
WALKED = "training set"  # through its whole range, so that programs for other sizes are needed too
LIMIT = 400  # ms from the key to the new curve, the median of each

# One press: the key goes to the handle itself.  `first` is the first frame with another picture, loaded: the
# one before was finished, so it is the new position's.  `whole`: the frame in which the status says so too.
PRESS = """([label, turn, seconds]) => new Promise(done => {
    const box = [...document.querySelectorAll('.jp-Notebook .jp-OutputArea-output .widget-slider')].find(
        b => b.querySelector('.widget-label')?.textContent.startsWith(label));
    const handle = box.querySelector('.noUi-handle');
    const output = box.closest('.jp-OutputArea-output'), image = output.querySelector('.widget-image');
    const before = image.src, size = `${image.clientWidth}x${image.clientHeight}`, start = performance.now();
    const pictures = new Set();
    let absent = 0, first = null, computing = false;
    const observer = new MutationObserver(() => { computing ||= output.textContent.includes('computing'); });
    observer.observe(output, {childList: true, subtree: true, characterData: true});
    const look = () => {
        const now = output.querySelector('.widget-image'), passed = performance.now() - start;
        const there = now?.offsetParent && `${now.clientWidth}x${now.clientHeight}` === size;
        if (!there) absent += 1;
        else if (now.src !== before && now.complete) {
            pictures.add(now.src);
            first ??= passed;
        }
        const over = computing && output.textContent.includes('computed in');
        const whole = first !== null && over && now.complete;
        if (!whole && passed < 1000 * seconds) return requestAnimationFrame(look);
        observer.disconnect();
        done({first, whole: whole ? passed : null, absent, pictures: pictures.size});
    };
    const [now, low, high] = ['now', 'min', 'max'].map(n => +handle.getAttribute('aria-value' + n));
    if (turn || now <= low || now >= high)
        window.key = now >= high || (now > low && window.key === 'ArrowRight') ? 'ArrowLeft' : 'ArrowRight';
    handle.focus();
    handle.dispatchEvent(new KeyboardEvent('keydown', {key: window.key, bubbles: true, cancelable: true}));
    requestAnimationFrame(look); })"""


def measure(page, label, presses):
    """What each press says, back and forth around where the slider stands."""
    answers = []
    for k in range(presses + 2):
        turn = k == 0 if label == WALKED else k % 8 == 0  # else they only turn at the ends
        answer = page.evaluate(PRESS, [label, turn, jupyter_lab.PATIENCE])
        if answer["whole"] is None:
            raise SystemExit(f"the figure did not follow the slider {label!r}")
        answers.append(answer)
        page.wait_for_timeout(250)
    return answers[2:]  # the first may load what the rest has


def row(label, answers):
    """A line of the table, and whether it shows what is asked for."""
    first, whole, pictures = (np.array([a[name] for a in answers]) for name in ("first", "whole", "pictures"))
    absent = sum(a["absent"] for a in answers)
    cells = [
        f"**{np.median(first):.0f}**",
        "{:.0f} to {:.0f}".format(*np.percentile(first, [25, 75])),
        f"{first.max():.0f}",
        f"{np.median(whole):.0f}",
        f"{whole.max():.0f}",
        f"{pictures.mean():.1f}",
        f"{absent}",
    ]
    return f"| {label} | {' | '.join(cells)} |", np.median(first) < LIMIT and absent == 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--presses", type=int, default=20, help="of each slider")
    parser.add_argument("--table", type=Path, help="also write what is printed into this file")
    arguments = parser.parse_args()
    lines = [
        "| slider | to the new curve: median, ms | quartiles | slowest | to all of it: median, ms | slowest "
        "| pictures a press | frames without one |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    missed = []
    with jupyter_lab.page() as lab:
        notebook = nbformat.read(lab.folder / "05-training.ipynb", as_version=4)
        sliders = next(k for k, cell in enumerate(notebook.cells) if "widgets.explore(" in cell.source)
        lab.open(
            lab.write(
                "sliders.ipynb", *(c.source for c in notebook.cells[: sliders + 1] if c.cell_type == "code")
            )
        )
        lab.run_all()
        lab.python("for thread in ahead: thread.join()")
        lab.sliders()[0][1].scroll_into_view_if_needed()
        lab.page.wait_for_timeout(3000)
        for label in ASKED:
            line, met = row(label, measure(lab.page, label, arguments.presses))
            lines.append(line)
            missed += [] if met else [label]
    verdict = f"Missed by: {', '.join(missed)}." if missed else "All are met."
    lines += [
        "",
        f"Asked for: medians to the new curve under {LIMIT} ms, no frame without a picture.  {verdict}",
    ]
    print("\n".join(lines))
    if arguments.table:
        head = [
            "# From slider to curve",
            "",
            f"Measured by `benchmarks/slider.py` on {datetime.date.today()}: notebook 05 in JupyterLab and "
            f"headless Chromium, {os.cpu_count()} cores shared by server, kernel and browser (which draws "
            f"without a graphics card), {platform.machine()}; {arguments.presses} presses of an arrow key "
            "for each slider.",
            "",
            "The curve grows while the network trains: the first columns are the time until its first part "
            "is on the screen, for the new position of the slider and nothing else.",
            "",
            common.stamp("lipon"),
            "",
        ]
        arguments.table.write_text("\n".join(head + lines) + "\n")
    return int(bool(missed))


if __name__ == "__main__":
    sys.exit(main())
