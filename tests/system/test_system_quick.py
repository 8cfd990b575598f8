"""Series stopped after few frames or none, and captures on each other's heels: every file is whole."""

from __future__ import annotations

import numpy as np
import pytest
from ca_clients import ECA_NORMAL, ECA_PUTFAIL
from system_rig import Written


def whole(rig, path, frames, exposure):
    written = Written(path)
    assert written.frames == frames
    assert set(written.lengths().values()) == {frames}
    np.testing.assert_array_equal(written["frame_in_series"], np.arange(frames))
    assert not written["frame_status"].any()
    assert written.end_time
    written.check(rig.settings, exposure)


@pytest.mark.parametrize("frames", [0, 1, 3])
def test_a_series_stopped_after_few_frames(rig, frames):
    path = rig.capture(f"stopped{frames}")
    rig.begin(1000, 0.1)
    if frames:
        rig.ca.wait_above("det1:ArrayCounter_RBV", frames - 1)
    assert rig.ca.put("det1:Acquire", 0)[0] == ECA_NORMAL
    assert rig.ca.put_status("acquire") == ECA_NORMAL
    acquired, streamed, written, missing = rig.counters()
    assert acquired == streamed == written >= frames
    assert missing == 0
    assert rig.ca.put("HDF1:Capture", 0)[0] == ECA_NORMAL
    assert rig.ca.put_status("capture") == ECA_NORMAL
    whole(rig, path, acquired, 0.1)


def test_a_series_stopped_at_once(rig):
    """Not awaited: the stop comes while it is being started, or just after."""
    path = rig.capture("at_once")
    rig.ca.set(NumImages=1000, AcquireTime=0.01)
    for _ in range(10):
        rig.ca.begin("det1:Acquire", 1, "acquire")
        assert rig.ca.put("det1:Acquire", 0)[0] == ECA_NORMAL
        assert rig.ca.put_status("acquire") in (ECA_NORMAL, ECA_PUTFAIL)
        assert rig.ca.get("det1:Acquire_RBV") == 0
    assert rig.ca.put("HDF1:Capture", 0)[0] == ECA_NORMAL
    assert rig.ca.put_status("capture") == ECA_NORMAL
    written = Written(path)
    assert written.frames == rig.ca.get("HDF1:NumCaptured_RBV")
    assert set(written.lengths().values()) == {written.frames}
    assert written.end_time


def test_captures_on_each_others_heels(rig):
    rig.capture("heels")  # sets the names
    rig.ca.put("HDF1:Capture", 0)
    assert rig.ca.put_status("capture") == ECA_NORMAL
    rig.ca.set(HDF1__FileName="quick", HDF1__FileNumber=100)
    rig.ca.set(AcquireTime=0.001)
    sizes = [1 + number % 3 for number in range(20)]
    for frames in sizes:
        rig.ca.set(NumImages=frames)  # and NumCapture
        rig.ca.begin("HDF1:Capture", 1, "capture")
        rig.ca.begin("det1:Acquire", 1, "acquire")
        assert rig.ca.put_status("acquire") == ECA_NORMAL
        assert rig.ca.put_status("capture") == ECA_NORMAL
        assert rig.ca.gets("HDF1:WriteStatus", "HDF1:NumCaptured_RBV") == [0, frames]
    names = [f"quick_{number}.h5" for number in range(100, 120)]
    assert sorted(path.name for path in rig.files.iterdir() if path.name.startswith("quick")) == names
    for name, frames in zip(names, sizes, strict=True):
        whole(rig, rig.files / name, frames, 0.001)
