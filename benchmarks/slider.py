"""From the key that moves a slider to the new curve on the screen: notebook 05 in a browser.

    python -m benchmarks.slider --table docs/slider-speed.md           (two minutes on 2 cores; needs Chromium)

For each slider the arrow keys are pressed, one press after the other has been answered; the time runs, in the browser, from
the key's event to the frame that shows the new picture.  Every frame in between must show a picture of the same size.
"""

import argparse
import datetime
import os
import platform
import sys
from pathlib import Path

import numpy as np

from tools import jupyter_lab

ASKED = ("learning rate", "epochs", "weight decay", "training set")
WALKED = "training set"  # through its whole range, so that programs for other sizes are needed too
LIMIT = 400  # ms, the median of each

# One press: the key goes to the handle itself; answered when the picture is another one, loaded, and painted.
PRESS = """([label, turn, seconds]) => new Promise(done => {
    const box = [...document.querySelectorAll('.jp-Notebook .jp-OutputArea-output .widget-slider')].find(
        b => b.querySelector('.widget-label')?.textContent.startsWith(label));
    const handle = box.querySelector('.noUi-handle');
    const output = box.closest('.jp-OutputArea-output'), image = output.querySelector('.widget-image');
    const before = image.src, size = `${image.clientWidth}x${image.clientHeight}`, start = performance.now();
    let absent = 0, frames = 0;
    const look = () => {
        const now = output.querySelector('.widget-image');
        frames += 1;
        if (!now?.offsetParent || `${now.clientWidth}x${now.clientHeight}` !== size) absent += 1;
        else if (now.src !== before && now.complete) return done({ms: performance.now() - start, absent, frames});
        if (performance.now() - start > 1000 * seconds) return done({ms: null, absent, frames});
        requestAnimationFrame(look);
    };
    const [now, low, high] = ['now', 'min', 'max'].map(n => +handle.getAttribute('aria-value' + n));
    if (turn || now <= low || now >= high) window.key = now >= high || (now > low && window.key === 'ArrowRight')
        ? 'ArrowLeft' : 'ArrowRight';
    handle.focus();
    handle.dispatchEvent(new KeyboardEvent('keydown', {key: window.key, bubbles: true, cancelable: true}));
    requestAnimationFrame(look); })"""


def measure(page, label, presses):
    """Milliseconds of each press, back and forth around where the slider stands, and frames without a picture."""
    times, absent = [], 0
    for k in range(presses + 2):
        turn = k == 0 if label == WALKED else k % 8 == 0  # else they only turn at the ends
        answer = page.evaluate(PRESS, [label, turn, 30])
        if answer["ms"] is None:
            raise SystemExit(f"the figure did not follow the slider {label!r}")
        absent += answer["absent"]
        if k >= 2:  # the first may load what the rest has
            times.append(answer["ms"])
        page.wait_for_timeout(250)
    return times, absent


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--presses", type=int, default=20, help="of each slider")
    parser.add_argument("--table", type=Path, help="also write what is printed into this file")
    arguments = parser.parse_args()
    lines = [
        "| slider | median, ms | quartiles | slowest | frames without the picture |",
        "|---|---:|---:|---:|---:|",
    ]
    late = []
    with jupyter_lab.page() as lab:
        lab.open("05-training.ipynb").run_all()
        lab.sliders()[0][1].scroll_into_view_if_needed()
        lab.page.wait_for_timeout(3000)
        for label in ASKED:
            times, absent = measure(lab.page, label, arguments.presses)
            low, middle, high = np.percentile(times, [25, 50, 75])
            late += [label] * bool(middle >= LIMIT or absent)
            lines.append(
                f"| {label} | {middle:.0f} | {low:.0f} to {high:.0f} | {max(times):.0f} | {absent} |"
            )
    lines += [
        "",
        f"Asked for: medians under {LIMIT} ms, no frame without the picture.  "
        + (f"Missed by: {', '.join(late)}." if late else "All are met."),
    ]
    print("\n".join(lines))
    if arguments.table:
        head = (
            f"# From slider to curve\n\nNotebook 05 in JupyterLab and headless Chromium, measured by `benchmarks/slider.py` on "
            f"{datetime.date.today()}, {os.cpu_count()} cores shared by server, kernel and browser (which draws without a graphics "
            f"card), {platform.machine()}; {arguments.presses} presses of an arrow key for each slider.\n\n"
        )
        arguments.table.write_text(head + "\n".join(lines) + "\n")
    return int(bool(late))


if __name__ == "__main__":
    sys.exit(main())
