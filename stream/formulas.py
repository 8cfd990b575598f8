"""Dead time and count rates from the scalers: pure functions on whole blocks.

The event-width model is Quantum Detectors' own advice: an event blinds the channel for `width + 1` ticks, a reset
for as long as its ticks say.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np
from numpy.typing import ArrayLike, NDArray


class Scaler(IntEnum):
    """The nine hardware counters of a channel, in the order of the last axis; also the parameters that show them."""

    clock_ticks = 0
    reset_ticks = 1
    reset_count = 2
    all_events = 3
    all_good = 4
    window1 = 5
    window2 = 6
    pileup = 7
    total_ticks = 8


def dead_ticks(scalers: NDArray[np.uint32], event_widths: ArrayLike) -> NDArray[np.float64]:
    """Ticks in which a channel was blind: AllEvent * (width + 1) + ResetTicks.

    `scalers` is (..., channels, 9), `event_widths` (channels,) in ticks; the result is (..., channels).
    """
    blind = scalers[..., Scaler.all_events] * (np.asarray(event_widths, np.float64) + 1.0)
    blind += scalers[..., Scaler.reset_ticks]
    return blind


def dead_time_factors(
    scalers: NDArray[np.uint32], event_widths: ArrayLike, out: NDArray[np.float64] | None = None
) -> NDArray[np.float64]:
    """Factor that corrects counts for dead time: ClockTicks / (ClockTicks - dead ticks), into `out` if given.

    Always finite: 1 where nothing was counted, and where the dead ticks reach the clock ticks (a channel that is
    blind all the time has no correction; its dead time says 100 % or more).
    """
    ticks = scalers[..., Scaler.clock_ticks].astype(np.float64)
    live = ticks - dead_ticks(scalers, event_widths)
    if out is None:
        out = np.empty_like(live)
    if live.min(initial=1.0) > 0:
        return np.divide(ticks, live, out)
    out.fill(1.0)
    return np.divide(ticks, live, out, where=live > 0)


def dead_time_percent(scalers: NDArray[np.uint32], event_widths: ArrayLike) -> NDArray[np.float64]:
    """Part of the time in which a channel was blind, 100 * dead ticks / ClockTicks; 0 where nothing was counted."""
    ticks = scalers[..., Scaler.clock_ticks].astype(np.float64)
    return np.divide(100.0 * dead_ticks(scalers, event_widths), ticks, out=np.zeros_like(ticks), where=ticks > 0)


def percent_of_factors(factors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Part of the time in which a channel was blind that a dead-time factor corrects for, 100 * (1 - 1 / factor)."""
    return 100.0 * (1.0 - 1.0 / factors)


def output_rates(scalers: NDArray[np.uint32], clock_period: float) -> NDArray[np.float64]:
    """Good events per second, AllGood / (TotalTicks * clock period); 0 where nothing was counted."""
    seconds = scalers[..., Scaler.total_ticks] * clock_period
    return np.divide(scalers[..., Scaler.all_good], seconds, out=np.zeros_like(seconds), where=seconds > 0)


def spectrum_sum(mca: NDArray[np.uint32], scalers: NDArray[np.uint32]) -> NDArray[np.uint64 | np.uint32]:
    """Sum of a block's spectra over its frames, (channels, bins), exact.

    uint32 sums twice as fast as uint64. It cannot overflow where all bins of the block together hold less than
    2**32 counts, and no channel's spectrum holds more than AllEvent + 2 counts a frame.
    """
    if len(mca) == 1:
        return mca[0]
    fits = int(scalers[..., Scaler.all_events].sum(dtype=np.uint64)) < 2**31
    return mca.sum(axis=0, dtype=np.uint32 if fits else np.uint64)


def corrected_sum(mca: NDArray[np.uint32], factors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sum of a block's spectra (frames, channels, bins) over its frames, each times its factor (frames, channels)."""
    total = np.empty(mca.shape[1:])
    for channel in range(mca.shape[1]):
        np.matmul(factors[:, channel], mca[:, channel].astype(np.float64), out=total[channel])
    return total
