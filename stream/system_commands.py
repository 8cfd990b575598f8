"""Connecting and disconnecting the system, noticing that it is gone, and erasing."""

from __future__ import annotations

import logging
from abc import abstractmethod
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from xsp3ioc.sdk import Xspress3, Xspress3Error
from xsp3ioc.stream.analysis import Analysis
from xsp3ioc.stream.array_values import identity_values
from xsp3ioc.stream.connection import System, check_settings, open_system
from xsp3ioc.stream.declared import BINS, DETECTOR_STATES
from xsp3ioc.stream.display import Sum, blank_values
from xsp3ioc.stream.heartbeat import Heartbeat
from xsp3ioc.stream.life import State, StateError, after
from xsp3ioc.stream.parameter import Severity
from xsp3ioc.stream.plugins import passing
from xsp3ioc.stream.pool import Pool
from xsp3ioc.stream.recent_frames import RecentFrames
from xsp3ioc.stream.settings_commands import SettingsCommands
from xsp3ioc.stream.settings_files import read_settings_files
from xsp3ioc.stream.window_counts import WindowCounts

log = logging.getLogger(__name__)

SHOWN_STATE = {
    State.disconnected: "Disconnected",
    State.connecting: "Initializing",
    State.idle: "Idle",
    State.acquiring: "Acquire",
    State.finishing: "Readout",
    State.fault: "Error",
}


