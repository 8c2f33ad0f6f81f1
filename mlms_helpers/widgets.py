"""Controls bound to pure functions: `explore` for sliders, `upload` for files, `live` for long work.

A widget here is thin: it hands the values of its controls to a function and shows what the function
returns.  A test sets `.value` of a control and reads `.result`.
"""

import asyncio
import contextlib
import html
import inspect
import math
import signal
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

import ipywidgets
from IPython import get_ipython
from matplotlib.figure import Figure

from . import rendering

# A computation slower than SLOW (s), and that cannot be stopped, waits until the controls have rested for
# PAUSE (s).  Every other one follows them at once.
SLOW, PAUSE = 0.3, 0.15
_FIT = {"flex_flow": "row wrap", "align_items": "center"}

Drawing = Figure | tuple[Figure, str] | None


def slider(
    label: str,
    low: float,
    high: float,
    value: float,
    *,
    unit: str = "",
    step: float | None = None,
    log: bool = False,
) -> ipywidgets.Widget:
    """A slider for whole numbers (all of low, high, value are int) or for numbers.

    label: what it changes.
    low, high, value: its ends, and where it stands first.
    unit: shown behind the label.
    step: default 1 or a hundredth of the range; with log, in powers of ten, default 0.1.
    log: in equal factors.

    Returns an ipywidgets slider; its `.value` is the number itself, also with log.  `explore` moves it to the
    nearest step.
    """
    look = {"description": f"{label} ({unit})" if unit else label, "value": value}
    if log:
        low, high = math.log10(low), math.log10(high)
        return ipywidgets.FloatLogSlider(min=low, max=high, step=step or 0.1, readout_format=".2g", **look)
    if all(isinstance(n, int) for n in (low, high, value)):
        return ipywidgets.IntSlider(min=low, max=high, step=step or 1, **look)
    step = step or (high - low) / 100
    decimals = max(0, math.ceil(-math.log10(step) - 1e-9))
    return ipywidgets.FloatSlider(min=low, max=high, step=step, readout_format=f".{decimals}f", **look)


def explore(
    function: Callable[..., Any], draw: Callable[[Any], Drawing], **controls: ipywidgets.Widget
) -> "Explorer":
    """Controls above a figure that follows them.

    function: called as `function(**values)` with the controls' values; returns a result, and raises
        ValueError with one sentence for values that cannot be.  A slow one may have an argument `watch=None`:
        while a reader moves a control it can call `watch(so_far)` now and then, as `training.fit` does.  Each
        so_far, of the form of a result, is drawn; once `watch` returns True the control has moved on, and
        what the function returns is not shown.
    draw: `draw(result)` returns a Figure, or (Figure, alternative text).
    controls: ipywidgets by argument name, each with a description.

    Returns a widget with
    `controls`: the controls by name.  A value set in a cell is computed at once, one set by the reader soon.
    `reset`: a button that sets all controls back, shown where there are several.
    `result`: what the function returned last, None where it failed.
    `set(**values)`: set several controls, compute once, and return the result.
    `image`: the figure, an `ipywidgets.Image`.
    `status`: one line: computing, seconds taken, or what is wrong.
    """
    return Explorer(function, draw, controls)


def upload(
    function: Callable[[str, bytes], tuple[str, Drawing]],
    *,
    accept: str = "",
    label: str = "Upload a structure",
) -> "Uploader":
    """A button that takes a file, and below it what a function says about the file.

    function: `function(name, content)` with the file's name and its bytes; returns (HTML, Figure or
        None), and raises ValueError with one sentence for a file it cannot use.  File names in that HTML
        are the function's to escape.
    accept: endings the file dialog offers, such as ".cif,.xyz".
    label: on the button.

    Returns a widget with
    `upload`: the button, an `ipywidgets.FileUpload`.
    `feed(name, content)`: do as if that file had been uploaded, and return the result.
    `result`: what the function returned for the last file, None where it failed.
    `image`: the figure, an `ipywidgets.Image`.
    `message`: what was said, or what is wrong.
    """
    return Uploader(function, accept, label)


def live(
    work: Callable[[Callable[[Any], bool]], Any], draw: Callable[[Any], Drawing], *, label: str = "Start"
) -> "Live":
    """A button that starts long work, a picture that follows it, and a button that stops it.

    work: `work(watch)` does it and returns a result; now and then it calls `watch(so_far)`, and ends early,
        keeping what it has, when that returns True.  So do `training.fit`, `evaluation.learning_curve` and
        `search.run`.
    draw: `draw(so_far)` returns a Figure, or (Figure, alternative text).
    label: on the button that starts.

    Returns a widget with
    `start`, `stop`: the buttons.
    `run()`: do the work, now, and return its result.
    `result`: what the work returned, None before its end and where it failed.
    `image`: the figure, an `ipywidgets.Image`.
    `status`: one line: how long it has been at work, or how it ended.
    """
    return Live(work, draw, label)


