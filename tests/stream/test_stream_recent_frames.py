"""Frames read once more from the circular buffer: those that were asked for, or a word on which there are."""

import threading
import time
from contextlib import contextmanager

import numpy as np
import pytest
from stream_core import MILLISECOND, running_core

from xsp3ioc.sdk import Faults
from xsp3ioc.sdk.emulator.faults import Picked
from xsp3ioc.stream.frame_ranges import NotKept
from xsp3ioc.stream.recent_frames import ALL_CHANNELS, MOST_BYTES, MOST_SUMMED

RING = 64
FRAMES = 150


@contextmanager
def small_ring(**settings):
    with running_core(seed=7, **settings) as core:
        core.put("frames_config", RING)
        core.put("connect", True)
        yield core


@pytest.fixture
def core():
    """However late the acquisition comes, nothing is overwritten before it is read."""
    with small_ring(pace="reader") as core:
        yield core


def spectra(core, *arguments):
    return core.detector.recent_frames.spectra(*arguments)


def refusal(core, *arguments):
    with pytest.raises(NotKept) as refused:
        spectra(core, *arguments)
    return str(refused.value)


def test_frames_of_the_last_series(core):
    assert refusal(core, 0, range(1)) == (
        "No series was read since the detector was connected or erased; there are none"
    )
    core.acquire(40)
    mca, _ = core.frames(40)
    np.testing.assert_array_equal(spectra(core, ALL_CHANNELS, range(40)), mca)
    np.testing.assert_array_equal(spectra(core, 2, range(5, 30)), mca[5:30, 2:3])
    total = core.detector.recent_frames.spectrum_sum
    np.testing.assert_array_equal(total(1, range(3, 40)), mca[3:, 1].sum(axis=0))
    np.testing.assert_array_equal(total(ALL_CHANNELS, range(40)), mca.sum(axis=(0, 1)))
    # The next one is another series from its beginning on, whatever the slots' numbers.
    core.acquire(7, exposure=0.002)
    mca, _ = core.frames(7, ticks=2 * MILLISECOND)
    np.testing.assert_array_equal(spectra(core, ALL_CHANNELS, range(7)), mca)
    number = core.detector.recent_frames._source[1].id
    assert refusal(core, 0, range(5, 9)) == (
        f"Series {number} has no frames 8..9 yet; there are frames 1..7, counted from 1"
    )


def test_across_the_end_of_the_buffer(core):
    core.acquire(RING * 5 // 2)
    first, end = RING * 3 // 2, RING * 5 // 2
    mca, _ = core.frames(RING, first)
    np.testing.assert_array_equal(spectra(core, ALL_CHANNELS, range(first, end)), mca)
    np.testing.assert_array_equal(spectra(core, 3, range(RING * 2 - 5, RING * 2 + 5)), mca[27:37, 3:])
    total = core.detector.recent_frames.spectrum_sum(3, range(first, end))
    np.testing.assert_array_equal(total, mca[:, 3].sum(axis=0))
    series = core.detector.recent_frames._source[1].id
    kept = f"there are frames {first + 1}..{end}, counted from 1"
    gone = f"Frame {first} of series {series} is not in the circular buffer any more"
    assert refusal(core, ALL_CHANNELS, range(first - 1, end)) == f"{gone}; {kept}"
    assert refusal(core, 0, range(2)).startswith("Frame 1 of")
    assert core.detector.recent_frames.spectrum_sum(0, range(end - 1, end)).sum()


def test_while_a_series_runs():
    """What is returned is its frames, and nothing is lost by reading them."""
    with small_ring() as core:
        core.set(frames=FRAMES, exposure_time=0.02)
        put = core.detector.put("acquire", True)
        put.begun.result(20)
        got = 0
        while not put.done():
            time.sleep(0.005)  # the acquisition shares the interpreter with this
            end = core.detector.series.next if core.detector.series else 0
            if end < 10:
                continue
            frames = range(max(0, end - RING), end - RING // 3) if got % 2 else range(max(0, end - 10), end)
            try:
                found = spectra(core, ALL_CHANNELS, frames)
            except NotKept:
                continue
            if len(frames):
                np.testing.assert_array_equal(found, core.frames(len(frames), frames.start, 20 * MILLISECOND)[0])
            got += 1
        put.result(0)
        assert got > 5
        assert core.get("frames_acquired") == FRAMES
        assert core.get("frames_missing") == 0


def test_not_those_of_another_series(core):
    """A series that begins while frames are read ends the reading, even if the same numbers come again."""
    core.acquire(40)
    recent = core.detector.recent_frames
    sdk, last = recent._source
    reading = recent._read(sdk, last, 0, range(40), np.empty((8, 1, 4096), np.uint32))
    next(reading)
    core.acquire(40)
    with pytest.raises(NotKept, match=f"has taken the place of series {last.id}"):
        next(reading)


@pytest.mark.parametrize("command", ["erase", "disconnect", "connect"])
def test_what_is_erased_or_closed_is_not_read(core, command):
    core.acquire(4)
    core.put(command, True)
    assert refusal(core, 0, range(4)).startswith("No series was read since")


def test_a_close_waits_for_a_reader(core):
    core.acquire(40)
    recent = core.detector.recent_frames
    closed = threading.Event()
    with recent._reading:
        put = core.detector.put("disconnect", True)
        put.add_done_callback(lambda _: closed.set())
        assert not closed.wait(0.2)
    assert closed.wait(30)


def test_one_at_a_time(core, monkeypatch):
    monkeypatch.setattr("xsp3ioc.stream.recent_frames.PATIENCE", 0.05)
    core.acquire(4)
    with core.detector.recent_frames._reading, pytest.raises(TimeoutError, match="Another client"):
        spectra(core, 0, range(4))
    spectra(core, 0, range(4))


@pytest.mark.parametrize("channel", [-2, 4])
def test_there_is_no_such_channel(core, channel):
    core.acquire(1)
    with pytest.raises(ValueError, match=rf"channel {channel} is not in 0..3, and not -1 for all"):
        spectra(core, channel, range(1))


def test_too_much_at_once(core):
    core.acquire(1)
    most = MOST_BYTES // (4096 * 4)
    with pytest.raises(ValueError, match=rf"frames 1..{most + 1} of 1 channel are {most + 1} frames, more than {most}"):
        spectra(core, 0, range(most + 1))
    with pytest.raises(ValueError, match=f"more than {most // 4} at once"):
        spectra(core, -1, range(most))
    with pytest.raises(ValueError, match=f"more than {MOST_SUMMED // (4096 * 4)} at once"):
        core.detector.recent_frames.spectrum_sum(0, range(10_000_000))


def test_a_frame_that_was_lost():
    with running_core(seed=7, faults=Faults(missing=Picked(frames=(3,), channels=(1,)))) as core:
        core.acquire(10)
        number = core.detector.recent_frames._source[1].id
        assert refusal(core, ALL_CHANNELS, range(2, 6)) == (
            f"Frame 4 of series {number} was lost: missing; there are frames 5..10, counted from 1"
        )
        assert refusal(core, 1, range(3, 4)).startswith("Frame 4 of series")
        mca, _ = core.frames(10)
        # What the other channels have of it is its own.
        np.testing.assert_array_equal(spectra(core, 0, range(10)), mca[:, :1])
        core.put("enabled", 0, 1)
        core.acquire(10)
        mca[3, 1] = 0  # as the stream has it, where the channel does not count
        np.testing.assert_array_equal(spectra(core, ALL_CHANNELS, range(10)), mca)
