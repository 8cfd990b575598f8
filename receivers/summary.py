"""What a file holds, counted by reading all of it."""

from __future__ import annotations

import os
from dataclasses import dataclass

import h5py
import hdf5plugin  # noqa: F401  registers the filter of the spectra
import numpy as np
from numpy.typing import NDArray

from xsp3ioc.receivers.layout import DETECTOR
from xsp3ioc.stream.messages import FrameStatus

FRAMES_AT_ONCE = 64


@dataclass(frozen=True)
class FileSummary:
    """The frames of a file, over all its series."""

    frames: int
    """Frames with valid data."""
    missing: int
    """Frames that only have a place: overrun, or never received."""
    spectra: NDArray[np.uint64]
    """(channels, bins): sum over the valid frames."""


def summarize(path: str | os.PathLike[str]) -> FileSummary:
    """Read the file at `path` from end to end; OSError if it cannot be read, KeyError if it is not one of ours."""
    with h5py.File(path, "r", locking="best-effort") as file:
        detector = file[DETECTOR]
        valid = detector["frame_status"][:] == FrameStatus.valid
        data = detector["data"]
        spectra = np.zeros(data.shape[1:], np.uint64)
        for first in range(0, len(valid), FRAMES_AT_ONCE):
            part = slice(first, first + FRAMES_AT_ONCE)
            spectra += data[part][valid[part]].sum(axis=0, dtype=np.uint64)
    return FileSummary(int(valid.sum()), int((~valid).sum()), spectra)
