"""What a file says once, as a table: where its data come from, settings, calibration; and how that is written."""

from __future__ import annotations

import socket
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import partial
from typing import Any

import h5py
import msgspec
import numpy as np

from xsp3ioc import __version__
from xsp3ioc.receivers.entries import TEXT, put, set_unit, tell
from xsp3ioc.receivers.layout import CONFIG, DATA, DETECTOR, END_TIME, ENTRY, INSTRUMENT
from xsp3ioc.stream.messages import Capture, Header

PROGRAM = "xsp3ioc"
HDF5 = str(h5py.version.hdf5_version)
"""Version of the library."""
TIME_LENGTH = 32
"""Bytes of an ISO 8601 time: of fixed length where it is written later."""
UNKNOWN_UNIT = "unknown"
"""Of a number whose unit nobody has told."""


@dataclass(frozen=True)
class Fact:
    """A dataset that is written once or twice: when the file is made, and when its first series begins."""

    path: str
    doc: str
    at_first: Callable[[Capture], Any] | None = None
    """None: it is made with the first series, and does not stand in a file without one."""
    from_header: Callable[[Header], Any] | None = None
    """None: it stays as it was at first."""
    unit: str = ""
    text: bool = False


def _text(
    name: str,
    doc: str,
    at_first: Callable[[Capture], str] | None,
    from_header: Callable[[Header], str | list[str]] | None = None,
    group: str = CONFIG,
) -> Fact:
    return Fact(f"{group}/{name}", doc, at_first, from_header, text=True)


def _setting(name: str, doc: str, unit: str = "") -> Fact:
    return Fact(f"{CONFIG}/{name}", doc, None, lambda header: getattr(header, name), unit)


def _word(name: str, doc: str) -> Fact:
    return _text(name, doc, None, lambda header: getattr(header, name))


def _of_rois(value: Callable[[int, tuple[str, int, int]], Any]) -> Callable[[Header], list]:
    return lambda header: [value(channel, roi) for channel, rois in enumerate(header.rois) for roi in rois]


def simulated(header: Header) -> str:
    """Return what is said wherever a simulation could be taken for a measurement."""
    return " (simulated)" if header.simulated else ""


def energies(header: Header) -> np.ndarray:
    """Return eV, shaped (channels, bins)."""
    offset, slope = (np.array(values)[:, np.newaxis] for values in (header.energy_offset, header.energy_slope))
    return offset + slope * np.arange(header.bins)


def iso(time: float | None = None) -> str:
    """Return a time (s since 1970, UTC; None: now) as ISO 8601 says it."""
    moment = datetime.now(timezone.utc) if time is None else datetime.fromtimestamp(time, timezone.utc)
    return moment.isoformat(timespec="milliseconds")


def create_end_time(file: h5py.File) -> None:
    """Make room for the time when the file is closed; empty until then."""
    dataset = file.create_dataset(END_TIME, (), f"S{TIME_LENGTH}")
    dataset.attrs["long_name"] = "When the file was closed; empty: it was not"


def write_end_time(file: h5py.File, when: str = "") -> h5py.Dataset:
    """Say when the file was closed, as ISO 8601 says it; empty: now. Return where that stands."""
    if END_TIME not in file:
        create_end_time(file)
    dataset = file[END_TIME]
    dataset[()] = np.bytes_(when or iso())
    return dataset


FACTS = [
    _text(
        "title", "Title", lambda _: "Xspress3 spectra", lambda h: f"Xspress3 spectra{simulated(h)}", group=ENTRY
    ),
    _text(
        "start_time", "Start of the first series; in a file without one, when it was made",
        lambda _: iso(), lambda h: iso(h.time), group=ENTRY,
    ),
    _text("program_name", "The server", lambda _: PROGRAM, lambda h: h.server.partition(" ")[0], group=ENTRY),
    _text("entry_identifier_uuid", "Identifier of this file's entry", lambda _: str(uuid.uuid4()), group=ENTRY),
    Fact(f"{ENTRY}/capture_id", "Number of the capture in its server", lambda capture: capture.capture_id),
    Fact(f"{DATA}/channel", "Channel", lambda capture: np.arange(capture.channels)),
    Fact(
        f"{DATA}/energy", "Energy (mean of the channels)", lambda capture: np.zeros(capture.bins),
        lambda header: energies(header).mean(axis=0), "eV",
    ),
    Fact(
        f"{DETECTOR}/energy", "Energy", lambda capture: np.zeros((capture.channels, capture.bins)), energies, "eV"
    ),
    _text("local_name", "Name in this file", lambda _: "xspress3", group=DETECTOR),
    _text(
        "type", "Kind of detector", None, lambda h: f"silicon drift detector, pulse processor{simulated(h)}",
        group=DETECTOR,
    ),
    _text("description", "Model", None, lambda h: h.detector + simulated(h), group=DETECTOR),
    Fact(f"{DETECTOR}/simulated", "Whether an emulator made the data", None, lambda header: header.simulated),
    _text("writer", "Program that wrote the file, and its HDF5", lambda _: f"{PROGRAM} {__version__}, HDF5 {HDF5}"),
    _text("writer_host", "Host that it ran on", lambda _: socket.gethostname()),
    _word("server", "Server and version"),
    _word("host", "Host that the server ran on"),
    _text("command_line", "Command line of the server", None, lambda header: header.command),
    _word("detector", "Model, as the server names it"),
    _word("library", "Library and version"),
    _word("firmware", "Firmware version"),
    _setting("exposure", "Counting time of a frame in the first series; 0 where a gate sets it", "s"),
    _setting("gap", "Time between two frames", "s"),
    _setting("clock_period", "Time of a tick", "s"),
    _word("trigger_mode", "Trigger mode of the first series"),
    _word("times", "Where time_stamp comes from: ticks, or read-out (estimated)"),
    _setting("event_widths", "Dead ticks per event, less one, of each channel, exactly", "tick"),
    _word("dead_time_model", "How dead_time_correction is made"),
    _setting("energy_offset", "Energy at the centre of bin 0, per channel", "eV"),
    _setting("energy_slope", "Energy of one bin, per channel", "eV"),
    _setting("windows", "First and last bin: [channel][window 1, 2]", "bin"),
    _setting("good_thresholds", "Good threshold, per channel", "bin"),
    Fact(f"{CONFIG}/rois/channel", "Channel of each ROI in use", None, _of_rois(lambda channel, roi: channel)),
    _text("rois/name", "Its name", None, _of_rois(lambda channel, roi: roi[0])),
    Fact(f"{CONFIG}/rois/first_bin", "Its first bin", None, _of_rois(lambda channel, roi: roi[1]), "bin"),
    Fact(f"{CONFIG}/rois/bins", "Number of its bins", None, _of_rois(lambda channel, roi: roi[2]), "bin"),
    _text(
        "settings_directory", "Calibration that the library has read or written last", None,
        lambda header: header.settings_files.directory,
    ),
    _text(
        "settings_left_out", "Its files that are too large, or no text", None,
        lambda header: header.settings_files.left_out,
    ),
]  # fmt: skip
"""In the order of creation."""

