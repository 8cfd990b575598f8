"""The ring: wrap, overrun, overwriting under a reader's hands, acknowledging of every kind."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sdk_bench import TICK, connect, internal, read, same, status

from xsp3ioc.sdk import ErrorFlag, RunFlag, Xspress3Error, expected_frames
from xsp3ioc.sdk.cdef import ffi
from xsp3ioc.sdk.emulator.ring import NEVER, DoubleAcknowledge, Ring

PERIOD = 1000 + 80


def running(frames=8, **settings):
    handle, emulator, clock = connect(frames=frames, **settings)
    internal(handle, 0, 1000)
    handle.start()
    return handle, emulator, clock


def until(clock, handle, frames):
    while handle.progress().frames < frames:
        clock.ticks(PERIOD // 2)


def test_an_acknowledged_ring_goes_round_without_loss():
    handle, emulator, clock = running()
    for first in range(0, 80, 4):
        until(clock, handle, first + 4)
        assert status(handle, first, 4)["state"].tolist() == [1] * 4
        assert same(read(handle, first, 4), expected_frames(emulator.settings, 1000, first, 4))
        assert status(handle, first, 4)["time_frame"].tolist() == list(range(first, first + 4))
        handle.acknowledge(first, 4)
        assert status(handle, first, 4)["state"].tolist() == [0] * 4
    assert handle.progress().flags == 0 and handle.overrun() == (0, -1)


def test_overwriting_begins_with_the_frame_that_starts_a_lap_later():
    handle, emulator, clock = running()
    until(clock, handle, 8)  # frame 8 begins within the next gap
    clock.ticks(80)
    assert handle.progress().frames == 8
    assert handle.overrun() == (1, 0)
    assert handle.progress().flags == ErrorFlag.circular_overrun
    found = status(handle, 0, 8)
    assert found["time_frame"].tolist() == [8, 1, 2, 3, 4, 5, 6, 7]
    assert found["state"].tolist() == [2] + [1] * 7
    mca, _ = read(handle, 0, 8)
    expected = expected_frames(emulator.settings, 1000, 0, 9)[0]
    assert np.array_equal(mca[1:], expected[1:8]) and np.array_equal(mca[0], expected[8])


def test_overruns_are_counted_from_the_first():
    handle, _, clock = running()
    until(clock, handle, 3)
    handle.acknowledge(0, 3)
    until(clock, handle, 100)
    count, first = handle.overrun()
    begun = handle.progress().frames + 1
    assert first == 3 and count in (begun - 8 - 3, begun - 1 - 8 - 3)
    assert handle.progress().flags & ErrorFlag.circular_overrun


def test_what_is_overwritten_during_a_read_is_wrong_and_only_the_status_tells():
    handle, emulator, clock = running(faults={"slow_read": 4.5 * PERIOD * TICK}, count_rate=2e7)
    until(clock, handle, 6)
    mca, _ = read(handle, 0, 6)
    numbers = status(handle, 0, 6)["time_frame"]
    right = expected_frames(emulator.settings, 1000, 0, 6)[0]
    kept = numbers == np.arange(6)
    assert 0 < kept.sum() < 6
    assert np.array_equal(mca[kept], right[kept])
    for index in np.flatnonzero(~kept):
        assert numbers[index] == index + 8
        assert not np.array_equal(mca[index], right[index])


def test_a_block_may_not_straddle_the_end_of_the_ring():
    handle, _, clock = running()
    until(clock, handle, 8)
    with pytest.raises(ValueError, match="straddle the end of the ring of 8"):
        read(handle, 6, 4)
    with pytest.raises(ValueError, match="straddle"):
        status(handle, 15, 2)


def test_frame_numbers_beyond_32_bits():
    handle, emulator, clock = running(frames=64, pace="reader", ahead=64)
    first = 2**32 + 64
    handle._lib._systems[0].run.ring.begun = handle._lib._systems[0].run.ring._oldest = first
    handle.acknowledge(first - 8, 8)
    assert handle.progress().frames == first + 64
    assert status(handle, first, 64)["time_frame"].tolist() == list(range(first, first + 64))
    assert same(read(handle, first, 16), expected_frames(emulator.settings, 1000, first, 16))


@pytest.mark.parametrize(
    "odd", [(0xFFFFFFFF, 1), (0xFFFFFFFF, 0xFFFFFFFF), (5, 1000), (123_456_789, 3), (0, 0), (7, 2)]
)
def test_odd_acknowledgements_are_survived(odd):
    handle, _, clock = running()
    until(clock, handle, 2)
    frame, frames = odd
    assert handle._lib.xsp3_histogram_circ_ack(0, 0, frame, 4, frames) == 0
    until(clock, handle, 30)
    assert status(handle, 0, 8)["time_frame"].min() > 20


def test_acknowledging_some_channels_frees_only_those():
    handle, _, clock = running()
    until(clock, handle, 4)
    handle._lib.xsp3_histogram_circ_ack(0, 1, 0, 2, 4)
    assert [status(handle, 0, 4, channel)["state"].tolist() for channel in range(4)] == [
        [1] * 4,
        [0] * 4,
        [0] * 4,
        [1] * 4,
    ]
    until(clock, handle, 12)
    worst, first = handle.overrun()
    assert worst >= 4 and first == 0
    assert handle._lib.xsp3_histogram_get_circ_overrun(0, 1, ffi.NULL) == worst - 4


def test_where_acknowledging_is_compulsory_an_overrun_stops_the_run():
    handle, emulator, clock = running(product="mini", channels=2)
    until(clock, handle, 8)
    clock.ticks(100 * PERIOD)
    assert handle.progress() == (8, 8, ErrorFlag.histogram_overrun)
    assert handle.overrun() == (1, 0) and not handle.busy
    assert same(read(handle, 0, 8), expected_frames(emulator.settings, 1000, 0, 8))


def test_where_acknowledging_is_compulsory_twice_is_an_error():
    handle, _, clock = running(product="mini", channels=2)
    until(clock, handle, 2)
    handle.acknowledge(0, 1)
    with pytest.raises(Xspress3Error, match="already acknowledged"):
        handle.acknowledge(0, 2)


def test_a_run_ends_the_overruns_of_the_one_before():
    handle, _, clock = running()
    clock.ticks(100 * PERIOD)
    assert handle.overrun()[0] > 0
    handle.stop()
    handle.set_run_flags(RunFlag.scalers | RunFlag.histogram | RunFlag.circular)
    handle.start()
    assert handle.overrun() == (0, -1) and handle.progress().flags == 0


class PlainRing:
    """The same bookkeeping, frame by frame."""

    def __init__(self, frames):
        self.uses = [0] * frames
        self.holds = [NEVER] * frames
        self.begun = 0
        self.overruns = 0
        self.first = NEVER

    def advance(self, begun):
        while self.begun < begun:
            slot = self.begun % len(self.uses)
            if self.uses[slot]:
                self.overruns += 1
                self.first = self.holds[slot] if self.first == NEVER else self.first
            self.uses[slot] += 1
            self.holds[slot] = self.begun
            self.begun += 1

    def acknowledge(self, frame, count):
        nearest = min(range(frame - 2**32, frame + 2**33, 2**32), key=lambda number: (abs(number - self.begun), number))
        for number in range(nearest, nearest + min(count, 50)):
            if number >= 0:
                self.uses[number % len(self.uses)] = 0

    def oldest(self):
        waiting = [n for n, used in zip(self.holds, self.uses, strict=True) if used]
        return min(waiting, default=self.begun)


@pytest.mark.parametrize("begun", [20, 2**32 - 3, 2**32, 2**32 + 2, 2**32 + 20, 5 * 2**32 + 7])
@pytest.mark.parametrize("back", [10, 7, 5])
def test_a_ring_of_no_power_of_two_beyond_32_bits(begun, back):
    ring = Ring(10, 1, begun - 10)
    ring.advance(begun)
    ring.acknowledge(begun - back & 0xFFFFFFFF, 5, 0, 1)
    freed = np.flatnonzero(ring.uses(0, 10, 0) == 0)
    assert set(freed) == {(begun - back + index) % 10 for index in range(5)}


@pytest.mark.parametrize("compulsory", [False, True])
def test_frames_before_the_first_free_no_slot(compulsory):
    ring = Ring(10, 1, compulsory=compulsory)
    ring.advance(10)
    for count in (1, 3):
        if compulsory:
            with pytest.raises(DoubleAcknowledge):
                ring.acknowledge(0xFFFFFFFF, count, 0, 1)
        else:
            ring.acknowledge(0xFFFFFFFF, count, 0, 1)
    assert ring.uses(0, 10, 0).tolist() == ([1] * 10 if compulsory else [0, 0] + [1] * 8)


def test_a_refused_acknowledgement_frees_nothing():
    ring = Ring(10, 1, compulsory=True)
    ring.advance(10)
    ring.acknowledge(0, 3, 0, 1)
    ring.advance(12)
    for frame, count in ((8, 5), (11, 3), (0, 11)):
        with pytest.raises(DoubleAcknowledge):
            ring.acknowledge(frame, count, 0, 1)
        assert ring.uses(0, 10, 0).tolist() == [1, 1, 0] + [1] * 7


steps = st.lists(
    st.one_of(
        st.tuples(st.just("advance"), st.integers(0, 60)),
        st.tuples(st.just("next"), st.integers(1, 5)),
        st.tuples(st.just("acknowledge"), st.integers(0, 2**32 - 1), st.integers(0, 40)),
    ),
    max_size=40,
)


@given(frames=st.integers(1, 17), steps=steps)
def test_the_ring_agrees_with_plain_bookkeeping(frames, steps):
    ring, plain = Ring(frames, 4), PlainRing(frames)
    next_frame = 0
    for step in steps:
        if step[0] == "advance":
            begun = plain.begun + step[1]
            ring.advance(begun)
            plain.advance(begun)
        elif step[0] == "next":
            ring.acknowledge(next_frame, step[1], 0, 4)
            plain.acknowledge(next_frame, step[1])
            next_frame += step[1]
        else:
            ring.acknowledge(step[1], step[2], 0, 4)
            plain.acknowledge(step[1], step[2])
        assert ring.begun == plain.begun
        assert ring.oldest() == plain.oldest()
        assert ring.overrun(-1) == (plain.overruns, plain.first)
        assert ring.numbers(0, frames).tolist() == plain.holds
        assert ring.uses(0, frames, 2).tolist() == plain.uses
