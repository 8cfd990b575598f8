import numpy as np

from xsp3ioc.receivers import rates
from xsp3ioc.stream.formulas import Scaler, dead_time_percent, percent_of_factors

# One frame, one channel: 8,000,000 ticks of 12.5 ns are 0.1 s; a quarter of it is dead.
SCALERS = np.array([[[8_000_000, 1_993_000, 2, 1000, 900, 10, 20, 3, 8_000_000]]], np.uint32)
FACTORS = np.array([[4 / 3]])
WIDTHS = [6]
CLOCK = 12.5e-9


def test_times():
    np.testing.assert_allclose(rates.real_time(SCALERS, CLOCK), [[0.1]])
    np.testing.assert_allclose(rates.live_time(SCALERS, dead_time_percent(SCALERS, WIDTHS), CLOCK), [[0.075]])


def test_rates():
    np.testing.assert_allclose(rates.output_count_rate(SCALERS, CLOCK), [[9000.0]])
    np.testing.assert_allclose(rates.input_count_rate(SCALERS, FACTORS, CLOCK), [[12000.0]])


def test_dead_time():
    np.testing.assert_allclose(dead_time_percent(SCALERS, WIDTHS), [[25.0]])


def test_a_channel_that_is_blind_all_the_time_has_no_live_time():
    blind = SCALERS.copy()
    blind[..., Scaler.reset_ticks] = 11_993_000
    np.testing.assert_allclose(dead_time_percent(blind, WIDTHS), [[150.0]])
    np.testing.assert_array_equal(rates.live_time(blind, dead_time_percent(blind, WIDTHS), CLOCK), [[0.0]])


def test_a_frame_without_time_has_no_rate():
    nothing = np.zeros_like(SCALERS)
    np.testing.assert_array_equal(rates.output_count_rate(nothing, CLOCK), [[0.0]])
    np.testing.assert_array_equal(rates.live_time(nothing, dead_time_percent(nothing, WIDTHS), CLOCK), [[0.0]])
    np.testing.assert_array_equal(dead_time_percent(nothing, WIDTHS), [[0.0]])


def test_ticks_beyond_32_bits_do_not_wrap():
    full = np.full((1, 1, 9), 0xFFFFFFFF, np.uint32)
    np.testing.assert_allclose(rates.real_time(full, CLOCK), [[53.687]], rtol=1e-4)


def test_the_dead_time_that_a_factor_corrects_for():
    np.testing.assert_allclose(percent_of_factors(np.array([1.0, 1.25, 2.0])), [0.0, 20.0, 50.0])
