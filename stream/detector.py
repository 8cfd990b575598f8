"""The core: one detector with its parameters, its queue of commands, its sockets and its watchdog."""

from __future__ import annotations

import logging
import secrets
import tempfile
import threading
import time
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from xsp3ioc.stream.acquisition import Acquisition
from xsp3ioc.stream.arm_commands import ArmCommands
from xsp3ioc.stream.array_values import pool_values
from xsp3ioc.stream.capture_file import CaptureFile
from xsp3ioc.stream.commands import WATCHDOG
from xsp3ioc.stream.connection import System
from xsp3ioc.stream.data_socket import DataSocket
from xsp3ioc.stream.departures import Departure, Departures
from xsp3ioc.stream.energies import Energies
from xsp3ioc.stream.expected import Expected
from xsp3ioc.stream.life import State
from xsp3ioc.stream.messages import Block
from xsp3ioc.stream.monitor_answers import MonitorAnswers
from xsp3ioc.stream.monitor_socket import MonitorSocket
from xsp3ioc.stream.parameter import Severity
from xsp3ioc.stream.places import Places
from xsp3ioc.stream.plugin_commands import PluginCommands
from xsp3ioc.stream.plugins import PluginCounts
from xsp3ioc.stream.recorder import Recorder
from xsp3ioc.stream.roi_analysis import RoiAnalysis
from xsp3ioc.stream.roi_commands import RoiCommands
from xsp3ioc.stream.scaler_analysis import ScalerAnalysis
from xsp3ioc.stream.scaler_attributes import ScalerAttributes
from xsp3ioc.stream.scaler_commands import ScalerCommands
from xsp3ioc.stream.series import Series, SeriesError
from xsp3ioc.stream.side_streams import open_beside
from xsp3ioc.stream.subscriber import Audience

log = logging.getLogger(__name__)

TICK = 0.1
"""Seconds between two looks of the watchdog, and two pictures of the data."""
HEARTBEAT = 50
"""Looks of the watchdog between two questions to an idle system whether it is there, or to a lost one if it is back."""
CALL_TIMEOUT = 5.0
"""Seconds after which a call of the library that has not come back is a fault."""
CONNECT_TIMEOUT = 120.0
"""The same for connecting: real boxes take their time."""


