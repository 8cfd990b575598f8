"""Which rows of a damaged file were written, and what they say: the numbers of frames, their series, their times."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import h5py
import numpy as np
from numpy.typing import NDArray

from xsp3ioc.receivers.opening import FAILURES
from xsp3ioc.stream.messages import FrameStatus

ROWS_AT_ONCE = 1024


class Span(NamedTuple):
    """Frames `first` to `last`, inclusive, counted in the file."""

    first: int
    last: int

    def __str__(self) -> str:
        return f"{self.first}..{self.last}" if self.last > self.first else str(self.first)


@dataclass(frozen=True)
class SeriesFound:
    """A series of the file."""

    index: int
    """Its number in the capture."""
    frames: int
    """Frames kept, missing ones included."""
    missing: int
    """Frames of these that only have a place."""
    last: int
    """Number of its last frame, in the series."""


def chunks_of(dataset: h5py.Dataset) -> Iterator[Span]:
    """Yield the frames of each chunk of a dataset."""
    step = dataset.chunks[0]
    for first in range(0, len(dataset), step):
        yield Span(first, min(first + step, len(dataset)) - 1)


def last_written(detector: h5py.Group, frames: int) -> int:
    """Drop frames at the end whose rows were made and never filled, or whose spectra were not."""
    spectra = detector["data_raw" if "data_raw" in detector else "data"]
    before = frames_before(detector)
    while frames:
        first = max(0, frames - ROWS_AT_ONCE)
        rows = slice(first, frames)
        valid = detector["frame_status"][rows] == FrameStatus.valid
        written = np.array(detector["frame_number"][rows] == before + np.arange(first, frames), np.bool_)
        for name in ("time_stamp", "dead_time_correction"):
            if name in detector and len(detector[name]) >= frames:
                np.logical_and(written, _some(detector[name][rows]) | ~valid, out=written)
        good = np.flatnonzero(written)
        frames = first + int(good[-1]) + 1 if len(good) else first
        if len(good):
            break
    # Spectra that were not compressed may be holes: no counts, where the scalers have some.
    while frames and "all_good" in detector and len(detector["all_good"]) >= frames:
        counted = detector["all_good"][frames - 1].any() and detector["frame_status"][frames - 1] == FrameStatus.valid
        if not counted or spectra.compression or spectra.id.get_create_plist().get_nfilters():
            break
        if spectra[frames - 1].any():
            break
        frames -= 1
    return frames


def frames_before(detector: h5py.Group) -> int:
    """Return how many frames of the capture are in the parts before this one; 0 in a file that is all of it."""
    numbers = detector["frame_number"]
    for span in chunks_of(numbers):
        try:
            found = numbers[span.first : span.first + 2].astype(np.int64) - span.first
        except FAILURES:
            continue
        # Rows that were made and never filled do not count on.
        return int(found[0]) if len(found) == 1 or found[1] == found[0] + 1 else 0
    return 0


def _some(values: NDArray) -> NDArray[np.bool_]:
    """Which rows have anything in them: (rows,)."""
    filled: NDArray[np.bool_] = np.asarray(values.reshape(len(values), -1).any(axis=1))
    return filled


def series_left(detector: h5py.Group, frames: int) -> tuple[list[SeriesFound], int, float]:
    """Return the series of the first `frames` rows, the number of the first one in the table, and the last time.

    Rows that cannot be read say nothing.
    """
    counts: dict[int, list[int]] = {}
    last_time = 0.0
    for first in range(0, frames, ROWS_AT_ONCE):
        rows = slice(first, min(first + ROWS_AT_ONCE, frames))
        try:
            series, numbers = detector["series_index"][rows], detector["frame_in_series"][rows]
            missing, times = detector["frame_status"][rows] != FrameStatus.valid, detector["time_stamp"][rows]
        except FAILURES:
            continue  # said in `damaged`
        last_time = max(last_time, float(times.max()))
        for index in np.unique(series).tolist():
            of = series == index
            count = counts.setdefault(index, [0, 0, 0])
            count[0] += int(of.sum())
            count[1] += int(missing[of].sum())
            count[2] = max(count[2], int(numbers[of].max()))
    first = min(counts) if counts and frames_before(detector) else 0
    return [SeriesFound(index, *counts[index]) for index in sorted(counts)], first, last_time
