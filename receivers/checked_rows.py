"""What the checks of a file look at: rows of its columns, and the settings that they were taken with."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xsp3ioc.receivers.findings import ERROR, WARNING, Check
from xsp3ioc.receivers.reader import EXACT_WIDTH
from xsp3ioc.receivers.rows import ROWS
from xsp3ioc.stream.formulas import Scaler
from xsp3ioc.stream.messages import SCALERS, FrameStatus

ROWS_AT_ONCE = 2 * ROWS
"""Rows that are looked at together."""


@dataclass(frozen=True)
class Settings:
    """What a check has to know of the series; of the first one where a file does not say more."""

    exact: bool
    """The data obey the invariants to the count: an emulated detector's."""
    clock_period: float | None = None
    exposure: float = 0.0
    gap: float = 0.0
    times: str = ""
    event_width_model: bool = True
    thresholds: NDArray[np.int64] | None = None
    """(channels,)."""
    windows: NDArray[np.int64] | None = None
    """(channels, 2, 2): low and high bin, inclusive."""
    event_widths: NDArray[np.float64] | None = None
    """(channels,)."""

    exposures: NDArray[np.float64] | None = None
    """s, of each series, as far as the file says it."""
    filled: NDArray[np.bool_] | None = None
    """Of each series: it has frames."""
    like_first: NDArray[np.bool_] | None = None
    """Of each series: it was triggered as the first one."""

    @property
    def severity(self) -> str:
        """How bad it is if counts do not obey: a real detector may have an innocent reason."""
        return ERROR if self.exact else WARNING


@dataclass(frozen=True)
class CheckedRows:
    """Consecutive frames of a file without their spectra."""

    first: int
    count: int
    values: dict[str, NDArray]
    """Column by our name; only those that are there and could be read. Series count from 0 in the file."""
    number: int = 0
    """frame_number of the file's frame 0; 0 but in a part of a capture."""
    next_series: int | None = None
    """Series of the frame behind them; None at the end of the file."""

    @property
    def scalers(self) -> NDArray[np.uint32]:
        """(count, channels, 9); 0 for those that the file does not have."""
        found = {scaler: self.values[scaler.name] for scaler in Scaler if scaler.name in self.values}
        if Scaler.total_ticks not in found and Scaler.clock_ticks in found:
            found[Scaler.total_ticks] = found[Scaler.clock_ticks]
        channels = next((len(one[0]) for one in found.values()), 0)
        scalers = np.zeros((self.count, channels, SCALERS), np.uint32)
        for scaler, values in found.items():
            scalers[..., scaler] = values
        return scalers

    @property
    def valid(self) -> NDArray[np.bool_]:
        """(count,)."""
        status = self.values.get("frame_status")
        return np.ones(self.count, np.bool_) if status is None else np.asarray(status == FrameStatus.valid)

    @property
    def later(self) -> NDArray[np.bool_]:
        """(count,): of a series after the first, whose settings may be other ones."""
        series = self.values.get("series_index")
        return np.zeros(self.count, np.bool_) if series is None else np.asarray(series > 0)

    def exposure(self, settings: Settings) -> NDArray[np.float64]:
        """(count,), s, as asked for; 0 where that is not known."""
        series, known = self.values.get("series_index"), settings.exposures
        if series is None or known is None or not len(known):
            return np.where(self.later, 0.0, settings.exposure)
        return np.asarray(np.where(series < len(known), known[np.minimum(series, len(known) - 1)], 0.0))

    def timed_by_ticks(self, settings: Settings) -> NDArray[np.bool_]:
        """(count,): the times were made of ticks; as far as is known, in series after the first."""
        series, like_first = self.values.get("series_index"), settings.like_first
        if settings.times != "ticks" or series is None or like_first is None or not len(like_first):
            return ~self.later & (settings.times == "ticks")
        return np.asarray((series < len(like_first)) & like_first[np.minimum(series, len(like_first) - 1)])

    @property
    def ends_series(self) -> NDArray[np.bool_]:
        """(count,): the last frame of its series."""
        series = self.values.get("series_index")
        ends = np.zeros(self.count, np.bool_)
        if series is None:
            ends[-1:] = self.next_series is None
        else:
            ends[:-1] = series[1:] != series[:-1]
            ends[-1:] = self.next_series != int(series[-1])
        return ends

    def widths(self, settings: Settings) -> NDArray[np.float64] | None:
        """(count, channels), dead ticks per event, as exactly as they are known; None if they are not."""
        exact, rounded, own = self.values.get(EXACT_WIDTH), self.values.get("event_width"), settings.event_widths
        if exact is not None or rounded is None:
            return exact
        if own is None or len(own) != rounded.shape[1]:
            return rounded.astype(np.float64)
        return np.asarray(np.where(np.rint(own) == rounded, own, rounded))

    def mark(self, check: Check, severity: str, text: str, flags: NDArray[np.bool_], example: Any = None) -> None:
        """Find what may be other settings' doing: a doubt only, where they may have changed between series."""
        later = self.later if flags.ndim == 1 else self.later[:, np.newaxis]
        check.mark(severity, text, self.first, flags & ~later, example)
        check.mark(WARNING, f"{text}, or settings changed after the first series", self.first, flags & later, example)


def blocks_of(first: int, stop: int) -> Iterator[tuple[int, int]]:
    """Yield first row and number of rows of the blocks in which rows `first` to `stop` - 1 are looked at."""
    while first < stop:
        count = min(ROWS_AT_ONCE - first % ROWS_AT_ONCE, stop - first)
        yield first, count
        first += count
