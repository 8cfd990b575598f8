"""What a live view shows: one snapshot of a server, asked for through its monitor socket; no drawing here."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from xsp3ioc.receivers.monitor import Monitor
from xsp3ioc.receivers.sparkline import last_bin
from xsp3ioc.stream.messages import Refused

LARGEST = 1 << 26
"""Elements of an array that is believed."""
KINDS = {"uint32": "<u4", "uint64": "<u8", "float64": "<f8"}


class UnreadableError(ValueError):
    """Somebody answers, but not as a server of this version does."""


class Answer(msgspec.Struct, tag_field="htype"):
    """JSON part of an answer."""


class Status(Answer, tag="status"):
    """How the server is, as far as a view shows it."""

    state: str
    """disconnected, connecting, idle, acquiring, finishing or fault."""
    status_message: str
    model: str
    driver_version: str
    simulated: bool
    channels: int
    size_x: int
    """Bins of a spectrum."""
    exposure_time: float
    """s."""
    frames_asked: int
    """0: until stopped."""
    frames_read: int
    frame_rate: float
    """Frames per second."""
    frames_acquired: int
    frames_streamed: int
    frames_written: int
    frames_missing: int
    subscribers: int
    ring_headroom: float
    """% of the memory for frames that is free."""
    seconds_to_overrun: float
    capture: bool
    captured: int
    """Frames in the file."""
    full_file_name: str
    write_status: bool
    write_message: str
    beats: int
    """Seconds that the server has run."""
    enabled: list[bool]
    energy_offset: list[float]
    """eV at the centre of bin 0, per channel."""
    energy_slope: list[float]
    """eV per bin, per channel."""


class Arrays(Answer):
    """JSON part before an array."""

    type: str
    shape: tuple[int, ...]


class Image(Arrays, tag="image"):
    """The latest spectra."""

    frame: int
    series_id: int
    """0: there has been no frame yet."""
    time: float
    """End of the exposure, s since 1970."""
    frame_status: int


class Total(Arrays, tag="sum"):
    """The sum of all spectra since the last erase."""

    frames: int


class Scalers(Arrays, tag="scalers"):
    """Rates of the latest frame, per channel."""

    dead_time: list[float]
    """%."""
    output_rate: list[float]
    input_rate: list[float]
    """Events per second."""


class Rois(Arrays, tag="roi"):
    """ROIs in use: channel from 1, name, first bin, bins."""

    rois: list[tuple[int, str, int, int]]


@dataclass(frozen=True)
class Snapshot:
    """A server at one moment; arrays are read only."""

    status: Status
    image: Image
    spectra: NDArray[np.uint32]
    """(channels, bins) of the latest frame; zeros before the first."""
    total_frames: int
    total: NDArray[np.uint64]
    """(channels, bins), the sum of `total_frames` frames."""
    rates: Scalers
    rois: Rois
    roi_totals: NDArray[np.float64]
    """(ROIs,), counts in the latest frame."""
    at: float = field(default_factory=time.time)
    """When it was taken, by the clock of this host, s since 1970."""

    @property
    def has_frame(self) -> bool:
        """Whether there has been a frame since the server was started."""
        return self.image.series_id > 0

    @property
    def calibrated(self) -> bool:
        """Whether anybody has said what the energies are: they begin as 10 eV per bin."""
        return any(self.status.energy_offset) or set(self.status.energy_slope) != {10.0}

    @property
    def last_bin(self) -> int:
        """The bin up to which nearly all counts lie, since the last erase if there were any; else the last one."""
        return last_bin(self.total if self.total.any() else self.spectra)

    def counts(self, accumulated: bool) -> NDArray[Any]:
        """Return the spectra (channels, bins) of the latest frame, or `accumulated` since the last erase."""
        return self.total if accumulated else self.spectra

    def energies(self) -> NDArray[np.float64]:
        """Return the energy at the centre of each bin, keV: (channels, bins)."""
        offset, slope = np.array(self.status.energy_offset), np.array(self.status.energy_slope)
        energies: NDArray[np.float64] = (offset[:, None] + slope[:, None] * np.arange(self.status.size_x)) / 1000
        return energies

    def regions(self) -> list[tuple[str, float, float]]:
        """Return name, lower and upper end (keV) of the ROIs; of those that several channels have alike only one."""
        found = {}
        for channel, name, first, bins in self.rois.rois:
            offset, slope = self.status.energy_offset[channel - 1], self.status.energy_slope[channel - 1]
            low, high = ((offset + slope * (edge - 0.5)) / 1000 for edge in (first, first + bins))
            found[name, round(low, 3), round(high, 3)] = name, low, high
        return list(found.values())


def summed(counts: NDArray[Any], energies: NDArray[np.float64], enabled: Sequence[bool]) -> NDArray[np.float64]:
    """Return the sum of the enabled channels' spectra on the energies of channel 1, (bins,).

    Bins of channels with another calibration are shared out among those that they overlap.
    """
    edges = _edges(energies[0])
    total = np.zeros(counts.shape[1])
    for spectrum, own, use in zip(counts, energies, enabled, strict=True):
        if not use:
            continue
        if np.array_equal(own, energies[0]):
            total += spectrum
        else:
            below = np.concatenate([[0.0], np.cumsum(spectrum, dtype=np.float64)])
            total += np.diff(np.interp(edges, _edges(own), below))
    return total


def _edges(energies: NDArray[np.float64]) -> NDArray[np.float64]:
    half = (energies[1] - energies[0]) / 2 if len(energies) > 1 else 0.5
    return np.append(energies - half, energies[-1] + half)


_Kind = TypeVar("_Kind", bound=Answer)


def fetch(monitor: Monitor) -> Snapshot:
    """Ask for everything; NoAnswerError if nobody answers, UnreadableError if it is no server of this version."""
    status, _ = _ask(monitor, "status", Status)
    image, spectra = _ask(monitor, "image", Image)
    total, sums = _ask(monitor, "sum", Total)
    rates, _ = _ask(monitor, "scalers", Scalers)
    rois, statistics = _ask(monitor, "roi", Rois)
    if statistics.ndim != 2 or statistics.shape[1] < 1 or len(statistics) != len(rois.rois):
        raise _unreadable(monitor)
    snapshot = Snapshot(status, image, spectra, total.frames, sums, rates, rois, statistics[:, 0])
    _check(monitor, snapshot)
    return snapshot


def _ask(monitor: Monitor, request: str, kind: type[_Kind]) -> tuple[_Kind, NDArray[Any]]:
    """Return the JSON part, and the array of what has one."""
    parts = monitor.ask(request)
    try:
        head: _Kind | Refused = msgspec.json.decode(parts[0], type=kind | Refused)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise _unreadable(monitor) from None
    if isinstance(head, Refused):
        raise UnreadableError(f"{monitor.endpoint} refuses {request!r}: {head.error}")
    return head, _array(monitor, head, parts) if isinstance(head, Arrays) else np.empty(0)


def _array(monitor: Monitor, head: Arrays, parts: list[bytes]) -> NDArray[Any]:
    # Larger sizes would not be what the part has, whatever their product wraps to.
    if len(parts) != 2 or len(head.shape) > 3 or not all(0 <= size <= LARGEST for size in head.shape):
        raise _unreadable(monitor)
    try:
        return np.frombuffer(parts[1], KINDS[head.type]).reshape(head.shape)
    except (KeyError, ValueError):
        raise _unreadable(monitor) from None


def _check(monitor: Monitor, snapshot: Snapshot) -> None:
    """UnreadableError if its parts do not belong together: the server was another one halfway."""
    status, rates = snapshot.status, snapshot.rates
    channels = status.channels
    shape = channels, status.size_x
    per_channel = (
        status.enabled, status.energy_offset, status.energy_slope, rates.dead_time, rates.output_rate, rates.input_rate
    )  # fmt: skip
    numbers = [number for values in per_channel for number in values]
    numbers += [offset + slope * status.size_x for offset, slope in zip(*per_channel[1:3], strict=False)]
    good = (
        min(shape) > 0
        and snapshot.spectra.shape == snapshot.total.shape == shape
        and all(len(values) == channels for values in per_channel)
        and all(map(math.isfinite, numbers))
        and all(slope > 0 for slope in status.energy_slope)
        and all(1 <= channel <= channels for channel, *_ in snapshot.rois.rois)
        and all(0 <= first <= first + bins <= LARGEST for *_, first, bins in snapshot.rois.rois)
    )
    if not good:
        raise _unreadable(monitor)


def _unreadable(monitor: Monitor) -> UnreadableError:
    return UnreadableError(f"{monitor.endpoint} answers, but not as a server of this version does")
