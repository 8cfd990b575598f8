"""Whether a file is complete and right: all of it read once, block by block, with constant memory."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

import h5py
import numpy as np
from numpy.typing import NDArray

from xsp3ioc.receivers import layout
from xsp3ioc.receivers.checked_rows import CheckedRows, Settings, blocks_of
from xsp3ioc.receivers.copy_checks import AttributeCheck, LinkCheck
from xsp3ioc.receivers.count_checks import CountCheck, DeadTimeCheck, ScalerCheck, SpectrumSums
from xsp3ioc.receivers.derived_check import DerivedCheck
from xsp3ioc.receivers.durations import duration
from xsp3ioc.receivers.findings import ERROR, WARNING, Check
from xsp3ioc.receivers.frame_checks import NumberCheck, StatusCheck, TimeCheck
from xsp3ioc.receivers.opening import FAILURES, OURS, STREAMER
from xsp3ioc.receivers.parts_shown import parts_check, size_of
from xsp3ioc.receivers.reader import CLOSED, NOT_CLOSED, SWMR, WRITING, DetectorFile
from xsp3ioc.receivers.series_check import SeriesCheck
from xsp3ioc.stream.messages import EVENT_WIDTH

REQUIRED = {
    "clock_ticks", "reset_ticks", "reset_count", "all_events", "all_good", "window1", "window2", "pileup",
    "total_ticks", "event_width", "dead_time_correction", "dead_time_percent", "output_count_rate",
    "input_count_rate", "real_time", "live_time", "count_time", "frame_number", "time_stamp", "markers",
    "frame_status", "series_index", "frame_in_series",
}  # fmt: skip
"""Columns of every file of ours; later versions have more."""
INCOMPLETE = ("end", "parts", "lengths", "reading", "status")
"""Checks whose errors say that something is missing."""
Tell = Callable[[int, int], None]
"""Takes how many of how many frames are done."""


class Summing(Protocol):
    """One of the checks, which sums up in the end."""

    check: Check

    def end(self, frames: int) -> None:
        """Sum up."""


@dataclass
class Verdict:
    """What a check of a file has found."""

    path: str
    layout: str
    state: str
    simulated: bool | None
    frames: int
    channels: int
    bins: int
    bytes: int
    """Size of the file."""
    end_time: str
    checks: list[Check] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    """Frames that are valid, overrun and missing."""
    series_count: int = 0
    series: list[dict[str, Any]] = field(default_factory=list)
    """The first thousand of them."""

    def count(self, severity: str) -> int:
        """Return how many kinds of faults, or doubts, were found."""
        return sum(finding.severity == severity for check in self.checks for finding in check.findings)

    @property
    def complete(self) -> bool:
        """Nothing is missing, and nothing is wrong."""
        return self.count(ERROR) == 0

    @property
    def incomplete(self) -> bool:
        """Something is missing, or may be."""
        return any(check.result == ERROR for check in self.checks if check.name in INCOMPLETE)

    @property
    def cut(self) -> bool:
        """A series lacks its begin or its end, as far as the file says."""
        return any(finding.cut for check in self.checks for finding in check.findings)

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        names = ("path", "layout", "state", "simulated", "frames", "channels", "bins", "bytes", "end_time", "counts")
        return {
            **{name: getattr(self, name) for name in names},
            "complete": self.complete,
            "incomplete": self.incomplete,
            "cut": self.cut,
            "errors": self.count(ERROR),
            "warnings": self.count(WARNING),
            "checks": [check.as_dict() for check in self.checks],
            "series_count": self.series_count,
            "series": self.series,
        }


def check(path: str | os.PathLike[str], tell: Tell = lambda done, total: None) -> Verdict:
    """Read the file at `path` from end to end; `tell` is called now and then. UnreadableError if it cannot be."""
    with DetectorFile(path) as file:
        return _Examination(file, tell).verdict()


class _Examination:
    """One file, once."""

    def __init__(self, file: DetectorFile, tell: Tell) -> None:
        self._file, self._tell = file, tell
        self._settings = settings = _settings(file)
        self._origin = file.origin()
        self._readable = Check("reading", "all of it can be read")
        self._spectra_read = 0
        self._status, self._numbers = StatusCheck(), NumberCheck(settings.filled, file.single)
        self._series = SeriesCheck(file.series_table(), file.state == CLOSED, self._origin[0])
        self._times = TimeCheck(settings, file.value("/entry/start_time", ""), file.end_time)
        self._counts, self._scalers = CountCheck(settings, file.raw.dtype.kind == "f"), ScalerCheck(settings)
        self._dead_time, self._derived = DeadTimeCheck(settings, file.layout == OURS), DerivedCheck(settings)
        self._attributes, self._links = AttributeCheck(file), LinkCheck(file)

    def verdict(self) -> Verdict:
        """Look at all of it."""
        file, frames = self._file, self._file.frames
        self._tell(0, frames)
        for first, count in blocks_of(0, frames):
            self._block(first, count)
        parts: list[Summing] = [
            self._status, self._numbers, self._series, self._times, self._scalers, self._counts, self._dead_time,
            self._derived, self._attributes, self._links,
        ]  # fmt: skip
        for part in parts:
            part.end(frames)
        words = [parts_check(file.parts_in_words, file.parts_shown)] if file.parts_in_words else []
        valid, overrun, missing = (int(self._status.counts[number]) for number in range(3))
        with contextlib.suppress(*FAILURES):
            stored = f", {file.raw.id.get_storage_size() / 1e6:,.1f} MB in the file" if not file.parts_shown else ""
            self._readable.done = f"{self._spectra_read * file.channels:,} spectra{stored}"
        checks = [_ended(file), *words, _lengths(file), self._readable, *(part.check for part in parts)]
        return Verdict(
            file.path, file.layout, file.state, file.simulated, frames, file.channels, file.bins,
            size_of(file.path, file.parts_shown),
            file.end_time, checks, {"valid": valid, "overrun": overrun, "missing": missing}, self._numbers.count,
            self._numbers.series,
        )  # fmt: skip

    def _block(self, first: int, count: int) -> None:
        rows = self._rows(first, count)
        sums = SpectrumSums.empty(count, self._file.channels)
        failed = partial(self._fail, "spectra")
        for begin, spectra in self._file.parts(first, count, failed):
            sums.fill(begin - first, spectra, self._settings)
            self._compare_corrected(rows, begin, spectra)
            self._spectra_read += len(spectra)
            self._tell(begin + len(spectra), self._file.frames)
        frames = self._derived.frames_of(rows)
        for part in (self._status, self._numbers, self._series, self._times, self._scalers, self._dead_time):
            part.rows(rows)
        self._counts.rows(rows, sums)
        self._derived.rows(rows, frames)
        self._attributes.rows(rows, frames)

    def _rows(self, first: int, count: int) -> CheckedRows:
        """Read all columns; one that cannot be read is found, and left out."""
        values = {}
        for name in self._file.columns:
            try:
                values[name] = self._file.read(name, first, count)
            except FAILURES as error:
                self._fail(name, error, first, count)
        behind, (number, first_series) = None, self._origin
        if "series_index" in values and first + count < self._file.frames:
            with contextlib.suppress(*FAILURES):
                behind = int(self._file.read("series_index", first + count, 1)[0]) - first_series
        if "series_index" in values:
            values["series_index"] = values["series_index"].astype(np.int64) - first_series
        return CheckedRows(first, count, values, number, behind)

    def _compare_corrected(self, rows: CheckedRows, first: int, raw: NDArray[np.unsignedinteger]) -> None:
        """Compare `data` with `data_raw` times the factors, in a file that has both."""
        factors = rows.values.get("dead_time_correction")
        if self._file.data == self._file.raw or factors is None:
            return
        here = slice(first - rows.first, first - rows.first + len(raw))
        try:
            data = self._file.data[first : first + len(raw)]
        except FAILURES as error:
            self._fail("corrected spectra", error, first, len(raw))
            return
        differs = (data != raw * factors[here, :, np.newaxis]).any(axis=2)
        self._counts.check.mark(ERROR, "data is not data_raw times the factors", first, differs)

    def _fail(self, what: str, error: BaseException, first: int, count: int) -> None:
        finding = self._readable.find(ERROR, f"{what} cannot be read", str(error).partition("\n")[0])
        finding.mark(first, np.ones(count, np.bool_))


def _settings(file: DetectorFile) -> Settings:
    def array(name: str, dtype: type, *shape: int) -> Any:
        found = file.config(name)
        return np.asarray(found, dtype) if found is not None and np.shape(found) == (file.channels, *shape) else None

    table = file.series_table()
    exposures, frames, modes = (table.get(name) for name in ("exposure", "frames", "trigger_mode"))
    if exposures is None or frames is None or modes is None or not len(exposures) == len(frames) == len(modes):
        exposures = frames = modes = None
    return Settings(
        exact=bool(file.simulated),
        clock_period=file.clock_period,
        exposure=float(file.config("exposure", 0.0)),
        gap=float(file.config("gap", 0.0)),
        times=str(file.config("times", "")),
        event_width_model=file.config("dead_time_model", EVENT_WIDTH) == EVENT_WIDTH,
        thresholds=array("good_thresholds", np.int64),
        windows=array("windows", np.int64, 2, 2),
        event_widths=array("event_widths", np.float64),
        exposures=exposures,
        filled=None if frames is None else frames > 0,
        like_first=None if modes is None else modes == modes[:1],
    )


def _ended(file: DetectorFile) -> Check:
    """Return whether the file was closed, with all frames that it was made for."""
    found = Check("end", "the file was closed properly")
    if file.state == CLOSED:
        found.done = f"at {file.end_time}" if file.end_time else f"as far as a file of {file.layout} says"
        if salvaged := file.salvaged:
            found.find(WARNING, f"it was salvaged: {salvaged}")
        asked = file.asked
        if file.end_time and 0 < file.frames < asked:
            found.find(WARNING, f"it was closed with {file.frames:,} of the {asked:,} frames that it was for")
        return found
    if file.state == WRITING or file.writer:
        how = ", for SWMR" if file.state == SWMR else ""
        text = f"it is being written{how}: this is what was there when it was opened"
    elif file.state == SWMR:
        text = f"it is open for SWMR, and has not changed for {duration(file.age)}: its writer has probably died"
    elif file.state == NOT_CLOSED:
        text = "it was not closed: its writer has died, and what came after its last flush is lost"
        if file.parts_in_words.startswith("a master"):
            text = "it was not closed: its writer has died; xsp3ioc salvage makes a master of all parts"
    found.find(ERROR, text)
    return found


def _lengths(file: DetectorFile) -> Check:
    """Return whether every dataset with a value per frame has one for each."""
    found = Check("lengths", "every dataset has a value for each frame")
    lengths = dict(_per_frame(file))
    frames = len(file.raw)
    missing = REQUIRED - file.columns.keys() if file.layout == OURS else set()
    for name in sorted(missing):
        found.find(ERROR, f"{name} is not there")
    for name, length in lengths.items():
        if length != frames and file.state in (CLOSED, NOT_CLOSED):
            found.find(ERROR, f"{name} has {length:,} frames, and the spectra {frames:,}")
    found.done = f"{len(lengths)} datasets of {frames:,}"
    if file.layout == STREAMER:
        found.done += f" ({', '.join(sorted(file.columns))})"
    return found


def _per_frame(file: DetectorFile) -> Iterator[tuple[str, int]]:
    """Yield name and length of all datasets that grow with the frames."""
    seen = set()
    groups = [file.detector, *([file.attributes] if file.attributes is not None else [])]
    for channel in range(file.channels if file.layout == OURS else 0):
        with contextlib.suppress(KeyError):
            groups.append(file[f"{layout.INSTRUMENT}/mca_{channel:02}"])
    with contextlib.suppress(KeyError):
        groups.append(file[layout.PERFORMANCE])
    for group in groups:
        for name in group:
            with contextlib.suppress(*FAILURES):
                dataset = group[name]
                if isinstance(dataset, h5py.Dataset) and dataset.maxshape[:1] == (None,) and dataset.name not in seen:
                    if file.state == SWMR and dataset.is_virtual:
                        continue
                    seen.add(dataset.name)
                    yield dataset.name.removeprefix(f"{layout.INSTRUMENT}/"), len(dataset)


