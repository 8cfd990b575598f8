"""The faults of the areaDetector driver that users know: what a client sees here instead, row by row."""

from __future__ import annotations

import json
import time

import h5py
import numpy as np
import pytest
from ca_clients import ECA_NORMAL, ECA_PUTFAIL, INVALID
from system_rig import Written

CHANNELS = range(1, 5)
PROMPT = 20
"""s; a client's own time-out is longer."""


@pytest.fixture(autouse=True)
def settings(request):
    """What other tests of the module may have left."""
    if "rig" in request.fixturenames:
        rig = request.getfixturevalue("rig")
        rig.ca.put("HDF1:Capture", 0)
        rig.ca.set(EraseOnStart=1, TriggerMode=1, ImageMode=1)


def frame(scalers, event_width):
    """Dead time and factor of one channel: the formula of the reference's own documentation."""
    clock, reset, _, events = scalers[:4]
    dead = events * (event_width + 1) + reset
    return 100 * dead / clock, clock / (clock - dead)


def scalers(rig, channel):
    return rig.ca.gets(*(f"C{channel}SCA:{number}:Value_RBV" for number in range(8)))


def test_01_dead_time_is_alive(rig):
    rig.acquire(2, 0.05)
    seen = []
    for channel in CHANNELS:
        width = rig.ca.get(f"C{channel}:EventWidth")
        percent, factor = frame(scalers(rig, channel), width)
        names = ("DeadTime_RBV", "DTFactor_RBV")
        found = rig.ca.gets(*(f"C{channel}:{name}" for name in names))
        assert found == pytest.approx([percent, factor])
        assert rig.ca.gets(f"C{channel}SCA:10:Value_RBV", f"C{channel}SCA:9:Value_RBV") == pytest.approx(found)
        assert percent > 0
        assert factor > 1
        seen.append(percent)
    assert rig.ca.gets("MeanDeadTime_RBV", "MaxDeadTime_RBV") == pytest.approx([np.mean(seen), max(seen)])


def test_02_event_width_per_channel(rig):
    before = [rig.ca.get(f"C{channel}:EventWidth") for channel in CHANNELS]
    rig.ca.put("C2:EventWidth", before[1] + 60)
    assert [rig.ca.get(f"C{channel}:EventWidth") for channel in CHANNELS] == [
        before[0], before[1] + 60, *before[2:],
    ]  # fmt: skip
    rig.acquire(1, 0.05)
    used = [rig.ca.get(f"C{channel}SCA:8:Value_RBV") for channel in CHANNELS]
    assert used == [before[0], before[1] + 60, *before[2:]]
    for channel in CHANNELS:
        _, factor = frame(scalers(rig, channel), used[channel - 1])
        assert rig.ca.get(f"C{channel}:DTFactor_RBV") == pytest.approx(factor)
    rig.ca.put("C2:EventWidth", before[1])


def test_03_windows_of_the_calibration_are_kept(start_rig, tmp_path):
    rig = start_rig()
    windows = {f"C{channel}_SCA{number}_{end}": 100 * channel + 10 * number + 5 * (end == "HLM")
               for channel in CHANNELS for number in (5, 6) for end in ("HLM", "LLM")}  # fmt: skip
    rig.ca.set(**windows, C3_SCA4_THRESHOLD=33)
    directory = tmp_path / "calibration"
    directory.mkdir()
    rig.ca.set(CONFIG_SAVE_PATH=str(directory))
    rig.ca.set(SAVE_SETTINGS=1)
    assert any(directory.iterdir())
    rig.ca.set(**{name: 0 for name in windows if name.endswith("LLM")}, C3_SCA4_THRESHOLD=0)
    rig.ca.set(**{name: 4095 for name in windows if name.endswith("HLM")})
    rig.ca.set(CONFIG_PATH=str(directory))
    rig.ca.set(CONNECT=1)
    names = [f"det1:{name}_RBV" for name in windows]
    assert rig.ca.gets(*names, "det1:C3_SCA4_THRESHOLD_RBV") == [*windows.values(), 33]


def set_roi(rig, channel, number, low, size, name="ROI", **more):
    prefix = f"MCA{channel}ROI:{number}:"
    values = {"Name": name, "Use": 1, "MinX": low, "SizeX": size, "BgdWidth": 0} | more
    for field, value in values.items():
        assert rig.ca.put(prefix + field, value)[0] == ECA_NORMAL, field


def roi(rig, channel, number, *fields):
    return rig.ca.gets(*(f"MCA{channel}ROI:{number}:{field}" for field in fields))


