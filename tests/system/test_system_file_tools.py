"""`xsp3ioc check`, `info` and `plot` with files that a real server has written, and with damaged copies of them."""

import json
import os
import shutil
import signal
import subprocess
import sys

import h5py
import hdf5plugin  # noqa: F401
import numpy as np
import pytest
from ca_clients import ECA_NORMAL, ECA_PUTFAIL

from xsp3ioc import check, info, plot
from xsp3ioc.receivers.check import check as check_file
from xsp3ioc.receivers.summary import summarize

DETECTOR = "/entry/instrument/xspress3"
ATTRIBUTES = "/entry/instrument/NDAttributes"
WITHOUT_WITNESS = {
    f"{DETECTOR}/markers", f"{DETECTOR}/pileup", f"{DETECTOR}/series/series_id", f"{DETECTOR}/series/trigger_mode",
    f"{ATTRIBUTES}/Date", f"{ATTRIBUTES}/RingCurrent", "/entry/instrument/performance/timestamp",
}  # fmt: skip
"""A value that is a little different there is as good as any."""
FAULTS = {"emulator": {"faults": {"missing": {"frames": [10, 11, 30]}, "dropped_packets": {"rate": 0.05}}, "seed": 3}}


@pytest.fixture(scope="module")
def path(rig):
    """A file of four series, one of which was stopped and one of which is of other exposures."""
    rig.ca.set(**{"MCA1ROI__1__Name": "Mn Ka", "MCA1ROI__1__MinX": 580, "MCA1ROI__1__SizeX": 25})
    path = rig.capture("several")
    assert rig.acquire(20) == ECA_NORMAL
    assert rig.acquire(1) == ECA_NORMAL
    rig.begin(100_000, 0.001)
    rig.ca.wait_above("det1:ArrayCounter_RBV", 30)
    assert rig.ca.put("det1:Acquire", 0)[0] == ECA_NORMAL
    assert rig.acquire(10, 0.005) == ECA_NORMAL
    rig.ca.set(HDF1__Capture=0)
    assert rig.ca.put_status("capture") == ECA_NORMAL
    return path


@pytest.fixture
def copy(path, tmp_path):
    return shutil.copy(path, tmp_path / "copy.h5")


def found(path):
    return [(part.name, one) for part in check_file(path).checks for one in part.findings]


def run(capsys, command, *arguments):
    code = command.main([str(one) for one in arguments])
    output = capsys.readouterr()
    assert "Traceback" not in output.err
    return code, output.out, output.err


def test_a_good_file_is_complete(path, capsys):
    frames = summarize(path).frames
    code, out, err = run(capsys, check, path)
    assert (code, err) == (0, "")
    assert f"complete, {frames:,} SIMULATED frames" in out
    assert f"{frames:,} valid, 0 overrun, 0 missing" in out
    assert "error" not in out
    assert "warning" not in out
    code, out, _ = run(capsys, check, "--json", path)
    document = json.loads(out)
    assert (document["command"], document["exit_code"], code) == ("check", 0, 0)
    (file,) = document["files"]
    assert (file["complete"], file["simulated"], file["state"]) == (True, True, "closed")
    assert file["counts"] == {"valid": frames, "overrun": 0, "missing": 0}
    assert [one["frames"] for one in file["series"]] == [20, 1, frames - 31, 10]
    assert {one["result"] for one in file["checks"]} == {"ok"}


def per_frame(path):
    """Names of all datasets with a value per frame, or per series, that are no views of others."""
    names = []

    def visit(name, item):
        if isinstance(item, h5py.Dataset) and not item.is_virtual and item.maxshape[:1] == (None,):
            names.append("/" + name.replace("instrument/detector", "instrument/xspress3"))

    with h5py.File(path) as file:
        file.visititems(visit)
    return names


