"""The records of the file plugin: what they show before there is a file, names and paths, and its write modes."""

from __future__ import annotations

import time

import h5py
import numpy as np
import pytest
from ca_clients import ECA_NORMAL, ECA_PUTFAIL
from system_rig import Written

SINGLE, CAPTURE, STREAM = range(3)
WAY_OUT = ": HDF1:NextFreeNumber passes over it, HDF1:Overwrite replaces it"
QUIET = {"HDF1:AutoSave": 0, "HDF1:FileWriteMode": STREAM, "HDF1:LazyOpen": 0, "HDF1:CreateDirectory": 0,
         "HDF1:NextFreeNumber": 0, "HDF1:CloseOnAbort": 0, "HDF1:AutoIncrement": 1, "HDF1:FileNumber": 0,
         "HDF1:SWMRMode": 0, "HDF1:NumCapture_CALC.DISA": 0}  # fmt: skip


@pytest.fixture(autouse=True)
def _as_booted(rig):
    """Each test leaves nothing running, and begins with the same settings."""
    yield
    rig.ca.put("det1:Acquire", 0)
    rig.ca.put("HDF1:Capture", 0)
    for name, value in QUIET.items():
        assert rig.ca.put(name, value)[0] == ECA_NORMAL
    rig.ca.put("HDF1:FreeCapture", 1)


def until(condition, what):
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end, f"{what} did not come"
        time.sleep(0.01)


def refused(rig, name, value, *words):
    status, _ = rig.ca.put(name, value)
    assert status == ECA_PUTFAIL
    message = rig.message()
    assert all(word in message for word in words), message


def setting(rig, name, mode=STREAM, directory=None, **more):
    rig.ca.set(HDF1__FilePath=str(directory or rig.files), HDF1__FileName=name, HDF1__FileTemplate="%s%s_%d.h5")
    rig.ca.set(**{"HDF1__FileNumber": 0, "HDF1__NumCapture": 0, "HDF1__FileWriteMode": mode} | more)


def files(rig, name):
    return sorted(path.name for path in rig.files.iterdir() if name in path.name)


def hidden(rig):
    return [path.name for path in rig.files.iterdir() if path.name.startswith(".")]


def outcome(rig):
    return rig.ca.gets("HDF1:Capture_RBV", "HDF1:WriteFile_RBV", "HDF1:WriteStatus", "HDF1:WriteMessage")


GOOD = [0, 0, 0, ""]


# before there is a file


def test_it_is_known_before_the_first_frame(start_rig):
    rig = start_rig(server={"connect": False})
    until(lambda: "ver" in rig.ca.get("HDF1:PluginType_RBV"), "the writer")
    assert rig.ca.get("HDF1:PluginType_RBV") == f"NDFileHDF5 ver{h5py.version.hdf5_version}"
    assert rig.ca.gets(*(f"HDF1:ArraySize{which}_RBV" for which in "012XYZ")) == [4096, 4, 0, 4096, 4, 0]
    assert rig.ca.gets("HDF1:DataType_RBV", "HDF1:ColorMode_RBV", "HDF1:NDimensions_RBV") == [5, 0, 2]
    assert rig.ca.get("HDF1:Dimensions_RBV").tolist()[:3] == [4096, 4, 0]
    assert rig.ca.gets("HDF1:PortName_RBV", "HDF1:NDArrayPort_RBV", "HDF1:ADCoreVersion_RBV") == [
        "FileHDF1", "XSP3", "3.14.0",
    ]  # fmt: skip
    assert rig.ca.gets("HDF1:QueueSize_RBV", "HDF1:QueueFree", "HDF1:QueueUse") == [512, 512, 0]
    assert rig.ca.gets("HDF1:SWMRSupported_RBV", "HDF1:XMLValid_RBV") == [1, 1]
    # The disabled plugin is no alarm of ours; the enabled one is, as its clients know it.
    assert rig.ca.read("HDF1:EnableCallbacks_RBV").severity == 1
    rig.ca.set(HDF1__EnableCallbacks=0)
    assert rig.ca.read("HDF1:EnableCallbacks_RBV").severity == 0


