"""Channels that do not count: a dead one stalls and fails nothing, and everybody can see that it was left out."""

from __future__ import annotations

import numpy as np
from ca_clients import ECA_NORMAL, ECA_PUTFAIL

DEAD = {"faults": {"missing": {"rate": 1.0, "channels": [1]}}}


def test_a_dead_channel_spoils_every_frame_until_it_is_left_out(start_rig):
    rig = start_rig(emulator=DEAD)
    rig.acquire(10)
    assert rig.counters() == [0, 0, 0, 10]
    rig.ca.set(C2_Enable=0)
    assert rig.ca.get("det1:C2_Enable_RBV") == 0
    listener = rig.listener(compare=False)
    path = rig.capture("without_two", 100)
    assert rig.acquire(100) == ECA_NORMAL
    assert rig.ca.put_status("capture") == ECA_NORMAL
    assert rig.counters() == [100, 100, 100, 0]
    assert path.endswith("without_two_0.h5")
    heard = listener.heard()
    assert heard.end.missing == []
    assert heard.header.parameters["enabled"] == [True, False, True, True]
    assert rig.ca.get("MCA1:ArrayData").any()
    assert not rig.ca.get("MCA2:ArrayData").any()  # nothing of its own came
    listener.end()


def test_the_mean_dead_time_is_that_of_the_channels_that_count(start_rig):
    rig = start_rig(emulator={"count_rate": [1e4, 2e5, 4e5, 8e5]})
    assert rig.acquire(5, 0.01) == ECA_NORMAL
    times = np.array([rig.ca.get(f"C{channel}:DeadTime_RBV") for channel in (1, 2, 3, 4)])
    np.testing.assert_allclose(rig.ca.gets("MeanDeadTime_RBV", "MaxDeadTime_RBV"), [times.mean(), times.max()])
    rig.ca.set(C4_Enable=0)
    assert rig.acquire(5, 0.01) == ECA_NORMAL
    counting = np.array([rig.ca.get(f"C{channel}:DeadTime_RBV") for channel in (1, 2, 3)])
    np.testing.assert_allclose(rig.ca.gets("MeanDeadTime_RBV", "MaxDeadTime_RBV"), [counting.mean(), counting.max()])
    assert rig.ca.get("C4:DeadTime_RBV") > counting.max()


def test_channels_whose_progress_stands_still_stall_nobody(start_rig):
    """The library counts a frame as complete when the last channel has it; that of a dead link never has."""
    rig = start_rig(
        detector={"channels": 4, "cards": 2}, emulator={"faults": {"card_lost": {"card": 1, "frame": 100}}}
    )
    rig.ca.set(C3_Enable=0, C4_Enable=0)
    rig.begin(1_000_000, 0.001)
    rig.ca.wait_above("det1:FramesAcquired", 1000)
    # Here a whole card is gone, which does not stop either.
    rig.ca.put("det1:Acquire", 0)
    assert rig.ca.put_status("acquire") == ECA_PUTFAIL
    assert "card 1 does not answer" in rig.message()
    assert rig.ca.get("MCA2:ArrayData").any()
    assert not rig.ca.get("MCA3:ArrayData").any()


def test_without_that_they_stall(start_rig):
    rig = start_rig(
        detector={"channels": 4, "cards": 2}, emulator={"faults": {"card_lost": {"card": 1, "frame": 100}}}
    )
    assert rig.acquire(2000, 0.001) == ECA_PUTFAIL
    assert rig.ca.get("det1:FramesAcquired") == 100


def test_a_change_in_mid_run_is_for_the_next_series(start_rig):
    rig = start_rig()
    rig.begin(100_000, 0.01)
    rig.ca.set(C1_Enable=0)
    assert rig.message() == "C1_Enable = No is for the next series"
    rig.ca.set(Acquire=0)
    assert rig.ca.put_status("acquire") == ECA_NORMAL
