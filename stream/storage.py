"""How much disk a frame takes, before and after it was measured, and how urgent it is that the disk fills: pure."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any, NamedTuple

from xsp3ioc.stream.messages import reserve, row_bytes
from xsp3ioc.stream.parameter import Severity

CAUTIOUS = {"none": 1.0, "bslz4": 4.0, "gzip": 4.0}
"""By how much spectra are compressed at the least, to be expected before it is measured."""
CAUTIOUS_OTHERS = 2.0
CORRECTED = 1.5
"""The same of spectra times their dead-time factors, whatever compresses them."""
FILE_BYTES = 400_000
"""Of a file without frames."""
ENOUGH = 1024
"""Frames after which what the file itself takes no longer counts."""
SOON, NOW = 600.0, 60.0
"""Seconds of room left that are a minor and a major alarm."""


class Kind(NamedTuple):
    """What frames are alike on the disk."""

    compression: str
    options: Hashable
    corrected: bool
    single: bool
    """A file each."""
    channels: int
    bins: int
    exposure: float


class Stored:
    """What frames of each kind take, in bytes."""

    def __init__(self) -> None:
        self._measured: dict[Kind, float] = {}

    def measure(self, kind: Kind, frames: int, stored: int) -> None:
        """Learn that so many frames took so many bytes, with all that belongs to their files."""
        if frames > 0 and stored > 0:
            mean = stored / frames
            # A short file says at least that they do not take more.
            self._measured[kind] = mean if frames >= ENOUGH else min(mean, self.frame(kind))

    def frame(self, kind: Kind) -> float:
        """Return the bytes of a frame: as measured, else cautiously."""
        if kind in self._measured:
            return self._measured[kind]
        spectra = kind.channels * kind.bins * 4
        stored = spectra / CAUTIOUS.get(kind.compression, CAUTIOUS_OTHERS)
        if kind.corrected:
            stored += 2 * spectra / (CORRECTED if kind.compression != "none" else 1.0)
        return stored + row_bytes(kind.channels) + kind.single * FILE_BYTES


def fitting(free: int, total: int, frame: float) -> int:
    """Return how many frames of `frame` bytes fit on a disk before its file is ended."""
    return int(max(0, free - reserve(total)) / frame)


def urgency(fits: int, seconds: float, coming: int | None) -> Severity:
    """Return how bad it is that `fits` frames, for `seconds`, fit where `coming` (None: not known) are to come."""
    if coming is not None and coming <= fits:
        return Severity.good
    if seconds < NOW:
        return Severity.major
    return Severity.minor if coming is not None or seconds < SOON else Severity.good


def kind_of(values: Mapping[str, Any], compression: str, options: Mapping[str, int | str], single: bool) -> Kind:
    """Return the kind that frames have with these settings."""
    shape = values["channels"], values["size_x"]
    ordered = tuple(sorted(options.items()))
    return Kind(compression, ordered, bool(values["corrected"]), single, *shape, values["exposure_time"])
