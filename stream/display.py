"""What people see of the data: the latest frame and the running sum, made when it is time to show them."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xsp3ioc.stream import formulas
from xsp3ioc.stream.formulas import Scaler, corrected_sum, spectrum_sum
from xsp3ioc.stream.messages import EVENT_WIDTH, SCALERS, Block
from xsp3ioc.stream.series import Series


class Sum:
    """Sum of all spectra since the last erase, (channels, bins)."""

    def __init__(self, channels: int, bins: int) -> None:
        self._total = np.zeros((channels, bins), np.uint64)
        self._shown: NDArray[np.float64] | None = None
        """The same with corrected spectra, from the first of these on."""
        self._lock = threading.Lock()
        self.frames = 0
        self.time = 0.0
        """When the last frame in it ended, s since 1970."""

    def add(self, block: Block, corrected: bool = False) -> None:
        """Add a block's spectra, for those who look at them `corrected`, times their dead-time factors."""
        partial = spectrum_sum(block.mca, block.scalers)
        shown: NDArray[Any] = corrected_sum(block.mca, block.factors) if corrected else partial
        with self._lock:
            if corrected and self._shown is None:
                self._shown = self._total.astype(np.float64)
            if self._shown is not None:
                self._shown += shown
            self._total += partial
            self.frames += len(block)
            self.time = float(block.frames["time"][-1])

    def erase(self) -> None:
        """Begin again."""
        with self._lock:
            self._total[:] = 0
            self._shown = None
            self.frames = 0

    def value(self) -> NDArray[np.uint64]:
        """Return a copy of the sum of the counts."""
        with self._lock:
            return self._total.copy()

    def counted(self) -> tuple[NDArray[np.uint64], int, float]:
        """Return a copy of the sum of the counts, how many frames are in it, and the time of the last one."""
        with self._lock:
            return self._total.copy(), self.frames, self.time

    def shown(self) -> tuple[NDArray[np.float64], float]:
        """Return the sum as it is shown, corrected where spectra are, and the time of its last frame."""
        with self._lock:
            return (self._total if self._shown is None else self._shown).astype(np.float64), self.time


def frame_values(block: Block, series: Series) -> dict[str, Any]:
    """Values of all parameters that show the last frame of `block`, which is one of `series`."""
    header = series.header
    scalers = block.scalers[-1]
    factors = block.factors[-1]
    rates = channel_rates(scalers, factors, series.event_widths, header.clock_period, header.dead_time_model)
    percent = np.array(rates["dead_time"])
    counting = percent if series.enabled is None else percent[series.enabled]
    return rates | {
        "frame_scalers": scalers.astype(np.float64),
        "total_ticks": scalers[:, Scaler.total_ticks].astype(float).tolist(),
        "dt_factor": factors.tolist(),
        "mean_dead_time": float(counting.mean()) if len(counting) else 0.0,
        "max_dead_time": float(counting.max(initial=0.0)),
    }


def channel_rates(
    scalers: NDArray[np.uint32],
    factors: NDArray[np.float64],
    event_widths: ArrayLike,
    clock_period: float,
    dead_time_model: str,
) -> dict[str, list[float]]:
    """Dead time (%), output and input count rate (1/s) of each channel, from its scalers (channels, 9) of a frame."""
    if dead_time_model == EVENT_WIDTH:
        percent = formulas.dead_time_percent(scalers, event_widths)
    else:
        percent = formulas.percent_of_factors(factors)
    output = formulas.output_rates(scalers, clock_period)
    return {
        "dead_time": percent.tolist(),
        "output_rate": output.tolist(),
        "input_rate": (output * factors).tolist(),
    }


def frame_spectra(block: Block, series: Series) -> NDArray[np.float64]:
    """Return the spectra of the last frame of `block`, one of `series`, as they are shown: (channels, bins)."""
    return spectra(block.mca[-1], block.factors[-1], series.corrected)


def spectra(mca: NDArray[np.uint32], factors: NDArray[np.float64], corrected: bool) -> NDArray[np.float64]:
    """Return spectra (..., channels, bins) as they are shown: if `corrected`, times their factors (..., channels)."""
    shown: NDArray[np.float64] = mca * factors[..., np.newaxis] if corrected else mca.astype(np.float64)
    return shown


def blank_values(channels: int) -> dict[str, Any]:
    """Values of the same parameters after an erase."""
    zeros = [0.0] * channels
    return dict.fromkeys(("total_ticks", "dead_time", "output_rate", "input_rate"), zeros) | {
        "frame_scalers": np.zeros((channels, SCALERS)),
        "dt_factor": [1.0] * channels,
        "mean_dead_time": 0.0,
        "max_dead_time": 0.0,
    }
