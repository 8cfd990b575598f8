"""Count rates and times of frames from their scalers: pure, on whole blocks."""

from __future__ import annotations

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
ScalerArray = NDArray[np.uint32]


class Scaler(IntEnum):
    """The nine hardware counters of a channel, in the order of the last axis."""

    clock_ticks = 0
    reset_ticks = 1
    reset_count = 2
    all_events = 3
    all_good = 4
    window1 = 5
    window2 = 6
    pileup = 7
    total_ticks = 8


def real_time(scalers: ScalerArray, clock_period: float) -> FloatArray:
    """Return the counting time, s, of scalers (..., 9): TotalTicks x clock period (s); shaped (...)."""
    return scalers[..., Scaler.total_ticks] * np.float64(clock_period)


def live_time(scalers: ScalerArray, factors: FloatArray, clock_period: float) -> FloatArray:
    """Return the counting time less dead time, s, of scalers (..., 9) and dead-time factors (...); shaped (...)."""
    return _ratio(real_time(scalers, clock_period), factors)


def output_count_rate(scalers: ScalerArray, clock_period: float) -> FloatArray:
    """Return good events per second of counting time, of scalers (..., 9); 0 where no time has passed; shaped (...)."""
    return _ratio(scalers[..., Scaler.all_good], real_time(scalers, clock_period))


def input_count_rate(scalers: ScalerArray, factors: FloatArray, clock_period: float) -> FloatArray:
    """Return output rate x dead-time factor, counts per second, of scalers (..., 9) and factors (...); shaped (...)."""
    return output_count_rate(scalers, clock_period) * factors


def dead_time_percent(factors: FloatArray) -> FloatArray:
    """Return the dead share of the counting time, %: 100 (1 - 1 / factor); 0 where the factor is 0; same shape."""
    return 100.0 - _ratio(np.full_like(factors, 100.0), factors, empty=100.0)


def _ratio(over: NDArray, under: NDArray, empty: float = 0.0) -> FloatArray:
    result = np.full(np.shape(under), empty, np.float64)
    return np.divide(over, under, out=result, where=under != 0)