def test_a_capture_before_any_frame(start_rig):
    rig = start_rig()
    path = rig.capture("first")
    assert rig.ca.gets("HDF1:Capture_RBV", "HDF1:WriteFile_RBV") == [1, 1]
    assert rig.acquire(3) == ECA_NORMAL
    rig.ca.set(HDF1__Capture=0)
    written = Written(path)
    assert list(written["frame_in_series"]) == [0, 1, 2]  # and no blank one
    written.check(rig.settings, 0.001)


# where


def test_paths(rig, tmp_path):
    rig.ca.set(HDF1__FilePath=str(tmp_path))
    assert rig.ca.gets("HDF1:FilePath", "HDF1:FilePath_RBV") == [f"{tmp_path}/"] * 2
    assert rig.ca.get("HDF1:FilePathExists_RBV") == 1
    missing = tmp_path / "a" / "b"
    rig.ca.set(HDF1__FilePath=str(missing))
    assert rig.ca.read("HDF1:FilePathExists_RBV")[0] == 0
    assert rig.ca.read("HDF1:FilePathExists_RBV").severity == 2
    rig.ca.set(HDF1__CreateDirectory=-1, HDF1__FilePath=str(missing))
    assert not missing.parent.exists()
    # As areaDetector does it: made when the path is put, so that clients find it there.
    rig.ca.set(HDF1__CreateDirectory=-2, HDF1__FilePath=str(missing))
    assert rig.ca.read("HDF1:FilePathExists_RBV")[0] == 1
    assert missing.is_dir()


def test_a_path_that_cannot_be_made(rig):
    rig.ca.set(HDF1__CreateDirectory=-3, HDF1__FilePath="/proc/no/such")
    assert rig.ca.get("HDF1:FilePathExists_RBV") == 0
    assert "/proc/no/such/ cannot be made" in rig.message()


def test_what_cannot_change_while_a_file_is_written(rig):
    path = rig.capture("fixed")
    for name, value in (("HDF1:FilePath", "/tmp"), ("HDF1:FileWriteMode", SINGLE), ("det1:CTRL_DTC", 1)):
        refused(rig, name, value, "cannot change while", path)
    rig.ca.set(HDF1__FileWriteMode=STREAM)
    assert rig.ca.put("HDF1:Capture", 0)[0] == ECA_NORMAL


def test_a_directory_that_is_gone(rig):
    directory = rig.files / "gone"
    directory.mkdir()
    setting(rig, "x", directory=directory)
    directory.rmdir()
    status, _ = rig.ca.put("HDF1:Capture", 1)
    assert status == ECA_PUTFAIL
    assert outcome(rig) == [0, 0, 1, f"{directory}: no such directory"]
    setting(rig, "back")
    rig.ca.begin("HDF1:Capture", 1, "capture")
    rig.ca.wait_for("HDF1:Capture_RBV", 1)
    assert rig.ca.gets("HDF1:WriteStatus", "HDF1:WriteMessage") == [0, ""]


def test_the_next_free_number(rig):
    for number in (0, 1, 3):
        (rig.files / f"free_{number}.h5").write_text("taken")
    setting(rig, "free")
    refused(rig, "HDF1:Capture", 1, "free_0.h5 exists already")
    rig.ca.set(HDF1__NextFreeNumber=1)
    listener = rig.listener(compare=False)
    for series, (number, following) in enumerate(((2, 3), (4, 5)), 1):
        assert rig.capture_as_set() == str(rig.files / f"free_{number}.h5")
        assert rig.ca.get("HDF1:FileNumber_RBV") == following
        assert rig.acquire(1) == ECA_NORMAL
        rig.ca.set(HDF1__Capture=0)
        assert Written(rig.files / f"free_{number}.h5").frames == 1
        assert listener.heard(series).header.filename == str(rig.files / f"free_{number}.h5")
    listener.end()


# how many


