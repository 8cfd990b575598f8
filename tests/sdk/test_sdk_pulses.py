"""Pulses, and the gates that the inputs see of them, against plain bookkeeping tick by tick."""

from itertools import groupby

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xsp3ioc.sdk import EmulatorSettings
from xsp3ioc.sdk.emulator.gates import OPEN, Column, FilteredGates, PlainGates, gates_of
from xsp3ioc.sdk.emulator.pulses import Pulses, PulseTrain
from xsp3ioc.sdk.emulator.triggers import FromTriggerToTrigger, Triggers

TICK = 12.5e-9
HORIZON = 8_000
FAR = 1 << 60


def train_of(seed=0, **ticks):
    """A train whose times are given in ticks."""
    times = {
        name: ticks.pop(name) * TICK for name in ("period", "width", "jitter", "delay", "glitch_width") if name in ticks
    }
    if "glitch_rate" in ticks:
        times["glitch_rate"] = ticks.pop("glitch_rate") / TICK
    return PulseTrain(Pulses(**times, **ticks), seed, TICK)


def waveform(train, until=HORIZON):
    """Level of TTL_IN(1) in each tick, from the numbers of the pulses and glitches alone."""
    count = until if train.limit is None else train.limit
    numbers = np.arange(min(count, until))
    level = np.zeros(until, bool)
    if train.period:
        for begin, end in zip(train.leading(numbers), train.trailing(numbers), strict=True):
            level[begin:end] = True
    if train.glitchy:
        begins = train._glitch(np.arange(until))
        for begin in begins[begins < until]:
            level[begin : begin + train._glitch_width] ^= True
    return level


def plain_gates(level, inverted, debounce):
    """Gates by the book: a level counts when it lasts long enough; before the start, it has for ever."""
    runs = [(bool(value), len(list(run))) for value, run in groupby(level ^ inverted)]
    now, filtered, begin, found = 0, inverted, 0 if inverted else None, []
    for number, (value, length) in enumerate(runs):
        whole = length if number or value != inverted else HORIZON
        if (whole >= max(1, debounce)) and value != filtered:
            if value:
                begin = now
            elif now > begin:
                found.append((begin, now))
                begin = None
            filtered = value
        now += length
    return found + ([(begin, FAR)] if filtered else [])


trains = st.builds(
    lambda period, width, jitter, **others: train_of(
        period=period,
        width=8 + width * (period - 16),
        jitter=jitter * max(0.0, min(width * (period - 16), (1 - width) * (period - 16))) / 2.1,
        **others,
    ),
    period=st.floats(20, 900),
    width=st.floats(0.001, 0.999),
    jitter=st.sampled_from([0.0, 0.3, 1.0]),
    seed=st.integers(0, 2**70),
    count=st.sampled_from([0, 1, 7]),
    delay=st.integers(0, 700),
    glitch_rate=st.sampled_from([0.0, 0.001, 0.01]),
    glitch_width=st.integers(1, 60),
)


@given(train=trains, inverted=st.booleans(), debounce=st.integers(0, 80), ahead=st.sampled_from([50, 1000, 1 << 61]))
@settings(max_examples=100)
def test_gates_are_what_lasts_long_enough(train, inverted, debounce, ahead):
    expected = plain_gates(waveform(train), inverted, debounce)
    gates = gates_of(train, inverted, debounce, 1 << 20)
    if not gates.even and ahead != 1 << 61:
        gates.ahead = ahead
    settled = [gate for gate in expected if gate[1] < HORIZON - 200]  # near the end, the future decides
    until = HORIZON - 200
    for time in range(0, until, 997):
        assert gates.complete(time) == sum(end <= time for _, end in settled)
    numbers = np.arange(len(settled))
    assert gates.complete(until) >= len(settled)
    begin, end = gates.spans(numbers)
    assert list(zip(begin.tolist(), end.tolist(), strict=True)) == settled
    assert gates.ready(len(settled)) == len(settled)
    rising = gates.rising(-1, until)
    opened = [begin for begin, _ in expected if begin < until - 1 and not (inverted and begin == 0)]
    assert rising[: len(opened)].tolist() == opened


@given(train=trains)
@settings(max_examples=100)
def test_counts_agree_with_edges(train):
    numbers = np.arange(30 if train.limit is None else train.limit)
    begins, ends = train.leading(numbers), train.trailing(numbers)
    assert (begins < ends).all() and (ends[:-1] < begins[1:]).all() and (begins >= 0).all()
    for time in {0, *begins.tolist(), *(begins - 1).tolist(), *ends.tolist(), *(ends - 1).tolist()}:
        if time < begins[-1]:
            assert train.begun(time) == (begins <= time).sum()
            assert train.ended(time) == (ends <= time).sum()
    if train.limit is not None:
        assert train.begun(1 << 50) == train.ended(1 << 50) == train.limit


