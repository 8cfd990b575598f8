"""Arm in the core: numbers, files, triggers, and what follows what of both faces' settings."""

from __future__ import annotations

import os
import tempfile

import h5py
import pytest
from stream_core import running_core

SOFTWARE, SOFTWARE_TRAIN, HARDWARE, HARDWARE_TRAIN, GATE, INTERNAL = 7, 8, 9, 10, 3, 1


@pytest.fixture(scope="module")
def one_core():
    with running_core() as core:
        yield core


@pytest.fixture
def core(one_core, tmp_path):
    """As a client that has just come finds it, but for its file."""
    one_core.set(
        exposure_time=0.25, frames=16000, trigger_mode=INTERNAL, arm_trigger="SOFTWARE", frame_time=0.1,
        latency_time=0.0, triggers=1, frames_per_trigger=1, destination_overwritable=False, write_destination=True,
        destination=str(tmp_path / "x.h5"),
    )  # fmt: skip
    return one_core


def arm(core):
    put = core.detector.put("arm", True)
    put.begun.result(10)
    return put


def trigger(core):
    core.put("send_trigger", True)


def series(core, triggers=1):
    """Arm, trigger, and wait for the end."""
    put = arm(core)
    for _ in range(triggers):
        core.wait(lambda: core.get("ready_for_trigger"))
        trigger(core)
    put.result(20)


def refusal(core, name="arm", value=True):
    with pytest.raises((ValueError, RuntimeError)) as refused:
        core.detector.put(name, value).result(10)
    return str(refused.value)


def frames_in(path):
    with h5py.File(path) as file:
        return len(file["/entry/instrument/detector/data"])


def test_first_values():
    with running_core() as core:
        first = {name: core.get(name) for name in ("frame_time", "latency_time", "triggers", "frames_per_trigger")}
        assert first == {"frame_time": 0.1, "latency_time": 0.0, "triggers": 1, "frames_per_trigger": 1}
        assert core.get("arm_trigger") == "SOFTWARE"
        assert core.get("destination") == os.path.join(tempfile.gettempdir(), "temp.h5")
        assert core.get("ready_for_trigger") is False
        # What no client of Arm has asked for is as the other clients know it.
        assert (core.get("exposure_time"), core.get("frames"), core.get("trigger_mode")) == (0.25, 16000, INTERNAL)


def test_counting_time_is_what_latency_and_gap_leave_in_whole_ticks(core):
    gap = core.get("gap_time")
    core.set(frame_time=0.1, latency_time=1e-7)
    # 0.1 s - 100 ns - 1 us = 0.0998... s: 7,999,912 ticks of 12.5 ns.
    assert gap == 1e-6
    assert core.get("exposure_time") == pytest.approx(7_999_912 * 12.5e-9, abs=1e-15)
    core.set(frame_time=0.001000009, latency_time=0.0)
    assert core.get("exposure_time") == 0.000999
    assert core.get("frame_time") == 0.001000009


def test_exposure_and_frame_period_follow_each_other(core):
    core.set(latency_time=0.01, exposure_time=0.2)
    assert core.get("frame_time") == 0.210001
    core.set(frame_time=0.110001)
    assert core.get("exposure_time") == 0.1
    core.set(latency_time=0.06)
    assert core.get("exposure_time") == pytest.approx(0.05)
    assert core.get("frame_time") == 0.110001


def test_an_impossible_counting_time_is_refused_by_arm_only(core):
    core.set(latency_time=0.5)
    assert core.get("latency_time") == 0.5
    assert refusal(core) == (
        "ExposureTime = 0.1 s, LatencyTime = 0.5 s, ReadoutTime = 1e-06 s leave -0.400001 s for counting; "
        "possible are 1e-06 to 53.687 s"
    )
    core.set(latency_time=0.0)
    series(core)


def test_frames_and_triggers_follow_each_other(core):
    core.set(frames_per_trigger=7)
    assert core.get("frames") == 7
    core.set(triggers=5)
    assert core.get("frames") == 7
    assert refusal(core) == "nFramesPerTrigger can only be > 1 if nTriggers = 1; they are 7 and 5"
    core.set(frames_per_trigger=1)
    assert core.get("frames") == 5
    core.set(frames=9)
    assert (core.get("triggers"), core.get("frames_per_trigger")) == (9, 1)
    core.set(triggers=1)
    core.set(frames=4)
    assert (core.get("triggers"), core.get("frames_per_trigger")) == (1, 4)