def test_04_roi_40_is_not_roi_30(rig):
    set_roi(rig, 2, 30, 300, 20, "thirty")
    set_roi(rig, 2, 40, 500, 50, "forty")
    assert roi(rig, 2, 30, "Name", "MinX_RBV", "SizeX_RBV") == ["thirty", 300, 20]
    assert roi(rig, 2, 40, "Name", "MinX_RBV", "SizeX_RBV") == ["forty", 500, 50]
    rig.acquire(1, 0.05)
    spectrum = rig.ca.get("MCA2:ArrayData")
    assert roi(rig, 2, 30, "Total_RBV") == [spectrum[300:320].sum()]
    assert roi(rig, 2, 40, "Total_RBV") == [spectrum[500:550].sum()]


def test_05_no_blank_frame_in_the_file(rig):
    path = rig.capture("blank", 5)
    assert rig.acquire(5, 0.01) == ECA_NORMAL
    assert rig.ca.put_status("capture") == ECA_NORMAL
    written = Written(path)
    assert written.frames == 5
    written.check(rig.settings, 0.01)
    assert (written.scalers(0, 5)[..., 0] > 0).all()
    with h5py.File(path) as file:
        np.testing.assert_array_equal(file["/entry/instrument/NDAttributes/NDArrayUniqueId"], np.arange(1, 6))


def test_06_points_of_the_scalers_time_series(rig):
    name = "C1SCA:TS:TSNumPoints"
    assert rig.ca.get(name) == 2048
    assert rig.ca.put(name, 16384)[0] == ECA_NORMAL
    assert rig.ca.get(name) == 16384
    assert rig.ca.put(name, 2048)[0] == ECA_NORMAL


def test_07_every_channel_is_posted_for_every_frame(rig):
    names = [f"C{channel}SCA:{number}:Value_RBV" for channel in CHANNELS for number in (3, 9)]
    names += [f"C{channel}:DTFactor_RBV" for channel in CHANNELS]
    rig.ca.set(EraseOnStart=0)
    rig.acquire(1, 0.02)
    rig.ca.monitor(*names)
    # Each series has another exposure, so that no value is there twice.
    for points in range(1, 5):
        for name in names:
            rig.ca.seen(name)
        rig.acquire(1, 0.02 + 0.01 * points)
        values = rig.ca.gets(*names)
        deadline = time.monotonic() + PROMPT
        missing = dict(zip(names, values, strict=True))
        while missing:
            assert time.monotonic() < deadline, missing
            for name in list(missing):
                if any(update.value == missing[name] for update in rig.ca.seen(name)):
                    del missing[name]


def test_08_what_went_wrong_is_marked(start_rig):
    """The ring overruns: the frames that are lost are counted, marked in the file, and no others are shown."""
    rig = start_rig(
        detector={"ring_frames": 160}, emulator={"faults": {"slow_read": 0.1}}, parameters={"stop_on_overrun": False}
    )
    frames = 1000
    path = rig.capture("overrun", frames)
    assert rig.acquire(frames, 0.001) == ECA_NORMAL
    assert rig.ca.put_status("capture") == ECA_NORMAL
    acquired, _, _, missing = rig.counters()
    assert missing > 0
    assert acquired == frames - missing
    assert rig.ca.read("det1:FramesMissing").severity > 0
    written = Written(path)
    assert written.frames == frames
    assert np.count_nonzero(written["frame_status"]) == missing
    written.check(rig.settings, 0.001)


def test_08_a_failed_read_is_no_frame(start_rig):
    rig = start_rig(
        emulator={"faults": {"fail": {"xsp3_histogram_read4d": {"call": 1, "times": 1000, "message": "cable"}}}}
    )
    assert rig.acquire(3, 0.01) == ECA_PUTFAIL
    assert rig.ca.get("det1:ArrayCounter_RBV") == 0
    assert rig.ca.get("det1:FramesAcquired") == 0
    assert "read" in rig.message()
    assert rig.ca.gets("det1:Acquire", "det1:AcquireBusy") == [0, 0]
    assert rig.ca.read("det1:DetectorState_RBV").severity > 0


def test_09_erase_resets_sums_of_scalers_and_statistics_of_rois(rig):
    set_roi(rig, 1, 1, 600, 100)
    rig.acquire(3, 0.02)
    names = ["C1SCA:0:ValueSum_RBV", "C4SCA:3:ValueSum_RBV", "MCA1ROI:1:Total_RBV", "MCA1ROI:1:MaxValue_RBV",
             "MCA1ROI:1:MeanValue_RBV", "MCA1ROI:1:Net_RBV"]  # fmt: skip
    assert all(value > 0 for value in rig.ca.gets(*names))
    sums = rig.ca.gets("C1SCA:0:ValueSum_RBV", "C1SCA:0:Value_RBV")
    assert sums[0] == pytest.approx(3 * sums[1])
    rig.ca.set(ERASE=1)
    assert rig.ca.gets(*names) == [0] * len(names)
    assert rig.ca.gets("det1:ArrayCounter_RBV", "C1SCA:0:Value_RBV") == [0, 0]