class _Panel(ipywidgets.VBox):
    """What the three widgets share: a picture that stays until the next is there, and how it is saved."""

    def __init__(self, words: str, children: Iterable[ipywidgets.Widget]) -> None:
        self._words, self._alt, self._layout, self._due = words, "", None, 0.0
        self.result = None
        self.image = ipywidgets.Image(format="png", layout={"display": "none"})
        self.caption = ipywidgets.HTML()  # the picture in words, for screen readers
        super().__init__([*children, self.image, self.caption])

    def __repr__(self):
        return self._words

    def _ipython_display_(self):
        rendering.show_widget(self, self.image.value, self._alt)

    def _show(self, drawing, part=False):
        """Put a picture in the place of the one before.

        drawing: Figure, (Figure, alternative text), or None for no picture.
        part: more will follow soon, so its words are not read out.
        """
        figure, alt = drawing if isinstance(drawing, tuple) else (drawing, None)
        if figure is None:
            self.image.layout.display = "none"
            self.caption.value = self._alt = ""
            return
        picture, self._layout = rendering.redraw(figure, self._layout)
        self._alt = alt or rendering.describe(figure)
        self.image.width, self.image.height = map(str, rendering.size(picture))
        self.image.value = picture
        self.image.layout.display = None
        if not part:
            self.caption.value = rendering.hidden(self._alt, live=True)

    def _follow(self, so_far):
        """Show a part of a result, unless the last part was shown a moment ago.  Returns whether it did."""
        began = time.perf_counter()
        if began < self._due:
            return False
        self._show(self.draw(so_far), part=True)
        now = time.perf_counter()
        self._due = now + max(SLOW, 3 * (now - began))  # drawing takes a quarter of the time at most
        return True


class Explorer(_Panel):
    """What `explore` returns, and describes."""

    def __init__(
        self,
        function: Callable[..., Any],
        draw: Callable[[Any], Drawing],
        controls: dict[str, ipywidgets.Widget],
    ) -> None:
        for name, control in controls.items():
            control.description = control.description or name
            control.value = _on_step(control, control.value)
            control.observe(self._changed, "value")
        _line_up(list(controls.values()))
        self.status = ipywidgets.HTML(layout={"min_height": "28px"})
        self.reset = ipywidgets.Button(
            description="Reset", tooltip="Set all controls back", layout={"width": "max-content"}
        )
        buttons = [self.reset] if len(controls) > 1 else []
        super().__init__(
            "interactive figure: " + ", ".join(control.description for control in controls.values()),
            [ipywidgets.Box([*controls.values(), *buttons], layout=_FIT), self.status],
        )
        self.function, self.draw, self.controls = function, draw, dict(controls)
        first = {name: control.value for name, control in controls.items()}
        self.reset.on_click(lambda button: in_main_thread(lambda: self.set(**first)))
        self._stoppable = "watch" not in controls and _takes_watch(function)
        self._timer, self._seconds, self._setting = None, 0.0, False
        self._compute()

    def set(self, **values: Any) -> Any:
        """Set controls by name, sliders to their nearest step, and compute once, now.  Returns the result."""
        unknown = sorted(set(values) - set(self.controls))
        if unknown:
            raise ValueError(f"no control is called {unknown[0]!r}; there are: {', '.join(self.controls)}")
        self._setting = True
        try:
            for name, value in values.items():
                self.controls[name].value = _on_step(self.controls[name], value)
        finally:
            self._setting = False
        self._compute()
        return self.result

    def values(self) -> dict[str, Any]:
        """The controls' values by name; of numbers ten digits, since the browser changes the last ones."""
        return {
            name: float(f"{control.value:.10g}") if isinstance(control.value, float) else control.value
            for name, control in self.controls.items()
        }

    def _changed(self, change):
        loop = _loop()
        if loop and not _in_cell():
            loop.call_soon_threadsafe(self._arrange, loop)  # the reader's doing: see in_main_thread
        elif not self._setting:
            self._compute()

    def _arrange(self, loop):
        """Compute soon, and once for many changes."""
        slow = self._seconds > SLOW and not self._stoppable
        if self._timer and not slow:
            return  # it will read the new values
        if self._timer:
            self._timer.cancel()
        self._timer = loop.call_later(PAUSE if slow else 0, self._on_time)

    def _on_time(self):
        self._timer = None
        if self.values() != self._tried:
            self._compute(self._watch if self._stoppable else None)

    def _watch(self, so_far):
        """Draw the beginning in any case, so that a curve follows a control that does not come to rest."""
        if not self._due or self.values() == self._tried:
            self._follow(so_far)
        self._stopped = self.values() != self._tried
        return self._stopped

    def _compute(self, watch=None):
        self._tried, self._stopped, self._due, start = self.values(), False, 0.0, time.perf_counter()
        tell(self.status, "computing …")
        try:
            with _interruptible():
                result = self.function(**self._tried, **({"watch": watch} if watch else {}))
                if self._stopped:
                    self._tried = None  # whatever the controls say now is to be computed
                    return
                self._show(self.draw(result))
        except ValueError as error:
            self._fail(str(error))
        except KeyboardInterrupt:
            self._fail("Stopped. Move a control to compute again.")
        except Exception as error:
            self._fail(f"The computation failed with {type(error).__name__}: {error}")
            raise
        else:
            self.result = result
            self._seconds = time.perf_counter() - start
            tell(self.status, f"computed in {self._seconds:.2f} s")

    def _fail(self, sentence):
        self.result = None
        tell(self.status, sentence, bad=True)


