"""A file with spectra, as its readers see it: columns by our names, spectra part by part, settings, series, ROIs."""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any

import h5py
import hdf5plugin
import numpy as np
from h5py import h5z
from numpy.typing import NDArray

from xsp3ioc.receivers.layout import ATTRIBUTES, CONFIG, DETECTOR, DETECTOR_COLUMNS, END_TIME, SALVAGED, SERIES
from xsp3ioc.receivers.master import is_master
from xsp3ioc.receivers.opening import (
    AREA_DETECTOR,
    FAILURES,
    OURS,
    UnreadableError,
    decoded,
    detector_of,
    look,
    open_to_read,
    require_filters,
    text,
)
from xsp3ioc.receivers.parts_shown import ShownPart, in_words, parts_shown, writer_of_parts
from xsp3ioc.stream.formulas import Scaler
from xsp3ioc.stream.messages import EPICS_EPOCH

CLOSED, WRITING, SWMR, NOT_CLOSED = "closed", "being written", "open for SWMR", "not closed"
"""States of a file. SWMR: it is being written, or was when its writer died."""
_PART = re.compile(r"_part\d{4}(?!\d)")
"""In the name of a part, and of what was made of it."""
SINGLE = 0
"""The `file_write_mode` of one file for each frame."""
_FILTERS = {
    h5z.FILTER_DEFLATE: "gzip", h5z.FILTER_SZIP: "szip",
    hdf5plugin.BLOSC_ID: "Blosc", hdf5plugin.LZ4_ID: "LZ4", hdf5plugin.BSHUF_ID: "bitshuffle LZ4",
}  # fmt: skip
PART_BYTES = 8 << 20
"""Spectra that are read together, if a chunk is not more."""
_CHANNEL_ATTRIBUTES = {
    **{scaler.name: f"SCA{scaler.value}" for scaler in Scaler if scaler != Scaler.total_ticks},
    "event_width": "EventWidth",
    "dead_time_correction": "DTFactor",
    "dead_time_percent": "DTPercent",
}
"""Our names -> those of areaDetector's datasets, behind CHANn."""
EXACT_WIDTH = "exact event width"
"""A column that is in the attributes: event_width is rounded."""