def test_num_images_is_copied_when_it_is_accepted(rig):
    rig.ca.set(NumImages=7)
    assert rig.ca.gets("HDF1:NumCapture", "HDF1:NumCapture_RBV") == [7, 7]
    refused(rig, "det1:NumImages", 0, "below 1")
    assert rig.ca.get("HDF1:NumCapture_RBV") == 7
    assert rig.ca.put("HDF1:NumCapture_CALC.DISA", 1)[0] == ECA_NORMAL
    rig.ca.set(NumImages=8)
    assert rig.ca.get("HDF1:NumCapture_RBV") == 7


def test_an_open_file_keeps_its_number_of_frames(rig):
    path = rig.capture("kept")  # for any number
    assert rig.acquire(5) == ECA_NORMAL
    assert rig.acquire(5) == ECA_NORMAL
    assert rig.ca.gets("HDF1:NumCapture_RBV", "HDF1:Capture_RBV") == [5, 1]
    rig.ca.set(HDF1__Capture=0)
    assert Written(path).frames == 10


# one file per frame


def test_a_frame_on_demand(rig):
    setting(rig, "demand", SINGLE)
    refused(rig, "HDF1:Capture", 1, "Single", "Stream")
    assert rig.acquire(5) == ECA_NORMAL
    rig.ca.monitor("HDF1:WriteFile_RBV", "HDF1:WriteFile")
    rig.ca.seen("HDF1:WriteFile_RBV")
    for number in range(2):
        assert rig.ca.put("HDF1:WriteFile", 1)[0] == ECA_NORMAL
        path = str(rig.files / f"demand_{number}.h5")
        # Closed when the put is done.
        written = Written(path)
        assert list(written["frame_in_series"]) == [4]
        written.check(rig.settings, 0.001)
        assert rig.ca.gets("HDF1:FullFileName_RBV", "HDF1:FileNumber_RBV") == [path, number + 1]
        assert rig.ca.get("HDF1:NumCaptured_RBV") == 1
        assert outcome(rig) == GOOD
    assert [reading.value for reading in rig.ca.seen("HDF1:WriteFile_RBV")] == [1, 0, 1, 0]
    assert [reading.value for reading in rig.ca.seen("HDF1:WriteFile")][-4:] == [1, 0, 1, 0]


def test_a_frame_on_demand_in_mid_series(rig):
    setting(rig, "midst", SINGLE)
    listener = rig.listener()
    rig.begin(2000, 0.001)
    rig.ca.wait_above("det1:ArrayCounter_RBV", 20)
    assert rig.ca.put("HDF1:WriteFile", 1)[0] == ECA_NORMAL
    assert rig.ca.is_open("acquire")
    written = Written(rig.files / "midst_0.h5")
    assert written.frames == 1
    assert written["frame_in_series"][0] >= 20
    written.check(rig.settings, 0.001)
    rig.ca.put("det1:Acquire", 0)
    assert rig.ca.put_status("acquire") == ECA_NORMAL
    acquired, streamed, in_file, missing = rig.counters()
    assert (acquired, in_file, missing) == (streamed, 0, 0)
    heard = listener.heard()
    assert (heard.frames, heard.wrong, heard.gaps) == (acquired, [], [])
    listener.end()


def test_every_frame(rig):
    setting(rig, "every", SINGLE, HDF1__AutoSave=1)
    rig.ca.monitor("HDF1:WriteFile_RBV")
    rig.ca.seen("HDF1:WriteFile_RBV")
    assert rig.acquire(6, 0.002) == ECA_NORMAL
    # Nothing is left to be written when the series is over.
    assert rig.counters() == [6, 6, 6, 0]
    assert rig.ca.gets("HDF1:FileNumber_RBV", "HDF1:NumCaptured_RBV") == [6, 6]
    assert rig.ca.get("HDF1:FullFileName_RBV") == str(rig.files / "every_5.h5")
    for number in range(6):
        written = Written(rig.files / f"every_{number}.h5")
        assert list(written["frame_in_series"]) == [number]
        written.check(rig.settings, 0.002)
    assert rig.acquire(1, 0.002) == ECA_NORMAL
    assert files(rig, "every_") == [f"every_{number}.h5" for number in range(7)]
    assert outcome(rig) == GOOD
    assert [reading.value for reading in rig.ca.seen("HDF1:WriteFile_RBV")] == [1, 0, 1, 0]