class SystemCommands(SettingsCommands):
    """What concerns the hardware while it does not count."""

    def __init__(self, system: System, pool_bytes: int) -> None:
        super().__init__(system)
        self.state = State.disconnected
        self.pool = Pool(system.channels, BINS, pool_bytes)
        self.sum = Sum(system.channels, BINS)
        self.window_counts = WindowCounts(system.channels)
        self.recent_frames = RecentFrames()
        self._analyses: list[Analysis] = []
        self.restarting = False
        """RESTART was written: the process shall end, with the exit code that says so."""
        self.on_restart: Callable[[], object] = lambda: None
        self._being_closed: Xspress3 | None = None
        self._heartbeat = Heartbeat()
        self._lost = False
        """The system went away by itself, and may come back."""

    def _move(self, event: str, shown: str = "") -> None:
        """Change the state as the table says, and show it; `shown` where a client is used to another word."""
        with self._lock:
            self.state = after(self.state, event)
            self.update("detector_state", DETECTOR_STATES.index(shown or SHOWN_STATE[self.state]))

    @abstractmethod
    def _fault(self, text: str) -> None:
        """Give up what runs; `reset` or `connect` goes on."""

    def _put_connect(self, value: bool, channel: int | None) -> None:
        if self.closing:
            raise StateError("The server is stopping")
        self._wait_for_stop()
        check_settings(self.values["config_path"])
        closing = self._being_closed
        if closing is not None and closing.pending is not None:
            # It would close the next connection, which has the same handle.
            name, seconds = closing.pending
            raise StateError(f"{name} has not returned for {seconds:.0f} s; write 1 to RESTART if it never does")
        self._move("connect")
        try:
            self._close_sdk()
            # One that comes too late is not closed: the library gives the next connection the same handle.
            values = self.values
            sdk = open_system(
                self._system, values["frames_config"], values["config_path"], values["playback"], self._go_on
            )
            self._go_on()
            self._sdk = sdk
            self._read_back(sdk)
            self._settings_files = read_settings_files(values["config_path"])
        except Exception:
            if self._queue.left_behind:
                raise
            self._close_sdk()
            self._move("fail")
            self.update("connected", False)
            raise
        self._move("connected")
        self._lost = False
        self.update_all({"connect": True, "disconnect": False, "connected": True})
        self._apply_presets()
        self.say("System Connected")

    def _put_disconnect(self, value: bool, channel: int | None) -> None:
        self._wait_for_stop()
        after(self.state, "disconnect")
        self._lost = False
        self._close_sdk()
        self._go_on()
        self._move("disconnect")
        self.update_all({"connect": False, "disconnect": True, "connected": False})
        self.say("System disconnected.")

    def _close_sdk(self) -> None:
        sdk, self._sdk = self._sdk, None  # first: when the library is back, it may be somebody else's
        if sdk is not None:
            self._being_closed = sdk
            self.recent_frames.forget()
            try:
                sdk.close()
            finally:
                self._being_closed = None

    def _go_on(self) -> None:
        """Raise StateError in a command that was given up: what it has waited for comes too late."""
        if self._queue.left_behind:
            raise StateError("the library has come back too late")

    def _put_heartbeat(self, value: bool, channel: int | None) -> None:
        """Notice, while nothing runs, that the system is gone or has lost what it was told."""
        sdk = self._sdk
        if sdk is None or self.state is not State.idle:
            return
        try:
            beat = self._heartbeat.listen(sdk)
        except Xspress3Error as error:
            self._go_on()
            self._lose(str(error))
            return
        self._go_on()
        if beat is None:
            return
        self.update_changed({"temperature": beat.temperature, "temperatures": np.array(beat.temperatures)})
        if beat.revision != self._revision:
            self._lose(f"its firmware revision is {beat.revision:#x} now, not {self._revision:#x}")

    def _lose(self, why: str) -> None:
        self._move("lost")
        self._lost = True
        try:
            self._close_sdk()
        except Xspress3Error as error:
            log.warning("The lost system cannot be closed: %s", error)
        self.update_all({"connect": False, "connected": False})
        again = self.values["auto_reconnect"]
        then = "it is connected again when it comes back" if again else "write 1 to CONNECT (Tango: Init)"
        self.say(f"The detector does not answer: {why}; {then}", Severity.major)

    def _put_restart(self, value: bool, channel: int | None) -> None:
        if value:
            self.restarting = True
            self.say("The server restarts")
            self.on_restart()

    def _put_reset(self, value: bool, channel: int | None) -> None:
        if self.state not in (State.fault, State.idle):
            _ = self.sdk  # says what to do where there is none
            return  # nothing is wrong
        if self.state is State.fault:
            if self._sdk is None or self._sdk.pending is not None:
                raise StateError(f"{self.event}; it has not come back: restart the server")
            self._sdk.stop()
        self._move("reset")
        self.say("Ready")

    def _put_erase(self, value: bool, channel: int | None) -> None:
        self._refuse_while_acquiring("ERASE")
        if self.state is not State.disconnected:
            sdk = self.sdk
            self.recent_frames.forget()
            # What the next series may use, and all that the last one has.
            sdk.clear(min(max(self.values["frames"] + 1, self.values["frames_read"]), sdk.ring))
        self._erase()
        self.update("erase", True)
        self.say("Erased Data")

    def _put_sum_reset(self, value: bool, channel: int | None) -> None:
        if value:
            with self._showing:
                self.sum.erase()
                self.update_all({"mca_sum": self.sum.shown()[0], "sum_frames": 0})
        self.update("sum_reset", value)

    def _erase(self, disabled: bool = True) -> None:
        """Zero the sums and what is shown; `disabled`: by plugins that are switched off too."""
        values, channels = self.values, self._system.channels
        everywhere = np.full(channels, disabled)
        with self._showing:
            if disabled or values["summing_enabled"]:
                self.sum.erase()
                self.update_changed({"sum_frames": 0})
            for analysis in self._analyses:
                analysis.erase(disabled)
            self._show_spectra("mca", np.zeros((channels, BINS)), everywhere | passing(values, "spectrum"))
            self._show_spectra("mca_sum", np.zeros((channels, BINS)), everywhere | passing(values, "sum_spectrum"))
            self.update_all(blank_values(channels))
        self.update_changed({"frames_read": 0, "frames_done": 0} | identity_values(None))

    def _show_spectra(
        self, name: str, spectra: NDArray[np.float64], channels: NDArray[np.bool_], at: float | None = None
    ) -> None:
        """Show spectra (channels, bins) of some `channels`; the others keep theirs."""
        if channels.all():
            self.update(name, spectra, at=at)
            return
        with self._lock:
            if isinstance(shown := self.values[name], np.ndarray):
                self.values[name] = shown.copy()  # a face may be about to show that one
            for channel in np.flatnonzero(channels).tolist():
                self.update(name, spectra[channel], index=channel, at=at)