class Detector(RoiCommands, ScalerCommands, ArmCommands, PluginCommands, ScalerAttributes, Energies):
    """Parameters and commands; `put` asks for a change, `subscribe` hears of every change, from any thread."""

    def __init__(self, system: System, places: Places, pool_bytes: int = 1 << 30, fsync: float = 0.0) -> None:
        """Serve the sockets and start the file writer; `connect` opens the system. OSError: a port is in use.

        `fsync`: seconds after which what was written is put on the disk itself; 0: never.
        """
        super().__init__(system, pool_bytes)
        self.expected = Expected(places.expect, places.expect_timeout, lambda: self.recorder.start())
        self.answers = MonitorAnswers(self)
        self._rois, self._scalers = RoiAnalysis(self), ScalerAnalysis(self)
        self._plugins = PluginCounts(self)
        self._analyses = [self._rois, self._scalers, self._plugins]
        self._stops = []
        self._departures = Departures()
        self._acquisition: Acquisition
        self._shown: Block | None = None
        self._began = time.monotonic()
        self._rate = (self._began, 0, 0)
        token = secrets.token_hex(16)
        self._directory = tempfile.TemporaryDirectory(prefix="xsp3ioc-")
        private = f"ipc://{Path(self._directory.name) / 'data'}"
        with ExitStack() as undo:
            undo.callback(self._directory.cleanup)
            self.data = DataSocket(
                [private, places.endpoint(places.data_port)],
                self.pool,
                token,
                lambda report: self.recorder.hear(report),
                self._show_subscribers,
                places.compression,
                places.curve,
            )
            undo.callback(self.data.close)
            self.monitor = MonitorSocket(places.endpoint(places.monitor_port), self.answers, places.curve)
            undo.callback(self.monitor.close)
            frame_bytes = self.pool.channels * self.pool.bins * 4
            self.beside = open_beside(self.data, places, frame_bytes, self._on_drop)
            undo.pop_all()  # all are open
        self.recorder = Recorder(self.data, private, token, self.pool, self._hear_capture, self._on_written, fsync)
        self.recorder.start()
        self.data.start()
        self.monitor.start()
        for stream in self.beside.values():
            stream.start()
        self._ended = threading.Event()
        self._ticker = threading.Thread(target=self._tick, name="watchdog", daemon=True)
        self._ticker.start()
        self.start_looking_at_disk(self._ended)

    def _on_drop(self, text: str) -> None:
        self.say(text, Severity.minor, logging.INFO)  # how many it were, is logged when the series is over

    def _show_subscribers(self, left: Departure | None) -> None:
        if left is not None:
            self._departures.add(left)
        self.update_changed({"subscribers": len(self.data.subscribers.select())})
        for writer in self.data.subscribers.select(writer=True):
            self.update_changed({"file_plugin": f"NDFileHDF5 ver{writer.library}"})

    def _say_who_left(self, at_once: bool = False) -> None:
        if text := self._departures.told(at_once):
            self.say(text, Severity.minor)

    def _hear_capture(self, file: CaptureFile) -> None:
        self._show_capture(file)
        if file.over:
            self._on_capture_over(file)

    # the watchdog

    def _tick(self) -> None:
        turn = 0
        while not self._ended.wait(TICK):
            turn += 1
            try:
                self._answer_stops()
                self._watch()
                self._show(turn)
            except Exception:
                log.exception("The watchdog stumbled and goes on")

    def _show(self, turn: int) -> None:
        with self._showing:
            series = self.series
            if series is not None and self.state in (State.acquiring, State.finishing):
                if series.latest is not self._shown:
                    self._shown = series.latest
                    self._show_frame(series)
                if turn % 2 == 0:
                    self._show_progress(series)
                    self._show_rate(series)
        self.update_changed({"beats": int(time.monotonic() - self._began)})
        self._say_who_left()
        if turn % 5 == 0:
            self._show_headroom(series)
            self._show_queue()
            dropped = {f"{name}_dropped": stream.dropped for name, stream in self.beside.items()}
            self.update_changed(pool_values(self.pool) | dropped)
        if turn % HEARTBEAT == 0:
            self._look_after_system()
        if turn % 50 == 0:
            self.data.probe(None)
            if series is None:
                self.pool.trim()

    def _look_after_system(self) -> None:
        if self._queue.current is not None or self.closing:
            return
        if self.state is State.idle:
            self.put("heartbeat", True, who=WATCHDOG)
        elif self.state is State.disconnected and self._lost and self.values["auto_reconnect"]:
            self.put("connect", True, who=WATCHDOG)

    def _watch(self) -> None:
        """Notice a call of the library that does not come back."""
        command = self._queue.current
        pending = self._sdk.pending if self._sdk is not None else None
        late = pending is not None and pending[1] > CALL_TIMEOUT
        if pending is not None and late and command is not None and command.name == "heartbeat":
            with self._lock:
                self._queue.replace()
                self._sdk = None  # closing it would hang too
                self.recent_frames.forget(0)
                self._lose(f"{pending[0]} has not returned for {pending[1]:.0f} s")
        elif pending is not None and late and self.state is not State.fault:
            self._fault(f"{pending[0]} has not returned for {pending[1]:.0f} s")
        elif (
            command is not None
            and (self.state is State.fault or command.name == "disconnect")
            and time.monotonic() - command.began > CALL_TIMEOUT
        ):
            self._fault(f"{self.parameters[command.name].label} has not ended for {CALL_TIMEOUT:.0f} s")
        elif command is not None and time.monotonic() - command.began > CONNECT_TIMEOUT:
            self._fault(f"{self.parameters[command.name].label} has not ended for {CONNECT_TIMEOUT:.0f} s")

    def _fault(self, text: str) -> None:
        with self._lock:
            self._move("fail")
            series, self.series = self.series, None
            stuck = self._queue.replace() if self._queue.current is not None else None
        self.say(f"Fault: {text}", Severity.major)
        if stuck is not None:
            stuck.fail(SeriesError(f"Fault: {text}"))
        if series is not None:
            series.abandoned.set()
            series.reason, series.over = "failed", True
            self._tell_end(series, self._acquisition.messages, series.audience)
            self._show_progress(series)
            file = series.file
            if file is not None and file is self.recorder.file:
                self._order_closed(series, file, f"was closed before its end, Fault: {text}")
            self.update_all({"acquire": False, "acquire_busy": False, "time_remaining": 0.0})
            self._renew_ready()
            if not series.done.done():
                series.done.set_exception(SeriesError(f"Fault: {text}"))

    def _show_rate(self, series: Series) -> None:
        since, series_id, frames = self._rate
        now = time.monotonic()
        if series_id != series.id:
            self._rate = (series.start_monotonic, series.id, 0)
        elif now - since >= 1.0:
            rate = (series.acquired - frames) / (now - since)
            file_rate = rate if series.audience is Audience.all else 0.0
            shown = self._plugins.rates(rate if series.shown else 0.0)
            self.update_all({"frame_rate": rate, "file_rate": file_rate} | shown)
            self._rate = (now, series.id, series.acquired)

    def _show_headroom(self, series: Series | None) -> None:
        ring = self.values["ring_frames"]
        pool = self.pool.slabs * self.pool.slab_frames
        waiting = max(0, self._acquisition.furthest - series.next) if series is not None else 0
        room = max(0.0, ring - waiting) + self.pool.headroom * pool
        percent = round(100 * room / (ring + pool), 1)
        severity = Severity.good if percent >= 50 else Severity.minor if percent >= 20 else Severity.major
        frame_time = (series.header.exposure + series.header.gap) if series is not None else 0.0
        seconds = round(room * (frame_time or self.values["exposure_time"]), 1)
        if self.values["ring_headroom"] != percent:
            self.update("ring_headroom", percent, severity=severity)
        if self.values["seconds_to_overrun"] != seconds:
            self.update("seconds_to_overrun", seconds, severity=severity)

    # the end

    def shut_down(self, patience: float = 8.0) -> None:
        """Stop, close the file, say the end on the stream, close the system; leave behind what does not end in time."""
        deadline = time.monotonic() + patience
        self.closing = True
        self._await(self.put("acquire", False, who="server"), min(2.0, patience))
        self.recorder.shut_down(max(0.5, deadline - time.monotonic() - 2.0))
        self._free_held(0.5)
        series = self.series
        if series is not None:
            self._give_up(series, max(0.5, deadline - time.monotonic() - 1.0))
        if self.state in (State.idle, State.fault):
            self._await(self.put("disconnect", True, who="server"), max(0.2, deadline - time.monotonic()))
        self._ended.set()
        self.monitor.close()
        for stream in self.beside.values():
            stream.close()
        self.data.close()
        self._say_who_left(at_once=True)
        self._directory.cleanup()

    def _give_up(self, series: Series, patience: float) -> None:
        """End a series that has not ended with its file; its subscribers hear of it in any case."""
        series.abandoned.set()
        self._await(series.done, patience)
        if self.series is series:
            series.reason = "abandoned: the server stopped"
            self._tell_end(series, self._acquisition.messages, Audience.others)

    def _await(self, future: Future[Any], seconds: float) -> None:
        try:
            future.result(seconds)
        except FutureTimeoutError:
            log.error("Not done in %.1f s, left behind", seconds)
        except Exception as error:
            if str(error) != self.event:  # that has been said
                log.error("%s", error)
