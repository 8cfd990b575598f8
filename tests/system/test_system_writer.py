"""The writer killed or stopped: the series says so, the file keeps what was flushed, the next one is written."""

from __future__ import annotations

import os
import signal

import numpy as np
from ca_clients import ECA_NORMAL, ECA_PUTFAIL
from system_rig import Written


def writer(rig):
    """Process number of the writer."""
    (pid,) = rig.server.children()
    return pid


def works(rig, name):
    path = rig.capture(name, 50)
    assert rig.acquire(50) == ECA_NORMAL
    assert rig.ca.put_status("capture") == ECA_NORMAL
    assert rig.ca.gets("HDF1:WriteStatus", "HDF1:WriteMessage") == [0, ""]
    assert rig.counters() == [50, 50, 50, 0]
    written = Written(path)
    assert written.frames == 50
    written.check(rig.settings, 0.001)


def flushed(path, rig, least, most):
    """The file of a writer that died opens, and holds the first frames."""
    written = Written(path)
    assert least <= written.frames <= most
    np.testing.assert_array_equal(written["frame_in_series"], np.arange(written.frames))
    assert not written["frame_status"].any()
    written.check(rig.settings, 0.001)
    return written.frames


def test_a_killed_writer_ends_the_series(start_rig):
    rig = start_rig()
    listener = rig.listener()
    path = rig.capture("killed")
    rig.begin(16000, 0.001)
    rig.ca.wait_above("HDF1:NumCaptured_RBV", 0)
    first = writer(rig)
    safe = rig.ca.get("HDF1:NumCaptured_RBV")
    os.kill(first, signal.SIGKILL)
    assert rig.ca.put_status("acquire") == ECA_PUTFAIL
    assert rig.ca.put_status("capture") == ECA_PUTFAIL
    assert "killed by signal 9" in rig.message()
    assert rig.ca.gets("det1:Acquire_RBV", "HDF1:Capture", "HDF1:Capture_RBV", "HDF1:WriteFile_RBV") == [0, 0, 0, 0]
    assert rig.ca.gets("HDF1:WriteStatus", "HDF1:NumCaptured_RBV")[0] == 1
    assert "is incomplete" in rig.ca.get("HDF1:WriteMessage")
    heard = listener.heard()
    assert (heard.wrong, heard.gaps) == ([], [])
    assert heard.end.acquired == heard.frames
    assert heard.end.reason == "file"
    flushed(path, rig, 1, heard.frames)
    assert safe <= heard.frames
    works(rig, "after")
    assert writer(rig) != first


def test_a_stopped_writer_is_abandoned_by_a_second_stop(start_rig):
    rig = start_rig()
    listener = rig.listener()
    path = rig.capture("stopped")
    rig.begin(16000, 0.001)
    rig.ca.wait_above("HDF1:NumCaptured_RBV", 0)
    os.kill(writer(rig), signal.SIGSTOP)
    acquired = rig.ca.get("det1:ArrayCounter_RBV")
    rig.ca.wait_above("det1:ArrayCounter_RBV", acquired + 300)
    # The first stop says what it waits for, the second one does not wait.
    status, seconds = rig.ca.put("det1:Acquire", 0)
    assert (status, seconds < 3) == (ECA_PUTFAIL, True)
    assert "file writer" in rig.message()
    assert "not written; stop again" in rig.message()
    assert rig.ca.is_open("acquire")
    assert rig.ca.is_open("capture")
    status, seconds = rig.ca.put("det1:Acquire", 0)
    assert (status, seconds < 3) == (ECA_NORMAL, True)
    assert rig.ca.put_status("acquire") == ECA_PUTFAIL
    assert rig.ca.put_status("capture") == ECA_PUTFAIL
    assert "bandoned by a second stop" in rig.ca.get("HDF1:WriteMessage")
    assert rig.ca.gets("det1:Acquire_RBV", "HDF1:Capture_RBV", "HDF1:WriteStatus") == [0, 0, 1]
    heard = listener.heard()
    assert (heard.wrong, heard.gaps, heard.end.acquired) == ([], [], heard.frames)
    flushed(path, rig, 1, heard.frames)
    works(rig, "after")


def test_a_writer_that_was_only_slow_loses_nothing(start_rig):
    rig = start_rig()
    path = rig.capture("slow")
    rig.begin(800, 0.001)
    rig.ca.wait_above("det1:ArrayCounter_RBV", 50)
    os.kill(writer(rig), signal.SIGSTOP)
    rig.ca.wait_for("det1:ArrayCounter_RBV", 800)
    assert rig.ca.is_open("acquire")
    os.kill(writer(rig), signal.SIGCONT)
    assert rig.ca.put_status("acquire") == ECA_NORMAL
    assert rig.counters() == [800, 800, 800, 0]
    rig.ca.set(HDF1__Capture=0)
    assert rig.ca.put_status("capture") == ECA_NORMAL
    assert flushed(path, rig, 800, 800) == 800


def test_a_writer_killed_between_series(start_rig):
    rig = start_rig()
    path = rig.capture("between")
    assert rig.acquire(20) == ECA_NORMAL
    os.kill(writer(rig), signal.SIGKILL)
    assert rig.ca.put_status("capture") == ECA_PUTFAIL
    assert rig.ca.gets("HDF1:Capture_RBV", "HDF1:WriteStatus") == [0, 1]
    assert flushed(path, rig, 20, 20) == 20
    works(rig, "after")
