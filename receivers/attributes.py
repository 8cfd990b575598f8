"""The NDAttributes of a file: one dataset each, with a value per frame, named and described as areaDetector does it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from xsp3ioc.receivers import layout
from xsp3ioc.receivers.entries import set_unit, tell
from xsp3ioc.receivers.facts import UNKNOWN_UNIT
from xsp3ioc.receivers.rows import ROWS, Column, Frames, Rows, write_rows
from xsp3ioc.receivers.virtual import one_channel
from xsp3ioc.stream.messages import (
    CHANNEL_COLUMNS,
    CONST,
    EPICS_PV,
    PARAM,
    Attribute,
    AttributeSet,
    DataType,
    Value,
)

TEXT_ROWS = 64
"""Texts per chunk."""
KINDS = {PARAM: "NDAttrSourceParam", CONST: "NDAttrSourceConst", EPICS_PV: "NDAttrSourceEPICSPV"}
DRIVER = "NDAttrSourceDriver"
"""The kind of those that are always there."""


def _event_width(channel: int, frames: Frames) -> NDArray[np.float64]:
    return np.broadcast_to(frames.event_widths[channel], frames.rows.shape)


def _column(name: str, dtype: str, unit: str, doc: str, source: str) -> Column:
    return Column(name, dtype, unit, doc, layout.FRAME_VALUES[source], per_channel=False)


ALWAYS = [
    _column("NDArrayUniqueId", "i4", "", "Number of the frame in the capture, from 1", "UNIQUE_ID"),
    _column("NDArrayTimeStamp", "f8", "s", "End of the exposure, since 1990 UTC", "TIME_STAMP"),
    _column("NDArrayEpicsTSSec", "u4", "s", "Its whole seconds", "EPICS_TS_SEC"),
    _column("NDArrayEpicsTSnSec", "u4", "ns", "The rest", "EPICS_TS_NSEC"),
]
"""In every file, as those of areaDetector."""


def _parameter(name: str, source: str, doc: str, addr: int = 0, datatype: DataType = "f8") -> Attribute:
    return Attribute(name=name, type=PARAM, source=source, addr=addr, datatype=datatype, description=doc)


def _record(name: str, source: str, doc: str) -> Attribute:
    return Attribute(name=name, type=EPICS_PV, source=source, datatype="f4", description=doc)


def standard(channels: int) -> list[Attribute]:
    """Return the set that the areaDetector driver's own file asks for: 11 per channel and four more."""
    scalers = ("ClockTicks", "ResetTicks", "ResetCounts", "AllEvent", "AllGood", "Window1", "Window2", "Pileup")
    found = []
    for channel in range(channels):
        name = f"CHAN{channel + 1}"
        found += [
            _parameter(f"{name}SCA{number}", f"XSP3_CHAN_SCA{number}", f"{name} {doc}", channel)
            for number, doc in enumerate(scalers)
        ]
        found += [
            _parameter(f"{name}EventWidth", "XSP3_EVENT_WIDTH", f"{name} Event Width", channel),
            _parameter(f"{name}DTFactor", "XSP3_CHAN_DTFACTOR", f"{name} DT Factor", channel),
            _parameter(f"{name}DTPercent", "XSP3_CHAN_DTPERCENT", f"{name} DT Percent", channel),
        ]
    return [
        *found,
        _parameter("ArrayCounter", "ARRAY_COUNTER", "Image counter", datatype="i4"),
        _parameter("TIMESTAMP", "TIME_STAMP", "End of the exposure, since 1990 UTC"),
        # Records of one synchrotron: there to be found, and never looked for.
        _record("Date", "S:IOC:timeOfDayForm1SI", "Date and time"),
        _record("RingCurrent", "S:SRcurrentAI.VAL", "Ring current"),
    ]


