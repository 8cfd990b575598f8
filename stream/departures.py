"""Subscribers that left frames behind: said in one line for many, so that those who come and go fill no log."""

from __future__ import annotations

import threading
import time
from typing import NamedTuple

QUIET = 1.0
"""Seconds without another one after which those who left are named."""
LONGEST = 10.0
"""Seconds after which they are named in any case."""
MOST_NAMED = 3


class Departure(NamedTuple):
    """Who left the data socket, and how many frames were waiting for it."""

    name: str
    frames: int


class Departures:
    """Those who have left and of whom nobody has been told."""

    def __init__(self) -> None:
        self._left: list[Departure] = []
        self._first = self._last = 0.0
        self._lock = threading.Lock()

    def add(self, departure: Departure) -> None:
        """Remember it; from any thread."""
        with self._lock:
            self._last = time.monotonic()
            if not self._left:
                self._first = self._last
            self._left.append(departure)

    def told(self, at_once: bool = False) -> str:
        """Return in words who left, once; empty: nobody, or others may follow soon (unless `at_once`)."""
        now = time.monotonic()
        with self._lock:
            if not self._left or not (at_once or now - self._last > QUIET or now - self._first > LONGEST):
                return ""
            left, self._left = self._left, []
        names = ", ".join(repr(one.name) for one in left[:MOST_NAMED])
        more = len(left) - MOST_NAMED
        others = f" and {more} other{'s' if more > 1 else ''}" if more > 0 else ""
        who, whom = ("Subscriber", "it") if len(left) == 1 else ("Subscribers", "them in all")
        return f"{who} {names}{others} left; {sum(one.frames for one in left)} frames were waiting for {whom}"
