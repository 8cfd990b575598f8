"""Stop: the one command that overtakes the queue, and is answered within a second in every state."""

from __future__ import annotations

import time

from xsp3ioc.stream.commands import STARTS, Command
from xsp3ioc.stream.data_socket import DataSocket
from xsp3ioc.stream.file_series import FileSeries
from xsp3ioc.stream.life import State, StateError
from xsp3ioc.stream.parameter import Severity
from xsp3ioc.stream.series import Series, SeriesError
from xsp3ioc.stream.system_commands import SystemCommands

STOP_ANSWER = 0.8
"""Seconds after which a stop is answered, whatever it waits for; a later stop gives that up."""


class Stopping(SystemCommands, FileSeries):
    """How a series is told to end, and what its users hear while it does not."""

    data: DataSocket
    _stops: list[tuple[float, Command, Series | None]]
    """Stops that wait: since when (monotonic), and for the end of which series; None: of one that is being started."""

    def _stop(self, command: Command) -> None:
        with self._lock:
            for waiting in self._queue.cancel(STARTS):
                waiting.fail(SeriesError("Stopped before it began"))
            self._queue.interrupted.set()
            series, current = self.series, self._queue.current
            if series is None:
                arming = current is not None and current.name in STARTS
                if arming and current is not None:
                    self._stops.append((time.monotonic(), command, None))
                    current.future.add_done_callback(lambda _: self._answer(command, None))
                    return
                self.update("acquire", False)
                self.forget_refusal()
                self._answer(command, None)
                return
            again = series.stop_asked.is_set() and any(
                time.monotonic() - began > STOP_ANSWER for began, _, stopped in self._stops if stopped is series
            )
            series.stop_asked.set()
            self._stops.append((time.monotonic(), command, series))
            series.done.add_done_callback(lambda _: self._answer(command, None))
            if not again and self.state is State.acquiring:
                self.update("detector_state", self.parameters["detector_state"].choices.index("Aborting"))
        if again:
            # The file first: a series that saw itself given up before would end without the file's error.
            if series.recorded and not series.flushed.is_set():
                self.recorder.abandon("Abandoned by a second stop")
            series.abandoned.set()

    def _wait_for_stop(self) -> None:
        """Let a series that was told to stop end, before what was put behind the stop."""
        series = self.series
        deadline = time.monotonic() + STOP_ANSWER
        while series is not None and series.stop_asked.is_set() and not series.done.done():
            if time.monotonic() > deadline:
                raise StateError(self._waits_for(series))
            time.sleep(0.001)

    def _answer_stops(self) -> None:
        """Tell those who wait too long for a stop what it waits for."""
        now = time.monotonic()
        for began, command, series in list(self._stops):
            if now - began > STOP_ANSWER and not command.future.done():
                text = self._waits_for(series)
                self.say(text, Severity.major)
                command.fail(SeriesError(text))
        with self._lock:
            running = self.series
            self._stops = [
                (began, command, series)
                for began, command, series in self._stops
                if not command.future.done() or (series is not None and series is running)
            ]

    def _waits_for(self, series: Series | None) -> str:
        pending = self._sdk.pending if self._sdk is not None else None
        if pending is not None and pending[1] > STOP_ANSWER / 2:
            return f"Stop waits for the library: {pending[0]} has not returned for {pending[1]:.1f} s"
        if series is None:
            return "Stop waits for the start of the series"
        if series.recorded and not series.flushed.is_set():
            left = series.unwritten
            return f"Stop waits for the file writer: {left} frames are not written; {self._way_out('abandon the file')}"
        behind = [known.name for known in self.data.subscribers.select() if known.waiting]
        if self.state is State.finishing and behind:
            return f"Stop waits for subscriber {', '.join(behind)} to take its frames; {self._way_out('go on without')}"
        return f"Stop waits for frames {series.next} on to be read; {self._way_out('give them up')}"

    def _way_out(self, what: str) -> str:
        return "the server waits a few seconds more, then it ends" if self.closing else f"stop again to {what}"