def test_nothing_random_is_exact_to_the_tick():
    train = train_of(period=80_000, width=8_000, delay=1234)
    numbers = np.array([0, 1, 10**6, 10**9])
    assert train.leading(numbers).tolist() == [1234 + 80_000 * n for n in numbers.tolist()]
    assert (train.trailing(numbers) - train.leading(numbers) == 8_000).all()
    assert isinstance(gates_of(train, False, 80, 8), PlainGates)
    assert isinstance(gates_of(train, False, 8_001, 8), FilteredGates)
    assert train.begun(1234 + 80_000 * 10**9) == 10**9 + 1 and train.begun(1233 + 80_000 * 10**9) == 10**9


def test_odd_periods_do_not_drift():
    train = train_of(period=100.3, width=20)
    numbers = np.arange(0, 10**6, 1000)
    assert np.abs(train.leading(numbers) - numbers * 100.3).max() <= 0.6


def test_jitter_is_bounded_and_repeats():
    train, again, other = (train_of(seed, period=1000, width=400, jitter=50) for seed in (1, 1, 2))
    numbers = np.arange(100_000)
    late = train.leading(numbers)[1:] - numbers[1:] * 1000
    assert late.min() >= -50 and late.max() <= 50 and len(set(late.tolist())) == 101
    assert abs(late.mean()) < 1
    lengths = train.trailing(numbers) - train.leading(numbers)
    assert lengths.min() >= 300 and lengths.max() <= 500 and len(set(lengths.tolist())) > 150
    assert np.array_equal(train.leading(numbers[500:600]), again.leading(numbers)[500:600])
    assert not np.array_equal(train.leading(numbers), other.leading(numbers))


def test_glitches_come_at_their_rate_and_short_ones_change_nothing():
    train = train_of(period=1000, width=400, glitch_rate=1 / 300, glitch_width=10)
    edges = train.edges(-1, 3_000_000)
    assert (np.diff(edges) > 0).all()
    assert len(edges) == pytest.approx(2 * (3_000 + 10_000), rel=0.01)  # some undo each other
    clean, noisy, unfiltered = (
        gates_of(train_of(period=1000, width=400), False, 20, 1 << 14),
        gates_of(train, False, 20, 1 << 14),
        gates_of(train, False, 0, 1 << 14),
    )
    assert clean.complete(3_000_000) == noisy.complete(3_000_000) == 3000
    begin, end = noisy.spans(np.arange(3000))
    assert abs(begin - 1000 * np.arange(3000)).max() <= 40  # glitches at an edge move it
    assert ((end - begin) == 400).mean() > 0.8
    assert unfiltered.complete(3_000_000) > 12_000


def test_inputs_that_are_high_with_some_pulses():
    train = train_of(period=1000, width=400, delay=300, count=7)
    times = np.arange(0, 9000, 10)
    number = (times - 300) // 1000
    for every in (0, 1, 3, 100):
        high = (number >= 0) & (number < 7) & (every > 0) & (number % max(every, 1) == 0)
        assert np.array_equal(train.high_at(every, times), high)
    begins, ends = np.array([0, 0, 1299, 1300, 2000, 3299, 4000]), np.array([300, 301, 1300, 3300, 3301, 3300, 9000])
    assert train.high_within(3, begins, ends).tolist() == [False, True, True, False, True, False, True]