class AttributeDatasets:
    """The datasets of a file's attributes; `rows` fills those that follow from the frames, the others come here."""

    def __init__(self, file: h5py.File, rows: Rows, attributes: AttributeSet, channels: int) -> None:
        """Make them all; ValueError if one cannot be made."""
        self._file, self._rows = file, rows
        self._group, self._detector = file[layout.ATTRIBUTES], file[layout.DETECTOR]
        self._channels = channels
        self._constant: list[h5py.h5d.DatasetID] = []
        self._sent: dict[str, tuple[h5py.h5d.DatasetID, np.dtype]] = {}
        self._blocks: list[tuple[int, Mapping[str, Value]]] = []
        """Frames, and what is written beside them, that are not in the file yet."""
        self._gathered = 0
        self._written = 0
        chosen = {one.name: one for one in standard(channels)} if attributes.standard else {}
        chosen |= {one.name: one for one in attributes.attributes}
        for column in ALWAYS:
            if column.name not in chosen:
                _describe(rows.add(self._group, column), column.doc, column.name, DRIVER)
        for attribute in chosen.values():
            dataset = self._make(attribute)
            _describe(dataset, attribute.description, attribute.source, KINDS[attribute.type])

    def _make(self, attribute: Attribute) -> h5py.Dataset:
        name, dtype = attribute.name, np.dtype(attribute.datatype)
        if attribute.type == CONST:
            dataset = self._create(name, dtype, convert(attribute.source, dtype))
            self._constant.append(dataset.id)
        elif not attribute.of_the_frame:
            dataset = self._create(name, dtype, convert(None, dtype))
            self._sent[name] = dataset.id, dtype
        elif attribute.is_text:
            raise ValueError(f"attribute {name}: {attribute.source} is no text")
        elif attribute.source not in CHANNEL_COLUMNS:
            values, unit = layout.FRAME_VALUES[attribute.source], layout.FRAME_UNITS.get(attribute.source, "")
            column = Column(name, dtype, unit, attribute.description, values, per_channel=False)
            dataset = self._rows.add(self._group, column)
        elif not 0 <= attribute.addr < self._channels:
            raise ValueError(f"attribute {name}: there is no channel {attribute.addr}")
        elif CHANNEL_COLUMNS[attribute.source] == "event_width":
            # The detector's own is of whole numbers.
            exact = partial(_event_width, attribute.addr)
            column = Column(name, dtype, "tick", attribute.description, exact, per_channel=False)
            dataset = self._rows.add(self._group, column)
        else:
            source = self._detector[CHANNEL_COLUMNS[attribute.source]]
            dataset = one_channel(self._group, name, source, attribute.addr, dtype)
            if "units" in source.attrs:
                tell(dataset, units=source.attrs["units"])
        if "units" not in dataset.attrs and not attribute.is_text:
            told = attribute.type == PARAM or dtype.kind != "f"
            set_unit(dataset, attribute.unit if told else UNKNOWN_UNIT)
        return dataset

    def _create(self, name: str, dtype: np.dtype, value: Any) -> h5py.Dataset:
        # What is never written costs nothing, and is read as `value`.
        chunk = TEXT_ROWS if dtype.kind == "S" else ROWS
        return self._group.create_dataset(name, (0,), dtype, maxshape=(None,), chunks=(chunk,), fillvalue=value)

    def append(self, frames: int, values: Mapping[str, Value]) -> None:
        """Add so many frames that have these values beside them."""
        if not self._sent:
            self._gathered += frames
            return
        self._blocks.append((frames, values))
        self._gathered += frames
        if self._gathered - self._written >= ROWS:
            self._write()

    def skip(self, frames: int) -> None:
        """Add so many frames that are missing."""
        self._write()
        self._gathered += frames
        self._written = self._gathered

    def flush(self) -> None:
        """Write what was gathered; all datasets have the same length then."""
        self._write()
        for dataset in (*self._constant, *(dataset for dataset, _ in self._sent.values())):
            if dataset.shape[0] != self._gathered:
                dataset.set_extent((self._gathered,))

    def _write(self) -> None:
        blocks, self._blocks = self._blocks, []
        first, self._written = self._written, self._gathered
        counts = [frames for frames, _ in blocks]
        for name, (dataset, dtype) in self._sent.items():
            found = [values.get(name) for _, values in blocks]
            if any(value is not None for value in found):
                dataset.set_extent((self._gathered,))
                values = np.array([convert(value, dtype) for value in found], dtype)
                write_rows(dataset, first, np.repeat(values, counts))


def convert(value: Value, dtype: np.dtype) -> Any:
    """Return `value` as `dtype` can hold it; NaN, 0 or no text for one that is not there, or is no number."""
    if dtype.kind == "S":
        return str("" if value is None else value).encode()[: dtype.itemsize - 1].decode(errors="ignore").encode()
    try:
        number = math.nan if value is None else value if isinstance(value, int) else float(value)
    except ValueError:
        number = math.nan
    if dtype.kind == "f":
        with np.errstate(over="ignore"):
            return dtype.type(number)
    limits = np.iinfo(dtype)
    if isinstance(number, float):
        if math.isnan(number):
            return 0
        number = int(min(max(number, limits.min), limits.max))
    return min(max(number, int(limits.min)), int(limits.max))


def _describe(dataset: h5py.Dataset, description: str, source: str, kind: str) -> None:
    name = dataset.name.rpartition("/")[2]
    tell(dataset, NDAttrName=name, NDAttrDescription=description, NDAttrSource=source, NDAttrSourceType=kind)
