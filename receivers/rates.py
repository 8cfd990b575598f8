"""Count rates and times of frames from their scalers: pure, on whole blocks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from xsp3ioc.stream.formulas import Scaler

FloatArray = NDArray[np.float64]
ScalerArray = NDArray[np.uint32]


def real_time(scalers: ScalerArray, clock_period: float) -> FloatArray:
    """Return the counting time, s, of scalers (..., 9): TotalTicks x clock period (s); shaped (...)."""
    return scalers[..., Scaler.total_ticks] * np.float64(clock_period)


def live_time(scalers: ScalerArray, percent: FloatArray, clock_period: float) -> FloatArray:
    """Return the counting time less dead time, s, of scalers (..., channels, 9); shaped (..., channels).

    `percent` is the dead time, (..., channels). 0 where a channel was blind all the time.
    """
    live = np.maximum(1.0 - percent / 100.0, 0.0)
    return real_time(scalers, clock_period) * live


def output_count_rate(scalers: ScalerArray, clock_period: float) -> FloatArray:
    """Return good events per second of counting time, of scalers (..., 9); 0 where no time has passed; shaped (...)."""
    return _ratio(scalers[..., Scaler.all_good], real_time(scalers, clock_period))


def input_count_rate(scalers: ScalerArray, factors: FloatArray, clock_period: float) -> FloatArray:
    """Return output rate x dead-time factor, counts per second, of scalers (..., 9) and factors (...); shaped (...)."""
    return output_count_rate(scalers, clock_period) * factors


def _ratio(over: NDArray, under: NDArray) -> FloatArray:
    return np.divide(over, under, out=np.zeros(np.shape(under)), where=under != 0)