def test_a_frame_whose_file_exists(rig):
    setting(rig, "inway", SINGLE, HDF1__AutoSave=1)
    (rig.files / "inway_3.h5").write_text("precious")
    assert rig.acquire(6, 0.002) == ECA_PUTFAIL
    assert "inway_3.h5 exists already" in rig.ca.get("HDF1:WriteMessage")
    assert rig.ca.gets("HDF1:WriteStatus", "HDF1:WriteFile_RBV", "det1:Acquire_RBV") == [1, 0, 0]
    assert rig.ca.get("HDF1:FileNumber_RBV") == 3
    assert files(rig, "inway_") == [f"inway_{number}.h5" for number in range(4)]
    assert (rig.files / "inway_3.h5").read_text() == "precious"
    rig.ca.set(HDF1__FileNumber=10)
    assert rig.acquire(2, 0.002) == ECA_NORMAL
    assert outcome(rig) == GOOD


def test_frames_without_a_name_stop_no_series_by_half(rig):
    setting(rig, "", SINGLE, HDF1__AutoSave=1)
    rig.ca.set(NumImages=3)
    refused(rig, "det1:Acquire", 1, "set HDF1:FilePath and HDF1:FileName")
    assert rig.ca.gets("det1:Acquire_RBV", "HDF1:WriteStatus") == [0, 1]


def test_no_frame_yet(start_rig):
    rig = start_rig()
    setting(rig, "none", SINGLE)
    refused(rig, "HDF1:WriteFile", 1, "no frame yet")
    assert rig.ca.gets("HDF1:WriteFile", "HDF1:WriteFile_RBV", "HDF1:WriteStatus") == [0, 0, 1]


# captured first, named later


def test_what_is_captured_is_named_later(rig):
    setting(rig, "later", CAPTURE)
    rig.ca.set(NumImages=30, AcquireTime=0.001)  # and NumCapture
    rig.ca.begin("HDF1:Capture", 1, "capture")
    rig.ca.wait_for("HDF1:Capture_RBV", 1)
    assert rig.ca.get("HDF1:WriteFile_RBV") == 0
    assert rig.acquire(30) == ECA_NORMAL
    assert rig.ca.put_status("capture") == ECA_NORMAL
    assert rig.ca.gets("HDF1:NumCaptured_RBV", "HDF1:FileNumber_RBV", "HDF1:Capture_RBV") == [30, 0, 0]
    assert files(rig, "later") == []
    assert len(hidden(rig)) == 1
    # Another name, and another directory, until it is written.
    there = rig.files / "there"
    there.mkdir()
    rig.ca.set(HDF1__FilePath=str(there), HDF1__FileName="now")
    assert rig.ca.put("HDF1:WriteFile", 1)[0] == ECA_NORMAL
    assert rig.ca.get("HDF1:FullFileName_RBV") == str(there / "now_0.h5")
    assert rig.ca.gets("HDF1:NumCaptured_RBV", "HDF1:FileNumber_RBV") == [30, 1]
    assert outcome(rig) == GOOD
    written = Written(there / "now_0.h5")
    assert written.frames == 30
    written.check(rig.settings, 0.001)
    assert hidden(rig) == []
    refused(rig, "HDF1:WriteFile", 1, "nothing is captured")


