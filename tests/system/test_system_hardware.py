"""What the hardware does by itself: it goes, comes back, loses frames; and what it can do beyond EPICS' menu."""

from __future__ import annotations

import time

import pytest
from ca_clients import ECA_NORMAL, ECA_PUTFAIL

from xsp3ioc.stream.connection import TRIGGERS, arm_trigger_mode
from xsp3ioc.stream.declared import Declared


def test_an_idle_system_that_goes_away_is_noticed(start_rig):
    rig = start_rig(emulator={"faults": {"power_cycle": {"after": 2.0}}})
    rig.ca.wait_for("det1:CONNECTED", 0)
    assert "does not answer" in rig.message()
    assert "write 1 to CONNECT" in rig.message()
    assert rig.ca.get("det1:DetectorState_RBV") == 9  # Disconnected
    assert rig.ca.put("det1:Acquire", 1)[0] == ECA_PUTFAIL
    assert rig.ca.put("det1:CONNECT", 1)[0] == ECA_NORMAL
    assert rig.acquire(10) == ECA_NORMAL


def test_a_lost_system_is_connected_again_when_that_is_wanted(start_rig):
    rig = start_rig(
        parameters={"auto_reconnect": True}, emulator={"faults": {"card_lost": {"after": 2.0, "back": 15.0}}}
    )
    rig.ca.wait_for("det1:CONNECTED", 0)
    rig.ca.wait_for("det1:CONNECTED", 1, 40)
    assert rig.acquire(10) == ECA_NORMAL
    assert "is connected again when it comes back" in rig.server.log.read_text()


def test_one_sensor_that_cannot_be_read_once_is_no_reason_to_disconnect(start_rig):
    rig = start_rig(emulator={"faults": {"fail": {"xsp3_i2c_read_adc_temp": 1}}})
    rig.ca.wait_above("det1:TemperatureActual", 20)
    assert rig.ca.get("det1:CONNECTED") == 1
    assert "No sign of life, it is asked again" in rig.server.log.read_text()


def test_a_box_that_hangs_is_left_and_found_again(start_rig):
    """A dead peer rarely refuses: the call just does not come back; when it does, it is nobody's any more."""
    rig = start_rig(
        parameters={"auto_reconnect": True},
        emulator={"faults": {"hang": {"xsp3_i2c_read_adc_temp": [1, 16.0]}, "fail": {"xsp3_i2c_read_adc_temp": 1}}},
    )
    lost = "xsp3_i2c_read_adc_temp has not returned for 5 s; it is connected again when it comes back"
    deadline = time.monotonic() + 30
    while lost not in rig.server.log.read_text():
        assert time.monotonic() < deadline
        time.sleep(0.1)
    rig.ca.wait_for("det1:CONNECTED", 1)
    rig.begin(100_000, 0.001)
    rig.ca.wait_above("det1:FramesAcquired", 10_000, 30)  # the hung call has come back by then
    rig.ca.set(Acquire=0)
    assert rig.ca.put_status("acquire") == ECA_NORMAL
    assert rig.ca.get("det1:CONNECTED") == 1


def test_a_close_that_hangs_does_not_close_the_next_connection(start_rig):
    rig = start_rig(emulator={"faults": {"hang": {"xsp3_close": [1, 8.0]}}})
    assert rig.ca.put("det1:DISCONNECT", 1)[0] == ECA_PUTFAIL
    assert "DISCONNECT has not ended for 5 s" in rig.message()
    assert rig.ca.put("det1:CONNECT", 1)[0] == ECA_PUTFAIL
    assert "xsp3_close has not returned" in rig.message()
    assert "RESTART" in rig.message()
    deadline = time.monotonic() + 20
    while rig.ca.put("det1:CONNECT", 1)[0] != ECA_NORMAL:
        assert time.monotonic() < deadline
        time.sleep(0.5)
    assert rig.acquire(10) == ECA_NORMAL


def test_the_temperature_is_shown(start_rig):
    rig = start_rig()
    rig.ca.wait_above("det1:TemperatureActual", 20)


def test_restart_ends_with_the_code_that_asks_for_it(start_rig):
    rig = start_rig()
    assert rig.ca.put("det1:RESTART", 1)[0] == ECA_NORMAL
    assert rig.server.process.wait(10) == 75


@pytest.mark.parametrize(
    ("name", "triggers", "mode"),
    [
        ("SOFTWARE", 5, "Software + Internal"),
        ("SOFTWARE", 1, "Software Train"),
        ("EXTERNAL_MULTI", 5, "Hardware"),
        ("EXTERNAL_MULTI", 1, "Hardware Train"),
        ("EXTERNAL_MULTI_GATE", 5, "TTL Veto Only"),
        ("EXTERNAL_MULTI_GATE", 1, "TTL Veto Only"),
    ],
)
def test_the_trigger_modes_by_tangos_names(name, triggers, mode):
    assert Declared.trigger_mode.text(arm_trigger_mode(name, triggers)) == mode


def test_an_unknown_name_names_the_known_ones():
    with pytest.raises(ValueError, match="TriggerMode can be SOFTWARE, EXTERNAL_MULTI, .*, not 'X'"):
        arm_trigger_mode("X", 1)


def test_every_trigger_mode_means_something_to_the_hardware():
    assert len(TRIGGERS) == len(Declared.trigger_mode.names) == 11


def test_a_train_of_frames_by_one_software_trigger(start_rig):
    rig = start_rig()
    rig.ca.set(TriggerMode=8)
    # Records know eight modes: the nearest is shown.
    assert rig.ca.gets("det1:TriggerMode", "det1:TriggerMode_RBV") == [7, 7]
    assert rig.message().startswith("Trigger mode 8, Software Train: TriggerMode has no state for it")
    rig.begin(20, 0.001)
    assert rig.ca.get("det1:FramesAcquired") == 0
    rig.ca.set(SoftTrigger=1)
    assert rig.ca.put_status("acquire") == ECA_NORMAL
    assert rig.counters() == [20, 20, 0, 0]


def test_the_librarys_own_dead_time(start_rig):
    rig = start_rig(parameters={"dead_time_model": "Library"}, emulator={"count_rate": 1e6})
    assert rig.acquire(20, 0.01) == ECA_NORMAL
    factor, percent = rig.ca.gets("C1:DTFactor_RBV", "C1:DeadTime_RBV")
    by_library = factor
    assert 1.05 < factor < 1.5
    assert percent == pytest.approx(100 * (1 - 1 / factor), rel=1e-6)
    rig.ca.set(DeadTimeModel=0)
    assert rig.acquire(20, 0.01) == ECA_NORMAL
    assert rig.ca.get("C1:DTFactor_RBV") != by_library
