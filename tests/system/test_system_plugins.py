"""The plugins that clients know: what is switched off stands still, what is switched on again goes on."""

from __future__ import annotations

import numpy as np
import pytest
from ca_clients import ECA_NORMAL, ECA_PUTFAIL

from xsp3ioc.stream.parameter import Severity

PLUGINS = ("ROI2", "MCA2", "MCA2ROI", "ROISUM2", "MCASUM2", "C2SCA", "C2SCA:TS", "Proc1")
SHOWN = {
    "spectrum": "MCA2:ArrayData",
    "sum": "MCASUM2:ArrayData",
    "total": "MCA2ROI:1:Total_RBV",
    "scaler": "C2SCA:3:Value_RBV",
    "scaler sum": "C2SCA:3:ValueSum_RBV",
}
"""What a plugin of channel 2 shows."""
STOPS = [
    ("MCA2", {"spectrum"}),
    ("MCA2ROI", {"total"}),
    ("ROI2", {"spectrum", "total"}),
    ("MCASUM2", {"sum"}),
    ("ROISUM2", {"sum"}),
    ("Proc1", {"sum"}),
    ("C2SCA", {"scaler", "scaler sum"}),
    ("C2SCA:TS", set()),
]
"""Which of it stands still without a plugin."""


@pytest.fixture(autouse=True)
def as_it_begins(rig):
    rig.ca.set(EraseOnStart=1, MCA2ROI__1__MinX=0, MCA2ROI__1__SizeX=4096)
    yield
    rig.ca.set(**{f"{plugin.replace(':', '__')}__EnableCallbacks": 1 for plugin in PLUGINS})


def shown(rig):
    return {what: np.array(rig.ca.get(name)) for what, name in SHOWN.items()}


def changed(before, after):
    return {what for what in before if not np.array_equal(before[what], after[what])}


def acquire(rig, frames, exposure=0.001):
    assert rig.acquire(frames, exposure) == ECA_NORMAL
    return shown(rig)


@pytest.mark.parametrize(("plugin", "still"), STOPS, ids=[plugin for plugin, _ in STOPS])
@pytest.mark.parametrize("erases", [0, 1])
def test_what_is_switched_off_stands_still(rig, plugin, still, erases):
    rig.ca.set(EraseOnStart=erases)
    before = acquire(rig, 3, 0.002)
    others = rig.ca.get("MCA1:ArrayData")
    rig.ca.put(f"{plugin}:EnableCallbacks", 0)
    # Another exposure and number of frames: whatever follows them differs.
    assert changed(before, acquire(rig, 5, 0.005)) == set(SHOWN) - still
    assert not np.array_equal(others, rig.ca.get("MCA1:ArrayData"))
    rig.ca.put(f"{plugin}:EnableCallbacks", 1)
    assert changed(before, acquire(rig, 7, 0.003)) == set(SHOWN)


def test_alarms_are_those_of_the_areadetector(rig):
    for plugin in PLUGINS:
        name = f"{plugin}:EnableCallbacks"
        assert rig.ca.read(f"{name}_RBV").severity == Severity.minor  # "Enable" is what areaDetector marks
        rig.ca.put(name, 0)
        assert rig.ca.get(f"{name}_RBV") == 0
        assert rig.ca.read(f"{name}_RBV").severity == Severity.good


def test_in_mid_series(rig):
    rig.begin(100_000, 0.005)
    rig.ca.wait_above("MCA2:ArrayCounter_RBV", 5)
    rig.ca.put("MCA2:EnableCallbacks", 0)
    rig.ca.put("Proc1:EnableCallbacks", 0)
    count, summed = rig.ca.gets("MCA2:ArrayCounter_RBV", "Proc1:NumFiltered_RBV")
    sums = rig.ca.get("MCASUM3:ArrayData").sum()
    read = rig.ca.get("det1:ArrayCounter_RBV")
    rig.ca.wait_above("det1:ArrayCounter_RBV", read + 100)
    rig.ca.put("MCA2:EnableCallbacks", 1)
    rig.ca.put("Proc1:EnableCallbacks", 1)
    rig.ca.wait_above("Proc1:NumFiltered_RBV", summed + 20)
    rig.ca.put("det1:Acquire", 0)
    assert rig.ca.put_status("acquire") == ECA_NORMAL
    after, then, all_frames = rig.ca.gets("MCA2:ArrayCounter_RBV", "Proc1:NumFiltered_RBV", "det1:ArrayCounter_RBV")
    # What was shown before may have been some frames old.
    assert 20 < then - summed < all_frames - read
    assert after - count < all_frames - read
    assert rig.ca.get("MCASUM3:ArrayData").sum() > sums


def test_erase_zeroes_what_is_switched_off_too(rig):
    for plugin in ("MCA2", "MCA2ROI", "MCASUM2", "C2SCA", "Proc1"):
        assert all(value.any() for value in acquire(rig, 3).values())
        rig.ca.put(f"{plugin}:EnableCallbacks", 0)
        rig.ca.put("det1:ERASE", 1)
        assert not any(value.any() for value in shown(rig).values())
        rig.ca.put(f"{plugin}:EnableCallbacks", 1)


