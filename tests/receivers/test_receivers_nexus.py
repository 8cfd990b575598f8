import fcntl
import os
import shutil
import subprocess
import sys

import h5py
import hdf5plugin  # noqa: F401
import numpy as np
import pytest
from receivers_feed import BINS, CHANNELS, CLOCK, capture, end, frames, header

from xsp3ioc.receivers import rates
from xsp3ioc.receivers.chunks import frames_per_chunk
from xsp3ioc.receivers.facts import FACTS, of_channel
from xsp3ioc.receivers.layout import DETECTOR_COLUMNS
from xsp3ioc.receivers.nexus import NexusFile
from xsp3ioc.receivers.series_table import SERIES_COLUMNS
from xsp3ioc.stream.formulas import Scaler, dead_time_percent
from xsp3ioc.stream.messages import FrameStatus, Gap, SettingsFiles

DETECTOR = "/entry/instrument/xspress3"


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "x.h5")


def opened(path, **changes):
    return NexusFile(capture(path, **changes), path)


def write(file, *blocks, acquired=None, **about):
    series = blocks[0].series_id
    file.begin(header(series))
    for block in blocks:
        file.write(block)
    file.end_series(end(blocks[-1].end if acquired is None else acquired, series, **about))


def assert_holds(path, *blocks, first=0):
    """The file's frames from `first` on are those of the blocks, bit for bit."""
    with h5py.File(path, locking=False) as file:
        detector = file[DETECTOR]
        for block in blocks:
            here = slice(first, first + len(block))
            np.testing.assert_array_equal(detector["data"][here], block.mca)
            for scaler in Scaler:
                np.testing.assert_array_equal(detector[scaler.name][here], block.scalers[..., scaler])
            np.testing.assert_array_equal(detector["dead_time_correction"][here], block.factors)
            np.testing.assert_array_equal(detector["time_stamp"][here], block.frames["time"])
            np.testing.assert_array_equal(detector["markers"][here], block.frames["markers"])
            np.testing.assert_array_equal(detector["frame_status"][here], block.frames["status"])
            np.testing.assert_array_equal(detector["frame_in_series"][here], np.arange(block.first, block.end))
            np.testing.assert_array_equal(detector["frame_number"][here], np.arange(here.start, here.stop))
            first += len(block)


def lengths(path):
    with h5py.File(path, locking=False) as file:
        names = ["data", *(column.name for column in DETECTOR_COLUMNS)]
        found = {len(file[DETECTOR][name]) for name in names}
        found |= {len(dataset) for dataset in file["/entry/instrument/NDAttributes"].values()}
        found |= {len(file["/entry/instrument/performance/timestamp"])}
        return found | {len(file[f"/entry/instrument/mca_{channel:02}/data"]) for channel in range(CHANNELS)}


@pytest.mark.parametrize("compression", ["bslz4", "gzip", "none", "szip", "blosc", "lz4"])
@pytest.mark.parametrize("chunk", [1, 4, 7])
def test_blocks_of_any_length_fill_chunks_of_any_length(path, compression, chunk):
    blocks, first = [], 0
    for length in (4, 1, 8, 3, 16, 2, 5, 7, 29):
        blocks.append(frames(first, length))
        first += length
    file = opened(path, compression=compression, chunk_frames=chunk)
    write(file, *blocks)
    file.close()
    assert_holds(path, *blocks)
    assert lengths(path) == {first}
    with h5py.File(path) as h5:
        assert h5[DETECTOR]["data"].chunks == (chunk, CHANNELS, BINS)


def test_many_frames_of_many_rows(path):
    file = opened(path)
    blocks = [frames(0, 1000), frames(1000, 1000), frames(2000, 500)]
    write(file, *blocks)
    file.close()
    assert_holds(path, *blocks)
    assert lengths(path) == {2500}


def test_real_spectra(path):
    block = frames(0, 21, channels=4, bins=4096)
    file = NexusFile(capture(path, channels=4, bins=4096), path)
    file.begin(header(channels=4, bins=4096, event_widths=[6] * 4, energy_offset=[0.0] * 4, energy_slope=[10.0] * 4))
    file.write(block)
    file.close()
    assert_holds(path, block)
    with h5py.File(path) as h5:
        assert h5[DETECTOR]["data"].chunks == (16, 4, 4096)


