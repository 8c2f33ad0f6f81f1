"""Controls in the notebook, bound to pure functions: `explore` for sliders, `upload` for files, `live` for long work.

A widget here is thin: it hands the values of its controls to a function and shows what the function
returns.  A test sets `.value` of a control and reads `.result`.
"""

import asyncio
import contextlib
import html
import math
import signal
import time

import ipywidgets
from IPython import get_ipython

from . import rendering

# A computation slower than SLOW (s) waits until the controls have rested for PAUSE (s).  A faster one follows
# them: it gathers what changes within GATHER (s).
SLOW, PAUSE, GATHER = 0.3, 0.15, 0.02
_FIT = {"flex_flow": "row wrap", "align_items": "center"}


def slider(label, low, high, value, *, unit="", step=None, log=False):
    """A slider for whole numbers (all of low, high, value are int) or for numbers; log: in equal factors.

    label: what it changes.   unit: shown behind the label.   step: default 1 or a hundredth of the range;
    with log, in powers of ten, default 0.1.   Its `.value` is the number itself, also with log; `explore`
    moves it to the nearest step.
    """
    look = {"description": f"{label} ({unit})" if unit else label, "value": value}
    if log:
        return ipywidgets.FloatLogSlider(min=math.log10(low), max=math.log10(high), step=step or 0.1,
                                         readout_format=".2g", **look)
    if all(isinstance(n, int) for n in (low, high, value)):
        return ipywidgets.IntSlider(min=low, max=high, step=step or 1, **look)
    step = step or (high - low) / 100
    decimals = max(0, math.ceil(-math.log10(step) - 1e-9))
    return ipywidgets.FloatSlider(min=low, max=high, step=step, readout_format=f".{decimals}f", **look)


def explore(function, draw, **controls):
    """Controls above a figure that follows them.

    function: called as `function(**values)` with the controls' values; returns a result, and raises
    ValueError with one sentence for values that cannot be.   draw: `draw(result)` returns a Figure, or
    (Figure, alternative text).   controls: ipywidgets by argument name, each with a description.

    Returns Explorer.
    """
    return Explorer(function, draw, controls)


def upload(function, *, accept="", label="Upload a structure"):
    """A button that takes a file, and below it what a function says about the file.

    function: `function(name, content)` with the file's name and its bytes; returns (HTML, Figure or
    None), and raises ValueError with one sentence for a file it cannot use.  File names in that HTML
    are the function's to escape.   accept: endings the file dialog offers, such as ".cif,.xyz".

    Returns Uploader.
    """
    return Uploader(function, accept, label)


def live(work, draw, *, label="Start"):
    """A button that starts long work, a picture that follows it, and a button that stops it.

    work: `work(watch)` does it and returns a result; now and then it calls `watch(so_far)`, and ends early, keeping
    what it has, when that returns True.  So do `training.fit`, `evaluation.learning_curve` and `search.run`.
    draw: `draw(so_far)` returns a Figure, or (Figure, alternative text).   label: on the button that starts.

    Returns Live.
    """
    return Live(work, draw, label)


class _Panel(ipywidgets.VBox):
    """What both widgets share: a picture that is never taken away, and how they look in a saved notebook."""

    def _start(self, words):
        self._words = words
        self._alt, self._layout = "", None
        self.image = ipywidgets.Image(format="png", layout={"display": "none"})
        self.caption = ipywidgets.HTML()            # the picture in words, for screen readers
        self.result = None

    def __repr__(self):
        return self._words

    def _ipython_display_(self):
        rendering.show_widget(self, self.image.value, self._alt)

    def _show(self, figure):
        """figure: Figure, (Figure, alternative text), or None for no picture."""
        figure, alt = figure if isinstance(figure, tuple) else (figure, None)
        if figure is None:
            self.image.layout.display = "none"
            self.caption.value = self._alt = ""
            return
        picture, self._layout = rendering.redraw(figure, self._layout)
        self._alt = alt or rendering.describe(figure)
        self.image.width, self.image.height = map(str, rendering.size(picture))
        self.image.value = picture
        self.image.layout.display = None
        self.caption.value = rendering.hidden(self._alt, live=True)