def test_one_wrong_value_in_any_dataset_is_found(path, copy):
    names = {name.replace("/entry/data/data", f"{DETECTOR}/data") for name in per_frame(path)}
    assert {f"{DETECTOR}/data", f"{DETECTOR}/time_stamp", f"{ATTRIBUTES}/Model"} < names
    unseen = set()
    for name in sorted(names):
        with h5py.File(copy, "r+") as file:
            dataset = file[name]
            place = (len(dataset) // 2, *(0 if size < 10 else 700 for size in dataset.shape[1:]))
            before = dataset[place]
            dataset[place] = b"x" if dataset.dtype.kind == "S" else before + 1
        if not found(copy):
            unseen.add(name)
        with h5py.File(copy, "r+") as file:
            file[name][place] = before
    assert unseen <= WITHOUT_WITNESS
    assert not found(copy), "all is as before"


def test_a_reset_without_ticks_is_found_where_there_is_no_other(copy):
    def odd():
        return [one for _, one in found(copy) if "resets and reset ticks do not go together" in one.text]

    with h5py.File(copy, "r+") as file:
        for name in ("reset_count", "reset_ticks"):
            file[f"{DETECTOR}/{name}"][:, 0] = 0
    assert not odd()
    with h5py.File(copy, "r+") as file:
        file[f"{DETECTOR}/reset_count"][5, 0] = 1
    assert [one.frames for one in odd()] == [1]


def test_a_part_counts_on_from_the_one_before(copy):
    with h5py.File(copy, "r+") as file:
        detector, attributes = file[DETECTOR], file[ATTRIBUTES]
        for dataset, offset in (
            (detector["frame_number"], 100), (detector["series_index"], 2), (detector["series/first_frame"], 100),
            (attributes["ArrayCounter"], 100), (attributes["NDArrayUniqueId"], 100),
        ):  # fmt: skip
            dataset[:] += dataset.dtype.type(offset)
    assert found(copy) == []
    numbers = next(part for part in check_file(copy).checks if part.name == "numbers")
    assert "frame 100 of the capture" in numbers.done


@pytest.mark.parametrize("name", ["markers", "pileup"])
def test_what_cannot_be_is_found(copy, name):
    with h5py.File(copy, "r+") as file:
        file[DETECTOR][name][5] = 1_000_000
    ((_, finding),) = found(copy)
    assert finding.runs == [(5, 5)]


@pytest.mark.parametrize(
    ("name", "check_name"),
    [
        (f"{DETECTOR}/energy", "names"),
        ("/entry/data/channel", "names"),
        ("/entry/instrument/mca_02/calibration", "names"),
        (f"{DETECTOR}/config/good_thresholds", "counts"),
        (f"{DETECTOR}/config/windows", "counts"),
        (f"{DETECTOR}/config/event_widths", "dead time"),
    ],
)
def test_wrong_settings_are_found(copy, name, check_name):
    with h5py.File(copy, "r+") as file:
        dataset = file[name]
        value = dataset[()]
        # The first window's first bin may be empty: its last one is not.
        value.flat[1 if "windows" in name else 0] += -2000 if "windows" in name else 600
        dataset[...] = value
    assert check_name in {part for part, _ in found(copy)}


def test_what_is_gone_is_found(copy):
    with h5py.File(copy, "r+") as file:
        del file[DETECTOR]["pileup"]
        file[DETECTOR]["all_good"].resize(3, axis=0)
        del file["/entry/data/data"]
        file["/entry/data/data"] = np.zeros(3)
    texts = [(part, one.text) for part, one in found(copy)]
    assert ("lengths", "pileup is not there") in texts
    assert any(part == "lengths" and "all_good has 3 frames" in text for part, text in texts)
    assert any(part == "names" and text.startswith("/entry/data/data is not") for part, text in texts)


def test_an_unreadable_chunk_costs_its_own_frames_only(copy, capsys):
    with h5py.File(copy, "r+") as file:
        data = file[DETECTOR]["data"]
        chunk, frames = data.chunks[0], len(data)
        where = data.id.get_chunk_info_by_coord((chunk, 0, 0)).byte_offset
    with open(copy, "r+b") as raw:
        raw.seek(where)
        raw.write(b"\xff" * 64)
    code, out, _ = run(capsys, check, copy)
    assert code == 1
    assert "INCOMPLETE" in out
    reading = next(part for part in check_file(copy).checks if part.name == "reading")
    assert [one.runs for one in reading.findings] == [[(chunk, 2 * chunk - 1)]]
    assert f"{(frames - chunk) * 4:,} spectra" in reading.done
    _, out, _ = run(capsys, info, copy)
    assert f"{chunk} UNREADABLE" in out


def test_corrected_spectra_are_compared(rig, tmp_path):
    rig.ca.set(CTRL_DTC=1)
    path = rig.capture("corrected", 20)
    assert rig.acquire(20) == ECA_NORMAL
    assert rig.ca.put_status("capture") == ECA_NORMAL
    rig.ca.set(CTRL_DTC=0)
    assert found(path) == []
    copy = shutil.copy(path, tmp_path / "corrected.h5")
    with h5py.File(copy, "r+") as file:
        file[DETECTOR]["data"][7, 2, 600] += 1
    assert [(part, one.runs) for part, one in found(copy)] == [("counts", [(7, 7)])]


def test_a_file_of_one_frame_is_complete(rig, capsys):
    """Each frame in a file of its own: none of them is for more, and all but the first begin in mid-series."""
    rig.ca.set(HDF1__FilePath=str(rig.files), HDF1__FileName="each", HDF1__FileTemplate="%s%s_%d.h5")
    rig.ca.set(HDF1__FileNumber=0, HDF1__FileWriteMode=0, HDF1__AutoSave=1, HDF1__NumCapture=10)
    assert rig.acquire(2, 0.1) == ECA_NORMAL
    rig.ca.set(HDF1__FileWriteMode=2, HDF1__AutoSave=0)
    for number in range(2):
        code, out, _ = run(capsys, check, "--strict", os.path.join(rig.files, f"each_{number}.h5"))
        assert (code, "complete, 1 SIMULATED frame\n" in out) == (0, True), out


def test_a_file_without_the_end_or_the_begin_of_a_series_is_not_called_complete(copy, capsys):
    with h5py.File(copy, "r+") as file:
        file[DETECTOR]["series/end_reason"][0] = b"unknown"
    for said in ("series 0 did not end well: unknown", "the file begins in mid-series"):
        code, out, _ = run(capsys, check, copy)
        headline = out.splitlines()[0]
        assert "PART OF A SERIES" in headline and f"; {said}; 1 warning" in headline
        assert "complete" not in headline
        assert code == 0
        with h5py.File(copy, "r+") as file:
            table = file[DETECTOR]["series"]
            table["end_reason"][0] = b"complete"
            file[DETECTOR]["frame_in_series"][: table["frames"][0]] += 5


def test_lost_frames_and_packets_are_named(start_rig, capsys):
    rig = start_rig(**FAULTS)
    path = rig.capture("faults", 60)
    rig.acquire(60)
    rig.ca.put_status("capture")
    code, out, _ = run(capsys, check, path)
    assert code == 1
    assert "INCOMPLETE, 57 valid SIMULATED frames, 3 lost" in out
    assert "missing: frames 10..11, 30" in out
    assert "packets were lost" in out
    assert {part for part, _ in found(path)} == {"status", "scalers"}
    _, out, _ = run(capsys, info, path)
    assert "3 LOST (0 overrun, 3 missing)" in out


@pytest.mark.parametrize("swmr", [0, 1])
def test_a_file_that_is_being_written(rig, capsys, swmr, tmp_path):
    path = rig.capture(f"open{swmr}", HDF1__SWMRMode=swmr)
    rig.begin(1_000_000, 0.001)
    rig.ca.wait_above("det1:ArrayCounter_RBV", 100)
    assert rig.ca.put("HDF1:FlushNow", 1)[0] == ECA_NORMAL
    captured = rig.ca.get("HDF1:NumCaptured_RBV")
    code, out, _ = run(capsys, check, "--json", path)
    (file,) = json.loads(out)["files"]
    assert code == 1
    assert file["frames"] >= captured
    assert file["state"] == ("open for SWMR" if swmr else "being written")
    assert "being written" in file["checks"][0]["findings"][0]["text"]
    if swmr:
        # Without SWMR another flush may come in between.
        assert [part["name"] for part in file["checks"] if part["findings"]] == ["end"]
    assert run(capsys, info, path)[0] == 0
    assert rig.ca.put("det1:Acquire", 0)[0] in (ECA_NORMAL, ECA_PUTFAIL)
    # What a crash would leave now.
    left = shutil.copy(path, tmp_path)
    os.utime(left, (0, 0))
    ((name, finding),) = found(left)
    assert (name, finding.severity) == ("end", "error")
    assert "writer has" in finding.text
    assert "died" in finding.text
    rig.ca.set(HDF1__Capture=0)
    assert rig.ca.put_status("capture") == ECA_NORMAL
    rig.ca.set(HDF1__SWMRMode=0)
    ((name, finding),) = found(path)
    assert (name, finding.severity) == ("end", "warning")
    assert "of the 1,000,000 frames" in finding.text


def test_info_says_what_is_in_it(path, capsys):
    summary = summarize(path)
    code, out, err = run(capsys, info, path)
    assert (code, err) == (0, "")
    for words in ("SIMULATED", "Xspress3 (emulated)", f"{summary.frames:,} frames x 4 channels", "bitshuffle LZ4", "█"):
        assert words in out
    _, out, _ = run(capsys, info, "--json", path)
    (file,) = json.loads(out)["files"]
    for channel, one in enumerate(file["channels"]):
        assert one["channel"] == channel + 1
        assert one["spectrum"] == summary.spectra[channel].tolist()
    with h5py.File(path) as opened:
        detector = opened[DETECTOR]
        good, seconds = detector["all_good"][:].sum(axis=0), detector["real_time"][:].sum(axis=0)
        corrected = (detector["all_good"][:] * detector["dead_time_correction"][:]).sum(axis=0)
    np.testing.assert_allclose([one["output_count_rate"] for one in file["channels"]], good / seconds)
    np.testing.assert_allclose([one["input_count_rate"] for one in file["channels"]], corrected / seconds)
    assert [one["frames"] for one in file["series"]] == [20, 1, summary.frames - 31, 10]
    assert len(file["rates_over_time"]["input_count_rate"]) == 60


@pytest.mark.parametrize(("form", "begin"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")])
def test_pictures(path, tmp_path, capsys, form, begin):
    picture = tmp_path / f"picture.{form}"
    code, out, _ = run(capsys, plot, path, "-o", picture, "--json")
    document = json.loads(out)
    assert code == 0
    assert picture.read_bytes().startswith(begin)
    assert [one["counts"] for one in document["curves"]] == summarize(path).spectra.sum(axis=1).tolist()
    (roi,) = [roi for roi in document["rois"] if roi["name"] == "Mn Ka"]
    assert (roi["low"], roi["high"]) == pytest.approx((5.795, 6.045))


def test_a_picture_of_a_part(path, copy, capsys):
    code, out, _ = run(capsys, plot, copy, "--channels", "2-3", "--frames", "5:20", "--sum", "--linear", "--json")
    assert code == 0
    assert os.path.exists(copy + ".png" if isinstance(copy, str) else f"{copy}.png")
    with h5py.File(path) as file:
        counts = int(file[DETECTOR]["data"][5:20, 1:3].sum())
    (curve,) = json.loads(out)["curves"]
    assert (curve["name"], curve["counts"]) == ("sum of 2 channels", counts)
    code, _, err = run(capsys, plot, copy)
    assert code == 1
    assert "there already: --overwrite" in err
    assert run(capsys, plot, copy, "--overwrite")[0] == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--channels", "5"], "the file has 4"),
        (["--frames", "0:100000"], "frames 0:100000 are not there"),
        (["--frames", "7:7"], "frames 7:7 are not there"),
        (["--roi", "far=50-60"], "the spectra end at 40.95 keV"),
        (["-o", "picture.bmp"], ".png, .svg, .pdf"),
        (["-o", "/nowhere/picture.png"], "no such file or directory"),
    ],
)
def test_pictures_that_cannot_be(copy, capsys, arguments, words):
    code, _, err = run(capsys, plot, copy, *arguments)
    assert code == 1
    assert words in err


def test_ctrl_c_ends_it(path, tmp_path):
    command = [sys.executable, "-m", "xsp3ioc", "check", *[path] * 500]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path)
    assert process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=20)
    assert (process.returncode, errors) == (130, "xsp3ioc check: interrupted\n")
