"""A server with a libca client and subscribers, each in a process of its own."""

from __future__ import annotations

import os
import time

import h5py
import hdf5plugin  # noqa: F401
import msgspec
import numpy as np
from server_process import ServerProcess
from system_desk import Desk
from system_libca import LibcaClient
from system_listener import Listener

from xsp3ioc.sdk import EmulatorSettings, expected_frames
from xsp3ioc.stream.formulas import dead_time_factors

CLOCK = 12.5e-9
GAP = 80 * CLOCK
DETECTOR = "/entry/instrument/xspress3"


class Rig:
    """A running server; tables as for `ServerProcess`."""

    def __init__(self, directory, *arguments, **tables):
        self.directory = directory
        self.files = directory / "files"
        self.files.mkdir(exist_ok=True)
        tables["detector"] = {"emulate": True} | tables.get("detector", {})
        hardware = tables["detector"]
        size = {"channels": hardware.get("channels", 4), "cards": hardware.get("cards", 1)}
        self.settings = msgspec.convert(size | tables.get("emulator", {}), EmulatorSettings)
        self.server = ServerProcess(directory, *arguments, **tables)
        self._desks: list[Desk] = []
        try:
            self.ca = self.client()
            if tables.get("server", {}).get("connect", True):
                self.ca.wait_for("det1:CONNECTED", 1)
        except BaseException:
            self.end()  # nobody else would
            raise

    def client(self):
        """Another libca client."""
        return self._add(Desk(LibcaClient, self.server.prefix, environment=self.server.environment))

    def listener(self, name="listener", compare=True, credit=16):
        """Another subscriber, joined."""
        before = self.ca.get("det1:Subscribers")
        desk = self._add(Desk(Listener, self.server.data, name, self.settings if compare else None, credit))
        self.ca.wait_for("det1:Subscribers", before + 1)
        return desk

    def _add(self, desk):
        self._desks.append(desk)
        return desk

    def capture(self, name, frames=0, **settings):
        """Open a file for `frames` frames; the put-callback stays open under the key "capture"."""
        ca = self.ca
        ca.set(HDF1__FilePath=str(self.files), HDF1__FileName=name, HDF1__FileTemplate="%s%s_%d.h5")
        ca.set(HDF1__NumCapture=frames, **settings)
        return self.capture_as_set()

    def capture_as_set(self):
        """The same with the settings as they are."""
        self.ca.begin("HDF1:Capture", 1, "capture")
        self.ca.wait_for("HDF1:Capture_RBV", 1)
        return self.ca.get("HDF1:FullFileName_RBV")

    def acquire(self, frames, exposure=0.001):
        """A series to its end: the ECA status of the put-callback."""
        self.ca.set(NumImages=frames, AcquireTime=exposure)
        self.ca.begin("det1:Acquire", 1, "acquire")
        return self.ca.put_status("acquire")

    def begin(self, frames, exposure=0.001):
        """A series that goes on, under the key "acquire"."""
        self.ca.set(NumImages=frames, AcquireTime=exposure)
        self.ca.begin("det1:Acquire", 1, "acquire")
        self.ca.wait_for("det1:Acquire_RBV", 1)

    def message(self):
        return self.ca.get("det1:StatusMessage_RBV")

    def counters(self):
        """Acquired, streamed, written, missing."""
        return self.ca.gets(*(f"det1:Frames{what}" for what in ("Acquired", "Streamed", "Written", "Missing")))

    def end(self):
        for desk in self._desks:
            desk.end()
        code = self.server.stop()
        log = self.server.log.read_text()
        assert "Traceback" not in log, log
        return code


def gone(pid, seconds=15.0):
    """Wait until a process has ended."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            os.kill(pid, 0)
            with open(f"/proc/{pid}/stat") as stat:
                # Its files are closed when its last thread has ended.
                if stat.read().rpartition(")")[2].split()[0] == "Z" and len(os.listdir(f"/proc/{pid}/task")) == 1:
                    return
        except (ProcessLookupError, FileNotFoundError):
            return
        assert time.monotonic() < deadline, f"process {pid} lives on"
        time.sleep(0.05)


class Written:
    """A file that was written; `swmr` for one that others could read meanwhile, and that its writer did not close."""

    def __init__(self, path, swmr=False):
        self._swmr = swmr
        with h5py.File(path, swmr=swmr) as file:
            detector = file[DETECTOR]
            self.frames = len(detector["data"])
            self.columns = {
                name: detector[name][()]
                for name, item in detector.items()
                if isinstance(item, h5py.Dataset) and item.shape[:1] == (self.frames,) and name != "data"
            }
            self.end_time = file["/entry/end_time"][()]
        self.path = path

    def __getitem__(self, name):
        return self.columns[name]

    def lengths(self):
        """Of everything that has a row per frame, by name."""
        found = {}

        def look(name, item):
            rows = isinstance(item, h5py.Dataset) and item.maxshape and item.maxshape[0] is None
            if rows and "/series/" not in item.name:  # that has one per series
                found[name] = len(item)

        with h5py.File(self.path, swmr=self._swmr) as file:
            file.visititems(look)
        return found

    def mca(self, first, count):
        with h5py.File(self.path, swmr=self._swmr) as file:
            return file[f"{DETECTOR}/data"][first : first + count]

    def scalers(self, first, count):
        names = (
            "clock_ticks", "reset_ticks", "reset_count", "all_events", "all_good",
            "window1", "window2", "pileup", "total_ticks",
        )  # fmt: skip
        return np.stack([self.columns[name][first : first + count] for name in names], axis=-1)

    def check(self, settings, exposure, rows=None, event_widths=None):
        """Every valid row of `rows` (a slice) is the frame whose number it has, bit for bit."""
        first, stop, _ = (rows or slice(None)).indices(self.frames)
        ticks = round(exposure / CLOCK)
        for start in range(first, stop, 512):
            count = min(512, stop - start)
            numbers = self["frame_in_series"][start : start + count]
            valid = self["frame_status"][start : start + count] == 0
            mca, scalers = self.mca(start, count), self.scalers(start, count)
            for number, row in zip(numbers[valid], np.flatnonzero(valid), strict=True):
                expected_mca, expected_scalers = _expected(settings, ticks, int(number))
                assert np.array_equal(mca[row], expected_mca), f"frame {number}, row {start + row}"
                assert np.array_equal(scalers[row], expected_scalers), f"frame {number}, row {start + row}"
            assert not mca[~valid].any()
            factors = dead_time_factors(scalers, event_widths if event_widths is not None else [6.0] * scalers.shape[1])
            np.testing.assert_array_equal(self["dead_time_correction"][start : start + count][valid], factors[valid])


_cache: dict = {}


def _expected(settings, ticks, number):
    # Whole stretches at once: one frame costs nearly as much as a hundred.
    key = repr(settings), ticks, number // 256
    if key not in _cache:
        _cache.clear()
        _cache[key] = expected_frames(settings, ticks, number // 256 * 256, 256)
    mca, scalers = _cache[key]
    return mca[number % 256], scalers[number % 256]
