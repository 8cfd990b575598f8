"""The latest values of the records that somebody wants beside the frames, and who looks for them."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from typing import NamedTuple

from xsp3ioc.stream.attributes import Value

PATIENCE = 0.5
"""Seconds that a record has to answer; areaDetector waits as long."""


class Wanted(NamedTuple):
    """A record, and whether its value is wanted as text whatever its type is."""

    pv: str
    as_text: bool = False


Listener = Callable[[frozenset[Wanted]], None]


class RecordValues:
    """Filled by the one who looks for the records, read with every block; to read it never waits."""

    def __init__(self, on_missing: Callable[[list[str]], None]) -> None:
        """`on_missing` hears which records do not answer, whenever that changes; it must not wait."""
        self._on_missing = on_missing
        self._values: dict[Wanted, Value] = {}
        """None: no answer."""
        self._listener: Listener | None = None
        self._waiting: Future[None] = Future()
        self._settled = True
        """They have had their time to answer."""
        self._told: list[str] = []
        self._telling = False
        """A thread is with `on_missing`; it goes on until that has heard the truth."""
        self._lock = threading.Lock()
        """Never held while others are called: who shows a value may hold a lock that they want."""

    def listen(self, listener: Listener) -> None:
        """Call `listener` with what is wanted now, and whenever that changes; it must not wait."""
        self._listener = listener
        self.want(frozenset(self._values))

    def want(self, wanted: frozenset[Wanted]) -> Future[None]:
        """Want these from now on, and no others; the future ends when all have answered, or have not in time."""
        with self._lock:
            self._values = {one: self._values.get(one) for one in wanted}
            self._waiting, self._settled = Future(), False
            waiting, listener = self._waiting, self._listener
        if listener is None:
            waiting.set_result(None)
            return waiting
        listener(wanted)
        if None in self._values.values():
            timer = threading.Timer(PATIENCE, self._settle, (waiting,))
            timer.daemon = True
            timer.start()
        else:
            self._settle(waiting)
        return waiting

    def show(self, wanted: Wanted, value: Value) -> None:
        """Take the latest value; None: the record does not answer any more."""
        with self._lock:
            if wanted not in self._values:
                return
            before, self._values[wanted] = self._values[wanted], value
            waiting, settled = self._waiting, self._settled
            complete = None not in self._values.values()
        if (before is None) == (value is None):
            return
        if settled:
            self._tell()
        elif complete:
            self._settle(waiting)

    def latest(self, wanted: Wanted) -> Value:
        """Return the latest value."""
        return self._values.get(wanted)

    def _settle(self, waiting: Future[None]) -> None:
        if waiting is self._waiting:
            self._settled = True
            self._tell()
        with contextlib.suppress(InvalidStateError):  # it has ended already
            waiting.set_result(None)

    def _tell(self) -> None:
        with self._lock:
            if self._telling:
                return
            self._telling = True
        while (missing := self._news()) is not None:
            try:
                self._on_missing(missing)
            except BaseException:
                self._telling = False
                raise

    def _news(self) -> list[str] | None:
        """Return which records do not answer if nobody has been told; else None, and the telling ends."""
        with self._lock:
            missing = sorted({one.pv for one, value in self._values.items() if value is None})
            if missing == self._told:
                self._telling = False
                return None
            self._told = missing
            return missing
