"""Points of a series: which are kept, and what stands where there are none."""

import numpy as np
import pytest

from xsp3ioc.stream.time_series import SHOWN, TimeSeries

SLOTS = (3, 7)


def series(length, **settings):
    made = TimeSeries(kinds=2)
    made.length, made.running = length, True
    for name, value in settings.items():
        setattr(made, name, value)
    return made


def feed(to, first, count, slots=SLOTS):
    """Frames whose number is in every value: time, slot / 8 and kind / 64 behind it."""
    numbers = np.arange(first, first + count, dtype=float)
    values = numbers[:, None, None] + np.array(slots)[:, None] / 8 + np.array([0, 1 / 64])
    to.add(numbers, values, slots)


def test_it_stops_when_it_is_full():
    one = series(10)
    feed(one, 0, 8)
    assert (one.points, one.running, one.full) == (8, True, False)
    feed(one, 8, 8)
    assert (one.points, one.running, one.full) == (10, False, True)
    feed(one, 16, 8)
    assert one.times().tolist() == list(range(10))
    assert one.values(7, 1).tolist() == [number + 7 / 8 + 1 / 64 for number in range(10)]


@pytest.mark.parametrize("step", [1, 16, 700, 5000])
def test_nothing_is_lost_between_the_pieces_of_memory(step):
    one = series(5000)
    for first in range(0, 5000, step):
        feed(one, first, step)
    assert one.points == 5000
    np.testing.assert_array_equal(one.times(), np.arange(5000))
    np.testing.assert_array_equal(one.values(3, 0), np.arange(5000) + 3 / 8)


@pytest.mark.parametrize(("length", "frames"), [(10, 7), (10, 10), (10, 25), (1500, 9000), (3, 2500)])
def test_a_circular_one_keeps_the_last(length, frames):
    one = series(length, circular=True)
    for first in range(0, frames, 7):
        feed(one, first, min(7, frames - first))
    assert one.running
    assert one.points == min(length, frames)
    np.testing.assert_array_equal(one.times(), np.arange(frames)[-length:])
    np.testing.assert_array_equal(one.values(7), np.arange(frames)[-length:] + 7 / 8)


def test_beyond_what_a_record_can_hold_points_are_only_counted():
    one = series(SHOWN + 100)
    feed(one, 0, SHOWN - 5)
    feed(one, SHOWN - 5, 50)
    assert (one.points, one.running) == (SHOWN + 45, True)
    assert len(one.times()) == SHOWN
    assert one.values(3)[-1] == SHOWN - 1 + 3 / 8
    feed(one, 0, 100)
    assert (one.points, one.running) == (SHOWN + 100, False)
    around = series(3 * SHOWN, circular=True)
    feed(around, 0, 2 * SHOWN)
    assert len(around.times()) == SHOWN
    assert around.times()[-1] == 2 * SHOWN - 1


def test_missing_frames_have_their_places():
    one = series(100)
    feed(one, 0, 3)
    one.skip(2, SLOTS)
    feed(one, 5, 3)
    np.testing.assert_array_equal(one.values(3), [0.375, 1.375, 2.375, np.nan, np.nan, 5.375, 6.375, 7.375])
    np.testing.assert_array_equal(one.times(), [0, 1, 2, np.nan, np.nan, 5, 6, 7])
    one.skip(10**9, SLOTS)
    assert (one.points, one.running) == (100, False)
    assert np.isnan(one.values(7)[8:]).all()


def test_an_roi_that_comes_into_use_later():
    one = series(100)
    feed(one, 0, 2, slots=(3,))
    feed(one, 2, 2, slots=(3, 7))
    feed(one, 4, 2, slots=(7,))
    assert one.values(3).tolist() == [0.375, 1.375, 2.375, 3.375, 0, 0]
    assert one.values(7).tolist() == [0, 0, 2.875, 3.875, 4.875, 5.875]
    assert one.values(0).tolist() == [0] * 6


@pytest.mark.parametrize("step", [1, 2, 7])
def test_points_of_several_frames(step):
    one = series(100, average=3)
    for first in range(0, 14, step):
        feed(one, first, min(step, 14 - first))
    assert one.times().tolist() == [2, 5, 8, 11]  # of the last frame of each
    assert one.values(3).tolist() == [1.375, 4.375, 7.375, 10.375]


@pytest.mark.parametrize(("first", "gap"), [(4, 1), (4, 2), (4, 4), (3, 3), (3, 1), (5, 1), (1, 10)])
def test_a_gap_does_not_shift_the_points_behind_it(first, gap):
    whole, one = (series(100, average=3) for _ in range(2))
    feed(whole, 0, 30)
    feed(one, 0, first)
    one.skip(gap, SLOTS)
    feed(one, first + gap, 30 - first - gap)
    expected = whole.values(3)
    expected[first // 3 : -(-(first + gap) // 3)] = np.nan
    np.testing.assert_array_equal(one.values(3), expected)


def test_before_the_first_point_there_is_nothing():
    one = TimeSeries(kinds=5)
    feed(one, 0, 5)  # it does not run
    assert (one.points, one.times().size, one.values(3).size) == (0, 0, 0)
    one.running = True
    feed(one, 0, 0)
    assert one.times().size == 0


def test_erased_it_goes_on():
    one = series(5)
    feed(one, 0, 3)
    one.erase()
    assert (one.points, one.running, one.times().size) == (0, True, 0)
    feed(one, 3, 3)
    assert one.times().tolist() == [3, 4, 5]
