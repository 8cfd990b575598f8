"""The terminal, pipe or file that text for people goes to, and its end."""

from __future__ import annotations

import io
import logging
import os
import shutil
import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

log = logging.getLogger(__name__)

INTERRUPTED = 130
"""Exit code of what Ctrl-C has ended before it was done."""


def console(**options: Any) -> Console:
    """Return standard output, or with `stderr` the other one, for rich, whose `options` these are."""
    from rich.console import Console

    class Terminal(Console):
        def on_broken_pipe(self) -> None:
            raise  # whoever reads has enough (head, less): rich would call it a failure

    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # on a terminal that knows ASCII only the rest are question marks
    shown = Terminal(highlight=False, **options)
    if shown.width > 0 and shown.height > 0:
        return shown
    # COLUMNS or LINES of 0 is no size, and rich would show nothing.
    columns, lines = shutil.get_terminal_size()
    return Terminal(highlight=False, width=columns, height=lines, **options)


def say(line: str) -> None:
    """Print a line. Whoever read them may have gone, or the disk be full: what is said of goes on all the same."""
    try:
        print(line, flush=True)
    except OSError as error:
        drop_output()
        log.warning("No more is said on standard output: %s", error.strerror)


def heed_ends(heed: Callable[[int, FrameType | None], object]) -> None:
    """Have SIGTERM heeded, and the end of the terminal, unless whoever started this will not have it so (nohup)."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, heed)


def drop_output() -> None:
    """Throw away what is left to be said on standard output: it must not fail at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
