"""What larch's XRF control does: our own lines, its puts and reads in its order."""

from __future__ import annotations

import time

import numpy as np
from clients_session import until

ROIS = [("Fe Ka", 625, 655), ("Cu Ka", 790, 820)]


class Control:
    """The window with the spectrum; values of enumerations are written as numbers, nothing waits for a callback."""

    def __init__(self, prefix, channels=4):
        from epics import PV

        self.prefix = prefix
        self.channels = range(1, channels + 1)
        self.pvs = {}
        self.frames_seen = []
        names = [
            "NumImages", "NumImages_RBV", "Acquire", "Acquire_RBV", "ArrayCounter_RBV", "ERASE", "UPDATE",
            "AcquireTime", "TriggerMode", "StatusMessage_RBV", "DetectorState_RBV",
        ]  # fmt: skip
        names = [f"det1:{name}" for name in names]
        names += [f"HDF1:{name}" for name in ("FilePath", "FileTemplate", "FileName", "FileNumber", "Capture")]
        names += [f"HDF1:{name}" for name in ("NumCapture", "WriteFile_RBV")]
        for channel in self.channels:
            names += [f"C{channel}:DTFactor_RBV", f"C{channel}SCA:10:Value_RBV", f"MCA{channel}:ArrayData"]
            names += [f"MCA{channel}ROI:{roi}:{field}" for roi in range(1, 49) for field in ("Name", "MinX", "SizeX")]
        for name in names:
            self.pvs[name] = PV(prefix + name)
        for channel in self.channels:
            name = f"MCASUM{channel}:ArrayData"
            self.pvs[name] = PV(prefix + name, auto_monitor=False)
        self.pvs["det1:ArrayCounter_RBV"].add_callback(lambda value, **_: self.frames_seen.append(value))

    def unconnected(self):
        return [name for name, pv in self.pvs.items() if not pv.wait_for_connection(60)]

    def put(self, **values):
        for name, value in values.items():
            self.pvs[name.replace("__", ":") if "__" in name else f"det1:{name}"].put(value)

    def get(self, name, **options):
        return self.pvs[name if ":" in name else f"det1:{name}"].get(**{"timeout": 60} | options)

    def set_dwell_time(self, seconds, frames):
        self.put(TriggerMode=1, HDF1__Capture=0)
        self.put(NumImages=frames)
        self.put(AcquireTime=seconds)

    def stop(self):
        self.put(Acquire=0, HDF1__Capture=0)
        end = time.monotonic() + 0.5
        while self.get("Acquire_RBV") == 1 and time.monotonic() < end:
            self.put(Acquire=0, HDF1__Capture=0)
            time.sleep(0.005)

    def start(self, erase=True):
        self.stop()
        if erase:
            self.put(ERASE=1)
            time.sleep(0.01)
        time.sleep(0.05)
        self.put(Acquire=1)

    def rois(self, channel):
        """Up to the first with an empty name, or no bins."""
        found = []
        for roi in range(1, 49):
            name, low, size = (self.get(f"MCA{channel}ROI:{roi}:{field}") for field in ("Name", "MinX", "SizeX"))
            if not name.strip() or low <= 0 or size <= 0:
                break
            found.append((name, low, low + size))
        return found

    def spectra(self):
        return [self.get(f"MCASUM{channel}:ArrayData") for channel in self.channels]


def control(session):
    return session.keep("control", lambda: Control(session.prefix))


def connect(session):
    return control(session).unconnected()


def test_it_connects(session):
    assert session.run(connect) == []


def count(session, seconds, frames):
    window = control(session)
    window.set_dwell_time(seconds, frames)
    until(lambda: window.get("NumImages_RBV") == frames, "NumImages")
    window.frames_seen.clear()
    window.start()
    until(lambda: frames in window.frames_seen, "the last frame")
    until(lambda: window.get("Acquire_RBV") == 0, "the end")
    return {
        "sums": window.spectra(),
        "last": [window.get(f"MCA{channel}:ArrayData") for channel in window.channels],
        "dead": [window.get(f"C{channel}SCA:10:Value_RBV") for channel in window.channels],
        "factor": [window.get(f"C{channel}:DTFactor_RBV") for channel in window.channels],
        "state": window.get("DetectorState_RBV"),
        "status": window.get("StatusMessage_RBV", as_string=True),
        "seen": list(window.frames_seen),
    }


def test_counting(session):
    told = session.run(count, 0.02, 5)
    assert told["state"] == 0
    assert told["status"]
    assert told["seen"] == sorted(told["seen"], key=lambda frame: (frame != 0, frame))
    for total, last in zip(told["sums"], told["last"], strict=True):
        assert 0 < last.sum() < total.sum()
        assert (last <= total).all()
    assert all(percent > 0 for percent in told["dead"])
    assert all(factor > 1 for factor in told["factor"])
    # From 0 again: the start erases.
    again = session.run(count, 0.02, 5)
    np.testing.assert_array_equal(again["sums"], told["sums"])


def go_on(session, frames):
    """Count on without erasing, then stop in the middle of a long series."""
    window = control(session)
    before = window.spectra()
    window.set_dwell_time(0.02, frames)
    window.frames_seen.clear()
    window.start(erase=False)
    until(lambda: len(set(window.frames_seen)) > 3 and window.get("Acquire_RBV") == 1, "frames")
    window.stop()
    until(lambda: window.get("DetectorState_RBV") == 10, "the stop")
    return before, window.spectra(), window.get("ArrayCounter_RBV")


def test_counting_on_and_stop(rig, session):
    rig.ca.set(EraseOnStart=0)
    before, after, frames = session.run(go_on, 15000)
    assert frames < 15000
    for old, new in zip(before, after, strict=True):
        assert (new >= old).all()
        assert new.sum() > old.sum()


def erase(session):
    window = control(session)
    window.stop()
    window.put(ERASE=1)
    until(lambda: not any(spectrum.any() for spectrum in window.spectra()), "empty spectra")
    return window.get("ArrayCounter_RBV")


def test_erase(session):
    assert session.run(erase) == 0


def rois(session, channel):
    return control(session).rois(channel)


def test_rois_are_read_up_to_the_first_that_is_none(rig, session):
    assert session.run(rois, 1) == []
    for number, (name, low, high) in enumerate(ROIS, start=1):
        for field, value in (("Name", name), ("MinX", low), ("SizeX", high - low)):
            rig.ca.put(f"MCA1ROI:{number}:{field}", value)
    rig.ca.put("MCA1ROI:4:Name", "after the gap")
    until(lambda: session.run(rois, 1) == ROIS, "the ROIs")
