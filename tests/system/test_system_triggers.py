"""Frames by gates and hardware triggers, end to end without hardware: pulses of the emulator are what is cabled."""

from __future__ import annotations

import numpy as np
import pytest
from ca_clients import ECA_NORMAL
from system_rig import CLOCK, DETECTOR

WIDTH = 0.002
PULSES = {"period": 0.004, "width": WIDTH, "delay": 0.05}


def ticks_in(path):
    import h5py

    with h5py.File(path) as h5:
        return h5[f"{DETECTOR}/total_ticks"][()], h5[f"{DETECTOR}/markers"][()]


@pytest.mark.parametrize(
    ("mode", "name"),
    [(2, "IDC"), (3, "TTL Veto Only"), (4, "TTL Both"), (5, "LVDS Veto Only"), (6, "LVDS Both")],
)
def test_each_gate_is_a_frame(start_rig, mode, name):
    rig = start_rig(emulator={"pulses": PULSES})
    rig.ca.set(TriggerMode=mode)
    assert rig.ca.read("det1:TriggerMode_RBV").value == mode
    file = rig.capture("gated", 0)
    assert rig.acquire(50, 1.0) == ECA_NORMAL  # AcquireTime is the gate's business
    assert rig.counters() == [50, 50, 50, 0]
    rig.ca.set(HDF1__Capture=0)
    assert rig.ca.put_status("capture") == ECA_NORMAL
    ticks, _ = ticks_in(file)
    np.testing.assert_array_equal(ticks, round(WIDTH / CLOCK))


def test_more_gates_than_frames_are_left_alone(start_rig):
    rig = start_rig(emulator={"pulses": PULSES | {"marker_every": [5, 0]}})
    rig.ca.set(TriggerMode=3)
    listener = rig.listener()
    assert rig.acquire(20) == ECA_NORMAL
    assert listener.heard().frames == 20
    assert rig.ca.get("det1:FramesAcquired") == 20


def test_short_pulses_are_no_gates(start_rig):
    rig = start_rig(
        emulator={"pulses": PULSES | {"glitch_rate": 500.0, "glitch_width": 5e-7}},
        parameters={"debounce": 80},
    )
    rig.ca.set(TriggerMode=3)
    file = rig.capture("clean", 0)
    assert rig.acquire(25) == ECA_NORMAL
    rig.ca.set(HDF1__Capture=0)
    assert rig.ca.put_status("capture") == ECA_NORMAL
    np.testing.assert_array_equal(ticks_in(file)[0], round(WIDTH / CLOCK))


@pytest.mark.parametrize("mode", [9, 10])
def test_hardware_triggers_start_frames_of_the_generator(start_rig, mode):
    exposure = 0.001
    rig = start_rig(emulator={"pulses": PULSES})
    rig.ca.set(TriggerMode=mode)
    file = rig.capture("triggered", 0)
    assert rig.acquire(30, exposure) == ECA_NORMAL
    rig.ca.set(HDF1__Capture=0)
    assert rig.ca.put_status("capture") == ECA_NORMAL
    ticks, _ = ticks_in(file)
    np.testing.assert_array_equal(ticks, round(exposure / CLOCK))


def test_a_gate_that_never_comes_can_be_stopped(start_rig):
    rig = start_rig()
    rig.ca.set(TriggerMode=3)
    rig.begin(10)
    rig.ca.set(Acquire=0)
    assert rig.ca.put_status("acquire") == ECA_NORMAL
    assert rig.ca.get("det1:FramesAcquired") == 0


@pytest.mark.parametrize("cards", [2, 4])
def test_several_cards_are_one_detector(start_rig, cards):
    """Card 0 makes the frames, the others follow its veto; channels are numbered across them."""
    rig = start_rig(detector={"channels": 2 * cards, "cards": cards}, emulator={"product": "x3x2"})
    assert rig.ca.get("det1:NUM_CARDS_RBV") == cards
    listener = rig.listener()
    assert rig.acquire(40, 0.002) == ECA_NORMAL
    heard = listener.heard()
    assert (heard.frames, heard.wrong) == (40, [])


def test_a_frame_that_never_comes_is_marked(start_rig):
    rig = start_rig(emulator={"faults": {"missing": {"frames": [3, 4, 10], "channels": [1]}}})
    file = rig.capture("holes", 0)
    assert rig.acquire(20) == ECA_NORMAL
    assert rig.counters() == [17, 17, 17, 3]
    rig.ca.set(HDF1__Capture=0)
    assert rig.ca.put_status("capture") == ECA_NORMAL
    import h5py

    with h5py.File(file) as h5:
        assert np.flatnonzero(h5[f"{DETECTOR}/frame_status"][()] == 2).tolist() == [3, 4, 10]
        assert len(h5[f"{DETECTOR}/data"]) == 20


def test_a_card_that_is_lost_ends_the_series_and_is_noticed(start_rig):
    rig = start_rig(emulator={"faults": {"card_lost": {"frame": 50, "back": 1.0}}})
    assert rig.acquire(100_000, 0.001) != ECA_NORMAL
    acquired, _, _, _ = rig.counters()
    assert 0 < acquired <= 51
    # What a client that only looks at the record sees: it was not done.
    assert rig.ca.read("det1:Acquire").severity == 3
    rig.ca.wait_for("det1:CONNECTED", 0, 40)
    while rig.ca.put("det1:CONNECT", 1)[0] != ECA_NORMAL:
        assert "xsp3_config" in rig.message()
    assert rig.acquire(10) == ECA_NORMAL
