"""Spectra of frames of the running or the last series, read once more from the circular buffer while they are there."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from xsp3ioc.sdk import STATUS_DTYPE, Xspress3
from xsp3ioc.stream.frame_ranges import NotKept, spell
from xsp3ioc.stream.series import Series
from xsp3ioc.stream.verification import verify

log = logging.getLogger(__name__)

MOST_BYTES = 64 << 20
"""Of the spectra that are returned at once."""
MOST_SUMMED = 256 << 20
"""Of the spectra of which the sum is returned."""
READ_BYTES = 1 << 20
"""What is read in one call of the library: a millisecond."""
PATIENCE = 2.0
"""Seconds for which a reader waits for the one before."""
CLOSING = 1.0
"""Seconds for which the system is not closed because a call of a reader has not come back."""
ALL_CHANNELS = -1


class RecentFrames:
    """Read by anybody's thread, one at a time, beside the acquisition, which never waits for it.

    That an acknowledged frame stays in its slot until another one begins there is not taken on trust: only what the
    acquisition has found to be a frame of this series is read, and only what the slot's status says afterwards to be
    that frame still is returned. Numbers begin anew with each series, so another series ends the reading.
    """

    def __init__(self) -> None:
        self._source: tuple[Xspress3, Series] | None = None
        self._reading = threading.Lock()

    def follow(self, sdk: Xspress3, series: Series) -> None:
        """Hear that a series is about to begin: the frames of the last one are overwritten from now on."""
        self._source = sdk, series

    def forget(self, patience: float = CLOSING) -> None:
        """Hear that the memory is about to be erased or closed; wait until nobody reads it, `patience` s at most."""
        self._source = None
        if self._reading.acquire(timeout=patience):
            self._reading.release()
        else:
            log.warning("Frames are still being read while the system is erased or closed")

    def spectra(self, channel: int, frames: range) -> NDArray[np.uint32]:
        """Read spectra of a channel, or of all (-1): uint32 (frames, channels, bins), never dead-time corrected.

        ValueError: there is no such channel, or it is too much at once. NotKept: some of the frames are not there.
        TimeoutError: another one reads.
        """
        sdk, series = self._started()
        shape = self._shape(sdk, channel, frames, MOST_BYTES)
        with _Turn(self._reading):
            out = np.empty((len(frames), *shape), np.uint32)
            for _ in self._read(sdk, series, channel, frames, out):
                pass
        return out

    def spectrum_sum(self, channel: int, frames: range) -> NDArray[np.uint64]:
        """Add up the spectra of a channel, or of all (-1), over frames: uint64 (bins,); errors as `spectra`."""
        sdk, series = self._started()
        channels, bins = self._shape(sdk, channel, frames, MOST_SUMMED)
        total = np.zeros(bins, np.uint64)
        room = np.empty((_at_once(channels, bins), channels, bins), np.uint32)
        with _Turn(self._reading):
            for block in self._read(sdk, series, channel, frames, room):
                total += block.sum(axis=(0, 1), dtype=np.uint64)
        return total

    def _started(self) -> tuple[Xspress3, Series]:
        source = self._source
        if source is None:
            raise NotKept("No series was read since the detector was connected or erased", range(0))
        return source

    @staticmethod
    def _shape(sdk: Xspress3, channel: int, frames: range, most_bytes: int) -> tuple[int, int]:
        """Return channels and bins of what is asked for."""
        if not ALL_CHANNELS <= channel < sdk.channels:
            raise ValueError(f"channel {channel} is not in 0..{sdk.channels - 1}, and not -1 for all")
        channels = sdk.channels if channel == ALL_CHANNELS else 1
        most = most_bytes // (channels * sdk.bins * 4)
        if len(frames) > most:
            raise ValueError(
                f"{spell(frames)} of {channels} channel{'s' if channels > 1 else ''} are {len(frames)} frames, more "
                f"than {most} at once"
            )
        return channels, sdk.bins

    def _read(
        self, sdk: Xspress3, series: Series, channel: int, frames: range, out: NDArray[np.uint32]
    ) -> Iterator[NDArray[np.uint32]]:
        """Read frames into `out` (frames, channels, bins), again and again if it is shorter than that."""
        if frames.stop > series.next:
            wanted = range(max(frames.start, series.next), frames.stop)
            raise NotKept(f"Series {series.id} has no {spell(wanted)} yet", self._kept(sdk, series, channel))
        every = channel == ALL_CHANNELS
        most = min(len(out), _at_once(*out.shape[1:]))
        status = np.zeros((sdk.channels if every else 1, most), STATUS_DTYPE)
        at = 0
        while frames:
            at = at if at < len(out) else 0
            first, count = frames.start, min(most, len(out) - at, len(frames), sdk.ring - frames.start % sdk.ring)
            block, found = out[at : at + count], status[:, :count]
            self._check(sdk, series)
            sdk.read_part(first, block, max(channel, 0))
            # After the data, as the acquisition does it: what was overwritten meanwhile says so now.
            sdk.frame_status(first, found if every else found[0], max(channel, 0))
            self._check(sdk, series)
            faulty = verify(found, first, series.enabled if every else None)
            if faulty is not None:
                wrong = np.flatnonzero(faulty.overrun | faulty.missing)
                if len(wrong):
                    raise NotKept(_why(series, first + int(wrong[0])), self._kept(sdk, series, channel))
                block[faulty.foreign] = 0
            yield block
            at, frames = at + count, frames[count:]

    def _check(self, sdk: Xspress3, series: Series) -> None:
        if self._source != (sdk, series):
            raise NotKept(f"Another series, or an erase, has taken the place of series {series.id}", range(0))
        pending = sdk.pending
        if pending is not None and pending[1] > CLOSING:
            raise TimeoutError(f"Nothing can be read: {pending[0]} has not returned for {pending[1]:.1f} s")

    def _kept(self, sdk: Xspress3, series: Series, channel: int) -> range:
        """Return the latest frames in a row that can be asked for, by what the buffer says itself."""
        end = series.next
        first = max(0, end - sdk.ring)
        status = np.zeros((sdk.channels, end - first), STATUS_DTYPE)
        at = first
        while at < end:
            stop = min(end, at + sdk.ring - at % sdk.ring)
            self._check(sdk, series)
            sdk.frame_status(at, status[:, at - first : stop - first])
            at = stop
        other = status["time_frame"] != np.arange(first, end)
        if channel != ALL_CHANNELS:
            other = other[[channel]]
        elif series.enabled is not None:
            other = other[series.enabled]
        gone = np.flatnonzero(other.any(axis=0))
        return range(first + (int(gone[-1]) + 1 if len(gone) else 0), end)


class _Turn:
    """One reader at a time, so that memory and the load on the library are bounded."""

    def __init__(self, lock: threading.Lock) -> None:
        self._lock = lock

    def __enter__(self) -> None:
        if not self._lock.acquire(timeout=PATIENCE):
            raise TimeoutError(f"Another client has been reading frames for {PATIENCE} s; ask again, or for fewer")

    def __exit__(self, *_: object) -> None:
        self._lock.release()


def _at_once(channels: int, bins: int) -> int:
    return max(1, READ_BYTES // (channels * bins * 4))


def _why(series: Series, frame: int) -> str:
    for gap in series.missing:
        if gap.first <= frame <= gap.last:
            return f"Frame {frame + 1} of series {series.id} was lost: {gap.reason}"
    return f"Frame {frame + 1} of series {series.id} is not in the circular buffer any more"