class Uploader(_Panel):
    """What `upload` returns, and describes."""

    def __init__(
        self, function: Callable[[str, bytes], tuple[str, Drawing]], accept: str, label: str
    ) -> None:
        width = {"width": f"{7.5 * len(label) + 80:.0f}px"}
        self.upload = ipywidgets.FileUpload(
            accept=accept, multiple=False, description=label, tooltip=label, layout=width
        )
        self.message = ipywidgets.HTML()
        super().__init__(f"file upload: {label}", [self.upload, self.message])
        self.function = function
        self.upload.observe(self._uploaded, "value")

    def _uploaded(self, change):
        if change.new:  # empty: our own clearing, below
            file = change.new[0]
            in_main_thread(self._take, file["name"], bytes(file["content"]))

    def _take(self, name, content):
        self.feed(name, content)
        self.upload.value = ()  # so that the same file can come again

    def feed(self, name: str, content: bytes) -> tuple[str, Drawing] | None:
        """Do as if the file `name` with the bytes `content` had been uploaded.  Returns the result."""
        shown = html.escape(name)
        tell(self.message, f"reading {name} …")
        self.result, figure = None, None
        try:
            with _interruptible():
                self.result = text, figure = self.function(name, content)
                self._show(figure)
                # the class lets tables look as they do in the notebook's own outputs
                self.message.value = f'<div class="jp-RenderedHTMLCommon"><p><b>{shown}</b></p>{text}</div>'
        except ValueError as error:
            self._fail(str(error) or f"{name} cannot be used")
        except KeyboardInterrupt:
            self._fail(f"{name}: stopped.")
        except Exception as error:
            self._fail(f"{name} cannot be used: reading it ended with {_kind(error)}.")
        return self.result

    def _fail(self, sentence):
        self.result = None
        self._show(None)  # a picture of the file before would mislead
        tell(self.message, sentence, bad=True)


class Live(_Panel):
    """What `live` returns, and describes."""

    def __init__(
        self, work: Callable[[Callable[[Any], bool]], Any], draw: Callable[[Any], Drawing], label: str
    ) -> None:
        wide = {"width": "max-content"}
        self.start = ipywidgets.Button(description=label, button_style="primary", layout=wide)
        self.stop = ipywidgets.Button(description="Stop", disabled=True, layout=wide)
        self.status = ipywidgets.HTML(layout={"min_height": "28px"})
        super().__init__(
            f"long work with a picture that follows it: {label}",
            [ipywidgets.Box([self.start, self.stop], layout=_FIT), self.status],
        )
        self.work, self.draw = work, draw
        self.start.on_click(self._clicked)
        self.stop.on_click(self.halt)  # in the thread of the messages: the main one is at work

    def _clicked(self, button):
        in_main_thread(self.run)

    def halt(self, button: ipywidgets.Button | None = None) -> None:
        """Let the work end at its next look."""
        self._halted = True
        tell(self.status, "stopping …")

    def run(self) -> Any:
        """Do the work, now.  Returns its result."""
        if self.start.disabled:
            return None  # a second click while it runs
        self._halted, self._began, self._seen, self._due = False, time.perf_counter(), None, 0.0
        self.result, self.start.disabled, self.stop.disabled = None, True, False
        tell(self.status, "at work …")
        try:
            with _interruptible():
                self.result = self.work(self._watch)
                if self._seen is not None:
                    self._show(self.draw(self._seen))
        except ValueError as error:
            tell(self.status, str(error), bad=True)
        except KeyboardInterrupt:
            tell(self.status, "Interrupted.", bad=True)
        except Exception as error:
            tell(self.status, f"The work failed with {type(error).__name__}: {error}", bad=True)
            raise
        else:
            how, seconds = "stopped" if self._halted else "done", time.perf_counter() - self._began
            tell(self.status, f"{how} after {seconds:.1f} s")
        finally:
            self.start.disabled, self.stop.disabled = False, True
        return self.result

    def _watch(self, so_far):
        self._seen = so_far
        if not self._halted and self._follow(so_far):
            tell(self.status, f"at work for {time.perf_counter() - self._began:.0f} s …")
        return self._halted


