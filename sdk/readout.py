"""Progress, spectra, scalers, frame status, acknowledging: what is done per block of frames."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from xsp3ioc.sdk.cdef import ffi
from xsp3ioc.sdk.constants import SCALERS, ErrorFlag
from xsp3ioc.sdk.controls import Controls

STATUS_DTYPE = np.dtype(
    {
        "names": ["state", "time_frame", "markers"],
        "formats": ["<i4", "<i8", "<i4"],
        "offsets": [0, 8, 16],
        "itemsize": 24,
    }
)
"""Memory layout of the library's Xsp3TFStatus."""

_U32 = ffi.typeof("uint32_t[]")
_STATUS = ffi.typeof("Xsp3TFStatus[]")
_U32_DTYPE = np.dtype(np.uint32)
_NO_FLAGS = ErrorFlag(0)


class Progress(NamedTuple):
    """How far a run is: frames 0..frames-1 are complete everywhere, `furthest` is that of the channel most ahead."""

    frames: int
    furthest: int
    flags: ErrorFlag


class Readout(Controls):
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

    def read_mca(self, first: int, out: NDArray[np.uint32]) -> None:
        """Fill `out`, uint32 (frames, channels, bins), C-contiguous, from frame `first` on.

        Raises ValueError if `out` has another shape or type, or if the block straddles the end of the ring.
        """
        slot = self._slot(first, out, (self.channels, self.bins))
        buffer = ffi.from_buffer(_U32, out, True)
        self._call("xsp3_histogram_read4d", buffer, 0, 0, 0, slot, self.bins, 1, self.channels, len(out))

    def read_scalers(self, first: int, out: NDArray[np.uint32]) -> None:
        """Fill `out`, uint32 (frames, channels, 9), C-contiguous, from frame `first` on; errors as `read_mca`."""
        slot = self._slot(first, out, (self.channels, SCALERS))
        buffer = ffi.from_buffer(_U32, out, True)
        self._call("xsp3_scaler_read", buffer, 0, 0, slot, SCALERS, self.channels, len(out))

    def frame_status(self, first: int, out: NDArray[Any], channel: int = 0) -> None:
        """Fill `out`, `STATUS_DTYPE` (frames,), with what the slots of frames from `first` on hold now.

        An `out` of (channels, frames) gets that of every channel. A frame was read whole only if `time_frame` still is
        its own number afterwards. Errors as `read_mca`.
        """
        if out.ndim == 2:
            for channel, row in enumerate(out):
                self.frame_status(first, row, channel)
            return
        slot = self._slot(first, out, (), STATUS_DTYPE)
        buffer = ffi.from_buffer(_STATUS, out, True)
        self._call("xsp3_histogram_get_tf_status_block", channel, slot, len(out), buffer)

    def acknowledge(self, first: int, frames: int) -> None:
        """Give `frames` frames from `first` on back to the ring, on all channels."""
        self._call("xsp3_histogram_circ_ack", 0, first & 0xFFFFFFFF, self.channels, frames)

    def overrun(self) -> tuple[int, int]:
        """Frames overwritten before they were acknowledged, on the worst channel, and the number of the first."""
        first = ffi.new("int64_t *")
        count = self._call("xsp3_histogram_get_circ_overrun", -1, first)
        return count, first[0]

    def _slot(self, first: int, out: NDArray[Any], shape: tuple[int, ...], dtype: np.dtype[Any] = _U32_DTYPE) -> int:
        if out.shape[1:] != shape or out.dtype != dtype or not out.flags.c_contiguous:
            raise ValueError(
                f"the block is {out.dtype} {out.shape}, not C-contiguous {dtype} (frames, {str(shape)[1:-1]})"
            )
        slot = first % self._ring
        if slot + len(out) > self._ring:
            raise ValueError(f"frames {first}..{first + len(out) - 1} straddle the end of the ring of {self._ring}")
        return slot
