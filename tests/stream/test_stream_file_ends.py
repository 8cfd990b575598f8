"""Ends of files that nobody foresaw: a writer that hangs, a fault in mid-series, many who end one at once."""

from __future__ import annotations

import os
import signal
import threading
import time
from concurrent.futures import Future
from types import SimpleNamespace

import pytest
from stream_core import PATIENCE, running_core

from xsp3ioc.stream import disk, file_series, file_settings
from xsp3ioc.stream.capture_file import CaptureFile, RecordingError
from xsp3ioc.stream.messages import Capture, Opened
from xsp3ioc.stream.recorder import Recorder

SINGLE, CAPTURE, STREAM = range(3)


@pytest.fixture
def core(tmp_path):
    with running_core(channels=2) as core:
        core.set(file_path=str(tmp_path), file_name="x", file_template="%s%s_%d.h5", exposure_time=0.01)
        yield core


def test_a_frame_that_a_dead_disk_holds_ends_with_the_next_series(core, tmp_path, monkeypatch):
    monkeypatch.setattr(file_series, "CLOSE_PATIENCE", 0.5)
    core.set(file_write_mode=SINGLE)
    core.acquire(3)
    recorder = core.detector.recorder
    hear, stopped = recorder.hear, []

    def stop_first(report):
        if isinstance(report, Opened) and not stopped:
            stopped.append(recorder.pid)
            os.kill(recorder.pid, signal.SIGSTOP)
        hear(report)

    monkeypatch.setattr(recorder, "hear", stop_first)
    held = core.detector.put("writing", True)
    held.begun.result(PATIENCE)
    assert not held.done()
    core.set(file_auto_save=True, file_next_free=True, file_name="y")
    core.acquire(3)
    with pytest.raises(RecordingError, match="has not closed the file"):
        held.result(PATIENCE)
    assert not core.get("writing")
    assert sorted(path.name for path in tmp_path.glob("y*")) == [f"y_{number}.h5" for number in range(3)]


def test_a_fault_ends_the_files_of_single_frames(core, tmp_path):
    core.set(file_write_mode=SINGLE, file_auto_save=True, frames=100_000, exposure_time=0.1)
    core.detector.put("acquire", True).begun.result(PATIENCE)
    core.wait(lambda: core.get("frames_read") > 1)
    core.detector._fault("a test")
    core.put("reset", True)
    core.wait(lambda: not core.get("writing"))
    core.put("file_path", str(tmp_path))
    pid = core.detector.recorder.pid
    core.acquire(2)
    assert core.detector.recorder.pid == pid


@pytest.mark.parametrize("frames", [0, 50])
def test_a_fault_ends_the_file_that_would_wait_for_ever(core, tmp_path, frames):
    core.set(frames=100, exposure_time=0.1, capture_frames=frames)
    capture = core.detector.put("capture", True)
    core.detector.put("acquire", True).begun.result(PATIENCE)
    core.wait(lambda: core.get("frames_read") > 1)
    core.detector._fault("a test")
    if frames:
        with pytest.raises(RecordingError, match=r"x_0.h5 was closed before its end, Fault: a test"):
            capture.result(PATIENCE)
        assert (core.get("capture"), core.get("writing"), core.get("write_status")) == (False, False, True)
    else:
        assert not capture.done()
    core.put("reset", True)
    if not frames:
        core.acquire(2)
        core.put("capture", False)
        assert not capture.exception(PATIENCE)


class Ends:
    """What a recorder needs to end a file; counts how often that is shown."""

    def __init__(self):
        self.shown = []
        self.subscribers = SimpleNamespace(forget_capture=lambda: None, forget_writer=lambda: None)

    def publish(self, *_, **__):
        pass


def order(number):
    return Capture(capture_id=number, filename=f"x{number}", channels=1, bins=1)