def test_a_capture_that_is_not_named_is_freed(rig):
    setting(rig, "freed", CAPTURE)
    for end in ("HDF1:FreeCapture", "HDF1:Capture"):
        rig.ca.begin("HDF1:Capture", 1, "capture")
        rig.ca.wait_for("HDF1:Capture_RBV", 1)
        assert rig.acquire(3) == ECA_NORMAL
        rig.ca.set(HDF1__Capture=0)
        assert rig.ca.put_status("capture") == ECA_NORMAL
        assert len(hidden(rig)) == 1
        held = hidden(rig)
        rig.ca.begin(end, 1, "end")
        until(lambda held=held: held[0] not in hidden(rig), "the end of the hidden file")
        rig.ca.set(HDF1__Capture=0)
        until(lambda: hidden(rig) == [], "the end of an empty capture's file")
    assert files(rig, "freed") == []
    refused(rig, "HDF1:WriteFile", 1, "nothing is captured")


def test_a_name_that_is_taken_keeps_what_is_captured(rig):
    setting(rig, "taken", CAPTURE)
    (rig.files / "taken_0.h5").write_text("precious")
    rig.ca.begin("HDF1:Capture", 1, "capture")
    rig.ca.wait_for("HDF1:Capture_RBV", 1)
    refused(rig, "HDF1:WriteFile", 1, "is being written")
    assert rig.acquire(3) == ECA_NORMAL
    rig.ca.set(HDF1__Capture=0)
    status, _ = rig.ca.put("HDF1:WriteFile", 1)
    assert status == ECA_PUTFAIL
    assert outcome(rig) == [0, 0, 1, f"{rig.files}/taken_0.h5 exists already{WAY_OUT}"]
    assert (rig.files / "taken_0.h5").read_text() == "precious"
    rig.ca.set(HDF1__FileNumber=1)
    assert rig.ca.put("HDF1:WriteFile", 1)[0] == ECA_NORMAL
    assert Written(rig.files / "taken_1.h5").frames == 3


def test_what_is_captured_is_named_at_once(rig):
    setting(rig, "once", CAPTURE, HDF1__AutoSave=1)
    rig.ca.set(NumImages=4)
    rig.ca.begin("HDF1:Capture", 1, "capture")
    rig.ca.wait_for("HDF1:Capture_RBV", 1)
    assert rig.acquire(4) == ECA_NORMAL
    assert rig.ca.put_status("capture") == ECA_NORMAL
    rig.ca.wait_for("HDF1:FullFileName_RBV", str(rig.files / "once_0.h5"))
    assert Written(rig.files / "once_0.h5").frames == 4
    assert hidden(rig) == []


def test_nothing_hidden_is_left_behind(start_rig):
    rig = start_rig()
    setting(rig, "left", CAPTURE)
    rig.ca.begin("HDF1:Capture", 1, "capture")
    rig.ca.wait_for("HDF1:Capture_RBV", 1)
    assert rig.acquire(3) == ECA_NORMAL
    rig.ca.set(HDF1__Capture=0)
    assert len(hidden(rig)) == 1
    assert rig.server.stop() == 0
    assert list(rig.files.iterdir()) == []


# opened with the next series


def lazily(rig, name, frames=0):
    setting(rig, name, HDF1__LazyOpen=1, HDF1__NumCapture=frames)
    rig.ca.begin("HDF1:Capture", 1, "capture")
    rig.ca.wait_for("HDF1:Capture_RBV", 1)


def test_a_file_that_is_opened_late(rig):
    lazily(rig, "late")
    assert rig.ca.gets("HDF1:WriteFile_RBV", "HDF1:WriteMessage", "HDF1:NumCaptured_RBV") == [0, "Lazy Open...", 0]
    assert files(rig, "late") == []
    refused(rig, "HDF1:FilePath", "/tmp", "waits for its first frame")
    refused(rig, "HDF1:Capture", 1, "waits for its first frame")
    rig.ca.set(HDF1__FileName="later")  # the name is taken when the file is opened
    for _ in range(2):
        assert rig.acquire(3) == ECA_NORMAL  # which is copied to NumCapture, and is not what was asked for
    assert rig.ca.get("HDF1:FullFileName_RBV") == str(rig.files / "later_0.h5")
    assert rig.ca.gets("HDF1:WriteFile_RBV", "HDF1:WriteMessage", "HDF1:NumCaptured_RBV") == [1, "", 6]
    rig.ca.set(HDF1__Capture=0)
    assert rig.ca.put_status("capture") == ECA_NORMAL
    written = Written(rig.files / "later_0.h5")
    assert list(written["series_index"]) == [0, 0, 0, 1, 1, 1]


