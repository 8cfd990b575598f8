"""Captures in parts: the master shows what one file would hold, whatever the boundaries cut."""

import os
import resource
import shutil
import signal
import subprocess
import sys
from dataclasses import replace

import h5py
import hdf5plugin  # noqa: F401
import numpy as np
import pytest
from receivers_feed import Feed, capture, end, frames, header, record, start_child

from xsp3ioc.receivers import parts
from xsp3ioc.receivers.master import Template, is_master, parts_beside, parts_of, put
from xsp3ioc.receivers.parts import open_file
from xsp3ioc.stream.messages import (
    Attribute,
    AttributeSet,
    Block,
    CaptureEnd,
    Closed,
    Failed,
    Flush,
    FrameStatus,
    Gap,
    Opened,
    Written,
    part_name,
)

DETECTOR = "/entry/instrument/xspress3"
ATTRIBUTES = "/entry/instrument/NDAttributes"
OF_THE_FILE = {"/entry/entry_identifier_uuid", "/entry/end_time"}
"""Not the same in two files."""
TABLE = ("series_id", "first_frame", "frames", "acquired")
WITH_TEXT = AttributeSet(
    standard=True,
    attributes=[
        Attribute(name="Sample", type="CONST", source="copper", datatype="S256", description="a constant"),
        Attribute(name="Energy", type="EPICS_PV", source="some:energy", datatype="f8", description="a record"),
        Attribute(name="50%b", type="PARAM", source="ARRAY_COUNTER", datatype="i4", description="a strange name"),
    ],
)


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "x.h5")


def tree(file):
    """Every path of a file: the object's attributes, and of a dataset type, shape and values."""
    found = {}

    def visit(group, path):
        for name in group:
            item, place = group[name], f"{path}/{name}"
            about = {key: np.asarray(value).tolist() for key, value in item.attrs.items()}
            if isinstance(item, h5py.Group):
                found[place] = about
                if place.count("/") < 6:
                    visit(item, place)
            else:
                found[place] = about, item.dtype, item.maxshape, item[()]

    visit(file, "")
    return found


def assert_same(path, other):
    """Two files hold the same under the same names."""
    with h5py.File(path) as one, h5py.File(other) as two:
        ours, theirs = tree(one), tree(two)
        assert ours.keys() == theirs.keys()
        for name in ours.keys() - OF_THE_FILE:
            if "/series/" in name or "/performance/" in name:
                # A row for each part; times of the writing.
                assert ours[name][:3] == theirs[name][:3], name
                assert "/series/" in name or ours[name][3].shape == theirs[name][3].shape
                continue
            if isinstance(ours[name], dict):
                assert ours[name] == theirs[name], name
                continue
            assert ours[name][:3] == theirs[name][:3], name
            np.testing.assert_array_equal(ours[name][3], theirs[name][3], name)
        assert by_series(one) == by_series(two)
        assert {**one.attrs, "file_time": 0, "parts": 0} == {**two.attrs, "file_time": 0, "parts": 0}


def by_series(file):
    """First frame, frames and valid frames of each series: a row for each part that it is in."""
    table, found = file[DETECTOR]["series"], {}
    for number, first, *counts in zip(*(table[name] for name in TABLE), strict=True):
        known = found.setdefault(number, [first, 0, 0])
        assert known[0] + known[1] == first
        known[1:] = [have + count for have, count in zip(known[1:], counts, strict=True)]
    return found


