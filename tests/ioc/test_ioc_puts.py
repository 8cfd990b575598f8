"""Puts: in order, answered when the work is done, refused at once and visibly."""

from __future__ import annotations

import time

import pytest
from ca_clients import ECA_NORMAL, ECA_PUTFAIL, INVALID, WRITE, Put, pvs, wait_until
from ca_processes import Client


def storm(prefix, count):
    import epics

    names = ("det1:NumImages", "det1:C1_SCA4_THRESHOLD", "det1:C2_SCA4_THRESHOLD", "det1:AcquireTime")
    setpoints = pvs(prefix, *names)
    readbacks = pvs(prefix, *(name + "_RBV" for name in names))
    for number in range(1, count + 1):
        for pv in setpoints:
            # The call itself: PV.put would let libca send after each.
            epics.ca.libca.ca_array_put(
                epics.dbr.DOUBLE, 1, pv.chid, epics.ca.ctypes.byref(epics.ca.ctypes.c_double(number))
            )
    epics.ca.libca.ca_flush_io()
    assert Put(setpoints[-1], 1.5).wait() == ECA_NORMAL
    pairs = zip(setpoints, readbacks, strict=True)
    return [(pv.get(use_monitor=False), readback.get(use_monitor=False)) for pv, readback in pairs]


def test_the_last_of_a_storm_of_puts_wins(toy, libca):
    # AcquireTime above 53 s is refused; what was asked for last is what stays.
    assert libca(storm, toy.prefix, 250) == [(250, 250), (250, 250), (250, 250), (1.5, 1.5)]


def acquire_and_stop(prefix):
    exposure, acquire, readback, frames = pvs(
        prefix, "det1:AcquireTime", "det1:Acquire", "det1:Acquire_RBV", "det1:NumImages"
    )
    exposure.put(50.0, wait=True)
    started = Put(acquire, 1)
    wait_until(lambda: readback.get() == 1, "Acquire_RBV = 1")
    # While it is open, everything else goes on: gets, and puts with and without callback, on this channel too.
    gets = []
    for _ in range(50):
        start = time.perf_counter()
        assert frames.get(use_monitor=False) == 16
        gets.append(time.perf_counter() - start)
    assert Put(frames, 16).wait() == ECA_NORMAL
    second = Put(acquire, 1)
    assert second.wait() == ECA_PUTFAIL
    assert not started.ended.is_set()
    stopped = Put(acquire, 0)
    assert stopped.wait() == ECA_NORMAL
    assert started.wait() == ECA_NORMAL
    # The core's updates came before the reply that it is over.
    return readback.get(use_monitor=False), acquire.get(use_monitor=False), acquire.severity, started.seconds < 40


def test_an_open_put_callback_blocks_nothing(toy, libca):
    assert libca(acquire_and_stop, toy.prefix) == (0, 0, 0, True)


def acquire_and_read(prefix):
    exposure, acquire, readback, counter = pvs(
        prefix, "det1:AcquireTime", "det1:Acquire", "det1:Acquire_RBV", "det1:Counter"
    )
    exposure.put(0.001, wait=True)
    seen = []
    for _ in range(50):
        status = Put(acquire, 1).wait()
        # From the monitors, without asking: they came before the reply.
        seen.append((status, readback.get(), counter.get()))
    return seen


def test_the_last_values_come_before_the_put_callback(toy, libca):
    assert libca(acquire_and_read, toy.prefix) == [(ECA_NORMAL, 0, number + 1) for number in range(50)]


REFUSED = [
    ("det1:NumImages", 0, False, "NumImages = 0 is below 1"),
    ("det1:NumImages", "many", True, "NumImages = 'many' is not a whole number"),
    ("det1:AcquireTime", -1, False, "AcquireTime = -1 is below 1e-06 s"),
    ("det1:AcquireTime", float("nan"), False, "nan"),
    ("det1:ImageMode", 7, False, "ImageMode = 7 is none of Single (0), Multiple (1), Continuous (2)"),
    ("det1:ImageMode", "Sometimes", True, "ImageMode = 'Sometimes' is none of"),
    ("det1:C2_SCA4_THRESHOLD", 5000, False, "is above 4095"),
]


