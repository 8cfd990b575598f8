"""Which name a capture's file gets: its number's, the next free one, or for the time being a hidden one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from xsp3ioc.receivers.master import keep_parts, parts_beside
from xsp3ioc.receivers.nexus import NexusFile
from xsp3ioc.receivers.parts import PartFiles, open_file
from xsp3ioc.receivers.paths import hidden, keep, prepare, underscored
from xsp3ioc.stream.messages import Capture

Made = TypeVar("Made")


def create(
    capture: Capture, number: int, finish: Callable[[str], None] = lambda _: None
) -> tuple[NexusFile | PartFiles, int]:
    """Make the file of this number, or of the next free name if the capture wants that; return it and its number.

    `finish` is for its parts, if it has any. OSError or ValueError if that cannot be.
    """
    return _first_free(capture, number, lambda path: open_file(capture, path, finish))


def create_hidden(capture: Capture, finish: Callable[[str], None] = lambda _: None) -> NexusFile | PartFiles:
    """Make a file beside the one that it shall become; OSError or ValueError if that cannot be."""
    prepare(Path(capture.filename), True, capture.create_directories)
    return open_file(capture, hidden(capture.filename), finish)


def name_held(capture: Capture) -> tuple[str, int]:
    """Give the hidden file of an earlier capture its name; return that and its number. OSError if that cannot be."""

    def name(path: str) -> str:
        (keep_parts if parts_beside(capture.held) else keep)(capture.held, path, capture.overwrite)
        return path

    return _first_free(capture, capture.number, name)


def _first_free(capture: Capture, number: int, make: Callable[[str], Made]) -> tuple[Made, int]:
    path = capture.name(number)
    while True:
        try:
            prepare(Path(path), capture.overwrite, capture.create_directories)
            return make(path), number
        except FileExistsError:
            # Also when another program has made it a moment ago.
            if capture.underscore:
                path = underscored(path)
            elif not capture.next_free or capture.name(number + 1) == path:
                raise
            else:
                number += 1
                path = capture.name(number)
