"""What stands in a file, as tables: the datasets with one row per frame, and the names that other readers look for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from xsp3ioc.receivers import rates
from xsp3ioc.receivers.rows import Column, Frames
from xsp3ioc.stream.formulas import Scaler
from xsp3ioc.stream.messages import EPICS_EPOCH

ENTRY = "/entry"
INSTRUMENT = "/entry/instrument"
DETECTOR = "/entry/instrument/xspress3"
CONFIG = f"{DETECTOR}/config"
SERIES = f"{DETECTOR}/series"
ATTRIBUTES = "/entry/instrument/NDAttributes"
PERFORMANCE = "/entry/instrument/performance"
DATA = "/entry/data"
END_TIME = f"{ENTRY}/end_time"
SALVAGED = f"{ENTRY}/salvaged"
"""Where a file says that it was salvaged: when, by what, and what was done."""

DATA_ATTRIBUTES = {
    "signal": np.int32(1),
    "NDArrayNumDims": np.int32(2),
    "NDArrayDimBinning": np.ones(2, np.int32),
    "NDArrayDimOffset": np.zeros(2, np.int32),
    "NDArrayDimReverse": np.zeros(2, np.int32),
}
"""Of the spectra, as areaDetector has them."""

NEXUS_VERSION = "v2024.02"
"""Release of the NeXus definitions whose classes and attributes are used."""


class Group(NamedTuple):
    """A group: its class, what it holds, attributes beside NX_class."""

    kind: str
    doc: str
    attributes: dict[str, Any] = {}  # noqa: RUF012


GROUPS = {
    "/": Group("NXroot", "", {"default": "entry", "NeXus_version": NEXUS_VERSION}),
    ENTRY: Group("NXentry", "One capture", {"default": "data"}),
    INSTRUMENT: Group("NXinstrument", "The detector, and each of its channels"),
    DETECTOR: Group("NXdetector", "The spectra and scalers of all channels"),
    CONFIG: Group("NXcollection", "Settings and provenance, as of the first series"),
    f"{CONFIG}/parameters": Group("NXcollection", "All settings of the server, by their names in its configuration"),
    f"{CONFIG}/rois": Group("NXcollection", "ROIs in use, one row each"),
    f"{CONFIG}/settings_files": Group("NXcollection", "The calibration's own files, as text"),
    SERIES: Group("NXcollection", "The series in this file, one row each"),
    ATTRIBUTES: Group("NXcollection", "The NDAttributes, one value per frame"),
    PERFORMANCE: Group("NXcollection", "How fast the file was written"),
    "/entry/measurement": Group("NXcollection", "Where NanoMAX's scripts look"),
    DATA: Group(
        "NXdata",
        "The default plot",
        {
            "signal": "data",
            "axes": [".", "channel", "energy"],
            "channel_indices": 1,
            "energy_indices": 2,
            "interpretation": "spectrum",
        },
    ),
}
"""In the order of creation; there is one `mca_NN` per channel besides."""

LINKS = {
    "/entry/instrument/detector": DETECTOR,
    f"{DETECTOR}/NDAttributes": ATTRIBUTES,
    "/entry/measurement/xspress3": DETECTOR,
    f"{DATA}/data": f"{DETECTOR}/data",
    f"{DATA}/channel_energy": f"{DETECTOR}/energy",
}
"""Hard links, name -> what it is; the first serves xraylarch and the databroker handlers."""


def _scaler(scaler: Scaler, unit: str, doc: str, name: str = "") -> Column:
    def values(frames: Frames) -> NDArray:
        return frames.scalers[..., scaler]

    return Column(name or scaler.name, "u4", unit, doc, values)


def _epics_time(frames: Frames) -> NDArray:
    # A missing frame has no time: 0, not a time before the epoch.
    return np.maximum(frames.frames["time"] - EPICS_EPOCH, 0.0)


def _widths(frames: Frames) -> NDArray:
    return np.broadcast_to(np.rint(frames.event_widths), frames.factors.shape)


DETECTOR_COLUMNS = [
    _scaler(Scaler.clock_ticks, "tick", "Clock ticks"),
    _scaler(Scaler.reset_ticks, "tick", "Ticks spent in preamplifier resets"),
    _scaler(Scaler.reset_count, "counts", "Preamplifier resets"),
    _scaler(Scaler.all_events, "counts", "All events"),
    _scaler(Scaler.all_good, "counts", "Events above the good threshold"),
    _scaler(Scaler.window1, "counts", "Events in window 1"),
    _scaler(Scaler.window2, "counts", "Events in window 2"),
    _scaler(Scaler.pileup, "counts", "Pile-up events"),
    _scaler(Scaler.total_ticks, "tick", "Total ticks"),
    Column("event_width", "i4", "tick", "Dead ticks per event, less 1; rounded, exactly: config/event_widths", _widths),
    Column("dead_time_correction", "f8", "", "Dead-time correction factor", lambda f: f.factors),
    Column(
        "dead_time_percent",
        "f8",
        "%",
        "Dead time",
        lambda f: f.dead_time_percent,
    ),
    Column(
        "output_count_rate",
        "f8",
        "cps",
        "Output count rate, AllGood / counting time",
        lambda f: rates.output_count_rate(f.scalers, f.clock_period),
    ),
    Column(
        "input_count_rate",
        "f8",
        "cps",
        "Input count rate, output count rate x dead-time correction",
        lambda f: rates.input_count_rate(f.scalers, f.factors, f.clock_period),
    ),
    Column("real_time", "f8", "s", "Counting time", lambda f: rates.real_time(f.scalers, f.clock_period)),
    Column(
        "live_time",
        "f8",
        "s",
        "Counting time less dead time",
        lambda f: rates.live_time(f.scalers, f.dead_time_percent, f.clock_period),
    ),
    Column(
        "count_time",
        "f8",
        "s",
        "Counting time of the frame (channel 0)",
        lambda f: rates.real_time(f.scalers[:, 0], f.clock_period),
        per_channel=False,
    ),
    Column("frame_number", "u8", "", "Number of the frame in the capture", lambda f: f.rows, per_channel=False),
    Column(
        "time_stamp",
        "f8",
        "s",
        "End of the exposure, since 1970 UTC",
        lambda f: f.frames["time"],
        per_channel=False,
    ),
    Column("markers", "u4", "", "Marker bits", lambda f: f.frames["markers"], per_channel=False),
    Column(
        "frame_status", "u1", "", "0 valid, 1 overrun, 2 missing", lambda f: f.frames["status"], per_channel=False
    ),
    Column("series_index", "u4", "", "Number of the series in the capture", lambda f: f.series, per_channel=False),
    Column("frame_in_series", "u4", "", "Number of the frame in its series", lambda f: f.numbers, per_channel=False),
]
"""In the detector's group, in this order."""