class Explorer(_Panel):
    """Controls above a figure that follows them.

    controls: the controls by name.   result: what the function returned for the values they have now.
    image: the figure, an `ipywidgets.Image`.   status: one line: computing, seconds taken, or what is wrong.
    """

    def __init__(self, function, draw, controls):
        self._start("interactive figure: " + ", ".join(c.description or name for name, c in controls.items()))
        self.function, self.draw, self.controls = function, draw, dict(controls)
        self.status = ipywidgets.HTML(layout={"min_height": "28px"})
        self._timer, self._seconds, self._setting, self._tried = None, 0.0, False, None
        for name, control in controls.items():
            control.description = control.description or name
            control.value = _on_step(control, control.value)
            control.observe(self._changed, "value")
        _line_up(list(controls.values()))
        super().__init__([ipywidgets.Box(list(controls.values()), layout=_FIT), self.status, self.image, self.caption])
        self._compute()

    @property
    def result(self):
        """What the function returned for the values that the controls have now."""
        if self.values() != self._tried:            # the browser's or a cell's change is still waiting
            self._compute()
        return self._result

    @result.setter
    def result(self, value):
        self._result = value

    def set(self, **values):
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
        return self._result

    def values(self):
        """The controls' values by name, numbers with ten digits: the browser returns others in the last ones."""
        return {name: float(f"{c.value:.10g}") if isinstance(c.value, float) else c.value
                for name, c in self.controls.items()}

    def _changed(self, _):
        loop = _loop()
        if loop:
            loop.call_soon_threadsafe(self._arrange, loop)
        elif not self._setting:
            self._compute()

    def _arrange(self, loop):
        """Compute soon, but not what has been computed, and once for many changes."""
        slow = self._seconds > SLOW
        if self._timer and not slow:
            return                                  # it will read the new values
        if self._timer:
            self._timer.cancel()
        self._timer = loop.call_later(PAUSE if slow else GATHER, self._on_time)

    def _on_time(self):
        self._timer = None
        if self.values() != self._tried:
            self._compute()

    def _compute(self):
        self._tried, start = self.values(), time.perf_counter()
        tell(self.status, "computing …")
        try:
            with _interruptible():
                result = self.function(**self._tried)
                self._show(self.draw(result))
        except ValueError as error:
            self._result = None
            tell(self.status, str(error), bad=True)
        except KeyboardInterrupt:
            self._result = None
            tell(self.status, "Stopped. Move a control to compute again.", bad=True)
        except Exception as error:
            self._result = None
            tell(self.status, f"The computation failed with {type(error).__name__}: {error}", bad=True)
            raise
        else:
            self._result = result
            self._seconds = time.perf_counter() - start
            tell(self.status, f"computed in {self._seconds:.2f} s")


class Uploader(_Panel):
    """A button that takes a file, and below it what a function says about the file.

    upload: the button, an `ipywidgets.FileUpload`.   message: what was said, or what is wrong.
    image: the figure.   result: (HTML, Figure or None) of the last file, None where it failed.
    """

    def __init__(self, function, accept, label):
        self._start(f"file upload: {label}")
        self.function = function
        self.upload = ipywidgets.FileUpload(accept=accept, multiple=False, description=label, tooltip=label,
                                            layout={"width": f"{7.5 * len(label) + 80:.0f}px"})
        self.message = ipywidgets.HTML()
        self.upload.observe(self._uploaded, "value")
        super().__init__([self.upload, self.message, self.image, self.caption])

    def _uploaded(self, change):
        if change.new:                              # empty: our own clearing, below
            file = change.new[0]
            in_main_thread(self._take, file["name"], bytes(file["content"]))

    def _take(self, name, content):
        self.feed(name, content)
        self.upload.value = ()                      # so that the same file can come again

    def feed(self, name, content):
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
        self._show(None)                            # a picture of the file before would mislead
        tell(self.message, sentence, bad=True)


