"""Settings that the hardware holds: what goes to its registers at once, and the directories they are saved in."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np
from numpy.typing import NDArray

from xsp3ioc import __version__
from xsp3ioc.sdk import DeadtimeFlag, DeadtimeParameters, MissingFunction, Xspress3, Xspress3Error
from xsp3ioc.stream.array_commands import ArrayCommands
from xsp3ioc.stream.array_values import shape_values
from xsp3ioc.stream.channel_commands import ChannelCommands
from xsp3ioc.stream.connection import TRIGGERS, System, check_settings, prepare, program
from xsp3ioc.stream.life import State, StateError
from xsp3ioc.stream.orders import SettingsFiles
from xsp3ioc.stream.parameter import Severity
from xsp3ioc.stream.recent_frames import RecentFrames
from xsp3ioc.stream.settings_files import read_settings_files

SAVED = " "
"""What CONFIG_SAVE_PATH shows after it has been used, as its clients know it."""


class SettingsCommands(ArrayCommands, ChannelCommands):
    """Timing; saving and restoring; and what the hardware has, whoever has set it."""

    state: State

    recent_frames: RecentFrames

    def __init__(self, system: System) -> None:
        super().__init__(system.channels)
        self._system = system
        self._sdk: Xspress3 | None = None
        self.clock_period = 12.5e-9
        """Seconds per tick, from the library once it is connected."""
        self.simulated = False
        self._revision = 0
        self._settings_files = SettingsFiles()
        frames, cards = system.connection.frames, system.connection.cards
        self.values |= {"frames_config": frames, "ring_frames": frames, "max_channels": system.channels, "cards": cards}
        self.values["gap_time"] = self._gap_time()
        self.values |= shape_values(system.channels, self.values["corrected"])

    def _gap_time(self) -> float:
        return round(self._system.gap.cycles * self.clock_period, 12)

    @property
    def sdk(self) -> Xspress3:
        """The open system; StateError that says what to do if there is none."""
        if self._sdk is None or self.state in (State.disconnected, State.connecting):
            raise StateError("Not connected: write 1 to CONNECT (Tango: Init)")
        if self.state is State.fault:
            raise StateError(f"{self.event} (fault; write 1 to RESET or CONNECT, or Init in Tango)")
        return self._sdk

    @abstractmethod
    def _go_on(self) -> None:
        """Raise StateError in a command that was given up: what it has waited for comes too late."""

    @property
    def event_widths(self) -> NDArray[np.float64]:
        """(channels,) ticks, as used for the dead time."""
        return np.array(self.values["event_width"], np.float64)

    @abstractmethod
    def _wait_for_stop(self) -> None:
        """Let a series that was told to stop end."""

    def _refuse_while_acquiring(self, what: str) -> None:
        self._wait_for_stop()
        if self.series is not None:
            raise StateError(f"{what} while acquiring: stop first")

    # what the hardware has

    def _read_back(self, sdk: Xspress3) -> None:
        """Learn what the calibration has set: windows, thresholds, event widths are the hardware's own."""
        channels = range(sdk.channels)
        if sdk.channels != self._system.channels:
            raise StateError(f"The system has {sdk.channels} channels, not the {self._system.channels} of the server")
        windows = [[sdk.window(channel, window) for channel in channels] for window in (0, 1)]
        dead_times = [_dead_time_parameters(sdk, channel) for channel in channels]
        self.clock_period = sdk.clock_period()
        self.simulated = sdk.simulated
        self._revision = sdk.revision
        self.update_all(
            {
                "model": sdk.model + (" (emulated)" if sdk.simulated else ""),
                "firmware_version": sdk.firmware,
                "sdk_version": sdk.library_name[-39:],
                "driver_version": __version__,
                "max_channels": sdk.channels,
                "cards": sdk.cards,
                "ring_frames": sdk.ring,
                "gap_time": self._gap_time(),
                "good_threshold": [sdk.good_threshold(channel) for channel in channels],
                "window1_low": [low for low, _ in windows[0]],
                "window1_high": [high for _, high in windows[0]],
                "window2_low": [low for low, _ in windows[1]],
                "window2_high": [high for _, high in windows[1]],
                "event_width": [float(sdk.event_width(channel)) for channel in channels],
                "dtc_flags": [int(of.flags) for of in dead_times],
                "dtc_event_gradient": [of.all_event_gradient for of in dead_times],
                "dtc_event_offset": [of.all_event_offset for of in dead_times],
                "dtc_window_gradient": [of.in_window_gradient for of in dead_times],
                "dtc_window_offset": [of.in_window_offset for of in dead_times],
            }
        )
        self.renew("window1")
        self.renew("window2")

    # directories

    def _put_save_settings(self, value: bool, channel: int | None) -> None:
        sdk = self.sdk
        self._refuse_while_acquiring("SAVE_SETTINGS")
        directory = self.values["config_save_path"].strip()
        if not directory:
            raise ValueError("SAVE_SETTINGS: CONFIG_SAVE_PATH is empty; it must name an empty directory")
        sdk.save_settings(directory)
        self._settings_files = read_settings_files(directory)
        self.update("config_save_path", SAVED)
        self.say(f"Saved Configuration to {directory}")

    def _put_restore_settings(self, value: bool, channel: int | None) -> None:
        sdk = self.sdk
        self._refuse_while_acquiring("RESTORE_SETTINGS")
        directory = self.values["config_path"]
        if not directory.strip():
            raise ValueError("RESTORE_SETTINGS: CONFIG_PATH is empty; it must name the directory to restore from")
        check_settings(directory)
        self.recent_frames.forget()
        try:
            prepare(sdk, directory, self.values["playback"], self._go_on)
        except Xspress3Error:
            self._go_on()
            self._read_back(sdk)  # some of them may have been loaded
            raise
        self._read_back(sdk)
        self._settings_files = read_settings_files(directory)
        self._apply_presets()
        self.say(f"Restored Configuration from {directory}")

    def _put_frames_config(self, value: int, channel: int | None) -> None:
        most = self._system.connection.frames
        if value > most:
            raise ValueError(
                f"NUM_FRAMES_CONFIG = {value} is above {most}, the ring_frames of [detector] in the server's "
                "configuration"
            )
        self.update("frames_config", value)

    # timing

    def _put_trigger_mode(self, value: int, channel: int | None) -> None:
        self._program_timing("trigger_mode", value)
        parameter = self.parameters["trigger_mode"]
        if value >= len(parameter.choices):
            self._show_trigger_mode(value)
            shown = parameter.text(parameter.state(value))
            self.say(f"Trigger mode {value}, {parameter.text(value)}: TriggerMode has no state for it, shows {shown}")

    def _show_trigger_mode(self, value: int) -> None:
        """Show it, with an alarm if the record has no state for it."""
        plain = value < len(self.parameters["trigger_mode"].choices)
        if value != self.values["trigger_mode"] or not plain:
            self.update("trigger_mode", value, severity=Severity.good if plain else Severity.minor)

    def _put_invert_f0(self, value: int, channel: int | None) -> None:
        self._program_timing("invert_f0", value)

    def _put_invert_veto(self, value: int, channel: int | None) -> None:
        self._program_timing("invert_veto", value)

    def _put_debounce(self, value: int, channel: int | None) -> None:
        self._program_timing("debounce", value)

    def _program_timing(self, name: str, value: int) -> None:
        """Set the timing at once, or with the next series if one is running."""
        if self.state is State.idle:
            values = self.values | {name: value}
            self._program(self.sdk, values, 1)
        elif self.state is not State.acquiring:
            _ = self.sdk  # says why not
        self.update(name, value)

    def _program(self, sdk: Xspress3, values: dict, frames: int) -> None:
        ticks = max(2, round(values["exposure_time"] / self.clock_period))
        program(
            sdk,
            TRIGGERS[values["trigger_mode"]],
            frames,
            ticks,
            self._system.gap,
            bool(values["invert_f0"]),
            bool(values["invert_veto"]),
            values["debounce"],
        )


def _dead_time_parameters(sdk: Xspress3, channel: int) -> DeadtimeParameters:
    try:
        return sdk.dead_time_parameters(channel)
    except MissingFunction:
        return DeadtimeParameters(DeadtimeFlag(0), *(0.0,) * 8)