@pytest.mark.parametrize("width", [0, 3, 10])
def test_10_net_of_a_roi(rig, width):
    low, size = 600, 120
    set_roi(rig, 3, 5, low, size, BgdWidth=width)
    rig.acquire(1, 0.1)
    counts = rig.ca.get("MCA3:ArrayData")[low : low + size]
    background = np.concatenate((counts[:width], counts[size - width :])).mean() if width else 0
    total, net, mean, least, most = roi(rig, 3, 5, *(f"{name}_RBV" for name in ("Total", "Net", "MeanValue", "MinValue",
                                                                               "MaxValue")))  # fmt: skip
    assert total == counts.sum() > 0
    assert (mean, least, most) == (pytest.approx(counts.mean()), counts.min(), counts.max())
    assert net == pytest.approx(total - background * size)
    assert net != 0


def test_11_acquire_while_disconnected_fails_at_once(rig):
    rig.ca.set(DISCONNECT=1)
    status, seconds = rig.ca.put("det1:Acquire", 1)
    assert status == ECA_PUTFAIL
    assert seconds < PROMPT
    assert rig.ca.gets("det1:Acquire", "det1:Acquire_RBV", "det1:AcquireBusy") == [0, 0, 0]
    assert "CONNECT" in rig.message()
    # And neither does the next stop wait for anything.
    status, seconds = rig.ca.put("det1:Acquire", 0)
    assert (status, seconds < PROMPT) == (ECA_NORMAL, True)
    assert rig.ca.put("det1:ERASE", 1)[1] < PROMPT
    rig.ca.set(CONNECT=1)
    assert rig.acquire(1, 0.01) == ECA_NORMAL


def test_11_a_negative_number_of_images_is_refused(rig):
    before = rig.ca.get("det1:NumImages")
    status, seconds = rig.ca.put("det1:NumImages", -1)
    assert (status, seconds < PROMPT) == (ECA_PUTFAIL, True)
    assert rig.ca.get("det1:NumImages") == before
    assert rig.acquire(2, 0.01) == ECA_NORMAL
    assert rig.ca.get("det1:AcquireBusy") == 0


def test_12_an_error_does_not_stay(rig):
    low, high = rig.ca.gets("det1:C1_SCA5_LLM", "det1:C1_SCA5_HLM")
    assert rig.ca.put("det1:C1_SCA5_LLM", high + 1)[0] == ECA_PUTFAIL
    rig.ca.set(CONFIG_SAVE_PATH="/nowhere/at/all")
    assert rig.ca.put("det1:SAVE_SETTINGS", 1)[0] == ECA_PUTFAIL
    assert rig.ca.read("det1:DetectorState_RBV")[::2] == (0, 0)
    rig.ca.set(C1_SCA5_LLM=low)
    assert rig.ca.read("det1:C1_SCA5_LLM").severity == 0
    assert rig.ca.get("det1:DetectorState_RBV") == 0
    rig.ca.set(RESET=1)
    assert rig.acquire(1, 0.01) == ECA_NORMAL
    rig.ca.set(CONFIG_SAVE_PATH="")


@pytest.mark.parametrize("exposure", [0, -1])
def test_13_exposures_that_would_never_end_are_refused(rig, exposure):
    rig.ca.set(AcquireTime=0.02)
    assert rig.ca.put("det1:AcquireTime", exposure)[0] == ECA_PUTFAIL
    assert rig.ca.read("det1:AcquireTime").severity == INVALID
    assert rig.ca.get("det1:AcquireTime_RBV") == 0.02
    rig.ca.set(AcquireTime=0.02)
    assert rig.ca.read("det1:AcquireTime").severity == 0


@pytest.mark.parametrize(("field", "value"), [("MinX", 5000), ("MinX", -1), ("SizeX", -1), ("SizeX", 5000)])
def test_13_rois_beyond_the_spectrum(rig, field, value):
    """Refused, or clipped to what there is; in either case it is seen."""
    set_roi(rig, 4, 7, 4000, 50)
    name = f"MCA4ROI:7:{field}"
    status, _ = rig.ca.put(name, value)
    low, size = roi(rig, 4, 7, "MinX_RBV", "SizeX_RBV")
    assert 0 <= low < 4096
    assert 0 <= size <= 4096
    assert status == ECA_PUTFAIL or rig.ca.read(name).severity > 0
    set_roi(rig, 4, 7, 4000, 50)
    assert rig.ca.read(name).severity == 0
    rig.acquire(1, 0.02)
    assert roi(rig, 4, 7, "Total_RBV") == [rig.ca.get("MCA4:ArrayData")[4000:4050].sum()]


