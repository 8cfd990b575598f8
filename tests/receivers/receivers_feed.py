"""A minimal server for the receivers' tests: one ROUTER, one receiver, and frames whose content is known."""

import os
import subprocess
import sys
import time

import numpy as np
import zmq

from xsp3ioc.receivers.recording import Recording
from xsp3ioc.stream.messages import (
    FRAME_DTYPE,
    Block,
    Capture,
    Credit,
    Header,
    Hello,
    SeriesEnd,
    decode_from_receiver,
    encode,
    image_of,
)

CHANNELS, BINS = 2, 64
CLOCK = 12.5e-9
START = 1_750_000_000.0
TOKEN = "a token"
PATIENCE = 60
"""Seconds for what is to come; a machine that does much else takes long."""


def header(series_id=1, capture_id=1, **changes):
    fields = {
        "msg_number": 0,
        "series_id": series_id,
        "capture_id": capture_id,
        "filename": "",
        "frames": 0,
        "channels": CHANNELS,
        "bins": BINS,
        "exposure": 0.001,
        "gap": 0.0,
        "clock_period": CLOCK,
        "trigger_mode": "Internal",
        "time": START + series_id,
        "times": "ticks",
        "event_widths": [6, 7],
        "energy_offset": [0.0, 5.0],
        "energy_slope": [10.0, 10.0],
        "windows": [[[0, 1], [2, 3]]] * CHANNELS,
        "good_thresholds": [1] * CHANNELS,
        "simulated": True,
        "detector": "Xspress3 (emulated)",
        "host": "somewhere",
        "server": "xsp3ioc 0.1.0",
        "library": "emulator",
        "firmware": "1.2",
        "parameters": {"AcquireTime": 0.001, "Comment": "a sample", "Nothing": None, "Mixed": [1, "a"]},
    }
    return Header(**{**fields, **changes})


def frames(first, count, series_id=1, channels=CHANNELS, bins=BINS):
    """A block whose content is a function of series and frame number."""
    parts = [np.random.default_rng((series_id, number)) for number in range(first, first + count)]
    mca = np.array([rng.poisson(0.3, (channels, bins)) for rng in parts], np.uint32).reshape(count, channels, bins)
    scalers = np.array([rng.integers(1, 1 << 32, (channels, 9)) for rng in parts], np.uint32)
    factors = np.array([1 + rng.random(channels) for rng in parts])
    about = np.zeros(count, FRAME_DTYPE)
    about["time"] = START + series_id + 0.001 * np.arange(first, first + count)
    about["markers"] = np.arange(first, first + count) % 4
    return Block(series_id, first, mca, scalers.reshape(count, channels, 9), factors.reshape(count, channels), about)


def capture(filename, **changes):
    return Capture(**{"capture_id": 1, "filename": str(filename), "channels": CHANNELS, "bins": BINS, **changes})


def end(acquired, series_id=1, **changes):
    return SeriesEnd(**{"msg_number": 0, "series_id": series_id, "reason": "complete", "acquired": acquired, **changes})


class Feed:
    """The server's end of the wire; `wait` raises TimeoutError after a minute."""

    def __init__(self, endpoint):
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.ROUTER)
        self._socket.setsockopt(zmq.LINGER, 20_000)
        self._socket.bind(endpoint)
        self.endpoint = self._socket.getsockopt_string(zmq.LAST_ENDPOINT)
        self._peer = b""
        self.credit = self._allowed = 0
        self.reports = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self._socket.close()
        self._context.term()

    def hello(self):
        return self.wait(Hello)

    def wait(self, kind, count=1, **fields):
        """The next message of this kind and with these fields; those before it are kept in `reports`."""
        deadline = time.monotonic() + PATIENCE
        while True:
            if not self._socket.poll(1000 * max(0, deadline - time.monotonic())):
                raise TimeoutError(f"no {kind.__name__}; only {self.reports}")
            message = self._take()
            if isinstance(message, kind) and all(getattr(message, name) == fields[name] for name in fields):
                return message

    def _take(self):
        peer, part = self._socket.recv_multipart()
        message = decode_from_receiver(part)
        if isinstance(message, Hello):
            self._peer, self.credit, self._allowed = peer, message.credit, message.credit
        if isinstance(message, Credit):
            self.credit += message.n
        else:
            self.reports.append(message)
        return message

    def wait_until_taken(self):
        """Until all blocks that were sent have been taken: the credit of the last one is back."""
        while self.credit < self._allowed:
            self.wait(Credit)

    def came(self, kind):
        """All messages of this kind that have come until now."""
        while self._socket.poll(0):
            self._take()
        return [report for report in self.reports if isinstance(report, kind)]

    def send(self, *messages):
        for message in messages:
            if isinstance(message, Block):
                if self.credit == 0:
                    self.wait(Credit)
                self.credit -= 1
                self.send_parts(encode(image_of(message, 0)), *message.parts())
            else:
                self.send_parts(encode(message))

    def send_parts(self, *parts):
        self._socket.send_multipart([self._peer, *parts])


def start_child(endpoint, **options):
    """The writer as the server starts it; it ends when its stdin is closed."""
    return subprocess.Popen(
        [sys.executable, "-m", "xsp3ioc.receivers.writer", "--connect", endpoint, "--child"],
        env={**os.environ, "XSP3IOC_TOKEN": TOKEN},
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def record(*events):
    """What the writer reports when it has taken these."""
    reports = []
    recording = Recording(reports.append)
    for event in events:
        recording.take(event)
    recording.close()
    return reports
