"""The library's own dead-time model: worked examples, and against a solution by bisection."""

import doctest
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xsp3ioc.sdk import Scaler, deadtime
from xsp3ioc.sdk.companions import DeadtimeParameters
from xsp3ioc.sdk.constants import DeadtimeFlag
from xsp3ioc.sdk.deadtime import (
    correct,
    corrected_scalers,
    corrected_spectra,
    highest_rate,
    input_rate,
    output_rate,
    process_dead_times,
)

TICK = 12.5e-9
NONE = DeadtimeParameters(DeadtimeFlag(0), *[0.0] * 8)


def parameters(flags=0, **terms):
    return NONE._replace(flags=DeadtimeFlag(flags), **terms)


def scalers(*channels):
    """(1, channels, 9) from ticks, reset ticks, all events, good events, windows per channel."""
    block = np.zeros((1, len(channels), 9), np.uint32)
    for row, (ticks, reset, events, good, window0, window1) in zip(block[0], channels, strict=True):
        row[[0, 8, 1, 3, 4, 5, 6]] = ticks, ticks, reset, events, good, window0, window1
        row[[Scaler.resets, Scaler.pileup]] = 2, 3
    return block


def bisected(rate_out, constant, per_rate):
    """The lower root of r * exp(-r * (constant + per_rate * r)) = rate_out, for terms that are not negative."""

    def recorded(rate):
        return rate * math.exp(-rate * (constant + per_rate * rate))

    def rises(rate):
        return 1 - constant * rate - 2 * per_rate * rate**2 > 0

    low, high = 0.0, 1e12
    while high - low > 1e-9 * high:
        middle = (low + high) / 2
        low, high = (middle, high) if rises(middle) else (low, middle)
    top = high
    if recorded(top) <= rate_out:
        return top
    low, high = 0.0, top
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if recorded(middle) < rate_out else (low, middle)
    return high


def test_the_examples_in_the_docstrings():
    found = doctest.testmod(deadtime)
    assert found.attempted >= 2 and not found.failed


def test_process_dead_times_at_an_energy():
    chosen = DeadtimeParameters(DeadtimeFlag(0), 1e-7, 2e-9, 3e-13, 4e-15, 5e-8, 6e-10, 7e-14, 8e-16)
    all_event, in_window = process_dead_times([NONE, chosen], 10.0)
    assert all_event.tolist() == [[0, 0], [pytest.approx(1.2e-7), pytest.approx(3.4e-13)]]
    assert in_window.tolist() == [[0, 0], [pytest.approx(5.6e-8), pytest.approx(7.8e-14)]]
    falling = parameters(all_event_offset=1e-7, all_event_gradient=-2e-8)
    assert process_dead_times([falling], 20.0)[0][0, 0] == 0


def test_a_worked_example():
    """10 ms (800,000 ticks), a fifth of it lost to resets, 4000 events: 500 kHz in the 8 ms of live time.

    With Tp = ln(1.25) / 625 kHz the input rate is 625 kHz, as 625 kHz * exp(-ln 1.25) = 500 kHz; in 10 ms that makes
    6250 counts. The window's Tp is half as long: its factor is 10 ms / 8 ms * exp(2 * ln(1.25) / 2) = 1.5625.
    """
    dead = math.log(1.25) / 625e3
    chosen = [parameters(all_event_offset=dead, in_window_offset=dead / 2)]
    block = scalers((800_000, 160_000, 4000, 3900, 1000, 10))
    found = correct(block, chosen, 10.0, TICK)
    assert found.rates[0, 0] == pytest.approx(625e3, rel=1e-12)
    assert found.inputs[0, 0] == pytest.approx(6250, rel=1e-12)
    assert found.factors[0, 0] == pytest.approx(1.5625, rel=1e-12)
    corrected = corrected_scalers(block, chosen, found)[0, 0]
    assert corrected == pytest.approx([800_000, 160_000, 2, 6250, 3900, 1562.5, 15.625, 3, 800_000], rel=1e-12)
    mca = np.zeros((1, 1, 4096), np.uint32)
    mca[0, 0, 7] = 4
    spectra = corrected_spectra(mca, found.factors)
    assert spectra.dtype == np.float64 and spectra[0, 0, 7] == pytest.approx(6.25) and spectra.sum() == spectra[0, 0, 7]


def test_energy_and_rate_terms_add_up():
    """Tp = 40 ns + 2 ns/keV * 10 keV + 1e-13 s/Hz * rate: at 1 MHz 160 ns, so 852,144 Hz are recorded."""
    chosen = parameters(all_event_offset=40e-9, all_event_gradient=2e-9, all_event_rate_offset=1e-13)
    terms = process_dead_times([chosen], 10.0)[0]
    assert output_rate(1e6, *terms.T) == pytest.approx(852_143.79)
    events = round(852_143.79 * 80_000_000 * TICK)
    found = correct(scalers((80_000_000, 0, events, 0, 0, 0)), [chosen], 10.0, TICK)
    assert found.rates[0, 0] == pytest.approx(1e6, rel=2e-6)
    assert found.factors[0, 0] == 1


def test_without_process_dead_time_only_resets_are_corrected():
    found = correct(scalers((1000, 200, 40, 30, 5, 6), (1000, 0, 40, 30, 5, 6)), [NONE, NONE], 0.0, TICK)
    assert found.factors.tolist() == [[1.25, 1.0]]
    assert found.inputs[0] == pytest.approx([50, 40])


