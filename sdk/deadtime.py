"""The library's own dead-time model as pure functions on blocks of scalers ("Xspress API manual, dead time").

A channel that is busy for a process dead time Tp after each event records

    rate_out = rate_in * exp(-rate_in * Tp)

of its input rate. `correct` finds the input rate back, and from it the factor that restores counts in a window. With
all process dead times 0 only the time lost to resets is corrected. Every result is finite, whatever the scalers hold.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xsp3ioc.sdk.companions import DeadtimeParameters
from xsp3ioc.sdk.constants import DeadtimeFlag, Scaler

_MOST = 600.0  # exponent at most: factors times 32-bit counts stay finite
_ENORMOUS = 1e200  # Hz
_STEPS = 100  # bisection alone would need 60
_PRECISE = 1e-14

Array = NDArray[np.float64]


class Correction(NamedTuple):
    """What the model says of a block: all arrays float64 (..., channels)."""

    factors: Array
    """Counts in a window times this are those that came in."""
    inputs: Array
    """Estimated input counts."""
    rates: Array
    """Estimated input rate, counts per second."""


def process_dead_times(parameters: Sequence[DeadtimeParameters], energy: float) -> tuple[Array, Array]:
    """Return the process dead times at `energy` keV, of all events and of events in a window.

    Each float64 (channels, 2): the constant part in s, not below 0, and the part per input rate in s/Hz.
    """
    terms = np.array([channel[1:] for channel in parameters], np.float64).reshape(-1, 2, 2, 2)
    with np.errstate(over="ignore", invalid="ignore"):
        times = np.nan_to_num(terms[..., 0] + terms[..., 1] * energy)  # offset + gradient * energy
    times[..., 0] = np.maximum(times[..., 0], 0.0)
    return times[:, 0], times[:, 1]


def output_rate(rate_in: ArrayLike, constant: ArrayLike, per_rate: ArrayLike = 0.0) -> Array:
    """Return the rate recorded of an input rate, both in Hz; process dead time `constant` s + `per_rate` s/Hz * rate.

    >>> float(output_rate(100_000.0, 1e-6).round(1))
    90483.7
    """
    rate = np.asarray(rate_in, np.float64)
    with np.errstate(over="ignore"):
        dead = np.maximum(np.asarray(constant) + np.asarray(per_rate) * rate, 0.0)
        result: Array = rate * np.exp(-np.minimum(rate * dead, _MOST))
    return result


def highest_rate(constant: ArrayLike, per_rate: ArrayLike = 0.0) -> Array:
    """Return the input rate, Hz, above which less is recorded the more comes in: 1 / Tp for a constant Tp >= 0.

    Infinite where the recorded rate never falls.
    """
    constant, per_rate = np.asarray(constant, np.float64), np.asarray(per_rate, np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        # The recorded rate is highest where 1 = constant * r + 2 * per_rate * r**2; as a root that bears per_rate = 0.
        inside = constant**2 + 8 * per_rate
        below = constant + np.sqrt(np.maximum(inside, 0.0))
        return np.divide(2.0, below, out=np.full(below.shape, math.inf), where=(inside >= 0) & (below > 0))


def input_rate(rate_out: ArrayLike, constant: ArrayLike, per_rate: ArrayLike = 0.0) -> Array:
    """Return the lower input rate, Hz, of which `rate_out` is recorded; `highest_rate` where none is.

    For a constant Tp this is the low branch of Lambert's W: -W0(-rate_out * Tp) / Tp. All three float64, broadcast.

    >>> float(input_rate(90483.7418, 1e-6).round(1))
    100000.0
    """
    wanted, constant, per_rate = (
        np.array(term, np.float64) for term in np.broadcast_arrays(rate_out, constant, per_rate)
    )
    reach = highest_rate(constant, per_rate)
    reach = np.where(np.isinf(reach), _far(wanted, constant, per_rate), reach)
    clamped = wanted >= output_rate(reach, constant, per_rate)
    usable = (wanted > 0) & ~clamped
    rate = low = np.where(usable, wanted, 1.0)  # what is recorded is never more than what comes in
    high = np.where(usable, np.maximum(reach, wanted), 1.0)
    target = np.log(rate)
    for _ in range(_STEPS):  # Newton's steps, where they stay between the limits
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            dead = constant + per_rate * rate
            missing = np.log(rate) - rate * np.maximum(dead, 0.0) - target
            low, high = np.where(missing < 0, rate, low), np.where(missing < 0, high, rate)
            following = rate - missing / (1 / rate - np.where(dead > 0, dead + per_rate * rate, 0.0))
            inside = (following >= low) & (following <= high)
        following = np.where(inside, following, (low + high) / 2)
        moving = usable & (np.abs(following - rate) > _PRECISE * rate)
        rate = np.where(usable, following, rate)
        if not moving.any():
            break
    return np.where(clamped, reach, np.where(usable, rate, 0.0))


def _far(wanted: Array, constant: Array, per_rate: Array) -> Array:
    """Return an input rate that is recorded as more than `wanted`, where the recorded rate never falls."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        vanishes = np.where(per_rate < 0, -constant / per_rate, 0.0)  # above it there is no dead time
    return 2 * np.clip(np.maximum(wanted, vanishes), 1.0, _ENORMOUS)


