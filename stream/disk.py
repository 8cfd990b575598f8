"""Questions to a file system: a dead one never answers, and nobody waits for it."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from pathlib import Path
from typing import NamedTuple, TypeVar

from xsp3ioc.stream.messages import MOST_PARTS, part_name

PATIENCE = 1.0
"""Seconds."""

T = TypeVar("T")


class NoAnswerError(OSError):
    """The file system does not answer."""


def ask(question: Callable[[], T], what: str) -> T:
    """Return what `question` returns, in a thread of its own, or raise what it raises; NoAnswerError names `what`."""
    answer: Future[T] = Future()

    def look() -> None:
        try:
            answer.set_result(question())
        except Exception as error:
            answer.set_exception(error)

    threading.Thread(target=look, daemon=True).start()
    try:
        return answer.result(PATIENCE)
    except FutureTimeoutError:
        if answer.done():
            raise  # the question's own
        raise NoAnswerError(f"{what}: the file system has not answered for {PATIENCE:g} s") from None


class Space(NamedTuple):
    """Bytes of a disk."""

    free: int
    total: int


def space(directory: str) -> Space:
    """Return the room on the disk of a directory, which may be one that is still to be made; OSError if it fails."""
    place = next(path for path in (Path(directory), *Path(directory).parents) if path.exists())
    found = os.statvfs(place)
    return Space(found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize)


def delete(name: str, patience: float) -> None:
    """Delete a file, if it is there, and its parts if it has any; wait no longer than `patience` s for it."""

    def unlink() -> None:
        with contextlib.suppress(OSError):
            os.unlink(name)
            for number in range(1, MOST_PARTS + 1):
                os.unlink(part_name(name, number))

    deleting = threading.Thread(target=unlink, daemon=True)
    deleting.start()
    deleting.join(patience)
