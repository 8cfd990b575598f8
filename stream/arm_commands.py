"""Arm: a series and its file in one, as Tango's clients ask for it; and what follows what of both faces' settings."""

from __future__ import annotations

import math
import os
from concurrent.futures import Future
from typing import Any

import numpy as np

from xsp3ioc.stream.acquisition_commands import COUNTERS, AcquisitionCommands
from xsp3ioc.stream.capture_file import CaptureFile
from xsp3ioc.stream.connection import ARM_TRIGGERS, TRIGGERS, arm_trigger_mode, arm_trigger_name
from xsp3ioc.stream.detector_parameters import BINS, MAX_FRAMES
from xsp3ioc.stream.heading import MULTIPLE
from xsp3ioc.stream.parameter import Index

GATE_DEBOUNCE = 80
"""Clock cycles, where a gate makes the frames and no debounce is set."""
NEARLY = 1e-3
"""Part of a tick by which the sum of times may miss a whole one."""
DIGITS = 12
"""Decimals of a time in s that mean something."""


class ArmCommands(AcquisitionCommands):
    """Puts to the parameters of `ArmParameters`, and to those that they follow."""

    def _put_arm(self, value: bool, channel: int | None) -> Future[Any] | None:
        if not value:
            self.update("arm", False)
            return None
        sdk = self._ready_to_start("Arm")
        settings = self._settings_of_arm()
        name = self.values["destination"] if self.values["write_destination"] else ""
        if name:
            self._let_close()
        if name and self._occupied:
            raise RuntimeError(
                f"Arm with DestinationFileName while {self._occupied}: Capture = 0 closes it, DestinationFileName = "
                "'' records into it"
            )
        # First: while a slow disk opens the file, nobody must take the last series' frames for this one's.
        self.update_all(dict.fromkeys(COUNTERS, 0))
        file = self._open_destination(name, settings) if name else self._file_for_series()
        self._show_trigger_mode(settings.pop("trigger_mode"))
        self.update_changed(settings)
        return self._begin(sdk, file)

    def _settings_of_arm(self) -> dict[str, Any]:
        """Return the settings of the series; ValueError: there is none like this."""
        values = self.values
        triggers, each = values["triggers"], values["frames_per_trigger"]
        if triggers > 1 and each > 1:
            raise ValueError(
                f"nFramesPerTrigger can only be > 1 if nTriggers = 1; they are {each} and {triggers}"
            )
        mode = arm_trigger_mode(values["arm_trigger"], triggers)
        settings = {"trigger_mode": mode, "image_mode": MULTIPLE, "frames": triggers * each}
        if TRIGGERS[mode].exposed:
            settings["exposure_time"] = self._counting_time()
            self._check_counting_time(settings["exposure_time"])
        elif values["arm_trigger"] == "EXTERNAL_MULTI_GATE" and not values["debounce"]:
            settings["debounce"] = GATE_DEBOUNCE
        return settings

    def _counting_time(self) -> float:
        """Return the part of the frame period that is for counting, in whole ticks; s."""
        values = self.values
        time = values["frame_time"] - values["latency_time"] - values["gap_time"]
        return round(math.floor(time / self.clock_period + NEARLY) * self.clock_period, DIGITS)

    def _can_count(self, time: float) -> bool:
        try:
            self.parameters["exposure_time"].convert(time)
        except ValueError:
            return False
        return True

    def _check_counting_time(self, time: float) -> None:
        if not self._can_count(time):
            allowed = self.parameters["exposure_time"]
            parts = ", ".join(
                f"{self.parameters[name].tango} = {self.parameters[name].text(self.values[name])}"
                for name in ("frame_time", "latency_time", "gap_time")
            )
            raise ValueError(
                f"{parts} leave {time:.9g} s for counting; possible are {allowed.low:g} to {allowed.high:g} s"
            )

    def _open_destination(self, filename: str, settings: dict[str, Any]) -> CaptureFile:
        """Open the file of a series with such settings."""
        overwrite = self.values["destination_overwritable"]
        exposure = settings.get("exposure_time", self.values["exposure_time"])

        def make() -> CaptureFile:
            order = self._order_of(
                filename, exposure, frames=settings["frames"], overwrite=overwrite, underscore=not overwrite,
                increment=False,
            )  # fmt: skip
            return CaptureFile(order, with_series=True)

        return self._open_for_series(make)

    def _put_destination(self, value: str, channel: int | None) -> None:
        if value and (not os.path.isabs(value) or value.endswith("/")):
            raise ValueError(f"DestinationFileName = {value!r} is no path of a file that begins with /; '' is no file")
        self.update("destination", value)

    # what follows what

    def _put_frame_time(self, value: float, channel: int | None) -> None:
        self.update("frame_time", value)
        self._share_exposure()

    def _put_latency_time(self, value: float, channel: int | None) -> None:
        self.update("latency_time", value)
        self._share_exposure()

    def _share_exposure(self) -> None:
        """Have AcquireTime follow, unless that is not possible: Arm will say so, another put may come before."""
        time = self._counting_time()
        if self._can_count(time):
            self.update_changed({"exposure_time": time})

    def _put_exposure_time(self, value: float, channel: int | None) -> None:
        self.update("exposure_time", value)
        period = value + self.values["latency_time"] + self.values["gap_time"]
        self.update_changed({"frame_time": round(period, DIGITS)})

    def _put_triggers(self, value: int, channel: int | None) -> None:
        self.update("triggers", value)
        self._share_frames()

    def _put_frames_per_trigger(self, value: int, channel: int | None) -> None:
        self.update("frames_per_trigger", value)
        self._share_frames()

    def _share_frames(self) -> None:
        triggers, each = self.values["triggers"], self.values["frames_per_trigger"]
        if min(triggers, each) == 1 and (frames := triggers * each) <= MAX_FRAMES:
            super()._put_frames(frames, None)
        if self.values["trigger_mode"] in ARM_TRIGGERS[self.values["arm_trigger"]]:
            self._show_trigger_mode(arm_trigger_mode(self.values["arm_trigger"], triggers))

    def _put_frames(self, value: int, channel: int | None) -> None:
        super()._put_frames(value, channel)
        each = self.values["triggers"] > 1
        self.update_changed({"triggers": value if each else 1, "frames_per_trigger": 1 if each else value})

    def _put_arm_trigger(self, value: str, channel: int | None) -> None:
        mode = arm_trigger_mode(value, self.values["triggers"])
        self.update("arm_trigger", value)
        self._show_trigger_mode(mode)

    def _put_trigger_mode(self, value: int, channel: int | None) -> None:
        super()._put_trigger_mode(value, channel)
        self.update_changed({"arm_trigger": arm_trigger_name(value)})

    # windows, both ends at once

    def _put_window1(self, value: np.ndarray, channel: int) -> None:
        low, high = value.clip(0, BINS - 1).tolist()
        self._put_window(0, low, high, channel)

    def _put_window2(self, value: np.ndarray, channel: int) -> None:
        low, high = value.clip(0, BINS - 1).tolist()
        self._put_window(1, low, high, channel)

    def _get_window1(self, index: Index) -> np.ndarray:
        return self._ends_of_window(1, index)

    def _get_window2(self, index: Index) -> np.ndarray:
        return self._ends_of_window(2, index)

    def _ends_of_window(self, window: int, index: Index) -> np.ndarray:
        """(2,) of a channel, (channels, 2) of all."""
        ends = np.array([self.values[f"window{window}_low"], self.values[f"window{window}_high"]]).T
        return ends if index is None else ends[index]
