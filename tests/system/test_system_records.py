"""The records of the detector live: what they show follows, and what cannot be is refused in words."""

from __future__ import annotations

import json
import time

import numpy as np
import pytest
from ca_clients import ECA_NORMAL, ECA_PUTFAIL, TIMEOUT

from xsp3ioc.sdk import expected_frames
from xsp3ioc.stream.formulas import dead_time_factors

CHANNELS, BINS = 4, 4096
EPICS_EPOCH = 631152000
INTERNAL, SOFTWARE, SOFTWARE_INTERNAL = 1, 0, 7
UINT32, FLOAT64 = 5, 9
MINOR = 1


@pytest.fixture(autouse=True)
def defaults(rig):
    rig.ca.set(CONNECT=1, TriggerMode=INTERNAL, ImageMode=1, EraseOnStart=1, CTRL_DTC=0, ArrayCallbacks=1)


def wait(condition, what):
    deadline = time.monotonic() + TIMEOUT
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


def refused(rig, name, value, *words):
    before = rig.ca.get(name)
    status, seconds = rig.ca.put(name, value)
    assert status == ECA_PUTFAIL
    assert seconds < 1
    message = rig.message()
    assert all(word in message for word in words), message
    assert rig.ca.get(name) == before


def test_sizes_are_known_before_the_first_frame(rig):
    sizes = {"X": BINS, "Y": CHANNELS, "Z": 0, "0": BINS, "1": CHANNELS, "2": 0}
    for axis, size in sizes.items():
        assert rig.ca.get(f"det1:ArraySize{axis}_RBV") == size, axis
    assert rig.ca.gets("det1:MaxSizeX_RBV", "det1:MaxSizeY_RBV", "det1:NDimensions_RBV") == [BINS, CHANNELS, 2]
    assert list(rig.ca.get("det1:Dimensions_RBV"))[:3] == [BINS, CHANNELS, 0]
    assert rig.ca.get("det1:ArraySize_RBV") == BINS * CHANNELS * 4


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DataType", UINT32), ("ColorMode", 0), ("NumExposures", 1), ("NUM_CHANNELS", CHANNELS), ("BinX", 1),
        ("BinY", 1), ("MinX", 0), ("MinY", 0), ("SizeX", BINS), ("SizeY", CHANNELS), ("ReverseX", 0), ("ReverseY", 0),
    ],
)
def test_what_can_only_be_as_it_is_may_be_written_as_it_is(rig, name, value):
    assert rig.ca.get(f"det1:{name}_RBV") == value
    assert rig.ca.put(f"det1:{name}", value)[0] == ECA_NORMAL
    assert rig.ca.get(f"det1:{name}_RBV") == value


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("DataType", "Int8", "spectra are UInt32, and Float64 with CTRL_DTC"),
        ("ColorMode", "RGB1", "Mono"),
        ("NumExposures", 2, "above 1"),
        ("BinX", 2, "above 1"),
        ("MinY", 1, "above 0"),
        ("SizeX", 100, "below 4096"),
        ("SizeY", 2, "all 4 channels are read out"),
        ("ReverseX", 1, "begin at bin 0"),
        ("ReverseY", 1, "begin with channel 1"),
        ("NUM_CHANNELS", 3, "started for 4 channels"),
        ("NUM_CHANNELS", 0, "below 1"),
        ("NUM_FRAMES_CONFIG", 20000, "above 16384, the ring_frames of [detector]"),
        ("AcquirePeriod", -1, "below 0"),
        ("ArrayCounter", -1, "below 0"),
        ("AcquireBusy", 1, "write to Acquire"),
        ("TRIGGER", 1, "TRIGGER while not acquiring"),
    ],
)
def test_what_cannot_be_is_refused(rig, name, value, words):
    refused(rig, f"det1:{name}", value, words)


def test_readbacks_follow(rig):
    puts = {"ImageMode": 0, "AcquirePeriod": 0.5, "ArrayCounter": 0, "RUN_FLAGS": 0, "CONFIG_SAVE_PATH": "/tmp"}
    rig.ca.set(**puts, WaitForPlugins=1)
    for name, value in puts.items():
        assert rig.ca.get(f"det1:{name}_RBV") == value, name
    assert rig.ca.get("det1:WaitForPlugins") == 1


def test_the_busy_record_has_both_edges(rig):
    rig.ca.monitor("det1:AcquireBusy")
    rig.ca.seen("det1:AcquireBusy")
    for _ in range(3):
        assert rig.acquire(1) == ECA_NORMAL
    edges = [(reading.value, reading.severity) for reading in rig.ca.seen("det1:AcquireBusy")]
    assert edges == [(1, MINOR), (0, 0)] * 3
    assert rig.ca.put("det1:AcquireBusy", 0)[0] == ECA_NORMAL


