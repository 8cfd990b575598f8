"""The terminal, pipe or file that text for people goes to."""

from __future__ import annotations

import io
import os
import shutil
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

INTERRUPTED = 130
"""Exit code of what Ctrl-C has ended before it was done."""


def console(**options: Any) -> Console:
    """Return standard output, or with `stderr` the other one, for rich, whose `options` these are."""
    from rich.console import Console

    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # on a terminal that knows ASCII only the rest are question marks
    shown = Console(highlight=False, **options)
    if shown.width > 0 and shown.height > 0:
        return shown
    # COLUMNS or LINES of 0 is no size, and rich would show nothing.
    columns, lines = shutil.get_terminal_size()
    return Console(highlight=False, width=columns, height=lines, **options)


def drop_output() -> None:
    """Throw away what is left to be said on standard output: it must not fail at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
