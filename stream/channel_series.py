"""The time series of all channels: started and stopped by clients, and published in their own time."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from xsp3ioc.stream.blocks import EPICS_EPOCH
from xsp3ioc.stream.formulas import Scaler
from xsp3ioc.stream.messages import FrameStatus
from xsp3ioc.stream.store import Store
from xsp3ioc.stream.time_series import PERIODS, TimeSeries

_PERIODS = tuple(PERIODS.values())
_EARLY = 0.05
"""Seconds by which a series is published too early rather than a tenth of a second too late."""


class Shown(NamedTuple):
    """Names of the parameters that show the series, and say how often."""

    running: tuple[str, ...]
    points: str
    period: str
    arrays: tuple[str, ...]
    elapsed: str = ""


class ChannelSeries:
    """One series per channel; filled in the acquisition thread, controlled and read from any other."""

    def __init__(self, store: Store, shown: Shown, kinds: int) -> None:
        """`kinds`: values per slot and point."""
        self._store = store
        self._shown = shown
        channels = store.values["channels"]
        self._series = [TimeSeries(kinds) for _ in range(channels)]
        self._done: list[Future[None]] = [Future() for _ in range(channels)]
        self._published = [0.0] * channels
        self._began = [0.0] * channels
        self._elapsed = [0.0] * channels
        self._lock = threading.Lock()
        """Guards the series; never held while something is shown."""
        self._publishing = threading.Lock()
        """Held from a change to its being shown, so that what is shown comes in the order of the changes."""

    @property
    def running(self) -> list[int]:
        """Channels whose series run."""
        return [channel for channel, series in enumerate(self._series) if series.running]

    # fill

    def add(self, channel: int, times: NDArray[np.float64], values: NDArray[np.float64], slots: Sequence[int]) -> None:
        """Add frames to a channel's series, if it runs: `times` (frames,), `values` (frames, slots, kinds)."""
        with self._lock:
            self._series[channel].add(times, values, slots)

    def skip(self, channel: int, frames: int, slots: Sequence[int]) -> None:
        """Add frames of which nothing is known."""
        with self._lock:
            self._series[channel].skip(frames, slots)

    # control

    def start(self, channel: int, erase: bool = True) -> Future[None]:
        """Start, or go on; the future ends when the series stops. RuntimeError: it is full."""
        with self._publishing:
            with self._lock:
                series = self._series[channel]
                if erase:
                    series.erase()
                elif series.full:
                    raise RuntimeError(f"The series has all its {series.length} points: erase it to start again")
                series.running = True
                if erase or not self._began[channel]:
                    self._began[channel] = time.monotonic()
                if self._done[channel].done():
                    self._done[channel] = Future()
            self._publish([channel])
            return self._done[channel]

    def stop(self, channel: int) -> None:
        """Stop and publish."""
        with self._publishing:
            with self._lock:
                self._series[channel].running = False
            self._publish([channel])

    def erase(self, channel: int) -> None:
        """Forget the points; a series that runs goes on."""
        with self._publishing:
            with self._lock:
                self._series[channel].erase()
            self._publish([channel])

    def publish(self, channel: int) -> None:
        """Publish now."""
        with self._publishing:
            self._publish([channel])

    def set_length(self, channel: int, length: int) -> None:
        """Make it so many points long; another length forgets the points."""
        self._change(channel, "length", length)

    def set_circular(self, channel: int, circular: bool) -> None:
        """Keep the last points instead of the first; a change forgets the points."""
        self._change(channel, "circular", circular)

    def set_average(self, channel: int, frames: int) -> None:
        """Make a point of so many frames; a change forgets the points."""
        self._change(channel, "average", frames)

    def _change(self, channel: int, name: str, value: int) -> None:
        with self._publishing:
            with self._lock:
                series = self._series[channel]
                if getattr(series, name) == value:
                    return
                setattr(series, name, value)
                series.erase()
            self._publish([channel])

    # show

    def show(self, at: float, last: bool = False) -> None:
        """Publish those whose time has come, those that are full, and if it is the `last` time all that have changed.

        `at`: time of the latest frame, s since 1970.
        """
        now = time.monotonic()
        periods = self._store.values[self._shown.period]
        with self._publishing:
            due = [
                channel
                for channel, series in enumerate(self._series)
                if series.changed and (last or now - self._published[channel] > _PERIODS[periods[channel]] - _EARLY)
            ]
            self._publish(due, at)

    def _publish(self, due: list[int], at: float | None = None) -> None:
        """Show how far all series are, and the points of those that are `due`, or have stopped."""
        now, shown = time.monotonic(), self._shown
        with self._lock:
            running = [series.running for series in self._series]
            points = [series.points for series in self._series]
        known = self._store.values[shown.running[0]]
        stopped = [channel for channel, runs in enumerate(running) if known[channel] and not runs]
        for channel in {*due, *stopped}:
            self._series[channel].changed = False  # first: what comes meanwhile changes it again
            self._published[channel] = now
            for name in shown.arrays:
                self._store.renew(name, channel, at)
        states: dict[str, list[bool] | list[int] | list[float]] = {shown.points: points}
        states |= {name: running.copy() for name in shown.running}
        if shown.elapsed:
            pairs = zip(running, self._began, self._elapsed, strict=True)
            self._elapsed = [now - began if runs else elapsed for runs, began, elapsed in pairs]
            states[shown.elapsed] = self._elapsed
        self._store.update_changed(states, at)
        for done, runs in zip(self._done, running, strict=True):
            if not runs and not done.done():
                done.set_result(None)

    # read

    def times(self, channel: int) -> NDArray[np.float64]:
        """Return the time of each point, s since 1990."""
        with self._lock:
            return self._series[channel].times() - EPICS_EPOCH

    def values(self, channel: int, slot: int, kind: int = 0) -> NDArray[np.float64]:
        """Return a slot's value of each point."""
        with self._lock:
            return self._series[channel].values(slot, kind)

    def length(self, channel: int) -> int:
        """Return how many points there can be."""
        return self._series[channel].length


def without_data(frames: NDArray[np.void], scalers: NDArray[np.uint32]) -> NDArray[np.bool_] | None:
    """Return which channels of which frames are missing or overwritten, (frames, channels); None if all are there.

    `frames` is (frames,) of FRAME_DTYPE, `scalers` (frames, channels, 9).
    """
    faulty = frames["status"] != FrameStatus.valid
    if not faulty.any():
        return None
    return np.asarray(faulty[:, np.newaxis] & (scalers[..., Scaler.total_ticks] == 0))