def test_many_series_in_one_file(path):
    file = opened(path, chunk_frames=4)
    blocks = [frames(0, 1, series) for series in range(1, 51)]
    for block in blocks:
        write(file, block)
    file.close()
    assert_holds(path, *blocks)
    with h5py.File(path) as h5:
        np.testing.assert_array_equal(h5[DETECTOR]["series_index"], np.arange(50))


def table(path):
    with h5py.File(path, locking=False) as h5:
        return {name: list(dataset[()]) for name, dataset in h5[f"{DETECTOR}/series"].items()}


def test_the_table_of_the_series(path):
    file = opened(path, frames=12)
    write(file, frames(0, 3, 7), acquired=5)
    file.begin(header(8, exposure=0.5, trigger_mode="TTL Veto Only"))
    file.write(frames(0, 2, 8))
    file.flush()
    crashed = shutil.copy(path, f"{path}.copy")
    assert table(crashed)["end_reason"] == [b"complete", b"running"]
    assert table(crashed)["frames"] == [5, 2]
    file.end_series(end(2, 8, reason="stopped"))
    file.begin(header(9, frames=50))
    file.write(frames(0, 20, 9))
    assert file.full
    file.close()
    assert table(path) == {
        "series_id": [7, 8, 9],
        "start_time": [b"2025-06-15T15:06:4%d.000+00:00" % second for second in (7, 8, 9)],
        "exposure": [0.001, 0.5, 0.001],
        "trigger_mode": [b"Internal", b"TTL Veto Only", b"Internal"],
        "first_frame": [0, 5, 7],
        "frames": [5, 2, 5],
        "acquired": [3, 2, 5],
        "end_reason": [b"complete", b"stopped", b"file full"],
    }


@pytest.mark.parametrize(("wanted", "reason"), [(4, b"complete"), (0, b"file closed"), (5, b"file closed")])
def test_a_series_that_ends_with_its_file(path, wanted, reason):
    file = opened(path)
    file.begin(header(frames=wanted))
    file.write(frames(0, 4))
    file.close()
    assert table(path)["end_reason"] == [reason]


@pytest.mark.parametrize(("wanted", "reason"), [(4, b"complete"), (0, b"disk full"), (5, b"disk full")])
def test_a_file_that_is_closed_for_a_reason_says_it_of_the_series_that_runs(path, wanted, reason):
    file = opened(path)
    write(file, frames(0, 2, 1))
    file.begin(header(2, frames=wanted))
    file.write(frames(0, 4, 2))
    file.close("disk full")
    assert table(path)["end_reason"] == [b"complete", reason]


def test_a_series_whose_end_never_came(path):
    file = opened(path)
    file.begin(header(1))
    file.write(frames(0, 2))
    write(file, frames(0, 1, 2))
    file.close()
    assert table(path)["end_reason"] == [b"unknown", b"complete"]


SWMR_READER = """
import sys, h5py
with h5py.File(sys.argv[1], swmr=True) as h5:
    table = h5["/entry/instrument/xspress3/series"]
    print({len(dataset) for dataset in table.values()}, table["end_reason"][-1].decode())
"""


def test_many_series_under_swmr(path):
    file = opened(path, swmr=True)
    for number in range(1, 301):
        write(file, frames(0, 1, number))
    reader = subprocess.run([sys.executable, "-c", SWMR_READER, path], capture_output=True, text=True, check=True)
    assert reader.stdout == "{300} complete\n"
    file.close()
    assert table(path)["series_id"] == list(range(1, 301))


ABOUT = {
    "command": "xsp3ioc --emulate",
    "units": {"AcquireTime": "s"},
    "rois": [[("Fe Ka", 625, 30)], [("Cu Ka", 790, 30), ("", 1, 2)]],
    "settings_files": SettingsFiles("/calibration", {"regs.txt": "0x1 5\n\0", "..": "dots"}, ["big, 1 bytes"]),
}


