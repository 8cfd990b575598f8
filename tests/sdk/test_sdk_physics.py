"""Physics of each channel by itself: rates, dead time, pile-up, resets, gain and offset; measured spectra."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sdk_bench import connect, internal, read

from xsp3ioc.sdk import EmulatorSettings, Scaler, TimingSource, expected_frames, timed_frame
from xsp3ioc.sdk.emulator.spectra import parse_mca, probabilities

PERIOD = 12.5e-9


def summed(chosen, ticks=800_000, frames=300):
    """Sums over many frames, per channel: spectra (channels, 4096), scalers (channels, 9), as float64."""
    mca, scalers = expected_frames(chosen, ticks, 0, frames)
    return mca.sum(axis=0, dtype=np.float64), scalers.sum(axis=0, dtype=np.float64)


def corrected_rate(scalers, width):
    """Input rate that the event-width formula gives, per channel."""
    dead = scalers[:, Scaler.all_event] * (np.asarray(width) + 1) + scalers[:, Scaler.reset_ticks]
    factor = scalers[:, Scaler.ticks] / (scalers[:, Scaler.ticks] - dead)
    return factor * scalers[:, Scaler.all_event] / (scalers[:, Scaler.ticks] * PERIOD)


@pytest.mark.parametrize("width", [0, 6, 200])
def test_the_event_width_formula_gives_the_true_rate_back(width):
    rates = (1e3, 3e4, 1e6, 2e7)
    chosen = EmulatorSettings(count_rate=rates, event_width=width)
    _, scalers = summed(chosen)
    # Of 300 pool-drawn frames 64 are different; their events scatter by less than Poisson says, dead time makes more.
    factor = 1 + np.array(rates) * (width + 1) * PERIOD
    error = factor * np.sqrt(300 / 64 / scalers[:, Scaler.all_event])
    assert (np.abs(corrected_rate(scalers, width) / rates - 1) < 5 * error + 1e-6).all()


def test_the_dead_time_never_exceeds_the_exposure():
    chosen = EmulatorSettings(count_rate=1e9, event_width=30, reset_rate=1e5, channels=2)
    for ticks in (2, 31, 70, 5_000):
        _, scalers = expected_frames(chosen, ticks, 0, 100)
        found = scalers.astype(np.int64)
        assert (found[..., Scaler.all_event] * 31 + found[..., Scaler.reset_ticks] <= ticks).all()


def test_every_channel_has_its_own_physics():
    chosen = EmulatorSettings(
        count_rate=(1e5, 1e5, 1e6, 1e6),
        event_width=(6, 400, 6, 6),
        pileup_window=(0.0, 40e-9, 0.0, 500e-9),
        reset_rate=(0.0, 50.0, 5000.0, 20.0),
        counts_per_reset=(0.0, 0.0, 0.0, 1000.0),
        reset_width=(400, 0, 100, 1000),
    )
    _, scalers = summed(chosen, ticks=8_000_000)  # so that there are enough resets
    assert corrected_rate(scalers, chosen.event_widths) == pytest.approx([1e5, 1e5, 1e6, 1e6], rel=0.02)
    assert scalers[1, Scaler.all_event] < 0.8 * scalers[0, Scaler.all_event]
    share = scalers[:, Scaler.pileup] / scalers[:, Scaler.all_event]
    assert share == pytest.approx([0, 1 - np.exp(-4e-3), 0, 1 - np.exp(-0.5)], rel=0.1)
    seconds = scalers[0, Scaler.ticks] * PERIOD
    assert scalers[:, Scaler.resets] / seconds == pytest.approx([0, 50, 5000, 1020], rel=0.15)
    assert scalers[:, Scaler.reset_ticks].tolist() == (scalers[:, Scaler.resets] * [400, 0, 100, 1000]).tolist()


def test_one_value_is_that_value_for_each():
    one = EmulatorSettings(count_rate=5e5, event_width=9, reset_rate=7.0)
    each = EmulatorSettings(count_rate=(5e5,) * 4, event_width=(9,) * 4, reset_rate=(7.0,) * 4)
    for found, expected in zip(expected_frames(one, 80_000, 5, 8), expected_frames(each, 80_000, 5, 8), strict=True):
        assert np.array_equal(found, expected)


def test_the_handle_sees_each_channel_s_event_width():
    handle, _, _ = connect(event_width=[3, 6, 12, 24])
    assert [handle.event_width(channel) for channel in range(4)] == [3, 6, 12, 24]
    terms = [handle.dead_time_parameters(channel).all_event_offset for channel in range(4)]
    assert terms == pytest.approx([4 * PERIOD, 7 * PERIOD, 13 * PERIOD, 25 * PERIOD])


def centre(shares, low, high):
    bins = np.arange(low, high)
    return (shares[low:high] * bins).sum() / shares[low:high].sum()


def test_without_spread_a_bin_is_ten_electronvolts():
    mca, _ = summed(EmulatorSettings(count_rate=1e6), frames=64)
    for line in (692, 804):  # Co, Cu K alpha
        found = [int(spectrum[line - 20 : line + 20].argmax()) + line - 20 for spectrum in mca]
        assert np.abs(np.array(found) - line).max() <= 3
    assert np.array_equal(EmulatorSettings().gains, np.ones(4)) and not EmulatorSettings().offsets.any()


def test_gain_and_offset_move_the_lines():
    chosen = EmulatorSettings(count_rate=1e6, gain_spread=(0.0, 0.1, -0.1, 0.0), offset_spread=(0.0, 0.0, 0.0, 50.0))
    mca, scalers = summed(chosen, frames=64)
    plain = probabilities()
    for channel, (gain, offset) in enumerate([(1, 0), (1.1, 0), (0.9, 0), (1, 50)]):
        expected = centre(plain[channel], 780, 830) * gain + offset
        low, high = round(780 * gain + offset), round(830 * gain + offset)
        assert centre(mca[channel] / mca[channel].sum(), low, high) == pytest.approx(expected, abs=0.6)
    assert (np.abs(mca.sum(axis=1) / scalers[:, Scaler.all_event] - 0.995) < 0.003).all()


def test_spread_follows_from_the_seed_and_the_channel_alone():
    few, many = (
        EmulatorSettings(gain_spread=0.02, offset_spread=3.0, channels=2),
        EmulatorSettings(gain_spread=0.02, offset_spread=3.0, channels=9),
    )
    assert np.array_equal(many.gains[:2], few.gains) and np.array_equal(many.offsets[:2], few.offsets)
    assert len(set(many.gains)) == len(set(many.offsets)) == 9
    assert 0.005 < np.std(many.gains) < 0.06 and 0.8 < np.std(many.offsets) < 9
    other = EmulatorSettings(gain_spread=0.02, seed=1, channels=9)
    assert not np.isin(other.gains, many.gains).any()


def test_fewer_channels_from_any_first_one_hold_the_same_physics():
    chosen = EmulatorSettings(channels=8, cards=2, gain_spread=0.02, count_rate=tuple(1e5 * n for n in range(1, 9)))
    second = chosen.narrowed(4, 1, first=4)
    assert np.array_equal(second.gains, chosen.gains[4:]) and second.count_rate == chosen.count_rate[4:]
    assert (second.channels, second.cards) == (4, 1)


def test_a_software_frame_longer_than_the_counter_wraps():
    handle, emulator, clock = connect(channels=1, count_rate=1e3)
    handle.set_timing(TimingSource.software)
    handle.start()
    clock.sleep(60)  # the counter wraps at 53.7 s
    handle.pause()
    mca, scalers = read(handle, 0, 1)
    ticks = int(scalers[0, 0, Scaler.ticks])
    assert ticks == int(scalers[0, 0, Scaler.total_ticks])
    assert abs(ticks - (60 * 80_000_000 - 2**32)) <= 1
    assert mca.sum() == pytest.approx(60e3, rel=0.05)
    expected = timed_frame(emulator.settings, ticks + 2**32, 0)
    assert np.array_equal(mca[0], expected[0]) and np.array_equal(scalers[0], expected[1])


def test_the_longest_generated_frame_does_not_wrap():
    handle, _, _ = connect(channels=1, count_rate=1e4, pace="reader")
    internal(handle, 2, 0xFFFFFFFF)
    handle.start()
    mca, scalers = read(handle, 0, 2)
    assert (scalers[:, 0, Scaler.ticks] == 0xFFFFFFFF).all()
    assert mca.sum() == pytest.approx(2 * 53.687e4, rel=0.05)


@given(
    product=st.sampled_from(["xspress3", "xspress4"]),
    rate=st.floats(0, 1e8),
    width=st.integers(0, 1000),
    window=st.floats(0, 1e-6),
    resets=st.floats(0, 1e4),
    counts=st.sampled_from([0.0, 1.0, 1e3, 1e6]),
    lost=st.integers(0, 10_000),
    ticks=st.integers(1, 2**33),
    seed=st.integers(0, 2**32),
)
@settings(max_examples=40)
def test_any_physics_keeps_the_relations(product, rate, width, window, resets, counts, lost, ticks, seed):
    chosen = EmulatorSettings(
        product=product, channels=1, seed=seed, count_rate=rate, event_width=width, pileup_window=window,
        reset_rate=resets, counts_per_reset=counts, reset_width=lost, gain_spread=0.1, offset_spread=20.0,
    )  # fmt: skip
    mca, scalers = timed_frame(chosen, ticks, 3, good_threshold=100, windows=((0, 99), (100, 4095)))
    total = mca[0].sum(dtype=np.int64)
    found = scalers[0].astype(np.int64)
    assert found[Scaler.ticks] == found[Scaler.total_ticks] == ticks % 2**32
    assert found[Scaler.all_good] == found[Scaler.window1] == mca[0, 100:].sum(dtype=np.int64) % 2**32
    assert found[Scaler.window0] == mca[0, :100].sum(dtype=np.int64) % 2**32
    if ticks < 2**32:
        assert total <= found[Scaler.all_event] and total >= 0.98 * found[Scaler.all_event]
        assert found[Scaler.pileup] <= total
        assert found[Scaler.all_event] * (width + 1) + found[Scaler.reset_ticks] <= ticks
        assert found[Scaler.reset_ticks] == found[Scaler.resets] * lost


@pytest.mark.parametrize(
    "wrong, message",
    [
        ({"event_width": (1, 2)}, r"event_width = \(1, 2\) needs one value, or 4"),
        ({"event_width": -1}, "event_width = -1 is outside 0"),
        ({"pileup_window": -1.0}, "pileup_window = -1.0 is outside 0..1"),
        ({"reset_width": (1, 1, 1, -5)}, "reset_width"),
        ({"count_rate": float("nan")}, "count_rate = nan is outside"),
        ({"count_rate": 1e12}, "count_rate = 1000000000000.0 is outside 0..1e"),
        ({"gain_spread": -0.1}, "gain_spread = -0.1 is outside 0..0.1"),
        ({"gain_spread": (0.0, 0.0, 0.0, -0.4)}, "outside -0.3..0.3"),
        ({"offset_spread": 1e4}, "offset_spread"),
    ],
)
def test_impossible_physics(wrong, message):
    with pytest.raises(ValueError, match=message):
        EmulatorSettings(**wrong)


ONE_ELEMENT = """VERSION:    3.1A
ELEMENTS:              1
DATE:       Sep 26, 2000 14:12:59.859
CHANNELS:           4
ROIS:        2
REAL_TIME:          20.24
LIVE_TIME:          19.80
CAL_OFFSET:   1.0e-2
CAL_SLOPE:    2.0e-2
CAL_QUAD:     0.0
TWO_THETA:    10.0
ROI_0_LEFT:  1
ROI_0_RIGHT:  2
ROI_0_LABEL:  Fe Ka: the line &
ENVIRONMENT: 13IDC:m1.VAL="-0.5" (DATA: of the stage)
DATA:
       5
      10
       0
       1
