"""What goes to the disk itself, and when: files, and the directories with their names."""

import os

import pytest
from receivers_feed import capture, end, frames, header

from xsp3ioc.receivers.durability import Durability
from xsp3ioc.receivers.recording import Recording
from xsp3ioc.stream.messages import CaptureEnd, Closed, Failed


@pytest.fixture
def synced(monkeypatch):
    """Names of what was put on the disk, in order."""
    names = []
    fsync = os.fsync

    def listen(descriptor):
        names.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", listen)
    return names


def record(recording, *events):
    for event in events:
        recording.take(event)


def test_a_file_is_put_on_the_disk_so_often_and_at_its_end(synced, tmp_path):
    path, reports = tmp_path / "new" / "x.h5", []
    durability = Durability(3600.0)
    recording = Recording(reports.append, durability)
    record(recording, capture(path, create_directories=1), header(), frames(0, 3))
    # Its name, and that of the directory that was made for it.
    assert synced == [str(path.parent), str(tmp_path)]
    recording.tick()
    assert len(synced) == 2
    durability.interval = 1e-9  # it is time again
    recording.tick()
    assert synced[2:] == [str(path)]
    recording.tick()
    assert len(synced) == 3, "nothing is new"
    # Flushed at the end of the series, but not yet on the disk.
    record(recording, frames(3, 2), end(5))
    recording.tick()
    record(recording, CaptureEnd(capture_id=1))
    assert synced[3:] == [str(path)] * 2
    assert isinstance(reports[-1], Closed)


def test_files_of_single_frames_and_names_given_later(synced, tmp_path):
    recording = Recording(lambda _: None, Durability(60.0))
    pattern = f"{tmp_path}/x_%d.h5"
    single = capture(tmp_path / "x_0.h5", pattern=pattern, each_frame=True)
    record(recording, single, header(), frames(0, 2), end(2), CaptureEnd(capture_id=1))
    assert synced == [name for number in range(2) for name in (f"{tmp_path}/x_{number}.h5", str(tmp_path))]
    synced.clear()
    (tmp_path / "there").mkdir()
    held = tmp_path / "there" / ".y.h5"
    (tmp_path / "x_1.h5").rename(held)
    record(recording, capture(tmp_path / "y.h5", capture_id=2, held=str(held), frames=1))
    assert synced == [f"{tmp_path}/y.h5", str(tmp_path)]


def test_nothing_of_it_if_it_is_not_asked_for(synced, tmp_path):
    recording = Recording(lambda _: None)
    record(recording, capture(tmp_path / "x.h5"), header(), frames(0, 2))
    recording.tick()
    record(recording, end(2), CaptureEnd(capture_id=1))
    assert synced == []


def test_a_disk_that_does_not_take_it_fails_the_capture(monkeypatch, tmp_path):
    def fail(_):
        raise OSError(5, os.strerror(5))

    reports, path = [], tmp_path / "x.h5"
    recording = Recording(reports.append, Durability(60.0))
    record(recording, capture(path), header(), frames(0, 2))
    monkeypatch.setattr(os, "fsync", fail)
    record(recording, end(2), CaptureEnd(capture_id=1))
    assert reports[-1] == Failed(
        capture_id=1, filename=str(path), frames=2, error=f"{path}: not safe on the disk: Input/output error"
    )


@pytest.mark.parametrize("seconds", ["-1", "nan", "inf", "soon"])
def test_times_that_are_none(seconds, capsys):
    from xsp3ioc.receivers.writer import main

    with pytest.raises(SystemExit) as ended:
        main(["--fsync", seconds])
    assert ended.value.code == 2
    assert "--fsync" in capsys.readouterr().err
