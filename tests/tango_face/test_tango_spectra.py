"""Spectra over Tango, any range of frames, against what the stream delivered of the same frames."""

from __future__ import annotations

import time

import numpy as np
import pytest
from tango_frames import ReaderPair

CHANNELS, BINS = 4, 4096
RING = 256
PER_FRAME = CHANNELS * BINS


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    detector = {"emulate": True, "channels": CHANNELS, "ring_frames": RING}
    pair = ReaderPair(tmp_path_factory.mktemp("spectra"), detector=detector, emulator={"count_rate": 2e6})
    yield pair
    pair.end()
    assert pair.server.process.returncode == 0


def test_there_are_none_before_the_first_series(pair):
    for command in ("ReadSpectra", "ReadSpectrumSum"):
        answer = pair.tango.ask(command, 0, 1, 1)
        assert answer == "NotKept: No series was read since the detector was connected or erased; there are none"
    assert not any("Counts" in name for name in pair.tango.commands())  # nobody has asked for those


@pytest.mark.parametrize("frames", [40, RING * 5 // 2])
def test_any_range_of_frames(pair, frames):
    mca, _, _, _ = pair.acquire(frames)
    oldest = max(0, frames - RING)
    for first, last in ((oldest, frames), (frames - 1, frames), (oldest + 3, oldest + 30), (frames - 39, frames - 2)):
        numbers = first + 1, last
        found = pair.tango.ask("ReadSpectra", -1, *numbers)
        assert found.dtype == np.uint32
        np.testing.assert_array_equal(found.reshape(-1, CHANNELS, BINS), mca[first:last])
        total = pair.tango.ask("ReadSpectrumSum", -1, *numbers)
        assert total.dtype == np.uint64
        np.testing.assert_array_equal(total, mca[first:last].sum(axis=(0, 1)))
        for channel in (0, 3):
            found = pair.tango.ask("ReadSpectra", channel, *numbers)
            np.testing.assert_array_equal(found.reshape(-1, BINS), mca[first:last, channel])
            total = pair.tango.ask("ReadSpectrumSum", channel, *numbers)
            np.testing.assert_array_equal(total, mca[first:last, channel].sum(axis=0))
    first = pair.tango.ask("ReadSpectra", 1, -7, 0 if oldest else 1)
    if not oldest:
        np.testing.assert_array_equal(first, mca[0, 1])


def test_what_is_gone_is_refused(pair):
    frames = RING + 100
    pair.acquire(frames)
    there = f"there are frames 101..{frames}, counted from 1"
    for command in ("ReadSpectra", "ReadSpectrumSum"):
        for asked, what in (
            ((2, 100, 120), "Frame 100 of series {} is not in the circular buffer any more"),
            ((-1, 1, 200), "Frame 1 of series {} is not in the circular buffer any more"),
            ((0, frames, frames + 3), "Series {} has no " + f"frames {frames + 1}..{frames + 3} yet"),
            ((0, frames + 1, frames + 1), "Series {} has no " + f"frame {frames + 1} yet"),
        ):
            words = what.format(pair.keeper.ended())
            assert pair.tango.ask(command, *asked) == f"NotKept: {words}; {there}"


def test_after_many_short_series(pair):
    """The same slots, the same numbers: what is returned is the last series' alone."""
    for exposure in (0.001, 0.002, 0.001, 0.003):
        mca, _, _, _ = pair.acquire(3, exposure)
        found = pair.tango.ask("ReadSpectra", -1, 1, 3).reshape(-1, CHANNELS, BINS)
        np.testing.assert_array_equal(found, mca)
        assert "has no frame 4 yet" in pair.tango.ask("ReadSpectra", -1, 2, 4)


OVERWRITTEN_NOW = RING - 14


@pytest.mark.parametrize(
    "command, back", [("ReadSpectra", 0), ("ReadSpectrumSum", RING // 2), ("ReadSpectra", OVERWRITTEN_NOW)]
)
def test_while_a_series_runs(pair, command, back):
    """Latest frames, and those that are just being overwritten: their own, or a refusal; and nothing is lost."""
    length, frames = 8, 500
    before = pair.keeper.ended()
    pair.set(frames, 0.003)
    assert pair.tango.run("Arm") == ""
    answers = pair.tango.ask_until_over(command, back, length)
    mca, _, _, status = pair.keeper.frames(before + 1)
    assert len(mca) == frames
    assert not status.any()
    good = [(first - 1, found) for first, found in answers if not isinstance(found, str)]
    for first, found in good:
        expected = mca[first : first + length]
        if command == "ReadSpectra":
            np.testing.assert_array_equal(found.reshape(expected.shape), expected)
        else:
            np.testing.assert_array_equal(found, expected.sum(axis=(0, 1)))
    for _, found in answers:
        assert not isinstance(found, str) or "is not in the circular buffer any more; there are frames" in found
    assert len(answers if back == OVERWRITTEN_NOW else good) > 5
    assert pair.ca.get("det1:ArrayCounter_RBV") == frames


def test_state_and_stop_answer_meanwhile(pair):
    pair.set(100_000, 0.002)
    assert pair.tango.run("Arm") == ""
    pair.ca.wait_above("det1:ArrayCounter_RBV", RING)
    pair.tango.tell("ask_until_over", "ReadSpectra", 0, 100)
    time.sleep(0.3)
    assert pair.ca.put("det1:Acquire", 0)[0] == 1  # long before the series would end by itself
    assert pair.tango.answer()
    pair.tango.wait_for("STANDBY")


def test_what_can_be_asked_for_is_said(pair):
    pair.acquire(3)
    ask = pair.tango.ask
    takes = "takes three numbers, channel (from 0), first and last frame (from 1, the last one included); not "
    for command, most in (("ReadSpectra", 64 << 20), ("ReadSpectrumSum", 256 << 20)):
        for asked in ((), (0,), (0, 1, 2, 3)):
            assert ask(command, *asked) == f"ValueError: {command} {takes}{len(asked)}"
        for channel in (-2, CHANNELS, -(2**63), 2**62):
            assert ask(command, channel, 1, 2) == f"ValueError: channel {channel} is not in 0..3, and not -1 for all"
        assert ask(command, 0, 3, 2).endswith("the last frame, 2, is before the first, 3; they count from 1")
        assert ask(command, 0, 1, 10_000_000) == (
            f"ValueError: frames 1..10000000 of 1 channel are 10000000 frames, more than {most // (BINS * 4)} at once"
        )
        assert f"more than {most // (PER_FRAME * 4)} at once" in ask(command, -1, 1, 2**63 - 1)
    assert len(ask("ReadSpectra", 0, 1, 3)) == 3 * BINS


@pytest.mark.parametrize("record", ["ERASE", "CONNECT"])
def test_what_is_erased_or_closed_is_refused(pair, record):
    pair.acquire(3)
    assert pair.ca.put(f"det1:{record}", 1)[0] == 1
    assert pair.tango.ask("ReadSpectra", 0, 1, 3).startswith("NotKept: No series was read")
    pair.acquire(2)
    assert len(pair.tango.ask("ReadSpectra", 0, 1, 2)) == 2 * BINS
