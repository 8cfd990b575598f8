"""`xsp3-write` beside the server's own writer: the same frames, the same gaps; servers and writers that come and go."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from ca_clients import ECA_NORMAL, ECA_PUTFAIL
from server_process import free_port
from system_rig import Written

NUMBERS = itertools.count()
MISSING = {
    "missing": {"frames": [10, 11, 150]},
    "duplicated": {"frames": [0, 20, 90, 91, 199]},
    "overwrite": 70,
}
MARKED = dict.fromkeys((10, 11, 20, 90, 91, 150, 199), 2) | {70: 1}


class Remote:
    """A writer on another machine, which is this one; `lines` are what it says of its files."""

    def __init__(self, address, root, name="remote"):
        root.mkdir(exist_ok=True)
        self.root = root
        self.lines: list[str] = []
        command = [sys.executable, "-m", "xsp3ioc.receivers.writer", "--connect", address, "--root", str(root)]
        self.process = subprocess.Popen([*command, "--name", name], stdout=subprocess.PIPE, text=True)
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self):
        for line in self.process.stdout:
            with self._changed:
                self.lines.append(line.strip())
                self._changed.notify_all()

    def wait_for(self, count):
        """The last of `count` lines."""
        deadline = time.monotonic() + 20
        with self._changed:
            while len(self.lines) < count:
                assert self._changed.wait(max(0, deadline - time.monotonic())), self.lines
        return self.lines[count - 1]

    def end(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        self.process.wait(20)
        self._thread.join(20)
        self.process.stdout.close()


@pytest.fixture
def start_remote(tmp_path):
    remotes = []

    def start(rig, where="remote"):
        # Not by their number: it changes when one who was killed is noticed.
        name = f"{where} {next(NUMBERS)}"
        remote = Remote(rig.server.data, tmp_path / where, name)
        remotes.append(remote)
        rig.server.wait_for_log(f"Subscriber {name!r} joined")
        return remote

    yield start
    for remote in remotes:
        if remote.process.poll() is None:
            remote.end()


def captured(rig, name, frames, exposure=0.001, expected=ECA_NORMAL):
    path = rig.capture(name, frames)
    assert rig.acquire(frames, exposure) == expected
    assert rig.ca.put_status("capture") == expected
    return Path(path)


def whole(rig, path, first, count, exposure=0.001):
    written = Written(path)
    assert set(written.lengths().values()) == {count}
    np.testing.assert_array_equal(written["frame_in_series"], np.arange(first, first + count))
    assert not written["frame_status"].any()
    written.check(rig.settings, exposure)


def checked(path):
    """What `xsp3ioc check` says of a file, in one line."""
    command = [sys.executable, "-m", "xsp3ioc", "check", str(path)]
    return " ".join(subprocess.run(command, capture_output=True, text=True, check=False).stdout.split())


def test_captures_in_a_row_and_a_server_that_is_restarted(start_rig, start_remote):
    ports = {"server": {"data_port": free_port()}}
    rig = start_rig(**ports)
    remote = start_remote(rig)
    for number in range(3):
        path = captured(rig, "row", 5 + number)
        assert remote.wait_for(number + 1) == f"{remote.root / path.name}: {5 + number} frames"
        whole(rig, remote.root / path.name, 0, 5 + number)
    # In the middle of a series, without a word.
    rig.capture("cut")
    rig.begin(100_000, 0.001)
    rig.ca.wait_above("det1:ArrayCounter_RBV", 100)
    (writer,) = rig.server.children()
    rig.server.process.kill()
    rig.server.process.wait()
    again = start_rig(**ports)
    again.ca.wait_for("det1:Subscribers", 1)
    path = captured(again, "again", 9)
    remote.wait_for(5)
    cut = remote.root / "cut_3.h5"
    assert remote.lines[3].startswith(f"{cut}: ")
    count = Written(cut).frames
    assert count > 50
    whole(rig, cut, 0, count)
    assert remote.lines[4] == f"{remote.root / path.name}: 9 frames"
    whole(again, remote.root / path.name, 0, 9)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_writer_that_is_restarted_in_mid_series(rig, start_remote, number):
    where = f"restarted{number}"
    first = start_remote(rig, where)
    path = rig.capture("joined", 3000)
    rig.begin(3000, 0.001)
    rig.ca.wait_above("det1:ArrayCounter_RBV", 1200)
    first.end(number)
    second = start_remote(rig, where)
    assert rig.ca.put_status("acquire") == ECA_NORMAL
    assert rig.ca.put_status("capture") == ECA_NORMAL
    whole(rig, path, 0, 3000)
    name = Path(path).name
    before, after = first.root / name, first.root / name.replace(".h5", "_1.h5")
    assert second.wait_for(1).startswith(f"{after}: ")
    count, rest = Written(before).frames, Written(after)
    begin = int(rest["frame_in_series"][0])
    # What is flushed once a second survives a kill.
    assert 200 < count < begin
    whole(rig, before, 0, count)
    # What went by before has no place in it; each row says which frame it is.
    whole(rig, after, begin, 3000 - begin)
    said = checked(before)
    if number == signal.SIGKILL:
        assert "it was not closed: its writer has died" in said
    else:
        assert f"it was closed with {count:,} of the 3,000 frames" in said
    said = checked(after)
    assert f"it was closed with {3000 - begin:,} of the 3,000 frames" in said
    assert f"the file begins in mid-series: frame 0 (with frame {begin} of it)" in said


def test_a_writer_that_was_stopped_for_a_while_marks_what_it_lost(start_rig, start_remote):
    rig = start_rig(server={"pool": 16}, detector={"ring_frames": 1024})
    remote = start_remote(rig, "stopped")
    path = rig.capture("behind", 4000)
    rig.begin(4000, 0.001)
    rig.ca.wait_above("det1:ArrayCounter_RBV", 200)
    os.kill(remote.process.pid, signal.SIGSTOP)
    assert rig.ca.put_status("acquire") == ECA_NORMAL
    assert rig.ca.put_status("capture") == ECA_NORMAL
    os.kill(remote.process.pid, signal.SIGCONT)
    whole(rig, path, 0, 4000)
    theirs = remote.root / Path(path).name
    said = remote.wait_for(1)
    written = Written(theirs)
    np.testing.assert_array_equal(written["frame_in_series"], np.arange(4000))
    lost = np.flatnonzero(written["frame_status"])
    assert 0 < len(lost) < 4000
    assert said == f"{theirs}: 4000 frames, {len(lost)} of them missing"
    np.testing.assert_array_equal(written["frame_status"][lost], 2)
    written.check(rig.settings, 0.001)


def test_two_writers_on_one_directory(rig, start_remote):
    writers = [start_remote(rig, "shared"), start_remote(rig, "shared")]
    root = writers[0].root
    paths = [captured(rig, "both", 20) for _ in range(5)]
    for writer in writers:
        writer.wait_for(5)
    said = [line.partition(": ")[0] for writer in writers for line in writer.lines]
    assert len(set(said)) == 10
    assert sorted(said) == sorted(map(str, root.iterdir()))
    for path in paths:
        for name in (path.name, f"{path.stem}_1.h5"):
            whole(rig, root / name, 0, 20)


def test_frames_that_are_lost_are_marked_alike_in_both_files(start_rig, start_remote):
    rig = start_rig(emulator={"faults": MISSING})
    rig.ca.set(StopOnOverrun=0)
    remote = start_remote(rig)
    listener = rig.listener()
    path = captured(rig, "marked", 200)
    theirs = remote.root / path.name
    assert remote.wait_for(1) == f"{theirs}: 200 frames, 8 of them missing"
    for file in (path, theirs):
        written = Written(file)
        assert set(written.lengths().values()) == {200}
        np.testing.assert_array_equal(written["frame_in_series"], np.arange(200))
        marked = {int(row): int(written["frame_status"][row]) for row in np.flatnonzero(written["frame_status"])}
        assert marked == MARKED
        written.check(rig.settings, 0.001)
    heard = listener.heard()
    assert heard.invalid == sorted(MARKED)
    assert heard.wrong == heard.gaps == []
    said = {number: gap.status for gap in heard.end.missing for number in range(gap.first, gap.last + 1)}
    assert said == MARKED
    assert rig.counters() == [192, 192, 192, 8]


def test_an_overrun_ends_both_files_alike(start_rig, start_remote):
    rig = start_rig(emulator={"faults": {"overrun": 60, "overwrite": 60}})
    remote = start_remote(rig)
    path = captured(rig, "ended", 200, expected=ECA_PUTFAIL)
    theirs = remote.root / path.name
    remote.wait_for(1)
    both = [Written(file) for file in (path, theirs)]
    assert both[0].frames == both[1].frames > 60
    for written in both:
        np.testing.assert_array_equal(written["frame_in_series"], np.arange(written.frames))
        assert not written["frame_status"][:60].any()
        assert (written["frame_status"][60:] == 1).all()
        written.check(rig.settings, 0.001)
