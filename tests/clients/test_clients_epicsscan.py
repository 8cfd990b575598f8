"""What epicsscan does for a step scan and for a slew scan: our own lines, its puts and reads in its order."""

from __future__ import annotations

import time

import numpy as np
from clients_session import Session, until
from system_desk import Desk
from system_rig import Written

ROIS = [("Fe Ka", 625, 30), ("Cu Ka", 790, 30), ("OutputCounts", 100, 3900)]
CHANNELS = range(1, 5)


class Scan:
    """epicsscan's detector; values of enumerations are numbers."""

    def __init__(self, prefix, directory):
        from epics import caget

        self.prefix, self.directory = prefix, directory
        self.pvs = {}
        # It gives up easily, and then takes names of areaDetector 2; here it asks again.
        self.version = until(lambda: caget(prefix + "det1:ADCoreVersion_RBV", timeout=0.1), "the version")
        self.rois = []
        for number in range(1, 49):
            name = caget(f"{prefix}MCA1ROI:{number}:Name", timeout=60, connection_timeout=60)
            if not name:
                break
            self.rois.append(name.strip().lower())

    def pv(self, name):
        from epics import PV

        name = name if ":" in name else f"det1:{name}"
        if name not in self.pvs:
            self.pvs[name] = PV(self.prefix + name)
            assert self.pvs[name].wait_for_connection(60), name
        return self.pvs[name]

    def put(self, name, value, **options):
        self.pv(name).put(value, **options)

    def get(self, name, **options):
        return self.pv(name).get(**{"timeout": 60} | options)

    def counters(self, mode):
        """Names that it reads at each point, or once after a slew scan."""
        numbers = range(1, len(self.rois) + 1)
        if mode == "roi":
            names = [f"MCA{channel}ROI:{roi}:TSTotal" for roi in numbers for channel in CHANNELS]
            return names + [f"C{channel}SCA:9:TSArrayValue" for channel in CHANNELS]
        names = [f"MCA{channel}ROI:{roi}:Total_RBV" for roi in numbers for channel in CHANNELS]
        names += [f"C{channel}SCA:0:Value_RBV" for channel in CHANNELS]
        return names + [f"C{channel}:DTFactor_RBV" for channel in CHANNELS]

    def erase(self):
        self.put("ERASE", 1, use_complete=True)

    def wait_erased(self):
        until(lambda: self.pv("ERASE").put_complete, "the end of ERASE")

    def time_series(self, start, frames, rois=True):
        for channel in CHANNELS:
            for name in ("ROI:TSControl", "ROI:TSNumPoints"):
                self.get(f"MCA{channel}{name}")
            self.put(f"MCA{channel}ROI:EnableCallbacks", int(rois))
            self.put(f"C{channel}SCA:TS:TSNumPoints", frames)
            if rois:
                self.put(f"MCA{channel}ROI:TSNumPoints", frames)
        for channel in CHANNELS:
            self.put(f"C{channel}SCA:TS:TSAcquire", int(start))
            if rois:
                self.put(f"MCA{channel}ROI:TSControl", 0 if start else 2)

    def pre_scan(self, mode, pulses, dwell, name):
        self.put("Acquire", 0, wait=True)
        time.sleep(0.025)
        self.erase()
        self.put("TriggerMode", {"scaler": 1, "roi": 3, "array": 3}[mode])
        if mode == "scaler":
            self.put("ERASE", 1, wait=True)
        if mode == "array":
            self.put("HDF1:Capture", 0)
            time.sleep(0.01)
        self.put("NumImages", pulses)
        self.time_series(False, pulses, mode != "array")
        self.put("AcquireTime", dwell)
        self.put("NumImages", pulses)
        self.put("HDF1:FilePath", self.directory)
        self.put("HDF1:FileName", name)
        self.put("HDF1:AutoIncrement", 0, wait=True)
        self.put("HDF1:FileNumber", 1)
        self.put("HDF1:NumCapture", pulses)
        self.put("HDF1:FileTemplate", "%s%s.%4.4d")
        self.put("HDF1:AutoIncrement", 0)
        self.put("HDF1:AutoSave", 1)
        self.put("HDF1:EnableCallbacks", 1)
        # Its second ERASE of a step scan makes it forget the first one's callback, and wait in vain.
        if mode != "scaler":
            self.wait_erased()

    def arm(self, mode, frames, number=None):
        assert self.get("DetectorState_RBV") in (0, 10)
        self.erase()
        self.put("EraseOnStart", 0)
        if number is not None:
            self.put("HDF1:AutoIncrement", 0)
            self.put("HDF1:FileNumber", number)
        if frames is not None:
            self.put("NumImages", frames)
        if mode == "array":
            self.put("HDF1:Capture", 1)
            until(lambda: self.get("HDF1:Capture_RBV"), "Capture_RBV")
        else:
            self.put("HDF1:Capture", 0)
        self.time_series(True, frames or 16384, mode != "array")
        time.sleep(0.005)
        self.wait_erased()

    def point(self):
        """A step: start, wait for the put-callback, read."""
        done = []
        self.put("Acquire", 1, callback=lambda **_: done.append(time.monotonic()))
        until(lambda: done, "the end of the point")

    def post_scan(self):
        self.put("ERASE", 1, wait=False)
        self.put("HDF1:Capture", 0)
        self.put("TriggerMode", 1)
        self.put("ERASE", 1, wait=True)
        self.put("NumImages", 16384)
        self.put("AcquireTime", 0.25)
        self.time_series(False, 16384)
        time.sleep(0.025)