class DetectorFile:
    """A file at `path`, open to read until the end of the `with` block. UnreadableError if it cannot be.

    All datasets are looked at up to the length that the shortest of them had when it was opened: `frames`.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.fspath(path)
        self.locked, self.writer = look(self.path)
        """Whether somebody lets no others read it; who writes it, as far as that is known."""
        self.locking: Any = False if self.locked else "best-effort"
        self._file, swmr = open_to_read(self.path, self.locking)
        try:
            self.age = time.time() - os.stat(self.path).st_mtime
            """Seconds since it changed."""
            self.layout, self.detector = detector_of(self._file, self.path)
            self.attributes = self._group(ATTRIBUTES) or self._group(f"{self.detector.name}/NDAttributes")
            self.data: h5py.Dataset = self.detector["data"]
            self.raw: h5py.Dataset = self.detector.get("data_raw", self.data)
            """As they were counted."""
            require_filters(self.raw, self.path)
            self.columns = self._columns()
            """Our names -> the dataset (frames, ...), or one for each channel."""
            self.channels, self.bins = self.raw.shape[1:]
            lengths = [len(self.raw), *(len(dataset) for column in self.columns.values() for dataset in column)]
            self.frames = min(lengths)
            self.end_time = text(self._file.get(END_TIME))
            self.parts_shown = self._parts_shown()
            """Of a master."""
            self.state = self._state(swmr)
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> DetectorFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(*FAILURES):
            self._file.close()

    def __getitem__(self, path: str) -> Any:
        """Return a dataset or group, by its path in the file; KeyError if there is none."""
        return self._file[path]

    def value(self, path: str, otherwise: Any = None) -> Any:
        """Return what stands in a small dataset, text as str; `otherwise` if it is not there, or cannot be read."""
        try:
            dataset = self._file[path]
            found = dataset[()]
        except (AttributeError, *FAILURES):
            return otherwise
        return text(dataset) if isinstance(found, bytes) else found

    def config(self, name: str, otherwise: Any = None) -> Any:
        """Return a setting of the first series; `otherwise` if the file does not have it."""
        return self.value(f"{CONFIG}/{name}", otherwise)

    @property
    def single(self) -> bool:
        """Whether it was made in the mode of one file for each frame."""
        return self.config("parameters/file_write_mode") == SINGLE

    @property
    def asked(self) -> int:
        """How many frames the file was for; 0: without limit, no capture, one of several files, or it is not known."""
        if self.single or _PART.search(os.path.basename(self.path)) or not self.value("/entry/capture_id", 0):
            return 0
        return int(self.config("parameters/capture_frames", 0) or 0)

    @property
    def salvaged(self) -> str:
        """What was done to make it a good file after a crash; empty if nothing was."""
        try:
            note = self._file[SALVAGED]
            return " ".join(" ".join(text(note[name]).split()) for name in ("author", "date", "description"))
        except (AttributeError, *FAILURES):
            return ""

    @property
    def simulated(self) -> bool | None:
        """Whether no detector was there; None if the file does not say."""
        found = self.value(f"{DETECTOR}/simulated")
        return None if found is None else bool(found)

    @property
    def clock_period(self) -> float | None:
        """Seconds per tick, as far as it is known."""
        found = self.config("clock_period")
        return None if found is None else float(found)

    def read(self, name: str, first: int, count: int) -> NDArray:
        """Return rows of a column by our name, (count, ...); FAILURES as h5py has them."""
        parts = [dataset[first : first + count] for dataset in self.columns[name]]
        values = np.stack(parts, axis=1) if self._one_each(name) else parts[0]
        if self.layout == AREA_DETECTOR:
            if name in Scaler.__members__:
                return values.astype(np.uint32)
            if name == "time_stamp":
                return values + EPICS_EPOCH
        return values

    def parts(
        self, first: int, count: int, failed: Callable[[Exception, int, int], None]
    ) -> Iterator[tuple[int, NDArray[np.unsignedinteger]]]:
        """Yield spectra as they were counted, (frames, channels, bins), and the first frame of them, part by part.

        Of a file that has only spectra corrected for dead time, these, rounded. What cannot be read is left out:
        `failed(error, first, count)` is called for each chunk of it.
        """
        chunk = self.raw.chunks[0] if self.raw.chunks else 1
        step = max(1, PART_BYTES // (chunk * self.channels * self.bins * self.raw.dtype.itemsize)) * chunk
        begin, stop = first, first + count
        while begin < stop:
            # Up to the border of a chunk, so that none is unpacked twice.
            take = min(step - begin % step, stop - begin)
            try:
                spectra = self.raw[begin : begin + take]
            except FAILURES as error:
                if take > chunk or begin // chunk != (begin + take - 1) // chunk:
                    # Find out which chunk it is.
                    step = chunk
                    continue
                failed(error, begin, take)
            else:
                if spectra.dtype.kind == "f":
                    spectra = np.rint(np.nan_to_num(spectra, nan=0, posinf=0, neginf=0)).astype(np.uint64)
                yield begin, spectra
            begin += take

    def storage(self) -> str:
        """Return how spectra lie in the file, in words."""
        properties = self.raw.id.get_create_plist()
        filters = [properties.get_filter(index) for index in range(properties.get_nfilters())]
        names = [_FILTERS.get(number, decoded(name)) for number, _, _, name in filters]
        words = f"{self.raw.dtype}, {' and '.join(names) if names else 'not compressed'}"
        if self.raw.is_virtual:
            files = {source.file_name for source in self.raw.virtual_sources()}
            return f"{self.raw.dtype}, virtual: parts in {len(files)} {'file' if len(files) == 1 else 'files'}"
        if self.raw.chunks:
            words += f", chunks of {self.raw.chunks[0]:,} frame{'s' * (self.raw.chunks[0] > 1)}"
        if self.data != self.raw:
            words += "; corrected for dead time beside it"
        return words

    def rois(self) -> list[list[tuple[str, int, int]]]:
        """Return the ROIs of each channel, as far as the file has them: name, first bin, number of bins."""
        found: list[list[tuple[str, int, int]]] = [[] for _ in range(self.channels)]
        columns = [self.config(f"rois/{name}") for name in ("channel", "name", "first_bin", "bins")]
        if all(column is not None for column in columns):
            for channel, name, first, bins in zip(*columns, strict=False):
                if 0 <= channel < self.channels:
                    found[channel].append((decoded(name), int(first), int(bins)))
        return found

    def series_table(self) -> dict[str, NDArray]:
        """Return what the file says of its series, column by column; empty if it has no such table.

        A series that has a row in each of several parts has one here.
        """
        try:
            table = {name: dataset[()] for name, dataset in self._file[SERIES].items()}
        except (AttributeError, *FAILURES):
            return {}
        ids = table.get("series_id", np.zeros(0))
        same = np.flatnonzero(ids[1:] == ids[:-1]) + 1
        if not len(same) or any(len(column) != len(ids) for column in table.values()):
            return table
        begins = np.setdiff1d(np.arange(len(ids)), same)
        ends = np.append(begins[1:], len(ids)) - 1
        return {
            name: np.add.reduceat(column, begins) if name in ("frames", "acquired")
            else column[ends if name == "end_reason" else begins]
            for name, column in table.items()
        }  # fmt: skip

    def origin(self) -> tuple[int, int]:
        """Return frame_number and series_index of the first frame: not 0 in a part of a capture."""
        try:
            ends = [int(self.read("frame_number", row, 1)[0]) for row in (0, self.frames - 1)]
            if ends[1] - ends[0] == self.frames - 1 and ends[0]:
                return ends[0], int(self.read("series_index", 0, 1)[0])
        except (IndexError, *FAILURES):
            pass
        return 0, 0

    def _one_each(self, name: str) -> bool:
        """Whether the column is a dataset for each channel."""
        return name == EXACT_WIDTH or (self.layout == AREA_DETECTOR and name != "time_stamp")

    def _group(self, path: str) -> h5py.Group | None:
        found = self._file.get(path)
        return found if isinstance(found, h5py.Group) and len(found) else None

    def _columns(self) -> dict[str, list[h5py.Dataset]]:
        attributes, channels = self.attributes or {}, range(1, self.raw.shape[1] + 1)
        if self.layout != AREA_DETECTOR:
            widths = [f"CHAN{channel}EventWidth" for channel in channels]
            names = [column.name for column in DETECTOR_COLUMNS]
            columns = {name: [self.detector[name]] for name in names if name in self.detector}
            if all(name in attributes for name in widths):
                columns[EXACT_WIDTH] = [attributes[name] for name in widths]
            return columns
        named = {name: [f"CHAN{channel}{end}" for channel in channels] for name, end in _CHANNEL_ATTRIBUTES.items()}
        named["time_stamp"] = ["NDArrayTimeStamp"]
        return {
            name: [attributes[one] for one in there]
            for name, there in named.items()
            if all(one in attributes for one in there)
        }

    def _parts_shown(self) -> list[ShownPart]:
        try:
            found = parts_shown(self._file, self.path)
            if is_master(self._file) and not self.end_time:
                self.writer = writer_of_parts(self.path)
        except (ValueError, OSError) as error:
            raise UnreadableError(f"{self.path} cannot be read: {getattr(error, 'strerror', '') or error}") from None
        return found

    @property
    def parts_in_words(self) -> str:
        """Which parts it shows, or which part it is; empty if it is neither."""
        return in_words(self.path, self.parts_shown, self.origin()[0], self.frames)

    def _state(self, swmr: bool) -> str:
        if self.end_time:
            return CLOSED
        if is_master(self._file):
            return WRITING if self.writer else NOT_CLOSED
        if swmr:
            return SWMR
        if self.locked:
            return WRITING
        # Others say nothing of their end: a file that opens has had one.
        return NOT_CLOSED if self.layout == OURS else CLOSED