@pytest.mark.parametrize(
    ("name", "triggers", "mode"),
    [
        ("SOFTWARE", 1, SOFTWARE_TRAIN), ("SOFTWARE", 3, SOFTWARE), ("EXTERNAL_MULTI", 1, HARDWARE_TRAIN),
        ("EXTERNAL_MULTI", 3, HARDWARE), ("EXTERNAL_MULTI_GATE", 1, GATE), ("EXTERNAL_MULTI_GATE", 3, GATE),
        ("INTERNAL", 1, INTERNAL),
    ],
)  # fmt: skip
def test_trigger_modes_follow_each_other(core, name, triggers, mode):
    core.set(triggers=triggers, arm_trigger=name)
    assert core.get("trigger_mode") == mode
    core.set(triggers=4 - triggers)
    expected = {SOFTWARE: SOFTWARE_TRAIN, SOFTWARE_TRAIN: SOFTWARE, HARDWARE: HARDWARE_TRAIN, HARDWARE_TRAIN: HARDWARE}
    assert core.get("trigger_mode") == expected.get(mode, mode)
    core.set(trigger_mode=mode)
    assert core.get("arm_trigger") == name


def test_an_unknown_trigger_mode_is_refused_with_all_names(core):
    assert refusal(core, "arm_trigger", "BULB").startswith(
        "TriggerMode can be SOFTWARE, EXTERNAL_MULTI, EXTERNAL_MULTI_GATE, INTERNAL,"
    )
    assert core.get("arm_trigger") == "SOFTWARE"


def test_one_trigger_starts_all_frames(core, tmp_path):
    core.set(frame_time=0.002, frames_per_trigger=20)
    core.updates.clear()
    series(core)
    assert core.get("frames_acquired") == 20
    assert frames_in(tmp_path / "x.h5") == 20
    assert core.detector.state.value == "idle"
    assert [update.value for update in core.said("acquire")] == [True, False]


def test_each_trigger_makes_a_frame(core, tmp_path):
    core.set(frame_time=0.005, triggers=4)
    put = arm(core)
    for sent in range(4):
        core.wait(lambda: core.get("ready_for_trigger"))
        assert core.get("frames_acquired") == sent
        trigger(core)
        if sent < 3:
            core.wait(lambda sent=sent: core.get("frames_acquired") == sent + 1)
            assert not put.done()
    put.result(20)
    assert core.get("frames_acquired") == 4
    assert core.get("ready_for_trigger") is False
    assert frames_in(tmp_path / "x.h5") == 4


def test_the_last_frame_counts_when_the_file_is_closed(core, tmp_path):
    """Before that a client would link a file that is not complete."""
    core.set(frame_time=0.002, frames_per_trigger=5)
    seen = []

    def hear(update):
        if update.name == "frames_acquired" and update.value == 5:
            seen.append(core.detector.recorder.file.over)

    core.detector.subscribe(hear)
    series(core)
    assert seen
    assert all(seen)


def test_an_existing_file_gets_company(core, tmp_path):
    for name in ("x.h5", "x_.h5", "x__.h5"):
        series(core)
        assert core.get("full_file_name") == str(tmp_path / name)
    assert core.get("destination") == str(tmp_path / "x.h5")
    core.set(destination_overwritable=True, frames_per_trigger=3)
    series(core)
    assert sorted(os.listdir(tmp_path)) == ["x.h5", "x_.h5", "x__.h5"]
    assert [frames_in(tmp_path / name) for name in ("x.h5", "x_.h5")] == [3, 1]


def test_the_dot_of_a_directory_is_no_ending(core, tmp_path):
    (tmp_path / "v1.2").mkdir()
    core.set(destination=str(tmp_path / "v1.2" / "x"))
    series(core)
    series(core)
    assert sorted(os.listdir(tmp_path / "v1.2")) == ["x", "x_"]


@pytest.mark.parametrize("setting", [{"destination": ""}, {"write_destination": False}])
def test_without_a_file(core, tmp_path, setting):
    core.set(**setting)
    core.updates.clear()
    series(core)
    assert core.get("frames_acquired") == 1
    assert os.listdir(tmp_path) == []
    assert not core.said("capture")