@pytest.mark.parametrize("swmr", [False, True])
def test_where_the_data_come_from(path, swmr):
    file = opened(path, swmr=swmr)
    file.begin(header(**ABOUT))
    file.write(frames(0, 1))
    file.close()
    with h5py.File(path) as h5:
        texts = {name: item.asstr()[()] for name, item in h5[f"{DETECTOR}/config"].items() if text(item)}
        assert h5["/entry/program_name"].asstr()[()] == "xsp3ioc"
        assert h5["/entry/program_name"].attrs["version"] == "0.1.0"
        assert h5.attrs["NeXus_version"].startswith("v20")
        assert h5.attrs["creator"].startswith("xsp3ioc ")
        assert texts["command_line"] == "xsp3ioc --emulate"
        assert (texts["server"], texts["host"], texts["library"]) == ("xsp3ioc 0.1.0", "somewhere", "emulator")
        assert texts["settings_directory"] == "/calibration"
        assert list(texts["settings_left_out"]) == ["big, 1 bytes"]
        config = h5[f"{DETECTOR}/config"]
        assert config["settings_files/regs.txt"].asstr()[()] == "0x1 5\n"
        assert config["settings_files/_"].asstr()[()] == "dots"
        assert list(config["rois/name"].asstr()[()]) == ["Fe Ka", "Cu Ka", ""]
        assert [list(config[f"rois/{name}"][()]) for name in ("channel", "first_bin", "bins")] == [
            [0, 1, 1], [625, 790, 1], [30, 30, 2]
        ]  # fmt: skip
        parameters = config["parameters"]
        assert dict(parameters["AcquireTime"].attrs) == {"units": "s"}
        assert [parameters[name].asstr()[()] for name in ("Comment", "Nothing", "Mixed")] == [
            "a sample", "null", '[1,"a"]'
        ]  # fmt: skip
        assert h5[f"{DETECTOR}/event_width"].dtype == np.int32
        assert h5["/entry/start_time"].asstr()[()] == "2025-06-15T15:06:41.000+00:00"


def text(item):
    return isinstance(item, h5py.Dataset) and h5py.check_string_dtype(item.dtype) is not None


def test_widths_that_are_no_whole_numbers(path):
    file = opened(path)
    file.begin(header(event_widths=[6.75, 7.0]))
    file.write(frames(0, 2))
    file.close()
    with h5py.File(path) as h5:
        np.testing.assert_array_equal(h5[f"{DETECTOR}/event_width"], [[7, 7], [7, 7]])
        np.testing.assert_array_equal(h5["/entry/instrument/NDAttributes/CHAN1EventWidth"], [6.75, 6.75])
        np.testing.assert_array_equal(h5[f"{DETECTOR}/config/event_widths"], [6.75, 7.0])


@pytest.mark.parametrize("swmr", [False, True])
def test_a_capture_without_a_series_is_described_too(path, swmr):
    opened(path, swmr=swmr).close()
    with h5py.File(path) as h5:
        assert h5["/entry/title"].asstr()[()] == "Xspress3 spectra"
        for name in ("start_time", "end_time"):
            assert h5[f"/entry/{name}"].asstr()[()].startswith("20")
        assert h5["/entry/program_name"].asstr()[()] == "xsp3ioc"
    assert table(path) == {column.name: [] for column in SERIES_COLUMNS}


def test_missing_frames_keep_their_places(path):
    file = opened(path, chunk_frames=4)
    write(file, frames(2, 3), frames(30, 2), acquired=40, missing=[Gap(first=40, last=41, reason="overrun")])
    assert file.missing == 2 + 25 + 10
    write(file, frames(0, 1, 2))
    assert file.missing == 0
    file.close()
    assert_holds(path, frames(2, 3), first=2)
    assert_holds(path, frames(30, 2), first=30)
    assert_holds(path, frames(0, 1, 2), first=42)
    assert lengths(path) == {43}
    with h5py.File(path) as h5:
        status = h5[DETECTOR]["frame_status"][()]
        missing = status == FrameStatus.missing
        assert list(np.flatnonzero(status == FrameStatus.overrun)) == [40, 41]
        missing |= status == FrameStatus.overrun
        assert list(np.flatnonzero(~missing)) == [2, 3, 4, 30, 31, 42]
        assert not h5[DETECTOR]["data"][()][missing].any()
        assert (h5[DETECTOR]["dead_time_correction"][()][missing] == 1.0).all()
        assert not h5["/entry/instrument/NDAttributes/TIMESTAMP"][()][missing].any()


def test_the_last_frames_have_their_places_where_gaps_came_before(path):
    file = opened(path)
    write(file, frames(0, 10), frames(20, 70), acquired=90, missing=[Gap(first=10, last=19, reason="overrun")])
    assert (file.frames, file.missing) == (100, 20)
    file.close()
    assert lengths(path) == {100}


