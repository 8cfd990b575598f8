"""Everything about a frame that is not a spectrum, gathered and written as rows of many datasets at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import h5py
import numpy as np
from numpy.typing import DTypeLike, NDArray

from xsp3ioc.receivers.entries import set_unit, tell
from xsp3ioc.stream.formulas import dead_time_percent, percent_of_factors
from xsp3ioc.stream.messages import EVENT_WIDTH, FRAME_DTYPE, SCALERS, Block, FrameStatus

ROWS = 1024
"""Frames per chunk of these datasets, and the most that are gathered before they are written."""


@dataclass(frozen=True)
class Frames:
    """n consecutive frames of a file, with what is known of each."""

    scalers: NDArray[np.uint32]
    """(n, channels, 9)."""
    factors: NDArray[np.float64]
    """(n, channels), dead-time correction; 1 where the frame is missing."""
    frames: NDArray[np.void]
    """(n,) of FRAME_DTYPE."""
    numbers: NDArray[np.uint64]
    """(n,), number in the series."""
    series: NDArray[np.uint32]
    """(n,), number of the series in the capture."""
    rows: NDArray[np.uint64]
    """(n,), number in the capture."""
    clock_period: float
    """Seconds per tick."""
    event_widths: NDArray[np.float64]
    """(channels,), dead ticks per event."""
    model: str
    """How the factors were made."""

    @property
    def dead_time_percent(self) -> NDArray[np.float64]:
        """Part of the time in which a channel was blind, %: (n, channels)."""
        if self.model == EVENT_WIDTH:
            return dead_time_percent(self.scalers, self.event_widths)
        return percent_of_factors(self.factors)


@dataclass(frozen=True)
class Column:
    """A dataset with one value per frame, or one per frame and channel; `values` makes them, shaped so."""

    name: str
    dtype: DTypeLike
    unit: str
    doc: str
    values: Callable[[Frames], NDArray]
    per_channel: bool = True


class Rows:
    """The columns of a file: appended in blocks of any length, written in `ROWS` frames.

    `count` counts the frames appended; after `flush` all datasets have that length.
    """

    def __init__(self, columns: list[tuple[h5py.Group, Column]], channels: int, start: int = 0) -> None:
        """`start` is the number of the first frame."""
        self.count = 0
        self._start = start
        self._channels = channels
        self._columns: list[tuple[Column, h5py.h5d.DatasetID, tuple[int, ...]]] = []
        self._datasets: dict[str, h5py.h5d.DatasetID] = {}
        for group, column in columns:
            self.add(group, column)
        self._extent = 0
        self._written = 0
        self._first = 0
        self._scalers = np.zeros((ROWS, channels, SCALERS), np.uint32)
        self._factors = np.ones((ROWS, channels))
        self._frames = np.zeros(ROWS, FRAME_DTYPE)
        self._numbers = np.zeros(ROWS, np.uint64)
        self._series = np.zeros(ROWS, np.uint32)
        self._constants: tuple[float, tuple[float, ...], str] = (0.0, (0.0,) * channels, EVENT_WIDTH)

    def add(self, group: h5py.Group, column: Column) -> h5py.Dataset:
        """Make one more; before there are any frames."""
        dataset = create(group, column, self._channels)
        self._datasets[column.name] = dataset.id
        self._columns.append((column, dataset.id, (self._channels,) if column.per_channel else ()))
        return dataset

    def begin(self, clock_period: float, event_widths: list[float], model: str) -> None:
        """Take the constants of the series that follows: seconds per tick, dead ticks per event and channel, model."""
        constants = clock_period, tuple(event_widths), model
        if constants != self._constants:
            self._write()
            self._constants = constants

    def append(self, block: Block, series: int) -> None:
        """Add the frames of a block; `series` is its number in the capture."""
        done = 0
        while done < len(block):
            here, take = self._room(len(block) - done)
            there = slice(done, done + take)
            self._scalers[here] = block.scalers[there]
            self._factors[here] = block.factors[there]
            self._frames[here] = block.frames[there]
            self._added(here, block.first + done, series)
            done += take

    def skip(self, first: int, frames: int, series: int) -> None:
        """Add `frames` frames from number `first` of the series on that are missing: zeros, marked."""
        done = 0
        while done < frames:
            here, take = self._room(frames - done)
            self._scalers[here] = 0
            self._factors[here] = 1.0
            self._frames[here] = (0.0, 0, FrameStatus.missing)
            self._added(here, first + done, series)
            done += take

    def mark(self, rows: range, status: FrameStatus) -> None:
        """Say of rows that are there already what is known of them only now."""
        gathered = range(max(rows.start, self._written), rows.stop)
        for row in gathered:
            self._frames["status"][row - self._first] = status
        done = range(rows.start, min(rows.stop, self._written))
        if done:
            write_rows(self._datasets["frame_status"], done.start, np.full(len(done), status, np.uint8))

    def flush(self) -> None:
        """Write what was gathered, and trim all datasets to the frames there are."""
        self._write()
        self._resize(self.count)

    def _room(self, frames: int) -> tuple[slice, int]:
        offset = self.count - self._first
        take = min(frames, ROWS - offset)
        return slice(offset, offset + take), take

    def _added(self, here: slice, number: int, series: int) -> None:
        take = here.stop - here.start
        self._numbers[here] = np.arange(number, number + take, dtype=np.uint64)
        self._series[here] = series
        self.count += take
        if here.stop == ROWS:
            self._write()
            self._first = self.count

    def _write(self) -> None:
        first, last = self._written, self.count
        if first == last:
            return
        here = slice(first - self._first, last - self._first)
        frames = Frames(
            self._scalers[here],
            self._factors[here],
            self._frames[here],
            self._numbers[here],
            self._series[here],
            np.arange(self._start + first, self._start + last, dtype=np.uint64),
            self._constants[0],
            np.asarray(self._constants[1], np.float64),
            self._constants[2],
        )
        if last > self._extent:
            self._resize(last)
        for column, dataset, _ in self._columns:
            write_rows(dataset, first, np.ascontiguousarray(column.values(frames), column.dtype))
        self._written = last

    def _resize(self, rows: int) -> None:
        if rows != self._extent:
            for _, dataset, tail in self._columns:
                dataset.set_extent((rows, *tail))
            self._extent = rows


def create(group: h5py.Group, column: Column, channels: int) -> h5py.Dataset:
    """Make the dataset of a column in `group`, of length 0, with its unit and meaning."""
    tail = (channels,) if column.per_channel else ()
    dataset = group.create_dataset(column.name, (0, *tail), column.dtype, maxshape=(None, *tail), chunks=(ROWS, *tail))
    tell(dataset, long_name=column.doc)
    set_unit(dataset, column.unit)
    return dataset


def write_rows(dataset: h5py.h5d.DatasetID, first: int, values: NDArray) -> None:
    """Write `values`, (rows, ...), from row `first` on; the dataset is long enough."""
    # h5py's own indexing costs several times as much.
    origin = (first,) + (0,) * (values.ndim - 1)
    space = dataset.get_space()
    space.select_hyperslab(origin, values.shape)
    dataset.write(h5py.h5s.create_simple(values.shape), space, values)
