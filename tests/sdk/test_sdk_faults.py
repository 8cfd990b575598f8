"""Faults that the emulator is configured to show, each through the handle."""

import subprocess
import sys
import threading
import uuid
from pathlib import Path

import msgspec
import numpy as np
import pytest
from sdk_bench import CIRCULAR, TICK, Clock, connect, internal, read, same, status

from xsp3ioc.sdk import (
    DeviceNotFound,
    EmulatedLibrary,
    EmulatorSettings,
    ErrorFlag,
    Faults,
    OutOfMemory,
    RunFlag,
    Scaler,
    SettingsFileError,
    Xspress3,
    Xspress3Error,
    expected_frames,
)

PERIOD = 1000 + 80


def emulator_with(faults, **settings):
    clock = Clock()
    table = settings | {"faults": faults}
    return EmulatedLibrary(msgspec.convert(table, EmulatorSettings), clock, clock.sleep), clock


def started(faults, *, frames=64, wanted=0, ticks=1000, **settings):
    handle, emulator, clock = connect(frames=frames, faults=faults, **settings)
    internal(handle, wanted, ticks)
    handle.start()
    return handle, emulator, clock


# ---- calls that fail, and calls that do not come back


def test_a_failure_has_the_status_and_the_text_that_were_asked_for():
    failure = {"call": 2, "times": 2, "status": -6, "message": "eng = 4097 is outside 0..4095"}
    handle, _, _ = connect(faults={"fail": {"xsp3_get_run_flags": failure}})
    assert handle.run_flags() == CIRCULAR
    for _ in range(2):
        with pytest.raises(Xspress3Error, match=r"xsp3_get_run_flags: eng = 4097 is outside 0\.\.4095") as caught:
            handle.run_flags()
        assert caught.value.status == -6
    assert handle.run_flags() == CIRCULAR


def test_functions_that_answer_no_status_can_fail():
    handle, emulator, _ = connect(
        faults={"fail": {"xsp3_get_clock_period": 1, "xsp3_histogram_get_circ_overrun": {"status": -20}}}
    )
    with pytest.raises(Xspress3Error, match="failure asked for"):
        handle.clock_period()
    assert handle.clock_period() == TICK
    with pytest.raises(Xspress3Error) as caught:
        handle.overrun()
    assert caught.value.status == -20
    assert handle.overrun() == (0, -1)


