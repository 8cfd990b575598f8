"""Change and archive events of all attributes: none lost, none out of order, whatever else is asked meanwhile."""

from __future__ import annotations

import os
import signal
import time

import pytest
from system_desk import Desk
from tango_client import DEVICE, Pair
from tango_walker import TangoWalker

CHUNK = 500
"""Puts without callback, before one with."""
WRITTEN = ("capture_frames", "file_number", "file_flush_frames")
"""Whole numbers that clients of Tango write."""
WAITING = 20_000
"""Events that wait for a client in its own process; Tango would keep 1000."""


class EventPair(Pair):
    tango_client = TangoWalker


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    pair = EventPair(tmp_path_factory.mktemp("events"), parameters={"exposure_time": 1e-4})
    yield pair
    pair.end()
    assert pair.server.process.returncode == 0


@pytest.fixture
def listener(pair):
    """A client that hears events only."""
    desk = Desk(TangoWalker, pair.name, environment={"TANGO_EVENT_BUFFER_HWM": str(WAITING)})
    yield desk
    desk.end()


@pytest.fixture
def stormer(pair):
    """A client whose threads ask without a pause."""
    desk = Desk(TangoWalker, pair.name)
    yield desk
    desk.end()


def values(events):
    return [value for value, *_ in events]


@pytest.mark.parametrize("changes", [3_000, pytest.param(100_000, marks=pytest.mark.slow)])
def test_no_event_is_lost_in_a_storm_of_commands(pair, listener, stormer, changes):
    each = changes // 10
    assert pair.tango.write("capture_frames_apart", 1) == ()
    for name in ("frames", *WRITTEN):
        assert pair.tango.write(name, each * 10 + 7) == ()
    listener.listen("change", "frames", *WRITTEN)
    listener.listen("archive", "frames", WRITTEN[0])
    by_access = changes - len(WRITTEN) * each
    stormer.tell("storm", changes, 8, ["State", "mca", "nFramesAcquired", "roi_total"])
    pair.tango.tell("write_series", each, WRITTEN)
    for first in range(1, by_access + 1, CHUNK):
        last = min(first + CHUNK - 1, by_access)
        pair.ca.throw("det1:NumImages", list(range(first, last)))
        pair.ca.put("det1:NumImages", last)
    assert pair.tango.answer() == []
    taken, refusals = stormer.answer()
    assert len(taken) == changes
    assert refusals == []
    for kind, name, last in (
        ("change", "frames", by_access), ("archive", "frames", by_access), ("archive", WRITTEN[0], each),
        *(("change", name, each) for name in WRITTEN),
    ):  # fmt: skip
        events = values(listener.heard(kind, name, last))
        assert events[0] == each * 10 + 7, "the value at the time of the subscription"
        assert events[1:] == list(range(1, last + 1)), (kind, name)


def test_events_wait_for_a_client_that_stands_still(pair, listener):
    last = 3_000
    assert pair.tango.write("roi_min_x", [[0] * 48] * 4) == ()
    listener.listen("change", "roi_min_x")
    listener.signal(signal.SIGSTOP)
    for first in range(1, last + 1, CHUNK):
        pair.ca.throw("MCA1ROI:1:MinX", list(range(first, first + CHUNK - 1)))
        pair.ca.put("MCA1ROI:1:MinX", first + CHUNK - 1)
    listener.signal(signal.SIGCONT)
    heard = values(listener.heard("change", "roi_min_x", [[last, *[0] * 47], *[[0] * 48] * 3]))
    # Tango by itself keeps 1000, and what fits into the sockets.
    assert [rois[0][0] for rois in heard] == list(range(last + 1))


def test_a_series_is_told_in_order(pair, listener):
    listener.listen("change", "State", "Status", "nFramesAcquired", "acquire", "mca", "dead_time", "frame_rate")
    before = pair.tango.values("mca")[0]
    pair.set(2000, 1e-4)
    assert pair.tango.write("acquire", True) == ()
    pair.tango.wait_for("STANDBY")
    acquired = listener.heard("change", "nFramesAcquired", 2000)
    assert values(acquired)[1:] == sorted(values(acquired)[1:])
    assert [at for _, _, at in acquired[1:]] == sorted(at for _, _, at in acquired[1:])
    assert values(listener.heard("change", "acquire", False, least=3)) == [False, True, False]
    status = values(listener.heard("change", "Status", "Completed Acquisition", least=3))
    assert status[-2:] == ["Acquiring Data", "Completed Acquisition"]
    assert values(listener.heard("change", "State", "STANDBY", least=3)) == ["STANDBY", "RUNNING", "STANDBY"]
    last = pair.tango.value("mca")
    assert last != before
    spectra = listener.heard("change", "mca", last)
    # The time of the frame, as Channel Access has it.
    assert abs(spectra[-1][2] - pair.ca.read("MCA1:ArrayData").time) < 1e-3
    listener.heard("change", "dead_time", pair.tango.value("dead_time"))


def test_a_device_may_be_restarted_while_it_pushes(pair, listener):
    import tango

    listener.listen("change", "State", "Status", "nFramesAcquired", "frames_read", "mca")
    server = f"dserver/Xspress3DS/{DEVICE.replace('/', '-')}"
    admin = tango.DeviceProxy(f"tango://127.0.0.1:{pair.port}/{server}#dbase=no")
    admin.set_timeout_millis(60_000)
    for restarts in range(1, 8):
        pair.set(100_000, 1e-3)
        assert pair.tango.write("acquire", True) == ()
        deadline = time.monotonic() + 60
        while pair.tango.value("nFramesAcquired") < 20 * restarts:
            assert time.monotonic() < deadline
        admin.command_inout("DevRestart", DEVICE)
        pair.tango.wait_for("STANDBY")
    told = values(listener.heard("change", "State", "STANDBY", least=1 + 4 * restarts))
    assert told == ["STANDBY", *["RUNNING", "STANDBY", "INIT", "STANDBY"] * restarts]


def test_an_event_has_the_quality_of_the_record(pair, listener):
    listener.listen("change", "array_callbacks")
    assert pair.ca.put("det1:ArrayCallbacks", 0)[0] == 1
    assert listener.heard("change", "array_callbacks", False)[-1][1] == "ATTR_VALID"
    assert pair.ca.put("det1:ArrayCallbacks", 1)[0] == 1
    assert listener.heard("change", "array_callbacks", True, least=3)[-1][1] == "ATTR_WARNING"
    assert pair.tango.read("array_callbacks")[2] == "ATTR_WARNING"


def test_a_refused_put_is_no_change(pair, listener):
    listener.listen("change", "frames", "Status")
    before = pair.tango.value("frames")
    assert pair.ca.put("det1:NumImages", 0)[0] != 1
    listener.heard("change", "Status", "NumImages = 0 is below 1")
    assert pair.ca.put("det1:NumImages", before + 1)[0] == 1
    assert values(listener.heard("change", "frames", before + 1)) == [before, before + 1]


def test_what_has_no_listeners_costs_nothing_to_speak_of(pair):
    # Idle, once it is done with what was before: seconds of processor per second.
    deadline, share = time.monotonic() + 60, 1.0
    while share >= 0.25:
        assert time.monotonic() < deadline, share
        begun, used = time.monotonic(), processor_time(pair.server.process.pid)
        time.sleep(2)
        share = (processor_time(pair.server.process.pid) - used) / (time.monotonic() - begun)


def processor_time(pid):
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
