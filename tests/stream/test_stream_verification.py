"""Frames that were overwritten, or never came, are told from those that are whole."""

import numpy as np
import pytest

from xsp3ioc.sdk import STATUS_DTYPE
from xsp3ioc.stream.blocks import FrameStatus, frame_bytes, lay_out
from xsp3ioc.stream.verification import runs, verify, whole

CHANNELS, FRAMES, FIRST = 2, 6, 100


@pytest.fixture
def status():
    status = np.zeros((CHANNELS, FRAMES), STATUS_DTYPE)
    status["time_frame"] = np.arange(FIRST, FIRST + FRAMES)
    return status


def test_whole_frames_are_no_news(status):
    assert verify(status, FIRST) is None


def test_each_channel_counts(status):
    status["time_frame"][1, 2] += 64  # overwritten on the second channel only
    status["time_frame"][0, 4] = -1  # never came on the first
    status["time_frame"][1, 5] -= 64
    faulty = verify(status, FIRST)
    assert faulty.overrun.tolist() == [False, False, True, False, False, False]
    assert faulty.missing.tolist() == [False, False, False, False, True, True]
    arrays = lay_out(np.ones(FRAMES * frame_bytes(CHANNELS, 8), np.uint8), FRAMES, CHANNELS, 8)
    arrays.frames["status"] = FrameStatus.valid
    faulty.blank(arrays)
    zero = ~arrays.mca.any(axis=2)
    assert zero.tolist() == [[False] * 2, [False] * 2, [True] * 2, [False] * 2, [True, False], [False, True]]
    assert np.array_equal(zero, ~arrays.scalers.any(axis=2))
    assert arrays.frames["status"].tolist() == [0, 0, 1, 0, 2, 2]
    assert faulty.before(4).missing.tolist() == [False] * 4


def test_an_overwritten_frame_is_not_missing_too(status):
    status["time_frame"][:, 0] = [FIRST + 64, -1]
    faulty = verify(status, FIRST)
    assert (faulty.overrun[0], faulty.missing[0]) == (True, False)


def test_what_a_channel_has_that_does_not_count_is_not_the_frames(status):
    status["time_frame"][1, 1] -= 64
    status["time_frame"][1, 2] += 64
    status["time_frame"][:, 4] = -1
    faulty = verify(status, FIRST, np.array([True, False]))
    assert not faulty.overrun.any()
    assert faulty.missing.tolist() == [False] * 4 + [True, False]
    arrays = lay_out(np.ones(FRAMES * frame_bytes(CHANNELS, 8), np.uint8), FRAMES, CHANNELS, 8)
    faulty.blank(arrays)
    zero = ~arrays.mca.any(axis=2)
    # Its data are zero where they are another frame's, as everybody's are.
    assert zero.tolist() == [[False] * 2, [False, True], [False, True], [False] * 2, [True] * 2, [False] * 2]
    assert verify(status[:1, :4], FIRST, np.array([True])) is None
    assert not verify(status, FIRST, np.zeros(CHANNELS, bool)).missing.any()


def test_complete_frames_are_counted_up_to_the_first_that_is_not(status):
    both, first = np.array([True, True]), np.array([True, False])
    status["state"] = 1
    assert whole(status, FIRST, both) == FRAMES
    status["state"][0, 4] = 0  # acknowledged a lap before, and not begun
    status["time_frame"][1, 2:] = -1
    assert whole(status, FIRST, both) == 2
    assert whole(status, FIRST, first) == 4
    status["time_frame"][0, 0] += 64  # overwritten: it was complete
    assert whole(status, FIRST, first) == 4


def test_runs():
    assert runs(np.array([1, 1, 0, 1, 0, 0, 1, 1, 1], bool)) == [(0, 1), (3, 3), (6, 8)]
    assert runs(np.zeros(4, bool)) == []