def test_what_the_end_says_of_missing_frames_is_in_their_places(path):
    file = opened(path, chunk_frames=4)
    write(file, frames(0, 3), acquired=3)
    gaps = [
        Gap(first=10, last=19, reason="overrun"),
        Gap(first=2300, last=2301, reason="missing"),
        Gap(first=2302, last=2309, reason="overrun"),
    ]
    write(file, frames(0, 10, 2), frames(20, 1100, 2), frames(1120, 1180, 2), acquired=2290, missing=gaps)
    assert (file.frames, file.missing) == (2313, 20)
    write(file, frames(0, 1, 3))
    file.close()
    with h5py.File(path) as h5:
        status = h5[DETECTOR]["frame_status"][()]
    expected = np.zeros(2314, np.uint8)
    expected[13:23] = expected[2305:2313] = FrameStatus.overrun
    expected[2303:2305] = FrameStatus.missing
    np.testing.assert_array_equal(status, expected)


def test_the_end_says_nothing_of_frames_that_are_not_in_the_file(path):
    file = opened(path, frames=25)
    file.begin(header(), 5)
    file.write(frames(5, 10))
    file.end_series(end(20, missing=[Gap(0, 4, "overrun"), Gap(15, 17, "missing"), Gap(18, 40, "overrun")]))
    file.close()
    with h5py.File(path) as h5:
        assert h5[DETECTOR]["frame_status"][()].tolist() == [0] * 10 + [2] * 3 + [1] * 12
        assert h5[DETECTOR]["frame_in_series"][()].tolist() == list(range(5, 30))


def test_how_fast_it_was_written(path):
    file = opened(path)
    write(file, frames(0, 1500), frames(1600, 20))
    file.close()
    with h5py.File(path) as h5:
        found = h5["/entry/instrument/performance/timestamp"][()]
    assert (found.shape, found.dtype) == ((1620, 5), np.float64)
    assert not found[1500:1600].any()
    writing, period, running, speed, average = np.delete(found, np.s_[1500:1600], axis=0).T
    assert (writing > 0).all()
    assert (writing <= period * (1 + 1e-9)).all()
    np.testing.assert_allclose(np.cumsum(period), running)
    np.testing.assert_allclose(speed, CHANNELS * BINS * 4 / period)
    assert average[0] == pytest.approx(CHANNELS * BINS * 4 / running[0])
    assert average[-1] == pytest.approx(CHANNELS * BINS * 4 * 1620 / running[-1])


def test_overrun_frames_are_marked(path):
    block = frames(0, 3)
    block.frames["status"][1] = FrameStatus.overrun
    file = opened(path)
    write(file, block)
    file.close()
    assert_holds(path, block)


def test_frames_sent_twice_are_written_once(path):
    file = opened(path)
    write(file, frames(0, 3), frames(1, 4), frames(2, 1), acquired=5)
    file.close()
    assert_holds(path, frames(0, 5))
    assert lengths(path) == {5}


def test_frames_beyond_the_limit_are_not_written(path):
    file = opened(path, frames=5)
    file.begin(header())
    file.write(frames(0, 3))
    assert not file.full
    file.write(frames(3, 4))
    assert file.full
    file.write(frames(7, 4))
    file.end_series(end(20))
    file.close()
    assert_holds(path, frames(0, 5))
    assert lengths(path) == {5}


def test_flushed_frames_survive_without_close(path, tmp_path):
    file = opened(path, chunk_frames=4)
    file.begin(header())
    copies = []
    for first, count in ((0, 2), (2, 1), (3, 1), (4, 11), (15, 1)):
        file.write(frames(first, count))
        file.flush()
        copies.append((shutil.copy(path, tmp_path / f"copy{first}.h5"), first + count))
    file.write(frames(16, 50))
    copies.append((shutil.copy(path, tmp_path / "copy.h5"), 16))
    file.close()
    for copy, count in copies:
        assert lengths(copy) == {count}
        assert_holds(copy, frames(0, count))


def test_a_capture_without_frames_is_a_whole_file(path):
    opened(path).close()
    assert lengths(path) == {0}