def test_the_last_frame_says_who_it_is(rig):
    rig.ca.get("MCA1:ArrayData")
    begin = time.time()
    assert rig.acquire(7) == ECA_NORMAL
    end = time.time()
    counters = ("UniqueId_RBV", "NumImagesCounter_RBV", "NumExposuresCounter_RBV", "ArrayCounter_RBV")
    assert rig.ca.gets(*(f"det1:{name}" for name in counters)) == [7, 7, 1, 7]
    stamp, seconds, nanoseconds = rig.ca.gets("det1:TimeStamp_RBV", "det1:EpicsTSSec_RBV", "det1:EpicsTSNsec_RBV")
    assert stamp == pytest.approx(seconds + nanoseconds * 1e-9, abs=1e-6)
    assert begin <= stamp + EPICS_EPOCH <= end
    assert stamp + EPICS_EPOCH == pytest.approx(rig.ca.read("MCA1:ArrayData").time, abs=1e-3)
    rig.ca.set(ERASE=1)
    assert rig.ca.gets("det1:UniqueId_RBV", "det1:TimeStamp_RBV") == [0, 0]


def test_the_time_that_remains(rig):
    rig.begin(1000, 0.1)
    rig.ca.wait_above("det1:TimeRemaining_RBV", 90)
    first = rig.ca.get("det1:TimeRemaining_RBV")
    wait(lambda: rig.ca.get("det1:TimeRemaining_RBV") < first - 0.3, "less time")
    rig.ca.set(Acquire=0)
    assert rig.ca.put_status("acquire") == ECA_NORMAL
    assert rig.ca.get("det1:TimeRemaining_RBV") == 0


def test_the_pool_is_shown(rig):
    limit, memory = rig.ca.gets("det1:PoolMaxMem", "det1:PoolUsedMem")
    assert limit >= 1024
    assert 0 < memory <= limit
    assert rig.acquire(200) == ECA_NORMAL

    def adds_up():
        allocated, free, used = rig.ca.gets("det1:PoolAllocBuffers", "det1:PoolFreeBuffers", "det1:PoolUsedBuffers")
        return allocated == free + used and used > 0  # the latest frame is kept

    wait(adds_up, "buffers in use")


def test_the_server_shows_that_it_works(rig):
    before = rig.ca.get("det1:Heartbeat_RBV")
    rig.ca.wait_above("det1:Heartbeat_RBV", before + 1)


def test_every_sensor_is_shown(rig):
    wait(lambda: len(np.atleast_1d(rig.ca.get("det1:Temperatures_RBV"))) == 4, "temperatures")
    assert rig.ca.get("det1:TemperatureActual") > 20


def test_corrected_spectra(rig):
    rig.ca.set(CTRL_DTC=1)
    assert rig.ca.gets("det1:CTRL_DTC_RBV", "det1:DataType_RBV") == [1, FLOAT64]
    assert rig.ca.get("det1:ArraySize_RBV") == BINS * CHANNELS * 8
    assert rig.ca.put("det1:DataType", UINT32)[0] == ECA_PUTFAIL
    assert rig.acquire(3, 0.01) == ECA_NORMAL
    mca, scalers = expected_frames(rig.settings, 800_000, 2, 1)
    factors = dead_time_factors(scalers, [6.0] * CHANNELS)
    assert factors.min() > 1
    for channel in range(CHANNELS):
        expected = mca[0, channel] * factors[0, channel]
        np.testing.assert_allclose(rig.ca.get(f"MCA{channel + 1}:ArrayData"), expected, rtol=1e-12)
    rig.ca.set(CTRL_DTC=0)
    assert rig.ca.gets("det1:CTRL_DTC_RBV", "det1:DataType_RBV") == [0, UINT32]
    assert rig.acquire(3, 0.01) == ECA_NORMAL
    np.testing.assert_array_equal(rig.ca.get("MCA1:ArrayData"), mca[0, 0])


def test_the_type_of_a_file_does_not_change_while_it_is_open(rig):
    rig.capture("typed")
    refused(rig, "det1:CTRL_DTC", 1, "CTRL_DTC cannot change while", "typed")
    rig.ca.set(HDF1__Capture=0)
    assert rig.ca.put_status("capture") == ECA_NORMAL
    rig.ca.set(CTRL_DTC=1)


