"""pyepics' own class for this detector, `epics.devices.xspress3.Xspress3`, as larch and its scripts use it."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
from clients_session import until
from system_rig import Written

ROIS = [("Ca Ka", 360, 380), ("Fe Ka", 625, 655), ("Cu Ka", 790, 820)]


def device(session):
    from epics import PV
    from epics.devices import ad_mca
    from epics.devices.xspress3 import Xspress3

    def make():
        mark, poll = PV(session.prefix + "det1:ImageMode"), ad_mca.poll
        assert mark.wait_for_connection(60)

        def settle(*arguments):
            mark.put(1, wait=True, timeout=60)
            poll(*arguments)

        # It gives what it has put some milliseconds to be shown, then sorts and writes what is: on a busy host too few.
        ad_mca.poll = settle
        return Xspress3(session.prefix, nmca=4, fileroot=session.directory)

    return session.keep("device", make)


def connect(session):
    xsp3 = device(session)
    mcas = [pv for mca in xsp3.mcas for pv in mca._pvs.values()]
    pvs = [*xsp3._pvs.values(), *mcas]
    end = time.monotonic() + 60
    return [pv.pvname for pv in pvs if not pv.wait_for_connection(max(0.01, end - time.monotonic()))]


def test_all_records_of_the_class_are_there(session):
    assert session.run(connect) == []


def set_up(session, name, frames, exposure=0.01):
    xsp3 = device(session)
    xsp3.stop()
    xsp3.useInternalTrigger()
    xsp3.NumImages = frames
    xsp3.AcquireTime = exposure
    xsp3.setFilePath("")
    xsp3.setFileWriteMode(2)
    xsp3.setFileTemplate("%s%s.%4.4d")
    xsp3.setFileName(name)
    xsp3.setFileNumber(7)
    xsp3.setFileNumCapture(frames)
    until(lambda: xsp3.fileGet("NumCapture_RBV") == frames and xsp3.getFileNumber() == 7, "the file's settings")
    return xsp3


def take_a_file(session, name, frames):
    xsp3 = set_up(session, name, frames)
    expected = xsp3.getFileNameByIndex(7)
    before = xsp3.ArrayCounter_RBV
    xsp3.start()
    # Acquire_RBV is 0 until the server has the command: wait for the series first.
    until(lambda: xsp3.get("ArrayCounter_RBV") == frames and xsp3.get("Acquire_RBV") == 0, "the end of the series")
    until(xsp3.FileWriteComplete, "the end of the file")
    return {
        "before": before,
        "expected": expected,
        "name": xsp3.getLastFileName(),
        "parts": (xsp3.getFilePath(), xsp3.getFileName(), xsp3.getFileTemplate(), xsp3.getFileNumber()),
        "state": xsp3.DetectorState_RBV,
        "message": xsp3.get("StatusMessage_RBV", as_string=True),
        "spectra": [mca.get("VAL") for mca in xsp3.mcas],
    }


def test_start_with_a_file(rig, session):
    told = session.run(take_a_file, "pyepics", 5)
    assert told["name"] == told["expected"]
    assert told["parts"] == (f"{rig.files}/", "pyepics", "%s%s.%4.4d", 7)
    assert told["state"] == 0
    assert "Completed" in told["message"]
    written = Written(told["name"])
    assert written.frames == 5
    written.check(rig.settings, 0.01)
    for channel, spectrum in enumerate(told["spectra"]):
        np.testing.assert_array_equal(spectrum, written.mca(4, 1)[0, channel])


def stop_in_the_middle(session):
    xsp3 = set_up(session, "stopped", 10_000)
    before = xsp3.get("ArrayCounter_RBV")  # may be shown for a moment more
    xsp3.start()
    until(lambda: xsp3.get("Acquire_RBV") == 1, "the start")
    until(lambda: xsp3.get("ArrayCounter_RBV") > max(3, before), "frames")
    xsp3.stop()
    until(lambda: xsp3.get("Acquire_RBV") == 0 and xsp3.FileWriteComplete(), "the end")
    return xsp3.DetectorState_RBV, xsp3.get("ArrayCounter_RBV"), xsp3.getLastFileName()


def test_stop(session):
    state, frames, name = session.run(stop_in_the_middle)
    assert state == 10
    assert Written(name).frames == frames > 3


def rois_of(mca):
    return [(roi.Name, roi.MinX, roi.right) for roi in mca.get_rois()]


def has_rois(mca, rois):
    """Write them, again where need be.

    The class sorts what its monitors show right behind its puts, and writes that: on a busy host it is too early.
    """
    until(lambda: mca.set_rois(rois) or rois_of(mca) == rois, "the ROIs")


def set_rois(session, channel, rois):
    mca = device(session).mcas[channel]
    has_rois(mca, rois)
    return [(roi.Name, roi.MinX, roi.right) for roi in mca.rois]


def test_set_rois(rig, session):
    many = [(f"ROI {number}", 10 + 50 * number, 40 + 50 * number) for number in range(5)]
    assert session.run(set_rois, 0, many) == many
    assert session.run(set_rois, 0, ROIS) == ROIS
    # The one after the last is cleared: it ends the list.
    assert rig.ca.gets("MCA1ROI:4:Name", "MCA1ROI:4:MinX", "MCA1ROI:4:SizeX") == ["", 0, 0]
    assert rig.ca.gets("MCA1ROI:2:Name", "MCA1ROI:2:MinX_RBV", "MCA1ROI:2:SizeX_RBV") == ["Fe Ka", 625, 30]


def add_rois(session):
    mca = device(session).mcas[2]

    def add():
        mca.set_rois([])
        for name, low, high in ROIS:
            mca.add_roi(name, low, hi=high)
        return rois_of(mca)

    until(lambda: add() == ROIS, "the ROIs")  # again where need be, as above


def test_rois_one_by_one(rig, session):
    """As larch's window adds them: each time the list is sorted, written and read again at once."""
    # The class takes the number of bins from the spectrum: before the first frame there is none.
    rig.acquire(1, 0.01)
    session.run(add_rois)
    assert rig.ca.gets("MCA3ROI:3:Name", "MCA3ROI:3:MinX_RBV", "MCA3ROI:3:SizeX_RBV") == ["Cu Ka", 790, 30]