def test_14_saving_without_a_path_is_refused(rig):
    rig.ca.set(CONFIG_SAVE_PATH="")
    status, _ = rig.ca.put("det1:SAVE_SETTINGS", 1)
    assert status == ECA_PUTFAIL
    assert "CONFIG_SAVE_PATH" in rig.message()
    assert "Saved" not in rig.message()


def test_15_the_type_in_the_file_is_that_of_the_present_setting(rig):
    rig.ca.set(CTRL_DTC=1)
    assert rig.acquire(2, 0.01) == ECA_NORMAL
    assert rig.ca.get("det1:DataType_RBV") == 9
    rig.ca.set(CTRL_DTC=0)
    path = rig.capture("raw", 3)
    assert rig.acquire(3, 0.01) == ECA_NORMAL
    assert rig.ca.put_status("capture") == ECA_NORMAL
    assert rig.ca.gets("HDF1:Capture", "HDF1:NumCaptured_RBV", "det1:DataType_RBV") == [0, 3, 5]
    with h5py.File(path) as file:
        assert file["/entry/instrument/detector/data"].dtype == np.uint32
    Written(path).check(rig.settings, 0.01)


def test_15_corrected_spectra(rig):
    rig.ca.set(CTRL_DTC=1)
    path = rig.capture("corrected", 2)
    assert rig.acquire(2, 0.05) == ECA_NORMAL
    assert rig.ca.put_status("capture") == ECA_NORMAL
    rig.ca.set(CTRL_DTC=0)
    with h5py.File(path) as file:
        data = file["/entry/instrument/detector/data"]
        assert (data.dtype, data.shape) == (np.float64, (2, 4, 4096))
        detector = file["/entry/instrument/detector"]
        # More counts than were seen, by about the factor of the dead time.
        ratio = data[0].sum(axis=-1) / detector["all_good"][0]
        assert (ratio > 1).all()


def test_16_capture_before_the_first_array(start_rig):
    rig = start_rig()
    assert rig.ca.gets("HDF1:ArraySize0_RBV", "HDF1:ArraySize1_RBV", "HDF1:ArraySize2_RBV") == [4096, 4, 0]
    path = rig.capture("first", 2)
    assert rig.ca.gets("HDF1:Capture", "HDF1:Capture_RBV", "HDF1:WriteStatus") == [1, 1, 0]
    assert rig.acquire(2, 0.01) == ECA_NORMAL
    assert rig.ca.put_status("capture") == ECA_NORMAL
    Written(path).check(rig.settings, 0.01)


def test_17_a_capture_holds_many_series_and_outlives_an_abort(rig):
    path = rig.capture("aborted", 0)
    rig.begin(10_000, 0.01)
    rig.ca.wait_above("HDF1:NumCaptured_RBV", 2)
    rig.ca.set(Acquire=0)
    assert rig.ca.put_status("acquire") == ECA_NORMAL
    assert rig.ca.gets("det1:DetectorState_RBV", "HDF1:Capture", "HDF1:Capture_RBV") == [10, 1, 1]
    assert rig.ca.is_open("capture")
    first = rig.ca.get("HDF1:NumCaptured_RBV")
    assert rig.acquire(3, 0.01) == ECA_NORMAL
    assert rig.ca.get("HDF1:NumCaptured_RBV") == first + 3
    assert rig.ca.put("HDF1:Capture", 0)[0] == ECA_NORMAL
    assert rig.ca.put_status("capture") == ECA_NORMAL
    written = Written(path)
    np.testing.assert_array_equal(written["series_index"], [0] * first + [1] * 3)
    written.check(rig.settings, 0.01)


def test_17_or_an_abort_closes_it(rig):
    rig.ca.set(HDF1__CloseOnAbort=1)
    rig.capture("closed", 0)
    rig.begin(10_000, 0.01)
    rig.ca.wait_above("HDF1:NumCaptured_RBV", 2)
    rig.ca.set(Acquire=0)
    assert rig.ca.put_status("capture") == ECA_NORMAL
    assert rig.ca.get("HDF1:Capture_RBV") == 0
    rig.ca.set(HDF1__CloseOnAbort=0)


