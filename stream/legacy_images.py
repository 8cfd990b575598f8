"""The messages of the xspress3-streamer protocol, byte for byte, from the header and the blocks of a series.

A header and an end are JSON. A frame is three pieces: JSON, the spectra as uint32 (channels, bins), and a pickled list
of eight arrays of (channels,): output rate float64, all events, good events, clock ticks, total ticks and reset ticks
uint32, event width int32, dead-time factor float64. Pickle is only written here, never read.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from pickle import dumps
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from xsp3ioc.stream.formulas import Scaler, output_rates
from xsp3ioc.stream.messages import Block, Header

PICKLE_PROTOCOL = 4
"""The one that pyzmq's send_pyobj takes in Python 3.8 to 3.13."""
TYPES = ("<f8", "<u4", "<u4", "<u4", "<u4", "<u4", "<i4", "<f8")
SCALERS = (Scaler.all_events, Scaler.all_good, Scaler.clock_ticks, Scaler.total_ticks, Scaler.reset_ticks)
END = b'{"htype": "series_end"}'
_FRAME_START = 11
"""Where the contents of a pickle begin: 2 bytes of protocol, 1 of opcode, 8 of length."""


class Pieces(NamedTuple):
    """A frame, as it is sent: in one message of three parts, or in three messages."""

    head: bytes
    spectra: NDArray[np.uint32]
    """(channels, bins), in the memory of its block."""
    values: bytes


class PickledList:
    """A pickle of the eight arrays in which only their values change from frame to frame."""

    def __init__(self, channels: int) -> None:
        samples = [self._sample(place, channels) for place in range(len(TYPES))]
        pickled = dumps(samples, PICKLE_PROTOCOL)
        # numpy 2 names a module that numpy 1 does not have; the old name means the same to both.
        body = pickled[_FRAME_START:].replace(b"\x8c\x16numpy._core.multiarray", b"\x8c\x15numpy.core.multiarray")
        pickled = pickled[: _FRAME_START - 8] + struct.pack("<Q", len(body)) + body
        self._template = np.frombuffer(pickled, np.uint8)
        self._places = []
        for sample in samples:
            start = pickled.index(sample.tobytes())
            self._places.append(slice(start, start + sample.nbytes))

    @staticmethod
    def _sample(place: int, channels: int) -> NDArray[Any]:
        """Return values whose bytes are found nowhere else in the pickle."""
        count = channels * np.dtype(TYPES[place]).itemsize
        return (np.arange(count) * (37 + 2 * place) + 101).astype(np.uint8).view(TYPES[place])

    def fill(self, arrays: list[NDArray[Any]]) -> list[bytes]:
        """Return one pickle per frame; `arrays` are (frames, channels), or (channels,) if the same for all."""
        frames = max(len(array) for array in arrays if array.ndim == 2)
        rows = np.tile(self._template, (frames, 1))
        for place, kind, array in zip(self._places, TYPES, arrays, strict=True):
            rows[:, place] = np.ascontiguousarray(array, kind).view(np.uint8)
        whole, size = rows.tobytes(), self._template.size
        return [whole[start : start + size] for start in range(0, len(whole), size)]


class LegacyImages:
    """The messages of one series."""

    def __init__(self, header: Header) -> None:
        self.header = header
        self._widths = np.rint(header.event_widths).astype("<i4")
        self._pickled = PickledList(header.channels)
        shape, kind = json.dumps([header.channels, header.bins]), header.type
        self._tail = f', "shape": {shape}, "type": "{kind}", "compression": "none"}}'.encode()

    def begin(self) -> bytes:
        """Return the message that begins the series."""
        name, overwritable = destination(self.header)
        return json.dumps({"htype": "header", "filename": name, "overwritable": overwritable}).encode()

    def frames(self, block: Block) -> Iterator[Pieces]:
        """Yield the frames of a block in their order."""
        scalers, period = block.scalers, self.header.clock_period
        columns = [scalers[..., scaler] for scaler in SCALERS]
        values = self._pickled.fill([output_rates(scalers, period), *columns, self._widths, block.factors])
        if self.header.exposure:
            times = [self.header.exposure] * len(block)
        else:  # a gate made it; readers divide by it, and a channel that delivered nothing has no ticks
            times = (scalers[..., Scaler.total_ticks].max(axis=1) * period).tolist()
        for k, (time, pickled) in enumerate(zip(times, values, strict=True)):
            head = b'{"htype": "image", "exptime": %r, "frame": %d' % (time, block.first + k)
            yield Pieces(head + self._tail, block.mca[k], pickled)


def destination(header: Header) -> tuple[str, bool]:
    """Return the file that receivers may be told of, empty if there is none, and whether it may be replaced.

    That is the server's own file, which nobody may replace; or the one that was asked for and that the server does
    not write.
    """
    if header.filename or header.parameters.get("write_destination", True):
        return header.filename, False
    return str(header.parameters.get("destination", "")), bool(header.parameters.get("destination_overwritable"))
