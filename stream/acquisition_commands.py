"""Start, trigger, stop and end of a series."""

from __future__ import annotations

import logging
import time
from concurrent.futures import Future
from typing import Any

import numpy as np

from xsp3ioc.sdk import Xspress3
from xsp3ioc.stream.acquisition import Acquisition
from xsp3ioc.stream.array_values import identity_values
from xsp3ioc.stream.attribute_commands import AttributeCommands
from xsp3ioc.stream.capture_file import CaptureFile
from xsp3ioc.stream.connection import TRIGGERS, System
from xsp3ioc.stream.data_socket import DataSocket
from xsp3ioc.stream.display import frame_spectra, frame_values
from xsp3ioc.stream.expected import Expected
from xsp3ioc.stream.heading import make_header
from xsp3ioc.stream.life import StateError
from xsp3ioc.stream.messages import Block
from xsp3ioc.stream.parameter import Index, Severity
from xsp3ioc.stream.plugins import PluginCounts, passing
from xsp3ioc.stream.series import Series, SeriesError
from xsp3ioc.stream.stopping import Stopping
from xsp3ioc.stream.subscriber import Audience
from xsp3ioc.stream.trigger_commands import TriggerCommands

log = logging.getLogger(__name__)

COUNTERS = (
    "frames_read", "frames_done", "frames_acquired", "frames_streamed", "frames_written", "frames_missing",
    "images_done", "exposures_done",
)  # fmt: skip
SHOW = 0.05
"""Seconds between two times that the acquisition itself shows how many frames there are."""
SUBSCRIBER_PATIENCE = 1.0
"""Seconds that the end of a series waits for a subscriber that takes nothing; half as long after a stop."""
LONGEST_WAIT = 10.0
"""Seconds that it waits for one that takes something: at 1 MB/s the whole pool would take a quarter of an hour."""


