"""The counts of windows 1 and 2, and the dead-time factor, of every frame of a series, for those who ask afterwards."""

from __future__ import annotations

import threading
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from xsp3ioc.stream.channel_series import without_data
from xsp3ioc.stream.formulas import Scaler
from xsp3ioc.stream.frame_ranges import NotKept, spell
from xsp3ioc.stream.messages import Block

PIECE_BYTES = 1 << 20
MOST_BYTES = 256 << 20
"""What is kept takes no more memory: 4.2 million frames of 4 channels. Then the oldest of them go."""
WINDOWS = slice(Scaler.window1, Scaler.window2 + 1)
NO_COUNTS = -1
"""Instead of the counts of a frame that has not come yet, or is missing, or was overwritten."""


class _Piece(NamedTuple):
    """Consecutive frames, as many as in each piece."""

    counts: NDArray[np.uint32]
    """(2, channels, frames)."""
    factors: NDArray[np.float64]
    """(channels, frames), NaN where there are no counts."""


class WindowCounts:
    """Filled by the acquisition thread, asked from any other. Kept only if asked for: `enabled`."""

    def __init__(self, channels: int, most_bytes: int = MOST_BYTES) -> None:
        self.enabled = False
        """Whether the next series is kept."""
        self._channels = channels
        frame_bytes = channels * (2 * 4 + 8)
        self._length = max(1, PIECE_BYTES // frame_bytes)
        """Frames of a piece."""
        self._most = max(2, most_bytes // (self._length * frame_bytes))
        """Pieces that are kept."""
        self._pieces: dict[int, _Piece] = {}
        """By the number of their first frame, in pieces; none for frames that are all missing."""
        self._next = 0
        """Number of the frame that comes next."""
        self._keeping = False
        self._lock = threading.Lock()
        """Guards these; a piece's frames do not change once they are before `_next`."""

    def begin(self) -> None:
        """Forget the last series: the next one begins."""
        with self._lock:
            self._pieces, self._next, self._keeping = {}, 0, self.enabled

    def add(self, block: Block) -> None:
        """Take the next frames of the series."""
        if not self._keeping:
            return
        counts = block.scalers[..., WINDOWS].transpose(2, 1, 0)
        factors = block.factors.T
        absent = without_data(block.frames, block.scalers)
        if absent is not None:
            factors = np.where(absent.T, np.nan, factors)
        taken = 0
        while taken < len(block):
            number, start = divmod(block.first + taken, self._length)
            count = min(len(block) - taken, self._length - start)
            piece = self._pieces.get(number) or self._add_piece(number)
            piece.counts[..., start : start + count] = counts[..., taken : taken + count]
            piece.factors[:, start : start + count] = factors[:, taken : taken + count]
            taken += count
        self._next = block.end

    def _add_piece(self, number: int) -> _Piece:
        shape = self._channels, self._length
        piece = _Piece(np.zeros((2, *shape), np.uint32), np.full(shape, np.nan))
        with self._lock:
            self._pieces[number] = piece
            for old in [old for old in self._pieces if old <= number - self._most]:
                del self._pieces[old]
        return piece

    @property
    def kept(self) -> range:
        """Frames that can be asked for, those that are missing included."""
        with self._lock:
            return self._kept()

    def _kept(self) -> range:
        newest = max(self._pieces, default=0)
        return range(max(0, newest + 1 - self._most) * self._length, self._next)

    def raw(self, window: int, channel: int, frames: range) -> NDArray[np.int64]:
        """Return the counts of window 0 or 1 in frames: int64 (frames,), -1 where there are none, or not yet.

        ValueError: there is no such channel. NotKept: the oldest of the frames were too many to be kept.
        """
        counts, factors = self._find(window, channel, frames)
        counts[np.isnan(factors)] = NO_COUNTS
        return counts

    def corrected(self, window: int, channel: int, frames: range) -> NDArray[np.float64]:
        """Return the same times the dead-time factors: float64 (frames,)."""
        counts, factors = self._find(window, channel, frames)
        found: NDArray[np.float64] = counts * factors
        found[np.isnan(factors)] = NO_COUNTS
        return found

    def _find(self, window: int, channel: int, frames: range) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Return counts and factors of frames, (frames,) each; factors are NaN where there are none."""
        if not 0 <= channel < self._channels:
            raise ValueError(f"channel {channel} is not in 0..{self._channels - 1}")
        with self._lock:
            kept, pieces = self._kept(), dict(self._pieces)
        if frames.start < kept.start:
            raise NotKept(f"Counts of {spell(range(frames.start, kept.start))} are not kept any more", kept)
        counts, factors = np.zeros(len(frames), np.int64), np.full(len(frames), np.nan)
        at, end = frames.start, min(frames.stop, kept.stop)
        while at < end:
            number, start = divmod(at, self._length)
            count = min(end - at, self._length - start)
            if (piece := pieces.get(number)) is not None:
                place = slice(at - frames.start, at - frames.start + count)
                counts[place] = piece.counts[window, channel, start : start + count]
                factors[place] = piece.factors[channel, start : start + count]
            at += count
        return counts, factors
