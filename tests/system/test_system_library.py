"""Calls of the library that fail, or that do not come back."""

from __future__ import annotations

import time

import pytest
from ca_clients import ECA_NORMAL, ECA_PUTFAIL
from system_rig import Written

FAILURE = "failure asked for by the emulator's settings"
ERROR = 6


def timed(rig, name, value):
    """Put: status, and whether it was answered within about a second."""
    status, seconds = rig.ca.put(name, value)
    return status, seconds < 3


def test_a_start_that_fails(start_rig):
    rig = start_rig(emulator={"faults": {"fail": {"xsp3_histogram_start": 1}}})
    listener = rig.listener()
    path = rig.capture("start")
    assert rig.acquire(10) == ECA_PUTFAIL
    assert FAILURE in rig.message()
    assert rig.ca.gets("det1:Acquire", "det1:Acquire_RBV", "det1:DetectorState_RBV") == [0, 0, 0]
    heard = listener.heard()
    assert (heard.frames, heard.end.acquired) == (0, 0)
    assert "failed" in heard.end.reason
    assert rig.acquire(10) == ECA_NORMAL
    rig.ca.set(HDF1__Capture=0)
    assert rig.ca.put_status("capture") == ECA_NORMAL
    written = Written(path)
    assert written.frames == 10
    written.check(rig.settings, 0.001)


@pytest.mark.parametrize("function", ["xsp3_histogram_read4d", "xsp3_scaler_read", "xsp3_histogram_circ_ack"])
def test_a_call_that_fails_in_mid_series(start_rig, function):
    rig = start_rig(emulator={"faults": {"fail": {function: 20}}})
    listener = rig.listener()
    path = rig.capture("read")
    assert rig.acquire(2000) == ECA_PUTFAIL
    assert function in rig.message()
    assert FAILURE in rig.message()
    assert rig.ca.gets("det1:Acquire", "det1:Acquire_RBV") == [0, 0]
    heard = listener.heard()
    assert heard.end.reason == "failed"
    acquired, streamed, in_file, missing = rig.counters()
    assert acquired == streamed == in_file == heard.frames == heard.end.acquired >= 19
    # What the hardware had finished and nobody read is named, and marked in the file.
    assert missing == sum(len(gap) for gap in heard.end.missing) > 0
    assert heard.wrong == []
    # The hardware does not go on counting behind our back, and the next series is whole.
    assert rig.acquire(10) == ECA_NORMAL
    rig.ca.set(HDF1__Capture=0)
    assert rig.ca.put_status("capture") == ECA_NORMAL
    written = Written(path)
    assert written.frames == acquired + missing + 10
    written.check(rig.settings, 0.001)


def test_a_system_that_cannot_be_opened(start_rig):
    rig = start_rig(server={"connect": False}, emulator={"faults": {"fail": {"xsp3_config": 1, "xsp3_format_run": 1}}})
    for function in ("xsp3_config", "xsp3_format_run"):
        assert timed(rig, "det1:CONNECT", 1) == (ECA_PUTFAIL, True)
        assert FAILURE in rig.message()
        assert function in rig.message()
        assert rig.ca.gets("det1:CONNECTED", "det1:DetectorState_RBV") == [0, 9]
        assert timed(rig, "det1:Acquire", 1) == (ECA_PUTFAIL, True)
    rig.ca.set(CONNECT=1)
    assert rig.acquire(5) == ECA_NORMAL


def test_a_read_that_hangs(start_rig):
    rig = start_rig(emulator={"faults": {"hang": {"xsp3_histogram_read4d": [10, 11.0]}}})
    listener = rig.listener()
    path = rig.capture("hangs")
    rig.begin(16000)
    rig.ca.wait_above("det1:ArrayCounter_RBV", 5)
    time.sleep(1)
    # Puts are answered all the same.
    assert timed(rig, "det1:NumImages", 20) == (ECA_NORMAL, True)
    assert timed(rig, "HDF1:FileName", "next") == (ECA_NORMAL, True)
    assert timed(rig, "det1:Acquire", 0) == (ECA_PUTFAIL, True)
    assert "xsp3_histogram_read4d has not returned" in rig.message()
    assert rig.ca.put_status("acquire") == ECA_PUTFAIL
    assert rig.ca.gets("det1:Acquire", "det1:Acquire_RBV", "det1:DetectorState_RBV") == [0, 0, ERROR]
    assert "xsp3_histogram_read4d has not returned" in rig.message()
    heard = listener.heard()
    assert heard.end.reason == "failed"
    # While the call is out, nothing can be done; the answers say so.
    for name in ("det1:Acquire", "det1:RESET"):
        assert timed(rig, name, 1) == (ECA_PUTFAIL, True)
        assert "xsp3_histogram_read4d" in rig.message()
    assert timed(rig, "det1:Acquire", 0) == (ECA_NORMAL, True)
    deadline = time.monotonic() + 30
    while rig.ca.put("det1:RESET", 1)[0] != ECA_NORMAL:
        assert time.monotonic() < deadline
        time.sleep(0.5)
    assert rig.ca.get("det1:DetectorState_RBV") == 0
    frames = heard.frames
    assert rig.acquire(20) == ECA_NORMAL
    rig.ca.set(HDF1__Capture=0)
    assert rig.ca.put_status("capture") == ECA_NORMAL
    # What the late call brought was not taken for anybody's.
    again = listener.heard(2)
    assert (again.frames, again.wrong) == (20, [])
    assert listener.heard(1).frames == frames
    written = Written(path)
    assert written["series_index"][-20:].tolist() == [1] * 20
    written.check(rig.settings, 0.001)


@pytest.mark.slow
@pytest.mark.parametrize("function", ["xsp3_histogram_stop", "xsp3_scaler_check_progress_details"])
def test_other_calls_that_hang(start_rig, function):
    rig = start_rig(emulator={"faults": {"hang": {function: [1, 8.0]}}})
    rig.begin(30)
    assert rig.ca.put_status("acquire") == ECA_PUTFAIL
    assert f"{function} has not returned" in rig.message()
    assert rig.ca.get("det1:DetectorState_RBV") == ERROR
    deadline = time.monotonic() + 30
    while rig.ca.put("det1:CONNECT", 1)[0] != ECA_NORMAL:
        assert time.monotonic() < deadline
        time.sleep(0.5)
    assert rig.acquire(20) == ECA_NORMAL


def test_a_start_that_hangs(start_rig):
    rig = start_rig(emulator={"faults": {"hang": {"xsp3_histogram_start": [1, 9.0]}}})
    rig.ca.set(NumImages=20, AcquireTime=0.001)
    rig.ca.begin("det1:Acquire", 1, "acquire")
    time.sleep(0.5)
    # Puts wait in their turn, but a stop is answered.
    status, prompt = timed(rig, "det1:Acquire", 0)
    assert prompt
    assert status == ECA_PUTFAIL
    assert "xsp3_histogram_start has not returned" in rig.message()
    assert rig.ca.put_status("acquire") == ECA_PUTFAIL
    assert rig.ca.gets("det1:Acquire", "det1:Acquire_RBV", "det1:DetectorState_RBV") == [0, 0, ERROR]
    assert timed(rig, "det1:NumImages", 10) == (ECA_NORMAL, True)
    time.sleep(4)
    # The late answer starts nothing.
    assert rig.ca.gets("det1:Acquire_RBV", "det1:DetectorState_RBV") == [0, ERROR]
    assert timed(rig, "det1:RESET", 1) == (ECA_NORMAL, True)
    assert rig.acquire(10) == ECA_NORMAL
    assert rig.ca.get("det1:ArrayCounter_RBV") == 10