def correct(
    scalers: NDArray[np.uint32], parameters: Sequence[DeadtimeParameters], energy: float, clock_period: float
) -> Correction:
    """Work out the correction of `scalers` (..., channels, 9), with one set of parameters per channel.

    `energy` in keV, `clock_period` in s. Where a channel had no live time (no ticks, or all of them lost to resets) and
    where it is to be omitted (`DeadtimeFlag.omit_channel`), the factor is 1 and the counts are those recorded.
    """
    if scalers.shape[-2] != len(parameters):
        raise ValueError(f"{len(parameters)} sets of dead-time parameters for {scalers.shape[-2]} channels")
    counts = scalers.astype(np.float64)
    ticks = counts[..., Scaler.ticks]
    live = ticks - counts[..., Scaler.reset_ticks]
    good = _flagged(parameters, DeadtimeFlag.use_good_event)
    events = np.where(good, counts[..., Scaler.all_good], counts[..., Scaler.all_event])
    alive = live > 0
    live = np.where(alive, live, 1.0)
    measured = np.where(alive, events / (live * clock_period), 0.0)
    all_event, in_window = process_dead_times(parameters, energy)
    rates = input_rate(measured, all_event[:, 0], all_event[:, 1])
    with np.errstate(over="ignore"):
        dead = np.maximum(in_window[:, 0] + in_window[:, 1] * rates, 0.0)
        factors = ticks / live * np.exp(np.minimum(dead * (2 * rates), _MOST))
    corrected = alive & ~_flagged(parameters, DeadtimeFlag.omit_channel)
    return Correction(
        np.where(corrected, factors, 1.0),
        np.where(corrected, rates * ticks * clock_period, events),
        np.where(corrected, rates, measured),
    )


def corrected_scalers(
    scalers: NDArray[np.uint32], parameters: Sequence[DeadtimeParameters], correction: Correction
) -> Array:
    """Return `scalers` (..., channels, 9) as float64 with the windows times the factor and the input counts put in.

    These replace AllEvent, or AllGood for channels with `DeadtimeFlag.use_good_event`; the rest is as measured.
    """
    result = scalers.astype(np.float64)
    result[..., [Scaler.window0, Scaler.window1]] *= correction.factors[..., np.newaxis]
    good = _flagged(parameters, DeadtimeFlag.use_good_event)
    for scaler, replaced in ((Scaler.all_good, good), (Scaler.all_event, ~good)):
        result[..., scaler] = np.where(replaced, correction.inputs, result[..., scaler])
    return result


def corrected_spectra(mca: NDArray[np.uint32], factors: Array) -> Array:
    """Return spectra (..., channels, bins) times the factors (..., channels) of their frames: float64."""
    result: Array = mca * factors[..., np.newaxis]
    return result


def _flagged(parameters: Sequence[DeadtimeParameters], flag: DeadtimeFlag) -> NDArray[np.bool_]:
    return np.array([bool(channel.flags & flag) for channel in parameters])
