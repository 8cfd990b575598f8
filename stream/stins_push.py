"""The stream of STINS ("stream1"), as the streaming-receiver and dranspose pull it: frames in two parts, numbered."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec
import zmq

from xsp3ioc.stream.legacy_images import destination
from xsp3ioc.stream.messages import Block, Header
from xsp3ioc.stream.served_socket import SHORTEST_TURN
from xsp3ioc.stream.side_socket import SideSocket

log = logging.getLogger(__name__)

WAITING_BYTES = 128 << 20
"""Spectra that wait for a receiver before frames are dropped; copies, so that the pool is not held."""
SOCKET_BYTES = 32 << 20
"""Spectra on their way to each receiver."""
MOST_WAITING = 20_000
"""Messages that wait, of whatever size."""
PATIENCE = 10.0
"""Seconds after which what nobody has taken is dropped for the sake of a new series."""
PAUSE, LONG_PAUSE = 0.002, 0.05
"""Seconds between two attempts to send to receivers that have no room, and after a second in which they had none."""
TOO_SLOW, NOBODY = "its receivers are too slow", "no receiver takes them"


class _Waiting(NamedTuple):
    parts: list[Any]
    frames: int
    size: int
    """Bytes of spectra."""


def _metadata(header: Header) -> dict[str, Any]:
    """Return what the streaming-receiver writes beside the spectra; `exptime` goes into what it sends on too, s."""
    same = (
        "clock_period", "event_widths", "energy_offset", "energy_slope", "detector", "simulated", "server", "firmware",
        "series_id", "trigger_mode",
    )  # fmt: skip
    return {"exptime": header.exposure, "start_time": header.time} | {name: getattr(header, name) for name in same}


class StinsPush(SideSocket):
    """A PUSH: its receivers share the frames.

    `msg_number` counts what is sent, without a gap from a header to its end: the streaming-receiver keeps back all that
    comes after one. What is dropped is a gap in `frame`.
    """

    name = "The stream1 socket"

    def __init__(self, endpoint: str, frame_bytes: int, on_drop: Callable[[str], None] = lambda text: None) -> None:
        """`frame_bytes` are the bytes of a frame's spectra."""
        super().__init__(zmq.PUSH, endpoint, "--stream1-port", on_drop, SNDHWM=max(4, SOCKET_BYTES // frame_bytes))
        self._outbox: deque[_Waiting] = deque()
        self._waiting = 0
        """Bytes of spectra in the outbox."""
        # A server that is started again goes on above: the streaming-receiver throws older messages away, no others.
        self._number = time.time_ns() // 1000
        self._skipping = False
        """The running series is left out, with its header."""
        self._served = False
        """Somebody has taken a message since the series began."""
        self._moved = time.monotonic()
        self._encode = msgspec.json.Encoder().encode

    @property
    def waiting(self) -> int:
        """Messages that wait to be sent."""
        return super().waiting + len(self._outbox)

    def close(self) -> None:
        """Send what can be sent at once, and end the thread."""
        super().close()
        if frames := sum(message.frames for message in self._outbox):
            log.warning("%s dropped %d frames at its end: %s", self.name, frames, NOBODY)

    def _busy(self) -> bool:
        return super()._busy() or bool(self._outbox)

    def _look(self, readable: bool) -> None:
        while self._outbox and self._push(self._outbox[0].parts):
            self._waiting -= self._outbox.popleft().size
        pause = PAUSE if time.monotonic() - self._moved < 1 else LONG_PAUSE
        self._rest = pause if self._outbox else SHORTEST_TURN

    def _begin(self, header: Header) -> None:
        if self._outbox and time.monotonic() - self._moved > PATIENCE:
            self._forget()
        self._skipping, self._served = len(self._outbox) >= MOST_WAITING, False
        if self._skipping:
            return
        name, overwritable = destination(header)
        facts = {
            "htype": "header", "msg_number": self._next(), "series_id": header.series_id,
            # Its readers write the file that they are told of: never the one that the server writes.
            "filename": "" if header.filename else name, "server_filename": header.filename,
            "overwritable": overwritable, "frames": header.frames, "shape": [header.channels, header.bins],
            "type": header.type, "exposure": header.exposure, "clock_period": header.clock_period,
            "event_widths": header.event_widths, "energy_offset": header.energy_offset,
            "energy_slope": header.energy_slope, "simulated": header.simulated, "detector": header.detector,
            "time": header.time,
        }  # fmt: skip
        self._queue(_Waiting([self._encode(facts), self._encode(_metadata(header))], 0, 0))

    def _frames(self, block: Block) -> None:
        shape = block.mca.shape[1:]
        scalers, factors = block.scalers.tolist(), block.factors.tolist()
        times, status = block.frames["time"].tolist(), block.frames["status"].tolist()
        for k, mca in enumerate(block.mca):
            if self._skipping or self._waiting + mca.nbytes > WAITING_BYTES or len(self._outbox) >= MOST_WAITING:
                self._drop(1, TOO_SLOW)
                continue
            facts = {
                "htype": "image", "msg_number": self._next(), "series_id": block.series_id, "frame": block.first + k,
                "shape": shape, "type": "uint32", "compression": "none", "scalers": scalers[k],
                "dead_time_factors": factors[k], "time": times[k], "status": status[k],
            }  # fmt: skip
            self._queue(_Waiting([self._encode(facts), mca], 1, mca.nbytes))

    def _end(self, header: Header, reason: str) -> None:
        if self._skipping:
            return
        facts = {
            "htype": "series_end", "msg_number": self._next(), "series_id": header.series_id, "reason": reason,
            "dropped": self.dropped,
        }  # fmt: skip
        self._queue(_Waiting([self._encode(facts)], 0, 0))

    def _drop(self, frames: int, why: str, news: bool = True) -> None:
        # Where nobody has ever come, nobody misses them.
        super()._drop(frames, why if self._served else NOBODY, news and self._served)

    def _next(self) -> int:
        number, self._number = self._number, self._number + 1
        return number

    def _queue(self, message: _Waiting) -> None:
        """Send a message behind those that wait, or let it wait: then its spectra are copied."""
        if not self._outbox and self._push(message.parts):
            return
        self._outbox.append(message._replace(parts=[bytes(part) for part in message.parts]))
        self._waiting += message.size

    def _push(self, parts: list[Any]) -> bool:
        try:
            self._socket.send_multipart(parts, zmq.DONTWAIT)
        except zmq.Again:
            return False
        self._moved, self._served = time.monotonic(), True
        return True

    def _forget(self) -> None:
        """Drop what waits since long: the receivers that come later are to get the series that runs."""
        self._earlier, self._why = sum(message.frames for message in self._outbox), NOBODY
        self._outbox.clear()
        self._waiting = 0
