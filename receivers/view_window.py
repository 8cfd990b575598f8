"""The window of a live view."""

from __future__ import annotations

import os
import signal
from types import FrameType
from typing import Any

from xsp3ioc.receivers.drawing import NoPictureError, load_matplotlib
from xsp3ioc.receivers.terminal import heed_ends
from xsp3ioc.receivers.view_figure import SIZE, Picture
from xsp3ioc.receivers.view_watcher import View, Watcher

HINT = "keys: L log or linear, T latest frame or sum since the last erase, A axes that hold everything, Q quit"
TOOLKITS = ("tkagg", "qtagg")
"""In this order: Qt ends the whole program where the system lacks one of its libraries."""
LOOK = 0.1
"""Seconds between looks whether there is something new."""


class Window:
    """A figure that follows what a watcher sees; the figure is anybody's, with a window or without."""

    def __init__(self, figure: Any, watcher: Watcher, logarithmic: bool, accumulated: bool) -> None:
        self.picture = Picture(figure, logarithmic, accumulated, HINT)
        self._watcher = watcher
        self._shown: View | None = None
        self._canvas = figure.canvas
        self._canvas.mpl_connect("key_press_event", lambda event: self.press(event.key))
        self._timer = self._canvas.new_timer(interval=round(1000 * LOOK))
        self._timer.add_callback(self.refresh)
        self._timer.start()

    def refresh(self) -> None:
        """Show what there is, if it is new."""
        view = self._watcher.view
        if view is not self._shown:
            self._shown = view
            self.picture.show(view)
            self._canvas.draw_idle()

    def press(self, key: str | None) -> None:
        """Do what a key means."""
        match (key or "").lower():
            case "l":
                self.picture.logarithmic = not self.picture.logarithmic
            case "t":
                self.picture.accumulated = not self.picture.accumulated
            case "a":
                self.picture.fit()
            case _:
                return
        self._shown = None
        self.refresh()


def open_window(watcher: Watcher, logarithmic: bool, accumulated: bool) -> None:
    """Show a window until it is closed, or Ctrl-C; NoPictureError says what is missing."""
    interrupted = False

    def interrupt(signum: int, frame: FrameType | None) -> None:
        nonlocal interrupted
        interrupted = True

    # Toolkits lose the exception that Python would make of it.
    signal.signal(signal.SIGINT, interrupt)
    heed_ends(interrupt)
    figure = _figure(f"xsp3-view {watcher.view.endpoint}")
    Window(figure, watcher, logarithmic, accumulated).refresh()
    from matplotlib import pyplot

    closing = figure.canvas.new_timer(interval=round(1000 * LOOK))
    closing.add_callback(lambda: pyplot.close(figure) if interrupted else None)
    closing.start()
    pyplot.show()


def _figure(title: str) -> Any:
    """Return a figure in a window; NoPictureError if there can be none."""
    matplotlib = load_matplotlib()
    from matplotlib import pyplot

    # These letters are ours.
    for name in ("keymap.yscale", "keymap.xscale"):
        matplotlib.rcParams[name] = []
    reasons = []
    chosen = os.environ.get("MPLBACKEND")
    for toolkit in (chosen,) if chosen else TOOLKITS:
        try:
            pyplot.switch_backend(toolkit)
            figure = pyplot.figure(num=title, figsize=SIZE, dpi=100)
        except Exception as error:  # each has its own kind
            reasons.append(str(error))
            continue
        if figure.canvas.required_interactive_framework:
            return figure
        reasons.append(f"MPLBACKEND is {toolkit}, which draws without windows")
    why = " ".join("; ".join(reasons).split())
    raise NoPictureError(
        "no window can be opened: it needs a display, and Tk or Qt (python3-tk, or pip install PySide6); --text shows "
        f"it in this terminal, --output FILE.png saves a picture ({why})"
    )
