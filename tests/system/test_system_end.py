"""The end of the server: in order at SIGTERM and SIGINT, and what kill -9 leaves behind."""

from __future__ import annotations

import os
import signal
import time

import numpy as np
import pytest
from system_rig import Written, gone


def running(start_rig, **tables):
    rig = start_rig(**tables)
    listener = rig.listener()
    path = rig.capture("running")
    rig.begin(0xFFFFFF, 0.001)
    rig.ca.wait_above("HDF1:NumCaptured_RBV", 0)
    (writer,) = rig.server.children()
    return rig, listener, path, writer


def check(rig, path, frames):
    written = Written(path)
    assert written.frames == frames
    np.testing.assert_array_equal(written["frame_in_series"], np.arange(frames))
    assert not written["frame_status"].any()
    written.check(rig.settings, 0.001)
    return written


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_in_order(start_rig, signum):
    rig, listener, path, writer = running(start_rig)
    assert rig.server.stop(signum, patience=10) == 0
    gone(writer, 1)
    heard = listener.heard()
    assert heard.wrong == []
    assert heard.end.reason == "stopped"
    assert heard.end.acquired == heard.end.written == heard.frames > 0
    assert check(rig, path, heard.frames).end_time
    assert listener.all_captures()[-1].reason == "server stopped"


def test_with_a_file_that_is_behind(start_rig):
    rig, listener, path, writer = running(start_rig, emulator={"pace": "reader"})
    rig.ca.wait_above("det1:ArrayCounter_RBV", 4000)
    assert rig.server.stop(signal.SIGTERM, patience=10) == 0
    gone(writer, 1)
    heard = listener.heard()
    assert heard.wrong == []
    assert heard.end.reason == "stopped"
    assert heard.end.acquired == heard.end.written == heard.frames
    check(rig, path, heard.frames)


def test_with_a_writer_that_does_not_answer(start_rig):
    rig, listener, path, writer = running(start_rig)
    os.kill(writer, signal.SIGSTOP)
    acquired = listener.frames()
    assert rig.server.stop(signal.SIGTERM, patience=12) == 0
    gone(writer, 1)
    heard = listener.heard()
    assert heard.end.acquired == heard.frames >= acquired
    assert heard.end.reason != "complete"
    written = Written(path)
    assert 0 < written.frames <= heard.frames
    written.check(rig.settings, 0.001)


def test_with_a_call_of_the_library_that_does_not_answer(start_rig):
    rig = start_rig(emulator={"faults": {"hang": {"xsp3_histogram_read4d": [10, 60.0]}}})
    listener = rig.listener()
    rig.begin(16000, 0.001)
    rig.ca.wait_above("det1:ArrayCounter_RBV", 5)
    time.sleep(1)
    assert rig.server.stop(signal.SIGTERM, patience=12) == 0
    heard = listener.heard()
    assert heard.end.acquired == heard.frames
    assert heard.end.reason not in ("complete", "stopped")


def test_while_nothing_runs_and_a_file_is_open(start_rig):
    rig = start_rig()
    path = rig.capture("open")
    assert rig.acquire(20) == 1
    assert rig.server.stop(signal.SIGTERM, patience=10) == 0
    assert check(rig, path, 20).end_time


def test_kill_9_leaves_what_was_flushed(start_rig):
    rig, listener, path, writer = running(start_rig)
    safe = rig.ca.get("HDF1:NumCaptured_RBV")
    rig.server.process.kill()
    rig.server.process.wait()
    gone(writer)
    written = Written(path)
    assert safe <= written.frames
    np.testing.assert_array_equal(written["frame_in_series"], np.arange(written.frames))
    written.check(rig.settings, 0.001)


def test_kill_9_of_server_and_writer_leaves_what_was_flushed(start_rig):
    rig, listener, path, writer = running(start_rig)
    safe = rig.ca.get("HDF1:NumCaptured_RBV")
    os.kill(writer, signal.SIGSTOP)
    rig.server.process.kill()
    os.kill(writer, signal.SIGKILL)
    rig.server.process.wait()
    gone(writer)
    written = Written(path)
    assert 0 < written.frames
    assert safe > 0
    written.check(rig.settings, 0.001)