def test_without_callbacks_nothing_is_shown_and_all_is_streamed(rig):
    assert rig.acquire(2) == ECA_NORMAL
    shown = rig.ca.get("MCA1:ArrayData"), rig.ca.get("MCASUM1:ArrayData")
    listener = rig.listener()
    rig.ca.set(ArrayCallbacks=0, EraseOnStart=0)
    assert rig.ca.get("det1:ArrayCallbacks_RBV") == 0
    rig.capture("unseen")
    assert rig.acquire(30) == ECA_NORMAL
    heard = listener.heard()
    assert (heard.frames, heard.wrong) == (30, [])
    assert rig.counters() == [30, 30, 0, 0]
    np.testing.assert_array_equal(rig.ca.get("MCA1:ArrayData"), shown[0])
    np.testing.assert_array_equal(rig.ca.get("MCASUM1:ArrayData"), shown[1])
    rig.ca.set(HDF1__Capture=0)
    assert rig.ca.put_status("capture") == ECA_NORMAL
    assert rig.ca.get("HDF1:NumCaptured_RBV") == 0
    listener.end()


def test_trigger_opens_one_frame_after_the_other(rig):
    rig.ca.set(TriggerMode=SOFTWARE)
    rig.begin(3)
    for frame in range(3):
        assert rig.ca.put("det1:TRIGGER", 1)[0] == ECA_NORMAL
        rig.ca.wait_for("det1:ArrayCounter_RBV", frame)
    assert rig.ca.get("det1:SoftTrigger_RBV") == 1
    rig.ca.set(SoftTrigger=0)
    assert rig.ca.put_status("acquire") == ECA_NORMAL
    assert rig.ca.get("det1:ArrayCounter_RBV") == 3


def test_trigger_gives_frames_of_the_exposure_time(rig):
    rig.ca.set(TriggerMode=SOFTWARE_INTERNAL)
    rig.begin(2, 0.002)
    for frame in range(2):
        rig.ca.set(TRIGGER=1)
        rig.ca.wait_for("det1:ArrayCounter_RBV", frame + 1)
    assert rig.ca.put_status("acquire") == ECA_NORMAL
    assert rig.ca.get("C1SCA:0:Value_RBV") == 160_000


def test_settings_are_saved_and_restored(rig, tmp_path):
    rig.ca.set(C2_SCA4_THRESHOLD=77, C3_SCA5_LLM=5, C3_SCA5_HLM=1234)
    rig.ca.set(CONFIG_SAVE_PATH=str(tmp_path))
    rig.ca.set(SAVE_SETTINGS=1)
    assert rig.message() == f"Saved Configuration to {tmp_path}"
    for name in ("det1:CONFIG_SAVE_PATH", "det1:CONFIG_SAVE_PATH_RBV"):
        assert bytes(rig.ca.read(name).value).rstrip(b"\0") == b" "
    assert list(tmp_path.iterdir())
    refused(rig, "det1:SAVE_SETTINGS", 1, "CONFIG_SAVE_PATH is empty")

    rig.ca.set(C2_SCA4_THRESHOLD=10, C3_SCA5_HLM=99, CONFIG_PATH=str(tmp_path))
    rig.ca.set(RESTORE_SETTINGS=1)
    assert rig.message() == f"Restored Configuration from {tmp_path}"
    names = ("det1:C2_SCA4_THRESHOLD", "det1:C2_SCA4_THRESHOLD_RBV", "det1:C3_SCA5_LLM_RBV", "det1:C3_SCA5_HLM_RBV")
    assert rig.ca.gets(*names) == [77, 77, 5, 1234]
    assert rig.acquire(5) == ECA_NORMAL
    rig.ca.set(CONFIG_PATH="")
    refused(rig, "det1:RESTORE_SETTINGS", 1, "CONFIG_PATH is empty")
    assert rig.ca.get("det1:DetectorState_RBV") == 0


@pytest.mark.parametrize(("place", "words"), [("", "no such directory"), ("full", "not empty")])
def test_a_directory_that_settings_cannot_be_saved_in(rig, tmp_path, place, words):
    directory = tmp_path / (place or "nowhere")
    if place:
        directory.mkdir()
        (directory / "precious").write_text("precious")
    rig.ca.set(CONFIG_SAVE_PATH=str(directory))
    refused(rig, "det1:SAVE_SETTINGS", 1, words)
    assert rig.ca.get("det1:CONFIG_SAVE_PATH_RBV") == str(directory)
    assert rig.ca.get("det1:DetectorState_RBV") == 0  # an error of a button is none of the detector
    assert rig.acquire(1) == ECA_NORMAL


def test_settings_are_neither_saved_nor_restored_while_acquiring(rig, tmp_path):
    rig.ca.set(CONFIG_SAVE_PATH=str(tmp_path))
    rig.begin(10_000, 0.01)
    refused(rig, "det1:SAVE_SETTINGS", 1, "SAVE_SETTINGS while acquiring")
    refused(rig, "det1:RESTORE_SETTINGS", 1, "RESTORE_SETTINGS while acquiring")
    rig.ca.set(Acquire=0)
    assert rig.ca.put_status("acquire") == ECA_NORMAL


