"""ROIs, scalers and time series as a scan reads them, by libca."""

from __future__ import annotations

import numpy as np
import pytest
from ca_clients import ECA_NORMAL, ECA_PUTFAIL

from xsp3ioc.sdk import expected_frames
from xsp3ioc.stream.formulas import dead_time_factors

CHANNELS = range(1, 5)
REGIONS = {1: (625, 30), 7: (0, 4096), 48: (780, 60)}
EXPOSURE = 0.002
TICKS = 160_000


@pytest.fixture(autouse=True)
def defaults(rig):
    rig.ca.set(EraseOnStart=1, AcquireTime=EXPOSURE)
    for channel in CHANNELS:
        for roi, (first, size) in REGIONS.items():
            record = f"MCA{channel}ROI:{roi}"
            rig.ca.set(**{f"{record}:MinX": first, f"{record}:SizeX": size, f"{record}:BgdWidth": 0})


def frames(rig, count):
    return expected_frames(rig.settings, TICKS, 0, count)


def names(form):
    return [form.format(channel=channel) for channel in CHANNELS]


def set_all(rig, form, value):
    rig.ca.set(**dict.fromkeys(names(form), value))


@pytest.mark.parametrize("points", [1, 150])
def test_a_scan_along_a_line(rig, points):
    """As epicsscan does it: a point per frame of each ROI and of the dead-time factor."""
    ca = rig.ca
    for form in ("MCA{channel}ROI:TSNumPoints", "C{channel}SCA:TS:TSNumPoints"):
        set_all(rig, form, points)
    ca.set(det1__ERASE=1, EraseOnStart=0)
    set_all(rig, "MCA{channel}ROI:TSControl", 0)
    for name in names("C{channel}SCA:TS:TSAcquire"):
        ca.begin(name, 1)
    assert ca.gets(*names("MCA{channel}ROI:TSAcquiring")) == [1] * 4
    ca.wait_for("C4SCA:TS:TSAcquiring", 1)
    assert all(ca.is_open(name) for name in names("C{channel}SCA:TS:TSAcquire"))
    assert rig.acquire(points, EXPOSURE) == ECA_NORMAL
    # All is there when the acquisition is over.
    mca, scalers = frames(rig, points)
    factors = dead_time_factors(scalers, [6.0] * 4)
    for channel in CHANNELS:
        for roi, (first, size) in REGIONS.items():
            totals = mca[:, channel - 1, first : first + size].sum(axis=1)
            np.testing.assert_array_equal(ca.get(f"MCA{channel}ROI:{roi}:TSTotal"), totals)
            assert ca.get(f"MCA{channel}ROI:{roi}:Total_RBV") == totals[-1]
        for name in (f"C{channel}SCA:9:TSArrayValue", f"C{channel}SCA:TS:9:TimeSeries"):
            np.testing.assert_array_equal(ca.get(name), factors[:, channel - 1])
    for name in names("C{channel}SCA:TS:TSAcquire"):
        assert ca.put_status(name) == ECA_NORMAL
        assert ca.get(name) == 0
    for form in ("MCA{channel}ROI:TSCurrentPoint", "C{channel}SCA:TS:TSCurrentPoint"):
        assert ca.gets(*names(form)) == [points] * 4
    for form in ("MCA{channel}ROI:TSAcquiring", "C{channel}SCA:TS:TSAcquiring"):
        assert ca.gets(*names(form)) == [0] * 4


def test_a_shorter_series_leaves_it_running_and_what_is_watched_is_there(rig):
    ca = rig.ca
    ca.set(MCA2ROI__TSNumPoints=500, MCA2ROI__TSControl=0)
    watched = ("MCA2ROI:7:TSTotal", "MCA2ROI:TSCurrentPoint", "MCA2ROI:7:Total_RBV", "C2SCA:3:ValueSum_RBV")
    ca.monitor(*watched, "MCA2ROI:TSAcquiring")
    for series in (1, 2):
        assert rig.acquire(40, EXPOSURE) == ECA_NORMAL
        points, current, total, events = ca.last(*watched)  # came before the reply
        mca, scalers = frames(rig, 40)
        assert current.value == 40 * series
        np.testing.assert_array_equal(points.value, np.tile(mca[:, 1].sum(axis=1), series))
        assert total.value == mca[-1, 1].sum()
        assert events.value == scalers[:, 1, 3].sum()  # EraseOnStart
    running = ca.read("MCA2ROI:TSAcquiring")
    assert (running.value, running.severity) == (1, 1)
    assert ca.put("MCA2ROI:TSControl", "Stop")[0] == ECA_NORMAL
    assert [reading.value for reading in ca.seen("MCA2ROI:TSAcquiring")] == [1, 0]
    assert ca.put("MCA2ROI:TSControl", "Erase")[0] == ECA_NORMAL
    ca.wait_for("MCA2ROI:TSCurrentPoint", 0)


