"""What the receivers of other streams do, written after their protocols and not with our code."""

from __future__ import annotations

import json
import pickle
import re
import threading
import time
from dataclasses import dataclass, field

import numpy as np
import zmq

NAMES = (
    "output_count_rate", "all_events", "all_good", "clock_ticks", "total_ticks", "reset_ticks", "event_width",
    "dead_time_correction",
)  # fmt: skip
DTYPES = ("float64", "uint32", "uint32", "uint32", "uint32", "uint32", "int32", "float64")


HALF = 3000
"""ms for the rest of a frame whose first message has come."""


@dataclass
class Series:
    """One series, as it was received."""

    header: dict
    images: list[dict] = field(default_factory=list)
    spectra: list[np.ndarray] = field(default_factory=list)
    values: list[list[np.ndarray]] = field(default_factory=list)
    """Of the publisher only."""
    end: dict | None = None
    strays: list = field(default_factory=list)
    """What came between a series' end and the next header."""

    def column(self, name):
        return np.array([one[NAMES.index(name)] for one in self.values])

    @property
    def numbers(self):
        return [image["frame"] for image in self.images]


class Foreigner:
    """A socket of its own and a thread that reads it as `_read` says."""

    kind = zmq.SUB

    def __init__(self, endpoint):
        self.series: list[Series] = []
        self.error: Exception | None = None
        self._changed = threading.Condition()
        self._context = zmq.Context()
        self._socket = self._context.socket(self.kind)
        self._socket.set_hwm(0)
        self._socket.setsockopt(zmq.RCVTIMEO, HALF)
        if self.kind == zmq.SUB:
            self._socket.setsockopt(zmq.SUBSCRIBE, b"")
        self._socket.connect(endpoint)
        self._paused, self._closing = threading.Event(), False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        try:
            while not self._closing:
                if self._socket.poll(50):
                    self._read()
                    with self._changed:
                        self._changed.notify_all()
        except Exception as error:
            self.error = error

    def _json(self):
        parts = self._socket.recv_multipart()
        assert len(parts) == 1, f"{len(parts)} parts"
        return json.loads(parts[0])

    def heard(self, count=1, seconds=30):
        """The last of `count` series that have ended."""
        def ended():
            return self.error or len([one for one in self.series if one.end]) >= count

        with self._changed:
            assert self._changed.wait_for(ended, seconds), "the series does not end"
        if self.error:
            raise self.error
        return self.series[count - 1]

    def complete(self):
        """How many series have ended."""
        return len([one for one in self.series if one.end])

    def left(self):
        """The last series, when nothing has come for a second: its end, or what there is without one."""
        known, since = (), time.monotonic()
        while time.monotonic() - since < 1.0:
            time.sleep(0.05)
            if (now := (len(self.series), len(self.series[-1].images), self.complete())) != known:
                known, since = now, time.monotonic()
        return self.series[-1]

    def close(self):
        self._closing = True
        self._thread.join(10)
        self._socket.close(0)
        self._context.term()


def as_frame(series, image, spectra):
    assert image["type"] == "uint32" and image["compression"] == "none"
    series.images.append(image)
    series.spectra.append(np.frombuffer(spectra, image["type"]).reshape(image["shape"]))


class WritingReceiver(Foreigner):
    """JSON, bytes, pickle in strict order: what a receiver of xspress3-streamer does."""

    in_parts = False

    def _next(self):
        parts = self._socket.recv_multipart()
        assert len(parts) == 1
        return parts[0]

    def _read(self):
        first, *rest = self._socket.recv_multipart()
        head = json.loads(first)
        if head["htype"] == "header":
            assert isinstance(head["filename"], str) and isinstance(head["overwritable"], bool) and not rest
            self.series.append(Series(head))
        elif head["htype"] == "image":
            assert len(rest) == (2 if self.in_parts else 0)
            spectra, pickled = rest if self.in_parts else (self._next(), self._next())
            if not self.series:
                return  # it came late
            as_frame(self.series[-1], head, spectra)
            values = pickle.loads(pickled)
            assert type(values) is list and [one.dtype.name for one in values] == list(DTYPES)
            assert all(one.shape == (head["shape"][0],) for one in values)
            self.series[-1].values.append(values)
        else:
            assert head == {"htype": "series_end"} and not rest
            if self.series:
                assert self.series[-1].end is None, "a second end"
                self.series[-1].end = head


class PartsReceiver(WritingReceiver):
    """The same where a frame is one message."""

    in_parts = True


def streams_of(banner):
    """Addresses that a server names: of the publisher, and of stream1."""
    return [re.search(rf"{name} stream +(\S+)", banner)[1] for name in ("legacy", "stream1")]


class StinsReceiver(Foreigner):
    """Two parts, and numbers that grow by one from the header on."""

    kind = zmq.PULL

    def __init__(self, endpoint):
        self.numbers: list[int] = []
        super().__init__(endpoint)

    def _read(self):
        first, *rest = self._socket.recv_multipart()
        head = json.loads(first)
        self.numbers.append(head["msg_number"])
        if head["htype"] == "header":
            assert isinstance(head["filename"], str)
            assert all(type(json.loads(part)) is dict for part in rest)
            self.series.append(Series(head))
        elif head["htype"] == "image":
            assert len(rest) == 1
            as_frame(self.series[-1], head, rest[0])
        else:
            assert head["htype"] == "series_end" and not rest
            assert self.series[-1].end is None
            self.series[-1].end = head