def test_good_events_instead_of_all():
    good = parameters(DeadtimeFlag.use_good_event)
    block = scalers((1000, 200, 40, 32, 5, 6), (1000, 200, 40, 32, 5, 6))
    found = correct(block, [good, NONE], 0.0, TICK)
    assert found.inputs[0] == pytest.approx([40, 50])
    corrected = corrected_scalers(block, [good, NONE], found)
    assert corrected[0, 0, [Scaler.all_event, Scaler.all_good]] == pytest.approx([40, 40])
    assert corrected[0, 1, [Scaler.all_event, Scaler.all_good]] == pytest.approx([50, 32])


def test_an_omitted_channel_stays_as_it_is():
    omitted = parameters(DeadtimeFlag.omit_channel, all_event_offset=1e-7, in_window_offset=1e-7)
    block = scalers((1000, 200, 40, 32, 5, 6))
    found = correct(block, [omitted], 0.0, TICK)
    assert found.factors[0, 0] == 1 and found.inputs[0, 0] == 40
    assert (corrected_scalers(block, [omitted], found) == block).all()


@pytest.mark.parametrize("channel", [(0, 0, 0, 0, 0, 0), (1000, 1000, 50, 40, 1, 1), (0, 5, 9, 9, 9, 9)])
@pytest.mark.parametrize("flags", [0, 1, 2, 3])
def test_without_live_time_nothing_is_corrected(channel, flags):
    chosen = [parameters(flags, all_event_offset=1e-7, in_window_offset=1e-7)]
    found = correct(scalers(channel), chosen, 5.0, TICK)
    assert found.factors[0, 0] == 1 and found.inputs[0, 0] == (channel[3] if flags & 2 else channel[2])


def test_parameters_have_to_fit_the_channels():
    with pytest.raises(ValueError, match="1 sets of dead-time parameters for 2 channels"):
        correct(np.zeros((3, 2, 9), np.uint32), [NONE], 0.0, TICK)


def test_above_the_highest_rate_it_is_taken():
    assert highest_rate(2e-7) == pytest.approx(5e6)
    assert input_rate(1e9, 2e-7) == pytest.approx(5e6)
    assert input_rate(5e6 / math.e * (1 - 1e-12), 2e-7) == pytest.approx(5e6, rel=1e-5)
    assert highest_rate(0.0) == math.inf and input_rate(3e5, 0.0) == 3e5 and input_rate(0.0, 1e-7) == 0


@given(
    share=st.floats(1e-6, 0.999),
    constant=st.floats(0, 1e-5),
    per_rate=st.one_of(st.just(0.0), st.floats(1e-18, 1e-12)),
)
def test_there_and_back(share, constant, per_rate):
    top = min(float(highest_rate(constant, per_rate)), 1e9)
    rate = top * share
    recorded = float(output_rate(rate, constant, per_rate))
    assert float(input_rate(recorded, constant, per_rate)) == pytest.approx(rate, rel=1e-6)


@given(
    recorded=st.floats(1e-3, 1e8),
    constant=st.floats(1e-10, 1e-4),
    per_rate=st.one_of(st.just(0.0), st.floats(1e-18, 1e-10)),
)
def test_as_by_bisection(recorded, constant, per_rate):
    expected = bisected(recorded, constant, per_rate)
    found = float(input_rate(recorded, constant, per_rate))
    assert found == pytest.approx(expected, rel=1e-4)  # flat at the top
    assert float(output_rate(found, constant, per_rate)) == pytest.approx(
        min(recorded, float(output_rate(expected, constant, per_rate))), rel=1e-9
    )


@given(recorded=st.floats(1.0, 1e7), constant=st.floats(0, 1e-6), per_rate=st.floats(-1e-12, -1e-16))
def test_dead_times_that_fall_with_the_rate(recorded, constant, per_rate):
    rate = float(input_rate(recorded, constant, per_rate))
    assert float(output_rate(rate, constant, per_rate)) <= recorded * (1 + 1e-9)
    if rate != float(highest_rate(constant, per_rate)):
        assert float(output_rate(rate, constant, per_rate)) == pytest.approx(recorded, rel=1e-9)


anything = st.floats(allow_nan=False, allow_infinity=False)
counter = st.integers(0, 2**32 - 1)


@given(
    terms=st.tuples(*[anything] * 8),
    flags=st.integers(0, 3),
    energy=st.floats(0, 1e6),
    block=st.lists(st.lists(counter, min_size=9, max_size=9), min_size=1, max_size=4),
)
def test_whatever_comes_everything_is_finite(terms, flags, energy, block):
    chosen = [DeadtimeParameters(DeadtimeFlag(flags), *terms)] * len(block)
    found = correct(np.array(block, np.uint32), chosen, energy, TICK)
    assert all(np.isfinite(array).all() for array in found)
    assert np.isfinite(corrected_scalers(np.array(block, np.uint32), chosen, found)).all()
    assert (found.factors >= 1).all() or (np.array(block)[:, 1] > np.array(block)[:, 0]).any()


def test_blocks_are_worked_out_at_once():
    rng = np.random.default_rng(1)
    block = rng.integers(0, 100_000, (50, 3, 9)).astype(np.uint32)
    block[..., Scaler.ticks] = 800_000
    rising = parameters(2, in_window_offset=3e-7, all_event_rate_offset=1e-14)
    chosen = [NONE, parameters(all_event_offset=1e-7), rising]
    whole = correct(block, chosen, 8.0, TICK)
    assert [array.shape for array in whole] == [(50, 3)] * 3
    for frame in (0, 17, 49):
        for channel in range(3):
            one = correct(block[frame, channel : channel + 1], chosen[channel : channel + 1], 8.0, TICK)
            for all_of_it, single in zip(whole, one, strict=True):
                assert all_of_it[frame, channel] == pytest.approx(single[0], rel=1e-12)