def test_a_smaller_ring_with_the_next_connection(rig):
    assert rig.ca.gets("det1:NUM_FRAMES_CONFIG_RBV", "det1:MAX_FRAMES_RBV") == [16384, 16384]
    rig.ca.set(NUM_FRAMES_CONFIG=256)
    assert rig.ca.get("det1:MAX_FRAMES_RBV") == 16384
    rig.ca.set(CONNECT=1)
    assert rig.ca.get("det1:MAX_FRAMES_RBV") == 256
    assert rig.acquire(1000) == ECA_NORMAL  # more than the ring: it is circular
    assert rig.counters() == [1000, 1000, 0, 0]
    rig.ca.set(NUM_FRAMES_CONFIG=16384)
    rig.ca.set(CONNECT=1)
    assert rig.ca.get("det1:MAX_FRAMES_RBV") == 16384


def test_the_calibrations_dead_times_are_shown(rig):
    offsets = [rig.ca.get(f"det1:C{channel}_DTC_AEO_RBV") for channel in range(1, CHANNELS + 1)]
    assert all(0 < offset < 1e-6 for offset in offsets)


def test_a_refusal_is_shown_until_the_next_good_put(rig):
    rig.ca.set(ERASE=1)
    assert rig.message() == "Erased Data"
    refused(rig, "det1:NumImages", 0, "NumImages = 0 is below 1")
    assert rig.ca.read("det1:StatusMessage_RBV").severity == MINOR
    rig.ca.set(NumImages=5)
    assert rig.message() == "Erased Data"
    assert rig.ca.read("det1:StatusMessage_RBV").severity == 0
    refused(rig, "det1:NumImages", 0, "NumImages = 0 is below 1")
    rig.ca.set(Acquire=0)
    assert rig.message() == "Erased Data"
    rig.ca.set(C1_SCA5_HLM=4000)
    refused(rig, "det1:C1_SCA5_LLM", 4095, "Window 1 of channel 1 (Tango: Window1_Ch0): low 4095 is above high 4000")
    assert rig.ca.get("det1:DetectorState_RBV") in (0, 10)  # not Error, as in areaDetector until the next Acquire


DISCONNECTED = [
    ("Acquire", 1), ("SoftTrigger", 1), ("TRIGGER", 1), ("TriggerMode", 1), ("INVERT_VETO", 1), ("DEBOUNCE", 1),
    ("SAVE_SETTINGS", 1), ("RESTORE_SETTINGS", 1), ("C1_SCA4_THRESHOLD", 5), ("C1_SCA5_LLM", 0), ("RESET", 1),
]  # fmt: skip


def test_nothing_hangs_when_disconnected(rig):
    rig.ca.set(DISCONNECT=1)
    for name, value in DISCONNECTED:
        status, seconds = rig.ca.put(f"det1:{name}", value)
        assert (status, seconds < 1) == (ECA_PUTFAIL, True), name
        assert "onnect" in rig.message(), rig.message()
    assert rig.ca.get("det1:AcquireBusy") == 0
    for name in ("ERASE", "DISCONNECT"):
        status, seconds = rig.ca.put(f"det1:{name}", 1)
        assert (status, seconds < 1) == (ECA_NORMAL, True), name
    for name, value in {"NumImages": 10, "AcquireTime": 0.1, "ImageMode": 1, "C1_Enable": 1, "CONFIG_PATH": ""}.items():
        status, seconds = rig.ca.put(f"det1:{name}", value)
        assert (status, seconds < 1) == (ECA_NORMAL, True), name
    assert rig.ca.get("det1:DetectorState_RBV") == 9
    rig.ca.set(CONNECT=1)
    assert rig.message() == "System Connected"
    assert rig.acquire(2) == ECA_NORMAL


def test_an_alarm_is_seen_by_those_who_come_later(start_rig):
    rig = start_rig()
    assert rig.ca.put("det1:NumImages", 0)[0] == ECA_PUTFAIL
    began = time.time()
    assert rig.ca.read("det1:StatusMessage_RBV").severity == MINOR  # nobody has asked for it before
    assert rig.ca.read("det1:StatusMessage_RBV").time < began


def test_run_flags_reach_the_library_with_the_next_connection(start_rig, tmp_path):
    trace = tmp_path / "trace"
    rig = start_rig("--trace", str(trace))
    rig.ca.set(RUN_FLAGS=1)
    rig.ca.set(CONNECT=1)
    rig.ca.set(RUN_FLAGS=0)
    rig.ca.set(CONNECT=1)
    assert rig.server.stop() == 0
    lines = [json.loads(line) for line in trace.read_text().splitlines()]
    flags = [line["given"]["flags"] for line in lines if line["line"] == "call" and line["f"] == "xsp3_set_run_flags"]
    assert flags == [0x10C, 0x10D, 0x10C]