def test_what_readers_look_for(path):
    block = frames(0, 3)
    file = opened(path)
    write(file, block)
    file.close()
    with h5py.File(path) as h5:
        plot = h5[h5.attrs["default"]]
        plot = plot[plot.attrs["default"]]
        np.testing.assert_array_equal(plot[plot.attrs["signal"]][()], block.mca)
        assert list(plot.attrs["axes"]) == [".", "channel", "energy"]
        assert plot["energy"].attrs["units"] == "eV"
        np.testing.assert_array_equal(plot["energy"][:2], [2.5, 12.5])
        np.testing.assert_array_equal(h5[DETECTOR]["energy"][:, 1], [10.0, 15.0])
        about = h5["/entry/data/data"].attrs
        assert {name: np.ravel(value).tolist() for name, value in about.items() if "NDArray" in name} == {
            "NDArrayNumDims": [2], "NDArrayDimBinning": [1, 1], "NDArrayDimOffset": [0, 0], "NDArrayDimReverse": [0, 0]
        }  # fmt: skip
        assert h5["/entry/instrument/detector"] == h5[DETECTOR] == h5["/entry/measurement/xspress3"]
        for attributes in ("/entry/instrument/NDAttributes", "/entry/instrument/detector/NDAttributes"):
            assert h5[attributes]["CHAN2SCA4"].dtype == np.float64
            np.testing.assert_array_equal(h5[attributes]["CHAN2SCA4"], block.scalers[:, 1, 4])
            np.testing.assert_array_equal(h5[attributes]["CHAN1DTFactor"], block.factors[:, 0])
            np.testing.assert_array_equal(h5[attributes]["CHAN2EventWidth"], [7, 7, 7])
            np.testing.assert_array_equal(h5[attributes]["ArrayCounter"], [1, 2, 3])
        np.testing.assert_array_equal(h5["/entry/instrument/mca_01/data"][()], block.mca[:, 1])
        np.testing.assert_array_equal(h5["/entry/instrument/mca_01/calibration"], [0.005, 0.01, 0.0])
        assert h5[DETECTOR]["simulated"][()]
        assert "simulated" in h5["/entry/title"].asstr()[()]
        assert h5[DETECTOR]["config/firmware"].asstr()[()] == "1.2"
        assert h5[DETECTOR]["config/parameters/AcquireTime"][()] == 0.001
        assert h5["/entry/end_time"][()].startswith(b"20")
        np.testing.assert_allclose(h5[DETECTOR]["output_count_rate"], rates.output_count_rate(block.scalers, CLOCK))
        seconds = h5["/entry/instrument/NDAttributes/NDArrayEpicsTSSec"][0]
        assert seconds == int(block.frames["time"][0]) - 631152000


def test_the_file_says_the_dead_time_that_the_server_says(path):
    block = frames(0, 3)
    block.scalers[..., Scaler.clock_ticks] = block.scalers[..., Scaler.total_ticks] = 1000
    block.scalers[..., Scaler.all_events] = 50
    block.scalers[..., Scaler.reset_ticks] = [[250, 200], [1150, 600], [0, 0]]
    file = opened(path)
    write(file, block)
    file.close()
    widths = header().event_widths
    with h5py.File(path) as h5:
        percent = h5[DETECTOR]["dead_time_percent"][()]
        np.testing.assert_array_equal(percent, dead_time_percent(block.scalers, widths))
        np.testing.assert_allclose(percent, [[60, 60], [150, 100], [35, 40]])
        live = np.array([[400, 400], [0, 0], [650, 600]]) * CLOCK
        np.testing.assert_allclose(h5[DETECTOR]["live_time"], live)
        np.testing.assert_array_equal(h5["/entry/instrument/mca_00/live_time"], h5[DETECTOR]["live_time"][:, 0])


def test_groups_have_classes_and_numbers_have_units(path):
    file = opened(path)
    write(file, frames(0, 1))
    file.close()
    plain = {column.name for column in (*DETECTOR_COLUMNS, *SERIES_COLUMNS) if not column.unit}
    plain |= {fact.path.rpartition("/")[2] for fact in (*FACTS, *of_channel(0)) if not fact.unit}
    plain |= {"ArrayCounter", "NDArrayUniqueId"}
    lacking = []

    def visit(name, item):
        if isinstance(item, h5py.Group):
            lacking.extend([name] if "NX_class" not in item.attrs else [])
        elif item.dtype.kind in "iuf" and "units" not in item.attrs:
            lacking.extend([name] if item.dtype.kind == "f" or name.rpartition("/")[2] not in plain else [])

    with h5py.File(path) as h5:
        h5.visititems(visit)
    assert lacking == []


def test_series_of_another_shape_are_refused(path):
    file = opened(path)
    with pytest.raises(ValueError, match="channels"):
        file.begin(header(channels=3))
    file.close()