@pytest.mark.slow
def test_as_many_rois_as_the_class_takes(session):
    many = [(f"R{number}", 10 + 50 * number, 40 + 50 * number) for number in range(47)]
    assert session.run(set_rois, 1, many) == many
    session.run(set_rois, 1, ROIS)


def save_and_restore(session):
    xsp3 = device(session)
    file = Path(session.directory) / "ROI.dat"
    has_rois(xsp3.mcas[0], ROIS)
    file.write_text("\n".join(xsp3.roi_calib_info()))
    for mca in xsp3.mcas:
        mca.set_rois([("other", 5, 6)])

    def restored():
        xsp3.restore_rois(str(file))
        return [[(roi.name, roi.left, roi.right) for roi in rois] for rois in xsp3.get_rois()]

    until(lambda: restored() == [ROIS] * 4, "the ROIs of the file")  # again where need be, as above


def test_rois_from_a_file(rig, session):
    # The configuration parser of its file makes no difference of case in options, but names are values.
    session.run(save_and_restore)
    assert [rig.ca.get(f"MCA{channel}ROI:1:Name") for channel in range(1, 5)] == ["Ca Ka"] * 4


def counts_of_a_roi(session, frames):
    xsp3 = device(session)
    for mca in xsp3.mcas:
        has_rois(mca, ROIS)
    xsp3.NumImages = frames
    until(lambda: xsp3.get("NumImages_RBV") == frames, "NumImages")
    xsp3.start(capture=False)
    until(lambda: xsp3.get("ArrayCounter_RBV") == frames and xsp3.get("Acquire_RBV") == 0, "the end of the series")
    return [([roi.sum for roi in mca.rois], mca.get("VAL")) for mca in xsp3.mcas]


def test_totals_of_rois(session):
    for totals, spectrum in session.run(counts_of_a_roi, 2):
        assert totals == [spectrum[low:high].sum() for _, low, high in ROIS]


def time_series(session, frames):
    from epics import caget

    xsp3 = device(session)
    for mca in xsp3.mcas:
        has_rois(mca, ROIS)
    xsp3.NumImages = frames
    xsp3.AcquireTime = 0.01
    xsp3.TimeSeriesCaptureOn(frames)
    until(lambda: caget(f"{session.prefix}MCA4ROI:TSAcquiring") == 1, "the start of the time series")
    until(lambda: caget(f"{session.prefix}C4SCA:TS:TSAcquiring") == 1, "the start of the scalers' time series")
    xsp3.start(capture=False)
    until(lambda: xsp3.get("ArrayCounter_RBV") == frames and xsp3.get("Acquire_RBV") == 0, "the end of the series")
    xsp3.TimeSeriesCaptureOff()
    names = [f"MCA{channel}ROI:2:TSTotal" for channel in range(1, 5)]
    names += [f"C{channel}SCA:TS:0:TimeSeries" for channel in range(1, 5)]
    return {
        name: until(lambda name=name: points(caget(session.prefix + name), frames), name) for name in names
    }, [mca.rois[1].sum for mca in xsp3.mcas]


def points(found, frames):
    """The points, once they are all there."""
    return None if found is None or np.count_nonzero(found) < frames else found.tolist()[:frames]


def test_time_series(rig, session):
    frames = 10
    series, totals = session.run(time_series, frames)
    assert [series[f"MCA{channel}ROI:2:TSTotal"][-1] for channel in range(1, 5)] == totals
    assert [len(one) for one in series.values()] == [frames] * 8
    assert len(set(series["MCA1ROI:2:TSTotal"])) > 1
    for channel in range(1, 5):
        assert series[f"C{channel}SCA:TS:0:TimeSeries"] == [round(0.01 / 12.5e-9)] * frames
