"""Checks of what a file says a second time: areaDetector's attributes, the channels' own groups, links, calibration."""

from __future__ import annotations

import os
import re

import h5py
import numpy as np
from numpy.typing import NDArray

from xsp3ioc.receivers import layout
from xsp3ioc.receivers.attributes import ALWAYS, DRIVER, KINDS, convert
from xsp3ioc.receivers.checked_rows import CheckedRows
from xsp3ioc.receivers.derived_check import same
from xsp3ioc.receivers.findings import ERROR, WARNING, Check
from xsp3ioc.receivers.opening import FAILURES, OURS, decoded
from xsp3ioc.receivers.reader import CLOSED, EXACT_WIDTH, SWMR, DetectorFile
from xsp3ioc.receivers.rows import Frames
from xsp3ioc.receivers.virtual import VIEWS
from xsp3ioc.stream.messages import CHANNEL_COLUMNS, CONST, PARAM

_KINDS = (KINDS[PARAM], DRIVER)
_VALUES = layout.FRAME_VALUES | {column.name: column.values for column in ALWAYS}
"""What attributes show that follow from the frames: by their source."""
LATER = re.compile(rf"{layout.DATA}/channel_energy|{layout.INSTRUMENT}/mca_\d+/energy")
"""Names that the first files did not have."""
_CHANNEL_NAME = re.compile(r"CHAN(\d+)")


class AttributeCheck:
    """NDAttributes, and times beside a channel's spectra, are those of the detector's group."""

    def __init__(self, file: DetectorFile) -> None:
        self.check = Check("attributes", "NDAttributes say what the detector's group says")
        self._file = file
        self._compared = 0
        self._alone = 0
        self._attributes: list[tuple[h5py.Dataset, str, int | None]] = []
        """Dataset, what it shows (a column, or a source of values), and the channel."""
        self._constants: list[tuple[h5py.Dataset, str]] = []
        self._last_id: int | None = None
        if file.layout == OURS:
            self._find_ours()
        elif file.attributes is None or "NDArrayUniqueId" not in file.attributes:
            self.check.skip("there are none")

    def _find_ours(self) -> None:
        attributes = self._file.attributes or {}
        for name, dataset in attributes.items():
            source, kind = _attribute(dataset, "NDAttrSource"), _attribute(dataset, "NDAttrSourceType")
            if kind == KINDS[CONST]:
                self._constants.append((dataset, source))
            elif kind in _KINDS and source in _VALUES:
                self._attributes.append((dataset, source, None))
            elif kind in _KINDS and source in CHANNEL_COLUMNS and (channel := _channel_of(dataset, name)) is not None:
                column = CHANNEL_COLUMNS[source]
                # The detector's own is of whole numbers.
                self._attributes.append((dataset, EXACT_WIDTH if column == "event_width" else column, channel))
            else:
                self._alone += 1
        for channel in range(self._file.channels):
            for name, column in VIEWS.items():
                if column == "data":
                    continue
                try:
                    dataset = self._file[f"{layout.INSTRUMENT}/mca_{channel:02}/{name}"]
                except FAILURES:
                    self.check.find(ERROR, f"mca_{channel:02}/{name} is not there")
                else:
                    self._attributes.append((dataset, column, channel))

    def rows(self, rows: CheckedRows, frames: Frames | None) -> None:
        """Look at the next rows; `frames` are the same, if they are known."""
        if self._file.layout != OURS:
            self._count_ids(rows)
            return
        for dataset, source, channel in self._attributes:
            if source in rows.values:
                expected = rows.values[source] if channel is None else rows.values[source][:, channel]
            elif frames is not None and source in _VALUES:
                expected = _VALUES[source](frames)
            else:
                continue
            self._compare(rows, dataset, np.asarray(expected).astype(dataset.dtype))
        for dataset, text in self._constants:
            value = convert(text, dataset.dtype)
            self._compare(rows, dataset, np.full(rows.count, value, dataset.dtype))

    def _compare(self, rows: CheckedRows, dataset: h5py.Dataset, expected: NDArray) -> None:
        name = dataset.name.removeprefix(f"{layout.INSTRUMENT}/")
        try:
            found = dataset[rows.first : rows.first + rows.count]
        except FAILURES as error:
            self.check.find(ERROR, f"{name} cannot be read", str(error)).mark(rows.first, np.ones(rows.count, bool))
            return
        self._compared += len(found)
        differs = np.ones(rows.count, np.bool_)
        differs[: len(found)] = ~same(found, expected[: len(found)])
        self.check.mark(
            ERROR, f"{name} is another value", rows.first, differs,
            lambda i: f"{found[i]} instead of {expected[i]}" if i < len(found) else "there is none",
        )  # fmt: skip

    def _count_ids(self, rows: CheckedRows) -> None:
        """Look whether unique ids count on; areaDetector's first one may be of an erased frame, and negative."""
        attributes = self._file.attributes
        if attributes is None or "NDArrayUniqueId" not in attributes:
            return
        ids = attributes["NDArrayUniqueId"][rows.first : rows.first + rows.count].astype(np.int64)
        before = np.concatenate([[ids[0] - 1 if self._last_id is None else self._last_id], ids[:-1]])
        erased = ids < 0
        self.check.mark(WARNING, "an erased frame: it holds nothing", rows.first, erased, lambda i: f"id {ids[i]}")
        self.check.mark(ERROR, "NDArrayUniqueId does not count on", rows.first, (ids != before + 1) & (before >= 0),
                        lambda i: f"{ids[i]} after {before[i]}")  # fmt: skip
        self._last_id = int(ids[-1])
        self._compared += len(ids)

    def end(self, frames: int) -> None:
        """Sum up."""
        if not self.check.skipped:
            self.check.done = f"{self._compared:,} values"
            if self._alone:
                self.check.done += f"; {self._alone} datasets with nothing to compare"