def set_rois(rig):
    """ROIs before the scan is made: its columns are those."""
    for channel in CHANNELS:
        for number, (name, low, size) in enumerate(ROIS, start=1):
            for field, value in (("Name", name), ("MinX", low), ("SizeX", size)):
                assert rig.ca.put(f"MCA{channel}ROI:{number}:{field}", value)[0] == 1


def scan(session):
    return session.keep("scan", lambda: Scan(session.prefix, session.directory))


def learn(session):
    found = scan(session)
    return found.version, found.rois


def test_version_and_columns(rig, session):
    set_rois(rig)
    version, rois = session.run(learn)
    assert version.startswith("3.")
    assert rois == [name.lower() for name, _, _ in ROIS]


def step_scan(session, points, dwell):
    found = scan(session)
    found.pre_scan("scaler", 1, dwell, "step")
    found.arm("scaler", 1)
    columns = found.counters("scaler")
    rows = []
    for _ in range(points):
        found.point()
        rows.append([found.get(name) for name in columns] + [found.get(f"MCA{channel}:ArrayData").tolist()
                                                             for channel in CHANNELS])  # fmt: skip
    found.put("Acquire", 0)
    found.post_scan()
    until(lambda: found.get("det1:NumImages_RBV") == 16384, "what is restored")
    return columns, rows, found.get("det1:AcquireTime_RBV")


def test_step_scan(rig, session):
    """Each row is of its own point, all columns of the same frame."""
    set_rois(rig)
    dwell = 0.03
    columns, rows, restored = session.run(step_scan, 5, dwell)
    assert restored == 0.25
    for row in rows:
        values = dict(zip(columns, row[:-4], strict=True))
        for channel in CHANNELS:
            spectrum = np.array(row[len(columns) + channel - 1])
            for number, (_, low, size) in enumerate(ROIS, start=1):
                assert values[f"MCA{channel}ROI:{number}:Total_RBV"] == spectrum[low : low + size].sum() > 0
            assert values[f"C{channel}SCA:0:Value_RBV"] == round(dwell / 12.5e-9)
            assert values[f"C{channel}:DTFactor_RBV"] > 1


def slew_scan(session, mode, frames, dwell, name):
    """Gated frames: the emulated pulses come by themselves."""
    found = scan(session)
    found.pre_scan(mode, frames, dwell, name)
    found.arm(mode, frames, 1)
    until(lambda: found.get("C1SCA:TS:TSAcquiring", use_monitor=False) == 1, "the scalers' time series")
    found.put("Acquire", 1, wait=False)
    until(lambda: found.get("det1:Acquire_RBV", use_monitor=False) == 1, "the start")
    until(lambda: found.get("det1:Acquire_RBV", use_monitor=False) == 0, "the last frame")
    told = {"name": None, "captured": None}
    if mode == "array":
        until(lambda: found.get("HDF1:WriteFile_RBV", use_monitor=False) == 0, "the file")
        told["captured"] = found.get("HDF1:NumCaptured_RBV", use_monitor=False)
        told["name"] = found.get("HDF1:FullFileName_RBV", as_string=True)
    found.put("Acquire", 0)
    found.time_series(False, frames, mode != "array")
    columns = found.counters(mode) if mode == "roi" else [f"C{channel}SCA:9:TSArrayValue" for channel in CHANNELS]
    told["columns"] = {
        column: until(lambda column=column: points(found.get(column, use_monitor=False), frames), column)
        for column in columns
    }
    found.post_scan()
    return told


def points(array, frames):
    """The first points of a series, once they are there."""
    return array[:frames].tolist() if array is not None and len(array) >= frames and array[frames - 1] else None


PULSES = {"emulator": {"pulses": {"period": 0.02, "width": 0.01}}}


def test_slew_scan_with_rois(start_rig):
    frames = 12
    rig, desk = gated(start_rig)
    set_rois(rig)
    told = desk.run(slew_scan, "roi", frames, 0.01, "slew")
    desk.end()
    columns = told["columns"]
    assert len(columns) == len(ROIS) * 4 + 4
    for channel in CHANNELS:
        totals = columns[f"MCA{channel}ROI:3:TSTotal"]
        assert len(totals) == frames
        assert all(totals)
        assert all(factor > 1 for factor in columns[f"C{channel}SCA:9:TSArrayValue"])


def test_slew_scan_with_a_file(start_rig):
    frames = 12
    rig, desk = gated(start_rig)
    told = desk.run(slew_scan, "array", frames, 0.01, "array")
    desk.end()
    assert told["captured"] == frames
    assert told["name"] == f"{rig.files}/array.0001"
    written = Written(told["name"])
    assert written.frames == frames
    assert (written["frame_status"] == 0).all()
    for channel in CHANNELS:
        np.testing.assert_array_equal(
            told["columns"][f"C{channel}SCA:9:TSArrayValue"], written["dead_time_correction"][:, channel - 1]
        )


def gated(start_rig):
    rig = start_rig(**PULSES)
    return rig, Desk(Session, rig.server.prefix, str(rig.files), environment=rig.server.environment)
