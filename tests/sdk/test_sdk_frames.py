"""What frames hold: the relations between spectra and scalers, the physics, and that any process can say it."""

import hashlib
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sdk_bench import TICK, connect, internal, read, same

from xsp3ioc.sdk import EmulatorSettings, Scaler, Xspress3, expected_frames, timed_frame
from xsp3ioc.sdk.emulator.spectra import parse_mca, probabilities


def invariants(mca, scalers, ticks, threshold=50, windows=((0, 4095), (0, 4095))):
    counts = mca.astype(np.int64)
    scalers = scalers.astype(np.int64)
    total, events = counts.sum(-1), scalers[..., Scaler.all_event]
    assert (scalers[..., Scaler.all_good] == counts[..., threshold:].sum(-1)).all()
    for scaler, (low, high) in zip((Scaler.window0, Scaler.window1), windows, strict=True):
        assert (scalers[..., scaler] == counts[..., low : high + 1].sum(-1)).all()
    assert (total >= 0.98 * events).all() and (total <= events + 2).all()
    assert (scalers[..., [Scaler.ticks, Scaler.total_ticks]] == ticks).all()
    assert (scalers[..., Scaler.reset_ticks] <= ticks).all()
    assert (scalers[..., Scaler.pileup] <= events).all()
    resets, lost = scalers[..., Scaler.resets].ravel(), scalers[..., Scaler.reset_ticks].ravel()
    assert (np.diff(lost[np.argsort(resets, kind="stable")]) >= 0).all()


