"""What a client sees of a series: put-callbacks, both edges, and the last values, which are there before it is over."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
from ca_clients import ECA_NORMAL, ECA_PUTFAIL

from xsp3ioc.sdk import expected_frames

INTERNAL, SOFTWARE, SOFTWARE_INTERNAL = 1, 0, 7
SINGLE, MULTIPLE, CONTINUOUS = 0, 1, 2
COUNTERS = ("det1:ArrayCounter_RBV", "det1:FramesAcquired", "det1:FramesStreamed")
SCALERS = tuple(f"C{channel}SCA:{index}:Value_RBV" for channel in (1, 4) for index in (0, 3, 4, 9))
ARRAYS = ("MCA1:ArrayData", "MCA4:ArrayData", "MCASUM1:ArrayData")


@pytest.fixture(autouse=True)
def defaults(rig):
    rig.ca.set(TriggerMode=INTERNAL, ImageMode=MULTIPLE, EraseOnStart=1)


def edges(rig):
    return [reading.value for reading in rig.ca.seen("det1:Acquire_RBV")]


@pytest.mark.parametrize("frames", [1, 2, 150, 307])
def test_the_last_values_are_there_when_the_put_callback_returns(rig, frames):
    rig.ca.monitor(*COUNTERS, *SCALERS, *ARRAYS)
    mca, scalers = expected_frames(rig.settings, 80_000, 0, frames)
    for _ in range(5):
        assert rig.acquire(frames, 0.001) == ECA_NORMAL
        # From the monitors, without asking: they came before the reply.
        readings = rig.ca.last(*COUNTERS, *SCALERS, *ARRAYS)
        counters, values, arrays = readings[:3], readings[3:-3], readings[-3:]
        assert [reading.value for reading in counters] == [frames] * 3
        for name, reading in zip(SCALERS, values, strict=True):
            channel, index = int(name[1]) - 1, int(name[6])
            if index < 9:
                assert reading.value == scalers[-1, channel, index], name
        np.testing.assert_array_equal(arrays[0].value, mca[-1, 0])
        np.testing.assert_array_equal(arrays[1].value, mca[-1, 3])
        np.testing.assert_array_equal(arrays[2].value, mca[:, 0].sum(axis=0))
        assert len({rig.ca.read(name).time for name in (*COUNTERS, *SCALERS, *ARRAYS)}) == 1
        assert rig.ca.get("det1:Acquire_RBV") == 0


def test_the_put_callback_is_open_until_the_series_is_over(rig):
    rig.begin(16000, 0.01)
    rig.ca.wait_above("det1:ArrayCounter_RBV", 3)
    assert rig.ca.is_open("acquire")
    assert rig.ca.get("det1:DetectorState_RBV") == 1
    other = rig.client()
    status, seconds = other.put("det1:Acquire", 0)
    assert (status, seconds < 5) == (ECA_NORMAL, True)
    assert rig.ca.put_status("acquire") == ECA_NORMAL
    assert rig.ca.gets("det1:Acquire", "det1:Acquire_RBV", "det1:DetectorState_RBV") == [0, 0, 10]
    assert rig.message() == "Stopped Acquiring"
    # A stop with nothing to stop is no error.
    assert other.put("det1:Acquire", 0)[0] == ECA_NORMAL


def test_both_edges_of_a_single_frame(rig):
    rig.ca.monitor("det1:Acquire_RBV", "det1:Acquire")
    edges(rig)
    for _ in range(20):
        assert rig.acquire(1, 0.001) == ECA_NORMAL
        assert edges(rig) == [1, 0]
    assert [reading.value for reading in rig.ca.seen("det1:Acquire")][-2:] == [1, 0]


@pytest.mark.parametrize("mode", [SOFTWARE, SOFTWARE_INTERNAL])
def test_both_edges_of_a_series_without_frames(rig, mode):
    rig.ca.set(TriggerMode=mode)
    rig.ca.monitor("det1:Acquire_RBV")
    edges(rig)
    rig.begin(5, 0.001)
    assert rig.ca.put("det1:Acquire", 0)[0] == ECA_NORMAL
    assert rig.ca.put_status("acquire") == ECA_NORMAL
    assert edges(rig) == [1, 0]
    assert rig.counters() == [0, 0, 0, 0]


def test_single_takes_one_frame(rig):
    rig.ca.set(ImageMode=SINGLE)
    assert rig.acquire(7) == ECA_NORMAL
    assert rig.ca.get("det1:ArrayCounter_RBV") == 1


def test_continuous_runs_until_it_is_stopped(rig):
    rig.ca.set(ImageMode=CONTINUOUS)
    rig.begin(2, 0.001)
    rig.ca.wait_above("det1:ArrayCounter_RBV", 20)
    assert rig.ca.is_open("acquire")
    assert rig.ca.put("det1:Acquire", 0)[0] == ECA_NORMAL
    assert rig.ca.put_status("acquire") == ECA_NORMAL
    acquired, streamed, _, missing = rig.counters()
    assert acquired == streamed > 20
    assert missing == 0


def test_a_software_trigger_makes_a_frame_of_the_exposure_time(rig):
    rig.ca.set(TriggerMode=SOFTWARE_INTERNAL)
    listener = rig.listener()
    rig.begin(3, 0.002)
    for frame in range(3):
        assert rig.ca.get("det1:Acquire_RBV") == 1
        rig.ca.set(SoftTrigger=1)
        rig.ca.wait_for("det1:FRAME_COUNT_RBV" if frame < 2 else "det1:ArrayCounter_RBV", frame + 1)
        rig.ca.set(SoftTrigger=0)
    assert rig.ca.put_status("acquire") == ECA_NORMAL
    heard = listener.heard()
    assert (heard.frames, heard.wrong, heard.end.acquired) == (3, [], 3)
    assert heard.header.times == "read-out"
    assert heard.times == sorted(heard.times)
    listener.end()


def test_software_opens_and_closes_frames(rig):
    rig.ca.set(TriggerMode=SOFTWARE)
    listener = rig.listener()
    rig.begin(2)
    for frame in range(2):
        rig.ca.set(SoftTrigger=1)
        time.sleep(0.05)
        rig.ca.set(SoftTrigger=0)
        rig.ca.wait_for("det1:ArrayCounter_RBV", frame + 1)
    assert rig.ca.put_status("acquire") == ECA_NORMAL
    assert listener.heard().frames == 2
    # As long as it was open.
    assert rig.ca.get("C1SCA:0:Value_RBV") * 12.5e-9 >= 0.05
    listener.end()


def test_waiting_for_a_trigger_costs_nearly_nothing(rig):
    rig.ca.set(TriggerMode=SOFTWARE)
    rig.begin(2)
    before, began = used(rig), time.monotonic()
    time.sleep(1.5)
    share = (used(rig) - before) / (time.monotonic() - began)
    rig.ca.put("det1:Acquire", 0)
    assert rig.ca.put_status("acquire") == ECA_NORMAL
    assert share < 0.5


def used(rig):
    """Processor time of the server so far."""
    fields = Path(f"/proc/{rig.server.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def test_a_soft_trigger_that_triggers_nothing_is_refused(rig):
    assert rig.ca.put("det1:SoftTrigger", 1)[0] == ECA_PUTFAIL
    assert "not acquiring" in rig.message()
    rig.begin(500, 0.01)
    assert rig.ca.put("det1:SoftTrigger", 1)[0] == ECA_PUTFAIL
    assert "Software + Internal" in rig.message()
    rig.ca.put("det1:Acquire", 0)
    assert rig.ca.put_status("acquire") == ECA_NORMAL
    # Letting go of the trigger is never wrong.
    assert rig.ca.put("det1:SoftTrigger", 0)[0] == ECA_NORMAL


def test_erase_zeroes_what_is_shown(rig):
    assert rig.acquire(3) == ECA_NORMAL
    assert rig.ca.get("MCASUM1:ArrayData").any()
    rig.ca.set(ERASE=1)
    assert not rig.ca.get("MCASUM1:ArrayData").any()
    assert not rig.ca.get("MCA1:ArrayData").any()
    assert rig.ca.gets("C1SCA:3:Value_RBV", "C1:DTFactor_RBV", "det1:ArrayCounter_RBV") == [0, 1, 0]


def test_the_sum_goes_on_without_erase(rig):
    assert rig.acquire(3) == ECA_NORMAL
    three = rig.ca.get("MCASUM1:ArrayData")
    rig.ca.set(EraseOnStart=0)
    assert rig.acquire(3) == ECA_NORMAL
    np.testing.assert_array_equal(rig.ca.get("MCASUM1:ArrayData"), 2 * three)


def test_settings_are_taken_in_mid_series_and_hold_for_the_next(rig):
    rig.begin(16000, 0.001)
    rig.ca.set(NumImages=4, AcquireTime=0.002, TriggerMode=SOFTWARE_INTERNAL)
    rig.ca.wait_above("det1:ArrayCounter_RBV", 50)
    assert rig.ca.get("C1SCA:0:Value_RBV") == 80_000
    rig.ca.put("det1:Acquire", 0)
    assert rig.ca.put_status("acquire") == ECA_NORMAL
    rig.ca.set(TriggerMode=INTERNAL)
    rig.ca.begin("det1:Acquire", 1, "acquire")
    assert rig.ca.put_status("acquire") == ECA_NORMAL
    assert rig.ca.gets("det1:ArrayCounter_RBV", "C1SCA:0:Value_RBV") == [4, 160_000]


def test_the_last_of_a_storm_from_several_clients_wins(rig):
    clients = [rig.ca, rig.client(), rig.client()]
    for client in clients:
        client.get("det1:NumImages")
        client.tell("throw", "det1:NumImages", range(1, 400))
    for client in clients:
        client.answer()
    for number, client in enumerate(clients, 501):
        # One after the other: the last by arrival is the last one's.
        assert client.put("det1:NumImages", number)[0] == ECA_NORMAL
    assert rig.ca.gets("det1:NumImages", "det1:NumImages_RBV") == [503, 503]
    rig.ca.throw("det1:NumImages", range(1, 100))
    assert rig.ca.put("det1:C2_SCA4_THRESHOLD", 77)[0] == ECA_NORMAL
    assert rig.ca.gets("det1:NumImages", "det1:NumImages_RBV", "det1:C2_SCA4_THRESHOLD_RBV") == [99, 99, 77]
    rig.ca.set(C2_SCA4_THRESHOLD=50)


def test_a_storm_of_starts_and_stops_ends_idle(rig):
    rig.ca.set(NumImages=20, AcquireTime=0.001)
    clients = [rig.ca, rig.client(), rig.client()]
    for client in clients:
        client.get("det1:Acquire")
        client.tell("throw", "det1:Acquire", [1, 0, 1, 1, 0] * 20)
    for client in clients:
        client.answer()
    for client in clients:
        assert client.put("det1:Acquire", 0)[0] == ECA_NORMAL
    assert rig.ca.put("det1:Acquire", 0)[0] == ECA_NORMAL
    rig.ca.wait_for("det1:Acquire_RBV", 0)
    assert rig.ca.gets("det1:Acquire", "det1:Acquire_RBV") == [0, 0]
    listener = rig.listener()
    assert rig.acquire(50) == ECA_NORMAL
    heard = listener.heard()
    assert (heard.frames, heard.wrong) == (50, [])
    listener.end()
