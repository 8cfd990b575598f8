"""Dead time and rates, against numbers worked out by hand."""

import numpy as np
import pytest

from xsp3ioc.stream.formulas import (
    dead_ticks,
    dead_time_factors,
    dead_time_percent,
    output_rates,
    spectrum_sum,
)


def scalers(*channels):
    """(1, channels, 9) from (clock ticks, reset ticks, all events, good events) of each channel."""
    out = np.zeros((1, len(channels), 9), np.uint32)
    for channel, (ticks, reset, events, good) in enumerate(channels):
        out[0, channel, [0, 1, 3, 4, 8]] = ticks, reset, events, good, ticks
    return out


# 1 ms at 80 MHz is 80,000 ticks. 1000 events blind for 6 + 1 ticks each, 1000 ticks in resets:
# dead ticks = 1000 * 7 + 1000 = 8000; factor = 80000 / 72000 = 1.1111...; dead time = 10 %.
# 900 good events in 1 ms = 900,000 per second.
WORKED = scalers((80_000, 1000, 1000, 900))


def test_worked_numbers():
    assert dead_ticks(WORKED, [6.0]).tolist() == [[8000.0]]
    assert dead_time_factors(WORKED, [6.0])[0, 0] == pytest.approx(10 / 9, rel=1e-15)
    assert dead_time_percent(WORKED, [6.0]).tolist() == [[10.0]]
    assert output_rates(WORKED, 12.5e-9)[0, 0] == pytest.approx(900_000, rel=1e-12)


def test_each_channel_has_its_own_width():
    # 100 * (0 + 1) = 100 of 1000 ticks: 1000 / 900; 100 * (4 + 1) = 500 of 1000: 2; half a tick more: 550 of 1000.
    blocks = scalers((1000, 0, 100, 0), (1000, 0, 100, 0), (1000, 0, 100, 0))
    np.testing.assert_allclose(dead_time_factors(blocks, [0, 4, 4.5])[0], [1000 / 900, 2.0, 1000 / 450])


@pytest.mark.parametrize(
    ("channel", "factor", "percent"),
    [
        ((0, 0, 0, 0), 1.0, 0.0),  # nothing was counted
        ((1000, 0, 0, 0), 1.0, 0.0),
        ((700, 0, 100, 0), 1.0, 100.0),  # blind all the time: no correction
        ((700, 700, 100, 0), 1.0, 200.0),
        ((701, 0, 100, 0), 701.0, 100 * 700 / 701),
        ((2**32 - 1, 2**31, 2**31, 0), 1.0, 100 * (2**31 * 8) / (2**32 - 1)),  # no overflow
    ],
)
def test_the_factor_is_finite_everywhere(channel, factor, percent):
    beside = (80_000, 1000, 1000, 900)
    block = scalers(channel, beside)
    out = np.full((1, 2), np.nan)
    for found in (dead_time_factors(block, [6.0, 6.0]), dead_time_factors(block, [6.0, 6.0], out)):
        assert found[0].tolist() == pytest.approx([factor, 10 / 9])
    assert dead_time_percent(block, [6.0, 6.0])[0].tolist() == pytest.approx([percent, 10.0])
    assert np.isfinite(output_rates(block, 12.5e-9)).all()


@pytest.mark.parametrize("count", [3, 2**31, 2**32 - 1])
def test_sums_are_exact(count):
    mca = np.zeros((3, 1, 4), np.uint32)
    mca[:, 0, 1] = count
    events = np.zeros((3, 1, 9), np.uint32)
    events[:, 0, 3] = count
    assert spectrum_sum(mca, events).tolist() == [[0, 3 * count, 0, 0]]
