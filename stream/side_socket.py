"""A socket beside the data socket, for receivers of other protocols: it takes what it can, and counts what it drops."""

from __future__ import annotations

import logging
import threading
from abc import abstractmethod
from collections import deque
from collections.abc import Callable

from xsp3ioc.stream.messages import Block, Header, Image, Message, SeriesEnd
from xsp3ioc.stream.served_socket import ServedSocket

log = logging.getLogger(__name__)

WAITING_BYTES = 32 << 20
"""Spectra of blocks that may wait for the socket's thread; they are in the pool, which must not fill for this."""


class SideSocket(ServedSocket):
    """Gets the header, the blocks and the end of every series; `_begin`, `_frames` and `_end` send them.

    A block is dropped where too many wait already: this socket may lose frames, but it holds nobody up.
    """

    name: str
    """What people call it."""
    at_least = ""
    """What the log says before a number of frames that were dropped."""

    def __init__(
        self, kind: int, endpoint: str, option: str, on_drop: Callable[[str], None], **socket_options: int
    ) -> None:
        """`on_drop` hears in words that receivers lose frames of a series, from the socket's thread; it must not wait.

        The log says it, with their number, when the series is over.
        """
        super().__init__(kind, [endpoint], option, **socket_options)
        self._on_drop = on_drop
        self._inbox: deque[tuple[Message, Block | None, int]] = deque()
        self._put = threading.Lock()
        self._taken = self._done = 0
        """Bytes of spectra that came, and that are dealt with."""
        self._shed = 0
        """Frames left out since the last message that was let in."""
        self._series: Header | None = None
        self.dropped = 0
        """Frames of the running series, or the last one, that some receiver did not get."""
        self._earlier = 0
        """Frames of series before, dropped when the running one began."""
        self._why = ""

    def take(self, message: Message, block: Block | None) -> None:
        """Queue a message of the data stream, or drop its frames; from any thread, never waits."""
        if not isinstance(message, Header | Image | SeriesEnd):
            return
        with self._put:  # for no longer than this
            if block is not None:
                if self._taken - self._done > WAITING_BYTES:
                    self._shed += len(block)
                    return
                self._taken += block.mca.nbytes
            self._inbox.append((message, block, self._shed))
            self._shed = 0
        self._wake_up()

    @property
    def waiting(self) -> int:
        """Messages that wait to be sent."""
        return len(self._inbox)

    def _busy(self) -> bool:
        return bool(self._inbox)

    def _turn(self, readable: bool) -> None:
        self._look(readable)
        while self._inbox:
            message, block, shed = self._inbox.popleft()
            try:
                if isinstance(message, Header):
                    self._over("the server began another series")
                    self._series, self.dropped, self._earlier = message, 0, 0
                    self._begin(message)
                elif self._series is not None and message.series_id == self._series.series_id:  # type: ignore[attr-defined]
                    if shed:
                        self._drop(shed, "more frames than its thread can send")
                    if block is not None:
                        self._frames(block)
                    elif isinstance(message, SeriesEnd):
                        self._over(message.reason)
            finally:
                self._done += block.mca.nbytes if block is not None else 0
            del message, block  # the pool gets its memory back

    def _over(self, reason: str) -> None:
        if self._series is None:
            return
        series, self._series = self._series, None
        self._end(series, reason)
        lost = [f"{self.at_least}{self.dropped} frames of series {series.series_id}"] if self.dropped else []
        lost += [f"{self.at_least}{self._earlier} frames of series before {series.series_id}"] if self._earlier else []
        if lost:
            log.warning("%s dropped %s: %s", self.name, " and ".join(lost), self._why)

    def _drop(self, frames: int, why: str, news: bool = True) -> None:
        """Count frames that somebody did not get; the first ones of a series are `news` to those who watch it."""
        if not self.dropped and news and self._series is not None:
            self._on_drop(f"{self.name} drops frames of series {self._series.series_id}: {why}")
        self.dropped += frames
        self._why = why

    def _look(self, readable: bool) -> None:
        """Do what there is to do before new messages are sent."""

    @abstractmethod
    def _begin(self, header: Header) -> None:
        """Send the begin of a series."""

    @abstractmethod
    def _frames(self, block: Block) -> None:
        """Send the frames of a block; it must not be referred to afterwards."""

    @abstractmethod
    def _end(self, header: Header, reason: str) -> None:
        """Send the end of a series, once for each."""
