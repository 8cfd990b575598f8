"""From photons to counts: dead time, pile-up, resets; one channel's spectrum and counters of one frame."""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from xsp3ioc.sdk.constants import BINS, Scaler
from xsp3ioc.sdk.emulator.settings import EmulatorSettings
from xsp3ioc.sdk.emulator.spectra import probabilities

# Events below zero energy trigger but are in no bin; at most 2 % of them, as in the maker's own self-test.
_OUT_OF_RANGE = 0.005
_AT_MOST = 50

_FEW = 8000  # up to here, placing each event is faster than drawing each bin


class Source(NamedTuple):
    """One channel in front of the sample: where its events land, and how many are piled up."""

    rate: float
    """True input rate, counts per second."""
    shares: NDArray[np.float64]
    """Probability of each bin for a recorded event: float64 (4096,), pile-up included, sums to 1."""
    running: NDArray[np.float64]
    """Running sum of `shares`."""
    piled_up: float
    """Probability that a recorded event is a pile-up."""


def sources(settings: EmulatorSettings) -> list[Source]:
    """Return the emulated channels; raises as `probabilities` does when the spectrum file is unusable."""
    elements = probabilities(settings.spectrum)
    return [
        _source(settings.spectrum, channel % len(elements), float(rate), settings.pileup_window)
        for channel, rate in enumerate(settings.rates)
    ]


@lru_cache(maxsize=256)
def _source(spectrum: str, element: int, rate: float, window: float) -> Source:
    single = probabilities(spectrum)[element]
    piled_up = float(-np.expm1(-rate * window))
    spectrum_of_two = np.fft.rfft(single, 2 * BINS)
    double = np.clip(np.fft.irfft(spectrum_of_two * spectrum_of_two), 0, None)[:BINS]  # beyond the range: not recorded
    double /= double.sum()
    shares = (1 - piled_up) * single + piled_up * double
    return Source(rate, shares, np.cumsum(shares), piled_up)


def expected_events(rate: float, ticks: int, reset_ticks: int, event_width: int, period: float) -> float:
    """Mean number of recorded events in `ticks` clock ticks of `period` seconds.

    Non-paralysable: each event is dead for event_width + 1 ticks, so n = r (T - R) / (1 + r (W + 1) dt).
    """
    return rate * (ticks - reset_ticks) * period / (1 + rate * (event_width + 1) * period)


def draw(
    source: Source, settings: EmulatorSettings, ticks: int, rng: np.random.Generator
) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    """One channel of one frame of `ticks` clock ticks: spectrum uint32 (4096,), scalers uint32 (9,).

    The scalers that depend on the threshold and on the windows are left 0.
    """
    period = settings.family.clock_period
    per_second = settings.reset_rate
    if settings.counts_per_reset:
        per_second += source.rate / settings.counts_per_reset
    resets = int(rng.poisson(per_second * ticks * period))
    if settings.reset_width:
        resets = min(resets, ticks // settings.reset_width)
    reset_ticks = resets * settings.reset_width
    mean = expected_events(source.rate, ticks, reset_ticks, settings.event_width, period)
    mca = _spectrum(source, mean, rng)
    recorded = int(mca.sum())
    outside = min(int(rng.binomial(recorded, _OUT_OF_RANGE)), recorded // _AT_MOST)
    scalers = np.zeros(len(Scaler), np.uint32)
    scalers[[Scaler.ticks, Scaler.total_ticks]] = ticks & 0xFFFFFFFF  # 32-bit counters
    scalers[Scaler.reset_ticks] = reset_ticks & 0xFFFFFFFF
    scalers[Scaler.resets] = resets
    scalers[Scaler.all_event] = recorded + outside
    scalers[Scaler.pileup] = rng.binomial(recorded, source.piled_up)
    return mca, scalers


def _spectrum(source: Source, mean: float, rng: np.random.Generator) -> NDArray[np.uint32]:
    if mean > _FEW:
        return rng.poisson(mean * source.shares).astype(np.uint32)
    landed = np.searchsorted(source.running, rng.random(rng.poisson(mean)), side="right")
    return np.bincount(np.minimum(landed, BINS - 1), minlength=BINS).astype(np.uint32)