def test_how_often_a_series_is_published(rig):
    ca = rig.ca
    assert ca.gets("MCA1ROI:TSRead.SCAN", "C1SCA:TS:TSRead.SCAN") == [6, 7]
    assert ca.put("MCA1ROI:TSRead.SCAN", ".1 second")[0] == ECA_NORMAL
    assert ca.put("MCA3ROI:TSRead.SCAN", "Passive")[0] == ECA_NORMAL
    assert ca.gets("MCA1ROI:TSRead.SCAN", "MCA3ROI:TSRead.SCAN") == [9, 0]
    assert ca.put("MCA1ROI:TSRead.SCAN", "3 second")[0] == ECA_PUTFAIL
    assert "MCA1ROI:TSRead.SCAN = '3 second' is none of Passive (0)" in rig.message()
    for form in ("MCA{channel}ROI:TSNumPoints", "C{channel}SCA:TS:TSNumPoints"):
        set_all(rig, form, 2048)
    set_all(rig, "MCA{channel}ROI:TSControl", 0)
    ca.monitor(*names("MCA{channel}ROI:7:TSTotal"), "MCA1ROI:TSCurrentPoint")
    ca.seen("MCA1ROI:TSCurrentPoint")
    before = [len(ca.seen(name)) for name in names("MCA{channel}ROI:7:TSTotal")]
    assert before == [1] * 4
    assert rig.acquire(600, EXPOSURE) == ECA_NORMAL
    often, _, never, _ = (len(ca.seen(name)) for name in names("MCA{channel}ROI:7:TSTotal"))
    assert never == 1  # at the end
    assert often > 3
    points = [reading.value for reading in ca.seen("MCA1ROI:TSCurrentPoint")]
    assert points == sorted(set(points))
    assert points[-1] == 600
    assert len(points) < 60
    ca.set(**{"MCA1ROI:TSRead.SCAN": 6, "MCA3ROI:TSRead.SCAN": 6})
    assert ca.put("MCA3ROI:TSRead", 3)[0] == ECA_NORMAL
    assert ca.gets("MCA3ROI:TSRead", "C3SCA:TS:TSRead") == [3, 1]


@pytest.mark.parametrize(
    ("read", "points"), [("MCA3ROI:TSRead", "MCA3ROI:7:TSTotal"), ("C3SCA:TS:TSRead", "C3SCA:3:TSArrayValue")]
)
def test_a_series_is_published_when_its_record_is_processed(rig, read, points):
    ca = rig.ca
    ca.set(**{f"{read}.SCAN": 0, "MCA3ROI:TSNumPoints": 2000, "C3SCA:TS:TSNumPoints": 2000})
    ca.set(**{"MCA3ROI:TSControl": 0, "C3SCA:TSControl": 0})
    ca.monitor(points)
    rig.begin(10_000, EXPOSURE)
    ca.wait_above("det1:ArrayCounter_RBV", 20)
    ca.seen(points)
    assert ca.put(f"{read}.PROC", 1)[0] == ECA_NORMAL
    (published,) = ca.seen(points)
    assert len(published.value) > 1
    ca.put("det1:Acquire", 0)
    assert ca.put_status("acquire") == ECA_NORMAL
    ca.set(**{f"{read}.SCAN": 6})


