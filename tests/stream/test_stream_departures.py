"""Who left frames behind is said in one line for many."""

from __future__ import annotations

import pytest

from xsp3ioc.stream import departures
from xsp3ioc.stream.departures import Departure, Departures


@pytest.fixture
def clock(monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(departures.time, "monotonic", lambda: now[0])
    return now


def test_many_are_one_line_when_it_is_quiet(clock):
    left = Departures()
    assert left.told() == ""
    for number in range(50):
        left.add(Departure(f"c{number}", 2))
        assert left.told() == ""
        clock[0] += 0.1
    clock[0] += 1.0
    assert left.told() == "Subscribers 'c0', 'c1', 'c2' and 47 others left; 100 frames were waiting for them in all"
    assert left.told(at_once=True) == ""


def test_one_is_named(clock):
    left = Departures()
    left.add(Departure("map\n", 7))
    assert left.told(at_once=True) == "Subscriber 'map\\n' left; 7 frames were waiting for it"


def test_those_who_never_end_to_leave_are_named_all_the_same(clock):
    left = Departures()
    lines = []
    for number in range(300):
        left.add(Departure(f"c{number}", 1))
        clock[0] += 0.1
        lines.append(left.told())
    assert 2 <= sum(map(bool, lines)) <= 3
