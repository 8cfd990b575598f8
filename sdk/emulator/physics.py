"""From photons to counts: dead time, pile-up, resets; one channel's spectrum and counters of one frame."""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from xsp3ioc.sdk.constants import BINS, Scaler
from xsp3ioc.sdk.emulator.settings import EmulatorSettings
from xsp3ioc.sdk.emulator.spectra import element_count, probabilities

# Events below zero energy trigger but are in no bin; at most 2 % of them, as in the maker's own self-test.
_OUT_OF_RANGE = 0.005
_AT_MOST = 50

_FEW = 8000  # up to here, placing each event is faster than drawing each bin
_COUNTER = 0xFFFFFFFF  # the hardware's counters have 32 bits and wrap


class Shares(NamedTuple):
    """Where events land: `bins` float64 (4096,), the probability of each bin, and their running sum."""

    bins: NDArray[np.float64]
    running: NDArray[np.float64]


class Source(NamedTuple):
    """One channel in front of the sample."""

    rate: float
    """True input rate, counts per second."""
    single: Shares
    """Of events of one photon."""
    double: Shares
    """Of two photons counted as one."""
    piled_up: float
    """Probability that a recorded event is a pile-up."""
    dead: int
    """Ticks for which one event blocks the channel."""
    resets: float
    """Resets per second."""
    reset_width: int
    """Ticks lost to one reset."""
    period: float
    """Seconds per tick."""


def sources(settings: EmulatorSettings) -> list[Source]:
    """Return the emulated channels; raises as `probabilities` does when the spectrum file is unusable."""
    names = ("count_rate", "pileup_window", "event_width", "reset_rate", "counts_per_reset", "reset_width")
    described = zip(*(settings.per_channel(name).tolist() for name in names), strict=True)
    found = []
    for channel, (rate, window, width, resets, counts_per_reset, reset_width) in enumerate(described):
        gain, offset = float(settings.gains[channel]), float(settings.offsets[channel])
        single, double = _shares(settings.spectrum, channel % element_count(settings.spectrum), gain, offset)
        by_counts = rate / counts_per_reset if counts_per_reset else 0.0
        piled_up = float(-np.expm1(-rate * window))
        period = settings.family.clock_period
        source = Source(rate, single, double, piled_up, int(width) + 1, resets + by_counts, int(reset_width), period)
        found.append(source)
    return found


@lru_cache(maxsize=512)
def _shares(spectrum: str, element: int, gain: float, offset: float) -> tuple[Shares, Shares]:
    """Distributions of one photon and of two at once."""
    single = probabilities(spectrum, gain, offset)[element]
    spectrum_of_two = np.fft.rfft(single, 2 * BINS)
    double = np.clip(np.fft.irfft(spectrum_of_two * spectrum_of_two), 0, None)
    shift = round(offset)  # zero energy is there once in the sum, not twice
    double = double[shift : shift + BINS] if shift >= 0 else np.concatenate([np.zeros(-shift), double])[:BINS]
    double = np.ascontiguousarray(double) / double.sum()  # what is beyond the range is not recorded
    return Shares(single, np.cumsum(single)), Shares(double, np.cumsum(double))


def expected_events(source: Source, ticks: int, reset_ticks: int) -> float:
    """Mean number of events in `ticks` clock ticks, of which `reset_ticks` are lost.

    Non-paralysable: each event is dead for W + 1 ticks of dt, so n = r (T - R) dt / (1 + r (W + 1) dt).
    """
    return source.rate * (ticks - reset_ticks) * source.period / (1 + source.rate * source.dead * source.period)


def draw(source: Source, ticks: int, rng: np.random.Generator) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    """One channel of one frame of `ticks` clock ticks: spectrum uint32 (4096,), scalers uint32 (9,).

    The scalers that depend on the threshold and on the windows are left 0.
    """
    resets = int(rng.poisson(source.resets * ticks * source.period))
    if source.reset_width:
        resets = min(resets, ticks // source.reset_width)
    reset_ticks = resets * source.reset_width
    # Every event takes its dead ticks out of the live ones, so there is room for so many and no more.
    room = (ticks - reset_ticks) // source.dead
    events = 0
    if room:
        events = int(rng.binomial(room, min(1.0, expected_events(source, ticks, reset_ticks) / room)))
    recorded = events - min(int(rng.binomial(events, _OUT_OF_RANGE)), events // _AT_MOST)
    piled_up = int(rng.binomial(recorded, source.piled_up))
    mca = _landed(source.single, recorded - piled_up, rng) + _landed(source.double, piled_up, rng)
    scalers = np.zeros(len(Scaler), np.uint32)
    scalers[[Scaler.ticks, Scaler.total_ticks]] = ticks & _COUNTER
    scalers[Scaler.reset_ticks] = reset_ticks & _COUNTER
    scalers[Scaler.resets] = resets & _COUNTER
    scalers[Scaler.all_event] = events & _COUNTER
    scalers[Scaler.pileup] = piled_up & _COUNTER
    return mca, scalers


def _landed(shares: Shares, events: int, rng: np.random.Generator) -> NDArray[np.uint32]:
    """Share exactly so many events out over the bins: uint32 (4096,)."""
    if events > _FEW:
        return (rng.multinomial(events, shares.bins) & _COUNTER).astype(np.uint32)
    landed = np.searchsorted(shares.running, rng.random(events), side="right")
    return np.bincount(np.minimum(landed, BINS - 1), minlength=BINS).astype(np.uint32)


def lose_packets(
    mca: NDArray[np.uint32], scalers: NDArray[np.uint32], rng: np.random.Generator
) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    """Return what half of a channel's frame shows: fewer counts, and scaler 0 below the total exposure in scaler 8."""
    kept = rng.binomial(mca, 0.5).astype(np.uint32)
    halved = scalers >> np.uint32(1)
    halved[Scaler.total_ticks] = scalers[Scaler.total_ticks]
    counts = int(kept.sum())
    outside = max(0, int(scalers[Scaler.all_event]) - int(mca.sum()))
    halved[Scaler.all_event] = (counts + min(outside // 2, counts // _AT_MOST)) & _COUNTER
    halved[Scaler.pileup] = min(int(halved[Scaler.pileup]), counts)
    return kept, halved