def test_17_missing_frames_do_not_keep_a_capture(start_rig):
    rig = start_rig(detector={"ring_frames": 160}, emulator={"faults": {"slow_read": 0.1}})
    path = rig.capture("dropped", 1000)
    assert rig.acquire(1000, 0.001) == ECA_PUTFAIL
    assert rig.counters()[3] > 0
    # It was to be filled by this series: nobody waits for the rest.
    assert rig.ca.put_status("capture") == ECA_PUTFAIL
    assert rig.ca.gets("HDF1:Capture", "HDF1:Capture_RBV", "HDF1:WriteFile_RBV") == [0, 0, 0]
    assert Written(path).frames > 0


def test_18_readbacks_follow_and_are_true(rig):
    for mode in (0, 2, 1):
        rig.ca.set(ImageMode=mode)
        assert rig.ca.get("det1:ImageMode_RBV") == mode
    rig.ca.set(AcquirePeriod=1.5)
    assert rig.ca.get("det1:AcquirePeriod_RBV") == 1.5
    rig.ca.set(AcquirePeriod=0)
    assert rig.ca.get("det1:DataType_RBV") == 5
    for name in ("ImageMode_RBV", "AcquirePeriod_RBV", "DataType_RBV", "ColorMode_RBV"):
        assert rig.ca.read(f"det1:{name}").severity == 0
    # A single frame is one, whatever NumImages says.
    rig.ca.set(ImageMode=0)
    assert rig.acquire(5, 0.01) == ECA_NORMAL
    assert rig.ca.get("det1:ArrayCounter_RBV") == 1


def test_19_sums_are_reset_by_a_start_that_erases(rig):
    names = [f"MCASUM{channel}:ArrayData" for channel in CHANNELS]
    rig.acquire(3, 0.02)
    rig.acquire(1, 0.02)
    for channel, name in zip(CHANNELS, names, strict=True):
        np.testing.assert_array_equal(rig.ca.get(name), rig.ca.get(f"MCA{channel}:ArrayData"))
    rig.ca.set(EraseOnStart=0)
    before = rig.ca.get(names[0])
    rig.acquire(1, 0.02)
    np.testing.assert_array_equal(rig.ca.get(names[0]), before + rig.ca.get("MCA1:ArrayData"))
    # What was erased is shown at once, not with the next frame.
    rig.ca.monitor(*names)
    rig.ca.set(ERASE=1)
    for name in names:
        assert not rig.ca.get(name).any()
    deadline = time.monotonic() + PROMPT
    while any(np.any(reading.value) for reading in rig.ca.last(*names)):
        assert time.monotonic() < deadline, "the erased sums were not posted"


def test_20_a_refused_number_of_images_changes_nothing(rig):
    rig.ca.set(NumImages=12)
    assert rig.ca.gets("HDF1:NumCapture", "HDF1:NumCapture_RBV") == [12, 12]
    assert rig.ca.put("det1:NumImages", -1)[0] == ECA_PUTFAIL
    assert rig.ca.put("det1:NumImages", 1 << 24)[0] == ECA_PUTFAIL
    assert rig.ca.gets("det1:NumImages_RBV", "HDF1:NumCapture", "HDF1:NumCapture_RBV") == [12, 12, 12]
    # NSLS-II's habit: without the link, NumCapture stays.
    assert rig.ca.put("HDF1:NumCapture_CALC.DISA", 1)[0] == ECA_NORMAL
    rig.ca.set(NumImages=20)
    assert rig.ca.get("HDF1:NumCapture") == 12
    assert rig.ca.put("HDF1:NumCapture_CALC.DISA", 0)[0] == ECA_NORMAL
    rig.ca.set(NumImages=20)
    assert rig.ca.get("HDF1:NumCapture") == 20


def test_21_started_once_and_not_polled(start_rig, tmp_path):
    """What the library is asked in a series of one long frame, by a trace of its calls."""
    trace = tmp_path / "trace"
    rig = start_rig("--trace", str(trace))
    rig.acquire(1, 0.01)
    begin = len(trace.read_text().splitlines())
    assert rig.acquire(1, 1.0) == ECA_NORMAL
    assert rig.server.stop() == 0
    lines = [json.loads(line) for line in trace.read_text().splitlines()[begin:]]
    calls = [line["f"] for line in lines if line["line"] == "call"]
    assert sum("histogram_start" in call or "histogram_arm" in call for call in calls) == 1
    assert sum("itfg_setup" in call for call in calls) <= 1
    # In a second of counting: as often as every 10 ms is plenty.
    assert sum("progress" in call for call in calls) < 400
    assert len(calls) < 1500
