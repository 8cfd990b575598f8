"""Scalers on the way of the blocks: the latest ones, their running sums and their time series."""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from xsp3ioc.stream.channel_series import ChannelSeries, Shown, without_data
from xsp3ioc.stream.formulas import Scaler, dead_time_percent, percent_of_factors
from xsp3ioc.stream.messages import EVENT_WIDTH, FRAME_DTYPE, SCALERS, Block, Header
from xsp3ioc.stream.parameter import SLOTS
from xsp3ioc.stream.plugins import passing
from xsp3ioc.stream.store import Store

COUNTERS = int(Scaler.total_ticks)
"""Scalers 0..7 are the hardware's; then come event width, dead-time factor and dead time."""
WIDTH, FACTOR, PERCENT = range(COUNTERS, SLOTS["sca"])
RECENT = 1024
"""Frames whose scalers wait until it is worth while to look at them."""
SHOWN = Shown(
    running=("scaler_series_running", "scaler_series_acquire"),
    points="scaler_series_points",
    period="scaler_series_period",
    arrays=("scaler_series", "scaler_series_signal", "scaler_series_times"),
    elapsed="scaler_series_elapsed",
)


class ScalerAnalysis:
    """An `Analysis`. A block's scalers are only copied; they are summed many at a time, when they are to be shown."""

    def __init__(self, store: Store) -> None:
        self._store = store
        channels = store.values["channels"]
        self.series = ChannelSeries(store, SHOWN, 1)
        # Whole numbers in float64 are exact up to 2**53, which is three years of clock ticks.
        self._sums = np.zeros((channels, SLOTS["sca"]))
        self._event_widths = np.zeros(channels)
        self._by_width = True
        self._next = 0
        """Number of the frame that comes next."""
        self._scalers = np.empty((RECENT, channels, SCALERS), np.uint32)
        self._factors = np.empty((RECENT, channels))
        self._frames = np.empty(RECENT, FRAME_DTYPE)
        self._filled = 0
        self._until = 0.0
        """When the last frame in the sums ended, s since 1970."""
        self._lock = threading.Lock()
        """Guards the frames that wait, and the sums."""
        self.arrange: Callable[[NDArray[np.float64]], NDArray[np.float64]] | None = None
        """Makes of what the scalers are, (..., channels, 11), what the records are told to show; None: that."""

    def begin(self, header: Header) -> None:
        """Hear that a series begins."""
        with self._lock:
            self._fold()
            self._event_widths = np.array(header.event_widths)
            self._by_width = header.dead_time_model == EVENT_WIDTH
            self._next = 0

    def add(self, block: Block) -> None:
        """Take a block's scalers."""
        frames = len(block)
        with self._lock:
            self._skip_to(block.first)
            self._next = block.end
            if self._filled + frames > RECENT:
                self._fold()
            if frames > RECENT:
                self._take(block.scalers, block.factors, block.frames)
                return
            place = slice(self._filled, self._filled + frames)
            self._scalers[place], self._factors[place], self._frames[place] = block.scalers, block.factors, block.frames
            self._filled += frames

    def end(self, frames: int) -> None:
        """Hear that no more blocks come."""
        with self._lock:
            self._fold()
            self._skip_to(frames)

    def settle(self) -> None:
        """Look at all frames that have come, before something changes for those to come."""
        with self._lock:
            self._fold()

    def _skip_to(self, frame: int) -> None:
        if frame > self._next:
            self._fold()
            for channel in self._fed():
                self.series.skip(channel, frame - self._next, range(SLOTS["sca"]))
            self._next = frame

    def _fold(self) -> None:
        if self._filled:
            self._take(self._scalers[: self._filled], self._factors[: self._filled], self._frames[: self._filled])
            self._filled = 0

    def _take(self, scalers: NDArray[np.uint32], factors: NDArray[np.float64], frames: NDArray[np.void]) -> None:
        values = self._values(scalers, factors)
        self._until = float(frames["time"][-1])
        absent = without_data(frames, scalers)
        if absent is not None:
            values[absent] = np.nan
        sums = values.sum(axis=0) if absent is None else np.nansum(values, axis=0)
        passes = passing(self._store.values, "scaler")
        self._sums[passes] += sums[passes]
        for channel in self._fed():
            self.series.add(channel, frames["time"], values[:, channel, :, np.newaxis], range(SLOTS["sca"]))

    def _fed(self) -> list[int]:
        """Channels whose series get points."""
        passes = passing(self._store.values, "scaler_series")
        return [channel for channel in self.series.running if passes[channel]]

    def _values(self, scalers: NDArray[np.uint32], factors: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return what records show of the scalers (..., channels, 9): (..., channels, 11)."""
        values = np.empty((*factors.shape, SLOTS["sca"]))
        values[..., :COUNTERS] = scalers[..., :COUNTERS]
        values[..., WIDTH] = self._event_widths
        values[..., FACTOR] = factors
        if self._by_width:
            values[..., PERCENT] = dead_time_percent(scalers, self._event_widths)
        else:
            values[..., PERCENT] = percent_of_factors(factors)
        return values if self.arrange is None else self.arrange(values)

    def erase(self, disabled: bool) -> None:
        """Zero values and sums; the series go on."""
        blank = np.zeros_like(self._sums)
        blank[:, WIDTH], blank[:, FACTOR] = self._store.values["event_width"], 1.0
        channels = slice(None) if disabled else passing(self._store.values, "scaler")
        with self._lock:
            self._fold()
            self._sums[channels] = 0
            sums = self._sums.copy()
        shown = self._store.values["scaler"].copy()
        shown[channels] = (blank if self.arrange is None else self.arrange(blank))[channels]
        self._store.update_all({"scaler": shown, "scaler_sum": sums})

    def reset(self, channel: int) -> None:
        """Zero a channel's values and sums."""
        with self._lock:
            self._fold()
            self._sums[channel] = 0
        for name in ("scaler", "scaler_sum"):
            self._store.update(name, np.zeros(SLOTS["sca"]), index=channel)

    def show(self, block: Block, at: float, last: bool) -> None:
        """Show the scalers of the last frame, the sums, and how far the series are."""
        with self._lock:
            self._fold()
            sums, until = self._sums.copy(), max(at, self._until)
            values = self._values(block.scalers[-1], block.factors[-1])
        passes = passing(self._store.values, "scaler")
        if not passes.all():
            values = np.where(passes[:, np.newaxis], values, self._store.values["scaler"])
        self._store.update("scaler", values, at=at)
        self._store.update("scaler_sum", sums, at=until)  # blocks may have come after `block`
        self.series.show(at, last)
