"""The Tango device: its state, attributes and commands, all of them the core's."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import Any, Protocol

from tango import AttrQuality, AutoTangoAllowThreads, DevFailed, DevState, Util
from tango.server import Device, attribute, command, device_property

from xsp3ioc.stream.commands import Put
from xsp3ioc.stream.life import State
from xsp3ioc.stream.parameter import Index, Parameter, Severity
from xsp3ioc.stream.recent_frames import RecentFrames
from xsp3ioc.stream.window_counts import WindowCounts
from xsp3ioc.tango.events import Events
from xsp3ioc.tango.read_commands import ReadCommands
from xsp3ioc.tango.refusal import refuse
from xsp3ioc.tango.registration import PROPERTIES

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
UNTIL_BEGUN = ("acquire", "arm", "capture", "scaler_series_acquire")
"""What a client starts by 1 and does not wait the end of."""


class UnderWayError(TimeoutError):
    """A put has begun and takes longer than its client can wait."""


class Core(Protocol):
    """What this face needs of the detector."""

    parameters: dict[str, Parameter]
    state: State
    closing: bool
    channels: int
    values: dict[str, Any]
    window_counts: WindowCounts
    recent_frames: RecentFrames

    @property
    def starting(self) -> bool:
        """Whether a series is being started just now."""

    def get(self, name: str, index: Index = None) -> Any:
        """Return a value as it is now."""

    def put(self, name: str, value: Any, index: Index = None, who: str = "") -> Put:
        """Enqueue a write."""

    def say(self, text: str, severity: Severity) -> None:
        """Show what happened, in words."""

    def subscribe(self, listener: Any) -> None:
        """Have every change told, from any thread."""


class Xspress3DS(ReadCommands, Device):
    """An Xspress3 X-ray detector.

    Tango serializes what clients ask of it (BY_DEVICE): with NO_SYNC a read of an attribute and an event of it would
    share the memory of one value, and PyTango ends in a segmentation fault. So that State, progress and Stop answer
    meanwhile, everything that waits for the core lets the others in.
    """

    # For those who look at the class; what they say is read before there is a core (`registration`).
    vars().update(
        {
            name: device_property(dtype=kind, default_value=default, doc=doc)
            for name, (kind, default, doc) in PROPERTIES.items()
        }
    )
    core: Core
    """Given to the class before the server makes its device."""
    events: Events
    """The same."""
    renew: Callable[[], list[Put]]
    """The same: has the core take over properties that have changed, by what it puts; ValueError: they cannot be."""
    _complete = False
    """Has it all its attributes: Init leaves them, DevRestart makes another device."""

    def init_device(self) -> None:
        """Announce the events; also called by Init, after `delete_device`."""
        super().init_device()
        for name in ("State", "Status"):
            self._announce_events(name)
        self.serve_counts()
        if self._complete:
            self.events.go_on()

    def delete_device(self) -> None:
        """Connect the system anew, if Init has called this, and not the end of the server.

        Here, because what `init_device` raises is no exception that the client would understand (PyTango 10.3).
        """
        try:
            if not (Util.instance().is_svr_shutting_down() or self.core.closing):
                self._connect_again()
        except DevFailed:
            # After this Init leaves the device, DevRestart does not.
            self._hold_events()
            self.events.go_on_soon()
            raise
        self._hold_events()
        super().delete_device()

    def _hold_events(self) -> None:
        with AutoTangoAllowThreads(self):  # who pushes needs the lock of the device
            self.events.hold(PATIENCE)

    def _connect_again(self) -> None:
        """Take over the properties of now, stop, connect; a connection that takes long goes on behind."""
        renewed = self._renew()
        stop = self.core.put("acquire", False, who=self.who)
        connect = self.core.put("connect", True, who=self.who)
        try:
            self.wait_for("Init", [stop, *renewed, connect], goes_on=True)
        except DevFailed as error:
            self._show_failed_init(error.args[0].desc)
            raise

    def _renew(self) -> list[Put]:
        # Without the lock of the device: the database may take its time.
        with AutoTangoAllowThreads(self):
            try:
                return type(self).renew()
            except ValueError as error:
                refusal = error
        refuse(refusal, "Init")  # all goes on as it was

    def _show_failed_init(self, why: str) -> None:
        """Leave no system behind that works with other settings than it shall: FAULT, with the reason as status."""
        if self.core.state is State.idle:
            with contextlib.suppress(DevFailed):
                self.wait_for("Init", [self.core.put("disconnect", True, who=self.who)])
        self.core.say(f"Init failed: {why}", Severity.major)

    def initialize_dynamic_attributes(self) -> None:
        """Make an attribute of each of the core's parameters, and those of each channel."""
        for name, walked in self.events.attributes.items():
            access: dict[str, Any] = {"fget": self.read_walked}
            if walked.writable:
                access["fset"] = self.write_walked
            self.add_attribute(attribute(**walked.declaration(), **access))
            self._announce_events(name)
        self._complete = True
        self.events.meet()

    def _announce_events(self, name: str) -> None:
        self.set_change_event(name, True, False)
        self.set_archive_event(name, True, False)

    def dev_state(self) -> DevState:
        """Return the state, from the core's; RUNNING from the moment Arm is called."""
        return DevState.RUNNING if self.core.starting else STATES[self.core.state]

    def dev_status(self) -> str:
        """Return the last event, refusal or fault in words."""
        return self.core.values["status_message"]

    def push_built_in(self, name: str, value: Any) -> None:
        """Tell subscribers of State or Status; from a thread that Tango knows."""
        # Tango pushes what was set, not what dev_state and dev_status return: so each change is told, in order.
        if name == "State":
            self.set_state(value)
        else:
            self.set_status(value)
        self.push_change_event(name)
        self.push_archive_event(name)

    def read_walked(self, asked: Any) -> tuple[Any, float, AttrQuality]:
        """Return value, time and quality of one of the core's parameters."""
        walked = self.events.attributes[asked.get_name()]
        at, quality = self.events.stamp(walked.parameter.name)
        return walked.read(self.core), at, quality

    def write_walked(self, asked: Any) -> None:
        """Put what a client has written; DevFailed if the core refuses it."""
        walked = self.events.attributes[asked.get_name()]
        name = walked.parameter.name
        try:
            wanted = walked.puts(asked.get_write_value(), self.core)
        except ValueError as error:
            refuse(error, walked.name)
        puts = [self.core.put(name, value, index, who=self.who) for index, value in wanted]
        begun = name in UNTIL_BEGUN and any(value for _, value in wanted)
        self.wait_for(walked.name, puts, begun)

    @property
    def who(self) -> str:
        """Whose request this is, for the log of puts."""
        client = self.get_client_ident()  # None for what the database has memorized
        known = client is not None and client.client_ident
        # giop:tcp:127.0.0.1:51218
        address = client.client_ip.removeprefix("giop:tcp:").rpartition(":")[0] if known else ""
        return f"tango@{address}" if address else "tango"

    def wait_for(self, name: str, puts: Sequence[Put], begun: bool = False, goes_on: bool = False) -> None:
        """Wait until puts are done, or `begun`; raise the core's refusal as DevFailed, in the core's words.

        Then those behind the one that is refused, or withdrawn because it has waited too long, are withdrawn.
        `goes_on`: what is not done in time, but under way, is no error.
        """
        deadline = time.monotonic() + PATIENCE
        # Without the lock of the device, see above; it is taken again when this ends.
        with AutoTangoAllowThreads(self):
            try:
                for put in puts:
                    ended: Future[None] = put.begun if begun else put
                    _wait(name, put, ended, deadline)
                return
            except UnderWayError as error:
                if goes_on:
                    return
                refusal: Exception = TimeoutError(str(error))  # what clients know
            except Exception as error:
                refusal = error
                for put in puts:
                    put.cancel()
        refuse(refusal, name)

    @command
    def Arm(self) -> None:  # noqa: N802
        """Start a series into DestinationFileName; it is armed when this returns, unless the disk is very slow."""
        # Then it is RUNNING nevertheless, and a SoftwareTrigger waits behind it.
        self.wait_for("Arm", [self.core.put("arm", True, who=self.who)], begun=True, goes_on=True)

    @command
    def SoftwareTrigger(self) -> None:  # noqa: N802
        """Start the next frame, or the first of all."""
        self.wait_for("SoftwareTrigger", [self.core.put("send_trigger", True, who=self.who)])

    @command
    def Stop(self) -> None:  # noqa: N802
        """End the series, keep what was read."""
        self.wait_for("Stop", [self.core.put("acquire", False, who=self.who)])


def _wait(name: str, put: Put, ended: Future[None], deadline: float) -> None:
    """Until `ended`, or TimeoutError that says what becomes of it."""
    try:
        ended.result(max(0.0, deadline - time.monotonic()))
    except FutureTimeoutError:
        if ended.done():
            raise  # it is the core's
        if put.cancel():
            raise TimeoutError(f"{name} has waited {PATIENCE} s for the commands before it and is withdrawn") from None
        raise UnderWayError(f"{name} has begun, is not done after {PATIENCE} s, and goes on") from None