class LinkCheck:
    """The other names of the data are those of the same data, and calibration is the same everywhere."""

    def __init__(self, file: DetectorFile) -> None:
        self.check = Check("names", "other names of the data show the same")
        self._file = file

    def end(self, frames: int) -> None:
        """Look at all of it."""
        file = self._file
        for dataset in {one.name: one for one in (file.data, file.raw)}.values():
            self._sources(dataset)
        if file.layout != OURS:
            self.check.done = "parts of the spectra" if file.data.is_virtual else ""
            if not self.check.done:
                self.check.skip("there are none")
            return
        for name, target in layout.LINKS.items():
            try:
                same_object = file[name] == file[target]
            except FAILURES:
                if not LATER.fullmatch(name):
                    self.check.find(ERROR, f"{name} is not there")
                continue
            if not same_object:
                self.check.find(ERROR, f"{name} is not {target}, but another one")
        self._calibration()
        for channel in range(file.channels):
            self._channel(channel, frames)
        self.check.done = f"links, energies, spectra of {file.channels} channels"

    def _sources(self, dataset: h5py.Dataset) -> None:
        """Look whether every file of a virtual dataset is there: without it HDF5 shows zeros."""
        if not dataset.is_virtual:
            return
        directory = os.path.dirname(os.path.abspath(self._file.path))
        sources = dataset.virtual_sources()
        gone = {part.name for part in self._file.parts_shown if not part.there}  # said of the parts
        for name in sorted({source.file_name for source in sources} - {"."}):
            # HDF5 takes % for the begin of a number.
            place = os.path.join(directory, name.replace("%%", "%"))
            try:
                # Locked as the master is: HDF5 opens no file in two ways.
                with h5py.File(place, "r", locking=self._file.locking) as part:
                    found = dataset.name in part or any(source.dset_name in part for source in sources)
            except FAILURES:
                found = False
            if not found and name not in gone:
                what = "cannot be read" if os.path.exists(place) else "is not there"
                self.check.find(ERROR, f"{name}, a part of {dataset.name}, {what}: its frames read as zeros")

    def _calibration(self) -> None:
        file, bins = self._file, np.arange(self._file.bins)
        offset, slope = file.config("energy_offset"), file.config("energy_slope")
        if offset is None or slope is None or np.shape(offset) != (file.channels,):
            return
        energy = offset[:, np.newaxis] + slope[:, np.newaxis] * bins
        expected = {
            f"{layout.DETECTOR}/energy": energy,
            f"{layout.DATA}/energy": energy.mean(axis=0),
            f"{layout.DATA}/channel": np.arange(file.channels),
        }
        for channel in range(file.channels):
            group = f"{layout.INSTRUMENT}/mca_{channel:02}"
            expected[f"{group}/calibration"] = np.array([offset[channel] / 1000, slope[channel] / 1000, 0.0])
            expected[f"{group}/channels"] = bins
            expected[f"{group}/energy"] = energy[channel]
        for name, values in expected.items():
            found = file.value(name)
            if found is None:
                if not LATER.fullmatch(name):
                    self.check.find(ERROR, f"{name} is not there, or cannot be read")
            elif np.shape(found) != values.shape or not same(np.asarray(found), values).all():
                self.check.find(ERROR, f"{name} is not what the settings say")

    def _channel(self, channel: int, frames: int) -> None:
        """Compare the first and the last of the channel's own spectra: each is unpacked again."""
        name = f"{layout.INSTRUMENT}/mca_{channel:02}/data"
        if self._file.state == SWMR:
            return
        try:
            spectra = self._file[name]
            if self._file.state == CLOSED and len(spectra) != frames:
                self.check.find(ERROR, f"{name} has {len(spectra):,} frames instead of {frames:,}")
            for frame in {0, min(frames, len(spectra)) - 1} if frames else ():
                if not np.array_equal(spectra[frame], self._file.data[frame, channel]):
                    self.check.find(ERROR, f"{name} shows other spectra").mark(frame, np.ones(1, np.bool_))
        except FAILURES:
            self.check.find(ERROR, f"{name} is not there, or cannot be read")


def _attribute(dataset: h5py.Dataset, name: str) -> str:
    return decoded(dataset.attrs.get(name, ""))


def _channel_of(dataset: h5py.Dataset, name: str) -> int | None:
    """Return the channel that an attribute shows, from 0, as its name says, else as its source does."""
    if found := _CHANNEL_NAME.match(name):
        return int(found[1]) - 1
    if dataset.is_virtual:
        return int(dataset.virtual_sources()[0].src_space.get_regular_hyperslab()[0][1])
    return None
