"""What the commands that read files share: one JSON document, progress on a terminal, the end by Ctrl-C."""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.text import Text

from xsp3ioc import __version__
from xsp3ioc.hardware_report import plain
from xsp3ioc.receivers import terminal
from xsp3ioc.receivers.terminal import INTERRUPTED

EXIT_OK, EXIT_WRONG, EXIT_UNREADABLE = 0, 1, 2


def run(
    name: str, act: Callable[[argparse.Namespace], int], options: argparse.Namespace, left: str = ""
) -> int:
    """Do what the command `name` does; return its exit code, 130 if it is interrupted: `left` says what is left."""
    terminal.heed_ends(signal.default_int_handler)
    try:
        return act(options)
    except KeyboardInterrupt:
        sys.stderr.write(f"xsp3ioc {name}: interrupted{left}\n")
        return INTERRUPTED


def counted(count: int, word: str) -> str:
    """Return how many of what, `1 frame` or `1,000 frames`."""
    return f"{count:,} {word}" if count == 1 else f"{count:,} {word}s"


def complain(name: str, text: object) -> None:
    """Say what is wrong in a line on stderr; it may hold anything that stands in a file."""
    sys.stderr.write(f"xsp3ioc {name}: {plain(str(text))}\n")


def console(stderr: bool = False) -> Console:
    """Return the terminal; what does not fit is not cut off where it goes into a file."""
    return terminal.console(markup=False, soft_wrap=not sys.stdout.isatty(), stderr=stderr)


@contextlib.contextmanager
def progress(label: str = "") -> Iterator[Callable[..., None]]:
    """Yield what takes how much of how much is done, and of what: bars on stderr meanwhile, if it is a terminal."""
    columns = TextColumn("{task.description}"), BarColumn(None), TextColumn("{task.percentage:3.0f} %")
    shown = terminal.console(stderr=True)
    with Progress(
        *columns, TimeRemainingColumn(), console=shown, transient=True, disable=not shown.is_terminal
    ) as bar:
        tasks: dict[str, TaskID] = {}

        def tell(done: int, total: int, what: str = label) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(Text(plain(what)).markup)
            bar.update(tasks[what], completed=done, total=total)

        yield tell


def write_json(command: str, code: int, content: Mapping[str, Any]) -> None:
    """Print one JSON document: the command, the version, the exit code, and `content`."""
    document = {"command": command, "version": __version__, "exit_code": code, **content}
    sys.stdout.write(json.dumps(_builtin(document), indent=2, allow_nan=False) + "\n")


def _builtin(value: Any) -> Any:
    """Return it as JSON can say it; a number that is none, or infinite, as null."""
    if isinstance(value, Mapping):
        return {str(key): _builtin(one) for key, one in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return _builtin(value.tolist())
    if isinstance(value, list | tuple):
        return [_builtin(one) for one in value]
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
