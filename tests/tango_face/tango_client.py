"""A Tango client, run in a `Desk`, and the server that it talks to."""

from __future__ import annotations

import re
import time

from server_process import ServerProcess
from system_desk import Desk
from system_libca import LibcaClient

DEVICE = "test/xspress3/1"
TIMEOUT = 60
"""Seconds after which a client has waited in vain; a machine that does much else takes long."""


class TangoClient:
    """States are their names; what is refused is returned in the server's words."""

    def __init__(self, name: str):
        import tango

        self._proxy = tango.DeviceProxy(name)
        self.be_patient(TIMEOUT)
        self._events: dict[str, list[str]] = {}

    def be_patient(self, seconds: float) -> None:
        """So long an answer is waited for from now on; Tango's clients take 3 s where they are not told."""
        self._proxy.set_timeout_millis(round(1000 * seconds))

    def state(self) -> str:
        return str(self._proxy.state())

    def status(self) -> str:
        return self._proxy.status()

    def run(self, command: str) -> str:
        """Empty, or why not."""
        import tango

        try:
            self._proxy.command_inout(command)
        except tango.DevFailed as refused:
            return refused.args[0].desc
        return ""

    def get(self, attribute: str):
        return self._proxy.read_attribute(attribute).value

    def commands(self) -> list[str]:
        return [known.cmd_name for known in self._proxy.command_list_query()]

    def write(self, attribute: str, value) -> str:
        """Empty, or why not."""
        import tango

        try:
            self._proxy.write_attribute(attribute, value)
        except tango.DevFailed as refused:
            return refused.args[0].desc
        return ""

    def arm_and_look(self) -> str:
        """State as soon as Arm has returned."""
        self._proxy.command_inout("Arm")
        return self.state()

    def wait_for(self, state: str) -> None:
        deadline = time.monotonic() + TIMEOUT
        while self.state() != state:
            assert time.monotonic() < deadline, f"{state} did not come: {self.state()}, {self.status()}"
            time.sleep(0.01)

    def poll(self, seconds: float) -> set[str]:
        """All states seen when asked as fast as it goes."""
        seen = set()
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            seen.add(self.state())
        return seen

    def subscribe(self, attribute: str) -> None:
        import tango

        events = self._events[attribute] = []
        self._proxy.subscribe_event(
            attribute,
            tango.EventType.CHANGE_EVENT,
            lambda event: events.append(str(event.errors if event.err else event.attr_value.value)),
        )

    def events(self, attribute: str, last: str) -> list[str]:
        """All values that were pushed, once `last` has come."""
        events = self._events[attribute]
        deadline = time.monotonic() + TIMEOUT
        while last not in events[1:]:
            assert time.monotonic() < deadline, f"{last} did not come: {events}"
            time.sleep(0.01)
        return events[:]

    def kill_server(self) -> None:
        """As Tango's Starter ends a server."""
        import tango

        tango.DeviceProxy(self._proxy.adm_name()).command_inout("Kill")


class Pair:
    """A server with both faces, and a client of each."""

    tango_client = TangoClient

    def __init__(self, directory, *arguments, **tables):
        tables["parameters"] = {"destination": str(directory / "temp.h5")} | tables.get("parameters", {})
        self.server = ServerProcess(directory, "--tango", DEVICE, "--tango-port", "0", *arguments, **tables)
        self.name = re.search(r"tango://\S+", self.server.banner)[0]
        self.port = int(re.search(r":(\d+)/", self.name)[1])
        self.desks = [
            Desk(LibcaClient, self.server.prefix, environment=self.server.environment),
            Desk(self.tango_client, self.name),
        ]
        self.ca, self.tango = self.desks
        if tables.get("server", {}).get("connect", True):
            self.tango.wait_for("STANDBY")

    def set(self, frames: int, exposure: float) -> None:
        self.ca.set(NumImages=frames, AcquireTime=exposure, TriggerMode=1)

    def end(self) -> None:
        for desk in self.desks:
            desk.end()
        self.server.stop()
        log = self.server.log.read_text()
        assert "Traceback" not in log, log
