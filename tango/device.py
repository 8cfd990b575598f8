"""The Tango device: its state and commands, all of them the core's."""

from __future__ import annotations

import logging
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import Any, Protocol

from tango import DevState, Except
from tango.server import Device, command

from xsp3ioc.stream.commands import Put
from xsp3ioc.stream.life import State
from xsp3ioc.stream.parameter import Index

log = logging.getLogger(__name__)

STATES = {
    # Who waits for the end of INIT would wait for ever here: nothing connects by itself.
    State.disconnected: DevState.FAULT,
    State.connecting: DevState.INIT,
    State.idle: DevState.STANDBY,
    State.acquiring: DevState.RUNNING,
    State.finishing: DevState.RUNNING,
    State.fault: DevState.FAULT,
}
"""STANDBY only when nothing runs: the last frame has reached the file and the stream has ended."""

PATIENCE = 2.5
"""Seconds that a command waits for the core; Tango's clients wait 3."""


class Core(Protocol):
    """What this face needs of the detector."""

    state: State
    values: dict[str, Any]

    def put(self, name: str, value: Any, index: Index = None, who: str = "") -> Put:
        """Enqueue a write."""

    def subscribe(self, listener: Any) -> None:
        """Have every change told, from any thread."""


class Xspress3DS(Device):
    """An Xspress3 X-ray detector."""

    core: Core
    """Given to the class before the server makes its device."""

    def init_device(self) -> None:
        """Announce the events; also called by Init."""
        super().init_device()
        for name in ("State", "Status"):
            self.set_change_event(name, True, False)

    def dev_state(self) -> DevState:
        """Return the state, from the core's."""
        return STATES[self.core.state]

    def dev_status(self) -> str:
        """Return the last event, refusal or fault in words."""
        return self.core.values["status_message"]

    def push(self, name: str, value: Any) -> None:
        """Tell subscribers of State or Status; from a thread that Tango knows."""
        # Tango pushes what was set, not what dev_state and dev_status return: so each change is told, in order.
        if name == "State":
            self.set_state(value)
        else:
            self.set_status(value)
        self.push_change_event(name)

    @command
    def Arm(self) -> None:  # noqa: N802
        """Start a series; it is armed when this returns."""
        put = self.core.put("acquire", True, who="tango")
        _wait(put, put.begun, "Arm")

    @command
    def Stop(self) -> None:  # noqa: N802
        """End the series, keep what was read."""
        put = self.core.put("acquire", False, who="tango")
        _wait(put, put, "Stop")


def _wait(put: Put, ended: Future[None], name: str) -> None:
    """Raise the core's refusal as DevFailed, in the core's words."""
    try:
        ended.result(PATIENCE)
    except Exception as error:
        text = str(error)
        if isinstance(error, FutureTimeoutError) and not ended.done():
            what = "is withdrawn" if put.cancel() else "goes on"
            text = f"{name} has waited {PATIENCE} s for the commands before it and {what}"
        Except.throw_exception(type(error).__name__, text, f"Xspress3DS.{name}")