def test_a_file_that_cannot_be_opened_refuses_arm(core, tmp_path):
    core.set(destination=str(tmp_path / "missing" / "x.h5"))
    assert "missing" in refusal(core)
    assert core.detector.state.value == "idle"
    for wrong in ("x.h5", str(tmp_path) + "/"):
        assert "is no path of a file" in refusal(core, "destination", wrong)
    core.set(destination=str(tmp_path / "y.h5"))
    series(core)
    assert frames_in(tmp_path / "y.h5") == 1


def test_a_stop_closes_the_file_with_what_there_is(core, tmp_path):
    core.set(frame_time=0.002, triggers=10)
    put = arm(core)
    core.wait(lambda: core.get("ready_for_trigger"))
    trigger(core)
    core.wait(lambda: core.get("frames_acquired") == 1)
    core.put("acquire", False)
    put.result(10)
    assert core.detector.recorder.file.over
    assert frames_in(tmp_path / "x.h5") == 1
    assert core.get("capture") is False


def test_a_capture_of_somebody_else_is_not_disturbed(core, tmp_path):
    core.set(file_path=str(tmp_path), file_name="c", file_template="%s%s.h5", capture_frames_apart=1, capture_frames=0)
    core.detector.put("capture", True).begun.result(10)
    assert "c.h5 is being written: Capture = 0 closes it" in refusal(core)
    core.set(destination="")
    series(core)
    core.put("capture", False)
    core.set(capture_frames_apart=0)
    assert frames_in(tmp_path / "c.h5") == 1


def test_software_triggers_where_there_are_none(core):
    assert refusal(core, "send_trigger") == "SoftwareTrigger while not acquiring: Arm first"
    core.set(arm_trigger="INTERNAL", frame_time=50.0)
    put = arm(core)
    assert core.get("ready_for_trigger") is False
    assert refusal(core, "send_trigger").startswith("SoftwareTrigger in TriggerMode INTERNAL")
    assert refusal(core).startswith("Arm while acquiring")
    assert refusal(core, "acquire").startswith("Acquire = 1 while acquiring")
    core.put("acquire", False)
    put.result(10)


def test_a_trigger_that_would_be_lost_is_refused(core):
    """The series would wait for its frame for ever."""
    core.set(frame_time=0.2, triggers=3, destination="")
    put = arm(core)
    for sent in range(1, 4):
        trigger(core)
        if sent == 1:
            assert refusal(core, "send_trigger").startswith("SoftwareTrigger 2 while frame 1 is being counted")
        core.wait(lambda sent=sent: core.get("frames_acquired") == sent or put.done())
    put.result(10)
    assert core.get("frames_acquired") == 3


def test_an_arm_that_is_refused_changes_no_setting(core, tmp_path):
    core.set(exposure_time=0.25, frames=5, trigger_mode=INTERNAL)
    core.set(arm_trigger="SOFTWARE", destination=str(tmp_path / "missing" / "x.h5"))
    core.set(trigger_mode=INTERNAL)
    before = {name: core.get(name) for name in ("exposure_time", "frames", "trigger_mode", "image_mode", "debounce")}
    assert "missing" in refusal(core)
    assert {name: core.get(name) for name in before} == before


def test_windows_are_set_at_once_or_not_at_all(core):
    core.put("window1", [100, 200], 1)
    assert core.get("window1", 1).tolist() == [100, 200]
    assert core.get("window1_low", 1) == 100
    core.put("window1", [-5, 9999], 1)
    assert core.get("window1").tolist()[1] == [0, 4095]
    with pytest.raises(ValueError, match="low 300 is above high 200"):
        core.put("window1", [300, 200], 1)
    with pytest.raises(ValueError, match="has 3 values, not 2"):
        core.put("window1", [1, 2, 3], 1)
    assert core.get("window1", 1).tolist() == [0, 4095]


def test_whoever_waits_to_be_ready_hears_of_each_frame(core):
    """However fast the steps are: nothing comes after a frame that was not told."""
    core.set(frame_time=0.002, destination="", triggers=20)
    before = len(core.said("ready_for_trigger"))
    put = arm(core)
    for step in range(20):
        # Ready, then not, then ready.
        core.wait(lambda step=step: len(core.said("ready_for_trigger")) - before > 2 * step)
        assert core.get("ready_for_trigger")
        trigger(core)
    put.result(20)
    assert not core.get("ready_for_trigger")
    core.wait(lambda: len(core.said("ready_for_trigger")) - before == 40)