def put_what_is_refused(prefix, name, value, as_text):
    pv, readback, message = pvs(prefix, name, name + "_RBV", "det1:StatusMessage_RBV")
    before = pv.get(), readback.get()
    put = Put(pv, value, as_text)
    status = put.wait()
    wait_until(lambda: pv.severity == INVALID, "INVALID")
    refused = pv.get(), readback.get(), pv.status, readback.severity
    text = message.get(as_string=True)
    good = Put(pv, before[0]).wait()
    wait_until(lambda: pv.severity == 0, "the end of the alarm")
    return before, status, put.seconds < 20, refused, text, good


@pytest.mark.parametrize(("name", "value", "as_text", "message"), REFUSED)
def test_a_refused_put_fails_at_once_and_shows_it(toy, libca, name, value, as_text, message):
    before, status, prompt, refused, text, good = libca(put_what_is_refused, toy.prefix, name, value, as_text)
    assert status == ECA_PUTFAIL
    assert prompt
    assert refused == (*before, WRITE, 0)
    assert message in text
    assert "@" in text  # who it was
    assert good == ECA_NORMAL


def put_plainly(prefix):
    import epics

    told = []

    def hear(arguments):
        told.append((arguments.stat, arguments.ctx.decode()))

    class Arguments(epics.ca.ctypes.Structure):
        _fields_ = [
            ("usr", epics.ca.ctypes.c_void_p), ("chid", epics.dbr.chid_t), ("type", epics.ca.ctypes.c_long),
            ("count", epics.ca.ctypes.c_long), ("addr", epics.ca.ctypes.c_void_p), ("stat", epics.ca.ctypes.c_long),
            ("op", epics.ca.ctypes.c_long), ("ctx", epics.ca.ctypes.c_char_p),
        ]  # fmt: skip

    frames, readback, crash = pvs(prefix, "det1:NumImages", "det1:NumImages_RBV", "det1:Crash")
    handler = epics.ca.ctypes.CFUNCTYPE(None, Arguments)(hear)
    epics.ca.libca.ca_add_exception_event(handler, None)
    frames.put(0)
    wait_until(lambda: told and frames.severity == INVALID, "the refusal")
    values = frames.get(), readback.get()
    crash.put(1)
    wait_until(lambda: len(told) == 2, "the second refusal")
    return values, told


def test_a_refused_plain_put_is_told_with_its_reason(toy, libca):
    values, told = libca(put_plainly, toy.prefix)
    assert values == (16, 16)
    assert [status for status, _ in told] == [ECA_PUTFAIL, ECA_PUTFAIL]
    assert "NumImages = 0 is below 1" in told[0][1]
    assert "unforeseen" in told[1][1]


def test_caproto_client_is_refused_at_once(toy, monkeypatch):
    from caproto.sync.client import write

    for key, value in toy.environment.items():
        monkeypatch.setenv(key, value)
    answer = write(toy.prefix + "det1:NumImages", 0, notify=True, repeater=False, timeout=60)
    assert answer.status.name == "ECA_PUTFAIL"
    answer = write(toy.prefix + "det1:NumImages", 3, notify=True, repeater=False, timeout=60)
    assert answer.status.name == "ECA_NORMAL"


def start_long(prefix):
    acquire, exposure = pvs(prefix, "det1:Acquire", "det1:AcquireTime")
    exposure.put(50.0, wait=True)
    Put(acquire, 1)
    readback = pvs(prefix, "det1:Acquire_RBV")
    wait_until(lambda: readback.get() == 1, "the start")
    return True


def stop_it(prefix):
    acquire, readback = pvs(prefix, "det1:Acquire", "det1:Acquire_RBV")
    was = readback.get()
    return was, Put(acquire, 0).wait(), wait_until(lambda: readback.get() == 0, "the stop")


def test_a_client_that_dies_with_an_open_put_callback(toy, libca):
    client = Client(toy.environment, start_long, toy.prefix)
    assert client.hear() == (True, True)
    client.end()
    assert libca(stop_it, toy.prefix) == (1, ECA_NORMAL, None)


def put_and_get(prefix):
    frames, threshold = pvs(prefix, "det1:NumImages", "det1:C2_SCA4_THRESHOLD", auto_monitor=False)
    seen = []
    for number in range(1, 40):
        frames.put(number)
        seen.append(frames.get() == number)
        threshold.put(number)
        seen.append(threshold.get() == number)
    frames.put(0)  # refused
    seen.append(frames.get() == 39)
    return seen


def test_a_get_after_a_put_has_the_new_value(toy, libca):
    assert all(libca(put_and_get, toy.prefix))