class AcquisitionCommands(TriggerCommands, Stopping, AttributeCommands):
    """Commands of a series."""

    data: DataSocket
    expected: Expected
    """Subscribers without whom no series begins."""
    _acquisition: Acquisition
    _plugins: PluginCounts
    _series_id = 0
    _shown_at = 0.0

    def __init__(self, system: System, pool_bytes: int) -> None:
        super().__init__(system, pool_bytes)

    # arm

    def _put_acquire(self, value: bool, channel: int | None) -> Future[Any]:
        sdk = self._ready_to_start("Acquire = 1")
        return self._begin(sdk, self._file_for_series())

    def _ready_to_start(self, what: str) -> Xspress3:
        """Return the system that a series can begin on; StateError says why `what` is not possible."""
        sdk = self.sdk
        self._wait_for_stop()
        if self.closing:
            raise StateError("The server is stopping")
        with self._lock:
            running = self.series
        if running is not None:
            raise StateError(
                f"{what} while {self.state.value}: {running.next} frames of series {running.id} are read; "
                "stop it first"
            )
        self.expected.wait(self.data, what, self.say, lambda: self._queue.interrupted.is_set() or self.closing)
        return sdk

    def _begin(self, sdk: Xspress3, file: CaptureFile | None) -> Future[Any]:
        """Start a series as the settings are now; what is returned ends when it is over."""
        try:
            series = self._new_series(file)
            self._start(sdk, series)
        except Exception:
            self._close_series_file()
            raise
        self.update_all(dict.fromkeys(COUNTERS, 0) | {"soft_trigger": False})
        self.say("Acquiring Data")
        self.update_all({"acquire": True, "acquire_busy": True})
        self._renew_ready()
        try:
            self._acquisition.start()
        except RuntimeError as error:  # no more threads
            self._fault(f"series {series.id} cannot be read: {error}")
            raise
        if series.file is not None and series.header.frames:
            self._warn_of_space(series.file, series.header.frames)
        return series.done

    def _start(self, sdk: Xspress3, series: Series) -> None:
        self._program(sdk, self.values, series.header.frames)
        self.window_counts.begin()
        self.recent_frames.follow(sdk, series)
        for analysis in self._analyses:
            analysis.begin(series.header)
        if self.values["erase_on_start"]:
            self._erase(disabled=False)
        self.data.publish(series.header, audience=series.audience)
        series.start_time, series.start_monotonic = time.time(), time.monotonic()
        try:
            (sdk.arm if series.trigger.armed else sdk.start)()
            with self._lock:
                if self._queue.left_behind:
                    raise StateError("started too late")  # RESET and CONNECT stop it
                self._move("arm")
                # First: who sees the series asks how far it is.
                self._acquisition = Acquisition(
                    series, sdk, self.pool, self.data, self._on_block, self._on_warning, self._on_end
                )
                self.series = series
                if self._queue.interrupted.is_set():
                    series.stop_asked.set()  # a stop came while it was being armed
        except Exception:
            series.reason = "failed to start"
            self.data.publish(series.end(1, 0, None), audience=series.audience)
            raise

    def _new_series(self, file: CaptureFile | None) -> Series:
        values = self.values
        AcquisitionCommands._series_id += 1
        order = file.order if file else None
        header = make_header(
            self._series_id, values, self.parameters, order, self.clock_period, self.simulated, self._settings_files
        )
        header = self._with_attributes(header)
        series = Series(
            header,
            TRIGGERS[values["trigger_mode"]],
            self.event_widths,
            bool(values["stop_on_overrun"]),
            shown=bool(values["array_callbacks"]),
            enabled=np.array(values["enabled"], bool),
            read_attributes=self._attribute_reader(header),
        )
        if file is not None:
            series.record(file)
        return series

    def _put_acquire_busy(self, value: bool, channel: int | None) -> None:
        if value != self.values["acquire_busy"]:
            raise ValueError("AcquireBusy says whether a series runs; write to Acquire instead")
        self.update("acquire_busy", value)

    # run

    def get(self, name: str, index: Index = None) -> Any:
        """Return a value as it is now; those who wait for a frame count ask faster than the count is shown."""
        series = self.series
        if name == "frames_acquired" and series is not None:
            return series.confirmed
        return super().get(name, index)

    def _on_block(self, block: Block) -> None:
        series = self.series
        if series is not None and series.shown:
            if self.values["summing_enabled"]:
                self.sum.add(block, series.corrected)
            for analysis in self._analyses:
                analysis.add(block)
        self.window_counts.add(block)
        if series is not None:
            series.handed_on = series.acquired
            self._note_block(series, block)
            if series.trigger.armed:
                self._renew_ready()
        now = time.monotonic()
        # A step scan waits for the count of its frames; whoever shows data meanwhile shows the count too.
        if series is not None and now - self._shown_at > SHOW and self._showing.acquire(blocking=False):
            self._shown_at = now
            try:
                # With the time that the other counters have, so that time does not run back.
                self.update_changed({"frames_acquired": series.confirmed}, float(block.frames["time"][-1]))
            finally:
                self._showing.release()

    def _on_warning(self, text: str) -> None:
        self.say(text, Severity.minor)

    # end

    def _on_end(self, series: Series) -> None:
        """Bring a series to its end, in its own thread: all sinks have its last frame before it is over."""
        if self.series is not series:
            return  # the core gave it up while its thread was held in the library
        try:
            self._finish(series)
        except Exception as error:
            log.exception("Series %d cannot be finished", series.id)
            self._fault(f"series {series.id} cannot be finished: {error}")

    def _finish(self, series: Series) -> None:
        self._move("stop" if series.stop_asked.is_set() else "last_frame", "Saving" if self.values["capture"] else "")
        number = self._acquisition.messages
        self.recorder.ends.withhold()
        try:
            self._finish_file(series, number)
            self.data.probe()
            patience = SUBSCRIBER_PATIENCE / (2 if series.stop_asked.is_set() else 1)  # a stop is to be answered first
            stuck = self.data.subscribers.wait_sent(patience, series.abandoned.is_set, LONGEST_WAIT)
            self.data.subscribers.say_losses(series.id)
            streamed = self.data.subscribers.streamed(series.id, series.acquired)
            written = series.written if series.recorded else None
            self._tell_end(series, number, Audience.others, streamed, written)
        finally:
            self.recorder.ends.release()
        with self._showing:
            self._show_progress(series, last=True)
            for analysis in self._analyses if series.shown else ():
                analysis.end(series.length)
            self._show_frame(series, last=True)
        if self.series is not series:
            return  # given up while it waited for its sinks
        self._show_end(series, f"; subscriber {', '.join(stuck)} is behind" if stuck else "")

    def _tell_end(
        self,
        series: Series,
        number: int,
        audience: Audience,
        streamed: int | None = None,
        written: int | None = None,
    ) -> None:
        """Say the end of a series on the stream, once: a fault may end it before its own thread does."""
        if series.end_told.acquire(blocking=False):
            self.data.publish(series.end(number, streamed, written), audience=audience)

    def _show_end(self, series: Series, remark: str) -> None:
        stopped = series.stop_asked.is_set() or bool(series.error)
        with self._lock:  # all at once: the next series must not begin in between
            series.over = True
            at = float(series.latest.frames["time"][-1]) if series.latest is not None else None
            self.update_changed({"frames_acquired": series.confirmed}, at)
            self._move("abandon" if series.abandoned.is_set() else "drained", "Aborted" if stopped else "")
            if series.error:
                self.say(series.error, Severity.major)
            else:
                self.say(("Stopped Acquiring" if stopped else "Completed Acquisition") + remark)
            still = {"frame_rate": 0.0, "file_rate": 0.0, "time_remaining": 0.0}
            self.update_changed(still | self._plugins.rates(0.0))
            self.update_all({"acquire": False, "acquire_busy": False})
            if series.error:
                self.show_refused("acquire")  # clients that look at the record's alarm only see it there
            self.series = None
        self._renew_ready()
        if series.error:
            series.done.set_exception(SeriesError(series.error))
        else:
            series.done.set_result(None)

    # show

    def _show_frame(self, series: Series, last: bool = False) -> None:
        """Show the latest frame, the sum, and what follows from them, all with that frame's time.

        `last`: no frames come after it, whatever was lost.
        """
        block = series.latest
        if block is None or not series.shown:
            return
        at = float(block.frames["time"][-1])
        self._show_spectra("mca", frame_spectra(block, series), passing(self.values, "spectrum"), at)
        self.update_all(frame_values(block, series) | identity_values(block), at)
        spectra, until = self.sum.shown()  # blocks may have come after `block`
        self._show_spectra("mca_sum", spectra, passing(self.values, "sum_spectrum"), max(at, until))
        self.update_changed({"sum_frames": self.sum.frames}, max(at, until))
        for analysis in self._analyses:
            analysis.show(block, at, last)

    def _show_progress(self, series: Series, last: bool = False) -> None:
        at = float(series.latest.frames["time"][-1]) if series.latest is not None else None
        lost_on_the_way = series.acquired - self.data.subscribers.streamed(series.id, series.acquired)
        (self.update_all if last else self.update_changed)(
            {
                "frames_read": series.next,
                "frames_done": self._acquisition.furthest,
                "images_done": series.next,
                "exposures_done": min(1, series.next),
                "time_remaining": series.time_remaining(),
                "frames_acquired": series.confirmed,
                "frames_streamed": series.acquired - lost_on_the_way,
                "frames_written": series.written,
            },
            at,
        )
        missing = series.lost + (series.unwritten if series.reason == "file" else 0)
        if last or missing != self.values["frames_missing"]:
            self.update("frames_missing", missing, at=at, severity=Severity.major if missing else Severity.good)
        self._show_file_progress(series)