def test_a_file_that_is_never_opened(rig):
    lazily(rig, "never")
    assert rig.ca.put("HDF1:Capture", 0)[0] == ECA_NORMAL
    assert rig.ca.put_status("capture") == ECA_NORMAL
    assert outcome(rig) == GOOD
    assert files(rig, "never") == []


def test_a_file_that_cannot_be_opened_late(rig):
    (rig.files / "wall_0.h5").write_text("precious")
    lazily(rig, "wall")
    rig.ca.set(NumImages=3)
    refused(rig, "det1:Acquire", 1, "wall_0.h5 exists already")
    assert rig.ca.put_status("capture") == ECA_PUTFAIL
    assert outcome(rig) == [0, 0, 1, f"{rig.files}/wall_0.h5 exists already{WAY_OUT}"]
    assert rig.ca.get("det1:Acquire_RBV") == 0
    assert rig.acquire(3) == ECA_NORMAL


# in mid-series


def test_a_capture_in_mid_series_begins_with_the_next_block(rig):
    listener = rig.listener()
    rig.ca.set(HDF1__DroppedArrays=0)
    rig.begin(1_000_000, 0.001)
    rig.ca.wait_above("det1:ArrayCounter_RBV", 50)
    before = rig.ca.get("det1:ArrayCounter_RBV")
    first = rig.capture("joined", 40)
    assert rig.ca.put_status("capture") == ECA_NORMAL
    second = rig.capture("joined", 0)
    rig.ca.wait_above("HDF1:NumCaptured_RBV", 100)
    rig.ca.put("det1:Acquire", 0)
    assert rig.ca.put_status("acquire") == ECA_NORMAL
    assert rig.ca.is_open("capture")
    acquired, streamed, in_files, missing = rig.counters()
    assert (acquired, missing) == (streamed, 0)
    captured = rig.ca.get("HDF1:NumCaptured_RBV")
    assert in_files == 40 + captured
    rig.ca.set(HDF1__Capture=0)
    starts = []
    for path, count in ((first, 40), (second, captured)):
        written = Written(path)
        assert written.frames == count
        starts.append(written["frame_in_series"][0])
        np.testing.assert_array_equal(written["frame_in_series"], starts[-1] + np.arange(count))
        assert not written["frame_status"].any()
        written.check(rig.settings, 0.001)
    assert starts[0] >= before
    assert starts[1] >= starts[0] + 40
    assert starts[1] + captured == acquired
    heard = listener.heard()
    assert (heard.frames, heard.wrong, heard.gaps, heard.end.written) == (acquired, [], [], in_files)
    assert rig.ca.get("HDF1:DroppedArrays_RBV") == 0
    listener.end()


# both edges


@pytest.mark.parametrize(("mode", "lazy", "writing"), [(STREAM, 0, [1, 0]), (STREAM, 1, []), (CAPTURE, 0, [])])
def test_both_edges_of_a_capture_without_frames(rig, mode, lazy, writing):
    setting(rig, f"edges{mode}{lazy}", mode, HDF1__LazyOpen=lazy)
    names = "HDF1:Capture", "HDF1:Capture_RBV", "HDF1:WriteFile_RBV"
    rig.ca.monitor(*names)
    for name in names:
        rig.ca.seen(name)
    for _ in range(5):
        # Not awaited: one follows on the heels of the other.
        rig.ca.begin("HDF1:Capture", 1, "capture")
        assert rig.ca.put("HDF1:Capture", 0)[0] == ECA_NORMAL
        assert rig.ca.put_status("capture") == ECA_NORMAL
    for name, expected in zip(names, ([1, 0], [1, 0], writing), strict=True):
        assert [reading.value for reading in rig.ca.seen(name)] == 5 * expected
    assert outcome(rig) == GOOD
    until(lambda: hidden(rig) == [], "no hidden file")
