"""Triggers by software: gates that are opened and closed, and pulses."""

from __future__ import annotations

from xsp3ioc.sdk import ItfgTrigger, Xspress3
from xsp3ioc.stream.connection import TRIGGERS, arm_trigger_name
from xsp3ioc.stream.life import State, StateError
from xsp3ioc.stream.parameter import Index
from xsp3ioc.stream.series import Series
from xsp3ioc.stream.system_commands import SystemCommands

ALL_CARDS, FIRST_CARD = -1, 0


class TriggerCommands(SystemCommands):
    """What makes frames while a series waits for software."""

    _ready = False
    """What was last said of `ready_for_trigger`."""

    def _put_soft_trigger(self, value: bool, channel: int | None) -> None:
        if self.series is None and not value:
            self.update("soft_trigger", False)  # letting go of it is never wrong
            return
        self._trigger(value, "SoftTrigger", FIRST_CARD)

    def _put_trigger(self, value: bool, channel: int | None) -> None:
        if value:
            self._trigger(value, "TRIGGER", ALL_CARDS)

    def _trigger(self, value: bool, label: str, card: int) -> None:
        sdk = self.sdk
        if self.series is None:
            raise StateError(f"{label} while not acquiring: write 1 to Acquire first")
        if not self.series.trigger.armed:
            mode = self.series.header.trigger_mode
            raise StateError(f"{label} in trigger mode {mode}: it works in Software and Software + Internal")
        if self.values["soft_trigger"] or not value:
            sdk.pause(card)  # the count enable rises again, or it would be no trigger
        if value:
            sdk.resume(card)
        self.update("soft_trigger", value)

    def _put_send_trigger(self, value: bool, channel: int | None) -> None:
        sdk, series = self.sdk, self.series
        if value and series is None:
            raise StateError("SoftwareTrigger while not acquiring: Arm first")
        if value and series is not None:
            self._check_trigger(sdk, series)
            series.triggers_sent += 1  # first: the frame may be read before the library has returned
            self._renew_ready()
            sdk.resume(FIRST_CARD)
            sdk.pause(FIRST_CARD)
            self.update("soft_trigger", False)
        self.update("send_trigger", value)

    @staticmethod
    def _check_trigger(sdk: Xspress3, series: Series) -> None:
        """Raise StateError for a trigger that would start no frame: the series would wait for that one for ever."""
        if not series.trigger.armed:
            mode = arm_trigger_name(TRIGGERS.index(series.trigger))
            raise StateError(f"SoftwareTrigger in TriggerMode {mode}: it works in SOFTWARE")
        sent = series.triggers_sent
        each = series.trigger.generator is ItfgTrigger.software
        # What is read lags behind what is done: a client that waits for the exposure's time only is in time.
        if each and series.next < sent and sdk.progress().furthest < sent:
            too_early = f"SoftwareTrigger {sent + 1} while frame {sent} is being counted"
            raise StateError(f"{too_early}: wait until nFramesAcquired is {sent}, or for ReadyForSwTrigger")

    def _get_ready_for_trigger(self, index: Index) -> bool:
        series = self.series
        return series is not None and self.state is State.acquiring and series.ready_for_trigger

    def _renew_ready(self) -> None:
        """Say so if it is another now; for those who wait for it, each change counts."""
        with self._lock:
            ready = self._get_ready_for_trigger(None)
            if ready is not self._ready:
                self._ready = ready
                self.renew("ready_for_trigger")
