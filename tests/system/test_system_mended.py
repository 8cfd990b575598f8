"""Faults that a reader of the code found: a Mini that stops, settings before the hardware, nested messages."""

from __future__ import annotations

import msgspec
import zmq
from ca_clients import ECA_NORMAL, ECA_PUTFAIL

from xsp3ioc.receivers.monitor import ask


def test_a_mini_that_overruns_ends_its_series(start_rig):
    """Its hardware stops at a frame that was not acknowledged: nothing would ever come again."""
    rig = start_rig(
        detector={"channels": 2, "ring_frames": 64}, emulator={"product": "mini", "faults": {"slow_read": 0.15}}
    )
    assert rig.acquire(2000, 0.001) == ECA_PUTFAIL
    assert "Overrun" in rig.message()
    acquired, streamed, _, missing = rig.counters()
    assert 0 < acquired == streamed < 2000
    assert rig.ca.gets("det1:Acquire", "det1:Acquire_RBV") == [0, 0]
    assert rig.acquire(5, 0.3) == ECA_NORMAL


def test_the_configuration_goes_over_the_calibration(start_rig):
    rig = start_rig(
        parameters={
            "trigger_mode": 7,
            "debounce": 80,
            "event_width": 9,
            "good_threshold": [60, 61, 62, 63],
            "window1_low": 100,
            "window1_high": 200,
        }
    )
    assert rig.ca.gets("det1:TriggerMode_RBV", "det1:DEBOUNCE_RBV") == [7, 80]
    names = [f"det1:C{channel}_SCA4_THRESHOLD_RBV" for channel in (1, 2, 3, 4)]
    assert rig.ca.gets(*names) == [60, 61, 62, 63]
    assert rig.ca.gets("det1:C2_SCA5_LLM_RBV", "det1:C2_SCA5_HLM_RBV", "C3:EventWidth") == [100, 200, 9]
    assert "replaced" in rig.server.log.read_text()
    # Every connection begins with the calibration, so they go over it again.
    assert rig.ca.put("det1:DISCONNECT", 1)[0] == rig.ca.put("det1:CONNECT", 1)[0] == ECA_NORMAL
    assert rig.ca.gets(*names) == [60, 61, 62, 63]


def test_a_deeply_nested_message_stops_nobody(start_rig):
    rig = start_rig()
    listener = rig.listener()
    context = zmq.Context()
    hostile = context.socket(zmq.DEALER)
    hostile.setsockopt(zmq.LINGER, 0)
    hostile.connect(rig.server.data)
    hostile.send(b'{"htype":"hello","name":"a","z":' + b"[" * 50_000)
    assert hostile.poll(10_000)
    assert b"refused" in hostile.recv_multipart()[0]
    hostile.close()
    context.term()
    assert rig.acquire(20) == ECA_NORMAL
    assert listener.heard().frames == 20


def test_a_setting_changed_in_mid_run_is_said_to_be_for_the_next_series(start_rig):
    rig = start_rig()
    rig.begin(100_000, 0.01)
    rig.ca.set(AcquireTime=0.02)
    assert rig.message() == "AcquireTime = 0.02 s is for the next series"
    status = msgspec.json.decode(ask(rig.server.monitor, "status")[0])
    assert status["exposure_time"] == 0.01
    assert msgspec.json.decode(ask(rig.server.monitor, "image")[0])["exptime"] == 0.01
    rig.ca.set(Acquire=0)
    assert rig.ca.put_status("acquire") == ECA_NORMAL
    assert msgspec.json.decode(ask(rig.server.monitor, "status")[0])["exposure_time"] == 0.02