def fill(file):
    """Series of many lengths with gaps within and at their ends, and blocks of many lengths."""
    for series, lengths in enumerate([(3, 4), (1,), (17, 2, 30), (5,), (10, 10)], 1):
        file.begin(header(series))
        first = 0
        for length in lengths:
            block = frames(first, length, series)
            block.frames["status"][length // 2 :: 7] = FrameStatus.overrun
            file.write(beside(block))
            first += length
        file.flush()
    file.end_series(end(20, 5))
    file.begin(header(6))
    file.write(frames(7, 6, 6))
    file.write(frames(31, 3, 6))
    file.end_series(end(60, 6, missing=[Gap(first=60, last=71, reason="overrun")]))


def beside(block):
    """A block with values of attributes."""
    return Block(
        block.series_id, block.first, block.mca, block.scalers, block.factors, block.frames,
        attributes={"Energy": 7.0 + block.first, "50%b": 1},
    )  # fmt: skip


@pytest.mark.parametrize(
    "options",
    [
        {"part_frames": 7, "corrected": True, "compression": "gzip"},
        {"part_frames": 50, "swmr": True},
        {"part_bytes": 1},
    ],
)
def test_the_master_is_what_one_file_would_be(path, tmp_path, options):
    plain = str(tmp_path / "plain.h5")
    for name in (path, plain):
        about = {key: value for key, value in options.items() if name == path or not key.startswith("part")}
        order = capture(name, attributes=WITH_TEXT, chunk_frames=4, **about)
        file = open_file(order, name)
        fill(file)
        assert (file.frames, file.missing) == (154, 7 + 18 + 38)
        file.close()
    assert_same(path, plain)
    lengths = []
    with h5py.File(path) as master:
        assert is_master(master)
        assert [part.name for part in parts_of(master)] == [os.path.basename(name) for name in parts_beside(path)]
        lengths = [part.frames for part in parts_of(master)]
    assert sum(lengths) == 154
    if "part_frames" in options:
        assert set(lengths[:-1]) == {options["part_frames"]}
    first = 0
    for name, length in zip(parts_beside(path), lengths, strict=True):
        with h5py.File(name) as part:
            assert not is_master(part)
            assert len(part[DETECTOR]["data"]) == length
            np.testing.assert_array_equal(part[DETECTOR]["frame_number"], np.arange(first, first + length))
            np.testing.assert_array_equal(part[ATTRIBUTES]["NDArrayUniqueId"], np.arange(first, first + length) + 1)
            assert part["/entry/end_time"][()]
        first += length


def opened(path, **changes):
    return open_file(capture(path, **{"part_frames": 10, **changes}), path)


def spectra(path):
    with h5py.File(path) as file:
        return file["/entry/data/data"][()]


def in_directory(path):
    return sorted(os.listdir(os.path.dirname(path)))


def write(path, count, **changes):
    file = opened(path, **changes)
    file.begin(header())
    file.write(frames(0, count))
    file.end_series(end(count))
    file.close()


def test_in_mid_capture_the_master_shows_the_parts_that_are_complete(path):
    file = opened(path)
    assert len(spectra(path)) == 0
    file.begin(header())
    with h5py.File(path) as master:
        assert master["/entry/title"][()].startswith(b"Xspress3")
    with h5py.File(path) as early:
        for first in range(0, 35, 5):
            file.write(frames(first, 5))
            np.testing.assert_array_equal(spectra(path), frames(0, (first + 5) // 10 * 10).mca)
        assert len(early["/entry/data/data"]) == 0
    assert (file.frames, file.flushed) == (35, 30)
    file.flush()
    assert file.flushed == 35
    file.close()
    np.testing.assert_array_equal(spectra(path), frames(0, 35).mca)


def test_no_part_is_empty_and_a_capture_of_one_part_is_one_file(path, tmp_path):
    write(path, 20, frames=20)
    assert in_directory(path) == ["x.h5", "x_part0001.h5", "x_part0002.h5"]
    write(str(tmp_path / "y.h5"), 10, frames=10)
    assert in_directory(path) == ["x.h5", "x_part0001.h5", "x_part0002.h5", "y.h5"]
    with h5py.File(tmp_path / "y.h5") as file:
        assert not is_master(file)
        assert parts_of(file) == []


def test_a_capture_without_frames(path):
    opened(path).close()
    assert len(spectra(path)) == 0
    with h5py.File(path) as master:
        assert is_master(master)
        assert master["/entry/end_time"][()]


def test_no_file_is_overwritten(path, tmp_path):
    first = part_name(path, 1)
    with open(first, "w") as file:
        file.write("precious")
    with pytest.raises(FileExistsError):
        opened(path)
    assert in_directory(path) == ["x_part0001.h5"]
    os.rename(first, path)
    with pytest.raises(FileExistsError):
        opened(path)
    assert in_directory(path) == ["x.h5"]
    with open(path) as file:
        assert file.read() == "precious"


def test_a_name_that_is_taken_meanwhile_is_passed_over(path):
    file = opened(path)
    file.begin(header())
    with open(part_name(path, 2), "w") as other:
        other.write("precious")
    file.write(frames(0, 25))
    file.close()
    np.testing.assert_array_equal(spectra(path), frames(0, 25).mca)
    with open(part_name(path, 2)) as other:
        assert other.read() == "precious"


def test_parts_of_an_overwritten_master_do_not_stay(path):
    write(path, 35)
    with open(part_name(path, 9), "w") as other:
        other.write("nobody's")
    write(path, 15, overwrite=True)
    assert in_directory(path) == ["x.h5", "x_part0001.h5", "x_part0002.h5", "x_part0009.h5"]
    np.testing.assert_array_equal(spectra(path), frames(0, 15).mca)
    write(path, 5, overwrite=True, part_frames=0)
    assert in_directory(path) == ["x.h5", "x_part0009.h5"]


def test_a_directory_can_be_moved_and_what_is_not_there_is_marked(path, tmp_path):
    name = str(tmp_path / "a" / "50%b %d.h5")
    os.mkdir(os.path.dirname(name))
    write(name, 25)
    shutil.move(tmp_path / "a", tmp_path / "b")
    name = name.replace("/a/", "/b/")
    np.testing.assert_array_equal(spectra(name), frames(0, 25).mca)
    os.unlink(part_name(name, 2))
    with h5py.File(name) as master:
        status = master[DETECTOR]["frame_status"][()]
        np.testing.assert_array_equal(status == FrameStatus.missing, np.arange(25) // 10 == 1)
        assert not master["/entry/data/data"][10:20].any()
        np.testing.assert_array_equal(master["/entry/data/data"][20:], frames(20, 5).mca)


def test_the_last_part_takes_what_no_other_can(path, monkeypatch):
    monkeypatch.setattr(parts, "MOST_PARTS", 3)
    for number, options in enumerate(({"part_frames": 10}, {"part_bytes": 1})):
        name = path.replace("x.h5", f"{number}.h5")
        file = opened(name, **{"part_frames": 0, **options})
        file.begin(header())
        for first in range(0, 60, 5):
            file.write(frames(first, 5))
        file.close()
        np.testing.assert_array_equal(spectra(name), frames(0, 60).mca)
        assert len(parts_beside(name)) == 3


def test_what_is_captured_gets_its_name_with_all_its_parts(path, tmp_path):
    order = capture(path, part_frames=10, hold=True)
    held = record(order, header(), frames(0, 25), end(25), CaptureEnd(capture_id=1))[0].filename
    assert all(name.startswith(".") for name in in_directory(path))
    name = str(tmp_path / "named.h5")
    with open(part_name(name, 3), "w") as other:
        other.write("precious")
    (failed,) = record(capture(name, capture_id=2, held=held, frames=25))
    assert isinstance(failed, Failed)
    assert all(one.startswith(".") or one == "named_part0003.h5" for one in in_directory(path))
    os.unlink(part_name(name, 3))
    opened_, closed = record(capture(name, capture_id=2, held=held, frames=25))
    assert (opened_.filename, closed.frames) == (name, 25)
    assert in_directory(path) == ["named.h5", *(f"named_part000{number}.h5" for number in (1, 2, 3))]
    np.testing.assert_array_equal(spectra(name), frames(0, 25).mca)


@pytest.fixture
def feed():
    with Feed("tcp://127.0.0.1:*") as feed:
        yield feed


@pytest.fixture
def start(feed):
    children = []

    def start_(**options):
        children.append(start_child(feed.endpoint, **options))
        feed.hello()
        return children[-1]

    yield start_
    for child in children:
        child.kill()
        child.communicate()


def test_killed_it_leaves_all_frames_that_were_flushed(feed, start, path):
    child = start()
    feed.send(capture(path, part_frames=10), header(), frames(0, 25), end(25))
    feed.wait(Written, frames=25)
    feed.send(header(2), frames(0, 1, 2))
    child.send_signal(signal.SIGKILL)
    child.wait(60)
    np.testing.assert_array_equal(spectra(path), frames(0, 20).mca)
    last = parts_beside(path)[-1]
    np.testing.assert_array_equal(spectra(last)[:5], frames(20, 5).mca)
    with h5py.File(last) as file:
        np.testing.assert_array_equal(file[DETECTOR]["frame_number"][:5], np.arange(20, 25))


@pytest.mark.parametrize("empty", [0, 8000])
def test_on_a_full_disk_the_master_shows_what_is_safe(feed, start, path, empty):
    # As on a disk that others fill, writes fail from a certain length on: in the first part, or in the one after.
    child = start()
    feed.send(capture(path, part_frames=8000, compression="none", chunk_frames=16), header())
    feed.wait(Opened)
    resource.prlimit(child.pid, resource.RLIMIT_FSIZE, (3_000_000, resource.RLIM_INFINITY))
    if empty:
        feed.send(header(2), end(empty, 2))
        feed.wait(Written, frames=empty)
    feed.send(header(3))
    feed.send(frames(0, 64, 3), Flush(capture_id=1, flush=5))
    feed.wait(Written, flush=5)
    big = frames(64, 400, 3)
    feed.send(*(Block(3, 64 + 400 * k, *big.parts()) for k in range(18)))
    failed = feed.wait(Failed)
    assert failed.frames > empty
    found = spectra(path)
    assert len(found) == failed.frames
    np.testing.assert_array_equal(found[empty : empty + 64], frames(0, 64, 3).mca)
    resource.prlimit(child.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
    # The next capture goes well.
    feed.send(capture(path + "2.h5", capture_id=2, part_frames=5), header(4, 2), frames(0, 7, 4), end(7, 4))
    feed.send(CaptureEnd(capture_id=2))
    assert feed.wait(Closed, capture_id=2).frames == 7
    np.testing.assert_array_equal(spectra(path + "2.h5"), frames(0, 7, 4).mca)


def test_a_writer_elsewhere_makes_parts_of_its_own(feed, tmp_path):
    command = [sys.executable, "-m", "xsp3ioc.receivers.writer", "--connect", feed.endpoint, "--root", str(tmp_path)]
    with subprocess.Popen([*command, "--part-frames", "4"], stdout=subprocess.PIPE, text=True) as writer:
        feed.hello()
        feed.send(capture("/elsewhere/x.h5"), header(), frames(0, 10), end(10), CaptureEnd(capture_id=1))
        assert writer.stdout.readline() == f"{tmp_path}/x.h5: 10 frames\n"
        writer.kill()
    assert len(parts_beside(str(tmp_path / "x.h5"))) == 3
    np.testing.assert_array_equal(spectra(tmp_path / "x.h5"), frames(0, 10).mca)


READ = """
import resource, sys
import h5py, hdf5plugin
import numpy as np
resource.setrlimit(resource.RLIMIT_NOFILE, (int(sys.argv[2]), int(sys.argv[3])))
from xsp3ioc.receivers.check import check
if sys.argv[3] == sys.argv[2]:
    with h5py.File(sys.argv[1]) as master:
        detector = master["/entry/instrument/xspress3"]
        print(set(detector["frame_status"][()].tolist()), int(detector["data"][()].sum()))
else:
    found = check(sys.argv[1])
    print(found.frames, found.counts["missing"])
"""


def read(path, soft, hard):
    """What a program says of a master that may have so many files open."""
    command = [sys.executable, "-c", READ, path, str(soft), str(hard)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)


def test_many_parts_can_be_open(path):
    write(path, 15)
    with open(path, "rb") as file:
        template = Template(file.read())
    many = [replace(template.parts()[0], name=f"x_part{number:04}.h5") for number in range(1, 301)]
    for part in many[1:]:
        shutil.copy(part_name(path, 1), os.path.join(os.path.dirname(path), part.name))
    put(template.master(many), path, True)
    counts = int(frames(0, 10).mca.sum())
    assert read(path, 1024, 1024).stdout == f"{{0}} {300 * counts}\n"
    # Our own tools take what they need, or say that they cannot.
    assert read(path, 100, 1024).stdout == "3000 0\n"
    refused = read(path, 100, 200)
    assert "it shows 300 parts, and only 200 files may be open at once" in refused.stderr


# Many frames

MANY = """
import resource, sys, time
import numpy as np
from receivers_feed import capture, frames, header
from xsp3ioc.receivers.parts import open_file
from xsp3ioc.stream.messages import AttributeSet, Block

path, total, part = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
small = {"channels": 1, "bins": 64}
order = capture(path, part_frames=part, attributes=AttributeSet(standard=True), **small)
file = open_file(order, path)
file.begin(header(event_widths=[6], energy_offset=[0.0], energy_slope=[10.0], frames=total, **small))
block = frames(0, 1000, channels=1, bins=64)

def memory():
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * resource.getpagesize()

found = []
for tenth in range(10):
    began = time.process_time()
    for first in range(tenth * total // 10, (tenth + 1) * total // 10, 1000):
        file.write(Block(1, first, block.mca, block.scalers, block.factors, block.frames))
    file.flush()
    found.append((time.process_time() - began, memory()))
file.close()
for seconds, held in found:
    print(seconds, held)
"""


def many(path, total, part):
    """Seconds of a processor and bytes of memory of each tenth of so many frames, written by their own process."""
    command = [sys.executable, "-c", MANY, path, str(total), str(part)]
    written = subprocess.run(
        command, capture_output=True, text=True, cwd=os.path.dirname(__file__), check=False, timeout=1500
    )
    assert written.returncode == 0, written.stderr
    return np.array([line.split() for line in written.stdout.splitlines()], float)


def assert_many(path, total):
    block = frames(0, 1000, channels=1, bins=64)
    with h5py.File(path) as master:
        detector = master[DETECTOR]
        assert len(detector["data"]) == len(master["/entry/instrument/mca_00/data"]) == total
        for first in (0, total // 2, total - 1000):
            here = slice(first, first + 1000)
            np.testing.assert_array_equal(detector["data"][here], block.mca)
            np.testing.assert_array_equal(detector["frame_number"][here], np.arange(first, first + 1000))
            np.testing.assert_array_equal(master[ATTRIBUTES]["CHAN1SCA4"][here], block.scalers[:, 0, 4])


def test_memory_does_not_grow_with_the_frames(path):
    tenths = many(path, 300_000, 10_000)
    assert_many(path, 300_000)
    # Of the first, some is still to be allocated.
    assert tenths[-1, 1] < 1.5 * tenths[1, 1]


@pytest.mark.slow
def test_ten_million_frames(path):
    tenths = many(path, 10_000_000, 100_000)
    assert_many(path, 10_000_000)
    assert tenths[-1, 1] < 1.5 * tenths[1, 1]
    # Of three, as other programs may take the processor.
    assert tenths[-3:, 0].min() < 2 * np.median(tenths[:3, 0])
