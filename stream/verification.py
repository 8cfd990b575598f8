"""Whether frames that were read are their own: what the circular buffer says of them afterwards."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from xsp3ioc.stream.blocks import Arrays, FrameStatus


class Faulty(NamedTuple):
    """Which frames of a block are not what they should be."""

    overrun: NDArray[np.bool_]
    """(frames,), overwritten on one channel at least that counts."""
    missing: NDArray[np.bool_]
    """(frames,), not received by one channel at least that counts, and not overwritten."""
    foreign: NDArray[np.bool_]
    """(frames, channels), whose data are not the frame's own, whether the channel counts or not."""

    def blank(self, arrays: Arrays) -> None:
        """Zero the data that are not a frame's own, and mark it."""
        for data in (arrays.mca, arrays.scalers):
            data[self.overrun] = 0
            data[self.foreign] = 0
        arrays.frames["status"][self.missing] = FrameStatus.missing
        arrays.frames["status"][self.overrun] = FrameStatus.overrun

    def before(self, count: int) -> Faulty:
        """Return what is said of the first `count` frames."""
        return Faulty(self.overrun[:count], self.missing[:count], self.foreign[:count])


def verify(status: NDArray[np.void], first: int, enabled: NDArray[np.bool_] | None = None) -> Faulty | None:
    """Look at the status (channels, frames) of frames from `first` on; None if all of them are whole.

    A slot with a later frame's number was overwritten; one with an earlier number never got the frame. What a channel
    that is not `enabled` has does not matter to the frame.
    """
    later = status["time_frame"] - np.arange(first, first + status.shape[1])
    if not later.any():
        return None
    counting = later if enabled is None else later[enabled]
    overrun = np.asarray((counting > 0).any(axis=0))
    missing = np.asarray((counting < 0).any(axis=0)) & ~overrun
    return Faulty(overrun, missing, np.asarray(later.T != 0))


def whole(status: NDArray[np.void], first: int, enabled: NDArray[np.bool_]) -> int:
    """Return how many frames from `first` on are complete on all `enabled` channels, by their status as for `verify`.

    "state == 1 and time_frame == the requested frame" is the vendor's own test for a completed frame.
    """
    status = status[enabled]
    numbers = np.arange(first, first + status.shape[1])
    complete = np.asarray(((status["state"] > 0) & (status["time_frame"] >= numbers)).all(axis=0))
    return len(complete) if complete.all() else int(complete.argmin())


def runs(flags: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """First and last index of each run of true values."""
    true = np.flatnonzero(flags)
    breaks = np.flatnonzero(np.diff(true) > 1) + 1
    return [(int(run[0]), int(run[-1])) for run in np.split(true, breaks) if len(run)]
