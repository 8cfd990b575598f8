"""Window counts of every frame of a series: what is kept, for how long, and what is said of the rest."""

import numpy as np
import pytest

from xsp3ioc.stream.blocks import FRAME_DTYPE, Block, FrameStatus
from xsp3ioc.stream.formulas import Scaler
from xsp3ioc.stream.frame_ranges import NotKept
from xsp3ioc.stream.window_counts import PIECE_BYTES, WindowCounts

CHANNELS = 2
PIECE = PIECE_BYTES // (CHANNELS * 16)


def block(first, frames):
    """Of frame f and channel c: 10 f + c counts in window 1, 1000 more in window 2; the factor is 1.5 or 2."""
    scalers = np.zeros((frames, CHANNELS, 9), np.uint32)
    scalers[..., Scaler.total_ticks] = 80
    numbers = np.arange(first, first + frames, dtype=np.uint32)[:, np.newaxis] * 10 + np.arange(CHANNELS)
    scalers[..., Scaler.window1], scalers[..., Scaler.window2] = numbers, numbers + 1000
    factors = np.broadcast_to([1.5, 2.0], (frames, CHANNELS)).copy()
    mca = np.zeros((frames, CHANNELS, 1), np.uint32)
    return Block(1, first, mca, scalers, factors, np.zeros(frames, FRAME_DTYPE))


@pytest.fixture
def counts():
    counts = WindowCounts(CHANNELS)
    counts.enabled = True
    counts.begin()
    return counts


def test_worked_example(counts):
    counts.add(block(0, 3))
    counts.add(block(3, 2))
    assert counts.raw(0, 0, range(5)).tolist() == [0, 10, 20, 30, 40]
    assert counts.raw(0, 1, range(2, 4)).tolist() == [21, 31]
    assert counts.raw(1, 0, range(1, 2)).tolist() == [1010]
    assert counts.corrected(0, 0, range(1, 3)).tolist() == [15.0, 30.0]
    assert counts.corrected(1, 1, range(4, 5)).tolist() == [2082.0]
    assert (counts.raw(0, 0, range(1)).dtype, counts.corrected(0, 0, range(1)).dtype) == (np.int64, np.float64)


def test_no_counts_of_frames_to_come(counts):
    assert counts.raw(0, 0, range(2)).tolist() == [-1, -1]
    counts.add(block(0, 2))
    assert counts.raw(0, 0, range(1, 4)).tolist() == [10, -1, -1]
    assert counts.corrected(0, 1, range(1, 4)).tolist() == [22.0, -1, -1]
    assert counts.raw(0, 0, range(7, 9)).tolist() == [-1, -1]
    assert counts.raw(0, 0, range(2, 2)).tolist() == []


def test_no_counts_of_frames_that_were_lost(counts):
    counts.add(block(0, 2))
    lost = block(2, 4)
    lost.frames["status"][1] = FrameStatus.overrun
    lost.scalers[1] = 0
    lost.frames["status"][2] = FrameStatus.missing
    lost.scalers[2, 1] = 0  # of this channel only
    counts.add(lost)
    counts.add(block(9, 1))  # 6, 7 and 8 were left out
    assert counts.raw(0, 0, range(1, 11)).tolist() == [10, 20, -1, 40, 50, -1, -1, -1, 90, -1]
    assert counts.raw(0, 1, range(2, 6)).tolist() == [21, -1, -1, 51]
    assert counts.corrected(0, 1, range(2, 6)).tolist() == [42, -1, -1, 102]


def test_large_counts_stay_whole(counts):
    one = block(0, 1)
    one.scalers[0, 0, Scaler.window1] = 2**32 - 1
    counts.add(one)
    assert counts.raw(0, 0, range(1)).tolist() == [2**32 - 1]


def test_a_series_begins_anew(counts):
    counts.add(block(0, 5))
    counts.begin()
    assert counts.raw(0, 0, range(2)).tolist() == [-1, -1]
    counts.add(block(0, 1))
    assert counts.raw(0, 0, range(2)).tolist() == [0, -1]


def test_nothing_is_kept_unless_asked_for(counts):
    counts.enabled = False
    counts.add(block(0, 1))
    assert counts.raw(0, 0, range(1)).tolist() == [0]  # this series was begun before
    counts.begin()
    counts.add(block(0, 1))
    assert counts.raw(0, 0, range(1)).tolist() == [-1]
    assert not counts._pieces


def test_any_blocks_give_the_same(counts):
    rng = np.random.default_rng(3)
    end = 2 * PIECE + 100
    first = 0
    while first < end:
        size = min(int(rng.integers(1, PIECE)), end - first)
        counts.add(block(first, size))
        first += size
    np.testing.assert_array_equal(counts.raw(0, 1, range(end)), np.arange(end) * 10 + 1)
    middle = range(PIECE - 3, PIECE + 3)
    np.testing.assert_array_equal(counts.raw(1, 0, middle), np.array(middle) * 10 + 1000)


def test_the_oldest_go_when_there_are_too_many():
    counts = WindowCounts(CHANNELS, most_bytes=2 * PIECE_BYTES)
    counts.enabled = True
    counts.begin()
    for piece in range(3):
        counts.add(block(piece * PIECE, PIECE))
    assert len(counts._pieces) == 2
    assert counts.kept == range(PIECE, 3 * PIECE)
    with pytest.raises(NotKept) as refused:
        counts.raw(0, 0, range(PIECE - 2, PIECE + 2))
    assert str(refused.value) == (
        f"Counts of frames {PIECE - 1}..{PIECE} are not kept any more; there are frames {PIECE + 1}..{3 * PIECE}, "
        "counted from 1"
    )
    assert counts.raw(0, 0, range(PIECE, PIECE + 2)).tolist() == [PIECE * 10, PIECE * 10 + 10]


@pytest.mark.parametrize("channel", [-1, 2])
def test_there_is_no_such_channel(counts, channel):
    with pytest.raises(ValueError, match=f"channel {channel} is not in 0..1"):
        counts.raw(0, channel, range(1))