def tell(box: ipywidgets.HTML, text: str, bad: bool = False) -> None:
    """One line of plain text in an HTML widget; bad: in a frame, read out at once."""
    text = html.escape(" ".join(str(text).split()))
    look = (
        "border-left:4px solid #D55E00;background:#fdf1e7;color:black;padding:4px 10px"
        if bad
        else "opacity:0.75"
    )
    role = "alert" if bad else "status"
    box.value = f'<div role="{role}" style="line-height:1.5;max-width:90ch;{look}">{text}</div>'


def _takes_watch(function):
    try:
        return "watch" in inspect.signature(function).parameters
    except ValueError:  # a builtin
        return False


def _on_step(control, value):
    """The step of a slider nearest to a value: else the browser moves it there, and it is computed again."""
    if isinstance(control, ipywidgets.FloatLogSlider):
        steps = round((math.log(value, control.base) - control.min) / control.step)
        return control.base ** round(control.min + steps * control.step, 7)
    if isinstance(control, (ipywidgets.FloatSlider, ipywidgets.IntSlider)):
        return type(value)(round(control.min + round((value - control.min) / control.step) * control.step, 7))
    return value


def _line_up(controls):
    """Descriptions are never cut; sliders and menus in columns, buttons and boxes as wide as they are."""
    loose = [c for c in controls if isinstance(c, (ipywidgets.ToggleButtons, ipywidgets.Checkbox))]
    wide = 7.2 * max((len(c.description) for c in controls if c not in loose), default=0) + 16
    for control in controls:
        control.tooltip = control.description  # else ipywidgets shows the word "null"
        if control in loose:
            control.style.description_width = f"{7.2 * len(control.description) + 16:.0f}px"
            control.layout.width, control.layout.display = "max-content", "flex"
            control.layout.margin = "2px 24px 2px 12px"
            if isinstance(control, ipywidgets.Checkbox):
                control.indent = False
        else:
            control.style.description_width = f"{wide:.0f}px"
            control.layout.width = f"{wide + 290:.0f}px"


def _kind(error):
    """What kind of problem an exception is, in words; its own text is for programmers."""
    kinds = {
        UnicodeError: "bytes that are no text",
        MemoryError: "too little memory",
        OSError: "a file that cannot be read",
        LookupError: "something missing in the file",
        ArithmeticError: "numbers that cannot be computed with",
    }
    words = next((words for kind, words in kinds.items() if isinstance(error, kind)), "an unexpected problem")
    return f"{words} ({type(error).__name__})"


def _loop():
    """The event loop of the notebook's main thread; outside a notebook the running one, or None."""
    kernel = getattr(get_ipython(), "kernel", None)
    if getattr(kernel, "io_loop", None):
        return kernel.io_loop.asyncio_loop
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _in_cell():
    """Whether a cell runs this, and no message of the browser: those come in another thread, most of them."""
    kernel = getattr(get_ipython(), "kernel", None)
    asked = kernel.get_parent().get("header", {}).get("msg_type") if kernel else None
    return threading.current_thread() is threading.main_thread() and asked in (None, "execute_request")


def in_main_thread(call: Callable[..., Any], *arguments: Any) -> None:
    """Call where cells run, after the one that runs now; at once outside a notebook.

    JupyterLab delivers what a reader does to a widget in a thread beside that of the cells.  There the stop
    button does not reach, and Keras and matplotlib would work in two threads at once.
    """
    loop = _loop()
    if loop:
        loop.call_soon_threadsafe(call, *arguments)
    else:
        call(*arguments)


@contextlib.contextmanager
def _interruptible():
    """Let the stop button of the notebook end a computation that no cell runs."""
    try:
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
    except ValueError:  # not the main thread: there is nothing to let through
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