PARAMETERS = f"{CONFIG}/parameters"
"""Group of all settings of the server, one dataset each."""
SETTINGS_FILES = f"{CONFIG}/settings_files"
"""Group of the calibration's own files, one text each."""


def of_channel(channel: int) -> list[Fact]:
    """Return what the group of a channel says, as PyMca wants it."""
    group = f"{INSTRUMENT}/mca_{channel:02}"
    calibration = partial(_calibration, channel)
    return [
        Fact(f"{group}/calibration", "Energy: a + b bin + c bin^2", lambda _: np.zeros(3), calibration, "keV"),
        Fact(f"{group}/channels", "Bins", lambda capture: np.arange(capture.bins)),
    ]


def _calibration(channel: int, header: Header) -> list[float]:
    # PyMca's unit is keV.
    return [header.energy_offset[channel] / 1000, header.energy_slope[channel] / 1000, 0.0]


def create_facts(file: h5py.File, capture: Capture) -> None:
    """Make what is known when the file is made, and room for what can be."""
    for fact in _facts(capture.channels):
        if fact.at_first is not None:
            _create(file, fact, fact.at_first(capture))
    _program(file, f"{PROGRAM} {__version__}")


def describe_facts(file: h5py.File, header: Header) -> None:
    """Write what the first header knows."""
    for fact in _facts(header.channels):
        if fact.from_header is not None:
            value = fact.from_header(header)
            if fact.at_first is not None:
                file[fact.path][...] = _clean(value) if fact.text else value
            else:
                _create(file, fact, value)
    _program(file, header.server)
    parameters, settings_files = file[PARAMETERS], file[SETTINGS_FILES]
    for name, value in header.parameters.items():
        _guess(parameters, name, value, header.units.get(name, ""))
    for name, text in header.settings_files.files.items():
        _guess(settings_files, name, text)


def _facts(channels: int) -> Iterable[Fact]:
    yield from FACTS
    for channel in range(channels):
        yield from of_channel(channel)


def _program(file: h5py.File, server: str) -> None:
    file[f"{ENTRY}/program_name"].attrs["version"] = server.partition(" ")[2]


def _create(file: h5py.File, fact: Fact, value: Any) -> None:
    group, _, name = fact.path.rpartition("/")
    if fact.text:
        dataset = put(file.require_group(group), name, _texts(value))
    else:
        # What was chosen nowhere is an empty list: of whole numbers, as it would be otherwise.
        dataset = put(file.require_group(group), name, value if np.size(value) else np.zeros(0, int))
        set_unit(dataset, fact.unit)
    tell(dataset, long_name=fact.doc)


def _guess(group: h5py.Group, name: str, value: Any, unit: str = "") -> None:
    """Make a dataset of what JSON can say: numbers and texts as such, all else as JSON."""
    several = isinstance(value, list)
    if isinstance(value, str) or (several and value and all(isinstance(one, str) for one in value)):
        put(group, _name(name), _texts(value))
        return
    try:
        numbers = np.asarray(value)
    except ValueError:  # ragged
        numbers = np.asarray(None)
    if numbers.dtype.kind in "biuf":
        set_unit(put(group, _name(name), numbers), unit)
    else:
        put(group, _name(name), _clean(msgspec.json.encode(value).decode()))


def _name(name: str) -> str:
    return name.replace("/", "_").replace("\0", "_").strip(".") or "_"


def _texts(value: Any) -> Any:
    return np.array([_clean(one) for one in value], TEXT) if isinstance(value, list) else _clean(value)


def _clean(text: str) -> str:
    # HDF5's texts of variable length end at the first NUL.
    return text.replace("\0", "")