@pytest.mark.parametrize("product, channels, cards", [("xspress3", 4, 1), ("xspress4", 20, 2), ("mini", 2, 1)])
@pytest.mark.parametrize("ticks", [2, 8_000, 800_000])
def test_frames_of_a_run_keep_the_relations(product, channels, cards, ticks):
    handle, emulator, _ = connect(
        frames=256, product=product, channels=channels, cards=cards, pace="reader", count_rate=500_000.0
    )
    internal(handle, 256, ticks)
    handle.start()
    mca, scalers = read(handle, 0, 128)
    assert mca.shape == (128, channels, 4096)
    invariants(mca[:, : channels // cards], scalers[:, : channels // cards], ticks)
    expected = emulator.frames(0, 128)
    if ticks > 70:  # what the second card's filter lets through; its veto comes over a cable
        invariants(mca[:, channels // cards :], scalers[:, channels // cards :], ticks + 1)
        assert same((mca, scalers), expected)
    else:
        for found, all_cards in zip((mca, scalers), expected, strict=True):
            assert np.array_equal(found[:, : channels // cards], all_cards[:, : channels // cards])
            assert not found[:, channels // cards :].any()


def test_thresholds_and_windows_count_at_once():
    handle, emulator, _ = connect(pace="reader")
    internal(handle, 0, 800_000)
    handle.start()
    before = read(handle, 0, 8)
    handle.set_good_threshold(-1, 300)
    handle.set_window(-1, 0, 790, 810)
    handle.set_window(-1, 1, 4095, 4095)
    handle.set_window(2, 1, 0, 0)
    after = read(handle, 0, 8)
    assert np.array_equal(before[0], after[0])
    windows = np.array([[(790, 810), (4095, 4095)]] * 4)
    windows[2, 1] = 0, 0
    for channel in range(4):
        invariants(after[0][:, channel], after[1][:, channel], 800_000, 300, windows[channel])
    assert same(after, expected_frames(emulator.settings, 800_000, 0, 8, good_threshold=300, windows=windows))
    assert handle.window(2, 1) == (0, 0) and handle.window(3, 1) == (4095, 4095) and handle.good_threshold(1) == 300


@given(
    seed=st.integers(0, 2**40),
    rate=st.floats(0, 2e6),
    ticks=st.integers(1, 10**7),
    first=st.integers(0, 2**40),
    width=st.integers(0, 200),
)
@settings(max_examples=25)
def test_any_settings_keep_the_relations(seed, rate, ticks, first, width):
    chosen = EmulatorSettings(seed=seed, count_rate=rate, event_width=width, channels=2)
    invariants(*expected_frames(chosen, ticks, first, 4), ticks)
    invariants(*timed_frame(chosen, ticks, first), ticks)


def test_frames_differ_and_repeat():
    chosen = EmulatorSettings()
    mca, _ = expected_frames(chosen, 800_000, 0, 32)
    assert len({frame.tobytes() for frame in mca}) == 32
    assert len({frame.tobytes() for frame in mca[0]}) == 4
    assert same(expected_frames(chosen, 800_000, 7, 5), [a[7:12] for a in expected_frames(chosen, 800_000, 0, 32)])
    other = expected_frames(EmulatorSettings(seed=1), 800_000, 0, 32)[0]
    assert not (mca == other).all(axis=(1, 2)).any()


def test_blocks_that_cross_where_the_index_is_cached():
    chosen = EmulatorSettings(channels=1)
    mca, scalers = expected_frames(chosen, 8_000, 4090, 20)
    for offset in range(20):
        assert same(
            (mca[offset : offset + 1], scalers[offset : offset + 1]), expected_frames(chosen, 8_000, 4090 + offset, 1)
        )


def test_fewer_channels_hold_the_same():
    handle, emulator, _ = connect(channels=4, pace="reader")
    with Xspress3.configure(emulator, channels=2, frames=64) as fewer:
        assert fewer.channels == 2
        fewer.format()
        internal(fewer, 10, 80_000)
        fewer.start()
        mca, scalers = read(fewer, 0, 10)
    whole = expected_frames(emulator.settings, 80_000, 0, 10)
    assert same((mca, scalers), (whole[0][:, :2], whole[1][:, :2]))


def test_another_process_expects_the_same():
    code = (
        "import hashlib; from xsp3ioc.sdk import *;"
        "s = EmulatorSettings(seed=5, count_rate=(1e4, 1e5, 1e6), channels=3);"
        "print(hashlib.sha256(b''.join(a.tobytes() for a in expected_frames(s, 80000, 1000, 16))).hexdigest())"
    )
    found = {subprocess.run([sys.executable, "-c", code], check=True, capture_output=True).stdout for _ in range(2)}
    assert len(found) == 1
    chosen = EmulatorSettings(seed=5, count_rate=(1e4, 1e5, 1e6), channels=3)
    blocks = expected_frames(chosen, 80_000, 1000, 16)
    assert found.pop().decode().strip() == hashlib.sha256(b"".join(a.tobytes() for a in blocks)).hexdigest()


@pytest.mark.parametrize("rate", [1e4, 3e5, 2e6])
@pytest.mark.parametrize("width", [6, 60])
def test_the_dead_time_formula_gives_the_input_rate_back(rate, width):
    chosen = EmulatorSettings(channels=1, count_rate=rate, event_width=width)
    _, scalers = expected_frames(chosen, 8_000_000, 0, 200)
    summed = scalers.astype(np.float64).sum(axis=(0, 1))
    dead = summed[Scaler.all_event] * (width + 1) + summed[Scaler.reset_ticks]
    factor = summed[Scaler.ticks] / (summed[Scaler.ticks] - dead)
    measured = factor * summed[Scaler.all_event] / (summed[Scaler.ticks] * TICK)
    assert measured == pytest.approx(rate, rel=0.03)
    assert (factor > 1.5) == (rate * width > 1e8)


def test_pile_up_appears_at_the_sum_of_energies():
    slow, fast = (
        expected_frames(EmulatorSettings(channels=1, count_rate=rate, pileup_window=1e-7), 80_000_000, 0, 100)
        for rate in (1e3, 2e6)
    )
    shares = [mca[:, 0, 2000:].sum() / mca.sum() for mca, _ in (slow, fast)]
    assert shares[1] > shares[0]
    assert fast[1][..., Scaler.pileup].sum() / fast[1][..., Scaler.all_event].sum() == pytest.approx(0.18, abs=0.01)
    assert slow[1][..., Scaler.pileup].sum() < 0.01 * slow[1][..., Scaler.all_event].sum()


def test_long_frames_wrap_the_tick_counter():
    _, scalers = timed_frame(EmulatorSettings(channels=1, count_rate=10.0), 2**32 + 5, 0)
    assert scalers[0, Scaler.ticks] == scalers[0, Scaler.total_ticks] == 5


def test_the_packaged_spectrum_shows_the_standard_s_lines():
    shares = probabilities()
    assert shares.shape == (4, 4096)
    assert np.allclose(shares.sum(1), 1)
    for energy in (3.692, 4.952, 5.899, 6.930, 8.048):  # Ca, V, Mn, Co, Cu K alpha, keV
        line = round(energy * 100)
        beside = shares[:, [line - 25, line + 20]].mean(axis=1)
        assert (shares[:, line - 3 : line + 4].max(axis=1) > 2 * beside).all()


MCA_FILE = """VERSION: 3.1
ELEMENTS: 2
CHANNELS: 4
CAL_OFFSET: 1.0 2.0
CAL_SLOPE: 0.02 0.04
CAL_QUAD: 0 0
ROIS: 0 0
DATA:
 0 0
 10 0
 0 7
 0 0
"""


def test_a_user_s_spectrum(tmp_path):
    path = tmp_path / "mine.mca"
    path.write_text(MCA_FILE)
    shares = probabilities(str(path))
    assert shares.shape == (2, 4096)
    assert (shares @ (np.arange(4096) + 0.5) / 100) == pytest.approx([1.02, 2.08])
    mca, _ = expected_frames(EmulatorSettings(channels=3, spectrum=str(path), pileup_window=0.0), 800_000, 0, 10)
    assert not np.delete(mca[:, [0, 2]], [101, 102], axis=-1).any()
    assert mca[:, 1, 206:210].sum() == mca[:, 1].sum() > 0


@pytest.mark.parametrize(
    "change, message",
    [
        (("DATA:", "DATEN:"), "no DATA: line"),
        ((" 10 0", " 10"), "line 10: expected 2 counts, found '10'"),
        ((" 10 0", " ten 0"), "line 10"),
        (("0.02 0.04", "0.02 0.04 0.05"), "line 5: CAL_SLOPE: expected 2 numbers, found 3"),
    ],
)
def test_damaged_spectrum_files_are_explained(change, message):
    with pytest.raises(ValueError, match=message):
        parse_mca(MCA_FILE.replace(*change))
