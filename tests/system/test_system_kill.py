"""kill -9 of the writer and of the server at random moments: what NumCaptured has shown is in the file, and true."""

from __future__ import annotations

import os
import random
import signal
import time

import numpy as np
import pytest
from ca_clients import ECA_NORMAL, ECA_PUTFAIL
from system_rig import Written, gone

ALL = 20
SOME = 2
"""Of each, when time is short."""
LONGEST = 2.5
"""s until it is killed; files are flushed every second."""


def moments(seed):
    """Numbers and seconds; the first ones for a quick look, the others where there is time for them."""
    rng = random.Random(seed)
    chosen = [(number, rng.uniform(0.0, LONGEST)) for number in range(ALL)]
    return [pytest.param(*one, marks=[pytest.mark.slow] if one[0] >= SOME else []) for one in chosen]


def begin(rig, name, number):
    """Files that others may read while they are written, and others, in turns; for a limited number of frames too."""
    swmr = number % 2
    path = rig.capture(name, (0, 100_000)[number // 2 % 2], HDF1__SWMRMode=swmr)
    rig.ca.monitor("HDF1:NumCaptured_RBV")
    rig.begin(100_000, 0.001)
    return path, swmr


def check(rig, path, swmr, least):
    """The file opens as promised, and holds the first frames, at least so many."""
    written = Written(path, swmr=bool(swmr))
    assert written.frames >= least
    assert set(written.lengths().values()) == {written.frames}
    np.testing.assert_array_equal(written["frame_in_series"], np.arange(written.frames))
    assert not written["frame_status"].any()
    written.check(rig.settings, 0.001)


def shown(rig):
    return max((reading.value for reading in rig.ca.seen("HDF1:NumCaptured_RBV")), default=0)


@pytest.mark.parametrize(("number", "seconds"), moments("writer"))
def test_the_writer(rig, number, seconds):
    path, swmr = begin(rig, f"writer{number}", number)
    (writer,) = rig.server.children()
    time.sleep(seconds)
    os.kill(writer, signal.SIGKILL)
    assert rig.ca.put_status("acquire") == ECA_PUTFAIL
    assert rig.ca.put_status("capture") == ECA_PUTFAIL
    assert "killed by signal 9" in rig.message()
    assert "is incomplete" in rig.ca.get("HDF1:WriteMessage")
    least = shown(rig)
    if least or not swmr:
        check(rig, path, swmr, least)
    path = rig.capture(f"after{number}", 5, HDF1__SWMRMode=0)
    assert rig.acquire(5) == ECA_NORMAL
    assert rig.ca.put_status("capture") == ECA_NORMAL
    assert rig.ca.gets("HDF1:WriteStatus", "HDF1:WriteMessage") == [0, ""]
    assert Written(path).frames == 5


@pytest.mark.parametrize(("number", "seconds"), moments("server"))
def test_the_server(start_rig, number, seconds):
    rig = start_rig()
    path, swmr = begin(rig, "server", number)
    (writer,) = rig.server.children()
    time.sleep(seconds)
    least = shown(rig)
    rig.server.process.kill()
    rig.server.process.wait()
    # The next one does not wait for what the first has left behind.
    again = start_rig()
    after = again.capture("server_again", 5)
    assert again.acquire(5) == ECA_NORMAL
    assert again.ca.put_status("capture") == ECA_NORMAL
    assert Written(after).frames == 5
    gone(writer)
    # The writer has closed it in order: it opens plainly, whatever its mode.
    check(rig, path, 0, least)