def test_a_series_without_points(rig):
    for plugin in ("C2SCA", "C2SCA:TS"):
        rig.ca.set(C2SCA__TS__TSAcquire=0, C2SCA__TS__TSNumPoints=100)
        rig.ca.begin("C2SCA:TS:TSAcquire", 1, "series")
        rig.ca.put(f"{plugin}:EnableCallbacks", 0)
        acquire(rig, 3)
        assert rig.ca.get("C2SCA:TS:TSCurrentPoint") == 0
        rig.ca.put(f"{plugin}:EnableCallbacks", 1)
        acquire(rig, 4)
        assert rig.ca.get("C2SCA:TS:TSCurrentPoint") == 4
        rig.ca.put("C2SCA:TS:TSAcquire", 0)
        assert rig.ca.put_status("series") == ECA_NORMAL
    rig.ca.set(MCA2ROI__TSNumPoints=100, MCA2ROI__TSControl=0, ROI2__EnableCallbacks=0)
    acquire(rig, 3)
    assert rig.ca.get("MCA2ROI:TSCurrentPoint") == 0
    rig.ca.set(ROI2__EnableCallbacks=1)
    acquire(rig, 4)
    assert rig.ca.get("MCA2ROI:TSCurrentPoint") == 4


def test_frames_are_counted(rig):
    counters = [f"{plugin}:ArrayCounter_RBV" for plugin in PLUGINS]
    rig.ca.set(EraseOnStart=0, **{f"{plugin.replace(':', '__')}__ArrayCounter": 10 for plugin in PLUGINS})
    rig.ca.set(ROI2__EnableCallbacks=0)
    acquire(rig, 5)
    assert rig.ca.gets(*counters) == [10, 10, 10, 15, 15, 15, 15, 15]
    rig.ca.set(ROI2__EnableCallbacks=1, Proc1__EnableCallbacks=0)
    acquire(rig, 5)
    assert rig.ca.gets(*counters) == [15, 15, 15, 15, 15, 20, 20, 15]
    rig.ca.put("det1:ERASE", 1)
    assert rig.ca.gets("Proc1:ArrayCounter_RBV", "Proc1:NumFiltered_RBV", "ROI2:ArrayCounter_RBV") == [0, 0, 15]


def test_rates(rig):
    rig.ca.put("MCA2:EnableCallbacks", 0)
    rig.begin(100_000, 0.01)
    rig.ca.wait_above("ROI2:ArrayRate_RBV", 10)
    assert rig.ca.get("MCA2:ArrayRate_RBV") == 0
    assert min(rig.ca.gets("MCA1:ArrayRate_RBV", "Proc1:ArrayRate_RBV", "C2SCA:TS:ArrayRate_RBV")) > 10
    rig.ca.put("det1:Acquire", 0)
    assert rig.ca.put_status("acquire") == ECA_NORMAL
    assert rig.ca.gets("ROI2:ArrayRate_RBV", "Proc1:ArrayRate_RBV") == [0, 0]


@pytest.mark.parametrize(
    ("plugin", "source"),
    [
        ("ROI2", "XSP3"), ("MCA2", "CHAN2"), ("MCA2ROI", "CHAN2"), ("Proc1", "XSP3"), ("ROISUM2", "PROC1"),
        ("MCASUM2", "CHANSUM2"), ("C2SCA", "XSP3"), ("C2SCA:TS", "XSP3.C2SCA"), ("HDF1", "XSP3"),
    ],
)
def test_frames_come_from_where_they_come(rig, plugin, source):
    name = f"{plugin}:NDArrayPort"
    assert rig.ca.gets(name, f"{name}_RBV") == [source, source]
    assert rig.ca.put(name, source)[0] == ECA_NORMAL
    assert rig.ca.put(name, "ELSEWHERE")[0] == ECA_PUTFAIL
    assert rig.message() == f"{name} = 'ELSEWHERE': it is always {source}"
    assert rig.ca.gets(name, f"{name}_RBV") == [source, source]


def test_the_copy_of_num_images(rig):
    rig.ca.set(NumImages=21)
    assert rig.ca.gets("HDF1:NumCapture_CALC", "HDF1:NumCapture") == [21, 21]
    rig.ca.set(HDF1__NumCapture=5)
    rig.ca.put("HDF1:NumCapture_CALC", 1)
    assert rig.ca.gets("HDF1:NumCapture_CALC", "HDF1:NumCapture") == [21, 21]
    rig.ca.put("HDF1:NumCapture_CALC.DISA", 1)
    rig.ca.set(NumImages=22)
    rig.ca.put("HDF1:NumCapture_CALC", 1)
    assert rig.ca.gets("HDF1:NumCapture_CALC", "HDF1:NumCapture") == [21, 21]
    rig.ca.put("HDF1:NumCapture_CALC.DISA", 0)