FRAME_VALUES: dict[str, Callable[[Frames], NDArray]] = {
    **dict.fromkeys(("ARRAY_COUNTER", "UNIQUE_ID"), lambda f: f.rows + 1),
    **dict.fromkeys(("NIMAGES_COUNTER", "frames_read", "images_done", "unique_id"), lambda f: f.numbers + 1),
    **dict.fromkeys(("TIME_STAMP", "time_stamp"), _epics_time),
    **dict.fromkeys(("EPICS_TS_SEC", "stamp_seconds"), lambda f: np.floor(_epics_time(f))),
    **dict.fromkeys(("EPICS_TS_NSEC", "stamp_nanoseconds"), lambda f: _epics_time(f) % 1.0 * 1e9),
}
"""What the parameters that every frame has are, by their names: one value per frame."""
FRAME_UNITS = {
    **dict.fromkeys(("TIME_STAMP", "time_stamp", "EPICS_TS_SEC", "stamp_seconds"), "s"),
    **dict.fromkeys(("EPICS_TS_NSEC", "stamp_nanoseconds"), "ns"),
}

_ATTRIBUTES_OF_LARCH = ("CHAN1SCA0", "CHAN1DTFactor")

READERS: list[tuple[str, tuple[str, ...], str]] = [
    (
        "silx view, h5web", (f"{DATA}/data", f"{DATA}/channel", f"{DATA}/energy"),
        "the default plot: spectra over energy, frame and channel by sliders",
    ),
    (
        "PyMca", (f"{INSTRUMENT}/mca_00/data", f"{INSTRUMENT}/mca_00/calibration", f"{INSTRUMENT}/mca_00/live_time"),
        "one MCA, or stack of spectra, per channel, with its calibration (keV), `channels` and times",
    ),
    (
        "xraylarch `read_xsp3_hdf5`",
        ("/entry/instrument/detector/data", *(f"{ATTRIBUTES}/{name}" for name in _ATTRIBUTES_OF_LARCH)),
        "leaves the first frame out if that has fewer than 5 counts",
    ),
    (
        "databroker, area-detector-handlers `XSP3`", ("/entry/instrument/detector/data",),
        "needs `import hdf5plugin` before, or a file with Compression zlib",
    ),
    (
        "area-detector-handlers `XSP3_FLY`",
        ("/entry/instrument/detector/data", "/entry/instrument/detector/NDAttributes/CHAN1SCA0"), "the same",
    ),
    ("ophyd-async", (f"{DATA}/data", f"{ATTRIBUTES}/CHAN1DTFactor"), ""),
    ("nexusformat, chexus", (f"{DATA}/data",), "a class on every group, a unit on every real number"),
    (
        "NanoMAX's scripts, contrast", (f"{DETECTOR}/data", "/entry/measurement/xspress3/data"),
        "`[frame, channel, :]`, and the other eight names of xspress3-streamer in the same group",
    ),
]  # fmt: skip
"""Who opens the file as it is, what it looks for, and what there is to say."""
