"""Recorded frames in the place of drawn ones: what each holds, and how long it lasts."""

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xsp3ioc.sdk.constants import BINS, SCALERS
from xsp3ioc.sdk.emulator.pool import rebin
from xsp3ioc.sdk.emulator.pulses import Ticks
from xsp3ioc.sdk.emulator.timeline import ReaderTrain, Timeline, Train

_AT_ONCE = 16  # frames read together
_KEPT = 8  # such blocks

Read = Callable[[int, int], tuple[NDArray[np.uint32], NDArray[np.uint32]]]
"""Takes the first frame and how many; returns spectra (n, channels, 4096) and scalers (n, channels, 9)."""


@dataclass(frozen=True, eq=False)
class Recording:
    """Where frames come from; frame n of every run is the recording's frame n.

    `read` is called from one thread at a time, and for a few frames at once.
    """

    name: str
    """What it is, for those who see the emulated library's name."""
    ticks: NDArray[np.uint32]
    """(frames,), clock ticks that each frame lasts; what is 0 lasts 1."""
    read: Read
    wrap: bool = True
    """After the last frame comes the first one again; otherwise none comes any more."""

    @property
    def frames(self) -> int:
        """How many there are."""
        return len(self.ticks)

    def timeline(self, frames: int, gap: int, *, reader: bool) -> Timeline:
        """Return the times of a train of frames (0: until stopped), `gap` ticks between them; they end with us."""
        if not self.wrap:
            frames = min(frames, self.frames) if frames else self.frames
        if reader:
            return ReaderTrain(frames, int(np.median(self.ticks)), gap)
        return RecordedTrain(frames, self.ticks, gap)


class RecordedTrain(Train):
    """Frames one after the other, each as long as it was; from the beginning again after the last one."""

    def __init__(self, frames: int, ticks: NDArray[np.uint32], gap: int) -> None:
        super().__init__(frames, 1, 0)
        lengths = np.maximum(ticks, 1).astype(np.int64)
        self._ends: Ticks = np.cumsum(lengths + gap) - gap
        self._begins: Ticks = self._ends - lengths
        self._lap = int(self._ends[-1]) + gap

    def begun(self, now: int) -> int:
        """Return the number of frames that have begun."""
        return self._count(now, self._begins)

    def complete(self, now: int) -> int:
        """Return the number of frames that have ended."""
        return self._count(now, self._ends)

    def _count(self, now: int, edges: Ticks) -> int:
        if self._closed is not None:
            return self._closed
        if self._start is None:
            return 0
        laps, rest = divmod(now - self._start, self._lap)
        return self._limited(laps * len(edges) + int(np.searchsorted(edges, rest, side="right")))

    def stop(self, now: int) -> None:
        """End the train; what was recorded of the frame in progress is all that there is of it."""
        if self._closed is None:
            self._closed = self.begun(now)
        self.stopped = True

    def spans(self, numbers: Ticks) -> tuple[Ticks, Ticks]:
        """When these frames began and end: int64, same shape."""
        laps, places = np.divmod(numbers, len(self._ends))
        start = (self._start or 0) + laps * self._lap
        return start + self._begins[places], start + self._ends[places]


class RecordedPool:
    """The frames of a recording, for the channels of a system; read in small blocks, of which a few are kept."""

    def __init__(self, recording: Recording, first_channel: int, channels: int, bits: int = 12) -> None:
        self._recording = recording
        self._channels = slice(first_channel, first_channel + channels)
        self._bits = bits
        self._blocks: OrderedDict[int, tuple[NDArray[np.uint32], NDArray[np.uint32]]] = OrderedDict()
        self._lock = threading.Lock()

    def set_regions(self, regions: object) -> None:
        """Do nothing: what was counted in windows and above thresholds was counted then."""

    def mca(self, first: int, out: NDArray[np.uint32]) -> None:
        """Fill `out` (frames, channels, bins) with the spectra from frame `first` on."""
        self._fill(0, first, out)

    def scalers(self, first: int, out: NDArray[np.uint32]) -> None:
        """Fill `out` (frames, channels, 9) with the scalers from frame `first` on."""
        self._fill(1, first, out)

    def _fill(self, which: int, first: int, out: NDArray[np.uint32]) -> None:
        frames = self._recording.frames
        done = 0
        while done < len(out):
            number = first + done
            if number >= frames and not self._recording.wrap:
                out[done:] = 0
                return
            block, offset = divmod(number % frames, _AT_ONCE)
            found = self._block(block)[which][offset : offset + len(out) - done, self._channels]
            if which == 0 and self._bits != 12:
                found = rebin(found, self._bits)
            out[done : done + len(found)] = found
            done += len(found)

    def _block(self, block: int) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
        with self._lock:
            found = self._blocks.get(block)
            if found is None:
                first = block * _AT_ONCE
                count = min(_AT_ONCE, self._recording.frames - first)
                mca, scalers = self._recording.read(first, count)
                if mca.shape[0] != count or mca.shape[2] != BINS or scalers.shape != (*mca.shape[:2], SCALERS):
                    raise ValueError(f"{self._recording.name}: {mca.shape} and {scalers.shape} are no {count} frames")
                found = self._blocks[block] = mca, scalers
                if len(self._blocks) > _KEPT:
                    self._blocks.popitem(last=False)
            else:
                self._blocks.move_to_end(block)
            return found