def test_a_file_ends_once():
    for _ in range(200):
        ends, start = Ends(), threading.Barrier(3)
        recorder = Recorder(ends, "", "", None, lambda file, ends=ends: ends.shown.append(file.error), lambda _: None)
        file = CaptureFile(order(1))
        recorder.open(file)

        def end(error, start=start, recorder=recorder, file=file):
            start.wait()
            recorder.give_up(file, error)

        threads = [threading.Thread(target=end, args=(name,)) for name in "abc"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert ends.shown == [file.error]
        assert str(file.closed.exception()) == file.error


def test_a_file_is_not_forgotten_before_its_end():
    recorder = Recorder(Ends(), "", "", None, lambda _: None, lambda _: None)
    first, second = CaptureFile(order(1)), CaptureFile(order(2))
    recorder.open(first)
    with pytest.raises(RecordingError, match="x1 is still being written"):
        recorder.open(second)
    recorder.give_up(first, "")
    assert isinstance(first.closed, Future) and first.closed.result(0) == 0
    recorder.open(second)
    assert recorder.file is second


def test_erase_clears_all_that_was_acquired(core, monkeypatch):
    core.acquire(20)
    core.set(frames=3)
    cleared = []
    monkeypatch.setattr(core.detector.sdk, "clear", cleared.append)
    core.put("erase", True)
    core.put("erase", True)
    assert cleared == [20, 4]


def test_a_capture_is_over_when_it_has_its_name(core, tmp_path):
    """The next one may begin in the moment in which the client hears of the end."""
    core.set(file_write_mode=CAPTURE, file_auto_save=True, capture_frames_apart=1, capture_frames=3)
    following = []
    for number in range(5):
        capture = following.pop() if following else core.detector.put("capture", True)
        capture.begun.result(PATIENCE)
        if number < 4:
            capture.add_done_callback(lambda _: following.append(core.detector.put("capture", True)))
        core.acquire(3)
        capture.result(PATIENCE)
        assert (tmp_path / f"x_{number}.h5").exists()
        core.wait(lambda number=number: following or number == 4)
    core.wait(lambda: not core.get("capture") and not core.get("writing"))
    assert [update.value for update in core.said("capture")] == [True, False] * 5
    assert len(list(tmp_path.iterdir())) == 5


def test_a_capture_whose_name_is_taken_fails_and_is_kept(core, tmp_path):
    (tmp_path / "x_0.h5").write_text("precious")
    core.set(file_write_mode=CAPTURE, file_auto_save=True, capture_frames_apart=1, capture_frames=3)
    capture = core.detector.put("capture", True)
    capture.begun.result(PATIENCE)
    core.acquire(3)
    with pytest.raises(RecordingError, match="exists already"):
        capture.result(PATIENCE)
    assert (core.get("capture"), core.get("writing"), core.get("write_status")) == (False, False, True)
    assert (tmp_path / "x_0.h5").read_text() == "precious"
    core.set(file_number=1)
    core.put("writing", True)
    assert (tmp_path / "x_1.h5").exists()


@pytest.fixture
def slow_to_show(core, monkeypatch):
    """The end of a file is shown a moment after it is known."""
    recorder = core.detector.recorder
    show = recorder._on_change

    def late(file):
        time.sleep(0.1)
        show(file)

    monkeypatch.setattr(recorder, "_on_change", late)


@pytest.mark.parametrize("ends", ["told", "full"])
@pytest.mark.parametrize("behind", ["corrected", "file_write_mode", "arm", "capture"])
def test_what_is_put_behind_the_end_of_a_file_finds_it_shown(core, tmp_path, slow_to_show, ends, behind):
    core.set(capture_frames_apart=1, capture_frames=2, destination=str(tmp_path / "destination.h5"))
    core.set(write_destination=True, file_lazy_open=behind == "capture")
    capture = core.detector.put("capture", True)
    core.acquire(2 if ends == "full" else 1)
    if ends == "told":
        core.detector.put("capture", False)
    else:
        core.wait(lambda: core.detector.recorder.file.over)
    core.detector.put(behind, True).begun.result(PATIENCE)
    assert not capture.exception(PATIENCE)
    assert core.get("capture") == (behind in ("arm", "capture"))


def test_what_was_captured_is_named_behind_its_end(core, tmp_path, slow_to_show):
    core.set(file_write_mode=CAPTURE)
    core.detector.put("capture", True).begun.result(PATIENCE)
    core.acquire(2)
    core.detector.put("capture", False)
    core.put("writing", True)
    assert [path.name for path in tmp_path.iterdir()] == ["x_0.h5"]


def test_a_path_on_a_dead_disk_changes_nothing(core, tmp_path, monkeypatch):
    monkeypatch.setattr(disk, "PATIENCE", 0.05)
    answer = threading.Event()
    monkeypatch.setattr(file_settings, "_make_directory", lambda path, levels: (answer.wait(PATIENCE), ""))
    with pytest.raises(OSError, match="has not answered"):
        core.put("file_path", "/dead/disk")
    answer.set()
    assert core.get("file_path") == f"{tmp_path}/"
    assert core.get("file_path_exists")


@pytest.mark.parametrize("mode", [CAPTURE, STREAM])
def test_the_directory_that_is_made_with_the_file_is_there(core, tmp_path, mode):
    core.set(file_path=str(tmp_path / "new"), file_write_mode=mode)
    assert not core.get("file_path_exists")
    core.set(file_create_directory=-1)
    core.detector.put("capture", True).begun.result(PATIENCE)
    assert core.get("file_path_exists")
    core.put("capture", False)


def test_a_stop_ends_the_wait_for_a_file_to_open(core):
    core.set(file_write_mode=SINGLE, file_auto_save=True)
    core.wait(lambda: core.detector.recorder.attached)
    pid = core.detector.recorder.pid
    os.kill(pid, signal.SIGSTOP)
    acquire = core.detector.put("acquire", True)
    core.wait(lambda: core.detector.recorder.file is not None)
    core.detector.put("acquire", False).exception(PATIENCE)
    with pytest.raises(RecordingError, match=r"has not opened .* within 0.8 s"):
        acquire.result(PATIENCE)
    core.acquire(2)
    assert core.detector.recorder.pid != pid


def test_a_stop_ends_the_wait_for_a_writer_to_start(core, monkeypatch):
    core.set(file_write_mode=SINGLE, file_auto_save=True)
    recorder = core.detector.recorder
    core.wait(lambda: recorder.attached)
    start, started = recorder.start, []

    def start_stopped():
        start()
        started.append(recorder.pid)
        os.kill(recorder.pid, signal.SIGSTOP)

    recorder.abandon("a test")
    monkeypatch.setattr(recorder, "start", start_stopped)
    acquire = core.detector.put("acquire", True)
    core.wait(lambda: started)
    core.detector.put("acquire", False).exception(PATIENCE)
    with pytest.raises(RecordingError, match=r"has not started within 0.8 s"):
        acquire.result(PATIENCE)
    monkeypatch.undo()
    os.kill(started[0], signal.SIGCONT)
    core.acquire(2)
    assert recorder.pid == started[0]
