"""One emulated run, from its start to the next: timeline, ring and content of the frames together."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from xsp3ioc.sdk.emulator.pool import FramePool, Regions, timed_frame
from xsp3ioc.sdk.emulator.ring import Ring, frame_numbers
from xsp3ioc.sdk.emulator.settings import EmulatorSettings
from xsp3ioc.sdk.emulator.timeline import ReaderTrain, Timeline

Kind = Literal["mca", "scalers"]

_REMEMBERED = 256  # frames of their own length


class Run:
    """Frames `first` and up. Not thread-safe but for `fill`, which only reads what does not change."""

    def __init__(
        self,
        settings: EmulatorSettings,
        timeline: Timeline,
        ring: Ring,
        pool: FramePool | None,
        regions: Regions,
        bits: int,
        *,
        first: int,
        circular: bool,
    ) -> None:
        self.timeline = timeline
        self.ring = ring
        self.first = first
        self._settings = settings
        self._pool = pool
        self._regions = regions
        self._bits = bits
        self._limit = None if circular else max(0, ring.frames - first)
        self._timed: dict[int, dict[Kind, NDArray[np.uint32]]] = {}
        self._cleared: NDArray[np.int64] | None = None
        self._make_room()

    def settle(self, now: int) -> None:
        """Bring the ring up to the time `now`, in ticks."""
        self.ring.advance(self.first + self._limited(self.timeline.begun(now)))

    def acknowledge(self, frame: int, count: int, channel: int, channels: int) -> None:
        """Free slots, see `Ring.acknowledge`; at the reader's pace that makes room for more frames."""
        self.ring.acknowledge(frame, count, channel, channels)
        self._make_room()

    def _make_room(self) -> None:
        if isinstance(self.timeline, ReaderTrain):
            circular = self._limit is None
            ahead = min(self._settings.ahead, self.ring.frames)
            self.timeline.room = self.ring.oldest() - self.first + ahead if circular else self.ring.frames

    def complete(self, now: int) -> int:
        """Return the number after that of the last complete frame, 0 before any; the ring must be settled."""
        count = self._limited(self.timeline.complete(now))
        if self.ring.stuck:
            count = min(count, self.ring.begun - self.first)
        return self.first + count if count else 0

    def stop(self, now: int) -> None:
        """End the run."""
        self.settle(now)
        self.timeline.stop(now)
        self.settle(now)

    def _limited(self, count: int) -> int:
        return count if self._limit is None else min(count, self._limit)

    def clear(self, slot: int, count: int, channel: int, channels: int) -> None:
        """Zero what the slots hold now, for some channels."""
        if self._cleared is None:
            self._cleared = np.full((self._settings.channels, self.ring.frames), -1, np.int64)
        self._cleared[channel : channel + channels, slot : slot + count] = self.ring.numbers(slot, count)

    def set_regions(self, regions: Regions) -> None:
        """Count with other thresholds and windows from now on."""
        self._regions = regions
        self._timed.clear()
        if self._pool is not None:
            self._pool.set_regions(regions)

    def fill(self, kind: Kind, slot: int, pieces: list[tuple[int, int]], out: NDArray[np.uint32]) -> None:
        """Fill `out` (slots, channels, bins or 9) from `slot` on with the frames that `Ring.held` named."""
        at = 0
        for first, count in pieces:
            self.frames(kind, first, out[at : at + count])
            at += count
        if self._cleared is not None:
            out[(self._cleared[:, slot : slot + at] == frame_numbers(pieces)).T] = 0

    def frames(self, kind: Kind, first: int, out: NDArray[np.uint32]) -> None:
        """Fill `out` with frames from number `first` on; those before the run's first are zero."""
        unused = min(max(self.first - first, 0), len(out))
        if unused:
            out[:unused] = 0
            first, out = first + unused, out[unused:]
        if not len(out):
            return
        if self._pool is None:
            out[:] = 0
        elif kind == "mca":
            self._pool.mca(first, out)
        else:
            self._pool.scalers(first, out)
        lengths = self.timeline.lengths
        if lengths:
            for number in range(first, first + len(out)):
                ticks = lengths.get(number - self.first)
                if ticks is not None:
                    out[number - first] = self._timed_frame(number, ticks)[kind]

    def _timed_frame(self, number: int, ticks: int) -> dict[Kind, NDArray[np.uint32]]:
        found = self._timed.get(number)
        if found is None:
            threshold, windows = self._regions
            mca, scalers = timed_frame(
                self._settings, ticks, number, good_threshold=threshold, windows=windows, bits=self._bits
            )
            found = {"mca": mca, "scalers": scalers}
            if len(self._timed) >= _REMEMBERED:
                self._timed.clear()
            self._timed[number] = found
        return found