def test_a_command_is_processed_again(rig):
    ca = rig.ca
    assert rig.acquire(2) == ECA_NORMAL
    ca.set(ERASE=1)
    assert rig.acquire(2) == ECA_NORMAL
    assert ca.put("det1:ERASE.PROC", 1)[0] == ECA_NORMAL
    assert ca.get("det1:ArrayCounter_RBV") == 0
    assert not ca.get("MCASUM1:ArrayData").any()
    ca.put("det1:NumImages", 0)
    assert ca.gets("det1:NumImages.SEVR", "det1:NumImages.STAT") == [3, 2]  # INVALID, WRITE
    assert ca.put("det1:NumImages.PROC", 1)[0] == ECA_NORMAL
    assert ca.gets("det1:NumImages.SEVR", "det1:NumImages.STAT") == [0, 0]
    assert ca.put("det1:NumImages_RBV.PROC", 1)[0] == ECA_NORMAL
    assert ca.gets("det1:NumImages.HIHI", "det1:AcquireTime_RBV.MDEL") == [0, 0]


@pytest.mark.parametrize(
    ("record", "value", "allowed"),
    [
        ("MinX", 5000, "above 4095"),
        ("SizeX", -1, "below 0"),
        ("SizeX", 4097, "above 4096"),
        ("BgdWidth", -3, "below 0"),
    ],
)
def test_no_such_region(rig, record, value, allowed):
    name = f"MCA3ROI:7:{record}"
    before = rig.ca.gets(name, f"{name}_RBV")
    assert rig.ca.put(name, value)[0] == ECA_PUTFAIL
    assert rig.message().startswith(f"{name} = {value} is {allowed}")
    assert rig.ca.gets(name, f"{name}_RBV") == before
    assert rig.ca.put(name, before[0])[0] == ECA_NORMAL


def test_net_and_dead_time_of_a_step(rig):
    ca = rig.ca
    ca.set(MCA4ROI__1__BgdWidth=5)
    assert rig.acquire(1, EXPOSURE) == ECA_NORMAL
    mca, scalers = frames(rig, 1)
    inside = mca[0, 3, 625:655].astype(int)
    background = (inside[:5].sum() + inside[-5:].sum()) / 10
    found = ca.gets(*(f"MCA4ROI:1:{name}_RBV" for name in ("Total", "Net", "MinValue", "MaxValue", "MeanValue")))
    expected = [inside.sum(), inside.sum() - background * 30, inside.min(), inside.max(), inside.mean()]
    np.testing.assert_allclose(found, expected)
    percent = 100 * (1 - 1 / dead_time_factors(scalers, [6.0] * 4)[0])
    np.testing.assert_allclose(ca.gets("MeanDeadTime_RBV", "MaxDeadTime_RBV"), [percent.mean(), percent.max()])


def test_zeroed(rig):
    ca = rig.ca
    shown = ("MCA1ROI:7:Total_RBV", "C1SCA:3:ValueSum_RBV", "MCASUM1:ArrayData")
    assert rig.acquire(3, EXPOSURE) == ECA_NORMAL
    assert all(np.any(value) for value in ca.gets(*shown))
    ca.set(**{"Proc1:ResetFilter": 1})
    assert [bool(np.any(value)) for value in ca.gets(*shown)] == [True, True, False]
    ca.set(**{"MCA1ROI:7:Reset": 1, "C1SCA:Reset": 1})
    assert [bool(np.any(value)) for value in ca.gets(*shown)] == [False] * 3
    assert all(np.any(value) for value in ca.gets("MCA2ROI:7:Total_RBV", "C2SCA:3:ValueSum_RBV"))
    ca.set(**{"MCA2ROI:ResetAll": 1})
    assert ca.gets("MCA2ROI:1:Total_RBV", "MCA2ROI:48:Net_RBV") == [0, 0]
    assert rig.acquire(3, EXPOSURE) == ECA_NORMAL
    ca.set(det1__ERASE=1)
    assert not any(np.any(value) for value in ca.gets(*shown))


def test_older_names(rig):
    ca = rig.ca
    ca.set(C1SCA__TSNumPoints=20, C1SCA__TSControl="Erase/Start")
    assert ca.gets("C1SCA:TS:TSNumPoints", "C1SCA:TS:TSAcquiring", "C1SCA:TS:TSAcquire") == [20, 1, 1]
    assert rig.acquire(10, EXPOSURE) == ECA_NORMAL
    assert ca.gets("C1SCA3:Value_RBV") == ca.gets("C1SCA:3:Value_RBV")
    ca.set(C1SCA__TSControl=2)
    assert ca.gets("C1SCA:TS:TSCurrentPoint", "C1SCA:TS:TSAcquiring") == [10, 0]
