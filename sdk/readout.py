"""Progress, spectra, scalers, frame status, acknowledging: what is done per block of frames."""

import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xsp3ioc.sdk.calls import c_array, check_array
from xsp3ioc.sdk.cdef import ffi
from xsp3ioc.sdk.companions import STATUS_DTYPE, Frames, FrameStatus, Progress
from xsp3ioc.sdk.constants import SCALERS, ErrorFlag
from xsp3ioc.sdk.preparation import Preparation

_NO_FLAGS = ErrorFlag(0)
_POLL = 0.001


class Readout(Preparation):
    """Frames are named by their 64-bit number; the ring's wrap is worked out here."""

    def progress(self) -> Progress:
        """How many frames are complete, and what went wrong so far."""
        if not self._lib.has("xsp3_scaler_check_progress_details"):
            frames = self._call("xsp3_scaler_check_progress")
            return Progress(frames, frames, _NO_FLAGS)
        flags = ffi.new("Xsp3ErrFlag *")
        furthest = ffi.new("int64_t *")
        frames = self._call("xsp3_scaler_check_progress_details", flags, 1, furthest)
        return Progress(frames, furthest[0], ErrorFlag(flags[0]) if flags[0] else _NO_FLAGS)

    def progress_of(self, card: int) -> int:
        """How many frames of one card are complete, to find out which of several is behind."""
        return self._call("xsp3_scaler_check_desc", card)

    def wait(self, frames: int, timeout: float) -> Progress:
        """Wait until `frames` frames are complete; TimeoutError after `timeout` seconds says how many there are."""
        end = time.monotonic() + timeout
        while (found := self.progress()).frames < frames:
            if time.monotonic() > end:
                flags = f", and the library reports {found.flags!r}" if found.flags else ""
                raise TimeoutError(f"{found.frames} of {frames} frames are complete after {timeout} s{flags}")
            time.sleep(_POLL)
        return found

    def read(self, first: int, frames: int) -> Frames:
        """Read frames from `first` on into new arrays, also across the end of the ring; their status afterwards."""
        found = Frames(
            first,
            np.empty((frames, *self._spectra), np.uint32),
            np.empty((frames, self.channels, SCALERS), np.uint32),
            np.empty((self.channels, frames), STATUS_DTYPE),
        )
        start = 0
        while start < frames:
            stop = min(frames, start + self._ring - (first + start) % self._ring)
            self.read_mca(first + start, found.mca[start:stop])
            self.read_scalers(first + start, found.scalers[start:stop])
            self.frame_status(first + start, found.status[:, start:stop])
            start = stop
        return found

    def read_mca(self, first: int, out: NDArray[np.uint32]) -> None:
        """Fill `out`, uint32 (frames, channels, bins), C-contiguous, from frame `first` on.

        With auxiliary data it is (frames, channels, aux, bins). Raises ValueError if `out` has another shape or type,
        or if the block straddles the end of the ring.
        """
        check_array(out, np.uint32, "frames", *self._spectra)
        slot = self._slot(first, len(out))
        buffer = c_array(out)
        self._call("xsp3_histogram_read4d", buffer, 0, 0, 0, slot, self.bins, self.aux, self.channels, len(out))

    def read_scalers(self, first: int, out: NDArray[np.uint32]) -> None:
        """Fill `out`, uint32 (frames, channels, 9), C-contiguous, from frame `first` on; errors as `read_mca`."""
        check_array(out, np.uint32, "frames", self.channels, SCALERS)
        slot = self._slot(first, len(out))
        self._call("xsp3_scaler_read", c_array(out), 0, 0, slot, SCALERS, self.channels, len(out))

    def read_part(self, first: int, out: NDArray[np.uint32], channel: int = 0, bin: int = 0) -> None:  # noqa: A002
        """Fill `out`, uint32 (frames, channels, bins), with so many channels and bins from `channel` and `bin` on.

        With auxiliary data a channel counts as `aux` channels. Errors as `read_mca`.
        """
        check_array(out, np.uint32, "frames", "channels", "bins")
        slot = self._slot(first, len(out))
        frames, channels, bins = out.shape
        self._call("xsp3_histogram_read3d", c_array(out), bin, channel, slot, bins, channels, frames)

    def read_channel(self, first: int, out: NDArray[np.uint32], channel: int) -> None:
        """Fill `out`, uint32 (frames, bins), or with auxiliary data (frames, aux, bins), from one channel."""
        check_array(out, np.uint32, "frames", *self._spectra[1:])
        slot = self._slot(first, len(out))
        self._call("xsp3_histogram_read_chan", c_array(out), channel, 0, 0, slot, self.bins, self.aux, len(out))

    def frame_status(self, first: int, out: NDArray[Any], channel: int = 0) -> None:
        """Fill `out`, `STATUS_DTYPE` (channels, frames), with what the slots of frames from `first` on hold now.

        An `out` of (frames,) gets that of `channel`. A frame was read whole only if `time_frame` still is its own
        number afterwards, on every channel. Only the rows need be contiguous; other errors as `read_mca`.
        """
        if out.ndim == 1:
            self._status(self._slot(first, len(out)), out, channel)
            return
        if out.ndim != 2 or len(out) != self.channels:
            check_array(out, STATUS_DTYPE, self.channels, "frames")
        slot = self._slot(first, out.shape[1])
        for number, row in enumerate(out):
            self._status(slot, row, number)

    def _status(self, slot: int, out: NDArray[Any], channel: int) -> None:
        check_array(out, STATUS_DTYPE, "frames")
        self._call("xsp3_histogram_get_tf_status_block", channel, slot, len(out), c_array(out))

    def slot_status(self, frame: int, channel: int = 0) -> FrameStatus:
        """Ask what the slot of one frame holds now, on one channel."""
        status = ffi.new("Xsp3TFStatus *")
        self._call("xsp3_histogram_get_tf_status", channel, self._slot(frame, 1), status)
        return FrameStatus(status.state, status.time_frame, status.markers)

    def read_markers(self, first: int, out: NDArray[np.int32], channel: int = 0) -> None:
        """Fill `out`, int32 (frames,), with the markers of frames from `first` on: bit 0 marker 1, bit 1 marker 2."""
        check_array(out, np.int32, "frames")
        self._call("xsp3_histogram_get_tf_markers", channel, self._slot(first, len(out)), len(out), c_array(out))

    def acknowledge(self, first: int, frames: int) -> None:
        """Give `frames` frames from `first` on back to the ring, on all channels; each once: `must_acknowledge`."""
        if first < 0:
            raise ValueError(f"frame {first} is below 0")
        self._call("xsp3_histogram_circ_ack", 0, first & 0xFFFFFFFF, self.channels, frames)

    def overrun(self, channel: int = -1) -> tuple[int, int]:
        """Frames overwritten before they were acknowledged, and the number of the first; channel -1: the worst."""
        first = ffi.new("int64_t *")
        count = self._call("xsp3_histogram_get_circ_overrun", channel, first)
        return count, first[0]

    @property
    def _spectra(self) -> tuple[int, ...]:
        """Axes of the spectra of a frame."""
        return (self.channels, self._aux, self.bins) if self._aux > 1 else (self.channels, self.bins)

    def _slot(self, first: int, frames: int) -> int:
        if first < 0:
            raise ValueError(f"frame {first} is below 0")
        slot = first % self._ring
        if slot + frames > self._ring:
            raise ValueError(f"frames {first}..{first + frames - 1} straddle the end of the ring of {self._ring}")
        return slot