def test_a_call_that_never_returns_holds_neither_the_others_nor_the_exit():
    code = (
        "import threading, time\n"
        "from xsp3ioc.sdk import *\n"
        "faults = Faults(hang={'xsp3_histogram_stop': (1, 'ever')})\n"
        "handle = Xspress3.configure(EmulatedLibrary(EmulatorSettings(faults=faults)), frames=16)\n"
        "threading.Thread(target=handle.stop).start()\n"  # no daemon: the interpreter waits for it
        "while handle.pending is None: time.sleep(0.001)\n"
        "print(handle.pending[0], handle.progress().frames)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout.split() == ["xsp3_histogram_stop", "0"]
    assert "xsp3_histogram_stop was waiting when the program ended" in done.stderr


def test_for_ever_is_longer_than_the_program_looks():
    looked = threading.Event()
    passed = []

    def sleep(seconds):
        passed.append(seconds)
        if len(passed) == 1000:
            looked.set()
            raise SystemExit

    settings = EmulatorSettings(faults=Faults(hang={"xsp3_close": (1, "ever")}))
    handle = Xspress3.configure(EmulatedLibrary(settings, Clock(), sleep), frames=16)
    with pytest.raises(SystemExit):
        handle.close()
    assert looked.is_set()


# ---- connecting


def test_configuration_is_refused_so_many_times():
    emulator, _ = emulator_with({"config_refused": 2})
    for _ in range(2):
        with pytest.raises(DeviceNotFound, match="does not answer on its control port"):
            Xspress3.configure(emulator, frames=16)
    assert Xspress3.configure(emulator, frames=16).channels == 4


def test_a_close_that_leaks_memory():
    emulator, _ = emulator_with({"leak": 2})
    Xspress3.configure(emulator, frames=16).close()
    for _ in range(2):
        with pytest.raises(OutOfMemory, match="still holds it"):
            Xspress3.configure(emulator, frames=16)
    Xspress3.configure(emulator, frames=16).close()
    with pytest.raises(OutOfMemory):
        Xspress3.configure(emulator, frames=16)


def test_a_close_that_leaves_a_segment(tmp_path):
    segment = tmp_path / f"xsp3_scalers0.{uuid.uuid4().hex}"
    emulator, _ = emulator_with({"leak_segment": str(segment)})
    Xspress3.configure(emulator, frames=16).close()
    assert segment.exists()
    with pytest.raises(OutOfMemory, match="cannot create shared memory .*xsp3_scalers0.* it exists"):
        Xspress3.configure(emulator, frames=16)
    segment.unlink()
    Xspress3.configure(emulator, frames=16)


@pytest.mark.parametrize("period", [0.0, 12.6e-9, 1.0])
def test_an_odd_clock_period(period):
    handle, emulator, clock = started({"clock_period": period}, wanted=2)
    assert emulator.xsp3_get_clock_period(0, 0) == period
    if period:
        assert handle.clock_period() == period
    else:
        with pytest.raises(Xspress3Error, match=r"clock period of 0\.0 s"):
            handle.clock_period()
    clock.ticks(2 * PERIOD)
    found = read(handle, 0, 2)  # what is counted does not change
    assert same(found, expected_frames(EmulatorSettings(), 1000, 0, 2))


@pytest.mark.parametrize(
    "fault, kind, message, forced",
    [
        ("missing", SettingsFileError, "cannot open", False),
        ("unreadable", SettingsFileError, "cannot read", False),
        ("mismatch", Xspress3Error, "another major revision", True),
    ],
)
def test_settings_that_cannot_be_restored(tmp_path, fault, kind, message, forced):
    handle, _, _ = connect(faults={"settings": fault})
    handle.set_good_threshold(-1, 99)
    handle.save_settings(tmp_path)
    handle.set_good_threshold(-1, 50)
    with pytest.raises(kind, match=message):
        handle.restore_settings(tmp_path)
    assert handle.good_threshold(0) == 50
    if forced:
        handle.restore_settings(tmp_path, force=True)
        assert handle.good_threshold(0) == 99
    else:
        with pytest.raises(kind):
            handle.restore_settings(tmp_path, force=True)


# ---- lost cards


def test_a_card_is_lost_in_a_frame():
    handle, emulator, clock = started({"card_lost": {"frame": 5}})
    clock.ticks(4 * PERIOD + 500)
    assert handle.progress().frames == 4 and handle.temperatures()
    clock.ticks(1000 * PERIOD)
    assert handle.progress() == (5, 5, 0) and handle.busy
    for call in (handle.temperatures, handle.stop, handle.start, handle.setup_clocks, lambda: handle.revision):
        with pytest.raises(DeviceNotFound, match="card 0 does not answer"):
            call()
    assert handle.channels == 4 and handle.run_flags() == CIRCULAR
    assert same(read(handle, 0, 5), expected_frames(emulator.settings, 1000, 0, 5))
    assert status(handle, 0, 8)["time_frame"].tolist() == [0, 1, 2, 3, 4, -1, -1, -1]
    with pytest.raises(DeviceNotFound, match="card 0"):
        Xspress3.configure(emulator, frames=64)


def test_a_lost_card_comes_back_to_a_new_configuration():
    handle, emulator, clock = started({"card_lost": {"after": 0.5, "back": 2.0}})
    clock.sleep(1)
    frames = handle.progress().frames
    assert frames == pytest.approx(0.5 / (PERIOD * TICK), abs=2) and handle.busy
    clock.sleep(0.5)
    assert handle.progress().frames == frames
    with pytest.raises(DeviceNotFound):
        handle.stop()
    with pytest.raises(DeviceNotFound):
        Xspress3.configure(emulator, frames=64)
    clock.sleep(1.5)
    with pytest.raises(DeviceNotFound):
        handle.stop()  # it knows nothing of the old connection
    again = Xspress3.configure(emulator, frames=64)
    assert not again.busy and again.progress().frames == 0
    again.set_run_flags(CIRCULAR)
    internal(again, 3, 1000)
    again.start()
    clock.sleep(100)
    assert again.progress().frames == 3 and not again.busy and again.temperatures()


def test_the_other_cards_go_on_without_a_lost_one():
    handle, emulator, clock = started({"card_lost": {"frame": 5, "card": 1}}, channels=4, cards=2, frames=8)
    until = 20
    clock.ticks(until * PERIOD)
    progress = handle.progress()
    assert progress.frames == 5 and progress.furthest == until
    assert status(handle, 0, 8, 0)["time_frame"].min() >= until - 8
    assert status(handle, 0, 8, 2)["time_frame"].tolist() == [0, 1, 2, 3, 4, -1, -1, -1]
    handle.set_window(0, 0, 5, 6)
    with pytest.raises(DeviceNotFound, match="card 1"):
        handle.set_window(3, 0, 5, 6)
    with pytest.raises(DeviceNotFound, match="card 1"):
        handle.set_window(-1, 0, 5, 6)
    mca, _ = read(handle, 0, 5)
    expected = expected_frames(emulator.settings, 1000, 0, 5)[0]
    assert np.array_equal(mca[:, 2:], expected[:, 2:]) and not np.array_equal(mca[:, :2], expected[:, :2])


def test_frames_in_the_memory_of_a_lost_card_are_lost_with_it():
    handle, _, clock = started({"card_lost": {"frame": 5}}, product="mini", channels=2)
    clock.ticks(10 * PERIOD)
    with pytest.raises(DeviceNotFound):
        read(handle, 0, 2)
    with pytest.raises(DeviceNotFound):
        handle.acknowledge(0, 2)
    assert handle.progress().frames == 5


def test_a_card_that_gets_too_hot_switches_itself_off():
    handle, _, clock = started({"overheat": {"after": 10.0, "within": 20.0, "temperature": 98.5}})
    normal = handle.temperatures()
    clock.sleep(10)
    assert handle.temperatures() == normal
    clock.sleep(10)
    assert np.array(handle.temperatures()) == pytest.approx(np.array(normal) + 30)
    handle.set_temperature_limit(70)
    clock.sleep(0.4)
    assert max(handle.temperatures()) > 69
    frames = handle.progress().frames
    clock.sleep(0.3)
    with pytest.raises(DeviceNotFound):
        handle.temperatures()
    assert handle.busy and frames < handle.progress().frames
    assert handle.progress().frames == pytest.approx((10 + 20 * 31.5 / 60) / (PERIOD * TICK), abs=2)


def test_a_card_that_gets_less_hot_than_that_goes_on():
    handle, _, clock = started({"overheat": {"temperature": 80.0}})
    clock.sleep(1000)
    assert min(handle.temperatures()) == 80.0 and handle.progress().frames > 1e6


# ---- power


def test_a_power_cycle_forgets_everything():
    handle, emulator, clock = started({"power_cycle": {"after": 3.0}}, channels=2)
    revision = handle.revision
    handle.set_window(-1, 0, 100, 200)
    clock.sleep(2.9)
    assert handle.progress().frames > 0 and handle.busy
    clock.sleep(0.2)
    calls = (handle.progress, handle.stop, handle.run_flags, handle.start, lambda: handle.busy, handle.temperatures)
    for call in (*calls, lambda: handle.window(0, 0), lambda: read(handle, 0, 1)):
        with pytest.raises(Xspress3Error, match="power-cycled"):
            call()
    assert handle.revision == revision
    again = Xspress3.configure(emulator, frames=64)
    assert again.run_flags() == RunFlag.scalers | RunFlag.histogram
    assert again.window(0, 0) == (0, 4095) and again.progress().frames == 0 and not again.busy
    assert status(again, 0, 4)["time_frame"].tolist() == [-1] * 4
    internal(again, 4, 1000)
    again.start()
    clock.sleep(100)
    assert again.progress().frames == 4


def test_a_power_cycle_in_a_frame():
    handle, _, clock = started({"power_cycle": {"frame": 3}})
    clock.ticks(2 * PERIOD + 10)
    assert handle.progress().frames == 2
    clock.ticks(PERIOD)
    with pytest.raises(Xspress3Error, match="power-cycled"):
        handle.progress()
    handle.close()


# ---- frames


def test_an_overrun_though_everything_was_acknowledged():
    handle, emulator, clock = started({"overrun": 21}, frames=8)
    for number in range(30):
        clock.ticks(PERIOD)
        found = handle.progress()
        late = number >= 20  # the next has begun
        assert found.frames == number + 1
        assert found.flags == (ErrorFlag.circular_overrun if late else 0)
        assert handle.overrun() == ((1, 13) if late else (0, -1))
        assert status(handle, number, 1)["state"].tolist() == [2 if number == 21 else 1]
        assert same(read(handle, number, 1), expected_frames(emulator.settings, 1000, number, 1))
        handle.acknowledge(number, 1)
    handle.start()  # it happens once
    for number in range(30):
        clock.ticks(PERIOD)
        handle.acknowledge(number, 1)
    assert handle.progress() == (30, 30, 0)


def test_an_overrun_stops_a_mini():
    handle, _, clock = started({"overrun": 5}, product="mini", channels=2, frames=8)
    for number in range(5):
        clock.ticks(PERIOD)
        handle.acknowledge(number, 1)
    clock.ticks(20 * PERIOD)
    assert handle.progress() == (5, 5, ErrorFlag.histogram_overrun)
    assert handle.overrun()[0] == 1 and not handle.busy


def test_a_frame_is_overwritten_while_it_is_read():
    handle, emulator, clock = started({"overwrite": 9}, frames=16, count_rate=2e7)
    clock.ticks(12 * PERIOD)
    assert same(read(handle, 0, 8), expected_frames(emulator.settings, 1000, 0, 8))
    assert handle.progress().flags == 0
    mca = np.zeros((4, 4, 4096), np.uint32)
    handle.read_mca(8, mca)
    expected, later = (expected_frames(emulator.settings, 1000, first, 4)[0] for first in (8, 24))
    assert np.array_equal(mca[[0, 2, 3]], expected[[0, 2, 3]])
    assert np.array_equal(mca[1, :, :2048], expected[1, :, :2048])
    assert np.array_equal(mca[1, :, 2048:], later[1, :, 2048:]) and not np.array_equal(mca[1], expected[1])
    assert status(handle, 8, 4)["time_frame"].tolist() == [8, 25, 10, 11]
    assert status(handle, 8, 4)["state"].tolist() == [1, 2, 1, 1]
    assert handle.overrun() == (1, 9) and handle.progress().flags == ErrorFlag.circular_overrun
    handle.read_mca(8, mca)
    assert np.array_equal(mca[1], later[1])


def test_a_mini_cannot_overwrite():
    with pytest.raises(ValueError, match=r"faults\.overwrite: mini stops instead"):
        EmulatorSettings(product="mini", channels=2, faults=Faults(overwrite=3))


def test_missing_frames_leave_what_was_there():
    handle, emulator, clock = started({"missing": {"frames": [3, 12], "channels": [1]}}, frames=8)
    clock.ticks(8 * PERIOD - 40)
    mca, scalers = read(handle, 0, 8)
    expected = expected_frames(emulator.settings, 1000, 0, 16)
    assert status(handle, 0, 8, 0)["time_frame"].tolist() == list(range(8))
    assert status(handle, 0, 8, 1)["time_frame"].tolist() == [0, 1, 2, -1, 4, 5, 6, 7]
    assert status(handle, 0, 8, 1)["state"].tolist() == [1, 1, 1, 0, 1, 1, 1, 1]
    assert not mca[3, 1].any() and not scalers[3, 1].any()
    for array, whole in zip((mca, scalers), expected, strict=True):
        array[3, 1] = whole[3, 1]
        assert np.array_equal(array, whole[:8])
    handle.acknowledge(0, 8)
    clock.ticks(8 * PERIOD)
    mca, _ = read(handle, 8, 8)
    assert status(handle, 8, 8, 1)["time_frame"].tolist() == [8, 9, 10, 11, 4, 13, 14, 15]
    assert status(handle, 8, 8, 1)["state"].tolist() == [1, 1, 1, 1, 0, 1, 1, 1]
    assert np.array_equal(mca[4, 1], expected[0][4, 1]) and np.array_equal(mca[4, 0], expected[0][12, 0])
    assert handle.progress() == (16, 16, 0)  # an Xspress3 does not say so


def test_missing_frames_are_flagged_on_a_mini():
    handle, _, clock = started({"missing": {"frames": [3]}}, product="mini", channels=2)
    clock.ticks(3 * PERIOD)
    assert handle.progress() == (3, 3, 0)
    clock.ticks(PERIOD)
    assert handle.progress() == (4, 4, ErrorFlag.histogram_missing)
    handle.acknowledge(0, 4)  # what is missing is acknowledged too


def test_the_library_counts_the_missing_frames():
    handle, emulator, clock = started({"missing": {"rate": 0.1, "channels": [0, 2]}}, frames=1024, wanted=1000)
    clock.ticks(2000 * PERIOD)
    counts = [emulator.xsp3_histogram_get_dropped(0, channel) for channel in range(4)]
    gone = [int((status(handle, 0, 1000, channel)["time_frame"] == -1).sum()) for channel in range(4)]
    assert counts == gone
    assert counts[1] == counts[3] == 0 and 60 < counts[0] < 140 and 60 < counts[2] < 140
    assert counts[0] != counts[2]


def test_a_duplicated_frame_stands_in_the_next_slot_with_its_own_number():
    faults = {"duplicated": {"frames": [0, 3, 9, 10], "channels": [1]}, "missing": {"frames": [8], "channels": [1]}}
    handle, emulator, clock = started(faults, frames=8)
    expected = expected_frames(emulator.settings, 1000, 0, 16)
    clock.ticks(8 * PERIOD - 40)
    held = list(range(8))
    for first, stands in ((0, [0, 1, 2, 2, 4, 5, 6, 7]), (8, [0, 7, 7, 11, 12, 13, 14, 15])):
        mca, scalers = read(handle, first, 8)
        assert status(handle, first, 8, 0)["time_frame"].tolist() == [first + slot for slot in held]
        assert status(handle, first, 8, 1)["time_frame"].tolist() == stands
        # A frame came, though another's; where none did nothing has come.
        assert status(handle, first, 8, 1)["state"].tolist() == [int(number > 0 or first == 0) for number in stands]
        for array, whole in zip((mca, scalers), expected, strict=True):
            assert np.array_equal(array[:, 0], whole[first : first + 8, 0])
            assert np.array_equal(array[:, 1], whole[stands, 1])
        handle.acknowledge(first, 8)
        clock.ticks(8 * PERIOD)
    assert emulator.xsp3_histogram_get_dropped(0, 1) == 1
    assert handle.progress().flags == 0


def test_dropped_packets_show_in_the_exposure():
    picked = {"frames": [2], "channels": [0, 3]}
    handle, emulator, _ = started({"dropped_packets": picked}, wanted=4, ticks=800_000, pace="reader")
    mca, scalers = read(handle, 0, 4)
    whole = expected_frames(EmulatorSettings(), 800_000, 0, 4)
    assert (scalers[..., Scaler.total_ticks] == 800_000).all()
    short = scalers[..., Scaler.ticks] < 800_000
    assert np.argwhere(short).tolist() == [[2, 0], [2, 3]]
    assert mca[short].sum() == pytest.approx(whole[0][short].sum() / 2, rel=0.2)
    assert np.array_equal(mca[~short], whole[0][~short]) and np.array_equal(scalers[~short], whole[1][~short])
    assert (scalers[..., Scaler.all_good] == mca[..., 50:].sum(axis=-1)).all()
    assert status(handle, 0, 4)["time_frame"].tolist() == [0, 1, 2, 3]
    # Any process can say it.
    assert same((mca, scalers), expected_frames(emulator.settings, 800_000, 0, 4))


def test_half_frames_fit_any_format_and_length():
    handle, emulator, clock = connect(faults={"dropped_packets": {"rate": 0.5}}, frames=64)
    handle.format(bits=10)
    internal(handle, 8, 100_000)
    handle.start()
    clock.ticks(10_000_000)
    found = read(handle, 0, 8)
    assert same(found, expected_frames(emulator.settings, 100_000, 0, 8, bits=10))
    short = found[1][..., Scaler.ticks] < 100_000
    assert 5 < short.sum() < 27
    assert (found[0].sum(axis=-1) >= 0.98 * found[1][..., Scaler.all_event]).all()


@pytest.mark.parametrize("seconds", [2.0, "ever"])
def test_stuck_busy(seconds):
    handle, emulator, clock = started({"stuck_busy": seconds}, wanted=3)
    clock.sleep(1)
    assert not handle.busy
    handle.stop()
    assert handle.busy and emulator.xsp3_histogram_is_busy(0, 3) == 1
    clock.sleep(1.9)
    assert handle.busy
    clock.sleep(0.2)
    assert handle.busy == (seconds == "ever")
    clock.sleep(1e6)
    assert handle.busy == (seconds == "ever")
    handle.start()
    clock.sleep(1)
    assert handle.progress().frames == 3 and not handle.busy


# ---- all of them


def history(seed):
    """What one sees of a run with several faults."""
    faults = {
        "missing": {"rate": 0.2},
        "duplicated": {"rate": 0.1},
        "dropped_packets": {"rate": 0.1, "channels": [1]},
        "overrun": 17,
        "card_lost": {"frame": 40},
        "fail": {"xsp3_histogram_circ_ack": {"call": 5, "times": 3}},
    }
    handle, _, clock = started(faults, frames=16, seed=seed)
    seen = []
    for number in range(50):
        clock.ticks(PERIOD)
        seen.append((handle.progress(), handle.overrun(), handle.busy))
        seen += [array.tobytes() for array in read(handle, number, 1)]
        seen += [status(handle, number, 1, channel).tobytes() for channel in range(4)]
        try:
            handle.acknowledge(number, 1)
        except Xspress3Error as error:
            seen.append(str(error))
    return seen


def test_the_same_seed_and_faults_give_the_same_run():
    first, again, other = history(3), history(3), history(4)
    assert first == again and first != other


def test_nothing_goes_wrong_by_default():
    assert not Faults().any and EmulatedLibrary(EmulatorSettings()).incidents is None


@pytest.mark.parametrize(
    "faults, message",
    [
        ({"fail": {"xsp3_make_tea": 1}}, "no such library function: xsp3_make_tea"),
        ({"hang": {"xsp3_make_tea": [1, 2.0]}}, "no such library function: xsp3_make_tea"),
        ({"fail": {"xsp3_close": 0}}, "fail.xsp3_close = 0 is below 1"),
        ({"fail": {"xsp3_close": {"status": 0}}}, "fail.status = 0 is no error"),
        ({"fail": {"xsp3_close": {"times": 0}}}, "fail.times = 0 is below 1"),
        ({"hang": {"xsp3_close": [1, "never"]}}, "never"),
        ({"hang": {"xsp3_close": [1, -1.0]}}, 'neither a number of seconds from 0 on nor "ever"'),
        ({"slow_read": -1.0}, "slow_read = -1.0 is below 0"),
        ({"card_lost": {}}, "give either frame or after"),
        ({"card_lost": {"frame": 1, "after": 2.0}}, "give either frame or after"),
        ({"card_lost": {"frame": 1, "card": 16}}, r"card = 16 is outside 0\.\.15"),
        ({"power_cycle": {"after": -2.0}}, "after = -2.0 is below 0"),
        ({"overheat": {"within": 0.0}}, "within = 0.0 has to be above 0"),
        ({"missing": {"rate": 1.5}}, r"rate = 1.5 is outside 0\.\.1"),
        ({"missing": {"frames": [-1]}}, "frames are counted from 0"),
        ({"dropped_packets": {"channels": [256]}}, "channels = "),
        ({"overrun": -1}, "overrun = -1 is below 0"),
        ({"settings": "stolen"}, "stolen"),
        ({"earthquake": 1}, "earthquake"),
    ],
)
def test_impossible_faults(faults, message):
    with pytest.raises((ValueError, msgspec.ValidationError), match=message):
        msgspec.convert({"faults": faults}, EmulatorSettings)


def test_faults_are_said_in_toml():
    tomllib = pytest.importorskip("tomllib")
    page = (Path(__file__).parents[2] / "docs" / "emulator.md").read_text()
    examples = [part.split("```")[0] for part in page.split("## Faults")[1].split("\n## ")[0].split("```toml\n")[1:]]
    shown = set()
    for example in examples:
        table = tomllib.loads(example)["emulator"]
        msgspec.convert(table, EmulatorSettings)
        shown |= table["faults"].keys()
    assert shown == set(Faults.__struct_fields__)