@pytest.mark.parametrize(
    ("changes", "text"), [({"compression": "zip"}, "'zip'.*bslz4"), ({"bins": 0}, "0 bins")]
)
def test_captures_that_cannot_be_written(path, tmp_path, changes, text):
    with pytest.raises(ValueError, match=text):
        opened(path, **changes)
    assert list(tmp_path.iterdir()) == []


def test_existing_files_are_left_alone(path):
    file = opened(path)
    write(file, frames(0, 2))
    file.close()
    with pytest.raises(FileExistsError):
        opened(path)
    assert_holds(path, frames(0, 2))
    again = opened(path, overwrite=True)
    again.close()
    assert lengths(path) == {0}


@pytest.mark.parametrize("method", ["_create", "flush"])
def test_the_old_file_is_kept_when_the_new_one_cannot_be_made(path, tmp_path, monkeypatch, method):
    file = opened(path)
    write(file, frames(0, 2))
    file.close()

    def fail(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch, pytest.raises(OSError, match="No space"):
        patch.setattr(*((NexusFile, "_create") if method == "_create" else (h5py.File, "flush")), fail)
        opened(path, overwrite=True)
    assert [found.name for found in tmp_path.iterdir()] == ["x.h5"]
    assert_holds(path, frames(0, 2))
    file = opened(path, overwrite=True)
    write(file, frames(0, 3, 2))
    file.close()
    assert_holds(path, frames(0, 3, 2))
    assert [found.name for found in tmp_path.iterdir()] == ["x.h5"]


def test_a_file_that_is_overwritten_keeps_its_mode_and_its_links(path, tmp_path):
    opened(path).close()
    os.chmod(path, 0o640)
    link = tmp_path / "link.h5"
    link.symlink_to("x.h5")
    file = opened(str(link), overwrite=True)
    write(file, frames(0, 2))
    file.close()
    assert link.is_symlink()
    assert os.stat(path).st_mode & 0o777 == 0o640
    assert_holds(path, frames(0, 2))


def test_a_link_to_nothing_leads_to_the_new_file(path, tmp_path):
    link = tmp_path / "link.h5"
    link.symlink_to("x.h5")
    with pytest.raises(FileExistsError):
        opened(str(link))
    opened(str(link), overwrite=True).close()
    assert link.is_symlink()
    assert lengths(path) == {0}


def test_files_follow_one_that_was_given_up_and_deleted(path):
    # File systems like to use the same inode again.
    for number in range(1, 4):
        file = opened(path)
        write(file, frames(0, number))
        file.abandon()
        os.unlink(path)
    file = opened(path)
    write(file, frames(0, 4))
    file.close()
    assert_holds(path, frames(0, 4))


def test_a_file_that_another_program_writes_is_not_overwritten(path, tmp_path):
    opened(path).close()
    with open(path) as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(OSError, match="another program is writing it"):
            opened(path, overwrite=True)
    assert lengths(path) == {0}


def test_what_is_no_file_is_not_overwritten(path):
    os.mkfifo(path)
    with pytest.raises(OSError, match="not a regular file"):
        opened(path, overwrite=True)
    assert os.path.exists(path)


@pytest.mark.parametrize(
    ("size", "frames", "asked", "expected"),
    [
        ((4, 4096), 0, 0, 16),
        ((4, 4096), 5, 0, 5),
        ((4, 4096), 5, 32, 32),
        ((100, 4096), 0, 0, 1),
        ((4, 4096), 0, 1024, 1024),
        ((5000, 4096), 0, 0, 1),
    ],
)
def test_frames_per_chunk(size, frames, asked, expected):
    assert frames_per_chunk(*size, frames, asked) == expected


@pytest.mark.parametrize(("size", "asked", "expected"), [((4, 4096), 1 << 40, 1024), ((5000, 4096), 2, 1)])
def test_chunks_that_are_too_large_are_not_granted(size, asked, expected, caplog):
    assert frames_per_chunk(*size, 0, asked) == expected
    assert f"{asked} frames are too large: {expected} frames instead" in caplog.text


def test_a_file_with_chunks_that_are_too_large_has_smaller_ones(path):
    file = opened(path, channels=CHANNELS, bins=1 << 20, chunk_frames=1 << 31)
    file.close()
    with h5py.File(path) as h5:
        assert h5[DETECTOR]["data"].chunks == (8, CHANNELS, 1 << 20)
