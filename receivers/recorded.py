"""The frames of a file as they came from the detector, read a few at a time: our own files, and others' layouts."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field

import h5py
import numpy as np
from numpy.typing import NDArray

from xsp3ioc.receivers.layout import ATTRIBUTES, DETECTOR
from xsp3ioc.receivers.opening import (
    AREA_DETECTOR,
    AREA_DETECTOR_GROUP,
    OURS,
    STREAMER,
    USUAL_PERIOD,
    UnreadableError,
    look,
    open_to_read,
)
from xsp3ioc.receivers.parts_shown import parts_shown
from xsp3ioc.stream.formulas import Scaler
from xsp3ioc.stream.messages import SCALERS, FrameStatus

ROWS_AT_ONCE = 4096

Scalers = Callable[[int, int], NDArray[np.uint32]]


class UnreplayableError(ValueError):
    """The file does not have what is needed; the message says what."""


@dataclass
class Origin:
    """What a file says of the detector; empty lists where it says nothing."""

    layout: str
    clock_period: float = USUAL_PERIOD
    """Seconds per tick."""
    exposure: float = 0.0
    """Seconds; 0: not said."""
    event_widths: list[float] = field(default_factory=list)
    energy_offset: list[float] = field(default_factory=list)
    """eV, per channel."""
    energy_slope: list[float] = field(default_factory=list)
    """eV per bin, per channel."""
    windows: list[list[list[int]]] = field(default_factory=list)
    """Per channel, two of (low, high), inclusive."""
    good_thresholds: list[int] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """What is not in the file, and what stands for it."""


class RecordedFile:
    """A file that is open to be read; `read` takes frames of it.

    `frames`, `channels` and `bins` are its size. UnreadableError if it cannot be opened, or is being written;
    UnreplayableError for a file without raw spectra.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.fspath(path)
        locked, _ = look(self.path)
        if locked:
            raise UnreadableError(f"{self.path} is being written: it can be replayed when it is closed")
        self._file, swmr = open_to_read(self.path, "best-effort")
        try:
            if swmr:
                raise UnreadableError(f"{self.path} is being written, or a crash has left it so: xsp3ioc salvage")
            self._spectra, self._scalers, self.origin = _open(self._file)
            if self._spectra.ndim != 3 or self._spectra.dtype.kind not in "iu":
                kind = f"{self._spectra.dtype} {self._spectra.shape}"
                raise UnreplayableError(f"its spectra are {kind}, not counts (frames, channels, bins)")
            self.frames, self.channels, self.bins = self._spectra.shape
            parts = parts_shown(self._file, self.path)
            if gone := [str(part) for part in parts if not part.there]:
                raise UnreplayableError(f"it is a master, and not beside it are {', '.join(gone)}")
            if not self.frames:
                raise UnreplayableError("it has no frames")
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> RecordedFile:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; nothing can be read any more."""
        self._file.close()

    def read(self, first: int, count: int) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
        """Return frames `first` to `first + count - 1`: spectra (n, channels, bins), scalers (n, channels, 9)."""
        mca = self._spectra[first : first + count].astype(np.uint32, copy=False)
        return mca, self._scalers(first, count)

    def ticks(self) -> NDArray[np.uint32]:
        """Return how long each frame lasted, in ticks: (frames,); what says nothing lasted as long as most."""
        found = np.zeros(self.frames, np.uint32)
        for first in range(0, self.frames, ROWS_AT_ONCE):
            part = self._scalers(first, min(ROWS_AT_ONCE, self.frames - first))
            found[first : first + len(part)] = part[..., Scaler.total_ticks].max(axis=1)
        told = found[found > 0]
        usual = round(self.origin.exposure / self.origin.clock_period) or (int(np.median(told)) if len(told) else 1)
        found[found == 0] = usual
        return found

    def invalid(self) -> int:
        """Return how many of the frames only have a place; they are replayed as they stand there."""
        status = self._file.get(f"{DETECTOR}/frame_status")
        return 0 if status is None else int(np.count_nonzero(status[:] != FrameStatus.valid))


def _open(file: h5py.File) -> tuple[h5py.Dataset, Scalers, Origin]:
    if f"{DETECTOR}/data" in file:
        detector = file[DETECTOR]
        spectra = detector["data_raw" if "data_raw" in detector else "data"]
        origin = _own_origin(detector, spectra.shape[1]) if "config" in detector else Origin(STREAMER)
        return spectra, _columns(detector, spectra, origin), origin
    if f"{AREA_DETECTOR_GROUP}/data" in file:
        return _area_detector(file)
    raise UnreplayableError(f"neither {DETECTOR}/data nor {AREA_DETECTOR_GROUP}/data is in it")


def _columns(detector: h5py.Group, spectra: h5py.Dataset, origin: Origin) -> Scalers:
    """Scalers as datasets (frames, channels), named as in our own files; what is not there is 0."""
    columns = {scaler: detector.get(scaler.name) for scaler in Scaler}
    missing = [scaler.name for scaler in Scaler if columns[scaler] is None]
    if missing:
        origin.notes.append(f"{', '.join(missing)} are not in the file: 0")
    if not origin.event_widths and "event_width" in detector:
        origin.event_widths = [float(width) for width in detector["event_width"][0]]

    def read(first: int, count: int) -> NDArray[np.uint32]:
        found = np.zeros((min(count, len(spectra) - first), spectra.shape[1], SCALERS), np.uint32)
        for scaler, column in columns.items():
            if column is not None:
                rows = column[first : first + count]
                found[: len(rows), :, scaler] = rows
        return found

    return read


def _own_origin(detector: h5py.Group, channels: int) -> Origin:
    config = detector["config"]

    def numbers(name: str) -> list[float]:
        return [float(one) for one in np.broadcast_to(config[name][()], (channels,))] if name in config else []

    return Origin(
        OURS,
        float(config["clock_period"][()]) if "clock_period" in config else USUAL_PERIOD,
        float(config["exposure"][()]) if "exposure" in config else 0.0,
        numbers("event_widths"),
        numbers("energy_offset"),
        numbers("energy_slope"),
        config["windows"][()].tolist() if "windows" in config else [],
        [int(one) for one in numbers("good_thresholds")],
    )


def _area_detector(file: h5py.File) -> tuple[h5py.Dataset, Scalers, Origin]:
    """Scalers as attributes per frame, CHANnSCA0 to 7, as the areaDetector driver writes them."""
    spectra = file[f"{AREA_DETECTOR_GROUP}/data"]
    channels = spectra.shape[1] if spectra.ndim == 3 else 0
    places = (ATTRIBUTES, f"{AREA_DETECTOR_GROUP}/NDAttributes")
    group = next((file[place] for place in places if place in file and "CHAN1SCA0" in file[place]), None)
    origin = Origin(AREA_DETECTOR)
    columns: dict[tuple[int, int], h5py.Dataset] = {}
    if group is None:
        origin.notes.append("the file has no scalers: all are 0")
    else:
        names = {(n, k): f"CHAN{n + 1}SCA{k}" for n in range(channels) for k in range(SCALERS - 1)}
        columns = {place: group[name] for place, name in names.items() if name in group}
        if missing := sorted({f"SCA{k}" for (_, k) in names} - {f"SCA{k}" for (_, k) in columns}):
            origin.notes.append(f"{', '.join(missing)} are not in the file: 0")
        origin.notes.append("total_ticks are not in the file: clock_ticks stand for them")
        widths = [group.get(f"CHAN{n + 1}EventWidth") for n in range(channels)]
        if all(width is not None and len(width) for width in widths):
            origin.event_widths = [float(width[0]) for width in widths]

    def read(first: int, count: int) -> NDArray[np.uint32]:
        found = np.zeros((min(count, len(spectra) - first), channels, SCALERS), np.uint32)
        for (channel, scaler), column in columns.items():
            rows = np.nan_to_num(column[first : first + count]).astype(np.uint32)
            found[: len(rows), channel, scaler] = rows
        found[..., Scaler.total_ticks] = found[..., Scaler.clock_ticks]
        return found

    return spectra, read, origin