def test_a_million_pulses_are_no_burden():
    for inverted, glitch_rate in ((False, 0), (True, 0), (False, 1e-4)):
        train = train_of(period=100, width=40, jitter=5, glitch_rate=glitch_rate, glitch_width=4)
        gates = gates_of(train, inverted, 8, 4096)
        for time in range(0, 100_000_000, 5_000_000):
            assert abs(gates.complete(time) - time // 100) <= 1 + time // 50_000
        last = gates.complete(100_000_000)
        begin, end = gates.spans(np.array([last - 1]))
        assert 0 < end[0] - begin[0] < 100
    assert len(gates._begin._held[1]) < 20_000  # the rest is forgotten


def test_a_column_forgets_only_what_is_old():
    column = Column(10)
    for start in range(0, 100_000, 100):
        column.append(np.arange(start, start + 100) * 3)
        assert len(column) == start + 100
        assert column.upto(3 * start + 298) == start + 100 and column.upto(3 * start + 296) == start + 99
        assert column.at(np.arange(start + 90, start + 101)).tolist() == [
            3 * n for n in range(start + 90, start + 100)
        ] + [OPEN]
    assert column.at(np.array([0]))[0] == OPEN


@given(
    train=trains,
    debounce=st.integers(0, 20),
    exposure=st.integers(2, 2000),
    gap=st.sampled_from([2, 80]),
    frames=st.sampled_from([0, 3]),
    after=st.sampled_from([0, 1111]),
)
@settings(max_examples=100)
def test_triggers_during_a_frame_are_lost(train, debounce, exposure, gap, frames, after):
    edges = [b for b, _ in plain_gates(waveform(train), False, debounce) if b >= after]
    expected, free = [], 0
    for time in edges:
        if time >= free and not (frames and len(expected) == frames):
            expected.append(time)
            free = time + exposure + gap
    until = HORIZON - 300
    expected = [time for time in expected if time < until]
    triggers = Triggers(
        gates_of(train, False, debounce, 1 << 14), exposure, exposure, exposure + gap, frames, after, 1 << 14
    )
    for time in range(0, until, 731):
        assert triggers.begun(time) == sum(begin <= time for begin in expected)
        assert triggers.complete(time) == sum(begin + exposure <= time for begin in expected)
    begin, end = triggers.spans(np.arange(len(expected)))
    assert triggers.begun(until) >= len(expected)
    assert begin.tolist() == expected and (end - begin == exposure).all()


@given(
    train=trains,
    count=st.integers(1, 4),
    gap=st.sampled_from([2, 16]),
    frames=st.sampled_from([0, 4]),
    at_once=st.booleans(),
)
@settings(max_examples=100)
def test_collecting_from_trigger_to_trigger(train, count, gap, frames, at_once):
    taken, free = [], 0
    for time, _ in plain_gates(waveform(train), False, 0):
        if time >= free:
            taken.append(time)
            free = time + gap + 1
    bounds = taken[::count]
    expected = list(zip([b + gap * (n > 0) for n, b in enumerate(bounds)], bounds[1:], strict=False))
    if at_once and bounds and bounds[0] > 0:
        expected = [(0, bounds[0]), *((b + gap, e) for b, e in zip(bounds, bounds[1:], strict=False))]
    until = HORIZON - 1000
    expected = [gate for gate in expected[: frames or None] if gate[1] < until]
    triggers = Triggers(gates_of(train, False, 0, 1 << 14), 0, 0, gap + 1, 0, 0, 1 << 14)
    found = FromTriggerToTrigger(triggers, None, count, gap, frames, 0, at_once=at_once)
    for time in range(0, until, 371):
        assert found.complete(time) == sum(end <= time for _, end in expected)
        assert found.begun(time) >= sum(begin <= time for begin, _ in expected)
        assert found.begun(time) - found.complete(time) in (0, 1)
    begin, end = found.spans(np.arange(len(expected)))
    assert list(zip(begin.tolist(), end.tolist(), strict=True)) == expected
    assert found.ready(len(expected)) == len(expected)


@pytest.mark.parametrize(
    "wrong, message",
    [
        ({"period": -1.0}, r"pulses.period = -1.0 is not a number from 0 on"),
        ({"period": float("nan")}, "pulses.period = nan"),
        ({"period": 1e-3, "delay": float("inf")}, "pulses.delay = inf"),
        ({"period": 1e-3}, "a pulse can be shorter than 1e-07 s"),
        ({"period": 1e-3, "width": 1e-3}, "a gap can be shorter"),
        ({"period": 1e-3, "width": 2e-3}, "a gap can be shorter"),
        ({"period": 1e-3, "width": 1e-4, "jitter": 6e-5}, "a pulse can be shorter"),
        ({"width": 1e-3}, "need a pulses.period"),
        ({"count": 3}, "need a pulses.period"),
        ({"period": 1e-3, "width": 1e-4, "count": -1}, "pulses.count = -1 is below 0"),
        ({"period": 1e-3, "width": 1e-4, "frame_zero_every": -2}, "pulses.frame_zero_every = -2"),
        ({"period": 1e-3, "width": 1e-4, "marker_every": (1, -1)}, r"marker_every = \(1, -1\)"),
        ({"glitch_rate": 1e6, "glitch_width": 1e-6}, "pulses.glitch_width = 1e-06 is outside"),
        ({"glitch_rate": 1e3, "glitch_width": 0.0}, "pulses.glitch_width = 0.0 is outside"),
    ],
)
def test_pulses_that_nobody_makes(wrong, message):
    with pytest.raises(ValueError, match=message):
        Pulses(**wrong)


def test_pulses_are_said_in_a_file():
    text = b"""
        [pulses]
        period = 1e-3
        width = 5e-4
        marker_every = [4, 0]
    """
    found = msgspec.toml.decode(text, type=EmulatorSettings)
    assert found.pulses == Pulses(period=1e-3, width=5e-4, marker_every=(4, 0))
    with pytest.raises(msgspec.ValidationError, match="peroid"):
        msgspec.toml.decode(b"[pulses]\nperoid = 1", type=EmulatorSettings)
    with pytest.raises(msgspec.ValidationError, match="a pulse can be shorter"):
        msgspec.toml.decode(b"[pulses]\nperiod = 1", type=EmulatorSettings)
