"""A block of frames: its arrays, and how they lie in one piece of memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from xsp3ioc.stream.attributes import Value
from xsp3ioc.stream.bslz4 import Packed

EPICS_EPOCH = 631152000.0
"""When EPICS' time begins, s since 1970."""
SCALERS = 9

FRAME_DTYPE = np.dtype([("time", "<f8"), ("markers", "<u4"), ("status", "<u4")])
"""Per frame: end of the exposure (s since 1970, UTC), marker bits, `FrameStatus`."""


class FrameStatus(IntEnum):
    """What is known of a frame's data."""

    valid = 0
    overrun = 1
    """Overwritten in the circular buffer before, or while, it was read: its data are not its own."""
    missing = 2
    """Not received, by one channel at least; that channel's place, or the frame's, holds zeros."""


class Gap(msgspec.Struct):
    """Frames `first`..`last` (inclusive) are missing, and why."""

    first: int
    last: int
    reason: str

    def __len__(self) -> int:
        """Return how many frames are missing."""
        return self.last - self.first + 1

    @property
    def status(self) -> FrameStatus:
        """What the file says of them."""
        return FrameStatus.overrun if self.reason == "overrun" else FrameStatus.missing


@dataclass(frozen=True, slots=True)
class Block:
    """Consecutive frames of one series."""

    series_id: int
    first: int
    spectra: NDArray[np.uint32] | Packed
    """`mca`, or what it is decoded from."""
    scalers: NDArray[np.uint32]
    """(frames, channels, 9)."""
    factors: NDArray[np.float64]
    """(frames, channels)."""
    frames: NDArray[np.void]
    """(frames,) of FRAME_DTYPE."""
    place: tuple[int, int] | None = None
    """Where it lies in the server's pool: bytes from the begin, frames of its layout."""
    attributes: Mapping[str, Value] = field(default_factory=dict)
    """What else is written beside each of its frames, where it was received: by name of the attribute."""
    missing: Sequence[Gap] = ()
    """Frames before it that nobody gets, where it was received."""

    def __len__(self) -> int:
        """Return the number of frames."""
        return len(self.frames)

    @property
    def mca(self) -> NDArray[np.uint32]:
        """(frames, channels, bins), counts; ValueError if they came compressed and cannot be decoded."""
        return self.spectra.counts if isinstance(self.spectra, Packed) else self.spectra

    @property
    def end(self) -> int:
        """Number of the frame after the last one."""
        return self.first + len(self.frames)

    def part(self, skip: int, frames: int) -> Block:
        """Return the block from its frame `skip` on, at most `frames` of them; it lies in no pool."""
        if skip == 0 and frames == len(self):
            return self
        part = slice(skip, min(len(self), skip + frames))
        spectra = self.spectra
        if isinstance(spectra, Packed) and spectra.divisible:
            spectra = spectra.frames(part.start, part.stop)
        else:
            spectra = self.mca[part]
        return Block(
            self.series_id,
            self.first + skip,
            spectra,
            self.scalers[part],
            self.factors[part],
            self.frames[part],
            attributes=self.attributes,
            missing=self.missing,
        )

    def parts(self) -> tuple[NDArray, NDArray, NDArray, NDArray]:
        """Parts 1..4 of the block's message."""
        return self.mca, self.scalers, self.factors, self.frames


class Arrays(NamedTuple):
    """A block's arrays over one piece of memory."""

    mca: NDArray[np.uint32]
    """(frames, channels, bins), counts."""
    scalers: NDArray[np.uint32]
    """(frames, channels, 9)."""
    factors: NDArray[np.float64]
    """(frames, channels)."""
    frames: NDArray[np.void]
    """(frames,) of FRAME_DTYPE."""

    def block(self, series_id: int, first: int, count: int, place: tuple[int, int] | None = None) -> Block:
        """Return the first `count` frames as a block."""
        mca, scalers, factors, frames = self
        return Block(series_id, first, mca[:count], scalers[:count], factors[:count], frames[:count], place)


def frame_bytes(channels: int, bins: int) -> int:
    """Bytes that `lay_out` needs per frame."""
    return channels * (bins * 4 + SCALERS * 4 + 8) + FRAME_DTYPE.itemsize


def lay_out(room: NDArray[np.uint8], frames: int, channels: int, bins: int) -> Arrays:
    """Lay the arrays of `frames` frames over `room`, bytes."""
    # All start at multiples of 8 bytes, for any number of channels, if the scalers come last.
    factors = frames * channels * bins * 4
    infos = factors + frames * channels * 8
    scalers = infos + frames * FRAME_DTYPE.itemsize
    end = scalers + frames * channels * SCALERS * 4
    return Arrays(
        room[:factors].view("<u4").reshape(frames, channels, bins),
        room[scalers:end].view("<u4").reshape(frames, channels, SCALERS),
        room[factors:infos].view("<f8").reshape(frames, channels),
        room[infos:scalers].view(FRAME_DTYPE),
    )
