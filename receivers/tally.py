"""A subscriber that counts and sums the frames of one series, to compare with what others say of it."""

from __future__ import annotations

import threading

import numpy as np
from numpy.typing import NDArray

from xsp3ioc.receivers.receiver import Receiver, RefusedError
from xsp3ioc.stream.messages import SCALERS, Block, FrameStatus, Gap, Header, SeriesEnd

TICK = 0.1
"""s between looks at whether to stop."""


class Tally(threading.Thread):
    """From the next header to its end message, in a thread of its own; frames without valid data do not count."""

    def __init__(self, endpoint: str, name: str) -> None:
        super().__init__(name=name, daemon=True)
        self.frames = 0
        self.header: Header | None = None
        self.end: SeriesEnd | None = None
        self.gaps: list[Gap] = []
        """What did not arrive; complete when there is an `end`."""
        self.error = ""
        self.spectra: NDArray[np.uint64] = np.zeros((0, 0), np.uint64)
        """(channels, bins): sum over the frames."""
        self.scalers: NDArray[np.uint64] = np.zeros((0, SCALERS), np.uint64)
        """(channels, 9): sum over the frames."""
        self._endpoint = endpoint
        self._leave = threading.Event()

    def run(self) -> None:
        """Receive until the series is over, or `stop`."""
        try:
            with Receiver(self._endpoint, self.name) as receiver:
                while self.end is None and not self._leave.is_set():
                    match receiver.receive(TICK):
                        case Header() as header:
                            self._begin(header)
                        case Block() as block if self.header and block.series_id == self.header.series_id:
                            self._add(block)
                        case SeriesEnd() as end if self.header and end.series_id == self.header.series_id:
                            self.gaps = receiver.gaps
                            self.end = end
        except (RefusedError, ValueError) as error:
            self.error = str(error)

    def stop(self) -> None:
        """Leave, whether the series is over or not."""
        self._leave.set()
        self.join()

    def _begin(self, header: Header) -> None:
        if self.header is None:
            self.header = header
            self.spectra = np.zeros((header.channels, header.bins), np.uint64)
            self.scalers = np.zeros((header.channels, SCALERS), np.uint64)

    def _add(self, block: Block) -> None:
        valid = block.frames["status"] == FrameStatus.valid
        self.spectra += block.mca[valid].sum(axis=0, dtype=np.uint64)
        self.scalers += block.scalers[valid].sum(axis=0, dtype=np.uint64)
        self.frames += int(valid.sum())