"""


def test_an_ordinary_file_of_one_element():
    found = parse_mca(ONE_ELEMENT)
    assert found.counts.tolist() == [[5, 10, 0, 1]] and found.calibration.tolist() == [[0.01, 0.02, 0.0]]


@pytest.mark.parametrize(
    "change",
    [
        ("\n", "\r\n"),
        ("VERSION:    3.1A\n", ""),
        ("VERSION:", "\ufeffVERSION:"),
        ("ELEMENTS:              1\n", ""),
        ("CHANNELS:           4\n", ""),
        ("ELEMENTS:", "elements :"),
        ("DATA:\n       5\n", "DATA: 5\n"),
        ("      10\n", "      10.0\n\n# a remark\n"),
        ("      10\n", "\t1e1\t\n"),
        ("REAL_TIME:          20.24", "REALTIME: 20.24\nLIVETIME: 19\n$MEAS_TIM\nno colon here"),
        ("DATE:", "CHANNELS: 4\nDATE:"),
    ],
)
def test_files_may_be_written_in_many_ways(change):
    found = parse_mca(ONE_ELEMENT.replace(*change, 1) if change[0] != "\n" else ONE_ELEMENT.replace(*change))
    assert found.counts.tolist() == [[5, 10, 0, 1]] and found.calibration.tolist() == [[0.01, 0.02, 0.0]]


def test_columns_say_the_elements_and_one_calibration_serves_all():
    found = parse_mca("CAL_SLOPE: 0.02\nDATA:\n1, 2, 3\n4, 5, 6\n")
    assert found.counts.tolist() == [[1, 4], [2, 5], [3, 6]]
    assert found.calibration.tolist() == [[0.0, 0.02, 0.0]] * 3


@pytest.mark.parametrize("calibration", ["", "CAL_SLOPE:\n", "CAL_OFFSET: 0\nCAL_SLOPE: 0\nCAL_QUAD: 0\n"])
def test_an_uncalibrated_file_has_ten_electronvolts_per_channel(calibration):
    assert parse_mca(f"{calibration}DATA:\n1\n2\n").calibration.tolist() == [[0.0, 0.01, 0.0]]


@pytest.mark.parametrize(
    "change, message",
    [
        (("ELEMENTS:              1", "ELEMENTS: two"), "line 2: ELEMENTS: expected a number of 1..1024, found 'two'"),
        (("ELEMENTS:              1", "ELEMENTS: 0"), "line 2: ELEMENTS: expected a number"),
        (("CHANNELS:           4", "CHANNELS: 5"), "CHANNELS: 5 announced, 4 rows of data found"),
        (("      10", "      -1"), "line 18: expected 1 counts, found '-1'"),
        (("      10", "      1.5"), "line 18"),
        (("      10", "      4294967296"), "line 18"),
        (("      10", "      nan"), "line 18"),
        (("1.0e-2", "no"), "line 8: CAL_OFFSET: 'no' are not numbers"),
        (("2.0e-2", "inf"), "line 9: CAL_SLOPE: 'inf' are not all finite"),
        (("DATA:\n", "DATEN:\n"), "no DATA: line"),
        (("       5\n      10\n       0\n", ""), "fewer than two channels"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_exactly(change, message):
    with pytest.raises(ValueError, match=message):
        parse_mca(ONE_ELEMENT.replace(*change))


@pytest.mark.parametrize(
    "text, message",
    [
        ("CAL_SLOPE: -0.01\nDATA:\n1\n2\n", "does not rise"),
        ("CAL_OFFSET: 1000\nDATA:\n1\n2\n", "no counts between 0.00 and 40.96 keV"),
        ("DATA:\n0\n0\n", "no counts"),
    ],
)
def test_a_file_without_usable_energies(tmp_path, text, message):
    (tmp_path / "bad.mca").write_text(text)
    with pytest.raises(ValueError, match=message):
        probabilities(str(tmp_path / "bad.mca"))


@given(text=st.text(alphabet="0123456789.:e-, \nDATAELMNSCH", max_size=200))
def test_any_text_is_a_spectrum_or_a_clear_error(text):
    try:
        found = parse_mca(text)
    except ValueError as error:
        assert str(error)
    else:
        assert found.counts.shape[1] >= 2
