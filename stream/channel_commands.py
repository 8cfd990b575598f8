"""Settings of the channels: the calibration's, what goes over them, and what is written to their registers."""

from __future__ import annotations

import logging
from abc import abstractmethod
from typing import Any

from xsp3ioc.sdk import Xspress3
from xsp3ioc.stream.commands import Commanded

log = logging.getLogger(__name__)

CALIBRATED = ("good_threshold", "event_width", "window1_low", "window1_high", "window2_low", "window2_high")
"""Settings per channel that CONNECT takes from the calibration."""
HELD_BY_HARDWARE = ("trigger_mode", "invert_f0", "invert_veto", "debounce", *CALIBRATED)
"""Settings that cannot be put before there is a system: `preset` takes their first values."""


class ChannelCommands(Commanded):
    """Thresholds, windows, event widths."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.presets: dict[str, list[Any]] = {}
        """A value per channel that goes over the calibration's; None: it does not."""

    @property
    @abstractmethod
    def sdk(self) -> Xspress3:
        """The open system; StateError that says what to do if there is none."""

    def preset(self, name: str, values: list[Any]) -> None:
        """Take what the hardware holds from the configuration or the last run, before there is any hardware.

        A value per channel, or one. Windows, thresholds and event widths are the calibration's at every CONNECT; what
        is preset goes over them, None leaves a channel's alone. ValueError as for a put.
        """
        parameter = self.parameters[name]
        converted = [None if value is None else parameter.convert(value) for value in values]
        if not parameter.per_channel:
            self.update(name, converted[0])
            return
        self.presets[name] = converted

    def _apply_presets(self) -> None:
        for channel in range(self.values["channels"]):
            presets = {name: values[channel] for name, values in self.presets.items() if values[channel] is not None}
            for name, value in presets.items():
                label, old = self.parameters[name].label_of(channel), self.values[name][channel]
                if value != old:
                    log.warning("%s: %s of the calibration is replaced by %s", label, old, value)
            if "good_threshold" in presets:
                self._put_good_threshold(presets["good_threshold"], channel)
            if "event_width" in presets:
                self.update("event_width", presets["event_width"], index=channel)
            for window in (1, 2):
                names = f"window{window}_low", f"window{window}_high"
                if presets.keys() & names:
                    low, high = (presets.get(name, self.values[name][channel]) for name in names)
                    self._put_window(window - 1, low, high, channel)

    def _put_good_threshold(self, value: int, channel: int) -> None:
        self.sdk.set_good_threshold(channel, value)
        self.update("good_threshold", value, index=channel)

    def _put_window(self, window: int, low: int, high: int, channel: int) -> None:
        if low > high:
            label = f"Window {window + 1} of channel {channel + 1} (Tango: Window{window + 1}_Ch{channel})"
            raise ValueError(f"{label}: low {low} is above high {high}")
        self.sdk.set_window(channel, window, low, high)
        self.update(f"window{window + 1}_low", low, index=channel)
        self.update(f"window{window + 1}_high", high, index=channel)
        self.renew(f"window{window + 1}", index=channel)

    def _put_window1_low(self, value: int, channel: int) -> None:
        self._put_window(0, value, self.values["window1_high"][channel], channel)

    def _put_window1_high(self, value: int, channel: int) -> None:
        self._put_window(0, self.values["window1_low"][channel], value, channel)

    def _put_window2_low(self, value: int, channel: int) -> None:
        self._put_window(1, value, self.values["window2_high"][channel], channel)

    def _put_window2_high(self, value: int, channel: int) -> None:
        self._put_window(1, self.values["window2_low"][channel], value, channel)
