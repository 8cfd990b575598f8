"""Whether frames that were read are their own: what the circular buffer says of them afterwards."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from xsp3ioc.stream.blocks import Arrays, FrameStatus


class Faulty(NamedTuple):
    """Which frames of a block are not what they should be."""

    overrun: NDArray[np.bool_]
    """(frames,), overwritten on one channel at least."""
    absent: NDArray[np.bool_]
    """(frames, channels), never received."""

    @property
    def missing(self) -> NDArray[np.bool_]:
        """(frames,), not received by one channel at least, and not overwritten."""
        return np.asarray(self.absent.any(axis=1) & ~self.overrun)

    def blank(self, arrays: Arrays) -> None:
        """Zero the data that are not a frame's own, and mark it."""
        for data in (arrays.mca, arrays.scalers):
            data[self.overrun] = 0
            data[self.absent] = 0
        arrays.frames["status"][self.missing] = FrameStatus.missing
        arrays.frames["status"][self.overrun] = FrameStatus.overrun

    def before(self, count: int) -> Faulty:
        """Return what is said of the first `count` frames."""
        return Faulty(self.overrun[:count], self.absent[:count])


def verify(status: NDArray[np.void], first: int) -> Faulty | None:
    """Look at the status (channels, frames) of frames from `first` on; None if all of them are whole.

    A slot with a later frame's number was overwritten; one with an earlier number never got the frame.
    """
    later = status["time_frame"] - np.arange(first, first + status.shape[1])
    if not later.any():
        return None
    return Faulty(np.asarray((later > 0).any(axis=0)), np.asarray(later.T < 0))


def runs(flags: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """First and last index of each run of true values."""
    true = np.flatnonzero(flags)
    breaks = np.flatnonzero(np.diff(true) > 1) + 1
    return [(int(run[0]), int(run[-1])) for run in np.split(true, breaks) if len(run)]
