"""What is in a file: where it comes from, settings, counts and rates per channel, summed spectra, rates over time."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xsp3ioc.receivers.checked_rows import CheckedRows, blocks_of
from xsp3ioc.receivers.frame_checks import NumberCheck
from xsp3ioc.receivers.layout import DETECTOR
from xsp3ioc.receivers.opening import FAILURES, USUAL_PERIOD
from xsp3ioc.receivers.parts_shown import size_of
from xsp3ioc.receivers.reader import DetectorFile
from xsp3ioc.stream.messages import FrameStatus

POINTS = 60
"""Of the rates over time."""
FACTS = {
    "title": "/entry/title",
    "start": "/entry/start_time",
    "program": f"{DETECTOR}/config/server",
    "host": f"{DETECTOR}/config/host",
    "detector": f"{DETECTOR}/config/detector",
    "library": f"{DETECTOR}/config/library",
    "firmware": f"{DETECTOR}/config/firmware",
    "uuid": "/entry/entry_identifier_uuid",
}
SETTINGS = ("trigger_mode", "exposure", "gap", "times", "clock_period", "dead_time_model")
CHANNEL_SETTINGS = {
    "good_threshold": "good_thresholds",
    "windows": "windows",
    "event_width": "event_widths",
    "energy_offset": "energy_offset",
    "energy_slope": "energy_slope",
}
"""Of each channel: name here and in the file."""


@dataclass
class Sums:
    """Over the valid frames, per channel; of the counts that the file has not, zeros."""

    good: NDArray[np.float64]
    events: NDArray[np.float64]
    corrected: NDArray[np.float64]
    """AllGood times the dead-time factors."""
    seconds: NDArray[np.float64]
    """Counting time."""

    @classmethod
    def zeros(cls, *shape: int) -> Sums:
        """Return it for nothing."""
        return cls(*(np.zeros(shape) for _ in range(4)))

    @property
    def output_rate(self) -> NDArray[np.float64]:
        """AllGood / counting time, cps; 0 without time."""
        return np.divide(self.good, self.seconds, out=np.zeros_like(self.good), where=self.seconds > 0)

    @property
    def input_rate(self) -> NDArray[np.float64]:
        """The same corrected for dead time, cps; 0 without time."""
        return np.divide(self.corrected, self.seconds, out=np.zeros_like(self.good), where=self.seconds > 0)

    @property
    def dead_time(self) -> NDArray[np.float64]:
        """Part of the time, %, that lies between the two rates; 0 without counts."""
        share = np.divide(self.good, self.corrected, out=np.ones_like(self.good), where=self.corrected > 0)
        return 100.0 * (1.0 - share)


@dataclass
class Contents:
    """A file, or some of its frames."""

    path: str
    layout: str
    state: str
    bytes: int
    simulated: bool | None
    frames: int
    """In the file."""
    first: int
    stop: int
    """What was looked at: frames `first` to `stop` - 1."""
    channels: int
    bins: int
    end_time: str
    storage: str
    """How spectra lie in the file, in words."""
    clock_assumed: bool
    facts: dict[str, str]
    settings: dict[str, Any]
    channel_settings: dict[str, Any]
    """Name -> one of each channel."""
    spectra: NDArray[np.uint64]
    """(channels, bins): sum over the valid frames."""
    sums: Sums
    """(channels,)."""
    over_time: Sums
    """(points, channels): the same for equal parts of the frames, one after the other."""
    counts: dict[str, int] = field(default_factory=dict)
    """Frames that are valid, overrun, missing, unreadable."""
    series_count: int = 0
    series: list[dict[str, Any]] = field(default_factory=list)
    """The first thousand."""
    rois: list[list[tuple[str, int, int]]] = field(default_factory=list)
    """[channel] -> name, first bin and number of bins."""

    @property
    def energy_offset(self) -> NDArray[np.float64]:
        """Energy at the centre of bin 0, eV, (channels,); 0 if the file does not say it."""
        return np.asarray(self.channel_settings.get("energy_offset", np.zeros(self.channels)), np.float64)

    @property
    def energy_slope(self) -> NDArray[np.float64]:
        """Width of a bin, eV, (channels,); 10, as Xspress3 are set up, if the file does not say it."""
        return np.asarray(self.channel_settings.get("energy_slope", np.full(self.channels, 10.0)), np.float64)

    @property
    def calibrated(self) -> bool:
        """The file says what the energies are."""
        return "energy_slope" in self.channel_settings


def contents(
    path: str | os.PathLike[str],
    tell: Callable[[int, int], None] = lambda done, total: None,
    first: int = 0,
    stop: int | None = None,
    with_spectra: bool = True,
) -> Contents:
    """Read the frames `first` to `stop` - 1 of the file at `path`; `tell` is called now and then.

    ValueError if there are no such frames; UnreadableError if the file cannot be read. Without `with_spectra` their
    sums are 0.
    """
    with DetectorFile(path) as file:
        last = file.frames if stop is None else stop
        if not 0 <= first <= last <= file.frames or (first == last and file.frames):
            asked = f"frames {first}:{'' if stop is None else stop}"
            raise ValueError(f"{asked} are not there: the file has {file.frames:,}, 0:{file.frames} are all of them")
        found = _described(file, first, last)
        numbers = NumberCheck(None)
        status_counts = np.zeros(256, np.int64)
        tell(0, last - first)
        for begin, count in blocks_of(first, last):
            rows = CheckedRows(begin, count, _values(file, begin, count))
            numbers.rows(rows)
            status_counts += np.bincount(rows.values.get("frame_status", np.zeros(count, np.uint8)), minlength=256)
            _add(found, rows, file.clock_period or USUAL_PERIOD)
            if with_spectra:
                _add_spectra(found, file, rows)
            tell(begin + count - first, last - first)
        found.counts |= {status.name: int(status_counts[status]) for status in FrameStatus}
        found.series_count, found.series = numbers.count, numbers.series
        return found


def _described(file: DetectorFile, first: int, stop: int) -> Contents:
    facts = {name: str(file.value(place, "")) for name, place in FACTS.items()}
    gone = ", ".join(str(part) for part in file.parts_shown if not part.there)
    facts["parts"] = file.parts_in_words
    facts["parts_not_there"] = gone
    settings = {name: file.config(name) for name in SETTINGS}
    channel_settings = {name: file.config(there) for name, there in CHANNEL_SETTINGS.items()}
    fitting = {
        name: value
        for name, value in channel_settings.items()
        if value is not None and np.shape(value)[:1] == (file.channels,)
    }
    shape = file.channels, file.bins
    return Contents(
        file.path, file.layout, file.state, size_of(file.path, file.parts_shown), file.simulated, file.frames, first,
        stop, *shape, file.end_time, file.storage(), file.clock_period is None,
        {name: value for name, value in facts.items() if value},
        {name: value for name, value in settings.items() if value is not None}, fitting,
        np.zeros(shape, np.uint64), Sums.zeros(file.channels), Sums.zeros(POINTS, file.channels), {"unreadable": 0},
        rois=file.rois(),
    )  # fmt: skip


def _values(file: DetectorFile, first: int, count: int) -> dict[str, NDArray]:
    """Read the columns that are summed; what cannot be read is left out."""
    values = {}
    for name in (
        "frame_status", "series_index", "frame_in_series", "time_stamp", "all_good", "all_events", "total_ticks",
        "clock_ticks", "dead_time_correction",
    ):  # fmt: skip
        try:
            values[name] = file.read(name, first, count)
        except FAILURES:
            continue
    return values


def _add(found: Contents, rows: CheckedRows, clock: float) -> None:
    """Add the scalers of some rows, over all and over time."""
    shape, valid = (rows.count, found.channels), rows.valid
    good = rows.values.get("all_good", np.zeros(shape)).astype(np.float64)
    ticks = rows.values.get("total_ticks", rows.values.get("clock_ticks", np.zeros(shape)))
    values = {
        "good": good,
        "events": rows.values.get("all_events", np.zeros(shape)),
        "corrected": good * rows.values.get("dead_time_correction", np.ones(shape)),
        "seconds": ticks * clock,
    }
    frames = np.arange(rows.first, rows.first + rows.count)[valid]
    points = (frames - found.first) * POINTS // max(1, found.stop - found.first)
    for name, value in values.items():
        getattr(found.sums, name)[...] += value[valid].sum(axis=0)
        np.add.at(getattr(found.over_time, name), points, value[valid])


def _add_spectra(found: Contents, file: DetectorFile, rows: CheckedRows) -> None:
    valid = rows.valid

    def unreadable(error: Exception, first: int, count: int) -> None:
        found.counts["unreadable"] += count

    for begin, spectra in file.parts(rows.first, rows.count, unreadable):
        here = valid[begin - rows.first : begin - rows.first + len(spectra)]
        found.spectra += spectra[here].sum(axis=0, dtype=np.uint64)