class Live(_Panel):
    """A button that starts long work, a picture that follows it, and a button that stops it.

    start, stop: the buttons.   result: what the work returned, None before its end and where it failed.
    image: the figure.   status: one line: how long it has been at work, or how it ended.
    """

    def __init__(self, work, draw, label):
        self._start(f"long work with a picture that follows it: {label}")
        self.work, self.draw = work, draw
        self.start = ipywidgets.Button(description=label, button_style="primary", layout={"width": "max-content"})
        self.stop = ipywidgets.Button(description="Stop", disabled=True, layout={"width": "max-content"})
        self.status = ipywidgets.HTML(layout={"min_height": "28px"})
        self.start.on_click(lambda _: in_main_thread(self.run))
        self.stop.on_click(lambda _: self.halt())       # in the thread of the messages: the main one is at work
        super().__init__([ipywidgets.Box([self.start, self.stop], layout=_FIT), self.status, self.image, self.caption])

    def halt(self):
        """Let the work end at its next look."""
        self._halted = True
        tell(self.status, "stopping …")

    def run(self):
        """Do the work, now.  Returns its result."""
        if self.start.disabled:
            return None                             # a second click while it runs
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
            tell(self.status, f"{'stopped' if self._halted else 'done'} after {time.perf_counter() - self._began:.1f} s")
        finally:
            self.start.disabled, self.stop.disabled = False, True
        return self.result

    def _watch(self, so_far):
        self._seen, began = so_far, time.perf_counter()
        if began >= self._due and not self._halted:
            self._show(self.draw(so_far))
            now = time.perf_counter()
            self._due = now + max(SLOW, 3 * (now - began))      # drawing takes a quarter of the time at most
            tell(self.status, f"at work for {now - self._began:.0f} s …")
        return self._halted


def tell(box: ipywidgets.HTML, text: str, bad: bool = False) -> None:
    """One line of plain text in an HTML widget; bad: in a frame, read out at once."""
    text = html.escape(" ".join(str(text).split()))
    look = "border-left:4px solid #D55E00;background:#fdf1e7;color:black;padding:4px 10px" if bad else "opacity:0.75"
    role = "alert" if bad else "status"
    box.value = f'<div role="{role}" style="line-height:1.5;max-width:90ch;{look}">{text}</div>'


def _on_step(control, value):
    """The step of a slider nearest to a value: the browser moves it there anyway, and would have it computed again."""
    if isinstance(control, ipywidgets.FloatLogSlider):
        steps = round((math.log(value, control.base) - control.min) / control.step)
        return control.base ** round(control.min + steps * control.step, 7)
    if isinstance(control, (ipywidgets.FloatSlider, ipywidgets.IntSlider)):
        return type(value)(round(control.min + round((value - control.min) / control.step) * control.step, 7))
    return value


def _line_up(controls):
    """Descriptions that are never cut, sliders and menus in columns; buttons and boxes are as wide as they are."""
    loose = [c for c in controls if isinstance(c, (ipywidgets.ToggleButtons, ipywidgets.Checkbox))]
    wide = 7.2 * max((len(c.description) for c in controls if c not in loose), default=0) + 16
    for control in controls:
        control.tooltip = control.description       # else ipywidgets shows the word "null"
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
    kinds = {UnicodeError: "bytes that are no text", MemoryError: "too little memory", OSError: "a file that cannot be read",
             LookupError: "something missing in the file", ArithmeticError: "numbers that cannot be computed with"}
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


def in_main_thread(call, *arguments):
    """Call where cells run, after the one that runs now; at once outside a notebook.

    JupyterLab delivers what a reader does to a widget in a thread beside that of the cells.  There the stop button
    does not reach, and Keras and matplotlib would work in two threads at once.
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
    except ValueError:                              # not the main thread: there is nothing to let through
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
